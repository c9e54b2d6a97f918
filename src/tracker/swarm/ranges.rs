//! The ranges that a node holds, and the fingerprints of what is in them. Layer 2.

use std::ops::AddAssign;

use super::bucket_of;
use super::digest::BucketDigest;
use super::one::Swarm;
use super::record::PeerState;
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

/// How many swarms and peers a range has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RangeCounts {
    /// Swarms.
    pub swarms: usize,
    /// Peers that have everything.
    pub seeds: usize,
    /// Peers that lack something.
    pub leechers: usize,
}

impl RangeCounts {
    /// Those of one swarm.
    fn of(swarm: &Swarm) -> Self {
        Self {
            swarms: 1,
            seeds: swarm.count(PeerState::Seed) as usize,
            leechers: swarm.count(PeerState::Leech) as usize,
        }
    }

    /// The number of peers in this state; tombstones are no peers.
    fn of_state(&mut self, state: PeerState) -> Option<&mut usize> {
        match state {
            PeerState::Leech => Some(&mut self.leechers),
            PeerState::Seed => Some(&mut self.seeds),
            PeerState::Stopped => None,
        }
    }

    fn remove(&mut self, part: Self) {
        self.swarms -= part.swarms;
        self.seeds -= part.seeds;
        self.leechers -= part.leechers;
    }
}

impl AddAssign for RangeCounts {
    fn add_assign(&mut self, part: Self) {
        self.swarms += part.swarms;
        self.seeds += part.seeds;
        self.leechers += part.leechers;
    }
}

/// The range of a swarm that lies in none.
const NOWHERE: u16 = u16::MAX;

/// What is known of one range.
#[derive(Debug)]
struct Range {
    held: Held,
    /// One for each of the sixteen buckets of the shard.
    digests: [BucketDigest; 16],
    counts: RangeCounts,
}

/// The list of ranges.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    list: Vec<Range>,
}

impl Ranges {
    /// The number of the range in which a swarm lies.
    pub(super) fn of(&self, info_hash: InfoHash) -> u16 {
        let found = self
            .list
            .iter()
            .position(|range| range.held.arc.contains(info_hash.into()));
        found.and_then(|range| range.try_into().ok()).unwrap_or(NOWHERE)
    }

    pub(super) fn is_owned(&self, range: u16) -> bool {
        self.list
            .get(usize::from(range))
            .is_some_and(|range| range.held.owned)
    }

    pub(super) fn digest(&self, range: usize, bucket: u8) -> BucketDigest {
        self.list
            .get(range)
            .map(|range| range.digests[slot(bucket)])
            .unwrap_or_default()
    }

    pub(super) fn counts(&self, range: usize) -> RangeCounts {
        self.list.get(range).map(|range| range.counts).unwrap_or_default()
    }

    /// The digest that the entries of a swarm are in; none if it lies nowhere.
    pub(super) fn digest_mut(&mut self, range: u16, bucket: u8) -> Option<&mut BucketDigest> {
        let range = self.list.get_mut(usize::from(range))?;
        Some(&mut range.digests[slot(bucket)])
    }

    /// A new swarm, without entries yet.
    pub(super) fn swarm_came(&mut self, range: u16) {
        if let Some(range) = self.list.get_mut(usize::from(range)) {
            range.counts.swarms += 1;
        }
    }

    /// A swarm goes with all that is in it.
    pub(super) fn swarm_went(&mut self, swarm: &Swarm) {
        if let Some(range) = self.list.get_mut(usize::from(swarm.range)) {
            range.counts.remove(RangeCounts::of(swarm));
            range.digests[slot(bucket_of(&swarm.info_hash))].remove_all(swarm.digest());
        }
    }

    /// A peer has come, gone, or changed its state.
    pub(super) fn peer_changed(&mut self, range: u16, before: Option<PeerState>, after: Option<PeerState>) {
        let Some(range) = self.list.get_mut(usize::from(range)) else {
            return;
        };
        let counts = &mut range.counts;
        if let Some(count) = before.and_then(|state| counts.of_state(state)) {
            *count -= 1;
        }
        if let Some(count) = after.and_then(|state| counts.of_state(state)) {
            *count += 1;
        }
    }

    /// Puts another list in force. Only swarms whose arc is not in both lists are read anew.
    pub(super) fn replace(&mut self, held: &[Held], swarms: &mut [Swarm]) {
        let old = std::mem::take(&mut self.list);
        let kept = |arc: Interval| old.iter().find(|range| range.held.arc == arc);
        let range = |held: &Held| Range {
            held: *held,
            digests: kept(held.arc).map(|range| range.digests).unwrap_or_default(),
            counts: kept(held.arc).map(|range| range.counts).unwrap_or_default(),
        };
        self.list = held.iter().map(range).collect();
        for swarm in swarms {
            let was = old.get(usize::from(swarm.range)).map(|range| range.held.arc);
            swarm.range = self.of(swarm.info_hash);
            let is = self
                .list
                .get(usize::from(swarm.range))
                .map(|range| range.held.arc);
            if was != is {
                self.shift(was, is, swarm);
            }
        }
    }

    /// Moves what a swarm adds to one arc to another.
    fn shift(&mut self, from: Option<Interval>, to: Option<Interval>, swarm: &Swarm) {
        let slot = slot(bucket_of(&swarm.info_hash));
        let (digest, counts) = (swarm.digest(), RangeCounts::of(swarm));
        for range in &mut self.list {
            if Some(range.held.arc) == from {
                range.digests[slot].remove_all(digest);
                range.counts.remove(counts);
            } else if Some(range.held.arc) == to {
                range.digests[slot].add_all(digest);
                range.counts += counts;
            }
        }
    }
}

/// The place of a bucket in its shard.
fn slot(bucket: u8) -> usize {
    usize::from(bucket & 15)
}
