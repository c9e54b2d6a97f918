//! Downloads, and what a user does to them on the way.

use std::fs;

use dtorrent::engine::api::{EngineCommand, EngineEvent, Priority, TorrentState};
use tempfile::tempdir;

use crate::client::{Client, PIECE, Torrent};

#[test]
fn a_leech_gets_everything_from_a_seed_and_counts_it_once() {
    let home = tempdir().unwrap();
    let torrent = Torrent::folder("set", &[("a", 700_001), ("none", 0), ("b", 400_000)]);
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    leech.add(&torrent.metainfo, &[peer]);
    let done = leech.wait_state(torrent.id(), TorrentState::Seeding);
    assert!(torrent.is_whole_in(&leech.home.join("data")));
    assert_eq!((done.wanted_done, done.total_length), (1_100_001, 1_100_001));
    assert_eq!(done.downloaded, 1_100_001);
    let served = seed.wait_torrent(torrent.id(), "all uploads", |torrent| {
        torrent.uploaded >= 1_100_001 && torrent.peers == 0
    });
    assert_eq!(served.downloaded, 0);

    // Both are quiet now; the totals neither fall nor grow with the next run.
    let mut leech = leech.restart();
    let again = leech.wait_state(torrent.id(), TorrentState::Seeding);
    assert_eq!(again.downloaded, done.downloaded);
    let mut seed = seed.restart();
    let again = seed.wait_state(torrent.id(), TorrentState::Seeding);
    assert_eq!(again.uploaded, served.uploaded);
}

#[test]
fn finished_is_told_once() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 300_000);
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    assert_eq!(seed.times_finished(torrent.id()), 1, "by its check");
    let mut leech = Client::start(&home.path().join("leech"));
    leech.add(&torrent.metainfo, &[peer]);
    leech.wait_state(torrent.id(), TorrentState::Seeding);
    leech.send(EngineCommand::Pause(torrent.id()));
    leech.wait_state(torrent.id(), TorrentState::Paused);
    leech.send(EngineCommand::Start(torrent.id()));
    leech.wait_state(torrent.id(), TorrentState::Seeding);
    assert_eq!(leech.times_finished(torrent.id()), 1);
    let mut leech = leech.restart();
    leech.wait_state(torrent.id(), TorrentState::Seeding);
    assert_eq!(leech.times_finished(torrent.id()), 0);
}

#[test]
fn a_pause_stops_the_bytes_and_a_start_goes_on_with_what_is_there() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 60 * PIECE);
    let id = torrent.id();
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    leech.add_with(&torrent.metainfo, |add| {
        add.peers = vec![peer];
        add.paused = true;
    });
    limit(&leech, &torrent, 256);
    leech.send(EngineCommand::Start(id));
    leech.wait_torrent(id, "some pieces", |torrent| torrent.wanted_done > 0);
    leech.send(EngineCommand::Pause(id));
    let paused = leech.wait_torrent(id, "a pause", |torrent| {
        torrent.state == TorrentState::Paused && torrent.peers == 0
    });
    assert!(paused.wanted_done < paused.total_length, "the limit was obeyed");
    let later = leech.wait_torrent(id, "another snapshot", |_| true);
    assert_eq!(later.downloaded, paused.downloaded);

    limit(&leech, &torrent, 0);
    // In quick succession: the thread of the torrent may be on its way out.
    leech.send(EngineCommand::Start(id));
    leech.send(EngineCommand::Pause(id));
    leech.send(EngineCommand::Start(id));
    let done = leech.wait_state(id, TorrentState::Seeding);
    assert!(torrent.is_whole_in(&leech.home.join("data")));
    let twice = done.downloaded - done.total_length;
    assert!(twice < done.total_length / 2, "{twice} bytes were fetched twice");
}

#[test]
fn files_can_be_left_out_and_fetched_later() {
    let home = tempdir().unwrap();
    let torrent = Torrent::folder("set", &[("a", 4 * PIECE), ("b", 4 * PIECE), ("c", 4 * PIECE)]);
    let id = torrent.id();
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    let choice = vec![Priority::Normal, Priority::Skip, Priority::High];
    leech.add_with(&torrent.metainfo, |add| {
        add.peers = vec![peer];
        add.priorities.clone_from(&choice);
    });
    let done = leech.wait_state(id, TorrentState::Seeding);
    assert_eq!(done.wanted_length, 8 * PIECE as u64);
    assert!(!leech.data("set/b").exists());

    let mut leech = leech.restart();
    let found: Vec<_> = leech
        .details(id)
        .files
        .iter()
        .map(|file| (file.priority, file.done > 0))
        .collect();
    assert_eq!(
        found,
        [
            (Priority::Normal, true),
            (Priority::Skip, false),
            (Priority::High, true)
        ]
    );
    leech.send(EngineCommand::SetPriorities {
        info_hash: id,
        files: vec![(0, Priority::Skip), (3, Priority::Skip)],
    });
    leech.wait_failure("the choice is for 4 files, but the torrent has 3 files");
    // Two quick changes, the second of somebody who has not seen the first: both hold.
    for file in [0, 2] {
        leech.send(EngineCommand::SetPriorities {
            info_hash: id,
            files: vec![(file, Priority::Skip)],
        });
    }
    leech.wait_torrent(id, "both changes", |torrent| torrent.wanted_length == 0);
    leech.send(EngineCommand::SetPriorities {
        info_hash: id,
        files: (0..3).map(|file| (file, Priority::Normal)).collect(),
    });
    leech.send(EngineCommand::AddPeers {
        info_hash: id,
        peers: vec![peer],
    });
    leech.wait_torrent(id, "the rest", |torrent| {
        torrent.state == TorrentState::Seeding && torrent.wanted_length == torrent.total_length
    });
    assert!(torrent.is_whole_in(&leech.home.join("data")));
}

