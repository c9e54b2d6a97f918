//! What menus, buttons and keys do: the actions of the window. Layer 4.

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineCommand, QueueStep, TorrentState, TorrentSummary};
use dtorrent::id::InfoHash;
use gtk::{gdk, gio, glib};

use super::i18n::{tr, tr_n};
use super::main_window::MainWindow;
use super::ring::RingWindow;
use super::template::{file_type, launch};
use super::torrent_object::TorrentObject;
use super::{limits_choice, overwriting, torrent_list, words};

/// Those that need a chosen torrent, or several.
const TORRENT_ACTIONS: [&str; 15] = [
    "toggle",
    "remove",
    "remove-with-files",
    "recheck",
    "announce",
    "sequential",
    "limits",
    "move",
    "move-up",
    "move-down",
    "to-the-top",
    "to-the-bottom",
    "copy-info-hash",
    "details",
    "torrent-menu",
];

/// Keys that work wherever the focus is.
pub(super) const ACCELERATORS: [(&str, &[&str]); 19] = [
    ("win.open", &["<Control>o"]),
    ("win.create", &["<Control>n"]),
    ("win.paste", &["<Control>v"]),
    ("win.add-link", &["<Control><Shift>o"]),
    ("win.preferences", &["<Control>comma"]),
    ("win.alternative-limits", &["<Control>l"]),
    ("win.search", &["<Control>f"]),
    ("win.undo", &["<Control>z"]),
    ("win.toggle", &["<Control>p"]),
    ("win.details", &["<Alt>Return"]),
    ("win.move-up", &["<Alt>Up"]),
    ("win.move-down", &["<Alt>Down"]),
    ("win.to-the-top", &["<Alt>Home"]),
    ("win.to-the-bottom", &["<Alt>End"]),
    ("win.back", &["<Alt>Left"]),
    ("win.edge", &["F8"]),
    ("window.close", &["<Control>w"]),
    ("app.shortcuts", &["<Control>question", "<Control>F1"]),
    ("app.quit", &["<Control>q"]),
];

impl MainWindow {
    pub(super) fn set_up_actions(&self) {
        self.add_plain_action("open", |window| {
            glib::spawn_future_local(async move { window.choose_files().await });
        });
        self.add_plain_action("create", |window| window.share(None));
        self.add_plain_action("paste", |window| {
            glib::spawn_future_local(async move { window.paste().await });
        });
        self.add_plain_action("add-link", |window| {
            glib::spawn_future_local(async move { window.add_link().await });
        });
        self.add_plain_action("toggle", |window| window.toggle());
        self.add_plain_action("start", |window| window.send_for_chosen(EngineCommand::Start));
        self.add_plain_action("start-now", |window| {
            window.send_for_chosen(EngineCommand::StartNow);
        });
        self.add_plain_action("overwrite", |window| {
            glib::spawn_future_local(async move { window.overwrite().await });
        });
        self.add_plain_action("pause", |window| window.send_for_chosen(EngineCommand::Pause));
        self.add_plain_action("remove", |window| window.remove_chosen());
        self.add_plain_action("remove-with-files", |window| window.remove_with_files());
        self.add_plain_action("undo", |window| window.undo());
        self.enable_action("undo", false);
        self.add_plain_action("recheck", |window| window.send_for_chosen(EngineCommand::Recheck));
        self.add_plain_action("announce", |window| {
            window.send_for_chosen(EngineCommand::Announce);
        });
        self.add_plain_action("open-folder", |window| {
            glib::spawn_future_local(async move { window.open_folder().await });
        });
        self.add_plain_action("save-torrent", |window| {
            glib::spawn_future_local(async move { window.save_torrent().await });
        });
        self.add_plain_action("copy-torrent", |window| {
            glib::spawn_future_local(async move { window.copy_torrent().await });
        });
        self.add_plain_action("move", |window| {
            glib::spawn_future_local(async move { window.move_data().await });
        });
        self.add_plain_action("limits", |window| {
            glib::spawn_future_local(async move { window.set_limits().await });
        });
        self.add_plain_action("move-up", |window| window.move_chosen(QueueStep::Up));
        self.add_plain_action("move-down", |window| window.move_chosen(QueueStep::Down));
        self.add_plain_action("to-the-top", |window| window.move_chosen(QueueStep::Top));
        self.add_plain_action("to-the-bottom", |window| window.move_chosen(QueueStep::Bottom));
        self.add_plain_action("copy-info-hash", |window| window.copy_info_hash());
        self.add_plain_action("details", |window| window.show_chosen());
        self.add_plain_action("back", |window| window.show_list());
        self.add_plain_action("edge", |window| window.go_to_edge());
        self.add_plain_action("torrent-menu", |window| window.show_torrent_menu(None));
        self.add_plain_action("start-all", |window| window.start_all());
        self.add_plain_action("pause-all", |window| {
            window.send_for_all(|_| true, EngineCommand::Pause);
        });
        self.add_sequential_action();
        self.add_tracker_action();
        self.add_plain_action("ring", |window| window.show_ring());
        self.add_client_actions();
    }

