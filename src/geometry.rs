//! Torrent, piece and block arithmetic, all of it. Layer 1, BEP 3 §info dictionary and §peer messages.
//!
//! A torrent is one run of bytes, the concatenation of its files. It is cut into *pieces* of equal length
//! (the last may be shorter), each with a hash, and a piece is cut into *blocks*, the unit of a request.
//! Files are laid over the same run by [`crate::storage::layout`].

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Bytes of a block: what every client asks for, and the most that many will serve (BEP 3 §request).
pub const BLOCK_LENGTH: u32 = 16 * 1024;

/// Number of a piece, `0..piece_count`. A value that came from [`Geometry::check_piece`] is in range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PieceIndex(pub u32);

impl PieceIndex {
    /// The index as a subscript.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A part of one piece: what `request`, `cancel`, `reject` and `piece` speak of (BEP 3, BEP 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block {
    /// The piece that the block lies in.
    pub piece: PieceIndex,
    /// First byte, counted from the start of the piece.
    pub begin: u32,
    /// Bytes; at most [`BLOCK_LENGTH`] in what we ask for.
    pub length: u32,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "piece {} bytes {}+{}", self.piece, self.begin, self.length)
    }
}

/// The shape of a torrent. Invariants: `piece_length > 0`, and the piece count fits in a `u32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    total_length: u64,
    piece_length: u32,
}

impl Geometry {
    /// The shape of `total_length` bytes in pieces of `piece_length`, or `None` if the pieces would have no
    /// length or would be too many to be numbered.
    pub fn new(total_length: u64, piece_length: u32) -> Option<Self> {
        let pieces = total_length.div_ceil(u64::from(piece_length.max(1)));
        (piece_length > 0 && pieces <= u64::from(u32::MAX)).then_some(Self {
            total_length,
            piece_length,
        })
    }

    /// Bytes of the whole torrent.
    pub const fn total_length(&self) -> u64 {
        self.total_length
    }

    /// Bytes of every piece but perhaps the last.
    pub const fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// How many pieces there are; 0 for an empty torrent.
    pub const fn piece_count(&self) -> u32 {
        self.total_length.div_ceil(self.piece_length as u64) as u32
    }

    /// All pieces in order.
    pub fn pieces(&self) -> impl DoubleEndedIterator<Item = PieceIndex> + ExactSizeIterator + use<> {
        (0..self.piece_count()).map(PieceIndex)
    }

    /// The piece of that number if the torrent has it: the boundary where a number from the wire becomes one
    /// that may be used as a subscript.
    pub fn check_piece(&self, index: u32) -> Option<PieceIndex> {
        (index < self.piece_count()).then_some(PieceIndex(index))
    }

    /// Where the piece starts in the torrent.
    pub const fn piece_offset(&self, piece: PieceIndex) -> u64 {
        piece.0 as u64 * self.piece_length as u64
    }

    /// Bytes of this piece; 0 for one that is out of range.
    pub fn piece_size(&self, piece: PieceIndex) -> u32 {
        let left = self.total_length.saturating_sub(self.piece_offset(piece));
        left.min(u64::from(self.piece_length)) as u32
    }

    /// How many blocks this piece has.
    pub fn block_count(&self, piece: PieceIndex) -> u32 {
        self.piece_size(piece).div_ceil(BLOCK_LENGTH)
    }

    /// Block number `number` of a piece, `0..block_count`.
    pub fn block(&self, piece: PieceIndex, number: u32) -> Block {
        let begin = number * BLOCK_LENGTH;
        let length = self.piece_size(piece).saturating_sub(begin).min(BLOCK_LENGTH);
        Block { piece, begin, length }
    }

    /// All blocks of a piece in order.
    pub fn blocks(
        &self,
        piece: PieceIndex,
    ) -> impl DoubleEndedIterator<Item = Block> + ExactSizeIterator + use<> {
        let shape = *self;
        (0..self.block_count(piece)).map(move |number| shape.block(piece, number))
    }

    /// The number of a block within its piece, if it is one that [`Self::block`] gives: what we ask for is
    /// always aligned, so an answer that is not was never asked for.
    pub fn block_number(&self, block: Block) -> Option<u32> {
        let number = block.begin / BLOCK_LENGTH;
        (block.piece.0 < self.piece_count()
            && number < self.block_count(block.piece)
            && self.block(block.piece, number) == block)
            .then_some(number)
    }

    /// Whether a block lies wholly inside its piece, aligned or not: what a peer may ask us for.
    pub fn contains(&self, block: Block) -> bool {
        block.piece.0 < self.piece_count()
            && block.length > 0
            && u64::from(block.begin) + u64::from(block.length) <= u64::from(self.piece_size(block.piece))
    }

    /// The pieces that a run of bytes touches; empty for an empty run.
    pub fn pieces_of(&self, bytes: Range<u64>) -> Range<u32> {
        if bytes.is_empty() {
            return 0..0;
        }
        let length = u64::from(self.piece_length);
        (bytes.start / length) as u32..bytes.end.div_ceil(length) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_that_divides_nothing() {
        let shape = Geometry::new(100_003, 40_000).unwrap();
        assert_eq!(shape.piece_count(), 3);
        assert_eq!(shape.piece_size(PieceIndex(2)), 20_003);
        assert_eq!(shape.block_count(PieceIndex(0)), 3);
        assert_eq!(
            shape.block(PieceIndex(0), 2),
            Block {
                piece: PieceIndex(0),
                begin: 32_768,
                length: 7_232
            }
        );
        assert_eq!(shape.pieces_of(39_999..40_001), 0..2);
        assert_eq!(shape.pieces_of(40_000..80_000), 1..2);
        assert_eq!(shape.check_piece(3), None);
    }

    #[test]
    fn an_empty_torrent_has_no_pieces() {
        let shape = Geometry::new(0, 16_384).unwrap();
        assert_eq!(shape.piece_count(), 0);
        assert_eq!(shape.pieces_of(0..0), 0..0);
    }

    #[test]
    fn shapes_that_cannot_be() {
        assert_eq!(Geometry::new(1, 0), None);
        assert_eq!(Geometry::new(u64::MAX, 1), None);
    }

    proptest! {
        #[test]
        fn blocks_tile_the_torrent(total in 0u64..2_000_000, piece_length in 1u32..200_000) {
            let shape = Geometry::new(total, piece_length).unwrap();
            let mut next = 0;
            for piece in shape.pieces() {
                for (number, block) in shape.blocks(piece).enumerate() {
                    prop_assert_eq!(shape.piece_offset(piece) + u64::from(block.begin), next);
                    prop_assert!(block.length > 0 && shape.contains(block));
                    prop_assert_eq!(shape.block_number(block), Some(number as u32));
                    next += u64::from(block.length);
                }
            }
            prop_assert_eq!(next, total);
        }
    }
}
