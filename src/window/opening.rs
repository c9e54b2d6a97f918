//! How torrents come into the window, and what is to be shared. Layer 4.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use adw::prelude::*;
use adw::subclass::prelude::*;
use dtorrent::config::Config;
use dtorrent::engine::api::{AddTorrent, EngineCommand};
use dtorrent::id::InfoHash;
use dtorrent::metainfo::Metainfo;
use dtorrent::sentence::printable;
use gtk::{gdk, gio, glib};

use super::add_dialog::AddDialog;
use super::create_dialog::CreateDialog;
use super::i18n::tr;
use super::link_question;
use super::main_window::MainWindow;
use super::toasts::toast;
use super::torrent_files::{self, Handed};
use super::words;

/// Folders that are offered to choose from.
const MOST_FOLDERS: usize = 8;

/// What the window knows of what is being added.
#[derive(Debug, Default)]
pub(crate) struct Adding {
    /// Whether a torrent is shown before it is added.
    asks: Cell<bool>,
    /// Where downloads go unless told otherwise.
    downloads: RefCell<PathBuf>,
    /// Folders that were chosen in this run, the last one first.
    folders: RefCell<Vec<PathBuf>>,
    dialog: glib::WeakRef<AddDialog>,
    /// The link that could not be fetched last: it is offered again.
    failed: RefCell<String>,
    /// What is said of links that are fetched.
    fetching: RefCell<HashMap<String, adw::Toast>>,
}

impl MainWindow {
    /// These settings hold from now on.
    pub(crate) fn configure_adding(&self, config: &Config) {
        let adding = &self.imp().adding;
        adding.asks.set(config.window.ask_before_adding);
        let downloads = config.folders.downloads.clone();
        let before = adding.downloads.replace(downloads.clone());
        // Whoever names another folder means it, whatever was chosen before.
        if before != downloads && !before.as_os_str().is_empty() {
            self.remember_folder(Some(&downloads));
        }
    }

    /// Opens torrents that were chosen, or named on the command line.
    pub(crate) fn open_files(&self, files: &[gio::File]) {
        let mut paths = Vec::new();
        let mut refused = Vec::new();
        for file in files {
            match torrent_files::classify(file) {
                Handed::File(path) => paths.push(path),
                Handed::Link(url) => self.fetch(url),
                Handed::Refused(reason) => refused.push(reason),
            }
        }
        let window = self.clone();
        glib::spawn_future_local(async move {
            let mut torrents = Vec::new();
            for read in torrent_files::read(paths).await {
                match read {
                    Ok(metainfo) => torrents.push(metainfo),
                    Err(refusal) => {
                        let name = refusal.path.file_name().unwrap_or(refusal.path.as_os_str());
                        let name = name.display();
                        refused.push(tr!("“{name}”: {reason}.", name = name, reason = refusal.reason));
                    }
                }
            }
            window.offer(torrents);
            if !refused.is_empty() {
                window.show_problem(&tr!("Could Not Be Opened"), &refused.join("\n\n"));
            }
        });
    }

    /// Takes what was dropped or pasted: torrents are opened, and what else there is may be shared.
    pub(super) fn open_or_share(&self, files: Vec<gio::File>) {
        let window = self.clone();
        glib::spawn_future_local(async move {
            let (torrents, content) = torrent_files::sort(files).await;
            if !torrents.is_empty() {
                window.open_files(&torrents);
            }
            match &content[..] {
                [] => {}
                [one] => window.share(Some(one.clone())),
                _ => window.show_problem(
                    &tr!("One at a Time"),
                    &tr!(
                        "A torrent is made of one file or of one folder. Put the files into a folder, and share \
                         that."
                    ),
                ),
            }
        });
    }

    /// Takes what the clipboard holds.
    pub(super) async fn paste(&self) {
        // A clipboard without text is no mistake of anybody.
        let text = self.clipboard().read_text_future().await.ok().flatten();
        match torrent_files::from_text(&text.unwrap_or_default()) {
            Some(files) => self.open_or_share(files),
            None => self.toast(&tr!("The clipboard holds no file or link")),
        }
    }

    /// Takes what is dropped anywhere on the window; whether it was anything.
    pub(super) fn take_dropped(&self, value: &glib::Value) -> bool {
        let files = match value.get::<gdk::FileList>() {
            Ok(list) => Some(list.files()),
            Err(_) => (value.get::<String>().ok()).and_then(|text| torrent_files::from_text(&text)),
        };
        match files {
            Some(files) => {
                self.open_or_share(files);
                true
            }
            None => {
                self.toast(&tr!("What was dropped is no file or link"));
                false
            }
        }
    }

    /// Asks for a link, beginning with one that the clipboard holds.
    pub(super) async fn add_link(&self) {
        let text = self.clipboard().read_text_future().await.ok().flatten();
        let text = text.unwrap_or_default();
        let failed = self.imp().adding.failed.take();
        let first = [text.trim(), &failed]
            .into_iter()
            .find(|text| torrent_files::is_link(text));
        let first = first.unwrap_or(&failed);
        let Some(link) = link_question::ask(self, first).await else {
            return;
        };
        match torrent_files::from_text(&link) {
            Some(files) => self.open_files(&files),
            None => {
                self.show_problem(
                    &tr!("Could Not Be Opened"),
                    &tr!(
                        "“{link}” is no link. One begins with “https://” or “http://”.",
                        link = link
                    ),
                );
                self.imp().adding.failed.replace(link);
            }
        }
    }

