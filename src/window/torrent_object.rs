//! One torrent as the list of the window sees it: a `GObject` whose properties the rows are bound to.
//! Layer 4.
//!
//! Its texts are made when a row asks for them. Of thousands of torrents only those in view cost anything.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::sync::Arc;

use dtorrent::engine::api::TorrentSummary;
use dtorrent::id::InfoHash;
use gtk::glib;
use gtk::glib::prelude::*;
use gtk::glib::subclass::prelude::*;

use super::{row_words, words};

/// What makes a text of a torrent.
type Text = fn(&TorrentSummary) -> String;

/// The texts that rows show, by the names of the properties.
const TEXTS: [(&str, Text); 11] = [
    ("name", row_words::name),
    ("icon", row_words::icon),
    ("status", row_words::status),
    ("ratio", row_words::ratio),
    ("rates", row_words::rates),
    ("swarm", row_words::swarm),
    ("brief", row_words::brief),
    ("briefer", row_words::briefer),
    ("flow", row_words::flow),
    ("problem", row_words::problem),
    ("notice", row_words::notice),
];

#[expect(unreachable_pub, reason = "the getters that the derive makes are `pub`")]
mod imp {
    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::TorrentObject)]
    pub(crate) struct TorrentObject {
        #[property(get = |this: &Self| this.text(row_words::name))]
        name: PhantomData<String>,
        /// Icon of the state.
        #[property(get = |this: &Self| this.text(row_words::icon))]
        icon: PhantomData<String>,
        /// State and progress, in words.
        #[property(get = |this: &Self| this.text(row_words::status))]
        status: PhantomData<String>,
        /// What was given for what was taken; empty if nothing was given.
        #[property(get = |this: &Self| this.text(row_words::ratio))]
        ratio: PhantomData<String>,
        /// Both rates; empty when nothing can flow.
        #[property(get = |this: &Self| this.text(row_words::rates))]
        rates: PhantomData<String>,
        /// Peers and the time that is left.
        #[property(get = |this: &Self| this.text(row_words::swarm))]
        swarm: PhantomData<String>,
        /// State and what flows, in a few letters.
        #[property(get = |this: &Self| this.text(row_words::brief))]
        brief: PhantomData<String>,
        /// The same without what the bar shows too.
        #[property(get = |this: &Self| this.text(row_words::briefer))]
        briefer: PhantomData<String>,
        /// What flows, or the state.
        #[property(get = |this: &Self| this.text(row_words::flow))]
        flow: PhantomData<String>,
        /// Why it failed or waits; empty if all is well.
        #[property(get = |this: &Self| this.text(row_words::problem))]
        problem: PhantomData<String>,
        /// What should be known though all is well; empty if there is nothing.
        #[property(get = |this: &Self| this.text(row_words::notice))]
        notice: PhantomData<String>,
        #[property(get = Self::fraction)]
        fraction: PhantomData<f64>,
        pub(super) summary: RefCell<Option<Arc<TorrentSummary>>>,
        /// In how many rows it is shown.
        pub(super) rows: Cell<u32>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for TorrentObject {
        const NAME: &'static str = "DtTorrentObject";
        type Type = super::TorrentObject;
    }

    #[glib::derived_properties]
    impl ObjectImpl for TorrentObject {}

    impl TorrentObject {
        fn text(&self, of: Text) -> String {
            self.summary.borrow().as_deref().map(of).unwrap_or_default()
        }

        fn fraction(&self) -> f64 {
            let summary = self.summary.borrow();
            summary.as_ref().map_or(0.0, |summary| summary.progress)
        }
    }
}

glib::wrapper! {
    pub(crate) struct TorrentObject(ObjectSubclass<imp::TorrentObject>);
}

impl TorrentObject {
    pub(crate) fn new(summary: &Arc<TorrentSummary>) -> Self {
        let torrent: Self = glib::Object::new();
        torrent.imp().summary.replace(Some(Arc::clone(summary)));
        torrent
    }

    /// Takes over a newer state and tells the rows of what differs, and of nothing else: a row that shows
    /// the same text again would be laid out again.
    pub(crate) fn update(&self, summary: &Arc<TorrentSummary>) {
        let imp = self.imp();
        if (imp.summary.borrow().as_ref()).is_some_and(|before| Arc::ptr_eq(before, summary)) {
            return;
        }
        let before = imp.summary.replace(Some(Arc::clone(summary)));
        let Some(before) = before.filter(|_| imp.rows.get() > 0) else {
            return;
        };
        let _batch = self.freeze_notify();
        for (property, text) in TEXTS {
            if text(&before) != text(summary) {
                self.notify(property);
            }
        }
        if before.progress != summary.progress {
            self.notify_fraction();
        }
    }

    /// A row shows it from now on.
    pub(crate) fn enter_row(&self) {
        let rows = &self.imp().rows;
        rows.set(rows.get() + 1);
    }

    /// A row shows it no longer.
    pub(crate) fn leave_row(&self) {
        let rows = &self.imp().rows;
        rows.set(rows.get().saturating_sub(1));
    }

    /// The last state that was seen.
    pub(crate) fn summary(&self) -> Arc<TorrentSummary> {
        let summary = self.imp().summary.borrow();
        summary
            .clone()
            .expect("`new` is the only way to make one, and it sets the summary")
    }

    pub(crate) fn info_hash(&self) -> InfoHash {
        self.summary().info_hash
    }

    /// Whether it stands still until a person starts it.
    pub(crate) fn stopped(&self) -> bool {
        words::is_stopped(self.summary().state)
    }
}
