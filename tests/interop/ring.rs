//! A ring of trackers: any node answers, and any two may be killed at once.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use dtorrent::id::InfoHash;
use dtorrent::metainfo::Metainfo;
use dtorrent::tracker::announce::Event;

use crate::support::aria2::Aria2;
use crate::support::cli::Cli;
use crate::support::content::Content;
use crate::support::libtorrent::Libtorrent;
use crate::support::ring::{self, RingNode};
use crate::support::stage::{Stage, wait_for};
use crate::support::transmission::Transmission;

/// Transmission asks for nothing in its first 13 seconds; two cores are shared by whatever else runs.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn clients_of_different_nodes_meet_and_outlive_two_of_them() {
    let stage = Stage::new();
    let mut nodes = ring::start(&stage, 5);
    // A length of pieces that Transmission takes.
    let content = Content::folder("folder", 3 << 14, 5);
    let mut torrents = 0;
    let mut torrent_for = |urls: &[String]| -> PathBuf {
        let torrent = content.torrent(&stage, urls);
        torrents += 1;
        let own = stage.path(&format!("{torrents}.torrent"));
        fs::rename(torrent, &own).unwrap();
        own
    };
    let url = |scheme: &str, node: &RingNode| format!("{scheme}://{}/announce", node.address);
    let dir = |name: &str| stage.folder(name);
    content.write(&dir("transmission"));

    // Each client has a node of its own. Transmission only ever waits to be found.
    let with_transmission = torrent_for(&[url("http", &nodes[0])]);
    let mut transmission =
        Transmission::start(&stage, "transmission", &with_transmission, &dir("transmission"));
    // Until then nobody would be told of it, and whoever asked would not ask again for long.
    let info_hash = Metainfo::parse(&fs::read(&with_transmission).unwrap())
        .unwrap()
        .info
        .info_hash;
    wait_for("Transmission's announce", LIMIT, || {
        let others = nodes[2].announce(info_hash, 1, None).unwrap();
        nodes[2].announce(info_hash, 1, Some(Event::Stopped)).unwrap();
        (!others.is_empty()).then_some(())
    });
    let with_libtorrent = torrent_for(&[url("udp", &nodes[1])]);
    let mut libtorrent = Libtorrent::start(&stage, &[with_libtorrent], &dir("libtorrent"), true);
    libtorrent.wait_finished(LIMIT);

    // The nodes of those two die. Ours knows a dead one and a live one, aria2 a live one.
    let (dead, alive) = (nodes[0].address.clone(), url("http", &nodes[3]));
    drop((nodes.remove(1), nodes.remove(0)));
    let with_aria2 = torrent_for(&[url("http", &nodes[0])]);
    let mut aria2 = Aria2::start(&stage, &[with_aria2], &dir("aria2"), true);
    let with_us = torrent_for(&[format!("http://{dead}/announce"), alive]);
    let mut ours = Cli::download(&stage, "ours", &[with_us], &dir("ours")).start(&stage);
    aria2.wait_finished(LIMIT);
    ours.finish(LIMIT);
    transmission.wait_finished(LIMIT);
    for name in ["libtorrent", "aria2", "ours"] {
        content.assert_in(&dir(name));
    }
}

/// Swarms of ten peers each.
const SWARMS: u32 = 1_000;
const PEERS: u16 = 10;

fn swarm(number: u32) -> InfoHash {
    InfoHash::of_info(&number.to_be_bytes())
}

#[test]
fn any_two_nodes_may_be_killed_at_once() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let stage = Stage::new();
    let mut nodes = ring::start(&stage, 6);
    for number in 0..SWARMS {
        for port in 1..=PEERS {
            let node = &nodes[rng.usize(..nodes.len())];
            node.announce(swarm(number), port, None).unwrap();
        }
    }
    let everybody: HashSet<u16> = (1..=PEERS).collect();
    while nodes.len() > 2 {
        let second = nodes.swap_remove(rng.usize(..nodes.len()));
        let first = nodes.swap_remove(rng.usize(..nodes.len()));
        // `SIGKILL`, one right behind the other.
        drop((first, second));
        for node in &nodes {
            for number in 0..SWARMS {
                // Who has left gets no peers, so the question comes from one who has come.
                let found = node.announce(swarm(number), 999, None).unwrap();
                let mut missing = everybody.difference(&found).peekable();
                assert!(
                    missing.peek().is_none(),
                    "swarm {number} at {}: {missing:?}",
                    node.address
                );
                node.announce(swarm(number), 999, Some(Event::Stopped)).unwrap();
            }
        }
    }
}
