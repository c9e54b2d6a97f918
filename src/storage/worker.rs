//! What a disk thread does with its jobs: hashing, writing and checking of pieces, and the rare tasks. Layer 3.

use std::collections::HashSet;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;

use super::disk::{DiskJob, Note};
use super::task::{BlockDigest, DiskResult, DiskTask};
use super::{Storage, StorageError, trash_can};
use crate::geometry::{BLOCK_LENGTH, Block, PieceIndex};
use crate::hashing::interleave::{Hasher, update_all};
use crate::hashing::{SLICE_LENGTH, hash_side_by_side};
use crate::id::sha1_of;
use crate::memory::BlockBuf;

/// What one disk thread owns.
#[derive(Debug)]
pub(super) struct Worker {
    /// For reading back, allocated by the first check.
    pub(super) buffers: Vec<Vec<u8>>,
    /// A length and the hash of as many zeroes: what a piece that was never written reads as.
    pub(super) zeroes: Option<(u32, [u8; 20])>,
    pub(super) notes: Sender<Note>,
    pub(super) closing: Arc<AtomicBool>,
    pub(super) no_copies: Arc<AtomicBool>,
}

impl Worker {
    /// Does a job and answers it. A piece that is to be written has this hash.
    pub(super) fn serve(&mut self, job: DiskJob, hash: Option<[u8; 20]>) {
        let DiskJob { storage, task, reply } = job;
        if let Some(result) = self.perform(&storage, task, hash) {
            // Nobody waits any more: the torrent was removed.
            let _ = reply.send(result);
        }
    }

    /// Does a task. `None`: it was given up because the client is closing.
    fn perform(
        &mut self,
        storage: &Arc<Storage>,
        task: DiskTask,
        hash: Option<[u8; 20]>,
    ) -> Option<DiskResult> {
        let closing = self.closing.load(Ordering::Relaxed);
        let outcome = match task {
            DiskTask::WritePiece {
                piece,
                expected,
                blocks,
                digests,
            } => {
                let is_right = hash == Some(expected);
                return Some(self.write_piece(storage, piece, is_right, &blocks, digests));
            }
            DiskTask::Spill { blocks } => return Some(spill(storage, blocks)),
            DiskTask::Prepare { wanted, verified } => {
                let wanted: HashSet<_> = wanted.into_iter().collect();
                let prepared = storage.prepare(|file| wanted.contains(&file), &verified);
                prepared.map(|has_claimed| DiskResult::Prepared { has_claimed })
            }
            // The lane has another thread for the one, and `check_all` for the others.
            DiskTask::Sync | DiskTask::CheckPiece { .. } => return None,
            DiskTask::Move { .. } | DiskTask::Remove { .. } | DiskTask::Restore { .. } if closing => {
                return None;
            }
            DiskTask::Move { to } => storage.move_to(&to, &self.no_copies).map(|()| DiskResult::Moved),
            DiskTask::Remove { verified, trash } => {
                let removed = storage.remove(&verified, trash);
                removed.map(|trashed| DiskResult::Removed { trashed })
            }
            DiskTask::Restore { trashed } => {
                let outcomes = trash_can::restore(&trashed);
                Ok(DiskResult::Restored { outcomes })
            }
        };
        Some(outcome.unwrap_or_else(|error| DiskResult::Failed { piece: None, error }))
    }

    /// A piece is whole and right in its files.
    fn completed(&self, storage: &Arc<Storage>, piece: PieceIndex) {
        storage.completed(piece);
        // The thread for journals lives as long as this sender.
        let _ = self.notes.send((Arc::clone(storage), piece));
    }

