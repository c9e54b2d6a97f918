//! Where the files of a torrent are being moved to, written down before the first is touched. Layer 3.
//!
//! The resume record names the new folder only after the move. Who is killed in between finds the note at the next
//! start, and the move is brought to its end ([`super::Storage::finish_move`]) or taken back.
//!
//! Format: the path as the system has it, and behind it a NUL, which no path holds: a note without it was cut short
//! before anything was moved.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The note of one torrent, there or not.
#[derive(Debug, Clone)]
pub struct MoveNote {
    path: PathBuf,
}

impl MoveNote {
    /// The note that is kept in this file.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Writes down where everything goes; it is on the disk when this returns.
    pub fn write(&self, to: &Path) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        file.write_all(to.as_os_str().as_bytes())?;
        file.write_all(&[0])?;
        file.sync_all()?;
        self.path
            .parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    /// What was written down, if anything.
    pub fn read(&self) -> Option<PathBuf> {
        let bytes = fs::read(&self.path).ok()?;
        let path = bytes.strip_suffix(&[0])?;
        (!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(path)))
    }

    /// Takes the note away; that there is none is no error.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The record names this folder from now on: a note that says the same has done its work.
    pub fn settle(&self, folder: &Path) -> io::Result<()> {
        if self.read().as_deref() == Some(folder) {
            return self.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_where_to_until_the_record_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let note = MoveNote::at(folder.path().join("x.move"));
        assert_eq!(note.read(), None);
        note.clear().unwrap();
        let to = Path::new(OsStr::from_bytes(b"/no \xff unicode\n"));
        note.write(to).unwrap();
        assert_eq!(note.read().as_deref(), Some(to));
        note.settle(Path::new("/old")).unwrap();
        assert_eq!(note.read().as_deref(), Some(to), "the record is an older one");
        note.settle(to).unwrap();
        assert_eq!(note.read(), None);
    }

    #[test]
    fn a_note_that_was_cut_short_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.move");
        let note = MoveNote::at(path.clone());
        for bytes in [&b""[..], b"\0", b"/srv/hal"] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(note.read(), None);
        }
    }
}
