//! One shard of the store. Layer 2.

use std::net::SocketAddr;

use super::books::{Books, Stats};
use super::bucket_of;
use super::digest::BucketDigest;
use super::entry::{Ends, Entry, Place, Value};
use super::one::Swarm;
use super::peers::{Merged, Peers};
use super::ranges::{Held, RangeCounts};
use super::record::{Downloads, Families, Forgotten, PeerAnnounce, PeerState, Record, Seconds};
use super::table::Table;
use super::version::Version;
use crate::id::InfoHash;
use crate::ring::interval::Interval;
use crate::tracker::announce::ScrapeCounts;

/// Bounds and times of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The first four bytes of this node's id: the name of its download counters.
    pub node: u32,
    /// Most swarms. An announce to one more is refused and counted. What other nodes send is not refused, for they
    /// have told a peer that it is safe; each keeps to its own bound.
    pub max_swarms: usize,
    /// Most peers, tombstones included, in the same sense.
    pub max_peers: usize,
    /// Seconds until a peer that is not heard of is forgotten; at most [`super::MAX_LIFETIME_SECS`].
    pub peer_lifetime_secs: u16,
    /// Seconds until a tombstone is forgotten; at most [`super::MAX_LIFETIME_SECS`]. Longer than any older entry can
    /// be under way.
    pub tombstone_secs: u16,
}

/// Why an announce was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The swarm is new and there are as many as there may be.
    #[error("this tracker serves as many torrents as it can; try another one or come back later")]
    Swarms,
    /// The peer is new and there are as many as there may be.
    #[error("this tracker knows as many peers as it can; try another one or come back later")]
    Peers,
}

/// What an announce has changed: for the copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The entry of the peer as it is now.
    pub record: Record,
    /// The counter of this node, when it has grown.
    pub downloads: Option<Downloads>,
}

/// The swarms whose info-hash ends in one value of four bits.
///
/// - A swarm has at least one entry; with the last one it goes, and its download counters with it.
/// - The digest of a range is that of the entries and counters of its swarms, at any time.
/// - The figures are those of a recount, at any time.
#[derive(Debug)]
pub struct Shard {
    settings: Settings,
    table: Table,
    books: Books,
    sweep: Sweep,
}

/// Where [`Shard::expire`] goes on.
#[derive(Debug, Default)]
struct Sweep {
    /// Swarms still to be looked at in this round: those in front.
    swarms: usize,
    /// Entries still to be looked at in the last of them, or more than it has: those in front.
    entries: usize,
}