    pub(super) fn add_plain_action(&self, name: &str, run: impl Fn(Self) + 'static) {
        let action = gio::SimpleAction::new(name, None);
        let window = self.downgrade();
        action.connect_activate(move |_, _| {
            if let Some(window) = window.upgrade() {
                run(window);
            }
        });
        self.add_action(&action);
    }

    /// A check mark in the menu; it changes when the engine says that the torrent has.
    fn add_sequential_action(&self) {
        let action = gio::SimpleAction::new_stateful("sequential", None, &false.to_variant());
        let window = self.downgrade();
        action.connect_activate(move |action, _| {
            let sequential = !action.state().and_then(|state| state.get()).unwrap_or(false);
            if let Some(window) = window.upgrade() {
                window.send_for_chosen(move |info_hash| EngineCommand::SetSequential {
                    info_hash,
                    sequential,
                });
            }
        });
        self.add_action(&action);
    }

    /// Whether this computer is a tracker: a check mark that follows what the engine says.
    fn add_tracker_action(&self) {
        let action = gio::SimpleAction::new_stateful("tracker", None, &false.to_variant());
        let window = self.downgrade();
        action.connect_activate(move |action, _| {
            let on = !action.state().and_then(|state| state.get()).unwrap_or(false);
            if let Some(window) = window.upgrade() {
                window.send(EngineCommand::SetTrackerNode(on));
            }
        });
        self.add_action(&action);
    }

    pub(super) fn enable_torrent_actions(&self) {
        let any = !self.imp().selection.selection().is_empty();
        for name in TORRENT_ACTIONS {
            self.enable_action(name, any);
        }
        for name in ["open-folder", "save-torrent", "copy-torrent"] {
            self.enable_action(name, self.chosen_one().is_some());
        }
        self.enable_by_state();
    }

    /// Of *Start* and *Pause* the menu shows what means something to the chosen torrents, and the check marks in it say
    /// how these are.
    pub(super) fn enable_by_state(&self) {
        let chosen = self.chosen_summaries();
        let any = |is_it: fn(&TorrentSummary) -> bool| chosen.iter().any(|torrent| is_it(torrent));
        self.enable_action(
            "start",
            any(|torrent| words::is_stopped(torrent.state) || torrent.forced),
        );
        self.enable_action("pause", any(|torrent| !words::is_stopped(torrent.state)));
        self.enable_action(
            "start-now",
            any(|torrent| !torrent.forced && waits_for_turn(torrent)),
        );
        self.enable_action("overwrite", any(overwriting::is_stopped_by_files));
        let sequential = !chosen.is_empty() && chosen.iter().all(|torrent| torrent.sequential);
        let action = self
            .lookup_action("sequential")
            .and_downcast::<gio::SimpleAction>();
        if let Some(action) = action {
            action.set_state(&sequential.to_variant());
        }
    }

    pub(super) fn enable_action(&self, name: &str, enabled: bool) {
        let action = self.lookup_action(name).and_downcast::<gio::SimpleAction>();
        if let Some(action) = action.filter(|action| action.is_enabled() != enabled) {
            action.set_enabled(enabled);
        }
    }

    fn send_for_chosen(&self, command: impl Fn(InfoHash) -> EngineCommand) {
        for info_hash in self.chosen_hashes() {
            self.send(command(info_hash));
        }
    }

