//! The whole ring as one node can show it: plain data, and the shape of `/ring`. Layer 1.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::contact::Contact;
use super::interval::{Interval, clockwise};
use crate::id::RingId;
use crate::tracker::server::seam::Totals;

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It serves, and everything on its arc is on as many nodes as there should be.
    Serving,
    /// It serves, but a copy is missing or does not have everything yet.
    Short,
    /// It has the say over an arc and asks others for what it may have missed.
    Merging,
    /// It has no say over an arc yet.
    Joining,
    /// It hands over what it keeps, to leave the ring.
    Leaving,
    /// It has left the ring.
    Left,
    /// Nothing is heard of it.
    Silent,
}

impl Health {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Short => "short of copies",
            Self::Merging => "merging",
            Self::Joining => "joining",
            Self::Leaving => "leaving",
            Self::Left => "has left",
            Self::Silent => "silent",
        }
    }

    /// Whether its word still counts.
    pub fn is_heard(self) -> bool {
        !matches!(self, Self::Left | Self::Silent)
    }
}

/// A part of the circle, and how large a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArcPicture {
    /// The point before its first one, in hexadecimal digits.
    pub after: String,
    /// Its last point.
    pub upto: String,
    /// Its part of the circle, up to 1.
    pub share: f64,
}

impl From<Interval> for ArcPicture {
    fn from(arc: Interval) -> Self {
        let share = match arc.is_whole() {
            true => 1.0,
            false => place(clockwise(arc.after, arc.upto)),
        };
        Self {
            after: arc.after.to_string(),
            upto: arc.upto.to_string(),
            share,
        }
    }
}

/// Where on the circle a point is: 0 up to 1.
pub fn place(id: RingId) -> f64 {
    let [a, b, c, d, ..] = *id.as_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
}

/// A node that keeps copies for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyPicture {
    /// The node.
    pub id: String,
    /// Whether it has everything.
    pub complete: bool,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodePicture {
    /// Its place, in hexadecimal digits.
    pub id: String,
    /// Its place: 0 up to 1.
    pub place: f64,
    /// Milliseconds since 1970 at which this life of it began, by its own clock.
    pub incarnation: u64,
    /// Where other nodes reach it.
    pub address: String,
    /// Version of its program.
    pub version: String,
    /// How it is.
    pub health: Health,
    /// Seconds since it was last heard of.
    pub heard_secs: u64,
    /// How long it has been running.
    pub uptime_secs: u64,
    /// What it has the say over.
    pub arc: Option<ArcPicture>,
    /// Who keeps copies of that.
    pub copies: Vec<CopyPicture>,
    /// Who should, but was silent, and is being brought up to date.
    pub mending: Vec<String>,
    /// On how many nodes everything on its arc is, itself included.
    pub copies_complete: usize,
    /// On how many it should be: three, or all there are.
    pub copies_wanted: usize,
    /// What is on its arc.
    pub owned: Totals,
    /// All that it keeps.
    pub held: Totals,
    /// Announces answered since its start.
    pub announces: u64,
    /// Scrapes answered since its start.
    pub scrapes: u64,
    /// Its links to other nodes.
    pub links: u64,
    /// Nodes that it remembers.
    pub members: u64,
    /// How many shortcuts across the circle it has.
    pub fingers: u64,
    /// The nodes that these lead to. Nodes of the first version do not say.
    #[serde(default)]
    pub fingers_to: Vec<String>,
    /// Where it answers over HTTP, if others can reach that. Nodes of the first versions do not say.
    #[serde(default)]
    pub pages: Option<SocketAddr>,
    /// How often it has held a node for dead.
    pub held_for_dead: u64,
    /// How often it has left out a copy that was silent.
    pub copies_left_out: u64,
    /// How often it has found something missing in comparing a shard with another node, and mended it.
    pub repairs: u64,
}

/// A link of the node that tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPicture {
    /// To whom.
    pub id: String,
    /// Where that is.
    pub address: String,
    /// Version of the frames that both speak.
    pub version: u16,
    /// Bytes that wait to be sent.
    pub waiting: usize,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
}

/// A node on a way through the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waypoint {
    /// The node.
    pub id: String,
    /// Where other nodes reach it.
    pub address: String,
}

impl From<Contact> for Waypoint {
    fn from(contact: Contact) -> Self {
        Self {
            id: contact.id.to_string(),
            address: contact.addr.to_string(),
        }
    }
}

/// Where a torrent lives, and how one node found that out just now: the shape of `/lookup`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// The torrent, in hexadecimal digits: a point of the circle.
    pub info_hash: String,
    /// Where on the circle that is: 0 up to 1.
    pub place: f64,
    /// The node that looked, then those that it asked, in turn. The last one knew; those that did not answer are left
    /// out.
    pub path: Vec<Waypoint>,
    /// Who has the say over the torrent.
    pub owner: Waypoint,
    /// Who keeps copies of it.
    pub copies: Vec<Waypoint>,
}

/// The ring, as one node knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// The node that tells.
    pub me: String,
    /// Greater whenever what is around it has changed.
    pub epoch: u64,
    /// The nodes before it, the nearest first.
    pub predecessors: Vec<String>,
    /// The nodes behind it, the nearest first.
    pub successors: Vec<String>,
    /// Its links.
    pub links: Vec<LinkPicture>,
    /// All nodes that it has heard of lately, itself included, in the order of the circle.
    pub nodes: Vec<NodePicture>,
    /// Nodes whose word counts.
    pub heard: usize,
    /// What all of these own together: each swarm once, however many copies there are.
    pub totals: Totals,
}

impl Picture {
    /// The node that tells.
    pub fn this_node(&self) -> Option<&NodePicture> {
        self.nodes.iter().find(|node| node.id == self.me)
    }
}
