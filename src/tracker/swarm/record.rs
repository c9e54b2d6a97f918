//! What goes into the store and comes out of it. Layer 1.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use super::version::Version;
use crate::id::InfoHash;

/// Seconds of a clock that never goes back, counted from whatever moment the process likes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u32);

/// What a peer is doing. The order decides between two entries of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerState {
    /// It lacks something.
    Leech,
    /// It has everything.
    Seed,
    /// It has left. The entry is a tombstone, so that an older copy of it cannot bring the peer back.
    Stopped,
}

/// Which addresses somebody can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// IPv4 only (BEP 15 over IPv4 has no room for others).
    V4,
    /// IPv6 only.
    V6,
    /// Either (BEP 7).
    Both,
}

/// An announce, as far as the store cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAnnounce {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Where the peer takes connections. IPv4 in IPv6 clothes is IPv4; scope and flow mean nothing here.
    pub peer: SocketAddr,
    /// What the peer is doing.
    pub state: PeerState,
    /// Whether its download has just ended (`event=completed`).
    pub completed: bool,
    /// Whose addresses it wants to have.
    pub families: Families,
    /// How many of them at most.
    pub limit: usize,
}

/// One entry of the store, on its way from one node to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Where the peer takes connections.
    pub peer: SocketAddr,
    /// What it is doing.
    pub state: PeerState,
    /// In how many seconds the entry ends, if nothing is heard of the peer. Clocks need not agree this way.
    pub seconds_left: u16,
    /// When the owner stamped it.
    pub version: Version,
}

/// How many downloads of a swarm one node has counted. Only ever grows, so the greater of two is the later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloads {
    /// The swarm.
    pub info_hash: InfoHash,
    /// The node that counted: the first four bytes of its id.
    pub node: u32,
    /// Its count.
    pub count: u32,
}

/// An entry whose time was over at the owner. Copies drop it when they hear so, which keeps owner and copies equal
/// entry by entry although their clocks are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// The swarm.
    pub info_hash: InfoHash,
    /// The peer.
    pub peer: SocketAddr,
    /// The version that was dropped. A later one stays.
    pub version: Version,
}

/// The one way to write an address: IPv4 as IPv4, and no scope or flow.
pub fn canonical(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, peer.port()),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, peer.port(), 0, 0).into(),
    }
}
