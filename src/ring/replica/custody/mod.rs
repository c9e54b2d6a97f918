//! Who has the say over which arc, and who keeps copies of it, as one node decides it. Layer 2.
//!
//! It hears from the ring who its neighbours are ([`View`]), from its keepers how far they are ([`Report`]), and
//! from other custodies who asks for an arc, gives one, or leaves. From all that it derives what everybody here
//! should do ([`CustodyView`]), anew each time and without a memory of earlier plans; see `plan`.
//!
//! # What stays true
//!
//! - A node that serves has the say from the nearest serving node before it to itself, as far as it knows the ring.
//! - It gives an arc away only when each of its keepers has finished a session with the one who gets it, and the
//!   one who gets it has been written to since.
//! - It serves an arc only after it was given it, or has asked those behind it what it may have missed.

mod plan;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::directory::Directory;
use super::outbox::{Progress, Report};
use super::view::CustodyView;
use crate::ring::contact::Contact;
use crate::ring::data::DataMessage;
use crate::ring::interval::Interval;
use crate::ring::view::{Stage, View};
use crate::tracker::swarm::SHARDS;

/// From one request for an arc, or one word of leaving, to the next.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long such a word counts.
const ASK_LASTS: Duration = Duration::from_secs(2);
/// How long an arc is kept for an owner of whom nothing is heard.
const CLAIM_LASTS: Duration = Duration::from_secs(6);
/// How long a ring in which nobody serves waits for somebody to begin.
const NOBODY_FOR: Duration = Duration::from_secs(1);
/// A silent copy stays out for so long at least.
const OUT_AT_LEAST: Duration = Duration::from_secs(1);
/// ... and at most, if it is not one of those who should keep copies.
const OUT_AT_MOST: Duration = Duration::from_secs(10);
/// How long a node that did not answer, or has no say, is not asked again.
const AVOID: Duration = Duration::from_secs(2);
/// A tick that comes so late means that this process was stopped, and others may have taken its place.
pub(super) const STOPPED: Duration = Duration::from_millis(600);
/// A node that leaves goes after so long, whatever is not in safety.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// What the custody wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send this.
    Send(Contact, DataMessage),
    /// Give this to all keepers, and to whoever routes.
    Publish(Arc<CustodyView>),
    /// Tell the ring whether this node serves.
    Serving(bool),
    /// All is in safety that can be: this node may leave the ring.
    Gone,
}

/// Somebody, and until when what is known of him counts.
#[derive(Debug, Clone, Copy)]
struct Until {
    contact: Contact,
    until: Instant,
}

/// An arc that another node wants kept here.
#[derive(Debug, Clone, Copy)]
struct Claim {
    owner: Contact,
    arc: Interval,
    until: Instant,
}

/// A copy that was silent.
#[derive(Debug, Clone, Copy)]
struct LeftOut {
    contact: Contact,
    since: Instant,
}

/// The custody of one node.
#[derive(Debug)]
pub struct Custody {
    ring: View,
    serving: bool,
    /// The part of my arc, ending at me, that I may serve without asking anybody.
    settled: Option<Interval>,
    /// Since when nobody in the ring serves.
    nobody_since: Option<Instant>,
    /// When this node began to leave.
    leaving: Option<Instant>,
    gone: bool,
    /// Who asks for an arc.
    askers: Vec<Until>,
    /// Who is about to leave.
    leavers: Vec<Until>,
    /// Who has got which arc from me, and may not have told the ring yet that it serves.
    heirs: Vec<(Contact, Interval)>,
    /// Who has given me its arc and may not have told the ring yet that it does not serve.
    retired: Vec<Contact>,
    left_out: Vec<LeftOut>,
    /// How often a node that kept copies for this one was left out.
    copies_left_out: u64,
    claims: Vec<Claim>,
    directory: Directory,
    progress: [Progress; SHARDS],
    view: Arc<CustodyView>,
    next_word: Instant,
    last_tick: Instant,
    actions: Vec<Action>,
}

