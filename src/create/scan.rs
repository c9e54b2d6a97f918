//! What lies below a path, in the order in which it is hashed.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use rustix::io::Errno;

use super::CreateError;
use crate::metainfo::{MAX_COMPONENTS, MAX_FILES, MetainfoError};
use crate::storage::below::Folder;

/// A file or folder as it was found.
#[derive(Debug)]
pub(super) struct Scan {
    /// Name of the torrent.
    pub(super) name: String,
    /// Whether it is a folder.
    pub(super) folder: bool,
    /// The files, in the order of the torrent's bytes.
    pub(super) files: Vec<ScannedFile>,
    /// Bytes of all files.
    pub(super) total: u64,
}

/// One file as it was found.
#[derive(Debug)]
pub(super) struct ScannedFile {
    /// Where it is.
    pub(super) source: PathBuf,
    /// Its path below the folder; empty for a lone file.
    pub(super) path: Vec<String>,
    /// Where it begins in the torrent.
    pub(super) start: u64,
    /// Bytes.
    pub(super) length: u64,
    /// When it was last written to.
    pub(super) modified: Option<SystemTime>,
}

/// Lists the files of a torrent of `path`, and refuses what cannot be part of one.
pub(super) fn scan(path: &Path, cancelled: &AtomicBool) -> Result<Scan, CreateError> {
    let metadata = metadata(path)?;
    let (folder, name) = place_of(path)?;
    let mut walk = Walk {
        root: path,
        shared: Folder::open(&folder).map_err(|source| read_error(&folder, source))?,
        folder,
        name,
        files: Vec::new(),
        total: 0,
        parents: Vec::new(),
        cancelled,
    };
    walk.entry(path, &metadata, &mut Vec::new())?;
    if walk.files.is_empty() {
        return Err(CreateError::NoFiles(path.to_owned()));
    }
    if walk.total == 0 {
        return Err(CreateError::NoData(path.to_owned()));
    }
    Ok(Scan {
        name: walk.name,
        folder: metadata.is_dir(),
        files: walk.files,
        total: walk.total,
    })
}

/// The folder that holds it, and the last component, also of `.` and `..`, which have theirs only once they are
/// resolved.
fn place_of(path: &Path) -> Result<(PathBuf, String), CreateError> {
    let resolved;
    let mut place = path;
    if place.file_name().is_none() {
        resolved = path.canonicalize().map_err(|source| read_error(path, source))?;
        place = &resolved;
    }
    let name = place
        .file_name()
        .ok_or_else(|| CreateError::NoName(path.to_owned()))?
        .to_str()
        .ok_or_else(|| CreateError::Name(path.to_owned()))?;
    let folder = match place.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok((folder.to_owned(), name.to_owned()))
}

struct Walk<'a> {
    root: &'a Path,
    /// The folder that holds `root`: from there it will be shared.
    folder: PathBuf,
    /// The same, for looking at names below it as they will be when it is shared.
    shared: Folder,
    /// Name of the torrent.
    name: String,
    files: Vec<ScannedFile>,
    total: u64,
    /// Device and inode of the folders that we are in: one that comes again is a loop.
    parents: Vec<(u64, u64)>,
    cancelled: &'a AtomicBool,
}

impl Walk<'_> {
    fn entry(
        &mut self,
        source: &Path,
        metadata: &Metadata,
        path: &mut Vec<String>,
    ) -> Result<(), CreateError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(CreateError::Cancelled);
        }
        self.check_link(source, path)?;
        if metadata.is_dir() {
            self.folder(source, metadata, path)
        } else if metadata.is_file() {
            self.file(source, metadata, path)
        } else {
            Err(CreateError::Special(source.to_owned()))
        }
    }

    /// Refuses a link that nobody could follow once the torrent is shared, see [`crate::storage::below`].
    fn check_link(&self, source: &Path, path: &[String]) -> Result<(), CreateError> {
        if !fs::symlink_metadata(source).is_ok_and(|found| found.is_symlink()) {
            return Ok(());
        }
        let mut name = PathBuf::from(&self.name);
        name.extend(path);
        match self.shared.metadata(&name) {
            Ok(_) => Ok(()),
            Err(error) if leads_out(&error) => Err(CreateError::Outside {
                link: source.to_owned(),
                folder: self.folder.clone(),
            }),
            Err(error) => Err(read_error(source, error)),
        }
    }

    fn file(&mut self, source: &Path, metadata: &Metadata, path: &[String]) -> Result<(), CreateError> {
        if self.files.len() == MAX_FILES {
            return Err(CreateError::TooManyFiles(self.root.to_owned()));
        }
        self.files.push(ScannedFile {
            source: source.to_owned(),
            path: path.to_vec(),
            start: self.total,
            length: metadata.len(),
            modified: metadata.modified().ok(),
        });
        self.total = self
            .total
            .checked_add(metadata.len())
            .ok_or(MetainfoError::TotalLength)?;
        Ok(())
    }

    /// The depth is bounded by the length of a path in a torrent, so recursion is safe.
    fn folder(
        &mut self,
        source: &Path,
        metadata: &Metadata,
        path: &mut Vec<String>,
    ) -> Result<(), CreateError> {
        let identity = (metadata.dev(), metadata.ino());
        if self.parents.contains(&identity) {
            return Err(CreateError::Loop(source.to_owned()));
        }
        if path.len() >= MAX_COMPONENTS {
            return Err(MetainfoError::LongPath(self.files.len() + 1).into());
        }
        self.parents.push(identity);
        for name in sorted_names(source)? {
            let inner = source.join(&name);
            path.push(name);
            self.entry(&inner, &self::metadata(&inner)?, path)?;
            path.pop();
        }
        self.parents.pop();
        Ok(())
    }
}

/// The names in a folder in the order of their bytes, whatever order the file system gives.
fn sorted_names(folder: &Path) -> Result<Vec<String>, CreateError> {
    let failed = |source| read_error(folder, source);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.push(
            name.into_string()
                .map_err(|name| CreateError::Name(folder.join(name)))?,
        );
    }
    names.sort_unstable();
    Ok(names)
}

/// Of what a link leads to, for links.
fn metadata(path: &Path) -> Result<Metadata, CreateError> {
    fs::metadata(path).map_err(|source| read_error(path, source))
}

/// Whether a link was not followed because of where it leads.
fn leads_out(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::XDEV | Errno::LOOP))
}

fn read_error(path: &Path, source: std::io::Error) -> CreateError {
    CreateError::Read {
        path: path.to_owned(),
        source,
    }
}
