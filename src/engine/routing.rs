//! What the threads of the client report, and to which torrent it goes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::engine::Engine;
use crate::engine::api::EngineEvent;
use crate::engine::entry::{Thread, put_first, unix_now};
use crate::engine::start::announced_port;
use crate::id::InfoHash;
use crate::net::greeter::{Greeted, GreeterEvent};
use crate::sentence::told;
use crate::torrent::link::{TorrentCommand, TorrentReport};
use crate::tracker::client::{AnnouncerCommand, AnnouncerEvent};
use crate::wire::handshake::Direction;

impl Engine {
    // From the torrents.

    pub(super) fn on_report(&mut self, id: InfoHash, report: TorrentReport) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        let before = entry.counted();
        match report {
            TorrentReport::Status(status) => {
                let most = self.config.network.max_connections_per_torrent;
                entry
                    .totals
                    .wants_peers
                    .store(status.peers < most, Ordering::Relaxed);
                entry
                    .history
                    .record(Instant::now(), status.download_rate, status.upload_rate);
                let patience = self.config.transfer.stalled_after();
                entry.set_status(status, Instant::now(), patience);
                self.ledger.count(before, entry.counted());
                // What does not mend itself ends the thread: there is nothing to stay connected for. One that is
                // ending already says so again, though the user may have started the torrent anew meanwhile.
                if let Some(halted) = entry.status.halted.take_if(|halted| !halted.retries)
                    && matches!(entry.thread, Thread::Running(_))
                {
                    entry.failed = Some(halted.message);
                    entry.in_the_way = halted.in_the_way;
                    self.queue_is_stale = true;
                }
            }
            TorrentReport::Details(details) => {
                let details = entry.complete_details(*details, Instant::now(), &self.countries);
                self.tell(EngineEvent::Details(Arc::new(details)));
            }
            TorrentReport::Files(files) => self.tell(EngineEvent::Files {
                info_hash: id,
                files: files.into(),
            }),
            TorrentReport::Durable(parked) => {
                entry.parked.have = parked.have;
                entry.parked.known_peers = parked.known_peers;
                self.save(id);
            }
            TorrentReport::Checked => {
                entry.parked.unchecked.clear();
                entry.rechecking = false;
                self.queue_is_stale = true;
            }
            TorrentReport::Finished => self.on_finished(id),
            TorrentReport::Halted(message) => self.fail(Some(id), message),
            TorrentReport::Quiet => entry.stop(),
            TorrentReport::Crashed => {
                entry.on_crashed();
                self.ledger.count(before, entry.counted());
                self.on_ended(id);
            }
            TorrentReport::Ended(parked) => {
                entry.on_ended(parked);
                self.ledger.count(before, entry.counted());
                self.on_ended(id);
            }
        }
    }

    pub(super) fn on_finished(&mut self, id: InfoHash) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        log::info!("{}: complete", entry.name());
        // Only a download is told to the trackers, and once: not data that was there all along, and not the
        // mending of a few pieces after a check (BEP 3 §trackers).
        if entry.completed_at.is_none() && entry.downloaded() > 0 {
            self.announcer.send(AnnouncerCommand::Completed(id));
        }
        entry.completed_at.get_or_insert_with(unix_now);
        // It was let past other downloads only.
        entry.forced = false;
        entry.missing.forget();
        self.save(id);
        self.queue_is_stale = true;
        self.tell_snapshot();
        self.tell(EngineEvent::Finished(id));
    }

    // From the greeter.

    pub(super) fn on_greeter(&mut self, event: GreeterEvent) {
        match event {
            GreeterEvent::Greeted(greeted) => self.on_greeted(greeted),
            GreeterEvent::DialFailed {
                info_hash,
                addr,
                error,
            } => {
                log::debug!("{addr} could not be had: {error}");
                if let Some(entry) = self.torrents.get(info_hash) {
                    entry.tell(TorrentCommand::DialFailed {
                        addr,
                        own: error.is_own_address(),
                    });
                }
            }
            GreeterEvent::Listening(addresses) => {
                log::info!("listening on {addresses:?}");
                self.listening = addresses;
                self.network_problem = None;
                let settings = self.torrent_settings();
                self.announcer
                    .send(AnnouncerCommand::Port(announced_port(&self.listening)));
                if std::mem::take(&mut self.offline) {
                    self.look_at_all_seeds();
                    // Trackers that could not be asked meanwhile would wait for up to half an hour.
                    for id in self.torrents.order() {
                        self.announcer.send(AnnouncerCommand::AnnounceNow(*id));
                    }
                }
                for entry in self.torrents.iter() {
                    entry.tell(TorrentCommand::Configure(settings.clone()));
                }
            }
            GreeterEvent::ListenFailed { error } => {
                let was_offline = std::mem::replace(&mut self.offline, error.is_of_the_bind());
                if was_offline != self.offline {
                    // That nobody is sent anything meanwhile is no fault of the torrents.
                    self.look_at_all_seeds();
                }
                let error = error.to_string();
                let had_port = !std::mem::take(&mut self.listening).is_empty();
                // While nothing can be sent at all there is nobody to be told.
                if had_port && !self.offline {
                    self.announcer
                        .send(AnnouncerCommand::Port(announced_port(&self.listening)));
                }
                if self.network_problem.as_ref() != Some(&error) {
                    // The faces hear of it by the next snapshot, and no more when it is over.
                    log::error!("{error}");
                    self.network_problem = Some(error);
                }
            }
        }
    }

    fn on_greeted(&mut self, greeted: Greeted) {
        let id = greeted.peer.handshake.info_hash;
        let ip = greeted.peer.addr.ip();
        if self.bans.holds(ip) {
            return log::debug!("{} is turned away: it is banned", greeted.peer.addr);
        }
        let incoming = greeted.peer.direction == Direction::Incoming;
        self.inbound.on_greeted(Instant::now(), ip, incoming);
        if !self.torrents.get(id).is_some_and(|entry| entry.active) {
            return;
        }
        self.ensure_thread(id);
        if let Some(entry) = self.torrents.get(id) {
            entry.tell(TorrentCommand::Greeted(Box::new(greeted)));
        }
    }

    // From the announcer.

    pub(super) fn on_announcer(&mut self, event: AnnouncerEvent) {
        match event {
            AnnouncerEvent::Peers { info_hash, peers } => self.peers_found(info_hash, peers),
            AnnouncerEvent::Status { info_hash, trackers } => {
                if let Some(entry) = self.torrents.get_mut(info_hash) {
                    entry.trackers = trackers;
                }
            }
        }
    }

    /// Peers that a person has named. Unlike what trackers tell, those that are not asked are told of.
    pub(super) fn add_peers(&mut self, id: InfoHash, mut peers: Vec<SocketAddr>) {
        for peer in &peers {
            if self.bans.holds(peer.ip()) {
                let message = told!("{peer} is not asked, since its address is banned; lift the ban first");
                self.fail(Some(id), message);
            } else if self.listening.contains(peer) {
                self.fail(Some(id), told!("{peer} is this client itself"));
            }
        }
        peers.retain(|peer| !self.listening.contains(peer) && !self.bans.holds(peer.ip()));
        self.peers_found(id, peers.clone());
        if let Some(entry) = self.torrents.get_mut(id) {
            put_first(&mut entry.parked.known_peers, &peers);
        }
    }

    fn peers_found(&mut self, id: InfoHash, mut peers: Vec<SocketAddr>) {
        // Trackers tell us of ourselves too.
        peers.retain(|peer| !self.listening.contains(peer));
        self.bans.sift(&mut peers);
        let Some(entry) = self.torrents.get_mut(id).filter(|_| !peers.is_empty()) else {
            return;
        };
        if entry.active {
            self.ensure_thread(id);
        }
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        entry.remember_peers(&peers);
        entry.tell(TorrentCommand::PeersFound(peers));
    }
}
