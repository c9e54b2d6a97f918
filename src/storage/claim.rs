//! Which files that are there already a torrent may write to. Layer 3.
//!
//! A file that a torrent finds may be its own data, whole or in part, from another program or from before our state
//! folder was lost; or it is the work of the user, and only has the same name. Before a download writes it *claims* its
//! files: those that are absent, and those of which something is right. The resume record keeps which ones it has
//! claimed, so what a kill left half written is not asked about again.

use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::below::Access;
use super::layout::{FileIndex, LaidFile};
use super::{Storage, StorageError};
use crate::bitfield::Bitfield;
use crate::geometry::PieceIndex;
use crate::sentence::phrase;

/// How much is read at a time in search of a byte that is not zero.
const SLICE: usize = 256 * 1024;

impl Storage {
    /// Has the next [`Storage::prepare`] take whatever file is there for the torrent's, and cut what is too long.
    pub fn allow_overwriting(&self) {
        self.overwrite.store(true, Ordering::Relaxed);
    }

    /// Marks files as claimed, as the resume record has them; `None`: all of them, as in a record of a version that
    /// claimed none.
    pub fn mark_claimed(&self, files: Option<&[FileIndex]>) {
        let mark = |file: FileIndex| {
            if let Some(state) = self.files.get(file.get()) {
                state.claimed.store(true, Ordering::Relaxed);
            }
        };
        match files {
            Some(files) => files.iter().copied().for_each(mark),
            None => (0..self.files.len() as u32).map(FileIndex).for_each(mark),
        }
    }

    /// The files that are claimed, for the resume record.
    pub fn claimed_files(&self) -> Vec<FileIndex> {
        let is_claimed = |index: &FileIndex| self.files[index.get()].claimed.load(Ordering::Relaxed);
        self.layout
            .numbered()
            .map(|(index, _)| index)
            .filter(is_claimed)
            .collect()
    }

    /// Claims these files. Says whether any is new among those that were.
    ///
    /// # Errors
    /// [`StorageError::InTheWay`]: nothing of a file is right, or it is longer than the torrent's. Then none is claimed.
    pub(super) fn claim(
        &self,
        wanted: &[(FileIndex, &LaidFile)],
        verified: &Bitfield,
    ) -> Result<bool, StorageError> {
        let overwrite = self.overwrite.load(Ordering::Relaxed);
        let state = |index: FileIndex| &self.files[index.get()];
        let new: Vec<_> = wanted
            .iter()
            .filter(|(index, _)| !state(*index).claimed.load(Ordering::Relaxed))
            .collect();
        let mut in_the_way = None;
        for (index, file) in &new {
            let is_own = state(*index).created.load(Ordering::Relaxed);
            let is_foreign = !overwrite && !is_own && self.is_foreign(*index, file, verified)?;
            // A move leaves it where it is.
            state(*index).foreign.store(is_foreign, Ordering::Relaxed);
            if is_foreign {
                in_the_way.get_or_insert(*index);
            }
        }
        if let Some(index) = in_the_way {
            let path = self.path(index);
            return Err(StorageError::InTheWay { path });
        }
        if overwrite {
            for (index, file) in wanted {
                self.cut(*index, file)?;
            }
            self.overwrite.store(false, Ordering::Relaxed);
        }
        for (index, _) in &new {
            state(*index).claimed.store(true, Ordering::Relaxed);
        }
        Ok(!new.is_empty())
    }

    /// Whether a file that is there belongs to somebody else, by all that can be seen.
    fn is_foreign(
        &self,
        index: FileIndex,
        file: &LaidFile,
        verified: &Bitfield,
    ) -> Result<bool, StorageError> {
        let found = match self.found(index, file)? {
            Some(found) if found.is_file() => found.len(),
            // What is no file is refused when it is opened.
            _ => return Ok(false),
        };
        let mut pieces = self.layout.pieces_of_file(index).map(PieceIndex);
        if found > file.length {
            return Ok(true);
        }
        if found == 0 || pieces.clone().any(|piece| verified.has(piece)) {
            return Ok(false);
        }
        // A small file whose pieces all reach into others cannot be proven right while these are not. Where other data of
        // the torrent is, one of the right length belongs to it.
        let has_own_piece = pieces.any(|piece| {
            let (piece, bytes) = (self.layout.piece_bytes(piece), file.bytes());
            bytes.start <= piece.start && piece.end <= bytes.end
        });
        if found == file.length && !has_own_piece && !verified.is_empty() {
            return Ok(false);
        }
        // Made by a client that gives files their size first.
        Ok(!self.is_all_zeroes(index, found)?)
    }

