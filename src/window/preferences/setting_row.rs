//! A setting that fits beside its title, `ui/setting_row.ui`: a switch, a number, a time or a choice. Layer 4.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{SettingChange, SettingValue};
use dtorrent::ratio::RatioLimit;
use gtk::glib;

use super::SettingsInView;
use super::entry::{Form, Row, TypedSetting};
use super::level;
use super::setting::{OnChange, Setting, SettingOwner};
use crate::window::i18n::tr;
use crate::window::template::template_class;

#[expect(unreachable_pub, reason = "the getters that the derive makes are `pub`")]
mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate, glib::Properties)]
    #[properties(wrapper_type = super::SettingRow)]
    #[template(resource = "/io/github/dtorrent/DTorrent/setting_row.ui")]
    pub(crate) struct SettingRow {
        #[template_child]
        pub(super) restore: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) entry: TemplateChild<gtk::Entry>,
        #[template_child]
        pub(super) unit_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) switch: TemplateChild<gtk::Switch>,
        #[template_child]
        pub(super) choice: TemplateChild<gtk::DropDown>,
        /// `section.key`.
        #[property(get, set)]
        pub(super) setting_name: RefCell<String>,
        /// Of a number.
        #[property(get, set)]
        pub(super) minimum: Cell<i64>,
        #[property(get, set, maximum = i64::MAX)]
        pub(super) maximum: Cell<i64>,
        /// What the number counts.
        #[property(get, set)]
        pub(super) unit: RefCell<String>,
        pub(super) setting: Setting,
        pub(super) typed: OnceCell<Rc<TypedSetting>>,
        /// What stands below the title while nothing is wrong.
        pub(super) explanation: RefCell<String>,
        /// The program itself sets the switch or the choice.
        pub(super) is_showing: Cell<bool>,
    }

    template_class!(SettingRow is "DtSettingRow", a adw::ActionRow, its properties);

    impl WidgetImpl for SettingRow {}
    impl ListBoxRowImpl for SettingRow {}
    impl PreferencesRowImpl for SettingRow {}
    impl ActionRowImpl for SettingRow {}
}

glib::wrapper! {
    pub(crate) struct SettingRow(ObjectSubclass<imp::SettingRow>)
        @extends adw::ActionRow, adw::PreferencesRow, gtk::ListBoxRow, gtk::Widget,
        @implements gtk::Accessible, gtk::Actionable, gtk::Buildable, gtk::ConstraintTarget;
}

impl SettingRow {
    /// Makes the row that of its setting. Changes are asked for by `on_change`.
    pub(super) fn begin(&self, settings: &SettingsInView, on_change: OnChange) {
        let imp = self.imp();
        imp.setting.name(&self.setting_name());
        imp.setting.connect(on_change);
        imp.explanation
            .replace(self.subtitle().unwrap_or_default().into());
        self.set_up_restore(&imp.restore);
        let (section, key) = imp.setting.names();
        match settings.config.setting(section, key) {
            Some(SettingValue::Switch(_)) => self.begin_switch(),
            Some(SettingValue::Number(_)) => self.begin_entry(Form::Number),
            Some(SettingValue::Ratio(_)) => self.begin_entry(Form::Ratio),
            _ if (section, key) == ("log", "level") => self.begin_choice(),
            _ => self.begin_entry(Form::Time),
        }
        self.show_settings(settings);
    }

    fn begin_switch(&self) {
        let imp = self.imp();
        imp.switch.set_visible(true);
        self.set_activatable_widget(Some(&*imp.switch));
        self.name_editor(&*imp.switch);
        let row = self.downgrade();
        imp.switch.connect_active_notify(move |switch| {
            if let Some(row) = row.upgrade() {
                row.chosen(switch.is_active().into());
            }
        });
    }

    fn begin_choice(&self) {
        let imp = self.imp();
        imp.choice.set_visible(true);
        self.name_editor(&*imp.choice);
        let words = level::words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        imp.choice.set_model(Some(&gtk::StringList::new(&words)));
        let row = self.downgrade();
        imp.choice.connect_selected_notify(move |choice| {
            if let (Some(row), Some(name)) = (row.upgrade(), level::NAMES.get(choice.selected() as usize)) {
                row.chosen((*name).into());
            }
        });
    }

