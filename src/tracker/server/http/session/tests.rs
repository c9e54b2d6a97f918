use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::id::{InfoHash, PeerId};
use crate::ring::picture::{Route, Waypoint};
use crate::tracker::announce::AnnounceRequest;
use crate::tracker::http::{announce_url, decode_announce, decode_scrape, failure_reason};
use crate::tracker::server::counters::Face;
use crate::tracker::server::fixture::{COUNTS, Letters, Script, Scripted};
use crate::tracker::server::front::{Front, Shared};
use crate::tracker::server::rules::Rules;
use crate::tracker::server::seam::ReturnTo;
use crate::tracker::swarm::{Families, PeerState};

const ANNOUNCE: &str =
    "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=6881&left=1";

/// A connection with nothing around it.
struct World {
    tracker: Arc<Scripted>,
    letters: Arc<Letters>,
    desk: Desk,
    session: Session,
    peer: IpAddr,
}

impl World {
    fn new(script: Script, rules: Rules) -> Self {
        let tracker = Scripted::new(script, &["192.0.2.9:1", "[2001:db8::9]:2"]);
        let shared = Arc::new(Shared::new(tracker.clone(), rules));
        let letters = Arc::new(Letters::default());
        Self {
            tracker,
            desk: Desk::new(Front::new(&shared, Face::Http, letters.clone())),
            letters,
            session: Session::default(),
            peer: "192.0.2.1".parse().unwrap(),
        }
    }

    fn open() -> Self {
        Self::new(Script::AtOnce, Rules::default())
    }

    fn feed(&mut self, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        self.session.feed(bytes, self.peer, 5, &mut self.desk, &mut out);
        // The tests' own peers are compact and no text.
        out.iter().map(|&byte| char::from(byte)).collect()
    }

    /// The body of the answer to one request on a fresh connection.
    fn get(&mut self, target: &str) -> Vec<u8> {
        self.get_with(target, "")
    }

    fn get_with(&mut self, target: &str, headers: &str) -> Vec<u8> {
        self.session = Session::default();
        let answer = self.feed(format!("GET {target} HTTP/1.1\r\nHost: t\r\n{headers}\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{target}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        body.chars().map(|c| u32::from(c) as u8).collect()
    }

    fn refusal(&mut self, target: &str) -> String {
        failure_reason(&self.get(target)).unwrap()
    }

    fn deliver(&mut self) -> String {
        let mut out = Vec::new();
        for (to, late) in std::mem::take(&mut *self.letters.0.lock().unwrap()) {
            let ReturnTo::Http { slot: 5, request } = to else {
                panic!("{to:?}");
            };
            self.session
                .take_late(request, late, self.peer, 5, &mut self.desk, &mut out);
        }
        out.iter().map(|&byte| char::from(byte)).collect()
    }
}

fn statuses(answers: &str) -> Vec<&str> {
    let lines = answers.lines().filter(|line| line.contains("HTTP/1.1 "));
    lines
        .filter_map(|line| line.split("HTTP/1.1 ").nth(1)?.split(' ').next())
        .collect()
}

#[test]
fn an_announce_is_answered_with_peers_of_both_families() {
    let mut world = World::open();
    let body = world.get(ANNOUNCE);
    let answer = decode_announce(&body).unwrap();
    assert_eq!(answer.peers, world.tracker.peers);
    assert_eq!(
        (answer.seeds, answer.leechers, answer.downloads),
        (Some(1), Some(3), Some(2))
    );
    assert!((1800..=1980).contains(&answer.interval.as_secs()));
    assert_eq!(answer.min_interval.map(|time| time.as_secs()), Some(900));
    let dictionaries = world.get(&format!("{ANNOUNCE}&compact=0&no_peer_id=1"));
    assert_eq!(decode_announce(&dictionaries).unwrap().peers, world.tracker.peers);
    assert!(dictionaries.windows(3).any(|part| part == b"2:i".as_slice()));
    let seen = world.tracker.seen.lock().unwrap();
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].peer.to_string(), "192.0.2.1:6881");
    assert_eq!(
        (seen[0].state, seen[0].families, seen[0].limit),
        (PeerState::Leech, Families::Both, 50)
    );
}

