//! Torrents of more files than may be open.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use dtorrent::engine::api::{EngineCommand, EngineEvent, TorrentState};
use tempfile::tempdir;

use crate::client::{Client, Torrent, config};

const FILES: usize = 2_000;

/// Files of each client that may be open at a time.
const LIMIT: usize = 8;

/// What may come on top for a moment, at most one for each thread that reads, writes or syncs: four disk threads and
/// the one that syncs, the writers of two connections, and the engine.
const THREADS: usize = 8;

/// Looks all the time how many files below a folder this process has open, and keeps the most.
struct Watch {
    most: Arc<AtomicUsize>,
    done: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    fn start(folder: &Path) -> Self {
        let (most, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (folder, seen, ended) = (folder.to_owned(), Arc::clone(&most), Arc::clone(&done));
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                seen.fetch_max(open_below(&folder), Ordering::Relaxed);
            }
        });
        Self {
            most,
            done,
            thread: Some(thread),
        }
    }

    fn most(mut self) -> usize {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.most.load(Ordering::Relaxed)
    }
}

fn open_below(folder: &Path) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    open.filter(|entry| {
        fs::read_link(entry.path()).is_ok_and(|file| file.starts_with(folder) && file.extension().is_some())
    })
    .count()
}

#[test]
fn a_torrent_of_very_many_files_keeps_few_of_them_open() {
    let home = tempdir().unwrap();
    let names: Vec<String> = (0..FILES)
        .map(|number| format!("folder {}/{number}.bin", number % 20))
        .collect();
    // Several files in each piece, and files in two pieces.
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), 3_000)).collect();
    let torrent = Torrent::folder("many", &files);
    let client = |name: &str| {
        let home = home.path().join(name);
        let mut config = config(&home);
        config.memory.open_files = LIMIT;
        Client::start_with(config, &home, None)
    };
    let mut seed = client("seed");
    let mut leech = client("leech");
    let (of_seed, of_leech) = (Watch::start(&seed.data("")), Watch::start(&leech.data("")));
    let peer = seed.seed(&torrent);
    leech.add(&torrent.metainfo, &[peer]);
    leech.wait_state(torrent.id(), TorrentState::Seeding);
    assert!(torrent.is_whole_in(&leech.data("")));
    let id = torrent.id();
    let is_finished = |event: &EngineEvent| matches!(event, EngineEvent::Finished(done) if *done == id);
    leech.wait_event(is_finished);
    leech.send(EngineCommand::Recheck(id));
    leech.wait_event(is_finished);
    for (who, watch) in [("seed", of_seed), ("leech", of_leech)] {
        let most = watch.most();
        assert!(
            (1..=LIMIT + THREADS).contains(&most),
            "{most} files were open at the {who}"
        );
    }
}
