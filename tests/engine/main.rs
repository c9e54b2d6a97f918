//! Whole stories of the engine over its own API: two or more clients in this process, each at an address of
//! its own on the loopback.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

mod client;
mod disk;
mod queue;
mod removal;
mod restarts;
mod scope;
mod trackers;
mod transfers;