    fn begin_entry(&self, form: Form) {
        let imp = self.imp();
        imp.entry.set_visible(true);
        self.set_activatable_widget(Some(&*imp.entry));
        self.name_editor(&*imp.entry);
        imp.unit_label.set_label(&self.unit());
        imp.unit_label.set_visible(!self.unit().is_empty());
        if form == Form::Ratio {
            imp.entry.set_input_purpose(gtk::InputPurpose::Number);
        }
        if form == Form::Time {
            imp.entry.set_width_chars(6);
            imp.entry.set_max_width_chars(6);
            imp.entry.set_input_purpose(gtk::InputPurpose::FreeForm);
        }
        let row = self.downgrade();
        let typed = TypedSetting::new(&imp.entry, form, move || row.upgrade());
        // A row begins once.
        let _ = imp.typed.set(typed);
    }

    /// By its title, and the unit of a number.
    fn name_editor(&self, editor: &impl IsA<gtk::Accessible>) {
        let (title, unit) = (self.title(), self.unit());
        let name = if unit.is_empty() {
            title.to_string()
        } else {
            tr!("{setting} ({unit})", setting = title, unit = unit)
        };
        // The row has given its title as the name, which would go before this one.
        editor.reset_relation(gtk::AccessibleRelation::LabelledBy);
        editor.update_property(&[
            gtk::accessible::Property::Label(&name),
            gtk::accessible::Property::Description(&self.imp().explanation.borrow()),
        ]);
    }

    fn chosen(&self, value: SettingValue) {
        if !self.imp().is_showing.get() {
            self.imp().setting.change(value);
        }
    }

    /// Shows what holds.
    pub(super) fn show_settings(&self, settings: &SettingsInView) {
        let imp = self.imp();
        let before = imp.setting.value();
        let Some(value) = imp.setting.take(settings) else {
            return;
        };
        let restores = imp.setting.restoration().is_some();
        if !restores && imp.restore.has_focus() {
            self.child_focus(gtk::DirectionType::TabForward);
        }
        imp.restore.set_visible(restores);
        if let Some(typed) = imp.typed.get() {
            typed.show(self, &value, before.as_ref() != Some(&value));
        }
        imp.is_showing.set(true);
        match &value {
            SettingValue::Switch(on) => imp.switch.set_active(*on),
            SettingValue::Text(name) => {
                if let Some(at) = level::NAMES.iter().position(|level| level == name) {
                    imp.choice.set_selected(at as u32);
                }
            }
            SettingValue::Number(_) | SettingValue::Ratio(_) | SettingValue::List(_) => {}
        }
        imp.is_showing.set(false);
    }

    /// What was typed and does not count yet is forgotten.
    pub(super) fn discard(&self) {
        if let Some(typed) = self.imp().typed.get() {
            typed.discard(self);
        }
    }

    /// What was typed counts: the window closes.
    pub(super) fn finish(&self) {
        if let Some(typed) = self.imp().typed.get() {
            typed.count(self);
        }
    }

    /// Gives the keyboard to what shows the setting.
    pub(super) fn focus_editor(&self) {
        let imp = self.imp();
        let editors: [&gtk::Widget; 3] = [
            imp.entry.upcast_ref(),
            imp.switch.upcast_ref(),
            imp.choice.upcast_ref(),
        ];
        if let Some(editor) = editors.into_iter().find(|editor| editor.get_visible()) {
            editor.grab_focus();
        }
    }

    pub(super) fn restoration(&self) -> Option<(SettingChange, SettingChange)> {
        self.imp().setting.way_back()
    }
}

impl SettingOwner for SettingRow {
    fn setting(&self) -> &Setting {
        &self.imp().setting
    }
}

impl Row for SettingRow {
    fn show_wrong(&self, is_wrong: bool) {
        let text = match self.imp().setting.value() {
            _ if !is_wrong => self.imp().explanation.borrow().clone(),
            Some(SettingValue::Number(_)) => tr!(
                "Not used: it takes a whole number from {minimum} to {maximum}",
                minimum = self.minimum(),
                maximum = self.maximum(),
            ),
            Some(SettingValue::Ratio(_)) => tr!(
                "Not used: it takes 0, or a number from 0.01 to {maximum}, such as 1.5",
                maximum = RatioLimit::MOST,
            ),
            _ => tr!("Not used: it takes a time of the day from 00:00 to 23:59"),
        };
        self.set_subtitle(&text);
        if is_wrong {
            self.add_css_class("wrong");
        } else {
            self.remove_css_class("wrong");
        }
    }
}
