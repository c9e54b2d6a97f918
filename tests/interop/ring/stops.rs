//! Nodes that stand still, are held for dead, and go on as if nothing had happened.

use fastrand::Rng;

use super::{Ledger, all_of};
use crate::support::ring::{self, RingNode, wait_for_ring};
use crate::support::stage::Stage;

const NODES: usize = 5;

/// Stops these nodes, lets peers come and go meanwhile at the others, and lets the nodes go on: before the others have
/// noticed, or when they have formed a ring without them.
fn stop(nodes: &[RingNode], stopped: &[usize], are_held_for_dead: bool, ledger: &mut Ledger, rng: &mut Rng) {
    let awake: Vec<&RingNode> = (0..nodes.len())
        .filter(|at| !stopped.contains(at))
        .map(|at| &nodes[at])
        .collect();
    for &at in stopped {
        nodes[at].process.freeze();
    }
    // Some at once, when nobody knows yet that copies or owners are silent.
    ledger.announce(&ledger.changes(&awake, rng, |_| true));
    if are_held_for_dead {
        wait_for_ring(&awake);
        ledger.announce(&ledger.changes(&awake, rng, |_| true));
        ledger.check(&awake);
    }
    for &at in stopped {
        nodes[at].process.thaw();
    }
    // They believe to own what they owned, and their sockets are full of what was said to them.
    ledger.check(&all_of(nodes));
    ledger.announce(&ledger.changes(&all_of(nodes), rng, |_| true));
    wait_for_ring(&all_of(nodes));
    ledger.check(&all_of(nodes));
}

#[test]
fn stopped_nodes_come_back_and_nothing_old_with_them() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let stage = Stage::new();
    let nodes = ring::start(&stage, NODES);
    let mut ledger = Ledger::default();
    ledger.announce(&ledger.changes(&all_of(&nodes), &mut rng, |_| true));

    let order = wait_for_ring(&all_of(&nodes));
    let first = rng.usize(..NODES);
    let [one, next] = [order[first], order[(first + 1) % NODES]];
    stop(&nodes, &[one], false, &mut ledger, &mut rng);
    stop(&nodes, &[one, next], false, &mut ledger, &mut rng);
    stop(&nodes, &[one], true, &mut ledger, &mut rng);
    stop(&nodes, &[one, next], true, &mut ledger, &mut rng);
    let apart = order[(first + 2) % NODES];
    stop(&nodes, &[one, apart], true, &mut ledger, &mut rng);
}
