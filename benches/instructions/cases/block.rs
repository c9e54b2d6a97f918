//! The way of a block: a torrent's machine fetches 16 MiB from four seeds that live in memory. What both sides say goes
//! through the codec; data is moved as it is in the client, and nobody hashes or writes it.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dtorrent::bitfield::Bitfield;
use dtorrent::choker::Slots;
use dtorrent::geometry::{BLOCK_LENGTH, Block, Geometry};
use dtorrent::id::{InfoHash, PeerId};
use dtorrent::memory::{BlockPool, Budget};
use dtorrent::metainfo::{FileEntry, Info, MetaVersion};
use dtorrent::peer::link::{PeerBatch, PeerCommand, PeerInput, PeerKey};
use dtorrent::storage::layout::Layout;
use dtorrent::storage::task::{DiskResult, DiskTask};
use dtorrent::torrent::state::{Action, Settings, Start, Torrent};
use dtorrent::wire::handshake::{Direction, Handshake, Introduction};
use dtorrent::wire::message::{FrameHeader, FrameLimits, Message, PREFIX_LENGTH, parse_header, piece_header};

const PIECES: u32 = 64;
const BLOCKS_A_PIECE: u32 = 16;
/// What one run fetches.
pub(crate) const BLOCKS: u32 = PIECES * BLOCKS_A_PIECE;
const SEEDS: u8 = 4;
/// How many blocks come at a time, from each.
const BATCH: usize = 8;
/// How long a turn of the machine takes, and how often it is told the time.
const TURN: Duration = Duration::from_millis(5);
const TURNS_A_TICK: u32 = 100;
/// A download that takes more turns does not end.
const MOST_TURNS: u32 = 10_000;

/// A seed: it answers what it is asked, in order.
#[derive(Default)]
struct Seed {
    /// What it has said and is not yet read.
    said: VecDeque<PeerInput>,
    requests: VecDeque<Block>,
}

impl Seed {
    /// Reads what was sent to it.
    fn hear(&mut self, mut bytes: &[u8], limits: FrameLimits) {
        while let Some(header) = parse_header(bytes, limits).expect("it was encoded here") {
            let (message, end) = match header {
                FrameHeader::Message { id, length } => {
                    let begin = PREFIX_LENGTH + 1;
                    let end = begin + length as usize;
                    let message = Message::decode(id, &bytes[begin..end]);
                    (message.expect("it was encoded here"), end)
                }
                other => panic!("a leecher sends no {other:?}"),
            };
            bytes = &bytes[end..];
            match message {
                Message::Request(block) => self.requests.push_back(block),
                Message::Cancel(block) => self.requests.retain(|asked| *asked != block),
                _ => {}
            }
        }
    }

    /// Sends the next blocks.
    fn answer(&mut self, limits: FrameLimits, pool: &Arc<BlockPool>) {
        for _ in 0..BATCH {
            let Some(block) = self.requests.pop_front() else {
                return;
            };
            let header = parse_header(&piece_header(block), limits);
            let Ok(Some(FrameHeader::Piece { piece, begin, length })) = header else {
                panic!("the header of a block is {header:?}");
            };
            let data = pool.buffer(length);
            self.said.push_back(PeerInput::Block { piece, begin, data });
        }
    }
}

struct Download {
    torrent: Torrent,
    seeds: BTreeMap<PeerKey, Seed>,
    limits: FrameLimits,
    now: Instant,
    frames: Vec<u8>,
    written: u32,
}

