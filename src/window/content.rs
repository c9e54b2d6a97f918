//! The files of torrents that may be added, as one tree, and which of them are wanted. Layer 4, but plain data.
//!
//! Each torrent is a file or a folder at the top.

use std::path::PathBuf;
use std::sync::Arc;

use dtorrent::engine::api::Priority;
use dtorrent::metainfo::Metainfo;

use super::file_tree::{FileTree, NodeId, Sums};

/// A torrent and its files in the tree, in its own order, padding left out.
#[derive(Debug)]
struct Torrent {
    metainfo: Arc<Metainfo>,
    leaves: Vec<NodeId>,
}

/// Torrents, and the tree of their files.
#[derive(Debug, Default)]
pub(crate) struct Content {
    tree: FileTree,
    torrents: Vec<Torrent>,
}

impl AsRef<FileTree> for Content {
    fn as_ref(&self) -> &FileTree {
        &self.tree
    }
}

impl Content {
    /// Takes up a torrent, all of it wanted, unless it is in the tree already.
    pub(crate) fn add(&mut self, metainfo: Arc<Metainfo>) {
        if self
            .metainfos()
            .any(|held| held.info.info_hash == metainfo.info.info_hash)
        {
            return;
        }
        let files = metainfo.info.files.iter().filter(|file| !file.padding);
        let wanted = |length| Sums::of(length, 0, Priority::Normal);
        let leaves = self
            .tree
            .add(files.map(|file| (&file.path[..], wanted(file.length))));
        self.torrents.push(Torrent { metainfo, leaves });
    }

    /// What everything comes to.
    pub(crate) fn totals(&self) -> Sums {
        self.tree.totals()
    }

    /// The torrents, in the order in which they came.
    pub(crate) fn metainfos(&self) -> impl Iterator<Item = &Arc<Metainfo>> {
        self.torrents.iter().map(|torrent| &torrent.metainfo)
    }

    /// Wants a file, or all files of a folder, or none of them. What was wanted before keeps its priority.
    pub(crate) fn set_wanted(&mut self, id: NodeId, is_wanted: bool) {
        self.change(id, |before| match (is_wanted, before) {
            (true, Priority::Skip) => Priority::Normal,
            (true, before) => before,
            (false, _) => Priority::Skip,
        });
    }

    /// The same for all torrents.
    pub(crate) fn set_all_wanted(&mut self, is_wanted: bool) {
        let tops = self.tree.top().to_vec();
        tops.into_iter().for_each(|top| self.set_wanted(top, is_wanted));
    }

    /// Gives a file its priority, or those files of a folder that are wanted; if none is, all of them.
    pub(crate) fn set_priority(&mut self, id: NodeId, priority: Priority) {
        let takes_all = self.tree.sums(id).wanted_files() == 0;
        self.change(id, |before| match before {
            Priority::Skip if !takes_all => Priority::Skip,
            _ => priority,
        });
    }

    fn change(&mut self, id: NodeId, change: impl Fn(Priority) -> Priority) {
        for leaf in self.tree.leaves(id) {
            let before = self.tree.sums(leaf);
            let priority = change(self.priority(leaf));
            self.tree
                .set(leaf, Sums::of(before.length, before.done, priority));
        }
    }

    fn priority(&self, leaf: NodeId) -> Priority {
        self.tree.sums(leaf).priority().unwrap_or_default()
    }

