//! The file of a torrent, for somebody else: saved, or on the clipboard. Layer 4; files are written off the GTK thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adw::prelude::*;
use dtorrent::create::{self, CreateError, Existing};
use dtorrent::metainfo::Metainfo;
use gtk::{gdk, gio, glib};

use super::i18n::tr;
use super::main_window::MainWindow;
use super::{torrent_files, words};

/// Folder below that of the user's caches, for torrents that are copied before they were saved.
const CACHE: &str = "dtorrent/shared";

impl MainWindow {
    /// Asks for a place for the file of the chosen torrent, and writes it there.
    pub(super) async fn save_torrent(&self) {
        let Some(torrent) = self.chosen_torrent_file().await else {
            return;
        };
        let folder = self.chosen_one().map(|torrent| torrent.summary().folder.clone());
        let Some(path) = ask_where(Some(self.upcast_ref()), &torrent, folder.as_deref()).await else {
            return;
        };
        match save(torrent, path.clone()).await {
            Ok(()) => self.toast(&tr!("Saved as “{path}”", path = path.display())),
            Err(problem) => self.show_problem(&tr!("The Torrent File Cannot Be Saved"), &problem),
        }
    }

    /// Puts the file of the chosen torrent on the clipboard.
    pub(super) async fn copy_torrent(&self) {
        let Some(torrent) = self.chosen_torrent_file().await else {
            return;
        };
        let copied = match copy_of(torrent).await {
            Ok(path) => put_on(&self.clipboard(), &path),
            Err(problem) => Err(problem),
        };
        match copied {
            Ok(told) => self.toast(&told),
            Err(problem) => self.show_problem(&tr!("The Torrent File Cannot Be Saved"), &problem),
        }
    }

    /// As it was added: the engine keeps it in the state folder.
    async fn chosen_torrent_file(&self) -> Option<Arc<Metainfo>> {
        let info_hash = self.chosen_one()?.info_hash();
        let path = self.state_folder()?.join(format!("torrents/{info_hash}.torrent"));
        match torrent_files::read(vec![path]).await.pop()? {
            Ok(torrent) => Some(torrent),
            Err(refusal) => {
                let problem = tr!(
                    "“{name}”: {reason}.",
                    name = refusal.path.display(),
                    reason = refusal.reason
                );
                self.show_problem(&tr!("The Torrent File Cannot Be Saved"), &problem);
                None
            }
        }
    }
}

/// Asks where to save a torrent, beginning in `folder`.
pub(crate) async fn ask_where(
    window: Option<&gtk::Window>,
    torrent: &Metainfo,
    folder: Option<&Path>,
) -> Option<PathBuf> {
    let chooser = gtk::FileChooserNative::new(
        Some(&tr!("Save the Torrent")),
        window,
        gtk::FileChooserAction::Save,
        Some(&tr!("_Save")),
        None,
    );
    chooser.set_modal(true);
    chooser.set_current_name(&file_name(torrent));
    // The chooser opens somewhere else if it cannot go there.
    let _ = chooser.set_current_folder(folder.map(gio::File::for_path).as_ref());
    let accepted = chooser.run_future().await == gtk::ResponseType::Accept;
    chooser.file().filter(|_| accepted)?.path()
}

/// Writes a file of the torrent for those who want one before it was saved.
pub(crate) async fn copy_of(torrent: Arc<Metainfo>) -> Result<PathBuf, String> {
    // Others of the same name may be on the clipboard still.
    let folder = copies().join(torrent.info.info_hash.to_string());
    let path = folder.join(file_name(&torrent));
    save(torrent, path.clone()).await.map(|()| path)
}

/// Puts a file on the clipboard, as a file manager does. Says what came of it.
pub(crate) fn put_on(clipboard: &gdk::Clipboard, path: &Path) -> Result<String, String> {
    let file = gio::File::for_path(path);
    // Some file managers paste nothing but what is in their own words.
    let words = glib::Bytes::from_owned(format!("copy\n{}", file.uri()));
    let files = gdk::FileList::from_array(&[file]);
    let content = gdk::ContentProvider::new_union(&[
        gdk::ContentProvider::for_value(&files.to_value()),
        gdk::ContentProvider::for_bytes("x-special/gnome-copied-files", &words),
    ]);
    match clipboard.set_content(Some(&content)) {
        Ok(()) => Ok(tr!("Copied: paste it into a message or a folder")),
        Err(error) => Err(tr!("It cannot be copied: {error}", error = error)),
    }
}

/// Where torrents are that were copied before they were saved.
fn copies() -> PathBuf {
    glib::user_cache_dir().join(CACHE)
}

/// Takes away what was copied in earlier runs, in a thread of its own.
pub(crate) fn clear_copies() {
    let copies = copies();
    let clear = move || match std::fs::remove_dir_all(&copies) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            log::warn!("{} cannot be cleared: {error}", copies.display());
        }
        _ => {}
    };
    // It goes on by itself.
    drop(gio::spawn_blocking(clear));
}

fn file_name(torrent: &Metainfo) -> String {
    format!("{}.torrent", torrent.info.name)
}

/// Writes a torrent, over what is there: whoever named the file was asked, and what is in the cache is ours.
pub(crate) async fn save(torrent: Arc<Metainfo>, path: PathBuf) -> Result<(), String> {
    let saved = gio::spawn_blocking(move || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| CreateError::Write {
                path: path.clone(),
                source,
            })?;
        }
        create::save(&torrent, &path, Existing::Replace)
    });
    match saved.await {
        Ok(saved) => saved.map_err(|error| words::told(&error.to_string())),
        Err(_) => Err(tr!("DTorrent made a mistake while it wrote the file")),
    }
}
