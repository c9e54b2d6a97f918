//! The figures of a ring for Prometheus. Layer 1.

use super::counters::Page;
use crate::ring::picture::{Health, Picture};

/// All states, each of which has a line, so that none is missing from a chart.
const HEALTHS: [(Health, &str); 7] = [
    (Health::Serving, "serving"),
    (Health::Short, "short"),
    (Health::Merging, "merging"),
    (Health::Joining, "joining"),
    (Health::Leaving, "leaving"),
    (Health::Left, "left"),
    (Health::Silent, "silent"),
];

/// Appends them: of this node as the ring knows it, and of what it knows of the ring.
pub(super) fn write(ring: &Picture, page: &mut Page) {
    let name = "dtracker_ring_nodes";
    page.head(
        name,
        "gauge",
        "Nodes of the ring that this node knows of, by state.",
    );
    for (health, label) in HEALTHS {
        let count = ring.nodes.iter().filter(|node| node.health == health).count();
        page.line(name, &format!("state=\"{label}\""), count as u64);
    }
    let name = "dtracker_ring_state";
    page.head(name, "gauge", "1 for the state that this node is in.");
    let me = ring.this_node();
    for (health, label) in HEALTHS {
        let is_so = me.is_some_and(|me| me.health == health);
        page.line(name, &format!("state=\"{label}\""), is_so.into());
    }
    let totals = ring.totals;
    let name = "dtracker_ring_torrents";
    page.head(name, "gauge", "Torrents of the whole ring, each counted once.");
    page.line(name, "", totals.swarms);
    let name = "dtracker_ring_peers";
    page.head(name, "gauge", "Peers of the whole ring, each counted once.");
    page.line(name, "state=\"seed\"", totals.seeds);
    page.line(name, "state=\"leech\"", totals.leechers);
    let Some(me) = me else { return };
    let owned = me.owned;
    let name = "dtracker_ring_owned_torrents";
    page.head(
        name,
        "gauge",
        "Torrents that this node owns; it keeps copies of more.",
    );
    page.line(name, "", owned.swarms);
    let name = "dtracker_ring_owned_peers";
    page.head(name, "gauge", "Peers of these torrents.");
    page.line(name, "state=\"seed\"", owned.seeds);
    page.line(name, "state=\"leech\"", owned.leechers);
    for (name, kind, help, value) in [
        (
            "dtracker_ring_copies",
            "gauge",
            "On how many nodes all is that this node owns, itself included.",
            me.copies_complete as u64,
        ),
        (
            "dtracker_ring_copies_wanted",
            "gauge",
            "On how many it should be: three, or all there are.",
            me.copies_wanted as u64,
        ),
        ("dtracker_ring_links", "gauge", "Links to other nodes.", me.links),
        (
            "dtracker_ring_members",
            "gauge",
            "Nodes that this node remembers.",
            me.members,
        ),
        (
            "dtracker_ring_fingers",
            "gauge",
            "Nodes that it has shortcuts to.",
            me.fingers,
        ),
        (
            "dtracker_ring_epoch",
            "counter",
            "How often its neighbourhood has changed.",
            ring.epoch,
        ),
        (
            "dtracker_ring_held_for_dead_total",
            "counter",
            "How often it has held a node for dead.",
            me.held_for_dead,
        ),
        (
            "dtracker_ring_copies_left_out_total",
            "counter",
            "How often it has left out a copy that was silent.",
            me.copies_left_out,
        ),
        (
            "dtracker_ring_repairs_total",
            "counter",
            "How often it has compared a shard with another node, found something missing, and mended it.",
            me.repairs,
        ),
    ] {
        page.head(name, kind, help);
        page.line(name, "", value);
    }
}
