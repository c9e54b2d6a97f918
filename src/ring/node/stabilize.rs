//! Keeping successors and predecessor right: stabilize in two steps, and rectify.

use std::time::Instant;

use super::Node;
use super::requests::Purpose;
use crate::ring::chord::{ChordMessage, NodeState, RequestId};
use crate::ring::contact::Contact;
use crate::ring::interval::between;
use crate::ring::view::{Neighbour, Stage};

impl Node {
    /// One round: the first step, or the second with a node that named itself.
    pub(super) fn stabilize(&mut self, now: Instant) {
        if self.requests.has_query() {
            return;
        }
        if let Some(candidate) = self.candidate.take()
            && self.may_come_next(&candidate)
        {
            let head = self.head().map(|head| head.contact);
            self.ask(now, candidate, Purpose::Between { head });
        } else if let Some(head) = self.head() {
            self.ask(now, head.contact, Purpose::Head);
        }
    }

    /// Whether a node belongs between this one and its successor.
    fn may_come_next(&self, node: &Contact) -> bool {
        let me = self.view.me.id;
        if self.is_outdated(node) || node.id == me {
            return false;
        }
        self.head()
            .is_none_or(|head| between(me, node.id, head.contact.id))
    }

    /// Somebody asks for the lists. They are not told while they are about to change.
    pub(super) fn on_ask(&mut self, from: Contact, request: RequestId) {
        let answer = if self.view.stage != Stage::Member {
            ChordMessage::Outside { request }
        } else if self.requests.has_query() {
            ChordMessage::Busy { request }
        } else {
            ChordMessage::State {
                request,
                state: self.state(),
            }
        };
        self.send(from, answer);
    }

    pub(super) fn on_state(&mut self, now: Instant, from: Contact, purpose: Purpose, state: &NodeState) {
        self.members.hear_now(now, from);
        match purpose {
            Purpose::Head => self.on_head(now, from, state),
            Purpose::Between { head } => self.on_between(now, from, head, state),
            Purpose::Join => self.on_join_state(now, from, state),
            Purpose::Merge => self.on_merge_state(now, from, state),
            Purpose::Watch | Purpose::Find { .. } => {}
        }
    }

    /// First step: what the successor says.
    fn on_head(&mut self, now: Instant, from: Contact, state: &NodeState) {
        if self.head().map(|head| head.contact) != Some(from) {
            return;
        }
        let head = Neighbour {
            contact: from,
            serving: state.serving,
        };
        self.set_succ_behind(now, head, &state.succ);
        match state.preds.first() {
            Some(pred) if self.may_come_next(&pred.contact) => {
                self.ask(now, pred.contact, Purpose::Between { head: Some(from) });
            }
            _ => self.notify(from),
        }
    }

    /// Second step: what the node between says. The successor must be the same as at the first.
    fn on_between(&mut self, now: Instant, from: Contact, head: Option<Contact>, state: &NodeState) {
        if self.head().map(|head| head.contact) != head || !self.may_come_next(&from) {
            return;
        }
        let next = Neighbour {
            contact: from,
            serving: state.serving,
        };
        self.set_succ_behind(now, next, &state.succ);
        self.notify(from);
    }

    /// The one asked is in the middle of a change of its own: try again soon, and let others ask us meanwhile.
    pub(super) fn on_busy(&mut self, now: Instant, purpose: Purpose) {
        if purpose == Purpose::Join {
            self.joining = false;
        }
        if let Purpose::Merge = purpose {
            self.clocks.merge = self.clocks.merge.min(now + self.busy_wait());
        } else {
            self.clocks.round = self.clocks.round.min(now + self.busy_wait());
        }
    }

    fn busy_wait(&mut self) -> std::time::Duration {
        let (min, max) = (self.timing.busy_wait_min, self.timing.busy_wait_max);
        min + max.saturating_sub(min).mul_f64(self.rng.f64())
    }

    /// Somebody believes that it comes right before this node.
    pub(super) fn on_notify(&mut self, now: Instant, from: Contact, serving: bool, before: Vec<Neighbour>) {
        if self.view.stage != Stage::Member {
            return;
        }
        self.members.hear_now(now, from);
        let me = self.view.me.id;
        let notifier = Neighbour {
            contact: from,
            serving,
        };
        if self.view.succ.is_empty() {
            // A ring of one becomes a ring of two.
            self.set_succ(now, vec![notifier]);
            self.clocks.round = now;
        }
        match self.pred() {
            Some(pred) if pred.contact.id == from.id || between(pred.contact.id, from.id, me) => {
                self.set_preds_before(now, notifier, &before);
            }
            None => self.set_preds_before(now, notifier, &before),
            Some(pred) if self.is_suspect(&pred.contact) => self.set_preds_before(now, notifier, &before),
            Some(pred) => {
                // Only when the present one is dead.
                let nearer = match &self.heir {
                    Some((heir, _)) => heir.contact.id == from.id || between(heir.contact.id, from.id, me),
                    None => true,
                };
                if nearer {
                    self.heir = Some((notifier, before));
                }
                if !self.requests.is_tested(&pred.contact) {
                    self.ask(now, pred.contact, Purpose::Watch);
                }
            }
        }
        self.update_flag(&notifier);
    }

    /// Takes over what a neighbour says of itself.
    fn update_flag(&mut self, node: &Neighbour) {
        for known in self.view.succ.iter_mut().chain(&mut self.view.preds) {
            if known.contact == node.contact && known.serving != node.serving {
                known.serving = node.serving;
                self.view.epoch += 1;
            }
        }
    }

    /// Somebody believes that it comes right behind this node.
    pub(super) fn on_candidate(&mut self, now: Instant, from: Contact) {
        if self.view.stage == Stage::Member && self.may_come_next(&from) {
            self.candidate = Some(from);
            self.clocks.round = now;
        }
    }
}
