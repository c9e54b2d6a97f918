//! The links between nodes: encrypted connections that carry [frames](super::frame) in batches. Layer 3, with its
//! own parts of layers 1 and 2.
//!
//! # How the node uses them
//!
//! [`Links::start`] takes who we are and a [`Service`], which is told of links that come and go, and gives each
//! link a handler of its frames. Nobody asks for a link: every thread that sends has a [`Post`] (of
//! [`Links::post`], or lent to the handler), and the first frame for a node makes it call that node.
//!
//! - A **handler** runs in the reading thread of its link with all frames of one wake-up. It may lock a shard, feed
//!   a machine, and [`Post::send`] what comes out while the shard is locked; the link flushes after it. Frames of
//!   two threads for one node arrive in the order of their `send`s.
//! - A **face** does the same with a `Post` of its own, and flushes once for each batch of requests.
//! - The **ring thread** has one too, for its ticks. Handlers pass it Chord's frames, and the service passes it
//!   `opened`, `closed` and `met`, through its channel.
//!
//! | from | to |
//! |---|---|
//! | `ring::node::Action::Send` | `post.send(&to, kind::CHORD, \|out\| message.encode(out))` |
//! | frames of [`kind::CHORD`](super::frame::kind::CHORD) | `Node::on_message`, in the ring thread |
//! | frames of [`kind::DATA`](super::frame::kind::DATA) | the keeper of their shard, in the handler; replies by its `Post` |
//! | [`Service::closed`], if it means dead | `Node::on_lost`; for the data, any end is a gap in what was sent |
//! | [`Service::met`], and [`Service::opened`] for a later life | `Node::on_found` |
//! | a node that Chord finds dead | [`Links::give_up`] |
//! | the user's list of nodes to join | [`Links::meet`], again until one answers |
//!
//! A link says nothing about life: a node that is stopped keeps its link, and it is for Chord to ping. But a reset
//! link, a refused call and a goodbye are told at once, and [`Ending::means_dead`] says which is which.
//!
//! # Bounds
//!
//! A node that does not read has [`LinkSettings::queue_bytes`] waiting, and as many on their way to the socket; then
//! its link is lost. Who sends much asks [`Post::waiting`] and goes slower. Half-open connections, links, calls
//! and frames have bounds; reading stops while a handler works.
//!
//! # Who may talk
//!
//! The handshake is `Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s`: the [`RingKey`] lets a node in, and its own key proves
//! its id, which [`KnownNodes`] binds to the first key that it was seen with. Who is refused is logged with its
//! address. Without a ring key everything stays on the loopback.
//!
//! # Files
//!
//! [`Identity`] and [`KnownNodes`] are a file each in the node's state folder, and the ring key is one where the
//! user wants it.

mod calls;
mod complaints;
mod ending;
mod file;
mod handshake;
mod hello;
mod hex;
mod identity;
mod inbox;
mod keys;
mod known;
mod listener;
mod neighbour;
mod noise;
mod outlet;
mod post;
mod reader;
mod service;
mod shared;
mod slot;
mod status;
mod timed;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

pub use self::ending::Ending;
use self::ending::Goodbye;
pub use self::handshake::HandshakeError;
pub use self::hello::{OLDEST_VERSION, Refusal, VERSION};
pub use self::identity::Identity;
pub use self::inbox::ReadError;
pub use self::keys::{KeyError, NodeKey, PublicKey, RingKey};
pub use self::known::KnownNodes;
pub use self::noise::OpenError;
pub use self::post::Post;
pub use self::service::{FrameHandler, Service};
use self::shared::Shared;
pub use self::status::{LinkStatus, Totals};
use crate::net::sockets::SocketFactory;
use crate::net::waker::Waker;
use crate::ring::contact::Contact;

/// Bounds and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSettings {
    /// Most bytes that may wait for one node; beyond it the link is lost.
    pub queue_bytes: usize,
    /// After this time without a frame either way a link is closed.
    pub idle: Duration,
    /// How long the system may try to connect.
    pub connect_timeout: Duration,
    /// How long the handshake may take.
    pub handshake_timeout: Duration,
    /// How long links may take to be closed in good order when the node shuts down.
    pub farewell: Duration,
    /// Most connections of others without a whole handshake; beyond it the oldest is ended.
    pub max_half_open: usize,
    /// Most links, calls included.
    pub max_links: usize,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            queue_bytes: 4 << 20,
            idle: Duration::from_secs(120),
            connect_timeout: Duration::from_secs(3),
            handshake_timeout: Duration::from_secs(4),
            farewell: Duration::from_secs(1),
            max_half_open: 64,
            max_links: 1_024,
        }
    }
}

