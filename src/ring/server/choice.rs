//! The choice of a place for a new node: it looks at the ring as a visitor, before it has an id of its own. Layer 3.
//!
//! Nodes of the ring remember which key an id was first seen with, so the id of a visit is given up after it, with
//! its key, and the visitor says so in its hello. It does not listen either: who calls the address of the new node
//! meanwhile waits until that node is there, and never hears of the visitor.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, unbounded};

use crate::id::RingId;
use crate::net::sockets::SocketFactory;
use crate::ring::chord::ChordMessage;
use crate::ring::contact::Contact;
use crate::ring::frame::kind;
use crate::ring::link::{
    Ending, FrameHandler, KnownNodes, LinkSettings, Links, NodeKey, Post, RingKey, Service,
    Setup as LinkSetup, StartError,
};
use crate::ring::members::{MAX_MEMBERS, Members};
use crate::ring::node::{Action, Node, Start};
use crate::ring::timing::Timing;

/// How often all addresses are tried.
const MEET_EVERY: Duration = Duration::from_millis(500);
/// Most addresses that are tried at a time.
const MEET_AT_ONCE: usize = 16;
/// A ring that answers and yet does not tell its arcs for so long is not waited for.
const CHOOSE_WITHIN: Duration = Duration::from_secs(15);
/// How often it is looked whether the choice is still wanted.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Who chooses, and where the ring may be.
#[derive(Debug)]
pub struct Choice<'a> {
    /// Where others will reach the node.
    pub addr: SocketAddr,
    /// What lets nodes into the ring.
    pub ring_key: Option<RingKey>,
    /// Makes the sockets.
    pub sockets: Arc<SocketFactory>,
    /// Where nodes of the ring may be.
    pub join: &'a [SocketAddr],
}

/// What was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// The place.
    pub id: RingId,
    /// Whether it was chosen by the arcs of a ring. If not, no node of one has answered, and it is any place.
    pub in_ring: bool,
}

