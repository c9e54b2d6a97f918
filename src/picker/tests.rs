//! The rules one by one; then random operations against a naive model that keeps plain sets.

mod model;

use std::time::Duration;

use super::*;
use crate::geometry::BLOCK_LENGTH;

const ONE: PeerKey = PeerKey(1);
const TWO: PeerKey = PeerKey(2);
const THREE: PeerKey = PeerKey(3);
const SOMEBODY: PeerId = PeerId::new([7; 20]);

fn picker(pieces: u32, blocks: u32) -> Picker {
    let length = blocks * BLOCK_LENGTH;
    let geometry = Geometry::new(u64::from(pieces) * u64::from(length), length).unwrap();
    Picker::new(geometry, &Bitfield::empty(pieces))
}

/// A picker that is past its random first pieces: 0 to 3 are verified.
fn warm_picker(pieces: u32, blocks: u32) -> Picker {
    let mut picker = picker(pieces, blocks);
    (0..4).for_each(|piece| picker.verified(PieceIndex(piece)));
    picker
}

fn set(pieces: &[u32], length: u32) -> Bitfield {
    let mut set = Bitfield::empty(length);
    pieces.iter().for_each(|&piece| {
        set.insert(PieceIndex(piece));
    });
    set
}

fn pick(picker: &mut Picker, peer: PeerKey, has: &Bitfield, count: usize) -> Vec<Block> {
    pick_with(picker, peer, has, None, count, &mut |_| true)
}

fn pick_with(
    picker: &mut Picker,
    peer: PeerKey,
    has: &Bitfield,
    allowed: Option<&[PieceIndex]>,
    count: usize,
    open: &mut dyn FnMut(PieceIndex) -> bool,
) -> Vec<Block> {
    let mut out = Vec::new();
    let mut rng = fastrand::Rng::with_seed(7);
    picker.pick(peer, has, allowed, count, open, &mut rng, &mut out);
    out
}

fn pieces_of(blocks: &[Block]) -> Vec<u32> {
    let mut pieces: Vec<_> = blocks.iter().map(|block| block.piece.0).collect();
    pieces.dedup();
    pieces
}

fn accept(picker: &mut Picker, peer: PeerKey, block: Block) -> (bool, Vec<PeerKey>) {
    match picker.received(peer, block) {
        Received::Accepted {
            piece_complete,
            also_asked,
        } => (piece_complete, also_asked),
        other => panic!("{block} of {peer} was not accepted but {other:?}"),
    }
}

#[test]
fn a_seed_gives_everything_once() {
    let mut picker = picker(5, 4);
    let seed = Bitfield::full(5);
    picker.peer_joined(&seed);
    let mut blocks = pick(&mut picker, ONE, &seed, 100);
    assert!(pick(&mut picker, ONE, &seed, 100).is_empty());
    let wholes = blocks
        .iter()
        .filter(|&&block| accept(&mut picker, ONE, block).0)
        .count();
    assert_eq!(wholes, 5);
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), 20);
    (0..5).for_each(|piece| picker.verified(PieceIndex(piece)));
    assert!(picker.is_complete() && !picker.interests(&seed));
}

#[test]
fn the_rarest_comes_first_and_priority_before_rarity() {
    let mut picker = warm_picker(8, 2);
    let all = Bitfield::full(8);
    for has in [&all, &set(&[4, 5, 7], 8), &set(&[5, 7], 8), &set(&[7], 8)] {
        picker.peer_joined(has);
    }
    picker.set_priorities(|piece| match piece.0 {
        7 => Priority::High,
        6 => Priority::Low,
        _ => Priority::Normal,
    });
    assert_eq!(pieces_of(&pick(&mut picker, ONE, &all, 8)), [7, 4, 5, 6]);
}

#[test]
fn equals_and_the_first_pieces_are_taken_at_random() {
    let first_of = |seed, warm: bool| {
        let mut picker = if warm { warm_picker(64, 1) } else { picker(64, 1) };
        // Not a seed: of those the rarest is taken from the start.
        let all = set(&(0..63).collect::<Vec<_>>(), 64);
        // Piece 60 is the rarest, which only a warm picker heeds.
        (0..60).for_each(|piece| picker.peer_got(PieceIndex(piece), SOMEBODY));
        (61..64).for_each(|piece| picker.peer_got(PieceIndex(piece), SOMEBODY));
        let mut out = Vec::new();
        let mut rng = fastrand::Rng::with_seed(seed);
        picker.pick(ONE, &all, None, 2, &mut |_| true, &mut rng, &mut out);
        (out[0].piece.0, out[1].piece.0)
    };
    let cold: std::collections::BTreeSet<_> = (0..20).map(|seed| first_of(seed, false).0).collect();
    assert!(cold.len() > 5, "{cold:?}");
    let warm: std::collections::BTreeSet<_> = (0..20).map(|seed| first_of(seed, true)).collect();
    assert!(
        warm.iter().all(|(first, _)| *first == 60) && warm.len() > 5,
        "{warm:?}"
    );
}

