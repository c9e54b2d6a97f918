//! One swarm: its peers of both families and its download counters. Layer 2.

use std::net::SocketAddr;

use super::digest::{self, BucketDigest};
use super::entry::{Ends, Entry, EntryV4, EntryV6, Place, Value};
use super::hash::Secret;
use super::peers::{Merged, Peers};
use super::record::PeerState;
use super::version::Version;
use crate::id::InfoHash;
use crate::tracker::announce::ScrapeCounts;

/// What most swarms have lies here; what few have is in a box of its own.
#[derive(Debug)]
pub(super) struct Swarm {
    pub(super) v4: Peers<EntryV4>,
    more: Option<Box<More>>,
    pub(super) info_hash: InfoHash,
    /// The number of its range, see [`super::ranges::Ranges`].
    pub(super) range: u16,
}

#[derive(Debug, Default)]
struct More {
    v6: Peers<EntryV6>,
    /// Nodes and what they have counted.
    downloads: Vec<(u32, u32)>,
}

impl Swarm {
    pub(super) fn new(info_hash: InfoHash, range: u16) -> Self {
        Self {
            v4: Peers::default(),
            more: None,
            info_hash,
            range,
        }
    }

    pub(super) fn v6(&self) -> Option<&Peers<EntryV6>> {
        self.more.as_deref().map(|more| &more.v6)
    }

    pub(super) fn downloads(&self) -> &[(u32, u32)] {
        self.more.as_deref().map_or(&[], |more| &more.downloads)
    }

    /// Entries, tombstones included.
    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6().map_or(0, Peers::len)
    }

    pub(super) fn count(&self, state: PeerState) -> u32 {
        self.v4.count(state) + self.v6().map_or(0, |v6| v6.count(state))
    }

    pub(super) fn counts(&self) -> ScrapeCounts {
        let counted = self.downloads().iter().map(|&(_, count)| count);
        ScrapeCounts {
            seeds: self.count(PeerState::Seed),
            downloads: counted.fold(0, u32::saturating_add),
            leechers: self.count(PeerState::Leech),
        }
    }

    pub(super) fn knows(&self, place: Place, secret: &Secret) -> bool {
        match place {
            Place::V4(place) => self.v4.find(place, secret).is_some(),
            Place::V6(place) => self.v6().is_some_and(|v6| v6.find(place, secret).is_some()),
        }
    }

    /// See [`Peers::merge`].
    pub(super) fn merge(&mut self, place: Place, value: Value, ends: Ends, secret: &Secret) -> Merged {
        match place {
            Place::V4(place) => self.v4.merge(place, value, ends, secret),
            Place::V6(place) => self
                .more
                .get_or_insert_default()
                .v6
                .merge(place, value, ends, secret),
        }
    }

    /// See [`Peers::forget`].
    pub(super) fn forget(&mut self, place: Place, version: Version, secret: &Secret) -> Option<Value> {
        match place {
            Place::V4(place) => self.v4.forget(place, version, secret),
            Place::V6(place) => self.more.as_mut()?.v6.forget(place, version, secret),
        }
    }

    /// See [`Peers::sweep`]; IPv4 peers are in front of IPv6 ones.
    pub(super) fn sweep(
        &mut self,
        from: usize,
        budget: usize,
        secret: &Secret,
        is_over: impl Fn(Ends) -> bool,
        mut dropped: impl FnMut(Place, Value),
    ) -> usize {
        let v4_len = self.v4.len();
        if from > v4_len
            && let Some(more) = &mut self.more
        {
            let each = |entry: EntryV6| dropped(Place::V6(entry.place()), entry.value());
            return v4_len + more.v6.sweep(from - v4_len, budget, secret, is_over, each);
        }
        let each = |entry: EntryV4| dropped(Place::V4(entry.place()), entry.value());
        self.v4.sweep(from, budget, secret, is_over, each)
    }

    /// Merges in a count of a node's. Returns the one it had and the one it has.
    pub(super) fn count_downloads(&mut self, node: u32, merge: impl FnOnce(u32) -> u32) -> (u32, u32) {
        let known = self.downloads().iter().find(|&&(other, _)| other == node);
        let before = known.map_or(0, |&(_, count)| count);
        let after = merge(before);
        if after != before {
            let counters = &mut self.more.get_or_insert_default().downloads;
            counters.retain(|&(other, _)| other != node);
            counters.reserve_exact(1);
            counters.push((node, after));
        }
        (before, after)
    }

    /// The fingerprint of all that is in here.
    pub(super) fn digest(&self) -> BucketDigest {
        let swarm = digest::swarm_hash(&self.info_hash);
        let mut digest = BucketDigest::default();
        for entry in self.v4.entries() {
            digest.add(digest::entry_hash(
                digest::place_hash(swarm, entry.place()),
                entry.value(),
            ));
        }
        for entry in self.v6().map_or(&[][..], Peers::entries) {
            digest.add(digest::entry_hash(
                digest::place_hash(swarm, entry.place()),
                entry.value(),
            ));
        }
        for &(node, count) in self.downloads() {
            digest.add(digest::downloads_hash(swarm, node, count));
        }
        digest
    }

    /// All entries as `(place, value, end)`.
    pub(super) fn entries(&self) -> impl Iterator<Item = (SocketAddr, Value, Ends)> + '_ {
        let v4 = self
            .v4
            .entries()
            .iter()
            .map(|entry| (entry.addr(), entry.value(), entry.ends()));
        let v6 = self.v6().map_or(&[][..], Peers::entries).iter();
        v4.chain(v6.map(|entry| (entry.addr(), entry.value(), entry.ends())))
    }

    #[cfg(test)]
    pub(super) fn check(&self, secret: &Secret) {
        self.v4.check(secret);
        if let Some(v6) = self.v6() {
            v6.check(secret);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swarm_with_little_in_it_is_little() {
        assert_eq!(size_of::<Swarm>(), 72);
    }
}
