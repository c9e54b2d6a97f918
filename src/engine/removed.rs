//! Torrents that were taken off the list a moment ago, and how they come back.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use crate::engine::Engine;
use crate::engine::api::EngineEvent;
use crate::id::InfoHash;
use crate::metainfo::Metainfo;
use crate::sentence::told;
use crate::storage::Storage;
use crate::storage::disk::DiskJob;
use crate::storage::move_note::Noted;
use crate::storage::resume::ResumeRecord;
use crate::storage::state_dir::Loaded;
use crate::storage::task::{DiskResult, DiskTask};

/// For so long a removal can be taken back.
const REMEMBERED: Duration = Duration::from_secs(300);

/// One of them.
#[derive(Debug)]
struct Removed {
    metainfo: Arc<Metainfo>,
    storage: Arc<Storage>,
    record: ResumeRecord,
    move_under_way: Option<Noted>,
    /// Its place in the queue at that moment.
    position: usize,
    /// What of it is in the trash.
    trashed: Vec<PathBuf>,
    at: Instant,
}

impl Removed {
    fn id(&self) -> InfoHash {
        self.metainfo.info.info_hash
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct RemovedTorrents {
    /// The latest last.
    known: VecDeque<Removed>,
    /// Those that come back together, when their files have come back from the trash.
    restoring: VecDeque<(Vec<Removed>, Receiver<DiskResult>)>,
}

impl RemovedTorrents {
    /// Whether files are on their way back.
    pub(super) fn is_restoring(&self) -> bool {
        !self.restoring.is_empty()
    }

    /// Forgets those of long ago; says which.
    fn forget(&mut self, now: Instant) -> Vec<InfoHash> {
        let is_old = |removed: &Removed| now.saturating_duration_since(removed.at) > REMEMBERED;
        let mut forgotten = Vec::new();
        while let Some(id) = self
            .known
            .front()
            .filter(|removed| is_old(removed))
            .map(Removed::id)
        {
            self.known.pop_front();
            forgotten.push(id);
        }
        forgotten
    }

    /// Whether this one can be put back, or is on its way.
    fn knows(&self, id: InfoHash) -> bool {
        let restoring = self.restoring.iter().flat_map(|(back, _)| back);
        self.known
            .iter()
            .chain(restoring)
            .any(|removed| removed.id() == id)
    }

    fn take(&mut self, id: InfoHash) -> Option<Removed> {
        let at = self.known.iter().rposition(|removed| removed.id() == id)?;
        self.known.remove(at)
    }
}

impl Engine {
    /// Keeps what is needed to put a torrent back that is about to leave the list.
    pub(super) fn remember_removed(&mut self, id: InfoHash, record: ResumeRecord, trashed: Vec<PathBuf>) {
        let order = self.torrents.order();
        let position = order.iter().position(|other| *other == id);
        let Some((entry, position)) = self.torrents.get(id).zip(position) else {
            return;
        };
        let removed = Removed {
            metainfo: Arc::clone(&entry.metainfo),
            storage: Arc::clone(&entry.storage),
            record,
            move_under_way: entry.move_under_way.clone(),
            position,
            trashed,
            at: Instant::now(),
        };
        // It may have come and gone before.
        drop(self.removed.take(id));
        self.removed.known.push_back(removed);
    }

    /// Puts torrents back that were removed.
    pub(super) fn restore_removed(&mut self, ids: &[InfoHash]) {
        for id in ids {
            if !self.removed.knows(*id) && !self.torrents.contains(*id) {
                let message = told!(
                    "a torrent can be put back for {minutes} minutes after it was removed, and that is longer ago: \
                     open its torrent file again; files that went to the trash can be restored there",
                    minutes = REMEMBERED.as_secs() / 60
                );
                self.fail(Some(*id), message);
            }
        }
        let order = self.removed.known.iter().rev().map(Removed::id);
        // The last one first: each place is as it was when that torrent was removed.
        let wanted: Vec<_> = order.filter(|id| ids.contains(id)).collect();
        let back: Vec<_> = wanted.iter().filter_map(|id| self.removed.take(*id)).collect();
        let trashed: Vec<_> = back.iter().map(|removed| removed.trashed.clone()).collect();
        let Some(first) = back.first() else { return };
        let (reply, answer) = bounded(1);
        if trashed.iter().any(|trashed| !trashed.is_empty()) {
            self.commons.disk.submit(DiskJob {
                storage: Arc::clone(&first.storage),
                task: DiskTask::Restore { trashed },
                reply,
            });
        } else {
            drop(reply);
        }
        self.removed.restoring.push_back((back, answer));
        self.poll_removed(Instant::now());
    }

    /// Lets torrents back in whose files are there, and forgets those that nobody wanted back.
    pub(super) fn poll_removed(&mut self, now: Instant) {
        for id in self.removed.forget(now) {
            self.tell(EngineEvent::Forgotten(id));
        }
        while let Some((_, answer)) = self.removed.restoring.front() {
            let outcomes = match answer.try_recv() {
                Err(TryRecvError::Empty) => break,
                Ok(DiskResult::Restored { outcomes }) => outcomes,
                // Nobody was asked: their files were to stay where they are.
                Ok(_) | Err(TryRecvError::Disconnected) => Vec::new(),
            };
            let Some((back, _)) = self.removed.restoring.pop_front() else {
                break;
            };
            let failures = outcomes
                .into_iter()
                .map(Result::err)
                .chain(std::iter::repeat(None));
            for (removed, failure) in back.into_iter().zip(failures) {
                self.readmit(removed, failure.map(|error| error.to_string()));
            }
            self.tell_snapshot();
        }
    }

    /// `failure`: why its files are not where they were.
    fn readmit(&mut self, removed: Removed, failure: Option<String>) {
        let id = removed.id();
        if self.torrents.contains(id) {
            let name = &removed.metainfo.info.name;
            return self.fail(Some(id), told!("{name} is in the list already"));
        }
        if let Some(problem) = self.shared_file(&removed.metainfo, &removed.record.folder, false) {
            let name = &removed.metainfo.info.name;
            return self.fail(Some(id), told!("{name} was not put back: {problem}"));
        }
        self.keeper.save_torrent(id, Arc::clone(&removed.metainfo.raw));
        let loaded = Loaded {
            info_hash: id,
            metainfo_bytes: Vec::new(),
            record: Some(removed.record),
            candidates: Vec::new(),
            move_under_way: removed.move_under_way,
            problem: None,
        };
        self.restore(removed.metainfo, loaded);
        self.torrents.set_position(id, removed.position);
        if let Some(message) = failure {
            if let Some(entry) = self.torrents.get_mut(id) {
                entry.failed = Some(message.clone());
            }
            self.fail(Some(id), message);
        }
        self.save(id);
        if let Some(entry) = self.torrents.get(id) {
            log::info!("{}: put back on the list", entry.name());
        }
        self.tell(EngineEvent::Added(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metainfo::{Builder, Content};
    use crate::storage::fixture::Torrent;

    fn removed(name: &str, at: Instant) -> Removed {
        let torrent = Torrent::new(&[("a", 10)], 10);
        let builder = Builder::new(name.to_owned(), Content::File(10), 16384, vec![[7; 20]]);
        Removed {
            metainfo: Arc::new(builder.build().unwrap()),
            storage: torrent.storage(std::path::Path::new("nowhere")),
            record: ResumeRecord::new(std::path::Path::new("nowhere"), 1),
            move_under_way: None,
            position: 0,
            trashed: Vec::new(),
            at,
        }
    }

    #[test]
    fn who_is_forgotten_is_named_once() {
        let start = Instant::now();
        let (old, new) = (removed("old", start), removed("new", start + REMEMBERED));
        let (old_id, new_id) = (old.id(), new.id());
        let mut all = RemovedTorrents {
            known: [old, new].into(),
            ..RemovedTorrents::default()
        };
        assert_eq!(all.forget(start + REMEMBERED), []);
        let later = start + REMEMBERED + Duration::from_secs(1);
        assert_eq!(all.forget(later), [old_id]);
        assert_eq!(all.forget(later), []);
        assert!(!all.knows(old_id) && all.knows(new_id));
        let back = all.take(new_id).unwrap();
        all.restoring.push_back((vec![back], crossbeam_channel::never()));
        assert!(all.knows(new_id), "it is on its way");
    }
}
