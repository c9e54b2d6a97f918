//! Swarms in scripted time.

use std::collections::BTreeSet;

use super::*;

/// Connected peers, as the owner of a choker keeps them.
struct Swarm {
    choker: Choker,
    rng: fastrand::Rng,
    now: Instant,
    seeding: bool,
    peers: Vec<Candidate>,
}

impl Swarm {
    /// Interested peers that have been connected for long and give nothing.
    fn new(slots: usize, peers: u64, seeding: bool) -> Self {
        let long_ago = Instant::now();
        Self {
            choker: Choker::new(Slots::Fixed(slots)),
            rng: fastrand::Rng::with_seed(slots as u64 * 1000 + peers),
            now: long_ago + NEW_FOR * 2,
            seeding,
            peers: (0..peers).map(|peer| candidate(peer, long_ago)).collect(),
        }
    }

    /// Giving peer `n` the rate `rate(n)`, to us or from us.
    fn with_rates(mut self, rate: impl Fn(u64) -> u64) -> Self {
        for peer in &mut self.peers {
            peer.rate_from_peer = rate(peer.peer.0);
        }
        self
    }

    fn rechoke_after(&mut self, seconds: u64) -> BTreeSet<u64> {
        self.now += Duration::from_secs(seconds);
        let chosen = self
            .choker
            .rechoke(self.now, self.seeding, &self.peers, &mut self.rng);
        let distinct: BTreeSet<_> = chosen.iter().map(|peer| peer.0).collect();
        assert_eq!(distinct.len(), chosen.len(), "nobody has two slots");
        assert!(chosen.len() <= self.choker.slots());
        for peer in &mut self.peers {
            let unchoked = distinct.contains(&peer.peer.0);
            assert!(peer.interested || !unchoked);
            peer.unchoked_since = unchoked.then_some(peer.unchoked_since.unwrap_or(self.now));
            peer.unchoked = unchoked;
            if unchoked {
                peer.last_served = Some(self.now);
            }
        }
        distinct
    }

    fn round(&mut self) -> BTreeSet<u64> {
        self.rechoke_after(10)
    }
}

fn candidate(peer: u64, connected_at: Instant) -> Candidate {
    Candidate {
        peer: PeerKey(peer),
        interested: true,
        unchoked: false,
        rate_from_peer: 0,
        rate_to_peer: 0,
        connected_at,
        snubbed: false,
        unchoked_since: None,
        last_served: None,
        kept: 0,
        idle: false,
    }
}

#[test]
fn nobody_without_interest_and_no_more_than_the_slots() {
    for seeding in [false, true] {
        assert_eq!(Swarm::new(4, 10, seeding).round().len(), 4);
        assert_eq!(Swarm::new(0, 10, seeding).round().len(), 0);
        assert_eq!(Swarm::new(4, 3, seeding).round().len(), 3);
        let mut bored = Swarm::new(4, 10, seeding);
        bored.peers.iter_mut().for_each(|peer| peer.interested = false);
        assert_eq!(bored.round().len(), 0);
    }
}

#[test]
fn the_best_uploaders_keep_their_slots_and_one_slot_goes_round() {
    let mut swarm = Swarm::new(4, 12, false).with_rates(|peer| if peer < 3 { 1000 + peer } else { peer });
    let mut tried = Vec::new();
    for _ in 0..300 {
        let chosen = swarm.round();
        assert!(chosen.is_superset(&BTreeSet::from([0, 1, 2])), "{chosen:?}");
        tried.extend(chosen.into_iter().filter(|peer| *peer > 2));
    }
    assert_eq!(tried.len(), 300);
    let turns: Vec<_> = tried.chunk_by(|one, next| one == next).map(<[_]>::len).collect();
    assert!(
        turns.iter().all(|rounds| *rounds == 3),
        "30 seconds each: {turns:?}"
    );
    assert_eq!(
        tried.into_iter().collect::<BTreeSet<_>>().len(),
        9,
        "everybody is tried"
    );
}

#[test]
fn who_proves_better_while_tried_gets_a_slot() {
    let mut swarm =
        Swarm::new(3, 8, false).with_rates(|peer| [50, 60].get(peer as usize).map_or(0, |rate| *rate));
    let tried = *swarm.round().iter().find(|peer| **peer > 1).unwrap();
    swarm.peers[tried as usize].rate_from_peer = 100;
    let chosen = swarm.round();
    assert!(chosen.contains(&tried) && chosen.contains(&1) && chosen.len() == 3);
    // Peer 0 may be drawn as one to be tried, but its merit holds no slot any more.
    (0..3).for_each(|_| _ = swarm.round());
    assert!(swarm.round().is_superset(&BTreeSet::from([tried, 1])));
}

