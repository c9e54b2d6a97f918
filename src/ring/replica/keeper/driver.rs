//! Sessions that a keeper drives: with whom, when, and the steps (see [`super::super`]). Layer 2.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Keeper, MERGE_WITHIN, ROUND_EVERY};
use crate::id::{InfoHash, RingId};
use crate::ring::contact::Contact;
use crate::ring::data::{BUCKETS_A_SHARD, DataMessage, MAX_SWARMS, Purpose, Session};
use crate::ring::interval::{Interval, clockwise};
use crate::ring::replica::arcs;
use crate::ring::replica::outbox::{Now, Outbox, Report};

/// A session in which nothing has moved for so long begins again.
const STUCK: Duration = Duration::from_secs(5);
/// From a session that ended without result to the next.
const RETRY: Duration = Duration::from_millis(300);
/// Peers in the swarms of one portion, about: it bounds what is under way in a session.
const PORTION_PEERS: usize = 4_096;

/// A node with which this one has, for one arc, sessions.
#[derive(Debug)]
pub(super) struct Peering {
    arc: Interval,
    to: Contact,
    purpose: Purpose,
    /// Whether the partner gets each entry of the arc beside.
    written: bool,
    /// Whether the arc may not be served before a session has ended.
    merging: bool,
    /// Since when it is as it is.
    made: Instant,
    due: Instant,
    run: Option<Run>,
    /// The turn (see [`super::drops`]) in which the last session began that has ended.
    complete: Option<u64>,
    /// The link has broken since then.
    gone: bool,
    /// Something has come into the arc since the session began.
    spoilt: bool,
}

/// A session under way.
#[derive(Debug)]
struct Run {
    number: u32,
    turn: u64,
    heard: Instant,
    phase: Phase,
    /// Buckets that differ and are not begun.
    buckets: u16,
    /// Portions of the current bucket that are not sent.
    portions: VecDeque<Portion>,
}

/// What the partner is to say next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Differ,
    Wants,
    Passed,
    Drop,
}

/// Swarms on a part of the arc.
#[derive(Debug)]
struct Portion {
    arc: Interval,
    bucket: u8,
    swarms: Vec<(InfoHash, u64)>,
}

impl Peering {
    fn new(now: Instant, arc: Interval, to: Contact, purpose: Purpose, written: bool, merging: bool) -> Self {
        Self {
            arc,
            to,
            purpose,
            written,
            merging,
            made: now,
            due: now,
            run: None,
            complete: None,
            gone: false,
            spoilt: false,
        }
    }

    /// Takes over what is known of a larger arc, or the same.
    fn inherit(&mut self, old: &mut Self) {
        if self.merging && !old.merging || self.written != old.written {
            return;
        }
        (self.made, self.gone, self.complete) = (old.made, old.gone, old.complete);
        if old.arc == self.arc {
            (self.due, self.spoilt, self.run) = (old.due, old.spoilt, old.run.take());
        } else if self.complete.is_some() {
            self.due = old.due;
        }
    }

    /// Whether all that the partner can give has been got.
    fn settled(&self, now: Instant) -> bool {
        self.complete.is_some() || self.gone || now.saturating_duration_since(self.made) >= MERGE_WITHIN
    }
}

impl Keeper {
    /// Finds out with whom the current view wants sessions.
    pub(super) fn plan_peerings(&mut self, now: Instant) {
        let mut plan = Vec::new();
        for segment in &self.view.own {
            let first = plan.len();
            let mut add = |to, purpose, written| {
                plan.push(Peering::new(
                    now,
                    segment.arc,
                    to,
                    purpose,
                    written,
                    segment.merging,
                ));
            };
            for to in segment.targets() {
                add(to, Purpose::Claim, true);
            }
            for &to in &segment.mending {
                add(to, Purpose::Claim, false);
            }
            if segment.merging {
                for &to in &segment.ask {
                    if plan[first..].iter().all(|peering| peering.to != to) {
                        plan.push(Peering::new(now, segment.arc, to, Purpose::Merge, false, true));
                    }
                }
            }
        }
        for rest in &self.view.rest {
            if let Some(owner) = rest.owner {
                plan.push(Peering::new(now, rest.arc, owner, Purpose::Offer, false, false));
            }
        }
        for peering in &mut plan {
            let of = |old: &&mut Peering| {
                old.to == peering.to && old.purpose == peering.purpose && arcs::covers(old.arc, peering.arc)
            };
            if let Some(old) = self.peerings.iter_mut().find(of) {
                peering.inherit(old);
            }
        }
        self.peerings = plan;
    }

    /// Begins the sessions whose time has come.
    pub(super) fn drive(&mut self, now: Now, out: &mut Outbox) {
        for at in 0..self.peerings.len() {
            let peering = &mut self.peerings[at];
            let stuck = |run: &Run| now.at.saturating_duration_since(run.heard) > STUCK;
            if peering.run.as_ref().is_some_and(stuck) {
                peering.run = None;
            }
            let done = peering.purpose == Purpose::Merge && peering.complete.is_some();
            if peering.run.is_none() && peering.due <= now.at && !done {
                self.begin(now, at, out);
            }
        }
    }

