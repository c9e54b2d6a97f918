use dtorrent::engine::api::{PieceMap, TrackerDetail, TrackerState};
use dtorrent::id::InfoHash;

use super::super::fixture::{self, file, peer, tracker};
use super::*;

const MIB: u64 = 1024 * 1024;

/// A download of ten pieces that a seed sends at 1 MiB/s, with nothing in its way.
struct Case {
    summary: TorrentSummary,
    details: TorrentDetails,
    client: ClientFacts,
}

fn well() -> Case {
    let mut summary = TorrentSummary::new(InfoHash::new([1; 20]), "film", TorrentState::Downloading);
    summary.download_rate = MIB;
    summary.seeds = 1;
    let mut details = fixture::details(10);
    details.map = PieceMap {
        availability: [5; 10].into(),
        ..PieceMap::default()
    };
    details.peers = (1..=5).map(serving).collect();
    details.known_peers = 5;
    details.trackers = vec![TrackerDetail {
        state: TrackerState::Working,
        ..tracker("http://a/announce")
    }];
    Case {
        summary,
        details,
        client: ClientFacts {
            download_rate: MIB,
            inbound: Inbound::Reached,
            listens: true,
            ..ClientFacts::default()
        },
    }
}

fn serving(key: u64) -> PeerDetail {
    PeerDetail {
        am_interested: true,
        peer_choking: false,
        download_rate: MIB / 5,
        requests_out: 8,
        ..peer(key)
    }
}

fn slow(case: &mut Case) {
    case.summary.download_rate = 10_000;
    case.client.download_rate = 10_000;
    case.details
        .peers
        .iter_mut()
        .for_each(|peer| peer.download_rate = 2_000);
}

type Change = fn(&mut Case);

#[test]
fn each_cause_is_found_from_the_facts() {
    let cases: [(&str, Change, &[Reason]); 22] = [
        ("nothing is wrong", |_| (), &[]),
        ("offline", |case| case.client.offline = true, &[Reason::Offline]),
        (
            "queued",
            |case| case.summary.state = TorrentState::Queued,
            &[Reason::Queued],
        ),
        ("paused", |case| case.summary.state = TorrentState::Paused, &[]),
        (
            "its own limit",
            |case| case.summary.download_limit_kib = 1_100,
            &[Reason::OwnLimit(1_100)],
        ),
        (
            "a limit that is far",
            |case| case.summary.download_limit_kib = 2_000,
            &[],
        ),
        (
            "the limit of all",
            |case| {
                slow(case);
                case.client.download_rate = MIB;
                case.client.download_limit_kib = 1_024;
            },
            &[Reason::SharedLimit(1_024)],
        ),
        (
            "the disk",
            |case| case.details.disk_behind = true,
            &[Reason::DiskBehind],
        ),
        (
            "memory that is short and does no harm",
            |case| case.details.memory_short = true,
            &[],
        ),
        (
            "memory",
            |case| {
                slow(case);
                case.details.memory_short = true;
            },
            &[Reason::MemoryShort, Reason::SlowPeers(5)],
        ),
        ("slow peers", slow, &[Reason::SlowPeers(5)]),
        (
            "few slow peers",
            |case| {
                slow(case);
                case.details.peers.truncate(2);
            },
            &[Reason::SlowPeers(2), Reason::FewPeers(2)],
        ),
        (
            "few peers that are fast enough",
            |case| case.details.peers.truncate(1),
            &[],
        ),
        (
            "nobody serves us",
            |case| {
                slow(case);
                for peer in &mut case.details.peers {
                    (peer.peer_choking, peer.download_rate) = (true, 0);
                }
            },
            &[Reason::AllChoke(5)],
        ),
        (
            "those who would serve us send nothing",
            |case| {
                case.summary.download_rate = 0;
                for peer in &mut case.details.peers {
                    (peer.snubbed, peer.download_rate) = (true, 0);
                }
            },
            &[Reason::AllSnub(5)],
        ),
        (
            "nobody is known",
            |case| {
                slow(case);
                case.details.peers.clear();
                case.details.known_peers = 0;
            },
            &[Reason::NobodyKnown { has_trackers: true }],
        ),
        (
            "there is not even a tracker",
            |case| {
                slow(case);
                case.details.peers.clear();
                case.details.trackers.clear();
                case.details.known_peers = 0;
            },
            &[Reason::NobodyKnown { has_trackers: false }],
        ),
        (
            "nobody answers, nor does the tracker",
            |case| {
                slow(case);
                case.details.peers.clear();
                case.details.trackers = vec![TrackerDetail {
                    state: TrackerState::Failed("no answer".to_owned()),
                    ..tracker("http://a/announce")
                }];
            },
            &[Reason::NobodyAnswers(5), Reason::DeadTrackers(1)],
        ),
        (
            "one of two trackers works",
            |case| {
                slow(case);
                case.details.trackers.push(TrackerDetail {
                    state: TrackerState::Failed("no answer".to_owned()),
                    ..tracker("http://b/announce")
                });
            },
            &[Reason::SlowPeers(5)],
        ),
        (
            "pieces that nobody has, of wanted files",
            |case| {
                case.summary.seeds = 0;
                case.details.map.availability = [5, 0, 0, 5, 5, 5, 5, 0, 0, 5].into();
                // The first is here, and the last two are not wanted.
                case.details.pieces = [0b0100_0000, 0].into();
                case.details.files = vec![
                    file(&["t", "a"], 0..3, Priority::Normal),
                    file(&["t", "b"], 2..7, Priority::Normal),
                    file(&["t", "c"], 7..10, Priority::Skip),
                ];
            },
            &[Reason::PiecesAtNobody { pieces: 1, seeds: 0 }],
        ),
        (
            "a closed port",
            |case| {
                slow(case);
                case.client.inbound = Inbound::Nobody;
            },
            &[Reason::SlowPeers(5), Reason::Unreachable],
        ),
        (
            "a closed port that does no harm",
            |case| case.client.listens = false,
            &[],
        ),
    ];
    for (name, change, expected) in cases {
        let mut case = well();
        change(&mut case);
        assert_eq!(
            reasons(&case.summary, &case.details, case.client),
            expected,
            "{name}"
        );
    }
}

