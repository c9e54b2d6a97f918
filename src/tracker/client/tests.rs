//! The announcer against small servers on 127.0.0.1.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_channel::Receiver;

use super::*;
use crate::tracker::announce::{AnnounceRequest, AnnounceResponse, Event};
use crate::tracker::http;
use crate::tracker::status::TrackerState;

mod answers;
mod udp;

/// For what happens at once; only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a tracker received: the path, and the announce in it if it is one.
type Seen = (String, Option<AnnounceRequest>);

struct Announcing {
    commands: Sender<AnnouncerCommand>,
    events: Receiver<AnnouncerEvent>,
    handle: AnnouncerHandle,
}

fn announcing() -> Announcing {
    announcing_with(Limits::default())
}

/// For trackers that never answer.
fn impatient() -> Announcing {
    announcing_with(Limits {
        http: Duration::from_secs(1),
        udp: Timing {
            resend_first: Duration::from_millis(100),
            time_limit: Duration::from_secs(1),
        },
    })
}

fn announcing_with(limits: Limits) -> Announcing {
    announcing_by(Arc::new(SocketFactory::new("").unwrap()), limits)
}

fn announcing_by(sockets: Arc<SocketFactory>, limits: Limits) -> Announcing {
    let (events_tx, events) = unbounded();
    let setup = AnnouncerSetup {
        peer_id: PeerId::new(*b"-DT0100-abcdefghijkl"),
        port: 6881,
        user_agent: "DTorrent/test".to_owned(),
        sockets,
        events: events_tx,
    };
    let handle = spawn_with(setup, limits).unwrap();
    Announcing {
        commands: handle.commands.clone(),
        events,
        handle,
    }
}

impl Announcing {
    fn start(&self, info_hash: InfoHash, tiers: &[&[&str]]) {
        self.start_with(info_hash, tiers, &Arc::new(totals()));
    }

    fn start_with(&self, info_hash: InfoHash, tiers: &[&[&str]], totals: &Arc<Totals>) {
        let urls = |tier: &&[&str]| tier.iter().map(|url| (*url).to_owned()).collect();
        self.send(AnnouncerCommand::Start {
            info_hash,
            name: "film".to_owned(),
            tiers: tiers.iter().map(urls).collect(),
            totals: Arc::clone(totals),
        });
    }

    fn send(&self, command: AnnouncerCommand) {
        self.commands.send(command).unwrap();
    }

    fn peers(&self) -> Vec<SocketAddr> {
        loop {
            if let AnnouncerEvent::Peers { peers, .. } = self.events.recv_timeout(PATIENCE).unwrap() {
                return peers;
            }
        }
    }

    /// Waits for a status of which `wanted` holds.
    fn status(&self, wanted: impl Fn(&[TrackerStatus]) -> bool) -> Vec<TrackerStatus> {
        loop {
            if let AnnouncerEvent::Status { trackers, .. } = self.events.recv_timeout(PATIENCE).unwrap()
                && wanted(&trackers)
            {
                return trackers;
            }
        }
    }

    /// Waits until the first tracker has failed, and tells why.
    fn failure(&self) -> String {
        let trackers = self.status(|trackers| matches!(trackers[0].state, TrackerState::Failed(_)));
        match &trackers[0].state {
            TrackerState::Failed(reason) => reason.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn shut_down(self, limit: Duration) {
        self.send(AnnouncerCommand::Shutdown(limit));
        drop(self.commands);
        self.handle.join();
    }
}

/// Of a download that wants peers.
fn totals() -> Totals {
    let totals = Totals::default();
    totals.left.store(1000, Relaxed);
    totals.wants_peers.store(true, Relaxed);
    totals
}

fn torrent(n: u8) -> InfoHash {
    InfoHash::new([n; 20])
}

/// An HTTP server that answers each request with what `answer` makes of its target.
fn http_tracker(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> (String, Receiver<Seen>) {
    http_tracker_at("127.0.0.1:0", answer)
}

fn http_tracker_at(
    addr: &str,
    answer: impl Fn(&str) -> Vec<u8> + Send + 'static,
) -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind(addr).unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    let (seen_tx, seen) = unbounded();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(target) = read_target(&mut stream) else {
                continue;
            };
            let query = target.split_once('?').map_or("", |(_, query)| query);
            let announce = http::parse_announce(query).ok().map(|query| query.request);
            if seen_tx.send((target.clone(), announce)).is_err() {
                return;
            }
            // The client may have had enough.
            let _ = stream.write_all(&answer(&target));
        }
    });
    (url, seen)
}