    fn begin(&mut self, now: Now, at: usize, out: &mut Outbox) {
        let Peering { arc, to, purpose, .. } = self.peerings[at];
        let buckets = self.digests(arc);
        if purpose == Purpose::Offer && buckets.iter().all(|bucket| bucket.count == 0) {
            return;
        }
        self.last_session = self.last_session.wrapping_add(1);
        let number = self.last_session;
        let peering = &mut self.peerings[at];
        peering.spoilt = false;
        peering.run = Some(Run {
            number,
            turn: self.drop_turn,
            heard: now.at,
            phase: Phase::Differ,
            buckets: 0,
            portions: VecDeque::new(),
        });
        out.send(
            to,
            DataMessage::Digests {
                session: self.session(number),
                arc,
                purpose,
                buckets: Box::new(buckets),
                unix_ms: self.ring_clock.ms(now),
            },
        );
    }

    fn session(&self, number: u32) -> Session {
        Session {
            shard: self.index,
            number,
        }
    }

    /// The session that this message is a next step of.
    fn run_of(&mut self, now: Instant, from: &Contact, session: Session, phase: Phase) -> Option<usize> {
        let of = |peering: &Peering| {
            let run = peering.run.as_ref();
            peering.to == *from && run.is_some_and(|run| run.number == session.number && run.phase == phase)
        };
        let at = self.peerings.iter().position(of)?;
        self.peerings[at].run.as_mut()?.heard = now;
        Some(at)
    }

    pub(super) fn on_differ(
        &mut self,
        now: Instant,
        from: &Contact,
        session: Session,
        mask: u16,
        out: &mut Outbox,
    ) {
        let Some(at) = self.run_of(now, from, session, Phase::Differ) else {
            return;
        };
        if let Some(run) = &mut self.peerings[at].run {
            run.buckets = mask;
        }
        self.repairs += u64::from(mask != 0);
        self.go_on(now, at, out);
    }

    pub(super) fn on_wants(
        &mut self,
        now: Instant,
        from: &Contact,
        session: Session,
        (swarms, records): (&[InfoHash], u32),
        out: &mut Outbox,
    ) {
        let arrived = self.take_arrived(from, session, false);
        let Some(at) = self.run_of(now, from, session, Phase::Wants) else {
            return;
        };
        if arrived != records {
            // Some of what the partner gave went with a link that has broken.
            let peering = &mut self.peerings[at];
            (peering.run, peering.due) = (None, now + RETRY);
            return;
        }
        if swarms.is_empty() {
            return self.go_on(now, at, out);
        }
        let records = self.send_swarms(now, *from, session, true, swarms, out);
        out.send(*from, DataMessage::Fence { session, records });
        if let Some(run) = &mut self.peerings[at].run {
            run.phase = Phase::Passed;
        }
    }

    pub(super) fn on_passed(&mut self, now: Instant, from: &Contact, session: Session, out: &mut Outbox) {
        if let Some(at) = self.run_of(now, from, session, Phase::Passed) {
            self.go_on(now, at, out);
        }
    }

    /// Sends the next portion, or ends the session.
    fn go_on(&mut self, now: Instant, at: usize, out: &mut Outbox) {
        let Peering { arc, to, ref run, .. } = self.peerings[at];
        let Some(run) = run else { return };
        let number = run.number;
        if run.portions.is_empty() && run.buckets != 0 {
            let bucket = run.buckets.trailing_zeros() as u8;
            let portions = self.portions(arc, bucket);
            if let Some(run) = &mut self.peerings[at].run {
                run.buckets &= run.buckets - 1;
                run.portions = portions;
            }
        }
        let portion = self.peerings[at].run.as_mut().and_then(|run| {
            run.phase = Phase::Wants;
            run.portions.pop_front()
        });
        match portion {
            Some(Portion { arc, bucket, swarms }) => out.send(
                to,
                DataMessage::Swarms {
                    session: self.session(number),
                    arc,
                    bucket,
                    swarms,
                },
            ),
            None => self.end(now, at, out),
        }
    }

    fn end(&mut self, now: Instant, at: usize, out: &mut Outbox) {
        let due = now + ROUND_EVERY.mul_f64(0.9 + 0.2 * self.rng.f64());
        let leaving = self.view.leaving;
        let peering = &mut self.peerings[at];
        peering.due = due;
        if peering.purpose == Purpose::Offer {
            let (arc, to) = (peering.arc, peering.to);
            if let Some(run) = &mut peering.run {
                run.phase = Phase::Drop;
                let session = Session {
                    shard: self.index,
                    number: run.number,
                };
                out.send(
                    to,
                    DataMessage::MayDrop {
                        session,
                        arc,
                        leaving,
                    },
                );
            }
            return;
        }
        peering.complete = peering.run.take().map(|run| run.turn);
        peering.gone = false;
        if !self.drops.is_empty() && peering.complete < Some(self.drop_turn) {
            peering.due = now;
        }
        self.settle_drops(out);
        self.tell_progress(now, out);
    }

