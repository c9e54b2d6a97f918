//! The listener ("server") and greeter: every half-open connection, in or out, on one thread. Layer 3.

use std::net::{SocketAddr, TcpStream};

use crate::id::InfoHash;
use crate::wire::handshake::Handshake;

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The peer did.
    Incoming,
    /// We did.
    Outgoing,
}

/// A connection whose handshake was exchanged, for a torrent that we have. The socket is blocking again and
/// nothing behind the handshake was read from it.
#[derive(Debug)]
pub struct Greeted {
    /// The connection.
    pub stream: TcpStream,
    /// The other end.
    pub addr: SocketAddr,
    /// Who opened it.
    pub direction: Direction,
    /// What the peer said.
    pub handshake: Handshake,
}

/// What the engine asks of the greeter.
#[derive(Debug)]
pub enum GreeterCommand {
    /// Accept and dial connections for this torrent from now on.
    Register(InfoHash),
    /// Drop the torrent and its half-open connections.
    Unregister(InfoHash),
    /// Connect to a peer.
    Dial {
        /// The torrent, registered before.
        info_hash: InfoHash,
        /// The peer.
        addr: SocketAddr,
    },
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
        /// What happened, in words.
        error: String,
    },
}
