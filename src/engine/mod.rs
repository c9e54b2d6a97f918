//! All torrents of the client, and the one public API of it: [`api::EngineCommand`] in,
//! [`api::EngineEvent`] out. Layer 3.
//!
//! The engine thread owns the list of torrents and the configuration. It starts a [`Downloader`] for each
//! torrent that has peers or work and lets a quiet one go; what a torrent is between two runs of its thread
//! is parked in its `entry::Entry`.
//!
//! [`Downloader`]: crate::torrent::downloader::Downloader

mod admission;
mod alternative;
pub mod api;
mod bans;
mod commands;
mod countries;
mod entry;
mod history;
mod inbound;
mod keeper;
mod lifecycle;
mod limits;
mod list;
mod missing;
mod queue;
mod removed;
mod routing;
mod seed_limits;
mod seeding;
mod settings;
mod shared_files;
mod stall;
mod start;
mod statistics;
mod tracker_node;
mod watch_folder;
mod ways_in;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvError, Sender, never, select, tick};

use crate::config::Config;
use crate::config::watch::Watcher;
use crate::engine::alternative::Alternative;
use crate::engine::api::{EngineCommand, EngineEvent, EngineSnapshot, TorrentSummary};
use crate::engine::bans::Bans;
use crate::engine::countries::Countries;
use crate::engine::entry::{Entry, Thread};
use crate::engine::inbound::InboundWatch;
use crate::engine::keeper::Keeper;
use crate::engine::list::Torrents;
use crate::engine::removed::RemovedTorrents;
use crate::engine::seed_limits::IdleClocks;
use crate::engine::settings::{Outcome, SettingsWriter};
use crate::engine::statistics::Ledger;
use crate::engine::tracker_node::TrackerNode;
use crate::engine::ways_in::{Arrival, WaysIn};
use crate::id::InfoHash;
use crate::net::greeter::GreeterEvent;
use crate::net::limiter::Limiter;
use crate::net::sockets::SocketFactory;
use crate::ratio::RatioLimit;
use crate::sentence::{printable, told};
use crate::storage::files::FileCache;
use crate::torrent::link::{Commons, TorrentReport};
use crate::tracker::client::{AnnouncerCommand, AnnouncerEvent, AnnouncerHandle};
use crate::tracker::node::status::TrackerNodeStatus;

pub use start::EngineError;

/// How often faces are told, and everything that is due by time is looked at.
const TICK: Duration = Duration::from_millis(500);

/// How long the trackers may take to hear that we stop.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long the torrents may take to bring everything to disk at the end. Past it the last saved state
/// stands, and the journals know the rest.
pub const LAST_WRITES: Duration = Duration::from_secs(20);

/// How often totals that have changed are saved: what a killed program forgets of them at most.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// What an engine starts from.
pub struct EngineSetup {
    /// The settings.
    pub config: Config,
    /// The file that they came from, if its edits shall take effect at once.
    pub config_path: Option<PathBuf>,
    /// A state folder in place of the configured one, now and after each edit; see [`Config::keep_state_in`].
    pub state: Option<PathBuf>,
    /// What this run is for; `None`: for all torrents of the list, each as it was left.
    pub scope: Option<Scope>,
    /// Told of everything, on the engine's thread: it must be quick and must not block.
    pub on_event: Box<dyn FnMut(EngineEvent) + Send>,
}

/// What a run of the engine is for, if it is not for the whole list.
#[derive(Debug, Clone)]
pub struct Scope {
    /// All others rest, as if they were paused, and are left as they are for the next run.
    pub torrents: BTreeSet<InfoHash>,
    /// Whether what is lacking is fetched. If not nothing is written to anybody's files.
    pub fetch: bool,
    /// At which ratio its torrents stop seeding, in place of what was chosen for them and what the settings say.
    pub seed_until_ratio: Option<RatioLimit>,
}

impl std::fmt::Debug for EngineSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineSetup")
            .field("config_path", &self.config_path)
            .finish_non_exhaustive()
    }
}

/// A running engine.
#[derive(Debug)]
pub struct EngineHandle {
    commands: Sender<EngineCommand>,
    sockets: Arc<SocketFactory>,
    thread: JoinHandle<()>,
}

impl EngineHandle {
    /// Asks for something. After [`EngineEvent::Stopped`] it is dropped.
    pub fn send(&self, command: EngineCommand) {
        let _ = self.commands.send(command);
    }

    /// Makes the client's sockets: bound to what the settings say, whatever they say later. For what a face asks of
    /// others itself.
    pub fn sockets(&self) -> Arc<SocketFactory> {
        Arc::clone(&self.sockets)
    }

