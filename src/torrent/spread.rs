//! What a seed knows of the first copies that it gives. Layer 2.
//!
//! Where a seed is what all wait for, whatever it sends a second time before everything was sent once makes all of them
//! wait longer. Leechers choose pieces without knowing what others have asked for. But the seed knows, so it holds a
//! request back while another peer fetches the same piece and nobody else has it: mostly that one tells of it soon, and
//! the request is taken back. Nothing is held back while nothing else is to be sent, nor for long.
//!
//! It also sees whether what it gave to a peer shows up at others. First copies that a peer keeps to itself are lost for
//! the swarm.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::geometry::{Block, PieceIndex};
use crate::peer::link::PeerKey;

/// How long a request waits for another peer that fetches the piece.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it waits on when that one has it, for the peer to take it back.
const GRACE: Duration = Duration::from_millis(1_500);

/// What a peer has had for so long it could have passed on. Until then one that gives nothing takes what it can.
const TIME_TO_PASS_ON: Duration = Duration::from_secs(3);

/// What was not passed on by then is forgiven: who has been too slow for a time shall have another chance.
const FORGIVEN: Duration = Duration::from_secs(120);

/// So many blocks that were held back are sent when nothing else is to be sent.
const AT_ONCE: usize = 4;

/// The first copies of one seed.
#[derive(Debug, Default)]
pub(super) struct Spread {
    pieces: HashMap<PieceIndex, Copy>,
    held: BTreeMap<PeerKey, VecDeque<Held>>,
}

/// The first copy of a piece: on its way to a peer, or with it and nobody else.
#[derive(Debug)]
struct Copy {
    with: PeerKey,
    /// Since when the peer has it.
    arrived: Option<Instant>,
    /// Who is sent another one.
    others: Vec<PeerKey>,
    /// One of them asked for it though this peer had it by then.
    sent_again: bool,
}

#[derive(Debug)]
struct Held {
    block: Block,
    since: Instant,
}

impl Spread {
    /// A peer asks for a block; `unshared`: nobody has its piece but seeds. Says whether it shall be sent now, else it
    /// is held back. `takes_over` says of the peer that fetches the piece whether this one is so much faster that it
    /// should not wait.
    pub(super) fn on_request(
        &mut self,
        now: Instant,
        peer: PeerKey,
        block: Block,
        unshared: bool,
        takes_over: impl Fn(PeerKey) -> bool,
    ) -> bool {
        let Some(copy) = self.pieces.get_mut(&block.piece) else {
            if unshared {
                self.pieces.insert(block.piece, Copy::new(peer));
            }
            return true;
        };
        if copy.with == peer {
            return true;
        }
        let serve = !unshared || copy.others.contains(&peer) || takes_over(copy.with);
        if serve {
            copy.also(peer);
        } else {
            let held = Held { block, since: now };
            self.held.entry(peer).or_default().push_back(held);
        }
        serve
    }

    /// How many requests of a peer are held back.
    pub(super) fn held_of(&self, peer: PeerKey) -> usize {
        self.held.get(&peer).map_or(0, VecDeque::len)
    }

    /// Whether any request is held back.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// A peer takes a request back; says whether it was held back.
    pub(super) fn on_cancel(&mut self, peer: PeerKey, block: Block) -> bool {
        let Some(held) = self.held.get_mut(&peer) else {
            return false;
        };
        let before = held.len();
        held.retain(|held| held.block != block);
        let found = held.len() < before;
        if held.is_empty() {
            self.held.remove(&peer);
        }
        found
    }

    /// A peer has got a piece.
    pub(super) fn on_have(&mut self, now: Instant, peer: PeerKey, piece: PieceIndex) {
        let Some(copy) = self.pieces.get_mut(&piece) else {
            return;
        };
        if copy.with == peer {
            copy.arrived = Some(now);
        } else if !copy.sent_again {
            // From that peer; or both were at it at the same time, for which nobody is to blame.
            self.pieces.remove(&piece);
        }
    }

