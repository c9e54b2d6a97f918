//! A set of pieces, in the byte layout that goes over the wire. Layer 1, BEP 3 §bitfield.

use crate::geometry::PieceIndex;

/// Which pieces somebody has. The high bit of the first byte is piece 0; spare bits at the end are zero.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitfield {
    bytes: Box<[u8]>,
    length: u32,
    ones: u32,
}

impl std::fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bitfield({} of {})", self.ones, self.length)
    }
}

impl Bitfield {
    /// A set over `length` pieces that holds none of them.
    pub fn empty(length: u32) -> Self {
        Self {
            bytes: vec![0; length.div_ceil(8) as usize].into(),
            length,
            ones: 0,
        }
    }

    /// A set over `length` pieces that holds all of them.
    pub fn full(length: u32) -> Self {
        let mut bytes: Box<[u8]> = vec![0xff; length.div_ceil(8) as usize].into();
        if let (Some(last), spare @ 1..) = (bytes.last_mut(), bytes_spare(length)) {
            *last <<= spare;
        }
        Self {
            bytes,
            length,
            ones: length,
        }
    }

    /// Reads the payload of a `bitfield` message. `None` if the number of bytes is wrong or a spare bit is
    /// set: BEP 3 tells us to close such a connection.
    pub fn from_bytes(bytes: &[u8], length: u32) -> Option<Self> {
        let spare_mask = !(0xff_u8 << bytes_spare(length));
        if bytes.len() != length.div_ceil(8) as usize
            || bytes.last().is_some_and(|last| last & spare_mask != 0)
        {
            return None;
        }
        let ones = bytes.iter().map(|byte| byte.count_ones()).sum();
        Some(Self {
            bytes: bytes.into(),
            length,
            ones,
        })
    }

    /// The payload of a `bitfield` message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Over how many pieces this is a set.
    pub const fn len(&self) -> u32 {
        self.length
    }

    /// How many pieces are in the set.
    pub const fn count(&self) -> u32 {
        self.ones
    }

    /// Whether no piece is in the set.
    pub const fn is_empty(&self) -> bool {
        self.ones == 0
    }

    /// Whether every piece is in the set (true for a torrent without pieces).
    pub const fn is_full(&self) -> bool {
        self.ones == self.length
    }

    /// Whether the piece is in the set; one out of range is not.
    pub fn has(&self, piece: PieceIndex) -> bool {
        piece.0 < self.length && self.bytes[piece.get() / 8] & mask(piece) != 0
    }

    /// Puts the piece in; says whether that is new. One out of range is ignored.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        let new = piece.0 < self.length && !self.has(piece);
        if new {
            self.bytes[piece.get() / 8] |= mask(piece);
            self.ones += 1;
        }
        new
    }

    /// Takes the piece out; says whether it was in.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        let held = self.has(piece);
        if held {
            self.bytes[piece.get() / 8] &= !mask(piece);
            self.ones -= 1;
        }
        held
    }

    /// The pieces in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        // Byte by byte, so that a sparse set over many pieces costs little.
        self.bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte != 0)
            .flat_map(|(at, byte)| {
                (0..8)
                    .filter(move |bit| byte & (0x80 >> bit) != 0)
                    .map(move |bit| PieceIndex(at as u32 * 8 + bit))
            })
    }

    /// Whether the other set holds a piece that this one lacks. Both are over the same pieces.
    pub fn lacks_some_of(&self, other: &Self) -> bool {
        self.bytes
            .iter()
            .zip(&other.bytes)
            .any(|(own, theirs)| theirs & !own != 0)
    }
}

const fn mask(piece: PieceIndex) -> u8 {
    0x80 >> (piece.0 % 8)
}

/// Bits of the last byte that stand for no piece.
const fn bytes_spare(length: u32) -> u32 {
    (8 - length % 8) % 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn piece_zero_is_the_high_bit() {
        let mut set = Bitfield::empty(10);
        assert!(set.insert(PieceIndex(0)) && set.insert(PieceIndex(9)));
        assert!(!set.insert(PieceIndex(9)) && !set.insert(PieceIndex(10)));
        assert_eq!(set.as_bytes(), [0x80, 0x40]);
        assert_eq!(set.count(), 2);
        assert!(set.remove(PieceIndex(0)) && !set.remove(PieceIndex(0)));
        assert_eq!(set.iter().collect::<Vec<_>>(), [PieceIndex(9)]);
    }

    #[test]
    fn wire_payloads_of_the_wrong_shape_are_refused() {
        for (bytes, length) in [(&[][..], 1), (&[0, 0], 8), (&[0x01], 7), (&[0, 0x20], 10)] {
            assert_eq!(
                Bitfield::from_bytes(bytes, length),
                None,
                "{bytes:?} for {length}"
            );
        }
        assert!(Bitfield::from_bytes(&[], 0).unwrap().is_full());
    }

    proptest! {
        #[test]
        fn full_is_all_inserted(length in 0u32..100) {
            let mut set = Bitfield::empty(length);
            (0..length).for_each(|index| { set.insert(PieceIndex(index)); });
            prop_assert_eq!(&set, &Bitfield::full(length));
            prop_assert!(set.is_full());
            prop_assert_eq!(Bitfield::from_bytes(set.as_bytes(), length), Some(set));
        }

        #[test]
        fn iter_and_lacks_agree_with_a_plain_set(own in prop::collection::btree_set(0u32..60, 0..60),
                                                 theirs in prop::collection::btree_set(0u32..60, 0..60)) {
            let make = |set: &std::collections::BTreeSet<u32>| {
                let mut field = Bitfield::empty(60);
                set.iter().for_each(|&index| { field.insert(PieceIndex(index)); });
                field
            };
            let (a, b) = (make(&own), make(&theirs));
            prop_assert_eq!(a.iter().map(|p| p.0).collect::<Vec<_>>(), own.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(a.lacks_some_of(&b), !theirs.is_subset(&own));
        }
    }
}
