//! What the list shows of all torrents: filter, search, order, and how much of each. Layer 4.

use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineSnapshot, TorrentSummary};
use gtk::{gio, glib};

use super::main_window::MainWindow;
use super::remembered::Remembered;
use super::torrent_list;
use super::torrent_object::TorrentObject;
use super::view::{self, Filter, SortKey, View};

impl MainWindow {
    pub(super) fn set_up_arranging(&self) {
        let imp = self.imp();
        self.add_choice("filter", Filter::default().id(), |window, id| {
            let filter = Filter::from_id(id).unwrap_or_default();
            window.change_view(|view| view.filter = filter);
        });
        self.add_choice("sort", SortKey::default().id(), |window, id| {
            let sort = SortKey::from_id(id).unwrap_or_default();
            window.change_view(|view| view.sort = sort);
        });
        self.add_switch("reversed", |window, on| {
            window.change_view(|view| view.reversed = on);
        });
        self.add_switch("compact", |window, on| window.set_compact(on));
        self.add_plain_action("search", |window| {
            window.imp().search_bar.set_search_mode(true);
            window.imp().search.grab_focus();
        });
        self.add_plain_action("show-every", |window| window.show_every());
        imp.search_bar.set_key_capture_widget(Some(&*imp.list));
        let window = self.downgrade();
        imp.search.connect_search_changed(move |entry| {
            if let Some(window) = window.upgrade() {
                window.change_view(|view| view.search = entry.text().into());
                if !window.imp().search_bar.is_search_mode() {
                    window.focus_chosen();
                }
            }
        });
        let window = self.downgrade();
        imp.search_bar.connect_search_mode_enabled_notify(move |bar| {
            // The keyboard goes back to the list. Where a search hides rows, they come back first.
            if let Some(window) = window.upgrade().filter(|_| !bar.is_search_mode())
                && window.imp().view.borrow().search.is_empty()
            {
                window.focus_chosen();
            }
        });
        let window = self.downgrade();
        imp.search.connect_activate(move |_| {
            window.upgrade().inspect(|window| window.show_list());
        });
        torrent_list::set_compact(&imp.list, false, self.downgrade());
    }

    /// An action with one of several values.
    fn add_choice(&self, name: &str, first: &str, choose: impl Fn(&Self, &str) + 'static) {
        let action =
            gio::SimpleAction::new_stateful(name, Some(glib::VariantTy::STRING), &first.to_variant());
        let window = self.downgrade();
        action.connect_activate(move |action, value| {
            let (Some(window), Some(value)) = (window.upgrade(), value) else {
                return;
            };
            action.set_state(value);
            choose(&window, value.str().unwrap_or_default());
        });
        self.add_action(&action);
    }

    /// An action that is on or off.
    fn add_switch(&self, name: &str, switch: impl Fn(&Self, bool) + 'static) {
        let action = gio::SimpleAction::new_stateful(name, None, &false.to_variant());
        let window = self.downgrade();
        action.connect_activate(move |action, _| {
            let on = !action.state().and_then(|state| state.get()).unwrap_or(false);
            action.set_state(&on.to_variant());
            if let Some(window) = window.upgrade() {
                switch(&window, on);
            }
        });
        self.add_action(&action);
    }

    fn set_state(&self, action: &str, state: &glib::Variant) {
        if let Some(action) = self.lookup_action(action).and_downcast::<gio::SimpleAction>() {
            action.set_state(state);
        }
    }

    /// Shows the list as it was when the program ended.
    pub(super) fn recall(&self, remembered: &Remembered) {
        let imp = self.imp();
        if remembered.width > 0 && remembered.height > 0 {
            self.set_default_size(remembered.width, remembered.height);
        }
        imp.list_side.want(remembered.list_width);
        if remembered.maximized {
            self.maximize();
        }
        let (sort, reversed) = (remembered.sort, remembered.reversed);
        self.set_state("sort", &sort.id().to_variant());
        self.set_state("reversed", &reversed.to_variant());
        imp.view.replace(View {
            sort,
            reversed,
            ..View::default()
        });
        imp.ring_address.replace(remembered.ring.clone());
        if remembered.compact {
            self.set_state("compact", &true.to_variant());
            self.set_compact(true);
        }
        let chosen = remembered.chosen.as_deref();
        imp.first_choice
            .set(chosen.and_then(|chosen| chosen.parse().ok()));
    }

    /// Has what the next start is to know written down.
    pub(super) fn remember(&self) {
        let imp = self.imp();
        // Before the first torrents are there nothing is chosen, which would be remembered.
        let Some(memory) = imp
            .memory
            .borrow()
            .clone()
            .filter(|_| imp.snapshot.borrow().is_some())
        else {
            return;
        };
        let view = imp.view.borrow();
        let position = imp.selection.selection();
        let chosen = imp.shown.borrow();
        let chosen = (!position.is_empty())
            .then(|| chosen.get(position.minimum() as usize))
            .flatten();
        memory.keep(Remembered {
            width: self.default_width(),
            height: self.default_height(),
            maximized: self.is_maximized(),
            list_width: imp.list_side.wanted(),
            compact: imp.is_compact.get(),
            sort: view.sort,
            reversed: view.reversed,
            chosen: chosen.map(|torrent| torrent.info_hash.to_string()),
            ring: imp.ring_address.borrow().clone(),
        });
    }

