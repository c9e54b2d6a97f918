//! A setting that needs the whole width, `ui/text_row.ui`: a text, a list, or a path that can be chosen. Layer 4.
//!
//! It is an action row with other content: the search of the preferences looks into the subtitles of those alone.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{SettingChange, SettingValue};
use gtk::{gio, glib};

use super::SettingsInView;
use super::entry::{Form, Row, TypedSetting};
use super::setting::{OnChange, Setting, SettingOwner};
use crate::window::i18n::tr;
use crate::window::template::template_class;

#[expect(unreachable_pub, reason = "the getters that the derive makes are `pub`")]
mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate, glib::Properties)]
    #[properties(wrapper_type = super::TextRow)]
    #[template(resource = "/io/github/dtorrent/DTorrent/text_row.ui")]
    pub(crate) struct TextRow {
        #[template_child]
        pub(super) title_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) explanation_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) restore: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) entry: TemplateChild<gtk::Entry>,
        #[template_child]
        pub(super) choose: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) problem: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) note: TemplateChild<gtk::Label>,
        /// `section.key`.
        #[property(get, set)]
        pub(super) setting_name: RefCell<String>,
        /// What is allowed, for somebody who has typed something else.
        #[property(get, set)]
        pub(super) allowed: RefCell<String>,
        /// What stands in the entry while it is empty.
        #[property(get, set)]
        pub(super) placeholder: RefCell<String>,
        /// A folder can be chosen.
        #[property(get, set)]
        pub(super) folder: Cell<bool>,
        /// A file can be chosen.
        #[property(get, set)]
        pub(super) file: Cell<bool>,
        pub(super) setting: Setting,
        pub(super) typed: OnceCell<Rc<TypedSetting>>,
    }

    template_class!(TextRow is "DtTextRow", a adw::ActionRow, its properties);

    impl WidgetImpl for TextRow {
        /// A search leads to the row, which is nothing without its entry.
        fn grab_focus(&self) -> bool {
            self.entry.grab_focus()
        }
    }

    impl ListBoxRowImpl for TextRow {}
    impl PreferencesRowImpl for TextRow {}
    impl ActionRowImpl for TextRow {}
}

glib::wrapper! {
    pub(crate) struct TextRow(ObjectSubclass<imp::TextRow>)
        @extends adw::ActionRow, adw::PreferencesRow, gtk::ListBoxRow, gtk::Widget,
        @implements gtk::Accessible, gtk::Actionable, gtk::Buildable, gtk::ConstraintTarget;
}

impl TextRow {
    /// Makes the row that of its setting. Changes are asked for by `on_change`.
    pub(super) fn begin(&self, settings: &SettingsInView, on_change: OnChange) {
        let imp = self.imp();
        imp.setting.name(&self.setting_name());
        imp.setting.connect(on_change);
        imp.title_label.set_label(&self.title());
        let explanation = self.subtitle().unwrap_or_default();
        imp.explanation_label.set_label(&explanation);
        imp.problem.set_label(&self.allowed());
        imp.entry.set_placeholder_text(Some(&self.placeholder()));
        imp.entry.update_property(&[
            gtk::accessible::Property::Label(&self.title()),
            gtk::accessible::Property::Description(&explanation),
        ]);
        imp.entry
            .set_icon_tooltip_text(gtk::EntryIconPosition::Secondary, Some(&tr!("Use This (Return)")));
        self.set_up_restore(&imp.restore);
        self.begin_choosing();
        let (section, key) = imp.setting.names();
        let form = match settings.config.setting(section, key) {
            Some(SettingValue::List(_)) => Form::List,
            _ => Form::Text,
        };
        let row = self.downgrade();
        // A row begins once.
        let _ = (imp.typed).set(TypedSetting::new(&imp.entry, form, move || row.upgrade()));
        self.show_settings(settings);
    }

    fn begin_choosing(&self) {
        let imp = self.imp();
        imp.choose.set_visible(self.folder() || self.file());
        let name = tr!("Choose for “{setting}”", setting = self.title());
        imp.choose
            .update_property(&[gtk::accessible::Property::Label(&name)]);
        let row = self.downgrade();
        imp.choose.connect_clicked(move |_| {
            if let Some(row) = row.upgrade() {
                glib::spawn_future_local(async move { row.choose().await });
            }
        });
    }

    async fn choose(&self) {
        let window = self.root().and_downcast::<gtk::Window>();
        let action = if self.folder() {
            gtk::FileChooserAction::SelectFolder
        } else {
            gtk::FileChooserAction::Open
        };
        let chooser = gtk::FileChooserNative::new(
            Some(&self.title()),
            window.as_ref(),
            action,
            Some(&tr!("_Choose")),
            None,
        );
        chooser.set_modal(true);
        if let Some(SettingValue::Text(path)) = self.imp().setting.value().filter(|_| self.folder()) {
            // The chooser opens somewhere else if it cannot go there.
            let _ = chooser.set_current_folder(Some(&gio::File::for_path(path)));
        }
        let accepted = chooser.run_future().await == gtk::ResponseType::Accept;
        let path = chooser.file().filter(|_| accepted).and_then(|file| file.path());
        // A path that is no text cannot stand in the file.
        if let Some(path) = path.as_deref().and_then(|path| path.to_str()) {
            self.imp().setting.change(path.into());
        }
    }

    /// Shows what holds.
    pub(super) fn show_settings(&self, settings: &SettingsInView) {
        let imp = self.imp();
        let before = imp.setting.value();
        let Some(value) = imp.setting.take(settings) else {
            return;
        };
        imp.setting.show_restore(&imp.restore);
        if let Some(typed) = imp.typed.get() {
            typed.show(self, &value, before.as_ref() != Some(&value));
        }
        self.show_note(settings);
    }

    /// Says what keeps the setting from taking effect.
    fn show_note(&self, settings: &SettingsInView) {
        let imp = self.imp();
        let name = self.setting_name();
        let is_overruled = name == "folders.state" && settings.state_is_given;
        let stale = settings.started_with.changes_needing_restart(&settings.config);
        let note = if is_overruled {
            Some(tr!(
                "--state on the command line has named this folder, and goes before the settings"
            ))
        } else {
            (stale.contains(&name.as_str())).then(|| tr!("Takes effect when DTorrent is started again"))
        };
        imp.note.set_visible(note.is_some());
        imp.note.set_label(&note.unwrap_or_default());
        if is_overruled {
            for editor in [imp.entry.upcast_ref::<gtk::Widget>(), imp.choose.upcast_ref()] {
                editor.set_sensitive(false);
            }
            imp.restore.set_visible(false);
        }
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

    pub(super) fn restoration(&self) -> Option<(SettingChange, SettingChange)> {
        let imp = self.imp();
        // What is overruled would not change before the eyes of anybody.
        imp.entry.is_sensitive().then_some(())?;
        imp.setting.way_back()
    }
}

impl SettingOwner for TextRow {
    fn setting(&self) -> &Setting {
        &self.imp().setting
    }
}

impl Row for TextRow {
    fn show_wrong(&self, is_wrong: bool) {
        self.imp().problem.set_visible(is_wrong);
    }
}
