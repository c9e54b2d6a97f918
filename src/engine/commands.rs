//! What the faces ask for.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::bitfield::Bitfield;
use crate::config::Config;
use crate::engine::Engine;
use crate::engine::api::{AddTorrent, EngineCommand, EngineEvent, Priority};
use crate::engine::entry::{AfterStop, Entry, Limits, Thread, unix_now};
use crate::engine::missing::MissingFiles;
use crate::id::InfoHash;
use crate::metainfo::Metainfo;
use crate::net::greeter::GreeterCommand;
use crate::net::limiter::Limiter;
use crate::size::Count;
use crate::storage::Storage;
use crate::storage::layout::Layout;
use crate::storage::resume::ResumeRecord;
use crate::storage::state_dir::Loaded;
use crate::torrent::link::TorrentCommand;
use crate::torrent::status::Tally;
use crate::torrent::status::{Parked, TorrentStatus};
use crate::tracker::client::{AnnouncerCommand, Totals};

/// A choice of files that is not for the files that there are.
fn misfit(given: usize, files: usize) -> String {
    let (given, files) = (Count(given as u64, "file"), Count(files as u64, "file"));
    format!("the choice is for {given}, but the torrent has {files}")
}

/// KiB/s to the unit of a [`Limiter`]; 0 means none.
pub(super) fn limit_of_kib(kib: u64) -> Option<u64> {
    (kib > 0).then_some(kib.saturating_mul(1024))
}

impl Engine {
    pub(super) fn on_command(&mut self, command: EngineCommand) {
        self.queue_is_stale = true;
        match command {
            EngineCommand::Add(torrent) => self.add(*torrent),
            EngineCommand::Start(id) => self.change(id, Entry::start_again),
            EngineCommand::Pause(id) => self.change(id, |entry| {
                entry.paused = true;
                entry.rechecking = false;
            }),
            EngineCommand::Remove { info_hash, data } => self.after_stop(info_hash, AfterStop::Remove(data)),
            EngineCommand::Recheck(id) => self.after_stop(id, AfterStop::Recheck),
            EngineCommand::AddTrackers { info_hash, tiers } => drop(self.add_trackers(info_hash, &tiers)),
            EngineCommand::Trust(id) => self.after_stop(id, AfterStop::Trust),
            EngineCommand::Move { info_hash, to } => self.after_stop(info_hash, AfterStop::Move(to)),
            EngineCommand::Announce(id) => self.announcer.send(AnnouncerCommand::AnnounceNow(id)),
            EngineCommand::AddPeers { info_hash, peers } => self.peers_found(info_hash, peers),
            EngineCommand::SetPriorities {
                info_hash,
                priorities,
            } => self.set_priorities(info_hash, priorities),
            EngineCommand::SetSequential {
                info_hash,
                sequential,
            } => self.change(info_hash, |entry| {
                entry.parked.sequential = sequential;
                entry.tell(TorrentCommand::SetSequential(sequential));
            }),
            EngineCommand::SetLimits {
                info_hash,
                download_kib,
                upload_kib,
            } => self.change(info_hash, |entry| {
                entry.limits.set(download_kib, upload_kib);
            }),
            EngineCommand::SetQueuePosition { info_hash, position } => self.set_position(info_hash, position),
            EngineCommand::Watch(watched) => self.watch(watched),
            EngineCommand::Tell => self.tell_anew(),
            EngineCommand::Configure(config) => self.configure(*config),
            EngineCommand::SetTrackerNode(on) => self.set_tracker_node(on),
            EngineCommand::Shutdown => self.shut_down(),
        }
    }

    /// Changes a torrent of the list and saves what changed.
    fn change(&mut self, id: InfoHash, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.torrents.get_mut(id) {
            change(entry);
            self.save(id);
        }
    }

