//! The hash of the tables inside, and the step that other hashes share with it. Layer 1.

use std::hash::{BuildHasher, RandomState};

/// A hash function drawn at random when the process starts.
///
/// Info-hashes and addresses come from strangers, who may choose them so that they meet in one place of a table.
/// This is vector multiply-shift, `(a + b·x + c·y + d·z) mod 2¹²⁸ / 2⁶⁴` with random 128-bit coefficients: strongly
/// universal (Thorup, "High Speed Hashing for Integers and Strings", 2015, §3.5), so any two keys have the same 64 bits
/// with the probability of chance for those who do not know the coefficients. What is linear in it could still
/// bring keys at equal distances together in the few bits that a table looks at, so the result is mixed once more.
#[derive(Debug)]
pub(super) struct Secret {
    sum: u128,
    factors: [u128; 3],
}

impl Secret {
    /// Draws one. The standard library's keys come from the operating system.
    pub(super) fn draw() -> Self {
        let keys = RandomState::new();
        let number = |n: u64| u128::from(keys.hash_one(2 * n)) << 64 | u128::from(keys.hash_one(2 * n + 1));
        Self {
            sum: number(0),
            factors: [number(1), number(2), number(3)],
        }
    }

    /// The hash of three words.
    #[inline]
    pub(super) fn hash(&self, words: [u64; 3]) -> u64 {
        let product = |(&factor, word): (&u128, u64)| factor.wrapping_mul(word.into());
        let products = self.factors.iter().zip(words).map(product);
        mix((products.fold(self.sum, u128::wrapping_add) >> 64) as u64)
    }
}

/// The step of SplitMix64 (Steele et al., 2014): one to one, and each bit in moves about half of those out.
pub(super) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_draw_is_another_function() {
        let hashes: BTreeSet<u64> = (0..100).map(|_| Secret::draw().hash([1, 2, 3])).collect();
        assert_eq!(hashes.len(), 100);
    }

    #[test]
    fn neighbours_spread_over_upper_and_lower_bits() {
        let secret = Secret::draw();
        for shift in [0, 16, 32, 48] {
            let hashes = (0..4096_u64).map(|n| secret.hash([n << shift, 0, 0]));
            let (low, high): (BTreeSet<_>, BTreeSet<_>) =
                hashes.map(|hash| (hash & 0xfff, hash >> 52)).unzip();
            // A random function fills 63 % of the places: 2,589, with a standard deviation of about 30.
            assert!(
                low.len() > 2_300 && high.len() > 2_300,
                "{} {}",
                low.len(),
                high.len()
            );
        }
    }
}
