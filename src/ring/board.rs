//! The latest bulletin of every node. Layer 2.
//!
//! - A bulletin is passed on when it is news, to the two nodes behind this one, so that one of them may be dead or of
//!   an older version. It ends where it is known already, after once round.
//! - Nodes publish less often as the ring grows, so that no more than fifty bulletins a second pass through a node.
//! - The board is bounded, and what has been silent for long goes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::bulletin::Bulletin;
use super::contact::Contact;
use super::picture::{CopyPicture, Health, NodePicture, Picture, place};
use super::view::{Stage, View};
use crate::id::RingId;
use crate::tracker::server::seam::Totals;

/// Most nodes on the board.
const MAX_NODES: usize = super::members::MAX_MEMBERS;
/// From one bulletin of a node to the next, at least.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// ... and for each node of the ring.
const PUBLISH_EVERY_FOR_EACH: Duration = Duration::from_millis(20);
/// A node of which nothing is heard for so long, and for so many times the time between bulletins, is silent.
const SILENT_AFTER: Duration = Duration::from_secs(5);
const SILENT_PERIODS: u32 = 4;
/// How long a silent node is shown.
const SHOW_SILENT: Duration = Duration::from_secs(600);
/// How long one that has left is shown.
const SHOW_LEFT: Duration = Duration::from_secs(30);
/// Nodes behind this one that get what is news.
const PASS_ON_TO: usize = 2;
/// On how many nodes everything should be.
const COPIES: usize = 3;

/// A bulletin, and when it came.
#[derive(Debug, Clone)]
struct Posted {
    bulletin: Bulletin,
    heard: Instant,
}

/// The board of one node.
#[derive(Debug)]
pub struct Board {
    me: Contact,
    posted: BTreeMap<RingId, Posted>,
    number: u64,
}

impl Board {
    /// An empty one.
    pub fn new(me: Contact) -> Self {
        Self {
            me,
            posted: BTreeMap::new(),
            number: 0,
        }
    }

    /// How long a node waits from one of its bulletins to the next.
    pub fn period(&self) -> Duration {
        let nodes = u32::try_from(self.posted.len()).unwrap_or(u32::MAX);
        PUBLISH_EVERY.max(PUBLISH_EVERY_FOR_EACH.saturating_mul(nodes))
    }

    /// Puts up this node's own bulletin, under the next number.
    pub fn publish(&mut self, now: Instant, mut bulletin: Bulletin) -> &Bulletin {
        self.number += 1;
        bulletin.number = self.number;
        let posted = Posted { bulletin, heard: now };
        &self
            .posted
            .entry(self.me.id)
            .insert_entry(posted)
            .into_mut()
            .bulletin
    }

    /// Takes in the bulletin of another node. Returns whether it is news, and so to be passed on.
    pub fn take(&mut self, now: Instant, bulletin: &Bulletin) -> bool {
        let id = bulletin.contact.id;
        if id == self.me.id {
            return false;
        }
        let known = self.posted.get(&id);
        if known.is_some_and(|known| !bulletin.is_later_than(&known.bulletin)) {
            return false;
        }
        if known.is_none() && self.posted.len() >= MAX_NODES && !self.make_room(now) {
            return false;
        }
        let posted = Posted {
            bulletin: bulletin.clone(),
            heard: now,
        };
        self.posted.insert(id, posted);
        true
    }

    /// Drops the one of which nothing has been heard for longest, if it is silent.
    fn make_room(&mut self, now: Instant) -> bool {
        let oldest = self.posted.iter().min_by_key(|(_, posted)| posted.heard);
        match oldest.map(|(&id, posted)| (id, self.is_silent(now, posted))) {
            Some((id, true)) => self.posted.remove(&id).is_some(),
            _ => false,
        }
    }

    /// To whom a bulletin of `origin` goes next, if it came from `from`.
    pub fn next_readers(&self, view: &View, origin: RingId, from: RingId) -> Vec<Contact> {
        let behind = view.succ.iter().map(|succ| succ.contact);
        behind
            .take(PASS_ON_TO)
            .filter(|contact| contact.id != origin && contact.id != from)
            .collect()
    }

