//! One node of the ring: Chord as a pure machine. Layer 2.
//!
//! Chord as it was published can lose its ring. The operations here are the corrected ones of P. Zave ("Reasoning
//! about identifier spaces: how to make Chord correct", IEEE TSE 2017), with a list that is cut where it comes
//! round ([`super::list`]), so that rings of a few nodes work, and a check for other rings, so that what a
//! partition tore apart finds together again.
//!
//! What must stay true:
//! - A member has a live successor, unless it is a ring of one.
//! - The lists lead away from this node, in order, and hold no life of a node that is known to be over.
//! - The predecessor is replaced, never dropped, as long as there is another node.
//! - A node that waits for an answer which will change its lists tells nobody of them (*busy*), and who is told
//!   "busy" gives up its own question. So each operation is as if it happened at one moment, and no circle of
//!   nodes can wait for each other.
//! - Whatever others say costs bounded memory: lists by the codec, members by their number, questions by those
//!   that this node asked.
//!
//! Departures from Zave's rules, for a network in which messages are late and nodes are only held for dead:
//! - A question is sent twice before its node is held for dead; whatever is heard of it takes that back.
//! - When the last successor is lost, the way back is taken: the nearest live predecessor becomes the successor.
//!   The ring would find together again without this, but a node that believes to be alone takes the whole circle.
//! - A node whose ticks come late gives everybody the time that it slept.
//! - A node alone has no predecessor; everywhere else it is replaced and never dropped.

mod failures;
mod join;
mod merge;
mod requests;
mod routing;
mod stabilize;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use self::requests::{Purpose, Requests};
use self::routing::Route;
use super::chord::{ChordMessage, Heard, MAX_GOSSIP, NodeState};
use super::contact::Contact;
use super::fingers::Fingers;
use super::list::{Cut, cut_preds, cut_succ};
use super::lookup::{Found, LookupFailed};
use super::members::Members;
use super::placement::Placement;
use super::timing::Timing;
use super::view::{Neighbour, Stage, View};
use crate::id::RingId;

/// What the node wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this; open a link if there is none, and tell [`Node::on_lost`] if that fails.
    Send {
        /// To whom.
        to: Contact,
        /// What.
        message: ChordMessage,
    },
    /// A lookup has ended.
    Found {
        /// What [`Node::lookup`] was given.
        token: u64,
        /// How.
        result: Result<Found, LookupFailed>,
    },
    /// The place that this node was to choose ([`Start::Choose`]). It has done what it was for: a node with this
    /// id is to be made.
    Placed {
        /// The place.
        id: RingId,
        /// Whether a ring was seen; if not, it is any place.
        in_ring: bool,
    },
    /// The ring knows a later life of this node, or one that goes on elsewhere with the same id: whatever this
    /// one says is refused. It must end, or begin again with a greater incarnation.
    Outlived {
        /// That of the later life.
        incarnation: u64,
    },
}

/// One node. Its doors are [`Self::start`], [`Self::on_message`], [`Self::on_lost`], [`Self::on_tick`] and what
/// the user wants ([`Self::lookup`], [`Self::set_serving`], [`Self::leave`]); after each of them,
/// [`Self::take_actions`] tells what to do.
#[derive(Debug)]
pub struct Node {
    timing: Timing,
    rng: fastrand::Rng,
    view: View,
    members: Members,
    fingers: Fingers,
    requests: Requests,
    /// Lookups under way, by a number that no two ever have.
    lookups: BTreeMap<u64, Route>,
    next_lookup: u64,
    /// When each neighbour was last heard.
    heard: BTreeMap<Contact, Instant>,
    /// Who is held for dead, and until when nobody is believed who names it.
    suspects: BTreeMap<Contact, Instant>,
    /// Who would be the predecessor if the present one is dead, with the nodes before it.
    heir: Option<(Neighbour, Vec<Neighbour>)>,
    /// Who says that it comes right behind this node.
    candidate: Option<Contact>,
    /// A join is under way.
    joining: bool,
    /// The choice of an id, when that is all that this node is for.
    placement: Option<Placement>,
    held_for_dead: u64,
    clocks: Clocks,
    actions: Vec<Action>,
}

/// When what is to be done next.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    /// Stabilize, or try to join.
    round: Instant,
    ping: Instant,
    merge: Instant,
    gossip: Instant,
    finger: Instant,
    /// Outside: make a ring.
    form: Instant,
    /// The tick that [`Node::next_tick`] promised last.
    promised: Instant,
}

