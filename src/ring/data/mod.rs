//! What nodes of the ring tell each other of swarms and of who keeps them. Layer 1.
//!
//! Three kinds of messages, by whom they are for:
//!
//! - the **router** of the node that a client has asked and the owner of the swarm: announce, scrape, their answers;
//! - the **keepers** of one shard at two nodes: entries on their way to the copies, and sessions that make two
//!   nodes hold the same;
//! - the **custodies** of two nodes: who has the say over an arc.
//!
//! The bytes are in `wire`. A change of them, or of the hashes in [`crate::tracker::swarm`], is a new version of the
//! ring's frames.

mod wire;

use std::net::SocketAddr;

use super::contact::Contact;
use super::interval::Interval;
use crate::id::InfoHash;
use crate::tracker::announce::ScrapeCounts;
use crate::tracker::swarm::{BucketDigest, Downloads, Forgotten, Full, PeerAnnounce, Record, shard_of};

/// Buckets of one shard, each with the swarms of one last byte.
pub const BUCKETS_A_SHARD: usize = 16;
/// Most swarms in one [`DataMessage::Swarms`] or [`DataMessage::Wants`].
pub const MAX_SWARMS: usize = 1_024;
/// Most entries in one [`DataMessage::Records`], which bounds its size: 1,024 IPv6 peers, each in a swarm of its
/// own, take 55 KiB.
pub const MAX_RECORDS: usize = 1_024;
/// Most runs in one [`DataMessage::Stored`].
pub const MAX_RUNS: usize = 4_096;
/// Most peers in one answer.
pub const MAX_PEERS: usize = 2_000;

/// Which session a message belongs to: the shard, and a number that the node chose which drives the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session {
    /// The shard, below [`crate::tracker::swarm::SHARDS`].
    pub shard: u8,
    /// The driver's number.
    pub number: u32,
}

/// What a session is for. The steps are the same: afterwards both nodes hold what either held before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The driver has the say over the arc and wants the partner to keep a copy.
    Claim,
    /// The driver is about to have the say over the arc and asks for what it may have missed.
    Merge,
    /// The driver has neither the say over the arc nor the task to keep it, and brings what it holds to the owner.
    Offer,
}

/// Why an owner, or who was taken for one, does not take an announce or answer a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It has no say over this swarm.
    NotMine {
        /// Who has, to its knowledge.
        hint: Option<Contact>,
    },
    /// It will have the say in a moment, and is asking others for what it may have missed.
    NotYet,
    /// Nobody waits for the answer any more.
    TooLate {
        /// The time of day, as in [`DataMessage::Digests`]: perhaps the router has not heard of this clock.
        unix_ms: u64,
    },
    /// It has no room.
    Full(Full),
}

/// The answer to an announce, but for what depends on the node that a client talks to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Seeds, downloads and leechers of the swarm.
    pub counts: ScrapeCounts,
    /// Other peers.
    pub peers: Vec<SocketAddr>,
}

/// Entries and counters of swarms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Peers, tombstones included. Those of one swarm stand together, which saves bytes.
    pub records: Vec<Record>,
    /// Download counters.
    pub downloads: Vec<Downloads>,
}

impl Entries {
    /// How many of both kinds.
    pub fn len(&self) -> usize {
        self.records.len() + self.downloads.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Operations that lie side by side: `first`, `first + 1`, … .
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first of them.
    pub first: u64,
    /// How many.
    pub len: u16,
}

/// One message about data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataMessage {
    /// Router to owner: a client announces. May come more than once.
    Announce {
        /// The router's number, repeated in the answer.
        request: u64,
        /// Until when the router waits for the answer: milliseconds since 1970, by the fastest clock that it has heard
        /// of. Later the announce counts for nothing.
        until_ms: u64,
        /// What the client says.
        announce: PeerAnnounce,
    },
    /// Router to owner: a client scrapes one swarm.
    Scrape {
        /// As above.
        request: u64,
        /// The swarm.
        info_hash: InfoHash,
        /// Whether one who only keeps a copy may answer, because the owner does not.
        from_copy: bool,
    },
    /// To an announce: it is safe now.
    Announced {
        /// That of the announce.
        request: u64,
        /// For the client.
        answer: Answer,
    },
    /// To a scrape.
    Scraped {
        /// That of the scrape.
        request: u64,
        /// For the client.
        counts: ScrapeCounts,
    },
    /// To an announce or a scrape.
    Refused {
        /// That of the request.
        request: u64,
        /// Why.
        refusal: Refusal,
    },

    /// Owner to copy: keep this.
    Store {
        /// The owner's number in this shard, repeated in [`Self::Stored`].
        op: u64,
        /// The entry.
        record: Record,
        /// A counter that has grown with it.
        downloads: Option<Downloads>,
    },
    /// Copy to owner: these are kept. One message for what one read has brought.
    Stored {
        /// The shard whose owner has numbered them.
        shard: u8,
        /// At most [`MAX_RUNS`].
        runs: Vec<Run>,
    },
    /// Owner to copy: the time of this entry is over.
    Forget(Forgotten),

