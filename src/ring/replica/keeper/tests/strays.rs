//! What lies where it should not, and when it may go.

use super::*;

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
