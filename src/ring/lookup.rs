//! One iterative lookup: the asker goes from node to node, each nearer to the key. Layer 2, Chord (2001) §4.3.
//!
//! Of all nodes it has heard of and not asked yet, a lookup asks the one that comes nearest before the key. So it
//! cannot run in circles, and a dead node costs one wait: the next best is taken.

use super::chord::Want;
use super::contact::Contact;
use super::interval::clockwise;
use super::view::Neighbour;
use crate::id::RingId;

/// Most nodes that one lookup asks.
const MAX_ASKED: usize = 64;
/// Most nodes that wait to be asked.
const MAX_WAITING: usize = 16;

/// Where a key lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The owner, then those behind it.
    pub owners: Vec<Neighbour>,
    /// The nodes that were asked, in turn, those that did not answer left out. The last one gave the answer.
    pub path: Vec<Contact>,
}

/// A lookup has asked everybody it heard of, or as many as one may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no node told where {key} lives; {asked} were asked")]
pub struct LookupFailed {
    /// What was looked for.
    pub key: RingId,
    /// How many nodes were asked.
    pub asked: usize,
}

/// A lookup under way.
#[derive(Debug, Clone)]
pub struct Lookup {
    key: RingId,
    want: Want,
    /// To be asked, the nearest before the key last.
    waiting: Vec<Contact>,
    asked: Vec<Contact>,
    path: Vec<Contact>,
}

impl Lookup {
    /// A lookup that begins at `start`.
    pub fn new(key: RingId, want: Want, start: impl IntoIterator<Item = Contact>) -> Self {
        let mut lookup = Self {
            key,
            want,
            waiting: Vec::new(),
            asked: Vec::new(),
            path: Vec::new(),
        };
        lookup.add(start);
        lookup
    }

    /// What is looked for.
    pub fn key(&self) -> RingId {
        self.key
    }

    /// What is wanted of it.
    pub fn want(&self) -> Want {
        self.want
    }

    /// The next node to ask.
    ///
    /// # Errors
    /// When there is none.
    pub fn next_node(&mut self) -> Result<Contact, LookupFailed> {
        match self.waiting.pop() {
            Some(node) if self.asked.len() < MAX_ASKED => {
                self.asked.push(node);
                Ok(node)
            }
            _ => Err(LookupFailed {
                key: self.key,
                asked: self.asked.len(),
            }),
        }
    }

    /// `from` named other nodes.
    pub fn on_next(&mut self, from: Contact, nodes: Vec<Contact>) {
        self.path.push(from);
        self.add(nodes);
    }

    /// `from` knew the answer.
    pub fn on_found(mut self, from: Contact, owners: Vec<Neighbour>) -> Found {
        self.path.push(from);
        Found {
            owners,
            path: self.path,
        }
    }

    fn add(&mut self, nodes: impl IntoIterator<Item = Contact>) {
        for node in nodes {
            if !self.asked.contains(&node) && !self.waiting.contains(&node) {
                self.waiting.push(node);
            }
        }
        let key = self.key;
        // A node at the key itself is the farthest from coming before it.
        self.waiting
            .sort_by_key(|node| std::cmp::Reverse(nearness(node.id, key)));
        let too_many = self.waiting.len().saturating_sub(MAX_WAITING);
        self.waiting.drain(..too_many);
    }
}

/// How far `node` comes before `key`; the least is the best. What stands at the key comes last.
pub fn nearness(node: RingId, key: RingId) -> (bool, RingId) {
    (node == key, clockwise(node, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(first: u8) -> Contact {
        Contact {
            id: id(first),
            incarnation: 1,
            addr: ([127, 0, 0, 1], 1).into(),
        }
    }

    fn id(first: u8) -> RingId {
        let mut bytes = [0; 20];
        bytes[0] = first;
        RingId::new(bytes)
    }

    #[test]
    fn the_nearest_before_the_key_is_asked_first_and_nobody_twice() {
        let mut lookup = Lookup::new(id(100), Want::Owner, [10, 110, 100, 90].map(contact));
        assert_eq!(lookup.next_node(), Ok(contact(90)));
        lookup.on_next(contact(90), [90, 95, 10].map(contact).to_vec());
        for expected in [95, 10, 110, 100] {
            assert_eq!(lookup.next_node(), Ok(contact(expected)));
        }
        let failed = LookupFailed {
            key: id(100),
            asked: 5,
        };
        assert_eq!(lookup.next_node(), Err(failed));
    }

    #[test]
    fn a_lookup_that_is_led_on_and_on_ends() {
        let mut lookup = Lookup::new(id(0), Want::Owner, [contact(1)]);
        let mut asked = 0;
        while let Ok(node) = lookup.next_node() {
            asked += 1;
            lookup.on_next(node, (2..=255).map(contact).collect());
        }
        assert_eq!(asked, MAX_ASKED);
    }
}
