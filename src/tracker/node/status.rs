//! How the tracker inside the client stands, as plain data for the faces. Layer 1.

use std::net::SocketAddr;

use serde::Serialize;

/// A tracker that is wanted, whether it runs or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrackerNodeStatus {
    /// What it is doing.
    pub state: TrackerNodeState,
    /// Why it does not run or cannot be reached, for a person.
    pub problem: Option<String>,
    /// Where others announce, the best first: one tier of a torrent. Empty if nobody can reach it.
    pub urls: Vec<String>,
    /// From where it can be reached.
    pub reach: Option<Reach>,
    /// What a person should know of that, or do about it.
    pub advice: Option<String>,
    /// Where this computer itself finds its pages.
    pub pages: Option<SocketAddr>,
    /// Torrents that it knows.
    pub torrents: u64,
    /// Seeds that it knows, all torrents together.
    pub seeds: u64,
    /// Leechers that it knows, all torrents together.
    pub leechers: u64,
    /// Its place among the nodes that are this tracker.
    pub ring: Option<RingPlace>,
}

impl TrackerNodeStatus {
    /// One of which nothing else is known.
    pub(super) fn new(state: TrackerNodeState) -> Self {
        Self {
            state,
            problem: None,
            urls: Vec::new(),
            reach: None,
            advice: None,
            pages: None,
            torrents: 0,
            seeds: 0,
            leechers: 0,
            ring: None,
        }
    }

    /// Whether it answers, and others know where.
    pub fn is_reachable(&self) -> bool {
        self.state == TrackerNodeState::Running && !self.urls.is_empty()
    }
}

/// What a tracker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackerNodeState {
    /// It looks for its place, and does not answer yet.
    Starting,
    /// It answers.
    Running,
    /// It cannot run for now, and tries again by itself; [`TrackerNodeStatus::problem`] says why.
    Failed,
    /// It hands over what others need, and ends.
    Stopping,
}

/// From where an address can be reached, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// From this computer.
    ThisComputer,
    /// From the networks that it is part of.
    LocalNetwork,
    /// From everywhere, as far as its addresses tell.
    Everywhere,
}

/// A node's place in its ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RingPlace {
    /// The node.
    pub me: RingMember,
    /// Whether it has the say over an arc of the circle.
    pub serving: bool,
    /// On how many nodes each of its entries is, itself included.
    pub copies: usize,
    /// The nodes before it, the nearest first.
    pub before: Vec<RingMember>,
    /// The nodes behind it, the nearest first.
    pub behind: Vec<RingMember>,
    /// How many other nodes it has heard of.
    pub others: usize,
}

/// A node of a ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RingMember {
    /// Its place on the circle: 40 hexadecimal digits.
    pub id: String,
    /// Where other nodes reach it.
    pub addr: SocketAddr,
}
