//! The thread that owns Chord and the custody of a node, and gives everything its ticks. Layer 3.

mod bulletins;
mod traces;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use self::bulletins::Clocks;
use self::traces::Traces;
use super::hub::{self, Hub};
use super::status::RingStatus;
use crate::id::{InfoHash, RingId};
use crate::ring::board::Board;
use crate::ring::bulletin::Bulletin;
use crate::ring::chord::ChordMessage;
use crate::ring::contact::Contact;
use crate::ring::data::DataMessage;
use crate::ring::link::{Ending, Links, Post};
use crate::ring::members::{MAX_MEMBERS, Members};
use crate::ring::node::{Action, Node, Start};
use crate::ring::replica::custody::{self, Custody};
use crate::ring::replica::keeper::TICK;
use crate::ring::replica::outbox::{Outbox, Report};
use crate::ring::replica::router::HEARD_WITHIN;
use crate::ring::timing::Timing;
use crate::ring::view::{Neighbour, Stage};
use crate::size::Count;
use crate::tracker::server::seam::KeptTicket;

/// How often the addresses of the user are tried while this node is in no ring.
const MEET_EVERY: Duration = Duration::from_secs(1);
/// How often later: a ring that was started apart from ours is found by them.
const MEET_AGAIN_EVERY: Duration = Duration::from_secs(15);
/// Most addresses that are tried at a time.
const MEET_AT_ONCE: usize = 16;
/// Most events that are worked off before what came out is sent.
const BATCH: usize = 256;
/// Lookups of the router have no number of their own; [`Traces`] has those above.
const NO_TOKEN: u64 = 0;

/// What the ring thread is told.
#[derive(Debug)]
pub(super) enum RingEvent {
    /// A message for Chord.
    Chord(Contact, ChordMessage),
    /// A message for the custody.
    Custody(Contact, DataMessage),
    /// What a node says about itself, read and as it came, by way of the node named first.
    Bulletin(Contact, Box<Bulletin>, Box<[u8]>),
    /// A link has ended.
    Lost {
        /// To whom.
        contact: Contact,
        /// Whether this life of the node is over, by all that is known.
        means_dead: bool,
        /// Nothing was under way on it.
        is_idle: bool,
        /// For people.
        why: String,
    },
    /// Who is at an address that the user named.
    Met(SocketAddr, Result<Contact, Ending>),
    /// The ring knows a later life of this node, and lets nobody talk to this one.
    Outlived,
    /// A keeper has something to say.
    Report(Report),
    /// The router asks the ring for the owner of a key.
    Lookup(RingId),
    /// Somebody wants to see how the ring finds this torrent.
    Trace(InfoHash, KeptTicket),
    /// The node is to leave; tell when it is done.
    Leave(Sender<()>),
    /// Somebody wants to see the ring.
    Status(Sender<RingStatus>),
    /// The program ends.
    Stop,
}

/// The thread.
pub(super) struct RingThread {
    hub: Arc<Hub>,
    links: Arc<Links>,
    inbox: Receiver<RingEvent>,
    node: Node,
    custody: Custody,
    board: Board,
    showing: Clocks,
    traces: Traces,
    post: Post,
    out: Outbox,
    /// The view of the ring that the custody has seen last.
    ring_epoch: Option<u64>,
    join: Vec<SocketAddr>,
    next_meeting: Instant,
    /// What was said last of each address, so that it is not said again and again.
    complained: HashMap<SocketAddr, String>,
    next_tick: Instant,
    leaving: Vec<Sender<()>>,
    is_gone: bool,
    /// What the log says last of the neighbours, and whether all copies are there.
    told: (String, bool),
}

impl RingThread {
    pub(super) fn new(
        hub: Arc<Hub>,
        links: Arc<Links>,
        inbox: Receiver<RingEvent>,
        join: Vec<SocketAddr>,
        timing: Timing,
    ) -> Self {
        let now = Instant::now();
        let members = Members::new(MAX_MEMBERS, timing.forget_after);
        Self {
            node: Node::new(hub.me, timing, members, fastrand::u64(..), now),
            custody: Custody::new(now, hub.me),
            board: Board::new(hub.me),
            showing: Clocks::new(now),
            traces: Traces::default(),
            post: links.post(),
            out: Outbox::default(),
            ring_epoch: None,
            join,
            next_meeting: now,
            complained: HashMap::new(),
            next_tick: now,
            leaving: Vec::new(),
            is_gone: false,
            told: (String::new(), false),
            hub,
            links,
            inbox,
        }
    }