    /// How many first copies each peer has had for a while that are nowhere else, for all that is known.
    pub(super) fn kept(&self, now: Instant) -> HashMap<PeerKey, u32> {
        let mut kept = HashMap::new();
        for copy in self.pieces.values() {
            let had_time = |at| (TIME_TO_PASS_ON..FORGIVEN).contains(&now.saturating_duration_since(at));
            if copy.arrived.is_some_and(had_time) {
                *kept.entry(copy.with).or_default() += 1;
            }
        }
        kept
    }

    /// The pieces of which a first copy is on its way to a peer.
    pub(super) fn fetched_by(&self, peer: PeerKey) -> impl Iterator<Item = PieceIndex> {
        let theirs = self
            .pieces
            .iter()
            .filter(move |(_, copy)| copy.with == peer && copy.arrived.is_none());
        theirs.map(|(piece, _)| *piece)
    }

    /// A peer is not served any more. Gives its requests that were held back.
    pub(super) fn on_choked(&mut self, peer: PeerKey) -> Vec<Block> {
        self.pieces
            .retain(|_, copy| copy.with != peer || copy.arrived.is_some());
        let held = self.held.remove(&peer).unwrap_or_default();
        held.into_iter().map(|held| held.block).collect()
    }

    /// A peer has left.
    pub(super) fn forget(&mut self, peer: PeerKey) {
        self.pieces.retain(|_, copy| copy.with != peer);
        self.held.remove(&peer);
    }

    /// The requests that shall not wait any longer. `is_idle`: nothing else is to be sent; `unshared`: whether nobody has
    /// a piece but seeds.
    pub(super) fn release(
        &mut self,
        now: Instant,
        is_idle: bool,
        unshared: impl Fn(PieceIndex) -> bool,
    ) -> Vec<(PeerKey, Block)> {
        let mut released = Vec::new();
        for (&peer, held) in &mut self.held {
            let pieces = &mut self.pieces;
            held.retain(|held| {
                let waited = now.saturating_duration_since(held.since);
                let copy = match pieces.entry(held.block.piece) {
                    Entry::Occupied(copy) => Some(copy.into_mut()),
                    // Who fetched it does so no more: this peer does now, if nobody has it.
                    Entry::Vacant(place) => {
                        let is_first = unshared(held.block.piece);
                        is_first.then(|| place.insert(Copy::new(peer)))
                    }
                };
                let waits = copy.is_some_and(|copy| {
                    let has_had_it = |at| now.saturating_duration_since(at);
                    let is_late = copy.arrived.is_some_and(|at| has_had_it(at) >= GRACE);
                    copy.with != peer && !is_late && waited < PATIENCE
                });
                if !waits {
                    released.push((peer, held.block));
                }
                waits
            });
        }
        if is_idle && released.is_empty() {
            let oldest = self
                .held
                .iter_mut()
                .min_by_key(|(_, held)| held.front().map(|held| held.since));
            if let Some((&peer, held)) = oldest {
                let count = held.len().min(AT_ONCE);
                released.extend(held.drain(..count).map(|held| (peer, held.block)));
            }
        }
        self.held.retain(|_, held| !held.is_empty());
        for (peer, block) in &released {
            if let Some(copy) = self
                .pieces
                .get_mut(&block.piece)
                .filter(|copy| copy.with != *peer)
            {
                copy.also(*peer);
            }
        }
        released
    }
}

impl Copy {
    const fn new(with: PeerKey) -> Self {
        Self {
            with,
            arrived: None,
            others: Vec::new(),
            sent_again: false,
        }
    }

