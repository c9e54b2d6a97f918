//! What stands below the list, and the bar above it: the client as a whole. Layer 4.

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::config::Config;
use dtorrent::engine::api::{EngineSnapshot, Inbound, TrackerNodeStatus};
use gtk::gio;

use super::i18n::{tr, tr_n};
use super::main_window::MainWindow;
use super::template::set_text;
use super::{limits_words, tracker_words, words};

impl MainWindow {
    pub(super) fn show_totals(&self, snapshot: &EngineSnapshot) {
        let imp = self.imp();
        let (down, up) = (
            words::limited_rate(snapshot.download_rate, snapshot.download_limit_kib),
            words::limited_rate(snapshot.upload_rate, snapshot.upload_limit_kib),
        );
        let all = snapshot.torrents.len();
        let torrents = match imp.shown.borrow().len() {
            shown if imp.view.borrow().is_narrow() => tr_n!(
                all as u64,
                "{shown} of {n} torrent",
                "{shown} of {n} torrents",
                shown = shown
            ),
            _ => tr_n!(all as u64, "{n} torrent", "{n} torrents"),
        };
        let connections = tr_n!(snapshot.connections as u64, "{n} connection", "{n} connections");
        let mut counts = vec![torrents, connections];
        counts.extend(limits_words::short(snapshot.alternative_limits));
        // Where both do not fit on a line, it breaks between them: not at a space of theirs, nor behind "KiB/".
        let whole = |rate: String| rate.replace(' ', "\u{a0}").replace('/', "/\u{2060}");
        let [down, up] = [down, up].map(whole);
        let rates = format!("↓\u{a0}{down}  ↑\u{a0}{up}");
        set_text(&imp.totals, &format!("{rates}\n{}", counts.join(" · ")));
        set_text(&imp.connection, &connection(snapshot));
        if imp.connection.tooltip_text().map(String::from) != advice(snapshot) {
            imp.connection.set_tooltip_text(advice(snapshot).as_deref());
        }
        let tracker = snapshot.tracker.as_ref();
        let problems = [
            snapshot.network_problem.as_deref(),
            tracker.and_then(|tracker| tracker.problem.as_deref()),
        ];
        let problems: Vec<String> = problems.into_iter().flatten().map(words::told).collect();
        set_text(&imp.network_problem, &problems.join("\n"));
        imp.network_bar.set_revealed(!problems.is_empty());
        let place = match &snapshot.network_problem {
            Some(problem) => named_setting(problem).unwrap_or("network"),
            None => tracker
                .and_then(|tracker| named_setting(tracker.problem.as_deref()?))
                .unwrap_or("tracker"),
        };
        imp.network_settings.set_action_target(Some(&place.to_variant()));
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
        if let Some(ring) = imp.ring_window.upgrade() {
            ring.show_tracker(tracker);
        }
    }
}

/// The setting that a problem names as its cause or its remedy, `section.key`.
fn named_setting(problem: &str) -> Option<&str> {
    let defaults = Config::default();
    let is_in_name = |char: char| char.is_ascii_lowercase() || matches!(char, '_' | '.');
    let words = problem.split(|char| !is_in_name(char));
    // One may end a sentence.
    let mut words = words.map(|word| word.trim_end_matches('.'));
    words.find(|word| {
        let name = word.split_once('.');
        name.is_some_and(|(section, key)| defaults.setting(section, key).is_some())
    })
}

/// By which port others reach us, whether anybody has, and what everything is bound to.
fn connection(snapshot: &EngineSnapshot) -> String {
    let port = snapshot.listening.first().map(|address| address.port());
    let port = match (port, snapshot.inbound) {
        (None, _) => tr!("No port is open"),
        (Some(port), Inbound::Reached) => tr!("Port {port}: reached from outside", port = port),
        (Some(port), Inbound::Nobody) => tr!("Port {port}: not reached from outside", port = port),
        (Some(port), Inbound::Unknown) => tr!("Port {port}: not reached yet", port = port),
    };
    match snapshot.bind.as_str() {
        "" => port,
        bind => {
            let bound = tr!("bound to {address}", address = bind);
            format!("{port} · {bound}")
        }
    }
}

/// What that means.
fn advice(snapshot: &EngineSnapshot) -> Option<String> {
    snapshot.listening.first()?;
    Some(match snapshot.inbound {
        Inbound::Reached => tr!("A peer from outside has connected to this computer."),
        Inbound::Nobody | Inbound::Unknown => tr!(
            "No peer from outside has connected to this computer since the start. If that stays so while others \
             download from you, the router may have to forward this port."
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_leads_to_the_setting_that_it_names() {
        for (problem, setting) in [
            (
                "cannot listen on port 6881: Address already in use (os error 98); choose another one in network.port",
                Some("network.port"),
            ),
            (
                "network.bind is \"a b\"; it takes an IP address, the name of a network interface, or nothing",
                Some("network.bind"),
            ),
            (
                "the node 192.0.2.1:6970 in tracker.join, and there is no tracker.key: none",
                Some("tracker.join"),
            ),
            ("bring it up or change network.bind.", Some("network.bind")),
            ("cannot open a socket: Too many open files. Close some.", None),
        ] {
            assert_eq!(named_setting(problem), setting, "{problem}");
        }
    }

    #[test]
    fn only_what_was_seen_is_told_of_the_port() {
        let mut snapshot = EngineSnapshot::default();
        assert_eq!(connection(&snapshot), "No port is open");
        assert_eq!(advice(&snapshot), None);
        snapshot.listening = vec![([0, 0, 0, 0], 6881).into()];
        assert_eq!(connection(&snapshot), "Port 6881: not reached yet");
        snapshot.inbound = Inbound::Nobody;
        snapshot.bind = "wg0".into();
        assert_eq!(
            connection(&snapshot),
            "Port 6881: not reached from outside · bound to wg0"
        );
        assert!(advice(&snapshot).unwrap().starts_with("No peer from outside"));
        snapshot.inbound = Inbound::Reached;
        assert!(connection(&snapshot).starts_with("Port 6881: reached from outside"));
    }
}