impl Download {
    fn new(now: Instant) -> Self {
        let info = Arc::new(info());
        let mut torrent = Torrent::new(Start {
            layout: Arc::new(Layout::new(&info)),
            info: Arc::clone(&info),
            own_id: PeerId::new([b'a'; 20]),
            have: Bitfield::empty(PIECES),
            to_check: Vec::new(),
            priorities: Vec::new(),
            sequential: false,
            tally: Default::default(),
            settings: Settings {
                active_peers: 0,
                upload_slots: Slots::Fixed(4),
                max_connections: 50,
                listen_port: 6881,
                fetch: true,
            },
            budget: Arc::new(Budget::of_mib(64)),
            seed: 1,
        });
        let mut seeds = BTreeMap::new();
        for number in 1..=SEEDS {
            let key = PeerKey(u64::from(number));
            let introduction = Introduction {
                addr: SocketAddr::from(([10, number, 0, 1], 50_000)),
                direction: Direction::Incoming,
                handshake: Handshake::ours(info.info_hash, PeerId::new([number; 20])),
            };
            let session = torrent.admit(now, &introduction).expect("there is room");
            torrent.on_joined(now, key, session, Arc::default());
            let mut seed = Seed::default();
            let greeting = [Message::HaveAll, Message::Unchoke];
            seed.said.extend(greeting.map(PeerInput::Message));
            seeds.insert(key, seed);
        }
        Self {
            torrent,
            seeds,
            limits: FrameLimits::for_pieces(PIECES),
            now,
            frames: Vec::new(),
            written: 0,
        }
    }

    /// What the threads of a client do until the torrent is complete.
    fn run(&mut self, pool: &Arc<BlockPool>) {
        for turn in 1..=MOST_TURNS {
            self.now += TURN;
            self.deliver(pool);
            if turn % TURNS_A_TICK == 0 {
                self.torrent.on_tick(self.now);
            }
            for action in self.torrent.end_turn(self.now) {
                self.act(action);
            }
            if self.torrent.is_complete() {
                assert_eq!(self.written, BLOCKS, "each block is written once");
                return;
            }
        }
        panic!("{} of {BLOCKS} blocks after {MOST_TURNS} turns", self.written);
    }

    /// Gives the machine what the seeds have said.
    fn deliver(&mut self, pool: &Arc<BlockPool>) {
        for (&peer, seed) in &mut self.seeds {
            seed.answer(self.limits, pool);
            if seed.said.is_empty() {
                continue;
            }
            let batch = PeerBatch {
                peer,
                at: self.now,
                inputs: mem::take(&mut seed.said).into(),
                closed: None,
            };
            self.torrent.on_batch(self.now, batch);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Tell(key, PeerCommand::Send(messages)) => self.send(key, &messages),
            Action::Disk(DiskTask::Prepare { .. }) => self
                .torrent
                .on_disk(self.now, DiskResult::Prepared { has_claimed: false }),
            Action::Disk(DiskTask::WritePiece { piece, blocks, .. }) => {
                self.written += blocks.len() as u32;
                let written = DiskResult::Written { piece, digests: None };
                self.torrent.on_disk(self.now, written);
            }
            Action::PieceDone { piece, .. } => {
                let keys: Vec<_> = self.seeds.keys().copied().collect();
                for key in keys {
                    self.send(key, &[Message::Have(piece.0)]);
                }
            }
            // A leecher that has everything leaves the seeds.
            Action::Close(key, _) => drop(self.seeds.remove(&key)),
            Action::Finished => {}
            other => panic!("a download from seeds has no use for {other:?}"),
        }
    }

    fn send(&mut self, key: PeerKey, messages: &[Message]) {
        let Some(seed) = self.seeds.get_mut(&key) else {
            return;
        };
        self.frames.clear();
        for message in messages {
            message.encode(&mut self.frames);
        }
        seed.hear(&self.frames, self.limits);
    }
}

/// Fetches the torrent.
pub(crate) fn download(times: u32) {
    let now = Instant::now();
    // All that can be out at a time: it is made once, as in a client that runs.
    let pool = BlockPool::new(BLOCKS as usize);
    for _ in 0..times {
        Download::new(now).run(&pool);
    }
}

fn info() -> Info {
    let piece_length = BLOCKS_A_PIECE * BLOCK_LENGTH;
    let length = u64::from(PIECES) * u64::from(piece_length);
    Info {
        info_hash: InfoHash::new([7; 20]),
        version: MetaVersion::V1,
        name: "in memory".into(),
        geometry: Geometry::new(length, piece_length).expect("a piece has a length"),
        piece_hashes: vec![[0; 20]; PIECES as usize],
        files: vec![FileEntry {
            path: vec!["in memory".into()],
            length,
            padding: false,
        }],
        multi_file: false,
        private: false,
        raw: Arc::default(),
    }
}
