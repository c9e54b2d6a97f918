//! The table of `docs/performance.md`; `make swarm-figures` prints it.
#![allow(clippy::print_stdout)]

use crate::host::Manner;
use crate::plans::{KIB, MIB, leecher, swarm};
use crate::world::{Plan, SECOND, World};

const PIECE: u32 = 256 * KIB as u32;

#[test]
#[ignore = "prints figures"]
fn figures() {
    show("1 + 20, 64 MiB in 256 pieces", || swarm(20, 256, PIECE));
    show("the same in one network", || Plan {
        in_one_net: true,
        ..swarm(20, 256, PIECE)
    });
    show("in 64 pieces of 1 MiB", || swarm(20, 64, 4 * PIECE));
    show("in 1,024 pieces of 64 KiB", || swarm(20, 1024, PIECE / 4));
    show("half of them send a quarter", || slow_half(swarm(20, 256, PIECE)));
    show("none of them stays", || {
        let mut plan = swarm(20, 256, PIECE);
        plan.hosts[1..]
            .iter_mut()
            .for_each(|host| host.leaves_when_done = true);
        plan
    });
    show("one leaves after 20 s", || {
        let mut plan = swarm(20, 256, PIECE);
        plan.hosts[1].leaves = Some(20 * SECOND);
        plan
    });
    show("4 more take and give nothing", || {
        let mut plan = swarm(20, 256, PIECE);
        plan.hosts.extend((0..4).map(|_| Manner {
            slots: 0,
            ..leecher()
        }));
        plan
    });
    show("1 + 100", || swarm(100, 256, PIECE));
}

#[test]
#[ignore = "prints figures"]
fn a_thousand() {
    println!(
        "1 + 1,000, 16 MiB in 256 pieces: {}",
        World::play(swarm(1000, 256, PIECE / 4))
    );
    let mut plan = swarm(1000, 256, PIECE / 4);
    plan.hosts[0].up = 4 * MIB;
    println!("the same, the seed sends 4 MiB/s: {}", World::play(plan));
}

fn slow_half(mut plan: Plan) -> Plan {
    let half = plan.hosts[1..].iter_mut().step_by(2);
    half.for_each(|host| host.up /= 4);
    plan
}

fn show(name: &str, plan: impl Fn() -> Plan) {
    for seed in 1..4 {
        println!("{name}, seed {seed}: {}", World::play(Plan { seed, ..plan() }));
    }
}
