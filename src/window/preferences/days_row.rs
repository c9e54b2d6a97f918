//! The days of the schedule, `ui/days_row.ui`. Layer 4.

use std::cell::{Cell, RefCell};

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::config::schedule::Weekday;
use dtorrent::engine::api::{SettingChange, SettingValue};
use gtk::glib;

use super::SettingsInView;
use super::setting::{OnChange, Setting, SettingOwner};
use crate::window::limits_words::{short_weekday, weekday};
use crate::window::template::template_class;

const NAME: &str = "schedule.days";

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/days_row.ui")]
    pub(crate) struct DaysRow {
        #[template_child]
        pub(super) title_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) restore: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) days: TemplateChild<gtk::Box>,
        pub(super) buttons: RefCell<Vec<(Weekday, gtk::ToggleButton)>>,
        pub(super) setting: Setting,
        /// The program itself sets the buttons.
        pub(super) is_showing: Cell<bool>,
    }

    template_class!(DaysRow is "DtDaysRow", a adw::PreferencesRow, then set_up);

    impl DaysRow {
        fn set_up(&self) {
            self.setting.name(NAME);
        }
    }

    impl ListBoxRowImpl for DaysRow {}
    impl PreferencesRowImpl for DaysRow {}
}

glib::wrapper! {
    pub(crate) struct DaysRow(ObjectSubclass<imp::DaysRow>)
        @extends adw::PreferencesRow, gtk::ListBoxRow, gtk::Widget,
        @implements gtk::Accessible, gtk::Actionable, gtk::Buildable, gtk::ConstraintTarget;
}

impl DaysRow {
    /// Makes the row that of its setting. Changes are asked for by `on_change`.
    pub(super) fn begin(&self, settings: &SettingsInView, on_change: OnChange) {
        let imp = self.imp();
        imp.setting.connect(on_change);
        imp.title_label.set_label(&self.title());
        self.set_up_restore(&imp.restore);
        for day in Weekday::ALL {
            let button = gtk::ToggleButton::with_label(&short_weekday(day));
            button.set_hexpand(true);
            button.add_css_class("day");
            button.update_property(&[gtk::accessible::Property::Label(&weekday(day))]);
            let row = self.downgrade();
            button.connect_toggled(move |_| {
                row.upgrade().inspect(Self::toggled);
            });
            imp.days.append(&button);
            imp.buttons.borrow_mut().push((day, button));
        }
        self.show_settings(settings);
    }

    fn toggled(&self) {
        let imp = self.imp();
        if !imp.is_showing.get() {
            let buttons = imp.buttons.borrow();
            let active = buttons.iter().filter(|(_, button)| button.is_active());
            let days = active.map(|(day, _)| day.name().to_owned()).collect();
            imp.setting.change(SettingValue::List(days));
        }
    }

    /// Shows what holds.
    pub(super) fn show_settings(&self, settings: &SettingsInView) {
        let imp = self.imp();
        imp.setting.take(settings);
        imp.setting.show_restore(&imp.restore);
        imp.is_showing.set(true);
        for (day, button) in &*imp.buttons.borrow() {
            button.set_active(settings.config.schedule.days.has(*day));
        }
        imp.is_showing.set(false);
    }

    pub(super) fn restoration(&self) -> Option<(SettingChange, SettingChange)> {
        self.imp().setting.way_back()
    }
}

impl SettingOwner for DaysRow {
    fn setting(&self) -> &Setting {
        &self.imp().setting
    }
}
