//! Two torrents of the list must not write into the same file: the second would silently destroy the first.

use std::cell::LazyCell;
use std::collections::HashSet;
use std::path::Path;

use crate::engine::Engine;
use crate::engine::entry::{AfterStop, Entry};
use crate::id::InfoHash;
use crate::metainfo::{Info, Metainfo};
use crate::sentence::told;
use crate::storage::layout::Layout;

impl Engine {
    /// Why this torrent cannot have its files in `folder`: another one of the list has them there, or will. `serves`: it
    /// has all of its data and will never write, so it may lie in the files of another one that is complete.
    pub(super) fn shared_file(&self, metainfo: &Metainfo, folder: &Path, serves: bool) -> Option<String> {
        let info = &metainfo.info;
        let mut rivals = self.torrents.of_same_top(info).filter(|other| {
            other.info_hash() != info.info_hash
                && !(serves && other.status.complete)
                && is_in(other, folder)
                && !have_same_content(&other.metainfo.info, info)
        });
        // Hardly ever is there one.
        let layout = LazyCell::new(|| Layout::new(info));
        rivals.find_map(|other| {
            let path = common(&layout, other.storage.layout())?;
            let (path, other) = (folder.join(path), other.name());
            let path = path.display();
            Some(told!(
                "“{path}” is a file of {other}, another torrent in the list; choose another folder"
            ))
        })
    }

    /// Refuses a move to where another torrent has a file of the same name. Says whether it did.
    pub(super) fn refuses_move(&mut self, id: InfoHash, to: &Path) -> bool {
        let problem = self.torrents.get(id).and_then(|entry| {
            let serves = entry.status.complete;
            self.shared_file(&entry.metainfo, to, serves)
        });
        if let Some(problem) = problem {
            self.fail(Some(id), told!("nothing was moved: {problem}"));
            return true;
        }
        false
    }
}

/// Whether the files of a torrent are in this folder, or on their way there.
fn is_in(entry: &Entry, folder: &Path) -> bool {
    let waiting = entry.after_stop.iter().filter_map(|what| match what {
        AfterStop::Move(to) => Some(to),
        _ => None,
    });
    let mut folders = waiting.chain(&entry.moving_to).chain([&entry.folder]);
    folders.any(|other| is_same_folder(other, folder))
}

/// Whether two names, of which neither need exist, are the same folder.
fn is_same_folder(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Torrents of the same pieces in the same files, as the same data is published for several trackers: they write the same.
fn have_same_content(one: &Info, other: &Info) -> bool {
    one.geometry == other.geometry
        && one.piece_hashes == other.piece_hashes
        && one.files.len() == other.files.len()
        && (one.files.iter().zip(&other.files))
            .all(|(one, other)| one.path == other.path && one.length == other.length)
}

/// The first path of `one` that is a file of both, or a file of one and a folder of the other.
fn common<'l>(one: &'l Layout, other: &Layout) -> Option<&'l Path> {
    let mut folders = HashSet::new();
    for file in other.files() {
        for folder in file.path.ancestors().skip(1) {
            // The rest of the way is known from an earlier file.
            if !folders.insert(folder) {
                break;
            }
        }
    }
    let files: HashSet<_> = other.files().iter().map(|file| file.path.as_path()).collect();
    let mut paths = one.files().iter().map(|file| file.path.as_path());
    paths.find(|path| folders.contains(path) || path.ancestors().any(|part| files.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fixture::Torrent;

    #[test]
    fn a_file_is_shared_by_its_whole_path_only() {
        let layout = |files: &[(&str, u64)]| {
            let torrent = Torrent::new(files, 1_000);
            torrent.storage(Path::new("/nowhere")).layout().clone()
        };
        let ours = layout(&[("t/a", 10), ("t/b/c", 10)]);
        for (files, expected) in [
            (&[("t/a2", 10), ("t/b/d", 10)][..], None),
            (&[("t/x", 10), ("t/b/c", 99)][..], Some("t/b/c")),
            (&[("t/b", 10)][..], Some("t/b/c")),
            (&[("t/a/b", 10)][..], Some("t/a")),
        ] {
            let found = common(&ours, &layout(files));
            assert_eq!(found, expected.map(Path::new), "{files:?}");
        }
    }
}
