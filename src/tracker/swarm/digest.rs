//! Fingerprints that tell whether two nodes hold the same. Layer 1.
//!
//! All nodes of a ring must compute the same numbers, so this is a part of what they speak: a change of it is a
//! new version of the ring's frames.

use super::entry::{Value, Words};
use super::hash::mix;
use crate::id::InfoHash;

/// The fingerprint of all entries of a range that share a bucket. It does not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketDigest {
    /// Entries, tombstones and download counters.
    pub count: u32,
    /// Their hashes, combined by exclusive or.
    pub xor: u64,
}

impl BucketDigest {
    /// Takes an entry in.
    pub(super) fn add(&mut self, hash: u64) {
        self.add_all(Self { count: 1, xor: hash });
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, hash: u64) {
        self.remove_all(Self { count: 1, xor: hash });
    }

    /// Takes in what another digest is of.
    pub(super) fn add_all(&mut self, part: Self) {
        self.count = self.count.wrapping_add(part.count);
        self.xor ^= part.xor;
    }

    /// Takes out what another digest is of.
    pub(super) fn remove_all(&mut self, part: Self) {
        self.count = self.count.wrapping_sub(part.count);
        self.xor ^= part.xor;
    }
}

/// The part of all hashes of a swarm that its info-hash makes.
pub(super) fn swarm_hash(info_hash: &InfoHash) -> u64 {
    let mut hash = 0;
    for chunk in info_hash.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash ^ u64::from_be_bytes(word));
    }
    hash
}

/// The part of all hashes of a peer that its place makes, in the swarm whose [`swarm_hash`] is given.
pub(super) fn place_hash(swarm: u64, place: impl Words) -> u64 {
    match place.words() {
        [v4, 0, 0] => mix(swarm ^ v4),
        words => words.into_iter().fold(swarm, |hash, word| mix(hash ^ word)),
    }
}

/// The hash of an entry of the peer whose [`place_hash`] is given.
pub(super) fn entry_hash(place: u64, value: Value) -> u64 {
    mix(place ^ value.as_u64())
}

/// The hash of a download counter.
pub(super) fn downloads_hash(swarm: u64, node: u32, count: u32) -> u64 {
    mix(mix(!swarm) ^ (u64::from(node) << 32 | u64::from(count)))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::entry::Place;
    use super::super::record::PeerState;
    use super::super::version::Version;
    use super::*;

    #[test]
    fn hashes_are_what_they_were() {
        let swarm = swarm_hash(&InfoHash::new([7; 20]));
        let value = Value::new(Version::new(99).expect("small"), PeerState::Seed);
        let hashes = ["192.0.2.1:80", "[2001:db8::1]:80"].map(|peer| {
            let peer: SocketAddr = peer.parse().expect("an address");
            entry_hash(place_hash(swarm, Place::from(peer)), value)
        });
        assert_eq!(
            (hashes, downloads_hash(swarm, 1, 2)),
            (
                [13_823_252_495_445_315_510, 12_372_983_309_442_024_274],
                3_359_921_619_151_498_785
            ),
            "nodes of two versions of this program would never agree"
        );
    }
}
