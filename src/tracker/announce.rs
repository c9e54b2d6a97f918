//! What an announce and a scrape say, whatever carries them. Layer 1, BEP 3 §trackers, BEP 48.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::id::{InfoHash, PeerId};

/// Longest text of a tracker that is shown to a person, in characters.
const MAX_TEXT: usize = 500;

/// Why an announce is sent outside of its regular time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The first one.
    Started,
    /// The download has just finished. Not sent by those who had everything from the start.
    Completed,
    /// The last one.
    Stopped,
}

impl Event {
    /// The word of BEP 3.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One announce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceRequest {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Who announces.
    pub peer_id: PeerId,
    /// The TCP port that peers connect to.
    pub port: u16,
    /// Bytes sent to peers since `started`.
    pub uploaded: u64,
    /// Bytes received since `started`.
    pub downloaded: u64,
    /// Bytes still missing.
    pub left: u64,
    /// Why now; `None` for a regular announce.
    pub event: Option<Event>,
    /// How many peers are wanted; `None` leaves it to the tracker.
    pub num_want: Option<u32>,
    /// Proves to the tracker that we are the same client when our address changes.
    pub key: u32,
    /// What the tracker called us in an earlier answer (HTTP only).
    pub tracker_id: Option<Vec<u8>>,
}

/// The answer to an announce.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnnounceResponse {
    /// Time between regular announces.
    pub interval: Duration,
    /// Never announce more often than this, events apart.
    pub min_interval: Option<Duration>,
    /// To be sent back with later announces.
    pub tracker_id: Option<Vec<u8>>,
    /// The announce was taken, but a person should read this.
    pub warning: Option<String>,
    /// Peers that have everything (`complete`).
    pub seeds: Option<u32>,
    /// Peers that do not (`incomplete`).
    pub leechers: Option<u32>,
    /// Downloads ever finished (`downloaded`).
    pub downloads: Option<u32>,
    /// Addresses; none has port 0.
    pub peers: Vec<SocketAddr>,
}

/// What a scrape tells of one torrent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// Peers that have everything.
    pub seeds: u32,
    /// Downloads ever finished.
    pub downloads: u32,
    /// Peers that do not have everything.
    pub leechers: u32,
}

/// Text from the network, for a person: bounded, and without control characters.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_TEXT)
        .collect()
}
