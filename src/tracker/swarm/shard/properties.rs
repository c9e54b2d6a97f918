use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::model::Model;
use super::*;
use crate::id::RingId;
use crate::tracker::swarm::canonical;

const SETTINGS: Settings = Settings {
    node: 1,
    max_swarms: 3,
    max_peers: 250,
    peer_lifetime_secs: 900,
    tombstone_secs: 300,
};

/// On both halves of the circle, in two buckets of one shard.
const HASHES: [InfoHash; 4] = [hash(9, 0x10), hash(9, 0x11), hash(200, 0x10), hash(200, 0x11)];
const BUCKETS: [u8; 2] = [0x10, 0x11];

const fn hash(first: u8, last: u8) -> InfoHash {
    let mut bytes = [0; 20];
    bytes[0] = first;
    bytes[19] = last;
    InfoHash::new(bytes)
}

/// The same two halves, held in four ways.
fn ranges(way: usize) -> Vec<Held> {
    let [middle, end] = [100, 255].map(|first| RingId::new([first; 20]));
    let low = |owned| Held {
        arc: Interval::new(end, middle),
        owned,
    };
    let high = |owned| Held {
        arc: Interval::new(middle, end),
        owned,
    };
    let whole = Held {
        arc: Interval::whole(end),
        owned: true,
    };
    match way {
        0 => vec![low(true), high(false)],
        1 => vec![high(true), low(true)],
        2 => vec![whole],
        _ => vec![high(false)],
    }
}

#[derive(Debug, Clone)]
enum Step {
    Announce(PeerAnnounce),
    /// Many of them, from ports side by side, so that swarms grow beyond what is searched one by one.
    Crowd(PeerAnnounce, u16),
    Apply(Record),
    Count(Downloads),
    /// The version that is held, if none is given.
    Forget(InfoHash, SocketAddr, Option<Version>),
    Wait(u32),
    Expire,
    SetRanges(usize),
    RemoveRange(usize),
}

fn any_hash() -> impl Strategy<Value = InfoHash> {
    prop::sample::select(HASHES.to_vec())
}

fn any_state() -> impl Strategy<Value = PeerState> {
    prop::sample::select(vec![PeerState::Leech, PeerState::Seed, PeerState::Stopped])
}

fn any_peer() -> impl Strategy<Value = SocketAddr> {
    (prop::sample::select(vec![4, 6, 46]), 1..100_u16).prop_map(|(family, port)| {
        let ip = Ipv4Addr::new(10, 0, 0, 1);
        match family {
            4 => SocketAddr::new(ip.into(), port),
            6 => SocketAddr::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(), port),
            _ => SocketAddr::new(ip.to_ipv6_mapped().into(), port),
        }
    })
}

fn any_announce() -> impl Strategy<Value = PeerAnnounce> {
    let families = prop::sample::select(vec![Families::V4, Families::V6, Families::Both]);
    (
        any_hash(),
        any_peer(),
        any_state(),
        any::<bool>(),
        families,
        0..60_usize,
    )
        .prop_map(
            |(info_hash, peer, state, completed, families, limit)| PeerAnnounce {
                info_hash,
                peer,
                state,
                completed,
                families,
                limit,
            },
        )
}

/// Versions of records start in the past of the clock that stamps announces and end in its future.
fn any_version() -> impl Strategy<Value = Version> {
    (1..2_000_u64).prop_map(|number| Version::new(number).expect("small"))
}

fn any_record() -> impl Strategy<Value = Record> {
    (any_hash(), any_peer(), any_state(), 0..900_u16, any_version()).prop_map(
        |(info_hash, peer, state, seconds_left, version)| Record {
            info_hash,
            peer,
            state,
            seconds_left,
            version,
        },
    )
}

