use super::*;
use crate::ring::data::Answer;
use crate::ring::replica::fixture::node;
use crate::tracker::announce::ScrapeCounts;
use crate::tracker::swarm::{Families, PeerState};

/// A swarm that node `owner` owns.
fn hash(owner: u8) -> InfoHash {
    let mut bytes = [0; 20];
    bytes[0] = 10 * owner - 1;
    InfoHash::new(bytes)
}

fn announce(owner: u8) -> Question {
    Question::Announce(PeerAnnounce {
        info_hash: hash(owner),
        peer: ([10, 0, 0, 1], 1).into(),
        state: PeerState::Leech,
        completed: false,
        families: Families::Both,
        limit: 50,
    })
}

const SAFE: Reply = Reply::Announced(Answer {
    counts: ScrapeCounts {
        seeds: 0,
        downloads: 0,
        leechers: 1,
    },
    peers: Vec::new(),
});

fn not_mine(hint: Option<u8>) -> Reply {
    Reply::Refused(Refusal::NotMine { hint: hint.map(node) })
}

/// The time of day when a test begins.
const NOON: u64 = 1_700_000_000_000;

/// The router of node 1, which knows of nodes 1 to 5.
fn router() -> (Router, Instant) {
    let at = Instant::now();
    let mut router = Router::new(Now { at, unix_ms: NOON }, node(1), 1);
    router.learn((1..=5).map(node));
    (router, at)
}

/// Whom the actions ask, and whether a copy may answer.
fn asked(router: &mut Router) -> Vec<(Contact, bool)> {
    let asks = |action| match action {
        Action::Send(to, DataMessage::Scrape { from_copy, .. }) => Some((to, from_copy)),
        Action::Send(to, _) => Some((to, false)),
        Action::Local { from_copy, .. } => Some((node(1), from_copy)),
        Action::Lookup(_) | Action::Done { .. } => None,
    };
    router.take_actions().into_iter().filter_map(asks).collect()
}

/// Whom it asks next, if anybody before `until`.
fn asked_later(router: &mut Router, now: &mut Instant, until: Duration) -> Option<Contact> {
    let end = *now + until;
    while let Some(next) = router.next_tick().filter(|&next| next <= end) {
        *now = next;
        router.on_tick(next);
        if let [(to, _), ..] = asked(router)[..] {
            return Some(to);
        }
    }
    None
}

fn done(router: &mut Router) -> Vec<(u64, Result<Reply, Failure>)> {
    let done = |action| match action {
        Action::Done { request, result } => Some((request, result)),
        _ => None,
    };
    router.take_actions().into_iter().filter_map(done).collect()
}

#[test]
fn it_asks_the_owner_and_passes_the_answer_on() {
    let (mut router, now) = router();
    router.ask(now, 7, announce(3));
    assert_eq!(asked(&mut router), [(node(3), false)]);
    router.on_reply(now, &node(3), 7, SAFE);
    assert_eq!(done(&mut router), [(7, Ok(SAFE))]);
    assert!(router.is_empty() && router.next_tick().is_none());
    // A second answer, to an attempt that was thought lost.
    router.on_reply(now, &node(3), 7, SAFE);
    assert_eq!(done(&mut router), []);
}

#[test]
fn its_own_swarms_it_asks_of_its_own_keeper() {
    let (mut router, now) = router();
    router.ask(now, 7, announce(1));
    assert_eq!(asked(&mut router), [(node(1), false)]);
}

#[test]
fn who_is_named_by_a_refusal_is_asked_at_once_and_first_the_next_time() {
    let (mut router, now) = router();
    router.ask(now, 7, announce(3));
    asked(&mut router);
    router.on_reply(now, &node(3), 7, not_mine(Some(4)));
    assert_eq!(asked(&mut router), [(node(4), false)]);
    router.ask(now, 8, announce(3));
    assert_eq!(asked(&mut router), [(node(4), false)]);
}

#[test]
fn nodes_that_name_each_other_are_not_asked_for_ever() {
    let (mut router, now) = router();
    router.ask(now, 7, announce(3));
    for hop in 0..100 {
        let Some((to, _)) = asked(&mut router).first().copied() else {
            assert!((1..10).contains(&hop));
            return;
        };
        let other = if to == node(3) { 4 } else { 3 };
        router.on_reply(now, &to, 7, not_mine(Some(other)));
    }
    panic!("it goes on without a pause");
}

