//! What the threads of both faces have in common: how a request that was read becomes an answer. Layer 3, but it
//! opens nothing: the time and the addresses are arguments.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::counters::{AllCounters, Face, FaceCounters};
use super::history::History;
use super::limits::{ConnectionLimiter, RequestLimiter};
use super::live::{Live, Reader};
use super::refusal::Refusal;
use super::rules::Rules;
use super::seam::{AnnounceAnswer, Mailbox, Reply, ReturnTo, Ticket, Tracker};
use super::udp::connection_id::ConnectionIds;
use crate::id::InfoHash;
use crate::tracker::announce::ScrapeCounts;
use crate::tracker::swarm::PeerAnnounce;

/// What all threads of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tracker: Arc<dyn Tracker>,
    pub(super) rules: Arc<Live<Rules>>,
    pub(super) counters: AllCounters,
    /// Guards the history while a minute is added or some of it is read.
    pub(super) history: Mutex<History>,
    pub(super) requests: RequestLimiter,
    pub(super) connections: ConnectionLimiter,
    pub(super) connection_ids: ConnectionIds,
    pub(super) started: Instant,
    stopping: AtomicBool,
}

impl Shared {
    pub(super) fn new(tracker: Arc<dyn Tracker>, rules: Rules) -> Self {
        Self {
            tracker,
            rules: Arc::new(Live::new(rules)),
            counters: AllCounters::default(),
            history: Mutex::default(),
            requests: RequestLimiter::new(secret_key()),
            connections: ConnectionLimiter::default(),
            connection_ids: ConnectionIds::new(secret_key()),
            started: Instant::now(),
            stopping: AtomicBool::new(false),
        }
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whole seconds since the start.
    pub(super) fn second(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX)
    }
}

/// A key that is another one in each process. The standard library draws its keys from the operating system.
fn secret_key() -> [u8; 16] {
    let keys = RandomState::new();
    let number = u128::from(keys.hash_one(0)) << 64 | u128::from(keys.hash_one(1));
    number.to_ne_bytes()
}

/// One thread's way to the tracker, with what it reuses from one request to the next.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) shared: Arc<Shared>,
    pub(super) counters: Arc<FaceCounters>,
    /// Of the wake-up that is being worked on, as [`Shared::second`].
    pub(super) second: u32,
    rules: Reader<Rules>,
    mailbox: Arc<dyn Mailbox>,
    /// Whether the tracker has been asked something that it answers later, and was not told yet that this is all.
    unflushed: bool,
    rng: fastrand::Rng,
    announced: AnnounceAnswer,
    info_hashes: Vec<InfoHash>,
    counts: Vec<ScrapeCounts>,
}

impl Front {
    pub(super) fn new(shared: &Arc<Shared>, face: Face, mailbox: Arc<dyn Mailbox>) -> Self {
        Self {
            shared: Arc::clone(shared),
            counters: shared.counters.add(face),
            second: shared.second(),
            rules: shared.rules.reader(),
            mailbox,
            unflushed: false,
            rng: fastrand::Rng::new(),
            announced: AnnounceAnswer::default(),
            info_hashes: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// To be called at each wake-up: looks at the clock and at the rules.
    pub(super) fn wake(&mut self) {
        self.second = self.shared.second();
        self.rules.refresh();
    }

    pub(super) fn rules(&self) -> &Rules {
        self.rules.get()
    }

    /// When a client should come back.
    pub(super) fn interval(&mut self) -> Duration {
        self.rules.get().interval(&mut self.rng)
    }

    /// Whether the address may ask once more in this second.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        let limit = self.rules.get().requests_per_second;
        self.shared.requests.admits(address, self.second, limit)
    }

    /// Asks the tracker. `None`: the answer comes later, to the mailbox.
    pub(super) fn announce(
        &mut self,
        announce: &PeerAnnounce,
        to: ReturnTo,
    ) -> Option<Result<&mut AnnounceAnswer, Refusal>> {
        self.counters.announces.add(1);
        self.announced.peers.clear();
        let ticket = Ticket::new(&self.mailbox, to);
        match self
            .shared
            .tracker
            .announce(announce, ticket, &mut self.announced)
        {
            Reply::Ready => Some(Ok(&mut self.announced)),
            Reply::Refused(refusal) => Some(Err(refusal)),
            Reply::Later => {
                self.unflushed = true;
                None
            }
        }
    }

    /// Takes back what [`Self::announce`] lent, for the sake of its buffer.
    pub(super) fn give_back(&mut self, answer: AnnounceAnswer) {
        self.announced = answer;
    }

    /// Asks the tracker about these torrents. `None`: the answer comes later, to the mailbox.
    pub(super) fn scrape(
        &mut self,
        info_hashes: impl Iterator<Item = InfoHash>,
        to: ReturnTo,
    ) -> Option<Result<Scraped<'_>, Refusal>> {
        self.counters.scrapes.add(1);
        self.info_hashes.clear();
        self.info_hashes.extend(info_hashes);
        self.counts.clear();
        let ticket = Ticket::new(&self.mailbox, to);
        match self
            .shared
            .tracker
            .scrape(&self.info_hashes, ticket, &mut self.counts)
        {
            Reply::Ready => Some(Ok(Scraped {
                info_hashes: &self.info_hashes,
                counts: &self.counts,
            })),
            Reply::Refused(refusal) => Some(Err(refusal)),
            Reply::Later => {
                self.unflushed = true;
                None
            }
        }
    }

    /// Asks the ring where this torrent lives; the answer comes later, to the mailbox. `false`: there is no ring.
    pub(super) fn look_up(&self, info_hash: InfoHash, to: ReturnTo) -> bool {
        let ticket = Ticket::new(&self.mailbox, to);
        self.shared.tracker.look_up(info_hash, ticket)
    }

    /// To be called when all requests of a wake-up have been handed in: lets the tracker work on those that it
    /// answers later.
    pub(super) fn flush(&mut self) {
        if std::mem::take(&mut self.unflushed) {
            self.shared.tracker.flush();
        }
    }

    /// The torrents of the last [`Self::scrape`].
    pub(super) fn scraped_torrents(&self) -> &[InfoHash] {
        &self.info_hashes
    }
}

/// The answer to a scrape: as many counts as torrents.
#[derive(Debug)]
pub(super) struct Scraped<'a> {
    pub(super) info_hashes: &'a [InfoHash],
    pub(super) counts: &'a [ScrapeCounts],
}
