//! One simulated client: its machine, and what its threads would do.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::world::{Micros, Plan};
use dtorrent::bitfield::Bitfield;
use dtorrent::choker::Slots;
use dtorrent::geometry::Block;
use dtorrent::id::PeerId;
use dtorrent::memory::Budget;
use dtorrent::metainfo::Info;
use dtorrent::peer::link::{PeerCommand, PeerCounters, PeerKey};
use dtorrent::storage::layout::Layout;
use dtorrent::torrent::state::{Settings, Start, Torrent};
use dtorrent::wire::handshake::{Direction, Handshake, Introduction};
use dtorrent::wire::message::{Message, PIECE_HEADER_LENGTH};

/// Where everybody listens.
const PORT: u16 = 6881;

/// What a client is like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manner {
    /// Bytes a second that it can send.
    pub(crate) up: u64,
    /// Bytes a second that it can receive.
    pub(crate) down: u64,
    /// How many peers it serves at a time.
    pub(crate) slots: Slots,
    /// It has everything from the start.
    pub(crate) is_seed: bool,
    /// When it comes.
    pub(crate) joins: Micros,
    /// When it goes, whether it has everything or not.
    pub(crate) leaves: Option<Micros>,
    /// It goes when it has sent this many bytes of blocks.
    pub(crate) leaves_after_bytes: Option<u64>,
    /// It goes as soon as it has everything.
    pub(crate) leaves_when_done: bool,
}

/// A client in the swarm.
pub(crate) struct Host {
    pub(crate) manner: Manner,
    pub(crate) addr: SocketAddr,
    pub(crate) torrent: Torrent,
    pub(crate) links: BTreeMap<PeerKey, Link>,
    /// Links with blocks to send, in the order of their turns: as at the rate limiter.
    pub(crate) turns: VecDeque<PeerKey>,
    /// A block is being sent.
    pub(crate) is_sending: bool,
    /// When all that has come so far is through its own line.
    pub(crate) received_until: Micros,
    /// Its thread will look at what has come.
    pub(crate) is_awake: bool,
    pub(crate) is_here: bool,
    /// When it had everything.
    pub(crate) done: Option<Micros>,
    /// Bytes of blocks sent.
    pub(crate) sent: u64,
    /// Bytes of blocks received, those that came twice included.
    pub(crate) received: u64,
}

/// One end of a connection.
pub(crate) struct Link {
    /// The host at the other end.
    pub(crate) to: usize,
    /// Its key for this connection.
    pub(crate) to_key: PeerKey,
    pub(crate) counters: Arc<PeerCounters>,
    pub(crate) delay: Micros,
    /// When the last thing that was said arrives: what is said later does not arrive sooner.
    pub(crate) arrival: Micros,
    uploads: VecDeque<Block>,
    /// It has a place among the turns.
    waits: bool,
}

/// What a block takes on the wire.
pub(crate) fn wire_bytes(block: Block) -> u64 {
    u64::from(block.length) + PIECE_HEADER_LENGTH as u64
}

impl Link {
    pub(crate) fn new(to: usize, to_key: PeerKey, delay: Micros) -> Self {
        Self {
            to,
            to_key,
            counters: Arc::default(),
            delay,
            arrival: 0,
            uploads: VecDeque::new(),
            waits: false,
        }
    }

    /// Does what a writer does with a command: gives the messages that it sends, and keeps the uploads.
    fn hear(&mut self, command: PeerCommand, fast: bool) -> Vec<Message> {
        match command {
            PeerCommand::Send(messages) => messages,
            PeerCommand::Upload(block) => {
                self.counters.uploads_queued.fetch_add(1, Ordering::Relaxed);
                self.uploads.push_back(block);
                Vec::new()
            }
            PeerCommand::CancelUpload(block) => {
                let place = self.uploads.iter().position(|queued| *queued == block);
                let taken_back = place.and_then(|place| self.uploads.remove(place));
                self.refused(taken_back.into_iter().collect(), fast)
            }
            PeerCommand::Choke { granted } => {
                let (kept, dropped) = std::mem::take(&mut self.uploads)
                    .into_iter()
                    .partition(|block| granted.contains(&block.piece));
                self.uploads = kept;
                let mut said = vec![Message::Choke];
                said.extend(self.refused(dropped, fast));
                said
            }
            // Not how the machine tells of new pieces.
            PeerCommand::Haves => Vec::new(),
        }
    }

