//! Announces that are kept here and wait until their copies have said so. Layer 2.

use std::collections::VecDeque;
use std::time::Instant;

use super::SILENCE;
use crate::id::InfoHash;
use crate::ring::contact::Contact;
use crate::ring::data::{DataMessage, Run};
use crate::ring::replica::outbox::{Origin, Outbox};
use crate::tracker::swarm::{Downloads, PeerAnnounce, Record};

/// Targets at one time: two copies, an heir, and room for those of the view before.
const SLOTS: usize = 8;

/// An announce.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) record: Record,
    pub(super) downloads: Option<Downloads>,
    pub(super) origin: Origin,
    pub(super) announce: PeerAnnounce,
}

impl Pending {
    fn store(&self, op: u64) -> DataMessage {
        DataMessage::Store {
            op,
            record: self.record,
            downloads: self.downloads,
        }
    }
}

/// An announce and whom it waits for.
#[derive(Debug)]
struct Waiting {
    pending: Pending,
    /// Bits of the slots of all its targets.
    targets: u8,
    /// Bits of those that have not answered.
    open: u8,
}

/// A target.
#[derive(Debug)]
struct Slot {
    contact: Contact,
    /// What waits for it.
    open: usize,
    /// Since when it has been silent, if anything waits for it.
    since: Instant,
    /// What waits for it must be sent again: the link has broken.
    again: bool,
}

/// Operations have numbers that rise by one; the numbers of those that wait are near each other, so they stand in
/// a queue, with gaps, at their number minus that of the first.
#[derive(Debug)]
pub(super) struct Writes {
    slots: [Option<Slot>; SLOTS],
    queue: VecDeque<Option<Waiting>>,
    first: u64,
    waiting: usize,
    last_again: Instant,
}

impl Writes {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            slots: [const { None }; SLOTS],
            queue: VecDeque::new(),
            first: 1,
            waiting: 0,
            last_again: now,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// The bits of these targets, with room made for new ones. There is always room: [`Self::keep_slots`] leaves only
    /// the few slots that the current view names.
    pub(super) fn mask(&mut self, now: Instant, targets: impl Iterator<Item = Contact>) -> u8 {
        targets.fold(0, |mask, contact| {
            let of = |slot: &Option<Slot>| slot.as_ref().is_some_and(|slot| slot.contact == contact);
            let known = self.slots.iter().position(of);
            let Some(at) = known.or_else(|| self.slots.iter().position(Option::is_none)) else {
                debug_assert!(false, "there are no more targets than slots");
                return mask;
            };
            self.slots[at].get_or_insert(Slot {
                contact,
                open: 0,
                since: now,
                again: false,
            });
            mask | 1 << at
        })
    }

    /// Sends an announce to its targets.
    pub(super) fn push(&mut self, now: Instant, pending: Pending, targets: u8, out: &mut Outbox) {
        let op = self.first + self.queue.len() as u64;
        send(&mut self.slots, now, targets, &pending, op, out);
        self.waiting += 1;
        self.queue.push_back(Some(Waiting {
            pending,
            targets,
            open: targets,
        }));
    }

    /// A target keeps these. Returns what waited for it only.
    pub(super) fn stored(&mut self, now: Instant, from: &Contact, runs: &[Run]) -> Vec<Pending> {
        let slots = self.slots.iter_mut().enumerate();
        let mut of = slots.filter_map(|(at, slot)| Some((at, slot.as_mut()?)));
        let Some((at, slot)) = of.find(|(_, slot)| slot.contact == *from) else {
            return Vec::new();
        };
        let most: usize = runs.iter().map(|run| usize::from(run.len)).sum();
        let mut safe = Vec::with_capacity(most.min(self.waiting));
        for run in runs {
            let len = self.queue.len() as u64;
            let start = run.first.saturating_sub(self.first).min(len);
            let end = run
                .first
                .saturating_add(run.len.into())
                .saturating_sub(self.first)
                .min(len);
            for entry in self.queue.range_mut(start as usize..end as usize) {
                let Some(waiting) = entry else { continue };
                if waiting.open & 1 << at != 0 {
                    waiting.open &= !(1 << at);
                    slot.open -= 1;
                    slot.since = now;
                    safe.extend(
                        entry
                            .take_if(|waiting| waiting.open == 0)
                            .map(|waiting| waiting.pending),
                    );
                }
            }
        }
        self.waiting -= safe.len();
        self.trim();
        safe
    }

