//! What the faces ask for.

use std::sync::Arc;
use std::time::Instant;

use crate::config::Config;
use crate::engine::Engine;
use crate::engine::api::{EngineCommand, EngineEvent, Priority, QueueStep};
use crate::engine::entry::{AfterStop, Entry, Errand, Thread};
use crate::id::InfoHash;
use crate::net::greeter::GreeterCommand;
use crate::sentence::told;
use crate::size::Count;
use crate::torrent::link::TorrentCommand;
use crate::tracker::client::AnnouncerCommand;
use crate::tracker::status::TrackerStatus;
use crate::tracker::url::TrackerUrl;

/// A choice of files that is not for the files that there are.
pub(super) fn misfit(given: usize, files: usize) -> String {
    let (given, files) = (Count(given as u64, "file"), Count(files as u64, "file"));
    told!("the choice is for {given}, but the torrent has {files}")
}

impl Engine {
    pub(super) fn on_command(&mut self, command: EngineCommand) {
        self.queue_is_stale = true;
        match command {
            EngineCommand::Add(torrent) => self.add(*torrent),
            EngineCommand::Start(id) => self.start_by_hand(id, Entry::start_again),
            EngineCommand::StartNow(id) => self.start_by_hand(id, |entry| {
                entry.start_again();
                entry.forced = true;
            }),
            EngineCommand::Overwrite(id) => self.start_by_hand(id, |entry| {
                entry.storage.allow_overwriting();
                entry.start_again();
                // Its thread may have asked already.
                entry.stop();
            }),
            EngineCommand::Pause(id) => self.change(id, Entry::pause),
            EngineCommand::Remove { info_hash, data } => self.after_stop(info_hash, AfterStop::Remove(data)),
            EngineCommand::Recheck(id) => self.after_stop(id, AfterStop::Recheck),
            EngineCommand::AddTrackers { info_hash, tiers } => drop(self.add_trackers(info_hash, &tiers)),
            EngineCommand::SetTrackers { info_hash, tiers } => self.set_trackers(info_hash, &tiers),
            EngineCommand::BanPeer(ip) => self.ban_peer(ip),
            EngineCommand::LiftBan(ip) => self.lift_ban(ip),
            EngineCommand::Trust(id) => self.after_stop(id, AfterStop::Trust),
            EngineCommand::Move { info_hash, to } => {
                if !self.refuses_move(info_hash, &to) {
                    self.after_stop(info_hash, AfterStop::Move(to));
                }
            }
            EngineCommand::Announce(id) => self.announcer.send(AnnouncerCommand::AnnounceNow(id)),
            EngineCommand::AddPeers { info_hash, peers } => self.add_peers(info_hash, peers),
            EngineCommand::SetPriorities { info_hash, files } => self.set_priorities(info_hash, &files),
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
            EngineCommand::SetSeedLimit { info_hash, limit } => self.set_seed_limit(info_hash, limit),
            EngineCommand::SetQueuePosition { info_hash, position } => self.set_position(info_hash, position),
            EngineCommand::MoveInQueue { info_hashes, step } => self.move_in_queue(&info_hashes, step),
            EngineCommand::Restore(ids) => self.restore_removed(&ids),
            EngineCommand::TellFiles(ids) => ids.into_iter().for_each(|id| self.tell_files(id)),
            EngineCommand::Watch(watched) => self.watch(watched),
            EngineCommand::Tell => self.tell_anew(),
            EngineCommand::Fetch(url) => self.ways_in.fetch(url),
            EngineCommand::SetAlternativeLimits(on) => self.switch_alternative_limits(on),
            EngineCommand::ChangeSettings(changes) => self.change_settings(changes),
            EngineCommand::Configure(config) => {
                let stale = self.configure(*config);
                self.tell_stale(&stale);
            }
            EngineCommand::SetTrackerNode(on) => self.set_tracker_node(on),
            EngineCommand::Shutdown => self.shut_down(),
        }
    }

