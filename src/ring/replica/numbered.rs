//! Maps whose keys are numbers that this node itself has given. Layer 1.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by numbers that were given one after the other. Nobody else chooses them, so that they all fall into one
/// place, and no secret need be hashed along: that would cost more than the look-up.
pub type Numbered<V> = HashMap<u64, V, BuildHasherDefault<Spread>>;

/// Spreads one number over all bits of its hash.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spread(u64);

/// 2⁶⁴ divided by the golden ratio: neighbours land far from each other (Knuth, volume 3, §6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(GOLDEN);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn numbers_in_a_row_are_spread_over_high_and_low_bits() {
        let hash = BuildHasherDefault::<Spread>::default();
        let hashes: Vec<u64> = (1_000_u64..1_256).map(|number| hash.hash_one(number)).collect();
        for shift in [0, 57] {
            let mut parts: Vec<u64> = hashes.iter().map(|hash| hash >> shift & 0x7f).collect();
            parts.sort_unstable();
            parts.dedup();
            assert!(parts.len() > 64, "{} of 128 at bit {shift}", parts.len());
        }
    }
}
