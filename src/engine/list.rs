//! The torrents of the client in the order of the queue, and the rows that faces see of them. Layer 3.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::engine::api::{QueueStep, TorrentSummary};
use crate::engine::entry::Entry;
use crate::engine::queue;
use crate::id::InfoHash;
use crate::metainfo::Info;

/// The list.
///
/// Thousands of torrents that are quiet cost nothing when faces are told how everything stands: whoever changes an entry
/// gets it from [`Self::get_mut`], which remembers that its row is to be made anew.
#[derive(Debug, Default)]
pub(super) struct Torrents {
    entries: BTreeMap<InfoHash, Entry>,
    /// Those whose file or folder has this name.
    by_top: HashMap<String, BTreeSet<InfoHash>>,
    /// The queue.
    order: Vec<InfoHash>,
    /// Those that may have changed since their rows were made.
    touched: BTreeSet<InfoHash>,
    /// Those that may have changed, come or gone since [`Self::take_changed`] was asked.
    changed: BTreeSet<InfoHash>,
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
        self.changed.insert(id);
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

    /// Those whose file or folder has the same name as this one's.
    pub(super) fn of_same_top(&self, info: &Info) -> impl Iterator<Item = &Entry> {
        let ids = top(info).and_then(|top| self.by_top.get(top));
        ids.into_iter().flatten().filter_map(|id| self.entries.get(id))
    }

    /// The queue.
    pub(super) fn order(&self) -> &[InfoHash] {
        &self.order
    }

    /// Adds a torrent at the end of the queue.
    pub(super) fn push(&mut self, entry: Entry) {
        let id = entry.info_hash();
        self.order.push(id);
        if let Some(top) = top(&entry.metainfo.info) {
            self.by_top.entry(top.to_owned()).or_default().insert(id);
        }
        self.entries.insert(id, entry);
        self.touched.insert(id);
        self.changed.insert(id);
        self.order_is_new();
        self.changes += 1;
    }

    pub(super) fn remove(&mut self, id: InfoHash) {
        if let Some(entry) = self.entries.remove(&id)
            && let Some(top) = top(&entry.metainfo.info)
            && let Some(ids) = self.by_top.get_mut(top)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_top.remove(top);
            }
        }
        self.made.remove(&id);
        self.changed.insert(id);
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

    /// Moves several torrents in the queue. Says whether that has changed it.
    pub(super) fn move_in_queue(&mut self, ids: &[InfoHash], step: QueueStep) -> bool {
        let chosen = ids.iter().copied().collect();
        let order = queue::moved(&self.order, &chosen, step);
        let has_changed = order != self.order;
        if has_changed {
            self.order = order;
            self.order_is_new();
        }
        has_changed
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

    /// Those that may have changed, come or gone since this was last asked.
    pub(super) fn take_changed(&mut self) -> BTreeSet<InfoHash> {
        std::mem::take(&mut self.changed)
    }

    /// What holds for all of them has changed.
    pub(super) fn change_all(&mut self) {
        self.changed.extend(&self.order);
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

/// Name of the file or folder in the download folder.
fn top(info: &Info) -> Option<&str> {
    info.files.first()?.path.first().map(String::as_str)
}