fn any_downloads() -> impl Strategy<Value = Downloads> {
    let parts = (any_hash(), 1..4_u32, 0..9_u32);
    parts.prop_map(|(info_hash, node, count)| Downloads {
        info_hash,
        node,
        count,
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any_announce().prop_map(Step::Announce),
        2 => (any_announce(), 1..90_u16).prop_map(|(announce, count)| Step::Crowd(announce, count)),
        8 => any_record().prop_map(Step::Apply),
        2 => any_downloads().prop_map(Step::Count),
        3 => (any_hash(), any_peer(), prop::option::of(any_version()))
            .prop_map(|(info_hash, peer, version)| Step::Forget(info_hash, peer, version)),
        2 => (1..400_u32).prop_map(Step::Wait),
        1 => Just(Step::Expire),
        1 => (0..4_usize).prop_map(Step::SetRanges),
        1 => (0..4_usize).prop_map(Step::RemoveRange),
    ]
}

/// A shard, its model, and their time.
struct Pair {
    shard: Shard,
    model: Model,
    now: Seconds,
    versions: u64,
}

impl Pair {
    fn new() -> Self {
        let mut pair = Self {
            shard: Shard::new(SETTINGS),
            model: Model::new(SETTINGS),
            // The lower 16 bits of the time overflow on the way.
            now: Seconds(60_000),
            versions: 1_000,
        };
        pair.set_ranges(0);
        pair
    }

    fn set_ranges(&mut self, way: usize) {
        self.shard.set_ranges(&ranges(way));
        self.model.set_ranges(&ranges(way));
    }

    fn announce(&mut self, announce: &PeerAnnounce) {
        self.versions += 1;
        let version = Version::new(self.versions).expect("small");
        assert_eq!(
            self.shard.announce(self.now, version, announce),
            self.model.announce(self.now, version, announce)
        );
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Announce(announce) => {
                self.announce(announce);
                self.check_choice(announce);
            }
            Step::Crowd(announce, count) => {
                for port in 1..=*count {
                    let peer = SocketAddr::new(announce.peer.ip(), port);
                    self.announce(&PeerAnnounce { peer, ..*announce });
                }
                self.check_choice(announce);
            }
            Step::Apply(record) => {
                assert_eq!(
                    self.shard.apply(self.now, record),
                    self.model.apply(self.now, record)
                );
            }
            Step::Count(downloads) => {
                assert_eq!(
                    self.shard.apply_downloads(downloads),
                    self.model.apply_downloads(downloads)
                );
            }
            &Step::Forget(info_hash, peer, version) => {
                let records = self.model.records(self.now, &info_hash);
                let held = records.iter().find(|record| record.peer == canonical(peer));
                let version = version.or(held.map(|record| record.version)).unwrap_or_default();
                let forgotten = Forgotten {
                    info_hash,
                    peer,
                    version,
                };
                assert_eq!(self.shard.forget(&forgotten), self.model.forget(&forgotten));
            }
            Step::Wait(seconds) => self.now.0 += seconds,
            Step::Expire => {
                let mut told = Vec::new();
                self.shard
                    .expire(self.now, usize::MAX, |forgotten| told.push(forgotten));
                let sort = |mut list: Vec<Forgotten>| {
                    list.sort_by_key(|forgotten| (forgotten.info_hash, forgotten.peer));
                    list
                };
                assert_eq!(sort(told), sort(self.model.expire(self.now)));
            }
            Step::SetRanges(way) => self.set_ranges(*way),
            Step::RemoveRange(way) => {
                let arc = ranges(*way)[0].arc;
                assert_eq!(self.shard.remove_range(arc), self.model.remove_range(arc));
            }
        }
    }

    fn check_choice(&self, announce: &PeerAnnounce) {
        let mut out = Vec::new();
        self.shard
            .choose(self.now, announce, &mut fastrand::Rng::with_seed(1), &mut out);
        let chosen: BTreeSet<_> = out.iter().copied().collect();
        assert_eq!(chosen.len(), out.len(), "somebody was chosen twice");
        assert!(out.len() <= announce.limit);
        let candidates = self.model.candidates(self.now, announce);
        assert!(chosen.is_subset(&candidates));
        let all = self.shard.table.get(&announce.info_hash).map_or(0, Swarm::len);
        if all <= announce.limit {
            assert_eq!(chosen, candidates);
        } else if !candidates.is_empty() && candidates.len() + 1 >= all {
            assert!(
                out.len() + 1 >= announce.limit,
                "nobody's time is over, so nobody is missing"
            );
        }
    }

    fn check(&self) {
        self.shard.table.check();
        assert_eq!(self.shard.stats(), self.model.stats());
        let swarms: BTreeSet<_> = self.shard.swarms().map(|(info_hash, _)| info_hash).collect();
        assert_eq!(swarms, self.model.swarms());
        for info_hash in &HASHES {
            assert_eq!(self.shard.counts(info_hash), self.model.counts(info_hash));
            let mut records: Vec<_> = self.shard.records(self.now, info_hash).collect();
            records.sort_by_key(|record| record.peer);
            assert_eq!(records, self.model.records(self.now, info_hash));
            let mut downloads: Vec<_> = self.shard.downloads(info_hash).collect();
            downloads.sort_by_key(|downloads| downloads.node);
            assert_eq!(downloads, self.model.downloads(info_hash));
        }
        for range in 0..3 {
            let counts = self.shard.range_counts(range);
            assert_eq!(counts, self.model.range_counts(range), "range {range}");
        }
        for (range, bucket) in (0..3).flat_map(|range| BUCKETS.map(|bucket| (range, bucket))) {
            let digest = self.shard.digest(range, bucket);
            assert_eq!(
                digest,
                self.model.digest(range, bucket),
                "range {range}, bucket {bucket}"
            );
            let parts = self.shard.swarm_digests(range, bucket).map(|(_, part)| part);
            assert_eq!(parts.fold(0, |xor, part| xor ^ part), digest.xor);
        }
    }
}

