//! Clients of different nodes of one ring.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use dtorrent::metainfo::Metainfo;

use super::all_of;
use crate::support::aria2::Aria2;
use crate::support::cli::Cli;
use crate::support::content::Content;
use crate::support::libtorrent::Libtorrent;
use crate::support::ring::{self, RingNode, Word, wait_for_ring};
use crate::support::stage::{Stage, wait_for};
use crate::support::transmission::Transmission;

/// Transmission asks for nothing in its first 13 seconds; two cores are shared by whatever else runs.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn clients_of_different_nodes_meet_and_outlive_two_of_them() {
    let stage = Stage::new();
    let nodes = ring::start(&stage, 5);
    // In the order of the ring: the first two stand side by side.
    let order = wait_for_ring(&all_of(&nodes));
    let nodes: Vec<&RingNode> = order.iter().map(|&at| &nodes[at]).collect();
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
    let url = |scheme: &str, node: &RingNode| format!("{scheme}://{}/announce", node.plan.address);
    let dir = |name: &str| stage.folder(name);
    content.write(&dir("transmission"));

    // Each client has a node of its own. Transmission only ever waits to be found.
    let with_transmission = torrent_for(&[url("http", nodes[0])]);
    let mut transmission =
        Transmission::start(&stage, "transmission", &with_transmission, &dir("transmission"));
    // Until then nobody would be told of it, and whoever asked would not ask again for long.
    let info_hash = Metainfo::parse(&fs::read(&with_transmission).unwrap())
        .unwrap()
        .info
        .info_hash;
    wait_for("Transmission's announce", LIMIT, || {
        let others = nodes[2].announce(Word::of(info_hash, 1)).unwrap();
        nodes[2].announce(Word::stopped(info_hash, 1)).unwrap();
        (!others.is_empty()).then_some(())
    });
    let with_libtorrent = torrent_for(&[url("udp", nodes[1])]);
    let mut libtorrent = Libtorrent::start(&stage, &[with_libtorrent], &dir("libtorrent"), true);
    let with_us = torrent_for(&[url("http", nodes[0]), url("udp", nodes[3])]);
    let mut ours = Cli::download(&stage, "ours", &[with_us], &dir("ours"))
        .settings(&stage, "[transfer]\ndownload_limit_kib = 1024")
        .start(&stage);
    let begun = dir("ours").join("folder/large.bin");
    wait_for("the beginning of our download", LIMIT, || {
        fs::metadata(&begun)
            .is_ok_and(|file| file.len() > 0)
            .then_some(())
    });

    // Both nodes that Transmission and libtorrent know die in the middle of it, an owner and its first copy.
    nodes[0].process.shoot();
    nodes[1].process.shoot();
    assert!(
        ours.ended().is_none(),
        "the download was over before anything had happened"
    );
    let with_aria2 = torrent_for(&[url("http", nodes[0]), url("http", nodes[2])]);
    let mut aria2 = Aria2::start(&stage, &[with_aria2], &dir("aria2"), true);
    libtorrent.wait_finished(LIMIT);
    aria2.wait_finished(LIMIT);
    ours.finish(LIMIT);
    transmission.wait_finished(LIMIT);
    for name in ["libtorrent", "aria2", "ours"] {
        content.assert_in(&dir(name));
    }
}