#[test]
fn in_sequence_when_told_so_but_the_more_wanted_before() {
    let mut picker = picker(6, 1);
    let has = set(&[0, 2, 3, 4, 5], 6);
    picker.peer_joined(&has);
    picker.set_sequential(true);
    picker.set_priorities(|piece| {
        if piece.0 == 4 {
            Priority::High
        } else {
            Priority::Normal
        }
    });
    assert_eq!(pieces_of(&pick(&mut picker, ONE, &has, 3)), [4, 0, 2]);
    picker.drop_open(PieceIndex(0));
    assert_eq!(
        pieces_of(&pick(&mut picker, ONE, &has, 9)),
        [0, 3, 5],
        "it goes back for what was given up"
    );
}

#[test]
fn open_pieces_are_finished_before_others_are_begun() {
    let mut picker = picker(4, 10);
    let all = Bitfield::full(4);
    let first = pick(&mut picker, ONE, &all, 3);
    let second = pick(&mut picker, TWO, &all, 4);
    assert_eq!(pieces_of(&first), pieces_of(&second), "slow peers share a piece");
    let begins: Vec<_> = first
        .iter()
        .chain(&second)
        .map(|block| block.begin / BLOCK_LENGTH)
        .collect();
    assert_eq!(begins, [0, 1, 2, 3, 4, 5, 6], "in order");
    let fast = pick(&mut picker, THREE, &all, 10);
    assert_eq!(pieces_of(&fast).len(), 1);
    assert_ne!(pieces_of(&fast), pieces_of(&first), "a fast one gets its own");
}

#[test]
fn a_slow_peer_stays_out_of_a_fast_ones_piece_until_there_is_no_other() {
    let mut picker = picker(2, 10);
    let all = Bitfield::full(2);
    let fast = pick(&mut picker, ONE, &all, 7);
    let slow = pick(&mut picker, TWO, &all, 4);
    assert_ne!(pieces_of(&fast), pieces_of(&slow));
    let refused = pick_with(
        &mut picker,
        THREE,
        &set(&[fast[0].piece.0], 2),
        None,
        2,
        &mut |_| false,
    );
    assert_eq!(pieces_of(&refused), pieces_of(&fast));
    picker.release_all(ONE);
    assert_eq!(picker.open_pieces().map(|open| open.requested).sum::<u32>(), 6);
    let next = pick(&mut picker, TWO, &all, 10);
    assert_eq!(next.len(), 10, "what was released is handed out again");
}

#[test]
fn no_piece_is_begun_that_memory_is_not_there_for() {
    let mut picker = picker(9, 2);
    let all = Bitfield::full(9);
    let mut left = 2;
    let blocks = pick_with(&mut picker, ONE, &all, None, 18, &mut |_| {
        left -= 1;
        left >= 0
    });
    assert_eq!((blocks.len(), picker.open_pieces().count()), (4, 2));
    assert!(
        pick_with(&mut picker, TWO, &all, None, 18, &mut |_| false).is_empty(),
        "a lack of memory is no endgame"
    );
}

#[test]
fn while_choked_only_the_allowed_fast_set() {
    let mut picker = warm_picker(9, 2);
    let has = set(&[5, 6, 7], 9);
    picker.peer_joined(&has);
    picker.peer_got(PieceIndex(5), SOMEBODY);
    let allowed = [5, 6, 8, 900].map(PieceIndex);
    let blocks = pick_with(&mut picker, ONE, &has, Some(&allowed), 20, &mut |_| true);
    assert_eq!(pieces_of(&blocks), [6, 5]);
    assert!(pick_with(&mut picker, TWO, &has, Some(&[]), 20, &mut |_| true).is_empty());
}

