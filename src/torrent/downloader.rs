//! The Downloader: the thread of one torrent. Layer 3.
//!
//! It takes in what peers, disk threads and the engine say, lets the machine decide, and carries its actions
//! out. It never blocks: everything that it sends goes to channels that are unbounded and whose content is
//! bounded by credits or by the other side's own messages.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, at, bounded, never, select, tick, unbounded};

use crate::bitfield::Bitfield;
use crate::engine::api::TorrentDetails;
use crate::id::InfoHash;
use crate::metainfo::Metainfo;
use crate::net::greeter::{Greeted, GreeterCommand};
use crate::net::limiter::Limiter;
use crate::peer::connection::{Connection, ConnectionSetup};
use crate::peer::link::{CompletedLog, PeerBatch, PeerKey};
use crate::storage::Storage;
use crate::storage::disk::DiskJob;
use crate::storage::task::{DiskResult, DiskTask};
use crate::torrent::connections::ConnectionSlot;
use crate::torrent::link::{Commons, DownloaderHandle, Setup, TorrentCommand, TorrentReport};
use crate::torrent::report::details;
use crate::torrent::state::{Action, Start, Torrent};
use crate::tracker::client::Totals;

/// How often rates are measured, peers looked after and the engine told.
const TICK: Duration = Duration::from_millis(500);

/// How often what was written is made safe against a power cut and enters the resume record. A killed
/// program loses nothing in between (the journal of the storage sees to that), only a power cut does.
const SYNC_EVERY: Duration = Duration::from_secs(30);

/// Batches of peers that may wait. Readers wait in turn when it is full, and the Downloader waits for
/// nobody, so the number only sets how many wake-ups are saved.
const BATCHES: usize = 256;

/// Pieces are told to all peers at most this often for each of them: every `have` wakes a thread, and with a thousand
/// peers they would take more of a core than the data does. With twenty peers it is some milliseconds.
const HAVES_PAUSE_PER_PEER: Duration = Duration::from_micros(200);

/// Events that are taken in before the machine's actions are carried out.
const EVENTS_A_TURN: usize = 64;

/// The thread of one torrent.
#[derive(Debug)]
pub struct Downloader {
    commons: Arc<Commons>,
    metainfo: Arc<Metainfo>,
    storage: Arc<Storage>,
    torrent: Torrent,
    connections: HashMap<PeerKey, Connected>,
    /// Connections that were told to close and whose threads are ending.
    leaving: Vec<Connection>,
    completed: Arc<CompletedLog>,
    download: Arc<Limiter>,
    upload: Arc<Limiter>,
    totals: Arc<Totals>,
    /// Bytes received and sent by earlier runs of the thread, for `totals`: what trackers are told must not
    /// fall.
    told_before: (u64, u64),
    /// A `Sync` is under way.
    syncing: bool,
    /// Pieces that survive a power cut.
    safe: Bitfield,
    sync_every: Every,
    sync_now: bool,
    /// Bytes were sent, or somebody who had some has left, since `totals` had the sum over all peers.
    uploaded_is_stale: bool,
    haves: Haves,
    watched: bool,
    stopping: bool,
    ended: bool,
    batches_tx: Sender<PeerBatch>,
    disk_tx: Sender<DiskResult>,
    reports: Sender<(InfoHash, TorrentReport)>,
}

/// A connection, and the room that it takes among those of all torrents.
#[derive(Debug)]
struct Connected {
    connection: Connection,
    _slot: ConnectionSlot,
}

/// Tells the engine of a panic, as the torrent would else never end.
struct Alarm {
    info_hash: InfoHash,
    reports: Sender<(InfoHash, TorrentReport)>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.reports.send((self.info_hash, TorrentReport::Crashed));
        }
    }
}

/// What the thread listens to.
struct Inputs {
    commands: Receiver<TorrentCommand>,
    batches: Receiver<PeerBatch>,
    disk: Receiver<DiskResult>,
    ticks: Receiver<Instant>,
}

