//! What the engine tells its face. Layer 1.

use std::sync::Arc;

use super::{EngineSnapshot, FileDetail, SeedEnd, TorrentDetails};
use crate::config::Config;
use crate::id::InfoHash;
use crate::metainfo::Metainfo;

/// What the engine tells its face. Snapshots may be dropped for a newer one; the others must not be.
#[derive(Debug, Clone)]
pub enum EngineEvent {
    /// All torrents, twice a second while anything moves, and when it is asked for.
    Snapshot(Arc<EngineSnapshot>),
    /// The watched torrent: when it begins to be watched, and twice a second from then on.
    Details(Arc<TorrentDetails>),
    /// The files of a torrent, as they were asked for.
    Files {
        /// The torrent.
        info_hash: InfoHash,
        /// Without padding.
        files: Arc<[FileDetail]>,
    },
    /// A torrent has been added.
    Added(InfoHash),
    /// A torrent is gone from the list.
    Removed(InfoHash),
    /// A torrent that was to be removed stays on the list, as its files could not be; the [`Self::Failed`] that follows
    /// says why.
    Stays(InfoHash),
    /// A torrent that was removed cannot be put back any more.
    Forgotten(InfoHash),
    /// Every wanted byte is verified and on disk. Sent once, and only for what was downloaded or checked in
    /// this run.
    Finished(InfoHash),
    /// A torrent has seeded enough, and was paused.
    SeedingEnded {
        /// The torrent.
        info_hash: InfoHash,
        /// Which limit it has reached.
        end: SeedEnd,
    },
    /// The answer to [`super::EngineCommand::Fetch`].
    Fetched {
        /// The URL.
        url: String,
        /// What is there, or why it could not be had, for a person.
        torrent: Result<Arc<Metainfo>, String>,
    },
    /// Something that a person should read: what happened, to what, and what to do.
    Failed {
        /// The torrent, if it concerns one.
        info_hash: Option<InfoHash>,
        /// One or two sentences.
        message: String,
    },
    /// These settings hold: they were taken over, from [`super::EngineCommand::Configure`] or from the edited file, or a change
    /// was not. What the engine does not own, as the log, is the face's to adapt.
    Configured(Arc<Config>),
    /// The engine has ended. Nothing follows.
    Stopped,
}
