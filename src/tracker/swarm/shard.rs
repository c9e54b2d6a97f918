//! One shard of the store. Layer 2.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::digest::{self, BucketDigest};
use super::record::{Downloads, Families, Forgotten, PeerAnnounce, PeerState, Record, Seconds, canonical};
use super::version::Version;
use super::{GRACE_SECS, MAX_LIFETIME_SECS, bucket_of};
use crate::id::{InfoHash, RingId};
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
    /// Seconds until a peer that is not heard of is forgotten; at most [`MAX_LIFETIME_SECS`].
    pub peer_lifetime_secs: u16,
    /// Seconds until a tombstone is forgotten; at most [`MAX_LIFETIME_SECS`]. Longer than any older entry can be
    /// under way.
    pub tombstone_secs: u16,
}

/// A range of the circle that this node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The range. Ranges of one list do not overlap.
    pub arc: Interval,
    /// Whether this node has the say over it, and so ends entries whose time is over.
    pub owned: bool,
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
    /// Announces refused since the start because of [`Settings::max_swarms`].
    pub refused_swarms: u64,
    /// Announces refused since the start because of [`Settings::max_peers`].
    pub refused_peers: u64,
    /// Entries that ended unheard of since the start, tombstones included.
    pub expired: u64,
}

/// The swarms whose info-hash ends in one value of four bits.
#[derive(Debug)]
pub struct Shard {
    settings: Settings,
    swarms: BTreeMap<InfoHash, Swarm>,
    ranges: Vec<Held>,
    refused_swarms: u64,
    refused_peers: u64,
    expired: u64,
}

#[derive(Debug, Default)]
struct Swarm {
    peers: BTreeMap<SocketAddr, Entry>,
    downloads: BTreeMap<u32, u32>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    value: (Version, PeerState),
    ends: u32,
}

