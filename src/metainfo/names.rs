//! Names from a `.torrent` made into paths that are safe to create.
//!
//! Whoever made the torrent chose its names, so they may aim outside of the download folder, or at each
//! other. Every name that a Linux file system can hold is kept as it is (backslashes and control characters
//! too: data that a torrent was made from must be found again under its own name); the rest is changed as
//! little as makes it safe, always in the same way, so that a torrent finds its files again.

use std::borrow::Cow;
use std::hash::RandomState;

use hashbrown::{Equivalent, HashMap};

/// Most bytes of one component that Linux file systems take (`NAME_MAX`).
const NAME_MAX: usize = 255;

/// Longest ending, dot included, that is kept when a name is shortened: beyond that it is no file type.
const ENDING_MAX: usize = 32;

/// As long as the longest number that can be needed, [`super::MAX_FILES`] in brackets.
const WIDEST_SUFFIX: &str = " (500000)";

/// The text of a name: what is not UTF-8 is replaced with U+FFFD.
pub(super) fn text(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name)
}

/// One component that can be created; `None` for an empty one, which says nothing.
pub(super) fn component(name: &str) -> Option<String> {
    match name {
        "" => None,
        "." => Some("_".into()),
        ".." => Some("__".into()),
        name => {
            // Searched as bytes: these two are one byte each in UTF-8, and none of another letter.
            let safe = match name.bytes().any(|byte| matches!(byte, b'/' | b'\0')) {
                true => name.replace(['/', '\0'], "_"),
                false => name.to_owned(),
            };
            Some(if safe.len() > NAME_MAX {
                shortened(&safe, "")
            } else {
                safe
            })
        }
    }
}

/// The name with `suffix` put before its ending, and as much of its middle left out as fits.
fn shortened(name: &str, suffix: &str) -> String {
    let (stem, ending) = split_ending(name);
    let room = NAME_MAX.saturating_sub(suffix.len() + ending.len());
    format!("{}{suffix}{ending}", &stem[..stem.floor_char_boundary(room)])
}

/// Splits `a.txt` before its dot. A name that begins with its only dot has no ending.
fn split_ending(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= ENDING_MAX => name.split_at(dot),
        _ => (name, ""),
    }
}

/// The folders and files of one torrent, each name given away once. Memory and time are linear in the paths,
/// whatever they are: folders are numbered rather than keyed by their whole path.
#[derive(Debug, Default)]
pub(super) struct NameTree {
    taken: Names<Node>,
    /// Where a folder went whose name was taken by a file.
    moved: Names<FolderId>,
    /// The number tried last for a name that is taken. It never goes back, so many equal names do not search
    /// from 2 each time; nor do long names that differ only where a number takes the place of their end, as
    /// they share one entry under what the widest number leaves of them.
    last_number: Names<u32>,
    /// Name of every folder but the root, by its id less one.
    folder_names: Vec<String>,
}

/// 0 is the download folder.
type FolderId = usize;

/// Something about names, by the folder that they are in. The hasher has random keys, as others choose the names.
type Names<T> = HashMap<(FolderId, String), T, RandomState>;

/// A name to be looked up, without a copy of it.
#[derive(Hash)]
struct Name<'a>(FolderId, &'a str);

impl Equivalent<(FolderId, String)> for Name<'_> {
    fn equivalent(&self, key: &(FolderId, String)) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

#[derive(Debug, Clone, Copy)]
enum Node {
    File,
    Folder(FolderId),
}

impl NameTree {
    /// The path for the next file: `path` itself unless an earlier file or folder has that name; then
    /// a number goes before the ending, as in `a (2).txt`. Components must be from [`component`].
    pub(super) fn place(&mut self, mut path: Vec<String>) -> Vec<String> {
        let Some((name, folders)) = path.split_last_mut() else {
            return path;
        };
        let mut parent = 0;
        for folder in folders {
            parent = self.folder(parent, folder);
            let placed = &self.folder_names[parent - 1];
            if placed != folder {
                folder.clone_from(placed);
            }
        }
        if let Some(other) = self.claim(parent, name, Node::File) {
            *name = other;
        }
        path
    }

    fn folder(&mut self, parent: FolderId, name: &str) -> FolderId {
        let key = Name(parent, name);
        if let Some(Node::Folder(id)) = self.taken.get(&key) {
            return *id;
        }
        if let Some(id) = self.moved.get(&key) {
            return *id;
        }
        let id = self.folder_names.len() + 1;
        let claimed = self.claim(parent, name, Node::Folder(id));
        if claimed.is_some() {
            self.moved.insert((parent, name.to_owned()), id);
        }
        self.folder_names.push(claimed.unwrap_or_else(|| name.to_owned()));
        id
    }

