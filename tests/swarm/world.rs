//! The simulated swarm: a queue of events and a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::host::{Host, Link, Manner, introduction, wire_bytes};
use crate::outcome::Outcome;
use dtorrent::geometry::{Block, Geometry};
use dtorrent::id::InfoHash;
use dtorrent::memory::BlockPool;
use dtorrent::metainfo::{FileEntry, Info, MetaVersion};
use dtorrent::peer::link::{CloseReason, PeerBatch, PeerInput, PeerKey};
use dtorrent::storage::layout::Layout;
use dtorrent::storage::task::{DiskResult, DiskTask};
use dtorrent::torrent::state::Action;
use dtorrent::wire::handshake::Direction;
use dtorrent::wire::message::Message;

/// Simulated microseconds since the beginning.
pub(crate) type Micros = u64;
/// One simulated millisecond.
pub(crate) const MILLI: Micros = 1_000;
/// One simulated second.
pub(crate) const SECOND: Micros = 1_000_000;

/// How often a machine is told the time.
const TICK: Micros = 500 * MILLI;

/// How long after something has come a thread has taken it in, with all else that came meanwhile.
const TURN: Micros = MILLI;

/// Peers that the tracker tells a newcomer of.
const TOLD: usize = 50;

/// What a swarm is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) pieces: u32,
    pub(crate) piece_length: u32,
    pub(crate) hosts: Vec<Manner>,
    pub(crate) max_connections: usize,
    /// How long a message takes, for each connection.
    pub(crate) delay: Range<Micros>,
    /// Whether all hosts are in one network of 256 addresses.
    pub(crate) in_one_net: bool,
    pub(crate) seed: u64,
    /// When to give up.
    pub(crate) until: Micros,
}

impl Plan {
    pub(crate) fn size(&self) -> u64 {
        u64::from(self.pieces) * u64::from(self.piece_length)
    }
}

enum Event {
    Join(usize),
    Leave(usize),
    Tick(usize),
    /// The thread takes in what has come.
    Turn(usize),
    /// A dial arrives.
    Dial {
        from: usize,
        to: SocketAddr,
    },
    Messages {
        to: usize,
        key: PeerKey,
        messages: Vec<Message>,
    },
    /// The sender's line is free again; the block arrives later.
    Sent {
        by: usize,
        key: PeerKey,
        block: Block,
    },
    Block {
        to: usize,
        key: PeerKey,
        block: Block,
    },
    Closed {
        to: usize,
        key: PeerKey,
    },
}

struct Due {
    at: Micros,
    number: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// A swarm.
pub(crate) struct World {
    plan: Plan,
    info: Arc<Info>,
    hosts: Vec<Host>,
    by_addr: BTreeMap<SocketAddr, usize>,
    events: BinaryHeap<Reverse<Due>>,
    now: Micros,
    start: Instant,
    next_key: u64,
    next_event: u64,
    pool: Arc<BlockPool>,
    rng: fastrand::Rng,
    /// Hosts that shall get everything and have not.
    waiting: usize,
    /// Blocks that a seed has sent.
    first_copies: HashSet<Block>,
    /// When each had been sent once.
    once: Option<Micros>,
}

impl World {
    /// Plays a swarm until everybody who stays has everything, or the time is over.
    pub(crate) fn play(plan: Plan) -> Outcome {
        let mut world = Self::new(plan);
        while let Some(Reverse(due)) = world.events.pop() {
            if world.waiting == 0 || due.at > world.plan.until {
                break;
            }
            world.now = due.at;
            world.on_event(due.event);
        }
        Outcome::new(&world.plan, &world.hosts, world.once, world.now)
    }

    fn new(plan: Plan) -> Self {
        let info = Arc::new(info_of(&plan));
        let layout = Arc::new(Layout::new(&info));
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        let hosts: Vec<_> = (0..plan.hosts.len())
            .map(|number| Host::new(&plan, number, &info, &layout, rng.u64(..)))
            .collect();
        let stays = |host: &&Host| {
            let manner = &host.manner;
            !manner.is_seed && manner.leaves.is_none() && manner.leaves_after_bytes.is_none()
        };
        let mut world = Self {
            by_addr: (0..)
                .zip(&hosts)
                .map(|(number, host)| (host.addr, number))
                .collect(),
            waiting: hosts.iter().filter(stays).count(),
            hosts,
            info,
            plan,
            events: BinaryHeap::new(),
            now: 0,
            start: Instant::now(),
            next_key: 0,
            next_event: 0,
            pool: BlockPool::new(1 << 16),
            rng,
            first_copies: HashSet::new(),
            once: None,
        };
        for number in 0..world.hosts.len() {
            let joins = world.hosts[number].manner.joins;
            world.after(joins, Event::Join(number));
            if let Some(leaves) = world.hosts[number].manner.leaves {
                world.after(leaves, Event::Leave(number));
            }
        }
        world
    }

