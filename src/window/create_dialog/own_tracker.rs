//! The tracker in this computer, where a torrent that is made is to name it. Layer 4.

use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineCommand, TrackerNodeState, TrackerNodeStatus};
use gtk::glib;

use super::super::i18n::tr;
use super::super::tracker_words;
use super::CreateDialog;

/// How often it is looked whether the tracker in this computer answers, and how many times before that is given up.
const LOOK_AT_TRACKER: Duration = Duration::from_millis(100);
const LOOKS_AT_TRACKER: u32 = 200;

impl CreateDialog {
    pub(super) fn set_own_tracker(&self, is_on: bool) {
        let imp = self.imp();
        imp.is_setting_tracker.set(true);
        imp.own_tracker.set_active(is_on);
        imp.is_setting_tracker.set(false);
        self.explain_tracker();
    }

    /// A tracker that a person asks for starts at once, so that what stands in the way is seen before the torrent is made.
    pub(super) fn own_tracker_changed(&self) {
        let imp = self.imp();
        if imp.is_setting_tracker.get() {
            return;
        }
        imp.has_chosen_tracker.set(true);
        if imp.own_tracker.is_active() {
            self.start_tracker();
        } else {
            self.stop_trying_tracker();
        }
        self.explain_tracker();
        self.check();
    }

    fn start_tracker(&self) {
        let imp = self.imp();
        if imp.tracker.borrow().is_none() && !imp.tries_tracker.replace(true) {
            self.send(EngineCommand::SetTrackerNode(true));
        }
    }

    pub(super) fn stop_trying_tracker(&self) {
        if self.imp().tries_tracker.take() {
            self.send(EngineCommand::SetTrackerNode(false));
        }
    }

    /// Takes in how the tracker in this computer stands now.
    pub(crate) fn show_tracker(&self, tracker: Option<TrackerNodeStatus>) {
        self.imp().tracker.replace(tracker);
        self.explain_tracker();
    }

    pub(super) fn explain_tracker(&self) {
        let imp = self.imp();
        let is_wanted = imp.own_tracker.is_active();
        let tracker = imp.tracker.borrow();
        let words = if is_wanted && (tracker.is_some() || imp.tries_tracker.get()) {
            tracker_words::explanation(tracker.as_ref())
        } else {
            tr!("Others need only the torrent file while this computer is on")
        };
        if imp.own_tracker_row.subtitle().as_deref() != Some(&words) {
            imp.own_tracker_row.set_subtitle(&words);
        }
        if imp.names_tracker.get() {
            imp.shared
                .show_reach(Some(&tracker_words::explanation(tracker.as_ref())));
        }
    }

    /// The addresses of the tracker in this computer, if the torrent is to name it; it is started and waited for.
    pub(super) async fn own_tracker_urls(&self) -> Result<Vec<String>, String> {
        let imp = self.imp();
        if !imp.own_tracker.is_active() {
            return Ok(Vec::new());
        }
        self.start_tracker();
        for _ in 0..LOOKS_AT_TRACKER {
            let tracker = imp.tracker.borrow().clone();
            if let Some(tracker) = tracker.as_ref().filter(|tracker| tracker.is_reachable()) {
                return Ok(tracker.urls.clone());
            }
            let has_failed = tracker.is_some_and(|tracker| tracker.state == TrackerNodeState::Failed);
            if has_failed || !self.is_visible() {
                break;
            }
            glib::timeout_future(LOOK_AT_TRACKER).await;
        }
        Err(tr!(
            "This computer is not a tracker yet. {why}",
            why = tracker_words::explanation(imp.tracker.borrow().as_ref())
        ))
    }

    fn send(&self, command: EngineCommand) {
        if let Some(link) = self.imp().link.get() {
            link.send(command);
        }
    }
}
