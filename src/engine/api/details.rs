//! All that can be seen of one torrent. Layer 1.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::bitfield::Bitfield;
use crate::id::InfoHash;
use crate::tracker::status::TrackerState;

/// All that can be seen of one torrent.
#[derive(Debug, Clone, Serialize)]
pub struct TorrentDetails {
    /// Its identity.
    pub info_hash: InfoHash,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// Number of pieces.
    pub piece_count: u32,
    /// The pieces one by one.
    pub map: PieceMap,
    /// Which pieces are verified and on disk, in the layout of [`crate::bitfield::Bitfield`].
    pub pieces: Box<[u8]>,
    /// How many that is.
    pub pieces_done: u32,
    /// Pieces that were received whole in this run, whatever their hash.
    pub pieces_received: u64,
    /// Those of them whose hash was wrong.
    pub pieces_failed: u64,
    /// Bytes of blocks that came twice or unasked.
    pub wasted: u64,
    /// One file, or a folder of files.
    pub multi_file: bool,
    /// Only its own trackers tell of peers.
    pub private: bool,
    /// Whether its pieces are fetched in order.
    pub sequential: bool,
    /// Limit from peers in KiB/s; 0: none.
    pub download_limit_kib: u64,
    /// Limit to peers in KiB/s; 0: none.
    pub upload_limit_kib: u64,
    /// Free text of its maker.
    pub comment: Option<String>,
    /// Program that made it.
    pub created_by: Option<String>,
    /// The files, padding left out.
    pub files: Vec<FileDetail>,
    /// The trackers in the order of their tiers.
    pub trackers: Vec<TrackerDetail>,
    /// The connected peers.
    pub peers: Vec<PeerDetail>,
    /// Addresses of peers that are known, connected or not.
    pub known_peers: usize,
    /// Nothing is asked for because the disk has not taken yet what has come.
    pub disk_behind: bool,
    /// Less is asked for than could be, as the memory for blocks is given out.
    pub memory_short: bool,
    /// The speeds of the last minute and hour.
    pub speeds: SpeedHistory,
}

/// What is known of single pieces, besides which are verified. Of a torrent without a thread that is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PieceMap {
    /// How many connected peers have each piece, 255 for as many or more. Empty: nobody is connected.
    pub availability: Box<[u8]>,
    /// The pieces that are being received or wait for their hash, in order.
    pub open: Vec<OpenPiece>,
    /// Pieces that came with a wrong hash and have not come well since, in order.
    pub suspect: Vec<u32>,
}

impl PieceMap {
    /// How many connected peers have a piece.
    pub fn peers_with(&self, piece: u32) -> u32 {
        self.availability
            .get(piece as usize)
            .copied()
            .unwrap_or_default()
            .into()
    }

    /// How many copies of the torrent the connected peers have among them: the whole part is what the rarest piece has,
    /// the rest the share of the pieces that have more.
    ///
    /// ```
    /// let map = dtorrent::engine::api::PieceMap { availability: [1, 2, 3, 1].into(), ..Default::default() };
    /// assert_eq!(map.copies(), 1.5);
    /// ```
    pub fn copies(&self) -> f64 {
        let Some(rarest) = self.availability.iter().min() else {
            return 0.0;
        };
        let more = self.availability.iter().filter(|count| *count > rarest).count();
        f64::from(*rarest) + more as f64 / self.availability.len() as f64
    }
}

/// A piece between its first request and the check of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OpenPiece {
    /// Which.
    pub piece: u32,
    /// Blocks that are here.
    pub received: u32,
    /// Blocks that are asked for.
    pub requested: u32,
    /// Blocks of the piece.
    pub total: u32,
}

/// How fast a torrent was, the latest value last. What is older than the first is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SpeedHistory {
    /// A value a second, [`Self::MINUTE`] at most.
    pub minute: Vec<Speed>,
    /// A value each ten seconds, [`Self::HOUR`] at most.
    pub hour: Vec<Speed>,
}

impl SpeedHistory {
    /// Values of a whole minute.
    pub const MINUTE: usize = 60;
    /// Values of a whole hour.
    pub const HOUR: usize = 360;
}

/// Mean speeds over a while, in bytes a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Speed {
    /// From peers.
    pub down: u64,
    /// To peers.
    pub up: u64,
}

/// How much a file is wanted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Not at all.
    Skip,
    /// After the others.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDetail {
    /// Components of its path, the torrent's name first.
    pub path: Vec<String>,
    /// Bytes.
    pub length: u64,
    /// The pieces that hold some of it.
    pub pieces: Range<u32>,
    /// Bytes in verified pieces.
    pub done: u64,
    /// How much it is wanted.
    pub priority: Priority,
    /// Whether it goes with the torrent when that is removed with its data: we created it, or a verified piece
    /// lies in it.
    pub own: bool,
    /// It was found there and belongs to somebody else: the torrent would have to write over it.
    pub in_the_way: bool,
}

/// One tracker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrackerDetail {
    /// Its URL.
    pub url: String,
    /// Its tier, from 0.
    pub tier: usize,
    /// How it stands.
    pub state: TrackerState,
    /// What it has said to us though it answers (`warning message`).
    pub warning: Option<String>,
    /// Seeds that it knows.
    pub seeds: Option<u32>,
    /// Leechers that it knows.
    pub leechers: Option<u32>,
    /// Peers in its last answer.
    pub peers: usize,
    /// Time to the next announce.
    pub next_announce: Option<Duration>,
}

impl TrackerDetail {
    /// Whether the last announce was answered.
    pub fn is_working(&self) -> bool {
        self.state == TrackerState::Working
    }

    /// Whether the last announce failed.
    pub fn has_failed(&self) -> bool {
        matches!(self.state, TrackerState::Failed(_))
    }
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeerDetail {
    /// Number of the connection, unique in a run.
    pub key: u64,
    /// Its address.
    pub addr: SocketAddr,
    /// Whether the peer opened it.
    pub incoming: bool,
    /// Client name and version, from the extension handshake or the peer id.
    pub client: String,
    /// The 20 bytes of the peer id, what cannot be printed escaped.
    pub peer_id: String,
    /// 0..=1 of the torrent.
    pub progress: f64,
    /// Bytes a second from it.
    pub download_rate: u64,
    /// Bytes a second to it.
    pub upload_rate: u64,
    /// Bytes of blocks from it.
    pub downloaded: u64,
    /// Bytes of blocks to it.
    pub uploaded: u64,
    /// We do not serve it.
    pub am_choking: bool,
    /// We want what it has.
    pub am_interested: bool,
    /// It does not serve us.
    pub peer_choking: bool,
    /// It wants what we have.
    pub peer_interested: bool,
    /// It owes us blocks for too long.
    pub snubbed: bool,
    /// It refuses what it should let us have, so it is left alone for a while.
    pub refusing: bool,
    /// We serve it for no reason but to find out whether it gives something in return.
    pub optimistic: bool,
    /// Where it is, by the configured database.
    pub country: Option<String>,
    /// Blocks that we asked it for and that are under way.
    pub requests_out: usize,
    /// Blocks that it asked us for and that wait.
    pub requests_in: usize,
    /// Its pieces, as far as it told: shared with the connection, so that thousands of pieces of hundreds of peers cost
    /// whoever tells of them nothing.
    #[serde(skip)]
    pub pieces: Arc<Bitfield>,
}