    /// Runs until [`RingEvent::Stop`].
    pub(super) fn run(mut self, how: Start) {
        self.node.start(Instant::now(), how);
        loop {
            self.settle();
            let now = Instant::now();
            let due = self
                .node
                .next_tick()
                .map_or(self.next_tick, |tick| tick.min(self.next_tick));
            let first = match self.inbox.recv_timeout(due.saturating_duration_since(now)) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let more = self.inbox.try_iter().take(BATCH).collect::<Vec<_>>();
            for event in first.into_iter().chain(more) {
                if matches!(event, RingEvent::Stop) {
                    return;
                }
                self.on_event(event);
            }
            self.on_time();
        }
    }

    fn on_event(&mut self, event: RingEvent) {
        let now = Instant::now();
        match event {
            RingEvent::Chord(from, message) => self.node.on_message(now, &from, message),
            RingEvent::Custody(from, message) => self.custody.on_message(now, &from, &message),
            RingEvent::Bulletin(from, bulletin, body) => self.on_bulletin(now, &from, &bulletin, &body),
            RingEvent::Lost {
                contact,
                means_dead,
                is_idle,
                why,
            } => {
                let view = self.node.view();
                let mut near = view.preds.iter().chain(&view.succ);
                if means_dead && near.any(|near| near.contact == contact) {
                    log::info!("the ring node at {} is gone: {why}", contact.addr);
                }
                self.on_lost(now, &contact, means_dead, is_idle);
            }
            RingEvent::Met(_, Ok(contact)) => self.node.on_found(now, contact),
            RingEvent::Met(addr, Err(why)) => self.complain(addr, &why),
            RingEvent::Outlived => self.end_outlived(),
            RingEvent::Report(report) => self.custody.on_report(now, report),
            RingEvent::Lookup(key) => self.node.lookup(now, NO_TOKEN, key),
            RingEvent::Trace(info_hash, ticket) => self.trace(now, info_hash, ticket),
            RingEvent::Leave(done) => {
                self.leaving.push(done);
                self.custody.leave(now);
            }
            RingEvent::Status(reply) => {
                let status = RingStatus::new(now, &self.node, self.custody.view(), self.links.status());
                // Whoever asked may have gone.
                let _ = reply.send(status);
            }
            RingEvent::Stop => {}
        }
    }

    fn on_lost(&mut self, now: Instant, contact: &Contact, means_dead: bool, is_idle: bool) {
        if means_dead {
            self.node.on_lost(now, contact);
            self.custody.on_lost(now, contact);
        }
        if is_idle {
            return;
        }
        let at = self.hub.now();
        self.hub.questions().router().on_lost(now, contact);
        self.hub
            .with_keepers(&mut self.post, &mut self.out, |keeper, out| {
                keeper.on_lost(at, contact, out);
            });
    }

    /// Whoever goes on with this node's id is the node now. Alone, this one would take announces of which nobody else
    /// ever hears.
    fn end_outlived(&mut self) {
        if !self.hub.outlive() {
            log::error!("the ring knows a later life of this node: this one serves nobody any more");
            self.node.leave();
        }
    }

