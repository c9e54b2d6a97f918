//! Torrents that are taken off the list, and put back. Layer 4.

use std::collections::HashSet;

use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineCommand, RemoveData};
use dtorrent::id::InfoHash;
use gtk::glib;

use super::i18n::{tr, tr_n};
use super::main_window::MainWindow;
use super::remove_choice::{self, RemoveChoice};
use super::toasts::toast;

/// How long a removal can be taken back by the button of its toast.
const UNDO_SECONDS: u32 = 10;

/// Torrents that a person has had removed in one go.
#[derive(Debug)]
pub(crate) struct Removal {
    data: RemoveData,
    /// The name of the first.
    name: String,
    /// Those that are still there.
    left: HashSet<InfoHash>,
    /// Those that are gone.
    gone: Vec<InfoHash>,
}

impl MainWindow {
    /// Takes the chosen torrents off the list and keeps their files. Nothing is lost by it, so nothing is asked.
    pub(super) fn remove_chosen(&self) {
        self.remove(self.chosen_hashes(), RemoveData::Keep);
    }

    /// Asks what is to become of the files of the chosen torrents, which are named.
    pub(super) fn remove_with_files(&self) {
        let chosen = self.chosen_summaries();
        if chosen.is_empty() {
            return;
        }
        let window = self.clone();
        glib::spawn_future_local(async move {
            let hashes: Vec<_> = chosen.iter().map(|torrent| torrent.info_hash).collect();
            let choice = RemoveChoice::new(&chosen, RemoveData::Trash);
            choice.name_files(window.ask_files(hashes.clone()));
            if let Some(data) = remove_choice::ask(&window, &chosen, &choice).await {
                window.remove(hashes, data);
            }
        });
    }

    fn remove(&self, hashes: Vec<InfoHash>, data: RemoveData) {
        let first = hashes.first().and_then(|hash| self.summary_of(*hash));
        let Some(first) = first else { return };
        self.imp().messages.removals.borrow_mut().push(Removal {
            data,
            name: first.name.clone(),
            left: hashes.iter().copied().collect(),
            gone: Vec::new(),
        });
        for info_hash in hashes {
            self.send(EngineCommand::Remove { info_hash, data });
        }
        self.show_list();
    }

    /// A torrent is gone; when it is the last of those that were to go together, that is said.
    pub(super) fn removed(&self, info_hash: InfoHash) {
        self.came_of_it(info_hash, true);
    }

    /// A torrent that was to go stays.
    pub(super) fn not_removed(&self, info_hash: InfoHash) {
        self.came_of_it(info_hash, false);
    }

    fn came_of_it(&self, info_hash: InfoHash, is_gone: bool) {
        let done = {
            let mut removals = self.imp().messages.removals.borrow_mut();
            let at = removals
                .iter()
                .position(|removal| removal.left.contains(&info_hash));
            let Some(at) = at else { return };
            removals[at].left.remove(&info_hash);
            if is_gone {
                removals[at].gone.push(info_hash);
            }
            removals[at].left.is_empty().then(|| removals.remove(at))
        };
        if let Some(removal) = done.filter(|removal| !removal.gone.is_empty()) {
            self.tell_removed(removal);
        }
    }

    fn tell_removed(&self, removal: Removal) {
        let toast = toast(&words(&removal));
        if removal.data != RemoveData::Delete {
            toast.set_button_label(Some(&tr!("_Undo")));
            toast.set_action_name(Some("win.undo"));
            toast.set_timeout(UNDO_SECONDS);
            self.imp().messages.undoable.replace(removal.gone);
        }
        self.enable_undo();
        self.toasts().show(toast);
    }

    /// Puts back what was removed last.
    pub(super) fn undo(&self) {
        let hashes = self.imp().messages.undoable.take();
        self.enable_undo();
        self.imp().undone.replace(hashes.iter().copied().collect());
        self.imp().returning.borrow_mut().extend(hashes.iter().copied());
        self.send(EngineCommand::Restore(hashes));
    }

    /// A torrent cannot be put back any more.
    pub(super) fn not_undoable(&self, info_hash: InfoHash) {
        let mut undoable = self.imp().messages.undoable.borrow_mut();
        undoable.retain(|other| *other != info_hash);
        drop(undoable);
        self.enable_undo();
    }

    fn enable_undo(&self) {
        let any = !self.imp().messages.undoable.borrow().is_empty();
        self.enable_action("undo", any);
    }
}

/// What is said when torrents have gone.
fn words(removal: &Removal) -> String {
    let (count, name) = (removal.gone.len() as u64, &removal.name);
    match (removal.data, count) {
        (RemoveData::Keep, 1) => tr!("“{name}” removed", name = name),
        (RemoveData::Trash, 1) => tr!("“{name}” moved to the trash", name = name),
        (RemoveData::Delete, 1) => tr!("“{name}” deleted", name = name),
        (RemoveData::Keep, _) => tr_n!(count, "{n} torrent removed", "{n} torrents removed"),
        (RemoveData::Trash, _) => tr_n!(
            count,
            "{n} torrent moved to the trash",
            "{n} torrents moved to the trash"
        ),
        (RemoveData::Delete, _) => tr_n!(count, "{n} torrent deleted", "{n} torrents deleted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_named_and_several_are_counted() {
        let removal = |data, count: u8| Removal {
            data,
            name: "film".into(),
            left: HashSet::new(),
            gone: (0..count).map(|number| InfoHash::new([number; 20])).collect(),
        };
        assert_eq!(words(&removal(RemoveData::Keep, 1)), "“film” removed");
        assert_eq!(
            words(&removal(RemoveData::Trash, 3)),
            "3 torrents moved to the trash"
        );
        assert_eq!(words(&removal(RemoveData::Delete, 2)), "2 torrents deleted");
    }
}