#[test]
fn a_newcomer_is_tried_three_times_as_often() {
    let mut first = 0;
    for seed in 0..400 {
        let mut swarm = Swarm::new(2, 5, false).with_rates(|peer| u64::from(peer == 0));
        swarm.rng = fastrand::Rng::with_seed(seed);
        swarm.peers[4].connected_at = swarm.now;
        first += u32::from(swarm.round().contains(&4));
    }
    // Three chances of six.
    assert!((160..240).contains(&first), "{first} of 400");
}

#[test]
fn a_snubbing_peer_loses_its_slot() {
    let mut swarm = Swarm::new(3, 6, false).with_rates(|peer| 100 - peer);
    assert!(swarm.round().is_superset(&BTreeSet::from([0, 1])));
    swarm.peers[0].snubbed = true;
    let (mut rounds, mut kept) = (0, 0);
    for _ in 0..60 {
        let chosen = swarm.round();
        assert!(chosen.is_superset(&BTreeSet::from([1, 2])));
        rounds += 1;
        kept += u32::from(chosen.contains(&0));
    }
    assert!(
        kept * 2 < rounds,
        "only as one of those that are tried: {kept} of {rounds}"
    );
}

#[test]
fn a_lone_slot_goes_to_the_best_and_to_anybody_if_none_gives() {
    let mut swarm = Swarm::new(1, 4, false).with_rates(|peer| peer);
    (0..9).for_each(|_| assert_eq!(swarm.round(), BTreeSet::from([3])));
    swarm.peers.iter_mut().for_each(|peer| peer.snubbed = true);
    assert_eq!(swarm.round().len(), 1);
}

#[test]
fn between_rounds_only_free_slots_are_filled() {
    for seeding in [false, true] {
        let mut swarm = Swarm::new(4, 6, seeding).with_rates(|peer| peer);
        let before = swarm.round();
        for peer in &mut swarm.peers {
            peer.rate_from_peer = 1000 - peer.rate_from_peer;
            peer.rate_to_peer = peer.rate_from_peer;
        }
        assert_eq!(swarm.rechoke_after(1), before, "rates alone change nothing");
        let gone = *before.iter().next().unwrap();
        swarm.peers.retain(|peer| peer.peer.0 != gone);
        let after = swarm.rechoke_after(1);
        assert_eq!(after.len(), 4);
        assert_eq!(after.intersection(&before).count(), 3);
        let bored = *after.iter().next_back().unwrap();
        swarm
            .peers
            .iter_mut()
            .filter(|peer| peer.peer.0 == bored)
            .for_each(|peer| peer.interested = false);
        assert!(!swarm.rechoke_after(1).contains(&bored));
    }
}

#[test]
fn a_changed_number_of_slots_takes_hold_at_once() {
    for seeding in [false, true] {
        let mut swarm = Swarm::new(5, 9, seeding).with_rates(|peer| peer);
        assert_eq!(swarm.round().len(), 5);
        swarm.choker.set_slots(Slots::Fixed(2));
        assert_eq!(swarm.rechoke_after(0).len(), 2);
        swarm.choker.set_slots(Slots::Fixed(7));
        assert_eq!(swarm.rechoke_after(0).len(), 7);
    }
}

#[test]
fn every_leecher_of_a_seed_gets_its_turn() {
    for (slots, rounds) in [(1, 60), (4, 30), (8, 15)] {
        let mut swarm = Swarm::new(slots, 20, true);
        let mut served = BTreeSet::new();
        for _ in 0..=rounds {
            served.extend(swarm.round());
            for peer in &mut swarm.peers {
                peer.rate_to_peer = if peer.unchoked { 10 + peer.peer.0 } else { 0 };
            }
        }
        assert_eq!(served.len(), 20, "{slots} slots: {served:?}");
    }
}

#[test]
fn a_seed_keeps_serving_those_who_take_the_fastest() {
    let mut swarm = Swarm::new(6, 20, true);
    let mut rounds_of = [0; 20];
    for _ in 0..300 {
        for peer in swarm.round() {
            rounds_of[peer as usize] += 1;
        }
        for peer in &mut swarm.peers {
            let rate = if peer.peer.0 < 3 { 1000 } else { 10 };
            peer.rate_to_peer = if peer.unchoked { rate } else { 0 };
        }
    }
    assert!(rounds_of[..3].iter().all(|rounds| *rounds > 250), "{rounds_of:?}");
    assert!(
        rounds_of[3..].iter().all(|rounds| (30..90).contains(rounds)),
        "{rounds_of:?}"
    );
}

#[test]
fn a_turn_lasts_three_rounds() {
    let mut swarm = Swarm::new(2, 8, true);
    let turns: Vec<_> = (0..12).map(|_| swarm.round()).collect();
    for turn in turns.chunks(3) {
        assert!(turn.iter().all(|chosen| *chosen == turn[0]), "{turns:?}");
    }
    assert_eq!(turns.into_iter().flatten().collect::<BTreeSet<_>>().len(), 8);
}

