//! Which torrents are chosen in the list, and what follows from it. Layer 4.

use std::collections::HashSet;
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineCommand, TorrentDetails, TorrentSummary};
use dtorrent::id::InfoHash;
use gtk::prelude::SelectionModelExt;

use super::i18n::{tr, tr_n};
use super::main_window::MainWindow;
use super::toasts::toast;
use super::torrent_list;
use super::torrent_object::TorrentObject;

/// The page of the details for one torrent, and that for several or none.
const ONE: &str = "one";
const SEVERAL: &str = "several";

impl MainWindow {
    pub(super) fn set_up_choosing(&self) {
        let window = self.downgrade();
        self.imp().selection.connect_selection_changed(move |_, _, _| {
            if let Some(window) = window.upgrade()
                && !window.imp().is_arranging.get()
            {
                window.choose_changed();
            }
        });
    }

    /// The torrents that are chosen, in the order of the list.
    pub(super) fn chosen(&self) -> Vec<TorrentObject> {
        let selection = &self.imp().selection;
        let positions = selection.selection();
        (0..positions.size())
            .filter_map(|nth| selection.item(positions.nth(nth as u32)).and_downcast())
            .collect()
    }

    /// The one torrent that is chosen, if it is no more than one.
    pub(super) fn chosen_one(&self) -> Option<TorrentObject> {
        let selection = &self.imp().selection;
        let positions = selection.selection();
        if positions.size() != 1 {
            return None;
        }
        selection.item(positions.nth(0)).and_downcast()
    }

    /// How all chosen torrents stand.
    pub(super) fn chosen_summaries(&self) -> Vec<Arc<TorrentSummary>> {
        self.chosen().iter().map(TorrentObject::summary).collect()
    }

    /// Their identities.
    pub(super) fn chosen_hashes(&self) -> Vec<InfoHash> {
        self.chosen().iter().map(TorrentObject::info_hash).collect()
    }

    /// Everything known of the one chosen torrent, if it has come already.
    pub(super) fn chosen_details(&self) -> Option<Arc<TorrentDetails>> {
        let chosen = self.chosen_one()?.info_hash();
        self.imp()
            .last_details
            .borrow()
            .clone()
            .filter(|details| details.info_hash == chosen)
    }

    /// Where a torrent stands in the list, if it is shown.
    pub(super) fn position_of(&self, info_hash: InfoHash) -> Option<u32> {
        let shown = self.imp().shown.borrow();
        let at = shown.iter().position(|torrent| torrent.info_hash == info_hash);
        at.map(|at| at as u32)
    }

    /// Chooses a torrent and no other, if it is in the list.
    pub(super) fn choose(&self, info_hash: InfoHash) {
        if let Some(position) = self.position_of(info_hash) {
            self.imp().selection.select_item(position, true);
        }
    }

    /// Chooses a torrent unless it is among those that are chosen.
    pub(super) fn include(&self, torrent: &TorrentObject) {
        let position = self.position_of(torrent.info_hash());
        if position.is_some_and(|position| !self.imp().selection.is_selected(position)) {
            self.choose(torrent.info_hash());
        }
    }

    /// After the list has changed: the same torrents are chosen as before, as far as they are still in it.
    pub(super) fn keep_chosen(&self) {
        let imp = self.imp();
        let (wanted, all) = (gtk::Bitset::new_empty(), gtk::Bitset::new_empty());
        all.add_range(0, imp.shown.borrow().len() as u32);
        {
            let chosen = imp.chosen.borrow();
            for (position, torrent) in imp.shown.borrow().iter().enumerate() {
                if chosen.contains(&torrent.info_hash) {
                    wanted.add(position as u32);
                }
            }
        }
        if !imp.selection.selection().equals(&wanted) {
            imp.selection.set_selection(&wanted, &all);
        }
    }

