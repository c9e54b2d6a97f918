//! How a torrent stands, and what is kept of it while its thread does not run. Layer 1.

use std::net::SocketAddr;

use crate::bitfield::Bitfield;
use crate::engine::api::Priority;
use crate::geometry::PieceIndex;

/// Numbers of a running torrent, cheap enough to be told twice a second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TorrentStatus {
    /// 0..=1 of the check of its data, while there is one.
    pub checking: Option<f64>,
    /// Why it cannot go on.
    pub halted: Option<Halted>,
    /// Everything that is wanted is there.
    pub complete: bool,
    /// Bytes of wanted pieces that are missing.
    pub left: u64,
    /// Bytes a second from peers.
    pub download_rate: u64,
    /// Bytes a second to peers.
    pub upload_rate: u64,
    /// Bytes of blocks received in this run of its thread.
    pub downloaded: u64,
    /// Bytes of blocks sent in this run of its thread.
    pub uploaded: u64,
    /// Bytes of blocks that came for nothing, since the start of the program.
    pub wasted: u64,
    /// Connected peers.
    pub peers: usize,
    /// Those that have everything.
    pub seeds: usize,
}

/// Why a torrent cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halted {
    /// What happened, in words for a person.
    pub message: String,
    /// It tries again by itself, as on a full disk. Else it waits for the user.
    pub retries: bool,
    /// Somebody else's file is in the way.
    pub in_the_way: bool,
}

/// What is kept of a torrent between two runs of its thread, on disk and in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Pieces that are verified and survive a power cut.
    pub have: Bitfield,
    /// Pieces that must be hashed before it is known whether they belong to `have`.
    pub unchecked: Vec<PieceIndex>,
    /// One for each file that is not padding; empty: all normal.
    pub priorities: Vec<Priority>,
    /// Pieces are fetched in order.
    pub sequential: bool,
    /// Bytes of blocks received in this run of its thread.
    pub downloaded: u64,
    /// Bytes of blocks sent in this run of its thread.
    pub uploaded: u64,
    /// What was counted since the start of the program.
    pub tally: Tally,
    /// Where peers may be found next time.
    pub known_peers: Vec<SocketAddr>,
}

/// What is counted for the display, from the start of the program on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Pieces received whole.
    pub pieces_received: u64,
    /// Those of them with a wrong hash.
    pub pieces_failed: u64,
    /// Bytes of blocks that came twice or unasked.
    pub wasted: u64,
}
