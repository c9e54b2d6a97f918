//! The end of a download: blocks that one peer keeps us waiting for are asked of a second one. Layer 2.
//!
//! Only where that is worth it: the second peer must be expected to have it here in half the time, going by what is
//! out at both and how fast they are. Those that would come last are the first. The answer of the slower one is called
//! off, and may be on its way by then. So what is out twice, what was called off without the peer's word that it will
//! not come (BEP 6 §reject), and what has come twice are together no more than a hundredth of the torrent, or [`FLOOR`]
//! blocks if that is more.

use std::cmp::Reverse;
use std::time::Duration;

use crate::geometry::{BLOCK_LENGTH, Block};
use crate::peer::link::PeerKey;

use super::Picker;
use super::choice::Request;

/// How many blocks may come twice even if a hundredth of the torrent is less.
const FLOOR: u64 = 8;

/// What is expected of a peer of which nothing is known yet.
const UNKNOWN: Duration = Duration::from_secs(1);

/// Longer than anything that is waited for.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// How fast a peer answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Blocks a second that it sends.
    pub blocks_per_sec: f64,
    /// From a request to its answer, when nothing else waits there.
    pub round_trip: Duration,
}

impl Pace {
    /// When the last of so many requests is answered.
    fn time_for(self, requests: usize) -> Duration {
        let time = Duration::try_from_secs_f64(requests as f64 / self.blocks_per_sec);
        time.unwrap_or(NEVER).max(self.round_trip)
    }
}

impl Picker {
    /// Whether all pieces that are wanted were begun, so that the endgame is near.
    pub fn is_near_the_end(&self) -> bool {
        self.candidates.is_empty()
    }

    /// Sets how fast peers are, all that is known; used at the end only.
    pub fn set_paces(&mut self, paces: impl Iterator<Item = (PeerKey, Pace)>) {
        self.paces.clear();
        self.paces.extend(paces);
    }

    /// Whether every missing wanted block was asked for.
    pub(super) fn is_endgame(&self) -> bool {
        let mut open = self.open.iter();
        self.is_near_the_end() && open.all(|(&piece, open)| open.free() == 0 || !self.is_wanted(piece))
    }

    /// Asks for blocks that one other peer was asked for.
    pub(super) fn take_again(&mut self, request: &mut Request<'_>) {
        let hundredth = self.geometry.total_length() / u64::from(BLOCK_LENGTH) / 100;
        let most = hundredth.max(FLOOR);
        if self.at_risk() >= most && self.doubled > 0 {
            return;
        }
        for (theirs, block) in self.awaited(request) {
            let out = self.requested_from(request.peer) + 1;
            let pace = self.paces.get(&request.peer);
            let ours = pace.map_or(UNKNOWN, |pace| pace.time_for(out));
            // The next ones would come no later from there, and later from here.
            if request.left == 0 || theirs < 2 * ours {
                return;
            }
            // One is always possible that would never come: it must not hold the whole download up.
            if self.at_risk() >= most && (self.doubled > 0 || theirs < NEVER) {
                return;
            }
            let open = self.open.get_mut(&block.piece);
            let number = self.geometry.block_number(block);
            if let (Some(open), Some(number)) = (open, number)
                && open.ask_again(number, request.peer)
            {
                self.doubled += 1;
                request.push(block, &mut self.asked);
            }
        }
    }

    /// How many blocks came twice or still may: those that are out at two peers, and those that were called off too
    /// late, for all that we know.
    fn at_risk(&self) -> u64 {
        self.doubled + self.called_off.len() as u64 + self.wasted
    }

    /// A peer says that it will not send a block that was called off.
    pub fn spared(&mut self, peer: PeerKey, block: Block) {
        self.called_off.remove(&(peer, block));
    }

    /// Nothing more comes of this peer.
    pub fn forget_peer(&mut self, peer: PeerKey) {
        self.called_off.retain(|(from, _)| *from != peer);
        self.paces.remove(&peer);
    }

    /// What other peers were asked for, and when it is expected of them: the last one first.
    fn awaited(&self, request: &Request<'_>) -> Vec<(Duration, Block)> {
        let mut awaited = Vec::new();
        for (asker, blocks) in &self.asked {
            if *asker == request.peer {
                continue;
            }
            let pace = self.paces.get(asker);
            for (place, block) in (1..).zip(blocks) {
                if self.is_wanted(block.piece) && request.may_take(block.piece) {
                    awaited.push((pace.map_or(NEVER, |pace| pace.time_for(place)), *block));
                }
            }
        }
        awaited.sort_unstable_by_key(|(expected, block)| (Reverse(*expected), block.piece, block.begin));
        awaited
    }
}
