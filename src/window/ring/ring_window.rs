//! The window of the ring, `ui/ring_window.ui`. Layer 4.
//!
//! It shows the ring of the tracker in this computer, or that of the node whose address is typed. What is shown changes
//! in one place, [`super::showing`].

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{TorrentSummary, TrackerNodeStatus};
use dtorrent::id::InfoHash;
use dtorrent::ring::picture::Route;
use dtorrent::tracker::visitor::TrackerAddress;
use gtk::{gio, glib};

use super::super::columns;
use super::super::engine_link::EngineLink;
use super::super::i18n::tr;
use super::super::main_window::MainWindow;
use super::super::property_row::PropertyRow;
use super::super::row_object::RowObject;
use super::super::store::KeyedStore;
use super::super::template::{close_by, reveal_for_want_of_room, set_text};
use super::super::torrent_object::TorrentObject;
use super::super::{library, tracker_words, words};
use super::beside::BesideLayout;
use super::circle::RingCircle;
use super::node_object::RingNodeObject;
use super::seen::Seen;
use super::story::Story;
use super::watch::{Look, Watch, Wish};
use super::{facts, table};

/// What is typed is taken over after so long without another key.
const PAUSE: Duration = Duration::from_millis(600);

mod imp {
    use super::*;

    #[derive(Debug, Default, gtk::CompositeTemplate)]
    #[template(resource = "/io/github/dtorrent/DTorrent/ring_window.ui")]
    pub(crate) struct RingWindow {
        #[template_child]
        pub(in super::super) problem_bar: TemplateChild<gtk::InfoBar>,
        #[template_child]
        pub(in super::super) problem: TemplateChild<gtk::Label>,
        #[template_child]
        pub(in super::super) beside: TemplateChild<gtk::Box>,
        #[template_child]
        pub(in super::super) pages: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(in super::super) empty: TemplateChild<adw::StatusPage>,
        #[template_child]
        pub(in super::super) circle: TemplateChild<RingCircle>,
        #[template_child]
        pub(in super::super) table: TemplateChild<gtk::ColumnView>,
        #[template_child]
        pub(in super::super) sort: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub(in super::super) switcher: TemplateChild<adw::ViewSwitcherTitle>,
        #[template_child]
        pub(in super::super) tabs: TemplateChild<adw::ViewSwitcherBar>,
        #[template_child]
        pub(in super::super) own_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub(in super::super) address: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub(in super::super) torrent_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub(in super::super) torrents: TemplateChild<gtk::DropDown>,
        #[template_child]
        pub(in super::super) info_hash: TemplateChild<adw::EntryRow>,
        #[template_child]
        pub(in super::super) way: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub(in super::super) node_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub(in super::super) facts: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub(in super::super) story_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub(in super::super) story: TemplateChild<gtk::ListBox>,
        pub(in super::super) main: glib::WeakRef<MainWindow>,
        pub(in super::super) watch: OnceCell<Watch>,
        pub(in super::super) wish: RefCell<Wish>,
        /// How the tracker in this computer stands.
        pub(in super::super) own: RefCell<Option<TrackerNodeStatus>>,
        /// What was seen last of the ring that is wanted.
        pub(in super::super) picture: RefCell<Option<Rc<Seen>>>,
        pub(in super::super) route: RefCell<Option<Arc<Route>>>,
        pub(in super::super) told: RefCell<Story>,
        pub(in super::super) nodes: RefCell<KeyedStore<u128, RingNodeObject>>,
        pub(in super::super) chosen: OnceCell<gtk::SingleSelection>,
        pub(in super::super) fact_rows: RefCell<Vec<PropertyRow>>,
        /// The steps that the list of the way shows.
        pub(in super::super) shown_way: RefCell<Vec<facts::Step>>,
        /// What is typed waits for this.
        pub(in super::super) pause: RefCell<Option<glib::SourceId>>,
        /// The torrents that can be chosen.
        pub(in super::super) offered: RefCell<KeyedStore<InfoHash, TorrentObject>>,
        /// The program itself fills an entry or a list.
        pub(in super::super) is_filling: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for RingWindow {
        const NAME: &'static str = "DtRingWindow";
        type Type = super::RingWindow;
        type ParentType = adw::Window;

        fn class_init(class: &mut Self::Class) {
            RingCircle::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for RingWindow {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_up();
        }

        fn dispose(&self) {
            if let Some(pause) = self.pause.take() {
                pause.remove();
            }
            self.dispose_template();
        }
    }

    impl WidgetImpl for RingWindow {}
    impl WindowImpl for RingWindow {}
    impl AdwWindowImpl for RingWindow {}
}

glib::wrapper! {
    pub(crate) struct RingWindow(ObjectSubclass<imp::RingWindow>)
        @extends adw::Window, gtk::Window, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::Native, gtk::Root,
            gtk::ShortcutManager;
}

impl RingWindow {
    /// A window beside the main one, which shows the ring of the tracker in this computer if that runs.
    pub(crate) fn new(main: &MainWindow, link: &EngineLink, own: Option<&TrackerNodeStatus>) -> Self {
        let window: Self = glib::Object::builder()
            .property("application", main.application())
            .build();
        close_by(&window, "Escape");
        let imp = window.imp();
        imp.main.set(Some(main));
        window.insert_action_group("main", Some(main));
        window.offer_torrents();
        if let Some(snapshot) = &*main.imp().snapshot.borrow() {
            window.set_torrents(&snapshot.torrents);
        }
        imp.address.set_text(&main.imp().ring_address.borrow());
        if let Some(sockets) = link.sockets() {
            match Watch::start(&sockets) {
                Ok((watch, looked)) => {
                    // The window was made above.
                    let _ = imp.watch.set(watch);
                    window.listen(looked);
                }
                Err(error) => {
                    window.show_problem(Some(&tr!(
                        "No thread can be started: {error}",
                        error = library::in_own_words(&error.to_string())
                    )));
                }
            }
        }
        window.show_tracker(own);
        window.show_ring();
        window
    }

