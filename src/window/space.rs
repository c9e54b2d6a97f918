//! How much room there is where a torrent would go. Layer 4; the disk is asked off the GTK thread.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dtorrent::storage::{StorageError, free_space};
use gtk::gio;

use super::i18n::tr;
use super::{library, words};

/// Unit of [`MetadataExt::blocks`], whatever the file system has.
const BLOCK: u64 = 512;

/// What a folder has room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes that we may write.
    pub(crate) free: u64,
    /// Whether we may write there at all.
    pub(crate) writable: bool,
    /// Bytes on disk of each of the files that were asked for.
    pub(crate) present: Vec<u64>,
}

/// Asks the disk of `folder`, which need not be there yet, and looks which of these files below it are.
pub(crate) async fn measure(folder: PathBuf, files: Vec<PathBuf>) -> Result<Space, String> {
    let measured = gio::spawn_blocking(move || measure_now(&folder, &files)).await;
    match measured {
        Ok(measured) => measured.map_err(|error| library::in_own_words(&error.to_string())),
        Err(_) => Err(tr!("DTorrent made a mistake while it looked")),
    }
}

fn measure_now(folder: &Path, files: &[PathBuf]) -> Result<Space, StorageError> {
    let there = folder
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"));
    let on_disk = |file: &PathBuf| {
        let metadata = folder.join(file).symlink_metadata();
        metadata.map_or(0, |metadata| metadata.blocks().saturating_mul(BLOCK))
    };
    Ok(Space {
        free: free_space(folder)?,
        writable: rustix::fs::access(there, rustix::fs::Access::WRITE_OK).is_ok(),
        present: files.iter().map(on_disk).collect(),
    })
}

/// What a person should know who wants so many bytes where so many are free; `None`: they fit.
pub(crate) fn shortage(needed: u64, free: u64) -> Option<String> {
    let lacks = needed.checked_sub(free).filter(|lacks| *lacks > 0)?;
    Some(tr!(
        "{lacks} more are needed than are free there. Select less, or choose another folder.",
        lacks = words::size(lacks)
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_is_to_be_made_has_the_room_of_its_disk() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), vec![1; 100_000]).unwrap();
        let files = ["a".into(), "b".into()];
        let there = measure_now(folder.path(), &files).unwrap();
        assert!(there.free > 0 && there.writable);
        assert!(there.present[0] >= 100_000 && there.present[1] == 0, "{there:?}");
        let later = measure_now(&folder.path().join("new/er"), &files).unwrap();
        assert!(later.free > 0 && later.writable);
        assert_eq!(later.present, [0, 0]);
        let closed = std::fs::Permissions::from_mode(0o555);
        std::fs::set_permissions(folder.path(), closed).unwrap();
        let closed = measure_now(folder.path(), &[]).unwrap();
        // Nothing is closed to root.
        assert_eq!(closed.writable, rustix::process::geteuid().is_root());
    }

    #[test]
    fn what_does_not_fit_is_said_in_words() {
        assert_eq!(shortage(10, 10), None);
        let told = shortage(3 * 1024, 1024).unwrap();
        assert!(told.starts_with("2 KiB more are needed"), "{told}");
    }
}
