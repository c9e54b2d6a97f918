//! The files of one torrent. Layer 3.
//!
//! Locks, in the order in which they may be taken; each guards what its name says and no more:
//!
//! 1. `moving`: held for reading by each write and sync, for writing by a move or a removal, however long it
//!    takes. Reads do not need it, so uploads go on during a move.
//! 2. `FileState::writing`: one thread writes a file at a time. Concurrent writers of one file fight over
//!    its inode lock in the kernel (1.96 CPU s/GiB against 1.66).
//! 3. `root`: held for reading while a file is opened, for writing for the moment in which a move takes effect.
//! 4. the innermost, under which none is taken: the table of the [`FileCache`], `unsynced`, `watched`, `synced`, and the
//!    journal.

use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::StorageError;
use super::below::{Access, Folder, is_absent};
use super::files::{FileCache, OpenFile, Owner};
use super::journal::Journal;
use super::layout::{FileIndex, Layout, Span};
use super::move_note::MoveNote;
use super::task::CopyProgress;
use super::whole::FileSystem;
use crate::bitfield::Bitfield;
use crate::geometry::PieceIndex;
use crate::sentence::phrase;
use crate::size::Count;

/// The files of one torrent below its download folder. Nothing is created before the first write or
/// [`Storage::prepare`]. Bytes of a file past the length that the torrent gives it are left alone: they are
/// not ours, and nobody reads them.
#[derive(Debug)]
pub struct Storage {
    pub(super) layout: Layout,
    pub(super) cache: Arc<FileCache>,
    pub(super) owner: Owner,
    preallocate: AtomicBool,
    /// Files that are in the way may be written over.
    pub(super) overwrite: AtomicBool,
    pub(super) moving: RwLock<()>,
    root: RwLock<PathBuf>,
    pub(super) files: Box<[FileState]>,
    /// Pieces that are whole in their files and were not synced yet.
    unsynced: Mutex<Vec<PieceIndex>>,
    /// The file system since a piece was completed after the last sync, if there are many files.
    watched: Mutex<Option<FileSystem>>,
    /// What has come of syncs that nobody has asked after yet.
    synced: Mutex<Synced>,
    /// Number of the file system, for those who share the disks out; 0: not known.
    device: AtomicU64,
    journal: Option<Arc<Journal>>,
    pub(super) move_note: Option<MoveNote>,
    pub(super) copying: Copying,
}

/// More files than this are not synced one by one: each that is new would need a commit of the file system.
const MANY_FILES: usize = 32;

/// What syncs have led to.
#[derive(Debug, Default)]
struct Synced {
    pieces: Vec<PieceIndex>,
    failure: Option<StorageError>,
}

/// How far a move that copies is, for those who look on.
#[derive(Debug, Default)]
pub(super) struct Copying {
    copied: AtomicU64,
    /// 0: nothing is being copied.
    total: AtomicU64,
    /// It is to end: nobody wants the copy any more.
    given_up: AtomicBool,
}