#[test]
fn scrapes_tell_of_what_was_asked_for() {
    let mut world = World::open();
    let body = world.get("/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash=bbbbbbbbbbbbbbbbbbbb");
    for torrent in [b'a', b'b'] {
        assert_eq!(decode_scrape(&body, &InfoHash::new([torrent; 20])), Ok(COUNTS));
    }
    assert!(world.refusal("/scrape").contains("does not tell of all"));
    assert!(world.refusal("/scrape?info_hash=short").contains("info_hash"));
    let mut rules = Rules::default();
    rules.http.full_scrape = true;
    let mut world = World::new(Script::AtOnce, rules);
    let body = world.get("/scrape");
    for torrent in [1, 9] {
        assert_eq!(decode_scrape(&body, &InfoHash::new([torrent; 20])), Ok(COUNTS));
    }
}

#[test]
fn what_is_missing_is_named() {
    let mut world = World::open();
    for (target, expected) in [
        ("/announce", "info_hash"),
        ("/announce?info_hash=aaaaaaaaaaaaaaaaaaaa", "peer_id"),
        (
            "/announce?info_hash=aaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1",
            "info_hash",
        ),
        (
            "/announce?info_hash=%zz&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1",
            "info_hash",
        ),
        (
            "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb",
            "port",
        ),
        (
            "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=99999",
            "port",
        ),
        (
            "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=0",
            "port 0",
        ),
    ] {
        let reason = world.refusal(target);
        assert!(reason.contains(expected), "{target}: {reason}");
    }
    assert!(world.tracker.seen.lock().unwrap().is_empty());
}

