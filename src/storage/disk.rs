//! The disk threads. Layer 3, one pool per client. What each does with a job is in `worker`.
//!
//! Each disk has a lane of its own (`lane`), so that one that stands still holds up nobody who uses another. Jobs
//! wait in unbounded queues; what is in them is bounded by the memory credits of their blocks, and submitting never
//! blocks. Writes go before checks, so that a recheck of one torrent does not hold up the download of another and
//! buffers come back soon; what was written is synced a little behind (`pace`). Moving and removing files may take
//! long: one thread does nothing but move, and another nothing but remove and bring back. So does the one for the
//! journals, for no write to a journal may hold up pieces.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::lane::Lane;
use super::task::{DiskResult, DiskTask};
use super::worker::Worker;
use super::{Storage, StorageError};
use crate::geometry::PieceIndex;

/// Disks beyond these share the threads of the first.
const MOST_LANES: usize = 8;

/// Work for the disk threads.
#[derive(Debug)]
pub struct DiskJob {
    /// The torrent's files.
    pub storage: Arc<Storage>,
    /// What to do.
    pub task: DiskTask,
    /// Where the result goes.
    pub reply: Sender<DiskResult>,
}

/// The disk threads. Dropping the pool finishes all writes, gives up checks and moves, and joins the threads.
#[derive(Debug)]
pub struct DiskPool {
    /// Guards the list; no lane waits for anything under it. There is always a first one, but while the pool is dropped.
    lanes: Mutex<Vec<Lane>>,
    threads_a_lane: usize,
    /// `None` only while the pool is being dropped, like `removals` and `notes`.
    moves: Option<Sender<DiskJob>>,
    /// The other end of `moves`, for those that are given up while they wait.
    waiting_moves: Receiver<DiskJob>,
    removals: Option<Sender<DiskJob>>,
    notes: Option<Sender<Note>>,
    threads: Vec<JoinHandle<()>>,
    closing: Arc<AtomicBool>,
    no_copies: Arc<AtomicBool>,
}

/// A piece for the journal of its torrent.
pub(super) type Note = (Arc<Storage>, PieceIndex);

impl DiskPool {
    /// Starts `threads` (at least one) threads for pieces on the first disk, which each further one gets as well when
    /// it is first used, and those for syncs, moves, removals and journals.
    ///
    /// # Errors
    /// The system has no room for another thread.
    pub fn spawn(threads: usize) -> io::Result<Self> {
        let (moves, waiting_moves) = unbounded();
        let (removals, removals_rx) = unbounded();
        let (notes, notes_rx) = unbounded();
        let mut pool = Self {
            lanes: Mutex::default(),
            threads_a_lane: threads.max(1),
            moves: Some(moves),
            waiting_moves: waiting_moves.clone(),
            removals: Some(removals),
            notes: Some(notes.clone()),
            threads: Vec::new(),
            closing: Arc::default(),
            no_copies: Arc::default(),
        };
        pool.start("disk-journal", move || note_all(&notes_rx))?;
        for (name, jobs) in [("disk-move", waiting_moves), ("disk-remove", removals_rx)] {
            let mut worker = pool.worker(&notes);
            pool.start(name, move || jobs.iter().for_each(|job| worker.serve(job, None)))?;
        }
        let first = pool.new_lane(0, 0, &notes)?;
        pool.lanes().push(first);
        Ok(pool)
    }

    /// Queues a job. Never blocks. Jobs of one torrent may overtake each other: wait for a result before
    /// submitting what depends on it.
    pub fn submit(&self, job: DiskJob) {
        let queue = match job.task {
            DiskTask::Move { .. } => {
                job.storage.give_move_up(false);
                &self.moves
            }
            DiskTask::Remove { .. } | DiskTask::Restore { .. } => &self.removals,
            _ => return self.submit_to_lane(job),
        };
        // The threads live as long as the senders: this cannot fail.
        let _ = queue.as_ref().map(|queue| queue.send(job));
    }

    fn submit_to_lane(&self, job: DiskJob) {
        let device = job.storage.device();
        let mut lanes = self.lanes();
        let place = lanes.iter().position(|lane| lane.is_for(device));
        let place = place.unwrap_or_else(|| self.open_lane(&mut lanes, device));
        if let Some(lane) = lanes.get(place) {
            lane.submit(job);
        }
    }

    /// Ends the move that is under way, and all later ones, unless they need no copy: each is answered with
    /// [`StorageError::Interrupted`]. For the end of the client, which would wait for hours.
    pub fn interrupt_moves(&self) {
        self.no_copies.store(true, Ordering::Relaxed);
    }

    /// Ends the move of these files, unless it needs no copy: it is answered with [`StorageError::Interrupted`], at once
    /// if it waits for another one, which may take hours.
    pub fn interrupt_move(&self, storage: &Arc<Storage>) {
        storage.give_move_up(true);
        let waiting: Vec<DiskJob> = self.waiting_moves.try_iter().collect();
        for job in waiting {
            match job.task {
                DiskTask::Move { to: path } if Arc::ptr_eq(&job.storage, storage) => {
                    let error = StorageError::Interrupted { path };
                    let _ = job.reply.send(DiskResult::Failed { piece: None, error });
                }
                _ => drop(self.moves.as_ref().map(|moves| moves.send(job))),
            }
        }
    }

    /// Gives another disk threads of its own; says which lane is its now.
    fn open_lane(&self, lanes: &mut Vec<Lane>, device: u64) -> usize {
        let number = lanes.len();
        let Some(notes) = self.notes.as_ref().filter(|_| number < MOST_LANES) else {
            return 0;
        };
        match self.new_lane(number, device, notes) {
            Ok(lane) => {
                lanes.push(lane);
                number
            }
            Err(error) => {
                log::warn!(
                    "there are no threads for another disk, which must wait for the first one: {error}"
                );
                0
            }
        }
    }

    fn new_lane(&self, number: usize, device: u64, notes: &Sender<Note>) -> io::Result<Lane> {
        let workers = (0..self.threads_a_lane).map(|_| self.worker(notes));
        Lane::spawn(number, device, workers.collect())
    }

    fn worker(&self, notes: &Sender<Note>) -> Worker {
        Worker {
            buffers: Vec::new(),
            zeroes: None,
            notes: notes.clone(),
            closing: Arc::clone(&self.closing),
            no_copies: Arc::clone(&self.no_copies),
        }
    }

    fn start(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads
            .push(Builder::new().name(name.to_owned()).spawn(run)?);
        Ok(())
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Lane>> {
        // A list of lanes is whole at any moment.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DiskPool {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.interrupt_moves();
        let lanes = std::mem::take(&mut *self.lanes());
        drop(lanes);
        // Not before: the other threads have notes until they end.
        self.moves = None;
        self.removals = None;
        self.notes = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a disk thread has panicked");
            }
        }
    }
}

/// Writes pieces down in the journals of their torrents, those that wait together with one call a journal.
fn note_all(notes: &Receiver<Note>) {
    while let Ok(first) = notes.recv() {
        let mut all: BTreeMap<*const Storage, (Arc<Storage>, Vec<PieceIndex>)> = BTreeMap::new();
        for (storage, piece) in std::iter::once(first).chain(notes.try_iter()) {
            let of_storage = all
                .entry(Arc::as_ptr(&storage))
                .or_insert_with(|| (storage, Vec::new()));
            of_storage.1.push(piece);
        }
        all.into_values()
            .for_each(|(storage, pieces)| storage.write_down(&pieces));
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