impl Choice<'_> {
    /// Looks at arcs of the ring and halves the largest. Tries all addresses again and again; when no node of a ring
    /// has answered for some seconds ([`Timing::form_after`]), any place will do. `None` when `is_stopped` says that
    /// nobody wants to know any more.
    ///
    /// # Errors
    /// Without a ring key, if the address is not on the loopback; or if the system refuses something.
    pub fn make(self, is_stopped: &dyn Fn() -> bool) -> Result<Option<Chosen>, StartError> {
        let mut rng = fastrand::Rng::new();
        let me = Contact {
            id: RingId::random(&mut rng),
            incarnation: 1,
            addr: self.addr,
        };
        let (heard_tx, heard_rx) = unbounded();
        let node_key = NodeKey::generate().map_err(|error| StartError::Io(std::io::Error::other(error)))?;
        let links = Links::start(
            LinkSetup {
                me,
                node_key,
                ring_key: self.ring_key,
                known: KnownNodes::in_memory(),
                listener: None,
                sockets: self.sockets,
                settings: LinkSettings::default(),
            },
            Arc::new(Ear(heard_tx)),
        )?;
        let (timing, begun) = (Timing::default(), Instant::now());
        let members = Members::new(MAX_MEMBERS, timing.forget_after);
        // As many nodes may have been started together, none of which is in a ring yet: the first to lose patience
        // begins one, and the others find it.
        let patience = timing.form_after.mul_f64(1.0 + rng.f64());
        let mut visit = Visit {
            node: Node::new(me, timing, members, rng.u64(..), begun),
            has_met: false,
            complained: HashMap::new(),
            chosen: None,
        };
        let mut post = links.post();
        let mut next_meeting = begun;
        while !is_stopped() {
            let now = Instant::now();
            if now >= next_meeting {
                next_meeting = now + MEET_EVERY;
                let mut addrs = self.join.to_vec();
                rng.shuffle(&mut addrs);
                addrs
                    .into_iter()
                    .take(MEET_AT_ONCE)
                    .for_each(|addr| links.meet(addr));
            }
            visit.on_time(now, &mut post);
            let is_late = now >= begun + if visit.has_met { CHOOSE_WITHIN } else { patience };
            if is_late && visit.chosen.is_none() {
                visit.chosen = Some(Chosen {
                    id: RingId::random(&mut rng),
                    in_ring: false,
                });
            }
            if let Some(chosen) = visit.chosen {
                return Ok(Some(chosen));
            }
            let wait = visit.next_tick(now).min(CHECK_EVERY);
            match heard_rx.recv_timeout(wait) {
                Ok(heard) => {
                    let more = heard_rx.try_iter();
                    std::iter::once(heard)
                        .chain(more)
                        .for_each(|heard| visit.on_heard(heard));
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
        Ok(None)
    }
}

/// A visit under way.
struct Visit {
    node: Node,
    /// Until somebody was met there is nobody to ask, and the machine has not begun.
    has_met: bool,
    /// What was said last of each address.
    complained: HashMap<SocketAddr, String>,
    chosen: Option<Chosen>,
}

impl Visit {
    fn on_heard(&mut self, heard: Heard) {
        let now = Instant::now();
        match heard {
            Heard::Chord(from, message) => self.node.on_message(now, &from, message),
            Heard::Lost(contact) => self.node.on_lost(now, &contact),
            Heard::Met(_, Ok(contact)) => {
                self.node.on_found(now, contact);
                if !std::mem::replace(&mut self.has_met, true) {
                    self.node.start(now, Start::Choose);
                }
            }
            Heard::Met(addr, Err(why)) => {
                let words = why.to_string();
                if self.complained.get(&addr) != Some(&words) {
                    log::warn!("no ring node answers at {addr}: {words}; trying again");
                    self.complained.insert(addr, words);
                }
            }
        }
    }

    fn on_time(&mut self, now: Instant, post: &mut Post) {
        if self.has_met {
            self.node.on_tick(now);
        }
        for action in self.node.take_actions() {
            match action {
                Action::Send { to, message } => {
                    post.send(&to, message.kind(), |body| message.encode(body));
                }
                Action::Placed { id, in_ring } => self.chosen = Some(Chosen { id, in_ring }),
                // Nobody asks this node anything, and it has one life only.
                Action::Found { .. } | Action::Outlived { .. } => {}
            }
        }
        post.flush();
    }

    fn next_tick(&mut self, now: Instant) -> Duration {
        let next = self.node.next_tick().filter(|_| self.has_met);
        next.map_or(CHECK_EVERY, |next| next.saturating_duration_since(now))
    }
}

/// What the links tell the visitor.
enum Heard {
    Chord(Contact, ChordMessage),
    Lost(Contact),
    Met(SocketAddr, Result<Contact, Ending>),
}

/// The links' way to the visitor. Who has chosen hears nothing any more.
#[derive(Debug)]
struct Ear(Sender<Heard>);

impl Service for Ear {
    fn opened(&self, contact: &Contact, _version: u16) -> FrameHandler {
        let (heard, from) = (self.0.clone(), *contact);
        Box::new(move |frames, _post| {
            let chord = frames.filter(|frame| (kind::CHORD..kind::DATA).contains(&frame.kind));
            for frame in chord {
                match ChordMessage::decode(frame.kind, frame.body) {
                    Ok(Some(message)) => drop(heard.send(Heard::Chord(from, message))),
                    Ok(None) => {}
                    Err(error) => log::warn!("the ring node {from} sent a frame that was left out: {error}"),
                }
            }
        })
    }

    fn closed(&self, contact: &Contact, why: &Ending) {
        if why.means_dead() {
            let _ = self.0.send(Heard::Lost(*contact));
        }
    }

    fn met(&self, addr: SocketAddr, outcome: Result<Contact, Ending>) {
        let _ = self.0.send(Heard::Met(addr, outcome));
    }
}
