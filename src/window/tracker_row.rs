//! A tracker of the chosen torrent, `ui/tracker_row.ui`. Layer 4.

use std::cell::RefCell;

use dtorrent::engine::api::TrackerDetail;
use gtk::glib;
use gtk::subclass::prelude::*;

use super::template::{set_text, template_class};
use super::words;

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/tracker_row.ui")]
    pub(crate) struct TrackerRow {
        #[template_child]
        pub(super) icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub(super) url: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) status: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) swarm: TemplateChild<gtk::Label>,
        pub(super) shown: RefCell<Option<TrackerDetail>>,
    }

    template_class!(TrackerRow is "DtTrackerRow", a gtk::ListBoxRow);

    impl ListBoxRowImpl for TrackerRow {}
}

glib::wrapper! {
    pub(crate) struct TrackerRow(ObjectSubclass<imp::TrackerRow>)
        @extends gtk::ListBoxRow, gtk::Widget,
        @implements gtk::Accessible, gtk::Actionable, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for TrackerRow {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl TrackerRow {
    /// Shows this tracker.
    pub(crate) fn update(&self, tracker: &TrackerDetail) {
        let imp = self.imp();
        if imp.shown.borrow().as_ref() == Some(tracker) {
            return;
        }
        let icon = if tracker.working {
            "emblem-ok-symbolic"
        } else {
            "dialog-warning-symbolic"
        };
        imp.icon.set_icon_name(Some(icon));
        set_text(&imp.url, &tracker.url);
        set_text(&imp.status, &status(tracker));
        set_text(&imp.swarm, &swarm(tracker));
        imp.shown.replace(Some(tracker.clone()));
    }
}

/// How the tracker stands: "working · tier 1 · next announce in 20 min".
fn status(tracker: &TrackerDetail) -> String {
    let mut status = format!("{} · tier {}", tracker.status, tracker.tier + 1);
    if let Some(next) = tracker.next_announce {
        status += &format!(" · next announce in {}", words::time(next));
    }
    status
}

/// What the tracker knows of the swarm: "3 seeds · 5 leechers · 8 peers received".
fn swarm(tracker: &TrackerDetail) -> String {
    let known =
        |number: Option<u32>| number.map_or_else(|| words::NONE.to_owned(), |number| number.to_string());
    let (seeds, leechers) = (known(tracker.seeds), known(tracker.leechers));
    format!("Seeds: {seeds} · Leechers: {leechers} · Peers: {}", tracker.peers)
}
