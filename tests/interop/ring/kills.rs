//! Any two nodes may be killed at the same moment.

use std::time::Instant;

use super::{Ledger, Told, all_of, swarm};
use crate::support::ring::{self, RingNode, Word, wait_for_ring};
use crate::support::stage::Stage;

/// Swarms of ten peers each.
const SWARMS: u32 = 1_000;
const PEERS: u16 = 10;
const NODES: usize = 6;

/// `SIGKILL` for two, one right behind the other; the others must know everything, at once and when they have
/// repaired what they can.
fn kill(nodes: &[RingNode], alive: &[usize], doomed: [usize; 2], ledger: &Ledger) {
    for at in doomed {
        nodes[at].process.shoot();
    }
    let killed = Instant::now();
    let survivors = alive.iter().filter(|at| !doomed.contains(at));
    let survivors: Vec<&RingNode> = survivors.map(|&at| &nodes[at]).collect();
    ledger.check(&survivors);
    let answered = killed.elapsed();
    wait_for_ring(&survivors);
    println!(
        "{} and {} killed: {} nodes returned all peers within {answered:.1?}, all copies were back within {:.1?}",
        nodes[doomed[0]].plan.name,
        nodes[doomed[1]].plan.name,
        survivors.len(),
        killed.elapsed()
    );
}

#[test]
fn any_two_nodes_may_be_killed_at_once() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let stage = Stage::new();
    let mut nodes = ring::start(&stage, NODES);
    let mut ledger = Ledger::default();
    let mut told: Told<'_> = nodes.iter().map(|node| (node, Vec::new())).collect();
    for number in 0..SWARMS {
        for port in 1..=PEERS {
            told[rng.usize(..NODES)].1.push(Word::of(swarm(number), port));
        }
    }
    let began = Instant::now();
    ledger.announce(&told);
    println!(
        "{} peers acknowledged in {:.1?}",
        SWARMS * u32::from(PEERS),
        began.elapsed()
    );

    // Each pair that stands side by side: an owner and its first copy, for some swarms, and two copies for others.
    let order = wait_for_ring(&all_of(&nodes));
    for at in 0..NODES {
        let doomed = [order[at], order[(at + 1) % NODES]];
        kill(&nodes, &order, doomed, &ledger);
        for at in doomed {
            nodes[at].start_again(&stage);
        }
        wait_for_ring(&all_of(&nodes));
    }

    // Any two, until two are left.
    let mut alive = order;
    while alive.len() > 2 {
        rng.shuffle(&mut alive);
        kill(&nodes, &alive, [alive[0], alive[1]], &ledger);
        alive.drain(..2);
    }
}
