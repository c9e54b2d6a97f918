//! How leechers share out among themselves what only a seed has. Layer 2.
//!
//! Nobody sees what others have asked a seed for, and two that choose at the same time may choose the same piece: then
//! the seed sends it twice. But everybody sees who tells of a piece first that only seeds had, and so whom seeds serve.
//! Each of these draws a number for each piece, by its peer id, so that all come to the same numbers; a piece is for the
//! one with the highest (rendezvous hashing, Thaler and Ravishankar 1998). Who comes or goes changes the share of others
//! by what it takes or leaves alone. Clients that choose in another way are met as often as they were.

use std::collections::VecDeque;

use crate::geometry::PieceIndex;
use crate::id::PeerId;

/// So many pieces count of those that came from a seed last: those who fetched them are served by one now, for all that
/// is known.
const REMEMBERED: usize = 32;

/// Whom seeds serve.
#[derive(Debug, Default)]
pub(super) struct Division {
    own: u64,
    /// Who told first of a piece, the latest last.
    recent: VecDeque<u64>,
    /// The same, each once, without ourselves.
    others: Vec<u64>,
}

impl Division {
    pub(super) fn set_own_id(&mut self, own: PeerId) {
        self.own = number_of(own);
    }

    /// A peer has told of a piece that only seeds had.
    pub(super) fn fetched_first(&mut self, by: PeerId) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(number_of(by));
        self.others = self.recent.iter().copied().collect();
        self.others.sort_unstable();
        self.others.dedup();
        self.others.retain(|other| *other != self.own);
    }

    /// How many others the piece is for rather than for us: 0 for one of our own share.
    pub(super) fn rank(&self, piece: PieceIndex) -> usize {
        let ours = draw(self.own, piece);
        let before = |other: &&u64| draw(**other, piece) > ours;
        self.others.iter().filter(before).count()
    }
}

fn number_of(id: PeerId) -> u64 {
    // FNV-1a.
    id.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The number that a peer draws for a piece (the last step of SplitMix64, Steele et al. 2014).
const fn draw(peer: u64, piece: PieceIndex) -> u64 {
    let mut mixed = peer ^ (piece.0 as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
