//! A small world around one [`Torrent`]: peers that answer what they are told, a disk in memory, and a clock
//! that a test moves. After every step the invariants that all parts share are checked.

mod disk;
mod peers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bitfield::Bitfield;
use crate::choker::Slots;
use crate::geometry::{BLOCK_LENGTH, Block, Geometry, PieceIndex};
use crate::id::PeerId;
use crate::memory::{BlockPool, Budget};
use crate::metainfo::Info;
use crate::peer::link::{CloseReason, PeerBatch, PeerInput, PeerKey};
use crate::storage::layout::Layout;
use crate::storage::task::DiskTask;
use crate::torrent::fixture::{content, info_of_files};
use crate::torrent::state::{Action, Settings, Start, Torrent};
use crate::wire::handshake::{Direction, Handshake, Introduction};
use crate::wire::message::Message;

pub(super) use disk::Disk;
pub(super) use peers::{FakePeer, HONEST, Manner};

/// How far the clock goes in one step; a tick falls on every fifth.
pub(super) const STEP: Duration = Duration::from_millis(100);
const STEPS_A_TICK: u64 = 5;

/// Our own id in these tests, neither the smallest nor the greatest.
pub(super) fn own_id() -> PeerId {
    PeerId::new([128; 20])
}

pub(super) fn addr(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, number], 6881))
}

/// A peer whose handshake has just come.
pub(super) fn introduced(addr: SocketAddr, id: [u8; 20], direction: Direction, fast: bool) -> Introduction {
    let mut handshake = Handshake::ours(info_of_files(16_384, &[1]).info_hash, PeerId::new(id));
    if !fast {
        handshake.reserved = [0; 8];
    }
    Introduction {
        addr,
        direction,
        handshake,
    }
}

/// What a world is made of.
pub(super) struct Plan {
    pub(super) piece_length: u32,
    pub(super) files: Vec<u64>,
    pub(super) budget_mib: usize,
    pub(super) settings: Settings,
    pub(super) have: Vec<u32>,
    pub(super) to_check: Vec<u32>,
    pub(super) sequential: bool,
    pub(super) seed: u64,
}

impl Default for Plan {
    /// Twenty pieces of two blocks.
    fn default() -> Self {
        Self {
            piece_length: 2 * BLOCK_LENGTH,
            files: vec![u64::from(BLOCK_LENGTH) * 40],
            budget_mib: 16,
            settings: Settings {
                active_peers: 0,
                upload_slots: Slots::Fixed(4),
                max_connections: 50,
                listen_port: 6881,
                fetch: true,
            },
            have: Vec::new(),
            to_check: Vec::new(),
            sequential: false,
            seed: 7,
        }
    }
}

