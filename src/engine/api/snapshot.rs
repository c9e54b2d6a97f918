//! The state of the whole client, a row for each torrent. Layer 1.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CopyProgress, SeedLimit, TrackerNodeStatus};
use crate::config::schedule::WallClock;
use crate::id::InfoHash;
use crate::ratio::{RatioLimit, ratio};
use crate::size::Count;

/// The state of the whole client.
#[derive(Debug, Clone, Default, Serialize)]
pub struct EngineSnapshot {
    /// In the order of the queue. A row that has not changed since the last snapshot is the same one.
    pub torrents: Arc<[Arc<TorrentSummary>]>,
    /// Bytes a second from peers.
    pub download_rate: u64,
    /// Bytes a second to peers.
    pub upload_rate: u64,
    /// Limit from peers of all torrents together that is in force, in KiB/s; 0: none.
    pub download_limit_kib: u64,
    /// Limit to peers of all torrents together that is in force, in KiB/s; 0: none.
    pub upload_limit_kib: u64,
    /// Whether these are the alternative limits.
    pub alternative_limits: AlternativeLimits,
    /// Connections over all torrents.
    pub connections: usize,
    /// Where we listen for peers; empty if we cannot.
    pub listening: Vec<SocketAddr>,
    /// The address or interface that everything is bound to; empty: nothing in particular.
    pub bind: String,
    /// Why we do not listen or send, for a person (interface gone, port taken).
    pub network_problem: Option<String>,
    /// That problem keeps us from reaching anybody, until what everything is bound to is there again.
    pub offline: bool,
    /// Whether peers come to us by themselves.
    pub inbound: Inbound,
    /// Addresses that nobody talks to, in order.
    pub bans: Arc<[IpAddr]>,
    /// The tracker inside the client; `None`: there is to be none.
    pub tracker: Option<TrackerNodeStatus>,
    /// What was transferred, in this run and in all.
    pub statistics: Statistics,
}

/// Whether peers from outside our own network reach us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Inbound {
    /// There is no telling yet.
    #[default]
    Unknown,
    /// Some have in this run.
    Reached,
    /// None has for long, though we have reached others: a router or firewall keeps them out, as a rule.
    Nobody,
}

impl EngineSnapshot {
    /// Whether this says what `other` does, which is of the same engine. Rows are compared by their identity, since
    /// there may be thousands. That time goes by is no news.
    pub(in crate::engine) fn is_same(&self, other: &Self) -> bool {
        let Self {
            torrents,
            download_rate,
            upload_rate,
            download_limit_kib,
            upload_limit_kib,
            alternative_limits,
            connections,
            listening,
            bind,
            network_problem,
            offline,
            inbound,
            bans,
            tracker,
            statistics,
        } = self;
        Arc::ptr_eq(torrents, &other.torrents)
            && *download_rate == other.download_rate
            && *upload_rate == other.upload_rate
            && *download_limit_kib == other.download_limit_kib
            && *upload_limit_kib == other.upload_limit_kib
            && *alternative_limits == other.alternative_limits
            && *connections == other.connections
            && *listening == other.listening
            && *bind == other.bind
            && *network_problem == other.network_problem
            && *offline == other.offline
            && *inbound == other.inbound
            && bans == &other.bans
            && *tracker == other.tracker
            && statistics.is_same(&other.statistics)
    }
}

/// Which limits are in force, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct AlternativeLimits {
    /// The alternative ones are.
    pub in_force: bool,
    /// Somebody has switched them on, or off while the schedule has them on. Else they are as the schedule says, or as
    /// nobody ever touched them.
    pub by_hand: bool,
    /// When the schedule changes that, if it does.
    pub until: Option<WallClock>,
}

/// What was transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Statistics {
    /// In this run.
    pub session: Figures,
    /// In all of them, this one included.
    pub all_time: Figures,
    /// Seconds from 1970 to the first start that is counted.
    pub since: u64,
}

impl Statistics {
    fn is_same(&self, other: &Self) -> bool {
        let bytes = |figures: &Figures| (figures.downloaded, figures.uploaded, figures.wasted);
        bytes(&self.session) == bytes(&other.session)
    }
}

/// Figures of one or several runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Figures {
    /// Bytes of blocks received.
    pub downloaded: u64,
    /// Bytes of blocks sent.
    pub uploaded: u64,
    /// Bytes of blocks that came for nothing: twice, unasked, or with a wrong hash.
    pub wasted: u64,
    /// For how long the client ran, at the moment when this was told.
    pub running: Duration,
    /// How often it was started.
    pub starts: u64,
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

/// Why a torrent has seeded enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeedEnd {
    /// It has sent so many times its size.
    Ratio(RatioLimit),
    /// It has sent nothing for long.
    Idle {
        /// For how long.
        minutes: u64,
    },
}

impl fmt::Display for SeedEnd {
    /// As the end of a sentence about the torrent: "it has shared 2.00 times its size".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(ratio) => write!(f, "it has shared {:.2} times its size", ratio.get()),
            Self::Idle { minutes } => {
                write!(f, "nobody has fetched anything for {}", Count(*minutes, "minute"))
            }
        }
    }
}

/// One row of the list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TorrentSummary {
    /// Its identity.
    pub info_hash: InfoHash,
    /// Its name as it can be shown: on one line, with what would steer a terminal escaped.
    pub name: String,
    /// What it is doing.
    pub state: TorrentState,
    /// Why it failed or waits, for a person.
    pub error: Option<String>,
    /// That is somebody else's file, which it would have to write over: [`super::EngineCommand::Overwrite`].
    pub in_the_way: bool,
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
    /// When it stops seeding.
    pub seed_limit: SeedLimit,
    /// It is paused as it has seeded enough.
    pub seed_end: Option<SeedEnd>,
    /// Whether its pieces are fetched in order.
    pub sequential: bool,
    /// It was told to run past the queue.
    pub forced: bool,
    /// It downloads, but nothing has come in for `transfer.stalled_after_seconds`.
    pub stalled: bool,
    /// When it was added, in seconds since 1970.
    pub added_at: u64,
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
    /// Bytes sent for each byte of what is wanted.
    pub fn ratio(&self) -> f64 {
        ratio(self.uploaded, self.wanted_length)
    }

    /// A torrent of which nothing else is known: no bytes, no peers, no problem.
    pub fn new(info_hash: InfoHash, name: &str, state: TorrentState) -> Self {
        Self {
            info_hash,
            name: name.to_owned(),
            state,
            error: None,
            in_the_way: false,
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
            seed_limit: SeedLimit::AsSet,
            seed_end: None,
            sequential: false,
            forced: false,
            stalled: false,
            added_at: 0,
            downloaded: 0,
            uploaded: 0,
            eta: None,
            peers: 0,
            seeds: 0,
            folder: PathBuf::new(),
        }
    }
}
