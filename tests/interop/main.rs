//! Whole-program stories: `dtorrent-cli` among real clients, real trackers, and some that mean no good.
//!
//! One test program, so that what all stories stand on is compiled once. They need the programs that
//! `make setup-test` installs; a missing one is a failure that says which package it is in.

// All of this is test code, also where no `#[test]` stands above it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod credits;
mod dtracker;
mod kill;
mod long_paths;
mod matrix;
mod mixed_swarm;
mod others;
mod poisoner;
mod ring;
mod stats;
mod tracker_node;
