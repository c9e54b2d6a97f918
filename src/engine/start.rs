//! The start of the engine: threads, and what earlier runs left.

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Sender, unbounded};

use crate::config::Config;
use crate::config::watch::Watcher;
use crate::engine::alternative::Alternative;
use crate::engine::api::EngineCommand;
use crate::engine::bans::Bans;
use crate::engine::countries::Countries;
use crate::engine::entry::unix_now;
use crate::engine::inbound::InboundWatch;
use crate::engine::keeper::Keeper;
use crate::engine::list::Torrents;
use crate::engine::removed::RemovedTorrents;
use crate::engine::seed_limits::IdleClocks;
use crate::engine::settings::{Outcome, SettingsWriter};
use crate::engine::statistics::Ledger;
use crate::engine::tracker_node::TrackerNode;
use crate::engine::ways_in::{Arrival, WaysIn};
use crate::engine::{Engine, EngineHandle, EngineSetup, Inputs, SAVE_EVERY};
use crate::id::{InfoHash, PeerId};
use crate::memory::{BlockPool, Budget};
use crate::metainfo::Metainfo;
use crate::net::greeter::{self, GreeterEvent, GreeterSetup};
use crate::net::limiter::Limiter;
use crate::net::sockets::{SocketError, SocketFactory};
use crate::sentence::{printable, told};
use crate::storage::disk::DiskPool;
use crate::storage::files::FileCache;
use crate::storage::state_dir::{Loaded, StateDir, StateError};
use crate::torrent::connections::ConnectionLimit;
use crate::torrent::link::{Commons, TorrentReport};
use crate::tracker::client::{self, AnnouncerEvent, AnnouncerSetup};
use crate::tracker::fetch::USER_AGENT;
use crate::tracker::node::status::TrackerNodeStatus;

/// Unused block buffers that are kept for the next blocks: 16 MiB.
const KEPT_BUFFERS: usize = 1024;

/// More disk threads than this only fight over the same files.
const MOST_DISK_THREADS: usize = 4;

/// What trackers are told while we have no port: many refuse 0, and at the configured one somebody else may listen, for
/// whom our `stopped` would be taken, since trackers know peers by address and port. Others do the same.
const UNREACHABLE_PORT: u16 = 1;

