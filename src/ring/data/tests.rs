use proptest::prelude::*;

use super::*;
use crate::id::RingId;
use crate::ring::codec::{DecodeError, Writer};
use crate::ring::frame::kind::{DATA, FREE};
use crate::tracker::swarm::{Families, PeerState, Version};

const SESSION: Session = Session { shard: 15, number: 7 };

fn hash(byte: u8) -> InfoHash {
    InfoHash::new([byte; 20])
}

fn arc() -> Interval {
    Interval::new(RingId::new([1; 20]), RingId::new([2; 20]))
}

fn contact() -> Contact {
    Contact {
        id: RingId::new([3; 20]),
        incarnation: 4,
        addr: "[2001:db8::1]:5".parse().expect("an address"),
    }
}

fn record(byte: u8, peer: &str, state: PeerState) -> Record {
    Record {
        info_hash: hash(byte),
        peer: peer.parse().expect("an address"),
        state,
        seconds_left: 1_800,
        version: Version::MAX,
    }
}

fn counter(byte: u8) -> Downloads {
    Downloads {
        info_hash: hash(byte),
        node: 0xdead_beef,
        count: u32::MAX,
    }
}

/// At least one message of each kind, with the number of its bytes.
fn messages() -> Vec<(DataMessage, usize)> {
    let session = SESSION;
    let announce = |families, state| PeerAnnounce {
        info_hash: hash(1),
        peer: "192.0.2.1:80".parse().expect("an address"),
        state,
        completed: state == PeerState::Seed,
        families,
        limit: MAX_PEERS,
    };
    let refused = |refusal| DataMessage::Refused { request: 1, refusal };
    let counts = ScrapeCounts {
        seeds: 1,
        downloads: 2,
        leechers: 3,
    };
    let peers = ["192.0.2.1:80", "[2001:db8::2]:81"].map(|peer| peer.parse().expect("an address"));
    let v4 = record(1, "192.0.2.1:80", PeerState::Leech);
    let v6 = record(1, "[2001:db8::2]:81", PeerState::Stopped);
    let other = record(2, "192.0.2.1:80", PeerState::Seed);
    vec![
        (
            DataMessage::Announce {
                request: u64::MAX,
                until_ms: 1_700_000_000_000,
                announce: announce(Families::V4, PeerState::Seed),
            },
            48,
        ),
        (
            DataMessage::Announce {
                request: 0,
                until_ms: 0,
                announce: announce(Families::V6, PeerState::Leech),
            },
            48,
        ),
        (
            DataMessage::Announce {
                request: 0,
                until_ms: 0,
                announce: announce(Families::Both, PeerState::Stopped),
            },
            48,
        ),
        (
            DataMessage::Scrape {
                request: 1,
                info_hash: hash(1),
                from_copy: true,
            },
            29,
        ),
        (
            DataMessage::Announced {
                request: 1,
                answer: Answer {
                    counts,
                    peers: peers.to_vec(),
                },
            },
            48,
        ),
        (DataMessage::Scraped { request: 1, counts }, 20),
        (
            refused(Refusal::NotMine {
                hint: Some(contact()),
            }),
            57,
        ),
        (refused(Refusal::NotMine { hint: None }), 10),
        (refused(Refusal::NotYet), 9),
        (refused(Refusal::TooLate { unix_ms: 5 }), 17),
        (refused(Refusal::Full(Full::Swarms)), 9),
        (refused(Refusal::Full(Full::Peers)), 9),
        (
            DataMessage::Store {
                op: 1,
                record: v4,
                downloads: None,
            },
            46,
        ),
        (
            DataMessage::Store {
                op: 1,
                record: v6,
                downloads: Some(counter(1)),
            },
            66,
        ),
        (
            DataMessage::Stored {
                shard: 3,
                runs: vec![Run {
                    first: u64::MAX - 2,
                    len: 2,
                }],
            },
            13,
        ),
        (
            DataMessage::Forget(Forgotten {
                info_hash: hash(1),
                peer: v4.peer,
                version: v4.version,
            }),
            35,
        ),
        (
            DataMessage::Digests {
                session,
                arc: arc(),
                purpose: Purpose::Offer,
                buckets: Box::new([BucketDigest { count: 1, xor: 2 }; 16]),
                unix_ms: 1,
            },
            246,
        ),
        (
            DataMessage::Differ {
                session,
                mask: 5,
                unix_ms: 1,
            },
            15,
        ),
        (
            DataMessage::Swarms {
                session,
                arc: arc(),
                bucket: 15,
                swarms: vec![(hash(1), 9)],
            },
            76,
        ),
        (
            DataMessage::Records {
                session,
                from_driver: true,
                entries: Entries {
                    records: vec![v4, v6, other],
                    downloads: vec![counter(1), counter(3)],
                },
            },
            157,
        ),
        (
            DataMessage::Wants {
                session,
                swarms: vec![hash(1)],
                records: 1,
            },
            31,
        ),
        (DataMessage::Fence { session, records: 1 }, 9),
        (DataMessage::Passed { session }, 5),
        (
            DataMessage::MayDrop {
                session,
                arc: arc(),
                leaving: false,
            },
            46,
        ),
        (DataMessage::Drop { session }, 5),
        (
            DataMessage::NotHere {
                session,
                mine: Some(arc()),
                hint: Some(contact()),
            },
            94,
        ),
        (
            DataMessage::NotHere {
                session,
                mine: None,
                hint: None,
            },
            7,
        ),
        (DataMessage::Ask, 0),
        (DataMessage::TakeOver { arc: arc() }, 40),
        (DataMessage::Leaving, 0),
    ]
}

