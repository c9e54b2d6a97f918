//! What all rows of the preferences have in common: the key that they show, and how a change of it goes its way.
//! Layer 4.

use std::cell::{Cell, OnceCell, RefCell};

use adw::prelude::*;
use dtorrent::config::setting;
use dtorrent::engine::api::{SettingChange, SettingValue};

use super::SettingsInView;
use crate::window::i18n::tr;

/// Called with what is to be changed.
pub(super) type OnChange = Box<dyn Fn(SettingChange)>;

/// One key.
#[derive(Default)]
pub(super) struct Setting {
    section: OnceCell<String>,
    key: OnceCell<String>,
    /// What it says, as far as the engine has told.
    value: RefCell<Option<SettingValue>>,
    is_default: Cell<bool>,
    on_change: OnceCell<OnChange>,
}

impl Setting {
    /// Takes the name of the template, `section.key`.
    pub(super) fn name(&self, name: &str) {
        let (section, key) = name.split_once('.').unwrap_or_default();
        // A template names it once.
        let _ = self.section.set(section.to_owned());
        let _ = self.key.set(key.to_owned());
    }

    pub(super) fn names(&self) -> (&str, &str) {
        (
            self.section.get().map_or("", String::as_str),
            self.key.get().map_or("", String::as_str),
        )
    }

    pub(super) fn connect(&self, on_change: OnChange) {
        // The window does this once for each row.
        let _ = self.on_change.set(on_change);
    }

    pub(super) fn value(&self) -> Option<SettingValue> {
        self.value.borrow().clone()
    }

    /// Takes what the settings say now.
    pub(super) fn take(&self, settings: &SettingsInView) -> Option<SettingValue> {
        let (section, key) = self.names();
        let value = settings.config.setting(section, key);
        self.is_default
            .set(value == settings.defaults.setting(section, key));
        self.value.replace(value.clone());
        value
    }

    /// Whether the settings file may say this.
    pub(super) fn allows(&self, value: &SettingValue) -> bool {
        let (section, key) = self.names();
        setting::check(section, key, value).is_ok()
    }

    /// Whether a value pauses torrents that seed, which a better one later does not undo.
    pub(super) fn ends_seeding(&self) -> bool {
        let (section, key) = self.names();
        section == "transfer" && key.starts_with("seed_until_")
    }

    /// Asks for another value; the same is no change.
    pub(super) fn change(&self, value: SettingValue) {
        if self.value.borrow().as_ref() != Some(&value) {
            let (section, key) = self.names();
            self.ask(SettingChange::set(section, key, value));
        }
    }

    /// What would bring the default back, if it is not there.
    pub(super) fn restoration(&self) -> Option<SettingChange> {
        let (section, key) = self.names();
        (!self.is_default.get()).then(|| SettingChange::restore(section, key))
    }

    /// What would bring the default back, and what would undo that.
    pub(super) fn way_back(&self) -> Option<(SettingChange, SettingChange)> {
        let (section, key) = self.names();
        let undo = SettingChange::set(section, key, self.value()?);
        Some((self.restoration()?, undo))
    }

    fn ask(&self, change: SettingChange) {
        if let Some(on_change) = self.on_change.get() {
            on_change(change);
        }
    }

    fn restore(&self) {
        if let Some(change) = self.restoration() {
            self.ask(change);
        }
    }

    /// Shows the button where it would do something. It keeps its room, so that nothing moves.
    pub(super) fn show_restore(&self, button: &gtk::Button) {
        let shown = !self.is_default.get();
        button.set_opacity(if shown { 1.0 } else { 0.0 });
        button.set_sensitive(shown);
    }
}

/// A row of the preferences.
pub(super) trait SettingOwner: IsA<adw::PreferencesRow> {
    /// What it shows.
    fn setting(&self) -> &Setting;

    /// Prepares the button that restores the default.
    fn set_up_restore(&self, button: &gtk::Button) {
        let title = self.upcast_ref::<adw::PreferencesRow>().title();
        let name = tr!("Restore the default of “{setting}”", setting = title);
        button.update_property(&[gtk::accessible::Property::Label(&name)]);
        let row = self.downgrade();
        button.connect_clicked(move |_| {
            row.upgrade().inspect(|row| row.setting().restore());
        });
    }
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (section, key) = self.names();
        write!(f, "{section}.{key}")
    }
}