    fn send_for_all(
        &self,
        is_meant: impl Fn(&TorrentSummary) -> bool,
        command: impl Fn(InfoHash) -> EngineCommand,
    ) {
        let snapshot = self.imp().snapshot.borrow().clone();
        let torrents = snapshot.iter().flat_map(|snapshot| &*snapshot.torrents);
        for torrent in torrents.filter(|torrent| is_meant(torrent)) {
            self.send(command(torrent.info_hash));
        }
    }

    /// All but what has seeded enough: to start that sets its limit aside.
    fn start_all(&self) {
        self.send_for_all(|torrent| torrent.seed_end.is_none(), EngineCommand::Start);
    }

    /// Gives the chosen torrents other places in the queue.
    fn move_chosen(&self, step: QueueStep) {
        self.imp().is_moving.set(true);
        let info_hashes = self.chosen_hashes();
        self.send(EngineCommand::MoveInQueue { info_hashes, step });
    }

    /// Those that go along when this one is dragged: all that are chosen with it.
    pub(super) fn dragged_with(&self, torrent: &TorrentObject) -> Vec<InfoHash> {
        let chosen = self.chosen_hashes();
        let dragged = torrent.info_hash();
        if chosen.contains(&dragged) {
            chosen
        } else {
            vec![dragged]
        }
    }

    /// Puts a dragged torrent, and those that go along, above or below another one in the list.
    pub(super) fn drop_in_queue(&self, dragged: &TorrentObject, target: &TorrentObject, below: bool) {
        let target = target.info_hash();
        let is_reversed = self.imp().view.borrow().reversed;
        let step = if below == is_reversed {
            QueueStep::Before(target)
        } else {
            QueueStep::After(target)
        };
        let info_hashes = self.dragged_with(dragged);
        self.send(EngineCommand::MoveInQueue { info_hashes, step });
    }

    /// Starts the chosen torrents if all of them stand still, else pauses them.
    fn toggle(&self) {
        if self.chosen().iter().all(TorrentObject::stopped) {
            self.send_for_chosen(EngineCommand::Start);
        } else {
            self.send_for_chosen(EngineCommand::Pause);
        }
    }

    /// Opens the window of the ring, or brings it to the front.
    fn show_ring(&self) {
        let imp = self.imp();
        let Some(link) = imp.link.get() else { return };
        let window = imp.ring_window.upgrade().unwrap_or_else(|| {
            let window = RingWindow::new(self, link, imp.tracker.borrow().as_ref());
            imp.ring_window.set(Some(&window));
            window
        });
        window.present();
    }

    async fn choose_files(&self) {
        let filter = gtk::FileFilter::new();
        filter.set_name(Some(&tr!("Torrent files")));
        filter.add_mime_type("application/x-bittorrent");
        filter.add_suffix("torrent");
        let everything = gtk::FileFilter::new();
        everything.set_name(Some(&tr!("All files")));
        everything.add_pattern("*");
        let chooser = gtk::FileChooserNative::builder()
            .title(tr!("Open Torrent Files"))
            .transient_for(self)
            .modal(true)
            .action(gtk::FileChooserAction::Open)
            .select_multiple(true)
            .accept_label(tr!("_Open"))
            .build();
        chooser.add_filter(&filter);
        chooser.add_filter(&everything);
        if chooser.run_future().await == gtk::ResponseType::Accept {
            let files: Vec<gio::File> = chooser.files().iter().flatten().collect();
            self.open_files(&files);
        }
    }

    async fn open_folder(&self) {
        let Some(summary) = self.chosen_one().map(|torrent| torrent.summary()) else {
            return;
        };
        // The name that is shown is not always that of the folder.
        let details = self.chosen_details().filter(|details| details.multi_file);
        let name = details.and_then(|details| details.files.first()?.path.first().cloned());
        let folder = match name.map(|name| summary.folder.join(name)) {
            Some(inside) if file_type(&inside).await == Some(gio::FileType::Directory) => inside,
            _ => summary.folder.clone(),
        };
        if let Err(error) = launch(self, &gio::File::for_path(&folder)).await {
            let folder = folder.display();
            self.toast(&tr!(
                "“{folder}” cannot be shown: {error}",
                folder = folder,
                error = error
            ));
        }
    }