fn encode(message: &DataMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut Writer::new(&mut bytes));
    bytes
}

fn decode(kind: u8, bytes: &[u8]) -> Result<DataMessage, DecodeError> {
    DataMessage::decode(kind, bytes).map(|message| message.expect("a kind that is known"))
}

/// A message of this kind.
fn one_of(kind: u8) -> DataMessage {
    let mut all = messages().into_iter().map(|(message, _)| message);
    all.find(|message| message.kind() == kind)
        .expect("there is one of each kind")
}

#[test]
fn messages_round_trip_and_are_as_small_as_said() {
    for (message, len) in messages() {
        let bytes = encode(&message);
        assert_eq!(decode(message.kind(), &bytes), Ok(message.clone()));
        assert_eq!(bytes.len(), len, "{message:?}");
    }
}

#[test]
fn whatever_ends_early_or_late_is_refused() {
    for (message, _) in messages() {
        let mut bytes = encode(&message);
        for end in 0..bytes.len() {
            // Entries have no length before them: cut between two groups they are fewer, and still a message.
            if !matches!(message, DataMessage::Records { .. }) {
                assert_eq!(
                    decode(message.kind(), &bytes[..end]),
                    Err(DecodeError::Truncated),
                    "{message:?} {end}"
                );
            }
        }
        bytes.push(0);
        assert!(decode(message.kind(), &bytes).is_err(), "{message:?}");
    }
}

