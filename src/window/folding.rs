//! List and torrent side by side in a wide window, one after the other in a narrow one. Layer 4.

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::gio;

use super::main_window::MainWindow;

impl MainWindow {
    pub(super) fn set_up_folding(&self) {
        let window = self.downgrade();
        self.imp().leaflet.connect_folded_notify(move |_| {
            if let Some(window) = window.upgrade() {
                window.fit();
            }
        });
        let imp = self.imp();
        // What the list does not want is for the torrent.
        imp.details_side.want(-1);
        imp.details_side.set_visible(false);
        let side = imp.list_side.downgrade();
        self.connect_default_width_notify(move |_| {
            side.upgrade().inspect(|side| side.queue_resize());
        });
        self.set_up_edge();
        self.fit();
    }

    /// Whether both are seen, and so the edge between them.
    pub(super) fn is_side_by_side(&self) -> bool {
        self.imp().details_side.get_visible() && !self.is_folded()
    }

    /// Whether the window is too narrow for both.
    pub(super) fn is_folded(&self) -> bool {
        self.imp().leaflet.is_folded()
    }

    /// The pane appears with the first torrent and goes with the last.
    pub(super) fn show_details_pane(&self, shown: bool) {
        let imp = self.imp();
        if imp.details_stack.get_visible() != shown {
            imp.details_stack.set_visible(shown);
            imp.details_side.set_visible(shown);
            imp.separator.set_visible(shown);
            self.fit();
        }
    }

    /// Gives each header bar the buttons of its place.
    fn fit(&self) {
        let imp = self.imp();
        let side_by_side = imp.details_stack.get_visible() && !self.is_folded();
        imp.header.set_show_end_title_buttons(!side_by_side);
        imp.list_page.set_hexpand(!side_by_side);
        imp.details.set_alone(!side_by_side);
        imp.several.set_alone(!side_by_side);
    }

    /// Leads on to what is chosen, and the keyboard with it.
    pub(super) fn show_chosen(&self) {
        let imp = self.imp();
        if !imp.selection.selection().is_empty() {
            imp.leaflet.set_visible_child(&*imp.details_side);
            let focus = GtkWindowExt::focus(self);
            if !focus.is_some_and(|focus| focus.is_ancestor(&*imp.details_stack)) {
                imp.details_stack.child_focus(gtk::DirectionType::TabForward);
            }
        }
    }

    /// Leads back to the list.
    pub(super) fn show_list(&self) {
        self.imp().leaflet.set_visible_child(&*self.imp().list_side);
        self.imp().list.grab_focus();
    }

    pub(super) fn list(&self) -> &gtk::ListView {
        &self.imp().list
    }

    pub(super) fn list_page(&self) -> &gtk::Box {
        &self.imp().list_page
    }

    pub(super) fn torrent_menu(&self) -> Option<gio::MenuModel> {
        self.imp().details.menu()
    }
}
