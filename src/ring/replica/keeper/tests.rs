use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::id::RingId;
use crate::ring::data::{Purpose, Run, Session};
use crate::ring::replica::view::{Rest, Segment};
use crate::ring::view::Neighbour;
use crate::tracker::swarm::{Families, PeerState};

/// Nodes at 10, 20, … of 255; the shard is that of hashes that end in 0.
fn node(number: u8) -> Contact {
    let mut id = [0; 20];
    id[0] = 10 * number;
    Contact {
        id: RingId::new(id),
        incarnation: 1,
        addr: ([127, 0, 0, 1], u16::from(number)).into(),
    }
}

/// A swarm at a point of the circle; those of one point differ in the middle.
fn hash(point: u8, nth: u16) -> InfoHash {
    let mut bytes = [0; 20];
    bytes[0] = point;
    bytes[5..7].copy_from_slice(&nth.to_be_bytes());
    InfoHash::new(bytes)
}

fn says(info_hash: InfoHash, host: u8, state: PeerState) -> PeerAnnounce {
    PeerAnnounce {
        info_hash,
        peer: ([10, 0, 0, host], 6881).into(),
        state,
        completed: false,
        families: Families::Both,
        limit: 50,
    }
}

fn settings() -> Settings {
    Settings {
        node: 0,
        max_swarms: 100_000,
        max_peers: 100_000,
        peer_lifetime_secs: 100,
        tombstone_secs: 100,
    }
}

/// The view of a node that owns from `after` to itself.
fn view(epoch: u64, me: u8, after: u8, copies: &[u8]) -> CustodyView {
    let near = copies.iter().map(|&copy| Neighbour {
        contact: node(copy),
        serving: true,
    });
    CustodyView {
        epoch,
        own: vec![Segment {
            arc: Interval::new(node(after).id, node(me).id),
            merging: false,
            ask: Vec::new(),
            copies: copies.iter().map(|&copy| node(copy)).collect(),
            mending: Vec::new(),
            heir: None,
        }],
        rest: vec![Rest {
            arc: Interval::new(node(me).id, node(after).id),
            owner: None,
        }],
        near: near.collect(),
        ..CustodyView::nothing(node(me))
    }
}

/// The view of a node that keeps copies only.
fn keeps(epoch: u64, me: u8, held: Interval) -> CustodyView {
    CustodyView {
        epoch,
        held: vec![held],
        rest: vec![Rest {
            arc: Interval::new(held.upto, held.after),
            owner: None,
        }],
        ..CustodyView::nothing(node(me))
    }
}

/// Some keepers of one shard, and what they said.
struct Net {
    keepers: BTreeMap<u8, Keeper>,
    began: Instant,
    millis: u64,
    out: BTreeMap<u8, Outbox>,
    /// Links over which nothing goes for now, by their receivers.
    deaf: BTreeSet<u8>,
    /// Entries of sessions to this node are lost.
    lossy: Option<u8>,
    sent: Vec<(u8, u8, DataMessage)>,
}

