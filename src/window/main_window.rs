//! The window itself, `ui/window.ui`: the list of torrents beside the chosen one. Layer 4.
//!
//! What is shown changes in one place only, [`MainWindow::show_snapshot`]; actions send commands and wait for
//! the engine to tell what came of them.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{
    AddTorrent, EngineCommand, EngineEvent, EngineSnapshot, RemoveData, TorrentDetails, TrackerNodeStatus,
};
use dtorrent::id::InfoHash;
use dtorrent::metainfo::Metainfo;
use dtorrent::size::Count;
use gtk::{gdk, gio, glib};

use super::create_dialog::CreateDialog;
use super::details_pane::DetailsPane;
use super::engine_link::{EngineLink, States};
use super::farewell_page::FarewellPage;
use super::remove_choice::RemoveChoice;
use super::store::KeyedStore;
use super::template::set_text;
use super::torrent_files::{self, Handed};
use super::torrent_object::TorrentObject;
use super::{torrent_list, tracker_words, words};

/// How long a toast about a problem stays.
const PROBLEM_SECONDS: u32 = 15;

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
        /// The last dialog that told of a problem.
        pub(super) problem: glib::WeakRef<adw::MessageDialog>,
        /// Torrents that a person has just added here: they are told of, and chosen, when they appear.
        pub(crate) awaited: RefCell<HashSet<InfoHash>>,
        /// Torrents that the engine has added in this run; the next snapshot shows them.
        pub(crate) added: RefCell<HashSet<InfoHash>>,
        /// Torrents that a person is having removed here, with their names and what happens to their files.
        pub(crate) removing: RefCell<HashMap<InfoHash, (String, RemoveData)>>,
        /// The latest toast about each torrent: it goes with the torrent.
        pub(crate) toasts_about: RefCell<HashMap<InfoHash, adw::Toast>>,
        /// Where the chosen torrent stood, to choose its neighbour when it is removed.
        pub(crate) position: Cell<u32>,
        /// How the tracker in this computer stands.
        pub(crate) tracker: RefCell<Option<TrackerNodeStatus>>,
        /// The dialog that makes torrents, while it is open: it wants to know of the tracker.
        pub(crate) create_dialog: glib::WeakRef<CreateDialog>,
        /// Notifications that may still be shown by the desktop.
        pub(crate) notified: RefCell<Vec<String>>,
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

    fn show_totals(&self, snapshot: &EngineSnapshot) {
        let imp = self.imp();
        let (down, up) = (
            words::limited_rate(snapshot.download_rate, snapshot.download_limit_kib),
            words::limited_rate(snapshot.upload_rate, snapshot.upload_limit_kib),
        );
        let mut counts = vec![
            Count(snapshot.torrents.len() as u64, "torrent").to_string(),
            Count(snapshot.connections as u64, "connection").to_string(),
        ];
        if let Some(address) = snapshot.listening.first() {
            counts.push(format!("port {}", address.port()));
        }
        let counts = counts.join(" · ");
        imp.totals.set_label(&format!("↓ {down}  ↑ {up}\n{counts}"));
        let tracker = snapshot.tracker.as_ref();
        let problems = [
            snapshot.network_problem.as_deref(),
            tracker.and_then(|tracker| tracker.problem.as_deref()),
        ];
        let problems: Vec<String> = problems.into_iter().flatten().map(words::sentence).collect();
        set_text(&imp.network_problem, &problems.join("\n"));
        imp.network_bar.set_revealed(!problems.is_empty());
    }

    /// Shows whether this computer is a tracker, and for whom.
    fn show_tracker(&self, tracker: Option<&TrackerNodeStatus>) {
        let imp = self.imp();
        set_text(
            &imp.tracker_state,
            &tracker.map(tracker_words::summary).unwrap_or_default(),
        );
        let advice = tracker.filter(|tracker| tracker.is_reachable());
        let advice = advice.map(|tracker| tracker_words::explanation(Some(tracker)));
        if imp.tracker_state.tooltip_text().map(String::from) != advice {
            imp.tracker_state.set_tooltip_text(advice.as_deref());
        }
        imp.tracker_state.set_visible(tracker.is_some());
        if let Some(action) = self.lookup_action("tracker").and_downcast::<gio::SimpleAction>() {
            action.set_state(&tracker.is_some().to_variant());
        }
        if imp.tracker.borrow().as_ref() == tracker {
            return;
        }
        imp.tracker.replace(tracker.cloned());
        if let Some(dialog) = imp.create_dialog.upgrade() {
            dialog.show_tracker(tracker.cloned());
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

    /// Shows what happened.
    pub(super) fn show_event(&self, event: EngineEvent) {
        match event {
            EngineEvent::Failed { info_hash, message } => self.show_failure(info_hash, message),
            EngineEvent::Finished(info_hash) => self.tell_finished(info_hash),
            EngineEvent::Removed(info_hash) => {
                self.imp().awaited.borrow_mut().remove(&info_hash);
                self.imp().added.borrow_mut().remove(&info_hash);
                self.withdraw_toast(info_hash);
                let removed = self.imp().removing.borrow_mut().remove(&info_hash);
                if let Some((name, data)) = removed {
                    self.toast(&removed_words(&name, data));
                }
            }
            EngineEvent::Added(info_hash) => {
                self.imp().added.borrow_mut().insert(info_hash);
            }
            // States come by channels of their own, and the rest is the application's.
            EngineEvent::Snapshot(_)
            | EngineEvent::Details(_)
            | EngineEvent::Configured(_)
            | EngineEvent::Stopped => {}
        }
    }

    /// A torrent of the list says itself what ails it, so a toast is enough, with a way to the whole text.
    /// Anything else stands in a dialog until it was read.
    fn show_failure(&self, info_hash: Option<InfoHash>, message: String) {
        let imp = self.imp();
        let torrent = info_hash.and_then(|info_hash| imp.torrents.borrow().get(info_hash).cloned());
        let Some(torrent) = torrent else {
            if info_hash.is_some_and(|info_hash| imp.added.borrow().contains(&info_hash)) {
                // It comes with the next snapshot, and brings its problem.
                return;
            }
            if let Some(info_hash) = info_hash {
                imp.awaited.borrow_mut().remove(&info_hash);
            }
            return self.show_problem("Something Went Wrong", &message);
        };
        let torrent_hash = torrent.info_hash();
        let toast = toast(&format!("Problem with “{}”", torrent.name()));
        toast.set_timeout(PROBLEM_SECONDS);
        toast.set_button_label(Some("_Show"));
        let window = self.downgrade();
        toast.connect_button_clicked(move |_| {
            window
                .upgrade()
                .inspect(|window| window.show_problem(&torrent.name(), &message));
        });
        self.toast_about(torrent_hash, toast);
    }

    fn tell_finished(&self, info_hash: InfoHash) {
        let Some(torrent) = self.imp().torrents.borrow().get(info_hash).cloned() else {
            return;
        };
        let text = format!("“{}” is complete", torrent.name());
        if self.is_active() {
            self.toast_about(info_hash, toast(&text));
        } else if let Some(app) = self.application() {
            let notification = gio::Notification::new("Download Complete");
            notification.set_body(Some(&text));
            let id = info_hash.to_string();
            app.send_notification(Some(&id), &notification);
            self.imp().notified.borrow_mut().push(id);
        }
    }

    /// Takes back the notifications of what is now before the user's eyes.
    fn withdraw_notifications(&self) {
        if let Some(app) = self.application().filter(|_| self.is_active()) {
            for id in self.imp().notified.take() {
                app.withdraw_notification(&id);
            }
        }
    }

    /// A passing message about a torrent, in the place of the one before.
    fn toast_about(&self, info_hash: InfoHash, toast: adw::Toast) {
        self.withdraw_toast(info_hash);
        self.imp().toasts.add_toast(toast.clone());
        self.imp().toasts_about.borrow_mut().insert(info_hash, toast);
    }

    /// Takes back what is still said of a torrent that is gone.
    fn withdraw_toast(&self, info_hash: InfoHash) {
        let said = self.imp().toasts_about.borrow_mut().remove(&info_hash);
        said.inspect(|toast| toast.dismiss());
    }

    /// A passing message.
    pub(super) fn toast(&self, text: &str) {
        self.imp().toasts.add_toast(toast(text));
    }

    /// A message that stays until it was read.
    pub(super) fn show_problem(&self, heading: &str, message: &str) {
        let message = words::sentence(message);
        // One that is still open takes up what comes: dialogs on top of each other would be closed unread.
        let open = self.imp().problem.upgrade();
        let open = open.filter(|open| open.is_visible() && open.heading().as_deref() == Some(heading));
        if let Some(open) = open {
            let body = open.body();
            if !body.contains(&message) {
                open.set_body(&format!("{body}\n\n{message}"));
            }
            return;
        }
        let dialog = adw::MessageDialog::new(Some(self), Some(heading), Some(&message));
        dialog.add_response("close", "_OK");
        self.imp().problem.set(Some(&dialog));
        dialog.present();
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

    /// Opens what was chosen, dropped, pasted or named on the command line.
    pub(crate) fn open_files(&self, files: &[gio::File]) {
        let mut paths = Vec::new();
        let mut refused = Vec::new();
        for file in files {
            match torrent_files::classify(file) {
                Handed::File(path) => paths.push(path),
                Handed::Refused(reason) => refused.push(reason),
            }
        }
        let window = self.clone();
        glib::spawn_future_local(async move {
            for read in torrent_files::read(paths).await {
                match read {
                    Ok(metainfo) => window.add(metainfo),
                    Err(refusal) => {
                        let name = refusal.path.file_name().unwrap_or(refusal.path.as_os_str());
                        refused.push(format!("“{}”: {}.", name.display(), refusal.reason));
                    }
                }
            }
            if !refused.is_empty() {
                window.show_problem("Could Not Be Opened", &refused.join("\n\n"));
            }
        });
    }

    fn add(&self, metainfo: Arc<Metainfo>) {
        self.add_torrent(AddTorrent {
            metainfo,
            folder: None,
            paused: false,
            sequential: false,
            priorities: Vec::new(),
            peers: Vec::new(),
            trust_data: false,
        });
    }

    /// Adds a torrent and chooses it, or shows the one that is there already.
    pub(super) fn add_torrent(&self, torrent: AddTorrent) {
        let info_hash = torrent.metainfo.info.info_hash;
        let held = self
            .torrents()
            .iter()
            .position(|held| held.info_hash() == info_hash);
        if let Some(position) = held {
            self.imp().selection.set_selected(position as u32);
            self.toast(&format!(
                "“{}” is in the list already",
                torrent.metainfo.info.name
            ));
            return;
        }
        self.imp().awaited.borrow_mut().insert(info_hash);
        self.send(EngineCommand::Add(Box::new(torrent)));
    }
}

impl torrent_list::Hands for glib::WeakRef<MainWindow> {
    /// Leads on to the torrent where list and torrent do not fit side by side.
    fn clicked(&self) {
        if let Some(window) = self.upgrade().filter(MainWindow::is_folded) {
            window.show_chosen();
        }
    }

    fn menu_wanted(&self, torrent: &TorrentObject, row: &gtk::Widget, x: f64, y: f64) {
        if let Some(window) = self.upgrade() {
            window.show_menu_of(torrent, row, x, y);
        }
    }
}

/// What is said when a torrent has gone.
fn removed_words(name: &str, data: RemoveData) -> String {
    match data {
        RemoveData::Keep => format!("“{name}” removed"),
        RemoveData::Trash => format!("“{name}” moved to the trash"),
        RemoveData::Delete => format!("“{name}” deleted"),
    }
}

fn toast(text: &str) -> adw::Toast {
    // A toast reads markup, and names come from torrents.
    adw::Toast::new(&glib::markup_escape_text(text))
}
