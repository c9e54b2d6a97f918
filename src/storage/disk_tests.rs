use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::io::Errno;
use tempfile::tempdir;

use super::*;
use crate::bitfield::Bitfield;
use crate::hashing::interleave::ABREAST;
use crate::id::sha1_of;
use crate::storage::files::FileCache;
use crate::storage::fixture::{Tmpfs, Torrent};
use crate::storage::journal::Journal;
use crate::storage::layout::{FileIndex, Layout};
use crate::storage::task::BlockDigest;

const FIRST: PieceIndex = PieceIndex(0);

/// A pool with one torrent on it.
struct Bench {
    pool: DiskPool,
    torrent: Torrent,
    storage: Arc<Storage>,
    cache: Arc<FileCache>,
    reply: Sender<DiskResult>,
    results: Receiver<DiskResult>,
}

impl Bench {
    fn new(root: &std::path::Path) -> Self {
        Self::with_threads(root, 2)
    }

    fn with_threads(root: &std::path::Path, threads: usize) -> Self {
        // Pieces of two blocks and a half, files that end within them.
        let torrent = Torrent::new(&[("t/a", 50_000), (".pad/9", 9), ("t/sub/b", 60_000)], 40_000);
        let cache = Arc::new(FileCache::new(8));
        let (reply, results) = unbounded();
        Self {
            pool: DiskPool::spawn(threads).unwrap(),
            storage: torrent.storage_with(root, Arc::clone(&cache), false),
            torrent,
            cache,
            reply,
            results,
        }
    }

    fn submit(&self, task: DiskTask) {
        self.submit_for(&self.storage, task);
    }

    fn submit_for(&self, storage: &Arc<Storage>, task: DiskTask) {
        self.pool.submit(DiskJob {
            storage: Arc::clone(storage),
            task,
            reply: self.reply.clone(),
        });
    }

    fn result(&self) -> DiskResult {
        self.results.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    fn run(&self, task: DiskTask) -> DiskResult {
        self.submit(task);
        self.result()
    }

    fn write_task(&self, piece: PieceIndex, digests: bool) -> DiskTask {
        DiskTask::WritePiece {
            piece,
            expected: self.torrent.hash(piece),
            blocks: self.torrent.blocks(piece),
            digests,
        }
    }

    fn check_task(&self, piece: PieceIndex, digests: bool) -> DiskTask {
        DiskTask::CheckPiece {
            piece,
            expected: self.torrent.hash(piece),
            digests,
        }
    }

    fn digests(&self, piece: PieceIndex) -> Vec<BlockDigest> {
        self.torrent
            .blocks(piece)
            .iter()
            .map(|block| sha1_of(block))
            .collect()
    }
}

#[test]
fn a_good_piece_is_written_and_a_bad_one_is_not() {
    let folder = tempdir().unwrap();
    let bench = Bench::new(folder.path());
    let mut blocks = bench.torrent.blocks(FIRST);
    blocks[1][3] ^= 1;
    let bad = bench.run(DiskTask::WritePiece {
        piece: FIRST,
        expected: bench.torrent.hash(FIRST),
        blocks,
        digests: false,
    });
    let DiskResult::Mismatch {
        piece: FIRST,
        digests,
    } = bad
    else {
        panic!("{bad:?}")
    };
    let right = bench.digests(FIRST);
    assert!(digests[0] == right[0] && digests[1] != right[1] && digests[2] == right[2]);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing was written"
    );

    let good = bench.run(bench.write_task(FIRST, true));
    let DiskResult::Written {
        piece: FIRST,
        digests,
    } = good
    else {
        panic!("{good:?}")
    };
    assert_eq!(digests, Some(right));
    let synced = bench.run(DiskTask::Sync);
    assert!(
        matches!(&synced, DiskResult::Synced { pieces } if *pieces == [FIRST]),
        "{synced:?}"
    );
}

