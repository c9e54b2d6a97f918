//! What the faces (window, command line, a later daemon) and the engine say to each other. Plain data: a
//! remote API can sit on it as it is. Layer 1.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::id::InfoHash;
use crate::metainfo::Metainfo;
pub use crate::storage::task::CopyProgress;
pub use crate::tracker::node::status::{Reach, RingMember, RingPlace, TrackerNodeState, TrackerNodeStatus};

/// What a face asks of the engine. Nothing is answered directly: the effect shows in the next snapshot, and
/// what goes wrong comes as [`EngineEvent::Failed`].
#[derive(Debug)]
pub enum EngineCommand {
    /// Add a torrent.
    Add(Box<AddTorrent>),
    /// Let a paused or failed torrent run (it may have to wait in the queue).
    Start(InfoHash),
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
    /// Change what is wanted: one priority for each file that is not padding, in order.
    SetPriorities {
        /// The torrent.
        info_hash: InfoHash,
        /// As long as the list of files in [`TorrentDetails::files`].
        priorities: Vec<Priority>,
    },
    /// Fetch the pieces in order rather than the rarest first.
    SetSequential {
        /// The torrent.
        info_hash: InfoHash,
        /// On or off.
        sequential: bool,
    },
    /// Limit this torrent alone, in KiB/s; 0: no limit.
    SetLimits {
        /// The torrent.
        info_hash: InfoHash,
        /// From peers.
        download_kib: u64,
        /// To peers.
        upload_kib: u64,
    },
    /// Put it at this place of the queue, from 0.
    SetQueuePosition {
        /// The torrent.
        info_hash: InfoHash,
        /// Places past the end mean the end.
        position: usize,
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
    /// Take all of this torrent's data for right, unread.
    Trust(InfoHash),
    /// Send [`EngineEvent::Details`] of this torrent from now on, and of no other.
    Watch(Option<InfoHash>),
    /// Send a snapshot even if nothing has changed: the face has none yet.
    Tell,
    /// Be a tracker for others, or no more; also after the next start, if the settings came from a file.
    SetTrackerNode(bool),
    /// Settings have changed.
    Configure(Box<Config>),
    /// Save everything, say `stopped` to the trackers, and end with [`EngineEvent::Stopped`].
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
        }
    }
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

/// How much a file is wanted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Not at all.
    Skip,
    /// After the others.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// What the engine tells its face. Snapshots may be dropped for a newer one; the others must not be.
#[derive(Debug, Clone)]
pub enum EngineEvent {
    /// All torrents, twice a second while anything moves, and when it is asked for.
    Snapshot(Arc<EngineSnapshot>),
    /// The watched torrent: when it begins to be watched, and twice a second from then on.
    Details(Arc<TorrentDetails>),
    /// A torrent has been added.
    Added(InfoHash),
    /// A torrent is gone from the list.
    Removed(InfoHash),
    /// Every wanted byte is verified and on disk. Sent once, and only for what was downloaded or checked in
    /// this run.
    Finished(InfoHash),
    /// Something that a person should read: what happened, to what, and what to do.
    Failed {
        /// The torrent, if it concerns one.
        info_hash: Option<InfoHash>,
        /// One or two sentences.
        message: String,
    },
    /// Settings were taken over, from [`EngineCommand::Configure`] or from the edited file. What the engine
    /// does not own, as the log, is the face's to adapt.
    Configured(Arc<Config>),
    /// The engine has ended. Nothing follows.
    Stopped,
}

