//! The view of a ring: real ones of five nodes, of which one is killed.

use std::collections::BTreeSet;
use std::process::Command;

use dtorrent::id::InfoHash;

use crate::desktop::Desktop;
use crate::eyes::Eyes;
use crate::source::Source;
use crate::support::dtracker::PROGRAM;
use crate::support::ring::{self, RingNode, Word};
use crate::support::stage::{Stage, wait_for};

const TITLE: &str = "Tracker Ring";
const ADDRESS: &str = "Address of Another Node";
const INFO_HASH: &str = "Or Its Info-Hash";

#[test]
fn a_ring_is_seen_whole_and_a_node_of_it_is_seen_to_die() {
    let stage = Stage::new();
    let mut nodes = ring::start(&stage, 5);
    let torrent = InfoHash::of_info(b"a torrent of the ring");
    wait_for("an announce", ring::LIMIT, || {
        nodes[1].announce(Word::of(torrent, 6881)).ok()
    });
    let desktop = Desktop::start();
    let program = desktop.start_program_with("");
    let mut eyes = Eyes::of(&desktop, &program.0);

    eyes.wait_for("No Torrents Yet");
    eyes.action("win.ring");
    eyes.wait_for("No Ring to Show");
    eyes.write(ADDRESS, "nowhere:0");
    eyes.wait_for("is no address of a tracker");
    eyes.write(ADDRESS, &nodes[0].plan.address);
    eyes.press("Table");
    let addresses: BTreeSet<String> = nodes.iter().map(|node| node.plan.ring.clone()).collect();
    wait_whole(&mut eyes, &addresses);

    eyes.write(INFO_HASH, "abc");
    eyes.wait_for("An info-hash has 40 hexadecimal digits.");
    eyes.write(INFO_HASH, &torrent.to_string());
    let (owner, copies) = wait_way(&mut eyes, |_, copies| copies.len() == 2);
    let shown: BTreeSet<String> = copies.iter().chain([&owner]).cloned().collect();
    eyes.wait("the same from the nodes themselves", |_| {
        (keepers(&nodes) == shown).then_some(())
    });
    assert_eq!(owner, owner_of(&nodes, torrent));
    eyes.wait_all_named();

    // By the keyboard alone, once the circle has it.
    eyes.press("Circle");
    let order = ids_in_order(&nodes);
    let asked = nodes[0].picture().unwrap().me;
    let next = order[(order.iter().position(|id| *id == asked).unwrap() + 1) % 5].clone();
    eyes.wait("the asked node", |eyes| {
        // The circle may not be there yet.
        desktop.click(TITLE, (60, 300));
        desktop.keyboard(TITLE, "key", "Home");
        has(eyes, &format!("Node {}", &asked[..8])).then_some(())
    });
    desktop.keyboard(TITLE, "key", "Right");
    eyes.wait_for(&format!("Node {}", &next[..8]));
    eyes.press("Table");

    // The owner dies, or a copy if the owner is the one through which the ring is seen.
    let victim = if owner == nodes[0].plan.ring {
        &copies[0]
    } else {
        &owner
    };
    let at = nodes.iter().position(|node| node.plan.ring == *victim).unwrap();
    let mut dead = nodes.remove(at);
    dead.process.kill();
    eyes.wait_for(&format!("{} does not answer any more.", dead.plan.ring));
    eyes.wait_for("owns its arc now.");
    eyes.wait_for("All copies are there: everything is on 3 nodes.");
    let left: BTreeSet<String> = nodes.iter().map(|node| node.plan.ring.clone()).collect();
    wait_whole(&mut eyes, &left);
    eyes.wait_for("Silent");
    let (owner, copies) = wait_way(&mut eyes, |owner, copies| {
        *owner != dead.plan.ring && copies.len() == 2 && !copies.contains(&dead.plan.ring)
    });
    let shown: BTreeSet<String> = copies.iter().chain([&owner]).cloned().collect();
    assert_eq!(owner, owner_of(&nodes, torrent));
    eyes.wait("the same from the nodes themselves", |_| {
        (keepers(&nodes) == shown).then_some(())
    });
}