impl Shard {
    /// An empty shard. It belongs to no range until [`Self::set_ranges`] is called.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            table: Table::new(),
            books: Books::default(),
            sweep: Sweep::default(),
        }
    }

    /// Takes an announce in, as the owner of the swarm. `version` must come from the owner's clock; should the
    /// store hold a later one, that one stays and is returned.
    ///
    /// # Errors
    /// When the peer is not known yet and the shard is full. Nothing has changed then but the counters.
    pub fn announce(
        &mut self,
        now: Seconds,
        version: Version,
        announce: &PeerAnnounce,
    ) -> Result<Announced, Full> {
        let PeerAnnounce { info_hash, state, .. } = *announce;
        let place = Place::from(announce.peer);
        self.admit(&info_hash, place)?;
        let lifetime = match state {
            PeerState::Stopped => self.settings.tombstone_secs,
            PeerState::Leech | PeerState::Seed => self.settings.peer_lifetime_secs,
        };
        let ends = Ends::after(now, lifetime);
        let (position, merged) = self.merge(info_hash, place, Value::new(version, state), ends);
        let was_seed = merged
            .before
            .is_some_and(|before| before.state() == PeerState::Seed);
        let downloads = (announce.completed && !was_seed).then(|| {
            let node = self.settings.node;
            let (_, count) = self.count_downloads(position, node, |count| count.saturating_add(1));
            Downloads {
                info_hash,
                node,
                count,
            }
        });
        Ok(Announced {
            record: Record {
                info_hash,
                peer: super::canonical(announce.peer),
                state: merged.after.state(),
                seconds_left: merged.ends.seconds_left(now),
                version: merged.after.version(),
            },
            downloads,
        })
    }

    /// Whether there is room for this peer, or a place that it has already.
    fn admit(&mut self, info_hash: &InfoHash, place: Place) -> Result<(), Full> {
        let peers_full = self.books.stats.entries() >= self.settings.max_peers;
        let swarms_full = self.table.len() >= self.settings.max_swarms;
        if !peers_full && !swarms_full {
            return Ok(());
        }
        let swarm = self.table.get(info_hash);
        if swarm.is_some_and(|swarm| !peers_full || swarm.knows(place, &self.table.secret)) {
            return Ok(());
        }
        if peers_full {
            self.books.stats.refused_peers += 1;
            return Err(Full::Peers);
        }
        self.books.stats.refused_swarms += 1;
        Err(Full::Swarms)
    }

    /// Takes in an entry of another node and says whether it was news. The later version wins, so entries may come
    /// in any order and more than once.
    pub fn apply(&mut self, now: Seconds, record: &Record) -> bool {
        let value = Value::new(record.version, record.state);
        let ends = Ends::after(now, record.seconds_left);
        let (_, merged) = self.merge(record.info_hash, Place::from(record.peer), value, ends);
        merged.before != Some(merged.after)
    }

    /// Takes in a download counter of another node and says whether it was news. Counters live as long as their
    /// swarm has entries: for a swarm that is not known here it is dropped.
    pub fn apply_downloads(&mut self, downloads: &Downloads) -> bool {
        let Some(position) = self.table.find(&downloads.info_hash) else {
            return false;
        };
        let (before, after) =
            self.count_downloads(position, downloads.node, |count| count.max(downloads.count));
        before != after
    }

    /// Drops an entry that the owner has ended, unless a later one has come, and says whether there was one.
    pub fn forget(&mut self, forgotten: &Forgotten) -> bool {
        let Some(position) = self.table.find(&forgotten.info_hash) else {
            return false;
        };
        let place = Place::from(forgotten.peer);
        let (swarm, secret) = self.table.at(position);
        let Some(value) = swarm.forget(place, forgotten.version, secret) else {
            return false;
        };
        self.books
            .changed(swarm.info_hash, swarm.range, place, Some(value), None);
        self.remove_if_empty(position);
        true
    }

    /// Appends up to `announce.limit` peers of the swarm, chosen at random, for the peer that announces: leechers
    /// for a seed, leechers and seeds for a leecher, nobody for one that leaves, and never itself. Peers whose time
    /// is over are left out. If fewer than the limit are stored, it gets them all; of more than twice as many it may
    /// get a few less than the limit, when the time of many is over and they have not been swept. Returns what
    /// [`Self::counts`] would: the swarm need not be looked up twice.
    pub fn choose(
        &self,
        now: Seconds,
        announce: &PeerAnnounce,
        rng: &mut fastrand::Rng,
        out: &mut Vec<SocketAddr>,
    ) -> ScrapeCounts {
        let Some(swarm) = self.table.get(&announce.info_hash) else {
            return ScrapeCounts::default();
        };
        let PeerAnnounce {
            state,
            families,
            limit,
            ..
        } = *announce;
        let (asker_v4, asker_v6) = match Place::from(announce.peer) {
            Place::V4(place) => (Some(place), None),
            Place::V6(place) => (None, Some(place)),
        };
        let v4 = Some(&swarm.v4).filter(|_| families != Families::V6);
        let v6 = swarm.v6().filter(|_| families != Families::V4);
        let v4_len = v4.map_or(0, |v4| v4.useful_to(state).len());
        let v6_len = v6.map_or(0, |v6| v6.useful_to(state).len());
        let v4_limit = share(limit, v4_len, v6_len, rng);
        if let Some(v4) = v4 {
            choose_from(v4, asker_v4, state, v4_limit, now, rng, out);
        }
        if let Some(v6) = v6 {
            choose_from(v6, asker_v6, state, limit - v4_limit, now, rng, out);
        }
        swarm.counts()
    }

    /// How many peers the swarm has. Entries whose time is over count until [`Self::expire`] meets them.
    pub fn counts(&self, info_hash: &InfoHash) -> ScrapeCounts {
        self.table.get(info_hash).map(Swarm::counts).unwrap_or_default()
    }

    /// All swarms and their counts, in no order.
    pub fn swarms(&self) -> impl Iterator<Item = (InfoHash, ScrapeCounts)> + '_ {
        self.table
            .swarms()
            .iter()
            .map(|swarm| (swarm.info_hash, swarm.counts()))
    }

    /// Looks at the next `budget` entries (a swarm counts as one more), at most at all of them once, drops those
    /// whose time is over, and tells `forgotten` of those in ranges that this node owns. The others are dropped
    /// [`super::GRACE_SECS`] later and in silence. Returns how many were dropped.
    ///
    /// Every entry must be looked at once in some hours at least (see [`super::MAX_LIFETIME_SECS`]); once in a
    /// minute is a good rhythm.
    pub fn expire(&mut self, now: Seconds, budget: usize, mut forgotten: impl FnMut(Forgotten)) -> usize {
        let (mut budget, mut swarms, mut dropped) = (budget, self.table.len(), 0);
        while budget > 0 && swarms > 0 && self.table.len() > 0 {
            if self.sweep.swarms == 0 || self.sweep.swarms > self.table.len() {
                self.sweep.swarms = self.table.len();
                self.sweep.entries = usize::MAX;
            }
            let position = self.sweep.swarms - 1;
            let from = self.sweep.entries.min(self.table.swarms()[position].len());
            self.sweep.entries = self.sweep_swarm(position, from, budget, now, |gone| {
                dropped += 1;
                if let Some(gone) = gone {
                    forgotten(gone);
                }
            });
            budget = budget.saturating_sub(1 + from - self.sweep.entries);
            if self.sweep.entries == 0 {
                self.sweep = Sweep {
                    swarms: position,
                    entries: usize::MAX,
                };
                swarms -= 1;
                // Another may move here. It comes from further behind, where it has been seen.
                self.remove_if_empty(position);
            }
        }
        dropped
    }

    /// See [`super::peers::Peers::sweep`].
    fn sweep_swarm(
        &mut self,
        position: usize,
        from: usize,
        budget: usize,
        now: Seconds,
        mut dropped: impl FnMut(Option<Forgotten>),
    ) -> usize {
        let books = &mut self.books;
        let (swarm, secret) = self.table.at(position);
        let (info_hash, range) = (swarm.info_hash, swarm.range);
        let owned = books.ranges.is_owned(range);
        swarm.sweep(
            from,
            budget,
            secret,
            |ends| ends.is_over(now, owned),
            |place, value| {
                books.expired(info_hash, range, place, value);
                dropped(owned.then(|| Forgotten {
                    info_hash,
                    peer: place.into(),
                    version: value.version(),
                }));
            },
        )
    }

    /// Says which ranges this node holds. Digests are kept for these; entries outside of them stay until
    /// [`Self::remove_range`] or the end of their time. Reads only the swarms on arcs that are not in both the old
    /// and the new list.
    pub fn set_ranges(&mut self, ranges: &[Held]) {
        self.books.ranges.replace(ranges, self.table.swarms_mut());
    }

    /// The fingerprint of one bucket (in `0..BUCKETS`, and of this shard) of the range with this index in
    /// [`Self::set_ranges`]. Of a range that is not held here it is that of nothing.
    pub fn digest(&self, range: usize, bucket: u8) -> BucketDigest {
        self.books.ranges.digest(range, bucket)
    }

    /// How many swarms and peers are in the range with this index in [`Self::set_ranges`].
    pub fn range_counts(&self, range: usize) -> RangeCounts {
        self.books.ranges.counts(range)
    }

    /// The fingerprints of the swarms in one bucket of a range, in no order. Reads the bucket.
    pub fn swarm_digests(&self, range: usize, bucket: u8) -> impl Iterator<Item = (InfoHash, u64)> + '_ {
        let inside =
            move |swarm: &&Swarm| bucket_of(&swarm.info_hash) == bucket && usize::from(swarm.range) == range;
        let swarms = self.table.swarms().iter().filter(inside);
        swarms.map(|swarm| (swarm.info_hash, swarm.digest().xor))
    }

    /// All entries of a swarm, tombstones and those whose time is over included, in no order.
    pub fn records(&self, now: Seconds, info_hash: &InfoHash) -> impl Iterator<Item = Record> + '_ {
        let info_hash = *info_hash;
        let entries = self.table.get(&info_hash).into_iter().flat_map(Swarm::entries);
        entries.map(move |(peer, value, ends)| Record {
            info_hash,
            peer,
            state: value.state(),
            seconds_left: ends.seconds_left(now),
            version: value.version(),
        })
    }

    /// The download counters of a swarm, in no order.
    pub fn downloads(&self, info_hash: &InfoHash) -> impl Iterator<Item = Downloads> + '_ {
        let info_hash = *info_hash;
        let counters = self.table.get(&info_hash).into_iter().flat_map(Swarm::downloads);
        counters.map(move |&(node, count)| Downloads {
            info_hash,
            node,
            count,
        })
    }

    /// Drops the swarms on an arc, without a word to anybody: after those who should hold them have them. Returns
    /// how many entries were dropped.
    pub fn remove_range(&mut self, arc: Interval) -> usize {
        let before = self.books.stats.entries();
        for position in (0..self.table.len()).rev() {
            let swarm = &self.table.swarms()[position];
            if arc.contains(swarm.info_hash.into()) {
                self.books.removed(swarm);
                self.table.remove(position);
            }
        }
        before - self.books.stats.entries()
    }

    /// How full the shard is, and what has happened so far.
    pub fn stats(&self) -> Stats {
        Stats {
            swarms: self.table.len(),
            ..self.books.stats
        }
    }

    /// Keeps the greater of the value given and the one that is there, and returns where the swarm is.
    fn merge(&mut self, info_hash: InfoHash, place: Place, value: Value, ends: Ends) -> (usize, Merged) {
        let position = self.table.find(&info_hash).unwrap_or_else(|| {
            let range = self.books.ranges.of(info_hash);
            self.books.ranges.swarm_came(range);
            self.table.push(Swarm::new(info_hash, range))
        });
        let (swarm, secret) = self.table.at(position);
        let merged = swarm.merge(place, value, ends, secret);
        self.books.changed(
            swarm.info_hash,
            swarm.range,
            place,
            merged.before,
            Some(merged.after),
        );
        (position, merged)
    }

    fn count_downloads(&mut self, position: usize, node: u32, merge: impl FnOnce(u32) -> u32) -> (u32, u32) {
        let (swarm, _) = self.table.at(position);
        let (before, after) = swarm.count_downloads(node, merge);
        self.books
            .counted(swarm.info_hash, swarm.range, node, before, after);
        (before, after)
    }

    fn remove_if_empty(&mut self, position: usize) {
        let swarm = &self.table.swarms()[position];
        if swarm.len() == 0 {
            self.books.removed(swarm);
            self.table.remove(position);
        }
    }
}

/// How many of `limit` peers are to be IPv4 ones: as many as their part among all, on the average, and all of them
/// if all peers are no more than that.
fn share(limit: usize, v4: usize, v6: usize, rng: &mut fastrand::Rng) -> usize {
    let all = v4 + v6;
    if all <= limit || v6 == 0 {
        return limit.min(v4);
    }
    let product = limit * v4;
    product / all + usize::from(rng.usize(..all) < product % all)
}

fn choose_from<E: Entry>(
    peers: &Peers<E>,
    asker: Option<E::Place>,
    state: PeerState,
    limit: usize,
    now: Seconds,
    rng: &mut fastrand::Rng,
    out: &mut Vec<SocketAddr>,
) {
    let wanted = |entry: &E| Some(entry.place()) != asker && entry.ends().seconds_left(now) > 0;
    peers.choose(state, limit, rng, wanted, out);
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
