//! The simulated network: a queue of events and a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::ops::Range;
use std::time::Instant;

use super::host::{Host, at};
use crate::ring::contact::Contact;

/// Simulated microseconds since the beginning.
pub(crate) type Micros = u64;
/// One simulated millisecond.
pub(crate) const MILLI: Micros = 1_000;
/// One simulated second.
pub(crate) const SECOND: Micros = 1_000_000;

/// How bad the network is. Shares are of 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Faults {
    /// How long a message takes.
    pub(crate) delay: Range<Micros>,
    /// Share of messages that take up to ten times as long.
    pub(crate) slow: f64,
    /// Share of messages that never arrive.
    pub(crate) loss: f64,
    /// Share of messages that arrive twice.
    pub(crate) twice: f64,
    /// Whether messages between two nodes keep their order, as in one connection.
    pub(crate) in_order: bool,
    /// Whether a sender learns that its peer's process is gone, as from a reset connection.
    pub(crate) resets: bool,
    /// Whether what is lost breaks a connection: after a message between two nodes was lost, all later ones are,
    /// until both nodes have learned, after a while from this range, that the connection has broken. Whatever
    /// needs links that lose nothing needs this.
    pub(crate) breaks: Option<Range<Micros>>,
}

impl Faults {
    /// A network of one building.
    pub(crate) fn none() -> Self {
        Self {
            delay: 200..2 * MILLI,
            slow: 0.0,
            loss: 0.0,
            twice: 0.0,
            in_order: false,
            resets: true,
            breaks: None,
        }
    }
}

/// A place where a process runs, or not.
struct Place<H: Host> {
    host: Option<H>,
    stopped: bool,
    /// Messages reach only those of the same group.
    group: u8,
    /// What came while it was stopped.
    inbox: VecDeque<Input<H::Message>>,
    /// The tick that counts; others in the queue are left over.
    tick_at: Option<Micros>,
}

#[derive(Clone)]
enum Input<M> {
    Message(Contact, M),
    Lost(Contact),
    Found(Contact),
}

enum Event<M> {
    Arrive {
        to: Contact,
        input: Input<M>,
    },
    Tick {
        place: usize,
    },
    /// Both ends of a broken connection learn of it.
    Noticed {
        ends: [usize; 2],
    },
}

struct Queued<M> {
    at: Micros,
    number: u64,
    event: Event<M>,
}

impl<M> PartialEq for Queued<M> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<M> Eq for Queued<M> {}
impl<M> PartialOrd for Queued<M> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<M> Ord for Queued<M> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Places, network, and what is under way.
pub(crate) struct World<H: Host> {
    pub(crate) rng: fastrand::Rng,
    pub(crate) faults: Faults,
    /// Messages and their bytes that were sent, with 20 bytes for the frame of each.
    pub(crate) sent: (u64, u64),
    start: Instant,
    now: Micros,
    places: Vec<Place<H>>,
    /// Where each port is: contacts are found by their address.
    ports: BTreeMap<u16, usize>,
    queue: BinaryHeap<Reverse<Queued<H::Message>>>,
    numbers: u64,
    /// When the last message of each direction between two places arrives.
    last_arrival: BTreeMap<(usize, usize), Micros>,
    /// Connections that have broken, by their ends, the lesser first.
    broken: BTreeSet<[usize; 2]>,
    outgoing: Vec<(Contact, H::Message)>,
}