impl Custody {
    /// The custody of a node that is in no ring yet.
    pub fn new(now: Instant, me: Contact) -> Self {
        Self {
            ring: View::outside(me),
            serving: false,
            settled: None,
            nobody_since: None,
            leaving: None,
            gone: false,
            askers: Vec::new(),
            leavers: Vec::new(),
            heirs: Vec::new(),
            retired: Vec::new(),
            left_out: Vec::new(),
            copies_left_out: 0,
            claims: Vec::new(),
            directory: Directory::default(),
            progress: Default::default(),
            view: Arc::new(CustodyView::nothing(me)),
            next_word: now,
            last_tick: now,
            actions: Vec::new(),
        }
    }

    /// What it published last.
    pub fn view(&self) -> &Arc<CustodyView> {
        &self.view
    }

    /// How often a copy was left out because it was silent.
    pub fn copies_left_out(&self) -> u64 {
        self.copies_left_out
    }

    /// Who keeps copies of what this node owns, and whether it has all of it.
    pub fn copy_states(&self) -> Vec<(Contact, bool)> {
        let segments = &self.view.own;
        let mut copies: Vec<Contact> = segments
            .iter()
            .flat_map(|own| own.copies.iter().copied())
            .collect();
        copies.sort_unstable();
        copies.dedup();
        let has_all = |copy: &Contact| {
            segments
                .iter()
                .all(|own| self.all_say(|progress| progress.complete.contains(&(*copy, own.arc))))
        };
        copies.into_iter().map(|copy| (copy, has_all(&copy))).collect()
    }

    /// Whether all entries of this node's arc are known to be on as many nodes as there can be, and nothing is here
    /// that belongs elsewhere.
    pub fn is_settled(&self) -> bool {
        let [segment] = &self.view.own[..] else {
            return false;
        };
        let is_whole = !segment.merging && segment.heir.is_none() && segment.mending.is_empty();
        let has_copies = segment.copies.len() == self.ring.succ.len().min(plan::COPIES);
        let all_there = |progress: &Progress| {
            let mut copies = segment.copies.iter();
            progress.strays.is_empty() && copies.all(|copy| progress.complete.contains(&(*copy, segment.arc)))
        };
        is_whole && has_copies && self.all_say(all_there)
    }

    /// What is to be done, in this order.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// The ring has changed around this node.
    pub fn on_ring(&mut self, now: Instant, ring: &View) {
        self.ring = ring.clone();
        let near = self.ring.preds.iter().chain(&self.ring.succ);
        for neighbour in near {
            self.directory.learn(neighbour.contact);
        }
        let preds = &self.ring.preds;
        let flag = |contact: &Contact| {
            let of = preds.iter().find(|pred| pred.contact == *contact);
            of.map(|pred| pred.serving)
        };
        self.heirs.retain(|(heir, _)| flag(heir) == Some(false));
        self.retired.retain(|retired| flag(retired) == Some(true));
        self.plan(now);
    }

    /// Everybody who is or was lately in the ring: where arcs that belong to nobody near may belong.
    pub fn on_members(&mut self, members: &[Contact]) {
        self.directory.keep_only(members);
        for neighbour in self.ring.preds.iter().chain(&self.ring.succ) {
            self.directory.learn(neighbour.contact);
        }
    }

    /// A link has broken, or could not be made.
    pub fn on_lost(&mut self, now: Instant, contact: &Contact) {
        self.directory.avoid(contact, now + AVOID);
        self.leave_out(now, contact);
        self.plan(now);
    }

    /// A keeper reports.
    pub fn on_report(&mut self, now: Instant, report: Report) {
        match report {
            Report::Progress(progress) => {
                if let Some(slot) = self.progress.get_mut(progress.shard)
                    && slot.epoch <= progress.epoch
                {
                    *slot = progress;
                }
            }
            Report::Overslept => self.settled = None,
            Report::Silent(contact) => self.leave_out(now, &contact),
            Report::Claimed { owner, arc } => self.on_claim(now, owner, arc),
            Report::NotHere { from, mine, hint, .. } => {
                if mine.is_none() {
                    self.directory.avoid(&from, now + AVOID);
                }
                if let Some(hint) = hint {
                    self.directory.learn(hint);
                }
            }
        }
        self.plan(now);
    }

