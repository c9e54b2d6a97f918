//! One shard of a node's store, with what it takes to keep it on three nodes. Layer 2.
//!
//! | file | what |
//! |---|---|
//! | `writes` | announces that wait for their copies |
//! | `driver` | sessions that this node drives |
//! | `partner` | the other side of sessions |
//! | `drops` | nodes that wait to hear that they may drop something |
//!
//! # What stays true
//!
//! - An announce is answered when every target of its segment has said that the entry is kept, and not before. A
//!   target that goes is taken from those waited for only together with the view that names who takes its place.
//! - Entries leave the store by expiry, by [`DataMessage::Forget`], and by [`DataMessage::Drop`] for an arc that this
//!   node neither owns nor keeps for anybody, and into which nothing has come since it was brought to its owner.
//! - A session is *complete* when the partner has passed the last fence. A link that breaks, and a partner that was
//!   not written to, take that back.
//! - A view never gives way to an earlier one.

mod driver;
mod drops;
mod partner;
mod writes;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::driver::Peering;
use self::drops::DropRequest;
use self::partner::Arrived;
use self::writes::{Pending, Writes};
use super::arcs;
use super::clock::RingClock;
use super::outbox::{Now, Origin, Outbox, Progress, Reply, Report};
use super::view::CustodyView;
use crate::id::{InfoHash, RingId};
use crate::ring::contact::Contact;
use crate::ring::data::{Answer, BUCKETS_A_SHARD, DataMessage, MAX_PEERS, Refusal};
use crate::ring::interval::Interval;
use crate::tracker::swarm::{
    Announced, BucketDigest, Downloads, Held, HybridClock, PeerAnnounce, RangeCounts, Record, Seconds,
    Settings, Shard, Stats,
};

/// How long a copy may be silent while something waits for it.
pub const SILENCE: Duration = Duration::from_millis(100);
/// [`Keeper::on_tick`] must be called as often as this.
pub const TICK: Duration = Duration::from_millis(50);
/// From one session of an owner with a copy to the next.
pub const ROUND_EVERY: Duration = Duration::from_secs(2);
/// How long somebody who takes over waits for those whom it asks.
pub const MERGE_WITHIN: Duration = Duration::from_secs(1);
/// A tick that comes so late means that this process did not listen: nobody else was silent.
const LATE: Duration = Duration::from_millis(200);
/// After a process was stopped, for so long at least it takes nothing as said now: threads have to read what waits in
/// their sockets.
const STALE_FOR: Duration = Duration::from_millis(200);
/// In so many ticks all entries are looked at once, to see whether their time is over.
const SWEEP_TICKS: usize = 600;

/// One shard.
#[derive(Debug)]
pub struct Keeper {
    index: u8,
    started: Instant,
    store: Shard,
    clock: HybridClock,
    ring_clock: RingClock,
    rng: fastrand::Rng,
    view: Arc<CustodyView>,
    ranges: Vec<Held>,
    /// Of each own segment: the targets, and whether this shard may serve it.
    segments: Vec<(u8, bool)>,
    writes: Writes,
    peerings: Vec<Peering>,
    last_session: u32,
    arrived: Vec<Arrived>,
    drops: Vec<DropRequest>,
    drop_turn: u64,
    told: Progress,
    /// Sessions that this node drove in which something was missing on either side.
    repairs: u64,
    last_tick: Instant,
    /// This process was stopped, and the custody does not know yet.
    asleep: bool,
    stale_until: Instant,
    peers: Vec<std::net::SocketAddr>,
}

impl Keeper {
    /// An empty shard of the node `me`. `started` is when the process began: seconds of the store count from then.
    pub fn new(me: Contact, index: u8, started: Instant, settings: Settings, seed: u64) -> Self {
        Self {
            index,
            started,
            store: Shard::new(settings),
            clock: HybridClock::default(),
            ring_clock: RingClock::default(),
            rng: fastrand::Rng::with_seed(seed),
            view: Arc::new(CustodyView::nothing(me)),
            ranges: Vec::new(),
            segments: Vec::new(),
            writes: Writes::new(started),
            peerings: Vec::new(),
            last_session: 0,
            arrived: Vec::new(),
            drops: Vec::new(),
            drop_turn: 0,
            told: Progress::default(),
            repairs: 0,
            last_tick: started,
            asleep: false,
            stale_until: started,
            peers: Vec::new(),
        }
    }

