//! The files of a torrent that is on the list, as a tree that is shown. Layer 4.

use std::cell::RefCell;
use std::rc::Rc;

use dtorrent::engine::api::FileDetail;

use super::file_nodes::{FileNodes, Wording};
use super::file_tree::{FileTree, NodeId, Sums};
use super::i18n::tr;
use super::words;

/// Size and share that is done.
fn status(sums: &Sums, _is_folder: bool) -> String {
    format!("{} · {}", words::size(sums.length), words::percent(sums.share()))
}

fn priority(sums: &Sums) -> String {
    sums.priority().map_or_else(|| tr!("Mixed"), words::priority)
}

/// The files of one torrent.
#[derive(Debug)]
pub(crate) struct TorrentTree {
    tree: Rc<RefCell<FileTree>>,
    /// The node of each file of the torrent's list.
    of_file: Vec<NodeId>,
    nodes: FileNodes,
}

impl TorrentTree {
    /// Builds the tree of these files.
    pub(crate) fn new(files: &[FileDetail]) -> Self {
        let mut tree = FileTree::default();
        let of_file = tree.add(files.iter().map(|file| (&file.path[..], Sums::from(file))));
        let tree = Rc::new(RefCell::new(tree));
        let nodes = FileNodes::new(tree.clone(), Wording { status, priority });
        Self { tree, of_file, nodes }
    }

    /// Shows newer numbers of the same files.
    pub(crate) fn update(&self, files: &[FileDetail]) {
        let mut is_other = false;
        for (file, &node) in files.iter().zip(&self.of_file) {
            let now = Sums::from(file);
            if self.tree.borrow().sums(node) != now {
                self.tree.borrow_mut().set(node, now);
                is_other = true;
            }
        }
        if is_other {
            self.nodes.refresh();
        }
    }

    /// A model for a list view; `expanded`: all folders stand open at first, and not only the one that holds everything.
    pub(crate) fn model(&self, expanded: bool) -> gtk::TreeListModel {
        let model = self.nodes.model(expanded);
        if let [_] = self.tree.borrow().top()
            && let Some(row) = model.row(0)
        {
            row.set_expanded(true);
        }
        model
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use dtorrent::engine::api::Priority;
    use gtk::prelude::*;

    use super::super::file_nodes::FileNode;
    use super::super::fixture;
    use super::*;

    fn file(path: &[&str], length: u64, done: u64, priority: Priority) -> FileDetail {
        FileDetail {
            length,
            done,
            ..fixture::file(path, 0..1, priority)
        }
    }

    fn nodes(tree: &TorrentTree) -> Vec<FileNode> {
        tree.nodes.all().into_iter().map(|(_, node)| node).collect()
    }

    fn files() -> [FileDetail; 3] {
        [
            file(&["t", "a"], 1024, 1024, Priority::Normal),
            file(&["t", "sub", "b"], 1024, 0, Priority::High),
            file(&["t", "sub", "c"], 0, 0, Priority::High),
        ]
    }

    #[test]
    fn folders_sum_up_their_files() {
        let tree = TorrentTree::new(&files());
        let line = |(depth, node): (usize, FileNode)| {
            let line = [node.name(), node.status(), node.priority()].join(" | ");
            "  ".repeat(depth) + &line
        };
        let seen: Vec<_> = tree.nodes.all().into_iter().map(line).collect();
        let expected = [
            "t | 2 KiB · 50 % | Mixed",
            "  a | 1 KiB · 100 % | Normal",
            "  sub | 1 KiB · 0 % | High",
            "    b | 1 KiB · 0 % | High",
            "    c | 0 B · 100 % | High",
        ];
        assert_eq!(seen, expected);
        let top = &nodes(&tree)[0];
        assert_eq!(top.files(), [0, 1, 2]);
        assert!(top.whole() && !top.partly());
    }

    #[test]
    fn newer_numbers_reach_the_folders_above_and_nothing_else() {
        let mut files = files();
        let tree = TorrentTree::new(&files);
        let nodes = nodes(&tree);
        let (top, a) = (&nodes[0], &nodes[1]);
        let told = Rc::new(Cell::new(0));
        for node in [top, a] {
            let told = Rc::clone(&told);
            node.connect_notify_local(None, move |_, _| told.set(told.get() + 1));
        }
        files[1].done = 1024;
        files[2].priority = Priority::Skip;
        tree.update(&files);
        assert_eq!(top.status(), "2 KiB · 100 %");
        assert!(!top.whole() && top.partly() && top.fraction() == 1.0);
        let first = told.get();
        assert!(first > 0);
        tree.update(&files);
        assert_eq!(told.get(), first, "nothing has changed");
        assert_eq!(nodes[3].priority(), "High");
        assert_eq!(nodes[2].priority(), "Mixed");
    }

    #[test]
    fn a_single_file_is_a_tree_of_one() {
        let tree = TorrentTree::new(&[file(&["alone"], 5, 5, Priority::Normal)]);
        let [node] = &nodes(&tree)[..] else {
            panic!("there is one")
        };
        assert!(!node.is_folder());
        assert_eq!(node.file(), Some(0));
    }
}
