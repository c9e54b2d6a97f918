//! The table of `docs/performance.md`; `make swarm-figures` prints it.
#![allow(clippy::print_stdout)]

use crate::host::Manner;
use crate::outcome::Outcome;
use crate::plans::{KIB, MIB, leecher, scarce, swarm};
use crate::world::{Plan, SECOND, World};
use dtorrent::choker::Slots;

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
    show("32 MiB in 256 pieces of 128 KiB", || swarm(20, 256, PIECE / 2));
    show("16 MiB in 128 pieces of 128 KiB", || swarm(20, 128, PIECE / 2));
    show("32 MiB in 32 pieces of 1 MiB", || swarm(20, 32, 4 * PIECE));
    show("16 MiB in 16 pieces of 1 MiB", || swarm(20, 16, 4 * PIECE));
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
            slots: Slots::Fixed(0),
            ..leecher()
        }));
        plan
    });
    for seed in 1..4 {
        let outcome = World::play(Plan { seed, ..scarce() });
        println!(
            "5 of 20 give nothing where all is scarce, seed {seed}: {}",
            of_takers(&outcome)
        );
    }
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

fn of_takers(outcome: &Outcome) -> String {
    let gives = |manner: &Manner| manner.slots != Slots::Fixed(0);
    let (givers, takers) = (outcome.middle(gives), outcome.middle(|manner| !gives(manner)));
    format!(
        "givers {givers:.3}, takers {takers:.3} of {} s",
        outcome.optimum / SECOND
    )
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
