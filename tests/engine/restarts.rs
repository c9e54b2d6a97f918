//! What an engine finds when it starts again.

use std::fs;
use std::time::Duration;

use dtorrent::engine::api::{EngineCommand, EngineEvent, Priority, RemoveData, TorrentState, TorrentSummary};
use tempfile::tempdir;

use crate::client::{Client, PIECE, Torrent};

#[test]
fn everything_the_user_chose_is_kept() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 4 * PIECE);
    let mut client = Client::start(home.path());
    client.seed(&torrent);
    client.send(EngineCommand::SetLimits {
        info_hash: torrent.id(),
        download_kib: Some(12),
        upload_kib: Some(5),
    });
    // One direction alone leaves the other as it is.
    client.send(EngineCommand::SetLimits {
        info_hash: torrent.id(),
        download_kib: None,
        upload_kib: Some(34),
    });
    client.send(EngineCommand::SetSequential {
        info_hash: torrent.id(),
        sequential: true,
    });
    client.send(EngineCommand::Pause(torrent.id()));
    let mut client = client.restart();
    let found = client.wait_state(torrent.id(), TorrentState::Paused);
    assert_eq!((found.progress, found.wanted_done), (1.0, found.total_length));
    let details = client.details(torrent.id());
    assert_eq!((details.download_limit_kib, details.upload_limit_kib), (12, 34));
    assert!(details.sequential);
}

#[test]
fn a_check_that_was_cut_short_is_ended_in_the_next_run() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 500 * PIECE);
    let mut client = Client::start(home.path());
    client.seed(&torrent);
    client.send(EngineCommand::Recheck(torrent.id()));
    let mut client = client.restart();
    // Nobody has it: whatever is not checked could not be fetched.
    client.wait_state(torrent.id(), TorrentState::Seeding);
}

#[test]
fn data_that_is_trusted_counts_unread_until_it_is_checked() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 4 * PIECE);
    let id = torrent.id();
    // Of the right length, so that nothing but reading it would tell.
    let wrong = Torrent::file("gilm", 4 * PIECE);
    wrong.write_to(&home.path().join("data"));
    fs::rename(home.path().join("data/gilm"), home.path().join("data/film")).unwrap();
    let mut client = Client::start(home.path());
    client.add(&torrent.metainfo, &[]);
    // It looks like the user's own file.
    client.wait_state(id, TorrentState::Failed);
    client.send(EngineCommand::Trust(id));
    let trusted = client.wait_state(id, TorrentState::Seeding);
    assert_eq!(trusted.wanted_done, trusted.total_length);
    let mut client = client.restart();
    client.wait_state(id, TorrentState::Seeding);
    client.send(EngineCommand::Recheck(id));
    let checked = client.wait_state(id, TorrentState::Downloading);
    assert_eq!(checked.wanted_done, 0);
}

#[test]
fn a_folder_that_is_not_there_stops_the_torrent_and_not_the_others() {
    let home = tempdir().unwrap();
    let (gone, there) = (Torrent::file("gone", 4 * PIECE), Torrent::file("there", PIECE));
    let mut client = Client::start(home.path());
    client.seed(&there);
    let folder = home.path().join("disk");
    gone.write_to(&folder);
    client.add_with(&gone.metainfo, |add| add.folder = Some(folder.clone()));
    client.wait_state(gone.id(), TorrentState::Seeding);
    client.stop();
    fs::rename(&folder, home.path().join("unmounted")).unwrap();

    let mut client = Client::start_with(client.config.clone(), home.path(), None);
    let failed = client.wait_state(gone.id(), TorrentState::Failed);
    assert!(failed.error.unwrap().contains("none of its files"));
    client.wait_state(there.id(), TorrentState::Seeding);
    assert!(!folder.exists());
    fs::rename(home.path().join("unmounted"), &folder).unwrap();
    client.send(EngineCommand::Recheck(gone.id()));
    client.wait_state(gone.id(), TorrentState::Seeding);
}

