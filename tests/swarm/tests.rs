//! What must hold in any swarm. All times are simulated: they depend on nothing but the seed of the random numbers.
//!
//! The limits are what is reached, with a margin for other seeds; they are not what would be best.

use crate::host::Manner;
use crate::outcome::Outcome;
use crate::plans::{KIB, leecher, scarce, swarm};
use crate::world::{Plan, World};
use dtorrent::choker::Slots;

/// Random numbers of the runs for which a limit holds.
const SEEDS: std::ops::Range<u64> = 1..4;

/// 16 MiB in 256 pieces.
fn swarm_of_256(seed: u64) -> Plan {
    Plan {
        seed,
        ..swarm(20, 256, 64 * KIB as u32)
    }
}

/// 4 MiB in 64 pieces.
fn small(seed: u64) -> Plan {
    Plan {
        seed,
        ..swarm(20, 64, 64 * KIB as u32)
    }
}

fn play(plan: Plan) -> Outcome {
    let outcome = World::play(plan);
    assert!(outcome.is_complete(), "{outcome}");
    outcome
}

#[test]
fn all_have_it_soon_after_the_seed_could_have_sent_it_once() {
    for seed in SEEDS {
        for (pieces, length, limit) in [
            (256, 256 * KIB, 1.10),
            (256, 128 * KIB, 1.12),
            (128, 128 * KIB, 1.15),
            (32, 1024 * KIB, 1.35),
        ] {
            let outcome = play(Plan {
                seed,
                ..swarm(20, pieces, length as u32)
            });
            assert!(outcome.last() <= limit, "seed {seed}, {pieces} pieces: {outcome}");
            assert!(outcome.waste() < 0.01, "seed {seed}, {pieces} pieces: {outcome}");
        }
    }
}

/// As soon as it has sent everything once the rest is up to the leechers.
#[test]
fn a_seed_sends_hardly_anything_twice_before_it_has_sent_everything() {
    for seed in SEEDS {
        let outcome = play(swarm_of_256(seed));
        assert!(outcome.once() <= 1.05, "seed {seed}: {outcome}");
    }
}

#[test]
fn those_who_give_nothing_cost_the_others_little() {
    for seed in SEEDS {
        let mut plan = Plan {
            seed,
            ..swarm(20, 256, 128 * KIB as u32)
        };
        plan.hosts.extend((0..4).map(|_| Manner {
            slots: Slots::Fixed(0),
            ..leecher()
        }));
        let outcome = play(plan);
        // It was 1.6 to 1.9 when a seed did not look whether what it sends is passed on.
        assert!(outcome.last() <= 1.32, "seed {seed}: {outcome}");
    }
}

#[test]
fn where_all_is_scarce_those_who_give_have_it_sooner() {
    for seed in SEEDS {
        let outcome = play(Plan { seed, ..scarce() });
        let gives = |manner: &Manner| manner.slots != Slots::Fixed(0);
        let (givers, takers) = (outcome.middle(gives), outcome.middle(|manner| !gives(manner)));
        assert!(givers <= 0.90 * takers, "seed {seed}: {givers} and {takers}");
    }
}

#[test]
fn the_same_seed_plays_the_same_swarm() {
    let outcome = play(small(5));
    assert_eq!(outcome, play(small(5)));
    assert_ne!(outcome.ended, play(small(6)).ended);
}

#[test]
fn leechers_on_slow_lines_hold_nobody_up() {
    for seed in SEEDS {
        let mut plan = swarm_of_256(seed);
        let slow = plan.hosts[1..].iter_mut().step_by(2);
        slow.for_each(|host| host.up /= 4);
        let outcome = play(plan);
        // With 24 seeds 1.20 in the median, 1.28 at most.
        assert!(outcome.last() <= 1.3, "seed {seed}: {outcome}");
    }
}

/// Leechers that send a quarter of what the seed does are far from done when it goes: whatever of it is missing then is
/// lost. Did everybody fetch pieces at random, some of the 256 would be.
#[test]
fn a_seed_may_leave_when_it_has_sent_two_copies() {
    for seed in SEEDS {
        let mut plan = swarm_of_256(seed);
        let two_copies = 2 * plan.size();
        plan.hosts[0].up *= 2;
        plan.hosts[0].leaves_after_bytes = Some(two_copies);
        plan.hosts[1..].iter_mut().for_each(|host| host.up /= 4);
        let outcome = play(plan);
        assert!(outcome.copies() < 2.01, "seed {seed}: it has not left: {outcome}");
        assert!(
            outcome.copies() > 1.99,
            "seed {seed}: it was not needed for so long: {outcome}"
        );
    }
}