    /// Asks where the data shall go. The list shows the move, and its end or what was in its way.
    async fn move_data(&self) {
        let chosen = self.chosen_summaries();
        let Some(first) = chosen.first() else {
            return;
        };
        let chooser = gtk::FileChooserNative::new(
            Some(&tr!("Move the Data to a Folder")),
            Some(self),
            gtk::FileChooserAction::SelectFolder,
            Some(&tr!("_Move Here")),
            None,
        );
        chooser.set_modal(true);
        // The chooser opens somewhere else if it cannot go there.
        let _ = chooser.set_current_folder(Some(&gio::File::for_path(&first.folder)));
        let accepted = chooser.run_future().await == gtk::ResponseType::Accept;
        match chooser.file().filter(|_| accepted).and_then(|file| file.path()) {
            Some(to) if chosen.iter().all(|torrent| torrent.folder == to) => {
                self.toast(&tr!("The data is in this folder already"));
            }
            Some(to) => {
                for torrent in chosen.iter().filter(|torrent| torrent.folder != to) {
                    self.send(EngineCommand::Move {
                        info_hash: torrent.info_hash,
                        to: to.clone(),
                    });
                }
            }
            None => {}
        }
    }

    async fn set_limits(&self) {
        let chosen = self.chosen_summaries();
        if chosen.is_empty() {
            return;
        }
        let settings = self.transfer_settings();
        if let Some(limits) = limits_choice::ask(self, &chosen, &settings).await {
            for torrent in &chosen {
                self.send(EngineCommand::SetLimits {
                    info_hash: torrent.info_hash,
                    download_kib: limits.download_kib,
                    upload_kib: limits.upload_kib,
                });
                if let Some(limit) = limits.seed_limit {
                    self.send(EngineCommand::SetSeedLimit {
                        info_hash: torrent.info_hash,
                        limit,
                    });
                }
            }
        }
    }

    fn copy_info_hash(&self) {
        let hashes: Vec<String> = self.chosen_hashes().iter().map(InfoHash::to_string).collect();
        self.clipboard().set_text(&hashes.join("\n"));
        let told = match hashes.len() {
            0 => return,
            1 => tr!("Info-hash copied"),
            count => tr_n!(count as u64, "{n} info-hash copied", "{n} info-hashes copied"),
        };
        self.toast(&told);
    }

    /// Opens the menu of a row that was pressed; `x` and `y` are in its coordinates.
    pub(super) fn show_menu_of(&self, torrent: &TorrentObject, row: &gtk::Widget, x: f64, y: f64) {
        self.include(torrent);
        let place = row.translate_coordinates(self.list_page(), x, y);
        self.show_torrent_menu(place);
    }

    fn show_torrent_menu(&self, place: Option<(f64, f64)>) {
        if let Some(model) = self.torrent_menu() {
            torrent_list::show_menu(self.list_page(), self.list(), &model, place);
        }
    }

    /// Takes files and links that are dropped anywhere on the window.
    pub(super) fn set_up_drop(&self) {
        let drop = gtk::DropTarget::new(glib::Type::INVALID, gdk::DragAction::COPY);
        drop.set_types(&[gdk::FileList::static_type(), glib::Type::STRING]);
        let window = self.downgrade();
        drop.connect_drop(move |_, value, _, _| {
            let Some(window) = window.upgrade() else {
                return false;
            };
            // What is dropped does not leave.
            window.remove_css_class("drop-target");
            window.take_dropped(value)
        });
        let window = self.downgrade();
        drop.connect_enter(move |_, _, _| {
            window
                .upgrade()
                .inspect(|window| window.add_css_class("drop-target"));
            gdk::DragAction::COPY
        });
        let window = self.downgrade();
        drop.connect_leave(move |_| {
            window
                .upgrade()
                .inspect(|window| window.remove_css_class("drop-target"));
        });
        self.add_controller(drop);
    }
}

/// Whether it does not run, or runs by the grace of the queue.
fn waits_for_turn(torrent: &TorrentSummary) -> bool {
    torrent.state == TorrentState::Queued || words::is_stopped(torrent.state)
}
