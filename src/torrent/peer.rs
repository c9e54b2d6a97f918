//! One connected peer as its torrent sees it: the session, the requests that are out, and how fast it is.
//! Layer 2.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::engine::api::PeerDetail;
use crate::geometry::{BLOCK_LENGTH, Block, PieceIndex};
use crate::peer::link::{PeerCounters, PeerKey};
use crate::peer::session::Session;
use crate::torrent::rate::Rate;

/// Requests that a new peer gets before its speed is known.
const FIRST_DEPTH: usize = 16;

/// Requests that are always worth having out at a peer that answers, however slow: one under way, one waiting.
const LEAST_DEPTH: usize = 2;

/// Most requests out at one peer, whatever it allows: 16 MiB under way, enough for 1.3 Gbit/s at 100 ms.
const MOST_DEPTH: usize = 1_000;

/// How much time's worth of blocks is kept under way once a peer's speed is known. It must cover the round
/// trip; more of it only makes chokes and the end of the download wait.
const QUEUED_TIME: Duration = Duration::from_secs(1);

/// A peer that let us wait this long for any block is snubbing us.
const SNUB_AFTER: Duration = Duration::from_secs(60);

/// A request that is out.
#[derive(Debug, Clone, Copy)]
struct Sent {
    block: Block,
    at: Instant,
}

/// The requests that are out at one peer, oldest first, and how many there should be.
#[derive(Debug)]
pub struct Pipeline {
    sent: VecDeque<Sent>,
    depth: usize,
    /// Until its rate stops growing, each block that comes allows one request more: the depth doubles with
    /// each round trip, as in TCP's slow start.
    slow_start: bool,
    last_block: Option<Instant>,
    snubbed: bool,
}

impl Pipeline {
    fn new() -> Self {
        Self {
            sent: VecDeque::new(),
            depth: FIRST_DEPTH,
            slow_start: true,
            last_block: None,
            snubbed: false,
        }
    }

    /// How many requests are out.
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether no request is out.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Whether the peer let us wait too long.
    pub fn is_snubbed(&self) -> bool {
        self.snubbed
    }

    /// How many requests to send now; 0 while so many are out that a few more are not worth a message.
    pub fn room(&self, queue_of_peer: usize) -> usize {
        let depth = if self.snubbed {
            1
        } else {
            self.depth.min(queue_of_peer)
        };
        let missing = depth.saturating_sub(self.sent.len());
        // Topped up by a quarter at a time: each top-up wakes a thread and costs a system call.
        if missing * 4 >= depth { missing } else { 0 }
    }

    /// Requests were sent.
    pub fn sent(&mut self, now: Instant, blocks: &[Block]) {
        self.sent
            .extend(blocks.iter().map(|&block| Sent { block, at: now }));
    }

    /// A request has ended, by a block, a reject or a cancel. Says whether it was out.
    pub fn ended(&mut self, block: Block) -> bool {
        // Peers answer in order: the first one is nearly always the one.
        let at = self.sent.iter().position(|sent| sent.block == block);
        at.is_some_and(|at| self.sent.remove(at).is_some())
    }

    /// A block came that was asked for.
    pub fn received(&mut self, now: Instant) {
        self.last_block = Some(now);
        self.snubbed = false;
        if self.slow_start {
            self.depth = (self.depth + 1).min(MOST_DEPTH);
        }
    }

    /// All requests that are out; they are void from now on.
    pub fn drain(&mut self) -> Vec<Block> {
        self.sent.drain(..).map(|sent| sent.block).collect()
    }

    /// The requests for blocks of one piece; they are void from now on.
    pub fn drain_piece(&mut self, piece: PieceIndex) -> Vec<Block> {
        let (of_piece, rest) = self.sent.drain(..).partition(|sent| sent.block.piece == piece);
        self.sent = rest;
        let of_piece: VecDeque<Sent> = of_piece;
        of_piece.into_iter().map(|sent| sent.block).collect()
    }

    /// Whether the peer has just been found to let us wait: its requests should go to others.
    pub fn check_snub(&mut self, now: Instant) -> bool {
        let Some(oldest) = self.sent.front() else {
            return false;
        };
        let since = self.last_block.map_or(oldest.at, |last| last.max(oldest.at));
        let newly = !self.snubbed && now.saturating_duration_since(since) > SNUB_AFTER;
        if newly {
            self.snubbed = true;
            self.slow_start = true;
            self.depth = LEAST_DEPTH;
        }
        newly
    }

    /// Fits the depth to the measured rate.
    fn adapt(&mut self, rate: u64, rate_before: u64) {
        let for_rate = (rate as f64 * QUEUED_TIME.as_secs_f64() / f64::from(BLOCK_LENGTH)) as usize;
        if self.slow_start && self.last_block.is_some() {
            // Growing by less than a tenth in a tick although the depth grew: the path is full.
            self.slow_start = rate > rate_before + rate_before / 10;
        }
        if !self.slow_start {
            self.depth = (for_rate + LEAST_DEPTH).clamp(LEAST_DEPTH, MOST_DEPTH);
        }
    }
}

