//! Sessions that make two nodes hold the same.

use super::*;

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
