//! What menus, buttons and keys do: the actions of the window. Layer 4.

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::engine::api::{EngineCommand, RemoveData};
use dtorrent::id::InfoHash;
use gtk::{gdk, gio, glib};

use super::create_dialog::CreateDialog;
use super::limits_choice::{self, Limits};
use super::main_window::MainWindow;
use super::remove_choice::RemoveChoice;
use super::torrent_object::TorrentObject;
use super::{remove_choice, torrent_files, torrent_list};

/// Those that need a chosen torrent.
const TORRENT_ACTIONS: [&str; 16] = [
    "toggle",
    "remove",
    "remove-with-files",
    "recheck",
    "announce",
    "sequential",
    "limits",
    "open-folder",
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
pub(super) const ACCELERATORS: [(&str, &[&str]); 12] = [
    ("win.open", &["<Control>o"]),
    ("win.create", &["<Control>n"]),
    ("win.paste", &["<Control>v"]),
    ("win.toggle", &["<Control>p"]),
    ("win.details", &["<Alt>Return"]),
    ("win.move-up", &["<Alt>Up"]),
    ("win.move-down", &["<Alt>Down"]),
    ("win.to-the-top", &["<Alt>Home"]),
    ("win.to-the-bottom", &["<Alt>End"]),
    ("win.back", &["<Alt>Left"]),
    ("window.close", &["<Control>w"]),
    ("app.quit", &["<Control>q"]),
];

impl MainWindow {
    pub(super) fn set_up_actions(&self) {
        self.add_plain_action("open", |window| {
            glib::spawn_future_local(async move { window.choose_files().await });
        });
        self.add_plain_action("create", |window| window.create());
        self.add_plain_action("paste", |window| {
            glib::spawn_future_local(async move { window.paste().await });
        });
        self.add_plain_action("toggle", |window| window.toggle());
        self.add_plain_action("start", |window| window.send_for_chosen(EngineCommand::Start));
        self.add_plain_action("pause", |window| window.send_for_chosen(EngineCommand::Pause));
        self.add_plain_action("remove", |window| window.remove(RemoveData::Keep));
        self.add_plain_action("remove-with-files", |window| window.remove(RemoveData::Trash));
        self.add_plain_action("recheck", |window| window.send_for_chosen(EngineCommand::Recheck));
        self.add_plain_action("announce", |window| {
            window.send_for_chosen(EngineCommand::Announce);
        });
        self.add_plain_action("open-folder", |window| {
            glib::spawn_future_local(async move { window.open_folder().await });
        });
        self.add_plain_action("move", |window| {
            glib::spawn_future_local(async move { window.move_data().await });
        });
        self.add_plain_action("limits", |window| {
            glib::spawn_future_local(async move { window.set_limits().await });
        });
        self.add_plain_action("move-up", |window| window.queue_at(|at| at.saturating_sub(1)));
        self.add_plain_action("move-down", |window| window.queue_at(|at| at + 1));
        self.add_plain_action("to-the-top", |window| window.queue_at(|_| 0));
        self.add_plain_action("to-the-bottom", |window| window.queue_at(|_| usize::MAX));
        self.add_plain_action("copy-info-hash", |window| window.copy_info_hash());
        self.add_plain_action("details", |window| window.show_chosen());
        self.add_plain_action("back", |window| window.show_list());
        self.add_plain_action("torrent-menu", |window| window.show_torrent_menu(None));
        self.add_plain_action("start-all", |window| window.send_for_all(EngineCommand::Start));
        self.add_plain_action("pause-all", |window| window.send_for_all(EngineCommand::Pause));
        self.add_sequential_action();
        self.add_tracker_action();
    }

    fn add_plain_action(&self, name: &str, run: impl Fn(Self) + 'static) {
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
                window.send_for_chosen(|info_hash| EngineCommand::SetSequential {
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

    /// Brings the check mark of the menu up to date.
    pub(super) fn show_sequential(&self) {
        let sequential = self.chosen_details().is_some_and(|details| details.sequential);
        let action = self
            .lookup_action("sequential")
            .and_downcast::<gio::SimpleAction>();
        if let Some(action) = action {
            action.set_state(&sequential.to_variant());
        }
    }

    pub(super) fn enable_torrent_actions(&self, enabled: bool) {
        for name in TORRENT_ACTIONS {
            self.enable_action(name, enabled);
        }
        self.enable_start_or_pause();
        self.show_sequential();
    }

    /// Of *Start* and *Pause* the menu shows the one that means something to the chosen torrent.
    pub(super) fn enable_start_or_pause(&self) {
        let stopped = self.chosen().map(|torrent| torrent.stopped());
        self.enable_action("start", stopped == Some(true));
        self.enable_action("pause", stopped == Some(false));
    }

    fn enable_action(&self, name: &str, enabled: bool) {
        let action = self.lookup_action(name).and_downcast::<gio::SimpleAction>();
        if let Some(action) = action.filter(|action| action.is_enabled() != enabled) {
            action.set_enabled(enabled);
        }
    }

    fn send_for_chosen(&self, command: impl FnOnce(InfoHash) -> EngineCommand) {
        if let Some(torrent) = self.chosen() {
            self.send(command(torrent.info_hash()));
        }
    }

    fn send_for_all(&self, command: impl Fn(InfoHash) -> EngineCommand) {
        for torrent in self.torrents() {
            self.send(command(torrent.info_hash()));
        }
    }

    /// Gives the chosen torrent another place in the queue, whose order is that of the list.
    fn queue_at(&self, place: impl FnOnce(usize) -> usize) {
        let position = place(self.imp().selection.selected() as usize);
        self.imp().is_moving.set(true);
        self.send_for_chosen(|info_hash| EngineCommand::SetQueuePosition { info_hash, position });
    }

    fn toggle(&self) {
        let Some(torrent) = self.chosen() else { return };
        let info_hash = torrent.info_hash();
        self.send(if torrent.stopped() {
            EngineCommand::Start(info_hash)
        } else {
            EngineCommand::Pause(info_hash)
        });
    }

    fn remove(&self, first: RemoveData) {
        let Some(torrent) = self.chosen() else { return };
        let window = self.clone();
        glib::spawn_future_local(async move {
            let summary = torrent.summary();
            let choice = RemoveChoice::new(&summary, first);
            if let Some(details) = window.chosen_details() {
                choice.set_details(&details);
            }
            window.imp().remove_choice.set(Some(&choice));
            if let Some(data) = remove_choice::ask(&window, &summary, &choice).await {
                let info_hash = summary.info_hash;
                let messages = &window.imp().messages;
                messages.expect_removal(info_hash, summary.name.clone(), data);
                window.send(EngineCommand::Remove { info_hash, data });
                window.show_list();
            }
        });
    }

    fn create(&self) {
        let Some(link) = self.imp().link.get() else {
            return;
        };
        let window = self.downgrade();
        let tracker = self.imp().tracker.borrow().clone();
        let dialog = CreateDialog::new(self, link.clone(), tracker, move |torrent| {
            window.upgrade().inspect(|window| window.add_torrent(torrent));
        });
        self.imp().create_dialog.set(Some(&dialog));
        dialog.present();
    }

    async fn choose_files(&self) {
        let filter = gtk::FileFilter::new();
        filter.set_name(Some("Torrent files"));
        filter.add_mime_type("application/x-bittorrent");
        filter.add_suffix("torrent");
        let everything = gtk::FileFilter::new();
        everything.set_name(Some("All files"));
        everything.add_pattern("*");
        let chooser = gtk::FileChooserNative::builder()
            .title("Open Torrent Files")
            .transient_for(self)
            .modal(true)
            .action(gtk::FileChooserAction::Open)
            .select_multiple(true)
            .accept_label("_Open")
            .build();
        chooser.add_filter(&filter);
        chooser.add_filter(&everything);
        if chooser.run_future().await == gtk::ResponseType::Accept {
            let files: Vec<gio::File> = chooser.files().iter().flatten().collect();
            self.open_files(&files);
        }
    }

    async fn paste(&self) {
        // A clipboard without text is no mistake of anybody.
        let text = self
            .clipboard()
            .read_text_future()
            .await
            .ok()
            .flatten()
            .unwrap_or_default();
        match torrent_files::from_text(&text) {
            Some(files) => self.open_files(&files),
            None => self.toast("The clipboard holds no torrent file or link"),
        }
    }

    async fn open_folder(&self) {
        let Some(summary) = self.chosen().map(|torrent| torrent.summary()) else {
            return;
        };
        let several = self.chosen_details().is_some_and(|details| details.multi_file);
        let inside = summary.folder.join(&summary.name);
        let folder = if several && inside.is_dir() {
            inside
        } else {
            summary.folder.clone()
        };
        let uri = gio::File::for_path(&folder).uri();
        let context = WidgetExt::display(self).app_launch_context();
        if let Err(error) = gio::AppInfo::launch_default_for_uri_future(&uri, Some(&context)).await {
            self.toast(&format!("“{}” cannot be shown: {error}", folder.display()));
        }
    }

    /// Asks where the data shall go. The list shows the move, and its end or what was in its way.
    async fn move_data(&self) {
        let Some(summary) = self.chosen().map(|torrent| torrent.summary()) else {
            return;
        };
        let chooser = gtk::FileChooserNative::new(
            Some("Move the Data to a Folder"),
            Some(self),
            gtk::FileChooserAction::SelectFolder,
            Some("_Move Here"),
            None,
        );
        chooser.set_modal(true);
        // The chooser opens somewhere else if it cannot go there.
        let _ = chooser.set_current_folder(Some(&gio::File::for_path(&summary.folder)));
        let accepted = chooser.run_future().await == gtk::ResponseType::Accept;
        match chooser.file().filter(|_| accepted).and_then(|file| file.path()) {
            Some(to) if to == summary.folder => self.toast("The data is in this folder already"),
            Some(to) => self.send(EngineCommand::Move {
                info_hash: summary.info_hash,
                to,
            }),
            None => {}
        }
    }

    async fn set_limits(&self) {
        // Without details nothing is known of the present limits; they come with the next snapshot.
        let (Some(torrent), Some(details)) = (self.chosen(), self.chosen_details()) else {
            return;
        };
        let present = Limits {
            download_kib: details.download_limit_kib,
            upload_kib: details.upload_limit_kib,
        };
        if let Some(limits) = limits_choice::ask(self, &torrent.summary(), present).await {
            self.send(EngineCommand::SetLimits {
                info_hash: details.info_hash,
                download_kib: limits.download_kib,
                upload_kib: limits.upload_kib,
            });
        }
    }

    fn copy_info_hash(&self) {
        if let Some(torrent) = self.chosen() {
            self.clipboard().set_text(&torrent.info_hash().to_string());
            self.toast("Info-hash copied");
        }
    }

    /// Opens the menu of a row that was pressed; `x` and `y` are in its coordinates.
    pub(super) fn show_menu_of(&self, torrent: &TorrentObject, row: &gtk::Widget, x: f64, y: f64) {
        self.choose(torrent);
        let place = row.translate_coordinates(self.list_page(), x, y);
        self.show_torrent_menu(place);
    }

    fn show_torrent_menu(&self, place: Option<(f64, f64)>) {
        if let Some(model) = self.torrent_menu() {
            torrent_list::show_menu(self.list_page(), self.list(), &model, place);
        }
    }

    /// Takes torrent files and links that are dropped anywhere on the window.
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
            let files = match value.get::<gdk::FileList>() {
                Ok(list) => Some(list.files()),
                Err(_) => value
                    .get::<String>()
                    .ok()
                    .and_then(|text| torrent_files::from_text(&text)),
            };
            match &files {
                Some(files) => window.open_files(files),
                None => window.toast("What was dropped is no torrent file or link"),
            }
            files.is_some()
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
