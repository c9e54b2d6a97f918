//! Fingerprints that tell whether two nodes hold the same. Layer 1.
//!
//! All nodes of a ring must compute the same numbers, so this is a part of what they speak: a change of it is a
//! new version of the ring's frames.

use std::net::{IpAddr, SocketAddr};

use super::record::PeerState;
use super::version::Version;
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
        self.count = self.count.wrapping_add(1);
        self.xor ^= hash;
    }
}

/// The part of all hashes of a swarm that its info-hash makes.
pub(super) fn swarm_hash(info_hash: &InfoHash) -> u64 {
    let bytes = info_hash.as_bytes();
    let mut hash = 0;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash ^ u64::from_be_bytes(word));
    }
    hash
}

/// The hash of an entry of the swarm whose [`swarm_hash`] is given.
pub(super) fn entry_hash(swarm: u64, peer: SocketAddr, state: PeerState, version: Version) -> u64 {
    let port = u64::from(peer.port());
    let place = match peer.ip() {
        IpAddr::V4(ip) => mix(swarm ^ (u64::from(ip.to_bits()) << 16 | port)),
        IpAddr::V6(ip) => {
            let ip = ip.to_bits();
            let upper = mix(swarm ^ (ip >> 64) as u64);
            mix(mix(upper ^ ip as u64) ^ port)
        }
    };
    mix(place ^ (version.as_u64() << 2 | state as u64))
}

/// The hash of a download counter.
pub(super) fn downloads_hash(swarm: u64, node: u32, count: u32) -> u64 {
    mix(mix(!swarm) ^ (u64::from(node) << 32 | u64::from(count)))
}

/// The step of SplitMix64 (Steele et al., 2014): one to one, and each bit in moves about half of those out.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_what_they_were() {
        let swarm = swarm_hash(&InfoHash::new([7; 20]));
        let version = Version::new(99).expect("small");
        let hashes = ["192.0.2.1:80", "[2001:db8::1]:80"]
            .map(|peer| entry_hash(swarm, peer.parse().expect("an address"), PeerState::Seed, version));
        assert_eq!(
            (hashes, downloads_hash(swarm, 1, 2)),
            (
                [13_823_252_495_445_315_510, 14_633_932_624_321_138_286],
                3_359_921_619_151_498_785
            ),
            "nodes of two versions of this program would never agree"
        );
    }
}
