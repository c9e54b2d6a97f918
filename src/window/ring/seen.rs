//! A ring as it was seen, in which nodes are found at once. Layer 4, but without widgets.
//!
//! Who draws asks for each node several times in each frame, and whoever answers at an address says how many there are.

use std::collections::HashMap;
use std::ops::Deref;

use dtorrent::ring::picture::{NodePicture, Picture};

use super::facts;

/// Nodes that are shown: more would be a smear on any screen, and each of them costs in each frame.
const MOST_NODES: usize = 1_000;

/// What a node has told, with an index of it, made once for each look.
#[derive(Debug)]
pub(crate) struct Seen {
    picture: Picture,
    /// Nodes that were told of and are left out.
    pub(crate) left_out: usize,
    by_id: HashMap<String, usize>,
    /// Those that are heard of, in order, and where each is among them.
    there: Vec<usize>,
    rank: HashMap<usize, usize>,
    /// What all addresses have in common.
    pub(crate) same_host: bool,
    pub(crate) same_port: bool,
}

impl Seen {
    pub(crate) fn new(mut picture: Picture) -> Self {
        let left_out = picture.nodes.len().saturating_sub(MOST_NODES);
        // The one that was asked is what everything is told by.
        if let Some(at) = picture.nodes.iter().position(|node| node.id == picture.me)
            && at >= MOST_NODES
        {
            picture.nodes.swap(at, MOST_NODES - 1);
        }
        picture.nodes.truncate(MOST_NODES);
        let mut by_id = HashMap::new();
        for (at, node) in picture.nodes.iter().enumerate() {
            // An id that is told twice means the first one.
            by_id.entry(node.id.clone()).or_insert(at);
        }
        let heard = picture.nodes.iter().enumerate();
        let there: Vec<usize> = heard
            .filter(|(_, node)| node.health.is_heard())
            .map(|(at, _)| at)
            .collect();
        let rank = there.iter().enumerate().map(|(rank, &at)| (at, rank)).collect();
        let parts: Vec<_> = picture.nodes.iter().map(facts::host_and_port).collect();
        let same = |part: fn(&(String, String)) -> &String| {
            let mut pairs = parts.windows(2);
            pairs.all(|pair| part(&pair[0]) == part(&pair[1]))
        };
        let (same_host, same_port) = (same(|parts| &parts.0), same(|parts| &parts.1));
        Self {
            left_out,
            by_id,
            there,
            rank,
            same_host,
            same_port,
            picture,
        }
    }

    pub(crate) fn find(&self, id: &str) -> Option<&NodePicture> {
        self.nodes.get(*self.by_id.get(id)?)
    }

    /// The node so many steps clockwise among those that are heard of; none if there is no other.
    pub(crate) fn from(&self, id: &str, steps: isize) -> Option<&NodePicture> {
        let at = *self.by_id.get(id)?;
        let rank = *self.rank.get(&at)? as isize;
        let next = *self
            .there
            .get((rank + steps).rem_euclid(self.there.len() as isize) as usize)?;
        self.nodes.get(next).filter(|_| next != at)
    }
}

impl Deref for Seen {
    type Target = Picture;

    fn deref(&self) -> &Picture {
        &self.picture
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{id, picture};
    use super::*;

    #[test]
    fn a_ring_without_end_is_cut_and_keeps_who_was_asked() {
        let places: Vec<f64> = (0..1_500).map(|at| f64::from(at) / 1_500.0).collect();
        let mut ring = picture(&places);
        ring.me = id(places[1_400]);
        let seen = Seen::new(ring);
        assert_eq!((seen.nodes.len(), seen.left_out), (MOST_NODES, 500));
        assert!(seen.find(&id(places[1_400])).is_some() && seen.find(&id(places[1_401])).is_none());
        assert_eq!(Seen::new(picture(&places[..7])).left_out, 0);
    }
}