/// The state of the whole client.
#[derive(Debug, Clone, Default, Serialize)]
pub struct EngineSnapshot {
    /// In the order of the queue. A row that has not changed since the last snapshot is the same one.
    pub torrents: Arc<[Arc<TorrentSummary>]>,
    /// Bytes a second from peers.
    pub download_rate: u64,
    /// Bytes a second to peers.
    pub upload_rate: u64,
    /// Limit from peers of all torrents together, in KiB/s; 0: none.
    pub download_limit_kib: u64,
    /// Limit to peers of all torrents together, in KiB/s; 0: none.
    pub upload_limit_kib: u64,
    /// Connections over all torrents.
    pub connections: usize,
    /// Where we listen for peers; empty if we cannot.
    pub listening: Vec<SocketAddr>,
    /// Why we do not listen or send, for a person (interface gone, port taken).
    pub network_problem: Option<String>,
    /// That problem keeps us from reaching anybody, until what everything is bound to is there again.
    pub offline: bool,
    /// The tracker inside the client; `None`: there is to be none.
    pub tracker: Option<TrackerNodeStatus>,
}

impl EngineSnapshot {
    /// Whether this says what `other` does, which is of the same engine. Rows are compared by their identity, since
    /// there may be thousands.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let Self {
            torrents,
            download_rate,
            upload_rate,
            download_limit_kib,
            upload_limit_kib,
            connections,
            listening,
            network_problem,
            offline,
            tracker,
        } = self;
        Arc::ptr_eq(torrents, &other.torrents)
            && *download_rate == other.download_rate
            && *upload_rate == other.upload_rate
            && *download_limit_kib == other.download_limit_kib
            && *upload_limit_kib == other.upload_limit_kib
            && *connections == other.connections
            && *listening == other.listening
            && *network_problem == other.network_problem
            && *offline == other.offline
            && *tracker == other.tracker
    }
}

/// What a torrent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TorrentState {
    /// Its data is being hashed.
    Checking,
    /// It waits for its turn.
    Queued,
    /// It fetches pieces.
    Downloading,
    /// It has all that is wanted and serves it.
    Seeding,
    /// The user stopped it.
    Paused,
    /// Its data is on the way to another folder.
    Moving,
    /// It is on its way off the list, and its files, if they go, to where they go.
    Removing,
    /// It cannot go on for now, as on a full disk, and tries again by itself; [`TorrentSummary::error`] says
    /// why.
    Waiting,
    /// It cannot go on; [`TorrentSummary::error`] says why.
    Failed,
}

/// One row of the list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TorrentSummary {
    /// Its identity.
    pub info_hash: InfoHash,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: TorrentState,
    /// Why it failed or waits, for a person.
    pub error: Option<String>,
    /// What a person should know though it goes on: files that were gone, and are fetched again.
    pub notice: Option<String>,
    /// Which tracker said what, for a person, if each that it has was asked and none answers.
    pub tracker_problem: Option<String>,
    /// Bytes of the whole torrent.
    pub total_length: u64,
    /// Bytes of the pieces that are wanted.
    pub wanted_length: u64,
    /// Bytes of wanted pieces that are verified and on disk.
    pub wanted_done: u64,
    /// 0..=1, of the check while checking, of the copy while [`Self::copying`], else of what is wanted.
    pub progress: f64,
    /// How far its move to another file system is.
    pub copying: Option<CopyProgress>,
    /// Bytes a second from peers.
    pub download_rate: u64,
    /// Bytes a second to peers.
    pub upload_rate: u64,
    /// Limit from peers of this torrent alone, in KiB/s; 0: none.
    pub download_limit_kib: u64,
    /// Limit to peers of this torrent alone, in KiB/s; 0: none.
    pub upload_limit_kib: u64,
    /// Whether its pieces are fetched in order.
    pub sequential: bool,
    /// Bytes of blocks received, over all runs.
    pub downloaded: u64,
    /// Bytes of blocks sent, over all runs.
    pub uploaded: u64,
    /// Time left at the present rate.
    pub eta: Option<Duration>,
    /// Connected peers.
    pub peers: usize,
    /// Those of them that have everything.
    pub seeds: usize,
    /// Its folder.
    pub folder: PathBuf,
}

