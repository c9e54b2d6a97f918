//! The partner's side of a session. It keeps nothing between two messages. Layer 2.

use std::collections::HashMap;
use std::time::Instant;

use super::Keeper;
use crate::id::InfoHash;
use crate::ring::contact::Contact;
use crate::ring::data::{BUCKETS_A_SHARD, DataMessage, Entries, MAX_RECORDS, MAX_SWARMS, Purpose, Session};
use crate::ring::interval::Interval;
use crate::ring::replica::outbox::{Now, Outbox, Report};
use crate::tracker::swarm::BucketDigest;

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
        let unix_ms = self.ring_ms(now);
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
        self.send_swarms(now, *from, session, &give, out);
        debug_assert!(
            wants.len() <= MAX_SWARMS,
            "what is wanted was named by the driver"
        );
        out.send(
            *from,
            DataMessage::Wants {
                session,
                swarms: wants,
            },
        );
    }

    /// Sends all that is here of some swarms, in as many messages as it takes.
    pub(super) fn send_swarms(
        &self,
        now: Instant,
        to: Contact,
        session: Session,
        swarms: &[InfoHash],
        out: &mut Outbox,
    ) {
        let mut entries = Entries::default();
        let mut send = |entries: &mut Entries, at_least: usize| {
            if entries.len() >= at_least {
                let entries = std::mem::take(entries);
                out.send(to, DataMessage::Records { session, entries });
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
    }
}
