//! The ranges that a node holds, and the fingerprints of what is in them. Layer 2.

use super::bucket_of;
use super::digest::BucketDigest;
use super::one::Swarm;
use crate::id::InfoHash;
use crate::ring::interval::Interval;

/// A range of the circle that this node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The range. Ranges of one list do not overlap.
    pub arc: Interval,
    /// Whether this node has the say over it, and so ends entries whose time is over.
    pub owned: bool,
}

/// The range of a swarm that lies in none.
const NOWHERE: u16 = u16::MAX;

/// The list of ranges, and for each of them a digest of the sixteen buckets of the shard.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    list: Vec<(Held, [BucketDigest; 16])>,
}

impl Ranges {
    /// The number of the range in which a swarm lies.
    pub(super) fn of(&self, info_hash: InfoHash) -> u16 {
        let found = self
            .list
            .iter()
            .position(|(held, _)| held.arc.contains(info_hash.into()));
        found.and_then(|range| range.try_into().ok()).unwrap_or(NOWHERE)
    }

    pub(super) fn is_owned(&self, range: u16) -> bool {
        self.list
            .get(usize::from(range))
            .is_some_and(|(held, _)| held.owned)
    }

    pub(super) fn digest(&self, range: usize, bucket: u8) -> BucketDigest {
        self.list
            .get(range)
            .map(|(_, digests)| digests[slot(bucket)])
            .unwrap_or_default()
    }

    /// The digest that the entries of a swarm are in; none if it lies nowhere.
    pub(super) fn digest_mut(&mut self, range: u16, bucket: u8) -> Option<&mut BucketDigest> {
        let (_, digests) = self.list.get_mut(usize::from(range))?;
        Some(&mut digests[slot(bucket)])
    }

    /// Puts another list in force. Only swarms whose arc is not in both lists are read anew.
    pub(super) fn replace(&mut self, held: &[Held], swarms: &mut [Swarm]) {
        let old = std::mem::take(&mut self.list);
        let kept = |arc: Interval| old.iter().position(|(held, _)| held.arc == arc);
        let digests_of = |held: &Held| kept(held.arc).map(|range| old[range].1).unwrap_or_default();
        self.list = held.iter().map(|held| (*held, digests_of(held))).collect();
        for swarm in swarms {
            let was = old.get(usize::from(swarm.range)).map(|(held, _)| held.arc);
            swarm.range = self.of(swarm.info_hash);
            let is = self.list.get(usize::from(swarm.range)).map(|(held, _)| held.arc);
            if was != is {
                self.shift(was, is, swarm);
            }
        }
    }

    /// Moves what a swarm adds to the digest of one arc to that of another.
    fn shift(&mut self, from: Option<Interval>, to: Option<Interval>, swarm: &Swarm) {
        let slot = slot(bucket_of(&swarm.info_hash));
        let part = swarm.digest();
        for (held, digests) in &mut self.list {
            if Some(held.arc) == from {
                digests[slot].remove_all(part);
            } else if Some(held.arc) == to {
                digests[slot].add_all(part);
            }
        }
    }
}

/// The place of a bucket in its shard.
fn slot(bucket: u8) -> usize {
    usize::from(bucket & 15)
}