#[test]
fn spilled_blocks_are_read_back_and_checked() {
    let folder = tempdir().unwrap();
    let bench = Bench::new(folder.path());
    let piece = PieceIndex(1);
    let shape = bench.torrent.info.geometry;
    let mut blocks: Vec<_> = shape.blocks(piece).zip(bench.torrent.blocks(piece)).collect();
    blocks.reverse();
    let last = blocks.pop().unwrap();
    assert!(
        matches!(bench.run(DiskTask::Spill { blocks }), DiskResult::Spilled { blocks } if blocks.len() == 2)
    );
    let incomplete = bench.run(bench.check_task(piece, false));
    assert!(
        matches!(&incomplete, DiskResult::Mismatch { .. }),
        "{incomplete:?}"
    );
    bench.run(DiskTask::Spill { blocks: vec![last] });
    let whole = bench.run(bench.check_task(piece, true));
    let DiskResult::Checked { digests, .. } = whole else {
        panic!("{whole:?}")
    };
    assert_eq!(digests, Some(bench.digests(piece)));
}

#[test]
fn a_check_of_what_is_not_there_is_a_mismatch_without_digests() {
    let folder = tempdir().unwrap();
    let bench = Bench::new(folder.path());
    let absent = |what: &str, piece| {
        let result = bench.run(bench.check_task(piece, true));
        let DiskResult::Mismatch { digests, .. } = &result else {
            panic!("{what}: {result:?}")
        };
        assert!(digests.is_empty(), "{what}");
    };
    absent("no file", FIRST);
    std::fs::create_dir(folder.path().join("t")).unwrap();
    std::fs::File::create(folder.path().join("t/a"))
        .unwrap()
        .set_len(50_000)
        .unwrap();
    absent("hole", FIRST);
    bench.run(bench.write_task(PieceIndex(1), false));
    absent("short file", PieceIndex(2));
}

#[test]
fn a_check_of_wrong_bytes_says_which_blocks_are_wrong() {
    let folder = tempdir().unwrap();
    let bench = Bench::new(folder.path());
    bench.run(bench.write_task(FIRST, false));
    let path = folder.path().join("t/a");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let right = bench.digests(FIRST);
    for digests in [false, true] {
        let result = bench.run(bench.check_task(FIRST, digests));
        let DiskResult::Mismatch { digests, .. } = result else {
            panic!("{result:?}")
        };
        assert!(digests[0] == right[0] && digests[1] != right[1] && digests[2] == right[2]);
    }
}

#[test]
fn a_piece_of_zeroes_may_be_a_hole() {
    let folder = tempdir().unwrap();
    let bench = Bench::new(folder.path());
    std::fs::create_dir(folder.path().join("t")).unwrap();
    std::fs::File::create(folder.path().join("t/a"))
        .unwrap()
        .set_len(50_000)
        .unwrap();
    let result = bench.run(DiskTask::CheckPiece {
        piece: FIRST,
        expected: sha1_of(&[0; 40_000]),
        digests: false,
    });
    assert!(matches!(result, DiskResult::Checked { .. }), "{result:?}");
}

#[test]
fn writes_overtake_checks() {
    let folder = tempdir().unwrap();
    let bench = Bench::with_threads(folder.path(), 1);
    bench.run(bench.write_task(FIRST, false));
    bench.cache.faults.hang.store(true, Ordering::Relaxed);
    for _ in 0..2 * ABREAST {
        bench.submit(bench.check_task(FIRST, false));
    }
    while bench.cache.faults.reads.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    bench.submit(bench.write_task(PieceIndex(1), false));
    bench.cache.faults.hang.store(false, Ordering::Relaxed);
    let under_way = (0..).take_while(|_| matches!(bench.result(), DiskResult::Checked { .. }));
    assert!((1..=ABREAST).contains(&under_way.count()));
}

#[test]
fn a_failing_disk_is_reported_with_the_file_and_heals() {
    let folder = tempdir().unwrap();
    let bench = Bench::new(folder.path());
    bench
        .cache
        .faults
        .write
        .store(Errno::IO.raw_os_error(), Ordering::Relaxed);
    let result = bench.run(bench.write_task(FIRST, false));
    let DiskResult::Failed { piece, error } = result else {
        panic!("{result:?}")
    };
    assert_eq!(piece, Some(FIRST));
    assert!(
        !error.is_disk_full() && error.to_string().contains("t/a"),
        "{error}"
    );
    bench
        .cache
        .faults
        .write
        .store(Errno::NOSPC.raw_os_error(), Ordering::Relaxed);
    let result = bench.run(bench.write_task(FIRST, false));
    assert!(
        matches!(&result, DiskResult::Failed { error, .. } if error.is_disk_full()),
        "{result:?}"
    );
    bench.cache.faults.write.store(0, Ordering::Relaxed);
    assert!(matches!(
        bench.run(bench.write_task(FIRST, false)),
        DiskResult::Written { .. }
    ));
    bench
        .cache
        .faults
        .read
        .store(Errno::IO.raw_os_error(), Ordering::Relaxed);
    let result = bench.run(bench.check_task(FIRST, false));
    assert!(
        matches!(
            result,
            DiskResult::Failed {
                piece: Some(FIRST),
                ..
            }
        ),
        "{result:?}"
    );
}