    fn after(&mut self, span: Micros, event: Event) {
        self.next_event += 1;
        self.events.push(Reverse(Due {
            at: self.now + span,
            number: self.next_event,
            event,
        }));
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_micros(self.now)
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Join(host) => self.join(host),
            Event::Leave(host) => self.leave(host),
            Event::Tick(host) => self.tick(host),
            Event::Turn(host) => self.turn(host),
            Event::Dial { from, to } => self.dial(from, to),
            Event::Messages { to, key, messages } => {
                let inputs = messages.into_iter().map(PeerInput::Message).collect();
                self.arrive(to, key, inputs, None);
            }
            Event::Sent { by, key, block } => self.sent(by, key, block),
            Event::Block { to, key, block } => {
                self.hosts[to].received += u64::from(block.length);
                let data = self.pool.buffer(block.length);
                let input = PeerInput::Block {
                    piece: block.piece.0,
                    begin: block.begin,
                    data,
                };
                self.arrive(to, key, vec![input], None);
            }
            Event::Closed { to, key } => self.arrive(to, key, Vec::new(), Some(CloseReason::ByPeer)),
        }
    }

    // Coming and going.

    fn join(&mut self, number: usize) {
        let mut here: Vec<_> = self
            .hosts
            .iter()
            .filter(|host| host.is_here)
            .map(|host| host.addr)
            .collect();
        self.rng.shuffle(&mut here);
        here.truncate(TOLD);
        let now = self.instant();
        let host = &mut self.hosts[number];
        host.is_here = true;
        host.torrent.on_peers_found(now, here);
        self.wake(number);
        let first_tick = self.rng.u64(..TICK);
        self.after(first_tick, Event::Tick(number));
    }

    fn leave(&mut self, number: usize) {
        let now = self.instant();
        let host = &mut self.hosts[number];
        if host.is_here {
            host.torrent.stop(now);
            self.turn(number);
            self.hosts[number].is_here = false;
        }
    }

    fn dial(&mut self, from: usize, addr: SocketAddr) {
        let now = self.instant();
        let to = self.by_addr[&addr];
        if !self.hosts[from].is_here {
            return;
        }
        self.wake(from);
        self.wake(to);
        let caller = introduction(&self.hosts[from], from, Direction::Incoming, &self.info);
        let called = introduction(&self.hosts[to], to, Direction::Outgoing, &self.info);
        if !self.hosts[to].is_here {
            return self.hosts[from].torrent.on_dial_failed(now, addr, false);
        }
        let Ok(here) = self.hosts[from].torrent.admit(now, &called) else {
            return;
        };
        let Ok(there) = self.hosts[to].torrent.admit(now, &caller) else {
            return self.hosts[from].torrent.on_dial_failed(now, addr, false);
        };
        let (from_key, to_key) = (PeerKey(self.next_key), PeerKey(self.next_key + 1));
        self.next_key += 2;
        let delay = self.rng.u64(self.plan.delay.clone());
        for (host, key, session, other, other_key) in [
            (from, from_key, here, to, to_key),
            (to, to_key, there, from, from_key),
        ] {
            let link = Link::new(other, other_key, delay);
            let host = &mut self.hosts[host];
            host.torrent
                .on_joined(now, key, session, Arc::clone(&link.counters));
            host.links.insert(key, link);
        }
    }

    // The threads of a host.

    fn wake(&mut self, number: usize) {
        if !self.hosts[number].is_awake {
            self.hosts[number].is_awake = true;
            self.after(TURN, Event::Turn(number));
        }
    }

    fn tick(&mut self, number: usize) {
        let now = self.instant();
        let host = &mut self.hosts[number];
        if host.is_here {
            host.torrent.on_tick(now);
            self.turn(number);
            self.after(TICK, Event::Tick(number));
        }
    }

    fn arrive(&mut self, to: usize, key: PeerKey, inputs: Vec<PeerInput>, closed: Option<CloseReason>) {
        let at = self.instant();
        let host = &mut self.hosts[to];
        // What was on its way when the connection was closed from this end is lost.
        if host.links.contains_key(&key) {
            let batch = PeerBatch {
                peer: key,
                at,
                inputs,
                closed,
            };
            host.torrent.on_batch(at, batch);
            self.wake(to);
        }
    }

    fn turn(&mut self, number: usize) {
        self.hosts[number].is_awake = false;
        let now = self.instant();
        loop {
            let actions = self.hosts[number].torrent.end_turn(now);
            let mut disk_was_asked = false;
            for action in actions {
                disk_was_asked |= matches!(action, Action::Disk(_));
                self.act(number, action);
            }
            // The disk has answered by now.
            if !disk_was_asked {
                break;
            }
        }
        self.send(number);
        self.look_if_done(number);
    }

