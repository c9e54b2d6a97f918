//! The tracker ring: many servers that are one tracker.
//!
//! The nodes form a Chord ring (Stoica et al., 2001, with the corrected operations of Zave, 2017). A swarm's key is
//! its info-hash; it lives on the successor of that key and on the two nodes after it, so that any two servers may
//! die at once.

pub mod board;
pub mod bulletin;
pub mod chord;
pub mod codec;
pub mod contact;
pub mod data;
pub mod fingers;
pub mod frame;
pub mod interval;
pub mod link;
pub mod list;
pub mod lookup;
pub mod members;
pub mod node;
pub mod picture;
pub mod placement;
pub mod replica;
pub mod server;
#[cfg(test)]
pub(crate) mod sim;
pub mod timing;
pub mod view;
