//! Trouble.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::checks;
use super::play::Play;
use crate::ring::node::Start;
use crate::ring::sim::checks::Wrong;
use crate::ring::sim::world::{Faults, MILLI, Micros, SECOND};

/// What a schedule came to.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    announces: u64,
    failures: u64,
    slowest_answer: Micros,
    slowest_repair: Micros,
    messages: u64,
}

fn links() -> Faults {
    Faults {
        in_order: true,
        breaks: Some(10 * MILLI..500 * MILLI),
        ..Faults::none()
    }
}

fn ring(seed: u64, nodes: usize, trace: bool) -> Result<Play, Wrong> {
    let mut play = Play::new(seed, 12, links(), trace);
    play.start(0, Start::Alone);
    play.load = 100;
    for place in 1..nodes {
        play.start(place, Start::Join);
        let wait = play.world.rng.u64(0..3 * SECOND);
        play.advance(wait);
    }
    play.settle(60 * SECOND)?;
    Ok(play)
}

/// What may happen while clients announce, without harm to any of them.
fn mishap(play: &mut Play, links_break: bool) {
    let places: Vec<usize> = play.open_places();
    let Some(place) = play.any_of(&places) else { return };
    let others: Vec<usize> = places.iter().copied().filter(|&other| other != place).collect();
    let another = play.any_of(&others);
    match play.world.rng.u8(..if links_break { 12 } else { 10 }) {
        0..=2 if places.len() > 3 => {
            play.kill(place);
            if let Some(another) = another {
                play.kill(another);
            }
        }
        3 if places.len() > 2 => play.kill(place),
        4 if places.len() > 2 => {
            // At once with the same id.
            play.kill(place);
            play.start(place, Start::Join);
        }
        5 | 6 => {
            let empty = play.empty_places();
            for _ in 0..play.world.rng.usize(1..=3) {
                if let Some(place) = play.any_of(&empty)
                    && play.world.host(place).is_none()
                {
                    play.start(place, Start::Join);
                }
            }
        }
        7 | 8 if places.len() > 2 => {
            play.leave(place);
            if play.world.rng.bool() && places.len() > 3 {
                let wait = play.world.rng.u64(0..SECOND);
                play.advance(wait);
                if let Some(another) = another {
                    play.leave(another);
                }
            }
        }
        9 => {
            let time = play.world.rng.u64(50 * MILLI..4 * SECOND);
            play.pause(place, time);
        }
        10 | 11 => {
            for _ in 0..play.world.rng.usize(1..=3) {
                let ends = [play.any_of(&places), play.any_of(&places)];
                if let [Some(one), Some(other)] = ends
                    && one != other
                {
                    play.note(|| format!("the link of {one} and {other} breaks"));
                    play.world.break_link(one, other);
                }
            }
        }
        _ => {}
    }
}

/// Two die at once, others stop, join, leave, links break; between two mishaps there is time to repair.
fn trouble(seed: u64, trace: bool) -> Result<Outcome, Wrong> {
    let nodes = 1 + fastrand::Rng::with_seed(seed).usize(1..8);
    let links_break = seed % 4 == 1;
    let mut play = ring(seed, nodes, trace)?;
    let mut slowest_repair = 0;
    for _ in 0..play.world.rng.usize(2..=5) {
        let wait = play.world.rng.u64(0..3 * SECOND);
        play.advance(wait);
        // It comes when much is under way.
        let load = std::mem::replace(&mut play.load, 3_000);
        play.advance(30 * MILLI);
        play.load = load;
        mishap(&mut play, links_break);
        let wait = play.world.rng.u64(0..6 * SECOND);
        play.advance(wait);
        slowest_repair = slowest_repair.max(play.settle(60 * SECOND)?);
        checks::nothing_is_lost(&mut play)?;
        if let Some(failure) = play.failures.first() {
            return Err(format!("{} failures: {failure}", play.failures.len()));
        }
    }
    Ok(outcome(&play, slowest_repair))
}

/// The network falls into parts, each of which goes on by itself, and grows together again. While it falls apart an
/// announce may fail.
fn parts(seed: u64, trace: bool) -> Result<Outcome, Wrong> {
    let nodes = 2 + fastrand::Rng::with_seed(seed).usize(0..8);
    let mut play = ring(seed, nodes, trace)?;
    let mut slowest_repair = 0;
    for _ in 0..play.world.rng.usize(1..=3) {
        let wait = play.world.rng.u64(0..3 * SECOND);
        play.advance(wait);
        let groups: Vec<u8> = (0..play.world.len()).map(|_| play.world.rng.u8(0..2)).collect();
        play.note(|| format!("groups {groups:?}"));
        for (place, group) in groups.into_iter().enumerate() {
            play.world.set_group(place, group);
        }
        let wait = play.world.rng.u64(0..20 * SECOND);
        play.advance(wait);
        play.note(|| "no groups".to_owned());
        for place in 0..play.world.len() {
            play.world.set_group(place, 0);
        }
        slowest_repair = slowest_repair.max(play.settle(90 * SECOND)?);
        checks::nothing_is_lost(&mut play)?;
    }
    Ok(outcome(&play, slowest_repair))
}

fn outcome(play: &Play, slowest_repair: Micros) -> Outcome {
    Outcome {
        announces: play.announces,
        failures: play.failures.len() as u64,
        slowest_answer: play.slowest,
        slowest_repair,
        messages: play.world.sent.0,
    }
}

fn play(seed: u64, trace: bool) -> Result<Outcome, Wrong> {
    if seed.is_multiple_of(4) {
        parts(seed, trace)
    } else {
        trouble(seed, trace)
    }
}

fn play_all(count: u64) {
    if let Some(seed) = std::env::var("RING_DATA_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        println!("{:?}", play(seed, true));
        return;
    }
    let next = AtomicU64::new(0);
    let outcomes: Mutex<Vec<(u64, Result<Outcome, Wrong>)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    let outcome = catch_unwind(AssertUnwindSafe(|| play(seed, false)));
                    let outcome = outcome.unwrap_or_else(|_| Err("a panic, see above".to_owned()));
                    outcomes
                        .lock()
                        .expect("no panic under the lock")
                        .push((seed, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().expect("no panic under the lock");
    outcomes.sort_by_key(|(seed, _)| *seed);
    let mut sum = Outcome::default();
    let mut failed = 0;
    for (seed, outcome) in &outcomes {
        match outcome {
            Ok(outcome) => {
                sum.announces += outcome.announces;
                sum.failures += outcome.failures;
                sum.messages += outcome.messages;
                sum.slowest_answer = sum.slowest_answer.max(outcome.slowest_answer);
                sum.slowest_repair = sum.slowest_repair.max(outcome.slowest_repair);
            }
            Err(wrong) => {
                failed += 1;
                println!("RING_DATA_SEED={seed} replays: {wrong}");
            }
        }
    }
    println!("{} schedules: {sum:?} (times in microseconds)", outcomes.len());
    assert_eq!(failed, 0, "of {count} schedules");
}

fn count_or(otherwise: u64) -> u64 {
    let count = std::env::var("RING_DATA_SCHEDULES").ok();
    count.and_then(|count| count.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn schedules_end_with_all_that_was_promised() {
    play_all(count_or(60));
}

/// `make soak`: as many schedules as `RING_DATA_SCHEDULES` says, or 10,000.
#[test]
#[ignore = "takes half an hour"]
fn soak() {
    play_all(count_or(10_000));
}
