//! Disks of their own: one that fills up, one that stands still, one whose power is cut. All need root.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use dtorrent::bitfield::Bitfield;
use dtorrent::engine::api::{EngineCommand, TorrentState};
use dtorrent::geometry::PieceIndex;
use dtorrent::id::InfoHash;
use dtorrent::storage::resume::ResumeRecord;
use dtorrent::storage::state_dir::StateDir;
use tempfile::tempdir;

use crate::client::{Client, PIECE, Torrent, config};
use crate::loop_disk::LoopDisk;

fn limit(client: &Client, id: InfoHash, download_kib: u64) {
    client.send(EngineCommand::SetLimits {
        info_hash: id,
        download_kib: Some(download_kib),
        upload_kib: Some(0),
    });
}

/// Waits until so many bytes are verified.
fn wait_done(client: &mut Client, id: InfoHash, bytes: u64) -> u64 {
    let done = client.wait_torrent(id, "progress", |torrent| torrent.wanted_done >= bytes);
    done.wanted_done
}

#[test]
fn a_disk_that_fills_up_on_the_way_holds_up_its_torrent_alone() {
    let home = tempdir().unwrap();
    let small = home.path().join("small");
    let Some(_disk) = LoopDisk::new(&home.path().join("image"), &small, 64) else {
        return;
    };
    let large = Torrent::file("large", 32 << 20);
    let other = Torrent::file("other", 4 << 20);
    let mut seed = Client::start(&home.path().join("seed"));
    seed.seed(&large);
    let peer = seed.seed(&other);

    let mut leech = Client::start(&home.path().join("leech"));
    leech.add_with(&large.metainfo, |add| {
        add.folder = Some(small.clone());
        add.peers = vec![peer];
    });
    limit(&leech, large.id(), 2048);
    wait_done(&mut leech, large.id(), 1);
    // It was found to fit; somebody else takes the room now.
    let mut ballast = fs::File::create(small.join("ballast")).unwrap();
    while ballast.write_all(&[1; 64 * 1024]).is_ok() {}
    drop(ballast);
    limit(&leech, large.id(), 0);
    let waiting = leech.wait_state(large.id(), TorrentState::Waiting);
    let why = waiting.error.unwrap();
    assert!(
        why.contains("the disk is full") && why.contains("large") && why.contains("goes on by itself"),
        "{why}"
    );
    leech.add(&other.metainfo, &[peer]);
    leech.wait_state(other.id(), TorrentState::Seeding);
    fs::remove_file(small.join("ballast")).unwrap();
    leech.wait_state(large.id(), TorrentState::Seeding);
    assert!(large.is_whole_in(&small));
    leech.stop();
}

#[test]
fn a_disk_that_stands_still_holds_up_nobody_who_uses_another() {
    let home = tempdir().unwrap();
    let still = home.path().join("still");
    let Some(disk) = LoopDisk::new(&home.path().join("image"), &still, 96) else {
        return;
    };
    let torrent = Torrent::file("torrent", 48 << 20);
    let other = Torrent::file("other", 16 << 20);
    let mut seed = Client::start(&home.path().join("seed"));
    seed.seed(&torrent);
    let peer = seed.seed(&other);

    let mut leech = Client::start(&home.path().join("leech"));
    leech.add_with(&torrent.metainfo, |add| {
        add.folder = Some(still.clone());
        add.peers = vec![peer];
    });
    limit(&leech, torrent.id(), 4096);
    wait_done(&mut leech, torrent.id(), 1);
    let frozen = disk.freeze();
    limit(&leech, torrent.id(), 0);

    leech.add(&other.metainfo, &[peer]);
    leech.wait_state(other.id(), TorrentState::Seeding);
    let (id, addr) = (torrent.id(), leech.addr());
    let mut third = Client::start(&home.path().join("third"));
    third.add(&torrent.metainfo, &[addr]);
    wait_done(&mut third, id, PIECE as u64);
    leech.listen(Duration::from_secs(2));
    let stuck = leech.wait_torrent(id, "both peers", |torrent| torrent.peers == 2);
    assert!(stuck.wanted_done < torrent.metainfo.info.geometry.total_length());
    assert_eq!((stuck.state, &stuck.error), (TorrentState::Downloading, &None));

    drop(frozen);
    leech.wait_state(id, TorrentState::Seeding);
    third.wait_state(id, TorrentState::Seeding);
    assert!(torrent.is_whole_in(&still) && torrent.is_whole_in(&third.data("")));
    let details = leech.details(id);
    assert_eq!(details.pieces_failed, 0, "nobody sent anything wrong");
    leech.stop();
    third.stop();
}

