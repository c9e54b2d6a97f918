//! What goes with a torrent that is removed, and what does not.

use std::fs;

use dtorrent::engine::api::{EngineCommand, EngineEvent, Priority, RemoveData, TorrentState};
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

#[test]
fn what_is_removed_right_before_the_end_is_gone() {
    let home = tempdir().unwrap();
    let torrents = ["a", "b"].map(|name| Torrent::file(name, PIECE));
    let mut seed = Client::start(home.path());
    for torrent in &torrents {
        seed.seed(torrent);
    }
    for (torrent, data) in torrents.iter().zip([RemoveData::Keep, RemoveData::Delete]) {
        seed.send(EngineCommand::Pause(torrent.id()));
        seed.wait_state(torrent.id(), TorrentState::Paused);
        seed.send(EngineCommand::Remove {
            info_hash: torrent.id(),
            data,
        });
    }
    let mut seed = seed.restart();
    assert!(seed.next_snapshot().torrents.is_empty());
    assert!(seed.data("a").exists() && !seed.data("b").exists());
}

#[test]
fn only_a_removal_that_fails_says_that_the_torrent_stays() {
    let home = tempdir().unwrap();
    let torrent = torrent();
    let mut seed = Client::start(home.path());
    seed.seed(&torrent);
    let stays = |event: &EngineEvent| matches!(event, EngineEvent::Stays(id) if *id == torrent.id());
    seed.send(EngineCommand::SetPriorities {
        info_hash: torrent.id(),
        files: vec![(usize::MAX, Priority::Skip)],
    });
    seed.wait_failure("nothing was changed");
    assert!(!seed.seen.iter().any(stays));

    // A folder that somebody has put in the place of a file is not deleted.
    fs::remove_file(seed.data("set/a")).unwrap();
    fs::create_dir(seed.data("set/a")).unwrap();
    seed.send(EngineCommand::Remove {
        info_hash: torrent.id(),
        data: RemoveData::Delete,
    });
    seed.wait_event(stays);
    seed.wait_failure("set/a");
    assert_eq!(seed.next_snapshot().torrents.len(), 1);
}

#[test]
fn what_was_removed_comes_back_as_it_was() {
    let home = tempdir().unwrap();
    let torrents = ["a", "b", "c", "d"].map(|name| Torrent::file(name, 3 * PIECE));
    let mut seed = Client::start(home.path());
    for torrent in &torrents {
        seed.seed(torrent);
    }
    let ids: Vec<_> = torrents.iter().map(Torrent::id).collect();
    seed.send(EngineCommand::SetLimits {
        info_hash: ids[1],
        download_kib: Some(7),
        upload_kib: Some(8),
    });
    seed.send(EngineCommand::Pause(ids[2]));
    let before = seed.wait_state(ids[2], TorrentState::Paused);
    for id in [ids[1], ids[2]] {
        seed.send(EngineCommand::Remove {
            info_hash: id,
            data: RemoveData::Keep,
        });
        seed.wait_removed(id);
    }
    assert_eq!(seed.next_snapshot().torrents.len(), 2);
    seed.send(EngineCommand::Restore(vec![ids[1], ids[2]]));
    let snapshot = seed.wait_for("all four", |snapshot| snapshot.torrents.len() == 4);
    let order: Vec<_> = snapshot
        .torrents
        .iter()
        .map(|torrent| torrent.info_hash)
        .collect();
    assert_eq!(order, ids, "each has its place again");
    let back = seed.wait_state(ids[1], TorrentState::Seeding);
    assert_eq!((back.download_limit_kib, back.upload_limit_kib), (7, 8));
    let back = seed.wait_state(ids[2], TorrentState::Paused);
    assert_eq!(
        (back.added_at, back.wanted_done),
        (before.added_at, before.wanted_done)
    );
    // They are kept as the others are.
    let mut seed = seed.restart();
    seed.wait_state(ids[1], TorrentState::Seeding);
    seed.wait_state(ids[2], TorrentState::Paused);
    // A torrent that is there is not put back once more, nor one that nobody remembers.
    let stranger = Torrent::file("e", PIECE).id();
    seed.send(EngineCommand::Restore([&ids[..], &[stranger]].concat()));
    seed.wait_failure("longer ago");
    assert_eq!(seed.next_snapshot().torrents.len(), 4);
    let failed = |event: &&EngineEvent| matches!(event, EngineEvent::Failed { .. });
    let told: Vec<_> = seed.seen.iter().filter(failed).collect();
    assert!(
        matches!(told[..], [EngineEvent::Failed { info_hash: Some(id), .. }] if *id == stranger),
        "{told:?}"
    );
}
