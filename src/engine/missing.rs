//! Files that have gone since the last run. Owned by the engine thread.

use std::path::PathBuf;

use crate::engine::api::Priority;
use crate::sentence::told;
use crate::size::Count;
use crate::storage::layout::{FileIndex, Layout};

/// The wanted files of one torrent that were gone at the start: without a word about them they would seem never to
/// have been there. They are forgotten when all is there again, and each of them when it is wanted no more.
#[derive(Debug, Default)]
pub(super) struct MissingFiles {
    files: Vec<FileIndex>,
    /// Where they were looked for: the torrent may have moved since.
    folder: PathBuf,
}

impl MissingFiles {
    /// Those of `files`, looked for in `folder`, that are wanted.
    pub(super) fn new(files: Vec<FileIndex>, folder: PathBuf, priorities: &[Priority]) -> Self {
        let mut missing = Self { files, folder };
        missing.forget_skipped(priorities);
        missing
    }

    /// The user does without those that are skipped, as he was told he might: they are none of ours any more, even if
    /// he wants them again later.
    pub(super) fn forget_skipped(&mut self, priorities: &[Priority]) {
        // No choice at all means that everything is wanted.
        self.files
            .retain(|file| priorities.get(file.get()) != Some(&Priority::Skip));
    }

    pub(super) fn forget(&mut self) {
        self.files.clear();
    }

    /// What a person is told of them, if there are any.
    pub(super) fn words(&self, layout: &Layout) -> Option<String> {
        let folder = self.folder.display();
        match self.files[..] {
            [] => None,
            [one] => {
                let name = layout.files()[one.get()].path.display();
                Some(told!(
                    "“{name}” was missing from {folder} and is fetched again; skip it to do without"
                ))
            }
            _ => {
                let files = Count(self.files.len() as u64, "file");
                Some(told!(
                    "{files} were missing from {folder} and are fetched again; skip them to do without"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fixture::Torrent;

    #[test]
    fn a_file_that_is_skipped_is_forgotten_for_good() {
        use Priority::{High, Normal, Skip};
        let torrent = Torrent::new(&[("t/a", 1_000), ("t/b", 1_000), ("t/c", 1_000)], 1_000);
        let storage = torrent.storage(std::path::Path::new("/nowhere"));
        let all = || (0..3).map(FileIndex).collect::<Vec<_>>();
        let words = |missing: &MissingFiles| missing.words(storage.layout());

        let unchosen = MissingFiles::new(all(), "/d".into(), &[]);
        assert!(
            words(&unchosen)
                .unwrap()
                .starts_with("3 files were missing from /d ")
        );
        let mut missing = MissingFiles::new(all(), "/d".into(), &[Normal, High, Skip]);
        assert!(words(&missing).unwrap().starts_with("2 files were "));
        missing.forget_skipped(&[Skip, High, Normal]);
        assert!(words(&missing).unwrap().starts_with("“t/b” was missing from /d "));
        missing.forget_skipped(&[Normal, Skip, Normal]);
        missing.forget_skipped(&[Normal; 3]);
        assert_eq!(words(&missing), None);
    }
}