/// An HTTP tracker that answers several requests at a time.
fn http_tracker_of_threads(
    answer: impl Fn(&AnnounceRequest) -> Vec<u8> + Send + Sync + 'static,
) -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    let (seen_tx, seen) = unbounded();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (seen_tx, answer) = (seen_tx.clone(), Arc::clone(&answer));
            thread::spawn(move || {
                let Some(target) = read_target(&mut stream) else {
                    return;
                };
                let query = target.split_once('?').map_or("", |(_, query)| query);
                let announce = http::parse_announce(query).unwrap().request;
                let _ = seen_tx.send((target.clone(), Some(announce.clone())));
                // The client may have had enough.
                let _ = stream.write_all(&answer(&announce));
            });
        }
    });
    (url, seen)
}

fn read_target(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    request.split(' ').nth(1).map(str::to_owned)
}

fn ok(body: &[u8]) -> Vec<u8> {
    response("200 OK", "", body)
}

fn response(status: &str, header: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn good_answer() -> AnnounceResponse {
    AnnounceResponse {
        interval: Duration::from_secs(1800),
        seeds: Some(3),
        leechers: Some(4),
        peers: vec!["127.0.0.1:1234".parse().unwrap()],
        ..AnnounceResponse::default()
    }
}

fn good_tracker() -> (String, Receiver<Seen>) {
    http_tracker(|_| ok(&http::encode_announce(&good_answer())))
}

/// The next announce that a tracker receives.
fn next(seen: &Receiver<Seen>) -> AnnounceRequest {
    seen.recv_timeout(PATIENCE).unwrap().1.expect("an announce")
}

/// A tracker that takes connections and never answers.
fn hanging_tracker() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    (listener, url)
}

/// The URL of a tracker that refuses connections.
fn dead_tracker() -> String {
    hanging_tracker().1
}

#[test]
fn the_life_of_a_torrent_at_an_http_tracker() {
    let (url, seen) = good_tracker();
    let announcing = announcing();
    announcing.start(torrent(1), &[&[&format!("{url}?passkey=abc")]]);
    let (target, announce) = seen.recv_timeout(PATIENCE).unwrap();
    let announce = announce.unwrap();
    assert!(target.starts_with("/announce?passkey=abc&info_hash="), "{target}");
    assert_eq!(announce.info_hash, torrent(1));
    assert_eq!((announce.port, announce.left), (6881, 1000));
    assert_eq!(
        (announce.event, announce.num_want),
        (Some(Event::Started), Some(200))
    );
    assert_eq!(announcing.peers(), good_answer().peers);
    let status = announcing.status(|trackers| trackers[0].state == TrackerState::Working);
    assert_eq!((status[0].seeds, status[0].leechers), (Some(3), Some(4)));
    assert!(status[0].next_announce.is_some());

    announcing.send(AnnouncerCommand::Completed(torrent(1)));
    assert_eq!(next(&seen).event, Some(Event::Completed));
    announcing.shut_down(PATIENCE);
    let stopped = next(&seen);
    assert_eq!((stopped.event, stopped.num_want), (Some(Event::Stopped), Some(0)));
    assert!(seen.try_recv().is_err(), "nothing else was asked");
}