impl Copying {
    /// So many bytes are to be copied from now on; 0: it is over.
    pub(super) fn begin(&self, total: u64) {
        self.copied.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// So many more are copied.
    pub(super) fn advance(&self, bytes: u64) {
        self.copied.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    pub(super) fn progress(&self) -> Option<CopyProgress> {
        let total = self.total.load(Ordering::Relaxed);
        let copied = self.copied.load(Ordering::Relaxed).min(total);
        (total > 0).then_some(CopyProgress { copied, total })
    }
}

/// What is known of a file beyond its layout.
#[derive(Debug, Default)]
pub(super) struct FileState {
    writing: Mutex<()>,
    /// Written, or found to hold a piece, since the last sync.
    dirty: AtomicBool,
    /// Created since the last sync: its folders need one too.
    unsynced_name: AtomicBool,
    /// Created by us, in this run or (by the resume record) in an earlier one.
    pub(super) created: AtomicBool,
    /// It may be written, as `claim` found.
    pub(super) claimed: AtomicBool,
    /// It is somebody else's, as `claim` found.
    pub(super) foreign: AtomicBool,
}

/// Whose a file is that is there.
#[derive(Debug, Clone, Copy)]
pub struct Whose {
    /// The torrent's; see [`Storage::is_own`].
    pub own: bool,
    /// Somebody else's, which the torrent wants and has not been allowed to write over.
    pub in_the_way: bool,
}

impl Storage {
    /// The files of `layout` below the download folder `root`, which need not exist yet. With `preallocate`,
    /// [`Storage::prepare`] gives files their full size on disk.
    pub fn open(layout: Layout, root: &Path, cache: Arc<FileCache>, preallocate: bool) -> Self {
        let files = layout.files().iter().map(|_| FileState::default()).collect();
        let storage = Self {
            owner: cache.new_owner(),
            layout,
            cache,
            preallocate: AtomicBool::new(preallocate),
            overwrite: AtomicBool::new(false),
            moving: RwLock::new(()),
            root: RwLock::new(root.to_owned()),
            files,
            unsynced: Mutex::default(),
            watched: Mutex::default(),
            synced: Mutex::default(),
            device: AtomicU64::new(0),
            journal: None,
            move_note: None,
            copying: Copying::default(),
        };
        storage.find_device();
        storage
    }

    /// Writes moves down in `note` while they are under way.
    #[must_use]
    pub fn with_move_note(mut self, note: MoveNote) -> Self {
        self.move_note = Some(note);
        self
    }

    /// Writes each completed piece down in `journal`.
    #[must_use]
    pub fn with_journal(mut self, journal: Arc<Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Whether [`Storage::prepare`] gives files their full size on disk from now on.
    pub fn set_preallocate(&self, preallocate: bool) {
        self.preallocate.store(preallocate, Ordering::Relaxed);
    }

    pub(super) fn preallocates(&self) -> bool {
        self.preallocate.load(Ordering::Relaxed)
    }

    /// Which file holds which byte.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The download folder.
    pub fn root(&self) -> PathBuf {
        self.root_lock().clone()
    }

    /// How far the move that is under way is; `None` if there is none, or one that only renames.
    pub fn copy_progress(&self) -> Option<CopyProgress> {
        self.copying.progress()
    }

    /// Whether a move of these files that copies is to end early, with [`StorageError::Interrupted`].
    pub(super) fn give_move_up(&self, given_up: bool) {
        self.copying.given_up.store(given_up, Ordering::Relaxed);
    }

    /// Closes all files, so that a disk can be unmounted while nothing is done with them. They are opened again
    /// when they are needed.
    pub fn close_files(&self) {
        self.cache.forget(self.owner);
        drop(self.watched().take());
    }

    /// Reads `buffer.len()` bytes from byte `begin` of a piece. Whether they are right is not looked at:
    /// callers know which pieces are verified.
    ///
    /// # Errors
    /// [`StorageError::Missing`] and [`StorageError::TooShort`] name a file that is not there or not whole.
    pub fn read(&self, piece: PieceIndex, begin: u32, buffer: &mut [u8]) -> Result<(), StorageError> {
        let bytes = self.run(piece, begin, buffer.len() as u64)?;
        let mut rest = buffer;
        for span in self.layout.spans(bytes) {
            let (part, after) = rest.split_at_mut(span.length as usize);
            rest = after;
            match span.file {
                None => part.fill(0),
                Some(file) => self.read_span(file, span.offset, part)?,
            }
        }
        Ok(())
    }

    /// Has the system read bytes of a piece into its cache, for a [`Self::read`] that follows soon. Returns at once;
    /// what cannot be read is for that one to report.
    pub fn read_ahead(&self, piece: PieceIndex, begin: u32, length: u32) {
        let Ok(bytes) = self.run(piece, begin, u64::from(length)) else {
            return;
        };
        for span in self.layout.spans(bytes) {
            if let Some(Ok(file)) = span.file.map(|file| self.handle(file, Access::Read)) {
                file.read_ahead(span.offset, span.length);
            }
        }
    }

    /// Writes `data` at byte `begin` of a piece: one call for each file that it touches. What falls on
    /// padding is dropped.
    ///
    /// # Errors
    /// [`StorageError::is_disk_full`] tells a full disk from one that fails.
    pub fn write(&self, piece: PieceIndex, begin: u32, data: &[IoSlice<'_>]) -> Result<(), StorageError> {
        let _not_moving = self.moving.read().unwrap_or_else(PoisonError::into_inner);
        let length = data.iter().map(|slice| slice.len() as u64).sum();
        let bytes = self.run(piece, begin, length)?;
        let mut cursor = Cursor::new(data);
        for span in self.layout.spans(bytes) {
            let mut part = cursor.take(span.length as usize);
            if let Some(file) = span.file {
                self.write_span(file, span.offset, &mut part)?;
            }
        }
        Ok(())
    }

    /// Notes that a piece is whole and verified in its files, though not synced.
    pub(super) fn completed(&self, piece: PieceIndex) {
        // A piece that was only read back may have been written by a run that was killed before it synced.
        for file in self.layout.files_of_piece(piece) {
            self.files[file.get()].dirty.store(true, Ordering::Release);
        }
        self.watch();
        self.unsynced().push(piece);
    }

    /// Writes completed pieces down in the journal, if there is one.
    pub(super) fn write_down(&self, pieces: &[PieceIndex]) {
        if let Some(Err(error)) = self.journal.as_ref().map(|journal| journal.append(pieces)) {
            // Costs a download after a kill, nothing else.
            log::warn!(
                "{} is not in the journal: {error}",
                Count(pieces.len() as u64, "piece")
            );
        }
    }

    /// Makes everything written so far survive a power cut, and returns the pieces that do so now: those
    /// that were completed since the last call.
    ///
    /// # Errors
    /// The first file that could not be synced since the last call. The system may have dropped its data, so its
    /// pieces are returned by no later call either: they stay candidates, to be hashed again at the next start.
    pub fn sync(&self) -> Result<Vec<PieceIndex>, StorageError> {
        let not_moving = self.moving.read().unwrap_or_else(PoisonError::into_inner);
        self.sync_dirty();
        drop(not_moving);
        let mut synced = self.synced();
        match synced.failure.take() {
            None => Ok(std::mem::take(&mut synced.pieces)),
            Some(error) => Err(error),
        }
    }

    /// As [`Self::sync`], which returns later what comes of it; nothing while the files are moved or removed, which
    /// may take hours.
    pub(super) fn flush(&self) {
        match self.moving.try_read() {
            Ok(_not_moving) => self.sync_dirty(),
            Err(TryLockError::Poisoned(_)) => self.sync_dirty(),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    fn sync_dirty(&self) {
        // Taken first: a piece that completes from here on is in the next sync.
        let mut pieces = std::mem::take(&mut *self.unsynced());
        let failures = self.sync_files();
        for (file, _) in &failures {
            pieces.retain(|piece| self.layout.files_of_piece(*piece).all(|other| other != *file));
        }
        let mut synced = self.synced();
        synced.pieces.append(&mut pieces);
        if synced.failure.is_none() {
            synced.failure = failures.into_iter().next().map(|(_, error)| error);
        }
    }

    /// Syncs what is dirty; gives the files with which that failed.
    fn sync_files(&self) -> Vec<(FileIndex, StorageError)> {
        let marked = |mark: fn(&FileState) -> &AtomicBool| {
            let is_marked =
                move |index: &FileIndex| mark(&self.files[index.get()]).swap(false, Ordering::AcqRel);
            self.layout.numbered().map(|(index, _)| index).filter(is_marked)
        };
        // Before the files: what completes after them, and is theirs to sync next, finds it gone and opens it anew.
        let watched = self.watched().take();
        let mut dirty: Vec<_> = marked(|state| &state.dirty).collect();
        let mut new: Vec<_> = marked(|state| &state.unsynced_name).collect();
        if dirty.len() > MANY_FILES {
            match self.sync_as_a_whole(watched, &dirty) {
                Ok(true) => {
                    // One is left, for which the disk empties its cache: not every file system has it do so above.
                    dirty.truncate(1);
                    new.clear();
                }
                // Each file says below whether it is safe. This has made that quicker.
                Ok(false) => {}
                Err(error) => log::debug!(
                    "the file system of {} is not synced as a whole: {error}",
                    self.root().display()
                ),
            }
        }
        let mut failures: Vec<_> = dirty
            .into_iter()
            .filter_map(|file| Some((file, self.sync_data(file).err()?)))
            .collect();
        if let Err((first, error)) = self.sync_names(&new) {
            let error = self.failure(phrase!("sync the folder of"), first, error);
            // Any of them may be in that folder.
            failures.extend(new.into_iter().map(|file| (file, error.clone())));
        }
        failures
    }

    /// Syncs the file system. Says whether these files, and the names of all that are new, are known to be written by that.
    fn sync_as_a_whole(&self, watched: Option<FileSystem>, files: &[FileIndex]) -> io::Result<bool> {
        let folder = self.folder()?;
        let path = |file: &FileIndex| self.layout.files()[file.get()].path.as_path();
        let all_there = |system: &FileSystem| files.iter().all(|file| system.holds(&folder, path(file)));
        let Some(system) = watched.filter(all_there) else {
            return folder.sync_file_system().map(|()| false);
        };
        #[cfg(test)]
        self.cache.faults.on_sync_of_all()?;
        system.sync().map(|()| true)
    }

    /// Opens the file system, unless it is, to be told of what fails from here on.
    fn watch(&self) {
        if self.layout.files().len() <= MANY_FILES {
            return;
        }
        let mut watched = self.watched();
        if watched.is_none() {
            // Where that fails, files are synced one by one.
            *watched = self
                .folder()
                .and_then(|folder| FileSystem::open(&folder))
                .unwrap_or_default();
        }
    }

    fn sync_data(&self, index: FileIndex) -> Result<(), StorageError> {
        // One that has been closed meanwhile stays out of the cache, where it would only push out others.
        let file = match self.cache.find(self.owner, index) {
            Some(file) => file,
            None => Arc::new(
                self.cache
                    .open_apart(self.open_below(&self.root_lock(), index, Access::Read)?, false),
            ),
        };
        file.sync_data()
            .or_else(|error| match Errno::from_io_error(&error) {
                // Read-only media: what is there cannot get lost.
                Some(Errno::ROFS | Errno::INVAL) => Ok(()),
                _ => Err(error),
            })
            .map_err(|error| self.failure(phrase!("sync"), index, error))
    }

    /// Makes the names of files that were created safe: each folder on their ways once.
    fn sync_names(&self, files: &[FileIndex]) -> Result<(), (FileIndex, io::Error)> {
        let Some(first) = files.first() else {
            return Ok(());
        };
        let names = files
            .iter()
            .map(|file| self.layout.files()[file.get()].path.as_path());
        self.folder()
            .and_then(|folder| folder.sync_parents(names))
            .map_err(|error| (*first, error))
    }

    /// Whether no byte of the piece was ever written: its files are missing, too short, or have a hole there.
    pub(super) fn is_hole(&self, piece: PieceIndex) -> Result<bool, StorageError> {
        for span in self.layout.piece_spans(piece) {
            if let Some(file) = span.file
                && self.is_written(file, span)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_written(&self, file: FileIndex, span: Span) -> Result<bool, StorageError> {
        let handle = match self.handle(file, Access::Read) {
            Ok(handle) => handle,
            Err(error) if error.is_absent() => return Ok(false),
            Err(error) => return Err(error),
        };
        // Moves the position of the shared handle, which nobody uses.
        Ok(
            match rustix::fs::seek(handle.file(), SeekFrom::Data(span.offset)) {
                Ok(data) => data < span.offset + span.length,
                Err(Errno::NXIO) => false,
                // A file system that knows no holes.
                Err(_) => true,
            },
        )
    }

    /// Marks files as our own, as the resume record has them.
    pub fn mark_created(&self, files: impl IntoIterator<Item = FileIndex>) {
        for state in files.into_iter().filter_map(|file| self.files.get(file.get())) {
            state.created.store(true, Ordering::Relaxed);
        }
    }

    /// The files that we created, for the resume record.
    pub fn created_files(&self) -> Vec<FileIndex> {
        let created = |index: &FileIndex| self.files[index.get()].created.load(Ordering::Relaxed);
        self.layout
            .numbered()
            .map(|(index, _)| index)
            .filter(created)
            .collect()
    }

    /// Whether a file, if it exists, is the torrent's own: we created it, or a verified piece lies in it. The
    /// others may be somebody else's, and are not removed.
    pub fn is_own(&self, file: FileIndex, verified: &Bitfield) -> bool {
        let mut pieces = self.layout.pieces_of_file(file).map(PieceIndex);
        self.files[file.get()].created.load(Ordering::Relaxed) || pieces.any(|piece| verified.has(piece))
    }

    /// Whose a file is that is there, for somebody to look at.
    pub fn whose(&self, file: FileIndex, verified: &Bitfield) -> Whose {
        Whose {
            own: self.is_own(file, verified),
            in_the_way: self.files[file.get()].foreign.load(Ordering::Relaxed),
        }
    }

    /// The files that are the torrent's own and exist.
    pub(super) fn own_indices(&self, verified: &Bitfield) -> impl Iterator<Item = FileIndex> {
        let folder = self.folder().ok();
        self.layout.numbered().filter_map(move |(index, file)| {
            let exists = || {
                folder
                    .as_ref()
                    .is_some_and(|folder| folder.exists(&file.path).unwrap_or(false))
            };
            (self.is_own(index, verified) && exists()).then_some(index)
        })
    }

    /// The bytes of the torrent that a run within a piece stands for.
    fn run(&self, piece: PieceIndex, begin: u32, length: u64) -> Result<Range<u64>, StorageError> {
        let all = self.layout.piece_bytes(piece);
        let start = all.start.saturating_add(u64::from(begin));
        let end = start.saturating_add(length);
        if end > all.end {
            return Err(StorageError::OutOfRange { piece, begin, length });
        }
        Ok(start..end)
    }

    fn read_span(&self, file: FileIndex, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        let handle = self.handle(file, Access::Read)?;
        handle
            .read_exact_at(buffer, offset)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => StorageError::TooShort {
                    path: self.path(file),
                },
                _ => self.failure(phrase!("read"), file, error),
            })
    }

    fn write_span(&self, file: FileIndex, offset: u64, data: &mut [IoSlice<'_>]) -> Result<(), StorageError> {
        let handle = self.handle(file, Access::Write)?;
        let state = &self.files[file.get()];
        let _only_writer = state.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the write: a failed one may have left some bytes as well.
        state.dirty.store(true, Ordering::Release);
        handle
            .write_all_at(data, offset)
            .map_err(|error| self.failure(phrase!("write"), file, error))
    }

    /// The open file; for [`Access::Write`] it is created with its folders if it does not exist.
    pub(super) fn handle(&self, index: FileIndex, access: Access) -> Result<Arc<OpenFile>, StorageError> {
        // Held until the file is in the cache, so that no file of the old folder enters it after a move.
        let root = self.root_lock();
        self.cache.get(self.owner, index, access != Access::Read, || {
            self.open_below(&root, index, access)
        })
    }

    fn open_below(&self, root: &Path, index: FileIndex, access: Access) -> Result<File, StorageError> {
        let name = &self.layout.files()[index.get()].path;
        let opened = match access {
            Access::Read => Folder::open(root).and_then(|folder| folder.file(name, access)),
            Access::Write | Access::CreateNew => self.open_or_create(root, index, name),
        };
        opened.map_err(|error| StorageError::new(phrase!("open"), &root.join(name), error))
    }

    fn open_or_create(&self, root: &Path, index: FileIndex, name: &Path) -> io::Result<File> {
        match Folder::open(root).and_then(|folder| folder.file(name, Access::Write)) {
            Err(error) if is_absent(&error) => {}
            result => return result,
        }
        let folder = Folder::create(root)?;
        folder.make_parents(name)?;
        match folder.file(name, Access::CreateNew) {
            Ok(file) => {
                let state = &self.files[index.get()];
                state.created.store(true, Ordering::Relaxed);
                state.unsynced_name.store(true, Ordering::Release);
                Ok(file)
            }
            // Another disk thread was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => folder.file(name, Access::Write),
            Err(error) => Err(error),
        }
    }

    pub(super) fn folder(&self) -> io::Result<Folder> {
        Folder::open(&self.root_lock())
    }

    pub(super) fn path(&self, file: FileIndex) -> PathBuf {
        self.root_lock().join(&self.layout.files()[file.get()].path)
    }

    pub(super) fn failure(&self, action: &'static str, file: FileIndex, error: io::Error) -> StorageError {
        StorageError::new(action, &self.path(file), error)
    }

    fn root_lock(&self) -> RwLockReadGuard<'_, PathBuf> {
        self.root.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn root_lock_mut(&self) -> RwLockWriteGuard<'_, PathBuf> {
        self.root.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of the file system that the download folder is on, or its nearest parent that exists.
    pub(super) fn device(&self) -> u64 {
        self.device.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn set_device(&self, device: u64) {
        self.device.store(device, Ordering::Relaxed);
    }

    /// Looks anew which file system the download folder is on.
    pub(super) fn find_device(&self) {
        let root = self.root();
        let found = root.ancestors().find_map(|folder| std::fs::metadata(folder).ok());
        self.device
            .store(found.map_or(0, |found| found.dev()), Ordering::Relaxed);
    }

    fn synced(&self) -> MutexGuard<'_, Synced> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watched(&self) -> MutexGuard<'_, Option<FileSystem>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsynced(&self) -> MutexGuard<'_, Vec<PieceIndex>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.cache.forget(self.owner);
    }
}

/// Cuts a list of slices into runs of given lengths without copying.
struct Cursor<'d> {
    slices: std::slice::Iter<'d, IoSlice<'d>>,
    rest: &'d [u8],
}

impl<'d> Cursor<'d> {
    fn new(data: &'d [IoSlice<'d>]) -> Self {
        Self {
            slices: data.iter(),
            rest: &[],
        }
    }

    /// The next `length` bytes, or what is left.
    fn take(&mut self, mut length: usize) -> Vec<IoSlice<'d>> {
        let mut taken = Vec::new();
        while length > 0 {
            if self.rest.is_empty() {
                match self.slices.next() {
                    Some(slice) => self.rest = slice,
                    None => break,
                }
            }
            let (part, after) = self.rest.split_at(length.min(self.rest.len()));
            taken.push(IoSlice::new(part));
            self.rest = after;
            length -= part.len();
        }
        taken
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
