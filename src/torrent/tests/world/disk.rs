//! The scripted disk.

use std::collections::VecDeque;

use crate::geometry::{BLOCK_LENGTH, Block, Geometry, PieceIndex};
use crate::id::sha1_of;
use crate::storage::StorageError;
use crate::storage::task::{DiskResult, DiskTask};

/// How the scripted disk behaves.
#[derive(Debug)]
pub(in crate::torrent::tests) struct Disk {
    /// What is on it.
    pub(in crate::torrent::tests) image: Vec<u8>,
    /// What waits, in the order in which it was asked for.
    pub(in crate::torrent::tests) queue: VecDeque<DiskTask>,
    /// Tasks that it does in a step.
    pub(in crate::torrent::tests) speed: usize,
    /// Takes the tasks in any order.
    pub(in crate::torrent::tests) reorders: bool,
    /// Every write fails: no room.
    pub(in crate::torrent::tests) full: bool,
    /// One write in so many fails: no room.
    pub(in crate::torrent::tests) fails_one_in: Option<u32>,
    /// The files are gone when a piece is read back.
    pub(in crate::torrent::tests) forgets: bool,
    /// This piece cannot be read back.
    pub(in crate::torrent::tests) unreadable: Option<PieceIndex>,
    pub(in crate::torrent::tests) prepared: usize,
}

impl Disk {
    fn error() -> StorageError {
        StorageError::DiskFull {
            path: "fixture".into(),
        }
    }

    fn put(&mut self, geometry: Geometry, block: Block, data: &[u8]) {
        let at = geometry.piece_offset(block.piece) as usize + block.begin as usize;
        self.image[at..at + data.len()].copy_from_slice(data);
    }

    pub(super) fn piece(&self, geometry: Geometry, piece: PieceIndex) -> &[u8] {
        let at = geometry.piece_offset(piece) as usize;
        &self.image[at..at + geometry.piece_size(piece) as usize]
    }

    pub(super) fn perform(
        &mut self,
        geometry: Geometry,
        rng: &mut fastrand::Rng,
        task: DiskTask,
    ) -> DiskResult {
        let fails = self.full || self.fails_one_in.is_some_and(|many| rng.u32(..many) == 0);
        match task {
            DiskTask::WritePiece {
                piece,
                expected,
                blocks,
                digests,
            } => {
                let each = || blocks.iter().map(|block| sha1_of(block)).collect();
                if sha1_of(
                    &blocks
                        .iter()
                        .flat_map(|block| block.iter().copied())
                        .collect::<Vec<_>>(),
                ) != expected
                {
                    return DiskResult::Mismatch {
                        piece,
                        digests: each(),
                    };
                }
                if fails {
                    return DiskResult::Failed {
                        piece: Some(piece),
                        error: Self::error(),
                    };
                }
                for (block, data) in geometry.blocks(piece).zip(&blocks) {
                    self.put(geometry, block, data);
                }
                DiskResult::Written {
                    piece,
                    digests: digests.then(each),
                }
            }
            DiskTask::Spill { blocks } => {
                let names = blocks.iter().map(|(block, _)| *block).collect();
                // A write that fails has reached the disk in part.
                let written = if fails {
                    rng.usize(..blocks.len())
                } else {
                    blocks.len()
                };
                for (block, data) in &blocks[..written] {
                    self.put(geometry, *block, data);
                }
                if fails {
                    return DiskResult::SpillFailed {
                        blocks: names,
                        error: Self::error(),
                    };
                }
                DiskResult::Spilled { blocks: names }
            }
            DiskTask::CheckPiece { piece, .. } if self.unreadable == Some(piece) => DiskResult::Failed {
                piece: Some(piece),
                error: StorageError::NotAFile {
                    path: "fixture/0".into(),
                },
            },
            DiskTask::CheckPiece { piece, .. } if self.forgets => DiskResult::Mismatch {
                piece,
                digests: Vec::new(),
            },
            DiskTask::CheckPiece {
                piece,
                expected,
                digests,
            } => {
                let bytes = self.piece(geometry, piece);
                let found = bytes.chunks(BLOCK_LENGTH as usize).map(sha1_of).collect();
                if sha1_of(bytes) == expected {
                    DiskResult::Checked {
                        piece,
                        digests: digests.then_some(found),
                    }
                } else {
                    DiskResult::Mismatch {
                        piece,
                        digests: found,
                    }
                }
            }
            DiskTask::Prepare { .. } if self.full => DiskResult::Failed {
                piece: None,
                error: Self::error(),
            },
            DiskTask::Prepare { .. } => {
                self.prepared += 1;
                DiskResult::Prepared { has_claimed: true }
            }
            task => panic!("the machine never asks for {task:?}"),
        }
    }
}