#[test]
fn the_endgame_asks_two_peers_and_cancels_at_the_slower() {
    let mut picker = picker(1, 3);
    let all = Bitfield::full(1);
    let blocks = pick(&mut picker, ONE, &all, 3);
    assert_eq!(pick(&mut picker, TWO, &all, 2), blocks[..2]);
    assert_eq!(
        pick(&mut picker, THREE, &all, 9),
        blocks[2..],
        "two askers at most"
    );
    assert!(
        pick(&mut picker, ONE, &all, 9).is_empty(),
        "never twice at one peer"
    );
    assert_eq!(accept(&mut picker, TWO, blocks[0]), (false, vec![ONE]));
    assert_eq!(picker.received(ONE, blocks[0]), Received::Duplicate);
    assert!(!picker.release(ONE, blocks[0]) && picker.release(TWO, blocks[1]));
    assert_eq!(
        pick(&mut picker, THREE, &all, 1),
        [blocks[1]],
        "its place is free again"
    );
    assert_eq!(accept(&mut picker, ONE, blocks[1]), (false, vec![THREE]));
    assert_eq!(accept(&mut picker, ONE, blocks[2]), (true, vec![THREE]));
    assert_eq!(picker.received(THREE, blocks[2]), Received::Duplicate);
}

#[test]
fn the_endgame_is_bounded() {
    let mut picker = picker(1, 400);
    let all = Bitfield::full(1);
    assert_eq!(pick(&mut picker, ONE, &all, 400).len(), 400);
    let twice: usize = (2..50)
        .map(|peer| pick(&mut picker, PeerKey(peer), &all, 100).len())
        .sum();
    assert_eq!(twice, 8);
}

#[test]
fn the_endgame_takes_what_would_come_last() {
    let mut picker = picker(3, 400);
    let all = Bitfield::full(3);
    let (slow, fast) = (ONE, TWO);
    let of_slow = pick(&mut picker, slow, &all, 6);
    let of_fast = pick(&mut picker, fast, &all, 1_194);
    assert_eq!(of_slow.len() + of_fast.len(), 1_200);
    let pace = |blocks_per_sec, millis| Pace {
        blocks_per_sec,
        round_trip: Duration::from_millis(millis),
    };
    // The slow one needs 3 s for its six, the fast one 2 s for what it has and a hundredth more for each.
    let paces = [
        (slow, pace(2.0, 500)),
        (fast, pace(600.0, 100)),
        (THREE, pace(2.0, 100)),
    ];
    picker.set_paces(paces.into_iter());
    assert!(
        pick(&mut picker, fast, &all, 100).is_empty(),
        "it would take two thirds of the time"
    );
    for block in &of_fast[..900] {
        accept(&mut picker, fast, *block);
    }
    // 0.49 s for what it has: half of what the slow one needs for its second.
    let taken: Vec<_> = of_slow[1..].iter().rev().copied().collect();
    assert_eq!(pick(&mut picker, fast, &all, 100), taken, "the last ones first");
    let again = pick(&mut picker, THREE, &all, 100);
    assert!(again.is_empty(), "nobody would wait shorter: {again:?}");
    // One that lets us wait altogether is helped by anybody.
    picker.set_paces(
        [
            (slow, pace(0.0, 500)),
            (fast, pace(600.0, 100)),
            (THREE, pace(2.0, 100)),
        ]
        .into_iter(),
    );
    assert_eq!(pick(&mut picker, THREE, &all, 100), of_slow[..1]);
}

#[test]
fn what_was_called_off_counts_until_it_is_known_not_to_come() {
    let mut picker = picker(1, 400);
    let all = Bitfield::full(1);
    pick(&mut picker, ONE, &all, 400);
    let pace = |blocks_per_sec| Pace {
        blocks_per_sec,
        round_trip: Duration::from_millis(100),
    };
    picker.set_paces([(ONE, pace(1.0)), (TWO, pace(1_000.0))].into_iter());
    let again = pick(&mut picker, TWO, &all, 100);
    assert_eq!(again.len(), 8);
    for block in &again {
        assert_eq!(accept(&mut picker, TWO, *block).1, [ONE]);
    }
    assert!(
        pick(&mut picker, TWO, &all, 100).is_empty(),
        "all eight may come still"
    );
    picker.spared(ONE, again[0]);
    picker.spared(ONE, again[0]);
    assert_eq!(pick(&mut picker, TWO, &all, 100).len(), 1);
    assert_eq!(picker.received(ONE, again[1]), Received::Duplicate);
    assert!(pick(&mut picker, TWO, &all, 100).is_empty());
    picker.forget_peer(ONE);
    assert_eq!(
        pick(&mut picker, TWO, &all, 100).len(),
        6,
        "one has come twice, one is out"
    );
}