/// Why there are no links at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Without a ring key others could join.
    #[error(
        "{addr} is not on the loopback, and there is no ring key, so anybody could join this ring; make a key with `dtracker key`, or give the ring a loopback address"
    )]
    NoKey {
        /// The address that was to be listened on, or told to others.
        addr: SocketAddr,
    },
    /// The system refused something.
    #[error("cannot take connections of other ring nodes: {0}")]
    Io(#[from] io::Error),
}

/// What the links are made of.
#[derive(Debug)]
pub struct Setup {
    /// This node: its place, this life, and where others reach the listener.
    pub me: Contact,
    /// What others know this node by.
    pub node_key: NodeKey,
    /// What lets nodes into this ring; without it only the loopback is used.
    pub ring_key: Option<RingKey>,
    /// The nodes met before.
    pub known: KnownNodes,
    /// Where others reach us. It is made non-blocking. `None`: a visitor, who calls others under an id that they
    /// need not remember, and is not called.
    pub listener: Option<TcpListener>,
    /// Makes the sockets for calls.
    pub sockets: Arc<SocketFactory>,
    /// Bounds and times.
    pub settings: LinkSettings,
}

/// All links of this node.
#[derive(Debug)]
pub struct Links {
    shared: Arc<Shared>,
    waker: Arc<Waker>,
}

impl Links {
    /// Lets others in from now on.
    ///
    /// # Errors
    /// Without a ring key, if an address is not on the loopback; or if the system refuses something.
    pub fn start(setup: Setup, service: Arc<dyn Service>) -> Result<Self, StartError> {
        let local = setup.listener.as_ref().map(TcpListener::local_addr).transpose()?;
        if setup.ring_key.is_none() {
            let outside = local
                .into_iter()
                .chain([setup.me.addr])
                .find(|addr| !addr.ip().to_canonical().is_loopback());
            if let Some(addr) = outside {
                return Err(StartError::NoKey { addr });
            }
            if local.is_some() {
                log::warn!("there is no ring key: this node talks to nodes on this machine only");
            }
        }
        let (shared, listener) = Shared::new(setup, service);
        let shared = Arc::new(shared);
        let waker = Arc::new(Waker::new()?);
        if let (Some(listener), Some(local)) = (listener, local) {
            listener.set_nonblocking(true)?;
            let (far, woken) = (Arc::clone(&shared), Arc::clone(&waker));
            shared.threads.spawn(format!("ring {local}"), move || {
                listener::run(&far, &listener, &woken);
            })?;
        }
        Ok(Self { shared, waker })
    }

    /// The sending side of one thread.
    pub fn post(&self) -> Post {
        Post::new(Arc::clone(&self.shared))
    }

    /// Asks who is at this address; [`Service::met`] gets the answer. It makes no link.
    pub fn meet(&self, addr: SocketAddr) {
        calls::meet(&self.shared, addr);
    }

    /// Ends the link to this life of a node, which was found to be dead. [`Service::closed`] hears of it.
    pub fn give_up(&self, contact: &Contact) {
        if let Some(neighbour) = self.shared.neighbour(contact.id) {
            neighbour.give_up(contact);
        }
    }

    /// The links that there are.
    pub fn status(&self) -> Vec<LinkStatus> {
        let neighbours = self.shared.neighbours();
        neighbours
            .iter()
            .filter_map(|neighbour| neighbour.status())
            .collect()
    }

    /// Says goodbye to everybody, ends all links, and joins the threads; what is queued goes out first, as far as
    /// the others take it within [`LinkSettings::farewell`]. Not from a thread of a link. What is sent after it is
    /// dropped.
    pub fn shut_down(&self) {
        self.shared.stop();
        self.waker.wake();
        let neighbours = self.shared.neighbours();
        for neighbour in &neighbours {
            neighbour.part(Goodbye::Left);
            self.shared.flush(neighbour);
        }
        self.shared.half_open_in.end_all();
        self.shared.half_open_out.end_all();
        self.shared.lines.wait_for_none(self.shared.settings.farewell);
        for neighbour in &neighbours {
            neighbour.cut(Ending::ShutDown);
        }
        self.shared.threads.join_all();
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.shut_down();
    }
}

#[cfg(test)]
mod tests;
