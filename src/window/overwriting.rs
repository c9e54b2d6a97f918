//! Files of somebody else that are in the way of a download, and the question whether they may be written over. Layer 4.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dtorrent::engine::api::{EngineCommand, FileDetail, TorrentState, TorrentSummary};
use gtk::glib;

use super::file_names::{self, FileNames};
use super::i18n::tr;
use super::main_window::MainWindow;
use super::question;

/// Whether a torrent cannot go on because of a file that is not its own.
pub(super) fn is_stopped_by_files(torrent: &TorrentSummary) -> bool {
    torrent.state == TorrentState::Failed && torrent.in_the_way
}

impl MainWindow {
    /// Asks whether the files that are in the way of the chosen torrents may go, naming them, and lets these go on.
    pub(super) async fn overwrite(&self) {
        let mut torrents = self.chosen_summaries();
        torrents.retain(|torrent| is_stopped_by_files(torrent));
        let told = self.ask_files(torrents.iter().map(|torrent| torrent.info_hash).collect());
        let mut files = HashMap::new();
        while let Ok((info_hash, of_torrent)) = told.recv().await {
            files.insert(info_hash, of_torrent);
        }
        let mut paths = Vec::new();
        // A torrent that has gone meanwhile has no files to ask about.
        torrents.retain(|torrent| {
            let files = files.get(&torrent.info_hash);
            files.inspect(|files| paths.extend(in_the_way(&torrent.folder, files)));
            files.is_some()
        });
        // Nothing is in the way any more: then nothing is to be asked, and nothing to be written over.
        let command = match paths.is_empty() {
            true => EngineCommand::Start,
            false if self.may_overwrite(&torrents, &paths).await => EngineCommand::Overwrite,
            false => return,
        };
        for torrent in torrents {
            self.send(command(torrent.info_hash));
        }
    }

    async fn may_overwrite(&self, torrents: &[Arc<TorrentSummary>], paths: &[PathBuf]) -> bool {
        let names = glib::Object::new::<FileNames>();
        let body = match torrents {
            [] => return false,
            [torrent] => {
                names.set_names(&file_names::listed(paths, |path| {
                    let path = path.strip_prefix(&torrent.folder).unwrap_or(path);
                    path.display().to_string()
                }));
                tr!(
                    "These files in “{folder}” were there before and do not belong to “{name}”. What is in them now \
                     will be lost.",
                    folder = torrent.folder.display(),
                    name = torrent.name
                )
            }
            _ => {
                names.set_names(&file_names::listed(paths, |path| path.display().to_string()));
                tr!(
                    "These files were there before and do not belong to the torrents. What is in them now will be lost."
                )
            }
        };
        let dialog = adw::MessageDialog::builder()
            .transient_for(self)
            .modal(true)
            .heading(tr!("Overwrite the Files?"))
            .body(body)
            .extra_child(&names)
            .build();
        question::ask(&dialog, &tr!("_Overwrite"), adw::ResponseAppearance::Destructive).await
    }
}

/// The files that are somebody else's.
fn in_the_way<'a>(folder: &'a Path, files: &'a [FileDetail]) -> impl Iterator<Item = PathBuf> + 'a {
    let files = files.iter().filter(|file| file.in_the_way);
    files.map(|file| folder.join(file.path.join("/")))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use dtorrent::engine::api::Priority;

    #[test]
    fn only_what_is_somebody_elses_is_named() {
        let file = |name, in_the_way| FileDetail {
            in_the_way,
            ..fixture::file(&["t", "sub", name], 0..1, Priority::Normal)
        };
        let files = [file("a", false), file("b", true), file("c", true)];
        let named: Vec<PathBuf> = in_the_way(Path::new("/data"), &files).collect();
        assert_eq!(named, [Path::new("/data/t/sub/b"), Path::new("/data/t/sub/c")]);
    }
}
