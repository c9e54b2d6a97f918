//! What lives in the simulated network.

use std::time::{Duration, Instant};

use crate::id::RingId;
use crate::ring::chord::ChordMessage;
use crate::ring::codec::Writer;
use crate::ring::contact::Contact;
use crate::ring::lookup::{Found, LookupFailed};
use crate::ring::members::Members;
use crate::ring::node::{Action, Node, Start};
use crate::ring::timing::Timing;
use crate::ring::view::Stage;

/// One process: its machines, and what would be its threads.
pub(crate) trait Host {
    /// What goes over its links.
    type Message: Clone;

    /// Which life of which node it is.
    fn contact(&self) -> Contact;
    /// A message came.
    fn on_message(&mut self, now: Instant, from: &Contact, message: Self::Message);
    /// The link to a node was reset or refused.
    fn on_lost(&mut self, now: Instant, contact: &Contact);
    /// A node was reached: at an address from the configuration, or where an earlier life of it had been.
    fn on_found(&mut self, now: Instant, contact: &Contact);
    /// Time has passed.
    fn on_tick(&mut self, now: Instant);
    /// When [`Self::on_tick`] is wanted.
    fn next_tick(&mut self) -> Option<Instant>;
    /// Takes what is to be sent.
    fn drain(&mut self, out: &mut Vec<(Contact, Self::Message)>);
    /// About how many bytes a message takes in its frame.
    fn size(message: &Self::Message) -> usize;
}

/// A host around a [`Node`]: what [`super::episode`] plays with. Whoever puts more machines beside the node writes
/// one of these, and has all schedules.
pub(crate) trait Process: Host + Sized {
    /// Starts one life.
    fn start(now: Instant, me: Contact, members: Members, timing: Timing, how: Start) -> Self;
    /// The successors of its sender that a message tells.
    fn list_in(message: &Self::Message) -> Option<Vec<Contact>>;
    /// Its node.
    fn node(&self) -> &Node;
    /// Looks a key up.
    fn lookup(&mut self, now: Instant, token: u64, key: RingId);
    /// How the lookup of a token ended.
    fn found(&self, token: u64) -> Option<&Result<Found, LookupFailed>>;
    /// The id that it chose, if that was its task.
    fn placed(&self) -> Option<RingId>;
    /// Says goodbye.
    fn leave(&mut self);
}

/// A Chord machine alone. It serves as soon as it is a member.
pub(crate) struct RingHost {
    node: Node,
    /// Where lookups ended.
    found: Vec<(u64, Result<Found, LookupFailed>)>,
    placed: Option<RingId>,
    outgoing: Vec<(Contact, ChordMessage)>,
}

impl Process for RingHost {
    fn start(now: Instant, me: Contact, members: Members, timing: Timing, how: Start) -> Self {
        // The incarnation is in the seed, so that no two lives are alike.
        let [a, b, ..] = *me.id.as_bytes();
        let seed = me.incarnation << 16 | u64::from(a) << 8 | u64::from(b);
        let mut host = Self {
            node: Node::new(me, timing, members, seed, now),
            found: Vec::new(),
            placed: None,
            outgoing: Vec::new(),
        };
        host.node.start(now, how);
        host.settle();
        host
    }

    fn list_in(message: &ChordMessage) -> Option<Vec<Contact>> {
        match message {
            ChordMessage::State { state, .. } => Some(state.succ.iter().map(|node| node.contact).collect()),
            _ => None,
        }
    }

    fn node(&self) -> &Node {
        &self.node
    }

    fn found(&self, token: u64) -> Option<&Result<Found, LookupFailed>> {
        let (_, result) = self.found.iter().find(|(known, _)| *known == token)?;
        Some(result)
    }

    fn placed(&self) -> Option<RingId> {
        self.placed
    }

    fn lookup(&mut self, now: Instant, token: u64, key: RingId) {
        self.node.lookup(now, token, key);
        self.settle();
    }

    fn leave(&mut self) {
        self.node.leave();
        self.settle();
    }
}

impl RingHost {
    fn settle(&mut self) {
        let is_member = self.node.view().stage == Stage::Member;
        self.node.set_serving(is_member);
        for action in self.node.take_actions() {
            match action {
                Action::Send { to, message } => self.outgoing.push((to, message)),
                Action::Found { token, result } => self.found.push((token, result)),
                Action::Placed { id, .. } => self.placed = Some(id),
                Action::Outlived { incarnation } => {
                    panic!("{} was told of its life {incarnation}", self.node.me());
                }
            }
        }
    }
}

impl Host for RingHost {
    type Message = ChordMessage;

    fn contact(&self) -> Contact {
        self.node.me()
    }

    fn on_message(&mut self, now: Instant, from: &Contact, message: ChordMessage) {
        self.node.on_message(now, from, message);
        self.settle();
    }

    fn on_lost(&mut self, now: Instant, contact: &Contact) {
        self.node.on_lost(now, contact);
        self.settle();
    }

    fn on_found(&mut self, now: Instant, contact: &Contact) {
        self.node.on_found(now, *contact);
        self.settle();
    }

    fn on_tick(&mut self, now: Instant) {
        self.node.on_tick(now);
        self.settle();
    }

    fn next_tick(&mut self) -> Option<Instant> {
        self.node.next_tick()
    }

    fn drain(&mut self, out: &mut Vec<(Contact, ChordMessage)>) {
        out.append(&mut self.outgoing);
    }

    fn size(message: &ChordMessage) -> usize {
        let mut bytes = Vec::new();
        message.encode(&mut Writer::new(&mut bytes));
        bytes.len()
    }
}

/// No member, as in a new state folder.
pub(crate) fn no_members(most: usize, timing: &Timing) -> Members {
    Members::new(most, timing.forget_after)
}

/// The time of a world that began at `start`.
pub(crate) fn at(start: Instant, micros: u64) -> Instant {
    start + Duration::from_micros(micros)
}
