//! The user's trash: files of torrents go into it, and come back. Layer 3.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trash::TrashItem;

use super::StorageError;
use super::below::Folder;

/// Hands the files to the trash: a folder that holds nothing else as a whole, so that it can be restored as
/// one, else file by file. Gives what it took, by the paths that these had.
///
/// # Errors
/// The first one that it did not take: then those before it are brought back, so that no half of a torrent is in it
/// which nobody remembers. If that fails as well, it says what is left in the trash.
pub(super) fn take(folder: &Folder, names: &[&Path]) -> Result<Vec<PathBuf>, StorageError> {
    // A folder that took the place of a file would go with all that is in it.
    let is_file = |path: &PathBuf| path.symlink_metadata().is_ok_and(|found| found.is_file());
    let own: HashSet<PathBuf> = names
        .iter()
        .map(|name| folder.full(name))
        .filter(is_file)
        .collect();
    let tops: HashSet<PathBuf> = names
        .iter()
        .filter(|name| name.components().count() > 1)
        .filter_map(|name| Some(folder.full(Path::new(name.components().next()?.as_os_str()))))
        .filter(|top| holds_only(top, &own))
        .collect();
    let single = own
        .iter()
        .filter(|path| !tops.iter().any(|top| path.starts_with(top)));
    let mut taken = Vec::new();
    for path in tops.iter().chain(single) {
        // The trash knows what it holds by this path.
        let known = path.parent().zip(path.file_name());
        let known = known.and_then(|(parent, name)| Some(parent.canonicalize().ok()?.join(name)));
        if let Err(source) = trash::delete(path) {
            let refused = StorageError::Trash {
                path: path.clone(),
                source: Arc::new(source),
            };
            log::warn!("{refused}");
            restore(&[taken]).into_iter().collect::<Result<(), _>>()?;
            return Err(refused);
        }
        taken.extend(known);
    }
    Ok(taken)
}

/// Brings back what [`take`] gave for each of several torrents: of several things that were at one path, the one that was
/// taken last. The whole trash is looked through for it, once.
///
/// # Errors
/// For each torrent the first thing that is not in the trash any more, or whose place is taken; all others are back.
pub(super) fn restore(taken: &[Vec<PathBuf>]) -> Vec<Result<(), StorageError>> {
    let failed = |path: &Path, source| {
        let path = path.to_owned();
        Err(StorageError::Restore { path, source })
    };
    let mut held = match newest_held() {
        Ok(held) => held,
        Err(error) => {
            let error = Arc::new(error);
            let of_one = |taken: &Vec<PathBuf>| {
                taken
                    .first()
                    .map_or(Ok(()), |path| failed(path, Arc::clone(&error)))
            };
            return taken.iter().map(of_one).collect();
        }
    };
    let mut restore_one = |path: &PathBuf| match held.remove(path) {
        Some(item) => trash::os_limited::restore_all([item]).or_else(|error| failed(path, Arc::new(error))),
        None => Err(StorageError::NotInTrash { path: path.clone() }),
    };
    let all_of_one = |taken: &Vec<PathBuf>| taken.iter().map(&mut restore_one).fold(Ok(()), Result::and);
    taken.iter().map(all_of_one).collect()
}

/// What the trash holds, by the paths that it had.
fn newest_held() -> Result<HashMap<PathBuf, TrashItem>, trash::Error> {
    let mut items = trash::os_limited::list()?;
    // The note of a thing, which is its id, says when to the second; when the note itself was written is known better.
    let written = |item: &TrashItem| fs::metadata(&item.id).and_then(|note| note.modified()).ok();
    items.sort_by_cached_key(|item| (item.time_deleted, written(item)));
    Ok(items
        .into_iter()
        .map(|item| (item.original_path(), item))
        .collect())
}

/// Whether a folder (no link to one) holds, at any depth, no file but these. What cannot be read counts as
/// somebody else's.
fn holds_only(folder: &Path, own: &HashSet<PathBuf>) -> bool {
    let is_folder = folder.symlink_metadata().is_ok_and(|found| found.is_dir());
    let Ok(entries) = folder.read_dir() else {
        return false;
    };
    is_folder
        && entries.into_iter().all(|entry| {
            entry.is_ok_and(|entry| own.contains(&entry.path()) || holds_only(&entry.path(), own))
        })
}
