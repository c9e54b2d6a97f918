use std::fs;
use std::io::IoSlice;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use tempfile::tempdir;

use super::*;
use crate::storage::fixture::{Tmpfs, Torrent};

const FIRST: PieceIndex = PieceIndex(0);

/// Two files over three pieces, one of them across the border.
fn two_files() -> Torrent {
    Torrent::new(&[("t/a", 20_000), ("t/sub/b", 30_001)], 17_000)
}

#[test]
fn nothing_is_created_before_the_first_write() {
    let folder = tempdir().unwrap();
    let root = folder.path().join("not/yet");
    let torrent = two_files();
    let storage = torrent.storage(&root);
    let missing = storage.read(FIRST, 0, &mut [0; 8]).unwrap_err();
    assert!(
        matches!(&missing, StorageError::Missing { path } if *path == root.join("t/a")),
        "{missing}"
    );
    assert!(!root.exists());
    torrent.write_all(&storage);
    torrent.assert_readable(&storage);
    assert_eq!(fs::read(root.join("t/a")).unwrap(), torrent.content[..20_000]);
}

#[test]
fn a_short_file_is_named() {
    let folder = tempdir().unwrap();
    let torrent = two_files();
    let storage = torrent.storage(folder.path());
    torrent.write_all(&storage);
    fs::File::options()
        .write(true)
        .open(folder.path().join("t/sub/b"))
        .unwrap()
        .set_len(9)
        .unwrap();
    let short = storage.read(PieceIndex(2), 0, &mut [0; 8]).unwrap_err();
    assert!(
        short.is_absent() && short.to_string().contains("t/sub/b"),
        "{short}"
    );
}

#[test]
fn bytes_outside_a_piece_are_refused() {
    let folder = tempdir().unwrap();
    let storage = two_files().storage(folder.path());
    for (piece, begin, length) in [
        (0, 17_000, 1),
        (2, 16_001, 1),
        (3, 0, 1),
        (0, u32::MAX, 9),
        (u32::MAX, 0, 1),
    ] {
        let piece = PieceIndex(piece);
        let mut buffer = vec![0; length];
        let read = storage.read(piece, begin, &mut buffer);
        assert!(
            matches!(read, Err(StorageError::OutOfRange { .. })),
            "{piece} {begin}"
        );
        let write = storage.write(piece, begin, &[IoSlice::new(&buffer)]);
        assert!(
            matches!(write, Err(StorageError::OutOfRange { .. })),
            "{piece} {begin}"
        );
    }
}

#[test]
fn bytes_past_the_end_of_a_file_are_left_alone() {
    let folder = tempdir().unwrap();
    let torrent = Torrent::new(&[("a", 100)], 64);
    fs::write(folder.path().join("a"), [9; 150]).unwrap();
    let storage = torrent.storage(folder.path());
    torrent.write_all(&storage);
    torrent.assert_readable(&storage);
    assert_eq!(fs::read(folder.path().join("a")).unwrap()[100..], [9; 50]);
}

#[test]
fn a_link_that_leads_out_is_not_followed() {
    let folder = tempdir().unwrap();
    let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
    fs::create_dir_all(root.join("t")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), [1; 40_000]).unwrap();
    let torrent = two_files();
    type Prepare<'a> = &'a dyn Fn();
    let cases: [(&str, Prepare<'_>); 4] = [
        ("file", &|| {
            symlink(outside.join("secret"), root.join("t/a")).unwrap();
        }),
        ("relative", &|| {
            symlink("../../outside/secret", root.join("t/a")).unwrap();
        }),
        ("dangling", &|| {
            symlink(outside.join("new"), root.join("t/a")).unwrap();
        }),
        ("folder", &|| {
            fs::remove_dir_all(root.join("t")).unwrap();
            symlink(&outside, root.join("t")).unwrap();
        }),
    ];
    for (name, prepare) in cases {
        prepare();
        let storage = torrent.storage(&root);
        let written = torrent.write(&storage, FIRST).unwrap_err();
        assert!(
            matches!(written, StorageError::Outside { .. }),
            "{name}: {written}"
        );
        let read = storage.read(FIRST, 0, &mut [0; 8]).unwrap_err();
        assert!(matches!(read, StorageError::Outside { .. }), "{name}: {read}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{name}");
        assert_eq!(fs::read(outside.join("secret")).unwrap(), [1; 40_000], "{name}");
        let _ = fs::remove_file(root.join("t/a"));
    }
}