    /// Figures of the store.
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }

    /// Swarms and peers over which this node has the say.
    pub fn owned(&self) -> RangeCounts {
        // Own ranges stand first.
        (0..self.view.own.len()).fold(RangeCounts::default(), |mut sum, range| {
            sum += self.store.range_counts(range);
            sum
        })
    }

    /// How often this node found, in comparing with another, that something was missing on either side.
    pub fn repairs(&self) -> u64 {
        self.repairs
    }

    /// The store, to look at.
    pub fn store(&self) -> &Shard {
        &self.store
    }

    /// Announces that wait for copies.
    pub fn waiting(&self) -> usize {
        self.writes.len()
    }

    /// Whether an announce for `key` is answered here at once, with no other node to hear of it.
    pub fn answers_alone(&self, key: RingId) -> bool {
        self.view
            .segment_of(key)
            .is_some_and(|at| self.segments[at] == (0, true))
    }

    /// Obeys a new view of the custody. An earlier one than that obeyed now does nothing.
    pub fn set_view(&mut self, now: Now, view: Arc<CustodyView>, out: &mut Outbox) {
        if view.epoch <= self.view.epoch {
            return;
        }
        // A view in which something may be served at once was made before the custody knew.
        self.asleep &= view.own.iter().any(|segment| !segment.merging);
        self.view = view;
        let view = Arc::clone(&self.view);
        let owned = view.own.iter().map(|segment| (segment.arc, !segment.merging));
        let held = view.held.iter().map(|&arc| (arc, false));
        let rest = view.rest.iter().map(|rest| (rest.arc, false));
        let ranges: Vec<Held> = owned
            .chain(held)
            .chain(rest)
            .map(|(arc, owned)| Held { arc, owned })
            .collect();
        if ranges != self.ranges {
            self.store.set_ranges(&ranges);
            self.ranges = ranges;
        }
        self.plan_peerings(now.at);
        self.segments = view
            .own
            .iter()
            .map(|segment| (self.writes.mask(now.at, segment.targets()), !segment.merging))
            .collect();
        let segments = &self.segments;
        let targets = |hash: &InfoHash| view.segment_of((*hash).into()).map(|at| segments[at].0);
        let (safe, lost) = self.writes.retarget(now.at, targets, out);
        self.writes
            .keep_slots(self.segments.iter().fold(0, |all, (targets, _)| all | targets));
        self.answer(now, &safe, out);
        for pending in lost {
            self.refuse(pending.origin, &pending.announce.info_hash, out);
        }
        self.settle_drops(out);
        self.tell_progress(now.at, out);
    }

    /// An announce, of this node's own clients or through another node. The answer comes when it is safe: at once
    /// if there are no copies.
    pub fn announce(&mut self, now: Now, origin: Origin, announce: &PeerAnnounce, out: &mut Outbox) {
        let Some(at) = self.view.segment_of(announce.info_hash.into()) else {
            return self.refuse(origin, &announce.info_hash, out);
        };
        let (targets, serves) = self.segments[at];
        if !serves || self.is_stale(now.at) {
            return out.reply(origin, Reply::Refused(Refusal::NotYet));
        }
        // All owners stamp by one time of day, so an entry that was made here and a later one that is made by another
        // node are in order, however far the clocks of the two are apart.
        let version = self.clock.stamp(self.ring_clock.ms(now));
        let Announced { record, downloads } =
            match self.store.announce(self.seconds(now.at), version, announce) {
                Ok(announced) => announced,
                Err(full) => return out.reply(origin, Reply::Refused(Refusal::Full(full))),
            };
        let pending = Pending {
            record,
            downloads,
            origin,
            announce: *announce,
        };
        if targets == 0 {
            self.answer(now, &[pending], out);
        } else {
            self.writes.push(now.at, pending, targets, out);
        }
    }

    /// The figures of a swarm. With `from_copy` they are given also by a node that only keeps a copy.
    pub fn scrape(
        &mut self,
        now: Now,
        origin: Origin,
        info_hash: &InfoHash,
        from_copy: bool,
        out: &mut Outbox,
    ) {
        let key = (*info_hash).into();
        match self.view.segment_of(key) {
            Some(at) if !from_copy && (self.is_stale(now.at) || !self.segments[at].1) => {
                out.reply(origin, Reply::Refused(Refusal::NotYet));
            }
            None if !(from_copy && self.view.holds(key)) => self.refuse(origin, info_hash, out),
            _ => out.reply(origin, Reply::Scraped(self.store.counts(info_hash))),
        }
    }

    /// A message of another node for this shard.
    pub fn on_message(&mut self, now: Now, from: &Contact, message: DataMessage, out: &mut Outbox) {
        match message {
            DataMessage::Announce {
                request,
                until_ms,
                announce,
            } => {
                let contact = *from;
                let origin = Origin::Node { contact, request };
                let unix_ms = self.ring_clock.ms(now);
                let is_mine = self.view.segment_of(announce.info_hash.into()).is_some();
                if is_mine && unix_ms > until_ms {
                    out.reply(origin, Reply::Refused(Refusal::TooLate { unix_ms }));
                } else {
                    self.announce(now, origin, &announce, out);
                }
            }
            DataMessage::Scrape {
                request,
                info_hash,
                from_copy,
            } => {
                let contact = *from;
                self.scrape(now, Origin::Node { contact, request }, &info_hash, from_copy, out);
            }
            DataMessage::Store {
                op,
                record,
                downloads,
            } => {
                self.keep(now.at, &record, downloads.as_ref());
                out.stored(*from, self.index, op);
            }
            DataMessage::Stored { runs, .. } => {
                let safe = self.writes.stored(now.at, from, &runs);
                self.answer(now, &safe, out);
            }
            DataMessage::Forget(forgotten) => {
                self.store.forget(&forgotten);
            }
            of_session => self.on_session(now, from, of_session, out),
        }
    }

    fn on_session(&mut self, now: Now, from: &Contact, message: DataMessage, out: &mut Outbox) {
        match message {
            DataMessage::Digests {
                session,
                arc,
                purpose,
                buckets,
                unix_ms,
            } => {
                self.ring_clock.follow(now, unix_ms);
                self.on_digests(now, from, (session, arc, purpose), &buckets, out);
            }
            DataMessage::Differ {
                session,
                mask,
                unix_ms,
            } => {
                self.ring_clock.follow(now, unix_ms);
                self.on_differ(now.at, from, session, mask, out);
            }
            DataMessage::Swarms {
                session,
                arc,
                bucket,
                swarms,
            } => self.on_swarms(now.at, from, session, (arc, bucket), &swarms, out),
            DataMessage::Records {
                session,
                from_driver,
                entries,
            } => self.on_records(now.at, from, session, from_driver, &entries),
            DataMessage::Wants {
                session,
                swarms,
                records,
            } => self.on_wants(now.at, from, session, (&swarms, records), out),
            DataMessage::Fence { session, records } => self.on_fence(from, session, records, out),
            DataMessage::Passed { session } => self.on_passed(now.at, from, session, out),
            DataMessage::MayDrop {
                session,
                arc,
                leaving,
            } => self.on_may_drop(now.at, from, session, arc, leaving, out),
            DataMessage::Drop { session } => self.on_drop(now.at, from, session, out),
            DataMessage::NotHere { session, mine, hint } => {
                self.on_not_here(now.at, from, session, mine, hint, out);
            }
            // For the router, the custody, or dealt with before.
            _ => {}
        }
    }

    /// The link to a node has broken: what was under way on it may be lost. There may be another link already.
    pub fn on_lost(&mut self, now: Now, contact: &Contact, out: &mut Outbox) {
        self.writes.on_lost(contact);
        self.peerings_lost(now.at, contact);
        self.drops.retain(|request| request.from != *contact);
        self.tell_progress(now.at, out);
    }

    /// Time has passed.
    pub fn on_tick(&mut self, now: Now, out: &mut Outbox) {
        if now.at.saturating_duration_since(self.last_tick) > LATE {
            self.writes.excuse(now.at);
        }
        if self.overslept(now.at) {
            self.asleep = true;
            self.stale_until = now.at + STALE_FOR;
            out.reports.push(Report::Overslept);
        }
        self.last_tick = now.at;
        for contact in self.writes.on_tick(now.at, out) {
            out.reports.push(Report::Silent(contact));
        }
        self.expire(now.at, out);
        self.drive(now, out);
        self.tell_progress(now.at, out);
    }

    fn expire(&mut self, now: Instant, out: &mut Outbox) {
        let stats = self.store.stats();
        let entries = stats.leechers + stats.seeds + stats.tombstones;
        let view = &self.view;
        self.store.expire(
            Seconds((now - self.started).as_secs() as u32),
            entries / SWEEP_TICKS + 16,
            |forgotten| {
                let Some(at) = view.segment_of(forgotten.info_hash.into()) else {
                    return;
                };
                for target in view.own[at].targets() {
                    out.send(target, DataMessage::Forget(forgotten));
                }
            },
        );
    }

    /// Takes in an entry of another node.
    fn keep(&mut self, now: Instant, record: &Record, downloads: Option<&Downloads>) {
        self.clock.saw(record.version);
        let mut news = self.store.apply(self.seconds(now), record);
        if let Some(downloads) = downloads {
            news |= self.store.apply_downloads(downloads);
        }
        if news {
            self.spoil_offers(record.info_hash.into());
        }
    }

    fn answer(&mut self, now: Now, safe: &[Pending], out: &mut Outbox) {
        let seconds = self.seconds(now.at);
        for pending in safe {
            self.peers.clear();
            let announce = PeerAnnounce {
                limit: pending.announce.limit.min(MAX_PEERS),
                ..pending.announce
            };
            let counts = self
                .store
                .choose(seconds, &announce, &mut self.rng, &mut self.peers);
            let answer = Answer {
                counts,
                peers: self.peers.clone(),
            };
            out.reply(pending.origin, Reply::Announced(answer));
        }
    }

    fn refuse(&self, origin: Origin, info_hash: &InfoHash, out: &mut Outbox) {
        let hint = self.view.hint((*info_hash).into());
        out.reply(origin, Reply::Refused(Refusal::NotMine { hint }));
    }

    /// Whether something that is read now may have been said long ago, and said again elsewhere since.
    fn is_stale(&self, now: Instant) -> bool {
        self.asleep || now < self.stale_until || self.overslept(now)
    }

    /// Whether this process was stopped for so long that others may have taken its place.
    fn overslept(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_tick) > super::custody::STOPPED
    }

    fn seconds(&self, now: Instant) -> Seconds {
        Seconds(now.saturating_duration_since(self.started).as_secs() as u32)
    }

    /// Whether this shard serves all of an arc.
    fn serves(&self, arc: Interval) -> bool {
        !self.asleep
            && self.view.mine().is_some_and(|mine| arcs::covers(mine, arc))
            && self
                .view
                .own
                .iter()
                .zip(&self.segments)
                .all(|(segment, (_, serves))| *serves || !arcs::overlap(segment.arc, arc))
    }

    /// The fingerprints of all that is held of an arc.
    fn digests(&self, arc: Interval) -> [BucketDigest; BUCKETS_A_SHARD] {
        let mut digests = [BucketDigest::default(); BUCKETS_A_SHARD];
        for (index, range) in self.ranges.iter().enumerate() {
            if !arcs::overlap(range.arc, arc) {
                continue;
            }
            let whole = arcs::covers(arc, range.arc);
            for (bucket, digest) in (0..).zip(&mut digests) {
                if whole {
                    let part = self.store.digest(index, self.bucket(bucket));
                    digest.count = digest.count.wrapping_add(part.count);
                    digest.xor ^= part.xor;
                    continue;
                }
                // Only until the next view has a range for the arc.
                for (info_hash, xor) in self.store.swarm_digests(index, self.bucket(bucket)) {
                    if arc.contains(info_hash.into()) {
                        let records = self.store.records(Seconds(0), &info_hash).count();
                        let count = records + self.store.downloads(&info_hash).count();
                        digest.count = digest.count.wrapping_add(count as u32);
                        digest.xor ^= xor;
                    }
                }
            }
        }
        digests
    }

    /// The fingerprints of the swarms on an arc, in one bucket of this shard.
    fn swarms(&self, arc: Interval, bucket: u8) -> impl Iterator<Item = (InfoHash, u64)> + '_ {
        let ranges = self
            .ranges
            .iter()
            .enumerate()
            .filter(move |(_, range)| arcs::overlap(range.arc, arc));
        ranges
            .flat_map(move |(index, _)| self.store.swarm_digests(index, self.bucket(bucket)))
            .filter(move |&(info_hash, _)| arc.contains(info_hash.into()))
    }

    /// The number of a bucket of this shard among those of all.
    fn bucket(&self, bucket: u8) -> u8 {
        self.index << 4 | bucket & 0x0f
    }

    fn tell_progress(&mut self, now: Instant, out: &mut Outbox) {
        self.note_merged(now);
        let strays = self.view.rest.iter().map(|rest| rest.arc);
        let strays = strays.filter(|&arc| self.digests(arc).iter().any(|digest| digest.count > 0));
        let progress = Progress {
            shard: usize::from(self.index),
            epoch: self.view.epoch,
            complete: self.complete_claims(),
            merged: self
                .view
                .own
                .iter()
                .zip(&self.segments)
                .filter(|(segment, (_, serves))| segment.merging && *serves)
                .map(|(segment, _)| segment.arc)
                .collect(),
            strays: strays.collect(),
        };
        if progress != self.told {
            out.reports.push(Report::Progress(progress.clone()));
            self.told = progress;
        }
    }
}
