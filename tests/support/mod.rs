//! What the whole-program tests stand on: real programs on loopback addresses, torrents with known bytes, and
//! peers and trackers that do what a script says.
//!
//! - A [`stage::Stage`] is the place of one test: a folder, addresses of its own, logs that are shown when the
//!   test fails.
//! - A [`process::Process`] ends with the test that started it, and with the test program.
//! - [`cli`] is our own client; [`aria2`], [`libtorrent`] and [`transmission`] are those of others, and
//!   [`opentracker`] and our own [`dtracker`], alone or in a [`ring`], bring them together.
//! - A [`relay::Relay`], or for datagrams a [`datagram_relay::DatagramRelay`], is a long path between two of them.
//! - A [`browser::Browser`] shows pages as a person would see them.
//! - A [`peer::ScriptedPeer`] speaks our own codec and misbehaves where a story needs it, and a
//!   [`web::ScriptedWeb`] answers HTTP with any bytes.
//!
//! Ports are chosen by the system. Every client gets a loopback address of its own: several peers behind one
//! address are one peer to some clients, and no two tests can want the same port.

pub(crate) mod aria2;
pub(crate) mod browser;
pub(crate) mod cli;
pub(crate) mod content;
pub(crate) mod datagram_relay;
pub(crate) mod datagrams;
pub(crate) mod dtracker;
pub(crate) mod libtorrent;
pub(crate) mod network;
pub(crate) mod opentracker;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod relay;
pub(crate) mod ring;
pub(crate) mod server;
pub(crate) mod stage;
pub(crate) mod transmission;
pub(crate) mod web;