#[test]
fn a_link_that_stays_inside_is_followed() {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("real")).unwrap();
    symlink("real", folder.path().join("t")).unwrap();
    let torrent = two_files();
    let storage = torrent.storage(folder.path());
    torrent.write_all(&storage);
    torrent.assert_readable(&storage);
    assert!(folder.path().join("real/sub/b").is_file());
}

#[test]
fn what_is_not_a_file_is_refused_without_waiting() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a");
    let torrent = Torrent::new(&[("a", 100)], 64);
    let refused = |what: &str| {
        let storage = torrent.storage(folder.path());
        let read = storage.read(FIRST, 0, &mut [0; 8]).unwrap_err();
        assert!(matches!(read, StorageError::NotAFile { .. }), "{what}: {read}");
        let written = torrent.write(&storage, FIRST).unwrap_err();
        assert!(
            matches!(written, StorageError::NotAFile { .. }),
            "{what}: {written}"
        );
    };
    fs::create_dir(&path).unwrap();
    refused("folder");
    fs::remove_dir(&path).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    refused("pipe");
}

#[test]
fn a_seed_needs_no_right_to_write() {
    let Some(disk) = Tmpfs::new(1024) else { return };
    let torrent = two_files();
    torrent.write_all(&torrent.storage(&disk.path()));
    let remount = std::process::Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(disk.path())
        .status();
    assert!(remount.unwrap().success());
    let storage = torrent.storage(&disk.path());
    torrent.assert_readable(&storage);
    let written = torrent.write(&storage, FIRST).unwrap_err();
    assert!(
        !written.is_disk_full() && written.to_string().contains("t/a: its file system is read-only"),
        "{written}"
    );
}

#[test]
fn a_full_disk_is_told_from_other_failures_and_heals() {
    let Some(disk) = Tmpfs::new(64) else { return };
    let torrent = Torrent::new(&[("t/a", 100_000), ("t/none", 0)], 50_000);
    let storage = torrent.storage(&disk.path());
    let all = |_: FileIndex| true;
    let lacking = storage.prepare(all, &Bitfield::empty(0)).unwrap_err();
    assert!(
        matches!(lacking, StorageError::NoSpace { needed: 100_000, free, .. } if free <= 65_536),
        "{lacking}"
    );
    assert!(lacking.to_string().contains("97.6 KiB are needed"), "{lacking}");
    assert!(lacking.is_disk_full() && !disk.path().join("t").exists());
    torrent.write(&storage, FIRST).unwrap();
    let full = torrent.write(&storage, PieceIndex(1)).unwrap_err();
    assert!(full.is_disk_full(), "{full}");
    let grown = std::process::Command::new("mount")
        .args(["-o", "remount,size=1m"])
        .arg(disk.path())
        .status();
    assert!(grown.unwrap().success());
    storage.prepare(all, &Bitfield::empty(0)).unwrap();
    torrent.write(&storage, PieceIndex(1)).unwrap();
    torrent.assert_readable(&storage);
    assert_eq!(fs::metadata(disk.path().join("t/none")).unwrap().len(), 0);
}

#[test]
fn preparing_counts_only_what_is_wanted_and_lacking() {
    let Some(disk) = Tmpfs::new(256) else { return };
    let torrent = Torrent::new(&[("t/small", 8_192), ("t/huge", 1_000_000)], 8_192);
    let cache = Arc::new(FileCache::new(4));
    let storage = torrent.storage_with(&disk.path(), cache, true);
    storage
        .prepare(|file| file == FileIndex(0), &Bitfield::empty(0))
        .unwrap();
    let small = fs::metadata(disk.path().join("t/small")).unwrap();
    assert_eq!(
        (small.len(), std::os::unix::fs::MetadataExt::blocks(&small) * 512),
        (8_192, 8_192)
    );
    assert!(!disk.path().join("t/huge").exists());
    let lacking = storage.prepare(|_| true, &Bitfield::empty(0)).unwrap_err();
    assert!(
        matches!(
            lacking,
            StorageError::NoSpace {
                needed: 1_000_000,
                ..
            }
        ),
        "{lacking}"
    );
}