    /// Obeys new targets, by info-hash; `None` where this node has no say any more. New ones are sent what waits, old
    /// ones are not waited for. Returns what is safe with that, and what is lost to another owner.
    pub(super) fn retarget(
        &mut self,
        now: Instant,
        targets: impl Fn(&InfoHash) -> Option<u8>,
        out: &mut Outbox,
    ) -> (Vec<Pending>, Vec<Pending>) {
        let (mut safe, mut lost) = (Vec::new(), Vec::new());
        for slot in self.slots.iter_mut().flatten() {
            slot.open = 0;
        }
        for (op, entry) in (self.first..).zip(&mut self.queue) {
            let Some(waiting) = entry else { continue };
            let Some(targets) = targets(&waiting.pending.record.info_hash) else {
                lost.extend(entry.take().map(|waiting| waiting.pending));
                continue;
            };
            let new = targets & !waiting.targets;
            let old = waiting.open & targets;
            (waiting.targets, waiting.open) = (targets, new | old);
            for (_, slot) in bits(&mut self.slots, old) {
                slot.open += 1;
            }
            send(&mut self.slots, now, new, &waiting.pending, op, out);
            safe.extend(
                entry
                    .take_if(|waiting| waiting.open == 0)
                    .map(|waiting| waiting.pending),
            );
        }
        self.waiting -= safe.len() + lost.len();
        self.trim();
        (safe, lost)
    }

    /// Forgets the slots whose bits are not set: no target of the current view.
    pub(super) fn keep_slots(&mut self, masks: u8) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if masks & 1 << at == 0 {
                *slot = None;
            }
        }
    }

    /// What waits for a node must be sent again.
    pub(super) fn on_lost(&mut self, contact: &Contact) {
        for slot in self.slots.iter_mut().flatten() {
            slot.again |= slot.contact == *contact;
        }
    }

    /// Nobody has been silent: it was this process that did not listen.
    pub(super) fn excuse(&mut self, now: Instant) {
        for slot in self.slots.iter_mut().flatten() {
            slot.since = now;
        }
    }

    /// Sends again what must be, and returns who has been silent for too long.
    pub(super) fn on_tick(&mut self, now: Instant, out: &mut Outbox) -> Vec<Contact> {
        if now.saturating_duration_since(self.last_again) >= SILENCE {
            self.last_again = now;
            self.send_again(out);
        }
        let mut silent = Vec::new();
        for slot in self.slots.iter_mut().flatten() {
            if slot.open > 0 && now.saturating_duration_since(slot.since) >= SILENCE {
                slot.since = now;
                silent.push(slot.contact);
            }
        }
        silent
    }

    fn send_again(&mut self, out: &mut Outbox) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let Some(slot) = slot.as_mut().filter(|slot| slot.again) else {
                continue;
            };
            slot.again = false;
            for (op, entry) in (self.first..).zip(&self.queue) {
                if let Some(waiting) = entry.as_ref().filter(|waiting| waiting.open & 1 << at != 0) {
                    out.send(slot.contact, waiting.pending.store(op));
                }
            }
        }
    }

    fn trim(&mut self) {
        while matches!(self.queue.front(), Some(None)) {
            self.queue.pop_front();
            self.first += 1;
        }
    }
}

fn send(
    slots: &mut [Option<Slot>; SLOTS],
    now: Instant,
    targets: u8,
    pending: &Pending,
    op: u64,
    out: &mut Outbox,
) {
    for (_, slot) in bits(slots, targets) {
        if slot.open == 0 {
            slot.since = now;
        }
        slot.open += 1;
        out.send(slot.contact, pending.store(op));
    }
}

/// The slots whose bits are set.
fn bits(slots: &mut [Option<Slot>; SLOTS], mask: u8) -> impl Iterator<Item = (usize, &mut Slot)> {
    let slots = slots.iter_mut().enumerate();
    slots.filter_map(move |(at, slot)| Some((at, slot.as_mut().filter(|_| mask & 1 << at != 0)?)))
}
