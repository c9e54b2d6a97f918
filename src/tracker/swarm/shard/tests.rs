use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::*;
use crate::id::RingId;

const SETTINGS: Settings = Settings {
    node: 1,
    max_swarms: 1_000,
    max_peers: 10_000,
    peer_lifetime_secs: 2_700,
    tombstone_secs: 300,
};
const HASH: InfoHash = InfoHash::new([9; 20]);
const START: Seconds = Seconds(1_000);

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn version(number: u64) -> Version {
    Version::new(number).expect("small")
}

fn from(peer: &str, state: PeerState) -> PeerAnnounce {
    PeerAnnounce {
        info_hash: HASH,
        peer: addr(peer),
        state,
        completed: false,
        families: Families::Both,
        limit: 50,
    }
}

fn shard_with(peers: &[(&str, PeerState)]) -> Shard {
    let mut shard = owner(SETTINGS);
    for (number, &(peer, state)) in (1..).zip(peers) {
        shard
            .announce(START, version(number), &from(peer, state))
            .expect("room");
    }
    shard
}

fn owner(settings: Settings) -> Shard {
    let mut shard = Shard::new(settings);
    shard.set_ranges(&[Held {
        arc: Interval::whole(RingId::new([0; 20])),
        owned: true,
    }]);
    shard
}

fn chosen(shard: &Shard, now: Seconds, asker: &PeerAnnounce) -> BTreeSet<String> {
    let mut out = Vec::new();
    shard.choose(now, asker, &mut fastrand::Rng::with_seed(7), &mut out);
    let set: BTreeSet<_> = out.iter().map(SocketAddr::to_string).collect();
    assert_eq!(set.len(), out.len(), "somebody was chosen twice: {out:?}");
    set
}

fn set(peers: &[&str]) -> BTreeSet<String> {
    peers.iter().map(|&peer| peer.to_owned()).collect()
}

#[test]
fn each_gets_those_who_are_of_use() {
    use PeerState::{Leech, Seed, Stopped};
    let shard = shard_with(&[
        ("10.0.0.1:1", Leech),
        ("10.0.0.2:1", Leech),
        ("10.0.0.3:1", Seed),
        ("10.0.0.4:1", Stopped),
        ("[2001:db8::1]:1", Leech),
        ("[2001:db8::2]:1", Seed),
    ]);
    let of = |peer, state, families| {
        let asker = PeerAnnounce {
            families,
            ..from(peer, state)
        };
        chosen(&shard, START, &asker)
    };
    assert_eq!(
        of("10.0.0.1:1", Leech, Families::Both),
        set(&["10.0.0.2:1", "10.0.0.3:1", "[2001:db8::1]:1", "[2001:db8::2]:1"])
    );
    assert_eq!(
        of("[::ffff:10.0.0.1]:1", Leech, Families::V4),
        set(&["10.0.0.2:1", "10.0.0.3:1"]),
        "an IPv4 peer in IPv6 clothes is itself"
    );
    assert_eq!(
        of("10.0.0.1:2", Leech, Families::V4),
        set(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]),
        "another port is another peer"
    );
    assert_eq!(
        of("[2001:db8::2]:1", Seed, Families::V6),
        set(&["[2001:db8::1]:1"])
    );
    assert_eq!(
        of("10.0.0.3:1", Seed, Families::V4),
        set(&["10.0.0.1:1", "10.0.0.2:1"])
    );
    assert_eq!(of("10.0.0.1:1", Stopped, Families::Both), set(&[]));
}

#[test]
fn no_more_are_chosen_than_wanted_and_all_get_their_turn() {
    let peers: Vec<String> = (1..=40).map(|port| format!("10.0.0.1:{port}")).collect();
    let peers: Vec<_> = peers
        .iter()
        .map(|peer| (peer.as_str(), PeerState::Leech))
        .collect();
    let shard = shard_with(&peers);
    let asker = PeerAnnounce {
        limit: 5,
        ..from("10.0.0.2:1", PeerState::Leech)
    };
    let mut rng = fastrand::Rng::with_seed(3);
    let mut all = BTreeSet::new();
    for _ in 0..200 {
        let mut out = Vec::new();
        shard.choose(START, &asker, &mut rng, &mut out);
        assert_eq!(out.len(), 5);
        all.extend(out);
    }
    assert_eq!(all.len(), 40);
}

