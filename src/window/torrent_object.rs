//! One torrent as the list of the window sees it: a `GObject` whose properties the rows are bound to.
//! Layer 4.

use std::cell::RefCell;
use std::sync::Arc;

use dtorrent::engine::api::{TorrentState, TorrentSummary};
use dtorrent::id::InfoHash;
use dtorrent::size::Count;
use gtk::glib;
use gtk::glib::prelude::*;
use gtk::glib::subclass::prelude::*;

use super::words;

#[expect(unreachable_pub, reason = "the getters that the derive makes are `pub`")]
mod imp {
    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::TorrentObject)]
    pub(crate) struct TorrentObject {
        #[property(get)]
        pub(super) name: RefCell<String>,
        /// Icon of the state.
        #[property(get)]
        pub(super) icon: RefCell<String>,
        /// State and progress, in words.
        #[property(get)]
        pub(super) status: RefCell<String>,
        /// Both rates; empty when nothing can flow.
        #[property(get)]
        pub(super) rates: RefCell<String>,
        /// Peers and the time that is left.
        #[property(get)]
        pub(super) swarm: RefCell<String>,
        /// Why it failed or waits; empty if all is well.
        #[property(get)]
        pub(super) problem: RefCell<String>,
        /// What should be known though all is well; empty if there is nothing.
        #[property(get)]
        pub(super) notice: RefCell<String>,
        #[property(get = Self::fraction)]
        fraction: std::marker::PhantomData<f64>,
        #[property(get = Self::is_stopped)]
        stopped: std::marker::PhantomData<bool>,
        pub(super) summary: RefCell<Option<Arc<TorrentSummary>>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for TorrentObject {
        const NAME: &'static str = "DtTorrentObject";
        type Type = super::TorrentObject;
    }

    #[glib::derived_properties]
    impl ObjectImpl for TorrentObject {}

    impl TorrentObject {
        fn fraction(&self) -> f64 {
            self.summary
                .borrow()
                .as_ref()
                .map_or(0.0, |summary| summary.progress)
        }

        fn is_stopped(&self) -> bool {
            self.summary
                .borrow()
                .as_ref()
                .is_some_and(|summary| words::is_stopped(summary.state))
        }
    }
}

glib::wrapper! {
    pub(crate) struct TorrentObject(ObjectSubclass<imp::TorrentObject>);
}

impl TorrentObject {
    pub(crate) fn new(summary: &Arc<TorrentSummary>) -> Self {
        let torrent: Self = glib::Object::new();
        torrent.update(summary);
        torrent
    }

    /// Takes over a newer state and tells of the properties that differ, and of no others: a row that shows
    /// the same text again would be laid out again.
    pub(crate) fn update(&self, summary: &Arc<TorrentSummary>) {
        let imp = self.imp();
        if (imp.summary.borrow().as_ref()).is_some_and(|before| Arc::ptr_eq(before, summary)) {
            return;
        }
        let _batch = self.freeze_notify();
        let before = imp.summary.replace(Some(Arc::clone(summary)));
        self.set_text(&imp.name, "name", summary.name.clone());
        self.set_text(&imp.icon, "icon", words::state_icon(summary.state).to_owned());
        let status = format!("{} · {}", words::state(summary), words::progress(summary));
        self.set_text(&imp.status, "status", status);
        self.set_text(&imp.rates, "rates", rates(summary));
        self.set_text(&imp.swarm, "swarm", swarm(summary));
        let problem = summary.error.as_deref().map(words::sentence);
        self.set_text(&imp.problem, "problem", problem.unwrap_or_default());
        let notice = summary.notice.as_deref().map(words::sentence);
        self.set_text(&imp.notice, "notice", notice.unwrap_or_default());
        if before
            .as_ref()
            .is_none_or(|before| before.progress != summary.progress)
        {
            self.notify_fraction();
        }
        if before.as_ref().is_none_or(|before| before.state != summary.state) {
            self.notify_stopped();
        }
    }

    fn set_text(&self, cell: &RefCell<String>, property: &str, text: String) {
        if *cell.borrow() != text {
            cell.replace(text);
            self.notify(property);
        }
    }

    /// The last state that was seen.
    pub(crate) fn summary(&self) -> Arc<TorrentSummary> {
        let summary = self.imp().summary.borrow();
        summary
            .clone()
            .expect("`new` is the only way to make one, and it sets the summary")
    }

    pub(crate) fn info_hash(&self) -> InfoHash {
        let summary = self.imp().summary.borrow();
        summary.as_ref().expect("`new` sets the summary").info_hash
    }
}

fn rates(summary: &TorrentSummary) -> String {
    let (down, up) = (
        words::rate(summary.download_rate),
        words::rate(summary.upload_rate),
    );
    match summary.state {
        TorrentState::Downloading => format!("↓ {down}   ↑ {up}"),
        TorrentState::Seeding => format!("↑ {up}"),
        _ => String::new(),
    }
}

fn swarm(summary: &TorrentSummary) -> String {
    let peers = Count(summary.peers as u64, "peer").to_string();
    match summary.state {
        TorrentState::Downloading => format!("{peers} · {}", words::time_left(summary.eta)),
        TorrentState::Seeding => peers,
        _ => String::new(),
    }
}
