//! What follows from what a custody knows. Layer 2.

use std::sync::Arc;
use std::time::Instant;

use super::{Action, Custody, LEAVE_WITHIN, LeftOut, NOBODY_FOR, OUT_AT_LEAST, OUT_AT_MOST};
use crate::id::RingId;
use crate::ring::contact::Contact;
use crate::ring::data::DataMessage;
use crate::ring::interval::Interval;
use crate::ring::replica::arcs;
use crate::ring::replica::outbox::Progress;
use crate::ring::replica::view::{CustodyView, Rest, Segment};
use crate::ring::view::{Neighbour, Stage};

/// Copies beside the owner.
pub(super) const COPIES: usize = 2;

/// What a node has to do with a part of the circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Own,
    Held,
    Rest,
}

impl Custody {
    /// Draws the consequences of whatever has changed. Each step may make another one possible.
    pub(super) fn plan(&mut self, now: Instant) {
        loop {
            self.begin_to_serve(now);
            let mine = self.mine();
            self.settle(mine);
            self.publish(now, mine);
            if !(self.finish_merge(mine) || self.finish_handover(mine) || self.readmit(now)) {
                break;
            }
        }
        self.finish_leave(now);
    }

    /// The arc that is mine: from the nearest serving node before me.
    fn mine(&self) -> Option<Interval> {
        let ring = &self.ring;
        if !self.serving || ring.stage != Stage::Member {
            return None;
        }
        let mut before = ring
            .preds
            .iter()
            .filter(|pred| self.serves(pred.contact, pred.serving));
        Some(match before.next() {
            Some(pred) => Interval::new(pred.contact.id, ring.me.id),
            None if ring.preds_go_round => Interval::whole(ring.me.id),
            None => self.view.mine().unwrap_or(Interval::whole(ring.me.id)),
        })
    }

    /// Keeps what is settled within what is mine.
    fn settle(&mut self, mine: Option<Interval>) {
        self.settled = match (mine, self.settled) {
            (Some(mine), Some(settled)) if arcs::covers(settled, mine) => Some(mine),
            (Some(_), Some(settled)) => Some(settled),
            _ => None,
        };
    }

    /// A ring in which nobody serves must begin somewhere: here, and everywhere else, for the arcs sort themselves
    /// out as soon as the nodes see each other serve.
    fn begin_to_serve(&mut self, now: Instant) {
        let ring = &self.ring;
        let nobody = ring
            .preds
            .iter()
            .all(|pred| !self.serves(pred.contact, pred.serving));
        let idle = ring.stage == Stage::Member && !self.serving && self.leaving.is_none();
        if !(idle && ring.preds_go_round && nobody) {
            self.nobody_since = None;
            return;
        }
        let since = *self.nobody_since.get_or_insert(now);
        if ring.is_alone() || now.saturating_duration_since(since) >= NOBODY_FOR {
            self.set_serving(true);
        }
    }

    fn publish(&mut self, now: Instant, mine: Option<Interval>) {
        let own = mine.map(|mine| self.segments(mine)).unwrap_or_default();
        let (held, rest) = self.others(now, mine);
        let me = Neighbour {
            contact: self.ring.me,
            serving: self.serving,
        };
        let near = self
            .ring
            .preds
            .iter()
            .chain(&self.ring.succ)
            .map(|near| Neighbour {
                contact: near.contact,
                serving: self.serves(near.contact, near.serving),
            });
        let mut near: Vec<_> = near.chain([me]).collect();
        near.sort_unstable_by_key(|near| (near.contact.id, !near.serving));
        near.dedup_by_key(|near| near.contact.id);
        let view = CustodyView {
            epoch: self.view.epoch,
            me: self.ring.me,
            leaving: self.leaving.is_some(),
            own,
            held,
            rest,
            near,
        };
        if view != *self.view {
            let epoch = view.epoch + 1;
            self.view = Arc::new(CustodyView { epoch, ..view });
            self.actions.push(Action::Publish(Arc::clone(&self.view)));
        }
    }

