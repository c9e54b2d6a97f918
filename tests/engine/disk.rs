//! Disks that take nothing. The full one needs root, as it is a small file system of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use dtorrent::engine::api::{EngineCommand, EngineEvent, TorrentState};
use tempfile::tempdir;

use crate::client::{Client, PATIENCE, PIECE, Torrent};

/// A small file system, gone with this value.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` where nothing may be mounted; under `CI=true` that is a failure.
    fn new(path: &Path, bytes: usize) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(path)
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(path.to_owned()));
        }
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "a small file system could not be mounted"
        );
        None
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let mut unmount = Command::new("umount");
        // A test may have unmounted it already.
        let _ = unmount.arg("--lazy").arg(&self.0).stderr(Stdio::null()).status();
    }
}

#[test]
fn a_full_disk_holds_up_one_torrent_until_there_is_room() {
    let home = tempdir().unwrap();
    let small = home.path().join("small");
    let Some(_mounted) = Mounted::new(&small, 30 * PIECE) else {
        return;
    };
    let (large, other) = (
        Torrent::file("large", 20 * PIECE),
        Torrent::file("other", 20 * PIECE),
    );
    let mut seed = Client::start(&home.path().join("seed"));
    seed.seed(&large);
    let peer = seed.seed(&other);
    fs::write(small.join("ballast"), vec![1; 20 * PIECE]).unwrap();

    let leech_home = home.path().join("leech");
    let mut config = crate::client::config(&leech_home);
    config.transfer.max_active_downloads = 1;
    let mut leech = Client::start_with(config, &leech_home, None);
    leech.add_with(&large.metainfo, |add| {
        add.folder = Some(small.clone());
        add.peers = vec![peer];
    });
    let waiting = leech.wait_state(large.id(), TorrentState::Waiting);
    let why = waiting.error.unwrap();
    assert!(
        why.contains("not enough space") && why.contains("goes on by itself"),
        "{why}"
    );
    leech.add(&other.metainfo, &[peer]);
    leech.wait_state(other.id(), TorrentState::Seeding);
    fs::remove_file(small.join("ballast")).unwrap();
    leech.wait_state(large.id(), TorrentState::Seeding);
    assert!(large.is_whole_in(&small));
    let told = leech.seen.iter().filter(
        |event| matches!(event, EngineEvent::Failed { info_hash, .. } if *info_hash == Some(large.id())),
    );
    assert_eq!(told.count(), 1, "once, and not at each attempt");

    // What stands still holds no file: its disk can be taken away.
    leech.send(EngineCommand::Pause(large.id()));
    let unmounts = || Command::new("umount").arg(&small).status().unwrap().success();
    let closed = (0..PATIENCE.as_secs() * 5).any(|_| {
        leech.listen(Duration::from_millis(200));
        unmounts()
    });
    assert!(closed, "its files stay open");
}

#[test]
fn a_seed_whose_file_was_cut_short_says_so_and_is_whole_again_after_a_recheck() {
    let home = tempdir().unwrap();
    let torrent = Torrent::folder("films", &[("a", 4 * PIECE), ("b", 4 * PIECE)]);
    let mut seed = Client::start(&home.path().join("seed"));
    let seed_at = seed.seed(&torrent);
    let mut other = Client::start(&home.path().join("other"));
    let other_at = other.seed(&torrent);
    let cut = fs::File::options()
        .write(true)
        .open(seed.data("films/b"))
        .unwrap();
    cut.set_len(PIECE as u64).unwrap();

    let leech = Client::start(&home.path().join("leech"));
    leech.add(&torrent.metainfo, &[seed_at]);
    let failed = seed.wait_state(torrent.id(), TorrentState::Failed);
    let why = failed.error.unwrap();
    assert!(
        why.contains("films/b is shorter than it should be") && why.contains("check the files again"),
        "{why}"
    );
    let told = |event: &&EngineEvent| matches!(event, EngineEvent::Failed { info_hash: Some(id), .. } if *id == torrent.id());
    assert_eq!(seed.seen.iter().filter(told).count(), 1);

    seed.send(EngineCommand::Recheck(torrent.id()));
    seed.send(EngineCommand::AddPeers {
        info_hash: torrent.id(),
        peers: vec![other_at],
    });
    seed.wait_state(torrent.id(), TorrentState::Seeding);
    assert!(torrent.is_whole_in(&seed.data("")));
}

#[test]
fn data_that_cannot_be_read_is_not_taken_for_missing() {
    let home = tempdir().unwrap();
    let torrent = Torrent::folder("films", &[("a", 4 * PIECE), ("b", 4 * PIECE)]);
    let mut client = Client::start(home.path());
    torrent.write_to(&client.data(""));
    let (b, aside) = (client.data("films/b"), home.path().join("aside"));
    fs::rename(&b, &aside).unwrap();
    fs::create_dir(&b).unwrap();
    client.add(&torrent.metainfo, &[]);
    let failed = client.wait_state(torrent.id(), TorrentState::Failed);
    let why = failed.error.unwrap();
    assert!(why.contains("films/b is not a regular file"), "{why}");

    fs::remove_dir(&b).unwrap();
    fs::rename(&aside, &b).unwrap();
    client.send(EngineCommand::Start(torrent.id()));
    client.wait_state(torrent.id(), TorrentState::Seeding);
}

#[test]
fn a_folder_that_is_a_file_fails_the_torrent_until_it_is_put_right() {
    let home = tempdir().unwrap();
    let torrent = Torrent::file("film", 4 * PIECE);
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);
    let mut leech = Client::start(&home.path().join("leech"));
    let folder = home.path().join("in-the-way");
    fs::write(&folder, "").unwrap();
    leech.add_with(&torrent.metainfo, |add| {
        add.folder = Some(folder.clone());
        add.peers = vec![peer];
    });
    let failed = leech.wait_state(torrent.id(), TorrentState::Failed);
    assert!(failed.error.unwrap().contains("in-the-way"));
    // Its thread ends, and nobody is connected any more, now or later.
    leech.wait_torrent(torrent.id(), "no peers", |failed| failed.peers == 0);
    for event in leech.listen(Duration::from_secs(2)) {
        if let EngineEvent::Snapshot(snapshot) = event {
            assert_eq!(snapshot.torrents[0].peers, 0);
        }
    }
    fs::remove_file(&folder).unwrap();
    leech.send(EngineCommand::Start(torrent.id()));
    leech.wait_state(torrent.id(), TorrentState::Seeding);
    assert!(torrent.is_whole_in(&folder));
}
