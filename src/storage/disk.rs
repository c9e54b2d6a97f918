//! The disk threads: hashing, writing and checking of pieces. Layer 3, one pool per client.
//!
//! Jobs wait in three unbounded queues; what is in them is bounded by the memory credits of their blocks, and
//! submitting never blocks. Writes go before checks, so that a recheck of one torrent does not hold up the
//! download of another and buffers come back soon. Moving and removing files may take long: one thread of
//! its own does that and nothing else.

use std::collections::HashSet;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, select_biased, unbounded};
use sha1::{Digest, Sha1};

use super::layout::FileIndex;
use super::resume::ResumeRecord;
use super::{Storage, StorageError, Vouched};
use crate::bitfield::Bitfield;
use crate::geometry::{BLOCK_LENGTH, Block, PieceIndex};
use crate::id::sha1_of;
use crate::memory::BlockBuf;

/// SHA-1 of one block of a piece: evidence of who sent a bad one.
pub type BlockDigest = [u8; 20];

/// How much is read at a time when a piece is checked: whole blocks, little enough to stay in the cache
/// between reading and hashing.
const CHECK_SLICE: usize = 16 * BLOCK_LENGTH as usize;

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
    /// Judge a resume record by the files as they are: [`Storage::vouch`].
    Vouch {
        /// The record.
        record: Box<ResumeRecord>,
        /// The candidates of the journal.
        candidates: Vec<PieceIndex>,
    },
    /// Before a download: check that it fits, create empty files, preallocate.
    Prepare {
        /// The files that are wanted.
        wanted: Vec<FileIndex>,
    },
    /// Make sure that everything written so far survives a power cut.
    Sync,
    /// Move all files to another folder. Uploads may go on meanwhile; writes of this torrent would wait, and a
    /// disk thread with them, so none may be submitted before the result is there.
    Move {
        /// The new download folder.
        to: PathBuf,
    },
    /// Remove the torrent's own files ([`Storage::own_files`]) and the folders that are empty then. Nothing
    /// else may be submitted for this torrent afterwards.
    Remove {
        /// The verified pieces.
        verified: Bitfield,
        /// Into the trash; else they are deleted for good.
        trash: bool,
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
    /// `Vouch`: what still holds.
    Vouched(Vouched),
    /// `Prepare`: done.
    Prepared,
    /// `Sync`: done. What was written when the task began survives a power cut.
    Synced {
        /// The pieces that were completed since the last sync: they may enter the resume record.
        pieces: Vec<PieceIndex>,
    },
    /// `Move`: done. [`Storage::root`] is the new folder.
    Moved,
    /// `Remove`: done.
    Removed,
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

/// The disk threads. Dropping the pool finishes all writes, gives up checks and moves, and joins the threads.
#[derive(Debug)]
pub struct DiskPool {
    /// `None` only while the pool is being dropped.
    queues: Option<Queues<Sender<DiskJob>>>,
    threads: Vec<JoinHandle<()>>,
    closing: Arc<AtomicBool>,
    no_copies: Arc<AtomicBool>,
}

#[derive(Debug, Clone)]
struct Queues<Q> {
    writes: Q,
    checks: Q,
    moves: Q,
}

impl DiskPool {
    /// Starts `threads` (at least one) threads for pieces, and one for moves.
    ///
    /// # Errors
    /// The system has no room for another thread.
    pub fn spawn(threads: usize) -> io::Result<Self> {
        let (writes_tx, writes_rx) = unbounded();
        let (checks_tx, checks_rx) = unbounded();
        let (moves_tx, moves_rx) = unbounded();
        let mut pool = Self {
            queues: Some(Queues {
                writes: writes_tx,
                checks: checks_tx,
                moves: moves_tx,
            }),
            threads: Vec::new(),
            closing: Arc::default(),
            no_copies: Arc::default(),
        };
        for number in 0..threads.max(1) {
            let (writes, checks) = (writes_rx.clone(), checks_rx.clone());
            pool.start(format!("disk-{number}"), move |worker| {
                worker.run(&writes, &checks);
            })?;
        }
        pool.start("disk-move".into(), move |worker| worker.run_moves(&moves_rx))?;
        Ok(pool)
    }

    /// Queues a job. Never blocks. Jobs of one torrent may overtake each other: wait for a result before
    /// submitting what depends on it.
    pub fn submit(&self, job: DiskJob) {
        let Some(queues) = &self.queues else { return };
        let queue = match job.task {
            DiskTask::WritePiece { .. }
            | DiskTask::Spill { .. }
            | DiskTask::Vouch { .. }
            | DiskTask::Prepare { .. }
            | DiskTask::Sync => &queues.writes,
            DiskTask::CheckPiece { .. } => &queues.checks,
            DiskTask::Move { .. } | DiskTask::Remove { .. } => &queues.moves,
        };
        // The threads live as long as the senders: this cannot fail.
        let _ = queue.send(job);
    }

    /// Ends the move that is under way, and all later ones, unless they need no copy: each is answered with
    /// [`StorageError::Interrupted`]. For the end of the client, which would wait for hours.
    pub fn interrupt_moves(&self) {
        self.no_copies.store(true, Ordering::Relaxed);
    }

    fn start(&mut self, name: String, run: impl FnOnce(Worker) + Send + 'static) -> io::Result<()> {
        let worker = Worker {
            slice: Vec::new(),
            zeroes: None,
            closing: Arc::clone(&self.closing),
            no_copies: Arc::clone(&self.no_copies),
        };
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || run(worker))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for DiskPool {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.interrupt_moves();
        self.queues = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a disk thread has panicked");
            }
        }
    }
}

