//! Which files torrents have: asked of the engine, and told as soon as each torrent's thread has said so. Layer 4.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use adw::subclass::prelude::*;
use async_channel::{Receiver, Sender};
use dtorrent::engine::api::{EngineCommand, FileDetail};
use dtorrent::id::InfoHash;

use super::main_window::MainWindow;

/// A torrent and its files.
type Told = (InfoHash, Arc<[FileDetail]>);

/// Those who wait for the files of torrents.
#[derive(Debug, Default)]
pub(crate) struct FilesAsked(RefCell<HashMap<InfoHash, Vec<Sender<Told>>>>);

impl FilesAsked {
    /// Waits for the files of these. The channel ends with the last of them.
    fn wait(&self, hashes: &[InfoHash]) -> Receiver<Told> {
        let (tx, rx) = async_channel::unbounded();
        let mut waiting = self.0.borrow_mut();
        for info_hash in hashes {
            waiting.entry(*info_hash).or_default().push(tx.clone());
        }
        rx
    }

    /// Lets go whoever waits for this torrent, with its files if there are any.
    fn answer(&self, info_hash: InfoHash, files: Option<&Arc<[FileDetail]>>) {
        for waiting in self.0.borrow_mut().remove(&info_hash).into_iter().flatten() {
            if let Some(files) = files {
                // Somebody who waits no more does not need it.
                let _ = waiting.try_send((info_hash, Arc::clone(files)));
            }
        }
    }
}

impl MainWindow {
    /// Asks for the files of these torrents. They come one after the other in any order, and not at all of a torrent
    /// that goes meanwhile.
    pub(super) fn ask_files(&self, hashes: Vec<InfoHash>) -> Receiver<Told> {
        let files = self.imp().files_asked.wait(&hashes);
        self.send(EngineCommand::TellFiles(hashes));
        files
    }

    /// The engine has told the files of a torrent.
    pub(super) fn answer_files(&self, info_hash: InfoHash, files: &Arc<[FileDetail]>) {
        self.imp().files_asked.answer(info_hash, Some(files));
    }

    /// A torrent is gone, and nobody will tell its files.
    pub(super) fn forget_files(&self, info_hash: InfoHash) {
        self.imp().files_asked.answer(info_hash, None);
    }
}

#[cfg(test)]
mod tests {
    use async_channel::TryRecvError;
    use dtorrent::engine::api::Priority;

    use super::super::fixture;
    use super::*;

    #[test]
    fn everybody_is_told_and_nobody_waits_for_what_is_gone() {
        let [one, two] = [1, 2].map(|byte| InfoHash::new([byte; 20]));
        let files: Arc<[FileDetail]> = [fixture::file(&["t", "a"], 0..1, Priority::Normal)].into();
        let asked = FilesAsked::default();
        let both = asked.wait(&[one, two]);
        let first = asked.wait(&[one]);
        asked.answer(one, Some(&files));
        assert_eq!(both.try_recv().map(|(told, _)| told), Ok(one));
        assert_eq!(first.try_recv().map(|(told, _)| told), Ok(one));
        assert!(matches!(first.try_recv(), Err(TryRecvError::Closed)));
        assert!(matches!(both.try_recv(), Err(TryRecvError::Empty)));
        asked.answer(two, None);
        assert!(matches!(both.try_recv(), Err(TryRecvError::Closed)));
        // Told once more, because both had asked.
        asked.answer(one, Some(&files));
    }
}
