//! Moving and removing the files of a torrent. Layer 3; each has a disk thread of its own.
//!
//! A move within one file system renames. Between two it copies everything, syncs it, lets the move take
//! effect in one step, and only then deletes the old files: whatever fails on the way, all data is readable in
//! the folder where it was. A note says how far it is, for the start after a kill (see `move_note`).

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::below::{Access, Folder};
use super::move_note::{MoveNote, Noted, Phase};
use super::prepare::free_space;
use super::store::Copying;
use super::{Storage, StorageError, trash_can};
use crate::bitfield::Bitfield;
use crate::sentence::phrase;
use crate::size::Count;

/// How much is copied at a time.
const COPY_CHUNK: usize = 1024 * 1024;

impl Storage {
    /// Moves every file of the torrent that exists to the download folder `to`, and then the folders that are
    /// empty. `interrupt` ends a copy early.
    ///
    /// # Errors
    /// Nothing has moved: files that are in the way are found before the first is touched.
    pub fn move_to(&self, to: &Path, interrupt: &AtomicBool) -> Result<(), StorageError> {
        let _no_writes = self.moving.write().unwrap_or_else(PoisonError::into_inner);
        let from = self.root();
        if same_folder(&from, to) {
            return Ok(());
        }
        let new = Folder::create(to).map_err(|error| StorageError::new(phrase!("create"), to, error))?;
        // Also those that we do not have: a download would go on in a file of somebody else.
        if let Some(name) = self.existing(&new)?.first() {
            return Err(StorageError::Exists { path: new.full(name) });
        }
        let Some(old) = open_if_there(&from)? else {
            // Nothing was written yet.
            self.set_root(to);
            return Ok(());
        };
        let foreign: HashSet<_> = (self.layout.files().iter().zip(&self.files))
            .filter(|(_, state)| state.foreign.load(Ordering::Relaxed))
            .map(|(file, _)| file.path.as_path())
            .collect();
        let mut names = self.existing(&old)?;
        names.retain(|name| !foreign.contains(name));
        self.note(Phase::Renaming, &from, to)?;
        if self.rename_all(&names, &old, &new, to)? {
            log::info!(
                "moved {} from {} to {}",
                Count(names.len() as u64, "file"),
                from.display(),
                to.display()
            );
            return Ok(());
        }
        let copied = self
            .note(Phase::Copying, &from, to)
            .and_then(|()| copy_all(&names, &old, &new, to, (&self.copying, interrupt)))
            .and_then(|()| self.note(Phase::Copied, &from, to));
        self.copying.begin(0);
        if let Err(error) = copied {
            take_copies_back(&names, &old, &new);
            self.clear_note();
            return Err(error);
        }
        self.set_root(to);
        clear_old(&names, &old, &new);
        log::info!(
            "copied {} from {} to {}",
            Count(names.len() as u64, "file"),
            from.display(),
            to.display()
        );
        Ok(())
    }

    /// Ends a move that a kill cut short, as its note tells: brings the rest after what has been moved, or takes away
    /// what was copied in vain.
    ///
    /// # Errors
    /// A folder is not there, or something cannot be moved now; what was moved before stays where it is, and so does
    /// the note.
    pub fn finish_move(&self, noted: &Noted) -> Result<(), StorageError> {
        let (from, to) = (self.root(), noted.to.as_path());
        let words = match noted.phase {
            Phase::Renaming if self.rename_the_rest(&from, to)? => "is done now",
            Phase::Copied => {
                if let (Some(old), Some(new)) = (open_if_there(&from)?, open_if_there(to)?) {
                    clear_old(&self.existing(&old)?, &old, &new);
                }
                "is done now"
            }
            Phase::Renaming | Phase::Copying => {
                if let (Some(old), Some(new)) = (open_if_there(&from)?, open_if_there(to)?)
                    && noted.phase == Phase::Copying
                {
                    take_copies_back(&self.existing(&new)?, &old, &new);
                }
                self.clear_note();
                log::warn!(
                    "{}: a move from there was cut short and is taken back",
                    from.display()
                );
                return Ok(());
            }
        };
        self.set_root(to);
        log::warn!(
            "the move from {} to {} was cut short; it {words}",
            from.display(),
            to.display()
        );
        Ok(())
    }