/// The record of the torrent as it lies in a state folder that nobody uses.
fn record(home: &Path, id: InfoHash) -> Option<ResumeRecord> {
    let state = StateDir::open(&home.join("state")).unwrap();
    let loaded = state
        .load_all()
        .into_iter()
        .find(|loaded| loaded.info_hash == id)?;
    loaded.record
}

/// The pieces of `torrent` that are right in this file.
fn right_pieces(torrent: &Torrent, file: &Path) -> Bitfield {
    let found = fs::read(file).unwrap_or_default();
    let info = &torrent.metainfo.info;
    let mut right = Bitfield::empty(info.geometry.piece_count());
    for (piece, hash) in info.geometry.pieces().zip(&info.piece_hashes) {
        let from = info.geometry.piece_offset(piece) as usize;
        let to = from + info.geometry.piece_size(piece) as usize;
        if found
            .get(from..to)
            .is_some_and(|bytes| dtorrent::id::sha1_of(bytes) == *hash)
        {
            right.insert(piece);
        }
    }
    right
}

#[test]
fn after_a_power_cut_nothing_counts_that_is_not_on_the_disk() {
    let home = tempdir().unwrap();
    let (image, cut) = (home.path().join("image"), home.path().join("cut"));
    let leech_home = home.path().join("leech");
    let Some(disk) = LoopDisk::new(&image, &leech_home, 64) else {
        return;
    };
    let torrent = Torrent::file("torrent", 32 << 20);
    let id = torrent.id();
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&torrent);

    // Data and state are on the disk.
    let settings = config(&leech_home);
    let mut leech = Client::start_with(settings.clone(), &leech_home, None);
    leech.add(&torrent.metainfo, &[peer]);
    limit(&leech, id, 4096);
    let before = wait_done(&mut leech, id, 4 << 20);
    // What is wanted has changed, so the record is written, and what it names is synced first.
    leech.send(EngineCommand::SetSequential {
        info_hash: id,
        sequential: true,
    });
    leech.listen(Duration::from_secs(3));
    let after = wait_done(&mut leech, id, before + (4 << 20));
    limit(&leech, id, 1);
    leech.listen(Duration::from_secs(1));
    disk.copy_to(&cut);
    leech.stop();
    drop(disk);

    let _disk = LoopDisk::mount(&cut, &leech_home).unwrap();
    let right = right_pieces(&torrent, &leech_home.join("data/torrent"));
    let record = record(&leech_home, id).expect("the record of before the cut");
    let trusted: Vec<PieceIndex> = record.have.iter().collect();
    assert!(
        trusted.iter().all(|piece| right.has(*piece)),
        "trusted {trusted:?}, right {right:?}"
    );
    let bytes = |pieces: u32| u64::from(pieces) * PIECE as u64;
    assert!(bytes(record.have.count()) >= before, "what was synced counts");
    assert!(
        bytes(record.have.count()) < after,
        "what came later was not synced"
    );

    let mut leech = Client::start_with(settings, &leech_home, None);
    leech.send(EngineCommand::SetLimits {
        info_hash: id,
        download_kib: Some(0),
        upload_kib: Some(0),
    });
    leech.send(EngineCommand::AddPeers {
        info_hash: id,
        peers: vec![peer],
    });
    leech.wait_state(id, TorrentState::Seeding);
    assert!(torrent.is_whole_in(&leech.data("")));
    leech.stop();
}
