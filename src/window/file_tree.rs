//! Files of torrents as a tree. Layer 4, but plain data; [`super::file_nodes`] shows it.
//!
//! A torrent may have tens of thousands of files, so sums of folders are kept and not worked out anew.

use std::collections::HashMap;

use dtorrent::engine::api::{FileDetail, Priority};
use dtorrent::sentence::printable;

/// Place of a file or folder in the tree.
pub(crate) type NodeId = usize;

#[derive(Debug)]
struct Node {
    name: String,
    parent: Option<NodeId>,
    children: Vec<NodeId>,
    /// Position in the list of files of its torrent; `None`: a folder.
    file: Option<usize>,
    sums: Sums,
}

/// What a file or all files of a folder come to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Bytes.
    pub(crate) length: u64,
    /// Bytes of what is wanted.
    pub(crate) wanted_length: u64,
    /// Bytes that are there.
    pub(crate) done: u64,
    /// How many files have each priority.
    by_priority: [u32; 4],
}

impl Sums {
    /// Those of one file.
    pub(crate) fn of(length: u64, done: u64, priority: Priority) -> Self {
        let mut sums = Self {
            length,
            wanted_length: if priority == Priority::Skip { 0 } else { length },
            done,
            ..Self::default()
        };
        sums.by_priority[priority as usize] = 1;
        sums
    }

    /// Sums wrap, so that [`Self::remove`] always brings back what was; no real files come near to that.
    fn add(&mut self, other: &Self) {
        self.length = self.length.wrapping_add(other.length);
        self.wanted_length = self.wanted_length.wrapping_add(other.wanted_length);
        self.done = self.done.wrapping_add(other.done);
        (self.by_priority.iter_mut().zip(other.by_priority)).for_each(|(sum, more)| *sum += more);
    }

    /// Takes away what [`Self::add`] added.
    fn remove(&mut self, other: &Self) {
        self.length = self.length.wrapping_sub(other.length);
        self.wanted_length = self.wanted_length.wrapping_sub(other.wanted_length);
        self.done = self.done.wrapping_sub(other.done);
        (self.by_priority.iter_mut().zip(other.by_priority)).for_each(|(sum, less)| *sum -= less);
    }

    pub(crate) fn files(&self) -> u32 {
        self.by_priority.iter().sum()
    }

    pub(crate) fn wanted_files(&self) -> u32 {
        self.files() - self.by_priority[Priority::Skip as usize]
    }

    /// Whether everything is wanted.
    pub(crate) fn is_whole(&self) -> bool {
        self.wanted_files() == self.files()
    }

    /// Whether something is wanted, but not everything.
    pub(crate) fn is_part(&self) -> bool {
        self.wanted_files() > 0 && !self.is_whole()
    }

    /// The priority that all of them have.
    pub(crate) fn priority(&self) -> Option<Priority> {
        const ALL: [Priority; 4] = [Priority::Skip, Priority::Low, Priority::Normal, Priority::High];
        let all = |priority: &Priority| self.by_priority[*priority as usize] == self.files();
        ALL.into_iter().find(all)
    }

    /// The priority that all have which are wanted; `None`: there are several, or none is wanted.
    pub(crate) fn wanted_priority(&self) -> Option<Priority> {
        const WANTED: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];
        let wanted = self.wanted_files();
        let all = |priority: &Priority| self.by_priority[*priority as usize] == wanted;
        WANTED.into_iter().find(all).filter(|_| wanted > 0)
    }

    /// How much of it is there, 0..=1.
    pub(crate) fn share(&self) -> f64 {
        if self.length == 0 {
            1.0
        } else {
            self.done as f64 / self.length as f64
        }
    }
}

/// The tree. Invariants: the sums of a folder are those of its children, and a parent comes before its children.
#[derive(Debug, Default)]
pub(crate) struct FileTree {
    nodes: Vec<Node>,
    top: Vec<NodeId>,
}

impl AsRef<Self> for FileTree {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl FileTree {
    /// Takes up the files of a torrent beside those that are there: the path of each and what it comes to. Returns their
    /// places, in order.
    pub(crate) fn add<'a>(&mut self, files: impl IntoIterator<Item = (&'a [String], Sums)>) -> Vec<NodeId> {
        let mut folders: HashMap<&[String], NodeId> = HashMap::new();
        let mut leaves = Vec::new();
        for (index, (path, sums)) in files.into_iter().enumerate() {
            let Some((name, above)) = path.split_last() else {
                continue;
            };
            let mut parent = None;
            // The folder of a file is that of the file before it, as a rule.
            match folders.get(above) {
                Some(folder) => parent = Some(*folder),
                None => {
                    for depth in 1..=above.len() {
                        let path = &above[..depth];
                        let known = folders.get(path).copied();
                        let folder = known.unwrap_or_else(|| self.push(&path[depth - 1], parent, None));
                        folders.insert(path, folder);
                        parent = Some(folder);
                    }
                }
            }
            let leaf = self.push(name, parent, Some(index));
            self.for_each_upwards(leaf, |held| held.add(&sums));
            leaves.push(leaf);
        }
        leaves
    }

    fn push(&mut self, name: &str, parent: Option<NodeId>, file: Option<usize>) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(Node {
            name: printable(name).into_owned(),
            parent,
            children: Vec::new(),
            file,
            sums: Sums::default(),
        });
        match parent {
            Some(parent) => self.nodes[parent].children.push(id),
            None => self.top.push(id),
        }
        id
    }

    /// The node and all folders that it is in.
    fn for_each_upwards(&mut self, node: NodeId, change: impl Fn(&mut Sums)) {
        let mut next = Some(node);
        while let Some(id) = next {
            change(&mut self.nodes[id].sums);
            next = self.nodes[id].parent;
        }
    }

    /// Gives a file other sums, and the folders that it is in with it.
    pub(crate) fn set(&mut self, file: NodeId, now: Sums) {
        let before = self.nodes[file].sums;
        if before != now {
            self.for_each_upwards(file, |held| {
                held.remove(&before);
                held.add(&now);
            });
        }
    }

    pub(crate) fn name(&self, id: NodeId) -> &str {
        &self.nodes[id].name
    }

    /// Position in the list of files of its torrent; `None`: a folder.
    pub(crate) fn file(&self, id: NodeId) -> Option<usize> {
        self.nodes[id].file
    }

    /// What is in a folder, in the order of the torrent.
    pub(crate) fn children(&self, id: NodeId) -> &[NodeId] {
        &self.nodes[id].children
    }

    /// What is in no folder.
    pub(crate) fn top(&self) -> &[NodeId] {
        &self.top
    }

    pub(crate) fn sums(&self, id: NodeId) -> Sums {
        self.nodes[id].sums
    }

    /// What everything comes to.
    pub(crate) fn totals(&self) -> Sums {
        let mut totals = Sums::default();
        self.top.iter().for_each(|top| totals.add(&self.nodes[*top].sums));
        totals
    }

    /// A file itself, or all files below a folder, in order.
    pub(crate) fn leaves(&self, id: NodeId) -> Vec<NodeId> {
        let mut leaves = Vec::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            if self.nodes[id].file.is_some() {
                leaves.push(id);
            }
            todo.extend(self.nodes[id].children.iter().rev());
        }
        leaves
    }
}

/// What a file of a torrent that is on the list comes to.
impl From<&FileDetail> for Sums {
    fn from(file: &FileDetail) -> Self {
        Self::of(file.length, file.done, file.priority)
    }
}
