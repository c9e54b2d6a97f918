//! The threads of one disk. Layer 3.
//!
//! A disk that stands still, or has much to catch up with, holds up its own lane and no other. Writing and syncing
//! have threads of their own, as a sync may take as long as the disk takes for all that the system has in its cache.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, iter};

use crossbeam_channel::{Receiver, Sender, bounded, never, select, select_biased, unbounded};

use super::Storage;
use super::disk::DiskJob;
use super::pace::Pace;
use super::task::{DiskResult, DiskTask};
use super::worker::{Worker, hashes_of};
use crate::hashing::interleave::ABREAST;

/// The threads of one disk, and what waits for them. Dropping it finishes all writes and syncs.
#[derive(Debug)]
pub(super) struct Lane {
    /// Number of the file system; 0 until the first torrent that has one comes.
    device: AtomicU64,
    /// `None` only while the lane is being dropped.
    queues: Option<Queues>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Queues {
    writes: Sender<DiskJob>,
    checks: Sender<DiskJob>,
    syncs: Sender<DiskJob>,
}

impl Lane {
    /// Starts one thread for each of these workers, and one that syncs. `number` tells lanes apart.
    pub(super) fn spawn(number: usize, device: u64, workers: Vec<Worker>) -> io::Result<Self> {
        let (writes, writes_rx) = unbounded();
        let (checks, checks_rx) = unbounded();
        let (syncs, syncs_rx) = unbounded();
        // One sign that waits is enough.
        let (due, due_rx) = bounded(1);
        let pace = Arc::new(Pace::default());
        let mut lane = Self {
            device: AtomicU64::new(device),
            queues: Some(Queues {
                writes,
                checks,
                syncs,
            }),
            threads: Vec::new(),
        };
        let of_syncs = Arc::clone(&pace);
        lane.start(format!("disk-{number}-sync"), move || {
            sync_all(syncs_rx, &due_rx, &of_syncs);
        })?;
        let threads = workers.len();
        for (thread, worker) in (0..).zip(workers) {
            let (writes, checks) = (writes_rx.clone(), checks_rx.clone());
            let (pace, due) = (Arc::clone(&pace), due.clone());
            lane.start(format!("disk-{number}-{thread}"), move || {
                work(worker, threads, &writes, &checks, &pace, &due);
            })?;
        }
        Ok(lane)
    }

    /// Whether this lane is for that disk. One that has no disk yet takes it.
    pub(super) fn is_for(&self, device: u64) -> bool {
        let unset = device != 0 && self.device.load(Ordering::Relaxed) == 0;
        if unset {
            self.device.store(device, Ordering::Relaxed);
        }
        self.device.load(Ordering::Relaxed) == device
    }

    /// Queues a job. Never waits.
    pub(super) fn submit(&self, job: DiskJob) {
        let Some(queues) = &self.queues else { return };
        let queue = match job.task {
            DiskTask::Sync => &queues.syncs,
            DiskTask::CheckPiece { .. } => &queues.checks,
            _ => &queues.writes,
        };
        // The threads live as long as the senders: this cannot fail.
        let _ = queue.send(job);
    }

    fn start(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads
            .push(std::thread::Builder::new().name(name).spawn(run)?);
        Ok(())
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.queues = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a disk thread has panicked");
            }
        }
    }
}

/// Writes go before checks, so that a recheck of one torrent does not hold up the download of another. Of what waits a
/// thread takes a few jobs at a time, as several pieces are hashed quicker together than one after the other.
fn work(
    mut worker: Worker,
    threads: usize,
    writes: &Receiver<DiskJob>,
    checks: &Receiver<DiskJob>,
    pace: &Pace,
    due: &Sender<()>,
) {
    loop {
        let job = select_biased! {
            recv(writes) -> job => job,
            recv(checks) -> job => job,
        };
        // Both queues close at the same time: one that is closed leaves the other to be emptied.
        let Ok(job) = job.or_else(|_| writes.recv()).or_else(|_| checks.recv()) else {
            return;
        };
        let is_check = matches!(job.task, DiskTask::CheckPiece { .. });
        let queue = if is_check { checks } else { writes };
        // The other threads of this disk get their share.
        let more = queue.len().div_ceil(threads).min(ABREAST - 1);
        let jobs: Vec<_> = iter::once(job).chain(queue.try_iter().take(more)).collect();
        if is_check {
            worker.check_all(jobs);
            continue;
        }
        let hashes = hashes_of(&jobs);
        for (job, hash) in jobs.into_iter().zip(hashes) {
            write(&mut worker, job, hash, pace, due);
        }
    }
}

