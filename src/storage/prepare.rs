//! What happens before a download writes: is there room, are the files there. Layer 3.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::below::{Access, is_absent};
use super::layout::{FileIndex, LaidFile};
use super::{Storage, StorageError};
use crate::bitfield::Bitfield;
use crate::sentence::phrase;

/// Unit of `st_blocks`, whatever the file system's own block size is (POSIX `sys/stat.h`).
const STAT_BLOCK: u64 = 512;

/// Bytes that an ordinary user may still write below `folder`, or below the nearest parent that exists.
///
/// # Errors
/// The file system does not say.
pub fn free_space(folder: &Path) -> Result<u64, StorageError> {
    let mut at = folder;
    loop {
        match (rustix::fs::statvfs(at), at.parent()) {
            (Ok(stat), _) => return Ok(stat.f_bavail.saturating_mul(stat.f_frsize)),
            (Err(Errno::NOENT | Errno::NOTDIR), Some(parent)) if parent.as_os_str().is_empty() => {
                at = Path::new(".");
            }
            (Err(Errno::NOENT | Errno::NOTDIR), Some(parent)) => at = parent,
            (Err(error), _) => {
                return Err(StorageError::new(
                    phrase!("find the free space of"),
                    folder,
                    error.into(),
                ));
            }
        }
    }
}

impl Storage {
    /// Makes ready for a download of the files that `wanted` names: looks whose those are that exist, of which `verified`
    /// is right, checks that what they lack fits on the disk, creates the empty ones, and gives the others their size if
    /// the torrent preallocates. Says whether more files are the torrent's now, for the resume record.
    ///
    /// # Errors
    /// [`StorageError::InTheWay`] and [`StorageError::NoSpace`] before anything is created.
    pub fn prepare(
        &self,
        wanted: impl Fn(FileIndex) -> bool,
        verified: &Bitfield,
    ) -> Result<bool, StorageError> {
        let wanted: Vec<_> = self
            .layout()
            .numbered()
            .filter(|(index, _)| wanted(*index))
            .collect();
        let has_claimed = self.claim(&wanted, verified)?;
        let needed = wanted.iter().try_fold(0_u64, |sum, (index, file)| {
            Ok(sum.saturating_add(self.bytes_lacking(*index, file)?))
        })?;
        let path = self.root();
        let free = free_space(&path)?;
        if needed > free {
            return Err(StorageError::NoSpace { path, needed, free });
        }
        for (index, file) in wanted {
            if file.length == 0 {
                self.handle(index, Access::Write)?;
            } else if self.preallocates() {
                self.allocate(index, file)?;
            }
        }
        Ok(has_claimed)
    }

    /// Bytes of a file that have no place on disk yet.
    fn bytes_lacking(&self, index: FileIndex, file: &LaidFile) -> Result<u64, StorageError> {
        let blocks = self.found(index, file)?.map_or(0, |found| found.blocks());
        Ok(file.length.saturating_sub(blocks * STAT_BLOCK))
    }

    /// Size and kind of what has the name of a file; `None`: nothing has.
    pub(super) fn found(&self, index: FileIndex, file: &LaidFile) -> Result<Option<Metadata>, StorageError> {
        match self.folder().and_then(|folder| folder.metadata(&file.path)) {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failure(phrase!("look at"), index, error)),
        }
    }

    fn allocate(&self, index: FileIndex, file: &LaidFile) -> Result<(), StorageError> {
        let handle = self.handle(index, Access::Write)?;
        match rustix::fs::fallocate(handle.file(), FallocateFlags::empty(), 0, file.length) {
            Ok(()) => Ok(()),
            // The file system cannot: the file stays sparse, and a full disk shows while writing.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                log::debug!("{} cannot be preallocated", self.path(index).display());
                Ok(())
            }
            Err(error) => Err(self.failure(phrase!("make room for"), index, error.into())),
        }
    }
}