    fn also(&mut self, peer: PeerKey) {
        if !self.others.contains(&peer) {
            self.others.push(peer);
            self.sent_again |= self.arrived.is_some();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BLOCK_LENGTH;

    const ONE: PeerKey = PeerKey(1);
    const TWO: PeerKey = PeerKey(2);
    const THREE: PeerKey = PeerKey(3);
    const PIECE: PieceIndex = PieceIndex(7);

    fn block(number: u32) -> Block {
        Block {
            piece: PIECE,
            begin: number * BLOCK_LENGTH,
            length: BLOCK_LENGTH,
        }
    }

    /// One fetches a piece that nobody has, and two asks for it as well.
    fn contested(now: Instant) -> Spread {
        let mut spread = Spread::default();
        assert!(spread.on_request(now, ONE, block(0), true, |_| false));
        assert!(!spread.on_request(now, TWO, block(0), true, |_| false));
        spread
    }

    #[test]
    fn what_another_peer_fetches_is_held_back_until_it_is_taken_back() {
        let now = Instant::now();
        let mut spread = contested(now);
        assert!(spread.on_request(now, ONE, block(1), true, |_| false));
        assert_eq!((spread.held_of(ONE), spread.held_of(TWO)), (0, 1));
        assert!(spread.release(now, false, |_| true).is_empty());
        spread.on_have(now, ONE, PIECE);
        assert!(spread.release(now + GRACE / 2, false, |_| true).is_empty());
        assert!(spread.on_cancel(TWO, block(0)) && !spread.on_cancel(TWO, block(0)));
        assert!(!spread.holds());
    }

    #[test]
    fn a_request_is_not_held_back_for_ever() {
        let now = Instant::now();
        let all = vec![(TWO, block(0))];
        assert_eq!(contested(now).release(now + PATIENCE, false, |_| true), all);
        assert_eq!(
            contested(now).release(now, true, |_| true),
            all,
            "nothing else is to be sent"
        );
        let mut spread = contested(now);
        spread.on_have(now, ONE, PIECE);
        assert_eq!(
            spread.release(now + GRACE, false, |_| true),
            all,
            "it has no other source"
        );
        let mut spread = contested(now);
        spread.forget(ONE);
        assert_eq!(
            spread.release(now, false, |_| true),
            all,
            "it fetches the piece now"
        );
        assert!(!spread.on_request(now, THREE, block(0), true, |_| false));
        let mut spread = contested(now);
        spread.on_have(now, THREE, PIECE);
        assert_eq!(spread.release(now, false, |_| false), all);
        assert_eq!(spread.fetched_by(TWO).count(), 0, "it is no first copy");
    }

    #[test]
    fn who_is_much_faster_does_not_wait() {
        let now = Instant::now();
        let mut spread = contested(now);
        assert!(spread.on_request(now, THREE, block(0), true, |other| other == ONE));
        assert!(
            spread.on_request(now, THREE, block(1), true, |_| false),
            "it goes on with the piece"
        );
    }

    #[test]
    fn nothing_is_held_back_of_what_others_have() {
        let now = Instant::now();
        let mut spread = Spread::default();
        for peer in [ONE, TWO, THREE] {
            assert!(spread.on_request(now, peer, block(0), false, |_| false));
        }
    }

    #[test]
    fn a_choke_gives_back_what_was_held() {
        let mut spread = contested(Instant::now());
        assert_eq!(spread.fetched_by(ONE).collect::<Vec<_>>(), [PIECE]);
        assert_eq!(spread.on_choked(TWO), [block(0)]);
        assert!(spread.on_choked(ONE).is_empty());
        assert_eq!(spread.fetched_by(ONE).count(), 0);
    }

    #[test]
    fn first_copies_that_are_passed_on_are_not_kept() {
        let now = Instant::now();
        let later = now + TIME_TO_PASS_ON;
        let mut spread = contested(now);
        spread.on_have(now, ONE, PIECE);
        assert!(spread.kept(now).is_empty(), "it has had no time");
        assert_eq!(spread.kept(later), HashMap::from([(ONE, 1)]));
        spread.on_have(later, THREE, PIECE);
        assert!(spread.kept(later).is_empty());
        // Two that fetched it at the same time have kept nothing.
        let mut spread = contested(now);
        assert_eq!(spread.release(now, true, |_| true).len(), 1);
        spread.on_have(now, ONE, PIECE);
        spread.on_have(now, TWO, PIECE);
        assert!(spread.kept(later).is_empty());
    }

    #[test]
    fn what_we_had_to_send_again_was_not_passed_on() {
        let now = Instant::now();
        let later = now + TIME_TO_PASS_ON;
        let mut spread = contested(now);
        spread.on_have(now, ONE, PIECE);
        assert_eq!(spread.release(later, false, |_| true), [(TWO, block(0))]);
        spread.on_have(later, TWO, PIECE);
        spread.on_have(later, THREE, PIECE);
        assert_eq!(spread.kept(later), HashMap::from([(ONE, 1)]));
        assert!(spread.kept(now + FORGIVEN).is_empty());
    }
}
