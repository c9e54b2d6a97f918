//! Pieces between their first request and the disk, and the credits that they hold. Layer 2.
//!
//! A piece is opened only when there are credits for all of its blocks, so an open piece can always be
//! finished and no piece waits for the memory that another one holds. Pieces larger than a quarter of the
//! budget would let nothing else live beside them: their blocks hold one credit each from request to disk and
//! are spilled there unverified, where nothing counts or serves them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::geometry::{Block, Geometry, PieceIndex};
use crate::memory::{BlockBuf, Budget};
use crate::torrent::blame::Author;

/// Blocks of whole pieces at the disk threads of which nothing more is asked for: 8 MiB. It keeps two threads busy for
/// some milliseconds, more than a look at what the disk answers takes.
const MOST_AT_DISK: usize = 512;

#[derive(Debug)]
struct OpenPiece {
    /// Blocks that are in memory, by number; all `None` in a piece that is spilled.
    blocks: Vec<Option<BlockBuf>>,
    authors: Vec<Option<Author>>,
    /// Credits that the piece holds as a whole; 0 for one that is spilled.
    credits: usize,
    /// It was kept, is whole, and the disk has it.
    at_disk: bool,
    /// Blocks of a spilled piece that were sent to the disk.
    sent: usize,
    /// Those of them that have reached it.
    spilled: usize,
}

/// What storing a block led to.
#[derive(Debug)]
pub enum Stored {
    /// It is in memory, others are missing.
    Kept,
    /// It was the last one: all blocks of the piece in order, for the disk.
    Whole(Vec<BlockBuf>),
    /// The piece is one that is spilled: the block goes to the disk by itself.
    Spill(BlockBuf),
    /// The piece is not open.
    NotOpen,
}

/// The open pieces of one torrent.
#[derive(Debug)]
pub struct Assembly {
    geometry: Geometry,
    budget: Arc<Budget>,
    spills: bool,
    /// Credits of single blocks of spilled pieces that are out.
    block_credits: usize,
    /// Credits of the pieces that are whole and kept: they are at the disk.
    at_disk: usize,
    open: BTreeMap<PieceIndex, OpenPiece>,
    /// Spilled pieces that were closed while the disk still had blocks of them, and how many. Until these
    /// are through such a piece is not opened again: they would count for its next life and be written over
    /// its blocks.
    leftover: BTreeMap<PieceIndex, usize>,
}

impl Assembly {
    /// No piece open.
    pub fn new(geometry: Geometry, budget: Arc<Budget>) -> Self {
        let mut assembly = Self {
            geometry,
            budget,
            spills: false,
            block_credits: 0,
            at_disk: 0,
            open: BTreeMap::new(),
            leftover: BTreeMap::new(),
        };
        assembly.fit_to_budget();
        assembly
    }

    /// Chooses anew whether pieces are kept or spilled, by the size of the budget now, if none is open.
    pub fn fit_to_budget(&mut self) {
        if self.open.is_empty() && self.block_credits == 0 {
            self.spills = self.pieces_are_too_large();
        }
    }

    fn pieces_are_too_large(&self) -> bool {
        self.piece_blocks() > self.budget.limit() / 4
    }

    /// Blocks of a piece, the last one perhaps excepted.
    pub fn piece_blocks(&self) -> usize {
        self.geometry.block_count(PieceIndex(0)) as usize
    }

    /// Whether pieces are too large to be kept in memory.
    pub fn spills(&self) -> bool {
        self.spills
    }

    /// Whether so little memory is left that some piece of some torrent may not be opened: pieces that are
    /// kept take up to a quarter of the budget.
    pub fn memory_is_short(&self) -> bool {
        self.budget.taken() + self.budget.limit() / 4 > self.budget.limit()
    }

    /// Whether pieces are kept, and the whole budget is so many credits at least.
    pub fn memory_is_enough_for(&self, credits: usize) -> bool {
        !self.spills && credits <= self.budget.limit()
    }

