//! Whole stories of the engine over its own API: two or more clients in this process, each at an address of
//! its own on the loopback.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

mod bans;
mod claims;
mod client;
mod disk;
mod loop_disk;
mod many_files;
mod queue;
mod real_disks;
mod removal;
mod restarts;
mod scope;
mod seeding;
mod settings;
mod shared_files;
mod trackers;
mod transfers;
