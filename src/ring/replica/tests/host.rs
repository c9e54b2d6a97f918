//! One node in the simulated network.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ring::chord::ChordMessage;
use crate::ring::codec::Writer;
use crate::ring::contact::Contact;
use crate::ring::data::{Addressee, DataMessage};
use crate::ring::members::Members;
use crate::ring::node::{self, Node, Start};
use crate::ring::replica::custody::{self, Custody};
use crate::ring::replica::keeper::{Keeper, TICK};
use crate::ring::replica::outbox::{Now, Origin, Outbox, Reply, Report};
use crate::ring::replica::router::{self, Failure, HEARD_WITHIN, Question, Router};
use crate::ring::replica::view::CustodyView;
use crate::ring::sim::host::Host;
use crate::ring::timing::Timing;
use crate::tracker::swarm::{SHARDS, Settings, shard_of};

/// What goes over a link.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    Chord(ChordMessage),
    Data(DataMessage),
}

/// A node.
pub(super) struct DataHost {
    pub(super) node: Node,
    pub(super) custody: Custody,
    pub(super) keepers: Vec<Keeper>,
    pub(super) router: Router,
    /// Answers to its clients.
    pub(super) done: Vec<(u64, Result<Reply, Failure>)>,
    /// Whether the custody has said that the node may go.
    pub(super) gone: bool,
    rng: fastrand::Rng,
    began: Instant,
    /// This machine's time of day when the simulation began: clocks differ.
    unix_ms: u64,
    next_tick: Instant,
    ring_epoch: u64,
    /// What is under way between the threads of the node: views to keepers, reports to the custody.
    views: VecDeque<(usize, Arc<CustodyView>)>,
    reports: VecDeque<Report>,
    out: Outbox,
    sends: Vec<(Contact, Message)>,
}

impl DataHost {
    pub(super) fn start(
        began: Instant,
        now: Instant,
        me: Contact,
        members: Members,
        settings: Settings,
        how: Start,
    ) -> Self {
        let [a, b, ..] = *me.id.as_bytes();
        let seed = me.incarnation << 16 | u64::from(a) << 8 | u64::from(b);
        let mut rng = fastrand::Rng::with_seed(seed);
        let [c, d, e, f, ..] = *me.id.as_bytes();
        let settings = Settings {
            node: u32::from_be_bytes([c, d, e, f]),
            ..settings
        };
        let keepers = (0..SHARDS as u8).map(|index| Keeper::new(me, index, now, settings, rng.u64(..)));
        let keepers = keepers.collect();
        // This machine's time of day when the simulation began.
        let unix_ms = 1_700_000_000_000 + rng.u64(0..5_000);
        let time_of_day = Now {
            at: now,
            unix_ms: unix_ms + now.duration_since(began).as_millis() as u64,
        };
        let mut host = Self {
            node: Node::new(me, Timing::default(), members, seed, now),
            custody: Custody::new(now, me),
            keepers,
            router: Router::new(time_of_day, me, seed),
            done: Vec::new(),
            gone: false,
            unix_ms,
            rng,
            began,
            next_tick: now,
            ring_epoch: u64::MAX,
            views: VecDeque::new(),
            reports: VecDeque::new(),
            out: Outbox::default(),
            sends: Vec::new(),
        };
        host.node.start(now, how);
        host.settle(now);
        host
    }

    pub(super) fn ask(&mut self, now: Instant, request: u64, question: Question) {
        self.router.ask(now, request, question);
        self.settle(now);
    }

    pub(super) fn leave(&mut self, now: Instant) {
        self.custody.leave(now);
        self.settle(now);
    }

    fn now(&self, at: Instant) -> Now {
        Now {
            at,
            unix_ms: self.unix_ms + at.duration_since(self.began).as_millis() as u64,
        }
    }

    /// Lets the machines of the node talk until they have nothing to say, or some of it only: threads take turns as
    /// they like.
    fn settle(&mut self, at: Instant) {
        let now = self.now(at);
        loop {
            self.out.flush();
            let sends = self.out.sends.drain(..);
            self.sends
                .extend(sends.map(|(to, message)| (to, Message::Data(message))));
            self.reports.extend(self.out.reports.drain(..));
            let replies = std::mem::take(&mut self.out.replies);
            for (request, reply) in replies {
                let me = self.node.me();
                self.router.on_reply(at, &me, request, reply);
            }
            let moved = self.node_speaks(at) | self.custody_speaks() | self.router_speaks(now);
            if !self.reports.is_empty() && self.rng.u8(..4) > 0 {
                for report in self.reports.drain(..) {
                    self.custody.on_report(at, report);
                }
                continue;
            }
            if !self.views.is_empty() && self.rng.u8(..8) > 0 {
                if let Some((shard, view)) = self.views.pop_front() {
                    self.keepers[shard].set_view(now, view, &mut self.out);
                }
                continue;
            }
            if !moved && self.out.sends.is_empty() && self.out.replies.is_empty() {
                return;
            }
        }
    }