    /// Drops what has been silent for long.
    pub fn expire(&mut self, now: Instant) {
        let me = self.me.id;
        self.posted.retain(|id, posted| {
            let shown_for = match posted.bulletin.stage {
                Stage::Left => SHOW_LEFT,
                _ => SHOW_SILENT,
            };
            *id == me || now.saturating_duration_since(posted.heard) < shown_for
        });
    }

    /// This process was stopped for so long: nobody was silent, but nobody was listened to.
    pub fn excuse(&mut self, gap: Duration) {
        for posted in self.posted.values_mut() {
            posted.heard += gap;
        }
    }

    fn is_silent(&self, now: Instant, posted: &Posted) -> bool {
        let patience = SILENT_AFTER.max(self.period() * SILENT_PERIODS);
        now.saturating_duration_since(posted.heard) > patience
    }

    /// Whether another node, heard later, has the say over the place of this one: then this one has none, whatever
    /// it said last. It is known within a second or so after a node's death, long before it counts as silent.
    fn is_outdated(&self, posted: &Posted) -> bool {
        let id = posted.bulletin.contact.id;
        let takes = |other: &Posted| {
            other.bulletin.contact.id != id
                && other.bulletin.serving
                && other.bulletin.arc.is_some_and(|arc| arc.contains(id))
        };
        let later = self.posted.values().filter(|other| other.heard > posted.heard);
        posted.bulletin.serving && later.into_iter().any(takes)
    }

    /// How a node is, but for its copies.
    fn health(&self, now: Instant, posted: &Posted) -> Health {
        let bulletin = &posted.bulletin;
        if bulletin.stage == Stage::Left {
            Health::Left
        } else if self.is_silent(now, posted) || self.is_outdated(posted) {
            Health::Silent
        } else if bulletin.leaving {
            Health::Leaving
        } else if !bulletin.serving {
            Health::Joining
        } else if bulletin.merging {
            Health::Merging
        } else {
            Health::Serving
        }
    }

    /// Who keeps copies for this node, by its own last word.
    pub fn copies_of(&self, owner: RingId) -> Vec<Contact> {
        let owner = self.posted.get(&owner);
        let copies = owner.into_iter().flat_map(|owner| &owner.bulletin.copies);
        copies
            .filter_map(|copy| self.posted.get(&copy.id))
            .map(|posted| posted.bulletin.contact)
            .collect()
    }

    /// The ring as it is known here. Links are for the caller to add.
    pub fn picture(&self, now: Instant, view: &View) -> Picture {
        let health: Vec<Health> = self
            .posted
            .values()
            .map(|posted| self.health(now, posted))
            .collect();
        let members = self
            .posted
            .values()
            .zip(&health)
            .filter(|(posted, health)| health.is_heard() && posted.bulletin.stage == Stage::Member);
        let staying = members.filter(|(_, health)| **health != Health::Leaving).count();
        let wanted = staying.clamp(1, COPIES);
        let nodes: Vec<NodePicture> = self
            .posted
            .values()
            .zip(&health)
            .map(|(posted, &health)| node_picture(now, posted, health, wanted))
            .collect();
        let mut totals = Totals::default();
        for node in nodes.iter().filter(|node| node.health.is_heard()) {
            totals.swarms += node.owned.swarms;
            totals.seeds += node.owned.seeds;
            totals.leechers += node.owned.leechers;
        }
        let ids = |neighbours: &[super::view::Neighbour]| {
            let ids = neighbours.iter().map(|near| near.contact.id.to_string());
            ids.collect()
        };
        Picture {
            me: self.me.id.to_string(),
            epoch: view.epoch,
            predecessors: ids(&view.preds),
            successors: ids(&view.succ),
            links: Vec::new(),
            heard: health.iter().filter(|health| health.is_heard()).count(),
            nodes,
            totals,
        }
    }
}