impl Shard {
    /// An empty shard. It belongs to no range until [`Self::set_ranges`] is called.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            swarms: BTreeMap::new(),
            ranges: Vec::new(),
            refused_swarms: 0,
            refused_peers: 0,
            expired: 0,
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
        let peer = canonical(announce.peer);
        let known = self
            .swarms
            .get(&announce.info_hash)
            .and_then(|swarm| swarm.peers.get(&peer).copied());
        if known.is_none() {
            self.admit(&announce.info_hash)?;
        }
        let seconds_left = match announce.state {
            PeerState::Stopped => self.settings.tombstone_secs,
            PeerState::Leech | PeerState::Seed => self.settings.peer_lifetime_secs,
        };
        self.apply(
            now,
            &Record {
                info_hash: announce.info_hash,
                peer,
                state: announce.state,
                seconds_left,
                version,
            },
        );
        let swarm = self.swarms.entry(announce.info_hash).or_default();
        let entry = swarm.peers[&peer];
        let node = self.settings.node;
        let finished = announce.completed && known.is_none_or(|entry| entry.value.1 != PeerState::Seed);
        let downloads = finished.then(|| {
            let count = swarm.downloads.entry(node).or_default();
            *count = count.saturating_add(1);
            Downloads {
                info_hash: announce.info_hash,
                node,
                count: *count,
            }
        });
        Ok(Announced {
            record: entry.record(now, announce.info_hash, peer),
            downloads,
        })
    }

    fn admit(&mut self, info_hash: &InfoHash) -> Result<(), Full> {
        if self.swarms.values().map(|swarm| swarm.peers.len()).sum::<usize>() >= self.settings.max_peers {
            self.refused_peers += 1;
            return Err(Full::Peers);
        }
        if self.swarms.len() >= self.settings.max_swarms && !self.swarms.contains_key(info_hash) {
            self.refused_swarms += 1;
            return Err(Full::Swarms);
        }
        Ok(())
    }

    /// Takes in an entry of another node and says whether it was news. The later version wins, so entries may come
    /// in any order and more than once.
    pub fn apply(&mut self, now: Seconds, record: &Record) -> bool {
        let value = (record.version, record.state);
        let swarm = self.swarms.entry(record.info_hash).or_default();
        let peer = canonical(record.peer);
        if swarm.peers.get(&peer).is_some_and(|entry| entry.value >= value) {
            return false;
        }
        let ends = now.0 + u32::from(record.seconds_left.min(MAX_LIFETIME_SECS));
        swarm.peers.insert(peer, Entry { value, ends });
        true
    }

    /// Takes in a download counter of another node and says whether it was news. Counters live as long as their
    /// swarm has entries: for a swarm that is not known here it is dropped.
    pub fn apply_downloads(&mut self, downloads: &Downloads) -> bool {
        let Some(swarm) = self.swarms.get_mut(&downloads.info_hash) else {
            return false;
        };
        let count = swarm.downloads.entry(downloads.node).or_default();
        let news = downloads.count > *count;
        *count = downloads.count.max(*count);
        news
    }

    /// Drops an entry that the owner has ended, unless a later one has come, and says whether there was one.
    pub fn forget(&mut self, forgotten: &Forgotten) -> bool {
        let Some(swarm) = self.swarms.get_mut(&forgotten.info_hash) else {
            return false;
        };
        let peer = canonical(forgotten.peer);
        if swarm
            .peers
            .get(&peer)
            .is_none_or(|entry| entry.value.0 > forgotten.version)
        {
            return false;
        }
        swarm.peers.remove(&peer);
        if swarm.peers.is_empty() {
            self.swarms.remove(&forgotten.info_hash);
        }
        true
    }

    /// Appends up to `announce.limit` peers of the swarm, chosen at random, for the peer that announces: leechers
    /// for a seed, leechers and seeds for a leecher, nobody for one that leaves, and never itself. Each peer is
    /// chosen once, but two that are near each other in the store may come together more or less often than by
    /// chance.
    pub fn choose(
        &self,
        now: Seconds,
        announce: &PeerAnnounce,
        rng: &mut fastrand::Rng,
        out: &mut Vec<SocketAddr>,
    ) {
        let Some(swarm) = self.swarms.get(&announce.info_hash) else {
            return;
        };
        let asker = canonical(announce.peer);
        let wanted = |peer: &SocketAddr, entry: &Entry| {
            let family = match announce.families {
                Families::V4 => peer.is_ipv4(),
                Families::V6 => peer.is_ipv6(),
                Families::Both => true,
            };
            let use_to_each_other = match announce.state {
                PeerState::Leech => entry.value.1 != PeerState::Stopped,
                PeerState::Seed => entry.value.1 == PeerState::Leech,
                PeerState::Stopped => false,
            };
            family && use_to_each_other && *peer != asker && entry.ends > now.0
        };
        let peers = swarm.peers.iter().filter(|&(peer, entry)| wanted(peer, entry));
        let chosen = rng.choose_multiple(peers.map(|(&peer, _)| peer), announce.limit);
        out.extend(chosen);
    }

    /// How many peers the swarm has. Entries whose time is over count until [`Self::expire`] meets them.
    pub fn counts(&self, info_hash: &InfoHash) -> ScrapeCounts {
        self.swarms.get(info_hash).map(Swarm::counts).unwrap_or_default()
    }

    /// All swarms and their counts, in no order.
    pub fn swarms(&self) -> impl Iterator<Item = (InfoHash, ScrapeCounts)> + '_ {
        self.swarms
            .iter()
            .map(|(&info_hash, swarm)| (info_hash, swarm.counts()))
    }

    /// Looks at the next `budget` entries or somewhat more, drops those whose time is over, and tells `forgotten`
    /// of those in ranges that this node owns. The others are dropped [`GRACE_SECS`] later and in silence. Returns
    /// how many were dropped. Every entry must be looked at once in an hour at least.
    pub fn expire(&mut self, now: Seconds, budget: usize, mut forgotten: impl FnMut(Forgotten)) -> usize {
        let _everything = budget;
        let mut dropped = 0;
        for (&info_hash, swarm) in &mut self.swarms {
            let owned = self
                .ranges
                .iter()
                .any(|range| range.owned && range.arc.contains(info_hash.into()));
            swarm.peers.retain(|&peer, entry| {
                let ends = entry.ends + if owned { 0 } else { u32::from(GRACE_SECS) };
                let keep = ends > now.0;
                if !keep && owned {
                    forgotten(Forgotten {
                        info_hash,
                        peer,
                        version: entry.value.0,
                    });
                }
                dropped += usize::from(!keep);
                keep
            });
        }
        self.swarms.retain(|_, swarm| !swarm.peers.is_empty());
        self.expired += dropped as u64;
        dropped
    }

    /// Says which ranges this node holds. Digests are kept for these; entries outside of them stay until
    /// [`Self::remove_range`] or the end of their time.
    pub fn set_ranges(&mut self, ranges: &[Held]) {
        self.ranges = ranges.to_vec();
    }

    /// The fingerprint of one bucket (in `0..BUCKETS`, and of this shard) of the range with this index in
    /// [`Self::set_ranges`]. Of a range or bucket that is not held here it is that of nothing.
    pub fn digest(&self, range: usize, bucket: u8) -> BucketDigest {
        let mut digest = BucketDigest::default();
        for (info_hash, swarm) in self.swarms_in(range, bucket) {
            swarm.hashes(info_hash, |hash| digest.add(hash));
        }
        digest
    }

    /// The fingerprints of the swarms in one bucket of a range, in no order.
    pub fn swarm_digests(&self, range: usize, bucket: u8) -> impl Iterator<Item = (InfoHash, u64)> + '_ {
        self.swarms_in(range, bucket).map(|(&info_hash, swarm)| {
            let mut digest = BucketDigest::default();
            swarm.hashes(&info_hash, |hash| digest.add(hash));
            (info_hash, digest.xor)
        })
    }

    fn swarms_in(&self, range: usize, bucket: u8) -> impl Iterator<Item = (&InfoHash, &Swarm)> {
        let arc = self.ranges.get(range).map(|held| held.arc);
        self.swarms.iter().filter(move |&(info_hash, _)| {
            bucket_of(info_hash) == bucket && arc.is_some_and(|arc| arc.contains(RingId::from(*info_hash)))
        })
    }

    /// All entries of a swarm, tombstones and those whose time is over included, in no order.
    pub fn records(&self, now: Seconds, info_hash: &InfoHash) -> impl Iterator<Item = Record> + '_ {
        let info_hash = *info_hash;
        let peers = self
            .swarms
            .get(&info_hash)
            .into_iter()
            .flat_map(|swarm| &swarm.peers);
        peers.map(move |(&peer, entry)| entry.record(now, info_hash, peer))
    }

    /// The download counters of a swarm, in no order.
    pub fn downloads(&self, info_hash: &InfoHash) -> impl Iterator<Item = Downloads> + '_ {
        let info_hash = *info_hash;
        let counters = self
            .swarms
            .get(&info_hash)
            .into_iter()
            .flat_map(|swarm| &swarm.downloads);
        counters.map(move |(&node, &count)| Downloads {
            info_hash,
            node,
            count,
        })
    }

    /// Drops the swarms on an arc, without a word to anybody: after those who should hold them have them. Returns
    /// how many entries were dropped.
    pub fn remove_range(&mut self, arc: Interval) -> usize {
        let mut dropped = 0;
        self.swarms.retain(|&info_hash, swarm| {
            let inside = arc.contains(info_hash.into());
            dropped += if inside { swarm.peers.len() } else { 0 };
            !inside
        });
        dropped
    }

    /// How full the shard is, and what has happened so far.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            swarms: self.swarms.len(),
            refused_swarms: self.refused_swarms,
            refused_peers: self.refused_peers,
            expired: self.expired,
            ..Stats::default()
        };
        for entry in self.swarms.values().flat_map(|swarm| swarm.peers.values()) {
            match entry.value.1 {
                PeerState::Leech => stats.leechers += 1,
                PeerState::Seed => stats.seeds += 1,
                PeerState::Stopped => stats.tombstones += 1,
            }
        }
        stats
    }
}

impl Swarm {
    fn counts(&self) -> ScrapeCounts {
        let count = |state| self.peers.values().filter(|entry| entry.value.1 == state).count() as u32;
        ScrapeCounts {
            seeds: count(PeerState::Seed),
            downloads: self
                .downloads
                .values()
                .fold(0, |sum, &count| sum.saturating_add(count)),
            leechers: count(PeerState::Leech),
        }
    }

    fn hashes(&self, info_hash: &InfoHash, mut each: impl FnMut(u64)) {
        let swarm = digest::swarm_hash(info_hash);
        for (&peer, entry) in &self.peers {
            each(digest::entry_hash(swarm, peer, entry.value.1, entry.value.0));
        }
        for (&node, &count) in &self.downloads {
            each(digest::downloads_hash(swarm, node, count));
        }
    }
}

impl Entry {
    fn record(&self, now: Seconds, info_hash: InfoHash, peer: SocketAddr) -> Record {
        Record {
            info_hash,
            peer,
            state: self.value.1,
            seconds_left: self.ends.saturating_sub(now.0).min(u16::MAX.into()) as u16,
            version: self.value.0,
        }
    }
}

#[cfg(test)]
mod tests;
