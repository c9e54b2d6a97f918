//! Random operations on the picker, watched by a model that keeps plain sets.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::*;
use super::SOMEBODY;
use crate::geometry::BLOCK_LENGTH;

const PIECES: u32 = 12;
const PEERS: u64 = 4;

/// What must be true of the picker, told by what went in and came out.
struct Model {
    picker: Picker,
    rng: fastrand::Rng,
    /// What each connected peer has.
    peers: Vec<Option<Bitfield>>,
    asked: BTreeSet<(PeerKey, Block)>,
    /// Requests that were taken back, of open pieces.
    late: BTreeSet<(PeerKey, Block)>,
    here: BTreeSet<Block>,
    open: BTreeSet<PieceIndex>,
    whole: BTreeSet<PieceIndex>,
    verified: BTreeSet<PieceIndex>,
    priorities: Vec<Priority>,
    /// Blocks that came when they were here already.
    duplicates: u64,
}

impl Model {
    fn new(seed: u64) -> Self {
        // The last piece is short, and so is its last block.
        let geometry =
            Geometry::new(u64::from(PIECES * 4 * BLOCK_LENGTH) - 20_000, 4 * BLOCK_LENGTH).unwrap();
        Self {
            picker: Picker::new(geometry, &Bitfield::empty(PIECES)),
            rng: fastrand::Rng::with_seed(seed),
            peers: vec![None; PEERS as usize],
            asked: BTreeSet::new(),
            late: BTreeSet::new(),
            here: BTreeSet::new(),
            open: BTreeSet::new(),
            whole: BTreeSet::new(),
            verified: BTreeSet::new(),
            priorities: vec![Priority::Normal; PIECES as usize],
            duplicates: 0,
        }
    }

    fn join(&mut self, peer: u64, pieces: u32) {
        self.leave(peer);
        let mut has = Bitfield::empty(PIECES);
        (0..PIECES).filter(|bit| pieces >> bit & 1 == 1).for_each(|bit| {
            has.insert(PieceIndex(bit));
        });
        self.picker.peer_joined(&has);
        self.peers[peer as usize] = Some(has);
    }

    fn leave(&mut self, peer: u64) {
        if let Some(has) = self.peers[peer as usize].take() {
            self.choke(peer);
            self.picker.peer_left(&has);
        }
    }

    fn got(&mut self, peer: u64, piece: PieceIndex) {
        if self.peers[peer as usize]
            .as_mut()
            .is_some_and(|has| has.insert(piece))
        {
            self.picker.peer_got(piece, SOMEBODY);
        }
    }

    fn choke(&mut self, peer: u64) {
        let out = self.asked_of(peer);
        assert_eq!(self.picker.release_all(PeerKey(peer)), out.len());
        for block in out {
            self.asked.remove(&(PeerKey(peer), block));
            self.late.insert((PeerKey(peer), block));
        }
    }

    fn release(&mut self, peer: u64, nth: usize) {
        let out = self.asked_of(peer);
        if let Some(&block) = out.get(nth % out.len().max(1)) {
            assert!(self.picker.release(PeerKey(peer), block));
            assert!(!self.picker.release(PeerKey(peer), block));
            self.asked.remove(&(PeerKey(peer), block));
            self.late.insert((PeerKey(peer), block));
        }
    }

    fn asked_of(&self, peer: u64) -> Vec<Block> {
        let theirs = self.asked.iter().filter(|(asked, _)| *asked == PeerKey(peer));
        theirs.map(|(_, block)| *block).collect()
    }

    fn is_wanted(&self, piece: PieceIndex) -> bool {
        self.priorities[piece.get()] != Priority::Skip
    }

    /// Whether every missing wanted block is asked for.
    fn is_endgame(&self) -> bool {
        let geometry = self.picker.geometry;
        let missing = geometry.pieces().filter(|piece| {
            self.is_wanted(*piece) && !self.whole.contains(piece) && !self.verified.contains(piece)
        });
        missing
            .flat_map(|piece| geometry.blocks(piece))
            .all(|block| self.here.contains(&block) || self.asked.iter().any(|(_, asked)| *asked == block))
    }