    fn act(&mut self, number: usize, action: Action) {
        match action {
            Action::Tell(key, command) => {
                let messages = self.hosts[number].tell(key, command);
                self.say(number, key, messages);
            }
            Action::Close(key, _) => {
                if let Some(link) = self.hosts[number].links.remove(&key) {
                    let at = link.arrival.max(self.now + link.delay);
                    let (to, key) = (link.to, link.to_key);
                    self.after(at - self.now, Event::Closed { to, key });
                }
            }
            Action::Dial(to) => {
                // There and back for TCP, and there with the handshake.
                let took = 3 * self.rng.u64(self.plan.delay.clone());
                self.after(took, Event::Dial { from: number, to });
            }
            Action::Disk(task) => {
                let result = match task {
                    DiskTask::WritePiece { piece, .. } => DiskResult::Written { piece, digests: None },
                    DiskTask::Prepare { .. } => DiskResult::Prepared { has_claimed: true },
                    _ => unreachable!("nothing is checked or spilled here"),
                };
                let now = self.instant();
                self.hosts[number].torrent.on_disk(now, result);
            }
            Action::PieceDone { piece, .. } => {
                let keys: Vec<_> = self.hosts[number].links.keys().copied().collect();
                for key in keys {
                    self.say(number, key, vec![Message::Have(piece.0)]);
                }
            }
            Action::Checked | Action::Finished => {}
            Action::Halted(message) => panic!("host {number} has halted: {message}"),
        }
    }

    fn look_if_done(&mut self, number: usize) {
        let host = &mut self.hosts[number];
        if !host.manner.is_seed && host.done.is_none() && host.torrent.is_complete() {
            host.done = Some(self.now);
            let manner = &host.manner;
            if manner.leaves.is_none() && manner.leaves_after_bytes.is_none() {
                self.waiting -= 1;
            }
            if manner.leaves_when_done {
                self.after(0, Event::Leave(number));
            }
        }
    }

    // The lines.

    fn say(&mut self, number: usize, key: PeerKey, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let now = self.now;
        let Some(link) = self.hosts[number].links.get_mut(&key) else {
            return;
        };
        link.arrival = link.arrival.max(now + link.delay);
        let (to, key, span) = (link.to, link.to_key, link.arrival - now);
        self.after(span, Event::Messages { to, key, messages });
    }

    /// Sends the next block, if the line is free.
    fn send(&mut self, by: usize) {
        let host = &mut self.hosts[by];
        if !host.is_sending
            && let Some((key, block)) = host.next_upload()
        {
            host.is_sending = true;
            let took = time_for(wire_bytes(block), host.manner.up);
            self.after(took, Event::Sent { by, key, block });
        }
    }

    fn sent(&mut self, by: usize, key: PeerKey, block: Block) {
        let now = self.now;
        let host = &mut self.hosts[by];
        host.is_sending = false;
        host.upload_sent(key, block);
        if host.manner.is_seed && self.once.is_none() {
            self.first_copies.insert(block);
            let length = u64::from(block.length);
            if self.first_copies.len() as u64 * length == self.plan.size() {
                self.once = Some(now);
            }
        }
        let has_sent_enough = host
            .manner
            .leaves_after_bytes
            .is_some_and(|most| host.sent >= most);
        if let Some(link) = host.links.get_mut(&key) {
            let (to, to_key, first_bit) = (link.to, link.to_key, link.arrival.max(now + link.delay));
            let receiver = &mut self.hosts[to];
            let took = time_for(wire_bytes(block), receiver.manner.down);
            // Its line is free when all that came before is through; if it was idle, it took the block in while
            // that was sent.
            receiver.received_until = (receiver.received_until + took).max(first_bit);
            let at = receiver.received_until;
            if let Some(link) = self.hosts[by].links.get_mut(&key) {
                link.arrival = at;
            }
            self.after(
                at - now,
                Event::Block {
                    to,
                    key: to_key,
                    block,
                },
            );
        }
        if has_sent_enough {
            self.leave(by);
        } else {
            self.send(by);
        }
    }
}

fn time_for(bytes: u64, rate: u64) -> Micros {
    bytes * SECOND / rate
}

/// A torrent of one file whose content nobody looks at.
fn info_of(plan: &Plan) -> Info {
    Info {
        info_hash: InfoHash::new([plan.seed as u8; 20]),
        version: MetaVersion::V1,
        name: "simulated".into(),
        geometry: Geometry::new(plan.size(), plan.piece_length).expect("a swarm has pieces"),
        piece_hashes: vec![[0; 20]; plan.pieces as usize],
        files: vec![FileEntry {
            path: vec!["simulated".into()],
            length: plan.size(),
            padding: false,
        }],
        multi_file: false,
        private: false,
        raw: Arc::default(),
    }
}