#[test]
fn those_who_keep_first_copies_to_themselves_have_one_slot_of_a_seed_now_and_then() {
    let mut swarm = Swarm::new(4, 12, true);
    for peer in &mut swarm.peers[..6] {
        peer.kept = MOST_KEPT + 1;
    }
    let (mut served, mut rounds_of_keepers) = (BTreeSet::new(), 0);
    for _ in 0..60 {
        let chosen = swarm.round();
        assert_eq!(chosen.len(), 4);
        let keepers = chosen.iter().filter(|peer| **peer < 6).count();
        assert!(keepers <= 1, "{chosen:?}");
        rounds_of_keepers += keepers;
        served.extend(chosen);
    }
    assert_eq!(rounds_of_keepers, 7);
    assert_eq!(served.len(), 12, "nobody waits for ever");
    // With nobody else there they have all slots.
    swarm.peers.truncate(6);
    assert_eq!(swarm.round().len(), 4);
}

#[test]
fn who_is_found_to_keep_first_copies_loses_the_slot_between_rounds() {
    let mut swarm = Swarm::new(4, 12, true);
    let chosen = swarm.round();
    for peer in &mut swarm.peers {
        let is_served = chosen.contains(&peer.peer.0);
        peer.kept = if is_served { MOST_KEPT + 1 } else { 0 };
    }
    let after = swarm.rechoke_after(1);
    assert_eq!(after.len(), 4);
    assert!(after.is_disjoint(&chosen), "{after:?}");
}

#[test]
fn an_unused_slot_goes_to_those_who_ask() {
    let mut swarm = Swarm::new(4, 12, true);
    let chosen = swarm.round();
    for peer in &mut swarm.peers {
        peer.idle = chosen.contains(&peer.peer.0);
    }
    let mut after = swarm.rechoke_after(1);
    assert_eq!(after.len(), 4);
    assert!(after.is_disjoint(&chosen), "{after:?}");
    for _ in 0..12 {
        let idle = after.intersection(&chosen).count();
        assert!(idle <= 1, "now and then one shall have another chance: {after:?}");
        after = swarm.round();
    }
    // What nobody else wants they keep.
    swarm.peers.retain(|peer| peer.idle);
    assert_eq!(swarm.round(), chosen);
    assert_eq!(swarm.rechoke_after(1), chosen);
}

/// 950 that ask for nothing came before the 50 that do.
#[test]
fn a_crowd_that_asks_for_nothing_hides_nobody() {
    let fetches = |peer: &Candidate| peer.peer.0 >= 950;
    let mut swarm = Swarm::new(1, 1_000, true);
    swarm.choker.set_slots(Slots::Automatic);
    swarm.round();
    let mut found = BTreeSet::new();
    for step in 0..40 {
        for peer in &mut swarm.peers {
            let takes = peer.unchoked && fetches(peer);
            peer.rate_to_peer = if takes { 100 << 10 } else { 0 };
            peer.idle |= peer.unchoked && !takes;
        }
        swarm.rechoke_after(3);
        let served = swarm.peers.iter().filter(|peer| peer.unchoked && fetches(peer));
        let served: Vec<_> = served.map(|peer| peer.peer).collect();
        assert!(step < 3 || served.len() >= 2, "step {step}: {served:?}");
        found.extend(served);
    }
    assert!(found.len() >= 25, "{found:?}");
}

#[test]
fn the_number_of_slots_follows_the_line() {
    let mut swarm = Swarm::new(1, 300, true);
    swarm.choker.set_slots(Slots::Automatic);
    assert_eq!(swarm.round().len(), 4, "nothing is known of the line");
    let rate = |swarm: &mut Swarm, line: u64| {
        let served = swarm.peers.iter().filter(|peer| peer.unchoked).count() as u64;
        for peer in &mut swarm.peers {
            peer.rate_to_peer = if peer.unchoked { line / served } else { 0 };
        }
        swarm.round().len()
    };
    assert!((4..=5).contains(&rate(&mut swarm, 50 << 10)));
    assert!(
        rate(&mut swarm, 110 << 20) >= 200,
        "a fast line serves all of them"
    );
}

#[test]
fn who_gives_nothing_keeps_no_slot() {
    let mut swarm = Swarm::new(4, 12, false).with_rates(|peer| if peer == 0 { 1000 } else { 0 });
    let (mut before, mut served) = (swarm.round(), BTreeSet::new());
    for _ in 0..8 {
        let chosen = swarm.round();
        assert!(chosen.contains(&0));
        assert!(
            chosen.intersection(&before).count() <= 2,
            "{before:?}, {chosen:?}"
        );
        served.extend(chosen.iter().copied());
        before = chosen;
    }
    assert_eq!(served.len(), 12);
}