    /// All swarms of an arc in one bucket, in portions that tile the arc, so that the partner sees also what is
    /// missing here. There is always one.
    fn portions(&self, arc: Interval, bucket: u8) -> VecDeque<Portion> {
        let mut swarms: Vec<_> = self.swarms(arc, bucket).collect();
        swarms.sort_unstable_by_key(|&(info_hash, _)| {
            let key = RingId::from(info_hash);
            // Of a whole circle the point where it begins is also where it ends.
            (key == arc.after, clockwise(arc.after, key))
        });
        let mut portions = VecDeque::new();
        let mut after = arc.after;
        let mut portion = Vec::new();
        let mut peers = 0;
        for (info_hash, digest) in swarms {
            let counts = self.store.counts(&info_hash);
            peers += counts.seeds as usize + counts.leechers as usize;
            portion.push((info_hash, digest));
            let upto = RingId::from(info_hash);
            if (portion.len() == MAX_SWARMS || peers >= PORTION_PEERS) && upto != arc.upto {
                portions.push_back(Portion {
                    arc: Interval::new(after, upto),
                    bucket,
                    swarms: std::mem::take(&mut portion),
                });
                (after, peers) = (upto, 0);
            }
        }
        portions.push_back(Portion {
            arc: Interval::new(after, arc.upto),
            bucket,
            swarms: portion,
        });
        portions
    }

    pub(super) fn on_drop(&mut self, now: Instant, from: &Contact, session: Session, out: &mut Outbox) {
        let Some(at) = self.run_of(now, from, session, Phase::Drop) else {
            return;
        };
        let peering = &mut self.peerings[at];
        peering.run = None;
        if peering.spoilt {
            peering.due = now;
        } else {
            let arc = peering.arc;
            self.store.remove_range(arc);
        }
        self.tell_progress(now, out);
    }

    pub(super) fn on_not_here(
        &mut self,
        now: Instant,
        from: &Contact,
        session: Session,
        mine: Option<Interval>,
        hint: Option<Contact>,
        out: &mut Outbox,
    ) {
        let of = [Phase::Differ, Phase::Drop].into_iter();
        let Some(at) = of
            .filter_map(|phase| self.run_of(now, from, session, phase))
            .next()
        else {
            return;
        };
        let peering = &mut self.peerings[at];
        peering.run = None;
        peering.due = now + RETRY;
        out.reports.push(Report::NotHere {
            from: *from,
            after: peering.arc.after,
            mine,
            hint,
        });
    }

    /// Something has come for this key: an offer that is under way does not bring it.
    pub(super) fn spoil_offers(&mut self, key: RingId) {
        for peering in &mut self.peerings {
            peering.spoilt |= peering.purpose == Purpose::Offer && peering.arc.contains(key);
        }
    }

    /// Somebody wants an arc kept here: what an owner has allowed before does not count any more.
    pub(super) fn spoil_offers_on(&mut self, arc: Interval) {
        for peering in &mut self.peerings {
            peering.spoilt |= peering.purpose == Purpose::Offer && arcs::overlap(peering.arc, arc);
        }
    }

    pub(super) fn peerings_lost(&mut self, now: Instant, contact: &Contact) {
        for peering in self.peerings.iter_mut().filter(|peering| peering.to == *contact) {
            peering.run = None;
            peering.complete = None;
            peering.gone = true;
            peering.due = now + RETRY;
        }
    }

    /// Has sessions with the copies of an arc begin at once.
    pub(super) fn hurry(&mut self, now: Instant, arc: Interval) {
        for peering in &mut self.peerings {
            if peering.purpose == Purpose::Claim && arcs::overlap(peering.arc, arc) {
                peering.due = now;
            }
        }
    }

    /// Serves the segments for which everybody has been heard who can be.
    pub(super) fn note_merged(&mut self, now: Instant) {
        for (segment, (_, serves)) in self.view.own.iter().zip(&mut self.segments) {
            *serves = *serves
                || segment.ask.iter().all(|asked| {
                    let mut of = self.peerings.iter();
                    of.any(|peering| {
                        peering.to == *asked && peering.arc == segment.arc && peering.settled(now)
                    })
                });
        }
    }

    /// The turn in which the last session of the owner with a copy began that has ended, for a segment.
    pub(super) fn complete_since(&self, arc: Interval, copy: &Contact) -> Option<u64> {
        let of = |peering: &&Peering| {
            peering.purpose == Purpose::Claim && peering.written && peering.to == *copy && peering.arc == arc
        };
        self.peerings.iter().find(of)?.complete
    }

    pub(super) fn complete_claims(&self) -> Vec<(Contact, Interval)> {
        let claims = self
            .peerings
            .iter()
            .filter(|peering| peering.purpose == Purpose::Claim);
        claims
            .filter(|peering| peering.complete.is_some())
            .map(|peering| (peering.to, peering.arc))
            .collect()
    }
}

const _: () = assert!(
    BUCKETS_A_SHARD == u16::BITS as usize,
    "a mask of buckets has a bit for each"
);
