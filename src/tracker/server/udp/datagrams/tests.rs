use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::{InfoHash, PeerId};
use crate::tracker::announce::Event;
use crate::tracker::server::counters::Face;
use crate::tracker::server::fixture::{COUNTS, Letters, Script, Scripted};
use crate::tracker::server::front::Shared;
use crate::tracker::server::rules::Rules;
use crate::tracker::swarm::{Full, PeerState};
use crate::tracker::udp::Response;

const V4: &str = "192.0.2.1:5000";
const V6: &str = "[2001:db8::1]:5000";

/// A face with nothing around it.
struct World {
    tracker: Arc<Scripted>,
    letters: Arc<Letters>,
    front: Front,
}

impl World {
    fn new(script: Script, peers: &[&str], rules: Rules) -> Self {
        let tracker = Scripted::new(script, peers);
        let shared = Arc::new(Shared::new(tracker.clone(), rules));
        let letters = Arc::new(Letters::default());
        Self {
            tracker,
            front: Front::new(&shared, Face::Udp, letters.clone()),
            letters,
        }
    }

    fn open(peers: &[&str]) -> Self {
        Self::new(Script::AtOnce, peers, Rules::default())
    }

    fn send(&mut self, datagram: &[u8], from: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        answer(&mut self.front, datagram, from.parse().unwrap(), &mut out);
        (!out.is_empty()).then_some(out)
    }