    /// Lets a torrent run, whatever it has reached.
    fn start_by_hand(&mut self, id: InfoHash, how: impl FnOnce(&mut Entry)) {
        self.set_limits_aside(id);
        self.change(id, how);
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
            if entry.is_at_disk_for(Errand::Move) {
                self.commons.disk.interrupt_move(&entry.storage);
            }
        }
        if !entry.is_to_go() {
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
            self.forget_let_past();
            // The next step of a person who moves it along starts from the place that is shown.
            self.tell_snapshot();
        }
    }

    fn move_in_queue(&mut self, ids: &[InfoHash], step: QueueStep) {
        if self.torrents.move_in_queue(ids, step) {
            self.forget_let_past();
            self.tell_snapshot();
        }
    }

    /// Only the thread of a running torrent knows which pieces are there.
    fn tell_files(&mut self, id: InfoHash) {
        let Some(entry) = self.torrents.get(id) else {
            // Who asks may wait for others as well.
            let files = Arc::default();
            return self.tell(EngineEvent::Files { info_hash: id, files });
        };
        if let Thread::Running(_) = entry.thread {
            return entry.tell(TorrentCommand::TellFiles);
        }
        let files = entry.parked_details(Instant::now(), &self.countries).files.into();
        self.tell(EngineEvent::Files { info_hash: id, files });
    }

    fn set_priorities(&mut self, id: InfoHash, changes: &[(usize, Priority)]) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        let files = entry.storage.layout().files().len();
        // No list is as long as all numbers, so the next one is a number, too.
        let needed = changes.iter().map(|(file, _)| file.saturating_add(1)).max();
        if let Some(needed) = needed.filter(|&needed| needed > files) {
            let misfit = misfit(needed, files);
            let message = told!("{misfit}; nothing was changed");
            return self.fail(Some(id), message);
        }
        entry.set_priorities(changes);
        self.save(id);
    }

    /// Says whether there are any that the torrent lacked.
    pub(super) fn add_trackers(&mut self, id: InfoHash, tiers: &[Vec<String>]) -> bool {
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

    fn set_trackers(&mut self, id: InfoHash, tiers: &[Vec<String>]) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        let unusable = tiers.iter().flatten().find_map(|url| {
            let error = TrackerUrl::parse(url).err()?;
            Some(told!(
                "{url} is no tracker that can be asked: {error}; the trackers stay as they were"
            ))
        });
        if let Some(message) = unusable {
            return self.fail(Some(id), message);
        }
        let Some(metainfo) = entry.metainfo.with_tiers(tiers) else {
            let message =
                told!("the list of trackers is too long for a torrent file; they stay as they were");
            return self.fail(Some(id), message);
        };
        self.keeper.save_torrent(id, Arc::clone(&metainfo.raw));
        entry.metainfo = Arc::new(metainfo);
        let named = |tracker: &TrackerStatus| tiers.iter().flatten().any(|url| *url == tracker.url);
        entry.trackers.retain(named);
        // Those that are gone hear that we stop, and the others begin anew.
        if std::mem::take(&mut entry.announced) && !entry.active {
            self.announcer.send(AnnouncerCommand::Stop(id));
        }
    }

    // Settings.

    pub(super) fn configure_countries(&mut self) {
        let named = self.config.network.country_database.as_deref();
        if let Err(problem) = self.countries.configure(named) {
            self.fail(None, problem);
        }
    }

    /// Gives the keys that take effect at the next start only.
    pub(super) fn configure(&mut self, config: Config) -> Vec<&'static str> {
        let old = std::mem::replace(&mut self.config, config);
        let new = &self.config;
        self.commons.budget.resize_mib(new.memory.buffers_mib);
        self.commons.connections.set_limit(new.network.max_connections);
        self.files.set_limit(new.memory.open_files);
        let problem = (old.network.bind != new.network.bind).then(|| self.sockets.rebind(&new.network.bind));
        let rebound = problem.is_some() || old.network.port != new.network.port;
        if rebound {
            self.commons.greeter.send(GreeterCommand::Rebind {
                port: new.network.port,
            });
        }
        if old.transfer.max_active_downloads != new.transfer.max_active_downloads {
            self.forget_let_past();
        }
        let until = |config: &Config| {
            let transfer = &config.transfer;
            (transfer.seed_until_ratio, transfer.seed_until_idle_minutes)
        };
        if until(&old) != until(&self.config) {
            self.look_at_all_seeds();
            self.forget_ends();
        }
        let new = &self.config;
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
        self.configure_limits();
        self.configure_countries();
        if rebound {
            self.inbound.on_rebound();
        }
        if tracker_changed {
            self.configure_tracker_node();
        }
        self.configure_watch_folder();
        if let Some(Err(error)) = problem {
            self.fail(None, error.to_string());
        }
        log::info!("the settings were taken over");
        self.tell_configured();
        self.queue_is_stale = true;
        self.tell_snapshot();
        stale
    }

    /// Tells a person who may have no other way to know that a change does nothing yet.
    pub(super) fn tell_stale(&mut self, keys: &[&str]) {
        for key in keys {
            let message = told!("the change of {key} takes effect when DTorrent is started again");
            self.fail(None, message);
        }
    }

    /// Tells the faces which settings hold.
    pub(super) fn tell_configured(&mut self) {
        let config = Arc::new(self.config.clone());
        self.tell(EngineEvent::Configured(config));
    }
}
