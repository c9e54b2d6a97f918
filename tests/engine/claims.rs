//! Files that are there already when a torrent comes, files that should be there and are not, and names of files.

use std::fs;

use dtorrent::engine::api::{EngineCommand, EngineEvent, TorrentState};
use tempfile::tempdir;

use crate::client::{Client, PIECE, Torrent};

#[test]
fn a_file_of_the_users_is_written_over_only_if_he_says_so() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("Delta", 4 * PIECE);
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    let mine = vec![b'm'; 5 * PIECE];
    fs::create_dir_all(leech.data("")).unwrap();
    fs::write(leech.data("Delta"), &mine).unwrap();
    leech.add(&torrent.metainfo, &[peer]);
    let failed = leech.wait_state(torrent.id(), TorrentState::Failed);
    let why = failed.error.unwrap();
    assert!(
        failed.in_the_way && why.contains("data/Delta is in the way"),
        "{why}"
    );
    leech.send(EngineCommand::Start(torrent.id()));
    leech.wait_torrent(torrent.id(), "that it goes on trying", |torrent| {
        torrent.state != TorrentState::Failed
    });
    leech.wait_state(torrent.id(), TorrentState::Failed);
    // To another folder goes what is the torrent's, and that is nothing.
    let to = home.path().join("leech/to");
    leech.send(EngineCommand::Move {
        info_hash: torrent.id(),
        to: to.clone(),
    });
    leech.wait_torrent(torrent.id(), "that it is there", |torrent| torrent.folder == to);
    assert_eq!(fs::read(leech.data("Delta")).unwrap(), mine);
    fs::write(to.join("Delta"), &mine).unwrap();
    leech.send(EngineCommand::Start(torrent.id()));
    leech.wait_torrent(torrent.id(), "that the other is in the way", |torrent| {
        torrent.state == TorrentState::Failed
            && torrent.error.as_ref().is_some_and(|why| why.contains("to/Delta"))
    });
    leech.send(EngineCommand::Overwrite(torrent.id()));
    leech.wait_state(torrent.id(), TorrentState::Seeding);
    assert!(torrent.is_whole_in(&to), "and no longer than it should be");
}

#[test]
fn what_another_client_has_of_it_is_gone_on_with() {
    let home = tempdir().unwrap();
    let torrent = Torrent::folder("set", &[("a", 4 * PIECE), ("b", 4 * PIECE), ("c", 100)]);
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    torrent.write_to(&leech.data(""));
    // One piece of it is right, another file has only its size, and nothing can be said of the third.
    let file = fs::File::options().write(true).open(leech.data("set/a")).unwrap();
    file.set_len(PIECE as u64 + 5).unwrap();
    fs::write(leech.data("set/b"), vec![0; 4 * PIECE]).unwrap();
    leech.add(&torrent.metainfo, &[peer]);
    let done = leech.wait_state(torrent.id(), TorrentState::Seeding);
    assert!(done.downloaded <= 7 * PIECE as u64 + 100, "{done:?}");
    assert!(torrent.is_whole_in(&leech.data("")));
}

#[test]
fn a_torrent_whose_file_is_missing_is_not_shared_by_trying_again() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 8 * PIECE);
    let mut seed = Client::start(&home.path().join("seed"));
    seed.seed(&torrent);
    // Without open files.
    let mut seed = seed.restart();
    seed.wait_state(torrent.id(), TorrentState::Seeding);
    fs::rename(seed.data("film"), seed.data("away")).unwrap();
    let mut leech = Client::start(&home.path().join("leech"));
    let peer = seed.addr();
    leech.add(&torrent.metainfo, &[peer]);
    seed.wait_state(torrent.id(), TorrentState::Failed);
    seed.send(EngineCommand::Start(torrent.id()));
    let why = "“film” is missing from ";
    let again = seed.wait_torrent(torrent.id(), "that it says what is missing", |torrent| {
        torrent.error.as_ref().is_some_and(|error| error.starts_with(why))
    });
    assert_eq!(again.state, TorrentState::Failed);
    fs::rename(seed.data("away"), seed.data("film")).unwrap();
    seed.send(EngineCommand::Start(torrent.id()));
    seed.wait_state(torrent.id(), TorrentState::Seeding);
    leech.send(EngineCommand::AddPeers {
        info_hash: torrent.id(),
        peers: vec![peer],
    });
    leech.wait_state(torrent.id(), TorrentState::Seeding);
}

#[test]
fn a_name_that_would_steer_a_terminal_is_shown_on_one_line() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("a\x1b[31mb\nc", PIECE);
    let mut seed = Client::start(home.path());
    seed.seed(&torrent);
    assert!(seed.data("a\x1b[31mb\nc").exists());
    let shown = seed.wait_state(torrent.id(), TorrentState::Seeding);
    assert_eq!(shown.name, "a\\u{1b}[31mb\\nc");
    seed.add(&torrent.metainfo, &[]);
    seed.wait_failure("is in the list already");
    let told = seed.seen.iter().rev().find_map(|event| match event {
        EngineEvent::Failed { message, .. } => Some(message.as_str()),
        _ => None,
    });
    assert_eq!(told, Some("a\\u{1b}[31mb\\nc is in the list already"));
}
