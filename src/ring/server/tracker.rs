//! The ring as the faces see it. Layer 3.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::bounded;

use super::hub::Hub;
use super::ring_thread::RingEvent;
use super::status::RingStatus;
use crate::id::InfoHash;
use crate::ring::contact::Contact;
use crate::ring::link::{Links, Post};
use crate::ring::picture::Picture;
use crate::ring::replica::outbox::{Now, Origin, Outbox, Reply as KeeperReply};
use crate::ring::replica::router::Question;
use crate::tracker::announce::ScrapeCounts;
use crate::tracker::server::seam::{AnnounceAnswer, Reply, Ticket, Totals, Tracker};
use crate::tracker::swarm::{PeerAnnounce, SHARDS, shard_of};

/// How long the ring thread may take to say how the ring is.
const STATUS_WAIT: Duration = Duration::from_secs(2);
/// The number of a question that is answered before anybody could look for it.
const AT_ONCE: u64 = u64::MAX;

/// Any node answers for the whole ring: what lives elsewhere is asked for there.
pub struct RingTracker {
    hub: Arc<Hub>,
    links: Arc<Links>,
    /// What threads that ask send with: those not in use at the moment.
    desks: Mutex<Vec<(Post, Outbox)>>,
}

impl fmt::Debug for RingTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingTracker")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

impl RingTracker {
    pub(super) fn new(hub: Arc<Hub>, links: Arc<Links>) -> Self {
        Self {
            hub,
            links,
            desks: Mutex::new(Vec::new()),
        }
    }

    /// The node.
    pub fn me(&self) -> Contact {
        self.hub.me
    }

    /// The ring as this node sees it; `None` if the node has ended or does not answer.
    pub fn status(&self) -> Option<RingStatus> {
        let (reply_tx, reply_rx) = bounded(1);
        self.hub.tell(RingEvent::Status(reply_tx));
        reply_rx.recv_timeout(STATUS_WAIT).ok()
    }

    fn desks(&self) -> std::sync::MutexGuard<'_, Vec<(Post, Outbox)>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of this node alone, where nobody else needs to hear of the announce.
    fn answer_alone(&self, now: Now, announce: &PeerAnnounce) -> Option<KeeperReply> {
        let mut keeper = self.hub.keeper(shard_of(&announce.info_hash));
        if !keeper.answers_alone(announce.info_hash.into()) {
            return None;
        }
        let mut out = Outbox::default();
        keeper.announce(now, Origin::Local { request: AT_ONCE }, announce, &mut out);
        out.replies.pop().map(|(_, reply)| reply)
    }
}

impl Tracker for RingTracker {
    fn announce(&self, announce: &PeerAnnounce, ticket: Ticket<'_>, answer: &mut AnnounceAnswer) -> Reply {
        let now = self.hub.now();
        if let Some(KeeperReply::Announced(ready)) = self.answer_alone(now, announce) {
            answer.counts = ready.counts;
            answer.peers = ready.peers;
            return Reply::Ready;
        }
        let question = Question::Announce(*announce);
        self.hub.questions().announce(now.at, question, ticket.keep());
        Reply::Later
    }

    fn scrape(&self, info_hashes: &[InfoHash], ticket: Ticket<'_>, _counts: &mut Vec<ScrapeCounts>) -> Reply {
        let questions = info_hashes.iter().map(|&info_hash| Question::Scrape(info_hash));
        self.hub
            .questions()
            .scrape(self.hub.now().at, questions, ticket.keep());
        Reply::Later
    }

    /// Passes what the router has been asked on to whoever knows. Whoever settles the hub before does it instead, at
    /// the latest the ring thread with its next tick.
    fn flush(&self) {
        let pooled = self.desks().pop();
        let (mut post, mut out) = pooled.unwrap_or_else(|| (self.links.post(), Outbox::default()));
        self.hub.settle(self.hub.now(), &mut post, &mut out);
        post.flush();
        self.desks().push((post, out));
    }

    fn all_swarms(&self) -> Vec<(InfoHash, ScrapeCounts)> {
        (0..SHARDS)
            .flat_map(|shard| self.hub.keeper(shard).store().swarms().collect::<Vec<_>>())
            .collect()
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in 0..SHARDS {
            let stats = self.hub.keeper(shard).stats();
            totals.add(stats.swarms, stats.seeds, stats.leechers);
        }
        totals
    }

    fn ring(&self) -> Option<Arc<Picture>> {
        self.hub.picture()
    }

    fn look_up(&self, info_hash: InfoHash, ticket: Ticket<'_>) -> bool {
        self.hub.tell(RingEvent::Trace(info_hash, ticket.keep()));
        true
    }

    fn note_requests(&self, announces: u64, scrapes: u64) {
        self.hub.note_requests(announces, scrapes);
    }

    fn note_pages(&self, listening: &[SocketAddr]) {
        self.hub.note_pages(listening);
    }
}
