//! Which node of a ring is asked: the one that is wanted, and others of its ring when that one does not answer. Layer 4,
//! but pure.

use std::net::IpAddr;

use dtorrent::ring::picture::{NodePicture, Picture};
use dtorrent::tracker::visitor::TrackerAddress;

/// Most other nodes that are asked, one after the other, before the first one is tried again.
const MOST_OTHERS: usize = 8;

/// Who is asked for one ring.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    first: TrackerAddress,
    now: TrackerAddress,
    /// Those that are asked when this one does not answer, the next one first.
    others: Vec<TrackerAddress>,
}

impl Asking {
    /// Begins with the node that is wanted.
    pub(crate) fn new(first: TrackerAddress) -> Self {
        Self {
            now: first.clone(),
            first,
            others: Vec::new(),
        }
    }

    /// The node that is wanted.
    pub(crate) fn first(&self) -> &TrackerAddress {
        &self.first
    }

    /// The node that is asked.
    pub(crate) fn now(&self) -> &TrackerAddress {
        &self.now
    }

    /// It has answered: whom it tells of can be asked in its place.
    pub(crate) fn answered(&mut self, picture: &Picture) {
        let nearest = picture.successors.iter().chain(&picture.predecessors);
        let near = nearest.filter_map(|id| picture.nodes.iter().find(|node| node.id == *id));
        let mut others: Vec<TrackerAddress> = Vec::new();
        for node in near.chain(&picture.nodes) {
            if others.len() == MOST_OTHERS {
                break;
            }
            let other = self
                .can_ask(picture, node)
                .filter(|other| !others.contains(other));
            others.extend(other);
        }
        self.others = others;
    }

    /// It has not answered. Returns who is asked next: the first one again if nobody else is left.
    pub(crate) fn failed(&mut self) -> &TrackerAddress {
        self.now = match self.others.is_empty() {
            true => self.first.clone(),
            false => self.others.remove(0),
        };
        &self.now
    }

    /// Where a node can be asked, if it may be another than the one that has answered.
    fn can_ask(&self, picture: &Picture, node: &NodePicture) -> Option<TrackerAddress> {
        let pages = node
            .pages
            .filter(|_| node.health.is_heard() && node.id != picture.me)?;
        // A ring elsewhere has no say over what this computer asks of its own programs.
        let address: TrackerAddress = pages.to_string().parse().ok()?;
        let is_own = pages.ip().to_canonical().is_loopback();
        (address != self.now && (!is_own || is_here(&self.first))).then_some(address)
    }
}

/// Whether the address leads to this computer, by its looks.
fn is_here(address: &TrackerAddress) -> bool {
    let text = address.to_string();
    let host = text.rsplit_once(':').map_or(text.as_str(), |(host, _)| host);
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    ip.map_or(host == "localhost", |ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use dtorrent::ring::picture::Health;

    use super::super::sample::{id, picture};
    use super::*;

    fn address(text: &str) -> TrackerAddress {
        text.parse().unwrap()
    }

    /// A ring whose nodes answer at these hosts, told by the first of them.
    fn ring(hosts: &[&str]) -> Picture {
        let places: Vec<f64> = (0..hosts.len()).map(|at| at as f64 / 20.0 + 0.01).collect();
        let mut ring = picture(&places);
        for (node, host) in ring.nodes.iter_mut().zip(hosts) {
            node.pages = format!("{host}:6969").parse().ok();
        }
        ring
    }

    #[test]
    fn others_are_asked_in_turn_and_then_the_first_again() {
        let mut asking = Asking::new(address("tracker.example"));
        assert_eq!(
            asking.failed(),
            &address("tracker.example"),
            "nobody else is known"
        );
        let mut whole = ring(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
        whole.nodes[2].health = Health::Silent;
        asking.answered(&whole);
        assert_eq!(asking.now(), &address("tracker.example"));
        assert_eq!(asking.failed(), &address("192.0.2.2"));
        assert_eq!(asking.failed(), &address("192.0.2.4"));
        assert_eq!(asking.failed(), &address("tracker.example"));
        assert_eq!(asking.now(), asking.first());
    }

    #[test]
    fn whoever_answers_tells_anew_whom_to_ask() {
        let mut asking = Asking::new(address("192.0.2.1"));
        let mut whole = ring(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        asking.answered(&whole);
        assert_eq!(asking.failed(), &address("192.0.2.2"));
        // As the second one tells it, when the first is away.
        whole.me = id(0.06);
        whole.nodes[0].health = Health::Silent;
        asking.answered(&whole);
        assert_eq!(asking.failed(), &address("192.0.2.3"));
        assert_eq!(asking.failed(), &address("192.0.2.1"));
    }

    #[test]
    fn the_nearest_of_a_large_ring_are_enough() {
        let hosts: Vec<String> = (1..=19).map(|number| format!("192.0.2.{number}")).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let mut asking = Asking::new(address("192.0.2.1"));
        asking.answered(&ring(&hosts));
        assert_eq!(asking.others.len(), MOST_OTHERS);
        assert_eq!(asking.others[0], address("192.0.2.2"));
    }

    #[test]
    fn a_ring_elsewhere_does_not_lead_to_this_computer() {
        let ring = ring(&["192.0.2.1", "127.0.0.1", "127.0.0.2"]);
        for (first, others) in [
            ("192.0.2.1", 0),
            ("localhost", 2),
            ("127.0.0.9:1", 2),
            ("[::1]:1", 2),
        ] {
            let mut asking = Asking::new(address(first));
            asking.answered(&ring);
            let loopback = asking.others.iter().filter(|other| is_here(other)).count();
            assert_eq!(loopback, others, "{first}");
        }
    }
}