    /// Whether anything had been renamed; then all is in `to` now.
    fn rename_the_rest(&self, from: &Path, to: &Path) -> Result<bool, StorageError> {
        let missing = |path: &Path| {
            StorageError::new(
                phrase!("find"),
                path,
                io::Error::new(
                    io::ErrorKind::NotFound,
                    phrase!("it is not there (is its disk mounted?)"),
                ),
            )
        };
        let old = open_if_there(from)?.ok_or_else(|| missing(from))?;
        // It was made right before the note, so without it nothing was moved there: both are on one file system.
        let Some(new) = open_if_there(to)? else {
            return Ok(false);
        };
        let there = self.existing(&new)?;
        if there.is_empty() {
            return Ok(false);
        }
        let here = self.existing(&old)?;
        for name in here.iter().filter(|name| !there.contains(name)) {
            new.make_parents(name)
                .and_then(|()| old.rename(name, &new))
                .map_err(|error| StorageError::new(phrase!("move"), &old.full(name), error))?;
        }
        sync_names(&new, &here);
        old.remove_empty_parents(here.iter().copied());
        Ok(true)
    }

    fn note(&self, phase: Phase, from: &Path, to: &Path) -> Result<(), StorageError> {
        match &self.move_note {
            Some(note) => note
                .write(phase, to)
                .map_err(|error| StorageError::new(phrase!("note the move of"), from, error)),
            None => Ok(()),
        }
    }

    /// The move that it told of has not happened.
    fn clear_note(&self) {
        if let Some(Err(error)) = self.move_note.as_ref().map(MoveNote::clear) {
            log::warn!("the note of a move that has failed stays: {error}");
        }
    }

    /// Removes the torrent's own files (see [`Storage::is_own`]) and then the folders that are empty. Gives what is in
    /// the trash now, for `trash_can::restore`.
    ///
    /// # Errors
    /// The first file that could not be removed; the others are tried all the same. With `trash`, nothing is
    /// ever deleted: if the trash does not take everything, all of it stays.
    pub fn remove(&self, verified: &Bitfield, trash: bool) -> Result<Vec<PathBuf>, StorageError> {
        let _no_writes = self.moving.write().unwrap_or_else(PoisonError::into_inner);
        let root = self.root();
        let Some(folder) = open_if_there(&root)? else {
            return Ok(Vec::new());
        };
        let names: Vec<&Path> = self
            .own_indices(verified)
            .map(|index| self.layout.files()[index.get()].path.as_path())
            .collect();
        self.close_files();
        let result = if trash {
            trash_can::take(&folder, &names)
        } else {
            delete_all(&folder, &names).map(|()| Vec::new())
        };
        folder.remove_empty_parents(self.layout.files().iter().map(|file| file.path.as_path()));
        result
    }

    /// The names of the files that exist.
    fn existing(&self, folder: &Folder) -> Result<Vec<&Path>, StorageError> {
        let mut names = Vec::new();
        for file in self.layout.files() {
            if exists(folder, &file.path)? {
                names.push(file.path.as_path());
            }
        }
        Ok(names)
    }

    /// Renames everything. `false`: the folders are on different file systems, and nothing has changed.
    fn rename_all(
        &self,
        names: &[&Path],
        old: &Folder,
        new: &Folder,
        to: &Path,
    ) -> Result<bool, StorageError> {
        // Readers wait for as long as it takes to rename: they must not look where a file was.
        let mut root = self.root_lock_mut();
        for (done, name) in names.iter().enumerate() {
            let Err(error) = new.make_parents(name).and_then(|()| old.rename(name, new)) else {
                continue;
            };
            let mut is_undone = true;
            for name in &names[..done] {
                if let Err(error) = new.rename(name, old) {
                    log::error!("{} could not be moved back: {error}", new.full(name).display());
                    is_undone = false;
                }
            }
            new.remove_empty_parents(names.iter().copied());
            // Else the next start tries again.
            if is_undone {
                self.clear_note();
            }
            return match Errno::from_io_error(&error) {
                Some(Errno::XDEV) => Ok(false),
                _ => Err(StorageError::new(phrase!("move"), &old.full(name), error)),
            };
        }
        *root = to.to_owned();
        drop(root);
        sync_names(new, names);
        old.remove_empty_parents(names.iter().copied());
        Ok(true)
    }

    /// Lets a move take effect: from here on every file is opened in the new folder.
    fn set_root(&self, to: &Path) {
        let mut root = self.root_lock_mut();
        *root = to.to_owned();
        self.close_files();
        drop(root);
        self.find_device();
    }
}

fn open_if_there(path: &Path) -> Result<Option<Folder>, StorageError> {
    match Folder::open(path) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::new(phrase!("open"), path, error)),
    }
}

