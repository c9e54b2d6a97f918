//! The torrents of the client in the order of the queue, and the rows that faces see of them. Layer 3.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::api::TorrentSummary;
use crate::engine::entry::Entry;
use crate::id::InfoHash;

/// The list.
///
/// Thousands of torrents that are quiet cost nothing when faces are told how everything stands: whoever changes an entry
/// gets it from [`Self::get_mut`], which remembers that its row is to be made anew.
#[derive(Debug, Default)]
pub(super) struct Torrents {
    entries: BTreeMap<InfoHash, Entry>,
    /// The queue.
    order: Vec<InfoHash>,
    /// Those that may have changed since their rows were made.
    touched: BTreeSet<InfoHash>,
    made: BTreeMap<InfoHash, Arc<TorrentSummary>>,
    /// `made` in the order of the queue.
    rows: Arc<[Arc<TorrentSummary>]>,
    order_changed: bool,
    order_unsaved: bool,
    changes: u64,
}

impl Torrents {
    pub(super) fn get(&self, id: InfoHash) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: InfoHash) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&id)?;
        self.touched.insert(id);
        self.changes += 1;
        Some(entry)
    }

    pub(super) fn contains(&self, id: InfoHash) -> bool {
        self.entries.contains_key(&id)
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The queue.
    pub(super) fn order(&self) -> &[InfoHash] {
        &self.order
    }

    /// Adds a torrent at the end of the queue.
    pub(super) fn push(&mut self, entry: Entry) {
        let id = entry.info_hash();
        self.order.push(id);
        self.entries.insert(id, entry);
        self.touched.insert(id);
        self.order_is_new();
        self.changes += 1;
    }

    pub(super) fn remove(&mut self, id: InfoHash) {
        self.entries.remove(&id);
        self.made.remove(&id);
        self.order.retain(|other| *other != id);
        self.order_is_new();
        self.changes += 1;
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Moves a torrent to this place in the queue, or to its end. Says whether there is such a torrent.
    pub(super) fn set_position(&mut self, id: InfoHash, position: usize) -> bool {
        let Some(at) = self.order.iter().position(|other| *other == id) else {
            return false;
        };
        self.order.remove(at);
        self.order.insert(position.min(self.order.len()), id);
        self.order_is_new();
        true
    }

    fn order_is_new(&mut self) {
        self.order_changed = true;
        self.order_unsaved = true;
    }

    pub(super) fn order_is_saved(&mut self) {
        self.order_unsaved = false;
    }

    /// The queue, if it has changed since this was last asked.
    pub(super) fn take_new_order(&mut self) -> Option<Vec<InfoHash>> {
        std::mem::take(&mut self.order_unsaved).then(|| self.order.clone())
    }

    /// Grows whenever an entry may have changed, come or gone.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The rows in the order of the queue. Those that have not changed are the same as before, and if none has, so is
    /// the whole.
    pub(super) fn rows(&mut self) -> Arc<[Arc<TorrentSummary>]> {
        let mut changed = std::mem::take(&mut self.order_changed);
        for id in std::mem::take(&mut self.touched) {
            let Some(entry) = self.entries.get(&id) else {
                continue;
            };
            let row = entry.summary();
            if self.made.get(&id).is_none_or(|before| **before != row) {
                self.made.insert(id, Arc::new(row));
                changed = true;
            }
        }
        if changed {
            self.rows = self
                .order
                .iter()
                .filter_map(|id| self.made.get(id).cloned())
                .collect();
        }
        Arc::clone(&self.rows)
    }
}