    fn complain(&mut self, addr: SocketAddr, why: &Ending) {
        let words = why.to_string();
        if self.complained.get(&addr) != Some(&words) {
            log::warn!("no ring node answers at {addr}: {words}; trying again");
            self.complained.insert(addr, words);
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        self.node.on_tick(now);
        if self.next_meeting <= now {
            self.meet(now);
        }
        if self.next_tick > now {
            return;
        }
        self.next_tick = now + TICK;
        self.tell_people();
        let members: Vec<Contact> = self.node.members().iter(now).map(|heard| heard.contact).collect();
        self.custody.on_members(&members);
        self.custody.on_tick(now);
        let at = self.hub.now();
        {
            let mut questions = self.hub.questions();
            let lately: Vec<Contact> = self.node.members().lately(now, HEARD_WITHIN).collect();
            questions.router().on_members(&lately);
            questions.router().on_tick(now);
        }
        self.hub
            .with_keepers(&mut self.post, &mut self.out, |keeper, out| {
                keeper.on_tick(at, out);
            });
        self.show(now);
    }

    /// Writes down for people how the ring around this node has changed, if it has.
    fn tell_people(&mut self) {
        let view = self.node.view();
        let addrs = |near: &[Neighbour]| {
            let addrs: Vec<String> = near.iter().map(|near| near.contact.addr.to_string()).collect();
            addrs.join(", ")
        };
        let neighbours = match view.stage {
            Stage::Outside | Stage::Left => String::new(),
            Stage::Member if view.is_alone() => "no other node is in the ring".to_owned(),
            Stage::Member => format!(
                "in the ring, before this node: {}; behind it: {}",
                addrs(&view.preds),
                addrs(&view.succ)
            ),
        };
        let is_settled = self.custody.is_settled();
        if neighbours != self.told.0 && !neighbours.is_empty() {
            log::info!("{neighbours}");
        }
        if is_settled != self.told.1 && view.stage == Stage::Member {
            match self.custody.view().own.first() {
                Some(own) if is_settled => log::info!(
                    "all that this node answers for is on {} now",
                    Count(1 + own.copies.len() as u64, "node")
                ),
                _ => log::info!("copies are being made of what this node answers for"),
            }
        }
        self.told = (neighbours, is_settled);
    }

    /// Knocks where the user says that there are nodes of the ring.
    fn meet(&mut self, now: Instant) {
        let outside = self.node.view().stage == Stage::Outside || self.node.view().is_alone();
        self.next_meeting = now + if outside { MEET_EVERY } else { MEET_AGAIN_EVERY };
        let mut addrs = self.join.clone();
        fastrand::shuffle(&mut addrs);
        for addr in addrs.into_iter().take(MEET_AT_ONCE) {
            self.links.meet(addr);
        }
    }

    /// Lets the machines talk to each other until they have nothing to say, then sends what came out.
    fn settle(&mut self) {
        let now = self.hub.now();
        while self.node_speaks(now.at) | self.custody_speaks() {}
        self.hub.settle(now, &mut self.post, &mut self.out);
        self.post.flush();
        if self.is_gone {
            for done in self.leaving.drain(..) {
                let _ = done.send(());
            }
        }
    }

    fn node_speaks(&mut self, now: Instant) -> bool {
        let actions = self.node.take_actions();
        let has_moved = !actions.is_empty();
        for action in actions {
            match action {
                Action::Send { to, message } => {
                    let sent = self.post.send(&to, message.kind(), |body| message.encode(body));
                    if !sent {
                        log::trace!("a message for the ring node {to} was dropped");
                    }
                }
                Action::Found { token, result } if token != NO_TOKEN => self.traced(token, result),
                Action::Found { result, .. } => {
                    let owner = result.ok().and_then(|found| found.owners.first().copied());
                    if let Some(owner) = owner {
                        self.hub.questions().router().on_found(owner.contact);
                    }
                }
                // Only a node that was started to choose says so: that of `choice`.
                Action::Placed { .. } => {}
                Action::Outlived { .. } => self.end_outlived(),
            }
        }
        if self.node.view().stage == Stage::Left {
            self.traces.end();
        }
        let view = self.node.view();
        if self.ring_epoch == Some(view.epoch) {
            return has_moved;
        }
        self.ring_epoch = Some(view.epoch);
        log::debug!("the ring around this node: {view:?}");
        self.custody.on_ring(now, view);
        let near = view.preds.iter().chain(&view.succ);
        let near = near.map(|near| near.contact);
        self.hub.questions().router().learn(near);
        true
    }

    fn custody_speaks(&mut self) -> bool {
        let actions = self.custody.take_actions();
        let has_moved = !actions.is_empty();
        for action in actions {
            match action {
                custody::Action::Send(to, message) => {
                    hub::send(&mut self.post, &to, &message);
                }
                custody::Action::Publish(view) => {
                    let now = self.hub.now();
                    self.hub
                        .with_keepers(&mut self.post, &mut self.out, |keeper, out| {
                            keeper.set_view(now, Arc::clone(&view), out);
                        });
                }
                custody::Action::Serving(serving) => {
                    log::info!(
                        "this node {} swarms of the ring",
                        if serving { "serves" } else { "no longer serves" }
                    );
                    self.node.set_serving(serving);
                }
                custody::Action::Gone => {
                    self.say_farewell();
                    self.is_gone = true;
                    self.node.leave();
                }
            }
        }
        has_moved
    }
}
