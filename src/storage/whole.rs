//! A file system that is synced as a whole. Layer 3.
//!
//! Syncing a file makes the disk empty its own cache, even if nothing of the file is left to be written: of 50,000
//! small files that is most of what syncing them costs. One sync of the file system makes all of them safe, and says
//! so, where the kernel and the file system are known to keep that promise.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::LazyLock;

use super::below::Folder;

/// By `f_type` of statfs(2): ext2 to ext4, XFS, Btrfs, F2FS, tmpfs. FUSE does not tell its server of such a sync.
const TRUSTED: [u32; 5] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x0102_1994];

/// From this Linux on, syncfs(2) reports data that could not be written.
const REPORTS_SINCE: (u32, u32) = (5, 8);

static REPORTS: LazyLock<bool> = LazyLock::new(|| {
    let uname = rustix::system::uname();
    version(&uname.release().to_string_lossy()).is_some_and(|version| version >= REPORTS_SINCE)
});

/// A file system, opened. A sync reports whatever failed to reach the disk since then, even if somebody else was told
/// of it in between.
#[derive(Debug)]
pub(super) struct FileSystem {
    folder: File,
    device: u64,
}

impl FileSystem {
    /// The one that holds a folder; `None` if a sync of it as a whole is not to be relied on.
    pub(super) fn open(folder: &Folder) -> io::Result<Option<Self>> {
        let folder = folder.open_itself()?;
        let kind = rustix::fs::fstatfs(&folder)?.f_type as u32;
        if !*REPORTS || !TRUSTED.contains(&kind) {
            return Ok(None);
        }
        let device = folder.metadata()?.dev();
        Ok(Some(Self { folder, device }))
    }

    /// Whether what this name leads to lies on it.
    pub(super) fn holds(&self, folder: &Folder, name: &Path) -> bool {
        folder
            .metadata(name)
            .is_ok_and(|found| found.dev() == self.device)
    }

    /// Returns once everything that was written to it has been given to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.folder)?)
    }
}

/// Major and minor of a release such as `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.10-rc1"), Some((5, 10)));
        assert_eq!(version("next"), None);
        assert!(version("5.4.0").is_some_and(|version| version < REPORTS_SINCE));
    }
}
