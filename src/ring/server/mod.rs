//! A node of the ring at work: the machines of [`super::node`] and [`super::replica`], and the threads around them.
//! Layer 3.
//!
//! ```text
//!  faces ──ask──▶ RingTracker ──▶ router ─┐      (in the thread of the face)
//!                                         ▼
//!  links ──frames──▶ handler ──────▶ 16 keepers  (in the reading thread of each link)
//!                       │ Chord, custody  │ reports
//!                       ▼                 ▼
//!                     ring thread: Node, Custody, all ticks ──views──▶ keepers
//! ```
//!
//! Entries and answers never pass through the ring thread: whoever reads a frame feeds the keeper of its shard and
//! queues what comes out, and each link is flushed once for all that one wake-up has brought.
//!
//! # Locks
//!
//! Each keeper has one, the questions have one. A keeper's lock is held while what it wants sent is queued, which
//! keeps the order that [`super::replica`] asks for; no other lock is taken under it but those inside the links, and
//! nothing is waited for.

mod choice;
mod hub;
mod questions;
mod ring_node;
mod ring_thread;
mod status;
mod tracker;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded, unbounded};

pub use self::choice::{Choice, Chosen};
use self::hub::{Hub, HubService};
pub use self::ring_node::{RingNode, RingNodeError};
use self::ring_thread::{RingEvent, RingThread};
pub use self::status::RingStatus;
pub use self::tracker::RingTracker;
use super::contact::Contact;
use super::link::{KnownNodes, LinkSettings, Links, NodeKey, RingKey, Setup as LinkSetup, StartError};
use super::node::Start;
use super::timing::Timing;
use crate::net::sockets::SocketFactory;
use crate::tracker::swarm::Settings;

/// How long a node that ends waits for answers to clients that are under way. An announce takes some milliseconds.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How often it looks whether they have come.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a node is made of.
#[derive(Debug)]
pub struct Setup {
    /// This node: its place, this life, and where others reach it.
    pub me: Contact,
    /// What others know this node by.
    pub node_key: NodeKey,
    /// What lets nodes into the ring; without it only the loopback is used.
    pub ring_key: Option<RingKey>,
    /// The nodes met before: what they are known by.
    pub known: KnownNodes,
    /// Where others reach us.
    pub listener: TcpListener,
    /// Makes the sockets for calls.
    pub sockets: Arc<SocketFactory>,
    /// Where nodes of the ring may be: those the user names, and those remembered.
    pub join: Vec<SocketAddr>,
    /// How it begins. Also a ring of its own finds the one of `join`, sooner or later.
    pub how: Start,
    /// Bounds and times of the store; the node's name in it is set here.
    pub store: Settings,
}

/// A running node.
#[derive(Debug)]
pub struct RingServer {
    hub: Arc<Hub>,
    tracker: Arc<RingTracker>,
    links: Arc<Links>,
    events: Sender<RingEvent>,
    thread: Option<JoinHandle<()>>,
}

impl RingServer {
    /// Starts the node. It answers announces as soon as it has its place and its data.
    ///
    /// # Errors
    /// Without a ring key, if an address is not on the loopback; or if the system refuses something.
    pub fn start(setup: Setup) -> Result<Self, StartError> {
        let Setup {
            me,
            node_key,
            ring_key,
            known,
            listener,
            sockets,
            join,
            how,
            store,
        } = setup;
        let (events, inbox) = unbounded();
        let hub = Arc::new(Hub::new(me, store, events.clone()));
        let links = Arc::new(Links::start(
            LinkSetup {
                me,
                node_key,
                ring_key,
                known,
                listener: Some(listener),
                sockets,
                settings: LinkSettings::default(),
            },
            Arc::new(HubService(Arc::clone(&hub))),
        )?);
        let ring = RingThread::new(
            Arc::clone(&hub),
            Arc::clone(&links),
            inbox,
            join,
            Timing::default(),
        );
        let thread = thread::Builder::new()
            .name(format!("ring {}", me.addr))
            .spawn(move || ring.run(how))?;
        Ok(Self {
            tracker: Arc::new(RingTracker::new(Arc::clone(&hub), Arc::clone(&links))),
            hub,
            links,
            events,
            thread: Some(thread),
        })
    }

    /// What answers the faces.
    pub fn tracker(&self) -> Arc<RingTracker> {
        Arc::clone(&self.tracker)
    }

    /// The ring as this node sees it now; `None` if the node has ended.
    pub fn status(&self) -> Option<RingStatus> {
        self.tracker.status()
    }

    /// Whether the ring knows a later life of this node, as when another one was started with a copy of its state
    /// folder. This one serves nothing any more, and must end.
    pub fn is_outlived(&self) -> bool {
        self.hub.is_outlived()
    }

    /// Where nodes of the ring that this node has heard of may be found, for the next start.
    pub fn members(&self) -> Vec<SocketAddr> {
        self.status().map(|status| status.members).unwrap_or_default()
    }

    /// Brings all that this node keeps to others, and leaves the ring; waits until that is done, `within` at most.
    /// The faces should go on answering meanwhile. Returns whether everything is in safety.
    pub fn leave(&self, within: Duration) -> bool {
        let (done_tx, done_rx) = bounded(1);
        let asked = self.events.send(RingEvent::Leave(done_tx));
        asked.is_ok() && done_rx.recv_timeout(within).is_ok()
    }

    /// Ends the node without a word to the ring but that its links are closed. Clients of faces that have ended before
    /// it still get the answers that are under way.
    pub fn stop(mut self) {
        let began = Instant::now();
        while !self.hub.questions().router().is_empty() && began.elapsed() < LAST_ANSWERS {
            thread::sleep(LOOK_EVERY);
        }
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        let _ = self.events.send(RingEvent::Stop);
        if thread.join().is_err() {
            log::error!("the ring thread has panicked");
        }
        self.links.shut_down();
    }
}

impl Drop for RingServer {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests;