impl TorrentSummary {
    /// A torrent of which nothing else is known: no bytes, no peers, no problem.
    pub fn new(info_hash: InfoHash, name: &str, state: TorrentState) -> Self {
        Self {
            info_hash,
            name: name.to_owned(),
            state,
            error: None,
            notice: None,
            tracker_problem: None,
            total_length: 0,
            wanted_length: 0,
            wanted_done: 0,
            progress: 0.0,
            copying: None,
            download_rate: 0,
            upload_rate: 0,
            download_limit_kib: 0,
            upload_limit_kib: 0,
            sequential: false,
            downloaded: 0,
            uploaded: 0,
            eta: None,
            peers: 0,
            seeds: 0,
            folder: PathBuf::new(),
        }
    }
}

/// All that can be seen of one torrent.
#[derive(Debug, Clone, Serialize)]
pub struct TorrentDetails {
    /// Its identity.
    pub info_hash: InfoHash,
    /// Bytes of a piece.
    pub piece_length: u32,
    /// Number of pieces.
    pub piece_count: u32,
    /// Which pieces are verified and on disk, in the layout of [`crate::bitfield::Bitfield`].
    pub pieces: Box<[u8]>,
    /// How many that is.
    pub pieces_done: u32,
    /// Pieces that were received whole in this run, whatever their hash.
    pub pieces_received: u64,
    /// Those of them whose hash was wrong.
    pub pieces_failed: u64,
    /// Bytes of blocks that came twice or unasked.
    pub wasted: u64,
    /// One file, or a folder of files.
    pub multi_file: bool,
    /// Only its own trackers tell of peers.
    pub private: bool,
    /// Whether its pieces are fetched in order.
    pub sequential: bool,
    /// Limit from peers in KiB/s; 0: none.
    pub download_limit_kib: u64,
    /// Limit to peers in KiB/s; 0: none.
    pub upload_limit_kib: u64,
    /// Free text of its maker.
    pub comment: Option<String>,
    /// Program that made it.
    pub created_by: Option<String>,
    /// The files, padding left out.
    pub files: Vec<FileDetail>,
    /// The trackers in the order of their tiers.
    pub trackers: Vec<TrackerDetail>,
    /// The connected peers.
    pub peers: Vec<PeerDetail>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDetail {
    /// Components of its path, the torrent's name first.
    pub path: Vec<String>,
    /// Bytes.
    pub length: u64,
    /// Bytes in verified pieces.
    pub done: u64,
    /// How much it is wanted.
    pub priority: Priority,
    /// Whether it goes with the torrent when that is removed with its data: we created it, or a verified piece
    /// lies in it.
    pub own: bool,
}

/// One tracker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrackerDetail {
    /// Its URL.
    pub url: String,
    /// Its tier, from 0.
    pub tier: usize,
    /// How it stands, in words: "working", or what went wrong.
    pub status: String,
    /// Whether the last announce was answered.
    pub working: bool,
    /// Seeds that it knows.
    pub seeds: Option<u32>,
    /// Leechers that it knows.
    pub leechers: Option<u32>,
    /// Peers in its last answer.
    pub peers: usize,
    /// Time to the next announce.
    pub next_announce: Option<Duration>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeerDetail {
    /// Number of the connection, unique in a run.
    pub key: u64,
    /// Its address.
    pub addr: SocketAddr,
    /// Whether the peer opened it.
    pub incoming: bool,
    /// Client name and version, from the extension handshake or the peer id.
    pub client: String,
    /// The 20 bytes of the peer id, what cannot be printed escaped.
    pub peer_id: String,
    /// 0..=1 of the torrent.
    pub progress: f64,
    /// Bytes a second from it.
    pub download_rate: u64,
    /// Bytes a second to it.
    pub upload_rate: u64,
    /// Bytes of blocks from it.
    pub downloaded: u64,
    /// Bytes of blocks to it.
    pub uploaded: u64,
    /// We do not serve it.
    pub am_choking: bool,
    /// We want what it has.
    pub am_interested: bool,
    /// It does not serve us.
    pub peer_choking: bool,
    /// It wants what we have.
    pub peer_interested: bool,
    /// It owes us blocks for too long.
    pub snubbed: bool,
    /// Blocks that we asked it for and that are under way.
    pub requests_out: usize,
    /// Blocks that it asked us for and that wait.
    pub requests_in: usize,
}