    fn connect(&mut self, from: &str) -> u64 {
        let answer = self
            .send(&Request::Connect { transaction: 7 }.encode(), from)
            .unwrap();
        match Response::decode(&answer, false) {
            Ok(Response::Connect {
                transaction: 7,
                connection,
            }) => connection,
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, request: &Request, from: &str) -> Option<Response> {
        let answer = self.send(&request.encode(), from)?;
        Some(Response::decode(&answer, from.starts_with('[')).unwrap())
    }
}

fn announce(connection: u64, change: impl FnOnce(&mut AnnounceRequest)) -> Request {
    let mut announce = AnnounceRequest {
        info_hash: InfoHash::new([1; 20]),
        peer_id: PeerId::new([2; 20]),
        port: 6881,
        uploaded: 0,
        downloaded: 0,
        left: 1,
        event: Some(Event::Started),
        num_want: None,
        key: 0,
        tracker_id: None,
    };
    change(&mut announce);
    Request::Announce {
        connection,
        transaction: 8,
        announce: Box::new(announce),
        url_data: Vec::new(),
    }
}

fn scrape(connection: u64, count: usize) -> Request {
    Request::Scrape {
        connection,
        transaction: 9,
        info_hashes: vec![InfoHash::new([1; 20]); count],
    }
}

fn message(response: Option<Response>) -> String {
    match response {
        Some(Response::Error { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn peers_of_the_sender_s_family_are_told() {
    for (from, peers) in [
        (V4, ["192.0.2.9:1", "192.0.2.8:2"]),
        (V6, ["[2001:db8::9]:1", "[::8]:2"]),
    ] {
        let mut world = World::open(&peers);
        let connection = world.connect(from);
        let response = world.ask(&announce(connection, |_| {}), from);
        let Some(Response::Announce {
            transaction: 8,
            interval,
            leechers: 3,
            seeds: 1,
            peers: told,
        }) = response
        else {
            panic!("{response:?}");
        };
        assert_eq!(told, world.tracker.peers);
        assert!((1800..=1980).contains(&interval.as_secs()));
        let seen = world.tracker.seen.lock().unwrap()[0];
        assert_eq!(seen.peer.ip(), from.parse::<SocketAddr>().unwrap().ip());
        assert_eq!((seen.peer.port(), seen.state), (6881, PeerState::Leech));
        let expected = if from == V4 { Families::V4 } else { Families::V6 };
        assert_eq!((seen.families, seen.limit), (expected, 50));
    }
}

#[test]
fn an_answer_always_fits_into_a_datagram() {
    let mut rules = Rules::default();
    rules.announce.max_peers = 1000;
    let mut world = World::new(Script::AtOnce, &[], rules);
    for (from, most) in [(V4, 202), (V6, 67)] {
        let connection = world.connect(from);
        world.ask(
            &announce(connection, |announce| announce.num_want = Some(1000)),
            from,
        );
        let seen = world.tracker.seen.lock().unwrap().pop().unwrap();
        assert_eq!(seen.limit, most);
    }
}

#[test]
fn scrapes_are_answered_in_order() {
    let mut world = World::open(&[]);
    let connection = world.connect(V4);
    let Some(Response::Scrape {
        transaction: 9,
        files,
    }) = world.ask(&scrape(connection, 74), V4)
    else {
        panic!("no scrape");
    };
    assert_eq!(files, [COUNTS; 74]);
}

#[test]
fn without_a_proven_connection_nothing_is_done_and_little_is_said() {
    let mut world = World::open(&["192.0.2.9:1"]);
    let good = world.connect(V4);
    let others = world.connect("192.0.2.2:1");
    for connection in [0, good ^ 1, others, u64::MAX] {
        for request in [announce(connection, |_| {}), scrape(connection, 1)] {
            assert_eq!(message(world.ask(&request, V4)), "connection id expired");
        }
    }
    assert!(world.tracker.seen.lock().unwrap().is_empty());
    // The port may be another one; the address may not.
    assert!(matches!(
        world.ask(&announce(good, |_| {}), "192.0.2.1:6000"),
        Some(Response::Announce { .. })
    ));
}

#[test]
fn what_may_not_be_announced_is_refused_in_words() {
    let mut world = World::open(&[]);
    let connection = world.connect(V4);
    let no_port = announce(connection, |announce| announce.port = 0);
    assert!(message(world.ask(&no_port, V4)).starts_with("port 0"));
    let mut full = World::new(Script::Refuse(Full::Peers.into()), &[], Rules::default());
    let connection = full.connect(V4);
    assert!(message(full.ask(&announce(connection, |_| {}), V4)).contains("as many peers as it can"));
    assert!(message(full.ask(&scrape(connection, 1), V4)).contains("as many peers as it can"));
}

#[test]
fn passkeys_come_in_the_path() {
    let mut rules = Rules::default();
    rules.access.passkeys = Some(HashSet::from(["ann-has-this".to_owned()]));
    let mut world = World::new(Script::AtOnce, &[], rules);
    let connection = world.connect(V4);
    for (path, known) in [
        ("/ann-has-this/announce", true),
        ("/ann-has-this/announce?x=/y", true),
        ("/bob-has-this/announce", false),
        ("/announce", false),
        ("\u{fffd}", false),
        ("", false),
    ] {
        let Request::Announce { announce, .. } = announce(connection, |_| {}) else {
            unreachable!();
        };
        let request = Request::Announce {
            connection,
            transaction: 8,
            announce,
            url_data: path.into(),
        };
        let response = world.ask(&request, V4);
        assert_eq!(
            matches!(response, Some(Response::Announce { .. })),
            known,
            "{path:?}"
        );
    }
    assert!(message(world.ask(&scrape(connection, 1), V4)).contains("passkey"));
}

#[test]
fn too_many_requests_are_dropped_in_silence() {
    let rules = Rules {
        requests_per_second: 3,
        ..Rules::default()
    };
    let mut world = World::new(Script::AtOnce, &[], rules);
    let connect = Request::Connect { transaction: 1 }.encode();
    let answered = (0..10).filter(|_| world.send(&connect, V4).is_some()).count();
    assert_eq!(answered, 3);
    assert!(world.send(&connect, V6).is_some(), "somebody else");
}

#[test]
fn an_answer_that_comes_later_goes_to_the_mailbox() {
    let mut world = World::new(Script::Later, &["192.0.2.9:1"], Rules::default());
    let connection = world.connect(V4);
    assert_eq!(world.ask(&announce(connection, |_| {}), V4), None);
    assert_eq!(world.ask(&scrape(connection, 2), V4), None);
    world.tracker.answer_first();
    world.tracker.kept.lock().unwrap().clear();
    let letters = std::mem::take(&mut *world.letters.0.lock().unwrap());
    let told: Vec<_> = letters
        .into_iter()
        .map(|(to, late)| {
            let ReturnTo::Udp { client, transaction } = to else {
                panic!("{to:?}");
            };
            assert_eq!(client, V4.parse().unwrap());
            let mut out = Vec::new();
            write_late(transaction, &late, Duration::from_secs(60), &mut out);
            Response::decode(&out, false).unwrap()
        })
        .collect();
    let expected = Response::Announce {
        transaction: 8,
        interval: Duration::from_secs(60),
        leechers: 3,
        seeds: 1,
        peers: world.tracker.peers.clone(),
    };
    assert_eq!(told[0], expected);
    // The scrape's ticket was dropped.
    assert!(matches!(&told[1], Response::Error { transaction: 9, .. }));
}

#[test]
fn what_is_no_request_gets_no_answer() {
    let mut world = World::open(&[]);
    let connect = Request::Connect { transaction: 1 }.encode();
    let mut other_protocol = connect.clone();
    other_protocol[0] ^= 1;
    let mut unknown_action = connect.clone();
    unknown_action[11] = 9;
    for datagram in [
        &b""[..],
        b"x",
        &connect[..15],
        &other_protocol,
        &unknown_action,
        b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae",
    ] {
        assert_eq!(world.send(datagram, V4), None, "{datagram:?}");
    }
}

proptest! {
    #[test]
    fn no_unproven_sender_gets_more_than_it_sent(
        bytes in prop::collection::vec(any::<u8>(), 0..200), action in 0_u8..5, magic: bool,
    ) {
        let mut world = World::open(&["192.0.2.9:1"]);
        let mut datagram = bytes;
        if let Some(head) = datagram.get_mut(..12) {
            if magic {
                head[..8].copy_from_slice(&udp::PROTOCOL_MAGIC.to_be_bytes());
            }
            head[8..].copy_from_slice(&[0, 0, 0, action]);
        }
        let answer = world.send(&datagram, V4).unwrap_or_default();
        prop_assert!(answer.len() <= datagram.len(), "{} bytes for {}", answer.len(), datagram.len());
    }
}
