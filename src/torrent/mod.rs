//! One torrent at work: the machine that decides ([`state::Torrent`]), and the thread that acts
//! ([`downloader::Downloader`]).

pub mod addresses;
pub mod assembly;
pub mod blame;
pub mod connections;
mod depth;
pub mod downloader;
mod feed;
#[cfg(test)]
mod fixture;
pub mod link;
mod neighbours;
pub mod peer;
pub mod pipeline;
pub mod rate;
pub mod report;
pub mod selection;
mod spread;
pub mod state;
pub mod status;
#[cfg(test)]
mod tests;
mod transfer;