    /// My arc in parts: what must be merged first, what is about to go to another, the rest.
    fn segments(&self, mine: Interval) -> Vec<Segment> {
        let (copies, mending) = self.copies();
        let segment = |after, upto, merging, heir| Segment {
            arc: Interval::new(after, upto),
            merging,
            ask: if merging {
                self.whom_to_ask(mine)
            } else {
                Vec::new()
            },
            copies: copies.clone(),
            mending: mending.clone(),
            heir,
        };
        let me = self.ring.me.id;
        match self.settled {
            None => vec![segment(mine.after, me, true, None)],
            Some(settled) if settled != mine => vec![
                segment(mine.after, settled.after, true, None),
                segment(settled.after, me, false, None),
            ],
            Some(_) if self.leaving.is_some() => vec![segment(mine.after, me, false, self.successor())],
            Some(_) => match self.next_heir(mine) {
                Some(heir) => vec![
                    segment(mine.after, heir.id, false, Some(heir)),
                    segment(heir.id, me, false, None),
                ],
                None => vec![segment(mine.after, me, false, None)],
            },
        }
    }

    /// Who keeps copies: the next two nodes. Those that were silent only if there is nobody else; they are listed
    /// apart, to be brought up to date.
    fn copies(&self) -> (Vec<Contact>, Vec<Contact>) {
        let leaves = |contact: &Contact| self.leavers.iter().any(|leaver| leaver.contact == *contact);
        let next = self.ring.succ.iter().map(|succ| succ.contact);
        let next: Vec<Contact> = next.filter(|contact| !leaves(contact)).collect();
        let is_out = |contact: &Contact| self.left_out.iter().any(|out| out.contact == *contact);
        let (out, good): (Vec<_>, Vec<_>) = next.iter().partition(|&contact| is_out(contact));
        let copies: Vec<Contact> = good.into_iter().chain(out).take(COPIES).collect();
        let wanted = next.into_iter().take(COPIES);
        let mending = wanted.filter(|contact| !copies.contains(contact)).collect();
        (copies, mending)
    }

    /// Who may have entries of an arc that I am about to serve: those behind me, and new nodes on the arc, which
    /// may have been copies of the node before them.
    fn whom_to_ask(&self, mine: Interval) -> Vec<Contact> {
        let on_arc = |pred: &&Neighbour| mine.contains(pred.contact.id);
        let preds = self.ring.preds.iter().filter(on_arc);
        let mut ask: Vec<Contact> = self
            .ring
            .succ
            .iter()
            .chain(preds)
            .map(|near| near.contact)
            .collect();
        ask.sort_unstable_by_key(|contact| contact.id);
        ask.dedup();
        ask
    }

    /// The node that gets a part of my arc next: of those that ask, the one farthest from me, so that whoever comes
    /// after it still gets its own part from me.
    fn next_heir(&self, mine: Interval) -> Option<Contact> {
        let asks = |pred: &&Neighbour| {
            let contact = pred.contact;
            mine.contains(contact.id)
                && !self.serves(contact, pred.serving)
                && self.askers.iter().any(|asker| asker.contact == contact)
        };
        self.ring.preds.iter().rfind(asks).map(|pred| pred.contact)
    }

    /// Who gets my arc when I leave.
    fn successor(&self) -> Option<Contact> {
        let leaves = |contact: &Contact| self.leavers.iter().any(|leaver| leaver.contact == *contact);
        let mut succ = self
            .ring
            .succ
            .iter()
            .filter(|succ| succ.serving && !leaves(&succ.contact));
        succ.next().map(|succ| succ.contact)
    }

    /// What I keep for others, and what for nobody.
    fn others(&self, now: Instant, mine: Option<Interval>) -> (Vec<Interval>, Vec<Rest>) {
        let arcs = self.claims.iter().map(|claim| claim.arc).chain(mine);
        let mut cuts: Vec<RingId> = arcs.flat_map(|arc| [arc.after, arc.upto]).collect();
        if cuts.is_empty() {
            cuts.push(self.ring.me.id);
        }
        let role = |key| {
            if mine.is_some_and(|mine| mine.contains(key)) {
                Role::Own
            } else if self.claims.iter().any(|claim| claim.arc.contains(key)) {
                Role::Held
            } else {
                Role::Rest
            }
        };
        let (mut held, mut rest) = (Vec::new(), Vec::new());
        for (arc, role) in arcs::label(cuts, role) {
            match role {
                Role::Own => {}
                Role::Held => held.push(arc),
                Role::Rest if self.is_stray(arc) => self.find_owners(now, arc, &mut rest),
                Role::Rest => rest.push(Rest { arc, owner: None }),
            }
        }
        (held, rest)
    }