#[test]
fn pages_say_how_the_tracker_is() {
    let mut world = World::open();
    assert_eq!(world.get("/health"), b"ok\n");
    let metrics = String::from_utf8(world.get("/metrics")).unwrap();
    assert!(metrics.contains("dtracker_torrents 2\n"), "{metrics}");
    let status: crate::tracker::server::Status = serde_json::from_slice(&world.get("/status")).unwrap();
    assert_eq!((status.torrents, status.seeds, status.leechers), (2, 2, 6));
    let answer = world.feed(b"GET /favicon.ico HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[test]
fn where_a_torrent_lives_is_told_when_the_ring_has_told_it() {
    let lookup = |hash: &str| format!("GET /lookup?info_hash={hash} HTTP/1.1\r\n\r\n");
    let hash = "0123456789abcdef0123456789abcdef01234567";
    let mut alone = World::open();
    assert_eq!(statuses(&alone.feed(lookup(hash).as_bytes())), ["404"]);

    let mut world = World::new(Script::Later, Rules::default());
    for bad in ["", "xy", &hash[1..], "%01"] {
        assert_eq!(statuses(&world.feed(lookup(bad).as_bytes())), ["400"], "{bad:?}");
    }
    let point = |id: &str| Waypoint {
        id: id.to_owned(),
        address: "127.0.0.1:6970".to_owned(),
    };
    let route = Route {
        info_hash: hash.to_owned(),
        place: 0.004,
        path: vec![point("aa"), point("bb")],
        owner: point("cc"),
        copies: vec![point("dd"), point("ee")],
    };
    let mut answer = |late: Option<Late>| {
        assert_eq!(world.feed(lookup(hash).as_bytes()), "");
        let ticket = world.tracker.kept.lock().unwrap().remove(0);
        match late {
            Some(late) => ticket.answer(late),
            None => drop(ticket),
        }
        world.deliver()
    };
    let found = answer(Some(Late::Found(Box::new(route.clone()))));
    let (head, body) = found.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/json"), "{head}");
    assert_eq!(serde_json::from_str::<Route>(body).unwrap(), route);
    let many = answer(Some(Late::Refused(crate::tracker::server::Refusal::TooMany)));
    assert_eq!(statuses(&many), ["429"]);
    assert_eq!(statuses(&answer(None)), ["503"]);
}

#[test]
fn nobody_looks_up_more_often_than_he_may_announce() {
    let rules = Rules {
        requests_per_second: 2,
        ..Rules::default()
    };
    let mut world = World::new(Script::Later, rules);
    let request = b"GET /lookup?info_hash=0123456789abcdef0123456789abcdef01234567 HTTP/1.1\r\n\r\n";
    for _ in 0..2 {
        assert_eq!(world.feed(request), "");
        world.tracker.kept.lock().unwrap().clear();
        assert_eq!(statuses(&world.deliver()), ["503"]);
    }
    assert_eq!(statuses(&world.feed(request)), ["429"]);
}

#[test]
fn requests_may_come_in_pieces_and_in_heaps() {
    let request = format!("GET {ANNOUNCE} HTTP/1.1\r\nHost: t\r\n\r\n");
    let mut world = World::open();
    let (last, others) = request.as_bytes().split_last().unwrap();
    for byte in others {
        assert_eq!(world.feed(&[*byte]), "");
        assert!(world.session.is_in_head());
    }
    assert_eq!(statuses(&world.feed(&[*last])), ["200"]);
    assert!(!world.session.is_in_head());

    let heap = format!("{request}GET /health HTTP/1.1\r\n\r\n{request}GET /hea");
    assert_eq!(statuses(&world.feed(heap.as_bytes())), ["200"; 3]);
    assert!(world.session.is_in_head());
    assert_eq!(statuses(&world.feed(b"lth HTTP/1.1\r\n\r\n")), ["200"]);
    assert_eq!(world.session.end(), End::Open);
}

#[test]
fn a_connection_ends_when_its_client_wants_or_nothing_can_be_read() {
    for (bytes, status, end) in [
        ("GET /health HTTP/1.0\r\n\r\n", "200", End::Close),
        (
            "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
            "200",
            End::Close,
        ),
        (
            "GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "200",
            End::Open,
        ),
        ("HEAD /health HTTP/1.1\r\n\r\n", "200", End::Open),
        ("POST /announce HTTP/1.1\r\n\r\n", "405", End::Linger),
        (
            "GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            "413",
            End::Linger,
        ),
        ("GET / HTTP/3.0\r\n\r\n", "505", End::Linger),
        ("\0\0\0\0", "400", End::Linger),
    ] {
        let mut world = World::open();
        let twice = format!("{bytes}GET /health HTTP/1.1\r\n\r\n");
        let answers = world.feed(twice.as_bytes());
        let expected = if end == End::Open {
            vec![status, "200"]
        } else {
            vec![status]
        };
        assert_eq!(statuses(&answers), expected, "{bytes:?}");
        assert_eq!(world.session.end(), end, "{bytes:?}");
        assert!(!world.session.is_in_head(), "{bytes:?}: nothing is kept");
    }
}

#[test]
fn a_head_without_end_is_cut_off() {
    let mut world = World::open();
    let mut answers = world.feed(b"GET /announce?x HTTP/1.1\r\n");
    for _ in 0..1000 {
        answers += &world.feed(b"X-Filler: 0123456789\r\n");
    }
    assert_eq!(statuses(&answers), ["431"]);
    assert_eq!(world.session.end(), End::Linger);
}

#[test]
fn requests_behind_one_that_waits_wait_too() {
    let mut world = World::new(Script::Later, Rules::default());
    let heap =
        format!("GET {ANNOUNCE} HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n\r\nGET {ANNOUNCE} HTTP/1.0\r\n\r\n");
    assert_eq!(world.feed(heap.as_bytes()), "");
    assert!(world.session.is_waiting() && !world.session.reads());
    world.tracker.answer_first();
    // The first answer, then the page, then the other announce waits.
    assert_eq!(statuses(&world.deliver()), ["200", "200"]);
    assert!(world.session.is_waiting());
    assert_eq!(world.deliver(), "", "nothing has come");
    world.tracker.answer_first();
    let last = world.deliver();
    assert!(last.contains("Connection: close"), "{last}");
    assert_eq!(world.session.end(), End::Close);
}

#[test]
fn an_answer_that_comes_too_late_goes_to_nobody() {
    let mut world = World::new(Script::Later, Rules::default());
    let request = format!("GET {ANNOUNCE} HTTP/1.1\r\n\r\n");
    world.feed(request.as_bytes());
    let mut out = Vec::new();
    let none = Late::Refused(crate::tracker::server::Refusal::Unanswered);
    world
        .session
        .give_up(none, world.peer, 5, &mut world.desk, &mut out);
    assert!(
        String::from_utf8(out)
            .unwrap()
            .contains("could not answer in time")
    );
    world.feed(request.as_bytes());
    world.tracker.answer_first();
    assert_eq!(world.deliver(), "", "it was for the first request");
    world.tracker.answer_first();
    assert_eq!(statuses(&world.deliver()), ["200"]);
    // A scrape too: one that is answered, one whose ticket is dropped.
    world.feed(b"GET /scrape?info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n\r\n");
    let ticket = world.tracker.kept.lock().unwrap().remove(0);
    ticket.answer(Late::Scraped(vec![COUNTS]));
    assert!(world.deliver().contains("d8:completei1e10:downloadedi2e"));
    world.feed(b"GET /scrape?info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n\r\n");
    world.tracker.kept.lock().unwrap().clear();
    assert!(world.deliver().contains("failure reason"));
}

#[test]
fn passkeys_stand_in_the_path() {
    let mut rules = Rules::default();
    rules.access.passkeys = Some(HashSet::from(["ann-has-this".to_owned()]));
    let mut world = World::new(Script::AtOnce, rules);
    let with_key = |key: &str| format!("{key}{ANNOUNCE}");
    assert!(decode_announce(&world.get(&with_key("/ann-has-this"))).is_ok());
    assert!(world.refusal(&with_key("/bob-has-this")).contains("passkey"));
    assert!(world.refusal(ANNOUNCE).contains("passkey"));
    assert!(
        world
            .refusal("/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa")
            .contains("passkey")
    );
    assert_eq!(world.get("/health"), b"ok\n");
}

#[test]
fn only_a_trusted_proxy_says_who_its_client_is() {
    let mut rules = Rules::default();
    rules.http.trusted_proxies = vec!["192.0.2.0/24".parse().unwrap()];
    let mut world = World::new(Script::AtOnce, rules);
    let header = "X-Forwarded-For: 10.9.9.9, 203.0.113.5\r\n";
    let entered = |world: &mut World| {
        world.get_with(ANNOUNCE, header);
        world.tracker.seen.lock().unwrap().pop().unwrap().peer.to_string()
    };
    assert_eq!(entered(&mut world), "203.0.113.5:6881");
    let reason = failure_reason(&world.get_with(ANNOUNCE, "")).unwrap();
    assert!(reason.contains("proxy's header"), "{reason}");
    world.peer = "198.51.100.1".parse().unwrap();
    assert_eq!(entered(&mut world), "198.51.100.1:6881");
}

#[test]
fn too_many_requests_are_told_so() {
    let rules = Rules {
        requests_per_second: 2,
        ..Rules::default()
    };
    let mut world = World::new(Script::AtOnce, rules);
    for _ in 0..2 {
        assert!(decode_announce(&world.get(ANNOUNCE)).is_ok());
    }
    assert!(world.refusal(ANNOUNCE).contains("too many requests"));
}

proptest! {
    #[test]
    fn any_bytes_are_survived_however_they_are_cut(
        text in "((GET|HEAD|POST|X) /(announce|scrape|x)?(\\?[ -~]{0,30})? HTTP/1.[0-2]\r\n([ -~]{0,20}\r\n){0,2}\r\n){0,4}",
        noise in prop::collection::vec(any::<u8>(), 0..40), cut in 0_usize..200, later: bool,
    ) {
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&noise);
        let script = if later { Script::Later } else { Script::AtOnce };
        let mut world = World::new(script, Rules::default());
        let whole = world.feed(&bytes);
        // Where it is cut makes no difference.
        let mut other = World::new(script, Rules::default());
        let (start, end) = bytes.split_at(cut.min(bytes.len()));
        let mut parts = other.feed(start);
        if other.session.reads() {
            parts += &other.feed(end);
        }
        prop_assert_eq!(statuses(&whole), statuses(&parts));
        prop_assert_eq!(world.session.end(), other.session.end());
    }

    #[test]
    fn what_our_client_asks_is_understood(hash: [u8; 20], port in 1_u16.., left: u64) {
        let request = AnnounceRequest {
            info_hash: InfoHash::new(hash), peer_id: PeerId::new(*b"-DT0100-abcdefghijkl"), port,
            uploaded: 1, downloaded: 2, left, event: None, num_want: Some(7), key: 3, tracker_id: None,
        };
        let url = announce_url("/announce", &request);
        let mut world = World::open();
        prop_assert!(decode_announce(&world.get(&url)).is_ok());
        let seen = world.tracker.seen.lock().unwrap()[0];
        prop_assert_eq!((seen.info_hash, seen.peer.port(), seen.limit), (request.info_hash, port, 7));
        prop_assert_eq!(seen.state == PeerState::Seed, left == 0);
    }
}