    /// Gives a name away; another one, which it returns, if this is taken.
    fn claim(&mut self, parent: FolderId, name: &str, node: Node) -> Option<String> {
        if !self.taken.contains_key(&Name(parent, name)) {
            self.taken.insert((parent, name.to_owned()), node);
            return None;
        }
        loop {
            let number = self
                .last_number
                .entry((parent, shortened(name, WIDEST_SUFFIX)))
                .or_insert(1);
            *number += 1;
            let candidate = shortened(name, &format!(" ({number})"));
            if !self.taken.contains_key(&Name(parent, &candidate)) {
                self.taken.insert((parent, candidate.clone()), node);
                return Some(candidate);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_would_harm() {
        let table = [
            ("plain.txt", Some("plain.txt")),
            ("Ünïcode ☃", Some("Ünïcode ☃")),
            ("back\\slash", Some("back\\slash")),
            ("", None),
            (".", Some("_")),
            ("..", Some("__")),
            ("...", Some("...")),
            ("/etc/passwd", Some("_etc_passwd")),
            ("../../x", Some(".._.._x")),
            ("a\0b", Some("a_b")),
            ("/", Some("_")),
        ];
        for (given, safe) in table {
            assert_eq!(component(given).as_deref(), safe, "{given:?}");
        }
    }

    #[test]
    fn long_names_keep_their_ending() {
        let table = [
            (
                format!("{}.tar", "n".repeat(300)),
                format!("{}.tar", "n".repeat(251)),
            ),
            ("n".repeat(256), "n".repeat(255)),
            // Two bytes a letter: never cut through one.
            (
                format!("{}.txt", "ü".repeat(200)),
                format!("{}.txt", "ü".repeat(125)),
            ),
            (format!("a.{}", "b".repeat(300)), format!("a.{}", "b".repeat(253))),
            (format!(".{}", "b".repeat(300)), format!(".{}", "b".repeat(254))),
        ];
        for (given, short) in table {
            assert_eq!(component(&given), Some(short));
        }
    }

    #[test]
    fn names_that_meet() {
        let table: &[(&[&str], &[&str])] = &[
            (&["t/a", "t/a"], &["t/a", "t/a (2)"]),
            (
                &["t/a.txt", "t/a.txt", "t/a.txt"],
                &["t/a.txt", "t/a (2).txt", "t/a (3).txt"],
            ),
            (&["t/a", "t/a (2)", "t/a"], &["t/a", "t/a (2)", "t/a (3)"]),
            (&["t/a", "t/a", "t/a (2)"], &["t/a", "t/a (2)", "t/a (2) (2)"]),
            // A file, then a folder of the same name, which stays one folder.
            (&["t/a", "t/a/b", "t/a/c"], &["t/a", "t/a (2)/b", "t/a (2)/c"]),
            // A folder, then a file of the same name.
            (&["t/a/b", "t/a"], &["t/a/b", "t/a (2)"]),
            (&["t/x/a", "t/y/a"], &["t/x/a", "t/y/a"]),
            // The real owner of a name comes after a folder that had to move there.
            (
                &["t/a", "t/a/b", "t/a (2)/b"],
                &["t/a", "t/a (2)/b", "t/a (2)/b (2)"],
            ),
        ];
        for (given, placed) in table {
            let mut tree = NameTree::default();
            let split = |path: &str| path.split('/').map(String::from).collect::<Vec<_>>();
            let got: Vec<_> = given
                .iter()
                .map(|path| tree.place(split(path)).join("/"))
                .collect();
            assert_eq!(&got, placed, "{given:?}");
        }
    }

    /// With a search from 2 each time these would take minutes.
    #[test]
    fn very_many_names_that_meet_take_no_longer_each() {
        let equal = |_| "n".repeat(255);
        let equal_when_numbered = |number: u32| format!("{}{:05}", "n".repeat(250), number / 2);
        let names = (0..40_000).map(equal).chain((0..40_000).map(equal_when_numbered));
        let mut tree = NameTree::default();
        let all: HashSet<_> = names.map(|name| tree.place(vec!["t".to_owned(), name])).collect();
        assert_eq!(all.len(), 80_000);
        assert!(all.iter().all(|path| path[1].len() <= NAME_MAX));
    }

    proptest! {
        #[test]
        fn no_two_files_share_a_path(paths in prop::collection::vec(
            prop::collection::vec("[ab]( \\(2\\))?", 1..4), 0..40))
        {
            let mut tree = NameTree::default();
            let placed: Vec<_> = paths.iter().map(|path| tree.place(path.clone())).collect();
            let files: HashSet<_> = placed.iter().collect();
            prop_assert_eq!(files.len(), paths.len());
            for path in &placed {
                for end in 1..path.len() {
                    prop_assert!(!files.contains(&path[..end].to_vec()), "{path:?} lies below a file");
                }
            }
        }

        #[test]
        fn components_can_be_created(name in "\\PC{0,300}|[./\0a]{0,4}") {
            if let Some(safe) = component(&name) {
                prop_assert!(!safe.is_empty() && safe.len() <= NAME_MAX);
                prop_assert!(safe != "." && safe != ".." && !safe.contains(['/', '\0']));
            }
        }
    }
}
