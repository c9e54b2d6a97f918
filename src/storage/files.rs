//! The open files of all torrents: a bounded cache that readers and writers share. Layer 3, one per client.
//!
//! The number of open files is limited by the system, so no torrent keeps its own. A file is opened for
//! reading only until somebody writes it; then one handle serves both.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::Advice;

use super::layout::FileIndex;

/// A torrent's number in the cache; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Owner(u64);

type FileKey = (Owner, FileIndex);

/// The open files of the client, the least recently used of which are closed first.
#[derive(Debug)]
pub struct FileCache {
    limit: AtomicUsize,
    next_owner: AtomicU64,
    /// Guards the table alone. No other lock is taken and no file is opened, read, written or closed while it
    /// is held, so a slow disk never makes the others wait here.
    table: Mutex<Table>,
    #[cfg(test)]
    pub(super) faults: Arc<super::faults::Faults>,
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<FileKey, Slot>,
    /// Counts the uses: the clock of "least recently".
    uses: u64,
}

#[derive(Debug)]
struct Slot {
    file: Arc<OpenFile>,
    last_use: u64,
}

impl FileCache {
    /// A cache that keeps at most `limit` files open (at least one). Those in use at the moment of a change, and one
    /// that is synced, come on top: at most one for each thread.
    pub fn new(limit: usize) -> Self {
        Self {
            limit: AtomicUsize::new(limit.max(1)),
            next_owner: AtomicU64::new(0),
            table: Mutex::default(),
            #[cfg(test)]
            faults: Arc::default(),
        }
    }

    /// Changes the limit; files over it are closed.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit.max(1), Ordering::Relaxed);
        let mut table = self.table();
        let evicted = table.evict(limit.max(1));
        drop(table);
        drop(evicted);
    }

    /// How many files are open.
    pub fn open_files(&self) -> usize {
        self.table().slots.len()
    }

    pub(super) fn new_owner(&self) -> Owner {
        Owner(self.next_owner.fetch_add(1, Ordering::Relaxed))
    }

    /// The open file, or what `open` opens. Two threads that miss at a time both open it, and one wins.
    pub(super) fn get<E>(
        &self,
        owner: Owner,
        index: FileIndex,
        writable: bool,
        open: impl FnOnce() -> Result<File, E>,
    ) -> Result<Arc<OpenFile>, E> {
        if let Some(file) = self.table().find((owner, index), writable) {
            return Ok(file);
        }
        let opened = Arc::new(self.open_apart(open()?, writable));
        let mut table = self.table();
        if let Some(file) = table.find((owner, index), writable) {
            drop(table);
            return Ok(file);
        }
        let limit = self.limit.load(Ordering::Relaxed);
        let evicted = table.insert((owner, index), Arc::clone(&opened), limit);
        // Closing may wait for the disk: not under the lock.
        drop(table);
        drop(evicted);
        Ok(opened)
    }

    /// The file, if it is open.
    pub(super) fn find(&self, owner: Owner, index: FileIndex) -> Option<Arc<OpenFile>> {
        self.table().find((owner, index), false)
    }

    /// A file that stays out of the cache and is closed with its handle.
    pub(super) fn open_apart(&self, file: File, writable: bool) -> OpenFile {
        OpenFile {
            file,
            writable,
            #[cfg(test)]
            faults: Arc::clone(&self.faults),
        }
    }

    /// Closes all files of a torrent.
    pub(super) fn forget(&self, owner: Owner) {
        let mut table = self.table();
        let closed: Vec<_> = table.slots.extract_if(|key, _| key.0 == owner).collect();
        drop(table);
        drop(closed);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing that can panic leaves the table half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn find(&mut self, key: FileKey, writable: bool) -> Option<Arc<OpenFile>> {
        self.uses += 1;
        let slot = self.slots.get_mut(&key)?;
        if writable && !slot.file.writable {
            return None;
        }
        slot.last_use = self.uses;
        Some(Arc::clone(&slot.file))
    }

    /// Adds a file; returns those that must be closed for it.
    fn insert(&mut self, key: FileKey, file: Arc<OpenFile>, limit: usize) -> Vec<Slot> {
        self.uses += 1;
        let last_use = self.uses;
        let mut closed: Vec<Slot> = self
            .slots
            .insert(key, Slot { file, last_use })
            .into_iter()
            .collect();
        closed.extend(self.evict(limit));
        closed
    }

    /// Takes out what is over the limit. A linear search: it runs only when a file was opened, which costs
    /// more than looking through some hundred numbers.
    fn evict(&mut self, limit: usize) -> Vec<Slot> {
        let mut closed = Vec::new();
        while self.slots.len() > limit {
            let oldest = self.slots.iter().min_by_key(|(_, slot)| slot.last_use);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                break;
            };
            closed.extend(self.slots.remove(&key));
        }
        closed
    }
}

/// An open file. All operations name their position, so threads share it without a lock.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    writable: bool,
    #[cfg(test)]
    faults: Arc<super::faults::Faults>,
}

impl OpenFile {
    /// Fills `buffer` from byte `offset`; [`io::ErrorKind::UnexpectedEof`] if the file ends before.
    pub(super) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        self.faults.on_read()?;
        self.file.read_exact_at(buffer, offset)
    }

    /// Has the system begin to read these bytes into its cache.
    pub(super) fn read_ahead(&self, offset: u64, length: u64) {
        #[cfg(test)]
        self.faults.on_read_ahead(offset, length);
        read_ahead(&self.file, offset, length);
    }

    /// Writes all of `data` at byte `offset` with as few calls as the system allows, as a rule one.
    pub(super) fn write_all_at(&self, mut data: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        // Empty slices at the front would look like a write of nothing.
        IoSlice::advance_slices(&mut data, 0);
        while !data.is_empty() {
            #[cfg(test)]
            self.faults.on_write()?;
            match rustix::io::pwritev(&self.file, data, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut data, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Returns once the data survives a power cut.
    pub(super) fn sync_data(&self) -> io::Result<()> {
        #[cfg(test)]
        self.faults.on_sync()?;
        self.file.sync_data()
    }

    /// The file itself, for what is done once: space, size.
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

/// Has the system begin to read these bytes of a file into its cache. A hint: where it takes none, nothing is lost.
pub(crate) fn read_ahead(file: &File, offset: u64, length: u64) {
    let _ = rustix::fs::fadvise(file, offset, NonZeroU64::new(length), Advice::WillNeed);
}