    fn fetch(&self, url: String) {
        let toast = toast(&tr!("Fetching “{url}”…", url = url));
        // Until there is an answer, which the engine waits for no longer than a minute.
        toast.set_timeout(0);
        self.toasts().show(toast.clone());
        self.imp().adding.fetching.borrow_mut().insert(url.clone(), toast);
        self.send(EngineCommand::Fetch(url));
    }

    /// What is behind a link, or why that is not known.
    pub(super) fn show_fetched(&self, url: &str, torrent: Result<Arc<Metainfo>, String>) {
        let fetching = self.imp().adding.fetching.borrow_mut().remove(url);
        fetching.inspect(|toast| self.toasts().withdraw(toast));
        match torrent {
            Ok(metainfo) => self.offer(vec![metainfo]),
            Err(reason) => {
                self.imp().adding.failed.replace(url.to_owned());
                self.show_problem(
                    &tr!("Could Not Be Fetched"),
                    &tr!("“{url}”: {reason}", url = url, reason = words::told(&reason)),
                );
            }
        }
    }

    /// Shows torrents before they are added, unless they are there already or nobody wants to be asked.
    fn offer(&self, torrents: Vec<Arc<Metainfo>>) {
        let imp = self.imp();
        let (held, new): (Vec<_>, Vec<_>) = (torrents.into_iter())
            .partition(|torrent| !imp.adding.asks.get() || self.is_held(torrent.info.info_hash));
        for torrent in held {
            self.add_torrent(AddTorrent::new(torrent));
        }
        if new.is_empty() {
            return;
        }
        if let Some(open) = imp.adding.dialog.upgrade().filter(AddDialog::is_visible) {
            open.add_torrents(new);
            return open.present();
        }
        let window = self.downgrade();
        let dialog = AddDialog::new(self, new, &self.folders(), move |torrent| {
            if let Some(window) = window.upgrade() {
                window.remember_folder(torrent.folder.as_ref());
                window.add_torrent(torrent);
            }
        });
        imp.adding.dialog.set(Some(&dialog));
        dialog.present();
    }

    /// Folders to choose from, the one that is meant if none is chosen first: the one that was chosen last, else that of
    /// the settings; then those of the torrents of the list.
    fn folders(&self) -> Vec<PathBuf> {
        let adding = &self.imp().adding;
        let mut folders = adding.folders.borrow().clone();
        let snapshot = self.imp().snapshot.borrow().clone().unwrap_or_default();
        let others = snapshot.torrents.iter().rev().map(|torrent| &torrent.folder);
        for folder in std::iter::once(&*adding.downloads.borrow()).chain(others) {
            if folders.len() < MOST_FOLDERS && !folders.contains(folder) {
                folders.push(folder.clone());
            }
        }
        folders
    }

    fn remember_folder(&self, folder: Option<&PathBuf>) {
        let mut folders = self.imp().adding.folders.borrow_mut();
        if let Some(folder) = folder {
            folders.retain(|held| held != folder);
            folders.insert(0, folder.clone());
        }
    }

    /// Whether a torrent is among all of the client, shown or not.
    fn is_held(&self, info_hash: InfoHash) -> bool {
        let snapshot = self.imp().snapshot.borrow();
        snapshot.as_ref().is_some_and(|snapshot| {
            let mut torrents = snapshot.torrents.iter();
            torrents.any(|torrent| torrent.info_hash == info_hash)
        })
    }

    /// Adds a torrent and chooses it, or shows the one that is there already.
    pub(super) fn add_torrent(&self, torrent: AddTorrent) {
        let info_hash = torrent.metainfo.info.info_hash;
        if self.is_held(info_hash) {
            if self.position_of(info_hash).is_none() {
                self.show_every();
            }
            self.choose(info_hash);
            // It may have been made anew, with other trackers: those lead others to it.
            self.send(EngineCommand::AddTrackers {
                info_hash,
                tiers: torrent.metainfo.tiers.clone(),
            });
            self.toast(&tr!(
                "“{name}” is in the list already; it has the trackers of both now",
                name = printable(&torrent.metainfo.info.name)
            ));
            return;
        }
        self.imp().awaited.borrow_mut().insert(info_hash);
        self.send(EngineCommand::Add(Box::new(torrent)));
    }

    /// Shares a torrent that was made here. Returns what should be known if it is in the list already.
    fn share_made(&self, torrent: AddTorrent) -> Option<String> {
        let held = self.summary_of(torrent.metainfo.info.info_hash);
        let remark = held
            .as_deref()
            .map(|held| words::held(held, torrent.folder.as_deref()));
        if let Some(held) = held {
            // What was hashed a moment ago is right.
            if torrent.folder.as_ref() == Some(&held.folder) && held.wanted_done < held.wanted_length {
                self.send(EngineCommand::Trust(held.info_hash));
            }
            if words::is_stopped(held.state) {
                self.send(EngineCommand::Start(held.info_hash));
            }
        }
        self.add_torrent(torrent);
        remark
    }

    /// Shows the dialog that makes a torrent, of this file or folder or of one to be chosen.
    pub(super) fn share(&self, source: Option<PathBuf>) {
        let imp = self.imp();
        let Some(link) = imp.link.get() else { return };
        let open = imp.create_dialog.upgrade().filter(CreateDialog::is_visible);
        let dialog = open.filter(CreateDialog::takes_source).unwrap_or_else(|| {
            let window = self.downgrade();
            let tracker = imp.tracker.borrow().clone();
            CreateDialog::new(self, link.clone(), tracker, move |torrent| {
                window.upgrade()?.share_made(torrent)
            })
        });
        imp.create_dialog.set(Some(&dialog));
        if let Some(source) = source {
            dialog.set_source(source);
        }
        dialog.present();
    }
}