enum Event {
    Command(TorrentCommand),
    Batch(PeerBatch),
    Disk(DiskResult),
    Tick,
    HavesDue,
}

impl Downloader {
    /// Starts the thread of a torrent.
    ///
    /// # Errors
    /// If the system allows no more threads.
    pub fn spawn(setup: Setup) -> std::io::Result<DownloaderHandle> {
        let (commands, commands_rx) = unbounded();
        let name = format!("torrent {}", &setup.metainfo.info.info_hash.to_string()[..8]);
        let alarm = Alarm {
            info_hash: setup.metainfo.info.info_hash,
            reports: setup.reports.clone(),
        };
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let _alarm = alarm;
            let (batches_tx, batches) = bounded(BATCHES);
            let (disk_tx, disk) = unbounded();
            let inputs = Inputs {
                commands: commands_rx,
                batches,
                disk,
                ticks: tick(TICK),
            };
            Self::new(setup, batches_tx, disk_tx).run(inputs);
        })?;
        Ok(DownloaderHandle { commands, thread })
    }

    fn new(setup: Setup, batches_tx: Sender<PeerBatch>, disk_tx: Sender<DiskResult>) -> Self {
        let now = Instant::now();
        let info = Arc::new(setup.metainfo.info.clone());
        let safe = setup.parked.have.clone();
        let known_peers = setup.parked.known_peers;
        let mut torrent = Torrent::new(Start {
            layout: Arc::new(setup.storage.layout().clone()),
            own_id: setup.commons.peer_id,
            have: setup.parked.have,
            to_check: setup.parked.unchecked,
            priorities: setup.parked.priorities,
            sequential: setup.parked.sequential,
            tally: setup.parked.tally,
            settings: setup.settings,
            budget: Arc::clone(&setup.commons.budget),
            seed: fastrand::u64(..),
            info,
        });
        torrent.on_peers_found(now, known_peers);
        Self {
            completed: Arc::new(CompletedLog::new(setup.metainfo.info.geometry.piece_count())),
            commons: setup.commons,
            metainfo: setup.metainfo,
            storage: setup.storage,
            torrent,
            connections: HashMap::new(),
            leaving: Vec::new(),
            download: setup.download,
            upload: setup.upload,
            told_before: (
                setup.totals.downloaded.load(Ordering::Relaxed),
                setup.totals.uploaded.load(Ordering::Relaxed),
            ),
            totals: setup.totals,
            syncing: false,
            safe,
            sync_every: Every::new(now, SYNC_EVERY),
            sync_now: false,
            uploaded_is_stale: true,
            haves: Haves::default(),
            watched: false,
            stopping: false,
            ended: false,
            batches_tx,
            disk_tx,
            reports: setup.reports,
        }
    }

    fn run(mut self, inputs: Inputs) {
        self.report_status();
        self.end_turn(Instant::now());
        while !self.ended {
            let event = next_event(&inputs, self.haves.due);
            let now = Instant::now();
            self.on_event(now, event);
            for _ in 1..EVENTS_A_TURN {
                let Some(event) = waiting_event(&inputs) else {
                    break;
                };
                self.on_event(now, event);
            }
            self.end_turn(now);
        }
        // Readers may still wait for room in the channel of batches; without its receiver they end.
        drop(inputs);
        self.leaving.drain(..).for_each(Connection::join);
        self.storage.close_files();
        self.report(TorrentReport::Ended(self.torrent.parked(self.safe.clone())));
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Batch(batch) => self.torrent.on_batch(now, batch),
            Event::Disk(result) => self.on_disk(now, result),
            Event::Command(command) => self.on_command(now, command),
            Event::Tick => self.on_tick(now),
            // The end of the turn tells them.
            Event::HavesDue => {}
        }
    }

    fn on_command(&mut self, now: Instant, command: TorrentCommand) {
        match command {
            TorrentCommand::Greeted(greeted) => self.on_greeted(now, *greeted),
            TorrentCommand::DialFailed { addr, own } => self.torrent.on_dial_failed(now, addr, own),
            TorrentCommand::PeersFound(peers) => self.torrent.on_peers_found(now, peers),
            TorrentCommand::Ban(ip) => self.torrent.ban_host(now, ip, "the user has banned it"),
            TorrentCommand::LiftBan(ip) => self.torrent.lift_ban(ip),
            TorrentCommand::Watch(watched) => {
                self.watched = watched;
                self.report_details();
            }
            TorrentCommand::TellFiles => {
                let files = self.details().files;
                self.report(TorrentReport::Files(files));
            }
            TorrentCommand::SetPriorities(priorities) => {
                self.torrent.set_priorities(priorities);
                self.report_status();
                self.sync_now = true;
            }
            TorrentCommand::SetSequential(sequential) => {
                self.torrent.set_sequential(sequential);
                self.sync_now = true;
            }
            TorrentCommand::Configure(settings) => self.torrent.set_settings(settings),
            TorrentCommand::Disconnect => self.torrent.close_all(now, "the network settings have changed"),
            TorrentCommand::Stop => {
                self.stopping = true;
                self.torrent.stop(now);
            }
        }
    }

    fn on_greeted(&mut self, now: Instant, greeted: Greeted) {
        let Some(slot) = self.commons.connections.take() else {
            log::debug!(
                "{}: {} is turned away: too many connections of all torrents",
                self.name(),
                greeted.peer.addr
            );
            return self.torrent.on_dial_failed(now, greeted.peer.addr, false);
        };
        let session = match self.torrent.admit(now, &greeted.peer) {
            Ok(session) => session,
            Err(reason) => {
                return log::debug!("{}: {} is turned away: {reason}", self.name(), greeted.peer.addr);
            }
        };
        let addr = greeted.peer.addr;
        let key = PeerKey(self.commons.next_peer.fetch_add(1, Ordering::Relaxed));
        match Connection::spawn(self.connection_setup(key, greeted)) {
            Ok(connection) => {
                log::debug!("{}: {addr} joined as {key}", self.name());
                self.torrent
                    .on_joined(now, key, session, Arc::clone(connection.counters()));
                let connected = Connected {
                    connection,
                    _slot: slot,
                };
                self.connections.insert(key, connected);
            }
            Err(error) => {
                log::warn!(
                    "{}: {addr} is turned away, there is no thread for it: {error}",
                    self.name()
                );
                self.torrent.on_dial_failed(now, addr, false);
            }
        }
    }

    fn connection_setup(&self, key: PeerKey, greeted: Greeted) -> ConnectionSetup {
        ConnectionSetup {
            key,
            addr: greeted.peer.addr,
            stream: greeted.stream,
            fast: greeted.peer.handshake.supports_fast(),
            geometry: self.metainfo.info.geometry,
            storage: Arc::clone(&self.storage),
            completed: Arc::clone(&self.completed),
            completed_cursor: self.completed.len(),
            pool: Arc::clone(&self.commons.pool),
            download: Arc::clone(&self.download),
            upload: Arc::clone(&self.upload),
            events: self.batches_tx.clone(),
        }
    }

    fn on_disk(&mut self, now: Instant, result: DiskResult) {
        match result {
            DiskResult::Synced { pieces } => {
                let mut grown = false;
                for piece in pieces {
                    grown |= self.safe.insert(piece);
                }
                self.on_synced(grown);
            }
            DiskResult::SyncFailed { error } => {
                log::error!(
                    "{}: what was written may not survive a power cut: {error}",
                    self.name()
                );
                self.on_synced(false);
            }
            result => {
                // Which files are the torrent's is to be known before a kill could leave them half written.
                self.sync_now |= matches!(result, DiskResult::Prepared { has_claimed: true });
                self.torrent.on_disk(now, result);
            }
        }
    }

    fn on_tick(&mut self, now: Instant) {
        self.torrent.on_tick(now);
        self.uploaded_is_stale = true;
        let over = self.commons.connections.to_close(self.connections.len());
        self.torrent.close_least_useful(now, over);
        self.leaving.retain_mut(|connection| !connection.is_finished());
        self.report_status();
        self.report_details();
        if self.torrent.is_quiet() && !self.stopping {
            self.report(TorrentReport::Quiet);
        }
    }

    fn end_turn(&mut self, now: Instant) {
        for action in self.torrent.end_turn(now) {
            self.act(now, action);
        }
        if self.haves.take_due(now, self.connections.len()) {
            self.connections
                .values()
                .for_each(|connected| connected.connection.nudge_haves());
        }
        let due = self.sync_every.is_due(now) && self.safe != *self.torrent.have();
        if self.stopping {
            self.go_on_stopping();
        } else if (due || self.sync_now) && !self.syncing {
            self.sync_now = false;
            self.sync();
        }
        self.totals
            .downloaded
            .store(self.told_before.0 + self.torrent.downloaded(), Ordering::Relaxed);
        // It is a sum over all peers, so not for each batch of one of them.
        if std::mem::take(&mut self.uploaded_is_stale) {
            self.totals
                .uploaded
                .store(self.told_before.1 + self.torrent.uploaded(), Ordering::Relaxed);
        }
        self.totals.left.store(self.torrent.left(), Ordering::Relaxed);
    }

    /// On the way to the end: pieces that are at the disk get there, then everything is made safe.
    fn go_on_stopping(&mut self) {
        if self.torrent.awaits_disk() || self.syncing || self.ended {
            return;
        }
        if self.safe == *self.torrent.have() {
            self.ended = true;
        } else {
            self.sync();
        }
    }

    fn sync(&mut self) {
        self.syncing = true;
        self.submit(DiskTask::Sync);
    }

    /// A sync has ended. `grown`: it made more pieces safe.
    fn on_synced(&mut self, grown: bool) {
        self.syncing = false;
        // What a last sync could not make safe is hashed again at the next start.
        self.ended = self.stopping && !grown && !self.torrent.awaits_disk();
        self.report(TorrentReport::Durable(self.torrent.parked(self.safe.clone())));
    }

    fn act(&mut self, now: Instant, action: Action) {
        match action {
            Action::Tell(peer, command) => {
                if let Some(connected) = self.connections.get(&peer) {
                    connected.connection.send(command);
                }
            }
            Action::Close(peer, reason) => {
                if let Some(connected) = self.connections.remove(&peer) {
                    let addr = connected.connection.addr();
                    log::debug!("{}: {addr} ({peer}) is gone: {reason}", self.name());
                    connected.connection.close();
                    self.uploaded_is_stale = true;
                    self.leaving.push(connected.connection);
                }
            }
            Action::Dial(addr) => {
                let info_hash = self.metainfo.info.info_hash;
                self.commons
                    .greeter
                    .send(GreeterCommand::Dial { info_hash, addr });
            }
            Action::Disk(task) => self.submit(task),
            Action::PieceDone { piece, have } => {
                let pieces = self.torrent.have().len();
                log::info!("{}: piece {piece} verified, {have} of {pieces}", self.name());
                self.completed.push(piece);
                self.haves.piece_done(now);
            }
            Action::Checked => {
                self.sync_now = true;
                self.report_status();
                self.report(TorrentReport::Checked);
            }
            Action::Finished => {
                self.sync_now = true;
                self.report_status();
                self.report(TorrentReport::Finished);
            }
            Action::Halted(message) => self.report(TorrentReport::Halted(message)),
        }
    }

    fn submit(&self, task: DiskTask) {
        let reply = self.disk_tx.clone();
        self.commons.disk.submit(DiskJob {
            storage: Arc::clone(&self.storage),
            task,
            reply,
        });
    }

    fn report_status(&self) {
        self.report(TorrentReport::Status(self.torrent.status()));
    }

    fn report_details(&self) {
        if self.watched {
            let mut details = self.details();
            self.torrent.complete_details(&mut details);
            self.report(TorrentReport::Details(Box::new(details)));
        }
    }

    /// Everything but its peers.
    fn details(&self) -> TorrentDetails {
        let parked = self.torrent.parked(self.torrent.have().clone());
        let whose = |file| self.storage.whose(file, &parked.have);
        details(&self.metainfo, self.storage.layout(), &parked, whose)
    }

    fn report(&self, report: TorrentReport) {
        // Without an engine there is nobody who would want to know.
        let _ = self.reports.send((self.metainfo.info.info_hash, report));
    }

    fn name(&self) -> &str {
        &self.metainfo.info.name
    }
}