/// The message of which `change` makes something else.
fn hostile(message: &DataMessage, change: impl FnOnce(&mut Vec<u8>)) -> Result<DataMessage, DecodeError> {
    let mut bytes = encode(message);
    change(&mut bytes);
    decode(message.kind(), &bytes)
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let set = |at: usize, value: u8| move |bytes: &mut Vec<u8>| bytes[at] = value;
    let table: &[(&str, u8, usize, u8, &str)] = &[
        ("family of a peer", DATA, 36, 5, "address family"),
        ("state of a peer", DATA, 43, 3, "state of a peer"),
        ("a flag that is neither", DATA, 44, 2, "flag"),
        ("families", DATA, 45, 3, "address families"),
        ("more peers than there may be", DATA, 46, 0xff, "number of peers"),
        ("refusal", DATA + 4, 8, 5, "refusal"),
        ("state in a value", DATA + 16, 42, 0xff, "state of a peer"),
        ("shard of acknowledgements", DATA + 17, 0, 16, "shard"),
        (
            "more runs than there may be",
            DATA + 17,
            1,
            0xff,
            "length of a list",
        ),
        ("version", DATA + 18, 27, 0x40, "version"),
        ("shard of a session", DATA + 32, 0, 16, "shard"),
        ("purpose", DATA + 32, 45, 3, "purpose of a session"),
        ("bucket", DATA + 34, 45, 16, "bucket"),
        (
            "more swarms than there may be",
            DATA + 34,
            46,
            0xff,
            "length of a list",
        ),
        (
            "more entries than there may be",
            DATA + 35,
            26,
            0xff,
            "number of entries",
        ),
    ];
    for &(name, kind, at, value, field) in table {
        match hostile(&one_of(kind), set(at, value)) {
            Err(DecodeError::BadValue { field: found, .. }) => assert_eq!(found, field, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn kinds_of_a_later_version_are_passed_over() {
    assert_eq!(DataMessage::decode(FREE - 1, &[1, 2, 3]), Ok(None));
}

#[test]
fn a_peer_at_port_0_is_none() {
    let announce = messages().swap_remove(0).0;
    let result = hostile(&announce, |bytes| bytes[41..43].fill(0));
    assert!(
        matches!(
            result,
            Err(DecodeError::BadValue {
                field: "port of a peer",
                ..
            })
        ),
        "{result:?}"
    );
}

#[test]
fn a_swarm_without_entries_would_let_a_message_go_on_for_ever() {
    let none = DataMessage::Records {
        session: SESSION,
        from_driver: true,
        entries: Entries::default(),
    };
    let result = hostile(&none, |bytes| bytes.extend_from_slice(&[0; 24]));
    assert!(result.is_err(), "{result:?}");
}

#[test]
fn a_run_beyond_the_last_number_is_none() {
    let run = Run {
        first: u64::MAX,
        len: 1,
    };
    let message = DataMessage::Stored {
        shard: 0,
        runs: vec![run],
    };
    assert!(decode(message.kind(), &encode(&message)).is_err());
}

#[test]
fn the_longest_messages_fit_in_one_of_noise() {
    let records: Vec<_> = (0..MAX_RECORDS)
        .map(|i| Record {
            info_hash: InfoHash::new(std::array::from_fn(|j| (i >> (8 * (j % 2))) as u8)),
            ..record(0, "[2001:db8::1]:1", PeerState::Seed)
        })
        .collect();
    let swarms: Vec<_> = records.iter().map(|record| record.info_hash).collect();
    let longest = [
        DataMessage::Records {
            session: SESSION,
            from_driver: false,
            entries: Entries {
                records,
                downloads: Vec::new(),
            },
        },
        DataMessage::Swarms {
            session: SESSION,
            arc: arc(),
            bucket: 0,
            swarms: swarms.iter().map(|&info_hash| (info_hash, 1)).collect(),
        },
        DataMessage::Stored {
            shard: 0,
            runs: vec![Run { first: 0, len: 1 }; MAX_RUNS],
        },
        DataMessage::Announced {
            request: 1,
            answer: Answer {
                counts: ScrapeCounts::default(),
                peers: vec!["[2001:db8::1]:1".parse().expect("an address"); MAX_PEERS],
            },
        },
    ];
    for message in longest {
        let bytes = encode(&message);
        assert!(bytes.len() < 65_000, "{}", bytes.len());
        assert_eq!(decode(message.kind(), &bytes), Ok(message));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(kind in DATA..FREE, mut body in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Some(shard) = body.first_mut() {
            *shard &= 15;
        }
        if let Ok(Some(message)) = DataMessage::decode(kind, &body) {
            prop_assert_eq!(message.kind(), kind);
            prop_assert_eq!(decode(kind, &encode(&message)), Ok(message.clone()));
            message.addressee();
        }
    }
}