/// Everything in a shard but the ends of entries.
fn content(shard: &Shard) -> (Vec<Record>, Vec<Downloads>) {
    let records = HASHES
        .iter()
        .flat_map(|info_hash| shard.records(Seconds(0), info_hash));
    let mut records: Vec<_> = records
        .map(|record| Record {
            seconds_left: 0,
            ..record
        })
        .collect();
    records.sort_by_key(|record| (record.info_hash, record.peer));
    let mut downloads: Vec<_> = HASHES
        .iter()
        .flat_map(|info_hash| shard.downloads(info_hash))
        .collect();
    downloads.sort_by_key(|downloads| (downloads.info_hash, downloads.node));
    (records, downloads)
}

fn apply_all<'a>(shard: &mut Shard, now: Seconds, records: impl IntoIterator<Item = &'a Record>) {
    for record in records {
        shard.apply(now, record);
    }
}

fn count_all<'a>(shard: &mut Shard, downloads: impl IntoIterator<Item = &'a Downloads>) {
    for downloads in downloads {
        shard.apply_downloads(downloads);
    }
}

/// Brings what differs from one shard to the other, as nodes do. Returns how many swarms that were.
fn pull(to: &mut Shard, from: &Shard, now: Seconds) -> usize {
    let mut pulled = 0;
    for (range, bucket) in (0..2).flat_map(|range| BUCKETS.map(|bucket| (range, bucket))) {
        if to.digest(range, bucket) == from.digest(range, bucket) {
            continue;
        }
        let mine: BTreeMap<_, _> = to.swarm_digests(range, bucket).collect();
        for (info_hash, digest) in from.swarm_digests(range, bucket) {
            if mine.get(&info_hash) != Some(&digest) {
                pulled += 1;
                apply_all(to, now, &from.records(now, &info_hash).collect::<Vec<_>>());
                count_all(to, &from.downloads(&info_hash).collect::<Vec<_>>());
            }
        }
    }
    pulled
}

