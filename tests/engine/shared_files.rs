//! Two torrents whose files would be the same.

use std::fs;

use dtorrent::engine::api::{EngineCommand, EngineEvent, TorrentState};
use tempfile::tempdir;

use crate::client::{Client, PIECE, Torrent};

#[test]
fn a_second_torrent_of_the_same_name_does_not_get_the_file_of_the_first() {
    let home = tempdir().unwrap();
    let (first, second) = (
        Torrent::file("Delta", 4 * PIECE),
        Torrent::file("Delta", 5 * PIECE),
    );
    let (mut one, mut other) = (
        Client::start(&home.path().join("1")),
        Client::start(&home.path().join("2")),
    );
    let peers = [one.seed(&first), other.seed(&second)];
    let mut leech = Client::start(&home.path().join("3"));
    // Nothing of the first is there yet.
    leech.add_with(&first.metainfo, |add| add.paused = true);
    leech.add(&second.metainfo, &peers[1..]);
    let told = leech.wait_failure("choose another folder");
    assert!(
        told.starts_with("Delta was not added") && told.contains("data/Delta"),
        "{told}"
    );
    leech.send(EngineCommand::Start(first.id()));
    leech.send(EngineCommand::AddPeers {
        info_hash: first.id(),
        peers: peers[..1].to_vec(),
    });
    leech.wait_state(first.id(), TorrentState::Seeding);
    // By another name of the same folder.
    let link = home.path().join("3/link");
    std::os::unix::fs::symlink(leech.data(""), &link).unwrap();
    leech.add_with(&second.metainfo, |add| add.folder = Some(link));
    leech.wait_failure("choose another folder");
    leech.add_with(&second.metainfo, |add| {
        add.folder = Some(home.path().join("3/other"));
        add.peers = peers[1..].to_vec();
    });
    leech.wait_state(second.id(), TorrentState::Seeding);
    assert!(first.is_whole_in(&home.path().join("3/data")));
    assert!(second.is_whole_in(&home.path().join("3/other")));
}

#[test]
fn nothing_is_moved_to_where_another_torrent_will_have_the_file() {
    let home = tempdir().unwrap();
    let (first, second) = (
        Torrent::file("Delta", 4 * PIECE),
        Torrent::file("Delta", 5 * PIECE),
    );
    let mut client = Client::start(home.path());
    client.seed(&first);
    let to = home.path().join("later");
    client.add_with(&second.metainfo, |add| {
        add.folder = Some(to.clone());
        add.paused = true;
    });
    client.wait_event(|event| matches!(event, EngineEvent::Added(id) if *id == second.id()));
    client.send(EngineCommand::Move {
        info_hash: first.id(),
        to: to.clone(),
    });
    client.wait_failure("nothing was moved");
    client.wait_state(first.id(), TorrentState::Seeding);
    assert!(first.is_whole_in(&home.path().join("data")) && fs::read_dir(&to).is_err());
}

#[test]
fn the_same_data_for_two_trackers_may_be_one_file() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("Delta", 4 * PIECE);
    let mut twin = (*torrent.metainfo).clone();
    twin.info.info_hash = dtorrent::id::InfoHash::new([9; 20]);
    let mut client = Client::start(home.path());
    client.seed(&torrent);
    client.add(&std::sync::Arc::new(twin), &[]);
    client.wait_state(dtorrent::id::InfoHash::new([9; 20]), TorrentState::Seeding);
}
