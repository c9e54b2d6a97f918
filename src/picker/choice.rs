//! Which blocks a peer shall be asked for: the order of preference among open and new pieces. Layer 2.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use crate::bitfield::Bitfield;
use crate::engine::api::Priority;
use crate::geometry::{BLOCK_LENGTH, Block, PieceIndex};
use crate::peer::link::PeerKey;

use super::candidates::Rule;
use super::open::OpenPiece;
use super::{Picker, State};

/// How many pieces are taken at random before the rarest come first.
const RANDOM_FIRST: u32 = 4;

impl Picker {
    /// Appends up to `count` blocks to `out` that this peer shall be asked for, and holds them as asked.
    ///
    /// `allowed` restricts the choice to the allowed-fast set while the peer chokes us. `open` is asked before
    /// a new piece is begun, and takes the memory for it when it agrees.
    #[expect(
        clippy::too_many_arguments,
        reason = "one question with all that it depends on"
    )]
    pub fn pick(
        &mut self,
        peer: PeerKey,
        has: &Bitfield,
        allowed: Option<&[PieceIndex]>,
        count: usize,
        open: &mut dyn FnMut(PieceIndex) -> bool,
        rng: &mut fastrand::Rng,
        out: &mut Vec<Block>,
    ) {
        let mut request = Request {
            peer,
            has,
            allowed,
            left: count,
            out,
        };
        let fast = self.fills_a_piece(peer, count);
        let last_resort = if fast { Affinity::Shared } else { Affinity::Foreign };
        let started = self.started_for(&request);
        let (now, later): (Vec<_>, Vec<_>) = started
            .into_iter()
            .partition(|one| one.affinity < last_resort && !self.can_wait(one, &request));

        now.iter().for_each(|one| self.take_from(one.piece, &mut request));
        let mut memory_is_short = false;
        while request.left > 0
            && let Some(piece) = self.next_new(&request, rng)
        {
            memory_is_short = !open(piece);
            if memory_is_short {
                break;
            }
            self.begin(piece, fast.then_some(peer));
            self.take_from(piece, &mut request);
        }
        // Who has something to do waits for memory rather than break into the pieces of others: a piece that has the
        // whole pipeline of one peer is whole sooner, and gives its memory back. With four fast seeds that is a sixth.
        let waits = |one: &Started, busy| memory_is_short && busy && one.affinity == Affinity::Foreign;
        for one in later {
            if !waits(&one, self.requested_from(peer) > 0) {
                self.take_from(one.piece, &mut request);
            }
        }
        if request.left > 0 && self.is_endgame() {
            self.take_again(&mut request);
        }
    }

    /// Whether a peer that gets `more` blocks has so much on its way that it should have pieces of its own:
    /// requests are kept at its bandwidth times its delay, so half a piece means that it is fast.
    fn fills_a_piece(&self, peer: PeerKey, more: usize) -> bool {
        let blocks = self.geometry.piece_length().div_ceil(BLOCK_LENGTH) as usize;
        (self.requested_from(peer) + more) * 2 >= blocks
    }

    /// The open pieces that a peer may be asked for blocks of, best first: those it works on or that nobody
    /// does, then by priority, then those that need the fewest blocks to be whole.
    fn started_for(&self, request: &Request<'_>) -> Vec<Started> {
        let free = self.open.iter().filter(|(_, open)| open.free() > 0);
        let mut started: Vec<_> = free
            .filter(|(piece, _)| self.is_wanted(**piece) && request.may_take(**piece))
            .map(|(&piece, open)| Started {
                affinity: Affinity::of(open, request.peer),
                priority: Reverse(self.priorities[piece.get()]),
                free: open.free(),
                piece,
            })
            .collect();
        started.sort_unstable();
        started
    }

    /// Whether the peer is a seed and the piece one that others have too, while there are pieces that only seeds have.
    /// All wait for what seeds send, so they should send nothing that can be had elsewhere.
    fn can_wait(&self, started: &Started, request: &Request<'_>) -> bool {
        !self.sequential
            && request.allowed.is_none()
            && request.has.is_full()
            && started.affinity != Affinity::Own
            && self.counts[started.piece.get()] > 0
            && self.candidates.has_unshared(started.priority.0)
    }

    /// Whether there are pieces that only seeds have and that are wanted as much as this one.
    pub fn has_unshared_like(&self, piece: PieceIndex) -> bool {
        !self.sequential && self.candidates.has_unshared(self.priorities[piece.get()])
    }

    fn next_new(&mut self, request: &Request<'_>, rng: &mut fastrand::Rng) -> Option<PieceIndex> {
        // A seed sends whatever it is asked for as soon as anything else.
        let is_new = self.verified < RANDOM_FIRST && !request.has.is_full();
        let rule = match (self.sequential, is_new) {
            (true, _) => Rule::InOrder,
            (false, true) => Rule::Random,
            (false, false) => Rule::RarestFirst,
        };
        let Some(allowed) = request.allowed else {
            return self.candidates.best(request.has, rule, &self.division, rng);
        };
        let theirs = allowed.iter().copied().filter(|&piece| request.has.has(piece));
        theirs
            .filter(|&piece| self.candidates.contains(piece))
            .min_by_key(|&piece| {
                let rarity = if rule == Rule::RarestFirst {
                    self.counts[piece.get()]
                } else {
                    0
                };
                (Reverse(self.priorities[piece.get()]), rarity, piece)
            })
    }

    fn begin(&mut self, piece: PieceIndex, owner: Option<PeerKey>) {
        self.withdraw(piece);
        self.states[piece.get()] = State::Open;
        let blocks = self.geometry.block_count(piece);
        self.open.insert(piece, OpenPiece::new(blocks, owner));
    }

    /// Asks for the free blocks of an open piece, in order: the other side reads ahead in its file.
    fn take_from(&mut self, piece: PieceIndex, request: &mut Request<'_>) {
        let Some(open) = self.open.get_mut(&piece) else {
            return;
        };
        while request.left > 0
            && let Some(number) = open.ask_next(request.peer)
        {
            request.push(self.geometry.block(piece, number), &mut self.asked);
        }
    }
}

/// One call of [`Picker::pick`].
pub(super) struct Request<'a> {
    pub(super) peer: PeerKey,
    has: &'a Bitfield,
    allowed: Option<&'a [PieceIndex]>,
    pub(super) left: usize,
    out: &'a mut Vec<Block>,
}

impl Request<'_> {
    pub(super) fn may_take(&self, piece: PieceIndex) -> bool {
        self.has.has(piece) && self.allowed.is_none_or(|set| set.contains(&piece))
    }

    pub(super) fn push(&mut self, block: Block, asked: &mut HashMap<PeerKey, VecDeque<Block>>) {
        self.left -= 1;
        self.out.push(block);
        asked.entry(self.peer).or_default().push_back(block);
    }
}

/// An open piece with blocks to ask for, in the order in which they are preferred.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Started {
    affinity: Affinity,
    priority: Reverse<Priority>,
    free: u32,
    piece: PieceIndex,
}

/// How near an open piece is to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Affinity {
    /// It began the piece for itself.
    Own,
    /// Nobody is asked for any of it.
    Orphan,
    /// Anybody's.
    Shared,
    /// Another, fast peer began it for itself.
    Foreign,
}

impl Affinity {
    fn of(open: &OpenPiece, peer: PeerKey) -> Self {
        match open.owner {
            Some(owner) if owner == peer => Self::Own,
            _ if open.requested() == 0 => Self::Orphan,
            Some(_) => Self::Foreign,
            None => Self::Shared,
        }
    }
}
