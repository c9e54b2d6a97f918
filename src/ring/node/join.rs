//! Finding a place in a ring, or making one.

use std::time::Instant;

use super::requests::Purpose;
use super::routing::Asker;
use super::{Action, Node};
use crate::ring::chord::{NodeState, Want};
use crate::ring::contact::Contact;
use crate::ring::interval::between;
use crate::ring::list::Cut;
use crate::ring::lookup::{Found, LookupFailed};
use crate::ring::placement::Placement;
use crate::ring::view::{Neighbour, Stage};

/// Members at which a search for the own place begins.
const JOIN_AT: usize = 8;

impl Node {
    /// Becomes a ring of its own.
    pub(super) fn form(&mut self, now: Instant) {
        self.become_member(now);
        self.set_preds(
            now,
            Cut {
                list: Vec::new(),
                goes_round: true,
            },
        );
    }

    fn become_member(&mut self, now: Instant) {
        self.joining = false;
        self.set_stage(Stage::Member);
        self.clocks.round = now;
        self.clocks.ping = now;
        self.clocks.gossip = now;
        self.clocks.finger = now;
        self.clocks.merge = now + self.about(self.timing.merge_every);
    }

    /// Somebody is in a ring, so there is no need of another one yet.
    pub(super) fn put_off_forming(&mut self, now: Instant) {
        // To half as much again: of several nodes that start together, the first makes the ring that the others
        // find.
        let wait = self.timing.form_after.mul_f64(1.0 + self.rng.f64() / 2.0);
        self.clocks.form = now + wait;
    }

    /// Begins to look for the own place, unless that is under way.
    pub(super) fn try_join(&mut self, now: Instant) {
        if self.joining {
            return;
        }
        let start = self.members.sample(now, JOIN_AT, &mut self.rng);
        if start.is_empty() {
            return;
        }
        self.joining = true;
        let start = start.into_iter().map(|heard| heard.contact);
        self.start_lookup(now, Asker::Join, self.view.me.id, Want::Predecessor, start);
    }

    /// Looks at arcs, through the members that are known by now.
    pub(super) fn probe(&mut self, now: Instant) {
        let start = self.members.sample(now, JOIN_AT, &mut self.rng);
        if start.is_empty() {
            return;
        }
        while let Some(point) = self
            .placement
            .as_mut()
            .and_then(|placement| placement.next_probe(&mut self.rng))
        {
            let start = start.iter().map(|heard| heard.contact);
            self.start_lookup(now, Asker::Placement, point, Want::Predecessor, start);
        }
    }

    /// One of the arcs is known, or will not be.
    pub(super) fn on_probed(&mut self, result: Result<Found, LookupFailed>) {
        let Some(placement) = &mut self.placement else {
            return;
        };
        match result {
            Ok(found) => match found.path.last() {
                Some(&before) => placement.on_found(before, &found.owners),
                None => placement.on_failed(),
            },
            Err(_) => placement.on_failed(),
        }
        if placement.is_done() {
            if placement.has_seen_ring() {
                self.place();
            } else {
                // Nobody was in a ring yet: once more, until it is time to give up.
                self.placement = Some(Placement::default());
            }
        }
    }

    /// Ends the choice of an id, and this node with it.
    pub(super) fn place(&mut self) {
        if let Some(placement) = self.placement.take() {
            let id = placement.choose(&mut self.rng);
            let in_ring = placement.has_seen_ring();
            self.actions.push(Action::Placed { id, in_ring });
            self.set_stage(Stage::Left);
        }
    }

    /// The lookup for the own place has ended: ask the node before it for its list.
    pub(super) fn on_place(&mut self, now: Instant, result: Result<Found, LookupFailed>) {
        if self.view.stage != Stage::Outside {
            return;
        }
        match result.ok().and_then(|found| found.path.last().copied()) {
            Some(before) => self.ask(now, before, Purpose::Join),
            None => self.joining = false,
        }
    }

    /// The node before tells its list: if the place is still there, take it.
    pub(super) fn on_join_state(&mut self, now: Instant, from: Contact, state: &NodeState) {
        self.joining = false;
        if self.view.stage != Stage::Outside {
            return;
        }
        let me = self.view.me.id;
        // What it knows of an earlier life of this node is not where the circle ends.
        let mut succ = state.succ.clone();
        succ.retain(|node| node.contact.id != me);
        let before = Neighbour {
            contact: from,
            serving: state.serving,
        };
        let head = succ.first().copied().unwrap_or(before);
        if !between(from.id, me, head.contact.id) {
            self.clocks.round = now;
            return;
        }
        self.become_member(now);
        succ.retain(|node| !self.is_suspect(&node.contact));
        match succ.split_first() {
            Some((&head, behind)) => self.set_succ_behind(now, head, behind),
            None => self.set_succ_behind(now, before, &[]),
        }
        self.set_preds_before(now, before, &state.preds);
        self.gossip_to(now, from, true);
    }
}