    /// The paths of all files below the download folder, torrent by torrent.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let files = self.metainfos().flat_map(|metainfo| &metainfo.info.files);
        files
            .filter(|file| !file.padding)
            .map(|file| file.path.iter().collect())
            .collect()
    }

    /// Bytes that what is wanted takes on a disk that holds so many bytes of each of [`Self::paths`] already.
    pub(crate) fn lacking(&self, present: &[u64]) -> u64 {
        let leaves = self.torrents.iter().flat_map(|torrent| &torrent.leaves);
        let present = present.iter().copied().chain(std::iter::repeat(0));
        let lacks = leaves.zip(present);
        lacks
            .map(|(leaf, present)| self.tree.sums(*leaf).wanted_length.saturating_sub(present))
            .fold(0, u64::saturating_add)
    }

    /// The torrents of which something is wanted, each with the priorities of its files; none: all are normal.
    pub(crate) fn chosen(&self) -> Vec<(Arc<Metainfo>, Vec<Priority>)> {
        let priorities = |torrent: &Torrent| -> Vec<Priority> {
            torrent.leaves.iter().map(|leaf| self.priority(*leaf)).collect()
        };
        let all = self.torrents.iter();
        all.map(|torrent| (Arc::clone(&torrent.metainfo), priorities(torrent)))
            .filter(|(_, priorities)| priorities.iter().any(|each| *each != Priority::Skip))
            .map(|(metainfo, priorities)| {
                let is_usual = priorities.iter().all(|each| *each == Priority::Normal);
                (metainfo, if is_usual { Vec::new() } else { priorities })
            })
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Instant;

    use dtorrent::metainfo::{Builder, Content as Made};

    use super::*;

    /// A torrent of files of these lengths.
    pub(crate) fn torrent(name: &str, files: &[(&str, u64)]) -> Arc<Metainfo> {
        let total: u64 = files.iter().map(|(_, length)| length).sum();
        let paths = files.iter().map(|(path, length)| {
            let path = path.split('/').map(str::to_owned).collect();
            (path, *length)
        });
        let content = Made::Folder(paths.collect());
        let hashes = vec![[0; 20]; total.div_ceil(16_384) as usize];
        Arc::new(
            Builder::new(name.to_owned(), content, 16_384, hashes)
                .build()
                .unwrap(),
        )
    }

    fn course() -> Content {
        let mut content = Content::default();
        let files = [("a", 10), ("slides/b", 20), ("c", 30), ("slides/deep/d", 40)];
        content.add(torrent("course", &files));
        content
    }

    fn find(content: &Content, name: &str) -> NodeId {
        let found = (0..7).find(|id| content.tree.name(*id) == name);
        found.expect("it is in the tree")
    }

    fn outline(content: &Content) -> Vec<String> {
        let mut lines = Vec::new();
        let mut todo = vec![(0, 0)];
        while let Some((id, depth)) = todo.pop() {
            let sums = content.tree.sums(id);
            let (name, wanted, files) = (content.tree.name(id), sums.wanted_files(), sums.files());
            let (of, length) = (sums.wanted_length, sums.length);
            lines.push(format!(
                "{}{name} {wanted}/{files} {of}/{length}",
                "  ".repeat(depth)
            ));
            let children = content.tree.children(id).iter().rev();
            todo.extend(children.map(|child| (*child, depth + 1)));
        }
        lines
    }

    #[test]
    fn folders_sum_up_what_is_wanted_of_them() {
        let mut content = course();
        content.set_wanted(find(&content, "d"), false);
        let expected = [
            "course 3/4 60/100",
            "  a 1/1 10/10",
            "  slides 1/2 20/60",
            "    b 1/1 20/20",
            "    deep 0/1 0/40",
            "      d 0/1 0/40",
            "  c 1/1 30/30",
        ];
        assert_eq!(outline(&content), expected);
        assert!(content.tree.sums(find(&content, "slides")).is_part());
        content.set_wanted(find(&content, "slides"), true);
        assert!(content.totals().is_whole());
        content.set_all_wanted(false);
        assert_eq!(content.totals().wanted_files(), 0);
        assert!(content.chosen().is_empty());
    }

    #[test]
    fn a_priority_is_for_what_is_wanted() {
        let mut content = course();
        let slides = find(&content, "slides");
        content.set_wanted(find(&content, "b"), false);
        content.set_priority(slides, Priority::High);
        assert_eq!(content.tree.sums(slides).wanted_priority(), Some(Priority::High));
        assert_eq!(content.totals().wanted_priority(), None, "there are several");
        let [(_, priorities)] = &content.chosen()[..] else {
            panic!("there is one torrent")
        };
        let [normal, skip, high] = [Priority::Normal, Priority::Skip, Priority::High];
        assert_eq!(*priorities, [normal, skip, normal, high]);
        // Of a folder that is not wanted at all, everything is meant.
        content.set_wanted(slides, false);
        content.set_priority(slides, Priority::Low);
        assert_eq!(content.tree.sums(slides).wanted_priority(), Some(Priority::Low));
        assert!(content.tree.sums(slides).is_whole());
    }

    #[test]
    fn torrents_stand_beside_each_other_and_none_twice() {
        let mut content = course();
        content.add(torrent("course", &[("a", 10)]));
        content.add(torrent("course", &[("a", 10)]));
        assert_eq!(content.tree.top(), [0, 7]);
        assert_eq!(content.totals().files(), 5);
        content.set_wanted(0, false);
        let [(metainfo, priorities)] = &content.chosen()[..] else {
            panic!("one of them is wanted")
        };
        assert_eq!(metainfo.info.files.len(), 1);
        assert!(priorities.is_empty(), "all as usual");
    }

    #[test]
    fn what_is_there_already_needs_no_room() {
        let mut content = course();
        assert_eq!(content.paths()[3], PathBuf::from("course/slides/deep/d"));
        assert_eq!(content.lacking(&[]), 100);
        assert_eq!(content.lacking(&[10, 4096, 0, 15]), 55);
        content.set_wanted(find(&content, "c"), false);
        assert_eq!(content.lacking(&[10, 4096, 0, 15]), 25);
    }

    #[test]
    fn thousands_of_files_are_a_tree_soon() {
        let paths: Vec<String> = (0..10_000).map(|n| format!("{}/{n}", n % 100)).collect();
        let files: Vec<(&str, u64)> = paths.iter().map(|path| (path.as_str(), 1)).collect();
        let torrent = torrent("many", &files);
        let start = Instant::now();
        let mut content = Content::default();
        content.add(torrent);
        content.set_wanted(1, false);
        println!("a tree of 10,000 files takes {:?}", start.elapsed());
        assert_eq!(content.totals().wanted_files(), 9_900);
    }
}
