//! Which torrents run: the queue, threads that start and end, and what happens after an end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use crate::bitfield::Bitfield;
use crate::choker::Slots;
use crate::engine::api::{EngineEvent, RemoveData};
use crate::engine::entry::{AfterStop, AtDisk, Entry, Errand, Thread};
use crate::engine::{Engine, TICK};
use crate::id::InfoHash;
use crate::net::greeter::GreeterCommand;
use crate::sentence::told;
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
        Settings {
            active_peers: self.config.transfer.active_peers,
            upload_slots: Slots::of_setting(self.config.transfer.upload_slots),
            max_connections: self.config.network.max_connections_per_torrent,
            // Another client may have the configured one. Peers are told none then.
            listen_port: self.listening.first().map_or(0, SocketAddr::port),
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
        let most = match self.config.transfer.max_active_downloads {
            0 => usize::MAX,
            most => most,
        };
        // Downloads that take a place, and all that run: among them those that are stalled.
        let (mut places, mut running) = (0, 0);
        for id in self.torrents.order().to_vec() {
            let Some(entry) = self.torrents.get(id) else {
                continue;
            };
            let counts = entry.is_queued_download();
            let active = entry.wants_to_run() && (!counts || places < most || entry.let_past && entry.active);
            let let_past = active && counts && running >= most;
            let is_settled = entry.active == active && entry.is_settled();
            if (!is_settled || entry.let_past != let_past)
                && let Some(entry) = self.torrents.get_mut(id)
            {
                entry.active = active;
                entry.let_past = let_past;
            }
            if let Some(entry) = self.torrents.get(id) {
                places += usize::from(entry.takes_a_place());
                running += usize::from(active && counts && entry.status.halted.is_none());
            }
            if is_settled {
                continue;
            }
            if active {
                self.run_torrent(id);
            } else {
                self.halt_torrent(id);
            }
        }
    }

    /// The user has changed what the queue goes by: nobody runs any more because he did before.
    pub(super) fn forget_let_past(&mut self) {
        for id in self.torrents.order().to_vec() {
            if self.torrents.get(id).is_some_and(|entry| entry.let_past)
                && let Some(entry) = self.torrents.get_mut(id)
            {
                entry.let_past = false;
            }
        }
    }

    fn run_torrent(&mut self, id: InfoHash) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        if entry.lacks_empty_files() {
            let wanted = wanted_files(entry.storage.layout(), &entry.parked.priorities);
            let verified = entry.parked.have.clone();
            return self.send_to_disk(id, Errand::EmptyFiles, DiskTask::Prepare { wanted, verified });
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
        let mut parked = entry.parked.clone();
        self.bans.sift(&mut parked.known_peers);
        let setup = Setup {
            commons: Arc::clone(&self.commons),
            metainfo: Arc::clone(&entry.metainfo),
            storage: Arc::clone(&entry.storage),
            parked,
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
                let message = told!("the system allows no more threads ({error}); pause some torrents");
                entry.failed = Some(message.clone());
                self.fail(Some(id), message);
            }
        }
    }

    /// Begins what was asked for of torrents without a thread since the last look at the queue, which is the last one now.
    pub(super) fn do_what_was_put_off(&mut self) {
        for id in self.torrents.order().to_vec() {
            self.go_on_after_stop(id);
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
            Some(AfterStop::Remove(RemoveData::Keep)) => {
                let record = record(entry);
                self.remember_removed(id, record, Vec::new());
                self.delist(id);
            }
            Some(AfterStop::Remove(data)) => {
                let verified = entry.parked.have.clone();
                let trash = data == RemoveData::Trash;
                // While its files are still there to be looked at.
                entry.last_record = trash.then(|| Box::new(record(entry)));
                self.send_to_disk(id, Errand::Remove, DiskTask::Remove { verified, trash });
            }
            Some(AfterStop::Move(to)) => {
                entry.finish_move();
                if entry.move_under_way.is_none() {
                    entry.moving_to = Some(to.clone());
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
        entry.moving_to = None;
        match result {
            DiskResult::Removed { trashed } => {
                if let Some(record) = entry.last_record.take() {
                    self.remember_removed(id, *record, trashed);
                }
                return self.delist(id);
            }
            DiskResult::Moved => {
                entry.folder = entry.storage.root();
                log::info!("{}: moved to {}", entry.name(), entry.folder.display());
                self.save(id);
            }
            DiskResult::Prepared { .. } => self.on_finished(id),
            // Its removal has ended the move: that is no news.
            DiskResult::Failed {
                error: StorageError::Interrupted { .. },
                ..
            } if entry.is_to_go() => {}
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
                Errand::EmptyFiles => {
                    entry.failed = Some(message.clone());
                    entry.in_the_way = error.is_in_the_way();
                }
            }
        }
        self.save(id);
        if errand == Errand::Remove {
            self.tell(EngineEvent::Stays(id));
        }
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
        forced: entry.forced,
        folder: entry.folder.clone(),
        downloaded: entry.downloaded(),
        uploaded: entry.uploaded(),
        download_limit_kib: entry.limits.download_kib,
        upload_limit_kib: entry.limits.upload_kib,
        seed_limit: entry.seed_limit,
        ratio_set_aside: entry.ratio_set_aside,
        seed_end: entry.seed_end,
        added_at: entry.added_at,
        completed_at: entry.completed_at,
        known_peers: entry.parked.known_peers.clone(),
        created_files: entry.storage.created_files(),
        claimed_files: Some(entry.storage.claimed_files()),
        // Only what no thread writes can be sealed.
        sealed: matches!(entry.thread, Thread::None).then(|| entry.storage.stamps()),
    }
}
