//! A [`FileTree`] for a list view: a `GObject` for each file or folder that is looked at. Layer 4.
//!
//! Of tens of thousands of files a screen shows a few dozen. So objects are made when a view asks for them, and only these
//! are shown anew when numbers change.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use gtk::gio::prelude::*;
use gtk::gio::subclass::prelude::*;
use gtk::{gio, glib};

use super::file_tree::{FileTree, NodeId, Sums};

/// What rows say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wording {
    /// The line below the name; of a folder or not.
    pub(crate) status: fn(&Sums, bool) -> String,
    /// The priority, of a folder perhaps several; empty: there is none to choose.
    pub(crate) priority: fn(&Sums) -> String,
}

/// The tree, its words and those of its objects of which somebody has a hold.
struct Shown {
    tree: Rc<RefCell<dyn AsRef<FileTree>>>,
    wording: Wording,
    objects: RefCell<HashMap<NodeId, glib::WeakRef<FileNode>>>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

impl Shown {
    /// Reads something of the tree.
    fn with<T>(&self, read: impl FnOnce(&FileTree) -> T) -> T {
        read((*self.tree.borrow()).as_ref())
    }

    fn object(self: &Rc<Self>, id: NodeId) -> FileNode {
        let known = self.objects.borrow().get(&id).and_then(glib::WeakRef::upgrade);
        known.unwrap_or_else(|| {
            let node = FileNode::new(self, id);
            self.objects.borrow_mut().insert(id, node.downgrade());
            node
        })
    }
}

/// The objects of a tree. Cheap to clone; all are one.
#[derive(Debug, Clone)]
pub(crate) struct FileNodes {
    shown: Rc<Shown>,
    root: Folder,
}

impl FileNodes {
    /// Shows this tree, or that in this. Whoever changes it calls [`Self::refresh`] then.
    pub(crate) fn new(tree: Rc<RefCell<dyn AsRef<FileTree>>>, wording: Wording) -> Self {
        let shown = Rc::new(Shown {
            tree,
            wording,
            objects: RefCell::default(),
        });
        let top = shown.with(|tree| tree.top().to_vec());
        Self {
            root: Folder::new(&shown, top),
            shown,
        }
    }

    /// Shows what the tree knows now: other sums, and more at the top.
    pub(crate) fn refresh(&self) {
        self.shown
            .objects
            .borrow_mut()
            .retain(|_, node| node.upgrade().is_some());
        let nodes: Vec<_> = (self.shown.objects.borrow().values())
            .filter_map(glib::WeakRef::upgrade)
            .collect();
        nodes.iter().for_each(FileNode::show);
        self.root.grow(self.shown.with(|tree| tree.top().to_vec()));
    }

    /// A model for a list view; `expanded`: all folders stand open at first.
    pub(crate) fn model(&self, expanded: bool) -> gtk::TreeListModel {
        gtk::TreeListModel::new(self.root.clone(), false, expanded, |item| {
            item.downcast_ref::<FileNode>().and_then(FileNode::child_model)
        })
    }
}

#[cfg(test)]
impl FileNodes {
    /// All of them as they stand below each other, each with its depth.
    pub(super) fn all(&self) -> Vec<(usize, FileNode)> {
        fn below(list: &gio::ListModel, depth: usize, all: &mut Vec<(usize, FileNode)>) {
            let nodes = (0..list.n_items()).filter_map(|at| list.item(at).and_downcast::<FileNode>());
            for node in nodes {
                let children = node.child_model();
                all.push((depth, node));
                children.inspect(|children| below(children, depth + 1, all));
            }
        }
        let mut all = Vec::new();
        below(self.root.upcast_ref(), 0, &mut all);
        all
    }
}

mod imp {
    use super::*;

    /// What lies in a folder, as a list whose objects are made when they are asked for.
    #[derive(Debug, Default)]
    pub(crate) struct Folder {
        pub(super) shown: OnceCell<Rc<Shown>>,
        pub(super) children: RefCell<Vec<NodeId>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Folder {
        const NAME: &'static str = "DtFolder";
        type Type = super::Folder;
        type Interfaces = (gio::ListModel,);
    }

    impl ObjectImpl for Folder {}

    impl ListModelImpl for Folder {
        fn item_type(&self) -> glib::Type {
            super::FileNode::static_type()
        }

        fn n_items(&self) -> u32 {
            self.children.borrow().len() as u32
        }

        fn item(&self, position: u32) -> Option<glib::Object> {
            let id = *self.children.borrow().get(position as usize)?;
            Some(self.shown.get()?.object(id).upcast())
        }
    }
}

glib::wrapper! {
    pub(crate) struct Folder(ObjectSubclass<imp::Folder>)
        @implements gio::ListModel;
}

impl Folder {
    fn new(shown: &Rc<Shown>, children: Vec<NodeId>) -> Self {
        let folder: Self = glib::Object::new();
        // It was made in the line above.
        let _ = folder.imp().shown.set(Rc::clone(shown));
        folder.imp().children.replace(children);
        folder
    }

