//! The store as one would write it without a thought for memory or time: the measure of the real one's answers.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::tracker::swarm::{GRACE_SECS, MAX_LIFETIME_SECS, canonical, digest};

#[derive(Debug)]
pub(super) struct Model {
    settings: Settings,
    entries: BTreeMap<(InfoHash, SocketAddr), Entry>,
    downloads: BTreeMap<(InfoHash, u32), u32>,
    ranges: Vec<Held>,
    stats: Stats,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    value: (Version, PeerState),
    ends: u32,
}

impl Model {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            entries: BTreeMap::new(),
            downloads: BTreeMap::new(),
            ranges: Vec::new(),
            stats: Stats::default(),
        }
    }

    pub(super) fn announce(
        &mut self,
        now: Seconds,
        version: Version,
        announce: &PeerAnnounce,
    ) -> Result<Announced, Full> {
        let PeerAnnounce { info_hash, state, .. } = *announce;
        let peer = canonical(announce.peer);
        let known = self.entries.get(&(info_hash, peer)).copied();
        let swarms = self.swarms();
        if known.is_none() && self.entries.len() >= self.settings.max_peers {
            self.stats.refused_peers += 1;
            return Err(Full::Peers);
        }
        if !swarms.contains(&info_hash) && swarms.len() >= self.settings.max_swarms {
            self.stats.refused_swarms += 1;
            return Err(Full::Swarms);
        }
        let seconds_left = match state {
            PeerState::Stopped => self.settings.tombstone_secs,
            PeerState::Leech | PeerState::Seed => self.settings.peer_lifetime_secs,
        };
        let record = Record {
            info_hash,
            peer,
            state,
            seconds_left,
            version,
        };
        self.apply(now, &record);
        let was_seed = known.is_some_and(|entry| entry.value.1 == PeerState::Seed);
        let downloads = (announce.completed && !was_seed).then(|| {
            let node = self.settings.node;
            let count = self.downloads.entry((info_hash, node)).or_default();
            *count += 1;
            Downloads {
                info_hash,
                node,
                count: *count,
            }
        });
        let record = self
            .records(now, &info_hash)
            .into_iter()
            .find(|record| record.peer == peer);
        Ok(Announced {
            record: record.expect("just stored"),
            downloads,
        })
    }

    pub(super) fn apply(&mut self, now: Seconds, record: &Record) -> bool {
        let value = (record.version, record.state);
        let ends = now.0 + u32::from(record.seconds_left.min(MAX_LIFETIME_SECS));
        let key = (record.info_hash, canonical(record.peer));
        let news = self.entries.get(&key).is_none_or(|entry| entry.value < value);
        if news {
            self.entries.insert(key, Entry { value, ends });
        }
        news
    }

    pub(super) fn apply_downloads(&mut self, downloads: &Downloads) -> bool {
        let key = (downloads.info_hash, downloads.node);
        let known = self.downloads.get(&key).copied().unwrap_or(0);
        let news = downloads.count > known && self.swarms().contains(&downloads.info_hash);
        if news {
            self.downloads.insert(key, downloads.count);
        }
        news
    }

    pub(super) fn forget(&mut self, forgotten: &Forgotten) -> bool {
        let key = (forgotten.info_hash, canonical(forgotten.peer));
        let old = self
            .entries
            .get(&key)
            .is_some_and(|entry| entry.value.0 <= forgotten.version);
        if old {
            self.entries.remove(&key);
            self.drop_empty();
        }
        old
    }

    /// Those who may be chosen.
    pub(super) fn candidates(&self, now: Seconds, announce: &PeerAnnounce) -> BTreeSet<SocketAddr> {
        let asker = canonical(announce.peer);
        let mut candidates = BTreeSet::new();
        for (&(info_hash, peer), entry) in &self.entries {
            let family = match announce.families {
                Families::V4 => peer.is_ipv4(),
                Families::V6 => peer.is_ipv6(),
                Families::Both => true,
            };
            let of_use = match announce.state {
                PeerState::Leech => entry.value.1 != PeerState::Stopped,
                PeerState::Seed => entry.value.1 == PeerState::Leech,
                PeerState::Stopped => false,
            };
            if info_hash == announce.info_hash && family && of_use && peer != asker && entry.ends > now.0 {
                candidates.insert(peer);
            }
        }
        candidates
    }

    pub(super) fn counts(&self, info_hash: &InfoHash) -> ScrapeCounts {
        let of_it = |state| {
            let it = |&(&(hash, _), entry): &(&(InfoHash, _), &Entry)| {
                hash == *info_hash && entry.value.1 == state
            };
            self.entries.iter().filter(it).count() as u32
        };
        ScrapeCounts {
            seeds: of_it(PeerState::Seed),
            leechers: of_it(PeerState::Leech),
            downloads: self
                .downloads(info_hash)
                .iter()
                .map(|downloads| downloads.count)
                .sum(),
        }
    }

    pub(super) fn swarms(&self) -> BTreeSet<InfoHash> {
        self.entries.keys().map(|&(info_hash, _)| info_hash).collect()
    }

    pub(super) fn expire(&mut self, now: Seconds) -> Vec<Forgotten> {
        let mut forgotten = Vec::new();
        let ranges = &self.ranges;
        let before = self.entries.len();
        self.entries.retain(|&(info_hash, peer), entry| {
            let mine = |held: &Held| held.owned && held.arc.contains(info_hash.into());
            let owned = ranges.iter().any(mine);
            let keep = entry.ends + if owned { 0 } else { u32::from(GRACE_SECS) } > now.0;
            if !keep && owned {
                forgotten.push(Forgotten {
                    info_hash,
                    peer,
                    version: entry.value.0,
                });
            }
            keep
        });
        self.stats.expired += (before - self.entries.len()) as u64;
        self.drop_empty();
        forgotten
    }

    pub(super) fn set_ranges(&mut self, ranges: &[Held]) {
        self.ranges = ranges.to_vec();
    }

    pub(super) fn digest(&self, range: usize, bucket: u8) -> BucketDigest {
        let mut digest = BucketDigest::default();
        let Some(held) = self.ranges.get(range) else {
            return digest;
        };
        let inside =
            |info_hash: InfoHash| bucket_of(&info_hash) == bucket && held.arc.contains(info_hash.into());
        for (&(info_hash, peer), entry) in &self.entries {
            if inside(info_hash) {
                let place = digest::place_hash(digest::swarm_hash(&info_hash), Place::from(peer));
                digest.add(digest::entry_hash(
                    place,
                    Value::new(entry.value.0, entry.value.1),
                ));
            }
        }
        for (&(info_hash, node), &count) in &self.downloads {
            if inside(info_hash) {
                digest.add(digest::downloads_hash(
                    digest::swarm_hash(&info_hash),
                    node,
                    count,
                ));
            }
        }
        digest
    }

    pub(super) fn range_counts(&self, range: usize) -> RangeCounts {
        let mut counts = RangeCounts::default();
        let Some(held) = self.ranges.get(range) else {
            return counts;
        };
        for info_hash in self.swarms() {
            if held.arc.contains(info_hash.into()) {
                let of_swarm = self.counts(&info_hash);
                counts.swarms += 1;
                counts.seeds += of_swarm.seeds as usize;
                counts.leechers += of_swarm.leechers as usize;
            }
        }
        counts
    }

    pub(super) fn records(&self, now: Seconds, info_hash: &InfoHash) -> Vec<Record> {
        let of_it = self.entries.iter().filter(|&(&(hash, _), _)| hash == *info_hash);
        let record = |(&(info_hash, peer), entry): (&(InfoHash, SocketAddr), &Entry)| Record {
            info_hash,
            peer,
            state: entry.value.1,
            seconds_left: entry.ends.saturating_sub(now.0) as u16,
            version: entry.value.0,
        };
        of_it.map(record).collect()
    }

    pub(super) fn downloads(&self, info_hash: &InfoHash) -> Vec<Downloads> {
        let of_it = self
            .downloads
            .iter()
            .filter(|&(&(hash, _), _)| hash == *info_hash);
        of_it
            .map(|(&(info_hash, node), &count)| Downloads {
                info_hash,
                node,
                count,
            })
            .collect()
    }

    pub(super) fn remove_range(&mut self, arc: Interval) -> usize {
        let before = self.entries.len();
        self.entries
            .retain(|&(info_hash, _), _| !arc.contains(info_hash.into()));
        self.drop_empty();
        before - self.entries.len()
    }

    pub(super) fn stats(&self) -> Stats {
        let of = |state| {
            self.entries
                .values()
                .filter(|entry| entry.value.1 == state)
                .count()
        };
        Stats {
            swarms: self.swarms().len(),
            leechers: of(PeerState::Leech),
            seeds: of(PeerState::Seed),
            tombstones: of(PeerState::Stopped),
            ..self.stats
        }
    }

    fn drop_empty(&mut self) {
        let swarms = self.swarms();
        self.downloads
            .retain(|(info_hash, _), _| swarms.contains(info_hash));
    }
}