#[test]
fn dropping_the_pool_finishes_writes_and_gives_up_checks() {
    let folder = tempdir().unwrap();
    let bench = Bench::new(folder.path());
    bench.run(bench.write_task(FIRST, false));
    bench.cache.faults.hang.store(true, Ordering::Relaxed);
    for _ in 0..50 {
        bench.submit(bench.check_task(FIRST, false));
    }
    bench.submit(bench.write_task(PieceIndex(1), false));
    bench.submit(bench.write_task(PieceIndex(2), false));
    let Bench {
        pool,
        cache,
        results,
        reply,
        torrent,
        storage,
    } = bench;
    let closing = Arc::clone(&pool.closing);
    let closer = std::thread::spawn(move || drop(pool));
    while !closing.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    cache.faults.hang.store(false, Ordering::Relaxed);
    closer.join().unwrap();
    drop(reply);
    let results: Vec<_> = results.iter().collect();
    let written = results
        .iter()
        .filter(|result| matches!(result, DiskResult::Written { .. }))
        .count();
    assert_eq!(written, 2);
    let begun = 2 * ABREAST;
    assert!(
        results.len() <= 2 + begun,
        "checks that had not begun are given up"
    );
    torrent.assert_readable(&storage);
}

#[test]
fn what_is_prepared_fits() {
    let Some(disk) = Tmpfs::new(64) else { return };
    let bench = Bench::new(&disk.path());
    let both = vec![FileIndex(0), FileIndex(1)];
    let result = bench.run(DiskTask::Prepare {
        wanted: both,
        verified: Bitfield::empty(2),
    });
    assert!(
        matches!(&result, DiskResult::Failed { error, .. } if error.is_disk_full()),
        "{result:?}"
    );
    let result = bench.run(DiskTask::Prepare {
        wanted: vec![FileIndex(1)],
        verified: Bitfield::empty(2),
    });
    assert!(matches!(result, DiskResult::Prepared { .. }), "{result:?}");
}

