//! A piece of which blocks are asked for or received. Layer 2.

use crate::peer::link::PeerKey;

/// What is known of one block of an open piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// To be asked for.
    Free,
    /// Asked of one peer.
    Asked(PeerKey),
    /// Asked of two peers, which happens at the end of a download only.
    AskedTwice(PeerKey, PeerKey),
    /// Here.
    Received,
}

impl Slot {
    /// Whether an answer of this peer is awaited.
    pub(super) fn is_asked_of(self, peer: PeerKey) -> bool {
        match self {
            Self::Free | Self::Received => false,
            Self::Asked(asked) => asked == peer,
            Self::AskedTwice(first, second) => first == peer || second == peer,
        }
    }

    /// The peers whose answer is awaited.
    pub(super) fn askers(self) -> impl Iterator<Item = PeerKey> {
        let (first, second) = match self {
            Self::Free | Self::Received => (None, None),
            Self::Asked(peer) => (Some(peer), None),
            Self::AskedTwice(first, second) => (Some(first), Some(second)),
        };
        first.into_iter().chain(second)
    }
}

/// The blocks of one open piece. Invariant: `free` and `received` count the slots of that kind, and no free
/// slot lies below `first_free`.
#[derive(Debug)]
pub(super) struct OpenPiece {
    slots: Box<[Slot]>,
    free: u32,
    received: u32,
    first_free: u32,
    /// The fast peer that started the piece for itself: others stay out of it while they can.
    pub(super) owner: Option<PeerKey>,
    /// Requests that were taken back, though the answer may be on its way: bounded by
    /// [`LATE_PER_BLOCK`] for each block.
    late: Vec<(u32, PeerKey)>,
}

/// How many requests for one block, on average over its piece, are remembered after they were taken back.
const LATE_PER_BLOCK: usize = 4;

impl OpenPiece {
    pub(super) fn new(blocks: u32, owner: Option<PeerKey>) -> Self {
        Self {
            slots: vec![Slot::Free; blocks as usize].into(),
            free: blocks,
            received: 0,
            first_free: 0,
            owner,
            late: Vec::new(),
        }
    }

    pub(super) const fn free(&self) -> u32 {
        self.free
    }

    pub(super) const fn received(&self) -> u32 {
        self.received
    }

    /// Blocks that somebody was asked for.
    pub(super) const fn requested(&self) -> u32 {
        self.total() - self.free - self.received
    }

    pub(super) const fn total(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.received == self.total()
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The first block that nobody was asked for, now asked of this peer.
    pub(super) fn ask_next(&mut self, peer: PeerKey) -> Option<u32> {
        let skipped = self.slots.iter().skip(self.first_free as usize);
        let ahead = skipped.take_while(|slot| **slot != Slot::Free).count() as u32;
        let number = self.first_free + ahead;
        self.first_free = number;
        let slot = self.slots.get_mut(number as usize)?;
        *slot = Slot::Asked(peer);
        self.free -= 1;
        self.first_free += 1;
        self.late.retain(|late| *late != (number, peer));
        Some(number)
    }

    /// Asks this peer as well for a block that one other peer was asked for; says whether it is such a one.
    pub(super) fn ask_again(&mut self, number: u32, peer: PeerKey) -> bool {
        let slot = &mut self.slots[number as usize];
        let Slot::Asked(first) = *slot else {
            return false;
        };
        if first == peer {
            return false;
        }
        *slot = Slot::AskedTwice(first, peer);
        self.late.retain(|late| *late != (number, peer));
        true
    }

    /// Takes back what this peer was asked for; says whether it was.
    pub(super) fn release(&mut self, number: u32, peer: PeerKey) -> bool {
        let slot = &mut self.slots[number as usize];
        *slot = match *slot {
            Slot::Asked(asked) if asked == peer => {
                self.free += 1;
                self.first_free = self.first_free.min(number);
                Slot::Free
            }
            Slot::AskedTwice(first, second) if first == peer => Slot::Asked(second),
            Slot::AskedTwice(first, second) if second == peer => Slot::Asked(first),
            _ => return false,
        };
        if self.late.len() >= self.slots.len() * LATE_PER_BLOCK {
            self.late.remove(0);
        }
        self.late.push((number, peer));
        if self.owner == Some(peer) {
            self.owner = None;
        }
        true
    }

    /// Takes a block in. `Ok`: it was missing, and these peers had been asked for it. `Err`: it is no news,
    /// or this peer was never asked for it.
    pub(super) fn receive(&mut self, number: u32, peer: PeerKey) -> Result<Slot, NotTaken> {
        let slot = self.slots[number as usize];
        let is_late = self.late.contains(&(number, peer));
        match slot {
            Slot::Received => return Err(NotTaken::Duplicate),
            _ if !is_late && !slot.is_asked_of(peer) => return Err(NotTaken::Unrequested),
            Slot::Free => self.free -= 1,
            Slot::Asked(_) | Slot::AskedTwice(..) => {}
        }
        self.slots[number as usize] = Slot::Received;
        self.received += 1;
        Ok(slot)
    }
}

/// Why a block was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    Duplicate,
    Unrequested,
}
