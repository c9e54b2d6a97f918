//! Announces, and the copies that they wait for.

use super::*;

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
