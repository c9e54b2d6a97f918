//! The disk threads: hashing, writing and checking of pieces. Layer 3, one pool per client.
//!
//! Jobs wait in three unbounded queues; what is in them is bounded by the memory credits of their blocks, and
//! submitting never blocks. Writes go before checks, so that a recheck of one torrent does not hold up the
//! download of another and buffers come back soon. Moving and removing files may take long: one thread of
//! its own does that and nothing else.

use std::collections::HashSet;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, select_biased, unbounded};
use sha1::{Digest, Sha1};

use super::task::{BlockDigest, DiskResult, DiskTask};
use super::{Storage, StorageError};
use crate::geometry::{BLOCK_LENGTH, Block, PieceIndex};
use crate::id::sha1_of;
use crate::memory::BlockBuf;

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
                is_right,
                blocks,
                digests,
            } => {
                let expected = (!is_right).then_some(&expected);
                return Some(write_piece(storage, piece, expected, &blocks, digests));
            }
            DiskTask::Spill { blocks } => return Some(spill(storage, blocks)),
            DiskTask::CheckPiece { .. } if closing => return None,
            DiskTask::CheckPiece {
                piece,
                expected,
                digests,
            } => return Some(self.check_piece(storage, piece, &expected, digests)),
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

/// Writes the blocks of a piece; with a hash that they are `expected` to have, only if it is right.
fn write_piece(
    storage: &Storage,
    piece: PieceIndex,
    expected: Option<&[u8; 20]>,
    blocks: &[BlockBuf],
    digests: bool,
) -> DiskResult {
    let hash = || {
        let mut hash = Sha1::new();
        blocks.iter().for_each(|block| hash.update(&**block));
        hash.finalize()
    };
    let each = || blocks.iter().map(|block| sha1_of(block)).collect();
    if expected.is_some_and(|expected| hash()[..] != *expected) {
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
