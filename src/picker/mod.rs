//! Which block to ask a peer for next. Layer 2, BEP 3 §peer messages and BEP 6 §allowed fast.
//!
//! Started pieces are finished before others are begun, so that little memory is held and there is soon
//! something to trade. New pieces go by priority, then the rarest first; the very first ones are taken at
//! random, because a rare piece comes from few peers and so comes slowly. A fast peer gets pieces of its own,
//! for a piece is only as fast as the slowest peer in it. A seed is asked for what only seeds have before it helps with
//! started pieces that others have too, since all wait for what it sends.
//!
//! # Invariants
//!
//! - A piece is in exactly one state: idle, open, whole (all blocks here, hash unknown) or verified.
//! - The candidates are exactly the pieces that are idle and wanted.
//! - A block is asked of at most one peer until the endgame, which begins when every missing wanted block
//!   was asked for, and then of at most two different ones (`endgame.rs`).
//! - `asked[peer]` lists exactly the blocks that the open pieces show as asked of that peer.
//! - `counts[piece] + seeds` connected peers have a piece. Peers that came as seeds are counted in `seeds`
//!   alone, so that one costs nothing.
//! - `settled` holds the pieces that are verified or not wanted; `missing` and `missing_bytes` count the rest.

mod candidates;
mod choice;
mod division;
mod endgame;
mod open;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::bitfield::Bitfield;
use crate::engine::api::Priority;
use crate::geometry::{Block, Geometry, PieceIndex};
use crate::id::PeerId;
use crate::peer::link::PeerKey;

use candidates::Candidates;
use division::Division;
pub use endgame::Pace;
use open::{NotTaken, OpenPiece};

/// What became of a block that a peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// It was missing: keep it.
    Accepted {
        /// All blocks of its piece are here now: check its hash, then call [`Picker::verified`] or
        /// [`Picker::failed`].
        piece_complete: bool,
        /// Other peers who were asked for it and now are not any more: send them a `cancel`.
        also_asked: Vec<PeerKey>,
    },
    /// We have it already. It may have crossed our `cancel`.
    Duplicate,
    /// This peer was not asked for it, or so long ago that its piece was given up since.
    Unrequested,
}

/// A piece that is being received, for the display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenProgress {
    /// Which.
    pub piece: PieceIndex,
    /// Blocks that are here.
    pub received: u32,
    /// Blocks that are asked for.
    pub requested: u32,
    /// Blocks of the piece.
    pub total: u32,
}

/// What is wanted and not yet verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missing {
    /// Pieces.
    pub pieces: u32,
    /// Bytes of these pieces, received blocks included.
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Open,
    Whole,
    Verified,
}

/// The picker of one torrent.
#[derive(Debug)]
pub struct Picker {
    geometry: Geometry,
    sequential: bool,
    states: Vec<State>,
    priorities: Vec<Priority>,
    verified: u32,
    counts: Vec<u32>,
    seeds: u32,
    candidates: Candidates,
    division: Division,
    open: BTreeMap<PieceIndex, OpenPiece>,
    /// The oldest request first.
    asked: HashMap<PeerKey, VecDeque<Block>>,
    paces: HashMap<PeerKey, Pace>,
    settled: Bitfield,
    missing: Missing,
    /// Blocks that are out at two peers.
    doubled: u64,
    /// Blocks that came twice.
    wasted: u64,
    /// Requests that were taken back because another peer answered them, and may be answered still.
    called_off: HashSet<(PeerKey, Block)>,
}

impl Picker {
    /// A picker that knows of no peers, for a torrent of which `have` is verified and the rest wanted.
    pub fn new(geometry: Geometry, have: &Bitfield) -> Self {
        let count = geometry.piece_count();
        let state_of = |piece| {
            if have.has(piece) {
                State::Verified
            } else {
                State::Idle
            }
        };
        let mut picker = Self {
            geometry,
            sequential: false,
            states: geometry.pieces().map(state_of).collect(),
            priorities: Vec::new(),
            verified: have.count(),
            counts: vec![0; count as usize],
            seeds: 0,
            candidates: Candidates::new(count),
            division: Division::default(),
            open: BTreeMap::new(),
            asked: HashMap::new(),
            paces: HashMap::new(),
            settled: Bitfield::full(count),
            missing: Missing::default(),
            doubled: 0,
            wasted: 0,
            called_off: HashSet::new(),
        };
        picker.set_priorities(|_| Priority::default());
        picker
    }

    // What is wanted.

    /// Sets how much each piece is wanted; one that several files share has the highest of their priorities.
    /// Returns the open pieces that are not wanted any more: nothing more of them is asked for, so the caller
    /// should cancel what is out and call [`Self::drop_open`].
    pub fn set_priorities(&mut self, priority_of: impl Fn(PieceIndex) -> Priority) -> Vec<PieceIndex> {
        self.priorities = self.geometry.pieces().map(priority_of).collect();
        self.candidates = Candidates::new(self.geometry.piece_count());
        self.settled = Bitfield::full(self.geometry.piece_count());
        self.missing = Missing::default();
        // The candidates are cheapest to build from the rarest to the most common.
        let mut pieces: Vec<_> = self.geometry.pieces().collect();
        pieces.sort_by_key(|piece| self.counts[piece.get()]);
        for piece in pieces {
            self.unsettle(piece);
            self.offer(piece);
        }
        let unwanted = self.open.keys().filter(|&&piece| !self.is_wanted(piece));
        unwanted.copied().collect()
    }

