//! The announcer: one thread that keeps every torrent's tiers and times, and a small pool of workers for the
//! requests, which block. Layer 3, BEP 3 §trackers, BEP 12, BEP 15, BEP 48.
//!
//! | thread | does |
//! |---|---|
//! | `announcer` | all decisions: [`Tiers`](super::tiers::Tiers) of each torrent, which request may run |
//! | `announcer-worker` | HTTP requests and names, which block; started as they are needed |
//! | `announcer-udp` | all UDP trackers over two sockets |

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};

use crate::id::{InfoHash, PeerId};
use crate::net::sockets::SocketFactory;
use crate::tracker::exchange::Timing;
use crate::tracker::fetch;
use crate::tracker::status::TrackerStatus;

mod announcer;
mod sessions;
mod workers;

#[cfg(test)]
mod tests;

/// What the announcer needs.
#[derive(Debug)]
pub struct AnnouncerSetup {
    /// What we call ourselves.
    pub peer_id: PeerId,
    /// The TCP port that peers reach us at; [`AnnouncerCommand::Port`] changes it.
    pub port: u16,
    /// For HTTP trackers, such as `DTorrent/0.1.0`.
    pub user_agent: String,
    /// Makes all sockets.
    pub sockets: Arc<SocketFactory>,
    /// Receives what happens. It should be unbounded, or read by a thread that never waits for the announcer.
    pub events: Sender<AnnouncerEvent>,
}

/// The running announcer.
#[derive(Debug)]
pub struct AnnouncerHandle {
    /// What it is asked goes here. When every sender is gone it ends without a word to the trackers.
    commands: Sender<AnnouncerCommand>,
    thread: JoinHandle<()>,
}

impl AnnouncerHandle {
    /// Asks for something. After its end nothing comes of it.
    pub fn send(&self, command: AnnouncerCommand) {
        // The receiver is gone only if the thread has ended.
        let _ = self.commands.send(command);
    }

    /// Waits until the announcer has ended, which [`AnnouncerCommand::Shutdown`] makes it do. Workers that the
    /// system does not let go of, such as in a lookup of a name, end later by themselves.
    pub fn join(self) {
        drop(self.commands);
        if self.thread.join().is_err() {
            log::error!("the announcer ended by a panic");
        }
    }
}

/// Starts the announcer.
///
/// # Errors
///
/// If the system gives no thread or no descriptor.
pub fn spawn(setup: AnnouncerSetup) -> io::Result<AnnouncerHandle> {
    spawn_with(setup, Limits::default())
}

/// How long requests may take. Tests with trackers that do not answer choose less.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// One request over HTTP, its redirects and the name included.
    http: Duration,
    udp: Timing,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http: fetch::TIME_LIMIT,
            udp: Timing::default(),
        }
    }
}

fn spawn_with(setup: AnnouncerSetup, limits: Limits) -> io::Result<AnnouncerHandle> {
    let (commands, commands_rx) = unbounded();
    let announcer = announcer::Announcer::new(setup, limits, commands_rx)?;
    let thread = thread::Builder::new()
        .name("announcer".to_owned())
        .spawn(move || announcer.run())?;
    Ok(AnnouncerHandle { commands, thread })
}

/// What an announce reports of a torrent; the Downloader writes it, the announcer reads it.
#[derive(Debug, Default)]
pub struct Totals {
    /// Bytes of blocks sent to peers since the torrent was started.
    pub uploaded: AtomicU64,
    /// Bytes of blocks received since the torrent was started.
    pub downloaded: AtomicU64,
    /// Bytes that are still missing of what the user wants.
    pub left: AtomicU64,
    /// Whether more peers are wanted; without, `numwant` is 0.
    pub wants_peers: AtomicBool,
}

/// What the engine asks of the announcer.
#[derive(Debug)]
pub enum AnnouncerCommand {
    /// Announce this torrent from now on, with `started` first.
    Start {
        /// The torrent.
        info_hash: InfoHash,
        /// How it is called in the log.
        name: String,
        /// Its trackers by tier.
        tiers: Vec<Vec<String>>,
        /// Shared counters.
        totals: Arc<Totals>,
    },
    /// The download has just finished.
    Completed(InfoHash),
    /// The user asks for it: announce as soon as the tracker's `min interval` allows.
    AnnounceNow(InfoHash),
    /// Say `stopped` and forget the torrent.
    Stop(InfoHash),
    /// The port that peers reach us at has changed.
    Port(u16),
    /// Say `stopped` for everything, wait at most this long for the answers, and end.
    Shutdown(Duration),
}

/// What the announcer reports.
#[derive(Debug)]
pub enum AnnouncerEvent {
    /// A tracker told of peers.
    Peers {
        /// The torrent.
        info_hash: InfoHash,
        /// Their addresses; our own may be among them.
        peers: Vec<SocketAddr>,
    },
    /// Something about a torrent's trackers changed.
    Status {
        /// The torrent.
        info_hash: InfoHash,
        /// All of them, in the order of the tiers.
        trackers: Vec<TrackerStatus>,
    },
}
