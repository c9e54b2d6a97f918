//! The window itself, `ui/window.ui`: the list of torrents beside the chosen one. Layer 4.
//!
//! What is shown changes in one place only, [`MainWindow::show_snapshot`]; actions send commands and wait for
//! the engine to tell what came of them.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineCommand, EngineSnapshot, TorrentDetails, TrackerNodeStatus};
use dtorrent::id::InfoHash;
use gtk::{gdk, gio, glib};

use super::create_dialog::CreateDialog;
use super::details_pane::DetailsPane;
use super::engine_link::{EngineLink, States};
use super::farewell_page::FarewellPage;
use super::messages::{Messages, toast};
use super::remove_choice::RemoveChoice;
use super::store::KeyedStore;
use super::torrent_object::TorrentObject;
use super::{torrent_list, words};

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/window.ui")]
    pub(crate) struct MainWindow {
        #[template_child]
        pub(crate) toasts: TemplateChild<adw::ToastOverlay>,
        #[template_child]
        pub(crate) leaflet: TemplateChild<adw::Leaflet>,
        #[template_child]
        pub(crate) list_page: TemplateChild<gtk::Box>,
        #[template_child]
        pub(crate) header: TemplateChild<adw::HeaderBar>,
        #[template_child]
        pub(crate) network_bar: TemplateChild<gtk::InfoBar>,
        #[template_child]
        pub(crate) network_problem: TemplateChild<gtk::Label>,
        #[template_child]
        pub(crate) stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(crate) open_first: TemplateChild<gtk::Button>,
        #[template_child]
        pub(crate) list: TemplateChild<gtk::ListView>,
        #[template_child]
        pub(crate) totals: TemplateChild<gtk::Label>,
        #[template_child]
        pub(crate) tracker_state: TemplateChild<gtk::Label>,
        #[template_child]
        pub(crate) separator: TemplateChild<gtk::Separator>,
        #[template_child]
        pub(crate) details: TemplateChild<DetailsPane>,
        pub(crate) selection: gtk::SingleSelection,
        pub(crate) torrents: RefCell<KeyedStore<InfoHash, TorrentObject>>,
        pub(crate) link: OnceCell<EngineLink>,
        /// Details of the chosen torrent, for questions about its files.
        pub(crate) last_details: RefCell<Option<Arc<TorrentDetails>>>,
        /// The question about its files that is asked.
        pub(crate) remove_choice: glib::WeakRef<RemoveChoice>,
        /// The user has given the chosen torrent another place, and the list does not show it there yet: when it does,
        /// the keyboard goes along.
        pub(crate) is_moving: Cell<bool>,
        pub(crate) messages: Messages,
        /// Torrents that a person has just added here: they are told of, and chosen, when they appear.
        pub(crate) awaited: RefCell<HashSet<InfoHash>>,
        /// Torrents that the engine has added in this run; the next snapshot shows them.
        pub(crate) added: RefCell<HashSet<InfoHash>>,
        /// Where the chosen torrent stood, to choose its neighbour when it is removed.
        pub(crate) position: Cell<u32>,
        /// How the tracker in this computer stands.
        pub(crate) tracker: RefCell<Option<TrackerNodeStatus>>,
        /// The dialog that makes torrents, while it is open: it wants to know of the tracker.
        pub(crate) create_dialog: glib::WeakRef<CreateDialog>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for MainWindow {
        const NAME: &'static str = "DtWindow";
        type Type = super::MainWindow;
        type ParentType = adw::ApplicationWindow;

        fn class_init(class: &mut Self::Class) {
            DetailsPane::ensure_type();
            class.bind_template();
            // After whatever has the keyboard, which may want to close or to clear something first.
            class.add_binding_action(gdk::Key::Escape, gdk::ModifierType::empty(), "win.back");
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for MainWindow {
        fn constructed(&self) {
            self.parent_constructed();
            let window = self.obj();
            window.set_up_list();
            window.set_up_actions();
            window.set_up_drop();
            window.set_up_folding();
            window.connect_is_active_notify(super::MainWindow::withdraw_notifications);
        }

        fn dispose(&self) {
            self.dispose_template();
        }
    }

    impl WidgetImpl for MainWindow {}

    impl WindowImpl for MainWindow {
        /// The engine is shut down before the window may go; see [`super::super::application::Application`].
        fn close_request(&self) -> glib::Propagation {
            WidgetExt::activate_action(&*self.obj(), "app.shut-down", None)
                .map_or_else(|_| glib::Propagation::Proceed, |()| glib::Propagation::Stop)
        }
    }

    impl ApplicationWindowImpl for MainWindow {}
    impl AdwApplicationWindowImpl for MainWindow {}
}

glib::wrapper! {
    pub(crate) struct MainWindow(ObjectSubclass<imp::MainWindow>)
        @extends adw::ApplicationWindow, gtk::ApplicationWindow, gtk::Window, gtk::Widget,
        @implements gio::ActionGroup, gio::ActionMap, gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget,
            gtk::Native, gtk::Root, gtk::ShortcutManager;
}

impl MainWindow {
    /// A window onto the engine at the other end of `link`.
    pub(crate) fn new(app: &impl IsA<gtk::Application>, link: EngineLink, states: States) -> Self {
        let window: Self = glib::Object::builder().property("application", app).build();
        window.imp().details.set_link(link.clone());
        // The window was made in the line above.
        let _ = window.imp().link.set(link);
        window.listen(states);
        window.choose_changed();
        window
    }

    pub(super) fn send(&self, command: EngineCommand) {
        if let Some(link) = self.imp().link.get() {
            link.send(command);
        }
    }

    /// The torrent that is chosen in the list.
    pub(super) fn chosen(&self) -> Option<TorrentObject> {
        self.imp().selection.selected_item().and_downcast()
    }

    /// Everything known of the chosen torrent, if it has come already.
    pub(super) fn chosen_details(&self) -> Option<Arc<TorrentDetails>> {
        let chosen = self.chosen()?.info_hash();
        self.imp()
            .last_details
            .borrow()
            .clone()
            .filter(|details| details.info_hash == chosen)
    }

    /// All torrents in the order of the list.
    pub(super) fn torrents(&self) -> Vec<TorrentObject> {
        self.imp().torrents.borrow().store().iter().flatten().collect()
    }

    fn listen(&self, states: States) {
        let window = self.downgrade();
        glib::spawn_future_local(async move {
            while let Ok(snapshot) = states.snapshots.recv().await {
                let Some(window) = window.upgrade() else { return };
                window.show_snapshot(&snapshot);
            }
        });
        let window = self.downgrade();
        glib::spawn_future_local(async move {
            while let Ok(details) = states.details.recv().await {
                let Some(window) = window.upgrade() else { return };
                window.show_details(details);
            }
        });
    }

    fn set_up_list(&self) {
        let imp = self.imp();
        imp.selection.set_autoselect(false);
        imp.selection.set_model(Some(imp.torrents.borrow().store()));
        let window = self.downgrade();
        imp.selection.connect_selected_item_notify(move |_| {
            if let Some(window) = window.upgrade() {
                window.choose_changed();
            }
        });
        torrent_list::set_up(&imp.list, &imp.selection, self.downgrade());
    }

    /// Shows the state of the client.
    fn show_snapshot(&self, snapshot: &EngineSnapshot) {
        let imp = self.imp();
        imp.torrents.borrow_mut().sync(
            &snapshot.torrents,
            |summary| summary.info_hash,
            TorrentObject::new,
            TorrentObject::update,
        );
        self.choose_something();
        let chosen = self.chosen().map(|torrent| torrent.summary());
        imp.details.set_summary(chosen.as_deref());
        self.enable_start_or_pause();
        self.show_totals(snapshot);
        self.show_tracker(snapshot.tracker.as_ref());
        let any = !snapshot.torrents.is_empty();
        let page = if any { "list" } else { "empty" };
        if imp.stack.visible_child_name().as_deref() != Some(page) {
            imp.stack.set_visible_child_name(page);
            if let Some(torrent) = self.chosen() {
                torrent_list::focus(&imp.list, imp.selection.selected(), &torrent);
            } else {
                // Left alone, the keyboard would be at a toast, which stays as long as it is there.
                imp.open_first.grab_focus();
            }
        }
        self.show_details_pane(any);
    }

    /// Keeps a torrent chosen as long as there is one: the one just added, or where the last one stood.
    fn choose_something(&self) {
        let imp = self.imp();
        let torrents = self.torrents();
        let new = torrents
            .iter()
            .position(|torrent| imp.awaited.borrow_mut().remove(&torrent.info_hash()));
        if let Some(new) = new {
            imp.selection.set_selected(new as u32);
            let torrent = &torrents[new];
            torrent_list::focus(&imp.list, new as u32, torrent);
            self.toast_about(torrent.info_hash(), toast(&format!("Added “{}”", torrent.name())));
        } else if imp.selection.selected_item().is_none() && !torrents.is_empty() {
            let last = torrents.len() as u32 - 1;
            imp.selection.set_selected(imp.position.get().min(last));
        }
        let position = match imp.selection.selected() {
            gtk::INVALID_LIST_POSITION => 0,
            position => position,
        };
        if imp.position.replace(position) != position
            && imp.is_moving.take()
            && let Some(torrent) = self.chosen()
        {
            torrent_list::focus(&imp.list, position, &torrent);
        }
    }

    fn show_details(&self, details: Arc<TorrentDetails>) {
        let imp = self.imp();
        imp.details.set_details(&details);
        if let Some(choice) = imp.remove_choice.upgrade() {
            choice.set_details(&details);
        }
        imp.last_details.replace(Some(details));
        self.show_sequential();
    }

    /// Shows what becomes of the torrents when the program ends. `false`: there is nothing to say.
    pub(super) fn show_farewell(&self) -> bool {
        let torrents: Vec<_> = self.torrents().iter().map(TorrentObject::summary).collect();
        let words = words::farewell(&torrents);
        if let Some(words) = &words {
            self.set_content(Some(&FarewellPage::new(words)));
        }
        words.is_some()
    }

    fn choose_changed(&self) {
        let imp = self.imp();
        let chosen = self.chosen().map(|torrent| torrent.summary());
        self.send(EngineCommand::Watch(
            chosen.as_ref().map(|summary| summary.info_hash),
        ));
        imp.details.set_summary(chosen.as_deref());
        self.enable_torrent_actions(chosen.is_some());
        if let Some(details) = self.chosen_details() {
            imp.details.set_details(&details);
        }
    }
}

impl torrent_list::Hands for glib::WeakRef<MainWindow> {
    /// Leads on to the torrent where list and torrent do not fit side by side.
    fn clicked(&self, torrent: &TorrentObject) {
        if let Some(window) = self.upgrade().filter(MainWindow::is_folded) {
            window.choose(torrent);
            window.show_chosen();
        }
    }

    fn menu_wanted(&self, torrent: &TorrentObject, row: &gtk::Widget, x: f64, y: f64) {
        if let Some(window) = self.upgrade() {
            window.show_menu_of(torrent, row, x, y);
        }
    }
}
