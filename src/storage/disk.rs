//! The disk threads: hashing, writing and checking of pieces. Layer 3.

use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::geometry::{Block, PieceIndex};
use crate::memory::BlockBuf;

/// SHA-1 of one block of a piece: evidence of who sent a bad one.
pub type BlockDigest = [u8; 20];

/// The storage of one torrent.
#[derive(Debug)]
pub struct Storage {}

/// An error of the storage.
#[derive(Debug, Clone, thiserror::Error)]
#[error("storage")]
pub struct StorageError {}

/// Work for the disk threads.
#[derive(Debug)]
pub struct DiskJob {
    /// The torrent's files.
    pub storage: Arc<Storage>,
    /// What to do.
    pub task: DiskTask,
    /// Where the result goes.
    pub reply: Sender<DiskResult>,
}

/// What a [`DiskJob`] does.
#[derive(Debug)]
pub enum DiskTask {
    /// Hash the blocks of a whole piece while they are warm, and write them with one call if the hash is right.
    WritePiece {
        /// The piece.
        piece: PieceIndex,
        /// What its SHA-1 must be.
        expected: [u8; 20],
        /// All of its blocks, in order.
        blocks: Vec<BlockBuf>,
        /// Also give the digest of each block with a good result (with a bad one they always come).
        digests: bool,
    },
    /// Write blocks of a piece that is too large to be kept in memory; nothing counts or serves them.
    Spill {
        /// The blocks with their data.
        blocks: Vec<(Block, BlockBuf)>,
    },
    /// Read a piece back and compare its hash: a spilled piece, or a recheck.
    CheckPiece {
        /// The piece.
        piece: PieceIndex,
        /// What its SHA-1 must be.
        expected: [u8; 20],
        /// As in `WritePiece`.
        digests: bool,
    },
    /// Make sure that everything written so far survives a power cut.
    Sync,
    /// Move all files to another folder.
    Move {
        /// The new download folder.
        to: std::path::PathBuf,
    },
}

/// What became of a [`DiskTask`].
#[derive(Debug)]
pub enum DiskResult {
    /// `WritePiece`: hash right, written.
    Written {
        /// The piece.
        piece: PieceIndex,
        /// Digest of each block, if they were asked for.
        digests: Option<Vec<BlockDigest>>,
    },
    /// `WritePiece` or `CheckPiece`: the hash is wrong. Nothing was written.
    Mismatch {
        /// The piece.
        piece: PieceIndex,
        /// Digest of each block; empty when a check found no file or a file that is too short.
        digests: Vec<BlockDigest>,
    },
    /// `Spill`: these blocks are on disk.
    Spilled {
        /// The blocks.
        blocks: Vec<Block>,
    },
    /// `CheckPiece`: the hash is right.
    Checked {
        /// The piece.
        piece: PieceIndex,
        /// Digest of each block, if they were asked for.
        digests: Option<Vec<BlockDigest>>,
    },
    /// `Sync`: done.
    Synced,
    /// `Move`: done.
    Moved,
    /// The task failed: disk full, file gone, no permission.
    Failed {
        /// The piece, where the task had one.
        piece: Option<PieceIndex>,
        /// What went wrong, with the file.
        error: StorageError,
    },
}