#[test]
fn a_lost_owner_is_left_out_and_the_next_node_is_asked_after_a_pause() {
    let (mut router, mut now) = router();
    router.ask(now, 7, announce(3));
    asked(&mut router);
    router.on_lost(now, &node(3));
    assert_eq!(asked(&mut router), []);
    assert_eq!(
        asked_later(&mut router, &mut now, Duration::from_millis(100)),
        Some(node(4))
    );
    router.on_reply(now, &node(4), 7, Reply::Refused(Refusal::NotYet));
    assert_eq!(asked(&mut router), []);
    assert_eq!(
        asked_later(&mut router, &mut now, Duration::from_millis(200)),
        Some(node(4))
    );
    router.on_reply(now, &node(4), 7, SAFE);
    assert_eq!(done(&mut router).len(), 1);
}

#[test]
fn a_silent_owner_may_still_answer_while_others_are_asked() {
    let (mut router, mut now) = router();
    router.ask(now, 7, announce(3));
    asked(&mut router);
    assert_eq!(asked_later(&mut router, &mut now, ANNOUNCE_WAIT), Some(node(4)));
    router.on_reply(now, &node(4), 7, not_mine(Some(3)));
    assert_eq!(
        asked(&mut router),
        [],
        "it was asked, and another question would bring nothing"
    );
    router.on_reply(now, &node(3), 7, SAFE);
    assert_eq!(done(&mut router), [(7, Ok(SAFE))]);
}

#[test]
fn it_gives_up_in_words() {
    let (mut router, mut now) = router();
    let began = now;
    router.ask(now, 7, announce(3));
    let mut results = Vec::new();
    let mut lookups = 0;
    while let Some(next) = router.next_tick() {
        now = next;
        router.on_tick(next);
        for action in router.take_actions() {
            match action {
                Action::Done { result, .. } => results.push(result),
                Action::Lookup(key) => lookups += usize::from(key == hash(3).into()),
                _ => {}
            }
        }
    }
    assert_eq!(results, [Err(Failure::NoAnswer)]);
    assert_eq!(now - began, GIVE_UP);
    assert!(lookups > 0, "the ring itself was asked");
    assert!(Failure::NoAnswer.to_string().contains("8 seconds"));
}

#[test]
fn a_full_owner_is_asked_once() {
    let (mut router, now) = router();
    router.ask(now, 7, announce(3));
    asked(&mut router);
    router.on_reply(now, &node(3), 7, Reply::Refused(Refusal::Full(Full::Swarms)));
    assert_eq!(done(&mut router), [(7, Err(Failure::Full(Full::Swarms)))]);
}

#[test]
fn a_scrape_goes_to_copies_when_the_owner_does_not_answer() {
    let (mut router, mut now) = router();
    router.ask(now, 7, Question::Scrape(hash(3)));
    assert_eq!(asked(&mut router), [(node(3), false)]);
    now += SHORT_WAIT;
    router.on_tick(now);
    let [(copy, true)] = asked(&mut router)[..] else {
        panic!("a copy may answer")
    };
    assert!([node(4), node(5)].contains(&copy));
}

#[test]
fn what_the_ring_finds_is_asked() {
    let (mut router, mut now) = router();
    router.ask(now, 7, announce(3));
    asked(&mut router);
    let mut found = node(3);
    found.id = RingId::from(hash(3));
    router.on_reply(now, &node(3), 7, not_mine(None));
    router.on_found(found);
    assert_eq!(
        asked_later(&mut router, &mut now, Duration::from_millis(100)),
        Some(found)
    );
}

#[test]
fn an_announce_says_until_when_it_counts_by_the_fastest_clock() {
    let (mut router, now) = router();
    let until = |router: &mut Router| {
        let until = |action| match action {
            Action::Send(_, DataMessage::Announce { until_ms, .. }) => Some(until_ms),
            _ => None,
        };
        router.take_actions().into_iter().find_map(until)
    };
    let wait = ANNOUNCE_WAIT.as_millis() as u64;
    router.ask(now, 7, announce(3));
    assert_eq!(until(&mut router), Some(NOON + wait));
    // The owner has a clock that is ahead of this one's: the next attempt is good for it too.
    let later = now + Duration::from_millis(5);
    let unix_ms = NOON + 60_005;
    router.on_reply(later, &node(3), 7, Reply::Refused(Refusal::TooLate { unix_ms }));
    assert_eq!(done(&mut router), []);
    let next = router.next_tick().expect("another attempt");
    router.on_tick(next);
    let pause = next.duration_since(now).as_millis() as u64;
    assert_eq!(until(&mut router), Some(NOON + 60_000 + pause + wait));
}