    /// Whether pieces are begun in order rather than the rarest first.
    pub fn set_sequential(&mut self, sequential: bool) {
        self.sequential = sequential;
    }

    // Who has what.

    /// A peer came that has these pieces.
    pub fn peer_joined(&mut self, has: &Bitfield) {
        if has.is_full() {
            self.seeds += 1;
        } else {
            has.iter().for_each(|piece| self.count_up(piece));
        }
    }

    /// A peer went that had these pieces, with those that [`Self::peer_got`] told of.
    pub fn peer_left(&mut self, has: &Bitfield) {
        if has.is_full() && self.seeds > 0 {
            // It may have come with less and be in `counts`. Then some seed that stays is counted there in its
            // stead: the sum is what matters.
            self.seeds -= 1;
        } else {
            has.iter().for_each(|piece| self.count_down(piece));
        }
    }

    /// A peer got one more piece. What only seeds had it has from one.
    pub fn peer_got(&mut self, piece: PieceIndex, peer: PeerId) {
        let is_first = self.counts.get(piece.get()) == Some(&0) && self.seeds > 0;
        if is_first && self.states[piece.get()] != State::Verified {
            self.division.fetched_first(peer);
        }
        self.count_up(piece);
    }

    /// Sets our own peer id, by which others know which pieces we would rather leave to them.
    pub fn set_own_id(&mut self, own: PeerId) {
        self.division.set_own_id(own);
    }

    /// Whether a peer that has these pieces has one that we want and lack.
    pub fn interests(&self, has: &Bitfield) -> bool {
        self.settled.lacks_some_of(has)
    }

    /// How many connected peers have the piece.
    pub fn availability(&self, piece: PieceIndex) -> u32 {
        self.counts.get(piece.get()).map_or(0, |count| count + self.seeds)
    }

    /// How many connected peers have each piece, 255 for as many or more.
    pub fn availabilities(&self) -> Box<[u8]> {
        let of = |count: &u32| u8::try_from(count + self.seeds).unwrap_or(u8::MAX);
        self.counts.iter().map(of).collect()
    }

    /// Whether no connected peer has the piece but such as came as seeds.
    pub fn is_unshared(&self, piece: PieceIndex) -> bool {
        self.counts.get(piece.get()) == Some(&0)
    }

    fn count_up(&mut self, piece: PieceIndex) {
        if let Some(count) = self.counts.get_mut(piece.get()) {
            self.candidates.rise(piece, self.priorities[piece.get()], *count);
            *count += 1;
        }
    }

    fn count_down(&mut self, piece: PieceIndex) {
        if let Some(count) = self.counts.get_mut(piece.get()).filter(|count| **count > 0) {
            self.candidates.sink(piece, self.priorities[piece.get()], *count);
            *count -= 1;
        }
    }

    // What came, and what will not.

    /// A peer sent a block; the numbers may be anything.
    ///
    /// A block that was released after it was asked of this peer, so that the answer may have been on its way,
    /// is accepted too if its piece is open still and the block missing.
    pub fn received(&mut self, peer: PeerKey, block: Block) -> Received {
        let Some(number) = self.geometry.block_number(block) else {
            return Received::Unrequested;
        };
        self.called_off.remove(&(peer, block));
        let Some(open) = self.open.get_mut(&block.piece) else {
            let is_here = matches!(self.states[block.piece.get()], State::Whole | State::Verified);
            return if is_here {
                self.duplicate()
            } else {
                Received::Unrequested
            };
        };
        let askers = match open.receive(number, peer) {
            Ok(slot) => slot.askers(),
            Err(NotTaken::Duplicate) => return self.duplicate(),
            Err(NotTaken::Unrequested) => return Received::Unrequested,
        };
        let piece_complete = open.is_whole();
        let askers: Vec<_> = askers.collect();
        self.doubled -= u64::from(askers.len() == 2);
        askers
            .iter()
            .for_each(|&asker| forget(&mut self.asked, asker, block));
        if piece_complete {
            self.open.remove(&block.piece);
            self.states[block.piece.get()] = State::Whole;
        }
        let also_asked: Vec<_> = askers.into_iter().filter(|&asker| asker != peer).collect();
        self.called_off
            .extend(also_asked.iter().map(|&asker| (asker, block)));
        Received::Accepted {
            piece_complete,
            also_asked,
        }
    }

    fn duplicate(&mut self) -> Received {
        self.wasted += 1;
        Received::Duplicate
    }

