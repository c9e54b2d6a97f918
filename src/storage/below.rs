//! File operations on names below one folder, none of which can leave it. Layer 3.
//!
//! The names come from a `.torrent`, and what lies in the folder may have been prepared by whoever made it:
//! symbolic links, pipes, devices. The kernel resolves every name with `openat2` and `RESOLVE_BENEATH`, so a
//! link that stays inside works and one that leads out fails, however the tree changes meanwhile. Kernels
//! before 5.6 (and sandboxes that hide the call) get a walk, component by component, that follows no link at
//! all.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

/// How often a lookup is tried again when the tree changed under it.
const RESOLVE_ATTEMPTS: usize = 64;

/// For folders that are synced.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Reading a file that exists.
    Read,
    /// Reading and writing a file that exists.
    Write,
    /// Reading and writing a file that must not exist yet.
    CreateNew,
}

/// A folder below which everything happens.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder that exists. Its own path is the user's choice and may hold links.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// Opens a folder; creates it with its parents if need be.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Self::open(path)
    }

    /// The name in full, for messages.
    pub(super) fn full(&self, name: &Path) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a regular file. Anything else is refused with `EISDIR`, pipes without waiting for their other end.
    pub(super) fn file(&self, name: &Path, access: Access) -> io::Result<File> {
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
            Access::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let mode = match access {
            Access::CreateNew => Mode::from_raw_mode(0o666),
            Access::Read | Access::Write => Mode::empty(),
        };
        let fd = self.resolve(name, flags | OFlags::NONBLOCK | OFlags::NOCTTY, mode)?;
        let file = File::from(fd);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(Errno::ISDIR.into())
        }
    }

    /// Creates the folders that a name needs.
    pub(super) fn make_parents(&self, name: &Path) -> io::Result<()> {
        for folder in parents(name) {
            let (parent, last) = self.parent(folder)?;
            match rustix::fs::mkdirat(&parent, last, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Size and times of what the name leads to.
    pub(crate) fn metadata(&self, name: &Path) -> io::Result<Metadata> {
        File::from(self.resolve(name, OFlags::PATH, Mode::empty())?).metadata()
    }

    /// Whether anything has this name, a link that leads nowhere included.
    pub(super) fn exists(&self, name: &Path) -> io::Result<bool> {
        let found = self.parent(name).and_then(|(parent, last)| {
            let stat = rustix::fs::statat(&parent, last, AtFlags::SYMLINK_NOFOLLOW);
            Ok(stat.map(drop)?)
        });
        match found {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes a file, or a link and not what it points to.
    pub(super) fn remove_file(&self, name: &Path) -> io::Result<()> {
        let (parent, last) = self.parent(name)?;
        Ok(rustix::fs::unlinkat(&parent, last, AtFlags::empty())?)
    }

    /// Deletes the folders that these names needed, as far as nothing else is in them.
    pub(super) fn remove_empty_parents<'a>(&self, names: impl Iterator<Item = &'a Path>) {
        let mut folders: Vec<&Path> = names.flat_map(parents).collect();
        // Deepest first.
        folders.sort_by_key(|folder| std::cmp::Reverse((folder.components().count(), *folder)));
        folders.dedup();
        for folder in folders {
            let removed = self
                .parent(folder)
                .and_then(|(parent, last)| Ok(rustix::fs::unlinkat(&parent, last, AtFlags::REMOVEDIR)?));
            if let Err(error) = removed {
                log::debug!("{} stays: {error}", self.full(folder).display());
            }
        }
    }

    /// Gives a file another folder, keeping its name. Fails with `EEXIST` rather than replace anything.
    pub(super) fn rename(&self, name: &Path, to: &Self) -> io::Result<()> {
        let (old, last) = self.parent(name)?;
        let (new, _) = to.parent(name)?;
        match rustix::fs::renameat_with(&old, last, &new, last, RenameFlags::NOREPLACE) {
            // Some network file systems know no flags; the caller has looked for conflicts.
            Err(Errno::INVAL | Errno::NOSYS) => Ok(rustix::fs::renameat(&old, last, &new, last)?),
            result => Ok(result?),
        }
    }

    /// Makes the existence of these names survive a power cut: syncs every folder on their ways, each once.
    pub(super) fn sync_parents<'a>(&self, names: impl Iterator<Item = &'a Path>) -> io::Result<()> {
        let folders: BTreeSet<&Path> = names.flat_map(parents).chain([Path::new(".")]).collect();
        for folder in folders {
            rustix::fs::fsync(self.resolve(folder, FOLDER, Mode::empty())?)?;
        }
        Ok(())
    }

    /// Makes all that was written to this file system survive a power cut, whoever wrote it.
    pub(super) fn sync_file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(self.open_itself()?)?)
    }

    /// The folder itself, for what is done with an open one.
    pub(super) fn open_itself(&self) -> io::Result<File> {
        Ok(File::from(self.resolve(Path::new("."), FOLDER, Mode::empty())?))
    }

    /// The folder that holds a name, and the name's last component.
    fn parent<'n>(&self, name: &'n Path) -> io::Result<(OwnedFd, &'n OsStr)> {
        let last = name.file_name().ok_or(Errno::INVAL)?;
        let parent = match name.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let fd = self.resolve(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        Ok((fd, last))
    }

    fn resolve(&self, name: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..RESOLVE_ATTEMPTS {
            match rustix::fs::openat2(&self.fd, name, flags, mode, how) {
                // A rename somewhere raced with the lookup.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOSYS) => return self.resolve_stepwise(name, flags, mode),
                result => return Ok(result?),
            }
        }
        Err(Errno::AGAIN.into())
    }

    #[cfg(test)]
    pub(super) fn resolve_stepwise_for_test(&self, name: &Path) -> io::Result<OwnedFd> {
        self.resolve_stepwise(name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }

    /// As [`Self::resolve`] where the kernel cannot help: follows no link at all.
    fn resolve_stepwise(&self, name: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = rustix::fs::openat(&self.fd, ".", step, Mode::empty())?;
        let mut rest = name
            .components()
            .filter(|part| *part != Component::CurDir)
            .peekable();
        if rest.peek().is_none() {
            return Ok(rustix::fs::openat(&at, ".", flags, mode)?);
        }
        while let Some(part) = rest.next() {
            let Component::Normal(part) = part else {
                return Err(Errno::XDEV.into());
            };
            if rest.peek().is_none() {
                return Ok(rustix::fs::openat(&at, part, flags | OFlags::NOFOLLOW, mode)?);
            }
            at = rustix::fs::openat(&at, part, step, Mode::empty())?;
        }
        Err(Errno::INVAL.into())
    }
}

/// Whether an error says that there is no such name.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR))
}

/// The folders on the way to a name, outermost first, without the starting point.
fn parents(name: &Path) -> Vec<&Path> {
    let mut folders: Vec<&Path> = name
        .ancestors()
        .skip(1)
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    folders.reverse();
    folders
}