    /// Picks, and checks each block that is handed out.
    fn pick(&mut self, peer: u64, count: usize, may_open: bool, allowed: Option<&[PieceIndex]>) {
        let Some(has) = self.peers[peer as usize].clone() else {
            return;
        };
        let mut out = Vec::new();
        let open = &mut |_| may_open;
        self.picker
            .pick(PeerKey(peer), &has, allowed, count, open, &mut self.rng, &mut out);
        assert!(out.len() <= count);
        for block in out {
            let piece = block.piece;
            assert!(
                has.has(piece) && self.is_wanted(piece),
                "{block} is not wanted of {peer}"
            );
            assert!(allowed.is_none_or(|set| set.contains(&piece)));
            assert!(
                !self.whole.contains(&piece)
                    && !self.verified.contains(&piece)
                    && !self.here.contains(&block)
            );
            assert!(
                may_open || self.open.contains(&piece),
                "{piece} was begun without memory"
            );
            let others = self.asked.iter().filter(|(_, asked)| *asked == block).count();
            assert!(
                others == 0 || others == 1 && self.is_endgame(),
                "{block} was asked for before"
            );
            assert!(
                self.asked.insert((PeerKey(peer), block)),
                "{block} was asked of {peer} before"
            );
            self.late.remove(&(PeerKey(peer), block));
            self.open.insert(piece);
        }
    }

    /// The peer sends a block that it was asked for, or was before.
    fn send(&mut self, peer: u64, nth: usize, late: bool) {
        let from = if late { &self.late } else { &self.asked };
        let theirs: Vec<_> = from.iter().filter(|(asked, _)| *asked == PeerKey(peer)).collect();
        if let Some(&&(_, block)) = theirs.get(nth % theirs.len().max(1)) {
            self.receive(PeerKey(peer), block);
        }
    }

    fn receive(&mut self, peer: PeerKey, block: Block) {
        let piece = block.piece;
        let expected = if self.here.contains(&block) {
            self.duplicates += 1;
            Received::Duplicate
        } else {
            let askers = self
                .asked
                .iter()
                .filter(|(asker, asked)| *asked == block && *asker != peer);
            let also_asked = askers.map(|(asker, _)| *asker).collect();
            self.here.insert(block);
            self.asked.retain(|(_, asked)| *asked != block);
            let piece_complete = self
                .picker
                .geometry
                .blocks(piece)
                .all(|block| self.here.contains(&block));
            if piece_complete {
                self.open.remove(&piece);
                self.whole.insert(piece);
                self.late.retain(|(_, block)| block.piece != piece);
            }
            Received::Accepted {
                piece_complete,
                also_asked,
            }
        };
        let mut received = self.picker.received(peer, block);
        if let Received::Accepted { also_asked, .. } = &mut received {
            also_asked.sort_unstable();
        }
        assert_eq!(received, expected, "{block} of {peer}");
    }

    fn verify_next(&mut self) {
        if let Some(piece) = self.whole.pop_first() {
            self.picker.verified(piece);
            self.verified.insert(piece);
        }
    }

    fn fail_next(&mut self) {
        if let Some(piece) = self.whole.pop_first() {
            self.picker.failed(piece);
            self.here.retain(|block| block.piece != piece);
        }
    }

    fn drop_open(&mut self, piece: PieceIndex) {
        let mut dropped = self.picker.drop_open(piece);
        dropped.sort_unstable();
        let out = self
            .asked
            .iter()
            .copied()
            .filter(|(_, block)| block.piece == piece);
        assert_eq!(dropped, out.collect::<Vec<_>>());
        self.asked.retain(|(_, block)| block.piece != piece);
        self.late.retain(|(_, block)| block.piece != piece);
        if self.open.remove(&piece) {
            self.here.retain(|block| block.piece != piece);
        }
    }

    fn set_priorities(&mut self, seed: u32) {
        let of = |piece: PieceIndex| match seed.rotate_left(piece.0) % 5 {
            0 => Priority::Skip,
            1 => Priority::High,
            2 => Priority::Low,
            _ => Priority::Normal,
        };
        let unwanted = self.picker.set_priorities(of);
        self.priorities = self.picker.geometry.pieces().map(of).collect();
        let expected = self.open.iter().copied().filter(|piece| !self.is_wanted(*piece));
        assert_eq!(unwanted, expected.collect::<Vec<_>>());
    }