#[test]
fn sync_returns_each_piece_once() {
    let folder = tempdir().unwrap();
    let torrent = two_files();
    let storage = torrent.storage(folder.path());
    for piece in [FIRST, PieceIndex(2)] {
        torrent.write(&storage, piece).unwrap();
        storage.completed(piece);
    }
    assert_eq!(storage.sync().unwrap(), [FIRST, PieceIndex(2)]);
    assert_eq!(storage.sync().unwrap(), []);
}

#[test]
fn pieces_of_a_file_that_did_not_sync_are_never_returned() {
    let folder = tempdir().unwrap();
    let torrent = two_files();
    let cache = Arc::new(FileCache::new(4));
    let storage = torrent.storage_with(folder.path(), Arc::clone(&cache), false);
    for piece in torrent.info.geometry.pieces() {
        torrent.write(&storage, piece).unwrap();
        storage.completed(piece);
    }
    // The first file to be synced is `t/a`, in which pieces 0 and 1 lie.
    cache
        .faults
        .sync
        .store(Errno::IO.raw_os_error(), Ordering::Relaxed);
    let failed = storage.sync().unwrap_err();
    assert!(failed.to_string().contains("t/a"), "{failed}");
    assert_eq!(storage.sync().unwrap(), [PieceIndex(2)]);
}

#[test]
fn many_files_are_synced_together_and_one_that_fails_costs_its_own_piece() {
    let folder = tempdir().unwrap();
    let names: Vec<String> = (0..2 * MANY_FILES)
        .map(|number| format!("t/{}/{number}", number % 3))
        .collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), 100)).collect();
    let torrent = Torrent::new(&files, 100);
    let cache = Arc::new(FileCache::new(4));
    let storage = torrent.storage_with(folder.path(), Arc::clone(&cache), false);
    let complete_all = || {
        torrent.write_all(&storage);
        torrent
            .info
            .geometry
            .pieces()
            .for_each(|piece| storage.completed(piece));
    };
    complete_all();
    assert_eq!(storage.sync().unwrap().len(), 2 * MANY_FILES);
    assert_eq!(cache.open_files(), 4);
    let synced = cache.faults.syncs.load(Ordering::Relaxed);
    let as_a_whole = FileSystem::open(&storage.folder().unwrap()).unwrap().is_some();
    assert_eq!(synced, if as_a_whole { 1 } else { 2 * MANY_FILES as u32 });
    storage.close_files();
    complete_all();
    storage.close_files();
    cache
        .faults
        .sync
        .store(Errno::IO.raw_os_error(), Ordering::Relaxed);
    let moving = storage.moving.write().unwrap();
    storage.flush();
    let after = cache.faults.syncs.load(Ordering::Relaxed);
    assert_eq!(after, synced, "not during a move");
    drop(moving);
    storage.flush();
    assert_eq!(cache.open_files(), 0, "a sync keeps no file open");
    let failed = storage.sync().unwrap_err();
    assert!(failed.to_string().contains("t/0/0"), "{failed}");
    assert_eq!(storage.sync().unwrap().len(), 2 * MANY_FILES - 1);
}

#[test]
fn what_is_read_ahead_lies_within_its_files() {
    let folder = tempdir().unwrap();
    let torrent = two_files();
    let cache = Arc::new(FileCache::new(4));
    let storage = torrent.storage_with(folder.path(), Arc::clone(&cache), false);
    storage.read_ahead(FIRST, 0, 17_000);
    assert!(!folder.path().join("t").exists(), "nothing is created for it");
    torrent.write_all(&storage);
    storage.read_ahead(PieceIndex(1), 1_000, 10_000);
    storage.read_ahead(PieceIndex(1), 17_000, 1);
    assert_eq!(
        *cache.faults.read_ahead.lock().unwrap(),
        [(18_000, 2_000), (0, 8_000)]
    );
}