    /// How the tracker in this computer stands.
    pub(crate) fn show_tracker(&self, own: Option<&TrackerNodeStatus>) {
        let imp = self.imp();
        imp.own.replace(own.cloned());
        let words = match own {
            Some(own) => tracker_words::explanation(Some(own)),
            None => tr!("Others can then announce here, and other nodes join its ring"),
        };
        imp.own_row.set_subtitle(&glib::markup_escape_text(&words));
        self.choose_ring();
    }

    fn set_up(&self) {
        let imp = self.imp();
        reveal_for_want_of_room(&imp.switcher, &imp.tabs);
        imp.beside
            .set_layout_manager(Some(glib::Object::new::<BesideLayout>()));
        let chosen = table::set_up(&imp.table, &imp.sort, imp.nodes.borrow().store());
        let window = self.downgrade();
        chosen.connect_selected_item_notify(move |chosen| {
            let node = chosen.selected_item().and_downcast::<RingNodeObject>();
            let Some(window) = window.upgrade().filter(|window| !window.imp().is_filling.get()) else {
                return;
            };
            let id = node.map(|node| node.with(|row| row.node.id.clone()));
            window.imp().circle.set_selected(id.unwrap_or_default());
        });
        // This runs once.
        let _ = imp.chosen.set(chosen);
        let window = self.downgrade();
        columns::connect_order_changed(&imp.table, move || {
            window.upgrade().inspect(Self::show_ring);
        });
        let window = self.downgrade();
        imp.circle.connect_selected_notify(move |_| {
            if let Some(window) = window.upgrade() {
                window.show_node();
                window.choose_in_table();
            }
        });
        for entry in [&imp.address, &imp.info_hash] {
            let window = self.downgrade();
            entry.connect_changed(move |_| {
                window.upgrade().inspect(Self::wait_for_typing);
            });
            let window = self.downgrade();
            entry.connect_entry_activated(move |_| {
                window.upgrade().inspect(Self::take_over);
            });
        }
        let window = self.downgrade();
        imp.way.connect_row_activated(move |_, row| {
            if let Some(window) = window.upgrade() {
                let step = usize::try_from(row.index()).ok();
                let id = step.and_then(|at| Some(window.imp().shown_way.borrow().get(at)?.id.clone()));
                window.imp().circle.set_selected(id.unwrap_or_default());
            }
        });
    }

    /// All torrents of the client, whatever its list leaves out.
    pub(crate) fn set_torrents(&self, torrents: &[Arc<TorrentSummary>]) {
        let imp = self.imp();
        let chosen = self.chosen_torrent();
        imp.is_filling.set(true);
        imp.offered.borrow_mut().sync(
            torrents,
            |torrent| torrent.info_hash,
            TorrentObject::new,
            TorrentObject::update,
        );
        let at = torrents
            .iter()
            .position(|torrent| Some(torrent.info_hash) == chosen);
        imp.torrents.set_selected(at.map_or(0, |at| at as u32 + 1));
        imp.is_filling.set(false);
    }

    /// The torrent that is chosen in the list.
    fn chosen_torrent(&self) -> Option<InfoHash> {
        let chosen = self.imp().torrents.selected_item();
        Some(chosen.and_downcast::<TorrentObject>()?.info_hash())
    }