    /// Credits of the budget that nobody holds.
    pub fn free_credits(&self) -> usize {
        self.budget.limit().saturating_sub(self.budget.taken())
    }

    /// Whether so much waits for the disk threads that more would only lie there and leave the caches meanwhile. What
    /// is written behind them is the system's to bound.
    pub fn disk_is_behind(&self) -> bool {
        self.at_disk > MOST_AT_DISK.max(2 * self.piece_blocks())
    }

    /// Opens a piece if its credits can be had, and nothing of an earlier attempt is on its way to the disk.
    pub fn open(&mut self, piece: PieceIndex) -> bool {
        // In a budget that has shrunk, the pieces that are kept come to their end before others are spilled.
        let is_outgrown = !self.spills && self.pieces_are_too_large();
        if is_outgrown || self.leftover.contains_key(&piece) {
            return false;
        }
        let blocks = self.geometry.block_count(piece) as usize;
        let credits = if self.spills { 0 } else { blocks };
        let granted = self.budget.take(credits);
        if granted < credits {
            self.budget.give_back(granted);
            return false;
        }
        let open = OpenPiece {
            blocks: (0..blocks).map(|_| None).collect(),
            authors: vec![None; blocks],
            credits,
            at_disk: false,
            sent: 0,
            spilled: 0,
        };
        let before = self.open.insert(piece, open);
        debug_assert!(before.is_none(), "piece {piece} was open already");
        true
    }

    /// How many of `wanted` requests may be sent as far as memory goes. Blocks of pieces that are kept hold
    /// their credits already; those of spilled ones take theirs here, to be given back by
    /// [`Self::give_back_blocks`] when the request ended without a block, or by [`Self::spilled`].
    pub fn take_blocks(&mut self, wanted: usize) -> usize {
        if !self.spills {
            return wanted;
        }
        let granted = self.budget.take(wanted);
        self.block_credits += granted;
        granted
    }

    /// Gives credits back that [`Self::take_blocks`] granted.
    pub fn give_back_blocks(&mut self, count: usize) {
        if self.spills {
            self.block_credits -= count;
            self.budget.give_back(count);
        }
    }

    /// Takes a block in.
    pub fn store(&mut self, block: Block, author: Author, data: BlockBuf) -> Stored {
        let (Some(number), Some(open)) = (self.geometry.block_number(block), self.open.get_mut(&block.piece))
        else {
            return Stored::NotOpen;
        };
        let number = number as usize;
        open.authors[number] = Some(author);
        if self.spills {
            open.sent += 1;
            return Stored::Spill(data);
        }
        open.blocks[number] = Some(data);
        if open.blocks.iter().any(Option::is_none) {
            return Stored::Kept;
        }
        open.at_disk = true;
        self.at_disk += open.credits;
        Stored::Whole(open.blocks.iter_mut().filter_map(Option::take).collect())
    }

    /// The disk is done with blocks of spilled pieces. Gives the pieces that are wholly there now.
    pub fn spilled(&mut self, blocks: &[Block]) -> Vec<PieceIndex> {
        self.give_back_blocks(blocks.len());
        let mut whole = Vec::new();
        for block in blocks {
            if let Some(left) = self.leftover.get_mut(&block.piece) {
                *left -= 1;
                if *left == 0 {
                    self.leftover.remove(&block.piece);
                }
            } else if let Some(open) = self.open.get_mut(&block.piece) {
                open.spilled += 1;
                if open.spilled == open.authors.len() {
                    whole.push(block.piece);
                }
            }
        }
        whole
    }

    /// Ends a piece, good or bad: its credits are free. Gives who sent each of its blocks, if all came.
    pub fn close(&mut self, piece: PieceIndex) -> Option<Vec<Author>> {
        let open = self.open.remove(&piece)?;
        self.budget.give_back(open.credits);
        if open.at_disk {
            self.at_disk -= open.credits;
        }
        if open.spilled < open.sent {
            self.leftover.insert(piece, open.sent - open.spilled);
        }
        open.authors.into_iter().collect()
    }

