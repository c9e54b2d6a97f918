//! Who has the say: views, new owners, and what others are answered.

use super::*;

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