    fn after_stop(&mut self, id: InfoHash, what: AfterStop) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        // A torrent that is going is not moved or checked any more.
        if matches!(what, AfterStop::Remove(_)) {
            entry.after_stop.clear();
        }
        if !matches!(entry.after_stop.front(), Some(AfterStop::Remove(_))) {
            entry.after_stop.push_back(what);
        }
        entry.stop();
    }

    fn watch(&mut self, watched: Option<InfoHash>) {
        for (id, watch) in [(self.watched, false), (watched, true)] {
            if let Some(entry) = id.and_then(|id| self.torrents.get(id)) {
                entry.tell(TorrentCommand::Watch(watch));
            }
        }
        self.watched = watched;
        self.tell_anew();
    }

    fn set_position(&mut self, id: InfoHash, position: usize) {
        if self.torrents.set_position(id, position) {
            // The next step of a person who moves it along starts from the place that is shown.
            self.tell_snapshot();
        }
    }

    fn set_priorities(&mut self, id: InfoHash, priorities: Vec<Priority>) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        let files = entry.storage.layout().files().len();
        if priorities.len() != files {
            let given = priorities.len();
            let message = format!("{}; nothing was changed", misfit(given, files));
            return self.fail(Some(id), message);
        }
        entry.set_priorities(priorities);
        self.save(id);
    }

    /// Says whether there are any that the torrent lacked.
    fn add_trackers(&mut self, id: InfoHash, tiers: &[Vec<String>]) -> bool {
        let Some(entry) = self.torrents.get_mut(id) else {
            return false;
        };
        let Some(metainfo) = entry.metainfo.with_trackers(tiers) else {
            return false;
        };
        self.keeper.save_torrent(id, Arc::clone(&metainfo.raw));
        entry.metainfo = Arc::new(metainfo);
        // The announcer begins anew, with all of them.
        entry.announced = false;
        true
    }

    // Adding.

    fn add(&mut self, new: AddTorrent) {
        let id = new.metainfo.info.info_hash;
        if self.torrents.contains(id) {
            let name = &new.metainfo.info.name;
            let message = if self.add_trackers(id, &new.metainfo.tiers) {
                format!("{name} is in the list already; the trackers that it lacked were added to it")
            } else {
                format!("{name} is in the list already")
            };
            return self.fail(Some(id), message);
        }
        let files = new
            .metainfo
            .info
            .files
            .iter()
            .filter(|file| !file.padding)
            .count();
        if !new.priorities.is_empty() && new.priorities.len() != files {
            let given = new.priorities.len();
            let message = format!("{}; it was not added", misfit(given, files));
            return self.fail(Some(id), message);
        }
        let folder = new
            .folder
            .unwrap_or_else(|| self.config.folders.downloads.clone());
        let geometry = new.metainfo.info.geometry;
        let have = if new.trust_data {
            Bitfield::full(geometry.piece_count())
        } else {
            Bitfield::empty(geometry.piece_count())
        };
        let parked = Parked {
            have,
            unchecked: Vec::new(),
            priorities: new.priorities,
            sequential: new.sequential,
            tally: Tally::default(),
            downloaded: 0,
            uploaded: 0,
            known_peers: new.peers,
        };
        self.keeper.save_torrent(id, Arc::clone(&new.metainfo.raw));
        let mut entry = self.entry(new.metainfo, folder, parked);
        entry.paused = new.paused;
        if !new.trust_data && entry.storage.has_data() {
            entry.parked.unchecked = geometry.pieces().collect();
        }
        log::info!(
            "{}: added, {} in {}",
            entry.name(),
            Count(geometry.total_length(), "byte"),
            entry.folder.display()
        );
        self.enlist(entry);
        self.save(id);
        self.tell(EngineEvent::Added(id));
    }

    /// Puts a torrent of an earlier run back into the list.
    pub(super) fn restore(&mut self, metainfo: Arc<Metainfo>, loaded: Loaded) {
        let Loaded {
            record,
            candidates,
            move_under_way,
            ..
        } = loaded;
        let geometry = metainfo.info.geometry;
        let known = record.is_some();
        let record = record
            .unwrap_or_else(|| ResumeRecord::new(&self.config.folders.downloads, geometry.piece_count()));
        let parked = Parked {
            have: Bitfield::empty(geometry.piece_count()),
            unchecked: Vec::new(),
            priorities: record.priorities.clone(),
            sequential: record.sequential,
            tally: Tally::default(),
            downloaded: 0,
            uploaded: 0,
            known_peers: record.known_peers.clone(),
        };
        let mut entry = self.entry(metainfo, record.folder.clone(), parked);
        entry.paused = record.paused;
        entry
            .limits
            .set(record.download_limit_kib, record.upload_limit_kib);
        entry.downloaded_before = record.downloaded;
        entry.uploaded_before = record.uploaded;
        entry.added_at = record.added_at;
        entry.completed_at = record.completed_at;
        entry.storage.mark_created(record.created_files.iter().copied());
        entry.move_under_way = move_under_way.filter(|noted| noted.to != entry.folder);
        let was_moved = entry.finish_move();
        if known {
            // The numbers of the journal are as they were found.
            let candidates: Vec<_> = candidates
                .iter()
                .copied()
                .chain(record.unchecked.iter())
                .filter_map(|piece| geometry.check_piece(piece.0))
                .collect();
            let vouched = entry.storage.vouch(&record, &candidates);
            entry.parked.have = vouched.trusted;
            entry.parked.unchecked = vouched.recheck;
            // Of a move that could not be ended, some files are in the new folder.
            if entry.failed.is_none() {
                let folder = entry.folder.clone();
                entry.missing = MissingFiles::new(vouched.missing, folder, &entry.parked.priorities);
            }
        } else if entry.storage.has_data() {
            entry.distrust_data();
        }
        if entry.failed.is_none() && !record.have.is_empty() && !entry.storage.has_data() {
            // A disk that is not mounted, as a rule: downloading everything again would be no help.
            let folder = entry.folder.display();
            let message = format!(
                "none of its files is in {folder}; put them back (is the disk mounted?) and recheck the torrent, or \
                 start it to fetch everything again"
            );
            log::warn!("{}: {message}", entry.name());
            entry.failed = Some(message);
            entry.missing.forget();
        }
        if let Some(notice) = entry.notice() {
            log::warn!("{}: {notice}", entry.name());
        }
        let id = entry.info_hash();
        self.enlist(entry);
        if was_moved {
            self.save(id);
        }
    }

    fn entry(&self, metainfo: Arc<Metainfo>, folder: PathBuf, parked: Parked) -> Entry {
        let layout = Layout::new(&metainfo.info);
        let storage = Storage::open(
            layout,
            &folder,
            Arc::clone(&self.files),
            self.config.transfer.preallocate,
        )
        .with_move_note(self.keeper.move_note(metainfo.info.info_hash));
        let storage = match self.keeper.journal(metainfo.info.info_hash) {
            Ok(journal) => storage.with_journal(journal),
            Err(error) => {
                log::warn!(
                    "{}: pieces since the last save are lost if we are killed: {error}",
                    metainfo.info.name
                );
                storage
            }
        };
        Entry {
            storage: Arc::new(storage),
            folder,
            in_scope: (self.scope.as_ref())
                .is_none_or(|scope| scope.torrents.contains(&metainfo.info.info_hash)),
            paused: false,
            failed: None,
            missing: MissingFiles::default(),
            active: false,
            thread: Thread::None,
            after_stop: VecDeque::new(),
            move_under_way: None,
            at_disk: None,
            rechecking: false,
            parked,
            status: TorrentStatus::default(),
            wanted_length: 0,
            limits: Limits::new(&self.download, &self.upload),
            downloaded_before: 0,
            uploaded_before: 0,
            added_at: unix_now(),
            completed_at: None,
            saved_totals: (0, 0),
            announced: false,
            totals: Arc::new(Totals::default()),
            trackers: Vec::new(),
            metainfo,
        }
    }

    fn enlist(&mut self, mut entry: Entry) {
        let id = entry.info_hash();
        entry.refresh_status();
        self.torrents.push(entry);
        self.commons.greeter.send(GreeterCommand::Register(id));
        self.queue_is_stale = true;
    }

    // Settings.

    pub(super) fn configure(&mut self, config: Config) {
        let old = std::mem::replace(&mut self.config, config);
        let new = &self.config;
        self.commons.budget.resize_mib(new.memory.buffers_mib);
        self.commons.connections.set_limit(new.network.max_connections);
        self.files.set_limit(new.memory.open_files);
        self.download
            .set_rate(limit_of_kib(new.transfer.download_limit_kib));
        self.upload.set_rate(limit_of_kib(new.transfer.upload_limit_kib));
        let problem = (old.network.bind != new.network.bind).then(|| self.sockets.rebind(&new.network.bind));
        let rebound = problem.is_some() || old.network.port != new.network.port;
        if rebound {
            self.commons.greeter.send(GreeterCommand::Rebind {
                port: new.network.port,
            });
        }
        let tracker_changed = old.tracker != new.tracker || old.network.bind != new.network.bind;
        let stale: Vec<_> = old.changes_needing_restart(new);
        let settings = self.torrent_settings();
        for entry in self.torrents.iter() {
            entry.storage.set_preallocate(new.transfer.preallocate);
            entry.tell(TorrentCommand::Configure(settings.clone()));
            if problem.is_some() {
                entry.tell(TorrentCommand::Disconnect);
            }
        }
        if tracker_changed {
            self.configure_tracker_node();
        }
        if let Some(Err(error)) = problem {
            self.fail(None, error.to_string());
        }
        for key in stale {
            self.fail(
                None,
                format!("the change of {key} takes effect when DTorrent is started again"),
            );
        }
        log::info!("the settings were taken over");
        let config = Arc::new(self.config.clone());
        self.tell(EngineEvent::Configured(config));
        self.queue_is_stale = true;
        self.tell_snapshot();
    }
}

impl Limits {
    fn new(download: &Arc<Limiter>, upload: &Arc<Limiter>) -> Self {
        Self {
            download_kib: 0,
            upload_kib: 0,
            download: Limiter::child(download, None),
            upload: Limiter::child(upload, None),
        }
    }

    fn set(&mut self, download_kib: u64, upload_kib: u64) {
        self.download_kib = download_kib;
        self.upload_kib = upload_kib;
        self.download.set_rate(limit_of_kib(download_kib));
        self.upload.set_rate(limit_of_kib(upload_kib));
    }
}