    /// Whether the first `length` bytes of a file, which has as many, are zeroes. Holes, and room that was made without
    /// writing, are passed over.
    fn is_all_zeroes(&self, index: FileIndex, length: u64) -> Result<bool, StorageError> {
        let handle = self.handle(index, Access::Read)?;
        let failure = |error| self.failure(phrase!("read"), index, error);
        let mut slice = vec![0; SLICE];
        let mut at = 0;
        while at < length {
            at = match rustix::fs::seek(handle.file(), SeekFrom::Data(at)) {
                Ok(data) => data,
                Err(Errno::NXIO) => return Ok(true),
                // A file system that knows no holes.
                Err(_) => at,
            };
            let read = handle.file().read_at(&mut slice, at).map_err(failure)?;
            if slice[..read].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            if read == 0 {
                break;
            }
            at += read as u64;
        }
        Ok(true)
    }

    /// Takes away what a file has beyond the torrent's length.
    fn cut(&self, index: FileIndex, file: &LaidFile) -> Result<(), StorageError> {
        // What cannot be looked at is refused when it is opened.
        let found = self.found(index, file).ok().flatten();
        if !found.is_some_and(|found| found.is_file() && found.len() > file.length) {
            return Ok(());
        }
        let handle = self.handle(index, Access::Write)?;
        (handle.file().set_len(file.length)).map_err(|error| self.failure(phrase!("write"), index, error))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::storage::fixture::Torrent;
    use tempfile::tempdir;

    const NONE: fn() -> Bitfield = || Bitfield::empty(5);

    /// Pieces of 1000 bytes: 0 and 1 lie in a, 2 in both a and b, 3 and 4 in b and c.
    fn torrent() -> Torrent {
        Torrent::new(&[("t/a", 2_500), ("t/b", 2_000), ("t/c", 400)], 1_000)
    }

    fn with(folder: &Path, files: &[(&str, Vec<u8>)]) {
        fs::create_dir_all(folder.join("t")).unwrap();
        for (name, bytes) in files {
            fs::write(folder.join("t").join(name), bytes).unwrap();
        }
    }

    fn in_the_way(outcome: Result<bool, StorageError>) -> Option<String> {
        match outcome {
            Err(StorageError::InTheWay { path }) => Some(path.file_name()?.to_str()?.to_owned()),
            _ => None,
        }
    }

    #[test]
    fn what_nothing_is_right_of_is_not_claimed_and_not_written() {
        let folder = tempdir().unwrap();
        let mine = vec![7; 2_500];
        with(folder.path(), &[("a", mine.clone())]);
        let storage = torrent().storage(folder.path());
        assert_eq!(
            in_the_way(storage.prepare(|_| true, &NONE())).as_deref(),
            Some("a")
        );
        assert_eq!(storage.claimed_files(), []);
        assert!(
            storage.prepare(|file| file.0 > 0, &NONE()).unwrap(),
            "the others are not there"
        );
        let mut some = NONE();
        some.insert(PieceIndex(1));
        assert!(
            storage.prepare(|_| true, &some).unwrap(),
            "the rest of it was never fetched"
        );
        assert!(!storage.prepare(|_| true, &NONE()).unwrap(), "it is ours now");
        assert_eq!(fs::read(folder.path().join("t/a")).unwrap(), mine);
    }

    #[test]
    fn what_is_too_long_is_somebody_elses_until_it_may_be_overwritten() {
        let folder = tempdir().unwrap();
        with(folder.path(), &[("b", vec![0; 2_001])]);
        let storage = torrent().storage(folder.path());
        let all = Bitfield::full(5);
        assert_eq!(
            in_the_way(storage.prepare(|_| true, &all)).as_deref(),
            Some("b"),
            "even if all is right"
        );
        let to = folder.path().join("to");
        storage
            .move_to(&to, &std::sync::atomic::AtomicBool::new(false))
            .unwrap();
        assert!(folder.path().join("t/b").exists() && !to.join("t/b").exists());
        let storage = torrent().storage(folder.path());
        storage.allow_overwriting();
        storage.prepare(|_| true, &all).unwrap();
        assert_eq!(fs::metadata(folder.path().join("t/b")).unwrap().len(), 2_000);
    }

    #[test]
    fn files_that_were_only_given_their_size_are_claimed_and_so_is_what_cannot_be_proven() {
        let folder = tempdir().unwrap();
        with(
            folder.path(),
            &[("a", vec![0; 2_500]), ("b", Vec::new()), ("c", vec![1; 400])],
        );
        let storage = torrent().storage(folder.path());
        assert_eq!(
            in_the_way(storage.prepare(|_| true, &NONE())).as_deref(),
            Some("c")
        );
        let mut elsewhere = NONE();
        elsewhere.insert(PieceIndex(0));
        assert!(storage.prepare(|_| true, &elsewhere).unwrap());
        let again = torrent().storage(folder.path());
        again.mark_claimed(Some(&storage.claimed_files()));
        assert!(!again.prepare(|_| true, &NONE()).unwrap());
        let old = torrent().storage(folder.path());
        old.mark_claimed(None);
        assert!(
            !old.prepare(|_| true, &NONE()).unwrap(),
            "an older version did not ask"
        );
    }
}