fn node_picture(now: Instant, posted: &Posted, health: Health, wanted: usize) -> NodePicture {
    let bulletin = &posted.bulletin;
    let complete = bulletin.copies.iter().filter(|copy| copy.complete).count();
    let copies_complete = if bulletin.serving { 1 + complete } else { 0 };
    let health = match health {
        Health::Serving if copies_complete < wanted => Health::Short,
        health => health,
    };
    let counters = bulletin.counters;
    NodePicture {
        id: bulletin.contact.id.to_string(),
        place: place(bulletin.contact.id),
        incarnation: bulletin.contact.incarnation,
        address: bulletin.contact.addr.to_string(),
        version: bulletin.version.clone(),
        health,
        heard_secs: now.saturating_duration_since(posted.heard).as_secs(),
        uptime_secs: bulletin.uptime.as_secs(),
        arc: bulletin.arc.map(Into::into),
        copies: bulletin
            .copies
            .iter()
            .map(|copy| CopyPicture {
                id: copy.id.to_string(),
                complete: copy.complete,
            })
            .collect(),
        mending: bulletin.mending.iter().map(RingId::to_string).collect(),
        copies_complete,
        copies_wanted: wanted,
        owned: bulletin.owned,
        held: bulletin.held,
        announces: bulletin.announces,
        scrapes: bulletin.scrapes,
        links: counters.links,
        members: counters.members,
        fingers: counters.fingers,
        fingers_to: bulletin.fingers.iter().map(RingId::to_string).collect(),
        pages: bulletin.pages,
        held_for_dead: counters.held_for_dead,
        copies_left_out: counters.copies_left_out,
        repairs: counters.repairs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::bulletin::CopyState;
    use crate::ring::bulletin::tests::contact;
    use crate::ring::interval::Interval;
    use crate::ring::view::Neighbour;

    const SECOND: Duration = Duration::from_secs(1);

    /// A serving node of a ring of these places, with all its copies.
    fn serving(places: &[u8], at: usize, number: u64) -> Bulletin {
        let id = |at: usize| contact(places[at % places.len()], 1).id;
        let copies = (1..places.len().min(3)).map(|step| CopyState {
            id: id(at + step),
            complete: true,
        });
        Bulletin {
            number,
            stage: Stage::Member,
            serving: true,
            arc: Some(Interval::new(id(at + places.len() - 1), id(at))),
            copies: copies.collect(),
            owned: Totals {
                swarms: 10,
                seeds: 20,
                leechers: 30,
            },
            held: Totals {
                swarms: 30,
                seeds: 60,
                leechers: 90,
            },
            ..Bulletin::outside(contact(places[at], 1))
        }
    }

    fn board(now: Instant, places: &[u8]) -> Board {
        let mut board = Board::new(contact(places[0], 1));
        board.publish(now, serving(places, 0, 0));
        for at in 1..places.len() {
            assert!(board.take(now, &serving(places, at, 1)));
        }
        board
    }

    fn view(board: &Board) -> View {
        View::outside(board.me)
    }

    fn healths(board: &Board, now: Instant) -> Vec<Health> {
        let picture = board.picture(now, &view(board));
        picture.nodes.iter().map(|node| node.health).collect()
    }

    #[test]
    fn a_ring_is_added_up_by_what_its_nodes_own() {
        let now = Instant::now();
        let board = board(now, &[10, 80, 160, 240]);
        let picture = board.picture(now, &view(&board));
        assert_eq!((picture.heard, picture.totals.swarms), (4, 40));
        assert!(picture.nodes.iter().all(|node| node.health == Health::Serving));
        let shares: f64 = picture
            .nodes
            .iter()
            .filter_map(|node| node.arc.as_ref())
            .map(|arc| arc.share)
            .sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
        assert_eq!(picture.this_node().map(|node| node.place), Some(10.0 / 256.0));
    }

    #[test]
    fn only_what_is_news_is_taken_in_and_nobody_speaks_for_this_node() {
        let now = Instant::now();
        let mut board = board(now, &[10, 80]);
        assert!(!board.take(now, &serving(&[10, 80], 1, 1)));
        assert!(board.take(now, &serving(&[10, 80], 1, 2)));
        assert!(!board.take(now, &serving(&[10, 80], 0, 99)));
        let mut later = serving(&[10, 80], 1, 1);
        later.contact.incarnation = 2;
        assert!(board.take(now, &later));
        assert!(!board.take(now, &serving(&[10, 80], 1, 3)), "its earlier life");
    }

    #[test]
    fn who_dies_is_silent_when_another_takes_its_arc_or_after_a_while() {
        let start = Instant::now();
        let mut board = board(start, &[10, 80, 160, 240]);
        let later = start + SECOND;
        board.publish(later, serving(&[10, 80, 160, 240], 0, 0));
        // The node at 160 has the arc of the one at 80 now, and it has one copy more to fill.
        let mut heir = serving(&[10, 160, 240], 1, 2);
        heir.copies[1].complete = false;
        board.take(later, &heir);
        let expected = [Health::Serving, Health::Silent, Health::Short, Health::Serving];
        assert_eq!(healths(&board, later), expected);
        let picture = board.picture(later, &view(&board));
        assert_eq!((picture.heard, picture.totals.swarms), (3, 30));

        let much_later = start + 6 * SECOND;
        board.publish(much_later, serving(&[10, 80, 160, 240], 0, 0));
        let expected = [Health::Serving, Health::Silent, Health::Serving, Health::Silent];
        assert_eq!(
            healths(&board, much_later),
            expected,
            "of two nodes both have everything"
        );
        board.expire(start + SHOW_SILENT);
        assert_eq!(board.posted.len(), 2, "one said something a second later");
        board.expire(later + SHOW_SILENT);
        assert_eq!(board.posted.len(), 1, "this node stays");
    }

    #[test]
    fn a_node_is_shown_at_each_step_of_its_life() {
        let now = Instant::now();
        let mut board = board(now, &[10, 80, 160]);
        let mut number = 1;
        let mut step = |change: &dyn Fn(&mut Bulletin)| {
            number += 1;
            let mut next = serving(&[10, 80, 160], 1, number);
            change(&mut next);
            board.take(now, &next);
            (healths(&board, now)[1], board.picture(now, &view(&board)).heard)
        };
        let join = step(&|next| (next.serving, next.arc) = (false, None));
        assert_eq!(join, (Health::Joining, 3));
        assert_eq!(step(&|next| next.merging = true), (Health::Merging, 3));
        assert_eq!(step(&|next| next.copies.truncate(1)), (Health::Short, 3));
        assert_eq!(step(&|_| {}), (Health::Serving, 3));
        assert_eq!(step(&|next| next.leaving = true), (Health::Leaving, 3));
        assert_eq!(step(&|next| next.stage = Stage::Left), (Health::Left, 2));
    }

    #[test]
    fn a_process_that_was_stopped_holds_nobody_for_silent() {
        let start = Instant::now();
        let mut board = board(start, &[10, 80]);
        let woken = start + 60 * SECOND;
        assert_eq!(healths(&board, woken)[1], Health::Silent);
        board.excuse(60 * SECOND);
        assert_eq!(healths(&board, woken)[1], Health::Serving);
    }

    #[test]
    fn bulletins_go_to_the_two_nodes_behind_but_not_back() {
        let places = [10, 80, 160, 240];
        let board = board(Instant::now(), &places);
        let behind = places[1..].iter().map(|&first| Neighbour {
            contact: contact(first, 1),
            serving: true,
        });
        let view = View {
            succ: behind.collect(),
            ..view(&board)
        };
        let readers = |origin, from| -> Vec<u8> {
            let readers = board.next_readers(&view, contact(origin, 1).id, contact(from, 1).id);
            readers.iter().map(|reader| reader.id.as_bytes()[0]).collect()
        };
        assert_eq!(readers(10, 10), [80, 160]);
        assert_eq!(readers(240, 240), [80, 160]);
        assert_eq!(readers(80, 240), [160]);
        assert_eq!(readers(240, 160), [80]);
    }

    #[test]
    fn a_full_board_makes_room_only_of_the_silent() {
        let start = Instant::now();
        let mut board = Board::new(contact(0, 1));
        let numbered = |number: usize| {
            let mut id = [1; 20];
            id[18..].copy_from_slice(&(number as u16).to_be_bytes());
            let mut at = contact(0, 1);
            at.id = RingId::new(id);
            Bulletin::outside(at)
        };
        for number in 0..MAX_NODES {
            assert!(board.take(start, &numbered(number)));
        }
        assert!(!board.take(start, &numbered(MAX_NODES)));
        assert!(board.period() > 20 * SECOND);
        let later = start + board.period() * (SILENT_PERIODS + 1);
        assert!(board.take(later, &numbered(MAX_NODES)));
        assert_eq!(board.posted.len(), MAX_NODES);
    }
}