/// One connected peer.
#[derive(Debug)]
pub struct Peer {
    /// The connection.
    pub key: PeerKey,
    /// What both sides have told each other.
    pub session: Session,
    /// What we asked it for.
    pub pipeline: Pipeline,
    /// What its threads count.
    pub counters: Arc<PeerCounters>,
    /// When it joined.
    pub connected_at: Instant,
    /// Since when we serve it.
    pub unchoked_since: Option<Instant>,
    /// Bytes of blocks that it sent us.
    pub downloaded: u64,
    /// Blocks that it sent and that nobody had asked for.
    pub unasked: u32,
    download_rate: Rate,
    upload_rate: Rate,
}

impl Peer {
    /// A peer that has just joined.
    pub fn new(now: Instant, key: PeerKey, session: Session, counters: Arc<PeerCounters>) -> Self {
        Self {
            key,
            session,
            pipeline: Pipeline::new(),
            counters,
            connected_at: now,
            unchoked_since: None,
            downloaded: 0,
            unasked: 0,
            download_rate: Rate::default(),
            upload_rate: Rate::default(),
        }
    }

    /// Measures the speeds and fits the number of requests to them.
    pub fn on_tick(&mut self, now: Instant) {
        let before = self.download_rate();
        self.download_rate.update(now, self.downloaded);
        self.upload_rate.update(now, self.uploaded());
        self.pipeline.adapt(self.download_rate(), before);
    }

    /// Bytes a second of blocks from it.
    pub fn download_rate(&self) -> u64 {
        self.download_rate.get()
    }

    /// Bytes a second of blocks to it.
    pub fn upload_rate(&self) -> u64 {
        self.upload_rate.get()
    }

    /// Bytes of blocks that we sent it.
    pub fn uploaded(&self) -> u64 {
        self.counters.payload_sent.load(Ordering::Relaxed)
    }

    /// Requests of its own that wait at our writer.
    pub fn requests_in(&self) -> usize {
        self.counters.uploads_queued.load(Ordering::Relaxed) as usize
    }

    /// Whether we may ask it for anything that it has.
    pub fn serves_us(&self) -> bool {
        !self.session.peer_choking && self.session.am_interested
    }

    /// The peer for a person to look at.
    pub fn detail(&self) -> PeerDetail {
        let session = &self.session;
        let pieces = session.has.len();
        PeerDetail {
            key: self.key.0,
            addr: session.addr,
            incoming: session.direction == crate::net::greeter::Direction::Incoming,
            client: session.client(),
            peer_id: session.peer_id.to_string(),
            progress: if pieces == 0 {
                1.0
            } else {
                f64::from(session.has.count()) / f64::from(pieces)
            },
            download_rate: self.download_rate(),
            upload_rate: self.upload_rate(),
            downloaded: self.downloaded,
            uploaded: self.uploaded(),
            am_choking: session.am_choking,
            am_interested: session.am_interested,
            peer_choking: session.peer_choking,
            peer_interested: session.peer_interested,
            snubbed: self.pipeline.is_snubbed(),
            requests_out: self.pipeline.len(),
            requests_in: self.requests_in(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u32) -> Block {
        Block {
            piece: PieceIndex(0),
            begin: number * BLOCK_LENGTH,
            length: BLOCK_LENGTH,
        }
    }

    #[test]
    fn requests_are_topped_up_a_quarter_at_a_time() {
        let now = Instant::now();
        let mut pipeline = Pipeline::new();
        pipeline.slow_start = false;
        let blocks: Vec<_> = (0..16).map(block).collect();
        assert_eq!(pipeline.room(250), 16);
        pipeline.sent(now, &blocks);
        (0..3).for_each(|number| assert!(pipeline.ended(block(number))));
        assert_eq!(pipeline.room(250), 0);
        assert!(
            pipeline.ended(block(9)) && !pipeline.ended(block(9)),
            "out of order, and only once"
        );
        assert_eq!(pipeline.room(250), 4);
        assert_eq!(pipeline.room(13), 0, "the peer allows no more");
    }

    #[test]
    fn the_depth_doubles_by_round_trip_and_then_follows_the_rate() {
        let now = Instant::now();
        let mut pipeline = Pipeline::new();
        for _ in 0..FIRST_DEPTH {
            pipeline.received(now);
        }
        assert_eq!(pipeline.depth, 2 * FIRST_DEPTH);
        pipeline.adapt(1_000_000, 500_000);
        assert!(pipeline.slow_start, "the rate still grows");
        pipeline.adapt(1_000_000, 990_000);
        assert!(!pipeline.slow_start);
        assert_eq!(pipeline.depth, 61 + LEAST_DEPTH);
    }

    #[test]
    fn a_peer_that_answers_nothing_is_snubbed_until_it_does() {
        let start = Instant::now();
        let mut pipeline = Pipeline::new();
        assert!(!pipeline.check_snub(start + SNUB_AFTER * 9), "nothing was asked");
        pipeline.sent(start, &[block(0)]);
        assert!(!pipeline.check_snub(start + SNUB_AFTER));
        let late = start + SNUB_AFTER + Duration::from_secs(1);
        assert!(
            pipeline.check_snub(late) && !pipeline.check_snub(late),
            "said once"
        );
        assert_eq!(pipeline.drain(), [block(0)]);
        assert_eq!(pipeline.room(250), 1);
        pipeline.received(late);
        assert!(!pipeline.is_snubbed());
    }
}
