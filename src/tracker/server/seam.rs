//! What stands behind the faces: a node alone, or a ring of them. Layer 1.
//!
//! A face asks a [`Tracker`] and hands it a [`Ticket`]. Most answers are there at once, in the face's own thread and
//! with no other thread woken. An answer that needs other machines comes later: the tracker keeps the ticket, and
//! answers through it from whatever thread learns of it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::refusal::Refusal;
use crate::id::InfoHash;
use crate::ring::picture::Picture;
use crate::tracker::announce::ScrapeCounts;
use crate::tracker::swarm::PeerAnnounce;

/// The answer to an announce, but for what the face knows itself (the interval).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnnounceAnswer {
    /// How many peers the swarm has.
    pub counts: ScrapeCounts,
    /// Some of them.
    pub peers: Vec<SocketAddr>,
}

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// It stands in what the face gave along.
    Ready,
    /// There is none, for this reason.
    Refused(Refusal),
    /// It comes through the ticket.
    Later,
}

/// How many swarms and peers a node, or a ring, holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Swarms.
    pub swarms: u64,
    /// Peers that have everything.
    pub seeds: u64,
    /// Peers that lack something.
    pub leechers: u64,
}

impl Totals {
    /// Adds the figures of a shard.
    pub(crate) fn add(&mut self, swarms: usize, seeds: usize, leechers: usize) {
        self.swarms += swarms as u64;
        self.seeds += seeds as u64;
        self.leechers += leechers as u64;
    }
}

/// What answers the requests that the faces have read and admitted.
pub trait Tracker: Send + Sync + fmt::Debug {
    /// Takes an announce in. `answer` comes empty, and is filled if the reply is [`Reply::Ready`].
    fn announce(&self, announce: &PeerAnnounce, ticket: Ticket<'_>, answer: &mut AnnounceAnswer) -> Reply;

    /// Counts the peers of these swarms, in this order. `counts` comes empty, and is filled if the reply is
    /// [`Reply::Ready`].
    fn scrape(&self, info_hashes: &[InfoHash], ticket: Ticket<'_>, counts: &mut Vec<ScrapeCounts>) -> Reply;

    /// All swarms that this node holds, in no order.
    fn all_swarms(&self) -> Vec<(InfoHash, ScrapeCounts)>;

    /// What this node holds.
    fn totals(&self) -> Totals;

    /// The ring that this node is in, as it was a second ago or so; `None` for a tracker of one node. Quick.
    fn ring(&self) -> Option<Arc<Picture>> {
        None
    }

    /// Is told now and then what the faces have answered since the start, for other nodes to know.
    fn note_requests(&self, _announces: u64, _scrapes: u64) {}
}

/// To whom in a face an answer goes. The tracker carries it and does not look into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnTo {
    /// A datagram to this address.
    Udp {
        /// The client.
        client: SocketAddr,
        /// The number of its request.
        transaction: u32,
    },
    /// What a connection waits for.
    Http {
        /// The place of the connection in its thread.
        slot: u32,
        /// The number of the request in that thread, so that an answer which comes too late goes to nobody.
        request: u32,
    },
}

/// An answer that came later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Late {
    /// To an announce.
    Announced(AnnounceAnswer),
    /// To a scrape, in the order of the request.
    Scraped(Vec<ScrapeCounts>),
    /// There is none.
    Refused(Refusal),
}

/// Where a face takes answers that come later.
pub trait Mailbox: Send + Sync + fmt::Debug {
    /// Takes one; called from any thread, and quick.
    fn deliver(&self, to: ReturnTo, answer: Late);
}

/// Lent with each request: says where the answer goes, should it come later. Costs nothing until it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Ticket<'a> {
    mailbox: &'a Arc<dyn Mailbox>,
    to: ReturnTo,
}

impl<'a> Ticket<'a> {
    /// For an answer to `to` of the face that empties `mailbox`.
    pub fn new(mailbox: &'a Arc<dyn Mailbox>, to: ReturnTo) -> Self {
        Self { mailbox, to }
    }

    /// For whoever answers later.
    pub fn keep(self) -> KeptTicket {
        KeptTicket {
            mailbox: Some(Arc::clone(self.mailbox)),
            to: self.to,
        }
    }
}

/// A ticket that was kept. If it is dropped, the client is told that there is no answer.
#[derive(Debug)]
pub struct KeptTicket {
    mailbox: Option<Arc<dyn Mailbox>>,
    to: ReturnTo,
}

impl KeptTicket {
    /// Sends the answer.
    pub fn answer(mut self, answer: Late) {
        if let Some(mailbox) = self.mailbox.take() {
            mailbox.deliver(self.to, answer);
        }
    }
}

impl Drop for KeptTicket {
    fn drop(&mut self) {
        if let Some(mailbox) = self.mailbox.take() {
            mailbox.deliver(self.to, Late::Refused(Refusal::Unanswered));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Letters(Mutex<Vec<(ReturnTo, Late)>>);

    impl Mailbox for Letters {
        fn deliver(&self, to: ReturnTo, answer: Late) {
            self.0.lock().unwrap().push((to, answer));
        }
    }

    #[test]
    fn a_kept_ticket_is_answered_exactly_once_whatever_happens() {
        let letters = Arc::new(Letters::default());
        let mailbox: Arc<dyn Mailbox> = letters.clone();
        let to = ReturnTo::Http { slot: 1, request: 2 };
        Ticket::new(&mailbox, to).keep().answer(Late::Scraped(Vec::new()));
        drop(Ticket::new(&mailbox, to).keep());
        let _never_kept = Ticket::new(&mailbox, to);
        let expected = [
            (to, Late::Scraped(Vec::new())),
            (to, Late::Refused(Refusal::Unanswered)),
        ];
        assert_eq!(*letters.0.lock().unwrap(), expected);
    }
}