#[test]
fn in_a_large_swarm_each_is_chosen_as_often() {
    let mut shard = owner(SETTINGS);
    for number in 0..1_200 {
        // A third of them has IPv6; each tenth is a tombstone.
        let ip = if number % 3 == 0 {
            "[2001:db8::1]"
        } else {
            "10.0.0.1"
        };
        let state = if number % 10 == 0 {
            PeerState::Stopped
        } else {
            PeerState::Leech
        };
        let announce = from(&format!("{ip}:{}", 1_000 + number), state);
        shard
            .announce(START, version(number + 1), &announce)
            .expect("room");
    }
    let asker = PeerAnnounce {
        limit: 50,
        ..from("10.0.0.1:9", PeerState::Seed)
    };
    let mut rng = fastrand::Rng::with_seed(3);
    let mut times = BTreeMap::<SocketAddr, u32>::new();
    for _ in 0..2_160 {
        let mut out = Vec::new();
        shard.choose(START, &asker, &mut rng, &mut out);
        assert_eq!(out.len(), 50);
        out.into_iter()
            .for_each(|peer| *times.entry(peer).or_default() += 1);
    }
    // Each of 1,080 is expected 100 times, with a standard deviation of about 10.
    assert_eq!(times.len(), 1_080);
    let odd = times.iter().find(|&(_, &times)| !(50..150).contains(&times));
    assert_eq!(odd, None);
}

#[test]
fn the_later_version_wins() {
    let mut shard = shard_with(&[("10.0.0.1:1", PeerState::Leech)]);
    let record = shard.records(START, &HASH).next().expect("one");
    let stopped = Record {
        state: PeerState::Stopped,
        version: version(2),
        ..record
    };
    assert!(shard.apply(START, &stopped));
    assert!(!shard.apply(START, &stopped), "the same again is no news");
    assert!(!shard.apply(START, &record), "an older one is no news");
    assert_eq!(shard.records(START, &HASH).collect::<Vec<_>>(), [stopped]);
    assert_eq!(shard.counts(&HASH), ScrapeCounts::default());
    let late = shard
        .announce(START, version(1), &from("10.0.0.1:1", PeerState::Seed))
        .expect("known");
    assert_eq!(late.record, stopped, "what is stored is what is told");
}

#[test]
fn entries_end_in_time_and_the_owner_says_so() {
    let mut shard = shard_with(&[
        ("10.0.0.1:1", PeerState::Seed),
        ("10.0.0.2:1", PeerState::Stopped),
    ]);
    let asker = from("10.0.0.9:1", PeerState::Leech);
    let mut told = Vec::new();
    let end = Seconds(START.0 + 2_700);
    assert_eq!(
        shard.expire(Seconds(START.0 + 299), 100, |gone| told.push(gone)),
        0
    );
    assert_eq!(
        shard.expire(Seconds(START.0 + 300), 100, |gone| told.push(gone)),
        1
    );
    assert_eq!(chosen(&shard, Seconds(end.0 - 1), &asker).len(), 1);
    assert_eq!(
        chosen(&shard, end, &asker).len(),
        0,
        "over, even before it is swept"
    );
    assert_eq!(shard.expire(end, 100, |gone| told.push(gone)), 1);
    let peers: Vec<_> = told.iter().map(|gone| gone.peer.to_string()).collect();
    assert_eq!(peers, ["10.0.0.2:1", "10.0.0.1:1"]);
    assert_eq!(
        shard.stats(),
        Stats {
            expired: 2,
            ..Stats::default()
        }
    );
}

#[test]
fn a_copy_waits_for_the_owner() {
    let mut copy = Shard::new(SETTINGS);
    let record = shard_with(&[("10.0.0.1:1", PeerState::Seed)])
        .records(START, &HASH)
        .next()
        .expect("one");
    assert!(copy.apply(START, &record));
    let end = START.0 + 2_700;
    let silent = |_| panic!("a copy has nothing to say");
    assert_eq!(copy.expire(Seconds(end + 59), 100, silent), 0);
    assert_eq!(copy.expire(Seconds(end + 60), 100, silent), 1);

    assert!(copy.apply(START, &record));
    let forgotten = Forgotten {
        info_hash: HASH,
        peer: record.peer,
        version: record.version,
    };
    assert!(copy.apply(
        START,
        &Record {
            version: version(9),
            ..record
        }
    ));
    assert!(!copy.forget(&forgotten), "a later entry stays");
    assert!(copy.forget(&Forgotten {
        version: version(9),
        ..forgotten
    }));
    assert_eq!(copy.stats().swarms, 0);
}

