//! Looking for another ring that this one should be part of.
//!
//! A partition, or the death of more nodes at once than lists are long, can leave two rings, each of them right.
//! Nothing inside a ring shows that there is another, so each node now and then looks its own id up through a
//! random member that it remembers. In one ring the answer is itself.

use std::time::Instant;

use super::Node;
use super::requests::Purpose;
use super::routing::Asker;
use crate::ring::chord::{ChordMessage, NodeState, Want};
use crate::ring::contact::Contact;
use crate::ring::interval::between;
use crate::ring::lookup::Found;
use crate::ring::view::{Neighbour, Stage};

impl Node {
    /// Asks a random member for the own place.
    pub(super) fn check_for_other_ring(&mut self, now: Instant) {
        let period = if self.view.is_alone() {
            self.timing.join_every
        } else {
            self.timing.merge_every
        };
        self.clocks.merge = now + self.about(period);
        if let Some(someone) = self.members.sample(now, 1, &mut self.rng).pop() {
            self.start_lookup(
                now,
                Asker::Merge,
                self.view.me.id,
                Want::Predecessor,
                [someone.contact],
            );
        }
    }

    /// Where somebody else believes that this node's place is.
    pub(super) fn on_place_elsewhere(&mut self, now: Instant, found: &Found) {
        if self.view.stage != Stage::Member {
            return;
        }
        let me = self.view.me;
        let Some(&before) = found.path.last() else {
            return;
        };
        // An earlier life of this node is nobody.
        let owner = found
            .owners
            .iter()
            .find(|node| node.contact.id != me.id || node.contact == me);
        match owner {
            Some(owner) if owner.contact == me => return,
            Some(owner) => {
                let owner = owner.contact;
                if self.is_nearer(&owner) && !self.requests.has_query() {
                    self.ask(now, owner, Purpose::Merge);
                } else {
                    self.notify(owner);
                }
            }
            None => {}
        }
        self.send(before, ChordMessage::Candidate);
    }

    fn is_nearer(&self, node: &Contact) -> bool {
        !self.is_outdated(node)
            && self
                .head()
                .is_none_or(|head| between(self.view.me.id, node.id, head.contact.id))
    }

    /// The successor in the other ring tells its list: take it.
    pub(super) fn on_merge_state(&mut self, now: Instant, from: Contact, state: &NodeState) {
        if self.is_nearer(&from) {
            let next = Neighbour {
                contact: from,
                serving: state.serving,
            };
            self.set_succ_behind(now, next, &state.succ);
            self.clocks.round = now;
        }
        self.notify(from);
    }
}
