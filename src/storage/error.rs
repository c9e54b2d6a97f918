//! What can go wrong with the files of a torrent.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use crate::geometry::PieceIndex;
use crate::size::Size;

/// A failure of the storage. The torrent cannot go on as it is; the message says what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The file system took no more bytes, or a quota was reached.
    #[error("the disk is full: {} could not be written; free some space", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// What is still missing would not fit.
    #[error(
        "not enough space in {}: {} are needed and {} are free, {lacking} too little; free some space, or move the \
         torrent to another folder",
        .path.display(), Size(*.needed), Size(*.free), lacking = Size(.needed.saturating_sub(*.free))
    )]
    NoSpace {
        /// The download folder.
        path: PathBuf,
        /// Bytes that are still to be written.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Nothing can be written there.
    #[error(
        "could not {action} {}: its file system is read-only; make it writable, or move the torrent to another \
         folder", .path.display()
    )]
    ReadOnly {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// The system does not let this user do that.
    #[error(
        "could not {action} {}: this is not permitted; change the permissions there, or move the torrent to \
         another folder", .path.display()
    )]
    Denied {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// The file is not there.
    #[error("{} is missing; put it back, or check the files again to fetch it", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file ends before the bytes that were asked for.
    #[error("{} is shorter than it should be; check the files again to fetch the rest", .path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
    },
    /// A symbolic link on the way leads out of the download folder.
    #[error(
        "{} was not opened: a symbolic link leads out of the download folder; remove the link, or make the \
         folder that it points to the download folder", .path.display()
    )]
    Outside {
        /// The file as the torrent names it.
        path: PathBuf,
    },
    /// Something else than a file stands where the file should be.
    #[error("{} is not a regular file; move it out of the way", .path.display())]
    NotAFile {
        /// What stands there.
        path: PathBuf,
    },
    /// A file is there of which nothing belongs to the torrent, or which is longer than the torrent's.
    #[error(
        "{} is in the way: it was there before and does not belong to this torrent, so nothing was written to it; move \
         it away and start the torrent again, or move the torrent to another folder", .path.display()
    )]
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// Data would be moved over a file that exists.
    #[error("nothing was moved: {} exists already; move it out of the way or choose another folder", .path.display())]
    Exists {
        /// The file that is in the way.
        path: PathBuf,
    },
    /// The client is closing in the middle of a move, or the torrent is to be removed; the data stays where it was.
    #[error("moving to {} was interrupted; the data stays in its old folder", .path.display())]
    Interrupted {
        /// Where it should have gone.
        path: PathBuf,
    },
    /// The trash did not take the files. Nothing is deleted instead.
    #[error("the trash did not take {}: {source}; nothing was deleted", .path.display())]
    Trash {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Arc<trash::Error>,
    },
    /// The trash did not give back what it has.
    #[error("the trash did not give back {}: {source}; what is in the trash can be restored there", .path.display())]
    Restore {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Arc<trash::Error>,
    },
    /// Somebody has emptied the trash, or restored it already.
    #[error("{} is not in the trash any more", .path.display())]
    NotInTrash {
        /// The file or folder.
        path: PathBuf,
    },
    /// Bytes that the piece does not have.
    #[error("bytes {begin}+{length} lie outside piece {piece}")]
    OutOfRange {
        /// The piece.
        piece: PieceIndex,
        /// First byte within it.
        begin: u32,
        /// How many.
        length: u64,
    },
    /// Anything else that the system refused.
    #[error("could not {action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl StorageError {
    /// Whether there is no room. Such a torrent pauses, and goes on by itself when there is.
    pub const fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::NoSpace { .. })
    }

    /// Whether the bytes are simply not there, as opposed to a disk that fails.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::TooShort { .. })
    }

    /// Whether somebody else's file would have to be written over.
    pub const fn is_in_the_way(&self) -> bool {
        matches!(self, Self::InTheWay { .. })
    }

    /// Sorts an error of the system by what a person can do about it.
    pub(super) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::DiskFull { path },
            Some(Errno::ROFS) => Self::ReadOnly { action, path },
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied { action, path },
            Some(Errno::NOENT) => Self::Missing { path },
            // What `openat2` says of a path that leaves the folder.
            Some(Errno::XDEV | Errno::LOOP) => Self::Outside { path },
            Some(Errno::ISDIR) => Self::NotAFile { path },
            _ => Self::Io {
                action,
                path,
                source: Arc::new(source),
            },
        }
    }
}