#[test]
fn a_full_shard_refuses_newcomers_only() {
    let mut shard = owner(Settings {
        max_swarms: 1,
        max_peers: 2,
        ..SETTINGS
    });
    let mut announce = |number, peer: &str, hash| {
        let announce = PeerAnnounce {
            info_hash: hash,
            ..from(peer, PeerState::Leech)
        };
        shard.announce(START, version(number), &announce).map(|_| ())
    };
    assert_eq!(announce(1, "10.0.0.1:1", HASH), Ok(()));
    assert_eq!(
        announce(2, "10.0.0.1:1", InfoHash::new([8; 20])),
        Err(Full::Swarms)
    );
    assert_eq!(announce(3, "10.0.0.2:1", HASH), Ok(()));
    assert_eq!(announce(4, "10.0.0.3:1", HASH), Err(Full::Peers));
    assert_eq!(announce(5, "10.0.0.1:1", HASH), Ok(()));
    let record = shard.records(START, &HASH).next().expect("one");
    assert!(
        shard.apply(
            START,
            &Record {
                peer: addr("10.0.0.3:1"),
                ..record
            }
        ),
        "it was told it is safe"
    );
    let stats = shard.stats();
    assert_eq!(
        (stats.refused_swarms, stats.refused_peers, stats.leechers),
        (1, 1, 3)
    );
}

#[test]
fn downloads_are_counted_by_node_and_merged_by_the_greater() {
    let mut shard = shard_with(&[("10.0.0.1:1", PeerState::Leech)]);
    let done = PeerAnnounce {
        completed: true,
        ..from("10.0.0.1:1", PeerState::Seed)
    };
    let first = shard.announce(START, version(5), &done).expect("known").downloads;
    assert_eq!(
        first,
        Some(Downloads {
            info_hash: HASH,
            node: 1,
            count: 1
        })
    );
    let again = shard.announce(START, version(6), &done).expect("known").downloads;
    assert_eq!(again, None, "said twice, done once");
    let other = |count| Downloads {
        info_hash: HASH,
        node: 2,
        count,
    };
    assert!(shard.apply_downloads(&other(7)));
    assert!(!shard.apply_downloads(&other(6)));
    assert_eq!(shard.counts(&HASH).downloads, 8);
    let unknown = Downloads {
        info_hash: InfoHash::new([8; 20]),
        ..other(7)
    };
    assert!(!shard.apply_downloads(&unknown));
    assert_eq!(shard.stats().swarms, 1);
}

#[test]
fn digests_are_equal_when_the_content_is() {
    let one = shard_with(&[
        ("10.0.0.1:1", PeerState::Leech),
        ("[2001:db8::1]:1", PeerState::Seed),
    ]);
    let mut two = owner(SETTINGS);
    let records: Vec<_> = one.records(START, &HASH).collect();
    for record in records.iter().rev() {
        assert_ne!(one.digest(0, 9), two.digest(0, 9));
        assert_ne!(one.swarm_digests(0, 9).next(), two.swarm_digests(0, 9).next());
        two.apply(Seconds(77), record);
    }
    assert_eq!(one.digest(0, 9), two.digest(0, 9));
    assert_eq!(one.digest(0, 9).count, 2);
    assert_eq!(
        one.swarm_digests(0, 9).collect::<Vec<_>>(),
        two.swarm_digests(0, 9).collect::<Vec<_>>()
    );
    assert_eq!(one.digest(0, 8), BucketDigest::default());
    assert_eq!(one.digest(1, 9), BucketDigest::default());
}

#[test]
fn ranges_part_what_is_held() {
    let id = |first| RingId::new([first; 20]);
    let mut shard = shard_with(&[("10.0.0.1:1", PeerState::Leech)]);
    let low = Held {
        arc: Interval::new(id(0), id(8)),
        owned: true,
    };
    let high = Held {
        arc: Interval::new(id(8), id(0)),
        owned: false,
    };
    shard.set_ranges(&[low, high]);
    assert_eq!(shard.digest(0, 9).count, 0);
    assert_eq!(shard.digest(1, 9).count, 1);
    assert_eq!(shard.remove_range(low.arc), 0);
    assert_eq!(shard.remove_range(high.arc), 1);
    assert_eq!(shard.digest(1, 9), BucketDigest::default());
    assert_eq!(shard.stats(), Stats::default());
}
