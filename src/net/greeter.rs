//! The listener ("server") and greeter: every half-open connection, in or out, on one thread. Layer 3.
//!
//! A peer costs a descriptor and some 300 bytes until both handshakes are through, and threads of its own only
//! then. So strangers who connect and say nothing cost little, and cannot keep others waiting:
//! - 10 s from the first packet to the last byte of the handshake;
//! - 256 dials and 768 incoming connections at a time, 64 from one host; when there are too many incoming, the
//!   one with the least progress gives way.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Sender, unbounded};

pub use self::exchange::RefusedHandshake;
use self::run::Greeter;
use self::server::Server;
use crate::id::{InfoHash, PeerId};
use crate::net::sockets::{SocketError, SocketFactory};
use crate::net::waker::Waker;
use crate::wire::handshake::Introduction;

mod dials;
mod exchange;
mod half_open;
mod run;
mod server;

/// A connection whose handshake was exchanged, for a torrent that we have. The socket is blocking again and
/// nothing behind the handshake was read from it.
#[derive(Debug)]
pub struct Greeted {
    /// The connection.
    pub stream: TcpStream,
    /// Who is at the other end.
    pub peer: Introduction,
}

/// What the engine asks of the greeter.
#[derive(Debug, Clone, Copy)]
pub enum GreeterCommand {
    /// Accept and dial connections for this torrent from now on.
    Register(InfoHash),
    /// Drop the torrent and its half-open connections; nothing is reported of them.
    Unregister(InfoHash),
    /// Connect to a peer. One [`GreeterEvent::Greeted`] or [`GreeterEvent::DialFailed`] answers it, unless the
    /// same dial is under way already or the torrent is not registered.
    Dial {
        /// The torrent, registered before.
        info_hash: InfoHash,
        /// The peer.
        addr: SocketAddr,
    },
    /// The configuration has changed: listen on this port (0: the system chooses) with the factory's new
    /// setting, and begin the dials under way again.
    Rebind {
        /// The port.
        port: u16,
    },
    /// Close everything half-open and end.
    Shutdown,
}

/// What the greeter reports.
#[derive(Debug)]
pub enum GreeterEvent {
    /// A new peer.
    Greeted(Greeted),
    /// A dialled peer did not answer, refused, or is of another swarm.
    DialFailed {
        /// The torrent.
        info_hash: InfoHash,
        /// The peer that was dialled.
        addr: SocketAddr,
        /// What happened.
        error: DialError,
    },
    /// Peers reach us at these addresses from now on, one for each family; all have the same port.
    Listening(Vec<SocketAddr>),
    /// Nobody can reach us, for this reason. It is tried again every few seconds, and dialling goes on.
    ListenFailed {
        /// Why.
        error: SocketError,
    },
}

/// Why a dial failed.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No connection came about.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The connection broke during the handshake.
    #[error("the connection failed: {0}")]
    Io(#[source] io::Error),
    /// The peer closed the connection during the handshake: it has no room, or not the torrent.
    #[error("the peer closed the connection before its handshake was complete")]
    Closed,
    /// No connection, or no whole handshake, within ten seconds.
    #[error("no answer for ten seconds")]
    TimedOut,
    /// The handshake was not for us.
    #[error(transparent)]
    Refused(#[from] RefusedHandshake),
    /// Thousands of dials wait already; try later.
    #[error("too many dials are waiting")]
    Busy,
}

impl DialError {
    /// Whether the address leads to ourselves, so that no torrent should dial it again.
    pub const fn is_own_address(&self) -> bool {
        matches!(self, Self::Refused(RefusedHandshake::Ourselves))
    }
}

/// What a greeter is made of.
#[derive(Debug)]
pub struct GreeterSetup {
    /// Makes its sockets.
    pub sockets: Arc<SocketFactory>,
    /// Where peers reach us; 0 lets the system choose.
    pub port: u16,
    /// What we call ourselves.
    pub peer_id: PeerId,
    /// Where it reports to. The thread waits while the channel is full.
    pub events: Sender<GreeterEvent>,
}

/// A greeter that runs. Dropping it ends the thread without waiting for it.
pub struct GreeterHandle {
    commands: Sender<GreeterCommand>,
    waker: Arc<Waker>,
    listening: Vec<SocketAddr>,
    thread: Option<JoinHandle<()>>,
}

impl GreeterHandle {
    /// Asks for something. After the thread has ended it has no effect.
    pub fn send(&self, command: GreeterCommand) {
        // The receiver is gone only if the thread has ended.
        let _ = self.commands.send(command);
        self.waker.wake();
    }

    /// Where peers reached us when the greeter started; nowhere if listening failed. Later changes are
    /// reported as [`GreeterEvent::Listening`].
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Closes everything half-open and waits for the end of the thread. Whoever receives the events must not
    /// wait for this on a full channel.
    pub fn shutdown(mut self) {
        self.send(GreeterCommand::Shutdown);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the greeter panicked");
        }
    }
}

impl Drop for GreeterHandle {
    fn drop(&mut self) {
        self.send(GreeterCommand::Shutdown);
    }
}

impl fmt::Debug for GreeterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreeterHandle")
            .field("listening", &self.listening)
            .finish_non_exhaustive()
    }
}

/// Listens and starts the thread. Where peers reach us, or why they do not, is also the first event.
///
/// # Errors
/// The system has no descriptor or no thread left. A port that is taken is not an error: dialling works, and
/// listening is tried again.
pub fn spawn(setup: GreeterSetup) -> io::Result<GreeterHandle> {
    let GreeterSetup {
        sockets,
        port,
        peer_id,
        events,
    } = setup;
    let (commands_tx, commands) = unbounded();
    let waker = Arc::new(Waker::new()?);
    let now = Instant::now();
    let mut server = Server::new(Arc::clone(&sockets), port, now);
    let outcome = server.listen(port, now);
    let listening = outcome.as_ref().map(Vec::clone).unwrap_or_default();
    let mut greeter = Greeter {
        sockets,
        peer_id,
        commands,
        waker: Arc::clone(&waker),
        events,
        server,
        torrents: Default::default(),
        dials: Default::default(),
        half_open: Default::default(),
        listen_error: None,
    };
    let thread = thread::Builder::new().name("greeter".to_owned()).spawn(move || {
        if greeter.report_listening(outcome).is_ok() {
            greeter.run();
        }
    })?;
    Ok(GreeterHandle {
        commands: commands_tx,
        waker,
        listening,
        thread: Some(thread),
    })
}

#[cfg(test)]
mod tests;