    /// A request was rejected, cancelled or timed out: the block is wanted again. Says whether this peer was
    /// asked for it.
    pub fn release(&mut self, peer: PeerKey, block: Block) -> bool {
        let Some(number) = self.geometry.block_number(block) else {
            return false;
        };
        let Some(open) = self.open.get_mut(&block.piece) else {
            return false;
        };
        let was_doubled = open.slots()[number as usize].askers().count() == 2;
        let released = open.release(number, peer);
        if released {
            self.doubled -= u64::from(was_doubled);
            forget(&mut self.asked, peer, block);
        }
        released
    }

    /// The peer choked us or left: all that it was asked for is wanted again. Says how many blocks that were.
    pub fn release_all(&mut self, peer: PeerKey) -> usize {
        let blocks = self.asked.get(&peer).cloned().unwrap_or_default();
        blocks.iter().filter(|&&block| self.release(peer, block)).count()
    }

    /// The piece is on disk and its hash is right.
    pub fn verified(&mut self, piece: PieceIndex) {
        self.close(piece);
        let Some(state) = self
            .states
            .get_mut(piece.get())
            .filter(|state| **state != State::Verified)
        else {
            return;
        };
        *state = State::Verified;
        self.verified += 1;
        self.withdraw(piece);
        if self.settled.insert(piece) {
            self.missing.pieces -= 1;
            self.missing.bytes -= u64::from(self.geometry.piece_size(piece));
        }
    }

    /// The hash is wrong or writing failed: all of the piece is missing again.
    pub fn failed(&mut self, piece: PieceIndex) {
        self.close(piece);
        if let Some(state) = self
            .states
            .get_mut(piece.get())
            .filter(|state| **state == State::Whole)
        {
            *state = State::Idle;
            self.offer(piece);
        }
    }

    /// Gives an open piece up, to free its memory: all of it is missing again. Returns the requests that were
    /// out; cancel them.
    pub fn drop_open(&mut self, piece: PieceIndex) -> Vec<(PeerKey, Block)> {
        self.close(piece)
    }

    /// Takes an open piece back to idle, with all its requests.
    fn close(&mut self, piece: PieceIndex) -> Vec<(PeerKey, Block)> {
        let Some(open) = self.open.remove(&piece) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for (number, slot) in (0..).zip(open.slots()) {
            let block = self.geometry.block(piece, number);
            self.doubled -= u64::from(slot.askers().count() == 2);
            out.extend(slot.askers().map(|asker| (asker, block)));
        }
        out.iter()
            .for_each(|&(asker, block)| forget(&mut self.asked, asker, block));
        self.states[piece.get()] = State::Idle;
        self.offer(piece);
        out
    }

    /// Makes an idle piece a candidate.
    fn offer(&mut self, piece: PieceIndex) {
        let at = piece.get();
        if self.states[at] == State::Idle {
            self.candidates
                .insert(piece, self.priorities[at], self.counts[at]);
        }
    }

    /// Makes a piece no candidate.
    fn withdraw(&mut self, piece: PieceIndex) {
        let at = piece.get();
        self.candidates
            .remove(piece, self.priorities[at], self.counts[at]);
    }

    /// Counts a piece that is wanted and not verified as missing.
    fn unsettle(&mut self, piece: PieceIndex) {
        if self.is_wanted(piece) && self.states[piece.get()] != State::Verified && self.settled.remove(piece)
        {
            self.missing.pieces += 1;
            self.missing.bytes += u64::from(self.geometry.piece_size(piece));
        }
    }

    // Views.

    /// Whether the piece has any priority but [`Priority::Skip`].
    pub fn is_wanted(&self, piece: PieceIndex) -> bool {
        self.priorities
            .get(piece.get())
            .is_some_and(|priority| *priority != Priority::Skip)
    }

    /// Whether all that is wanted is verified.
    pub const fn is_complete(&self) -> bool {
        self.missing.pieces == 0
    }

    /// What is wanted and not verified.
    pub const fn missing_wanted(&self) -> Missing {
        self.missing
    }

    /// How many blocks this peer is asked for.
    pub fn requested_from(&self, peer: PeerKey) -> usize {
        self.asked.get(&peer).map_or(0, VecDeque::len)
    }

    /// The blocks that this peer is asked for, the oldest request first.
    #[cfg(test)]
    pub fn requests_of(&self, peer: PeerKey) -> impl Iterator<Item = Block> + '_ {
        self.asked.get(&peer).into_iter().flatten().copied()
    }

    /// The pieces of which some blocks are asked for or here, but not all are here.
    pub fn open_pieces(&self) -> impl Iterator<Item = OpenProgress> + '_ {
        self.open.iter().map(|(&piece, open)| OpenProgress {
            piece,
            received: open.received(),
            requested: open.requested(),
            total: open.total(),
        })
    }
}

/// Strikes a request off the list of a peer.
fn forget(asked: &mut HashMap<PeerKey, VecDeque<Block>>, peer: PeerKey, block: Block) {
    if let Some(blocks) = asked.get_mut(&peer) {
        // Answers come in the order of the requests, so the place is near the front.
        if let Some(at) = blocks.iter().position(|other| *other == block) {
            blocks.remove(at);
        }
        if blocks.is_empty() {
            asked.remove(&peer);
        }
    }
}
