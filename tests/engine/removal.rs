//! What goes with a torrent that is removed, and what does not.

use std::fs;

use dtorrent::engine::api::{EngineCommand, RemoveData, TorrentState};
use tempfile::tempdir;

use crate::client::{Client, PIECE, Torrent};

fn torrent() -> Torrent {
    Torrent::folder("set", &[("a", 4 * PIECE), ("b", 4 * PIECE)])
}

#[test]
fn only_the_torrents_own_files_are_deleted() {
    let home = tempdir().unwrap();
    let torrent = torrent();
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    leech.add(&torrent.metainfo, &[peer]);
    leech.wait_state(torrent.id(), TorrentState::Seeding);
    fs::write(leech.data("set/diary"), "mine").unwrap();
    leech.send(EngineCommand::Remove {
        info_hash: torrent.id(),
        data: RemoveData::Delete,
    });
    leech.wait_removed(torrent.id());
    assert!(!leech.data("set/a").exists() && !leech.data("set/b").exists());
    assert_eq!(fs::read_to_string(leech.data("set/diary")).unwrap(), "mine");
    assert!(leech.restart().next_snapshot().torrents.is_empty());
}

#[test]
fn what_is_kept_can_be_added_again_at_once() {
    let home = tempdir().unwrap();
    let torrent = torrent();
    let mut seed = Client::start(home.path());
    seed.seed(&torrent);
    seed.send(EngineCommand::Remove {
        info_hash: torrent.id(),
        data: RemoveData::Keep,
    });
    seed.wait_removed(torrent.id());
    seed.add(&torrent.metainfo, &[]);
    seed.wait_state(torrent.id(), TorrentState::Seeding);
    assert_eq!(seed.times_finished(torrent.id()), 2);
    let mut seed = seed.restart();
    seed.wait_state(torrent.id(), TorrentState::Seeding);
    assert!(torrent.is_whole_in(&home.path().join("data")));
}

#[test]
fn a_torrent_that_is_being_moved_can_be_removed() {
    let home = tempdir().unwrap();
    let torrent = torrent();
    let mut seed = Client::start(home.path());
    seed.seed(&torrent);
    let to = home.path().join("new");
    seed.send(EngineCommand::Move {
        info_hash: torrent.id(),
        to: to.clone(),
    });
    // Long enough for the move to begin.
    seed.next_snapshot();
    seed.send(EngineCommand::Remove {
        info_hash: torrent.id(),
        data: RemoveData::Delete,
    });
    seed.wait_removed(torrent.id());
    assert!(!seed.data("set").exists() && !to.join("set").exists());
}
