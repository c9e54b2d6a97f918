//! Nodes that hold what they should not, have brought it here, and wait to hear that they may drop it. Layer 2.
//!
//! Turns count such requests. A session with a copy that began in the turn of a request or later has carried all
//! that the request's own session brought.

use std::time::Instant;

use super::Keeper;
use crate::ring::contact::Contact;
use crate::ring::data::{DataMessage, Session};
use crate::ring::interval::Interval;
use crate::ring::replica::arcs;
use crate::ring::replica::outbox::Outbox;
use crate::ring::replica::view::Segment;

/// Most requests; who does not get an answer asks again.
const MAX_REQUESTS: usize = 64;
/// Copies that an owner must have beside the one that asks.
const COPIES: usize = 2;

#[derive(Debug)]
pub(super) struct DropRequest {
    pub(super) from: Contact,
    session: Session,
    arc: Interval,
    leaving: bool,
    turn: u64,
}

/// What becomes of a request.
enum Verdict {
    Granted,
    Wait,
    Refused,
}

impl Keeper {
    pub(super) fn on_may_drop(
        &mut self,
        now: Instant,
        from: &Contact,
        session: Session,
        arc: Interval,
        leaving: bool,
        out: &mut Outbox,
    ) {
        self.drops
            .retain(|request| request.from != *from || request.arc != arc);
        if self.drops.len() >= MAX_REQUESTS {
            return;
        }
        self.drop_turn += 1;
        self.drops.push(DropRequest {
            from: *from,
            session,
            arc,
            leaving,
            turn: self.drop_turn,
        });
        self.hurry(now, arc);
        self.settle_drops(out);
    }

    /// Answers the requests that can be answered.
    pub(super) fn settle_drops(&mut self, out: &mut Outbox) {
        for request in std::mem::take(&mut self.drops) {
            match self.judge(&request) {
                Verdict::Granted => {
                    let session = request.session;
                    out.send(request.from, DataMessage::Drop { session });
                }
                Verdict::Wait => self.drops.push(request),
                Verdict::Refused => self.not_here(&request.from, request.session, request.arc, out),
            }
        }
    }

    fn judge(&self, request: &DropRequest) -> Verdict {
        if !self.serves(request.arc) {
            return Verdict::Refused;
        }
        let of = |segment: &&Segment| arcs::overlap(segment.arc, request.arc);
        let safe = self.view.own.iter().filter(of).all(|segment| {
            let from = &request.from;
            let is_copy = segment.copies.contains(from) || segment.mending.contains(from);
            // A node that asks is one more than an owner with fewer copies knows of.
            let enough = segment.copies.len() >= COPIES || request.leaving;
            let has_all = |copy| self.complete_since(segment.arc, copy) >= Some(request.turn);
            !is_copy && segment.heir != Some(*from) && enough && segment.copies.iter().all(has_all)
        });
        if safe { Verdict::Granted } else { Verdict::Wait }
    }
}
