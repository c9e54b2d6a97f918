//! The ring as one node sees it, for people. Layer 1.

use std::net::SocketAddr;
use std::time::Instant;

use crate::ring::contact::Contact;
use crate::ring::interval::Interval;
use crate::ring::link::LinkStatus;
use crate::ring::node::Node;
use crate::ring::replica::view::CustodyView;
use crate::ring::view::{Neighbour, Stage};

/// A node and what is around it.
#[derive(Debug, Clone)]
pub struct RingStatus {
    /// The node.
    pub me: Contact,
    /// How far it is.
    pub stage: Stage,
    /// Whether it has the say over an arc.
    pub serving: bool,
    /// That arc.
    pub mine: Option<Interval>,
    /// Whether it asks others for what it may have missed of that arc.
    pub merging: bool,
    /// Who must have each of its entries before an announce is answered.
    pub copies: Vec<Contact>,
    /// The nodes before it, the nearest first.
    pub preds: Vec<Neighbour>,
    /// The nodes behind it, the nearest first.
    pub succ: Vec<Neighbour>,
    /// Where all nodes that it has heard of may be found.
    pub members: Vec<SocketAddr>,
    /// How often it has held a node for dead.
    pub held_for_dead: u64,
    /// Its links.
    pub links: Vec<LinkStatus>,
}

impl RingStatus {
    pub(super) fn new(now: Instant, node: &Node, custody: &CustodyView, links: Vec<LinkStatus>) -> Self {
        let view = node.view();
        let mut copies: Vec<Contact> = custody
            .own
            .iter()
            .flat_map(|segment| segment.copies.iter().copied())
            .collect();
        copies.sort_unstable();
        copies.dedup();
        Self {
            me: view.me,
            stage: view.stage,
            serving: view.serving,
            mine: custody.mine(),
            merging: custody.own.iter().any(|segment| segment.merging),
            copies,
            preds: view.preds.clone(),
            succ: view.succ.clone(),
            members: node.members().iter(now).map(|heard| heard.contact.addr).collect(),
            held_for_dead: node.held_for_dead(),
            links,
        }
    }

    /// On how many nodes each of this node's entries is: itself and the copies.
    pub fn copies_in_all(&self) -> usize {
        if self.serving { 1 + self.copies.len() } else { 0 }
    }
}