#[test]
fn what_came_twice_counts_against_the_bound() {
    let mut picker = picker(1, 400);
    let all = Bitfield::full(1);
    let blocks = pick(&mut picker, ONE, &all, 400);
    let mut twice = 0;
    for _ in 0..20 {
        // Every answer comes twice, and always more are asked for.
        let again = pick(&mut picker, TWO, &all, 100);
        twice += again.len();
        for block in again {
            accept(&mut picker, TWO, block);
            assert_eq!(picker.received(ONE, block), Received::Duplicate);
        }
    }
    assert_eq!(
        twice,
        8 + 19,
        "eight, and then no more than one at a time of {}",
        blocks.len()
    );
}

#[test]
fn an_answer_that_crossed_its_release_is_taken() {
    let mut picker = picker(2, 2);
    let all = Bitfield::full(2);
    let blocks = pick(&mut picker, ONE, &all, 2);
    assert_eq!(
        picker.received(TWO, blocks[0]),
        Received::Unrequested,
        "that was another"
    );
    assert_eq!(picker.release_all(ONE), 2);
    assert_eq!(accept(&mut picker, ONE, blocks[0]), (false, vec![]));
    assert_eq!(pick(&mut picker, TWO, &all, 1), [blocks[1]]);
    assert_eq!(
        accept(&mut picker, ONE, blocks[1]),
        (true, vec![TWO]),
        "and the other asker is called off"
    );
    assert_eq!(picker.requested_from(TWO), 0);
    assert_eq!(picker.received(TWO, blocks[1]), Received::Duplicate);
}

#[test]
fn blocks_that_make_no_sense_are_unrequested() {
    let mut picker = picker(2, 2);
    pick(&mut picker, ONE, &Bitfield::full(2), 4);
    for (piece, begin, length) in [
        (2, 0, BLOCK_LENGTH),
        (u32::MAX, u32::MAX, u32::MAX),
        (0, 1, BLOCK_LENGTH),
        (0, 0, BLOCK_LENGTH - 1),
        (0, 0, 0),
        (0, 2 * BLOCK_LENGTH, BLOCK_LENGTH),
    ] {
        let block = Block {
            piece: PieceIndex(piece),
            begin,
            length,
        };
        assert_eq!(picker.received(ONE, block), Received::Unrequested, "{block}");
        assert!(!picker.release(ONE, block));
    }
    picker.peer_got(PieceIndex(7), SOMEBODY);
    picker.verified(PieceIndex(7));
    picker.failed(PieceIndex(7));
    assert_eq!(
        (
            picker.drop_open(PieceIndex(7)),
            picker.availability(PieceIndex(7))
        ),
        (vec![], 0)
    );
}

#[test]
fn a_failed_and_a_dropped_piece_are_fetched_again() {
    let mut picker = picker(1, 2);
    let all = Bitfield::full(1);
    let blocks = pick(&mut picker, ONE, &all, 2);
    blocks
        .iter()
        .for_each(|&block| _ = accept(&mut picker, ONE, block));
    assert!(
        pick(&mut picker, ONE, &all, 2).is_empty(),
        "its hash is being checked"
    );
    picker.failed(PieceIndex(0));
    assert_eq!(pick(&mut picker, ONE, &all, 2), blocks);
    assert_eq!(
        picker.drop_open(PieceIndex(0)),
        [(ONE, blocks[0]), (ONE, blocks[1])]
    );
    assert_eq!(picker.requested_from(ONE), 0);
    assert_eq!(
        picker.missing_wanted(),
        Missing {
            pieces: 1,
            bytes: 2 * u64::from(BLOCK_LENGTH)
        }
    );
    assert_eq!(pick(&mut picker, ONE, &all, 2), blocks);
}

#[test]
fn what_is_skipped_is_neither_asked_for_nor_of_interest() {
    let mut picker = picker(3, 2);
    let all = Bitfield::full(3);
    let begun = pick(&mut picker, ONE, &all, 1)[0].piece;
    assert_eq!(picker.set_priorities(|_| Priority::Skip), [begun]);
    assert!(picker.is_complete() && !picker.interests(&all));
    assert!(pick(&mut picker, TWO, &all, 9).is_empty());
    assert!(picker.set_priorities(|_| Priority::Low).is_empty());
    assert_eq!(pick(&mut picker, TWO, &all, 5).len(), 5);
}