    /// Waits for the engine's end; [`EngineCommand::Shutdown`] brings it about.
    pub fn join(self) {
        if self.thread.join().is_err() {
            log::error!("the engine's thread panicked; what is on disk is as last saved");
        }
    }
}

/// The engine thread.
pub struct Engine {
    config: Config,
    watcher: Option<Watcher>,
    /// In place of the state folder of the settings.
    state_override: Option<PathBuf>,
    scope: Option<Scope>,
    /// Where the session is kept.
    state_folder: PathBuf,
    on_event: Box<dyn FnMut(EngineEvent) + Send>,
    torrents: Torrents,
    removed: RemovedTorrents,
    watched: Option<InfoHash>,
    /// The snapshot that the faces have.
    told: Option<Arc<EngineSnapshot>>,
    /// Something happened that may start or stop torrents.
    queue_is_stale: bool,
    /// The list ([`Torrents::changes`]) when the queue was last gone through.
    scheduled_as_of: u64,
    /// It is not gone through again before this.
    schedule_from: Instant,
    /// Torrents for which the disk threads do something, as far as the engine has asked them.
    errands: Vec<InfoHash>,
    listening: Vec<SocketAddr>,
    network_problem: Option<String>,
    /// What everything is bound to is missing.
    offline: bool,
    sockets: Arc<SocketFactory>,
    commons: Arc<Commons>,
    files: Arc<FileCache>,
    download: Arc<Limiter>,
    upload: Arc<Limiter>,
    alternative: Alternative,
    ledger: Ledger,
    settings: SettingsWriter,
    announcer: AnnouncerHandle,
    tracker_node: TrackerNode,
    ways_in: WaysIn,
    keeper: Keeper,
    bans: Bans,
    countries: Countries,
    inbound: InboundWatch,
    idle_clocks: IdleClocks,
    reports: Sender<(InfoHash, TorrentReport)>,
    next_save: Instant,
    stopping: Option<Instant>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("torrents", &self.torrents.order())
            .finish_non_exhaustive()
    }
}

/// What the thread listens to.
struct Inputs {
    commands: Receiver<EngineCommand>,
    reports: Receiver<(InfoHash, TorrentReport)>,
    greeter: Receiver<GreeterEvent>,
    announcer: Receiver<AnnouncerEvent>,
    tracker_node: Receiver<Option<TrackerNodeStatus>>,
    settings: Receiver<Outcome>,
    arrivals: Receiver<Arrival>,
}

impl Engine {
    fn run(mut self, mut inputs: Inputs) {
        let ticks = tick(TICK);
        while !self.has_ended() {
            let next_look = self.schedule_if_due(Instant::now());
            select! {
                recv(inputs.commands) -> command => match command {
                    Ok(command) => self.on_command(command),
                    // Nobody can ask for anything any more, not even for the end.
                    Err(_) => {
                        inputs.commands = never();
                        self.shut_down();
                    }
                },
                recv(inputs.reports) -> report => if let Some((info_hash, report)) = if_open(&mut inputs.reports, report) {
                    self.on_report(info_hash, report);
                },
                recv(inputs.greeter) -> event => if let Some(event) = if_open(&mut inputs.greeter, event) {
                    self.on_greeter(event);
                },
                recv(inputs.announcer) -> event => if let Some(event) = if_open(&mut inputs.announcer, event) {
                    self.on_announcer(event);
                },
                recv(inputs.tracker_node) -> status => if let Some(status) = if_open(&mut inputs.tracker_node, status) {
                    self.on_tracker_node(status);
                },
                recv(inputs.settings) -> outcome => if let Some(outcome) = if_open(&mut inputs.settings, outcome) {
                    self.on_settings(outcome);
                },
                recv(inputs.arrivals) -> arrival => if let Some(arrival) = if_open(&mut inputs.arrivals, arrival) {
                    self.on_arrival(arrival);
                },
                recv(ticks) -> _ => self.on_tick(Instant::now()),
                default(next_look) => {}
            }
        }
        self.end();
    }

    fn on_tick(&mut self, now: Instant) {
        // A file that lacks changes which hold already would take them back for a moment.
        if let Some(watcher) = self.watcher.as_mut().filter(|_| !self.settings.is_busy())
            && let Some(reloaded) = watcher.poll(now)
        {
            match reloaded {
                Ok(config) => {
                    let stale = self.take_over(config);
                    self.tell_stale(&stale);
                }
                Err(error) => self.fail(None, told!("the changed settings are not used: {error}")),
            }
        }
        self.follow_schedule();
        self.poll_disk();
        if let Err(problem) = self.countries.poll() {
            self.fail(None, problem);
        }
        self.poll_removed(now);
        self.share_with_tracker_node();
        self.end_seeding(now);
        if now >= self.next_save {
            self.next_save = now + SAVE_EVERY;
            self.save_totals();
            if let Some(record) = self.ledger.record_if_changed(now) {
                self.keeper.save_statistics(record);
            }
        }
        self.save_order();
        self.tell_snapshot();
        self.queue_is_stale |= self.torrents.changes() != self.scheduled_as_of;
    }