    /// Keeps a torrent chosen as long as there is one: those just added, or where the last one stood.
    pub(super) fn choose_something(&self) {
        let imp = self.imp();
        let new = self.take_arrived();
        if let Some((first, rest)) = new.split_first() {
            imp.selection.select_item(*first, true);
            for position in rest {
                imp.selection.select_item(*position, false);
            }
            if let Some(torrent) = imp.selection.item(*first).and_downcast::<TorrentObject>() {
                torrent_list::focus(&imp.list, *first, &torrent);
            }
        } else if imp.selection.selection().is_empty() && !imp.shown.borrow().is_empty() {
            let remembered = imp
                .first_choice
                .take()
                .and_then(|chosen| self.position_of(chosen));
            let last = imp.shown.borrow().len() as u32 - 1;
            let position = remembered.unwrap_or_else(|| imp.position.get().min(last));
            imp.selection.select_item(position, true);
            if remembered.is_some() {
                torrent_list::scroll_to(&imp.list, position);
            }
        }
        let chosen = imp.selection.selection();
        let position = if chosen.is_empty() { 0 } else { chosen.minimum() };
        if imp.position.replace(position) != position
            && imp.is_moving.take()
            && let Some(torrent) = imp.selection.item(position).and_downcast::<TorrentObject>()
        {
            torrent_list::focus(&imp.list, position, &torrent);
        }
    }

    /// Gives the keyboard to the first chosen row, in view.
    pub(super) fn focus_chosen(&self) {
        let chosen = self.chosen();
        if let Some(torrent) = chosen.first()
            && let Some(position) = self.position_of(torrent.info_hash())
        {
            torrent_list::focus(&self.imp().list, position, torrent);
        }
    }

    /// Where those are now that a person has just added or put back, with a word about the added ones.
    fn take_arrived(&self) -> Vec<u32> {
        let imp = self.imp();
        if imp.awaited.borrow().is_empty() && imp.returning.borrow().is_empty() {
            return Vec::new();
        }
        let (mut positions, mut others) = (Vec::new(), Vec::new());
        let (mut added, mut any_back) = (None, false);
        let mut count = imp.arrived.get();
        for (position, torrent) in imp.shown.borrow().iter().enumerate() {
            let is_new = imp.awaited.borrow_mut().remove(&torrent.info_hash);
            if is_new {
                added = Some(Arc::clone(torrent));
                count += 1;
            }
            let is_back = imp.returning.borrow_mut().remove(&torrent.info_hash);
            any_back |= is_back;
            if is_back || is_new {
                positions.push(position as u32);
            } else if imp.undone.borrow().contains(&torrent.info_hash) {
                others.push(position as u32);
            }
        }
        if any_back {
            // Of those that are put back in one go, some may have come before.
            positions.extend(others);
        }
        // They may come in several snapshots, and are one thing that was done.
        imp.arrived
            .set(if imp.awaited.borrow().is_empty() { 0 } else { count });
        if let Some(torrent) = added {
            let text = match count {
                1 => tr!("Added “{name}”", name = torrent.name),
                count => tr_n!(count, "Added {n} torrent", "Added {n} torrents"),
            };
            self.toast_about(torrent.info_hash, toast(&text));
        }
        positions
    }

    /// Other torrents are chosen than before.
    pub(super) fn choose_changed(&self) {
        let imp = self.imp();
        let chosen: HashSet<_> = self.chosen_hashes().into_iter().collect();
        imp.chosen.replace(chosen);
        let one = self.chosen_one().map(|torrent| torrent.info_hash());
        if imp.watched.replace(one) != one {
            self.send(EngineCommand::Watch(one));
        }
        self.show_chosen_torrents();
        self.enable_torrent_actions();
        if let Some(details) = self.chosen_details() {
            imp.details.set_details(&details);
        }
        self.remember();
    }

    /// Shows how the chosen torrents stand: one with its details, several by their sums.
    pub(super) fn show_chosen_torrents(&self) {
        let imp = self.imp();
        let one = self.chosen_one().map(|torrent| torrent.summary());
        let page = if one.is_some() { ONE } else { SEVERAL };
        imp.details.set_summary(one.as_deref());
        if one.is_none() {
            imp.several.set_torrents(&self.chosen_summaries());
        }
        if imp.details_stack.visible_child_name().as_deref() != Some(page) {
            imp.details_stack.set_visible_child_name(page);
        }
    }
}
