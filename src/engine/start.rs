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
use crate::engine::entry::limit_of_kib;
use crate::engine::keeper::Keeper;
use crate::engine::list::Torrents;
use crate::engine::tracker_node::TrackerNode;
use crate::engine::{Engine, EngineHandle, EngineSetup, Inputs, SAVE_EVERY};
use crate::id::PeerId;
use crate::memory::{BlockPool, Budget};
use crate::metainfo::Metainfo;
use crate::net::greeter::{self, GreeterEvent, GreeterSetup};
use crate::net::limiter::Limiter;
use crate::net::sockets::{SocketError, SocketFactory};
use crate::storage::disk::DiskPool;
use crate::storage::files::FileCache;
use crate::storage::state_dir::{Loaded, StateDir, StateError};
use crate::torrent::connections::ConnectionLimit;
use crate::torrent::link::Commons;
use crate::tracker::client::{self, AnnouncerSetup};

/// Unused block buffers that are kept for the next blocks: 16 MiB.
const KEPT_BUFFERS: usize = 1024;

/// More disk threads than this only fight over the same files.
const MOST_DISK_THREADS: usize = 4;

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

impl Engine {
    /// Starts all threads of the client and takes up what the last run left.
    ///
    /// # Errors
    /// See [`EngineError`]. A port that is taken is none: the client can still dial, and says so in its
    /// snapshots.
    pub fn start(setup: EngineSetup) -> Result<EngineHandle, EngineError> {
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
        let sockets = Arc::new(SocketFactory::new(&config.network.bind)?);
        let (commands_tx, commands) = unbounded();
        let (reports_tx, reports) = unbounded();
        let (greeter_tx, greeter) = unbounded();
        let (announcer_tx, announcer) = unbounded();
        let (tracker_node_tx, tracker_node) = unbounded();
        let commons = Arc::new(commons(&config, &sockets, greeter_tx)?);
        let listening = commons.greeter.listening().to_vec();
        let mut engine = Self {
            watcher: config_path.map(|path| Watcher::new(path, Instant::now())),
            state_override,
            scope,
            state_folder: config.folders.state.clone(),
            on_event,
            torrents: Torrents::default(),
            watched: None,
            told: None,
            queue_is_stale: true,
            scheduled_as_of: 0,
            schedule_from: Instant::now(),
            errands: Vec::new(),
            files: Arc::new(FileCache::new(config.memory.open_files)),
            download: Limiter::new(limit_of_kib(config.transfer.download_limit_kib)),
            upload: Limiter::new(limit_of_kib(config.transfer.upload_limit_kib)),
            announcer: client::spawn(AnnouncerSetup {
                peer_id: commons.peer_id,
                port: listening.first().map_or(config.network.port, SocketAddr::port),
                user_agent: concat!("DTorrent/", env!("CARGO_PKG_VERSION")).into(),
                sockets: Arc::clone(&sockets),
                events: announcer_tx,
            })?,
            tracker_node: TrackerNode::new(tracker_node_tx),
            keeper: Keeper::spawn(state)?,
            reports: reports_tx,
            next_save: Instant::now() + SAVE_EVERY,
            stopping: None,
            network_problem: None,
            offline: false,
            listening,
            sockets,
            commons,
            config,
        };
        let inputs = Inputs {
            commands,
            reports,
            greeter,
            announcer,
            tracker_node,
        };
        let thread = thread::Builder::new().name("engine".into()).spawn(move || {
            engine.configure_tracker_node();
            engine.restore_all(loaded);
            engine.run(inputs);
        })?;
        Ok(EngineHandle {
            commands: commands_tx,
            thread,
        })
    }

    fn restore_all(&mut self, loaded: Vec<Loaded>) {
        for mut torrent in loaded {
            if let Some(problem) = torrent.problem.take() {
                self.fail(None, problem);
            }
            match Metainfo::parse(&torrent.metainfo_bytes) {
                Ok(metainfo) if metainfo.info.info_hash == torrent.info_hash => {
                    self.restore(Arc::new(metainfo), torrent);
                }
                Ok(_) => {
                    let hash = torrent.info_hash;
                    self.fail(
                        None,
                        format!("what is kept of the torrent {hash} is another torrent; add it again"),
                    );
                }
                Err(error) => {
                    let hash = torrent.info_hash;
                    let message = format!(
                        "the torrent {hash} of the last session cannot be read: {error}; add it again"
                    );
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
