//! The peers of all swarms: what a tracker remembers. Layer 2; no clock, no lock, no thread.
//!
//! | module | what |
//! |---|---|
//! | `record` | what goes in and comes out |
//! | `version` | versions of entries and the hybrid clock that makes them |
//! | `digest` | fingerprints that tell whether two nodes hold the same |
//! | `entry` | entries as they lie in memory |
//! | `peers`, `one`, `table` | the peers of a family, one swarm, all swarms of a shard |
//! | `ranges`, `books` | arcs held, their fingerprints, the figures |
//! | `hash` | the keyed hash of the tables |
//! | `shard` | the store itself: the calls |
//!
//! A node has [`SHARDS`] shards, each with the swarms whose info-hash ends in its own four bits. Shards know
//! nothing of each other, so threads may work on different ones at once.
//!
//! The store is a map that merges: of two entries for one peer the one with the greater version wins, whatever the
//! order in which they come, and download counters merge by taking the greater. So nodes that exchange what differs
//! end up equal without a word about who was right. A peer that leaves becomes a tombstone, which keeps older
//! entries from bringing it back.
//!
//! **Who does what.** The *owner* of a range of the circle stamps each announce with its [`HybridClock`], calls
//! [`Shard::announce`], and sends the [`Record`] (and [`Downloads`]) on to the copies, which call [`Shard::apply`].
//! It alone ends entries whose time is over and tells the copies so ([`Forgotten`]); copies on their own keep
//! entries [`GRACE_SECS`] longer. So over a link that keeps the order, equal digests are a matter of having got
//! everything, not of time. Somebody who takes over a range compares [`Shard::digest`]s of its buckets, then
//! [`Shard::swarm_digests`] of those that differ, then exchanges [`Shard::records`] and [`Shard::downloads`] of the
//! swarms that differ, both ways.

mod books;
mod digest;
mod entry;
mod hash;
mod one;
mod peers;
mod ranges;
mod record;
mod shard;
mod table;
mod version;

pub use books::Stats;
pub use digest::BucketDigest;
pub use ranges::{Held, RangeCounts};
pub use record::{Downloads, Families, Forgotten, PeerAnnounce, PeerState, Record, Seconds, canonical};
pub use shard::{Announced, Full, Settings, Shard};
pub use version::{HybridClock, Version};

use crate::id::InfoHash;

/// Shards of a node.
pub const SHARDS: usize = 16;

/// Buckets of a range, for digests. A shard holds 16 of them.
pub const BUCKETS: usize = 256;

/// How long a copy keeps an entry whose time is over, for the owner to say so.
pub const GRACE_SECS: u16 = 60;

/// Longest life of an entry, in seconds: 8 hours.
pub const MAX_LIFETIME_SECS: u16 = 8 * 3600;

/// The shard of a swarm, in `0..SHARDS`.
pub fn shard_of(info_hash: &InfoHash) -> usize {
    usize::from(bucket_of(info_hash) >> 4)
}

/// The bucket of a swarm: the last byte of the info-hash. The first ones say where on the circle it is.
pub fn bucket_of(info_hash: &InfoHash) -> u8 {
    info_hash.as_bytes()[19]
}
