//! What is kept account of beside the entries: figures, and fingerprints of ranges. Layer 2.

use super::bucket_of;
use super::digest;
use super::entry::{Place, Value};
use super::one::Swarm;
use super::ranges::Ranges;
use super::record::PeerState;
use crate::id::InfoHash;

/// Figures of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Swarms.
    pub swarms: usize,
    /// Peers that lack something.
    pub leechers: usize,
    /// Peers that have everything.
    pub seeds: usize,
    /// Tombstones.
    pub tombstones: usize,
    /// Announces refused since the start because of [`super::Settings::max_swarms`].
    pub refused_swarms: u64,
    /// Announces refused since the start because of [`super::Settings::max_peers`].
    pub refused_peers: u64,
    /// Entries that ended unheard of since the start, tombstones included.
    pub expired: u64,
}

impl Stats {
    /// Entries, tombstones included.
    pub(super) fn entries(&self) -> usize {
        self.leechers + self.seeds + self.tombstones
    }

    fn of_state(&mut self, state: PeerState) -> &mut usize {
        match state {
            PeerState::Leech => &mut self.leechers,
            PeerState::Seed => &mut self.seeds,
            PeerState::Stopped => &mut self.tombstones,
        }
    }
}

/// The accounts of a shard. Whoever changes an entry or a counter says so here.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) ranges: Ranges,
    /// All but the number of swarms.
    pub(super) stats: Stats,
}

impl Books {
    /// An entry of a swarm in this range has changed, or come, or gone.
    pub(super) fn changed(
        &mut self,
        info_hash: InfoHash,
        range: u16,
        place: Place,
        before: Option<Value>,
        after: Option<Value>,
    ) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            *self.stats.of_state(before.state()) -= 1;
        }
        if let Some(after) = after {
            *self.stats.of_state(after.state()) += 1;
        }
        self.ranges
            .peer_changed(range, before.map(Value::state), after.map(Value::state));
        if let Some(digest) = self.ranges.digest_mut(range, bucket_of(&info_hash)) {
            let place = digest::place_hash(digest::swarm_hash(&info_hash), place);
            if let Some(before) = before {
                digest.remove(digest::entry_hash(place, before));
            }
            if let Some(after) = after {
                digest.add(digest::entry_hash(place, after));
            }
        }
    }

    /// An entry is gone because its time was over.
    pub(super) fn expired(&mut self, info_hash: InfoHash, range: u16, place: Place, value: Value) {
        self.stats.expired += 1;
        self.changed(info_hash, range, place, Some(value), None);
    }

    /// A download counter has changed; 0 stands for none.
    pub(super) fn counted(&mut self, info_hash: InfoHash, range: u16, node: u32, before: u32, after: u32) {
        if before == after {
            return;
        }
        if let Some(digest) = self.ranges.digest_mut(range, bucket_of(&info_hash)) {
            let swarm = digest::swarm_hash(&info_hash);
            if before != 0 {
                digest.remove(digest::downloads_hash(swarm, node, before));
            }
            digest.add(digest::downloads_hash(swarm, node, after));
        }
    }

    /// A swarm goes with all that is in it.
    pub(super) fn removed(&mut self, swarm: &Swarm) {
        for state in [PeerState::Leech, PeerState::Seed, PeerState::Stopped] {
            *self.stats.of_state(state) -= swarm.count(state) as usize;
        }
        self.ranges.swarm_went(swarm);
    }
}
