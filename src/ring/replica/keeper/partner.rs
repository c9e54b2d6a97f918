//! The partner's side of a session. All it keeps between two messages is how many have come. Layer 2.

use std::collections::HashMap;
use std::time::Instant;

use super::Keeper;
use crate::id::InfoHash;
use crate::ring::contact::Contact;
use crate::ring::data::{BUCKETS_A_SHARD, DataMessage, Entries, MAX_RECORDS, MAX_SWARMS, Purpose, Session};
use crate::ring::interval::Interval;
use crate::ring::replica::outbox::{Now, Outbox, Report};
use crate::tracker::swarm::BucketDigest;

/// Sessions in whose middle something has come; more are never under way with well-behaved nodes.
const MAX_ARRIVED: usize = 256;

/// Messages with entries that have come in a session since the last fence, or since the last portion. One that is
/// lost must not pass for one that was never sent: a link may break and be there again before anybody here hears of
/// it.
#[derive(Debug)]
pub(super) struct Arrived {
    from: Contact,
    number: u32,
    /// Both sides number their own sessions.
    from_driver: bool,
    records: u32,
}

impl Arrived {
    fn is_of(&self, from: &Contact, session: Session, from_driver: bool) -> bool {
        self.from == *from && self.number == session.number && self.from_driver == from_driver
    }
}

impl Keeper {
    pub(super) fn on_digests(
        &mut self,
        now: Now,
        from: &Contact,
        (session, arc, purpose): (Session, Interval, Purpose),
        theirs: &[BucketDigest; BUCKETS_A_SHARD],
        out: &mut Outbox,
    ) {
        match purpose {
            Purpose::Claim => {
                self.spoil_offers_on(arc);
                out.reports.push(Report::Claimed { owner: *from, arc });
            }
            Purpose::Merge => {}
            Purpose::Offer if self.serves(arc) => {}
            Purpose::Offer => return self.not_here(from, session, arc, out),
        }
        let ours = self.digests(arc);
        let differs = |bucket: &usize| ours[*bucket] != theirs[*bucket];
        let mask = (0..BUCKETS_A_SHARD)
            .filter(differs)
            .fold(0, |mask, bucket| mask | 1 << bucket);
        let unix_ms = self.ring_clock.ms(now);
        out.send(
            *from,
            DataMessage::Differ {
                session,
                mask,
                unix_ms,
            },
        );
    }

    pub(super) fn not_here(&self, from: &Contact, session: Session, arc: Interval, out: &mut Outbox) {
        let message = DataMessage::NotHere {
            session,
            mine: self.view.mine().filter(|mine| self.serves(*mine)),
            hint: self.view.hint_behind(arc.after),
        };
        out.send(*from, message);
    }

    pub(super) fn on_swarms(
        &mut self,
        now: Instant,
        from: &Contact,
        session: Session,
        (arc, bucket): (Interval, u8),
        theirs: &[(InfoHash, u64)],
        out: &mut Outbox,
    ) {
        let mut theirs: HashMap<InfoHash, u64> = theirs.iter().copied().collect();
        let mut give = Vec::new();
        let mut wants = Vec::new();
        for (info_hash, ours) in self.swarms(arc, bucket) {
            match theirs.remove(&info_hash) {
                Some(theirs) if theirs == ours => {}
                Some(_) => {
                    give.push(info_hash);
                    wants.push(info_hash);
                }
                None => give.push(info_hash),
            }
        }
        wants.extend(
            theirs
                .into_keys()
                .filter(|&info_hash| arc.contains(info_hash.into())),
        );
        wants.sort_unstable();
        let records = self.send_swarms(now, *from, session, false, &give, out);
        debug_assert!(
            wants.len() <= MAX_SWARMS,
            "what is wanted was named by the driver"
        );
        out.send(
            *from,
            DataMessage::Wants {
                session,
                swarms: wants,
                records,
            },
        );
    }

    /// Takes in what the other side of a session gives.
    pub(super) fn on_records(
        &mut self,
        now: Instant,
        from: &Contact,
        session: Session,
        from_driver: bool,
        entries: &Entries,
    ) {
        for record in &entries.records {
            self.keep(now, record, None);
        }
        for downloads in &entries.downloads {
            self.store.apply_downloads(downloads);
        }
        let of = |arrived: &&mut Arrived| arrived.is_of(from, session, from_driver);
        if let Some(arrived) = self.arrived.iter_mut().find(of) {
            arrived.records += 1;
            return;
        }
        if self.arrived.len() >= MAX_ARRIVED {
            self.arrived.remove(0);
        }
        self.arrived.push(Arrived {
            from: *from,
            number: session.number,
            from_driver,
            records: 1,
        });
    }

    /// How many messages with entries have come since this was asked last.
    pub(super) fn take_arrived(&mut self, from: &Contact, session: Session, from_driver: bool) -> u32 {
        let at = self
            .arrived
            .iter()
            .position(|arrived| arrived.is_of(from, session, from_driver));
        at.map_or(0, |at| self.arrived.swap_remove(at).records)
    }

    /// A fence is passed if all before it has come.
    pub(super) fn on_fence(&mut self, from: &Contact, session: Session, records: u32, out: &mut Outbox) {
        if self.take_arrived(from, session, true) == records {
            out.send(*from, DataMessage::Passed { session });
        }
    }

    /// Sends all that is here of some swarms, in as many messages as it takes, and says how many these are.
    pub(super) fn send_swarms(
        &self,
        now: Instant,
        to: Contact,
        session: Session,
        from_driver: bool,
        swarms: &[InfoHash],
        out: &mut Outbox,
    ) -> u32 {
        let mut entries = Entries::default();
        let mut messages = 0;
        let mut send = |entries: &mut Entries, at_least: usize| {
            if entries.len() >= at_least {
                messages += 1;
                let message = DataMessage::Records {
                    session,
                    from_driver,
                    entries: std::mem::take(entries),
                };
                out.send(to, message);
            }
        };
        for info_hash in swarms {
            for record in self.store.records(self.seconds(now), info_hash) {
                entries.records.push(record);
                send(&mut entries, MAX_RECORDS);
            }
            for downloads in self.store.downloads(info_hash) {
                entries.downloads.push(downloads);
                send(&mut entries, MAX_RECORDS);
            }
        }
        send(&mut entries, 1);
        messages
    }
}
