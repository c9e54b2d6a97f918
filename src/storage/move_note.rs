//! Where the files of a torrent are being moved to, written down before the first is touched. Layer 3.
//!
//! The resume record names the new folder only after the move. Who is killed in between finds the note at the next
//! start, and [`super::Storage::finish_move`] brings the move to its end or takes it back.
//!
//! Format: how far the move is, as one letter, the path as the system has it, and a NUL, which no path holds. It is
//! replaced in one step, so there is a whole one or none.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How far a move is. It says where the truth about each file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Within a file system: each file is in one of the two folders, whole.
    Renaming,
    /// All files are in the old folder. What the new one has of them is copies, perhaps not whole.
    Copying,
    /// All files are in the new folder, synced. The old one is being cleared.
    Copied,
}

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// How far it is.
    pub phase: Phase,
    /// The new folder.
    pub to: PathBuf,
}

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

    /// Writes down how far the move to `to` is; that is on the disk when this returns.
    pub fn write(&self, phase: Phase, to: &Path) -> io::Result<()> {
        let new = self.path.with_extension("move-new");
        let mut file = File::create(&new)?;
        file.write_all(&[phase.letter()])?;
        file.write_all(to.as_os_str().as_bytes())?;
        file.write_all(&[0])?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        self.path
            .parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    /// What was written down, if anything.
    pub fn read(&self) -> Option<Noted> {
        let bytes = fs::read(&self.path).ok()?;
        let (letter, path) = bytes.strip_suffix(&[0])?.split_first()?;
        Some(Noted {
            phase: Phase::of_letter(*letter)?,
            to: PathBuf::from(OsStr::from_bytes(path)),
        })
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
        if self.read().is_some_and(|noted| noted.to == folder) {
            return self.clear();
        }
        Ok(())
    }
}

impl Phase {
    fn letter(self) -> u8 {
        match self {
            Self::Renaming => b'r',
            Self::Copying => b'c',
            Self::Copied => b'd',
        }
    }

    fn of_letter(letter: u8) -> Option<Self> {
        [Self::Renaming, Self::Copying, Self::Copied]
            .into_iter()
            .find(|phase| phase.letter() == letter)
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
        for phase in [Phase::Renaming, Phase::Copying, Phase::Copied] {
            note.write(phase, to).unwrap();
            let noted = Noted {
                phase,
                to: to.to_owned(),
            };
            assert_eq!(note.read(), Some(noted));
        }
        note.settle(Path::new("/old")).unwrap();
        assert!(note.read().is_some(), "the record is an older one");
        note.settle(to).unwrap();
        assert_eq!(note.read(), None);
    }

    #[test]
    fn rubbish_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.move");
        let note = MoveNote::at(path.clone());
        for bytes in [&b""[..], b"\0", b"r/srv/hal", b"x/srv/half\0"] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(note.read(), None);
        }
    }
}