fn wait_until(holds: impl Fn() -> bool) {
    while !holds() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_disk_that_stands_still_holds_up_no_other_and_its_cache_is_read() {
    let (folder, other_folder) = (tempdir().unwrap(), tempdir().unwrap());
    let bench = Bench::new(folder.path());
    bench.storage.set_device(1);
    let other_cache = Arc::new(FileCache::new(8));
    let other = bench
        .torrent
        .storage_with(other_folder.path(), Arc::clone(&other_cache), false);
    other.set_device(2);
    bench.run(bench.write_task(FIRST, false));

    bench.cache.faults.stall.store(true, Ordering::Relaxed);
    bench.submit(DiskTask::Sync);
    for piece in [1, 2, 0, 1] {
        bench.submit(bench.write_task(PieceIndex(piece), false));
    }
    let faults = &bench.cache.faults;
    // Of the others of this disk one more may wait for the file of the one that stands.
    wait_until(|| faults.writes.load(Ordering::Relaxed) >= 2 && faults.syncs.load(Ordering::Relaxed) == 1);
    for piece in 0..3 {
        bench.submit_for(&other, bench.write_task(PieceIndex(piece), false));
        let result = bench.result();
        assert!(matches!(result, DiskResult::Written { .. }), "{result:?}");
    }
    bench.submit_for(&other, DiskTask::Sync);
    let synced = bench.result();
    assert!(
        matches!(&synced, DiskResult::Synced { pieces } if pieces.len() == 3),
        "{synced:?}"
    );
    bench.torrent.assert_readable(&other);
    let mut found = vec![0; 40_000];
    bench.storage.read(FIRST, 0, &mut found).unwrap();
    assert_eq!(found, bench.torrent.piece(FIRST));

    bench.cache.faults.stall.store(false, Ordering::Relaxed);
    let results: Vec<_> = (0..5).map(|_| bench.result()).collect();
    let written = |result: &&DiskResult| matches!(result, DiskResult::Written { .. });
    assert_eq!(results.iter().filter(written).count(), 4, "{results:?}");
    bench.torrent.assert_readable(&bench.storage);
}

#[test]
fn a_move_that_takes_long_holds_up_no_removal_and_one_that_waits_for_it_can_be_given_up() {
    let (folder, other_folder) = (tempdir().unwrap(), tempdir().unwrap());
    let bench = Bench::new(folder.path());
    bench.run(bench.write_task(FIRST, false));
    let other = bench.torrent.storage(other_folder.path());
    bench.submit_for(&other, bench.write_task(FIRST, false));
    assert!(matches!(bench.result(), DiskResult::Written { .. }));
    let to = folder.path().join("new");
    let not_moving = bench.storage.moving.read().unwrap();
    bench.submit(DiskTask::Move { to: to.clone() });
    wait_until(|| bench.pool.waiting_moves.is_empty());

    bench.submit_for(
        &other,
        DiskTask::Move {
            to: other_folder.path().join("new"),
        },
    );
    bench.pool.interrupt_move(&other);
    let given_up = bench.result();
    assert!(
        matches!(
            &given_up,
            DiskResult::Failed { error: StorageError::Interrupted { path }, .. } if path.ends_with("new")
        ),
        "{given_up:?}"
    );
    let verified = Bitfield::full(bench.torrent.info.geometry.piece_count());
    bench.submit_for(
        &other,
        DiskTask::Remove {
            verified,
            trash: false,
        },
    );
    let removed = bench.result();
    assert!(matches!(removed, DiskResult::Removed { .. }), "{removed:?}");
    assert!(!other_folder.path().join("t").exists());

    drop(not_moving);
    assert!(matches!(bench.result(), DiskResult::Moved));
    assert!(to.join("t/a").is_file());
}

#[test]
fn a_sync_that_takes_long_holds_up_no_write() {
    let folder = tempdir().unwrap();
    let bench = Bench::with_threads(folder.path(), 1);
    bench.run(bench.write_task(FIRST, false));
    let faults = &bench.cache.faults;
    faults.stall_syncs.store(true, Ordering::Relaxed);
    bench.submit(DiskTask::Sync);
    wait_until(|| faults.syncs.load(Ordering::Relaxed) == 1);
    for piece in [1, 2] {
        let result = bench.run(bench.write_task(PieceIndex(piece), false));
        assert!(matches!(result, DiskResult::Written { .. }), "{result:?}");
    }
    faults.stall_syncs.store(false, Ordering::Relaxed);
    let synced = bench.result();
    assert!(
        matches!(&synced, DiskResult::Synced { pieces } if *pieces == [FIRST]),
        "what was completed since is not known to be safe: {synced:?}"
    );
    let synced = bench.run(DiskTask::Sync);
    assert!(
        matches!(&synced, DiskResult::Synced { pieces } if pieces.len() == 2),
        "{synced:?}"
    );
}

#[test]
fn a_slow_disk_gets_everything_and_all_of_it_is_in_the_journal_at_the_end() {
    let folder = tempdir().unwrap();
    let Bench {
        pool,
        torrent,
        cache,
        reply,
        results,
        ..
    } = Bench::new(folder.path());
    let journal = Arc::new(Journal::open(&folder.path().join("x.journal")).unwrap());
    let storage = Storage::open(
        Layout::new(&torrent.info),
        folder.path(),
        Arc::clone(&cache),
        false,
    );
    let storage = Arc::new(storage.with_journal(Arc::clone(&journal)));
    cache.faults.slow_ms.store(20, Ordering::Relaxed);
    for piece in torrent.info.geometry.pieces() {
        let task = DiskTask::WritePiece {
            piece,
            expected: torrent.hash(piece),
            blocks: torrent.blocks(piece),
            digests: false,
        };
        pool.submit(DiskJob {
            storage: Arc::clone(&storage),
            task,
            reply: reply.clone(),
        });
    }
    pool.submit(DiskJob {
        storage: Arc::clone(&storage),
        task: DiskTask::Sync,
        reply,
    });
    drop(pool);
    assert_eq!(
        results.iter().count(),
        4,
        "each job is answered before the pool ends"
    );
    torrent.assert_readable(&storage);
    assert_eq!(
        journal.pieces(),
        torrent.info.geometry.pieces().collect::<Vec<_>>()
    );
}
