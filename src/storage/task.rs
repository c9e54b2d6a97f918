//! What is asked of the disk threads and what they answer, as plain data. Layer 1.

use std::path::PathBuf;

use serde::Serialize;

use super::StorageError;
use super::layout::FileIndex;
use crate::bitfield::Bitfield;
use crate::geometry::{Block, PieceIndex};
use crate::memory::BlockBuf;

/// SHA-1 of one block of a piece: evidence of who sent a bad one.
pub type BlockDigest = [u8; 20];

/// How far the copy of a torrent's files to another file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CopyProgress {
    /// Bytes that are copied, holes included.
    pub copied: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// Work for the disk threads.
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
    /// Before a download: look whose files are there, check that it fits, create empty files, preallocate.
    Prepare {
        /// The files that are wanted.
        wanted: Vec<FileIndex>,
        /// The verified pieces.
        verified: Bitfield,
    },
    /// Make sure that everything written so far survives a power cut.
    Sync,
    /// Move all files to another folder. Uploads may go on meanwhile; writes of this torrent would wait, and a
    /// disk thread with them, so none may be submitted before the result is there.
    Move {
        /// The new download folder.
        to: PathBuf,
    },
    /// Remove the torrent's own files ([`super::Storage::is_own`]) and the folders that are empty then. Nothing else may
    /// be submitted for this torrent before the result is there, and afterwards only if it failed.
    Remove {
        /// The verified pieces.
        verified: Bitfield,
        /// Into the trash; else they are deleted for good.
        trash: bool,
    },
    /// Bring files and folders of several torrents back that a `Remove` of each has put into the trash.
    Restore {
        /// What [`DiskResult::Removed`] named for each.
        trashed: Vec<Vec<PathBuf>>,
    },
}

impl DiskTask {
    /// Bytes of data that it writes; 0 for a task that writes none.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::WritePiece { blocks, .. } => blocks.iter().map(|block| block.len() as u64).sum(),
            Self::Spill { blocks } => blocks.iter().map(|(_, block)| block.len() as u64).sum(),
            _ => 0,
        }
    }
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
    /// `Prepare`: done.
    Prepared {
        /// More files are the torrent's now than were before.
        has_claimed: bool,
    },
    /// `Sync`: done. What was written when the task began survives a power cut.
    Synced {
        /// The pieces that were completed since the last sync: they may enter the resume record.
        pieces: Vec<PieceIndex>,
    },
    /// `Move`: done. [`super::Storage::root`] is the new folder.
    Moved,
    /// `Remove`: done.
    Removed {
        /// The files and folders that are in the trash now, by the paths that they had.
        trashed: Vec<PathBuf>,
    },
    /// `Restore`: all is back that could be.
    Restored {
        /// For each torrent the first thing that did not go well.
        outcomes: Vec<Result<(), StorageError>>,
    },
    /// `Spill` failed: some of these blocks may be on disk all the same.
    SpillFailed {
        /// The blocks.
        blocks: Vec<Block>,
        /// What went wrong, with the file.
        error: StorageError,
    },
    /// `Sync` failed: what was completed since the last one may not survive a power cut.
    SyncFailed {
        /// What went wrong, with the file.
        error: StorageError,
    },
    /// Any other task failed: disk full, file gone, no permission.
    Failed {
        /// The piece, where the task had one.
        piece: Option<PieceIndex>,
        /// What went wrong, with the file.
        error: StorageError,
    },
}
