//! Which torrents run: the queue, threads that start and end, and what happens after an end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use crate::bitfield::Bitfield;
use crate::engine::api::{EngineEvent, RemoveData};
use crate::engine::entry::{AfterStop, AtDisk, Entry, Errand, Thread};
use crate::engine::{Engine, TICK};
use crate::id::InfoHash;
use crate::net::greeter::GreeterCommand;
use crate::storage::StorageError;
use crate::storage::disk::DiskJob;
use crate::storage::resume::ResumeRecord;
use crate::storage::task::{DiskResult, DiskTask};
use crate::torrent::downloader::Downloader;
use crate::torrent::link::{Setup, TorrentCommand};
use crate::torrent::selection::wanted_files;
use crate::torrent::state::Settings;
use crate::tracker::client::AnnouncerCommand;

/// The longest time between two looks at what should run while there is cause for one.
const LONGEST_REST: Duration = Duration::from_millis(50);

impl Engine {
    pub(super) fn torrent_settings(&self) -> Settings {
        let configured = self.config.network.port;
        let listening = self.listening.first().map_or(0, |addr| addr.port());
        Settings {
            active_peers: self.config.transfer.active_peers,
            upload_slots: self.config.transfer.upload_slots,
            max_connections: self.config.network.max_connections_per_torrent,
            listen_port: if configured == 0 { listening } else { configured },
            fetch: self.scope.as_ref().is_none_or(|scope| scope.fetch),
        }
    }

    /// Starts what should run and stops what should not, unless that was done a moment ago. Gives how long to wait for
    /// the next look at most.
    ///
    /// It goes through all torrents. For each one of thousands that are added that would be most of the work, so a
    /// tenth of the time may go into it.
    pub(super) fn schedule_if_due(&mut self, now: Instant) -> Duration {
        if self.stopping.is_some() {
            return TICK;
        }
        if self.queue_is_stale && now >= self.schedule_from {
            // Before: what it changes itself may have consequences that it comes to next time.
            self.queue_is_stale = false;
            self.schedule();
            let done = Instant::now();
            self.schedule_from = done + (9 * (done - now)).min(LONGEST_REST);
        }
        if self.queue_is_stale {
            self.schedule_from.saturating_duration_since(now)
        } else {
            TICK
        }
    }

    fn schedule(&mut self) {
        self.scheduled_as_of = self.torrents.changes();
        let most = self.config.transfer.max_active_downloads;
        let mut downloads = 0;
        for id in self.torrents.order().to_vec() {
            let Some(entry) = self.torrents.get(id) else {
                continue;
            };
            let counts = entry.is_download();
            let active = entry.wants_to_run() && (!counts || most == 0 || downloads < most);
            // A torrent that cannot go on does not keep the next one waiting.
            downloads += usize::from(active && counts && entry.status.halted.is_none());
            if entry.active == active && entry.is_settled() {
                continue;
            }
            if let Some(entry) = self.torrents.get_mut(id) {
                entry.active = active;
            }
            if active {
                self.run_torrent(id);
            } else {
                self.halt_torrent(id);
            }
        }
    }