#[test]
fn damaged_state_costs_a_check_or_an_addition_and_is_told() {
    let home = tempdir().unwrap();
    let (one, two) = (Torrent::file("one", 4 * PIECE), Torrent::file("two", PIECE));
    let mut client = Client::start(home.path());
    client.seed(&one);
    client.seed(&two);
    client.stop();
    for (hash, kinds) in [
        (one.id(), ["resume", "resume.old"]),
        (two.id(), ["torrent", "torrent.old"]),
    ] {
        for kind in kinds {
            let path = home.path().join(format!("state/torrents/{hash}.{kind}"));
            if path.exists() {
                fs::write(path, "rubbish").unwrap();
            }
        }
    }
    let mut client = Client::start_with(client.config.clone(), home.path(), None);
    client.wait_state(one.id(), TorrentState::Seeding);
    assert_eq!(client.next_snapshot().torrents.len(), 1);
    let told = format!("{:?}", client.seen);
    assert!(told.contains("cannot be read") && told.contains("cannot be used"));
    assert!(
        told.contains("\"one: ") && told.contains("all data is checked"),
        "{told}"
    );
    client.seed(&two);
}

#[test]
fn a_move_that_a_kill_cut_short_is_brought_to_its_end_when_its_disks_are_there() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 4 * PIECE);
    let mut client = Client::start(home.path());
    client.seed(&torrent);
    client.stop();
    // As it is after the rename and before the record.
    let new = home.path().join("new");
    let old = home.path().join("data");
    fs::create_dir(&new).unwrap();
    fs::rename(client.data("film"), new.join("film")).unwrap();
    fs::rename(&old, home.path().join("unmounted")).unwrap();
    let note = home.path().join(format!("state/torrents/{}.move", torrent.id()));
    fs::write(&note, format!("r{}\0", new.display())).unwrap();

    let mut client = Client::start_with(client.config.clone(), home.path(), None);
    let failed = client.wait_state(torrent.id(), TorrentState::Failed);
    assert!(failed.error.unwrap().contains("is its disk mounted?"));
    fs::rename(home.path().join("unmounted"), &old).unwrap();
    client.send(EngineCommand::Start(torrent.id()));
    let found = client.wait_state(torrent.id(), TorrentState::Seeding);
    assert_eq!(found.folder, new);
    client.stop();
    assert!(!note.exists(), "the record says it now");
    let mut client = Client::start_with(client.config.clone(), home.path(), None);
    assert_eq!(client.wait_state(torrent.id(), TorrentState::Seeding).folder, new);
}

#[test]
fn a_torrent_that_is_removed_and_added_at_once_keeps_its_journal() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 4 * PIECE);
    let mut client = Client::start(home.path());
    client.seed(&torrent);
    let journal = home
        .path()
        .join(format!("state/torrents/{}.journal", torrent.id()));
    client.send(EngineCommand::Remove {
        info_hash: torrent.id(),
        data: RemoveData::Keep,
    });
    client.wait_removed(torrent.id());
    client.seed(&torrent);
    // The keeper does things in their order, so everything from before the addition is done at the end.
    client.stop();
    assert!(journal.exists());
}

#[test]
fn nothing_is_told_while_nothing_moves() {
    let home = tempdir().unwrap();
    let mut client = Client::start(home.path());
    client.seed(&Torrent::file("film", 4 * PIECE));
    // What still comes after the check.
    client.listen(Duration::from_secs(2));
    let told = client.listen(Duration::from_secs(2));
    assert!(told.is_empty(), "{told:?}");
    client.send(EngineCommand::Tell);
    client.wait_event(|event| matches!(event, EngineEvent::Snapshot(_)));
}

