//! DTorrent: a BitTorrent engine with one thread per peer and no async runtime.
//!
//! Four layers, each of which may use those above it and never those below (see `ARCHITECTURE.md`):
//!
//! 1. values and codecs: bytes in, bytes out;
//! 2. machines: an event and the time in, actions out;
//! 3. threads: sockets, files, clocks, channels;
//! 4. faces: the window and the command line.

// Layer 1: values and codecs.
pub mod bencode;
pub mod bitfield;
pub mod config;
pub mod geometry;
pub mod id;
pub mod metainfo;
pub mod ratio;
pub mod sentence;
pub mod size;
pub mod wire;

// Layers 2 and 3, by subject.
pub mod choker;
pub mod command_line;
pub mod create;
pub mod descriptors;
pub mod engine;
pub mod hashing;
pub mod logging;
pub mod memory;
pub mod net;
pub mod peer;
pub mod picker;
pub mod ring;
pub mod storage;
pub mod torrent;
pub mod tracker;