/// Where a node begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// As a ring of its own.
    Alone,
    /// In the ring of the members that it remembers or is told of by [`Node::on_found`]. When none of them is in
    /// a ring for [`Timing::form_after`], it makes its own, and finds theirs later.
    Join,
    /// In no ring. It only looks for a good place in theirs, tells it by [`Action::Placed`], and is of no use
    /// afterwards. Its own id is in nobody's way; a random one will do.
    Choose,
}

/// A tick that comes later than this says that the whole node stood still.
const SLEPT: Duration = Duration::from_millis(150);

impl Node {
    /// A node that is in no ring and does nothing before [`Self::start`]. The same `seed` and the same events
    /// give the same actions.
    pub fn new(me: Contact, timing: Timing, mut members: Members, seed: u64, now: Instant) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        members.remove(me.id);
        let requests = Requests::new(rng.u32(..));
        Self {
            timing,
            view: View::outside(me),
            members,
            fingers: Fingers::new(me.id),
            requests,
            lookups: BTreeMap::new(),
            next_lookup: 0,
            heard: BTreeMap::new(),
            suspects: BTreeMap::new(),
            heir: None,
            candidate: None,
            joining: false,
            placement: None,
            held_for_dead: 0,
            clocks: Clocks {
                round: now,
                ping: now,
                merge: now,
                gossip: now,
                finger: now,
                form: now,
                promised: now,
            },
            actions: Vec::new(),
            rng,
        }
    }

    /// Begins.
    pub fn start(&mut self, now: Instant, how: Start) {
        self.clocks.promised = now;
        match how {
            Start::Alone => self.form(now),
            Start::Join => {
                self.clocks.round = now;
                self.put_off_forming(now);
            }
            Start::Choose => {
                self.placement = Some(Placement::default());
                self.clocks.round = now;
                self.put_off_forming(now);
            }
        }
    }

    /// What the ring looks like from here.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The nodes that were once in the ring.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The nodes that it has shortcuts to, each once, in the order of their places.
    pub fn fingers(&self) -> BTreeSet<Contact> {
        self.fingers.iter().collect()
    }

    /// How often a node did not answer in time and was held for dead.
    pub fn held_for_dead(&self) -> u64 {
        self.held_for_dead
    }

    /// Which life of which node this is.
    pub fn me(&self) -> Contact {
        self.view.me
    }

    /// Takes what is to be done, in this order.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Whether this node has authority over an arc that ends at itself. The neighbours hear of it.
    pub fn set_serving(&mut self, serving: bool) {
        if self.view.serving != serving {
            self.view.serving = serving;
            self.view.epoch += 1;
            // Those behind hear it at once, those before at their next question.
            if let Some(head) = self.head() {
                self.notify(head.contact);
            }
        }
    }

    /// A node was reached at an address that the user named, or in place of an earlier life of it. It is remembered
    /// like a member.
    pub fn on_found(&mut self, now: Instant, contact: Contact) {
        if contact.id != self.view.me.id {
            self.learn(now, contact);
        }
    }

    /// `from` said this. Who it is was proven by the link.
    pub fn on_message(&mut self, now: Instant, from: &Contact, message: ChordMessage) {
        let from = *from;
        if self.view.stage == Stage::Left || !self.is_current(now, &from) {
            return;
        }
        self.heard_of(now, &from);
        match message {
            ChordMessage::Ping { request } => self.send(from, ChordMessage::Pong { request }),
            ChordMessage::Pong { request } => {
                // That it was heard is all that counts.
                self.requests.answered(&from, request);
            }
            ChordMessage::Ask { request } => self.on_ask(from, request),
            ChordMessage::State { request, state } => {
                if let Some(purpose) = self.requests.answered(&from, request) {
                    self.on_state(now, from, purpose, &state);
                }
            }
            ChordMessage::Busy { request } => {
                if let Some(purpose) = self.requests.answered(&from, request) {
                    self.on_busy(now, purpose);
                }
            }
            ChordMessage::Outside { request } => {
                if let Some(purpose) = self.requests.answered(&from, request) {
                    self.on_outside(now, from, purpose);
                }
            }
            ChordMessage::Notify { serving, preds } => self.on_notify(now, from, serving, preds),
            ChordMessage::Candidate => self.on_candidate(now, from),
            ChordMessage::Find { request, key, want } => self.on_find(from, request, key, want),
            ChordMessage::Found { request, owners } => {
                if let Some(purpose) = self.requests.answered(&from, request) {
                    self.on_owners(now, from, purpose, owners);
                }
            }
            ChordMessage::Next { request, nodes } => {
                if let Some(purpose) = self.requests.answered(&from, request) {
                    self.on_next(now, from, purpose, nodes);
                }
            }
            ChordMessage::Gossip { answer, members } => self.on_gossip(now, from, answer, members),
            ChordMessage::Leaving => self.on_lost(now, &from),
            ChordMessage::Stale { incarnation } => self.on_stale(incarnation),
        }
    }

    /// Time has passed.
    pub fn on_tick(&mut self, now: Instant) {
        if self.view.stage == Stage::Left {
            return;
        }
        let late = now.saturating_duration_since(self.clocks.promised);
        if late > SLEPT {
            // This node stood still (stopped, or starved of its processor). Answers may lie unread, so nobody
            // is to blame for their absence.
            self.requests.extend(late);
            for heard in self.heard.values_mut() {
                *heard += late;
            }
        }
        self.suspects.retain(|_, &mut until| until > now);
        self.take_overdue(now);
        match self.view.stage {
            Stage::Outside => self.tick_outside(now),
            Stage::Member => self.tick_member(now),
            Stage::Left => {}
        }
    }

    fn tick_outside(&mut self, now: Instant) {
        let chooses = self.placement.is_some();
        if now >= self.clocks.form {
            if chooses {
                self.place();
            } else {
                self.form(now);
            }
        } else if now >= self.clocks.round {
            self.clocks.round = now + self.about(self.timing.join_every);
            if chooses {
                self.probe(now);
            } else {
                self.try_join(now);
            }
        }
    }

    fn tick_member(&mut self, now: Instant) {
        if now >= self.clocks.round {
            self.clocks.round = now + self.about(self.timing.stabilize_every);
            self.stabilize(now);
        }
        if now >= self.clocks.ping {
            self.clocks.ping = now + self.about(self.timing.ping_after) / 2;
            self.watch(now);
        }
        if now >= self.clocks.merge {
            self.check_for_other_ring(now);
        }
        if now >= self.clocks.gossip {
            self.clocks.gossip = now + self.about(self.timing.gossip_every);
            self.gossip(now);
        }
        if now >= self.clocks.finger {
            self.clocks.finger = now + self.about(self.timing.finger_every);
            self.repair_finger(now);
        }
    }

    /// When [`Self::on_tick`] is wanted next; never, when the node has left.
    pub fn next_tick(&mut self) -> Option<Instant> {
        let clocks = &self.clocks;
        let own = match self.view.stage {
            Stage::Outside => clocks.round.min(clocks.form),
            Stage::Member => {
                (clocks.round.min(clocks.ping)).min(clocks.merge.min(clocks.gossip.min(clocks.finger)))
            }
            Stage::Left => return None,
        };
        let next = self
            .requests
            .next_deadline()
            .map_or(own, |deadline| deadline.min(own));
        self.clocks.promised = next;
        Some(next)
    }

    /// Says goodbye. What this node had to hand over must have been handed over before.
    pub fn leave(&mut self) {
        let neighbours = self.view.succ.iter().chain(&self.view.preds);
        let mut told: Vec<Contact> = neighbours.map(|node| node.contact).collect();
        told.sort();
        told.dedup();
        for to in told {
            self.send(to, ChordMessage::Leaving);
        }
        self.view = View {
            epoch: self.view.epoch + 1,
            stage: Stage::Left,
            ..View::outside(self.view.me)
        };
        self.lookups.clear();
        self.requests.give_up(|_| true);
    }

    // What the parts of the machine share.

    fn send(&mut self, to: Contact, message: ChordMessage) {
        self.actions.push(Action::Send { to, message });
    }

    fn ask(&mut self, now: Instant, to: Contact, purpose: Purpose) {
        let question = self.requests.ask(now, to, purpose, self.timing.answer_within);
        self.send(to, question);
    }

    fn about(&mut self, period: Duration) -> Duration {
        Timing::about(period, &mut self.rng)
    }

    fn head(&self) -> Option<Neighbour> {
        self.view.succ.first().copied()
    }

    fn pred(&self) -> Option<Neighbour> {
        self.view.preds.first().copied()
    }

    fn is_suspect(&self, contact: &Contact) -> bool {
        self.suspects.contains_key(contact) || self.is_outdated(contact)
    }

    /// Whether a later life of the node is known.
    fn is_outdated(&self, contact: &Contact) -> bool {
        self.members
            .incarnation(contact.id)
            .is_some_and(|known| known > contact.incarnation)
    }

    /// Whether a message of this life may be heard.
    fn is_current(&mut self, now: Instant, from: &Contact) -> bool {
        if from.id == self.view.me.id {
            self.on_stale(from.incarnation);
            return false;
        }
        match self.members.incarnation(from.id) {
            Some(known) if known > from.incarnation => {
                self.send(*from, ChordMessage::Stale { incarnation: known });
                false
            }
            Some(known) if known < from.incarnation => {
                self.members.hear_now(now, *from);
                self.end_earlier_lives(now, from);
                true
            }
            _ => true,
        }
    }

    /// Remembers that this life exists, which ends those before it.
    fn learn(&mut self, now: Instant, contact: Contact) {
        if self.members.hear_now(now, contact) {
            self.end_earlier_lives(now, &contact);
        }
    }

    fn on_stale(&mut self, incarnation: u64) {
        if incarnation > self.view.me.incarnation {
            self.actions.push(Action::Outlived { incarnation });
        }
    }

    fn state(&self) -> NodeState {
        NodeState {
            serving: self.view.serving,
            preds: self.view.preds.clone(),
            succ: self.view.succ.clone(),
        }
    }

    /// Sets the successors to `first` and the nodes behind it.
    fn set_succ_behind(&mut self, now: Instant, first: Neighbour, behind: &[Neighbour]) {
        let nodes = std::iter::once(first).chain(behind.iter().copied());
        let cut = cut_succ(self.view.me.id, nodes, |contact| {
            *contact != first.contact && self.is_suspect(contact)
        });
        self.set_succ(now, cut.list);
    }

    fn set_succ(&mut self, now: Instant, succ: Vec<Neighbour>) {
        if self.view.succ != succ {
            let named: Vec<Contact> = succ.iter().map(|node| node.contact).collect();
            self.view.succ = succ;
            self.view.epoch += 1;
            self.watch_whom(now);
            self.learn_all(now, &named);
        }
    }

    /// Whoever stands in a list is a member, so that a later life of it ends the one in the list.
    fn learn_all(&mut self, now: Instant, named: &[Contact]) {
        for contact in named {
            if self.members.incarnation(contact.id) != Some(contact.incarnation) {
                self.learn(now, *contact);
            }
        }
    }

    /// Sets the predecessors to `first` and the nodes before it.
    fn set_preds_before(&mut self, now: Instant, first: Neighbour, before: &[Neighbour]) {
        let nodes = std::iter::once(first).chain(before.iter().copied());
        let cut = cut_preds(self.view.me.id, nodes, |contact| {
            *contact != first.contact && self.is_suspect(contact)
        });
        self.set_preds(now, cut);
    }

    fn set_preds(&mut self, now: Instant, cut: Cut) {
        if self.view.preds != cut.list || self.view.preds_go_round != cut.goes_round {
            let named: Vec<Contact> = cut.list.iter().map(|node| node.contact).collect();
            self.view.preds = cut.list;
            self.view.preds_go_round = cut.goes_round;
            self.view.epoch += 1;
            self.watch_whom(now);
            self.learn_all(now, &named);
        }
    }

    fn set_stage(&mut self, stage: Stage) {
        self.view.stage = stage;
        self.view.epoch += 1;
    }

    fn notify(&mut self, to: Contact) {
        let message = ChordMessage::Notify {
            serving: self.view.serving,
            preds: self.view.preds.clone(),
        };
        self.send(to, message);
    }

    /// Tells somebody of some members.
    fn gossip(&mut self, now: Instant) {
        self.members.expire(now);
        let someone = self.members.sample(now, 1, &mut self.rng).pop();
        if let Some(someone) = someone {
            self.gossip_to(now, someone.contact, true);
        }
    }

    fn gossip_to(&mut self, now: Instant, to: Contact, answer: bool) {
        let members = self.members.sample(now, MAX_GOSSIP, &mut self.rng);
        self.send(to, ChordMessage::Gossip { answer, members });
    }

    fn on_gossip(&mut self, now: Instant, from: Contact, answer: bool, members: Vec<Heard>) {
        for heard in members {
            let contact = heard.contact;
            if contact.id == self.view.me.id {
                self.on_stale(contact.incarnation);
            } else if self.members.hear(now, heard) {
                self.end_earlier_lives(now, &contact);
            }
        }
        if answer && self.view.stage == Stage::Member {
            self.gossip_to(now, from, false);
        }
    }
}

#[cfg(test)]
mod tests;