    /// The pieces that are open, whole or not, in order.
    pub fn open_pieces(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.open.keys().copied()
    }

    /// Whether the piece is open.
    pub fn is_open(&self, piece: PieceIndex) -> bool {
        self.open.contains_key(&piece)
    }
}

impl Drop for Assembly {
    fn drop(&mut self) {
        let held: usize = self.open.values().map(|open| open.credits).sum();
        self.budget.give_back(held + self.block_credits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BLOCK_LENGTH;
    use crate::memory::BlockPool;
    use crate::peer::link::PeerKey;

    const AUTHOR: Author = Author {
        peer: PeerKey(1),
        ip: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    };

    fn setup(blocks_per_piece: u32) -> (Geometry, Arc<Budget>, Assembly) {
        let piece_length = blocks_per_piece * BLOCK_LENGTH;
        let geometry = Geometry::new(u64::from(piece_length) * 10, piece_length).unwrap();
        let budget = Arc::new(Budget::of_mib(1));
        (geometry, Arc::clone(&budget), Assembly::new(geometry, budget))
    }

    #[test]
    fn a_piece_holds_its_credits_from_opening_to_closing() {
        let (geometry, budget, mut assembly) = setup(16);
        assert!(!assembly.spills());
        assert_eq!(
            (0..5).filter(|&piece| assembly.open(PieceIndex(piece))).count(),
            4,
            "64 credits, 16 a piece"
        );
        let pool = BlockPool::new(0);
        for block in geometry.blocks(PieceIndex(0)) {
            let stored = assembly.store(block, AUTHOR, pool.buffer(block.length));
            let last = block.begin / BLOCK_LENGTH == 15;
            assert!(if last {
                matches!(stored, Stored::Whole(blocks) if blocks.len() == 16)
            } else {
                true
            });
        }
        assert_eq!(budget.taken(), 64, "the disk has them still");
        assert_eq!(assembly.close(PieceIndex(0)), Some(vec![AUTHOR; 16]));
        assert_eq!(budget.taken(), 48);
        assert_eq!(assembly.close(PieceIndex(1)), None, "nobody sent it");
        drop(assembly);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn a_large_piece_is_spilled_block_by_block() {
        let (geometry, budget, mut assembly) = setup(17);
        assert!(assembly.spills() && assembly.open(PieceIndex(0)));
        assert_eq!(budget.taken(), 0);
        let pool = BlockPool::new(0);
        let mut whole = Vec::new();
        for block in geometry.blocks(PieceIndex(0)) {
            assert_eq!(assembly.take_blocks(1), 1);
            assert!(matches!(
                assembly.store(block, AUTHOR, pool.buffer(block.length)),
                Stored::Spill(_)
            ));
            whole = assembly.spilled(&[block]);
        }
        assert_eq!(whole, [PieceIndex(0)]);
        assert_eq!(budget.taken(), 0);
        assert_eq!(assembly.take_blocks(1000), 64);
        drop(assembly);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn the_disk_is_behind_while_more_lies_there_than_keeps_it_busy() {
        let piece_length = 256 * BLOCK_LENGTH;
        let geometry = Geometry::new(u64::from(piece_length) * 10, piece_length).unwrap();
        let mut assembly = Assembly::new(geometry, Arc::new(Budget::of_mib(64)));
        let pool = BlockPool::new(0);
        let fill = |assembly: &mut Assembly, piece| {
            assert!(assembly.open(PieceIndex(piece)));
            for block in geometry.blocks(PieceIndex(piece)) {
                assembly.store(block, AUTHOR, pool.buffer(0));
            }
        };
        fill(&mut assembly, 0);
        fill(&mut assembly, 1);
        assert!(assembly.open(PieceIndex(9)) && !assembly.disk_is_behind());
        fill(&mut assembly, 2);
        assert!(assembly.disk_is_behind());
        assembly.close(PieceIndex(9));
        assert!(assembly.disk_is_behind(), "that one was not at the disk");
        assembly.close(PieceIndex(1));
        assert!(!assembly.disk_is_behind());
    }
}