    /// Driver to partner: a session about an arc begins; these are my fingerprints.
    Digests {
        /// The session.
        session: Session,
        /// The arc.
        arc: Interval,
        /// What it is for.
        purpose: Purpose,
        /// One for each bucket of the shard.
        buckets: Box<[BucketDigest; BUCKETS_A_SHARD]>,
        /// Milliseconds since 1970, by the fastest clock that the driver has heard of.
        unix_ms: u64,
    },
    /// Partner to driver: mine differ in these buckets.
    Differ {
        /// The session.
        session: Session,
        /// Bit `i` for bucket `i` of the shard.
        mask: u16,
        /// As in [`Self::Digests`].
        unix_ms: u64,
    },
    /// Driver to partner: the swarms that I have on a part of the arc, in one bucket.
    Swarms {
        /// The session.
        session: Session,
        /// The part.
        arc: Interval,
        /// The bucket, of those of the shard.
        bucket: u8,
        /// Swarms and fingerprints, at most [`MAX_SWARMS`].
        swarms: Vec<(InfoHash, u64)>,
    },
    /// Either way: entries that the other may lack.
    Records {
        /// The session.
        session: Session,
        /// Which way it goes.
        from_driver: bool,
        /// At most [`MAX_RECORDS`] of both kinds together.
        entries: Entries,
    },
    /// Partner to driver, after its own [`Self::Records`]: send me these.
    Wants {
        /// The session.
        session: Session,
        /// At most [`MAX_SWARMS`]; may be none.
        swarms: Vec<InfoHash>,
        /// How many [`Self::Records`] the partner has sent for these swarms.
        records: u32,
    },
    /// Driver to partner: tell me when you are here.
    Fence {
        /// The session.
        session: Session,
        /// How many [`Self::Records`] the driver has sent since the last fence. If fewer have come, a link has broken
        /// in between, and the fence cannot be passed.
        records: u32,
    },
    /// Partner to driver: all before the fence is kept.
    Passed {
        /// The session.
        session: Session,
    },
    /// Driver to the one who has the say, after a session: I keep the arc for nobody. Tell me when I need not.
    MayDrop {
        /// The session that went before.
        session: Session,
        /// The arc.
        arc: Interval,
        /// Whether the driver is about to leave the ring.
        leaving: bool,
    },
    /// To [`Self::MayDrop`]: all that the session brought is where it should be.
    Drop {
        /// The session.
        session: Session,
    },
    /// To an [`Purpose::Offer`] or [`Self::MayDrop`]: I have no say over this arc, or over a part of it only.
    NotHere {
        /// The session.
        session: Session,
        /// What I have the say over, if anything.
        mine: Option<Interval>,
        /// Who may have over the first point of the arc.
        hint: Option<Contact>,
    },

    /// New node to the one behind it: I have no say over my arc yet; let me have it.
    Ask,
    /// To the new owner: you have all that is on this arc and the say over it, from now on.
    TakeOver {
        /// The arc. It ends at the new owner, or, when the old one leaves, at the old one.
        arc: Interval,
    },
    /// To all neighbours: I am about to go. Count me out where copies are kept.
    Leaving,
}

/// Which part of a node a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee {
    /// The keeper of this shard.
    Keeper(usize),
    /// The router that has the request.
    Router(u64),
    /// The custody.
    Custody,
}

impl DataMessage {
    /// Which part of the node that receives it the message is for.
    pub fn addressee(&self) -> Addressee {
        match self {
            Self::Announce { announce, .. } => Addressee::Keeper(shard_of(&announce.info_hash)),
            Self::Scrape { info_hash, .. } => Addressee::Keeper(shard_of(info_hash)),
            Self::Store { record, .. } => Addressee::Keeper(shard_of(&record.info_hash)),
            Self::Forget(forgotten) => Addressee::Keeper(shard_of(&forgotten.info_hash)),
            Self::Stored { shard, .. } => Addressee::Keeper(usize::from(*shard)),
            Self::Digests { session, .. }
            | Self::Differ { session, .. }
            | Self::Swarms { session, .. }
            | Self::Records { session, .. }
            | Self::Wants { session, .. }
            | Self::Fence { session, .. }
            | Self::Passed { session }
            | Self::MayDrop { session, .. }
            | Self::Drop { session }
            | Self::NotHere { session, .. } => Addressee::Keeper(usize::from(session.shard)),
            Self::Announced { request, .. }
            | Self::Scraped { request, .. }
            | Self::Refused { request, .. } => Addressee::Router(*request),
            Self::Ask | Self::TakeOver { .. } | Self::Leaving => Addressee::Custody,
        }
    }
}

#[cfg(test)]
mod tests;
