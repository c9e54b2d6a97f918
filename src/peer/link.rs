//! What a peer's threads and its Downloader share: messages both ways, and counters that nobody waits for.
//! Layer 1.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crate::geometry::{Block, PieceIndex};
use crate::memory::BlockBuf;
use crate::wire::message::Message;

/// A connection, for as long as the client runs; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub u64);

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One thing that a peer said.
#[derive(Debug)]
pub enum PeerInput {
    /// Anything but a block.
    Message(Message),
    /// A block, `data.len()` bytes from byte `begin` of a piece. The numbers are as the peer sent them.
    Block {
        /// Number of the piece, unchecked.
        piece: u32,
        /// First byte within the piece, unchecked.
        begin: u32,
        /// The payload, at most [`crate::geometry::BLOCK_LENGTH`] bytes.
        data: BlockBuf,
    },
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer closed it.
    #[error("the peer closed the connection")]
    ByPeer,
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(String),
    /// A message was over its length, or a deadline for one passed, or it could not be read at all.
    #[error("the peer broke the protocol: {0}")]
    Protocol(String),
    /// Its socket took nothing for a minute while there was something to send.
    #[error("the peer stopped reading")]
    Stalled,
    /// We could not read what we owed the peer from our own disk.
    #[error("reading for an upload failed: {0}")]
    Disk(String),
    /// We closed it, for this reason.
    #[error("{0}")]
    ByUs(&'static str),
}

/// What one wake-up of a peer's reader yielded, in the order in which it came.
///
/// All that a reader says goes through one channel per torrent: with two, a choke could overtake the blocks
/// sent before it.
#[derive(Debug)]
pub struct PeerBatch {
    /// Who.
    pub peer: PeerKey,
    /// When the bytes were read.
    pub at: Instant,
    /// What was said.
    pub inputs: Vec<PeerInput>,
    /// Set in the last batch of a connection, and in no other.
    pub closed: Option<CloseReason>,
}

/// What the Downloader tells a peer's writer. Nothing here can pile up: requests are bounded by credits,
/// uploads by the length of the queue that we announce, the rest by the peer's own messages.
#[derive(Debug)]
pub enum PeerCommand {
    /// Send these, in order.
    Send(Vec<Message>),
    /// Read this block from disk and send it; queued behind earlier ones.
    Upload(Block),
    /// The peer took this request back: drop it if it is still queued (and say so to a fast peer).
    CancelUpload(Block),
    /// Send `choke` and drop every queued upload, with the rejects that BEP 6 asks for.
    Choke {
        /// Uploads from these pieces stay: they were granted whether we choke or not (BEP 6 §allowed fast set).
        granted: Vec<PieceIndex>,
    },
    /// The list of completed pieces has grown: send a `have` for each new one.
    Haves,
}

/// Counters of one connection that its threads write and its Downloader reads.
#[derive(Debug, Default)]
pub struct PeerCounters {
    /// All bytes received, protocol included.
    pub received: AtomicU64,
    /// All bytes sent, protocol included.
    pub sent: AtomicU64,
    /// Bytes of blocks sent.
    pub payload_sent: AtomicU64,
    /// Uploads queued at the writer and neither sent nor dropped yet. [`super::connection::Connection::send`]
    /// counts each in as it hands it over; only the writer counts it out.
    pub uploads_queued: AtomicU32,
    /// A [`PeerCommand::Haves`] is on its way, so another one is not needed.
    pub haves_pending: AtomicBool,
    /// The connection is being closed: threads that wait for rate tokens give up.
    pub closing: AtomicBool,
}

impl PeerCounters {
    /// Bytes of blocks sent.
    pub fn sent_payload(&self) -> u64 {
        self.payload_sent.load(Ordering::Relaxed)
    }
}

/// The pieces that this client completed, in the order in which it did. Each writer keeps its own place in
/// the list, so a slow peer costs no queue. One thread appends, any number read; a slot is published by the
/// length that follows it.
#[derive(Debug)]
pub struct CompletedLog {
    slots: Box<[AtomicU32]>,
    length: AtomicUsize,
}

impl CompletedLog {
    /// An empty list with room for `capacity` pieces.
    pub fn new(capacity: u32) -> Self {
        Self {
            slots: (0..capacity).map(|_| AtomicU32::new(0)).collect(),
            length: AtomicUsize::new(0),
        }
    }

    /// Appends a piece. Only the Downloader calls this, once for each piece; one too many is dropped.
    pub fn push(&self, piece: PieceIndex) {
        let length = self.length.load(Ordering::Relaxed);
        if let Some(slot) = self.slots.get(length) {
            slot.store(piece.0, Ordering::Relaxed);
            self.length.store(length + 1, Ordering::Release);
        }
    }

    /// How many pieces are in the list.
    pub fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    /// Whether the list has no pieces.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces from place `cursor` on.
    pub fn since(&self, cursor: usize) -> impl Iterator<Item = PieceIndex> + '_ {
        let length = self.len();
        self.slots[cursor.min(length)..length]
            .iter()
            .map(|slot| PieceIndex(slot.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_of_the_completed_log_has_its_own_place() {
        let log = CompletedLog::new(3);
        log.push(PieceIndex(2));
        log.push(PieceIndex(0));
        assert_eq!(log.since(0).collect::<Vec<_>>(), [PieceIndex(2), PieceIndex(0)]);
        assert_eq!(log.since(1).collect::<Vec<_>>(), [PieceIndex(0)]);
        assert_eq!(log.since(9).count(), 0);
        log.push(PieceIndex(1));
        log.push(PieceIndex(1));
        assert_eq!(log.len(), 3, "one too many is dropped");
    }
}