    fn set_compact(&self, compact: bool) {
        if self.imp().is_compact.replace(compact) != compact {
            torrent_list::set_compact(&self.imp().list, compact, self.downgrade());
            self.remember();
        }
    }

    /// Shows other torrents, or in another order, from the first one on.
    fn change_view(&self, change: impl FnOnce(&mut View)) {
        let imp = self.imp();
        let before = imp.view.borrow().clone();
        change(&mut imp.view.borrow_mut());
        if *imp.view.borrow() == before {
            return;
        }
        // Whoever stood somewhere in another list does not stand there in this one.
        imp.position.set(0);
        self.arrange();
        if !imp.shown.borrow().is_empty() {
            torrent_list::scroll_to(&imp.list, 0);
        }
        let snapshot = imp.snapshot.borrow().clone();
        snapshot.inspect(|snapshot| self.show_totals(snapshot));
        self.remember();
    }

    /// Leaves no torrent out.
    pub(super) fn show_every(&self) {
        self.imp().search_bar.set_search_mode(false);
        self.imp().search.set_text("");
        self.set_state("filter", &Filter::All.id().to_variant());
        self.change_view(|view| {
            view.filter = Filter::All;
            view.search.clear();
        });
        self.show_list();
    }

    /// Takes over how everything stands.
    pub(super) fn take_snapshot(&self, snapshot: &Arc<EngineSnapshot>) {
        let imp = self.imp();
        let before = imp.snapshot.replace(Some(Arc::clone(snapshot)));
        let is_same = before.is_some_and(|before| Arc::ptr_eq(&before.torrents, &snapshot.torrents));
        if !is_same {
            self.arrange();
        }
    }

    /// Brings the list to what the view wants of the last snapshot.
    fn arrange(&self) {
        let imp = self.imp();
        let Some(snapshot) = imp.snapshot.borrow().clone() else {
            return;
        };
        let mut shown = imp.view.borrow().arrange(&snapshot.torrents);
        if self.hides_awaited(&snapshot.torrents, &shown) {
            imp.view.borrow_mut().filter = Filter::All;
            imp.view.borrow_mut().search.clear();
            self.set_state("filter", &Filter::All.id().to_variant());
            imp.search_bar.set_search_mode(false);
            shown = imp.view.borrow().arrange(&snapshot.torrents);
        }
        imp.filters.set_counts(view::counts(&snapshot.torrents));
        imp.is_arranging.set(true);
        imp.torrents.borrow_mut().sync(
            &shown,
            |summary| summary.info_hash,
            TorrentObject::new,
            TorrentObject::update,
        );
        imp.shown.replace(shown);
        self.keep_chosen();
        self.choose_something();
        imp.is_arranging.set(false);
        let is_as_before = {
            let chosen = imp.chosen.borrow();
            let now = self.chosen_hashes();
            now.len() == chosen.len() && now.iter().all(|hash| chosen.contains(hash))
        };
        if is_as_before {
            self.show_chosen_torrents();
            self.enable_by_state();
        } else {
            self.choose_changed();
        }
        self.show_page();
    }

    /// Whether what a person has just added would not be seen.
    fn hides_awaited(&self, all: &[Arc<TorrentSummary>], shown: &[Arc<TorrentSummary>]) -> bool {
        let awaited = self.imp().awaited.borrow();
        let is_among = |torrents: &[Arc<TorrentSummary>]| {
            torrents
                .iter()
                .any(|torrent| awaited.contains(&torrent.info_hash))
        };
        !awaited.is_empty() && is_among(all) && !is_among(shown)
    }

    /// The list, or why there is none.
    fn show_page(&self) {
        let imp = self.imp();
        let any = imp
            .snapshot
            .borrow()
            .as_ref()
            .is_some_and(|snapshot| !snapshot.torrents.is_empty());
        let page = match (any, imp.shown.borrow().is_empty()) {
            (false, _) => "empty",
            (true, true) => "nothing",
            (true, false) => "list",
        };
        imp.filters.set_visible(any);
        imp.search_button.set_visible(any);
        let before = imp.stack.visible_child_name();
        if before.as_deref() != Some(page) {
            imp.stack.set_visible_child_name(page);
            // Whoever is at the filters or at the search stays there.
            let stays = before.as_deref() == Some("nothing")
                && GtkWindowExt::focus(self).is_some_and(|focus| focus.is_mapped());
            if page == "empty" {
                imp.search_bar.set_search_mode(false);
                // Left alone, the keyboard would be at a toast, which stays as long as it is there.
                imp.open_first.grab_focus();
            } else if page == "list" && !stays {
                self.focus_chosen();
            }
        }
        self.show_details_pane(any);
    }
}