impl<H: Host> World<H> {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            faults,
            sent: (0, 0),
            start: Instant::now(),
            now: 0,
            places: Vec::new(),
            ports: BTreeMap::new(),
            queue: BinaryHeap::new(),
            numbers: 0,
            last_arrival: BTreeMap::new(),
            broken: BTreeSet::new(),
            outgoing: Vec::new(),
        }
    }

    /// Messages that have been sent and not been read, and their senders.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = (&Contact, &H::Message)> {
        let queued = self
            .queue
            .iter()
            .filter_map(|Reverse(queued)| match &queued.event {
                Event::Arrive { input, .. } => Some(input),
                _ => None,
            });
        let kept = self.places.iter().flat_map(|place| &place.inbox);
        queued.chain(kept).filter_map(|input| match input {
            Input::Message(from, message) => Some((from, message)),
            _ => None,
        })
    }

    /// The time as the machines see it.
    pub(crate) fn instant(&self) -> Instant {
        at(self.start, self.now)
    }

    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    /// How many places there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// An empty place whose process will be reached at `port`.
    pub(crate) fn add_place(&mut self, port: u16) -> usize {
        let place = self.places.len();
        self.places.push(Place {
            host: None,
            stopped: false,
            group: 0,
            inbox: VecDeque::new(),
            tick_at: None,
        });
        self.ports.insert(port, place);
        place
    }

    /// Starts a process.
    pub(crate) fn boot(&mut self, place: usize, host: H) {
        self.places[place].host = Some(host);
        self.places[place].stopped = false;
        self.places[place].inbox.clear();
        self.after(place);
    }

    /// Ends a process without a word. What it had sent may still arrive; where what is lost breaks connections, the
    /// last of it may be lost.
    pub(crate) fn kill(&mut self, place: usize) -> Option<H> {
        if self.faults.breaks.is_some() {
            self.lose_last_words(place);
        }
        let slot = &mut self.places[place];
        slot.inbox.clear();
        slot.tick_at = None;
        slot.stopped = false;
        let host = slot.host.take()?;
        if self.faults.resets {
            // Whoever has a connection learns of it; in doubt, everybody.
            let about = host.contact();
            for other in self.running().collect::<Vec<_>>() {
                if self.places[other].group == self.places[place].group {
                    self.carry(place, other, Input::Lost(about));
                }
            }
        }
        Some(host)
    }

    /// Stops a process; what comes waits.
    pub(crate) fn stop(&mut self, place: usize) {
        self.places[place].stopped = true;
    }

    pub(crate) fn is_stopped(&self, place: usize) -> bool {
        self.places[place].stopped
    }

    /// Lets a process go on. Whether it sees the time or the messages first is up to the seed.
    pub(crate) fn resume(&mut self, place: usize) {
        let time_first = self.rng.bool();
        let slot = &mut self.places[place];
        slot.stopped = false;
        let inbox = std::mem::take(&mut slot.inbox);
        let is_due = slot.tick_at.is_some_and(|tick_at| tick_at <= self.now);
        if time_first && is_due {
            self.tick(place);
        }
        for input in inbox {
            self.give(place, input);
        }
        if is_due {
            self.tick(place);
        }
    }

    /// Puts a place into a group; only messages inside a group arrive.
    pub(crate) fn set_group(&mut self, place: usize, group: u8) {
        self.places[place].group = group;
    }

    pub(crate) fn host(&self, place: usize) -> Option<&H> {
        self.places[place].host.as_ref()
    }

    /// Does something to a process, and sends what it wants sent.
    pub(crate) fn with<T>(&mut self, place: usize, act: impl FnOnce(&mut H, Instant) -> T) -> Option<T> {
        let now = self.instant();
        let done = self.places[place].host.as_mut().map(|host| act(host, now));
        self.after(place);
        done
    }

    /// The places where a process lives, stopped ones too.
    pub(crate) fn running(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.places.len()).filter(|&place| self.places[place].host.is_some())
    }

    /// The process at `from` reaches that at `to`, as by an address from its configuration.
    pub(crate) fn introduce(&mut self, from: usize, to: usize) {
        let Some(contact) = self.host(to).map(Host::contact) else {
            return;
        };
        if self.places[from].group == self.places[to].group && !self.places[to].stopped {
            self.carry(to, from, Input::Found(contact));
        }
    }

    /// Handles the next event that is due before `until`, and tells at which place; `None` when there is none,
    /// and then it is `until`.
    pub(crate) fn step(&mut self, until: Micros) -> Option<usize> {
        loop {
            if self.queue.peek().is_none_or(|Reverse(next)| next.at > until) {
                self.now = until;
                return None;
            }
            let Reverse(next) = self.queue.pop()?;
            self.now = next.at;
            let place = match next.event {
                Event::Tick { place } => {
                    let slot = &self.places[place];
                    if slot.tick_at != Some(next.at) || slot.stopped {
                        continue;
                    }
                    self.tick(place);
                    place
                }
                Event::Noticed { ends } => {
                    self.broken.remove(&ends);
                    self.notice(ends);
                    continue;
                }
                Event::Arrive { to, input } => match self.place_of(&to) {
                    Some(place) if self.places[place].stopped => {
                        self.places[place].inbox.push_back(input);
                        continue;
                    }
                    Some(place) => {
                        self.give(place, input);
                        place
                    }
                    None => continue,
                },
            };
            return Some(place);
        }
    }

    /// Where the process of just this contact runs.
    fn place_of(&self, contact: &Contact) -> Option<usize> {
        let &place = self.ports.get(&contact.addr.port())?;
        let host = self.places[place].host.as_ref()?;
        (host.contact() == *contact).then_some(place)
    }

    fn tick(&mut self, place: usize) {
        self.with(place, |host, now| host.on_tick(now));
    }

    fn give(&mut self, place: usize, input: Input<H::Message>) {
        self.with(place, |host, now| match input {
            Input::Message(from, message) => host.on_message(now, &from, message),
            Input::Lost(about) => host.on_lost(now, &about),
            Input::Found(contact) => host.on_found(now, &contact),
        });
    }

    /// Sends what a process wants sent, and sets its clock.
    fn after(&mut self, place: usize) {
        let Some(host) = self.places[place].host.as_mut() else {
            return;
        };
        let from = host.contact();
        let mut outgoing = std::mem::take(&mut self.outgoing);
        host.drain(&mut outgoing);
        let tick_at = host.next_tick().map(|tick| {
            // Upwards: a machine that is woken too early does nothing.
            let since = tick
                .saturating_duration_since(self.start)
                .as_nanos()
                .div_ceil(1000);
            Micros::try_from(since).unwrap_or(Micros::MAX).max(self.now)
        });
        if tick_at != self.places[place].tick_at {
            self.places[place].tick_at = tick_at;
            if let Some(tick_at) = tick_at {
                self.push(tick_at, Event::Tick { place });
            }
        }
        for (to, message) in outgoing.drain(..) {
            self.send(place, from, to, message);
        }
        self.outgoing = outgoing;
    }

    fn send(&mut self, place: usize, from: Contact, to: Contact, message: H::Message) {
        self.sent.0 += 1;
        self.sent.1 += 20 + H::size(&message) as u64;
        let Some(&target) = self.ports.get(&to.addr.port()) else {
            return;
        };
        let apart = self.places[place].group != self.places[target].group;
        if self.is_lost(place, target, apart) {
            return;
        }
        match self.places[target].host.as_ref().map(Host::contact) {
            Some(contact) if contact == to => {
                if self.rng.f64() < self.faults.twice {
                    self.carry(place, target, Input::Message(from, message.clone()));
                }
                self.carry(place, target, Input::Message(from, message));
            }
            // Nobody there, or another life: the connection is refused, or shows who lives there now.
            other => {
                if self.faults.resets {
                    self.carry(target, place, Input::Lost(to));
                }
                if let Some(contact) = other
                    && !self.places[target].stopped
                {
                    self.carry(target, place, Input::Found(contact));
                }
            }
        }
    }

    /// Whether a message goes nowhere: the network is parted, or the connection has broken.
    fn is_lost(&mut self, place: usize, target: usize, apart: bool) -> bool {
        if self.faults.breaks.is_none() {
            return apart;
        }
        if apart || self.rng.f64() < self.faults.loss {
            self.break_link(place, target);
        }
        self.broken.contains(&[place.min(target), place.max(target)])
    }

    /// Breaks the connection between two places, see [`Faults::breaks`].
    pub(crate) fn break_link(&mut self, one: usize, other: usize) {
        let ends = [one.min(other), one.max(other)];
        if let Some(within) = self.faults.breaks.clone()
            && self.broken.insert(ends)
        {
            let at = self.now + self.rng.u64(within);
            self.push(at, Event::Noticed { ends });
        }
    }

    /// Of what is under way from a place to each other, an end of random length never arrives.
    fn lose_last_words(&mut self, place: usize) {
        let Some(about) = self.host(place).map(Host::contact) else {
            return;
        };
        let cuts: Vec<Micros> = (0..self.places.len())
            .map(|_| self.now + self.rng.u64(0..=self.faults.delay.end))
            .collect();
        let ports = &self.ports;
        self.queue.retain(|Reverse(queued)| match &queued.event {
            Event::Arrive {
                to,
                input: Input::Message(from, _),
            } if *from == about => ports.get(&to.addr.port()).is_none_or(|&to| queued.at <= cuts[to]),
            _ => true,
        });
    }

    fn notice(&mut self, ends: [usize; 2]) {
        let contacts = ends.map(|place| self.host(place).map(Host::contact));
        let order = if self.rng.bool() { [0, 1] } else { [1, 0] };
        for end in order {
            if let (Some(_), Some(other)) = (contacts[end], contacts[1 - end]) {
                let input = Input::Lost(other);
                if self.places[ends[end]].stopped {
                    self.places[ends[end]].inbox.push_back(input);
                } else {
                    self.give(ends[end], input);
                }
            }
        }
    }

    /// Puts something on its way to the process that now runs at `to`.
    fn carry(&mut self, from: usize, to: usize, input: Input<H::Message>) {
        let Some(contact) = self.host(to).map(Host::contact) else {
            return;
        };
        if self.faults.breaks.is_none() && self.rng.f64() < self.faults.loss {
            return;
        }
        let mut delay = self.rng.u64(self.faults.delay.clone());
        if self.rng.f64() < self.faults.slow {
            delay *= self.rng.u64(2..=10);
        }
        let mut at = self.now + delay;
        if self.faults.in_order {
            let last = self.last_arrival.entry((from, to)).or_default();
            at = at.max(*last + 1);
            *last = at;
        }
        self.push(at, Event::Arrive { to: contact, input });
    }

    fn push(&mut self, at: Micros, event: Event<H::Message>) {
        self.numbers += 1;
        let number = self.numbers;
        self.queue.push(Reverse(Queued { at, number, event }));
    }
}
