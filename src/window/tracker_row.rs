//! A tracker of the chosen torrent, `ui/tracker_row.ui`. Layer 4.

use std::cell::RefCell;

use dtorrent::engine::api::{TrackerDetail, TrackerState};
use gtk::glib;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use super::i18n::tr;
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
        let icon = match tracker.state {
            TrackerState::Working => "emblem-ok-symbolic",
            TrackerState::Failed(_) => "dialog-warning-symbolic",
            TrackerState::Idle | TrackerState::Announcing => "content-loading-symbolic",
        };
        imp.icon.set_icon_name(Some(icon));
        set_text(&imp.url, &tracker.url);
        set_text(&imp.status, &status(tracker));
        set_text(&imp.swarm, &swarm(tracker));
        imp.swarm.set_visible(is_known(tracker));
        imp.shown.replace(Some(tracker.clone()));
    }
}

/// How the tracker stands: "Working · tier 1 · next announce in 20 min". What it complains of has a line of its own.
fn status(tracker: &TrackerDetail) -> String {
    let (state, complaint) = match (&tracker.state, &tracker.warning) {
        (TrackerState::Failed(problem), _) => (None, Some(problem)),
        (_, Some(warning)) => (None, Some(warning)),
        (TrackerState::Working, None) => (Some(tr!("Working")), None),
        (TrackerState::Announcing, None) => (Some(tr!("Asking")), None),
        (TrackerState::Idle, None) => (Some(tr!("Not asked yet")), None),
    };
    let tier = tr!("tier {number}", number = tracker.tier + 1);
    let next = tracker
        .next_announce
        .map(|next| tr!("next announce in {time}", time = words::countdown(next)));
    let parts: Vec<String> = state.into_iter().chain([tier]).chain(next).collect();
    let place = words::capital(&words::unbroken(&parts.join(" · ")));
    match complaint {
        Some(complaint) => format!("{}\n{place}", words::told(complaint)),
        None => place,
    }
}

/// Whether it has told anything of the swarm.
const fn is_known(tracker: &TrackerDetail) -> bool {
    tracker.seeds.is_some() || tracker.leechers.is_some() || tracker.peers > 0
}

/// What the tracker knows of the swarm: "Seeds: 3 · Leechers: 5 · Peers: 8".
fn swarm(tracker: &TrackerDetail) -> String {
    let known =
        |number: Option<u32>| number.map_or_else(|| words::NONE.to_owned(), |number| number.to_string());
    tr!(
        "Seeds: {seeds} · Leechers: {leechers} · Peers: {peers}",
        seeds = known(tracker.seeds),
        leechers = known(tracker.leechers),
        peers = tracker.peers
    )
}