fn holder() -> Shard {
    let mut shard = Shard::new(SETTINGS);
    shard.set_ranges(&ranges(0));
    shard
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn it_answers_as_the_model_does(steps in prop::collection::vec(any_step(), 1..80)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.take(step);
            pair.check();
        }
    }

    #[test]
    fn order_and_repetition_do_not_matter(
        records in prop::collection::vec(any_record(), 1..60),
        repeated in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        seed in any::<u64>(),
    ) {
        let (mut one, mut two) = (holder(), holder());
        let now = Seconds(5);
        apply_all(&mut one, now, &records);
        let mut again = records.clone();
        again.extend(repeated.iter().map(|index| *index.get(&records)));
        fastrand::Rng::with_seed(seed).shuffle(&mut again);
        apply_all(&mut two, now, &again);
        prop_assert_eq!(content(&one), content(&two));
        for (range, bucket) in (0..2).flat_map(|range| BUCKETS.map(|bucket| (range, bucket))) {
            prop_assert_eq!(one.digest(range, bucket), two.digest(range, bucket));
        }
        prop_assert!(records.iter().all(|record| !two.apply(now, record)), "all of it was known");
    }

    #[test]
    fn grouping_does_not_matter(
        parts in prop::collection::vec((prop::collection::vec(any_record(), 1..30),
            prop::collection::vec(any_downloads(), 0..5)), 3),
    ) {
        let now = Seconds(5);
        let merged = |order: [usize; 3]| {
            let [mut first, mut second, third] = order.map(|part| {
                let mut shard = holder();
                apply_all(&mut shard, now, &parts[part].0);
                count_all(&mut shard, &parts[part].1);
                shard
            });
            pull(&mut second, &third, now);
            pull(&mut first, &second, now);
            content(&first)
        };
        prop_assert_eq!(merged([0, 1, 2]), merged([2, 0, 1]));
    }

    #[test]
    fn two_that_exchange_what_differs_are_equal(
        steps in prop::collection::vec((any::<bool>(), any_step()), 1..60),
    ) {
        let mut pairs = [Pair::new(), Pair::new()];
        for (first, step) in &steps {
            match step {
                Step::SetRanges(_) => {}
                Step::Wait(_) => pairs.iter_mut().for_each(|pair| pair.take(step)),
                _ => pairs[usize::from(*first)].take(step),
            }
        }
        let now = pairs[0].now;
        let [one, two] = &mut pairs;
        pull(&mut one.shard, &two.shard, now);
        pull(&mut two.shard, &one.shard, now);
        prop_assert_eq!(content(&one.shard), content(&two.shard));
        prop_assert_eq!(pull(&mut one.shard, &two.shard, now), 0, "equal ones exchange nothing");
    }

    #[test]
    fn small_steps_end_the_same_entries_as_one_large_step(
        steps in prop::collection::vec(any_step(), 1..40), budget in 1..50_usize,
    ) {
        let [mut one, mut two] = [Pair::new(), Pair::new()];
        for step in &steps {
            one.take(step);
            two.take(step);
        }
        let now = Seconds(one.now.0 + 450);
        let (mut at_once, mut by_steps) = (BTreeSet::new(), BTreeSet::new());
        one.shard.expire(now, usize::MAX, |gone| assert!(at_once.insert((gone.info_hash, gone.peer))));
        // Each call looks at one entry at least, or finds a swarm done.
        let stats = two.shard.stats();
        for _ in 0..stats.leechers + stats.seeds + stats.tombstones + 2 * stats.swarms {
            let dropped = two.shard.expire(now, budget, |gone| {
                assert!(by_steps.insert((gone.info_hash, gone.peer)));
            });
            prop_assert!(dropped <= budget);
            two.shard.table.check();
        }
        prop_assert_eq!(at_once, by_steps);
        prop_assert_eq!(content(&one.shard), content(&two.shard));
    }
}
