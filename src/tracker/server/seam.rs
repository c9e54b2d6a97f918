//! What stands behind the faces: a node alone, or a ring of them. Layer 1.
//!
//! A face asks a [`Tracker`] and hands it a [`Ticket`]. Most answers are there at once, in the face's own thread and
//! with no other thread woken. An answer that needs other machines comes later: the tracker keeps the ticket, and
//! answers through it from whatever thread learns of it.
//!
//! Cost goes by wake-ups, not by requests. So a face says when it has handed in all that one wake-up has brought
//! ([`Tracker::flush`]), and who answers later delivers all that it has learnt at once ([`Mailbag`]).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::refusal::Refusal;
use crate::id::InfoHash;
use crate::ring::picture::{Picture, Route};
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

    /// The face has handed in all that one wake-up has brought: what was put off, to be done once for all of it, is
    /// done now. It is called soon after each [`Reply::Later`], but not by a face that ends in between.
    fn flush(&self) {}

    /// All swarms that this node holds, in no order.
    fn all_swarms(&self) -> Vec<(InfoHash, ScrapeCounts)>;

    /// What this node holds.
    fn totals(&self) -> Totals;

    /// The ring that this node is in, as it was a second ago or so; `None` for a tracker of one node. Quick.
    fn ring(&self) -> Option<Arc<Picture>> {
        None
    }

    /// Looks up where in the ring this torrent lives, as if nothing were known of it; [`Late::Found`] comes through the
    /// ticket. `false` for a tracker of one node, which has nothing to look for.
    fn look_up(&self, _info_hash: InfoHash, _ticket: Ticket<'_>) -> bool {
        false
    }

    /// Is told now and then what the faces have answered since the start, for other nodes to know.
    fn note_requests(&self, _announces: u64, _scrapes: u64) {}

    /// Is told once where HTTP is answered, for other nodes to know.
    fn note_pages(&self, _listening: &[SocketAddr]) {}
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
#[derive(Debug, Clone, PartialEq)]
pub enum Late {
    /// To an announce.
    Announced(AnnounceAnswer),
    /// To a scrape, in the order of the request.
    Scraped(Vec<ScrapeCounts>),
    /// Where a torrent lives.
    Found(Box<Route>),
    /// There is none.
    Refused(Refusal),
}

/// An answer that came later, and to whom it goes.
pub type Letter = (ReturnTo, Late);

/// Where a face takes answers that come later.
pub trait Mailbox: Send + Sync + fmt::Debug {
    /// Takes these, and leaves none; called from any thread, and quick.
    fn deliver(&self, letters: &mut Vec<Letter>);
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
            mailbox.deliver(&mut vec![(self.to, answer)]);
        }
    }
}

impl Drop for KeptTicket {
    fn drop(&mut self) {
        if let Some(mailbox) = self.mailbox.take() {
            mailbox.deliver(&mut vec![(self.to, Late::Refused(Refusal::Unanswered))]);
        }
    }
}

/// Answers that are delivered together, when this is dropped: one delivery for each mailbox, and so one wake-up or one
/// system call.
#[derive(Debug, Default)]
pub struct Mailbag {
    /// There are only as many mailboxes as threads of faces.
    mailboxes: Vec<(Arc<dyn Mailbox>, Vec<Letter>)>,
}

impl Mailbag {
    /// Adds an answer.
    pub fn add(&mut self, mut ticket: KeptTicket, answer: Late) {
        let Some(mailbox) = ticket.mailbox.take() else {
            return;
        };
        let letter = (ticket.to, answer);
        let known = self
            .mailboxes
            .iter_mut()
            .find(|(of, _)| Arc::ptr_eq(of, &mailbox));
        match known {
            Some((_, letters)) => letters.push(letter),
            None => self.mailboxes.push((mailbox, vec![letter])),
        }
    }
}

impl Drop for Mailbag {
    fn drop(&mut self) {
        for (mailbox, letters) in &mut self.mailboxes {
            mailbox.deliver(letters);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Letters(Mutex<Vec<Vec<Letter>>>);

    impl Mailbox for Letters {
        fn deliver(&self, letters: &mut Vec<Letter>) {
            self.0.lock().unwrap().push(std::mem::take(letters));
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
            [(to, Late::Scraped(Vec::new()))],
            [(to, Late::Refused(Refusal::Unanswered))],
        ];
        assert_eq!(*letters.0.lock().unwrap(), expected);
    }

    #[test]
    fn a_bag_is_delivered_in_order_and_once_to_each_mailbox() {
        let letters = [Arc::new(Letters::default()), Arc::new(Letters::default())];
        let to = |request| ReturnTo::Http { slot: 1, request };
        let mut bag = Mailbag::default();
        for request in 0..6 {
            let mailbox: Arc<dyn Mailbox> = letters[request as usize % 2].clone();
            let ticket = Ticket::new(&mailbox, to(request)).keep();
            bag.add(ticket, Late::Scraped(Vec::new()));
        }
        assert!(letters.iter().all(|letters| letters.0.lock().unwrap().is_empty()));
        drop(bag);
        for (letters, requests) in letters.iter().zip([[0, 2, 4], [1, 3, 5]]) {
            let expected = requests.map(|request| (to(request), Late::Scraped(Vec::new())));
            assert_eq!(*letters.0.lock().unwrap(), [expected]);
        }
    }
}