impl Net {
    fn new(nodes: &[u8]) -> Self {
        let began = Instant::now();
        let keeper = |&number: &u8| {
            (
                number,
                Keeper::new(node(number), 0, began, settings(), number.into()),
            )
        };
        Self {
            keepers: nodes.iter().map(keeper).collect(),
            began,
            millis: 0,
            out: nodes.iter().map(|&number| (number, Outbox::default())).collect(),
            deaf: BTreeSet::new(),
            lossy: None,
            sent: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        Now {
            at: self.began + Duration::from_millis(self.millis),
            unix_ms: 1_000_000 + self.millis,
        }
    }

    fn at<T>(&mut self, number: u8, act: impl FnOnce(&mut Keeper, Now, &mut Outbox) -> T) -> T {
        let now = self.now();
        let keeper = self.keepers.get_mut(&number).expect("a node of the test");
        act(
            keeper,
            now,
            self.out.get_mut(&number).expect("a node of the test"),
        )
    }

    fn set_view(&mut self, view: CustodyView) {
        let number = view.me.addr.port() as u8;
        self.at(number, |keeper, now, out| {
            keeper.set_view(now, Arc::new(view), out);
        });
    }

    /// Delivers all that is under way to those who listen.
    fn talk(&mut self) {
        loop {
            let mut moved = false;
            for from in self.keepers.keys().copied().collect::<Vec<_>>() {
                let out = self.out.get_mut(&from).expect("a node of the test");
                out.flush();
                let keep = |to: &Contact| self.deaf.contains(&(to.addr.port() as u8));
                let (later, sends): (Vec<_>, Vec<_>) = out.sends.drain(..).partition(|(to, _)| keep(to));
                out.sends = later;
                for (to, message) in sends {
                    let to = to.addr.port() as u8;
                    if matches!(message, DataMessage::Records { .. }) && self.lossy == Some(to) {
                        continue;
                    }
                    self.sent.push((from, to, message.clone()));
                    if self.keepers.contains_key(&to) {
                        moved = true;
                        self.at(to, |keeper, now, out| {
                            keeper.on_message(now, &node(from), message, out);
                        });
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn tick(&mut self, millis: u64) {
        for _ in 0..millis / 50 {
            self.millis += 50;
            for number in self.keepers.keys().copied().collect::<Vec<_>>() {
                self.at(number, |keeper, now, out| keeper.on_tick(now, out));
            }
            self.talk();
        }
    }

    fn announce(&mut self, number: u8, request: u64, announce: &PeerAnnounce) {
        self.at(number, |keeper, now, out| {
            keeper.announce(now, Origin::Local { request }, announce, out);
        });
    }

    /// Takes the answers that a node has for its own clients.
    fn replies(&mut self, number: u8) -> Vec<(u64, Reply)> {
        std::mem::take(&mut self.out.get_mut(&number).expect("a node of the test").replies)
    }

    fn progress(&mut self, number: u8) -> Option<Progress> {
        let reports = std::mem::take(&mut self.out.get_mut(&number).expect("a node of the test").reports);
        let mut progress = reports.into_iter().filter_map(|report| match report {
            Report::Progress(progress) => Some(progress),
            _ => None,
        });
        progress.next_back()
    }

    fn silent(&mut self, number: u8) -> Vec<Contact> {
        let reports = std::mem::take(&mut self.out.get_mut(&number).expect("a node of the test").reports);
        let silent = reports.into_iter().filter_map(|report| match report {
            Report::Silent(contact) => Some(contact),
            _ => None,
        });
        silent.collect()
    }

    fn entries(&self, number: u8) -> Vec<(InfoHash, std::net::SocketAddr, PeerState, u64)> {
        let store = self.keepers[&number].store();
        let mut entries: Vec<_> = store
            .swarms()
            .flat_map(|(info_hash, _)| store.records(Seconds(0), &info_hash).collect::<Vec<_>>())
            .map(|record| {
                (
                    record.info_hash,
                    record.peer,
                    record.state,
                    record.version.as_u64(),
                )
            })
            .collect();
        entries.sort();
        entries
    }
}

fn is_safe(replies: &[(u64, Reply)], request: u64) -> bool {
    replies
        .iter()
        .any(|(of, reply)| *of == request && matches!(reply, Reply::Announced(_)))
}

fn ring_of_three() -> Net {
    let mut net = Net::new(&[1, 2, 3, 4]);
    net.set_view(view(1, 1, 4, &[2, 3]));
    for copy in [2, 3] {
        net.set_view(keeps(1, copy, Interval::new(node(4).id, node(1).id)));
    }
    net.tick(100);
    net
}

const LEECH: PeerState = PeerState::Leech;

#[test]
fn a_node_alone_answers_at_once() {
    let mut net = Net::new(&[1]);
    net.set_view(view(1, 1, 1, &[]));
    net.announce(1, 7, &says(hash(200, 0), 1, PeerState::Seed));
    net.announce(1, 8, &says(hash(200, 0), 2, LEECH));
    let replies = net.replies(1);
    let Reply::Announced(answer) = &replies[1].1 else {
        panic!("{replies:?}")
    };
    assert_eq!(answer.peers, ["10.0.0.1:6881".parse().expect("an address")]);
    assert_eq!((answer.counts.seeds, answer.counts.leechers), (1, 1));
}

#[test]
fn an_announce_is_answered_when_all_copies_have_it_and_not_before() {
    let mut net = ring_of_three();
    net.deaf.insert(3);
    net.announce(1, 7, &says(hash(5, 0), 1, LEECH));
    net.talk();
    assert_eq!(net.replies(1), []);
    assert_eq!(net.entries(2).len(), 1);
    net.deaf.clear();
    net.talk();
    assert!(is_safe(&net.replies(1), 7));
    assert_eq!(net.entries(1), net.entries(3));
    assert_eq!(net.keepers[&1].waiting(), 0);
}

#[test]
fn one_message_says_that_many_entries_are_kept() {
    let mut net = ring_of_three();
    for peer in 1..=100 {
        net.announce(1, peer.into(), &says(hash(5, peer.into()), peer, LEECH));
    }
    net.sent.clear();
    net.talk();
    assert_eq!(net.replies(1).len(), 100);
    let stored = net
        .sent
        .iter()
        .filter(|(.., message)| matches!(message, DataMessage::Stored { .. }));
    assert_eq!(stored.count(), 2);
}

#[test]
fn a_silent_copy_is_reported_and_whoever_takes_its_place_gets_what_waits() {
    let mut net = ring_of_three();
    net.deaf.insert(3);
    net.announce(1, 7, &says(hash(5, 0), 1, LEECH));
    net.tick(50);
    assert_eq!(net.silent(1), []);
    net.tick(50);
    assert_eq!(net.silent(1), [node(3)]);
    let mut next = view(2, 1, 4, &[2, 4]);
    next.own[0].mending.push(node(3));
    net.set_view(next);
    net.talk();
    assert!(is_safe(&net.replies(1), 7));
    assert_eq!(net.entries(4), net.entries(1));
}

#[test]
fn nobody_was_silent_while_this_process_was_stopped() {
    let mut net = ring_of_three();
    net.deaf.extend([2, 3]);
    net.announce(1, 7, &says(hash(5, 0), 1, LEECH));
    net.millis += 5_000;
    net.tick(50);
    assert_eq!(net.silent(1), []);
    net.tick(100);
    assert_eq!(net.silent(1), [node(2), node(3)]);
}

#[test]
fn what_an_owner_was_told_before_it_was_stopped_does_not_count_as_said_now() {
    let mut net = ring_of_three();
    net.millis += 5_000;
    net.announce(1, 7, &says(hash(5, 0), 1, LEECH));
    assert_eq!(net.replies(1), [(7, Reply::Refused(Refusal::NotYet))]);
    assert_eq!(net.entries(1), []);
}

#[test]
fn an_announce_for_whose_answer_nobody_waits_any_more_counts_for_nothing() {
    let mut net = ring_of_three();
    let now = net.now();
    let arrives = |net: &mut Net, until_ms| {
        let message = DataMessage::Announce {
            request: 7,
            until_ms,
            announce: says(hash(5, 0), 1, LEECH),
        };
        net.at(1, |keeper, now, out| {
            keeper.on_message(now, &node(2), message, out);
        });
    };
    arrives(&mut net, now.unix_ms - 1);
    assert_eq!(net.entries(1), []);
    let refusal = Refusal::TooLate { unix_ms: now.unix_ms };
    let answer = net.out[&1].sends.last().cloned();
    assert_eq!(
        answer,
        Some((node(2), DataMessage::Refused { request: 7, refusal }))
    );
    arrives(&mut net, now.unix_ms);
    assert_eq!(net.entries(1).len(), 1);
}

#[test]
fn it_wakes_up_with_a_view_in_which_it_asks_others_first() {
    let mut net = ring_of_three();
    net.millis += 5_000;
    net.tick(50);
    assert!(net.out[&1].reports.contains(&Report::Overslept));
    let refused = |net: &mut Net, request: u64| {
        net.announce(1, request, &says(hash(5, 0), 1, LEECH));
        net.talk();
        matches!(net.replies(1)[..], [(_, Reply::Refused(Refusal::NotYet))])
    };
    // Made before the custody knew.
    net.set_view(view(2, 1, 4, &[2, 3]));
    net.tick(500);
    assert!(refused(&mut net, 1));
    let mut asks = view(3, 1, 4, &[2, 3]);
    (asks.own[0].merging, asks.own[0].ask) = (true, vec![node(2)]);
    net.set_view(asks);
    net.tick(50);
    assert!(!refused(&mut net, 2));
}

#[test]
fn an_owner_stamps_by_the_fastest_clock_it_has_heard_of() {
    let mut net = Net::new(&[1, 2]);
    net.set_view(view(1, 1, 4, &[]));
    let hears = |net: &mut Net, unix_ms: u64| {
        let digests = DataMessage::Digests {
            session: Session { shard: 0, number: 1 },
            arc: Interval::new(node(1).id, node(2).id),
            purpose: Purpose::Claim,
            buckets: Box::default(),
            unix_ms,
        };
        net.at(1, |keeper, now, out| {
            keeper.on_message(now, &node(2), digests, out);
        });
    };
    let stamped = |net: &mut Net, peer: u8| {
        net.announce(1, 0, &says(hash(5, 0), peer, LEECH));
        let entries = net.entries(1);
        entries.iter().map(|entry| entry.3 >> 16).max()
    };
    let mine = net.now().unix_ms;
    assert_eq!(stamped(&mut net, 1), Some(mine));
    hears(&mut net, mine + 5_000);
    net.millis += 100;
    assert_eq!(stamped(&mut net, 2), Some(mine + 5_100));
    hears(&mut net, mine - 5_000);
    hears(&mut net, mine + 2 * crate::ring::replica::clock::MAX_AHEAD_MS);
    assert_eq!(
        stamped(&mut net, 3),
        Some(mine + 5_100),
        "clocks that are behind, or hours ahead, are not followed"
    );
}

#[test]
fn what_waits_when_an_arc_goes_is_sent_on_to_the_new_owner() {
    let mut net = ring_of_three();
    net.deaf.insert(3);
    net.announce(1, 7, &says(hash(5, 0), 1, LEECH));
    net.announce(1, 8, &says(hash(9, 0), 1, LEECH));
    let mut next = view(2, 1, 0, &[2, 3]);
    next.own[0].arc.after = hash(6, 0).into();
    let hint = Neighbour {
        contact: node(5),
        serving: true,
    };
    next.near = vec![hint];
    net.set_view(next);
    let refused = Reply::Refused(Refusal::NotMine { hint: Some(node(5)) });
    assert_eq!(net.replies(1), [(7, refused)]);
    net.deaf.clear();
    net.talk();
    assert!(is_safe(&net.replies(1), 8));
}

#[test]
fn what_was_lost_with_a_link_is_sent_again() {
    let mut net = ring_of_three();
    net.deaf.insert(3);
    net.announce(1, 7, &says(hash(5, 0), 1, LEECH));
    net.out
        .get_mut(&1)
        .expect("a node of the test")
        .sends
        .retain(|(to, _)| *to != node(3));
    net.deaf.clear();
    net.at(1, |keeper, now, out| keeper.on_lost(now, &node(3), out));
    net.talk();
    assert_eq!(net.replies(1), []);
    net.tick(100);
    assert!(is_safe(&net.replies(1), 7));
    assert_eq!(net.entries(3), net.entries(1));
}

#[test]
fn acknowledgements_of_anything_else_change_nothing() {
    let mut net = ring_of_three();
    net.deaf.extend([2, 3]);
    net.announce(1, 7, &says(hash(5, 0), 1, LEECH));
    let all = vec![
        Run { first: 0, len: 1 },
        Run {
            first: 2,
            len: u16::MAX,
        },
        Run {
            first: u64::MAX - 1,
            len: 1,
        },
    ];
    for from in [2, 3] {
        let message = DataMessage::Stored {
            shard: 0,
            runs: all.clone(),
        };
        net.at(1, |keeper, now, out| {
            keeper.on_message(now, &node(from), message, out);
        });
    }
    let stranger = DataMessage::Stored {
        shard: 0,
        runs: vec![Run { first: 0, len: 100 }],
    };
    net.at(1, |keeper, now, out| {
        keeper.on_message(now, &node(9), stranger, out);
    });
    assert_eq!(net.replies(1), []);
    assert_eq!(net.keepers[&1].waiting(), 1);
}

#[test]
fn a_session_makes_two_nodes_equal_however_much_differs() {
    let mut net = Net::new(&[1, 2]);
    let arc = Interval::new(node(4).id, node(1).id);
    net.set_view(view(1, 1, 4, &[]));
    net.set_view(view(1, 2, 4, &[]));
    // More swarms in one bucket than one message takes, and one swarm with more peers than one message takes.
    for nth in 0..3_000 {
        net.announce(1 + u8::from(nth % 3 == 0), 0, &says(hash(5, nth), 1, LEECH));
        if nth % 7 == 0 {
            net.millis += 1;
            net.announce(2, 0, &says(hash(5, nth), 1, PeerState::Stopped));
        }
    }
    for peer in 0..2_500_u16 {
        let [high, low] = peer.to_be_bytes();
        let announce = PeerAnnounce {
            peer: ([10, 1, high, low], 1).into(),
            completed: true,
            ..says(hash(6, 0), 1, PeerState::Seed)
        };
        net.announce(2, 0, &announce);
    }
    net.set_view(keeps(2, 2, arc));
    net.set_view(view(2, 1, 4, &[2]));
    net.tick(100);
    assert_eq!(net.entries(1).len(), 5_500);
    assert_eq!(net.entries(1), net.entries(2));
    let downloads = |number| net.keepers[&number].store().counts(&hash(6, 0)).downloads;
    assert_eq!((downloads(1), downloads(2)), (2_500, 2_500));
    assert_eq!(net.progress(1).expect("news").complete, [(node(2), arc)]);
    // The next one finds nothing.
    net.sent.clear();
    net.tick(2_500);
    assert!(
        net.sent
            .iter()
            .any(|(.., message)| matches!(message, DataMessage::Differ { mask: 0, .. }))
    );
    assert!(
        net.sent
            .iter()
            .all(|(.., message)| !matches!(message, DataMessage::Swarms { .. }))
    );
}

#[test]
fn entries_that_are_lost_on_their_way_do_not_pass_for_kept() {
    for lost_to in [1, 2] {
        let mut net = Net::new(&[1, 2]);
        net.set_view(view(1, 1, 4, &[]));
        net.set_view(view(1, 2, 4, &[]));
        net.announce(1, 0, &says(hash(5, 0), 1, LEECH));
        net.announce(2, 0, &says(hash(5, 0), 2, LEECH));
        net.set_view(keeps(2, 2, Interval::new(node(4).id, node(1).id)));
        net.set_view(view(2, 1, 4, &[2]));
        net.lossy = Some(lost_to);
        net.tick(1_000);
        assert_eq!(
            net.progress(1).expect("news").complete,
            [],
            "entries to {lost_to} are lost"
        );
        // Nobody hears that a link has broken and is there again.
        net.lossy = None;
        net.tick(6_000);
        assert_eq!(net.progress(1).expect("news").complete.len(), 1);
        assert_eq!((net.entries(1).len(), net.entries(1)), (2, net.entries(2)));
    }
}

#[test]
fn a_broken_link_takes_back_that_a_copy_is_complete() {
    let mut net = ring_of_three();
    let complete = net.progress(1).expect("news").complete;
    assert_eq!(complete.len(), 2);
    net.at(1, |keeper, now, out| keeper.on_lost(now, &node(2), out));
    let left = net.progress(1).expect("news").complete;
    assert_eq!(left.iter().map(|(copy, _)| *copy).collect::<Vec<_>>(), [node(3)]);
    net.tick(1_000);
    assert_eq!(net.progress(1).expect("news").complete.len(), 2);
}

fn merging(epoch: u64, ask: &[u8]) -> CustodyView {
    let mut view = view(epoch, 1, 4, &[]);
    view.own[0].merging = true;
    view.own[0].ask = ask.iter().map(|&asked| node(asked)).collect();
    view
}

#[test]
fn a_new_owner_asks_first_and_then_has_what_it_had_missed() {
    let mut net = Net::new(&[1, 2]);
    net.set_view(view(1, 2, 4, &[]));
    net.announce(2, 0, &says(hash(5, 0), 1, LEECH));
    net.set_view(merging(1, &[2]));
    net.announce(1, 7, &says(hash(5, 0), 2, LEECH));
    assert_eq!(net.replies(1), [(7, Reply::Refused(Refusal::NotYet))]);
    net.tick(100);
    assert_eq!(net.progress(1).expect("news").merged.len(), 1);
    net.announce(1, 8, &says(hash(5, 0), 2, LEECH));
    let replies = net.replies(1);
    let Reply::Announced(answer) = &replies[0].1 else {
        panic!("{replies:?}")
    };
    assert_eq!(answer.peers.len(), 1);
}

#[test]
fn a_new_owner_does_not_wait_for_the_dead() {
    let mut net = Net::new(&[1]);
    net.set_view(merging(1, &[2, 3]));
    net.tick(100);
    net.at(1, |keeper, now, out| keeper.on_lost(now, &node(2), out));
    net.announce(1, 7, &says(hash(5, 0), 2, LEECH));
    assert_eq!(net.replies(1), [(7, Reply::Refused(Refusal::NotYet))]);
    // Of node 3 nothing at all is heard.
    net.tick(1_000);
    net.announce(1, 8, &says(hash(5, 0), 2, LEECH));
    assert!(is_safe(&net.replies(1), 8));
}

#[test]
fn entries_that_end_at_the_owner_end_at_the_copies() {
    let mut net = ring_of_three();
    net.announce(1, 7, &says(hash(5, 0), 1, LEECH));
    net.talk();
    assert_eq!(net.entries(3).len(), 1);
    net.millis += 101_000;
    net.sent.clear();
    // All entries are looked at in some ticks.
    net.tick(40_000);
    assert!(
        net.sent
            .iter()
            .any(|(.., message)| matches!(message, DataMessage::Forget(_)))
    );
    for number in [1, 2, 3] {
        assert_eq!(net.entries(number), [], "{number}");
    }
}

/// A ring of four in which node 4 holds what it should not.
fn with_a_stray() -> Net {
    let mut net = ring_of_three();
    net.set_view(view(1, 4, 1, &[]));
    let mut before = view(2, 4, 1, &[]);
    before.own[0].arc = Interval::new(node(3).id, node(4).id);
    let stray = Interval::new(node(4).id, node(1).id);
    before.own[0].arc.after = node(3).id;
    before.rest = vec![
        Rest {
            arc: stray,
            owner: Some(node(1)),
        },
        Rest {
            arc: Interval::new(node(1).id, node(3).id),
            owner: None,
        },
    ];
    let record = Record {
        info_hash: hash(5, 0),
        peer: ([10, 0, 0, 1], 1).into(),
        state: LEECH,
        seconds_left: 90,
        version: crate::tracker::swarm::Version::new(1 << 40).expect("small"),
    };
    let store = DataMessage::Store {
        op: 1,
        record,
        downloads: None,
    };
    net.at(4, |keeper, now, out| keeper.on_message(now, &node(9), store, out));
    net.set_view(before);
    net
}

#[test]
fn a_stray_is_dropped_when_the_owner_and_both_copies_have_it() {
    let mut net = with_a_stray();
    net.deaf.insert(3);
    net.tick(1_000);
    assert_eq!(net.entries(1).len(), 1, "the owner has it");
    assert_eq!(net.entries(4).len(), 1, "a copy lacks it");
    net.deaf.clear();
    net.tick(3_000);
    assert_eq!(net.entries(4), []);
    for number in [1, 2, 3] {
        assert_eq!(net.entries(number).len(), 1, "{number}");
    }
}

#[test]
fn an_owner_that_knows_of_too_few_copies_lets_nobody_drop_anything() {
    let mut net = with_a_stray();
    net.set_view(view(2, 1, 4, &[2]));
    net.tick(10_000);
    assert_eq!(net.entries(4).len(), 1);
    // Unless it is about to leave, and these are all that stay.
    let mut leaving = CustodyView::clone(&net.keepers[&4].view);
    (leaving.epoch, leaving.leaving) = (3, true);
    net.set_view(leaving);
    net.tick(10_000);
    assert_eq!(net.entries(4), []);
}

#[test]
fn a_stray_into_which_something_came_is_brought_again() {
    let mut net = with_a_stray();
    net.tick(50);
    net.deaf.insert(4);
    net.tick(3_000);
    let allows = |(_, message): &(Contact, DataMessage)| matches!(message, DataMessage::Drop { .. });
    assert!(
        net.out[&1].sends.iter().any(allows),
        "the word of the owner is under way"
    );
    let record = Record {
        info_hash: hash(5, 1),
        peer: ([10, 0, 0, 1], 1).into(),
        state: LEECH,
        seconds_left: 90,
        version: crate::tracker::swarm::Version::new(1 << 41).expect("small"),
    };
    let late = DataMessage::Store {
        op: 2,
        record,
        downloads: None,
    };
    net.at(4, |keeper, now, out| keeper.on_message(now, &node(9), late, out));
    net.deaf.clear();
    net.tick(5_000);
    assert_eq!(net.entries(4), []);
    for number in [1, 2, 3] {
        assert_eq!(net.entries(number).len(), 2, "{number}");
    }
}

#[test]
fn who_does_not_own_an_arc_says_so() {
    let mut net = with_a_stray();
    net.set_view(view(2, 1, 0, &[2, 3]));
    net.tick(100);
    let reports = &net.out[&4].reports;
    let not_here = reports
        .iter()
        .find(|report| matches!(report, Report::NotHere { .. }));
    let mine = Some(Interval::new(node(0).id, node(1).id));
    assert!(
        matches!(not_here, Some(Report::NotHere { from, mine: told, .. }) if *from == node(1) && *told == mine),
        "{reports:?}"
    );
}

#[test]
fn a_view_never_gives_way_to_an_earlier_one() {
    let mut net = ring_of_three();
    net.set_view(view(5, 1, 4, &[]));
    net.set_view(view(4, 1, 4, &[2, 3]));
    net.announce(1, 7, &says(hash(5, 0), 1, LEECH));
    assert!(is_safe(&net.replies(1), 7));
}

#[test]
fn scrapes_are_answered_by_owners_and_where_that_will_do_by_copies() {
    let mut net = ring_of_three();
    net.announce(1, 7, &says(hash(5, 0), 1, LEECH));
    net.talk();
    net.replies(1);
    for (number, from_copy, answered) in [
        (1, false, true),
        (2, false, false),
        (2, true, true),
        (4, true, false),
    ] {
        net.at(number, |keeper, now, out| {
            keeper.scrape(now, Origin::Local { request: 9 }, &hash(5, 0), from_copy, out);
        });
        let replies = net.replies(number);
        assert_eq!(
            matches!(replies[0].1, Reply::Scraped(_)),
            answered,
            "{number} {from_copy}"
        );
    }
}

#[test]
fn messages_of_no_session_do_nothing() {
    let mut net = ring_of_three();
    let session = Session {
        shard: 0,
        number: 999,
    };
    for message in [
        DataMessage::Differ {
            session,
            mask: u16::MAX,
            unix_ms: 1,
        },
        DataMessage::Wants {
            session,
            swarms: vec![hash(5, 0)],
            records: 0,
        },
        DataMessage::Passed { session },
        DataMessage::Drop { session },
        DataMessage::NotHere {
            session,
            mine: None,
            hint: None,
        },
    ] {
        net.sent.clear();
        net.at(1, |keeper, now, out| {
            keeper.on_message(now, &node(2), message.clone(), out);
        });
        net.talk();
        assert_eq!(net.sent, [], "{message:?}");
    }
}
