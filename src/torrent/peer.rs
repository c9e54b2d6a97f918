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
use crate::wire::handshake::Direction;

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

/// A peer that refuses a request although it said that it serves us is left alone for this long; it doubles
/// while it goes on refusing.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How often that doubles: up to about a minute.
const MOST_DOUBLINGS: u32 = 6;

/// A peer that has choked us so often before it sent a block of what was out is not counted on.
const MOST_FRUITLESS: u32 = 3;

/// A request that is out.
#[derive(Debug, Clone, Copy)]
struct Sent {
    block: Block,
    at: Instant,
}

/// Whether so many missing requests of a whole depth are asked for now. They are topped up by a quarter at a time: each
/// top-up wakes a thread and costs a system call, here and at the peer.
pub(super) fn is_worth_a_message(missing: usize, depth: usize) -> bool {
    missing * 4 >= depth
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
    /// Nothing is asked before this: it refused, or let us wait too long, and what it holds back another
    /// peer could send.
    pause_until: Option<Instant>,
    /// Pauses for refusals since the last block.
    refusals: u32,
    /// How often since the last block it choked us while something was out.
    fruitless: u32,
}

impl Pipeline {
    fn new() -> Self {
        Self {
            sent: VecDeque::new(),
            depth: FIRST_DEPTH,
            slow_start: true,
            last_block: None,
            snubbed: false,
            pause_until: None,
            refusals: 0,
            fruitless: 0,
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

    /// Whether there is no telling that anything will come of what is out at it: it lets us wait too long, or chokes
    /// us again and again before it has sent anything.
    pub fn is_doubtful(&self) -> bool {
        self.snubbed || self.fruitless >= MOST_FRUITLESS
    }

    /// How many requests to send now; 0 while so many are out that a few more are not worth a message.
    pub fn room(&self, now: Instant, queue_of_peer: usize) -> usize {
        if self.pauses(now) {
            return 0;
        }
        let depth = if self.snubbed {
            1
        } else {
            self.depth.min(queue_of_peer)
        };
        let missing = depth.saturating_sub(self.sent.len());
        if is_worth_a_message(missing, depth) {
            missing
        } else {
            0
        }
    }

    fn pauses(&self, now: Instant) -> bool {
        self.pause_until.is_some_and(|until| now < until)
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
        self.pause_until = None;
        self.refusals = 0;
        self.fruitless = 0;
        if self.slow_start {
            self.depth = (self.depth + 1).min(MOST_DEPTH);
        }
    }

    /// The peer chokes us.
    pub fn choked(&mut self) {
        self.fruitless += u32::from(!self.sent.is_empty());
    }

    /// The peer refused a request that it should have served.
    pub fn refused(&mut self, now: Instant) {
        if !self.pauses(now) {
            self.pause_until = Some(now + FIRST_PAUSE * (1 << self.refusals.min(MOST_DOUBLINGS)));
            self.refusals += 1;
        }
    }

    /// All requests that are out; they are void from now on.
    pub fn drain(&mut self) -> Vec<Block> {
        self.sent.drain(..).map(|sent| sent.block).collect()
    }

    /// Whether a request for a block of this piece is out.
    pub fn asks_for(&self, piece: PieceIndex) -> bool {
        self.sent.iter().any(|sent| sent.block.piece == piece)
    }

    /// The requests for blocks of one piece; they are void from now on.
    pub fn drain_piece(&mut self, piece: PieceIndex) -> Vec<Block> {
        let (of_piece, rest) = self.sent.drain(..).partition(|sent| sent.block.piece == piece);
        self.sent = rest;
        let of_piece: VecDeque<Sent> = of_piece;
        of_piece.into_iter().map(|sent| sent.block).collect()
    }

    /// Whether the peer has just been found to let us wait: its requests should go to others. After a pause
    /// it gets another chance with a single one, which is taken back as well if it is not answered.
    pub fn check_snub(&mut self, now: Instant) -> bool {
        let Some(oldest) = self.sent.front() else {
            return false;
        };
        let since = self.last_block.map_or(oldest.at, |last| last.max(oldest.at));
        let late = now.saturating_duration_since(since) > SNUB_AFTER;
        if late {
            self.snubbed = true;
            self.slow_start = true;
            self.depth = LEAST_DEPTH;
            self.pause_until = Some(now + SNUB_AFTER);
        }
        late
    }

    /// The requests that are out, oldest first.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        self.sent.iter().map(|sent| sent.block)
    }

    /// Fits the depth to the measured rate.
    fn adapt(&mut self, rate: u64, rate_before: u64) {
        let for_rate = (rate as f64 * QUEUED_TIME.as_secs_f64() / f64::from(BLOCK_LENGTH)) as usize;
        // The first measurement of a peer has nothing to be compared with.
        if self.slow_start && rate > 0 && rate_before > 0 {
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
    /// Blocks that it sent and that nobody had asked for; one is forgiven with each tick.
    pub unasked: u32,
    download_rate: Rate,
    upload_rate: Rate,
}

impl Peer {
    /// A peer that has just joined.
    pub fn new(now: Instant, key: PeerKey, session: Session, counters: Arc<PeerCounters>) -> Self {
        let mut download_rate = Rate::default();
        download_rate.update(now, 0);
        Self {
            key,
            session,
            pipeline: Pipeline::new(),
            counters,
            connected_at: now,
            unchoked_since: None,
            downloaded: 0,
            unasked: 0,
            download_rate,
            upload_rate: Rate::default(),
        }
    }

    /// Measures the speeds and fits the number of requests to them.
    pub fn on_tick(&mut self, now: Instant) {
        let before = self.download_rate();
        self.download_rate.update(now, self.downloaded);
        self.upload_rate.update(now, self.uploaded());
        self.pipeline.adapt(self.download_rate(), before);
        self.unasked = self.unasked.saturating_sub(1);
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

    /// The peer for a person to look at.
    pub fn detail(&self) -> PeerDetail {
        let session = &self.session;
        let pieces = session.has.len();
        PeerDetail {
            key: self.key.0,
            addr: session.addr,
            incoming: session.direction == Direction::Incoming,
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
        assert_eq!(pipeline.room(now, 250), 16);
        pipeline.sent(now, &blocks);
        (0..3).for_each(|number| assert!(pipeline.ended(block(number))));
        assert_eq!(pipeline.room(now, 250), 0);
        assert!(
            pipeline.ended(block(9)) && !pipeline.ended(block(9)),
            "out of order, and only once"
        );
        assert_eq!(pipeline.room(now, 250), 4);
        assert_eq!(pipeline.room(now, 13), 0, "the peer allows no more");
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
        assert!(pipeline.check_snub(late));
        assert_eq!(pipeline.drain(), [block(0)]);
        assert!(!pipeline.check_snub(late), "said once");
        assert_eq!(pipeline.room(late, 250), 0, "others come first");
        let again = late + SNUB_AFTER;
        assert_eq!(pipeline.room(again, 250), 1);
        pipeline.sent(again, &[block(1)]);
        assert!(pipeline.check_snub(again + SNUB_AFTER * 2), "its last chance");
        assert_eq!(pipeline.drain(), [block(1)]);
        pipeline.received(late);
        assert!(!pipeline.is_snubbed());
        assert!(pipeline.room(late, 250) > 0);
    }

    #[test]
    fn a_peer_that_refuses_is_asked_less_and_less() {
        let start = Instant::now();
        let mut pipeline = Pipeline::new();
        pipeline.refused(start);
        pipeline.refused(start);
        assert_eq!(pipeline.room(start, 250), 0);
        let then = start + FIRST_PAUSE;
        assert_eq!(
            pipeline.room(then, 250),
            FIRST_DEPTH,
            "a burst of refusals counts once"
        );
        pipeline.refused(then);
        assert_eq!(pipeline.room(then + FIRST_PAUSE, 250), 0);
        pipeline.received(then);
        assert!(pipeline.room(then, 250) > 0, "one that answers is trusted");
    }
}
