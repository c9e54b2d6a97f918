//! How a torrent's trackers stand, for a person to look at. Layer 1.

use std::time::Instant;

use serde::Serialize;

/// How a tracker stands with us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackerState {
    /// Never asked: a tracker before it in the tier answers.
    Idle,
    /// A request is under way.
    Announcing,
    /// The last announce was answered.
    Working,
    /// The last announce failed; the text says why, for a person.
    Failed(String),
}

/// One tracker of one torrent, for a person to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerStatus {
    /// Its URL, passkeys included.
    pub url: String,
    /// Tier, from 0.
    pub tier: usize,
    /// How it stands.
    pub state: TrackerState,
    /// The tracker's own `warning message`.
    pub warning: Option<String>,
    /// Complete peers, if it told.
    pub seeds: Option<u32>,
    /// Incomplete peers, if it told.
    pub leechers: Option<u32>,
    /// Downloads ever finished, if it told (scrape).
    pub downloads: Option<u32>,
    /// Peers in its last answer.
    pub peers: usize,
    /// When it is asked again.
    pub next_announce: Option<Instant>,
}

impl TrackerStatus {
    /// A tracker of which nothing is known.
    pub fn unasked(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            tier: 0,
            state: TrackerState::Idle,
            warning: None,
            seeds: None,
            leechers: None,
            downloads: None,
            peers: 0,
            next_announce: None,
        }
    }
}
