//! How torrents come into the window. Layer 4.

use std::sync::Arc;

use adw::subclass::prelude::*;
use dtorrent::engine::api::{AddTorrent, EngineCommand};
use dtorrent::metainfo::Metainfo;
use gtk::{gio, glib};

use super::main_window::MainWindow;
use super::torrent_files::{self, Handed};

impl MainWindow {
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
        self.add_torrent(AddTorrent::new(metainfo));
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
            // It may have been made anew, with other trackers: those lead others to it.
            self.send(EngineCommand::AddTrackers {
                info_hash,
                tiers: torrent.metainfo.tiers.clone(),
            });
            self.toast(&format!(
                "“{}” is in the list already; it has the trackers of both now",
                torrent.metainfo.info.name
            ));
            return;
        }
        self.imp().awaited.borrow_mut().insert(info_hash);
        self.send(EngineCommand::Add(Box::new(torrent)));
    }
}
