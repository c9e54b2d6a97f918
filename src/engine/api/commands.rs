//! What faces ask of the engine. Layer 1.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Priority, SettingChange};
use crate::config::Config;
use crate::id::InfoHash;
use crate::metainfo::Metainfo;
use crate::ratio::RatioLimit;

/// What a face asks of the engine. Nothing is answered directly: the effect shows in the next snapshot, and
/// what goes wrong comes as [`super::EngineEvent::Failed`].
#[derive(Debug)]
pub enum EngineCommand {
    /// Add a torrent.
    Add(Box<AddTorrent>),
    /// Let a paused or failed torrent run (it may have to wait in the queue). One that has seeded enough seeds on, past the
    /// ratio that it has reached.
    Start(InfoHash),
    /// Let it run at once, past the queue and its limit, until it is complete, paused, or started in the usual way.
    StartNow(InfoHash),
    /// Let it run, and write over files that are there and do not belong to it; what these have beyond the length that
    /// the torrent gives them is cut off.
    Overwrite(InfoHash),
    /// Stop its transfers and keep everything.
    Pause(InfoHash),
    /// Take it off the list.
    Remove {
        /// The torrent.
        info_hash: InfoHash,
        /// What happens to its files.
        data: RemoveData,
    },
    /// Hash all of its data again.
    Recheck(InfoHash),
    /// Announce to its trackers as soon as they allow.
    Announce(InfoHash),
    /// Connect to these peers.
    AddPeers {
        /// The torrent.
        info_hash: InfoHash,
        /// Their addresses.
        peers: Vec<SocketAddr>,
    },
    /// Talk to nobody at this address any more, in any torrent, until the ban is lifted; it is kept over the end of the
    /// program.
    BanPeer(IpAddr),
    /// Whoever is at this address is welcome again.
    LiftBan(IpAddr),
    /// Change what is wanted of some files. The others stay as the engine has them, which may be newer than what the face
    /// has seen: two changes within half a second both hold.
    SetPriorities {
        /// The torrent.
        info_hash: InfoHash,
        /// Places in the list of files in [`super::TorrentDetails::files`], each with its new priority.
        files: Vec<(usize, Priority)>,
    },
    /// Fetch the pieces in order rather than the rarest first.
    SetSequential {
        /// The torrent.
        info_hash: InfoHash,
        /// On or off.
        sequential: bool,
    },
    /// Limit this torrent alone, in KiB/s; 0: no limit, `None`: as it is.
    SetLimits {
        /// The torrent.
        info_hash: InfoHash,
        /// From peers.
        download_kib: Option<u64>,
        /// To peers.
        upload_kib: Option<u64>,
    },
    /// Choose when this torrent stops seeding. A ratio that was set aside by a start counts again.
    SetSeedLimit {
        /// The torrent.
        info_hash: InfoHash,
        /// What holds for it.
        limit: SeedLimit,
    },
    /// Put it at this place of the queue, from 0.
    SetQueuePosition {
        /// The torrent.
        info_hash: InfoHash,
        /// Places past the end mean the end.
        position: usize,
    },
    /// Give several torrents other places in the queue.
    MoveInQueue {
        /// The torrents, in any order: among themselves they keep that of the queue.
        info_hashes: Vec<InfoHash>,
        /// Where to.
        step: QueueStep,
    },
    /// Move its data to another folder and go on there.
    Move {
        /// The torrent.
        info_hash: InfoHash,
        /// The new download folder.
        to: PathBuf,
    },
    /// Announce to these trackers as well, in tiers behind its own.
    AddTrackers {
        /// The torrent.
        info_hash: InfoHash,
        /// URLs by tier; those that it has already are left out.
        tiers: Vec<Vec<String>>,
    },
    /// Announce to these trackers and no others from now on.
    SetTrackers {
        /// The torrent.
        info_hash: InfoHash,
        /// URLs by tier; one that nobody could ask leaves everything as it is.
        tiers: Vec<Vec<String>>,
    },
    /// Take all of this torrent's data for right, unread.
    Trust(InfoHash),
    /// Put torrents back on the list that were removed in the last minutes, each as it was; their files come back from
    /// the trash. What was deleted for good does not come back.
    Restore(Vec<InfoHash>),
    /// Send [`super::EngineEvent::Files`] of each of these, once.
    TellFiles(Vec<InfoHash>),
    /// Send [`super::EngineEvent::Details`] of this torrent from now on, and of no other.
    Watch(Option<InfoHash>),
    /// Send a snapshot even if nothing has changed: the face has none yet.
    Tell,
    /// Be a tracker for others, or no more; also after the next start, if the settings came from a file.
    SetTrackerNode(bool),
    /// Have the alternative limits in force, or the usual ones. Switched on, they stay until they are switched off, also
    /// after the next start, if the settings came from a file. Switched off while the schedule has them on, they stay off
    /// until that period ends.
    SetAlternativeLimits(bool),
    /// Change these keys in the settings file, all or none, and take it over.
    ChangeSettings(Vec<SettingChange>),
    /// Fetch the `.torrent` behind an `http` or `https` URL. What comes of it is told by [`super::EngineEvent::Fetched`]; it is
    /// not added.
    Fetch(String),
    /// Settings have changed.
    Configure(Box<Config>),
    /// Save everything, say `stopped` to the trackers, and end with [`super::EngineEvent::Stopped`].
    Shutdown,
}

/// A torrent to be added.
#[derive(Debug)]
pub struct AddTorrent {
    /// The torrent.
    pub metainfo: Arc<Metainfo>,
    /// Its download folder: the torrent's name is put below it. `None`: the configured folder.
    pub folder: Option<PathBuf>,
    /// Whether it waits until the user starts it.
    pub paused: bool,
    /// Whether its pieces are fetched in order.
    pub sequential: bool,
    /// One priority for each file that is not padding; empty: all normal.
    pub priorities: Vec<Priority>,
    /// Peers to connect to besides those that trackers tell of.
    pub peers: Vec<SocketAddr>,
    /// The data is known to be there and right: a seed starts without a check.
    pub trust_data: bool,
    /// Files that are there and do not belong to it are written over, as by [`EngineCommand::Overwrite`].
    pub overwrite: bool,
}

impl AddTorrent {
    /// A torrent that starts at once in the configured folder, whole, and knows of no peers yet.
    pub const fn new(metainfo: Arc<Metainfo>) -> Self {
        Self {
            metainfo,
            folder: None,
            paused: false,
            sequential: false,
            priorities: Vec::new(),
            peers: Vec::new(),
            trust_data: false,
            overwrite: false,
        }
    }
}

/// When a torrent stops seeding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedLimit {
    /// As the settings say.
    #[default]
    AsSet,
    /// At a ratio of its own, or after the idle minutes of the settings.
    Ratio(RatioLimit),
    /// Not by itself.
    Never,
}

/// Where torrents go in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueStep {
    /// Each before the one that stands before it.
    Up,
    /// Each behind the one that stands behind it.
    Down,
    /// To the front.
    Top,
    /// To the end.
    Bottom,
    /// All together before this one, or to the end if it is not there.
    Before(InfoHash),
    /// All together behind this one, or to the end if it is not there.
    After(InfoHash),
}

/// What happens to the files of a torrent that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoveData {
    /// They stay.
    Keep,
    /// They go to the trash.
    Trash,
    /// They are deleted for good.
    Delete,
}