#[test]
fn a_damaged_byte_is_found_by_a_recheck_and_fetched_again() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 20 * PIECE);
    let id = torrent.id();
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    leech.add(&torrent.metainfo, &[peer]);
    let before = leech.wait_state(id, TorrentState::Seeding);
    leech.send(EngineCommand::Pause(id));
    leech.wait_state(id, TorrentState::Paused);
    let mut data = fs::read(leech.data("film")).unwrap();
    data[7 * PIECE + 3] ^= 1;
    fs::write(leech.data("film"), data).unwrap();

    // A paused torrent is checked, and stays paused.
    leech.send(EngineCommand::Recheck(id));
    let rest = (19 * PIECE) as u64;
    leech.wait_torrent(id, "the end of the check", |torrent| {
        torrent.state == TorrentState::Paused && torrent.wanted_done == rest
    });

    leech.send(EngineCommand::Start(id));
    leech.send(EngineCommand::AddPeers {
        info_hash: id,
        peers: vec![peer],
    });
    let after = leech.wait_state(id, TorrentState::Seeding);
    assert!(torrent.is_whole_in(&leech.home.join("data")));
    assert_eq!(after.downloaded, before.downloaded + PIECE as u64);
}

#[test]
fn data_moves_while_it_is_served_and_while_it_is_fetched() {
    let home = tempdir().unwrap();
    let torrent = Torrent::folder("set", &[("a", 30 * PIECE), ("b", 30 * PIECE)]);
    let id = torrent.id();
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    leech.add_with(&torrent.metainfo, |add| {
        add.peers = vec![peer];
        add.paused = true;
    });
    limit(&leech, &torrent, 512);
    leech.send(EngineCommand::Start(id));
    leech.wait_torrent(id, "some pieces", |torrent| torrent.wanted_done > 0);

    let (new_seed, new_leech) = (home.path().join("new-seed"), home.path().join("new-leech"));
    for (client, to) in [(&seed, &new_seed), (&leech, &new_leech)] {
        let to = to.clone();
        client.send(EngineCommand::Move { info_hash: id, to });
    }
    leech.wait_torrent(id, "a move", |torrent| torrent.folder == new_leech);
    seed.wait_torrent(id, "a move", |torrent| torrent.folder == new_seed);
    assert!(torrent.is_whole_in(&new_seed));
    limit(&leech, &torrent, 0);
    leech.send(EngineCommand::AddPeers {
        info_hash: id,
        peers: vec![peer],
    });
    leech.wait_state(id, TorrentState::Seeding);
    assert!(torrent.is_whole_in(&new_leech));
    assert!(!leech.data("set").exists() && !seed.data("set").exists());
    assert_eq!(
        leech.restart().wait_state(id, TorrentState::Seeding).folder,
        new_leech
    );
}

#[test]
fn a_move_right_before_the_end_is_not_forgotten() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 10 * PIECE);
    let mut seed = Client::start(&home.path().join("seed"));
    seed.seed(&torrent);
    let to = home.path().join("new");
    seed.send(EngineCommand::Recheck(torrent.id()));
    seed.send(EngineCommand::Move {
        info_hash: torrent.id(),
        to: to.clone(),
    });
    let mut seed = seed.restart();
    let found = seed.wait_state(torrent.id(), TorrentState::Seeding);
    assert_eq!(found.folder, to);
    assert!(torrent.is_whole_in(&to));
}

#[test]
fn no_command_for_a_torrent_that_is_not_there_does_harm() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", PIECE);
    let info_hash = torrent.id();
    let mut client = Client::start(home.path());
    client.send(EngineCommand::Start(info_hash));
    client.send(EngineCommand::Pause(info_hash));
    client.send(EngineCommand::Recheck(info_hash));
    client.send(EngineCommand::Announce(info_hash));
    client.send(EngineCommand::Watch(Some(info_hash)));
    client.send(EngineCommand::SetPriorities {
        info_hash,
        files: vec![(0, Priority::High)],
    });
    client.send(EngineCommand::SetQueuePosition {
        info_hash,
        position: 3,
    });
    client.send(EngineCommand::Move {
        info_hash,
        to: home.path().join("new"),
    });
    client.seed(&torrent);
    client.add(&torrent.metainfo, &[]);
    client.wait_failure("is in the list already");
    let other = Torrent::file("other", PIECE);
    client.add_with(&other.metainfo, |add| add.priorities = vec![Priority::Low; 2]);
    client.wait_failure("it was not added");
    assert_eq!(client.next_snapshot().torrents.len(), 1);
}

#[test]
fn a_torrent_of_empty_files_is_complete_once_they_exist() {
    let home = tempdir().unwrap();
    let torrent = Torrent::folder("empty", &[("a", 0), ("b", 0)]);
    let mut client = Client::start(home.path());
    client.add(&torrent.metainfo, &[]);
    let done = client.wait_state(torrent.id(), TorrentState::Seeding);
    assert_eq!((done.progress, done.total_length), (1.0, 0));
    assert!(torrent.is_whole_in(&home.path().join("data")));
    assert_eq!(client.times_finished(torrent.id()), 1);
    client.send(EngineCommand::Recheck(torrent.id()));
    let mut client = client.restart();
    client.wait_state(torrent.id(), TorrentState::Seeding);
    assert!(
        !client
            .seen
            .iter()
            .any(|event| matches!(event, EngineEvent::Failed { .. }))
    );
}

fn limit(client: &Client, torrent: &Torrent, download_kib: u64) {
    client.send(EngineCommand::SetLimits {
        info_hash: torrent.id(),
        download_kib: Some(download_kib),
        upload_kib: Some(0),
    });
}