    /// Whether a keeper has something on an arc that is kept for nobody.
    fn is_stray(&self, arc: Interval) -> bool {
        let mut strays = self.progress.iter().flat_map(|progress| &progress.strays);
        strays.any(|stray| arcs::overlap(*stray, arc))
    }

    /// Cuts an arc where nodes stand, each of which may own what is before it, and joins again what is empty.
    fn find_owners(&self, now: Instant, arc: Interval, rest: &mut Vec<Rest>) {
        let others = |contact: &Contact| contact.id != self.ring.me.id;
        let mut after = arc.after;
        let mut add = |upto, owner: Option<Contact>| {
            let piece = Interval::new(after, upto);
            after = upto;
            let owner = owner.filter(|_| self.is_stray(piece));
            match rest.last_mut() {
                Some(last) if last.owner.is_none() && owner.is_none() && last.arc.upto == piece.after => {
                    last.arc.upto = upto;
                }
                _ => rest.push(Rest { arc: piece, owner }),
            }
        };
        let on_arc = |owner: &Contact| owner.id != arc.upto && arc.contains(owner.id);
        for owner in self
            .directory
            .behind(now, arc.after)
            .filter(others)
            .take_while(on_arc)
        {
            add(owner.id, Some(owner));
        }
        add(arc.upto, self.directory.from(now, arc.upto).find(others));
    }

    /// Serves what has been merged.
    fn finish_merge(&mut self, mine: Option<Interval>) -> bool {
        let merging = self.view.own.iter().find(|segment| segment.merging);
        let Some(arc) = merging.map(|segment| segment.arc) else {
            return false;
        };
        let done = self.all_say(|progress| progress.merged.contains(&arc));
        if done {
            self.settled = mine;
        }
        done
    }

    /// Gives a part of my arc, or all of it, to an heir that has everything.
    fn finish_handover(&mut self, mine: Option<Interval>) -> bool {
        let given = self
            .view
            .own
            .iter()
            .find_map(|segment| Some((segment.heir?, segment.arc)));
        let Some((heir, arc)) = given else {
            return false;
        };
        if !self.all_say(|progress| progress.complete.contains(&(heir, arc))) {
            return false;
        }
        self.send(heir, DataMessage::TakeOver { arc });
        if Some(arc) == mine && self.leaving.is_some() {
            self.set_serving(false);
        } else {
            self.heirs.push((heir, arc));
        }
        true
    }

    /// Takes those back as copies who were silent and have caught up.
    fn readmit(&mut self, now: Instant) -> bool {
        let before = self.left_out.len();
        let mut left_out = std::mem::take(&mut self.left_out);
        left_out.retain(|LeftOut { contact, since }| {
            let out_for = now.saturating_duration_since(*since);
            let mut own = self.view.own.iter();
            let mends =
                own.any(|segment| segment.mending.contains(contact) || segment.copies.contains(contact));
            let has_all = || {
                let mut own = self.view.own.iter();
                own.all(|segment| {
                    self.all_say(|progress| progress.complete.contains(&(*contact, segment.arc)))
                })
            };
            !(out_for >= OUT_AT_MOST && !mends || out_for >= OUT_AT_LEAST && mends && has_all())
        });
        self.left_out = left_out;
        self.left_out.len() != before
    }

    /// Whether all keepers obey the current view and say so.
    pub(super) fn all_say(&self, what: impl Fn(&Progress) -> bool) -> bool {
        let of_now = |progress: &Progress| progress.epoch == self.view.epoch;
        self.progress
            .iter()
            .all(|progress| of_now(progress) && what(progress))
    }

    fn finish_leave(&mut self, now: Instant) {
        let Some(since) = self.leaving else { return };
        let out_of_time = now.saturating_duration_since(since) >= LEAVE_WITHIN;
        let alone = self.ring.succ.is_empty();
        let empty = !self.serving && self.all_say(|progress| progress.strays.is_empty());
        if !self.gone && (alone || empty || out_of_time) {
            self.gone = true;
            self.set_serving(false);
            self.actions.push(Action::Gone);
        }
    }
}