/// The port that trackers are told.
pub(super) fn announced_port(listening: &[SocketAddr]) -> u16 {
    listening.first().map_or(UNREACHABLE_PORT, SocketAddr::port)
}

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state folder cannot be used, or another instance uses it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The `network.bind` setting makes no sense.
    #[error("network.bind cannot be used: {0}")]
    Bind(#[from] SocketError),
    /// The system gives no thread or descriptor.
    #[error("the system lets no thread start: {0}; close other programs or raise the limit (ulimit -u)")]
    Threads(#[from] std::io::Error),
}

/// What others report by.
struct Senders {
    reports: Sender<(InfoHash, TorrentReport)>,
    greeter: Sender<GreeterEvent>,
    announcer: Sender<AnnouncerEvent>,
    tracker_node: Sender<Option<TrackerNodeStatus>>,
    settings: Sender<Outcome>,
    arrivals: Sender<Arrival>,
}

fn channels() -> (Sender<EngineCommand>, Senders, Inputs) {
    let (commands_tx, commands) = unbounded();
    let (reports_tx, reports) = unbounded();
    let (greeter_tx, greeter) = unbounded();
    let (announcer_tx, announcer) = unbounded();
    let (tracker_node_tx, tracker_node) = unbounded();
    let (settings_tx, settings) = unbounded();
    let (arrivals_tx, arrivals) = unbounded();
    let senders = Senders {
        reports: reports_tx,
        greeter: greeter_tx,
        announcer: announcer_tx,
        tracker_node: tracker_node_tx,
        settings: settings_tx,
        arrivals: arrivals_tx,
    };
    let inputs = Inputs {
        commands,
        reports,
        greeter,
        announcer,
        tracker_node,
        settings,
        arrivals,
    };
    (commands_tx, senders, inputs)
}

impl Engine {
    /// Starts all threads of the client and takes up what the last run left.
    ///
    /// # Errors
    /// See [`EngineError`]. A port that is taken is none: the client can still dial, and says so in its
    /// snapshots.
    pub fn start(setup: EngineSetup) -> Result<EngineHandle, EngineError> {
        let (commands, senders, inputs) = channels();
        let (mut engine, loaded) = Self::build(setup, senders)?;
        let sockets = Arc::clone(&engine.sockets);
        let thread = thread::Builder::new().name("engine".into()).spawn(move || {
            engine.begin(loaded);
            engine.run(inputs);
        })?;
        Ok(EngineHandle {
            commands,
            sockets,
            thread,
        })
    }

    /// An engine with its threads, and the torrents of the last run.
    fn build(setup: EngineSetup, senders: Senders) -> Result<(Self, Vec<Loaded>), EngineError> {
        let EngineSetup {
            mut config,
            config_path,
            state: state_override,
            scope,
            on_event,
        } = setup;
        match (&state_override, &config_path) {
            (Some(state), Some(path)) => config.keep_state_in(state, path),
            (Some(state), None) => config.folders.state.clone_from(state),
            (None, _) => {}
        }
        let state = StateDir::open(&config.folders.state)?;
        let loaded = state.load_all();
        let ledger = Ledger::begin(state.load_statistics(), unix_now(), Instant::now());
        let bans = Bans::new(state.load_bans());
        let sockets = Arc::new(SocketFactory::new(&config.network.bind)?);
        let commons = Arc::new(commons(&config, &sockets, senders.greeter)?);
        let listening = commons.greeter.listening().to_vec();
        let engine = Self {
            watcher: config_path.map(|path| Watcher::new(path, Instant::now())),
            state_override,
            scope,
            state_folder: config.folders.state.clone(),
            on_event,
            torrents: Torrents::default(),
            removed: RemovedTorrents::default(),
            watched: None,
            told: None,
            queue_is_stale: true,
            scheduled_as_of: 0,
            schedule_from: Instant::now(),
            errands: Vec::new(),
            files: Arc::new(FileCache::new(config.memory.open_files)),
            // Until the thread has looked which ones are in force.
            download: Limiter::new(None),
            upload: Limiter::new(None),
            alternative: Alternative::default(),
            ledger,
            settings: SettingsWriter::new(senders.settings),
            announcer: client::spawn(AnnouncerSetup {
                peer_id: commons.peer_id,
                port: announced_port(&listening),
                user_agent: USER_AGENT.into(),
                sockets: Arc::clone(&sockets),
                events: senders.announcer,
            })?,
            tracker_node: TrackerNode::new(senders.tracker_node),
            ways_in: WaysIn::new(senders.arrivals, &sockets),
            keeper: Keeper::spawn(state)?,
            bans,
            countries: Countries::default(),
            inbound: InboundWatch::default(),
            idle_clocks: IdleClocks::default(),
            reports: senders.reports,
            next_save: Instant::now() + SAVE_EVERY,
            stopping: None,
            network_problem: None,
            offline: false,
            listening,
            sockets,
            commons,
            config,
        };
        Ok((engine, loaded))
    }

    /// What comes first on the engine's own thread.
    fn begin(&mut self, loaded: Vec<Loaded>) {
        self.configure_limits();
        // So that a run that is killed counts as a start.
        let record = self.ledger.record(Instant::now());
        self.keeper.save_statistics(record);
        self.configure_tracker_node();
        self.configure_countries();
        self.restore_all(loaded);
        // After what is on the list already.
        self.configure_watch_folder();
    }

    fn restore_all(&mut self, loaded: Vec<Loaded>) {
        for mut torrent in loaded {
            let parsed = Metainfo::parse(&torrent.metainfo_bytes);
            if let Some(problem) = torrent.problem.take() {
                let name = parsed.as_ref().ok().map(|metainfo| &*metainfo.info.name);
                self.fail(
                    None,
                    match name.map(printable) {
                        Some(name) => told!("{name}: {problem}"),
                        None => problem,
                    },
                );
            }
            match parsed {
                Ok(metainfo) if metainfo.info.info_hash == torrent.info_hash => {
                    self.restore(Arc::new(metainfo), torrent);
                }
                Ok(_) => {
                    let hash = torrent.info_hash;
                    self.fail(
                        None,
                        told!("what is kept of the torrent {hash} is another torrent; add it again"),
                    );
                }
                Err(error) => {
                    let hash = torrent.info_hash;
                    let message =
                        told!("the torrent {hash} of the last session cannot be read: {error}; add it again");
                    self.fail(None, message);
                }
            }
        }
        // What was loaded is what is saved. A torrent that could not be read this once keeps its place.
        self.torrents.order_is_saved();
        self.tell_snapshot();
    }
}

/// What all torrents have in common, with the greeter and the disk threads running.
fn commons(
    config: &Config,
    sockets: &Arc<SocketFactory>,
    greeter_events: Sender<GreeterEvent>,
) -> Result<Commons, EngineError> {
    let peer_id = PeerId::generate(&mut fastrand::Rng::new());
    let greeter = greeter::spawn(GreeterSetup {
        sockets: Arc::clone(sockets),
        port: config.network.port,
        peer_id,
        events: greeter_events,
    })?;
    let disk_threads = thread::available_parallelism()
        .map_or(2, NonZero::get)
        .min(MOST_DISK_THREADS);
    Ok(Commons {
        peer_id,
        budget: Arc::new(Budget::of_mib(config.memory.buffers_mib)),
        pool: BlockPool::new(KEPT_BUFFERS),
        disk: DiskPool::spawn(disk_threads)?,
        greeter,
        next_peer: AtomicU64::new(1),
        connections: Arc::new(ConnectionLimit::new(config.network.max_connections)),
    })
}