    fn node_speaks(&mut self, now: Instant) -> bool {
        let actions = self.node.take_actions();
        let moved = !actions.is_empty();
        for action in actions {
            match action {
                node::Action::Send { to, message } => self.sends.push((to, Message::Chord(message))),
                node::Action::Found { result, .. } => {
                    if let Some(owner) = result.ok().and_then(|found| found.owners.first().copied()) {
                        self.router.on_found(owner.contact);
                    }
                }
                node::Action::Placed { .. } => {}
                node::Action::Outlived { incarnation } => {
                    panic!("{} was told of its life {incarnation}", self.node.me());
                }
            }
        }
        let view = self.node.view();
        if view.epoch != self.ring_epoch {
            self.ring_epoch = view.epoch;
            self.custody.on_ring(now, view);
            let near = view.preds.iter().chain(&view.succ);
            self.router.learn(near.map(|near| near.contact));
            return true;
        }
        moved
    }

    fn custody_speaks(&mut self) -> bool {
        let actions = self.custody.take_actions();
        let moved = !actions.is_empty();
        for action in actions {
            match action {
                custody::Action::Send(to, message) => self.sends.push((to, Message::Data(message))),
                custody::Action::Publish(view) => {
                    let mut order: Vec<usize> = (0..SHARDS).collect();
                    self.rng.shuffle(&mut order);
                    self.views
                        .extend(order.into_iter().map(|shard| (shard, Arc::clone(&view))));
                }
                custody::Action::Serving(serving) => self.node.set_serving(serving),
                custody::Action::Gone => {
                    self.gone = true;
                    self.node.leave();
                }
            }
        }
        moved
    }

    fn router_speaks(&mut self, now: Now) -> bool {
        let actions = self.router.take_actions();
        let moved = !actions.is_empty();
        for action in actions {
            match action {
                router::Action::Send(to, message) => self.sends.push((to, Message::Data(message))),
                router::Action::Local {
                    request,
                    question,
                    from_copy,
                } => {
                    let origin = Origin::Local { request };
                    let keeper = &mut self.keepers[shard_of(&question.info_hash())];
                    match question {
                        Question::Announce(announce) => {
                            keeper.announce(now, origin, &announce, &mut self.out);
                        }
                        Question::Scrape(hash) => keeper.scrape(now, origin, &hash, from_copy, &mut self.out),
                    }
                }
                router::Action::Lookup(key) => self.node.lookup(now.at, 0, key),
                router::Action::Done { request, result } => self.done.push((request, result)),
            }
        }
        moved
    }
}

impl Host for DataHost {
    type Message = Message;

    fn contact(&self) -> Contact {
        self.node.me()
    }

    fn on_message(&mut self, at: Instant, from: &Contact, message: Message) {
        let now = self.now(at);
        match message {
            Message::Chord(message) => self.node.on_message(at, from, message),
            Message::Data(message) => match message.addressee() {
                Addressee::Keeper(shard) => self.keepers[shard].on_message(now, from, message, &mut self.out),
                Addressee::Custody => self.custody.on_message(at, from, &message),
                Addressee::Router(_) => {
                    if let Some((request, reply)) = Reply::from_message(message) {
                        self.router.on_reply(at, from, request, reply);
                    }
                }
            },
        }
        self.settle(at);
    }

    fn on_lost(&mut self, at: Instant, contact: &Contact) {
        let now = self.now(at);
        self.node.on_lost(at, contact);
        self.custody.on_lost(at, contact);
        self.router.on_lost(at, contact);
        for keeper in &mut self.keepers {
            keeper.on_lost(now, contact, &mut self.out);
        }
        self.settle(at);
    }

    fn on_found(&mut self, now: Instant, contact: &Contact) {
        self.node.on_found(now, *contact);
        self.settle(now);
    }

    fn on_tick(&mut self, at: Instant) {
        let now = self.now(at);
        self.node.on_tick(at);
        self.router.on_tick(at);
        if self.next_tick <= at {
            self.next_tick = at + TICK;
            let members: Vec<Contact> = self.node.members().iter(at).map(|heard| heard.contact).collect();
            let lately: Vec<Contact> = self.node.members().lately(at, HEARD_WITHIN).collect();
            self.router.on_members(&lately);
            self.custody.on_members(&members);
            self.custody.on_tick(at);
            for keeper in &mut self.keepers {
                keeper.on_tick(now, &mut self.out);
            }
        }
        self.settle(at);
    }

    fn next_tick(&mut self) -> Option<Instant> {
        let ticks = [
            self.node.next_tick(),
            self.router.next_tick(),
            Some(self.next_tick),
        ];
        ticks.into_iter().flatten().min()
    }

    fn drain(&mut self, out: &mut Vec<(Contact, Message)>) {
        for (_, message) in &self.sends {
            if let Message::Data(message) = message {
                assert_eq!(
                    recode(message).as_ref(),
                    Some(message),
                    "what is sent can be read"
                );
            }
        }
        out.append(&mut self.sends);
    }

    fn size(message: &Message) -> usize {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        match message {
            Message::Chord(message) => message.encode(&mut writer),
            Message::Data(message) => message.encode(&mut writer),
        }
        bytes.len()
    }
}

fn recode(message: &DataMessage) -> Option<DataMessage> {
    let mut bytes = Vec::new();
    message.encode(&mut Writer::new(&mut bytes));
    DataMessage::decode(message.kind(), &bytes).ok()?
}

/// How long a client waits at least between two announces of one peer, in the simulation.
pub(super) const BREATH: Duration = Duration::from_millis(300);
