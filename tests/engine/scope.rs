//! Runs that are not for the whole list.

use std::collections::BTreeSet;
use std::fs;

use dtorrent::engine::Scope;
use dtorrent::engine::api::{EngineCommand, TorrentState};
use tempfile::tempdir;

use crate::client::{Client, PIECE, Torrent};

#[test]
fn a_run_for_one_torrent_leaves_the_others_as_they_are() {
    let home = tempdir().unwrap();
    let torrents = ["a", "b"].map(|name| Torrent::file(name, 4 * PIECE));
    let mut client = Client::start(home.path());
    for torrent in &torrents {
        client.seed(torrent);
    }
    let mut client = client.restart_for(Scope {
        torrents: BTreeSet::from([torrents[0].id()]),
        fetch: true,
        seed_until_ratio: None,
    });
    client.wait_state(torrents[0].id(), TorrentState::Seeding);
    client.wait_state(torrents[1].id(), TorrentState::Paused);
    // Nobody gets anything of it, though it is on the list.
    let other = tempdir().unwrap();
    let mut leech = Client::start(other.path());
    let peer = client.addr();
    for torrent in &torrents {
        leech.add(&torrent.metainfo, &[peer]);
    }
    leech.wait_state(torrents[0].id(), TorrentState::Seeding);
    let rest = leech.wait_state(torrents[1].id(), TorrentState::Downloading);
    assert_eq!(rest.downloaded, 0);
    let mut client = client.restart();
    client.wait_state(torrents[1].id(), TorrentState::Seeding);
}

#[test]
fn a_run_that_only_serves_writes_to_no_file() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 8 * PIECE);
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut damaged = Client::start(&home.path().join("damaged"));
    damaged.seed(&torrent);
    let path = damaged.data("film");
    let mut damaged = damaged.restart_for(Scope {
        torrents: BTreeSet::from([torrent.id()]),
        fetch: false,
        seed_until_ratio: None,
    });
    let mut bytes = fs::read(&path).unwrap();
    bytes[3 * PIECE] ^= 1;
    fs::write(&path, &bytes).unwrap();
    damaged.send(EngineCommand::Recheck(torrent.id()));
    let checked = damaged.wait_state(torrent.id(), TorrentState::Downloading);
    assert_eq!(checked.wanted_done, 7 * PIECE as u64);
    damaged.send(EngineCommand::AddPeers {
        info_hash: torrent.id(),
        peers: vec![peer],
    });
    damaged.wait_torrent(torrent.id(), "the other seed", |torrent| torrent.peers == 1);
    // What it has is served all the same, and by the time that is done it would have asked for the rest.
    let mut leech = Client::start(&home.path().join("leech"));
    let address = damaged.addr();
    leech.add(&torrent.metainfo, &[address, peer]);
    leech.wait_state(torrent.id(), TorrentState::Seeding);
    let after = damaged.wait_state(torrent.id(), TorrentState::Downloading);
    assert_eq!(after.downloaded, 0);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
