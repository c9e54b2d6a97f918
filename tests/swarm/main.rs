//! Swarms in one thread: many [`Torrent`](dtorrent::torrent::state::Torrent) machines that exchange blocks over simulated
//! links, in simulated time. The same seed plays the same swarm.
//!
//! [`host`] is one client and its links, [`world`] carries what they say to each other, [`outcome`] says how well a
//! swarm has done. What is measured here is how good the decisions are (whom to serve, which block next); what they
//! cost is measured with real processes.
//!
//! Left out: the disk (done at once), TCP (a link is as fast as its ends allow, from the first byte), and the bytes of
//! all messages but blocks.

mod figures;
mod host;
mod outcome;
mod plans;
mod tests;
mod world;
