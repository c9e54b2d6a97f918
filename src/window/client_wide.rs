//! What the window does for the client as a whole: its preferences, the alternative limits, the statistics. Layer 4.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::config::{Config, TransferConfig};
use dtorrent::engine::api::{EngineCommand, EngineSnapshot, Statistics};
use gtk::{gio, glib};

use super::limits_words;
use super::main_window::MainWindow;
use super::preferences::{PreferencesWindow, SettingsInView};
use super::totals_window::TotalsWindow;

/// What it needs for that.
#[derive(Debug, Default)]
pub(crate) struct ClientWide {
    settings: RefCell<Option<SettingsInView>>,
    preferences: glib::WeakRef<PreferencesWindow>,
    statistics: Cell<Statistics>,
    totals: glib::WeakRef<TotalsWindow>,
}

impl MainWindow {
    pub(super) fn add_client_actions(&self) {
        self.add_plain_action("preferences", |window| window.show_preferences(None));
        let place = gio::SimpleAction::new("preferences-at", Some(glib::VariantTy::STRING));
        let window = self.downgrade();
        place.connect_activate(move |_, place| {
            let place = place.and_then(glib::Variant::str);
            window.upgrade().inspect(|window| window.show_preferences(place));
        });
        self.add_action(&place);
        let button = &self.imp().network_settings;
        button.set_action_target(Some(&"network".to_variant()));
        button.set_action_name(Some("win.preferences-at"));
        self.add_plain_action("statistics", |window| window.show_totals_window());
        let action = gio::SimpleAction::new_stateful("alternative-limits", None, &false.to_variant());
        let window = self.downgrade();
        // Its state follows what the engine says.
        action.connect_activate(move |action, _| {
            let on = !action.state().and_then(|state| state.get()).unwrap_or(false);
            if let Some(window) = window.upgrade() {
                window.send(EngineCommand::SetAlternativeLimits(on));
            }
        });
        self.add_action(&action);
    }

    /// What the preferences show from the start.
    pub(crate) fn begin_settings(&self, settings: SettingsInView) {
        self.imp().client_wide.settings.replace(Some(settings));
    }

    /// Where the engine keeps its state in this run.
    pub(super) fn state_folder(&self) -> Option<PathBuf> {
        let settings = self.imp().client_wide.settings.borrow();
        let settings = settings.as_ref()?;
        Some(settings.started_with.folders.state.clone())
    }

    /// What holds for the transfers of all torrents now.
    pub(super) fn transfer_settings(&self) -> TransferConfig {
        let settings = self.imp().client_wide.settings.borrow();
        let settings = settings.as_ref().map(|settings| settings.config.transfer.clone());
        settings.unwrap_or_default()
    }

    /// These settings hold now.
    pub(crate) fn show_settings(&self, config: Arc<Config>) {
        let client_wide = &self.imp().client_wide;
        if let Some(settings) = &mut *client_wide.settings.borrow_mut() {
            settings.config = config;
            if let Some(preferences) = client_wide.preferences.upgrade() {
                preferences.show_settings(settings);
            }
        }
    }

    /// At a page by its name, or at a setting, `section.key`; none: at the page that is shown, or the first.
    fn show_preferences(&self, place: Option<&str>) {
        let client_wide = &self.imp().client_wide;
        if let Some(open) = client_wide.preferences.upgrade().filter(WidgetExt::is_visible) {
            place.inspect(|place| open.go_to(place));
            return open.present();
        }
        let settings = client_wide.settings.borrow();
        let (Some(settings), Some(link)) = (&*settings, self.imp().link.get()) else {
            return;
        };
        let window = PreferencesWindow::new(self, link.clone(), settings);
        client_wide.preferences.set(Some(&window));
        place.inspect(|place| window.go_to(place));
        window.present();
    }

    fn show_totals_window(&self) {
        let client_wide = &self.imp().client_wide;
        if let Some(open) = client_wide.totals.upgrade().filter(WidgetExt::is_visible) {
            return open.present();
        }
        let window = TotalsWindow::new(self);
        window.show_statistics(&client_wide.statistics.get());
        client_wide.totals.set(Some(&window));
        // While nothing moves, the last snapshot may be old.
        self.send(EngineCommand::Tell);
        window.present();
    }

    pub(super) fn show_client_wide(&self, snapshot: &EngineSnapshot) {
        let imp = self.imp();
        imp.client_wide.statistics.set(snapshot.statistics);
        if let Some(totals) = imp.client_wide.totals.upgrade() {
            totals.show_statistics(&snapshot.statistics);
        }
        let limits = snapshot.alternative_limits;
        let action = self.lookup_action("alternative-limits");
        if let Some(action) = action.and_downcast::<gio::SimpleAction>() {
            action.set_state(&limits.in_force.to_variant());
        }
        let words = limits_words::explanation(limits);
        let button = &imp.alternative_limits;
        if button.tooltip_text().as_deref() != Some(&*words) {
            button.update_property(&[gtk::accessible::Property::Description(&words)]);
            button.set_tooltip_text(Some(&words));
        }
    }
}