    /// Tells the faces how everything stands, if they do not know.
    fn tell_snapshot(&mut self) {
        let torrents = self.torrents.rows();
        // Thousands of rows that are as they were are not gone through.
        let told = self.told.as_ref();
        let (download_rate, upload_rate, connections) = told
            .filter(|told| Arc::ptr_eq(&told.torrents, &torrents))
            .map_or_else(
                || sums(&torrents),
                |told| (told.download_rate, told.upload_rate, told.connections),
            );
        let (download_limit_kib, upload_limit_kib) = self.limits_in_force();
        let snapshot = EngineSnapshot {
            download_rate,
            upload_rate,
            download_limit_kib,
            upload_limit_kib,
            alternative_limits: self.alternative.state(),
            connections,
            torrents,
            listening: self.listening.clone(),
            bind: self.config.network.bind.clone(),
            network_problem: self.network_problem.clone(),
            offline: self.offline,
            inbound: self.inbound.verdict(Instant::now()),
            bans: self.bans.list(),
            tracker: self.tracker_node.status.clone(),
            statistics: self.ledger.statistics(Instant::now()),
        };
        if !self.told.as_ref().is_some_and(|told| told.is_same(&snapshot)) {
            let snapshot = Arc::new(snapshot);
            self.told = Some(Arc::clone(&snapshot));
            self.tell(EngineEvent::Snapshot(snapshot));
        }
        // The thread of a running torrent tells its details itself.
        if let Some(entry) = self.watched.and_then(|id| self.torrents.get(id))
            && matches!(entry.thread, Thread::None)
        {
            let details = entry.parked_details(Instant::now(), &self.countries);
            self.tell(EngineEvent::Details(Arc::new(details)));
        }
    }

    fn tell_anew(&mut self) {
        self.told = None;
        self.tell_snapshot();
    }

    fn tell(&mut self, event: EngineEvent) {
        (self.on_event)(event);
    }

    /// Tells a person that something went wrong, in the log and on the faces.
    fn fail(&mut self, info_hash: Option<InfoHash>, message: String) {
        let name = info_hash
            .and_then(|id| self.torrents.get(id))
            .map_or("DTorrent", Entry::name);
        log::error!("{name}: {message}");
        // Names are in it, too. What is told of settings has lines of its own.
        let message = match info_hash {
            Some(_) => printable(&message).into_owned(),
            None => message,
        };
        self.tell(EngineEvent::Failed { info_hash, message });
    }

    // The end.

    fn shut_down(&mut self) {
        if self.stopping.is_none() {
            log::info!("stopping");
            self.do_what_was_put_off();
            self.stopping = Some(Instant::now());
            self.ways_in.close();
            self.commons.disk.interrupt_moves();
            self.announcer.send(AnnouncerCommand::Shutdown(FAREWELL));
            for id in self.torrents.order().to_vec() {
                if let Some(entry) = self.torrents.get_mut(id) {
                    entry.stop();
                }
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.stopping.is_some_and(|since| {
            since.elapsed() > LAST_WRITES
                || self
                    .torrents
                    .iter()
                    .all(|entry| matches!(entry.thread, Thread::None) && entry.at_disk.is_none())
                    && !self.removed.is_restoring()
        })
    }

    fn end(mut self) {
        self.save_order();
        let record = self.ledger.record(Instant::now());
        self.keeper.save_statistics(record);
        self.settings.stop();
        // Our own `stopped` may be for our own tracker, so that goes last.
        self.announcer.join();
        self.tracker_node.stop();
        self.torrents.clear();
        // No Downloader is left, so this is the last handle: the disk threads finish what they have.
        if let Some(commons) = Arc::into_inner(self.commons) {
            commons.greeter.shutdown();
        }
        self.keeper.join();
        log::info!("stopped");
        (self.on_event)(EngineEvent::Stopped);
    }
}

/// What came out of a channel. One whose senders are gone is not asked again: it is always ready, with nothing.
fn if_open<T>(channel: &mut Receiver<T>, received: Result<T, RecvError>) -> Option<T> {
    if received.is_err() {
        *channel = never();
    }
    received.ok()
}

/// Bytes a second from peers and to them, and how many there are, over all torrents.
fn sums(torrents: &[Arc<TorrentSummary>]) -> (u64, u64, usize) {
    torrents.iter().fold((0, 0, 0), |(down, up, peers), torrent| {
        (
            down + torrent.download_rate,
            up + torrent.upload_rate,
            peers + torrent.peers,
        )
    })
}
