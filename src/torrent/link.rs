//! What the engine and a torrent's thread say to each other, and what such a thread needs. Layer 3.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;

use crossbeam_channel::Sender;

use crate::engine::api::{FileDetail, Priority, TorrentDetails};
use crate::id::{InfoHash, PeerId};
use crate::memory::{BlockPool, Budget};
use crate::metainfo::Metainfo;
use crate::net::greeter::{Greeted, GreeterHandle};
use crate::net::limiter::Limiter;
use crate::storage::Storage;
use crate::storage::disk::DiskPool;
use crate::torrent::connections::ConnectionLimit;
use crate::torrent::state::Settings;
use crate::torrent::status::{Parked, TorrentStatus};
use crate::tracker::client::Totals;

/// What the engine tells a torrent.
#[derive(Debug)]
pub enum TorrentCommand {
    /// A new peer.
    Greeted(Box<Greeted>),
    /// A dialled peer could not be had, or was ourselves.
    DialFailed {
        /// The address that was dialled.
        addr: SocketAddr,
        /// It is our own.
        own: bool,
    },
    /// Peers to dial.
    PeersFound(Vec<SocketAddr>),
    /// Talk to nobody at this address any more.
    Ban(IpAddr),
    /// Whoever is at this address is welcome again.
    LiftBan(IpAddr),
    /// Whether details are wanted.
    Watch(bool),
    /// Report [`TorrentReport::Files`] once.
    TellFiles,
    /// What is wanted has changed.
    SetPriorities(Vec<Priority>),
    /// The order of pieces has changed.
    SetSequential(bool),
    /// Limits have changed.
    Configure(Settings),
    /// Every connection must go: the address that they were bound to is not ours any more.
    Disconnect,
    /// Let peers go, bring everything to disk, report [`TorrentReport::Ended`] and end.
    Stop,
}

/// What a torrent tells the engine.
#[derive(Debug)]
pub enum TorrentReport {
    /// Twice a second.
    Status(TorrentStatus),
    /// With each status while it is watched.
    Details(Box<TorrentDetails>),
    /// Its files, as they were asked for.
    Files(Vec<FileDetail>),
    /// This much is safe on disk now.
    Durable(Parked),
    /// The check of its data has ended.
    Checked,
    /// All that is wanted is there now.
    Finished,
    /// It cannot go on; in words for a person.
    Halted(String),
    /// It has neither peers nor work: it may be told to stop.
    Quiet,
    /// The thread has ended. Nothing follows.
    Ended(Parked),
    /// The thread has panicked. Nothing follows.
    Crashed,
}

/// What all Downloaders of a client share.
#[derive(Debug)]
pub struct Commons {
    /// Who we are.
    pub peer_id: PeerId,
    /// Memory for blocks.
    pub budget: Arc<Budget>,
    /// Buffers for blocks.
    pub pool: Arc<BlockPool>,
    /// The disk threads.
    pub disk: DiskPool,
    /// The greeter, for dials.
    pub greeter: GreeterHandle,
    /// The next connection's key.
    pub next_peer: AtomicU64,
    /// Room for connections.
    pub connections: Arc<ConnectionLimit>,
}

/// What one Downloader needs.
#[derive(Debug)]
pub struct Setup {
    /// Shared by all.
    pub commons: Arc<Commons>,
    /// The torrent.
    pub metainfo: Arc<Metainfo>,
    /// Its files.
    pub storage: Arc<Storage>,
    /// Where it stood when it was last parked.
    pub parked: Parked,
    /// Limits.
    pub settings: Settings,
    /// Its child of the client's limit from peers.
    pub download: Arc<Limiter>,
    /// Its child of the client's limit to peers.
    pub upload: Arc<Limiter>,
    /// What trackers are told.
    pub totals: Arc<Totals>,
    /// Where reports go.
    pub reports: Sender<(InfoHash, TorrentReport)>,
}

/// The handle of a running Downloader.
#[derive(Debug)]
pub struct DownloaderHandle {
    pub(super) commands: Sender<TorrentCommand>,
    pub(super) thread: JoinHandle<()>,
}

impl DownloaderHandle {
    /// Tells the torrent something. A thread that has just ended has said so in a report.
    pub fn send(&self, command: TorrentCommand) {
        let _ = self.commands.send(command);
    }

    /// Waits for the thread, which has reported that it ended.
    pub fn join(self) {
        if self.thread.join().is_err() {
            log::error!("the thread of a torrent panicked; its state on disk is as last saved");
        }
    }
}
