//! Which block next: a torrent of 2,000 pieces, and 50 peers of which ten are seeds.

use std::hint::black_box;

use dtorrent::bitfield::Bitfield;
use dtorrent::geometry::{BLOCK_LENGTH, Block, Geometry, PieceIndex};
use dtorrent::peer::link::PeerKey;
use dtorrent::picker::{Picker, Received};

const PIECES: u32 = 2_000;
const BLOCKS_A_PIECE: u32 = 64;
const PEERS: u64 = 50;
const SEEDS: u64 = 10;
/// Blocks that a peer is asked for at a time.
pub(crate) const PICKED: u32 = 16;

struct Swarm {
    picker: Picker,
    peers: Vec<(PeerKey, Bitfield)>,
    rng: fastrand::Rng,
}

impl Swarm {
    fn new() -> Self {
        let piece_length = BLOCKS_A_PIECE * BLOCK_LENGTH;
        let geometry = Geometry::new(u64::from(PIECES) * u64::from(piece_length), piece_length)
            .expect("a piece has a length");
        let mut rng = fastrand::Rng::with_seed(1);
        let mut picker = Picker::new(geometry, &Bitfield::empty(PIECES));
        let has_of = |number| {
            if number < SEEDS {
                return Bitfield::full(PIECES);
            }
            // Those who came early have most, and all have something else.
            let percent = 2 * number;
            let mut has = Bitfield::empty(PIECES);
            for piece in (0..PIECES).filter(|_| rng.u64(..100) < percent) {
                has.insert(PieceIndex(piece));
            }
            has
        };
        let peers: Vec<_> = (0..PEERS).map(PeerKey).zip((0..PEERS).map(has_of)).collect();
        peers.iter().for_each(|(_, has)| picker.peer_joined(has));
        Self { picker, peers, rng }
    }

    /// Asks one peer after the other.
    fn pick(&mut self, turn: u32, out: &mut Vec<Block>) {
        let (peer, has) = &self.peers[turn as usize % self.peers.len()];
        let before = out.len();
        self.picker.pick(
            *peer,
            has,
            None,
            PICKED as usize,
            &mut |_| true,
            &mut self.rng,
            out,
        );
        let picked = (out.len() - before) as u32;
        assert_eq!(picked, PICKED, "the torrent is too small for so many runs");
    }
}

/// Picks, without anything that comes: what is out at each peer grows.
pub(crate) fn pick(times: u32) {
    let mut swarm = Swarm::new();
    let mut out = Vec::new();
    for turn in 0..times {
        out.clear();
        swarm.pick(turn, &mut out);
        black_box(&out);
    }
}

/// Picks and what comes of them: when it is a peer's turn, what it was asked for the last time has come.
pub(crate) fn round(times: u32) {
    let mut swarm = Swarm::new();
    let mut out_at = vec![Vec::new(); swarm.peers.len()];
    for turn in 0..times {
        let number = turn as usize % out_at.len();
        let peer = swarm.peers[number].0;
        for block in out_at[number].drain(..) {
            match swarm.picker.received(peer, block) {
                Received::Accepted { piece_complete, .. } => {
                    if piece_complete {
                        swarm.picker.verified(block.piece);
                    }
                }
                other => panic!("{block} was asked for, but is {other:?}"),
            }
        }
        swarm.pick(turn, &mut out_at[number]);
    }
    black_box(swarm.picker.missing_wanted());
}
