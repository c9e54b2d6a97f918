//! Keeping each swarm on three nodes: who has the say, how an entry gets to the copies, how what was missed is made
//! up for. Layer 2; no socket, clock, thread or lock.
//!
//! | module | what |
//! |---|---|
//! | [`custody`] | one a node: which arc is mine, who keeps copies of it, who takes over |
//! | [`keeper`] | one a shard: the write path, and the sessions that make two nodes hold the same |
//! | [`router`] | the other side of the write path, at the node that the client has asked |
//! | [`view`] | what the custody tells the keepers |
//! | [`outbox`] | what machines want done |
//! | [`directory`], [`arcs`], [`numbered`] | who may own a key; arithmetic; maps |
//! | `clock` | the time of day in the ring |
//!
//! # The rules
//!
//! **Data only merges.** Of two entries for one peer the later wins, whoever compares them. So nothing here needs
//! consensus: two nodes that both believe to have the say over an arc, as after a partition, do no harm that the
//! next session between them does not mend. What must be kept is this:
//!
//! 1. *An answered announce is on three nodes*: the owner and two copies, or all there are. It is answered only
//!    after each of them has said so.
//! 2. *Nothing is dropped but by word of the owner.* A node that holds an arc that it neither owns nor is meant to
//!    keep brings it to the owner, and drops it when the owner has passed it to two others.
//!
//! **The say.** A node that serves has the say over the arc from the nearest serving node before it to itself. Each
//! knows this from the ring alone ([`crate::ring::view::View`]); nobody votes. A new node gets its arc from the one
//! behind it, which fills it up first ([`DataMessage::TakeOver`]); one that leaves gives its arc to the one behind it
//! in the same way; of one that dies the next takes over by itself, after asking those behind it for what it may
//! have missed.
//!
//! **Copies** are on the next two nodes. One that is silent for 100 ms while there are more nodes is replaced by the
//! next of them, for this owner only: whether it is dead is for the ring to say. It comes back when it has caught
//! up. With nobody to take its place the owner waits: to answer with one copy fewer would break rule 1 for the sake
//! of a pause.
//!
//! **Sessions.** All that is made up for is made up for by one exchange, driven for one arc and one shard by one
//! node (the driver) with another (the partner):
//!
//! ```text
//! driver                                  partner
//!   Digests (16 buckets)           →
//!                                  ←        Differ (which of them)
//!   then for each of those, in portions:
//!   Swarms (what I have)           →
//!                                  ←        Records (what you lack), Wants (what I lack)
//!   Records, Fence                 →
//!                                  ←        Passed
//! ```
//!
//! Afterwards each holds what either held at the beginning. An owner drives one with each copy every two seconds and
//! on change ([`Purpose::Claim`](crate::ring::data::Purpose)), with a new node before it hands over, with one that
//! was silent; a node that takes over drives them with those behind it
//! ([`Purpose::Merge`](crate::ring::data::Purpose)); a node that holds what is not its task drives one with the owner
//! ([`Purpose::Offer`](crate::ring::data::Purpose)), then asks [`DataMessage::MayDrop`].
//!
//! A link between two nodes keeps the order until it breaks, and a keeper puts what it sends into it while nobody
//! else has the shard. So an owner's digests reach the copy behind all entries they count, and agree exactly if
//! nothing was lost: no quiet time is needed. When a link breaks, whatever was under way begins again; and should a
//! new link be there before anybody has heard of it, the fence knows how much has to have come before it.
//!
//! **What is kept for nobody**: whatever a node holds that is neither its own nor claimed by an owner within the last
//! six seconds. So an arc moves by nothing but sessions: an owner that needs a copy no more just stops to claim it, a
//! node that leaves holds everything for nobody, and two rings that meet bring each other what they had written
//! apart. A node that asks is one more than an owner with fewer than two copies knows of; such an owner lets it drop
//! nothing, for it may have been cut off from its ring.
//!
//! # What the simulation has taught
//!
//! - A process that was stopped finds announces in its sockets that have long been made again elsewhere. It must not
//!   stamp them as if they were said now: whoever notices that time has jumped refuses ([`Refusal::NotYet`]) until
//!   its custody has asked others what it missed, and its sockets have been read.
//! - The network between two nodes may fall silent and let through later what was sent: a connection sends again for
//!   seconds. So an announce tells the owner until when its router waits for the answer, and is refused after that
//!   ([`Refusal::TooLate`]): by then it was made again elsewhere, and perhaps taken back.
//! - A copy that was left out counts as caught up only by a session that began after it was left out, or a stopped
//!   process would come back by its merits of before.
//! - A node that has joined and leaves at once has asked for an arc moments ago. Its word of leaving takes that back.
//! - An owner that does not answer may only be waiting for a copy. It is not asked twice; its successor is, and names
//!   it, until the ring has judged.
//! - A hybrid clock is not enough where two nodes own an arc for a moment, or one that has never seen the entry
//!   before: with clocks seconds apart, the later word of a peer lost. So nodes tell the time of day in each session,
//!   and all stamp by the fastest clock that they have heard of, if it is within an hour of their own.
//!
//! [`Refusal::NotYet`]: crate::ring::data::Refusal::NotYet
//! [`Refusal::TooLate`]: crate::ring::data::Refusal::TooLate
//! [`DataMessage::TakeOver`]: crate::ring::data::DataMessage::TakeOver
//! [`DataMessage::MayDrop`]: crate::ring::data::DataMessage::MayDrop

pub mod arcs;
mod clock;
pub mod custody;
pub mod directory;
pub mod keeper;
pub mod numbered;
pub mod outbox;
pub mod router;
pub mod view;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