    /// Panics unless the picker agrees with the model and keeps its invariants.
    fn check(&self) {
        let picker = &self.picker;
        picker.candidates.check(&picker.priorities, &picker.counts);
        let mut missing = Missing::default();
        for piece in picker.geometry.pieces() {
            let expected = match piece {
                _ if self.open.contains(&piece) => State::Open,
                _ if self.whole.contains(&piece) => State::Whole,
                _ if self.verified.contains(&piece) => State::Verified,
                _ => State::Idle,
            };
            assert_eq!(picker.states[piece.get()], expected, "state of {piece}");
            assert_eq!(
                picker.candidates.contains(piece),
                expected == State::Idle && self.is_wanted(piece)
            );
            let owners = self.peers.iter().flatten().filter(|has| has.has(piece)).count();
            assert_eq!(
                picker.availability(piece),
                owners as u32,
                "availability of {piece}"
            );
            if self.is_wanted(piece) && expected != State::Verified {
                missing.pieces += 1;
                missing.bytes += u64::from(picker.geometry.piece_size(piece));
            }
            assert_eq!(
                picker.settled.has(piece),
                !self.is_wanted(piece) || expected == State::Verified
            );
        }
        assert_eq!(picker.missing_wanted(), missing);
        assert_eq!(picker.verified as usize, self.verified.len());
        self.check_requests();
    }

    fn check_requests(&self) {
        let picker = &self.picker;
        let listed = picker
            .asked
            .iter()
            .flat_map(|(&peer, blocks)| blocks.iter().map(move |&block| (peer, block)));
        let listed: Vec<_> = listed.collect();
        assert_eq!(listed.len(), self.asked.len());
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), self.asked);
        let mut doubled = 0;
        for (&piece, open) in &picker.open {
            let (mut free, mut received) = (0, 0);
            for (block, slot) in picker.geometry.blocks(piece).zip(open.slots()) {
                let askers: BTreeSet<_> = slot.askers().collect();
                let expected = self
                    .asked
                    .iter()
                    .filter(|(_, asked)| *asked == block)
                    .map(|(peer, _)| *peer);
                assert_eq!(askers, expected.collect(), "askers of {block}");
                assert_eq!(
                    *slot == open::Slot::Received,
                    self.here.contains(&block),
                    "{block}"
                );
                doubled += u64::from(askers.len() == 2);
                free += u32::from(*slot == open::Slot::Free);
                received += u32::from(*slot == open::Slot::Received);
            }
            assert_eq!((open.free(), open.received()), (free, received));
        }
        assert_eq!(picker.doubled, doubled);
        assert_eq!(picker.wasted, self.duplicates);
    }
}

proptest! {
    #[test]
    fn any_sequence_of_operations_keeps_the_invariants(
        seed in any::<u64>(),
        operations in prop::collection::vec((0_u8..22, 0..PEERS, 0..PIECES, any::<u32>()), 1..250),
    ) {
        let mut model = Model::new(seed);
        for (operation, peer, piece, number) in operations {
            let nth = number as usize;
            let piece = PieceIndex(piece);
            match operation {
                0 => model.join(peer, number),
                1 => model.join(peer, u32::MAX),
                2 => model.leave(peer),
                3 => model.got(peer, piece),
                4 => (0..PIECES).for_each(|piece| model.got(peer, PieceIndex(piece))),
                5 => model.choke(peer),
                6 => model.release(peer, nth),
                7..=10 => model.pick(peer, nth % 9, number % 8 != 0, None),
                11 => model.pick(peer, 60, true, None),
                12 => model.pick(peer, nth % 9, true, Some(&[piece, PieceIndex(3)])),
                13..=15 => model.send(peer, nth, false),
                16 => model.send(peer, nth, true),
                17 => model.verify_next(),
                18 => model.fail_next(),
                19 => model.drop_open(piece),
                _ if number % 4 == 0 => model.picker.set_sequential(number % 8 == 0),
                _ => model.set_priorities(number),
            }
            model.check();
        }
    }

    #[test]
    fn a_download_completes_whatever_the_peers_do(seed in any::<u64>(), sequential in any::<bool>()) {
        let mut model = Model::new(seed);
        let mut rng = fastrand::Rng::with_seed(!seed);
        model.picker.set_sequential(sequential);
        let mut steps = 0;
        while !model.picker.is_complete() {
            steps += 1;
            prop_assert!(steps < 20_000, "no end: {:?}", model.picker.missing_wanted());
            let peer = rng.u64(..PEERS);
            match rng.u8(..40) {
                0 => model.join(peer, rng.u32(..)),
                1 => model.join(peer, u32::MAX),
                2 => model.leave(peer),
                3 => model.choke(peer),
                4 => model.fail_next(),
                5..12 => model.pick(peer, rng.usize(1..9), true, None),
                12..18 => model.verify_next(),
                _ => model.send(peer, 0, rng.u8(..8) == 0),
            }
        }
        model.check();
        prop_assert_eq!(model.verified.len() as u32, PIECES);
        prop_assert_eq!(model.picker.open_pieces().count(), 0);
        prop_assert!(model.asked.is_empty());
    }
}