#[test]
fn who_wants_no_peers_asks_for_none() {
    let (url, seen) = good_tracker();
    let announcing = announcing();
    let totals = Arc::new(totals());
    totals.wants_peers.store(false, Relaxed);
    announcing.start_with(torrent(1), &[&[&url]], &totals);
    let started = next(&seen);
    assert_eq!((started.event, started.num_want), (Some(Event::Started), Some(0)));
    assert_eq!(
        announcing.peers(),
        good_answer().peers,
        "what is told is passed on"
    );
    totals.wants_peers.store(true, Relaxed);
    announcing.send(AnnouncerCommand::Completed(torrent(1)));
    assert_eq!(next(&seen).num_want, Some(200), "as it is at that moment");
    announcing.shut_down(PATIENCE);
}

#[test]
fn a_tracker_on_ipv6_tells_of_peers_of_both_families() {
    let both: Vec<SocketAddr> = vec![
        "127.0.0.1:1234".parse().unwrap(),
        "[2001:db8::1]:5678".parse().unwrap(),
    ];
    let response = AnnounceResponse {
        peers: both.clone(),
        ..good_answer()
    };
    let (url, seen) = http_tracker_at("[::1]:0", move |_| ok(&http::encode_announce(&response)));
    assert!(url.starts_with("http://[::1]:"));
    let announcing = announcing();
    announcing.start(torrent(1), &[&[&url]]);
    assert_eq!(announcing.peers(), both);
    announcing.shut_down(PATIENCE);
    assert_eq!(seen.len(), 2, "started and stopped");
}

#[test]
fn a_dead_tracker_gives_way_to_a_live_one() {
    let (live, _seen) = good_tracker();
    let announcing = announcing();
    // The shuffle decides who is first; with this many dead ones it is one of them.
    let dead: Vec<String> = (0..20).map(|_| dead_tracker()).collect();
    let mut tier: Vec<&str> = dead.iter().map(String::as_str).collect();
    tier.push(&live);
    announcing.start(torrent(1), &[&tier]);
    assert_eq!(announcing.peers(), good_answer().peers);
    announcing.status(|trackers| trackers[0].url == live);
}

#[test]
fn hanging_trackers_do_not_hold_up_a_live_one() {
    let (live, _seen) = good_tracker();
    let hanging: Vec<_> = (0..30).map(|_| hanging_tracker()).collect();
    let announcing = impatient();
    for (n, (_, url)) in (0..).zip(&hanging) {
        announcing.start(torrent(n), &[&[url]]);
    }
    announcing.start(torrent(100), &[&[&hanging[0].1, &hanging[1].1, &live]]);
    assert_eq!(announcing.peers(), good_answer().peers);
}

#[test]
fn a_live_tracker_is_asked_before_dead_ones_have_run_out_of_time() {
    let (live, _seen) = good_tracker();
    let hanging: Vec<_> = (0..5).map(|_| hanging_tracker()).collect();
    // They take as long as they are given, which is far more than this test.
    let announcing = announcing_with(Limits {
        http: 100 * PATIENCE,
        udp: Timing::default(),
    });
    for n in 0..20 {
        let tiers: Vec<Vec<&str>> = hanging.iter().map(|(_, url)| vec![url.as_str()]).collect();
        let tiers: Vec<&[&str]> = tiers.iter().map(Vec::as_slice).collect();
        announcing.start(torrent(n), &tiers);
    }
    announcing.start(torrent(100), &[&[&live]]);
    assert_eq!(announcing.peers(), good_answer().peers);
    let many: Vec<_> = (0..40).map(|_| hanging_tracker()).collect();
    for (n, (_, url)) in (101..).zip(&many) {
        announcing.start(torrent(n), &[&[url]]);
    }
    let (late, _late_seen) = good_tracker();
    announcing.start(torrent(200), &[&[&late]]);
    assert_eq!(announcing.peers(), good_answer().peers);
    announcing.shut_down(Duration::ZERO);
}