/// A torrent and all around it.
pub(super) struct World {
    pub(super) torrent: Torrent,
    pub(super) info: Arc<Info>,
    pub(super) budget: Arc<Budget>,
    pub(super) peers: BTreeMap<PeerKey, FakePeer>,
    pub(super) disk: Disk,
    pub(super) now: Instant,
    pub(super) rng: fastrand::Rng,
    content: Vec<u8>,
    pool: Arc<BlockPool>,
    steps: u64,
    /// Credits that somebody else holds.
    pub(super) foreign_credits: usize,
    /// What the machine did, for the story to look at.
    pub(super) have_told: u32,
    pub(super) pieces_done: Vec<PieceIndex>,
    pub(super) finished: usize,
    pub(super) checked: usize,
    pub(super) halted: Vec<String>,
    pub(super) dials: Vec<SocketAddr>,
    pub(super) closed: BTreeMap<PeerKey, CloseReason>,
    /// Peers that never send anything wrong.
    pub(super) honest: Vec<PeerKey>,
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let info = Arc::new(info_of_files(plan.piece_length, &plan.files));
        let count = info.geometry.piece_count();
        let content = content(info.geometry.total_length() as usize);
        let budget = Arc::new(Budget::of_mib(plan.budget_mib));
        let have = bits(count, plan.have.iter().copied());
        let mut image = vec![0; content.len()];
        for piece in have.iter().chain(plan.to_check.iter().copied().map(PieceIndex)) {
            let at = info.geometry.piece_offset(piece) as usize;
            let bytes = at..at + info.geometry.piece_size(piece) as usize;
            image[bytes.clone()].copy_from_slice(&content[bytes]);
        }
        let torrent = Torrent::new(Start {
            layout: Arc::new(Layout::new(&info)),
            info: Arc::clone(&info),
            own_id: own_id(),
            have,
            to_check: plan.to_check.into_iter().map(PieceIndex).collect(),
            priorities: Vec::new(),
            sequential: plan.sequential,
            tally: Default::default(),
            settings: plan.settings,
            budget: Arc::clone(&budget),
            seed: plan.seed,
        });
        Self {
            torrent,
            info,
            budget,
            peers: BTreeMap::new(),
            disk: Disk {
                image,
                queue: VecDeque::new(),
                speed: usize::MAX,
                reorders: false,
                full: false,
                fails_one_in: None,
                forgets: false,
                unreadable: None,
                prepared: 0,
            },
            now: Instant::now(),
            rng: fastrand::Rng::with_seed(plan.seed),
            content,
            pool: BlockPool::new(64),
            steps: 0,
            foreign_credits: 0,
            have_told: 0,
            pieces_done: Vec::new(),
            finished: 0,
            checked: 0,
            halted: Vec::new(),
            dials: Vec::new(),
            closed: BTreeMap::new(),
            honest: Vec::new(),
        }
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.info.geometry
    }

    pub(super) fn all(&self) -> Bitfield {
        Bitfield::full(self.geometry().piece_count())
    }

    // Peers.

    /// A peer at 127.0.0.`number` joins with these pieces; its key is the number.
    pub(super) fn join_with(&mut self, number: u8, manner: Manner, has: Bitfield) -> PeerKey {
        let key = PeerKey(number.into());
        assert!(self.join_as(key, number, manner, has), "it is welcome");
        key
    }

    /// A peer at 127.0.0.`number` comes; says whether it was let in.
    pub(super) fn join_as(&mut self, key: PeerKey, number: u8, manner: Manner, has: Bitfield) -> bool {
        let introduced = introduced(addr(number), [number; 20], Direction::Incoming, manner.fast);
        let Ok(session) = self.torrent.admit(self.now, &introduced) else {
            return false;
        };
        if manner.corrupts.is_none() {
            self.honest.push(key);
        }
        let mut peer = FakePeer::new(manner, has);
        self.torrent
            .on_joined(self.now, key, session, Arc::clone(&peer.counters));
        peer.say(Message::Bitfield(peer.has.as_bytes().into()));
        self.peers.insert(key, peer);
        true
    }

    /// A seed joins.
    pub(super) fn join(&mut self, number: u8, manner: Manner) -> PeerKey {
        self.join_with(number, manner, self.all())
    }

    pub(super) fn peer(&mut self, key: PeerKey) -> &mut FakePeer {
        self.peers.get_mut(&key).unwrap()
    }

    pub(super) fn say(&mut self, key: PeerKey, message: Message) {
        self.peer(key).say(message);
    }

    /// The peer's connection ends.
    pub(super) fn leave(&mut self, key: PeerKey) {
        self.leave_for(key, CloseReason::ByPeer);
    }

    /// The peer's connection ends for this reason.
    pub(super) fn leave_for(&mut self, key: PeerKey, reason: CloseReason) {
        self.peers.remove(&key);
        self.batch(key, Vec::new(), Some(reason));
    }

    fn batch(&mut self, peer: PeerKey, inputs: Vec<PeerInput>, closed: Option<CloseReason>) {
        let at = self.now;
        self.torrent.on_batch(
            at,
            PeerBatch {
                peer,
                at,
                inputs,
                closed,
            },
        );
    }

    /// A block as a peer sends it: right, or with its first byte changed.
    pub(super) fn block_of(&self, block: Block, wrong: bool) -> PeerInput {
        let at = self.geometry().piece_offset(block.piece) as usize + block.begin as usize;
        let mut data = self.pool.buffer(block.length);
        data.copy_from_slice(&self.content[at..at + block.length as usize]);
        data[0] ^= u8::from(wrong);
        PeerInput::Block {
            piece: block.piece.0,
            begin: block.begin,
            data,
        }
    }

    /// The peer sends this block, asked or not.
    pub(super) fn send_block(&mut self, key: PeerKey, block: Block) {
        let input = self.block_of(block, false);
        self.batch(key, vec![input], None);
    }

    fn let_peers_speak(&mut self) {
        let keys: Vec<_> = self.peers.keys().copied().collect();
        for key in keys {
            let steps = self.steps;
            let Some(peer) = self.peers.get_mut(&key) else {
                continue;
            };
            if peer
                .manner
                .chokes_every
                .is_some_and(|every| steps.is_multiple_of(every))
            {
                let choke = !peer.choking;
                peer.set_choking(choke);
            }
            let mut inputs = std::mem::take(&mut peer.says);
            if steps.is_multiple_of(peer.manner.sends_every) {
                let many = peer.manner.speed.min(peer.asked.len());
                let arrive = steps + peer.manner.travels;
                let sent = peer.asked.drain(..many).map(|block| (arrive, block));
                peer.travelling.extend(sent);
                peer.sent += many;
            }
            let here = peer.travelling.partition_point(|(arrive, _)| *arrive <= steps);
            let answered: Vec<_> = peer.travelling.drain(..here).map(|(_, block)| block).collect();
            let leaves = peer.manner.leaves_after.is_some_and(|most| peer.sent >= most);
            let corrupts = peer.manner.corrupts;
            for block in answered {
                let number = self.geometry().piece_offset(block.piece) as u32 / BLOCK_LENGTH
                    + block.begin / BLOCK_LENGTH;
                inputs.push(self.block_of(block, corrupts.is_some_and(|every| number.is_multiple_of(every))));
            }
            self.batch(key, inputs, None);
            if leaves {
                self.leave(key);
            }
        }
    }

    // The disk.

    fn let_disk_work(&mut self) {
        for _ in 0..self.disk.speed.min(self.disk.queue.len()) {
            let at = if self.disk.reorders {
                self.rng.usize(..self.disk.queue.len())
            } else {
                0
            };
            let Some(task) = self.disk.queue.remove(at) else {
                return;
            };
            let result = self.disk.perform(self.info.geometry, &mut self.rng, task);
            self.torrent.on_disk(self.now, result);
        }
    }

    // Time.

    /// A tenth of a second goes by.
    pub(super) fn step(&mut self) {
        self.steps += 1;
        self.now += STEP;
        self.let_peers_speak();
        self.let_disk_work();
        if self.steps.is_multiple_of(STEPS_A_TICK) {
            self.torrent.on_tick(self.now);
        }
        self.end_turn();
    }

    pub(super) fn steps(&mut self, count: usize) {
        (0..count).for_each(|_| self.step());
    }

    /// The clock goes on until something holds; fails after ten minutes.
    pub(super) fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        for _ in 0..6_000 {
            if holds(self) {
                return;
            }
            self.step();
        }
        panic!(
            "{what} did not happen: {:?}, {} at the disk",
            self.torrent.status(),
            self.disk.queue.len()
        );
    }

    /// Goes on until all that is wanted is there, and looks whether all of it is right.
    pub(super) fn finish(&mut self) {
        self.until("the end of the download", |world| {
            world.torrent.is_complete() && !world.torrent.awaits_disk()
        });
        assert_eq!(
            self.budget.taken(),
            self.foreign_credits,
            "all credits are free at the end"
        );
        for piece in self.torrent.have().iter() {
            assert!(self.is_right(piece), "piece {piece} counts and is wrong");
        }
    }

    pub(super) fn end_turn(&mut self) {
        for action in self.torrent.end_turn(self.now) {
            self.act(action);
        }
        self.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Tell(key, command) => {
                if let Some(peer) = self.peers.get_mut(&key) {
                    peer.hear(command);
                }
            }
            Action::Close(key, reason) => {
                self.peers.remove(&key);
                assert!(
                    self.closed.insert(key, reason).is_none(),
                    "{key} was closed twice"
                );
            }
            Action::Dial(addr) => self.dials.push(addr),
            Action::Disk(task) => self.disk.queue.push_back(task),
            Action::PieceDone { piece, have } => {
                assert!(self.is_right(piece), "piece {piece} counts and is wrong");
                assert!(have > self.have_told, "each piece that is told counts one more");
                self.have_told = have;
                self.pieces_done.push(piece);
            }
            Action::Checked => self.checked += 1,
            Action::Finished => self.finished += 1,
            Action::Halted(message) => self.halted.push(message),
        }
    }

    // What must hold at any time.

    fn is_right(&self, piece: PieceIndex) -> bool {
        let at = self.geometry().piece_offset(piece) as usize;
        let right = &self.content[at..at + self.geometry().piece_size(piece) as usize];
        self.disk.piece(self.info.geometry, piece) == right
    }

    fn check(&self) {
        let torrent = &self.torrent;
        let mut out = 0;
        for (key, peer) in &torrent.peers {
            let piped: BTreeSet<_> = peer.pipeline.blocks().collect();
            let held: BTreeSet<_> = torrent.picker.requests_of(*key).collect();
            assert_eq!(piped, held, "what is out at {key}");
            assert_eq!(piped.len(), peer.pipeline.len(), "a block is out twice at {key}");
            out += piped.len();
        }
        assert!(torrent.spilling.is_empty(), "spills leave with the turn");
        let at_disk = |task: &DiskTask| match task {
            DiskTask::WritePiece { blocks, .. } => blocks.len(),
            DiskTask::Spill { blocks } => blocks.len(),
            _ => 0,
        };
        let at_disk: usize = self.disk.queue.iter().map(at_disk).sum();
        let open: usize = torrent.picker.open_pieces().map(|open| open.total as usize).sum();
        let held = if torrent.assembly.spills() { out } else { open };
        assert_eq!(
            self.budget.taken(),
            self.foreign_credits + held + at_disk,
            "credits"
        );
        let checks = torrent.check.as_ref().map_or(0, |check| check.at_disk);
        assert_eq!(
            torrent.at_disk + checks,
            self.disk.queue.len(),
            "tasks at the disk"
        );
    }
}

/// A bitfield of these pieces.
pub(super) fn bits(count: u32, pieces: impl IntoIterator<Item = u32>) -> Bitfield {
    let mut bits = Bitfield::empty(count);
    pieces.into_iter().for_each(|piece| {
        bits.insert(PieceIndex(piece));
    });
    bits
}
