//! The tree of [`Content`] as it is shown. Layer 4.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use super::content::Content;
use super::file_nodes::{FileNode, FileNodes, Wording};
use super::file_row::Choice;
use super::file_tree::Sums;
use super::i18n::{tr, tr_n};
use super::words;

/// Size, and of a folder the number of its files.
fn status(sums: &Sums, is_folder: bool) -> String {
    let size = words::size(sums.length);
    if is_folder {
        let files = tr_n!(u64::from(sums.files()), "{n} file", "{n} files");
        format!("{files} · {size}")
    } else {
        size
    }
}

/// Empty if nothing of it is wanted.
fn priority(sums: &Sums) -> String {
    match sums.wanted_priority() {
        Some(priority) => words::priority(priority),
        None if sums.wanted_files() > 0 => tr!("Mixed"),
        None => String::new(),
    }
}

/// What is called when a person has chosen something.
type OnChange = Box<dyn Fn()>;

/// The tree, and its nodes that the view knows of. Cheap to clone; all are one.
#[derive(Clone)]
pub(crate) struct ContentTree {
    content: Rc<RefCell<Content>>,
    nodes: FileNodes,
    on_change: Rc<OnceCell<OnChange>>,
}

impl Default for ContentTree {
    fn default() -> Self {
        let content = Rc::<RefCell<Content>>::default();
        Self {
            nodes: FileNodes::new(content.clone(), Wording { status, priority }),
            content,
            on_change: Rc::default(),
        }
    }
}

impl std::fmt::Debug for ContentTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentTree").finish_non_exhaustive()
    }
}

impl ContentTree {
    /// Has this called when something else is wanted.
    pub(crate) fn connect_changed(&self, on_change: impl Fn() + 'static) {
        // There is one who listens: the dialog that has made the tree.
        let _ = self.on_change.set(Box::new(on_change));
    }

    pub(crate) fn content(&self) -> std::cell::Ref<'_, Content> {
        self.content.borrow()
    }

    /// Changes what is there or wanted, and shows it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Content)) {
        change(&mut self.content.borrow_mut());
        self.nodes.refresh();
        if let Some(on_change) = self.on_change.get() {
            on_change();
        }
    }

    /// A person wants this of a file or folder.
    pub(crate) fn choose(&self, node: &FileNode, choice: Choice) {
        self.change(|content| match choice {
            Choice::Wanted(is_wanted) => content.set_wanted(node.id(), is_wanted),
            Choice::Priority(priority) => content.set_priority(node.id(), priority),
        });
    }

    /// A model for a list view.
    pub(crate) fn model(&self) -> gtk::TreeListModel {
        self.nodes.model(false)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Instant;

    use dtorrent::engine::api::Priority;

    use super::super::content::tests::torrent;
    use super::*;

    fn shown(node: &FileNode) -> (String, bool, bool, String) {
        (node.status(), node.whole(), node.partly(), node.priority())
    }

    #[test]
    fn rows_show_what_is_chosen_in_others() {
        let tree = ContentTree::default();
        let heard = Rc::new(Cell::new(0));
        let hears = Rc::clone(&heard);
        tree.connect_changed(move || hears.set(hears.get() + 1));
        tree.change(|content| content.add(torrent("t", &[("a", 1024), ("b", 1024)])));
        let [(_, top), (_, a), (_, b)] = &tree.nodes.all()[..] else {
            panic!("there are three")
        };
        let normal = || "Normal".to_owned();
        assert_eq!(shown(top), ("2 files · 2 KiB".into(), true, false, normal()));
        tree.choose(a, Choice::Wanted(false));
        assert_eq!(shown(a), ("1 KiB".into(), false, false, String::new()));
        assert_eq!(shown(top), ("2 files · 2 KiB".into(), false, true, normal()));
        tree.choose(a, Choice::Wanted(true));
        tree.choose(b, Choice::Priority(Priority::High));
        assert_eq!(
            shown(top),
            ("2 files · 2 KiB".into(), true, false, "Mixed".into())
        );
        assert_eq!(heard.get(), 4);
    }

    #[test]
    fn a_folder_of_thousands_of_files_opens_soon() {
        let names: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
        let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let tree = ContentTree::default();
        tree.change(|content| content.add(torrent("many", &files)));
        let start = Instant::now();
        let nodes = tree.nodes.all();
        println!("a folder of 10,000 files opens in {:?}", start.elapsed());
        assert_eq!(nodes.len(), 10_001);
        let start = Instant::now();
        tree.choose(&nodes[0].1, Choice::Wanted(false));
        println!("and all of them are left out in {:?}", start.elapsed());
        let last = &nodes[10_000].1;
        assert!(!last.whole() && !last.partly());
    }
}
