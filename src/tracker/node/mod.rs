//! A tracker inside the client: the node of `dtracker` with both its faces, so that two computers share a file with
//! nothing else installed. Layer 3, but for [`status`] and `named`, which are layer 1.
//!
//! One thread owns it: it starts the node, tries again when the port is taken, looks whether the computer's addresses
//! have changed, and lets the node leave its ring in good order. Whoever spawned it sends [`NodeCommand`]s and gets a
//! [`TrackerNodeStatus`] whenever that is another one.
//!
//! Without a key the node is a ring of its own, or of nodes on this machine; with one it may join another ring.

mod named;
mod own;
mod places;
pub mod status;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

pub(crate) use self::named::Named;
use self::own::OwnEntries;
pub use self::own::OwnTorrents;
pub use self::places::{PlaceError, Places};
use self::status::{RingMember, RingPlace, TrackerNodeState, TrackerNodeStatus};
use crate::config::TrackerNodeConfig;
use crate::net::sockets::{SocketError, SocketFactory};
use crate::ring::server::{RingNode, RingNodeError};
use crate::ring::view::Neighbour;
use crate::tracker::server::config::{AnnounceConfig, HttpConfig, RingConfig, UdpConfig};
use crate::tracker::server::{Rules, ServeError, Tracker, TrackerServer};
use crate::tracker::swarm::Settings;

/// How often the node is looked at.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two looks at the computer's addresses.
const LOOK_EVERY: u32 = 5;
/// The wait after a node could not be started.
const RETRY: Duration = Duration::from_secs(5);
/// How long the node may take to bring what it keeps to others. The client's end is not to be put off by more.
const LEAVE_WITHIN: Duration = Duration::from_millis(1500);

/// What the tracker of one person's files has to bear; beyond it announces are refused.
const STORE: Settings = Settings {
    // In a ring, its id gives the name.
    node: 0,
    max_swarms: 10_000,
    max_peers: 100_000,
    peer_lifetime_secs: 1_200,
    tombstone_secs: 300,
};
/// Seconds between the announces of a client. Swarms are small here, so clients can afford to ask often, and find
/// each other soon.
const INTERVAL_SECS: u32 = 600;
/// Seconds before which a client should not come back.
const MIN_INTERVAL_SECS: u32 = 60;
/// Most connections at a time.
const MAX_CONNECTIONS: usize = 256;
/// Most requests of one address in a second.
const REQUESTS_PER_SECOND: u32 = 100;

/// What a node is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSetup {
    /// `[tracker]`.
    pub config: TrackerNodeConfig,
    /// `network.bind`.
    pub bind: String,
    /// Folder in which the node keeps who it is.
    pub state: PathBuf,
}

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
enum NodeError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Bind(#[from] SocketError),
    #[error(
        "the node {0} in tracker.join is on another computer, and there is no tracker.key: only who has the key of a \
         ring can join it"
    )]
    JoinWithoutKey(SocketAddr),
    #[error(
        "port {port} of this computer cannot be used for the tracker: {source}; if another tracker runs here, stop \
         it, or choose another port in tracker.port"
    )]
    Port { port: u16, source: io::Error },
    #[error(transparent)]
    Ring(#[from] RingNodeError),
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// What the thread is told.
#[derive(Debug)]
pub enum NodeCommand {
    /// Be this node from now on, or none.
    Configure(Option<Box<NodeSetup>>),
    /// What the client shares through its own tracker.
    Share(OwnTorrents),
    /// Leave and end.
    Stop,
}

/// The thread.
#[derive(Debug)]
pub struct NodeHandle {
    commands: Sender<NodeCommand>,
    thread: JoinHandle<()>,
}

impl NodeHandle {
    /// Starts the thread, with no node yet. `statuses` hears how the node stands; `None`: none is wanted.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn(statuses: Sender<Option<TrackerNodeStatus>>) -> io::Result<Self> {
        let (commands_tx, commands) = unbounded();
        let keeper = Keeper {
            commands,
            statuses,
            wanted: None,
            running: None,
            next_try: Instant::now(),
            told: None,
            own: OwnTorrents::default(),
        };
        let thread = thread::Builder::new()
            .name("tracker node".to_owned())
            .spawn(move || keeper.run())?;
        Ok(Self {
            commands: commands_tx,
            thread,
        })
    }

    /// Asks for something.
    pub fn send(&self, command: NodeCommand) {
        // The thread ends only when it is told to.
        let _ = self.commands.send(command);
    }

    /// Lets the node leave its ring, and waits for its end: some seconds at most.
    pub fn stop(self) {
        self.send(NodeCommand::Stop);
        if self.thread.join().is_err() {
            log::error!("the thread of the tracker node panicked");
        }
    }
}