    /// Lets the torrents of the client be chosen, or none.
    fn offer_torrents(&self) {
        let imp = self.imp();
        let models = gio::ListStore::new::<gio::ListModel>();
        models.append(&gtk::StringList::new(&[&tr!("None")]));
        models.append(imp.offered.borrow().store());
        let name = glib::closure!(|item: Option<glib::Object>| -> String {
            match item.and_downcast_ref::<TorrentObject>() {
                Some(torrent) => torrent.name(),
                None => tr!("None"),
            }
        });
        let name = gtk::ClosureExpression::new::<String>(&[] as &[gtk::Expression], name);
        imp.torrents.set_expression(Some(&name));
        imp.torrents
            .set_model(Some(&gtk::FlattenListModel::new(Some(models))));
        let window = self.downgrade();
        imp.torrents.connect_selected_item_notify(move |_| {
            let Some(window) = window.upgrade().filter(|window| !window.imp().is_filling.get()) else {
                return;
            };
            let hash = window.chosen_torrent().map(|torrent| torrent.to_string());
            window.imp().info_hash.set_text(&hash.unwrap_or_default());
            window.take_over();
        });
    }

    fn wait_for_typing(&self) {
        let window = self.downgrade();
        let pause = glib::timeout_add_local_once(PAUSE, move || {
            if let Some(window) = window.upgrade() {
                window.imp().pause.take();
                window.choose_ring();
            }
        });
        if let Some(earlier) = self.imp().pause.replace(Some(pause)) {
            earlier.remove();
        }
    }

    fn take_over(&self) {
        if let Some(pause) = self.imp().pause.take() {
            pause.remove();
        }
        self.choose_ring();
    }

    /// Which ring is looked at, and which torrent in it, by all that is typed and chosen.
    fn choose_ring(&self) {
        let imp = self.imp();
        let typed = imp.address.text();
        let address = match typed.trim() {
            "" => {
                let pages = imp.own.borrow().as_ref().and_then(|own| own.pages);
                pages.and_then(|pages| pages.to_string().parse().ok())
            }
            typed => match typed.parse::<TrackerAddress>() {
                Ok(address) => Some(address),
                Err(error) => {
                    imp.address.add_css_class("error");
                    self.show_problem(Some(&words::told(&error.to_string())));
                    return;
                }
            },
        };
        self.remember_address(typed.trim());
        if imp.address.has_css_class("error") {
            imp.address.remove_css_class("error");
            self.show_problem(None);
        }
        let wish = Wish {
            address,
            torrent: self.torrent(),
        };
        let before = imp.wish.replace(wish.clone());
        if before == wish {
            return;
        }
        if before.address != wish.address {
            imp.picture.take();
            imp.told.take();
            while let Some(row) = imp.story.first_child() {
                imp.story.remove(&row);
            }
            self.show_problem(None);
        }
        imp.route.take();
        if let Some(watch) = imp.watch.get() {
            watch.wish(wish);
        }
        self.show_ring();
    }

    /// The next time it is offered again.
    fn remember_address(&self, typed: &str) {
        let Some(main) = self.imp().main.upgrade() else {
            return;
        };
        if main.imp().ring_address.replace(typed.to_owned()) != typed {
            main.remember();
        }
    }

    /// The torrent that is typed, if it is one.
    fn torrent(&self) -> Option<InfoHash> {
        let imp = self.imp();
        let typed = imp.info_hash.text();
        let torrent = typed.trim().parse().ok();
        let is_wrong = torrent.is_none() && !typed.trim().is_empty();
        let text = is_wrong.then(|| tr!("An info-hash has 40 hexadecimal digits."));
        imp.torrent_group.set_description(text.as_deref());
        match is_wrong {
            true => imp.info_hash.add_css_class("error"),
            false => imp.info_hash.remove_css_class("error"),
        }
        if self.chosen_torrent() != torrent {
            let offered = imp.offered.borrow();
            let mut offered = offered.store().iter::<TorrentObject>();
            let at =
                offered.position(|offered| offered.is_ok_and(|offered| Some(offered.info_hash()) == torrent));
            imp.is_filling.set(true);
            imp.torrents.set_selected(at.map_or(0, |at| at as u32 + 1));
            imp.is_filling.set(false);
        }
        torrent
    }

    /// What a torrent is called here.
    pub(super) fn name_of(&self, torrent: &str) -> String {
        let main = self.imp().main.upgrade();
        let known = main.and_then(|main| main.summary_of(torrent.parse().ok()?));
        known.map_or_else(
            || tr!("Torrent {hash}…", hash = facts::short(torrent)),
            |known| known.name.clone(),
        )
    }

    fn listen(&self, looked: async_channel::Receiver<Look>) {
        let window = self.downgrade();
        glib::spawn_future_local(async move {
            while let Ok(look) = looked.recv().await {
                let Some(window) = window.upgrade() else { return };
                // What was wanted when it began may be another ring.
                if look.wish == *window.imp().wish.borrow() {
                    window.show_look(look);
                }
            }
        });
    }

    pub(super) fn show_problem(&self, problem: Option<&str>) {
        let imp = self.imp();
        set_text(&imp.problem, problem.unwrap_or_default());
        imp.problem_bar.set_revealed(problem.is_some());
    }
}