    /// Has these children from now on: those that it has, and others behind them.
    fn grow(&self, children: Vec<NodeId>) {
        let now = children.len();
        let before = self.imp().children.replace(children).len();
        if now > before {
            self.items_changed(before as u32, 0, (now - before) as u32);
        }
    }
}

#[expect(unreachable_pub, reason = "the getters that the derive makes are `pub`")]
mod node_imp {
    use super::*;

    #[derive(Debug, Default, glib::Properties)]
    #[properties(wrapper_type = super::FileNode)]
    pub(crate) struct FileNode {
        #[property(get)]
        pub(super) name: RefCell<String>,
        /// What it comes to, in words.
        #[property(get)]
        pub(super) status: RefCell<String>,
        /// Priority in words; empty: there is none to choose.
        #[property(get)]
        pub(super) priority: RefCell<String>,
        /// How much of it is there, 0..=1.
        #[property(get)]
        pub(super) fraction: Cell<f64>,
        /// Whether all of it is wanted.
        #[property(get)]
        pub(super) whole: Cell<bool>,
        /// Whether some of it is wanted, and some is not.
        #[property(get)]
        pub(super) partly: Cell<bool>,
        pub(super) shown: OnceCell<Rc<Shown>>,
        pub(super) id: Cell<NodeId>,
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
    pub(crate) struct FileNode(ObjectSubclass<node_imp::FileNode>);
}

impl FileNode {
    fn new(shown: &Rc<Shown>, id: NodeId) -> Self {
        let node: Self = glib::Object::new();
        let imp = node.imp();
        imp.name.replace(shown.with(|tree| tree.name(id).to_owned()));
        // It was made above.
        let _ = imp.shown.set(Rc::clone(shown));
        imp.id.set(id);
        node.show();
        node
    }

    fn shown(&self) -> &Rc<Shown> {
        self.imp().shown.get().expect("`new` sets it")
    }

    pub(crate) fn id(&self) -> NodeId {
        self.imp().id.get()
    }

    /// Position in the list of files of its torrent; `None`: a folder.
    pub(crate) fn file(&self) -> Option<usize> {
        self.shown().with(|tree| tree.file(self.id()))
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.file().is_none()
    }

    /// The nodes of a folder as a list model; `None` for a file.
    fn child_model(&self) -> Option<gio::ListModel> {
        let shown = self.shown();
        let children = || shown.with(|tree| tree.children(self.id()).to_vec());
        self.is_folder().then(|| Folder::new(shown, children()).upcast())
    }

    /// Positions of this file, or of all files below this folder.
    pub(crate) fn files(&self) -> Vec<usize> {
        self.shown().with(|tree| {
            let leaves = tree.leaves(self.id());
            leaves.into_iter().filter_map(|leaf| tree.file(leaf)).collect()
        })
    }

    /// Shows what the tree knows now, and tells of what has changed.
    fn show(&self) {
        let imp = self.imp();
        let wording = self.shown().wording;
        let (sums, is_folder) =
            (self.shown()).with(|tree| (tree.sums(self.id()), tree.file(self.id()).is_none()));
        let _batch = self.freeze_notify();
        let status = (wording.status)(&sums, is_folder);
        if *imp.status.borrow() != status {
            imp.status.replace(status);
            self.notify_status();
        }
        let priority = (wording.priority)(&sums);
        if *imp.priority.borrow() != priority {
            imp.priority.replace(priority);
            self.notify_priority();
        }
        if imp.fraction.replace(sums.share()) != sums.share() {
            self.notify_fraction();
        }
        if imp.whole.replace(sums.is_whole()) != sums.is_whole() {
            self.notify_whole();
        }
        if imp.partly.replace(sums.is_part()) != sums.is_part() {
            self.notify_partly();
        }
    }
}

#[cfg(test)]
mod tests {
    use dtorrent::engine::api::Priority;

    use super::*;

    #[test]
    fn only_what_is_looked_at_has_an_object() {
        let paths: Vec<[String; 2]> = (0..10_000).map(|n| ["t".to_owned(), n.to_string()]).collect();
        let mut tree = FileTree::default();
        tree.add(
            paths
                .iter()
                .map(|path| (&path[..], Sums::of(1, 0, Priority::Normal))),
        );
        let wording = Wording {
            status: |_, _| String::new(),
            priority: |_| String::new(),
        };
        let nodes = FileNodes::new(Rc::new(RefCell::new(tree)), wording);
        let top = nodes.root.item(0).and_downcast::<FileNode>().unwrap();
        let below = top.child_model().unwrap();
        assert_eq!(below.n_items(), 10_000);
        let seen: Vec<_> = (0..20).filter_map(|position| below.item(position)).collect();
        assert_eq!((seen.len(), nodes.shown.objects.borrow().len()), (20, 21));
        assert!(below.item(10_000).is_none());
        drop(seen);
        nodes.refresh();
        assert_eq!(
            nodes.shown.objects.borrow().len(),
            1,
            "what is seen no more is forgotten"
        );
    }
}
