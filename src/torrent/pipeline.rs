//! The requests that are out at one peer. Layer 2.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::geometry::{Block, PieceIndex};
use crate::picker::Pace;
use crate::torrent::depth::{self, Depth};

/// So many requests that are missing are worth a message of their own, however many are out: each wakes a thread and
/// costs a system call.
const TOP_UP: usize = 64;

/// The same where the peer allows fewer than there should be: then each that is missing is felt.
const TOP_UP_SHORT: usize = 16;

/// A peer that let us wait this long for any block is snubbing us.
const SNUB_AFTER: Duration = Duration::from_secs(60);

/// A peer that refuses a request although it said that it serves us is left alone for this long; it doubles
/// while it goes on refusing.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How often that doubles: up to about a minute.
const MOST_DOUBLINGS: u32 = 6;

/// A peer that has choked us so often before it sent a block of what was out is not counted on.
const MOST_FRUITLESS: u32 = 3;

/// Whether so many missing requests of a whole depth are asked for now: a quarter of it, or enough for a message.
pub(super) fn is_worth_a_message(missing: usize, depth: usize) -> bool {
    missing * 4 >= depth || missing >= TOP_UP
}

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
    depth: Depth,
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
    /// Of a peer that was asked for nothing yet.
    pub(super) fn new() -> Self {
        Self {
            sent: VecDeque::new(),
            depth: Depth::new(),
            last_block: None,
            snubbed: false,
            pause_until: None,
            refusals: 0,
            fruitless: 0,
        }
    }

    /// How fast it answers, once that is known.
    pub fn pace(&self) -> Option<Pace> {
        self.depth.pace()
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

    /// Whether the peer has refused since its last block what it should have served.
    pub fn is_refusing(&self) -> bool {
        self.refusals > 0
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
        let wanted = if self.snubbed { 1 } else { self.depth.get() };
        let depth = wanted.min(queue_of_peer);
        let missing = depth.saturating_sub(self.sent.len());
        let is_felt = depth < wanted && missing >= TOP_UP_SHORT;
        if is_felt || is_worth_a_message(missing, depth) {
            missing
        } else {
            0
        }
    }

    fn pauses(&self, now: Instant) -> bool {
        self.pause_until.is_some_and(|until| now < until)
    }

    /// Requests were sent, of so many that there was room for.
    pub fn sent(&mut self, now: Instant, blocks: &[Block], room: usize) {
        self.sent
            .extend(blocks.iter().map(|&block| Sent { block, at: now }));
        if !blocks.is_empty() {
            self.depth.on_sent(now);
        }
        if blocks.len() < room {
            self.depth.on_starved();
        }
    }

    /// A request has ended by a reject or a cancel. Says whether it was out.
    pub fn ended(&mut self, block: Block) -> bool {
        self.take(block).is_some()
    }

    /// A block came. Says whether it was asked for.
    pub fn answered(&mut self, now: Instant, block: Block) -> bool {
        let Some(sent) = self.take(block) else {
            return false;
        };
        self.depth.on_answer(now, sent.at, self.sent.len());
        self.heard(now);
        true
    }

    fn take(&mut self, block: Block) -> Option<Sent> {
        // Peers answer in order: the first one is nearly always the one.
        let at = self.sent.iter().position(|sent| sent.block == block)?;
        self.sent.remove(at)
    }

    /// A block came that is of use.
    pub fn heard(&mut self, now: Instant) {
        self.last_block = Some(now);
        self.snubbed = false;
        self.pause_until = None;
        self.refusals = 0;
        self.fruitless = 0;
    }

    /// The peer chokes us. When it serves us again, with whom it shares its path will have changed.
    pub fn choked(&mut self) {
        self.depth.restart(depth::FIRST);
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
            self.depth.restart(depth::LEAST);
            self.pause_until = Some(now + SNUB_AFTER);
        }
        late
    }

    /// The requests that are out, oldest first.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        self.sent.iter().map(|sent| sent.block)
    }

    /// Call this now and then.
    pub fn on_tick(&mut self, now: Instant) {
        if self.sent.is_empty() {
            self.depth.on_idle();
        } else {
            self.depth.on_tick(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BLOCK_LENGTH;

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
        let blocks: Vec<_> = (0..8).map(block).collect();
        assert_eq!(pipeline.room(now, 250), 8);
        pipeline.sent(now, &blocks, 8);
        assert!(pipeline.ended(block(0)));
        assert_eq!(pipeline.room(now, 250), 0);
        assert!(
            pipeline.ended(block(5)) && !pipeline.ended(block(5)),
            "out of order, and only once"
        );
        assert_eq!(pipeline.room(now, 250), 2);
        assert_eq!(pipeline.room(now, 7), 0, "the peer allows no more");
    }

    #[test]
    fn many_requests_are_topped_up_before_a_quarter_is_missing() {
        let mut pipeline = Pipeline::new();
        pipeline.depth.restart(1_000);
        let now = Instant::now();
        let blocks: Vec<_> = (0..1_000).map(block).collect();
        pipeline.sent(now, &blocks, 1_000);
        (1..64).for_each(|number| assert!(pipeline.ended(block(number))));
        assert_eq!(pipeline.room(now, 2_000), 0);
        assert!(pipeline.ended(block(64)));
        assert_eq!(pipeline.room(now, 2_000), 64);
    }

    #[test]
    fn a_peer_that_answers_nothing_is_snubbed_until_it_does() {
        let start = Instant::now();
        let mut pipeline = Pipeline::new();
        assert!(!pipeline.check_snub(start + SNUB_AFTER * 9), "nothing was asked");
        pipeline.sent(start, &[block(0)], 1);
        assert!(!pipeline.check_snub(start + SNUB_AFTER));
        let late = start + SNUB_AFTER + Duration::from_secs(1);
        assert!(pipeline.check_snub(late));
        assert_eq!(pipeline.drain(), [block(0)]);
        assert!(!pipeline.check_snub(late), "said once");
        assert_eq!(pipeline.room(late, 250), 0, "others come first");
        let again = late + SNUB_AFTER;
        assert_eq!(pipeline.room(again, 250), 1);
        pipeline.sent(again, &[block(1)], 1);
        assert!(pipeline.check_snub(again + SNUB_AFTER * 2), "its last chance");
        assert_eq!(pipeline.drain(), [block(1)]);
        pipeline.heard(late);
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
            depth::FIRST,
            "a burst of refusals counts once"
        );
        pipeline.refused(then);
        assert_eq!(pipeline.room(then + FIRST_PAUSE, 250), 0);
        pipeline.heard(then);
        assert!(pipeline.room(then, 250) > 0, "one that answers is trusted");
    }
}
