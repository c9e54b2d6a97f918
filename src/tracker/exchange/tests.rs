//! Exchanges with a scripted clock and a tracker made of function calls.

use proptest::prelude::*;

use super::*;
use crate::id::{InfoHash, PeerId};

const A: &str = "192.0.2.1:6969";
const B: &str = "192.0.2.2:6969";
const C: &str = "[2001:db8::3]:6969";
const STRANGER: &str = "198.51.100.9:6969";

/// Exchanges, the time, and what the last datagram asked.
struct Script {
    exchanges: Exchanges,
    now: Instant,
    rng: fastrand::Rng,
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn announce() -> Box<AnnounceRequest> {
    Box::new(AnnounceRequest {
        info_hash: InfoHash::new([1; 20]),
        peer_id: PeerId::new([2; 20]),
        port: 6881,
        uploaded: 0,
        downloaded: 0,
        left: 5,
        event: None,
        num_want: Some(0),
        key: 3,
        tracker_id: None,
    })
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl Script {
    fn new() -> Self {
        Self {
            exchanges: Exchanges::new(Timing::default()),
            now: Instant::now(),
            rng: fastrand::Rng::with_seed(5),
        }
    }

    fn start(&mut self, key: u64, addrs: &[&str]) {
        let addrs = addrs.iter().map(|text| addr(text)).collect();
        self.exchanges
            .start(key, announce(), Vec::new(), addrs, self.now, &mut self.rng);
    }

    /// Lets time pass, with a tick at its end.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.exchanges.on_tick(self.now, &mut self.rng);
    }

    /// Goes to the time of the next tick, and tells how far that was.
    fn pass_to_tick(&mut self) -> Duration {
        let wait = self.exchanges.next_tick().unwrap() - self.now;
        self.pass(wait);
        wait
    }

    /// The one datagram to be sent: to whom, and what.
    fn sent(&mut self) -> (String, Request) {
        let mut outgoing = self.exchanges.take_outgoing();
        assert_eq!(outgoing.len(), 1, "{outgoing:?}");
        let outgoing = outgoing.remove(0);
        let request = Request::decode(&outgoing.datagram).unwrap();
        (outgoing.to.to_string(), request)
    }

    /// The one connect request to be sent: to whom, and its transaction.
    fn sent_connect(&mut self) -> (String, u32) {
        match self.sent() {
            (to, Request::Connect { transaction }) => (to, transaction),
            other => panic!("{other:?}"),
        }
    }

    /// The one announce to be sent: to whom, its connection and its transaction.
    fn sent_announce(&mut self) -> (String, u64, u32) {
        match self.sent() {
            (
                to,
                Request::Announce {
                    connection,
                    transaction,
                    ..
                },
            ) => (to, connection, transaction),
            other => panic!("{other:?}"),
        }
    }

    fn is_silent(&mut self) -> bool {
        self.exchanges.take_outgoing().is_empty() && self.exchanges.take_ended().is_empty()
    }

    fn receive(&mut self, from: &str, response: &Response) {
        self.receive_bytes(from, &response.encode());
    }

    fn receive_bytes(&mut self, from: &str, bytes: &[u8]) {
        self.exchanges
            .on_datagram(addr(from), bytes, self.now, &mut self.rng);
    }

    fn ended(&mut self) -> (u64, Result<AnnounceResponse, ExchangeError>) {
        let mut ended = self.exchanges.take_ended();
        assert_eq!(ended.len(), 1, "{ended:?}");
        let ended = ended.remove(0);
        (ended.key, ended.result)
    }

    /// An exchange from its connect request to its end.
    fn complete(&mut self, from: &str, id: u64) {
        let (_, transaction) = self.sent_connect();
        self.receive(from, &connected(transaction, id));
        let (to, connection, transaction) = self.sent_announce();
        assert_eq!((to.as_str(), connection), (from, id));
        self.receive(from, &answer(transaction));
        self.ended().1.unwrap();
    }
}

fn connected(transaction: u32, connection: u64) -> Response {
    Response::Connect {
        transaction,
        connection,
    }
}

fn answer(transaction: u32) -> Response {
    Response::Announce {
        transaction,
        interval: seconds(1800),
        leechers: 4,
        seeds: 3,
        peers: vec!["192.0.2.77:1234".parse().unwrap()],
    }
}

fn refusal(transaction: u32) -> Response {
    let message = "no\u{1b}[2J\nway".to_owned();
    Response::Error { transaction, message }
}

#[test]
fn connect_then_announce() {
    let mut script = Script::new();
    script.start(7, &[A]);
    let (to, transaction) = script.sent_connect();
    assert_eq!(to, A);
    script.receive(A, &connected(transaction, 99));
    let (to, connection, second) = script.sent_announce();
    assert_eq!((to.as_str(), connection), (A, 99));
    assert_ne!(transaction, second);
    script.receive(A, &answer(second));
    let (key, result) = script.ended();
    let response = result.unwrap();
    assert_eq!(key, 7);
    assert_eq!((response.seeds, response.leechers), (Some(3), Some(4)));
    assert_eq!(response.interval, seconds(1800));
    assert_eq!(response.peers, [addr("192.0.2.77:1234")]);
    assert!(script.exchanges.is_idle());
    assert_eq!(script.exchanges.next_tick(), None);
}

#[test]
fn over_ipv6_a_peer_takes_18_bytes() {
    let mut script = Script::new();
    script.start(1, &[C]);
    let (_, transaction) = script.sent_connect();
    script.receive(C, &connected(transaction, 1));
    let (_, _, transaction) = script.sent_announce();
    let mut response = answer(transaction);
    if let Response::Announce { peers, .. } = &mut response {
        *peers = vec![addr("[2001:db8::1]:5"), addr("[2001:db8::2]:6")];
    }
    script.receive(C, &response);
    let peers = script.ended().1.unwrap().peers;
    assert_eq!(peers, [addr("[2001:db8::1]:5"), addr("[2001:db8::2]:6")]);
}

#[test]
fn what_is_lost_is_sent_again_ever_more_slowly_until_the_time_is_over() {
    let mut script = Script::new();
    script.start(1, &[A]);
    let first = script.sent_connect();
    // Sent at 0, 3 and 9 seconds; at 20 it is over, before a fourth time at 21.
    for wait in [3, 6] {
        assert_eq!(script.pass_to_tick(), seconds(wait));
        assert_eq!(script.sent_connect(), first, "the transaction stays");
    }
    assert_eq!(script.pass_to_tick(), seconds(11));
    assert_eq!(script.ended(), (1, Err(ExchangeError::Timeout)));
    script.receive(A, &connected(first.1, 1));
    assert!(script.is_silent(), "too late");
}

#[test]
fn a_late_answer_counts_and_a_lost_announce_is_sent_again() {
    let mut script = Script::new();
    script.start(1, &[A]);
    let (_, transaction) = script.sent_connect();
    script.pass(seconds(3));
    script.sent_connect();
    script.receive(A, &connected(transaction, 8));
    let announce = script.sent_announce();
    script.receive(A, &connected(transaction, 9));
    assert!(script.is_silent(), "the second answer to the same question");
    assert_eq!(script.pass_to_tick(), seconds(3), "the waits begin anew");
    assert_eq!(script.sent_announce(), announce);
    assert_eq!(script.pass_to_tick(), seconds(6));
    assert_eq!(script.sent_announce(), announce);
    assert_eq!(
        script.pass_to_tick(),
        seconds(8),
        "the limit is for the whole exchange"
    );
    assert_eq!(script.ended().1, Err(ExchangeError::Timeout));
}

#[test]
fn a_connection_id_serves_for_a_minute() {
    let mut script = Script::new();
    script.start(1, &[A]);
    script.complete(A, 50);
    script.pass(seconds(59));
    script.start(2, &[A]);
    let (_, connection, transaction) = script.sent_announce();
    assert_eq!(connection, 50);
    script.receive(A, &answer(transaction));
    script.ended().1.unwrap();
    script.pass(seconds(1));
    script.start(3, &[A]);
    script.complete(A, 51);
    script.start(4, &[A]);
    assert_eq!(script.sent_announce().1, 51);
    script.exchanges.forget_connections();
    script.start(5, &[A]);
    script.sent_connect();
}

#[test]
fn a_remembered_id_that_is_ignored_or_refused_is_replaced() {
    for refused in [false, true] {
        let mut script = Script::new();
        script.start(1, &[A]);
        script.complete(A, 50);
        script.start(2, &[A]);
        let (_, _, transaction) = script.sent_announce();
        if refused {
            script.receive(A, &refusal(transaction));
        } else {
            assert_eq!(script.pass_to_tick(), seconds(3));
        }
        let (_, fresh) = script.sent_connect();
        assert_ne!(fresh, transaction);
        script.receive(A, &answer(transaction));
        assert!(script.is_silent(), "the old question is void");
        script.receive(A, &connected(fresh, 60));
        let (_, connection, transaction) = script.sent_announce();
        assert_eq!(connection, 60);
        script.receive(A, &refusal(transaction));
        let refused = ExchangeError::Refused("no [2J way".to_owned());
        assert_eq!(script.ended(), (2, Err(refused)), "a fresh id is not the trouble");
        script.start(3, &[A]);
        script.sent_connect();
    }
}

#[test]
fn with_other_sockets_everything_begins_again() {
    let mut script = Script::new();
    script.start(1, &[A]);
    script.complete(A, 7);
    script.start(2, &[A]);
    let before = script.sent_announce();
    script.pass(seconds(19));
    script.exchanges.begin_again(script.now, &mut script.rng);
    let (to, transaction) = script.sent_connect();
    assert_eq!(to, A, "the id of the old socket is not used");
    script.receive(A, &answer(before.2));
    assert!(script.is_silent(), "what the old socket asked is not waited for");
    script.pass(seconds(1));
    assert!(script.is_silent(), "it has its time again");
    script.receive(A, &connected(transaction, 8));
    let (_, connection, transaction) = script.sent_announce();
    assert_eq!(connection, 8);
    script.receive(A, &answer(transaction));
    assert_eq!(script.ended().0, 2);
}

#[test]
fn a_refused_connect_request_ends_it() {
    let mut script = Script::new();
    script.start(1, &[A]);
    let (_, transaction) = script.sent_connect();
    script.receive(A, &refusal(transaction));
    assert!(matches!(script.ended().1, Err(ExchangeError::Refused(_))));
}

#[test]
fn a_silent_address_gives_way_to_the_next_which_is_kept() {
    let mut script = Script::new();
    script.start(1, &[A, B, C]);
    let (to, transaction) = script.sent_connect();
    assert_eq!(to, A);
    script.pass_to_tick();
    assert_eq!(script.sent_connect(), (B.to_owned(), transaction));
    script.receive(B, &connected(transaction, 5));
    let announce = script.sent_announce();
    assert_eq!(announce.0, B);
    script.pass_to_tick();
    assert_eq!(
        script.sent_announce(),
        announce,
        "the one that answered is not left"
    );
    script.receive(A, &answer(announce.2));
    assert!(script.is_silent(), "another address may not answer for it");
    script.receive(B, &answer(announce.2));
    script.ended().1.unwrap();
    script.start(2, &[A, B, C]);
    assert_eq!(script.sent_announce().0, B, "what works is asked first");
}

#[test]
fn an_address_asked_before_may_still_answer() {
    let mut script = Script::new();
    script.start(1, &[A, B]);
    let (_, transaction) = script.sent_connect();
    script.pass_to_tick();
    assert_eq!(script.sent_connect().0, B);
    script.receive(A, &connected(transaction, 5));
    assert_eq!(script.sent_announce().0, A);
}

#[test]
fn addresses_that_nothing_can_be_sent_to_are_passed_over() {
    let mut script = Script::new();
    let unsendable = |script: &mut Script| {
        let now = script.now;
        script
            .exchanges
            .on_send_failed(1, "network is unreachable".to_owned(), now);
    };
    script.start(1, &[C, A]);
    assert_eq!(script.sent_connect().0, C);
    unsendable(&mut script);
    assert_eq!(script.sent_connect().0, A, "at once");
    assert_eq!(script.pass_to_tick(), seconds(3), "not waited for twice");
    assert_eq!(script.sent_connect().0, C);
    unsendable(&mut script);
    assert_eq!(script.sent_connect().0, A);
    unsendable(&mut script);
    let error = ExchangeError::Send("network is unreachable".to_owned());
    assert_eq!(script.ended(), (1, Err(error)), "none is left");
    unsendable(&mut script);
    assert!(script.is_silent());
}

#[test]
fn no_address_is_a_failure() {
    let mut script = Script::new();
    script.start(1, &[]);
    assert_eq!(script.ended(), (1, Err(ExchangeError::NoAddress)));
}

#[test]
fn strangers_and_wrong_answers_are_ignored() {
    let mut script = Script::new();
    script.start(1, &[A]);
    let (_, transaction) = script.sent_connect();
    script.receive(STRANGER, &connected(transaction, 666));
    script.receive(STRANGER, &refusal(transaction));
    script.receive("192.0.2.1:6970", &connected(transaction, 666));
    script.receive(A, &connected(transaction.wrapping_add(1), 666));
    script.receive(A, &refusal(transaction.wrapping_add(1)));
    script.receive(A, &answer(transaction));
    let scrape = Response::Scrape {
        transaction,
        files: Vec::new(),
    };
    script.receive(A, &scrape);
    let whole = connected(transaction, 7).encode();
    for cut in 0..whole.len() {
        script.receive_bytes(A, &whole[..cut]);
    }
    assert!(script.is_silent());
    script.receive_bytes(A, &whole);
    let (_, connection, transaction) = script.sent_announce();
    assert_eq!(connection, 7);
    let whole = answer(transaction).encode();
    script.receive(A, &connected(transaction, 8));
    for cut in 0..20 {
        script.receive_bytes(A, &whole[..cut]);
    }
    assert!(script.is_silent());
    script.receive_bytes(A, &whole[..23]);
    assert_eq!(
        script.ended().1.unwrap().peers,
        [],
        "half a peer is none, the rest counts"
    );
}

#[test]
fn exchanges_do_not_mix() {
    let mut script = Script::new();
    script.start(1, &[A]);
    let (_, first) = script.sent_connect();
    script.start(2, &[A]);
    let (_, second) = script.sent_connect();
    assert_ne!(first, second);
    script.receive(A, &connected(second, 20));
    let (_, connection, announce) = script.sent_announce();
    assert_eq!(connection, 20);
    script.receive(A, &answer(announce));
    assert_eq!(script.ended().0, 2);
    script.receive(A, &connected(first, 10));
    assert_eq!(script.sent_announce().1, 10);
}

#[test]
fn the_number_of_remembered_ids_is_bounded() {
    let mut script = Script::new();
    for n in 0..2 * MAX_CONNECTIONS as u64 {
        let tracker = format!("192.0.2.1:{}", 1000 + n);
        script.start(n, &[&tracker]);
        script.complete(&tracker, n);
        assert!(script.exchanges.connections.len() <= MAX_CONNECTIONS);
    }
    // The same ones, refused and renewed again and again.
    let newest = format!("192.0.2.1:{}", 999 + 2 * MAX_CONNECTIONS);
    for n in 0..10 {
        script.start(n, &[&newest]);
        let (_, _, transaction) = script.sent_announce();
        script.receive(&newest, &refusal(transaction));
        script.complete(&newest, n);
    }
    assert_eq!(script.exchanges.connections.len(), MAX_CONNECTIONS);
    assert_eq!(script.exchanges.connection_order.len(), MAX_CONNECTIONS);
}

proptest! {
    #[test]
    fn any_datagrams_do_no_harm(
        datagrams in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..100)), 0..50),
    ) {
        let mut script = Script::new();
        script.start(1, &[A, C]);
        script.sent_connect();
        for (v6, bytes) in datagrams {
            script.receive_bytes(if v6 { C } else { A }, &bytes);
        }
        script.pass(Timing::default().time_limit);
        prop_assert!(script.exchanges.is_idle());
        prop_assert_eq!(script.exchanges.take_ended().len(), 1);
    }
}
