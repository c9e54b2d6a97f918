//! What stands below the list, and the bar above it: the client as a whole. Layer 4.

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineSnapshot, TrackerNodeStatus};
use dtorrent::size::Count;
use gtk::gio;

use super::main_window::MainWindow;
use super::template::set_text;
use super::{tracker_words, words};

impl MainWindow {
    pub(super) fn show_totals(&self, snapshot: &EngineSnapshot) {
        let imp = self.imp();
        let (down, up) = (
            words::limited_rate(snapshot.download_rate, snapshot.download_limit_kib),
            words::limited_rate(snapshot.upload_rate, snapshot.upload_limit_kib),
        );
        let mut counts = vec![
            Count(snapshot.torrents.len() as u64, "torrent").to_string(),
            Count(snapshot.connections as u64, "connection").to_string(),
        ];
        if let Some(address) = snapshot.listening.first() {
            counts.push(format!("port {}", address.port()));
        }
        let counts = counts.join(" · ");
        imp.totals.set_label(&format!("↓ {down}  ↑ {up}\n{counts}"));
        let tracker = snapshot.tracker.as_ref();
        let problems = [
            snapshot.network_problem.as_deref(),
            tracker.and_then(|tracker| tracker.problem.as_deref()),
        ];
        let problems: Vec<String> = problems.into_iter().flatten().map(words::sentence).collect();
        set_text(&imp.network_problem, &problems.join("\n"));
        imp.network_bar.set_revealed(!problems.is_empty());
    }

    /// Shows whether this computer is a tracker, and for whom.
    pub(super) fn show_tracker(&self, tracker: Option<&TrackerNodeStatus>) {
        let imp = self.imp();
        set_text(
            &imp.tracker_state,
            &tracker.map(tracker_words::summary).unwrap_or_default(),
        );
        let advice = tracker.filter(|tracker| tracker.is_reachable());
        let advice = advice.map(|tracker| tracker_words::explanation(Some(tracker)));
        if imp.tracker_state.tooltip_text().map(String::from) != advice {
            imp.tracker_state.set_tooltip_text(advice.as_deref());
        }
        imp.tracker_state.set_visible(tracker.is_some());
        if let Some(action) = self.lookup_action("tracker").and_downcast::<gio::SimpleAction>() {
            action.set_state(&tracker.is_some().to_variant());
        }
        if imp.tracker.borrow().as_ref() == tracker {
            return;
        }
        imp.tracker.replace(tracker.cloned());
        if let Some(dialog) = imp.create_dialog.upgrade() {
            dialog.show_tracker(tracker.cloned());
        }
    }
}
