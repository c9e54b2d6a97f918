//! The window itself, `ui/window.ui`: the list of torrents beside the chosen one. Layer 4.
//!
//! What is shown changes in one place only, [`MainWindow::show_snapshot`]; actions send commands and wait for
//! the engine to tell what came of them.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{
    EngineCommand, EngineSnapshot, TorrentDetails, TorrentSummary, TrackerNodeStatus,
};
use dtorrent::id::InfoHash;
use gtk::{gdk, gio, glib};

use super::client_wide::ClientWide;
use super::create_dialog::CreateDialog;
use super::details_pane::DetailsPane;
use super::engine_link::{EngineLink, States};
use super::farewell_page::FarewellPage;
use super::files_asked::FilesAsked;
use super::filter_bar::FilterBar;
use super::log_window::LogWindow;
use super::messages::Messages;
use super::one_stop::OneStop;
use super::opening::Adding;
use super::remembered::{Memory, Remembered};
use super::ring::RingWindow;
use super::several_page::SeveralPage;
use super::side_pane::SidePane;
use super::store::KeyedStore;
use super::torrent_object::TorrentObject;
use super::view::{SortKey, View};
use super::{frames, torrent_list, words};

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
        pub(crate) list_side: TemplateChild<SidePane>,
        #[template_child]
        pub(crate) details_side: TemplateChild<SidePane>,
        #[template_child]
        pub(crate) list_page: TemplateChild<gtk::Box>,
        #[template_child]
        pub(crate) header: TemplateChild<adw::HeaderBar>,
        #[template_child]
        pub(crate) network_bar: TemplateChild<gtk::InfoBar>,
        #[template_child]
        pub(crate) network_problem: TemplateChild<gtk::Label>,
        #[template_child]
        pub(crate) network_settings: TemplateChild<gtk::Button>,
        #[template_child]
        pub(crate) search_button: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        pub(crate) search_bar: TemplateChild<gtk::SearchBar>,
        #[template_child]
        pub(crate) search: TemplateChild<gtk::SearchEntry>,
        #[template_child]
        pub(crate) filters: TemplateChild<FilterBar>,
        #[template_child]
        pub(crate) stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(crate) open_first: TemplateChild<gtk::Button>,
        #[template_child]
        pub(crate) list: TemplateChild<gtk::ListView>,
        #[template_child]
        pub(crate) totals: TemplateChild<gtk::Label>,
        #[template_child]
        pub(crate) connection: TemplateChild<gtk::Label>,
        #[template_child]
        pub(crate) tracker_state: TemplateChild<gtk::Label>,
        #[template_child]
        pub(crate) alternative_limits: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        pub(crate) separator: TemplateChild<gtk::Separator>,
        #[template_child]
        pub(crate) details_stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(crate) details: TemplateChild<DetailsPane>,
        #[template_child]
        pub(crate) several: TemplateChild<SeveralPage>,
        #[template_child]
        pub(crate) selection: TemplateChild<gtk::MultiSelection>,
        /// The last state of the client.
        pub(crate) snapshot: RefCell<Option<Arc<EngineSnapshot>>>,
        /// What is shown of it, and how.
        pub(crate) view: RefCell<View>,
        /// The rows of the list.
        pub(crate) shown: RefCell<Vec<Arc<TorrentSummary>>>,
        pub(crate) is_compact: Cell<bool>,
        /// The list is being changed: what is chosen meanwhile, nobody has chosen.
        pub(crate) is_arranging: Cell<bool>,
        /// The torrents that are chosen.
        pub(crate) chosen: RefCell<HashSet<InfoHash>>,
        /// The one of which the engine tells everything.
        pub(crate) watched: Cell<Option<InfoHash>>,
        /// The one that was chosen when the program ended.
        pub(crate) first_choice: Cell<Option<InfoHash>>,
        pub(crate) memory: RefCell<Option<Rc<Memory>>>,
        /// It is told when the first torrents are drawn.
        pub(crate) is_first_told: Cell<bool>,
        pub(crate) torrents: RefCell<KeyedStore<InfoHash, TorrentObject>>,
        pub(crate) link: OnceCell<EngineLink>,
        /// Details of the chosen torrent, for questions about its files.
        pub(crate) last_details: RefCell<Option<Arc<TorrentDetails>>>,
        /// Who waits for the files of torrents.
        pub(crate) files_asked: FilesAsked,
        /// What had the keyboard before the edge of the list got it, and how wide the list was wanted to be.
        pub(crate) before_edge: glib::WeakRef<gtk::Widget>,
        pub(crate) width_before: Cell<i32>,
        /// The user has given the chosen torrent another place, and the list does not show it there yet: when it does,
        /// the keyboard goes along.
        pub(crate) is_moving: Cell<bool>,
        pub(crate) messages: Messages,
        pub(crate) client_wide: ClientWide,
        pub(crate) adding: Adding,
        /// Torrents that a person has just added here: they are told of, and chosen, when they appear.
        pub(crate) awaited: RefCell<HashSet<InfoHash>>,
        /// How many of them have appeared so far.
        pub(crate) arrived: Cell<u64>,
        /// Torrents that a person has put back: they are chosen when they appear.
        pub(crate) returning: RefCell<HashSet<InfoHash>>,
        /// All that were put back in the last go.
        pub(crate) undone: RefCell<HashSet<InfoHash>>,
        /// Torrents that the engine has added in this run; the next snapshot shows them.
        pub(crate) added: RefCell<HashSet<InfoHash>>,
        /// Where the chosen torrent stood, to choose its neighbour when it is removed.
        pub(crate) position: Cell<u32>,
        /// How the tracker in this computer stands.
        pub(crate) tracker: RefCell<Option<TrackerNodeStatus>>,
        /// The dialog that makes torrents, while it is open: it wants to know of the tracker.
        pub(crate) create_dialog: glib::WeakRef<CreateDialog>,
        /// The log, while it is open: it offers the torrents to choose from.
        pub(crate) log_window: glib::WeakRef<LogWindow>,
        /// The window of the ring, while it is open.
        pub(crate) ring_window: glib::WeakRef<RingWindow>,
        /// The node whose ring was looked at last, as it was typed.
        pub(crate) ring_address: RefCell<String>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for MainWindow {
        const NAME: &'static str = "DtWindow";
        type Type = super::MainWindow;
        type ParentType = adw::ApplicationWindow;

        fn class_init(class: &mut Self::Class) {
            DetailsPane::ensure_type();
            FilterBar::ensure_type();
            OneStop::ensure_type();
            SidePane::ensure_type();
            SeveralPage::ensure_type();
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
            window.set_up_choosing();
            window.set_up_actions();
            window.set_up_arranging();
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
            WidgetExt::activate_action(&*self.obj(), "app.close-window", None)
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
    /// `memory` keeps how it looks, and `remembered` is how it looked when the program ended.
    pub(crate) fn new(
        app: &impl IsA<gtk::Application>,
        link: EngineLink,
        states: States,
        memory: Option<Rc<Memory>>,
        remembered: &Remembered,
    ) -> Self {
        let window: Self = glib::Object::builder().property("application", app).build();
        window.imp().memory.replace(memory);
        window.recall(remembered);
        frames::watch_all(&window);
        window.imp().details.set_link(link.clone());
        // The window was made in the line above.
        let _ = window.imp().link.set(link);
        window.choose_changed();
        window.listen(states);
        window
    }

    pub(super) fn send(&self, command: EngineCommand) {
        if let Some(link) = self.imp().link.get() {
            link.send(command);
        }
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
        imp.selection.set_model(Some(imp.torrents.borrow().store()));
        torrent_list::set_up(&imp.list);
        imp.several.set_menu(imp.details.menu().as_ref());
    }

    /// Shows the state of the client.
    fn show_snapshot(&self, snapshot: &Arc<EngineSnapshot>) {
        frames::watch_first(self, snapshot.torrents.len());
        self.imp().details.set_client(snapshot);
        self.take_snapshot(snapshot);
        self.show_totals(snapshot);
        self.show_client_wide(snapshot);
        self.show_tracker(snapshot.tracker.as_ref());
        if let Some(log) = self.imp().log_window.upgrade() {
            log.set_torrents(&snapshot.torrents);
        }
        if let Some(ring) = self.imp().ring_window.upgrade() {
            ring.set_torrents(&snapshot.torrents);
        }
    }

    fn show_details(&self, details: Arc<TorrentDetails>) {
        let imp = self.imp();
        imp.details.set_details(&details);
        imp.last_details.replace(Some(details));
    }

    /// Whether data is on the way, in or out.
    pub(super) fn is_transferring(&self) -> bool {
        let moves = |torrent: &Arc<TorrentSummary>| torrent.download_rate > 0 || torrent.upload_rate > 0;
        let snapshot = self.imp().snapshot.borrow();
        snapshot
            .as_ref()
            .is_some_and(|snapshot| snapshot.torrents.iter().any(moves))
    }

    /// Shows the torrent of this info-hash, in hex, if it is still there.
    pub(super) fn show_torrent(&self, info_hash: &str) {
        let torrent = info_hash
            .parse()
            .ok()
            .and_then(|info_hash| self.summary_of(info_hash));
        if let Some(torrent) = torrent {
            if self.position_of(torrent.info_hash).is_none() {
                self.show_every();
            }
            self.choose(torrent.info_hash);
            self.show_chosen();
        }
    }

    /// Shows the log at this path, in a window of its own.
    pub(super) fn show_log(&self, path: &Path) {
        let imp = self.imp();
        let open = imp.log_window.upgrade().filter(LogWindow::is_visible);
        let log = open.unwrap_or_else(|| LogWindow::new(self, path));
        imp.log_window.set(Some(&log));
        if let Some(snapshot) = &*imp.snapshot.borrow() {
            log.set_torrents(&snapshot.torrents);
        }
        log.present();
    }

    /// Shows what becomes of the torrents when the program ends. `false`: there is nothing to say.
    pub(super) fn show_farewell(&self) -> bool {
        let snapshot = self.imp().snapshot.borrow().clone();
        let words = snapshot.and_then(|snapshot| words::farewell(&snapshot.torrents));
        if let Some(words) = &words {
            self.set_content(Some(&FarewellPage::new(words)));
        }
        words.is_some()
    }
}

impl torrent_list::Hands for glib::WeakRef<MainWindow> {
    /// Leads on to the torrent where list and torrent do not fit side by side.
    fn clicked(&self, torrent: &TorrentObject) {
        if let Some(window) = self.upgrade().filter(MainWindow::is_folded) {
            window.choose(torrent.info_hash());
            window.show_chosen();
        }
    }

    fn menu_wanted(&self, torrent: &TorrentObject, row: &gtk::Widget, x: f64, y: f64) {
        if let Some(window) = self.upgrade() {
            window.show_menu_of(torrent, row, x, y);
        }
    }

    fn draggable(&self, torrent: &TorrentObject) -> Option<usize> {
        let window = self.upgrade()?;
        let in_queue_order = window.imp().view.borrow().sort == SortKey::Queue;
        in_queue_order.then(|| window.dragged_with(torrent).len())
    }

    fn dropped(&self, dragged: &TorrentObject, target: &TorrentObject, below: bool) {
        if let Some(window) = self.upgrade() {
            window.drop_in_queue(dragged, target, below);
        }
    }
}