struct Keeper {
    commands: Receiver<NodeCommand>,
    statuses: Sender<Option<TrackerNodeStatus>>,
    wanted: Option<NodeSetup>,
    running: Option<Running>,
    next_try: Instant,
    told: Option<TrackerNodeStatus>,
    own: OwnTorrents,
}

impl Keeper {
    fn run(mut self) {
        loop {
            match self.commands.recv_timeout(TICK) {
                Ok(NodeCommand::Configure(wanted)) => self.configure(wanted.map(|wanted| *wanted)),
                Ok(NodeCommand::Share(own)) => {
                    self.own = own;
                    if let Some(running) = &mut self.running {
                        running.entries.hurry();
                        running.enter(&self.own);
                    }
                }
                Ok(NodeCommand::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => self.tick(),
            }
            self.try_start();
        }
        self.end_running();
    }

    fn configure(&mut self, wanted: Option<NodeSetup>) {
        if self.wanted == wanted {
            return;
        }
        self.end_running();
        self.wanted = wanted;
        self.next_try = Instant::now();
        if self.wanted.is_none() {
            log::info!("this computer is a tracker no more");
            self.tell(None);
        }
    }

    fn try_start(&mut self) {
        let Some(setup) = self.wanted.as_ref().filter(|_| self.running.is_none()) else {
            return;
        };
        if Instant::now() < self.next_try {
            return;
        }
        // What is said of a failure stays until there is something better to say.
        if self.told.is_none() {
            let _ = self
                .statuses
                .send(Some(TrackerNodeStatus::new(TrackerNodeState::Starting)));
        }
        // Any command may mean another node or none.
        match Running::start(setup, &|| !self.commands.is_empty()) {
            Ok(mut running) => {
                running.enter(&self.own);
                log::info!("this computer is a tracker: {}", running.places.urls.join(", "));
                if let Some(advice) = &running.places.advice {
                    log::warn!("{advice}");
                }
                let status = running.status();
                self.running = Some(running);
                self.tell(Some(status));
            }
            Err(NodeError::Ring(RingNodeError::Stopped)) => {}
            Err(error) => {
                self.next_try = Instant::now() + RETRY;
                let status = TrackerNodeStatus {
                    problem: Some(error.to_string()),
                    ..TrackerNodeStatus::new(TrackerNodeState::Failed)
                };
                if self.told.as_ref() != Some(&status) {
                    log::error!("this computer cannot be a tracker: {error}");
                }
                self.tell(Some(status));
            }
        }
    }

    fn tick(&mut self) {
        let (Some(running), Some(setup)) = (&mut self.running, &self.wanted) else {
            return;
        };
        if running.tick(setup) {
            running.enter(&self.own);
            let status = running.status();
            self.tell(Some(status));
        } else {
            log::info!("the addresses of this computer are others now");
            self.end_running();
            self.next_try = Instant::now();
        }
    }

    fn end_running(&mut self) {
        if let Some(running) = self.running.take() {
            self.tell(Some(TrackerNodeStatus::new(TrackerNodeState::Stopping)));
            running.end();
        }
    }

    fn tell(&mut self, status: Option<TrackerNodeStatus>) {
        if self.told != status {
            self.told.clone_from(&status);
            // Who does not listen any more has ended.
            let _ = self.statuses.send(status);
        }
    }
}

/// A node that answers.
struct Running {
    places: Places,
    /// Why it has no good address at the moment.
    problem: Option<String>,
    node: RingNode,
    server: TrackerServer,
    entries: OwnEntries,
    ticks: u32,
}

impl Running {
    fn start(setup: &NodeSetup, is_stopped: &dyn Fn() -> bool) -> Result<Self, NodeError> {
        let places = find_places(setup)?;
        // Before the ring hears of this node, whether it could answer at all.
        for &addr in &places.listen {
            check_port(addr)?;
        }
        let ring = ring_config(setup, &places)?;
        let sockets = Arc::new(SocketFactory::new(&setup.bind)?);
        let node = RingNode::start(&ring, sockets, STORE, is_stopped)?;
        let http = HttpConfig {
            listen: places.listen.clone(),
            threads: 1,
            max_connections: MAX_CONNECTIONS,
            ..HttpConfig::default()
        };
        let udp = UdpConfig {
            listen: places.listen.clone(),
            threads: 1,
        };
        let rules = Rules {
            announce: AnnounceConfig {
                interval_secs: INTERVAL_SECS,
                min_interval_secs: MIN_INTERVAL_SECS,
                peer_lifetime_secs: STORE.peer_lifetime_secs,
                ..AnnounceConfig::default()
            },
            http: http.clone(),
            requests_per_second: REQUESTS_PER_SECOND,
            ..Rules::default()
        };
        match TrackerServer::start(node.tracker(), rules, &http, &udp) {
            Ok(server) => Ok(Self {
                places,
                problem: None,
                node,
                server,
                entries: OwnEntries::default(),
                ticks: 0,
            }),
            Err(error) => {
                node.stop();
                Err(error.into())
            }
        }
    }

