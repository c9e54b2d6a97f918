//! The network between nodes falls into parts, each of which goes on by itself, and grows together again.
//!
//! Needs root for network namespaces: one for each node, and one for the switches between them and for the clients,
//! who reach all nodes all the time.

use std::thread;

use fastrand::Rng;

use super::{Ledger, all_of};
use crate::support::network::Network;
use crate::support::ring::{Plan, RingNode, wait_for_ring};
use crate::support::stage::Stage;

const NODES: usize = 6;

#[test]
fn parts_go_on_and_grow_together() {
    let Some(network) = Network::new(NODES) else {
        return;
    };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    // Not this test's own thread: it may be that of other tests later.
    thread::scope(|scope| {
        let story = scope.spawn(|| {
            network.enter();
            tell(&network, &mut Rng::with_seed(seed));
        });
        if let Err(panic) = story.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn tell(network: &Network, rng: &mut Rng) {
    let stage = Stage::new();
    let nodes = start(&stage, network);
    let mut ledger = Ledger::default();
    ledger.announce(&ledger.changes(&all_of(&nodes), rng, |_| true));
    // Halves that stand side by side, so that each has swarms of which the other has all copies; every other node;
    // some of them; one.
    let order = wait_for_ring(&all_of(&nodes));
    let parts = [
        vec![order[0], order[1], order[2]],
        vec![order[1], order[3], order[5]],
        vec![order[2], order[3]],
        vec![order[4]],
    ];
    for part in parts {
        cut_and_heal(network, &nodes, &part, &mut ledger, rng);
    }
}

fn start(stage: &Stage, network: &Network) -> Vec<RingNode> {
    let key = stage.path("ring.key");
    dtorrent::ring::link::RingKey::generate()
        .unwrap()
        .create(&key)
        .unwrap();
    let first = network.ring_address(0);
    let plan = |number: usize| Plan {
        name: format!("node{number}"),
        address: network.client_address(number),
        ring: network.ring_address(number),
        join: if number == 0 {
            Vec::new()
        } else {
            vec![first.clone()]
        },
        key: Some(key.clone()),
        namespace: Some(network.node(number).to_owned()),
        state: stage.folder(&format!("node{number}")),
    };
    let nodes: Vec<RingNode> = (0..NODES).map(|number| plan(number).start(stage)).collect();
    wait_for_ring(&all_of(&nodes));
    nodes
}

fn cut_and_heal(network: &Network, nodes: &[RingNode], part: &[usize], ledger: &mut Ledger, rng: &mut Rng) {
    let apart: Vec<&RingNode> = part.iter().map(|&at| &nodes[at]).collect();
    let rest: Vec<&RingNode> = (0..nodes.len())
        .filter(|at| !part.contains(at))
        .map(|at| &nodes[at])
        .collect();
    network.cut(part);
    // At once, and when each side is a ring of its own. No peer is at both sides: which of two words was the later
    // one, nobody could say.
    let mut of_apart = Ledger::default();
    let mut of_rest = Ledger::default();
    for _ in 0..2 {
        for (side, of_side, parity) in [(&apart, &mut of_apart, 0), (&rest, &mut of_rest, 1)] {
            let told = ledger.changes(side, rng, |port| port % 2 == parity);
            of_side.announce(&told);
            ledger.note_all(&told);
        }
        wait_for_ring(&apart);
        wait_for_ring(&rest);
    }
    // What was only said at the other side, or before, may be missing here until they meet again.
    of_apart.check_own(&apart);
    of_rest.check_own(&rest);
    network.heal(part);
    wait_for_ring(&all_of(nodes));
    ledger.check(&all_of(nodes));
}