#[test]
fn a_scrape_follows_an_answer_without_counts() {
    let (url, seen) = http_tracker(|target| {
        if target.starts_with("/scrape?") {
            ok(&http::encode_scrape(&[(
                torrent(1),
                crate::tracker::announce::ScrapeCounts {
                    seeds: 7,
                    downloads: 8,
                    leechers: 9,
                },
            )]))
        } else {
            ok(b"d8:intervali1800e5:peers0:e")
        }
    });
    let announcing = announcing();
    announcing.start(torrent(1), &[&[&url]]);
    let status = announcing.status(|trackers| trackers[0].seeds.is_some());
    assert_eq!(
        (status[0].seeds, status[0].downloads, status[0].leechers),
        (Some(7), Some(8), Some(9))
    );
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_torrent_can_be_started_again_right_after_a_stop() {
    let (url, seen) = good_tracker();
    let announcing = announcing();
    announcing.start(torrent(1), &[&[&url]]);
    announcing.peers();
    announcing.send(AnnouncerCommand::Stop(torrent(1)));
    announcing.start(torrent(1), &[&[&url]]);
    let events: Vec<_> = (0..3).map(|_| next(&seen).event).collect();
    assert_eq!(
        events,
        [Some(Event::Started), Some(Event::Stopped), Some(Event::Started)]
    );
    // Only a tracker whose answer has come is told of the end.
    announcing.peers();
    announcing.shut_down(PATIENCE);
    assert_eq!(next(&seen).event, Some(Event::Stopped));
}

#[test]
fn shutdown_says_stopped_and_waits_for_no_hanging_tracker() {
    let (good, seen) = good_tracker();
    let (_listener, hanging) = hanging_tracker();
    // Answers the first announce, and then no more.
    let first = std::sync::atomic::AtomicBool::new(true);
    let (released_tx, released) = unbounded::<()>();
    let (fickle, fickle_seen) = http_tracker(move |_| {
        if !first.swap(false, Relaxed) {
            let _ = released.recv();
        }
        ok(&http::encode_announce(&good_answer()))
    });
    let announcing = announcing();
    announcing.start(torrent(1), &[&[&good], &[&hanging], &[&fickle]]);
    announcing.status(|trackers| {
        trackers[0].state == TrackerState::Working && trackers[2].state == TrackerState::Working
    });
    let started = (next(&seen).event, next(&fickle_seen).event);
    assert_eq!(started, (Some(Event::Started), Some(Event::Started)));
    // That it ends at all shows the bound: one of the answers never comes.
    announcing.shut_down(Duration::from_millis(500));
    assert_eq!(next(&seen).event, Some(Event::Stopped));
    assert_eq!(next(&fickle_seen).event, Some(Event::Stopped));
    drop(released_tx);
}

#[test]
fn a_tracker_that_has_not_answered_started_hears_stopped_all_the_same() {
    let (held_tx, held) = unbounded::<()>();
    let (url, seen) = http_tracker_of_threads(move |announce| {
        if announce.event == Some(Event::Started) {
            let _ = held.recv();
        }
        ok(&http::encode_announce(&good_answer()))
    });
    let announcing = announcing();
    announcing.start(torrent(1), &[&[&url]]);
    assert_eq!(next(&seen).event, Some(Event::Started));
    announcing.shut_down(PATIENCE);
    assert_eq!(next(&seen).event, Some(Event::Stopped));
    drop(held_tx);
}

#[test]
fn the_end_of_all_senders_ends_the_announcer() {
    let (_listener, hanging) = hanging_tracker();
    let announcing = announcing();
    announcing.start(torrent(1), &[&[&hanging]]);
    drop(announcing.commands);
    announcing.handle.join();
}

#[test]
fn urls_that_cannot_be_asked_say_so() {
    let announcing = announcing();
    for (n, (url, expected)) in (0..).zip([
        ("wss://127.0.0.1/announce", "only http, https and udp"),
        ("udp://127.0.0.1/announce", "needs a port"),
        ("what is this", "not a valid"),
    ]) {
        announcing.start(torrent(n), &[&[url]]);
        let reason = announcing.failure();
        assert!(reason.contains(expected), "{url}: {reason}");
    }
}