    /// Looks after the node. `false`: it must be started again, as it listens where this computer no longer is.
    fn tick(&mut self, setup: &NodeSetup) -> bool {
        self.node.tick();
        self.ticks += 1;
        if !self.ticks.is_multiple_of(LOOK_EVERY) {
            return true;
        }
        match find_places(setup) {
            Ok(places) if places.listen != self.places.listen => return false,
            Ok(places) => {
                if places.urls != self.places.urls {
                    log::info!("this tracker is now reached at {}", places.urls.join(", "));
                }
                self.problem = None;
                self.places = places;
            }
            // It may come back: the cable, the wireless network.
            Err(error) => {
                self.problem = Some(error.to_string());
                self.places.urls.clear();
            }
        }
        true
    }

    /// Enters the client itself, where its own announces would not say how others reach it.
    fn enter(&mut self, own: &OwnTorrents) {
        if let Some(outside) = &self.places.outside {
            self.entries
                .tick(Instant::now(), outside, own, &*self.node.tracker());
        }
    }

    fn status(&self) -> TrackerNodeStatus {
        let totals = self.node.tracker().totals();
        let ring = self.node.status().map(|status| {
            let member = |node: &Neighbour| RingMember {
                id: node.contact.id.to_string(),
                addr: node.contact.addr,
            };
            RingPlace {
                me: RingMember {
                    id: status.me.id.to_string(),
                    addr: status.me.addr,
                },
                serving: status.serving,
                copies: status.copies_in_all(),
                before: status.preds.iter().map(member).collect(),
                behind: status.succ.iter().map(member).collect(),
                others: status.members.len(),
            }
        });
        TrackerNodeStatus {
            problem: self.problem.clone(),
            urls: self.places.urls.clone(),
            reach: Some(self.places.reach),
            advice: self.places.advice.clone(),
            pages: self.server.http_addresses().first().copied().map(from_here),
            torrents: totals.swarms,
            seeds: totals.seeds,
            leechers: totals.leechers,
            ring,
            ..TrackerNodeStatus::new(TrackerNodeState::Running)
        }
    }

    fn end(self) {
        self.node.leave(LEAVE_WITHIN);
        self.server.stop();
        self.node.stop();
    }
}

fn find_places(setup: &NodeSetup) -> Result<Places, PlaceError> {
    Places::find(setup.config.port, &setup.config.address, &setup.bind)
}

/// Whether anybody else has the port. A family that this computer does not have is no reason to stop.
fn check_port(addr: SocketAddr) -> Result<(), NodeError> {
    match TcpListener::bind(addr) {
        Err(source)
            if matches!(
                source.kind(),
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
            ) =>
        {
            Err(NodeError::Port {
                port: addr.port(),
                source,
            })
        }
        _ => Ok(()),
    }
}

fn ring_config(setup: &NodeSetup, places: &Places) -> Result<RingConfig, NodeError> {
    let NodeSetup { config, state, .. } = setup;
    let common = RingConfig {
        join: config.join.clone(),
        key: config.key.clone(),
        state: state.clone(),
        ..RingConfig::default()
    };
    if config.key.is_none() {
        let outside = config
            .join
            .iter()
            .find(|addr| !addr.ip().to_canonical().is_loopback());
        return match outside {
            Some(&addr) => Err(NodeError::JoinWithoutKey(addr)),
            None => Ok(RingConfig {
                listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
                ..common
            }),
        };
    }
    let address = places.address.ok_or(PlaceError::NoAddress)?;
    let port = config.ring_port;
    // Where the faces are.
    let listen = places.listen.iter().map(SocketAddr::ip);
    let listen = listen
        .clone()
        .find(|ip| ip.is_ipv4() == address.is_ipv4())
        .or(listen.clone().next());
    let listen = listen.ok_or(PlaceError::NoAddress)?;
    Ok(RingConfig {
        listen: Some(SocketAddr::new(listen, port)),
        advertise: Some(SocketAddr::new(address, port)),
        ..common
    })
}

/// Where this computer finds itself what listens on this address.
fn from_here(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listening.port())
}

#[cfg(test)]
mod tests;