#[test]
fn files_that_have_gone_are_told_of_and_fetched_again() {
    let home = tempdir().unwrap();
    let torrent = Torrent::folder("films", &[("a", 4 * PIECE), ("b", 4 * PIECE), ("c", 4 * PIECE)]);
    let mut other = Client::start(&home.path().join("other"));
    let other_at = other.seed(&torrent);
    let mut client = Client::start(&home.path().join("client"));
    client.seed(&torrent);
    client.stop();
    fs::remove_file(client.data("films/b")).unwrap();
    let mut client = client.restart();
    let one = client.wait_torrent(torrent.id(), "a notice", |torrent| torrent.notice.is_some());
    let notice = one.notice.unwrap();
    assert!(notice.starts_with("“films/b” was missing from "), "{notice}");
    client.wait_state(torrent.id(), TorrentState::Downloading);
    client.send(EngineCommand::AddPeers {
        info_hash: torrent.id(),
        peers: vec![other_at],
    });
    let whole = client.wait_state(torrent.id(), TorrentState::Seeding);
    assert_eq!(whole.notice, None);
    assert!(torrent.is_whole_in(&client.data("")));

    // What is not wanted is not fetched, and nobody needs to know.
    client.send(EngineCommand::SetPriorities {
        info_hash: torrent.id(),
        files: vec![(2, Priority::Skip)],
    });
    client.stop();
    for name in ["films/a", "films/b", "films/c"] {
        fs::remove_file(client.data(name)).unwrap();
    }
    // With none of its files the torrent would fail.
    fs::write(client.data("films/c"), "c").unwrap();
    let mut client = client.restart();
    let says = |words: &'static str| {
        move |torrent: &TorrentSummary| {
            (torrent.notice.as_ref()).is_some_and(|notice| notice.starts_with(words))
        }
    };
    client.wait_torrent(torrent.id(), "two files", says("2 files were missing from "));

    // Who skips a file, as the notice says, has heard of it.
    let half = 4 * PIECE as u64;
    for (a, wanted) in [(Priority::Skip, half), (Priority::Normal, 2 * half)] {
        client.send(EngineCommand::SetPriorities {
            info_hash: torrent.id(),
            files: vec![(0, a)],
        });
        let one = client.wait_torrent(torrent.id(), "the choice", |torrent| {
            torrent.wanted_length == wanted
        });
        assert!(says("“films/b” was missing from ")(&one), "{one:?}");
    }
}

#[test]
fn files_that_are_on_their_way_are_not_missing() {
    let home = tempdir().unwrap();
    let torrent = Torrent::folder("films", &[("a", 4 * PIECE), ("sub/b", 4 * PIECE)]);
    let mut client = Client::start(home.path());
    client.seed(&torrent);
    client.stop();
    // Killed after the first file, and what is in the way of the second came later.
    let new = home.path().join("new");
    fs::create_dir_all(new.join("films")).unwrap();
    fs::rename(client.data("films/a"), new.join("films/a")).unwrap();
    fs::write(new.join("films/sub"), "no folder").unwrap();
    let note = home.path().join(format!("state/torrents/{}.move", torrent.id()));
    fs::write(&note, format!("r{}\0", new.display())).unwrap();

    let mut client = Client::start_with(client.config.clone(), home.path(), None);
    let failed = client.wait_state(torrent.id(), TorrentState::Failed);
    assert!(failed.error.unwrap().contains("the rest cannot be moved"));
    assert_eq!(failed.notice, None);
    fs::remove_file(new.join("films/sub")).unwrap();
    client.send(EngineCommand::Start(torrent.id()));
    let found = client.wait_state(torrent.id(), TorrentState::Seeding);
    assert_eq!((found.folder, found.notice), (new, None));
}

#[test]
fn a_kill_forgets_half_a_minute_of_what_was_transferred_at_most() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 8 * PIECE);
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    leech.add(&torrent.metainfo, &[peer]);
    leech.wait_state(torrent.id(), TorrentState::Seeding);
    // The leech saved what it received when it was complete; what the seed sent is saved by time alone.
    seed.listen(Duration::from_secs(31));
    // What a killed program leaves is what is there now.
    let killed = home.path().join("killed");
    fs::create_dir_all(killed.join("state/torrents")).unwrap();
    for folder in ["state", "state/torrents"] {
        for file in fs::read_dir(home.path().join("seed").join(folder)).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), killed.join(folder).join(file.file_name())).unwrap();
            }
        }
    }
    let mut next = Client::start(&killed);
    let sent = next.wait_torrent(torrent.id(), "it", |_| true).uploaded;
    let snapshot = next.next_snapshot();
    assert_eq!(sent, 8 * PIECE as u64);
    assert_eq!(snapshot.statistics.all_time.uploaded, sent);
}