#[test]
fn a_piece_that_was_only_read_back_is_synced_as_well() {
    let folder = tempdir().unwrap();
    let torrent = two_files();
    torrent.write_all(&torrent.storage(folder.path()));
    let cache = Arc::new(FileCache::new(4));
    let storage = torrent.storage_with(folder.path(), Arc::clone(&cache), false);
    storage.completed(FIRST);
    cache
        .faults
        .sync
        .store(Errno::IO.raw_os_error(), Ordering::Relaxed);
    assert!(storage.sync().is_err());
}

#[test]
fn the_cache_keeps_to_its_limit_and_to_one_handle_for_both_ways() {
    let folder = tempdir().unwrap();
    let names: Vec<String> = (0..9).map(|number| format!("t/{number}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), 10)).collect();
    let torrent = Torrent::new(&files, 7);
    let cache = Arc::new(FileCache::new(3));
    let storage = torrent.storage_with(folder.path(), Arc::clone(&cache), false);
    torrent.write_all(&storage);
    torrent.assert_readable(&storage);
    assert_eq!(cache.open_files(), 3);
    let reader = storage.handle(FileIndex(8), Access::Read).unwrap();
    let writer = storage.handle(FileIndex(8), Access::Write).unwrap();
    let again = storage.handle(FileIndex(8), Access::Read).unwrap();
    assert!(Arc::ptr_eq(&writer, &again));
    drop(reader);
    cache.set_limit(1);
    assert_eq!(cache.open_files(), 1);
    drop(storage);
    assert_eq!(cache.open_files(), 0);
}

#[test]
fn own_files_are_those_we_created_or_verified() {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("t")).unwrap();
    fs::write(folder.path().join("t/a"), "somebody else's").unwrap();
    let torrent = two_files();
    let storage = torrent.storage(folder.path());
    let mut verified = Bitfield::empty(3);
    let own = |verified: &Bitfield| storage.own_indices(verified).collect::<Vec<_>>();
    assert_eq!(own(&verified), []);
    torrent.write(&storage, PieceIndex(2)).unwrap();
    assert_eq!(own(&verified), [FileIndex(1)]);
    assert_eq!(storage.created_files(), [FileIndex(1)]);
    verified.insert(FIRST);
    assert_eq!(own(&verified), [FileIndex(0), FileIndex(1)]);
    fs::remove_file(folder.path().join("t/a")).unwrap();
    assert_eq!(own(&verified), [FileIndex(1)], "what is gone is nobody's");
}

#[test]
fn the_walk_for_old_kernels_follows_no_link() {
    let folder = tempdir().unwrap();
    fs::create_dir_all(folder.path().join("root/t/sub")).unwrap();
    fs::write(folder.path().join("root/t/sub/b"), "b").unwrap();
    fs::write(folder.path().join("secret"), "s").unwrap();
    symlink("sub", folder.path().join("root/t/link")).unwrap();
    symlink("../../secret", folder.path().join("root/t/out")).unwrap();
    let root = Folder::open(&folder.path().join("root")).unwrap();
    let walk = |name: &str| root.resolve_stepwise_for_test(Path::new(name));
    assert!(walk("t/sub/b").is_ok() && walk(".").is_ok() && walk("t").is_ok());
    for name in ["t/link/b", "t/out", "../secret", "t/../../secret", "/etc/passwd"] {
        assert!(walk(name).is_err(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_read(files in prop::collection::vec((0u64..3_000, prop::bool::weighted(0.2)), 1..20),
                               piece_length in 1u32..9_000, cuts in 1usize..4_000) {
        let names: Vec<_> = files.iter().enumerate().map(|(at, (length, padding))| {
            (format!("{}/{}/{at}", if *padding { ".pad" } else { "t" }, at % 3), *length)
        }).collect();
        let names: Vec<_> = names.iter().map(|(name, length)| (name.as_str(), *length)).collect();
        let torrent = Torrent::new(&names, piece_length.max(64));
        let folder = tempdir().unwrap();
        let storage = torrent.storage(folder.path());
        for piece in torrent.info.geometry.pieces() {
            let slices: Vec<_> = torrent.piece(piece).chunks(cuts).map(IoSlice::new).collect();
            storage.write(piece, 0, &slices).unwrap();
        }
        torrent.assert_readable(&storage);
        prop_assert!(!folder.path().join(".pad").exists());
    }
}