#[test]
fn copies_are_counted_with_seeds() {
    let mut picker = picker(4, 1);
    picker.peer_joined(&Bitfield::full(4));
    picker.peer_joined(&set(&[0, 1, 2], 4));
    let counts = |picker: &Picker| [0, 3].map(|piece| picker.availability(PieceIndex(piece)));
    assert_eq!(counts(&picker), [2, 1]);
    picker.peer_got(PieceIndex(3), SOMEBODY);
    assert_eq!(counts(&picker), [2, 2]);
    picker.peer_left(&Bitfield::full(4));
    picker.peer_left(&Bitfield::full(4));
    assert_eq!(counts(&picker), [0, 0]);
}

#[test]
fn a_torrent_without_pieces_is_complete() {
    let mut picker = Picker::new(Geometry::new(0, 1).unwrap(), &Bitfield::empty(0));
    let none = Bitfield::full(0);
    picker.peer_joined(&none);
    assert!(picker.is_complete() && pick(&mut picker, ONE, &none, 9).is_empty());
}

#[test]
fn a_seed_is_asked_for_what_only_seeds_have_before_it_helps_with_the_rest() {
    let mut picker = warm_picker(6, 8);
    let (everything, one_piece) = (Bitfield::full(6), set(&[4], 6));
    picker.peer_joined(&everything);
    picker.peer_joined(&one_piece);
    assert_eq!(pieces_of(&pick(&mut picker, TWO, &one_piece, 3)), [4]);
    assert_eq!(pieces_of(&pick(&mut picker, ONE, &everything, 3)), [5]);
    picker.peer_got(PieceIndex(5), SOMEBODY);
    let rest = pick(&mut picker, ONE, &everything, 10);
    assert_eq!(pieces_of(&rest), [4, 5], "nothing is left that can wait");
}

/// Ten leechers that know of each other divide what only the seed has.
#[test]
fn leechers_that_a_seed_serves_ask_it_for_different_pieces() {
    const LEECHERS: u8 = 10;
    let id = |number: u8| PeerId::new([number; 20]);
    let seed = Bitfield::full(1_000);
    let mut asked = Vec::new();
    for own in 0..LEECHERS {
        let mut picker = warm_picker(1_000, 1);
        picker.set_own_id(id(own));
        picker.peer_joined(&seed);
        // Each of the others has told of a piece that only the seed had.
        for other in (0..LEECHERS).filter(|other| *other != own) {
            picker.peer_got(PieceIndex(4 + u32::from(other)), id(other));
        }
        let mut rng = fastrand::Rng::with_seed(u64::from(own));
        let mut out = Vec::new();
        picker.pick(ONE, &seed, None, 40, &mut |_| true, &mut rng, &mut out);
        assert_eq!(out.len(), 40);
        asked.extend(out.into_iter().map(|block| block.piece));
    }
    asked.sort_unstable();
    asked.dedup();
    // Each looks at a part of the pieces only, in which there may be none of its own.
    assert!(asked.len() >= 396, "{} of 400 are different", asked.len());
}

/// Nothing is left to others that would otherwise not be asked for.
#[test]
fn who_has_nothing_of_its_own_left_takes_what_is_for_others() {
    let mut picker = warm_picker(40, 1);
    let seed = Bitfield::full(40);
    picker.peer_joined(&seed);
    picker.peer_got(PieceIndex(4), SOMEBODY);
    assert_eq!(pick(&mut picker, ONE, &seed, 100).len(), 36);
}

#[test]
fn what_only_seeds_have_does_not_come_before_what_is_wanted_more() {
    let mut picker = warm_picker(6, 8);
    picker.set_priorities(|piece| {
        if piece == PieceIndex(4) {
            Priority::High
        } else {
            Priority::Normal
        }
    });
    let (everything, one_piece) = (Bitfield::full(6), set(&[4], 6));
    picker.peer_joined(&everything);
    picker.peer_joined(&one_piece);
    assert_eq!(pieces_of(&pick(&mut picker, TWO, &one_piece, 3)), [4]);
    assert_eq!(pieces_of(&pick(&mut picker, ONE, &everything, 3)), [4]);
}
