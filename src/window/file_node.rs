//! The files of a torrent as a tree of `GObject`s. Layer 4.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use dtorrent::engine::api::{FileDetail, Priority};
use gtk::gio;
use gtk::gio::prelude::*;
use gtk::glib;
use gtk::glib::subclass::prelude::*;

use super::words;

#[expect(unreachable_pub, reason = "the getters that the derive makes are `pub`")]
mod imp {
    use super::*;

    #[derive(Debug, Default, glib::Properties)]
    #[properties(wrapper_type = super::FileNode)]
    pub(crate) struct FileNode {
        #[property(get, construct_only)]
        name: RefCell<String>,
        /// Position in the torrent's list of files; -1: a folder.
        #[property(get, construct_only)]
        index: Cell<i64>,
        /// Size and share that is done, in words.
        #[property(get)]
        pub(super) status: RefCell<String>,
        /// Priority in words, "Mixed" for a folder of several.
        #[property(get)]
        pub(super) priority: RefCell<String>,
        pub(super) children: RefCell<Vec<super::FileNode>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FileNode {
        const NAME: &'static str = "DtFileNode";
        type Type = super::FileNode;
    }

    #[glib::derived_properties]
    impl ObjectImpl for FileNode {}
}

glib::wrapper! {
    /// A file, or a folder of them.
    pub(crate) struct FileNode(ObjectSubclass<imp::FileNode>);
}

/// What a file or all files of a folder come to.
#[derive(Debug, Default, Clone, Copy)]
struct Totals {
    length: u64,
    done: u64,
    /// `None`: several.
    priority: Option<Priority>,
}

impl FileNode {
    fn new(name: &str, index: Option<usize>) -> Self {
        let index = index.map_or(-1, |index| index as i64);
        glib::Object::builder()
            .property("name", name)
            .property("index", index)
            .build()
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.index() < 0
    }

    /// The nodes of a folder as a list model; `None` for a file.
    pub(crate) fn child_model(&self) -> Option<gio::ListModel> {
        self.is_folder().then(|| {
            self.imp()
                .children
                .borrow()
                .iter()
                .cloned()
                .collect::<gio::ListStore>()
                .upcast()
        })
    }

    /// Positions of this file, or of all files below this folder.
    pub(crate) fn leaves(&self) -> Vec<usize> {
        match usize::try_from(self.index()) {
            Ok(index) => vec![index],
            Err(_) => self
                .imp()
                .children
                .borrow()
                .iter()
                .flat_map(Self::leaves)
                .collect(),
        }
    }

    fn update(&self, files: &[FileDetail]) -> Totals {
        let totals = match usize::try_from(self.index()) {
            Ok(index) => files.get(index).map_or_else(Totals::default, |file| Totals {
                length: file.length,
                done: file.done,
                priority: Some(file.priority),
            }),
            Err(_) => self
                .imp()
                .children
                .borrow()
                .iter()
                .map(|child| child.update(files))
                .reduce(Totals::and)
                .unwrap_or_default(),
        };
        self.show(totals);
        totals
    }

    fn show(&self, totals: Totals) {
        let share = if totals.length == 0 {
            1.0
        } else {
            totals.done as f64 / totals.length as f64
        };
        let status = format!("{} · {}", words::size(totals.length), words::percent(share));
        if *self.imp().status.borrow() != status {
            self.imp().status.replace(status);
            self.notify_status();
        }
        let priority = totals.priority.map_or("Mixed", words::priority);
        if *self.imp().priority.borrow() != priority {
            self.imp().priority.replace(priority.to_owned());
            self.notify_priority();
        }
    }
}

impl Totals {
    fn and(self, other: Self) -> Self {
        Self {
            length: self.length + other.length,
            done: self.done + other.done,
            priority: self.priority.filter(|_| self.priority == other.priority),
        }
    }
}

/// The top of the tree. Empty until the first files are known.
#[derive(Debug, Default)]
pub(crate) struct FileTree {
    top: Vec<FileNode>,
}

impl FileTree {
    /// Builds the tree of these files.
    pub(crate) fn new(files: &[FileDetail]) -> Self {
        let mut folders = HashMap::new();
        let mut top = Vec::new();
        for (index, file) in files.iter().enumerate() {
            insert(&mut top, &mut folders, &file.path, index);
        }
        let tree = Self { top };
        tree.update(files);
        tree
    }

    /// Shows newer numbers of the same files.
    pub(crate) fn update(&self, files: &[FileDetail]) {
        for node in &self.top {
            node.update(files);
        }
    }

    /// A model for a list view; `expanded`: folders stand open at first.
    pub(crate) fn model(&self, expanded: bool) -> gtk::TreeListModel {
        let root: gio::ListStore = self.top.iter().cloned().collect();
        gtk::TreeListModel::new(root, false, expanded, |item| {
            item.downcast_ref::<FileNode>().and_then(FileNode::child_model)
        })
    }
}

/// Puts a file below the folders of its path, which are made when the first file in them comes.
fn insert<'a>(
    top: &mut Vec<FileNode>,
    folders: &mut HashMap<&'a [String], FileNode>,
    path: &'a [String],
    index: usize,
) {
    let Some((name, _)) = path.split_last() else {
        return;
    };
    let mut node = FileNode::new(name, Some(index));
    for depth in (1..path.len()).rev() {
        let above = &path[..depth];
        if let Some(folder) = folders.get(above) {
            folder.imp().children.borrow_mut().push(node);
            return;
        }
        let folder = FileNode::new(&above[depth - 1], None);
        folder.imp().children.borrow_mut().push(node);
        folders.insert(above, folder.clone());
        node = folder;
    }
    top.push(node);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &[&str], length: u64, done: u64, priority: Priority) -> FileDetail {
        let path = path.iter().map(|&name| name.to_owned()).collect();
        FileDetail {
            path,
            length,
            done,
            priority,
            own: true,
        }
    }

    fn outline(nodes: &[FileNode], depth: usize, out: &mut Vec<String>) {
        for node in nodes {
            let line = [node.name(), node.status(), node.priority()].join(" | ");
            out.push("  ".repeat(depth) + &line);
            outline(&node.imp().children.borrow(), depth + 1, out);
        }
    }

    #[test]
    fn folders_sum_up_their_files() {
        let mut files = [
            file(&["t", "a"], 1024, 1024, Priority::Normal),
            file(&["t", "sub", "b"], 1024, 0, Priority::High),
            file(&["t", "sub", "c"], 0, 0, Priority::High),
        ];
        let tree = FileTree::new(&files);
        let mut seen = Vec::new();
        outline(&tree.top, 0, &mut seen);
        let expected = [
            "t | 2 KiB · 50 % | Mixed",
            "  a | 1 KiB · 100 % | Normal",
            "  sub | 1 KiB · 0 % | High",
            "    b | 1 KiB · 0 % | High",
            "    c | 0 B · 100 % | High",
        ];
        assert_eq!(seen, expected);
        assert_eq!(tree.top[0].leaves(), [0, 1, 2]);

        files[1].done = 1024;
        tree.update(&files);
        assert!(tree.top[0].status().ends_with("100 %"));
    }

    #[test]
    fn a_single_file_is_a_tree_of_one() {
        let tree = FileTree::new(&[file(&["alone"], 5, 5, Priority::Normal)]);
        assert_eq!(tree.top.len(), 1);
        assert!(!tree.top[0].is_folder());
    }
}