fn exists(folder: &Folder, name: &Path) -> Result<bool, StorageError> {
    folder
        .exists(name)
        .map_err(|error| StorageError::new(phrase!("look at"), &folder.full(name), error))
}

fn same_folder(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Copies everything and syncs it, and tells the [`Copying`] of it. What was copied before a failure is left.
fn copy_all(
    names: &[&Path],
    old: &Folder,
    new: &Folder,
    to: &Path,
    watchers: (&Copying, &AtomicBool),
) -> Result<(), StorageError> {
    let free = free_space(to)?;
    let found: Vec<_> = names.iter().filter_map(|name| old.metadata(name).ok()).collect();
    let needed = found.iter().map(|found| found.blocks() * 512).sum();
    if needed > free {
        return Err(StorageError::NoSpace {
            path: to.to_owned(),
            needed,
            free,
        });
    }
    watchers.0.begin(found.iter().map(|found| found.len()).sum());
    names.iter().try_for_each(|name| {
        let source = old
            .file(name, Access::Read)
            .map_err(|error| StorageError::new(phrase!("open"), &old.full(name), error))?;
        let target = new
            .make_parents(name)
            .and_then(|()| new.file(name, Access::CreateNew))
            .map_err(|error| StorageError::new(phrase!("create"), &new.full(name), error))?;
        let finished = copy_data(&source, &target, watchers)
            .and_then(|finished| new.sync_parents(std::iter::once(*name)).map(|()| finished))
            .map_err(|error| StorageError::new(phrase!("copy to"), &new.full(name), error))?;
        let interrupted = || StorageError::Interrupted { path: to.to_owned() };
        finished.then_some(()).ok_or_else(interrupted)
    })
}

/// Removes copies of files that are where they were.
fn take_copies_back(names: &[&Path], old: &Folder, new: &Folder) {
    for name in names.iter().filter(|name| is_there(old, name)) {
        match new.remove_file(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("{} is left from a failed move: {error}", new.full(name).display());
            }
            _ => {}
        }
    }
    new.remove_empty_parents(names.iter().copied());
}

/// Removes files of which there are whole copies.
fn clear_old(names: &[&Path], old: &Folder, new: &Folder) {
    for name in names.iter().filter(|name| is_there(new, name)) {
        if let Err(error) = old.remove_file(name) {
            log::warn!("{} was copied but not removed: {error}", old.full(name).display());
        }
    }
    old.remove_empty_parents(names.iter().copied());
}

/// Makes renames survive a power cut, before any record says where the files are.
fn sync_names(folder: &Folder, names: &[&Path]) {
    if let Err(error) = folder.sync_parents(names.iter().copied()) {
        let path = folder.full(Path::new("."));
        log::warn!(
            "the files in {} may be back where they were after a power cut: {error}",
            path.display()
        );
    }
}

fn is_there(folder: &Folder, name: &Path) -> bool {
    folder.exists(name).unwrap_or(false)
}

/// Copies what a file holds, its holes as holes, and syncs it. `false`: interrupted.
fn copy_data(
    source: &File,
    target: &File,
    (copying, interrupt): (&Copying, &AtomicBool),
) -> io::Result<bool> {
    let length = source.metadata()?.len();
    target.set_len(length)?;
    let mut buffer = vec![0; COPY_CHUNK];
    let mut at = 0;
    let mut told = 0;
    while at < length {
        at = match rustix::fs::seek(source, SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(Errno::NXIO) => break,
            Err(_) => at,
        };
        let end = rustix::fs::seek(source, SeekFrom::Hole(at))
            .unwrap_or(length)
            .min(length);
        while at < end {
            if interrupt.load(Ordering::Relaxed) || copying.is_given_up() {
                return Ok(false);
            }
            let chunk = &mut buffer[..COPY_CHUNK.min((end - at) as usize)];
            source.read_exact_at(chunk, at)?;
            target.write_all_at(chunk, at)?;
            at += chunk.len() as u64;
            // A hole before it took no time, and counts with it.
            copying.advance(at - told);
            told = at;
        }
    }
    target.sync_all()?;
    copying.advance(length - told);
    Ok(true)
}

fn delete_all(folder: &Folder, names: &[&Path]) -> Result<(), StorageError> {
    let mut result = Ok(());
    for name in names {
        if let Err(error) = folder.remove_file(name) {
            result = result.and(Err(StorageError::new(
                phrase!("delete"),
                &folder.full(name),
                error,
            )));
        }
    }
    result
}

#[cfg(test)]
#[path = "relocate_tests.rs"]
mod tests;