#[test]
fn when_the_node_that_is_asked_dies_another_one_is_asked() {
    let stage = Stage::new();
    let mut nodes = ring::start(&stage, 5);
    let desktop = Desktop::start();
    let source = Source::lecture(&desktop);
    let mut program = desktop.start_program(0, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Downloading");
    // The list shows none, and yet the torrent can be chosen.
    eyes.press("Paused 0");
    eyes.wait_for("0 of 1 torrent");
    eyes.action("win.ring");
    eyes.wait_for("No Ring to Show");
    eyes.write(ADDRESS, &nodes[0].plan.address);
    eyes.press("Table");
    let addresses = |nodes: &[RingNode]| nodes.iter().map(|node| node.plan.ring.clone()).collect();
    wait_whole(&mut eyes, &addresses(&nodes));
    // For the keyboard, too.
    let mut order: Vec<String> = addresses(&nodes).into_iter().collect();
    for item in ["Address", "Reversed Order"] {
        eyes.choose_from("Sort Nodes", item);
        eyes.wait(&format!("the order {order:?}"), |eyes| {
            (serving(eyes) == order).then_some(())
        });
        order.reverse();
    }
    let names = |eyes: &mut Eyes| {
        eyes.labels()
            .iter()
            .filter(|label| *label == "lecture.ogg")
            .count()
    };
    let before = names(&mut eyes);
    eyes.write(INFO_HASH, &source.metainfo.info.info_hash.to_string());
    eyes.wait("the torrent as the one that is chosen", |eyes| {
        (names(eyes) > before).then_some(())
    });

    let mut dead = nodes.remove(0);
    dead.process.kill();
    let first = &dead.plan.address;
    let tells = format!("{first} does not answer, so ");
    let other = eyes.wait("the node that is asked instead", |eyes| {
        let labels = eyes.labels();
        let told = labels.iter().find_map(|label| label.strip_prefix(&tells));
        Some(told?.split_once(' ')?.0.to_owned())
    });
    let at = nodes.iter().position(|node| node.plan.address == other);
    assert!(at.is_some(), "{other}");
    eyes.wait_for(&format!("{} does not answer any more.", dead.plan.ring));
    eyes.wait_for("All copies are there: everything is on 3 nodes.");
    wait_whole(&mut eyes, &addresses(&nodes));

    // The way to a torrent begins at the node that is asked now.
    eyes.write(INFO_HASH, &"ab".repeat(20));
    wait_way(&mut eyes, |_, copies| copies.len() == 2);
    drop(nodes);
    eyes.wait_for("The picture is the last that was seen.");
    eyes.wait("the first one is tried again", |eyes| {
        eyes.labels()
            .iter()
            .any(|label| label.starts_with(first))
            .then_some(())
    });
    desktop.keyboard("DTorrent", "key", "ctrl+q");
    assert!(program.wait().success());

    // It is offered again the next time.
    let program = desktop.start_program(0, &[]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("lecture.ogg");
    eyes.action("win.ring");
    eyes.wait("the address of the last time", |eyes| {
        eyes.read(ADDRESS).filter(|address| address == first)
    });
}

fn has(eyes: &mut Eyes, text: &str) -> bool {
    eyes.labels().iter().any(|label| label == text)
}

fn ids_in_order(nodes: &[RingNode]) -> Vec<String> {
    let ids: BTreeSet<String> = nodes.iter().map(|node| node.picture().unwrap().me).collect();
    ids.into_iter().collect()
}

/// Waits until the table shows these nodes serving, with all their copies, and no others.
fn wait_whole(eyes: &mut Eyes, addresses: &BTreeSet<String>) {
    eyes.wait("a whole ring", |eyes| {
        let serving: BTreeSet<String> = serving(eyes).into_iter().collect();
        (serving == *addresses).then_some(())
    });
}

/// The addresses of the nodes that have all their copies, as the table has them.
fn serving(eyes: &mut Eyes) -> Vec<String> {
    let labels = eyes.labels();
    let rows = labels
        .windows(4)
        .filter(|cells| cells[1] == "Serving" && cells[3] == "3 of 3" && cells[2].ends_with('%'));
    rows.map(|cells| cells[0].clone()).collect()
}

/// Waits until the way to the torrent is as wanted; the address of the owner, and those of the copies.
fn wait_way(eyes: &mut Eyes, is_right: impl Fn(&String, &[String]) -> bool) -> (String, Vec<String>) {
    eyes.wait("the way to the torrent", |eyes| {
        let labels = eyes.labels();
        let begin = labels.iter().position(|label| label == "Where a Torrent Lives")?;
        let steps = || labels[begin..].windows(2);
        let owner = steps().find(|step| step[0].ends_with(" owner"))?[1].clone();
        let copies = steps()
            .filter(|step| step[0] == "A copy")
            .map(|step| step[1].clone());
        let copies: Vec<String> = copies.collect();
        is_right(&owner, &copies).then_some((owner, copies))
    })
}

/// The nodes that keep a peer, by what `dtracker status` says of each.
fn keepers(nodes: &[RingNode]) -> BTreeSet<String> {
    let mut keepers = BTreeSet::new();
    for node in nodes {
        let mut status = Command::new(PROGRAM.name);
        let told = status
            .args(["status", &node.plan.address, "--json"])
            .output()
            .unwrap()
            .stdout;
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        if told["leechers"] == 1 {
            keepers.insert(node.plan.ring.clone());
        }
    }
    keepers
}

/// The first node at or behind the torrent's place.
fn owner_of(nodes: &[RingNode], torrent: InfoHash) -> String {
    let mut places: Vec<(String, &RingNode)> = nodes
        .iter()
        .map(|node| (node.picture().unwrap().me, node))
        .collect();
    places.sort_by(|(one, _), (other, _)| one.cmp(other));
    let place = torrent.to_string();
    let owner = places.iter().find(|(id, _)| *id >= place).unwrap_or(&places[0]);
    owner.1.plan.ring.clone()
}
