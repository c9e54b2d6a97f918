//! The queue, and settings that change under way.

use std::fs;
use std::sync::Arc;

use dtorrent::config::Config;
use dtorrent::engine::api::{EngineCommand, EngineEvent, EngineSnapshot, QueueStep, TorrentState};
use tempfile::tempdir;

use crate::client::{Client, PIECE, Torrent, config};

fn running(snapshot: &EngineSnapshot) -> usize {
    let states = snapshot.torrents.iter().map(|torrent| torrent.state);
    states.filter(|state| *state == TorrentState::Downloading).count()
}

#[test]
fn three_downloads_go_one_after_the_other() {
    let home = tempdir().unwrap();
    let torrents = ["a", "b", "c"].map(|name| Torrent::file(name, 10 * PIECE));
    let mut seed = Client::start(&home.path().join("seed"));
    for torrent in &torrents {
        seed.seed(torrent);
    }
    let peer = seed.addr();
    let leech_home = home.path().join("leech");
    let mut config = config(&leech_home);
    config.transfer.max_active_downloads = 1;
    let mut leech = Client::start_with(config, &leech_home, None);
    // The first has nobody to download from: it keeps the others waiting until it is put behind them.
    leech.add(&torrents[0].metainfo, &[]);
    leech.add(&torrents[1].metainfo, &[peer]);
    leech.add(&torrents[2].metainfo, &[peer]);
    let snapshot = leech.wait_for("a queue", |snapshot| snapshot.torrents.len() == 3);
    let states: Vec<_> = snapshot.torrents.iter().map(|torrent| torrent.state).collect();
    use TorrentState::{Downloading, Queued};
    assert_eq!(states, [Downloading, Queued, Queued]);
    leech.send(EngineCommand::SetQueuePosition {
        info_hash: torrents[0].id(),
        position: 9,
    });
    leech.wait_for("two of three", |snapshot| {
        assert!(running(snapshot) <= 1, "{snapshot:?}");
        let states = snapshot.torrents.iter().map(|torrent| torrent.state);
        states.filter(|state| *state == TorrentState::Seeding).count() == 2
    });
    leech.send(EngineCommand::AddPeers {
        info_hash: torrents[0].id(),
        peers: vec![peer],
    });
    leech.wait_state(torrents[0].id(), TorrentState::Seeding);
    let order: Vec<_> = leech
        .restart()
        .next_snapshot()
        .torrents
        .iter()
        .map(|torrent| torrent.info_hash)
        .collect();
    assert_eq!(order, [1, 2, 0].map(|number: usize| torrents[number].id()));
}

#[test]
fn an_edit_of_the_settings_takes_effect_at_once() {
    let home = tempdir().unwrap();
    let path = home.path().join("config.toml");
    let network = format!(
        "[network]\nport = 0\nbind = \"{}\"\n",
        config(home.path()).network.bind
    );
    fs::write(&path, &network).unwrap();
    let start = Config::load(&path).unwrap();
    let mut client = Client::start_with(start, home.path(), Some(path.clone()));
    let torrents = ["a", "b"].map(|name| Torrent::file(name, PIECE));
    for torrent in &torrents {
        client.add(&torrent.metainfo, &[]);
    }
    client.wait_for("two downloads", |snapshot| running(snapshot) == 2);

    fs::write(&path, format!("{network}[transfer]\nmax_active_downloads = 1\n")).unwrap();
    client.wait_event(
        |event| matches!(event, EngineEvent::Configured(config) if config.transfer.max_active_downloads == 1),
    );
    client.wait_for("one download", |snapshot| running(snapshot) == 1);

    fs::write(&path, "[transfer]\nmax_active_downloads = -1\n").unwrap();
    client.wait_failure("line 2");
    fs::write(&path, format!("{network}[folders]\nstate = \"elsewhere\"\n")).unwrap();
    client.wait_failure("folders.state takes effect when");
    client.wait_for("two downloads", |snapshot| running(snapshot) == 2);
}

#[test]
fn a_check_waits_for_no_download_and_holds_none_up() {
    let home = tempdir().unwrap();
    let mut config = config(home.path());
    config.transfer.max_active_downloads = 1;
    let mut client = Client::start_with(config, home.path(), None);
    let (waiting, next) = (Torrent::file("waiting", PIECE), Torrent::file("next", PIECE));
    let done = Torrent::file("done", 4 * PIECE);
    // Nobody has the first, so it holds its place for ever.
    client.add(&waiting.metainfo, &[]);
    client.wait_state(waiting.id(), TorrentState::Downloading);
    client.seed(&done);
    client.stop();
    // What the record says of it no longer fits, so it is checked at the next start.
    done.write_to(&home.path().join("data"));
    let mut client = Client::start_with(client.config.clone(), home.path(), None);
    client.wait_state(done.id(), TorrentState::Seeding);
    client.add(&next.metainfo, &[]);
    client.wait_state(next.id(), TorrentState::Queued);
}