    /// Writes the blocks of a piece if its hash is right.
    fn write_piece(
        &self,
        storage: &Arc<Storage>,
        piece: PieceIndex,
        is_right: bool,
        blocks: &[BlockBuf],
        digests: bool,
    ) -> DiskResult {
        let each = || blocks.iter().map(|block| sha1_of(block)).collect();
        if !is_right {
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
        self.completed(storage, piece);
        DiskResult::Written {
            piece,
            digests: digests.then(each),
        }
    }

    /// Reads pieces back, side by side, and answers how their hashes are. They are given up if the client is closing.
    pub(super) fn check_all(&mut self, jobs: Vec<DiskJob>) {
        let mut checks: Vec<_> = jobs.into_iter().filter_map(Check::new).collect();
        checks.retain(|check| match self.cannot_be_right(check) {
            Ok(false) => true,
            Ok(true) => check.answer(check.mismatch(Vec::new())),
            Err(error) => check.answer(check.failed(error)),
        });
        // Several threads read pieces side by side from one file, in which the system sees no order.
        checks
            .iter()
            .for_each(|check| check.storage.read_ahead(check.piece, 0, check.size()));
        let mut hashes: Vec<_> = checks.iter().map(|_| None).collect();
        let sizes: Vec<_> = checks.iter().map(Check::size).enumerate().collect();
        let is_whole = hash_side_by_side(
            sizes,
            &mut self.buffers,
            |number, begin, slice| checks[number].read(begin, slice),
            |number, hash| hashes[number] = Some(hash),
            &self.closing,
        );
        // A hash for each, unless it was given up.
        for (check, hash) in checks
            .iter_mut()
            .zip(hashes.into_iter().flatten())
            .filter(|_| is_whole)
        {
            let result = check.result(hash);
            if matches!(result, DiskResult::Checked { .. }) {
                self.completed(&check.storage, check.piece);
            }
            check.answer(result);
        }
    }

    /// A fresh sparse file of many GiB is passed over at the speed of `lseek`.
    fn cannot_be_right(&mut self, check: &Check) -> Result<bool, StorageError> {
        Ok(check.storage.is_hole(check.piece)? && self.hash_of_zeroes(check.size()) != check.expected)
    }

    fn hash_of_zeroes(&mut self, size: u32) -> [u8; 20] {
        match self.zeroes {
            Some((length, hash)) if length == size => hash,
            _ => {
                let mut hash = Hasher::new();
                let block = [0; BLOCK_LENGTH as usize];
                let mut left = size as usize;
                while left > 0 {
                    let part = left.min(block.len());
                    hash.update(&block[..part]);
                    left -= part;
                }
                let hash = hash.finish();
                self.zeroes = Some((size, hash));
                hash
            }
        }
    }
}

/// A piece that is read back.
#[derive(Debug)]
struct Check {
    storage: Arc<Storage>,
    reply: Sender<DiskResult>,
    piece: PieceIndex,
    expected: [u8; 20],
    /// Those of its blocks so far, if they are asked for.
    digests: Option<Vec<BlockDigest>>,
}

impl Check {
    fn new(job: DiskJob) -> Option<Self> {
        let DiskJob { storage, task, reply } = job;
        let DiskTask::CheckPiece {
            piece,
            expected,
            digests,
        } = task
        else {
            return None;
        };
        Some(Self {
            storage,
            reply,
            piece,
            expected,
            digests: digests.then(Vec::new),
        })
    }

    fn size(&self) -> u32 {
        self.storage.layout().geometry().piece_size(self.piece)
    }

    /// Fills the slice, of whole blocks but for the last of the piece.
    fn read(&mut self, begin: u32, slice: &mut [u8]) -> Result<(), StorageError> {
        self.storage.read(self.piece, begin, slice)?;
        if let Some(digests) = &mut self.digests {
            digests.extend(slice.chunks(BLOCK_LENGTH as usize).map(sha1_of));
        }
        Ok(())
    }

    /// What has come of it, once it was read and this is its hash.
    fn result(&mut self, hash: Result<[u8; 20], StorageError>) -> DiskResult {
        let digests = match hash {
            Ok(hash) if hash == self.expected => {
                return DiskResult::Checked {
                    piece: self.piece,
                    digests: self.digests.take(),
                };
            }
            Ok(_) => self.digests_of_wrong(),
            Err(error) => Err(error),
        };
        digests.map_or_else(|error| self.failed(error), |digests| self.mismatch(digests))
    }

    /// Reads the piece again if need be, rather than that every good piece were hashed twice.
    fn digests_of_wrong(&mut self) -> Result<Vec<BlockDigest>, StorageError> {
        if let Some(digests) = self.digests.take() {
            return Ok(digests);
        }
        self.digests = Some(Vec::new());
        let mut slice = vec![0; SLICE_LENGTH as usize];
        for begin in (0..self.size()).step_by(slice.len()) {
            let length = (self.size() - begin).min(SLICE_LENGTH);
            self.read(begin, &mut slice[..length as usize])?;
        }
        Ok(self.digests.take().unwrap_or_default())
    }

    const fn mismatch(&self, digests: Vec<BlockDigest>) -> DiskResult {
        DiskResult::Mismatch {
            piece: self.piece,
            digests,
        }
    }

    fn failed(&self, error: StorageError) -> DiskResult {
        if error.is_absent() {
            return self.mismatch(Vec::new());
        }
        DiskResult::Failed {
            piece: Some(self.piece),
            error,
        }
    }

    /// Gives the result to whoever asked, unless nobody waits any more as the torrent was removed. Always `false`.
    fn answer(&self, result: DiskResult) -> bool {
        let _ = self.reply.send(result);
        false
    }
}

/// The hashes of pieces that are to be written, worked out together. `None` for other tasks.
pub(super) fn hashes_of(jobs: &[DiskJob]) -> Vec<Option<[u8; 20]>> {
    let piece_of = |job| match job {
        &DiskJob {
            task: DiskTask::WritePiece { ref blocks, .. },
            ..
        } => Some((Hasher::new(), &blocks[..])),
        _ => None,
    };
    let mut pieces: Vec<_> = jobs.iter().map(piece_of).collect();
    let most = pieces.iter().flatten().map(|(_, blocks)| blocks.len()).max();
    for number in 0..most.unwrap_or(0) {
        let mut parts: Vec<_> = pieces
            .iter_mut()
            .flatten()
            .filter_map(|(hasher, blocks)| Some((hasher, &blocks.get(number)?[..])))
            .collect();
        update_all(&mut parts);
    }
    let finish = |(hasher, _): (Hasher, _)| hasher.finish();
    pieces.into_iter().map(|piece| piece.map(finish)).collect()
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