/// When a thing that happens every so often is due next.
#[derive(Debug)]
struct Every {
    period: Duration,
    next: Instant,
}

impl Every {
    fn new(now: Instant, period: Duration) -> Self {
        Self {
            period,
            next: now + period,
        }
    }

    /// Whether it is due; if so, the next time is a period from now.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.period;
        }
        due
    }
}

/// When peers hear of new pieces.
#[derive(Debug, Default)]
struct Haves {
    /// There are new ones, and they may be told from then on; `None`: there are none.
    due: Option<Instant>,
    /// Nothing is told before this.
    not_before: Option<Instant>,
}

impl Haves {
    fn piece_done(&mut self, now: Instant) {
        self.due
            .get_or_insert(self.not_before.map_or(now, |at| at.max(now)));
    }

    /// Whether they are to be told now, to so many peers.
    fn take_due(&mut self, now: Instant, peers: usize) -> bool {
        let is_due = self.due.is_some_and(|at| at <= now);
        if is_due {
            self.due = None;
            let peers = u32::try_from(peers).unwrap_or(u32::MAX);
            self.not_before = Some(now + HAVES_PAUSE_PER_PEER.saturating_mul(peers).min(TICK));
        }
        is_due
    }
}

/// Waits for what comes next; no longer than until `haves_due`.
fn next_event(inputs: &Inputs, haves_due: Option<Instant>) -> Event {
    let haves = haves_due.map_or_else(never, at);
    select! {
        recv(inputs.batches) -> batch => batch.map_or(Event::Tick, Event::Batch),
        recv(inputs.disk) -> result => result.map_or(Event::Tick, Event::Disk),
        recv(inputs.ticks) -> _ => Event::Tick,
        recv(haves) -> _ => Event::HavesDue,
        // The engine is gone without a word: end in good order.
        recv(inputs.commands) -> command => Event::Command(command.unwrap_or(TorrentCommand::Stop)),
    }
}

fn waiting_event(inputs: &Inputs) -> Option<Event> {
    inputs
        .disk
        .try_recv()
        .map(Event::Disk)
        .or_else(|_| inputs.batches.try_recv().map(Event::Batch))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_told_at_once_and_then_together() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut haves = Haves::default();
        assert!(!haves.take_due(start, 1000), "there is nothing to tell");
        haves.piece_done(start);
        assert!(haves.take_due(start, 1000));
        for ms in [1, 100, 199] {
            haves.piece_done(at(ms));
            assert!(!haves.take_due(at(ms), 1000), "{ms} ms");
        }
        assert_eq!(haves.due, Some(at(200)), "the thread wakes for it");
        assert!(haves.take_due(at(200), 10));
        haves.piece_done(at(202));
        assert!(haves.take_due(at(202), 10), "few peers are told soon");
    }

    #[test]
    fn pieces_are_told_twice_a_second_to_any_number_of_peers() {
        let start = Instant::now();
        let mut haves = Haves::default();
        haves.piece_done(start);
        assert!(haves.take_due(start, usize::MAX));
        haves.piece_done(start);
        assert!(haves.take_due(start + TICK, usize::MAX));
    }
}
