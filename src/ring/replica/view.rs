//! What a node's custody tells its keepers, its router and whoever shows it. Layer 1.

use crate::id::RingId;
use crate::ring::contact::Contact;
use crate::ring::interval::{Interval, clockwise};
use crate::ring::view::Neighbour;

/// A part of the arc over which a node has the say, or is about to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The part.
    pub arc: Interval,
    /// Whether this node must ask others first for what it may have missed.
    pub merging: bool,
    /// Whom it asks then.
    pub ask: Vec<Contact>,
    /// Who must have each entry before an announce is answered.
    pub copies: Vec<Contact>,
    /// Who should be a copy but was silent. It is not written to; when it has caught up it is a copy again.
    pub mending: Vec<Contact>,
    /// Who is about to have the say. It is written to like a copy.
    pub heir: Option<Contact>,
}

impl Segment {
    /// Everybody who gets each entry.
    pub fn targets(&self) -> impl Iterator<Item = Contact> + '_ {
        let heir = self.heir.filter(|heir| !self.copies.contains(heir));
        self.copies.iter().copied().chain(heir)
    }
}

/// A part of the circle that this node keeps for nobody. It may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// The part.
    pub arc: Interval,
    /// Whom to bring what is there.
    pub owner: Option<Contact>,
}

/// Who has the say over what, as one node sees it at one moment. `own`, `held` and `rest` tile the circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyView {
    /// Greater for each later view of this node.
    pub epoch: u64,
    /// This node.
    pub me: Contact,
    /// Whether this node is about to leave.
    pub leaving: bool,
    /// What it has the say over, clockwise. It ends at `me`, and is empty when the node does not serve.
    pub own: Vec<Segment>,
    /// What it keeps for others.
    pub held: Vec<Interval>,
    /// What it keeps for nobody.
    pub rest: Vec<Rest>,
    /// Nodes near it, to say who may own what it does not.
    pub near: Vec<Neighbour>,
}

impl CustodyView {
    /// That of a node in no ring.
    pub fn nothing(me: Contact) -> Self {
        Self {
            epoch: 0,
            me,
            leaving: false,
            own: Vec::new(),
            held: Vec::new(),
            rest: vec![Rest {
                arc: Interval::whole(me.id),
                owner: None,
            }],
            near: Vec::new(),
        }
    }

    /// The index of the segment with `key`.
    pub fn segment_of(&self, key: RingId) -> Option<usize> {
        self.own.iter().position(|segment| segment.arc.contains(key))
    }

    /// All that this node has the say over, or is about to.
    pub fn mine(&self) -> Option<Interval> {
        let (first, last) = (self.own.first()?, self.own.last()?);
        Some(Interval::new(first.arc.after, last.arc.upto))
    }

    /// Whether it keeps a copy of `key` for another node.
    pub fn holds(&self, key: RingId) -> bool {
        self.held.iter().any(|arc| arc.contains(key))
    }

    /// The node near this one that may own `key`: the first that serves, clockwise from there.
    pub fn hint(&self, key: RingId) -> Option<Contact> {
        let serving = self.near.iter().filter(|near| near.serving);
        serving
            .min_by_key(|near| clockwise(key, near.contact.id))
            .map(|near| near.contact)
    }

    /// Who may own the first point of an arc.
    pub fn hint_behind(&self, after: RingId) -> Option<Contact> {
        let serving = self
            .near
            .iter()
            .filter(|near| near.serving && near.contact.id != after);
        serving
            .min_by_key(|near| clockwise(after, near.contact.id))
            .map(|near| near.contact)
    }
}