#[test]
fn a_seed_that_nobody_asks_is_in_order_unless_something_keeps_peers_away() {
    let mut case = well();
    case.summary.state = TorrentState::Seeding;
    case.details.peers.clear();
    let seen = |case: &Case| reasons(&case.summary, &case.details, case.client);
    assert_eq!(seen(&case), []);
    case.client.inbound = Inbound::Nobody;
    assert_eq!(seen(&case), [Reason::NobodyWants, Reason::Unreachable]);
    case.details.peers = vec![PeerDetail {
        peer_interested: true,
        ..peer(1)
    }];
    assert_eq!(seen(&case), []);
    (case.client.upload_limit_kib, case.client.upload_rate) = (10, 10_000);
    assert_eq!(seen(&case), [Reason::SharedLimit(10)]);
}

#[test]
fn each_reason_is_a_sentence_and_says_what_to_do() {
    let all = [
        Reason::Offline,
        Reason::Queued,
        Reason::OwnLimit(16),
        Reason::SharedLimit(16),
        Reason::DiskBehind,
        Reason::MemoryShort,
        Reason::NobodyKnown { has_trackers: true },
        Reason::NobodyKnown { has_trackers: false },
        Reason::NobodyAnswers(2),
        Reason::PiecesAtNobody { pieces: 1, seeds: 0 },
        Reason::PiecesAtNobody { pieces: 2, seeds: 1 },
        Reason::AllChoke(1),
        Reason::AllSnub(2),
        Reason::DeadTrackers(1),
        Reason::Unreachable,
        Reason::SlowPeers(1),
        Reason::FewPeers(2),
        Reason::NobodyWants,
    ];
    for reason in all {
        for text in [reason.sentence(), reason.advice()] {
            assert!(
                text.ends_with('.') && !text.contains(['{', '}']),
                "{reason:?}: {text}"
            );
        }
    }
    assert_eq!(
        Reason::OwnLimit(16).sentence(),
        "The limit of this torrent is reached: 16 KiB/s."
    );
    assert_eq!(
        Reason::AllChoke(1).sentence(),
        "1 peer has what we want, and it serves others first."
    );
}

#[test]
fn what_comes_and_goes_is_not_shown_and_what_stays_does_not_flicker() {
    let mut steady = Steady::default();
    for look in 0..20 {
        let now: &[Reason] = if look % 2 == 0 { &[Reason::DiskBehind] } else { &[] };
        assert_eq!(steady.show(now), []);
    }
    for _ in 0..3 * SURE {
        steady.show(&[Reason::FewPeers(1)]);
    }
    assert_eq!(steady.show(&[]), [Reason::FewPeers(1)]);
    assert_eq!(
        steady.show(&[Reason::FewPeers(2)]),
        [Reason::FewPeers(2)],
        "with its latest number"
    );
    for _ in 0..3 * SURE {
        steady.show(&[]);
    }
    assert_eq!(steady.show(&[]), []);
}
