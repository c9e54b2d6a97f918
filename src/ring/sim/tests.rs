//! Schedules by the thousand.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::episode::{self, Outcome};
use super::world::SECOND;

/// Plays the schedules `0..count` on all processors.
fn play_all(count: u64) {
    if let Some(seed) = std::env::var("RING_SEED").ok().and_then(|seed| seed.parse().ok()) {
        println!("{:?}", episode::play(seed, true));
        return;
    }
    let next = AtomicU64::new(0);
    let outcomes: Mutex<Vec<(u64, Result<Outcome, String>)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    let outcome = catch_unwind(AssertUnwindSafe(|| episode::play(seed, false)));
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
    let failed: Vec<_> = outcomes
        .iter()
        .filter_map(|(seed, outcome)| Some((seed, outcome.as_ref().err()?)))
        .collect();
    for (seed, wrong) in failed.iter().take(10) {
        println!("RING_SEED={seed} replays: {wrong}");
    }
    let slowest = outcomes
        .iter()
        .filter_map(|(seed, outcome)| Some((outcome.as_ref().ok()?.slowest, seed)));
    if let Some((slowest, seed)) = slowest.max() {
        let seconds = slowest as f64 / SECOND as f64;
        println!(
            "{} schedules, the slowest repair took {seconds:.1} s (seed {seed})",
            outcomes.len()
        );
    }
    assert!(failed.is_empty(), "{} of {count} schedules failed", failed.len());
}

#[test]
fn a_ring_of_a_thousand_nodes_repairs_itself_and_finds_its_keys() {
    let (repaired, hops) = episode::many(0, 1000, 500).unwrap_or_else(|wrong| panic!("{wrong}"));
    let mean = hops.iter().sum::<usize>() as f64 / hops.len() as f64;
    println!(
        "repaired in {} s, {mean:.2} hops",
        repaired as f64 / SECOND as f64
    );
    // Half of log2(1000) is 5.
    assert!(mean < 6.5, "{mean} hops on average");
}

/// `make soak`: as many schedules as `RING_SCHEDULES` says, or 100,000.
#[test]
#[ignore = "takes an hour"]
fn soak() {
    let count = std::env::var("RING_SCHEDULES").ok();
    play_all(count.and_then(|count| count.parse().ok()).unwrap_or(100_000));
}

#[test]
fn nodes_that_choose_their_place_share_the_circle() {
    let shares: Vec<f64> = (0..20)
        .map(|seed| episode::placed(seed).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}")))
        .collect();
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    println!("the largest of ten arcs is {mean:.2} times the mean");
    assert!(mean < 1.5, "{shares:?}");
}

#[test]
fn a_thousand_schedules_end_in_one_ring() {
    play_all(1000);
}
