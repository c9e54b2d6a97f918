//! Lookups: those of this node, and the steps of others'.

use std::time::Instant;

use super::requests::Purpose;
use super::{Action, Node};
use crate::id::RingId;
use crate::ring::chord::{ChordMessage, MAX_FOUND, MAX_NEXT, RequestId, Want};
use crate::ring::contact::Contact;
use crate::ring::interval::{Interval, between};
use crate::ring::lookup::{Found, Lookup, LookupFailed, nearness};
use crate::ring::view::{Neighbour, Stage};

/// Whose lookup it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// The user's.
    User { token: u64 },
    /// This node's, for its place.
    Join,
    /// This node's, for its place in another ring.
    Merge,
    /// This node's, for the arcs among which it chooses an id.
    Placement,
    /// This node's, for the finger of a bit.
    Finger { bit: u8 },
}

/// A lookup under way.
#[derive(Debug)]
pub(super) struct Route {
    asker: Asker,
    lookup: Lookup,
}

/// What this node can say of a key.
enum Step {
    Found(Vec<Neighbour>),
    Next(Vec<Contact>),
}

impl Node {
    /// Looks a key up; [`Action::Found`] with this token is the answer.
    pub fn lookup(&mut self, now: Instant, token: u64, key: RingId) {
        let asker = Asker::User { token };
        let start = match (self.view.stage, self.step(key, Want::Owner)) {
            (Stage::Member, Step::Found(owners)) => {
                let result = Ok(Found {
                    owners,
                    path: Vec::new(),
                });
                self.actions.push(Action::Found { token, result });
                return;
            }
            (Stage::Member, Step::Next(nodes)) => nodes,
            _ => Vec::new(),
        };
        self.start_lookup(now, asker, key, Want::Owner, start);
    }

    pub(super) fn start_lookup(
        &mut self,
        now: Instant,
        asker: Asker,
        key: RingId,
        want: Want,
        start: impl IntoIterator<Item = Contact>,
    ) {
        let lookup = Lookup::new(key, want, start);
        let number = self.next_lookup;
        self.next_lookup += 1;
        self.lookups.insert(number, Route { asker, lookup });
        self.ask_next(now, number);
    }

    /// Asks the next node of a lookup, or ends it.
    pub(super) fn ask_next(&mut self, now: Instant, number: u64) {
        let Some(route) = self.lookups.get_mut(&number) else {
            return;
        };
        match route.lookup.next_node() {
            Ok(node) => {
                let purpose = Purpose::Find {
                    lookup: number,
                    key: route.lookup.key(),
                    want: route.lookup.want(),
                };
                self.ask(now, node, purpose);
            }
            Err(failed) => {
                if let Some(route) = self.lookups.remove(&number) {
                    self.end_lookup(now, route.asker, Err(failed));
                }
            }
        }
    }

    fn end_lookup(&mut self, now: Instant, asker: Asker, result: Result<Found, LookupFailed>) {
        match asker {
            Asker::User { token } => self.actions.push(Action::Found { token, result }),
            Asker::Join => self.on_place(now, result),
            Asker::Merge => {
                if let Ok(found) = result {
                    self.on_place_elsewhere(now, &found);
                }
            }
            Asker::Placement => self.on_probed(result),
            Asker::Finger { bit } => {
                if let Some(owner) = result.ok().and_then(|found| found.owners.first().copied())
                    && owner.contact.id != self.view.me.id
                    && !self.is_suspect(&owner.contact)
                {
                    self.fingers.set(bit, owner.contact);
                }
            }
        }
    }

    pub(super) fn on_owners(
        &mut self,
        now: Instant,
        from: Contact,
        purpose: Purpose,
        owners: Vec<Neighbour>,
    ) {
        self.heard_of_ring(now);
        if let Purpose::Find { lookup, .. } = purpose
            && let Some(Route { asker, lookup }) = self.lookups.remove(&lookup)
        {
            let found = lookup.on_found(from, owners);
            self.end_lookup(now, asker, Ok(found));
        }
    }

    pub(super) fn on_next(&mut self, now: Instant, from: Contact, purpose: Purpose, mut nodes: Vec<Contact>) {
        self.heard_of_ring(now);
        let me = self.view.me.id;
        if let Purpose::Find { lookup, .. } = purpose {
            if let Some(route) = self.lookups.get_mut(&lookup) {
                nodes.retain(|node| node.id != me && !self.suspects.contains_key(node));
                route.lookup.on_next(from, nodes);
            }
            self.ask_next(now, lookup);
        }
    }

    fn heard_of_ring(&mut self, now: Instant) {
        if self.view.stage == Stage::Outside {
            self.put_off_forming(now);
        }
    }

    pub(super) fn on_find(&mut self, from: Contact, request: RequestId, key: RingId, want: Want) {
        let answer = if self.view.stage != Stage::Member {
            ChordMessage::Outside { request }
        } else {
            match self.step(key, want) {
                Step::Found(owners) => ChordMessage::Found { request, owners },
                Step::Next(nodes) => ChordMessage::Next { request, nodes },
            }
        };
        self.send(from, answer);
    }

    fn step(&self, key: RingId, want: Want) -> Step {
        let view = &self.view;
        let me = Neighbour {
            contact: view.me,
            serving: view.serving,
        };
        let Some(head) = self.head() else {
            return Step::Found(vec![me]);
        };
        if Interval::new(view.me.id, head.contact.id).contains(key) {
            return Step::Found(view.succ.clone());
        }
        let pred = self.pred().filter(|pred| !self.is_suspect(&pred.contact));
        if let Some(pred) = pred
            && Interval::new(pred.contact.id, view.me.id).contains(key)
        {
            return match want {
                Want::Owner => {
                    let mut owners = vec![me];
                    owners.extend(view.succ.iter().take(MAX_FOUND - 1));
                    Step::Found(owners)
                }
                Want::Predecessor => Step::Next(vec![pred.contact]),
            };
        }
        Step::Next(self.nearest_before(key))
    }

    /// The known nodes that come nearest before a key, the best first.
    fn nearest_before(&self, key: RingId) -> Vec<Contact> {
        let known = self
            .view
            .succ
            .iter()
            .map(|node| node.contact)
            .chain(self.fingers.iter());
        let mut nodes: Vec<Contact> = known
            .filter(|node| between(self.view.me.id, node.id, key) && !self.is_suspect(node))
            .collect();
        nodes.sort_by_key(|node| nearness(node.id, key));
        nodes.dedup();
        nodes.truncate(MAX_NEXT);
        nodes
    }

    /// Looks one finger up, beginning at what it is now.
    pub(super) fn repair_finger(&mut self, now: Instant) {
        let covered = self
            .view
            .succ
            .last()
            .map_or(self.view.me.id, |last| last.contact.id);
        let all_known = self.view.succ.len() < crate::ring::view::MAX_SUCC;
        if all_known {
            return;
        }
        if let Some((bit, point, finger)) = self.fingers.next_repair(covered) {
            let start = finger.into_iter().chain(self.nearest_before(point));
            let start: Vec<Contact> = start.collect();
            self.start_lookup(now, Asker::Finger { bit }, point, Want::Owner, start);
        }
    }
}