    fn run_torrent(&mut self, id: InfoHash) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        if entry.lacks_empty_files() {
            let wanted = wanted_files(entry.storage.layout(), &entry.parked.priorities);
            return self.send_to_disk(id, Errand::EmptyFiles, DiskTask::Prepare { wanted });
        }
        // A check comes before anything that others are told.
        if !entry.announced && !entry.is_checking() {
            entry.announced = true;
            entry.totals.left.store(entry.status.left, Ordering::Relaxed);
            entry.totals.wants_peers.store(true, Ordering::Relaxed);
            self.announcer.send(AnnouncerCommand::Start {
                info_hash: id,
                name: entry.name().to_owned(),
                tiers: entry.metainfo.tiers.clone(),
                totals: Arc::clone(&entry.totals),
            });
        }
        if entry.has_work() {
            self.ensure_thread(id);
        }
    }

    fn halt_torrent(&mut self, id: InfoHash) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        entry.stop();
        if std::mem::take(&mut entry.announced) {
            self.announcer.send(AnnouncerCommand::Stop(id));
        }
        if !entry.after_stop.is_empty() {
            self.go_on_after_stop(id);
        }
    }

    /// Gives the torrent a thread if it has none.
    pub(super) fn ensure_thread(&mut self, id: InfoHash) {
        let settings = self.torrent_settings();
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        // At the end a thread that begins would never be told to stop.
        if !matches!(entry.thread, Thread::None) || self.stopping.is_some() {
            return;
        }
        let setup = Setup {
            commons: Arc::clone(&self.commons),
            metainfo: Arc::clone(&entry.metainfo),
            storage: Arc::clone(&entry.storage),
            parked: entry.parked.clone(),
            settings,
            download: Arc::clone(&entry.limits.download),
            upload: Arc::clone(&entry.limits.upload),
            totals: Arc::clone(&entry.totals),
            reports: self.reports.clone(),
        };
        match Downloader::spawn(setup) {
            Ok(handle) => {
                if self.watched == Some(id) {
                    handle.send(TorrentCommand::Watch(true));
                }
                entry.thread = Thread::Running(handle);
                if entry.has_work() {
                    // The seal of the last stop is broken from here on.
                    self.save(id);
                }
            }
            Err(error) => {
                let message = format!("the system allows no more threads ({error}); pause some torrents");
                entry.failed = Some(message.clone());
                self.fail(Some(id), message);
            }
        }
    }

    /// A torrent's thread has ended.
    pub(super) fn on_ended(&mut self, id: InfoHash) {
        self.queue_is_stale = true;
        self.save(id);
        self.go_on_after_stop(id);
    }

    /// Does what was put off until the torrent had no thread and nothing else was done to its files.
    fn go_on_after_stop(&mut self, id: InfoHash) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        if entry.at_disk.is_some() || !matches!(entry.thread, Thread::None) {
            return;
        }
        match entry.after_stop.pop_front() {
            None => {}
            Some(AfterStop::Recheck) => {
                entry.recheck();
                self.queue_is_stale = true;
                self.save(id);
                self.go_on_after_stop(id);
            }
            Some(AfterStop::Trust) => {
                entry.trust();
                self.queue_is_stale = true;
                self.save(id);
                self.go_on_after_stop(id);
            }
            Some(AfterStop::Remove(RemoveData::Keep)) => self.delist(id),
            Some(AfterStop::Remove(data)) => {
                let verified = entry.parked.have.clone();
                let trash = data == RemoveData::Trash;
                self.send_to_disk(id, Errand::Remove, DiskTask::Remove { verified, trash });
            }
            Some(AfterStop::Move(to)) => {
                entry.finish_move();
                if entry.move_under_way.is_none() {
                    self.send_to_disk(id, Errand::Move, DiskTask::Move { to });
                }
            }
        }
    }

    fn send_to_disk(&mut self, id: InfoHash, errand: Errand, task: DiskTask) {
        if let Some(entry) = self.torrents.get_mut(id) {
            let (reply, answer) = bounded(1);
            let storage = Arc::clone(&entry.storage);
            self.commons.disk.submit(DiskJob { storage, task, reply });
            entry.at_disk = Some(AtDisk { errand, answer });
            self.errands.push(id);
        }
    }

    /// Looks for answers of the disk threads to what the engine itself asked them.
    pub(super) fn poll_disk(&mut self) {
        let answer = |entry: &Entry| {
            let at_disk = entry.at_disk.as_ref()?;
            Some((at_disk.errand, at_disk.answer.try_recv().ok()?))
        };
        for id in std::mem::take(&mut self.errands) {
            // How far it is shows in its row.
            let Some(entry) = self.torrents.get_mut(id) else {
                continue;
            };
            match answer(entry) {
                Some((errand, result)) => self.on_disk(id, errand, result),
                None => self.errands.push(id),
            }
        }
    }

    fn on_disk(&mut self, id: InfoHash, errand: Errand, result: DiskResult) {
        self.queue_is_stale = true;
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        entry.at_disk = None;
        match result {
            DiskResult::Removed => return self.delist(id),
            DiskResult::Moved => {
                entry.folder = entry.storage.root();
                log::info!("{}: moved to {}", entry.name(), entry.folder.display());
                self.save(id);
            }
            DiskResult::Prepared => self.on_finished(id),
            DiskResult::Failed { error, .. } => self.errand_failed(id, errand, &error),
            _ => {}
        }
        self.go_on_after_stop(id);
    }

    fn errand_failed(&mut self, id: InfoHash, errand: Errand, error: &StorageError) {
        let message = error.to_string();
        if let Some(entry) = self.torrents.get_mut(id) {
            match errand {
                // Nothing has moved: it goes on where it was.
                Errand::Move => {}
                // Some files may be gone. To fetch them again is not what the user wants.
                Errand::Remove => {
                    entry.paused = true;
                    entry.distrust_data();
                }
                Errand::EmptyFiles => entry.failed = Some(message.clone()),
            }
        }
        self.save(id);
        self.fail(Some(id), message);
    }

    fn delist(&mut self, id: InfoHash) {
        self.torrents.remove(id);
        self.commons.greeter.send(GreeterCommand::Unregister(id));
        self.announcer.send(AnnouncerCommand::Stop(id));
        self.keeper.forget(id);
        if self.watched == Some(id) {
            self.watched = None;
        }
        self.tell(EngineEvent::Removed(id));
        self.tell_snapshot();
    }

    /// Writes a torrent's resume record.
    pub(super) fn save(&mut self, id: InfoHash) {
        if let Some(entry) = self.torrents.get_mut(id) {
            entry.saved_totals = (entry.downloaded(), entry.uploaded());
            self.keeper.save_resume(id, record(entry));
        }
    }

    /// Saves the order of the queue if it has changed. A torrent that is on disk but not in the saved order is at its
    /// end at the next start.
    pub(super) fn save_order(&mut self) {
        if let Some(order) = self.torrents.take_new_order() {
            self.keeper.save_order(order);
        }
    }

    /// Saves the torrents whose totals have changed: one that only seeds has nothing else to save for days.
    pub(super) fn save_totals(&mut self) {
        let changed: Vec<_> = self
            .torrents
            .iter()
            .filter(|entry| entry.saved_totals != (entry.downloaded(), entry.uploaded()))
            .map(Entry::info_hash)
            .collect();
        changed.into_iter().for_each(|id| self.save(id));
    }
}

fn record(entry: &Entry) -> ResumeRecord {
    let mut unchecked = Bitfield::empty(entry.parked.have.len());
    for piece in &entry.parked.unchecked {
        unchecked.insert(*piece);
    }
    ResumeRecord {
        have: entry.parked.have.clone(),
        unchecked,
        priorities: entry.parked.priorities.clone(),
        sequential: entry.parked.sequential,
        paused: entry.paused,
        folder: entry.folder.clone(),
        downloaded: entry.downloaded(),
        uploaded: entry.uploaded(),
        download_limit_kib: entry.limits.download_kib,
        upload_limit_kib: entry.limits.upload_kib,
        added_at: entry.added_at,
        completed_at: entry.completed_at,
        known_peers: entry.parked.known_peers.clone(),
        created_files: entry.storage.created_files(),
        // Only what no thread writes can be sealed.
        sealed: matches!(entry.thread, Thread::None).then(|| entry.storage.stamps()),
    }
}
