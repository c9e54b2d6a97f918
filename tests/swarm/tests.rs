//! What must hold in any swarm. All times are simulated: they depend on nothing but the seed of the random numbers.
//!
//! The limits are what is reached, with a margin for other seeds; they are not what would be best.

use crate::outcome::Outcome;
use crate::plans::{KIB, swarm};
use crate::world::{Plan, World};

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
        let outcome = play(Plan {
            seed,
            ..swarm(20, 256, 256 * KIB as u32)
        });
        assert!(outcome.last() <= 1.25, "seed {seed}: {outcome}");
        assert!(outcome.waste() < 0.01, "seed {seed}: {outcome}");
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
        assert!(outcome.last() <= 1.45, "seed {seed}: {outcome}");
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