    /// Another custody speaks.
    pub fn on_message(&mut self, now: Instant, from: &Contact, message: &DataMessage) {
        let until = now + ASK_LASTS;
        match message {
            DataMessage::Ask => {
                match self.heirs.iter().find(|(heir, _)| heir == from) {
                    // It has not got what I sent, or has asked before it did.
                    Some(&(heir, arc)) => self.send(heir, DataMessage::TakeOver { arc }),
                    None => note(&mut self.askers, *from, until),
                }
            }
            DataMessage::Leaving => {
                self.askers.retain(|asker| asker.contact != *from);
                note(&mut self.leavers, *from, until);
            }
            DataMessage::TakeOver { arc } => self.on_take_over(from, *arc),
            _ => return,
        }
        self.plan(now);
    }

    /// Time has passed. To be called every [`super::keeper::TICK`] or so.
    pub fn on_tick(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last_tick) > STOPPED {
            self.settled = None;
        }
        self.last_tick = now;
        for list in [&mut self.askers, &mut self.leavers] {
            list.retain(|entry| entry.until > now);
        }
        self.claims.retain(|claim| claim.until > now);
        if now >= self.next_word {
            self.next_word = now + ASK_EVERY;
            self.say_what_i_want();
        }
        self.plan(now);
    }

    /// Begins to leave: gives the arc to the node behind, and brings to safety what is kept for others. The end is
    /// [`Action::Gone`].
    pub fn leave(&mut self, now: Instant) {
        if self.leaving.is_none() {
            self.leaving = Some(now);
            self.next_word = now;
            self.claims.clear();
            self.on_tick(now);
        }
    }

    fn on_claim(&mut self, now: Instant, owner: Contact, arc: Interval) {
        if self.leaving.is_some() {
            return;
        }
        let until = now + CLAIM_LASTS;
        match self
            .claims
            .iter_mut()
            .find(|claim| claim.owner == owner && claim.arc == arc)
        {
            Some(claim) => claim.until = until,
            None => self.claims.push(Claim { owner, arc, until }),
        }
    }

    fn on_take_over(&mut self, from: &Contact, arc: Interval) {
        let me = self.ring.me;
        if self.leaving.is_some() {
            return;
        }
        if arc.upto == me.id {
            if !self.serving {
                self.settled = Some(arc);
                self.set_serving(true);
            }
            return;
        }
        // The one before me leaves.
        self.heirs.retain(|(heir, _)| heir != from);
        if !self.retired.contains(from) {
            self.retired.push(*from);
        }
        if let Some(settled) = &mut self.settled
            && settled.after == arc.upto
            && !settled.is_whole()
        {
            settled.after = arc.after;
        }
    }

    fn say_what_i_want(&mut self) {
        if self.leaving.is_some() && !self.gone {
            let near = self.ring.preds.iter().chain(&self.ring.succ);
            let mut near: Vec<Contact> = near.map(|neighbour| neighbour.contact).collect();
            near.sort_unstable_by_key(|contact| contact.id);
            near.dedup();
            for to in near {
                self.send(to, DataMessage::Leaving);
            }
        } else if self.ring.stage == Stage::Member && !self.serving {
            let succ = &self.ring.succ;
            let to = succ.iter().find(|succ| succ.serving).or(succ.first());
            if let Some(to) = to.map(|succ| succ.contact) {
                self.send(to, DataMessage::Ask);
            }
        }
    }

    fn leave_out(&mut self, now: Instant, contact: &Contact) {
        match self.left_out.iter_mut().find(|out| out.contact == *contact) {
            Some(out) => out.since = now,
            None => {
                let mut own = self.view.own.iter();
                self.copies_left_out += u64::from(own.any(|own| own.copies.contains(contact)));
                self.left_out.push(LeftOut {
                    contact: *contact,
                    since: now,
                });
            }
        }
    }

    /// Whether a node serves: what the ring says, and what the ring does not know yet.
    fn serves(&self, contact: Contact, flag: bool) -> bool {
        flag && !self.retired.contains(&contact) || self.heirs.iter().any(|(heir, _)| *heir == contact)
    }

    fn set_serving(&mut self, serving: bool) {
        if self.serving != serving {
            self.serving = serving;
            self.actions.push(Action::Serving(serving));
        }
    }

    fn send(&mut self, to: Contact, message: DataMessage) {
        self.actions.push(Action::Send(to, message));
    }
}

fn note(list: &mut Vec<Until>, contact: Contact, until: Instant) {
    list.retain(|entry| entry.contact.id != contact.id);
    list.push(Until { contact, until });
}