/// Does a job, and waits before if it writes more than the disk has taken.
fn write(worker: &mut Worker, job: DiskJob, hash: Option<[u8; 20]>, pace: &Pace, due: &Sender<()>) {
    let bytes = job.task.bytes();
    if bytes == 0 {
        return worker.serve(job, hash);
    }
    pace.wait_for_room();
    let storage = Arc::clone(&job.storage);
    worker.serve(job, hash);
    if pace.wrote(&storage, bytes) {
        let _ = due.try_send(());
    }
}

/// Syncs what is asked for and what has gathered. It ends after the threads that write, who may wait for it.
fn sync_all(mut syncs: Receiver<DiskJob>, due: &Receiver<()>, pace: &Pace) {
    loop {
        let is_last = select! {
            recv(syncs) -> job => {
                match job {
                    Ok(job) => answer(&job, pace),
                    Err(_) => syncs = never(),
                }
                false
            }
            recv(due) -> sign => sign.is_err(),
        };
        catch_up(pace, &syncs, flush);
        if is_last {
            break;
        }
    }
    // Nobody sends any more: the queues were closed before the threads that write ended.
    syncs.try_iter().for_each(|job| answer(&job, pace));
}

/// Syncs until less is due than a step. A sign comes with a write only, but each sync may make the step smaller: then
/// those who write wait for what no sign has told of. What is asked for meanwhile is not held up.
fn catch_up(pace: &Pace, syncs: &Receiver<DiskJob>, flush: impl Fn(&Weak<Storage>) -> Duration) {
    loop {
        let taken = pace.take_due();
        if taken.is_empty() {
            return;
        }
        for (storage, bytes) in taken {
            let took = flush(&storage);
            pace.settled(bytes, took);
        }
        syncs.try_iter().for_each(|job| answer(&job, pace));
    }
}

fn answer(job: &DiskJob, pace: &Pace) {
    let (bytes, began) = (pace.take(&job.storage), Instant::now());
    let result = match job.storage.sync() {
        Ok(pieces) => DiskResult::Synced { pieces },
        Err(error) => DiskResult::SyncFailed { error },
    };
    pace.settled(bytes, began.elapsed());
    // Nobody waits any more: the torrent was removed.
    let _ = job.reply.send(result);
}

/// Says how long it took.
fn flush(storage: &Weak<Storage>) -> Duration {
    let began = Instant::now();
    // One that is gone was removed, or synced before it went.
    if let Some(storage) = storage.upgrade() {
        storage.flush();
    }
    began.elapsed()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::storage::fixture::Torrent;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn nobody_waits_for_what_is_due_since_a_sync_was_slow() {
        let folder = tempfile::tempdir().unwrap();
        let torrent = Torrent::new(&[("t/a", 10)], 10);
        let (one, other) = (torrent.storage(folder.path()), torrent.storage(folder.path()));
        let pace = Pace::default();
        // It was fast so far: 128 MiB are synced at a time.
        (0..60).for_each(|_| pace.settled(64 * MIB, Duration::ZERO));
        assert!(!pace.wrote(&one, 65 * MIB));
        assert!(pace.wrote(&other, 65 * MIB));
        let began = Cell::new(false);
        let slow = |_: &Weak<Storage>| {
            // Too little for a sign, by the step of then.
            assert!(began.replace(true) || !pace.wrote(&one, 126 * MIB));
            Duration::from_secs(1)
        };
        catch_up(&pace, &never(), slow);
        assert_eq!(
            pace.take(&one),
            0,
            "what is due is not left to a sign that nobody gives"
        );
        pace.wait_for_room();
    }
}
