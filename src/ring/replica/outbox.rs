//! What goes in and out of the machines that keep data. Layer 1.

use std::time::Instant;

use crate::id::RingId;
use crate::ring::contact::Contact;
use crate::ring::data::{Answer, DataMessage, MAX_RUNS, Refusal, Run};
use crate::ring::interval::Interval;
use crate::tracker::announce::ScrapeCounts;

/// The time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For waits.
    pub at: Instant,
    /// Milliseconds since 1970, for versions.
    pub unix_ms: u64,
}

/// Who wants the answer to an announce or a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This node.
    Local {
        /// Its number, repeated in [`Outbox::replies`].
        request: u64,
    },
    /// The router of another node.
    Node {
        /// The node.
        contact: Contact,
        /// Its number.
        request: u64,
    },
}

/// What a keeper says to an announce or a scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An announce is safe.
    Announced(Answer),
    /// The figures of a swarm.
    Scraped(ScrapeCounts),
    /// Not here, or not now.
    Refused(Refusal),
}

impl Reply {
    /// The message that says so to another node.
    pub fn into_message(self, request: u64) -> DataMessage {
        match self {
            Self::Announced(answer) => DataMessage::Announced { request, answer },
            Self::Scraped(counts) => DataMessage::Scraped { request, counts },
            Self::Refused(refusal) => DataMessage::Refused { request, refusal },
        }
    }

    /// What such a message says, with the number of the request.
    pub fn from_message(message: DataMessage) -> Option<(u64, Self)> {
        match message {
            DataMessage::Announced { request, answer } => Some((request, Self::Announced(answer))),
            DataMessage::Scraped { request, counts } => Some((request, Self::Scraped(counts))),
            DataMessage::Refused { request, refusal } => Some((request, Self::Refused(refusal))),
            _ => None,
        }
    }
}

/// How far a keeper has got with what the custody wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The shard.
    pub shard: usize,
    /// The view for which this is true.
    pub epoch: u64,
    /// Who holds all that this node holds of an arc, as far as this shard goes.
    pub complete: Vec<(Contact, Interval)>,
    /// Segments for which everybody has been asked who can be.
    pub merged: Vec<Interval>,
    /// Arcs that are kept for nobody and are not empty.
    pub strays: Vec<Interval>,
}

/// What a keeper tells the custody of its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Something has moved on.
    Progress(Progress),
    /// This process was stopped: others may have taken its place.
    Overslept,
    /// A copy has answered nothing for [`super::keeper::SILENCE`].
    Silent(Contact),
    /// Another node says that it owns an arc and wants it kept here.
    Claimed {
        /// That node.
        owner: Contact,
        /// The arc.
        arc: Interval,
    },
    /// Who was taken for the owner of an arc has no say over it, or over a part of it only.
    NotHere {
        /// That node.
        from: Contact,
        /// The point before the arc.
        after: RingId,
        /// What it owns.
        mine: Option<Interval>,
        /// Who may own the first point of the arc.
        hint: Option<Contact>,
    },
}

/// What a keeper wants done. Whoever calls a keeper passes on what it sends and what it reports before anybody else has
/// the shard: nodes and the custody must hear of a keeper in the order in which it was called. A report that an earlier
/// one overtook would be undone by it, and stay so.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To other nodes, in this order.
    pub sends: Vec<(Contact, DataMessage)>,
    /// To this node's own clients, by the numbers of their requests.
    pub replies: Vec<(u64, Reply)>,
    /// To this node's custody.
    pub reports: Vec<Report>,
    stored: Vec<(Contact, u8, Vec<Run>)>,
}

impl Outbox {
    /// Sends `message` to `to`.
    pub fn send(&mut self, to: Contact, message: DataMessage) {
        self.sends.push((to, message));
    }

    /// Answers whoever asked.
    pub fn reply(&mut self, origin: Origin, reply: Reply) {
        match origin {
            Origin::Local { request } => self.replies.push((request, reply)),
            Origin::Node { contact, request } => self.send(contact, reply.into_message(request)),
        }
    }

    /// Notes that an entry of another node is kept; [`Self::flush`] tells it.
    pub fn stored(&mut self, to: Contact, shard: u8, op: u64) {
        let slot = self
            .stored
            .iter_mut()
            .find(|(contact, of, _)| *contact == to && *of == shard);
        let Some((.., runs)) = slot else {
            self.stored.push((to, shard, vec![Run { first: op, len: 1 }]));
            return;
        };
        match runs.last_mut() {
            Some(run) if run.first.checked_add(run.len.into()) == Some(op) && run.len < u16::MAX => {
                run.len += 1;
            }
            _ => runs.push(Run { first: op, len: 1 }),
        }
    }

    /// Turns what was noted into messages: one a node and shard for all that one read has brought. To be called
    /// when that read has been dealt with.
    pub fn flush(&mut self) {
        for (to, shard, runs) in self.stored.drain(..) {
            for runs in runs.chunks(MAX_RUNS) {
                let runs = runs.to_vec();
                self.sends.push((to, DataMessage::Stored { shard, runs }));
            }
        }
    }
}