/// What one disk thread owns.
struct Worker {
    /// For reading back, allocated by the first check.
    slice: Vec<u8>,
    /// A length and the hash of as many zeroes: what a piece that was never written reads as.
    zeroes: Option<(u32, [u8; 20])>,
    closing: Arc<AtomicBool>,
    no_copies: Arc<AtomicBool>,
}

impl Worker {
    fn run(mut self, writes: &Receiver<DiskJob>, checks: &Receiver<DiskJob>) {
        loop {
            let job = select_biased! {
                recv(writes) -> job => job,
                recv(checks) -> job => job,
            };
            // Both queues close at the same time: one that is closed leaves the other to be emptied.
            match job.or_else(|_| writes.recv()).or_else(|_| checks.recv()) {
                Ok(job) => self.serve(job),
                Err(_) => return,
            }
        }
    }

    fn run_moves(mut self, moves: &Receiver<DiskJob>) {
        moves.iter().for_each(|job| self.serve(job));
    }

    fn serve(&mut self, job: DiskJob) {
        let DiskJob { storage, task, reply } = job;
        if let Some(result) = self.perform(&storage, task) {
            // Nobody waits any more: the torrent was removed.
            let _ = reply.send(result);
        }
    }

    /// Does a task. `None`: it was given up because the client is closing.
    fn perform(&mut self, storage: &Storage, task: DiskTask) -> Option<DiskResult> {
        let closing = self.closing.load(Ordering::Relaxed);
        let outcome = match task {
            DiskTask::WritePiece {
                piece,
                expected,
                blocks,
                digests,
            } => return Some(write_piece(storage, piece, &expected, &blocks, digests)),
            DiskTask::Spill { blocks } => return Some(spill(storage, blocks)),
            DiskTask::CheckPiece { .. } if closing => return None,
            DiskTask::CheckPiece {
                piece,
                expected,
                digests,
            } => return Some(self.check_piece(storage, piece, &expected, digests)),
            DiskTask::Vouch { record, candidates } => {
                return Some(DiskResult::Vouched(storage.vouch(&record, &candidates)));
            }
            DiskTask::Prepare { wanted } => {
                let wanted: HashSet<_> = wanted.into_iter().collect();
                let prepared = storage.prepare(|file| wanted.contains(&file));
                prepared.map(|()| DiskResult::Prepared)
            }
            DiskTask::Sync => return Some(sync(storage)),
            DiskTask::Move { .. } | DiskTask::Remove { .. } if closing => return None,
            DiskTask::Move { to } => storage.move_to(&to, &self.no_copies).map(|()| DiskResult::Moved),
            DiskTask::Remove { verified, trash } => {
                storage.remove(&verified, trash).map(|()| DiskResult::Removed)
            }
        };
        Some(outcome.unwrap_or_else(|error| DiskResult::Failed { piece: None, error }))
    }

    fn check_piece(
        &mut self,
        storage: &Storage,
        piece: PieceIndex,
        expected: &[u8; 20],
        digests: bool,
    ) -> DiskResult {
        match self.hash_on_disk(storage, piece, expected, digests) {
            Ok(Check::Right(digests)) => {
                storage.completed(piece);
                DiskResult::Checked { piece, digests }
            }
            Ok(Check::Wrong(digests)) => DiskResult::Mismatch { piece, digests },
            Err(error) if error.is_absent() => DiskResult::Mismatch {
                piece,
                digests: Vec::new(),
            },
            Err(error) => DiskResult::Failed {
                piece: Some(piece),
                error,
            },
        }
    }

