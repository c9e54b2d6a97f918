//! The swarms that are played.

use crate::host::Manner;
use crate::world::{MILLI, Plan, SECOND};
use dtorrent::choker::Slots;

pub(crate) const KIB: u64 = 1 << 10;
pub(crate) const MIB: u64 = 1 << 20;

/// A leecher on a good line.
pub(crate) fn leecher() -> Manner {
    Manner {
        up: 2 * MIB,
        down: 100 * MIB,
        slots: Slots::Automatic,
        is_seed: false,
        joins: 0,
        leaves: None,
        leaves_after_bytes: None,
        leaves_when_done: false,
    }
}

/// One seed that sends 1 MiB/s, and leechers that send twice as much and come within half a second.
pub(crate) fn swarm(leechers: u64, pieces: u32, piece_length: u32) -> Plan {
    let mut hosts = vec![Manner {
        up: MIB,
        is_seed: true,
        ..leecher()
    }];
    hosts.extend((0..leechers).map(|number| Manner {
        joins: number * 500 * MILLI / leechers,
        ..leecher()
    }));
    Plan {
        pieces,
        piece_length,
        hosts,
        max_connections: 50,
        delay: 5 * MILLI..20 * MILLI,
        in_one_net: false,
        seed: 1,
        until: 2_000 * SECOND,
    }
}

/// A swarm in which five of twenty give nothing, and all that is sent together is what everybody waits for.
pub(crate) fn scarce() -> Plan {
    let mut plan = swarm(20, 256, 128 * KIB as u32);
    plan.hosts[0].up = 512 * KIB;
    plan.hosts[1..].iter_mut().for_each(|host| host.up = 256 * KIB);
    plan.hosts[16..]
        .iter_mut()
        .for_each(|host| host.slots = Slots::Fixed(0));
    plan
}
