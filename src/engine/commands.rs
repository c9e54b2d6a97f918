//! What the faces ask for.

use std::sync::Arc;

use crate::config::Config;
use crate::engine::Engine;
use crate::engine::api::{EngineCommand, EngineEvent, Priority};
use crate::engine::entry::{AfterStop, Entry, limit_of_kib};
use crate::id::InfoHash;
use crate::net::greeter::GreeterCommand;
use crate::size::Count;
use crate::torrent::link::TorrentCommand;
use crate::tracker::client::AnnouncerCommand;

/// A choice of files that is not for the files that there are.
pub(super) fn misfit(given: usize, files: usize) -> String {
    let (given, files) = (Count(given as u64, "file"), Count(files as u64, "file"));
    format!("the choice is for {given}, but the torrent has {files}")
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