    fn refused(&self, blocks: VecDeque<Block>, fast: bool) -> Vec<Message> {
        self.counters
            .uploads_queued
            .fetch_sub(blocks.len() as u32, Ordering::Relaxed);
        let refusals = blocks.into_iter().map(Message::RejectRequest);
        if fast { refusals.collect() } else { Vec::new() }
    }
}

impl Host {
    /// One that has not come yet. `seed` is that of its random numbers.
    pub(crate) fn new(plan: &Plan, number: usize, info: &Arc<Info>, layout: &Arc<Layout>, seed: u64) -> Self {
        let manner = plan.hosts[number].clone();
        let have = if manner.is_seed {
            Bitfield::full(plan.pieces)
        } else {
            Bitfield::empty(plan.pieces)
        };
        let torrent = Torrent::new(Start {
            info: Arc::clone(info),
            layout: Arc::clone(layout),
            own_id: id_of(number),
            have,
            to_check: Vec::new(),
            priorities: Vec::new(),
            sequential: false,
            tally: Default::default(),
            settings: Settings {
                active_peers: 0,
                upload_slots: manner.slots,
                max_connections: plan.max_connections,
                listen_port: PORT,
                fetch: true,
            },
            budget: Arc::new(Budget::of_mib(64)),
            seed,
        });
        Self {
            addr: addr_of(number, plan.in_one_net),
            torrent,
            links: BTreeMap::new(),
            turns: VecDeque::new(),
            is_sending: false,
            received_until: 0,
            is_awake: false,
            is_here: false,
            done: None,
            sent: 0,
            received: 0,
            manner,
        }
    }

    /// Gives a command to the writer of a connection; what that says at once.
    pub(crate) fn tell(&mut self, key: PeerKey, command: PeerCommand) -> Vec<Message> {
        let Some(link) = self.links.get_mut(&key) else {
            return Vec::new();
        };
        let said = link.hear(command, true);
        if !link.uploads.is_empty() && !link.waits {
            link.waits = true;
            self.turns.push_back(key);
        }
        said
    }

    /// The next block to send, by turns, and over which connection.
    pub(crate) fn next_upload(&mut self) -> Option<(PeerKey, Block)> {
        loop {
            let key = self.turns.pop_front()?;
            let Some(link) = self.links.get_mut(&key) else {
                continue;
            };
            link.waits = false;
            if let Some(block) = link.uploads.pop_front() {
                return Some((key, block));
            }
        }
    }

    /// A block is on its way: the next one of this connection waits for its turn.
    pub(crate) fn upload_sent(&mut self, key: PeerKey, block: Block) {
        self.sent += u64::from(block.length);
        let Some(link) = self.links.get_mut(&key) else {
            return;
        };
        link.counters.uploads_queued.fetch_sub(1, Ordering::Relaxed);
        link.counters
            .payload_sent
            .fetch_add(u64::from(block.length), Ordering::Relaxed);
        if !link.uploads.is_empty() && !link.waits {
            link.waits = true;
            self.turns.push_back(key);
        }
    }
}

/// A host as the other side of a connection sees it.
pub(crate) fn introduction(host: &Host, number: usize, direction: Direction, info: &Info) -> Introduction {
    let mut addr = host.addr;
    if direction == Direction::Incoming {
        addr.set_port(50_000);
    }
    Introduction {
        addr,
        direction,
        handshake: Handshake::ours(info.info_hash, id_of(number)),
    }
}

fn addr_of(number: usize, in_one_net: bool) -> SocketAddr {
    let [.., high, low] = (number as u32).to_be_bytes();
    let ip = if in_one_net {
        [10, 0, high, low]
    } else {
        [10, high, low, 1]
    };
    SocketAddr::from((ip, PORT))
}

fn id_of(number: usize) -> PeerId {
    let mut id = [b'-'; 20];
    id[12..].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    PeerId::new(id)
}
