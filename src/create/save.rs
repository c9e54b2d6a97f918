//! Writing the `.torrent`: whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::CreateError;
use crate::metainfo::Metainfo;

/// What [`save`] does when the file is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and that is an error.
    Keep,
    /// The new one takes its place.
    Replace,
}

/// Writes the torrent to `path`. It appears there complete and synced, or not at all: it is written beside
/// that under another name first.
///
/// # Errors
/// [`CreateError::Exists`] and [`CreateError::Write`].
pub fn save(metainfo: &Metainfo, path: &Path, existing: Existing) -> Result<(), CreateError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists if existing == Existing::Keep => CreateError::Exists(path.to_owned()),
        _ => CreateError::Write {
            path: path.to_owned(),
            source,
        },
    };
    // Before anything is written, and in the same words. The rename below is what keeps the promise.
    if existing == Existing::Keep && path.symlink_metadata().is_ok() {
        return Err(CreateError::Exists(path.to_owned()));
    }
    write_beside(metainfo, path, existing).map_err(failed)
}

fn write_beside(metainfo: &Metainfo, path: &Path, existing: Existing) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // The process is enough to tell two of us apart, and the number two threads of one.
    let number = fastrand::u32(..);
    let mut hidden = std::ffi::OsString::from(format!(".{}-{number:08x}.", std::process::id()));
    // A name that is nearly as long as names can be leaves no room.
    hidden.push(if name.len() <= 200 {
        name
    } else {
        "torrent".as_ref()
    });
    let temporary = Temporary(folder.join(hidden));
    let mut file = File::create_new(&temporary.0)?;
    file.write_all(&metainfo.raw)?;
    file.sync_all()?;
    match existing {
        Existing::Replace => fs::rename(&temporary.0, path)?,
        Existing::Keep => rename_to_new(&temporary.0, path)?,
    }
    File::open(folder)?.sync_all()
}

/// Renames unless something has the new name. Where the file system cannot do that in one step, there is a
/// moment between looking and renaming.
pub(crate) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_err() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::AlreadyExists.into()),
        other => Ok(other?),
    }
}

/// Removes the file when we are through with it. After the rename there is nothing left to remove.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
