//! Trackers: the codecs for both directions, the tiers of a torrent, and the thread that announces.

pub mod client;