    fn hash_on_disk(
        &mut self,
        storage: &Storage,
        piece: PieceIndex,
        expected: &[u8; 20],
        digests: bool,
    ) -> Result<Check, StorageError> {
        let size = storage.layout().geometry().piece_size(piece);
        // A fresh sparse file of many GiB is passed over at the speed of `lseek`.
        if storage.is_hole(piece)? && self.hash_of_zeroes(size) != *expected {
            return Ok(Check::Wrong(Vec::new()));
        }
        let mut hash = Sha1::new();
        let mut found = Vec::new();
        self.read_back(storage, piece, |slice| {
            hash.update(slice);
            if digests {
                found.extend(slice.chunks(BLOCK_LENGTH as usize).map(sha1_of));
            }
        })?;
        if hash.finalize()[..] == *expected {
            return Ok(Check::Right(digests.then_some(found)));
        }
        if !digests {
            // Read again rather than hash every good piece twice.
            self.read_back(storage, piece, |slice| {
                found.extend(slice.chunks(BLOCK_LENGTH as usize).map(sha1_of));
            })?;
        }
        Ok(Check::Wrong(found))
    }

    fn read_back(
        &mut self,
        storage: &Storage,
        piece: PieceIndex,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), StorageError> {
        self.slice.resize(CHECK_SLICE, 0);
        let size = storage.layout().geometry().piece_size(piece);
        for begin in (0..size).step_by(CHECK_SLICE) {
            let length = (size - begin).min(CHECK_SLICE as u32);
            let slice = &mut self.slice[..length as usize];
            storage.read(piece, begin, slice)?;
            each(slice);
        }
        Ok(())
    }

    fn hash_of_zeroes(&mut self, size: u32) -> [u8; 20] {
        match self.zeroes {
            Some((length, hash)) if length == size => hash,
            _ => {
                let mut hash = Sha1::new();
                let block = [0; BLOCK_LENGTH as usize];
                let mut left = size as usize;
                while left > 0 {
                    let part = left.min(block.len());
                    hash.update(&block[..part]);
                    left -= part;
                }
                let hash = hash.finalize().into();
                self.zeroes = Some((size, hash));
                hash
            }
        }
    }
}

/// What reading a piece back has shown, with the digests of its blocks as far as they are due.
enum Check {
    Right(Option<Vec<BlockDigest>>),
    Wrong(Vec<BlockDigest>),
}

fn write_piece(
    storage: &Storage,
    piece: PieceIndex,
    expected: &[u8; 20],
    blocks: &[BlockBuf],
    digests: bool,
) -> DiskResult {
    let mut hash = Sha1::new();
    blocks.iter().for_each(|block| hash.update(&**block));
    let each = || blocks.iter().map(|block| sha1_of(block)).collect();
    if hash.finalize()[..] != *expected {
        return DiskResult::Mismatch {
            piece,
            digests: each(),
        };
    }
    let data: Vec<IoSlice<'_>> = blocks.iter().map(|block| IoSlice::new(block)).collect();
    if let Err(error) = storage.write(piece, 0, &data) {
        return DiskResult::Failed {
            piece: Some(piece),
            error,
        };
    }
    storage.completed(piece);
    DiskResult::Written {
        piece,
        digests: digests.then(each),
    }
}

/// Writes blocks where they belong, neighbours with one call.
fn spill(storage: &Storage, mut spilled: Vec<(Block, BlockBuf)>) -> DiskResult {
    spilled.sort_by_key(|(block, _)| (block.piece, block.begin));
    let joined = |one: &(Block, BlockBuf), next: &(Block, BlockBuf)| {
        one.0.piece == next.0.piece && one.0.begin + one.0.length == next.0.begin
    };
    let outcome = spilled.chunk_by(joined).try_for_each(|run| {
        let data: Vec<IoSlice<'_>> = run.iter().map(|(_, data)| IoSlice::new(data)).collect();
        storage.write(run[0].0.piece, run[0].0.begin, &data)
    });
    let blocks = spilled.into_iter().map(|(block, _)| block).collect();
    match outcome {
        Ok(()) => DiskResult::Spilled { blocks },
        Err(error) => DiskResult::SpillFailed { blocks, error },
    }
}

fn sync(storage: &Storage) -> DiskResult {
    match storage.sync() {
        Ok(pieces) => DiskResult::Synced { pieces },
        Err(error) => DiskResult::SyncFailed { error },
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