#[test]
fn rows_that_do_not_change_are_told_again_as_they_are() {
    let home = tempdir().unwrap();
    let torrents = ["a", "b", "c"].map(|name| Torrent::file(name, 2 * PIECE));
    let mut seed = Client::start(home.path());
    for torrent in &torrents {
        seed.seed(torrent);
    }
    let row = |snapshot: &EngineSnapshot, torrent: &Torrent| {
        let mut rows = snapshot.torrents.iter();
        rows.find(|row| row.info_hash == torrent.id())
            .map(Arc::clone)
            .unwrap()
    };
    let before = seed.wait_for("all three", |snapshot| {
        let states = snapshot.torrents.iter().map(|torrent| torrent.state);
        states.filter(|state| *state == TorrentState::Seeding).count() == 3
    });
    seed.send(EngineCommand::Pause(torrents[1].id()));
    let after = seed.wait_for("one at rest", |snapshot| {
        row(snapshot, &torrents[1]).state == TorrentState::Paused
    });
    for (torrent, is_same) in torrents.iter().zip([true, false, true]) {
        let (before, after) = (row(&before, torrent), row(&after, torrent));
        assert_eq!(Arc::ptr_eq(&before, &after), is_same, "{after:?}");
    }
    // A change of order alone makes no row anew.
    seed.send(EngineCommand::SetQueuePosition {
        info_hash: torrents[0].id(),
        position: 9,
    });
    let moved = seed.wait_for("the first at the end", |snapshot| {
        snapshot
            .torrents
            .last()
            .is_some_and(|row| row.info_hash == torrents[0].id())
    });
    assert!(Arc::ptr_eq(
        &row(&after, &torrents[0]),
        &row(&moved, &torrents[0])
    ));
}

#[test]
fn a_stalled_download_keeps_nobody_waiting() {
    let home = tempdir().unwrap();
    let torrents = ["a", "b", "c"].map(|name| Torrent::file(name, 10 * PIECE));
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrents[0]);
    seed.seed(&torrents[2]);
    let leech_home = home.path().join("leech");
    let mut config = config(&leech_home);
    config.transfer.max_active_downloads = 1;
    config.transfer.stalled_after_seconds = 1;
    let mut leech = Client::start_with(config, &leech_home, None);
    // Nobody is known who has the first.
    for torrent in &torrents[..2] {
        leech.add(&torrent.metainfo, &[]);
    }
    leech.wait_torrent(torrents[0].id(), "nothing", |torrent| torrent.stalled);
    leech.wait_state(torrents[1].id(), TorrentState::Downloading);
    leech.wait_torrent(torrents[1].id(), "nothing", |torrent| torrent.stalled);
    leech.add(&torrents[2].metainfo, &[peer]);
    leech.wait_state(torrents[2].id(), TorrentState::Seeding);
    // Both still look for peers.
    leech.send(EngineCommand::AddPeers {
        info_hash: torrents[0].id(),
        peers: vec![peer],
    });
    let done = leech.wait_state(torrents[0].id(), TorrentState::Seeding);
    assert!(!done.stalled);
}

#[test]
fn who_is_started_now_waits_for_no_turn() {
    let home = tempdir().unwrap();
    let torrents = ["a", "b", "c"].map(|name| Torrent::file(name, 10 * PIECE));
    let mut config = config(home.path());
    config.transfer.max_active_downloads = 1;
    let mut client = Client::start_with(config, home.path(), None);
    for torrent in &torrents {
        client.add(&torrent.metainfo, &[]);
    }
    client.wait_state(torrents[2].id(), TorrentState::Queued);
    client.send(EngineCommand::StartNow(torrents[2].id()));
    let forced = client.wait_state(torrents[2].id(), TorrentState::Downloading);
    assert!(forced.forced);
    // Nobody has lost his place to it, and nobody has gained one.
    client.wait_state(torrents[0].id(), TorrentState::Downloading);
    client.wait_state(torrents[1].id(), TorrentState::Queued);
    let mut client = client.restart();
    let forced = client.wait_state(torrents[2].id(), TorrentState::Downloading);
    assert!(forced.forced, "it is kept");
    client.send(EngineCommand::Start(torrents[2].id()));
    client.wait_state(torrents[2].id(), TorrentState::Queued);
}

#[test]
fn several_move_in_the_queue_together() {
    let home = tempdir().unwrap();
    let torrents = ["a", "b", "c", "d"].map(|name| Torrent::file(name, PIECE));
    let mut client = Client::start(home.path());
    for torrent in &torrents {
        client.add(&torrent.metainfo, &[]);
    }
    client.wait_for("all four", |snapshot| snapshot.torrents.len() == 4);
    client.send(EngineCommand::MoveInQueue {
        info_hashes: vec![torrents[3].id(), torrents[1].id()],
        step: QueueStep::Top,
    });
    let order: Vec<_> = client
        .restart()
        .next_snapshot()
        .torrents
        .iter()
        .map(|torrent| torrent.info_hash)
        .collect();
    assert_eq!(order, [1, 3, 0, 2].map(|number: usize| torrents[number].id()));
}
