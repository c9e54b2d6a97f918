use super::*;

fn picker(pieces: u32, blocks: u32) -> Picker {
    let length = blocks * BLOCK_LENGTH;
    let geometry = Geometry::new(u64::from(pieces) * u64::from(length), length).unwrap();
    Picker::new(geometry, &Bitfield::empty(pieces))
}

fn pick(picker: &mut Picker, peer: u64, has: &Bitfield, count: usize) -> Vec<Block> {
    let mut out = Vec::new();
    let mut rng = fastrand::Rng::with_seed(7);
    picker.pick(PeerKey(peer), has, None, count, &mut |_| true, &mut rng, &mut out);
    out
}

#[test]
fn a_seed_gives_everything_once() {
    let mut picker = picker(5, 4);
    let seed = Bitfield::full(5);
    picker.peer_joined(&seed);
    let mut blocks = pick(&mut picker, 1, &seed, 100);
    assert_eq!(blocks.len(), 20);
    assert!(pick(&mut picker, 1, &seed, 100).is_empty());
    for &block in &blocks {
        assert!(matches!(
            picker.received(PeerKey(1), block),
            Received::Accepted { .. }
        ));
    }
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), 20);
    (0..5).for_each(|piece| picker.verified(PieceIndex(piece)));
    assert!(picker.is_complete() && !picker.interests(&seed));
}
