//! Whom to upload to: one policy, in one place. Layer 2, BEP 3 §choking and optimistic unchoking.
//!
//! While we download, slots go to those who give us the most, and one slot goes round at random so that a
//! better partner can show itself and a newcomer gets its first piece. While we seed, half of the slots go
//! to those who take the fastest, which spreads the data soonest, and the other half go round in turns.
//!
//! Changes are made in rounds, because a connection that is choked and unchoked in quick succession never
//! gets up to speed; between rounds only free slots are filled.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::peer::link::PeerKey;

/// Time between two rounds: the 10 s of BEP 3, less what a timer may come early.
const ROUND: Duration = Duration::from_millis(9_500);

/// How long the optimistic slot stays with one peer: the 30 s of BEP 3, with the same allowance.
const OPTIMISTIC_TURN: Duration = Duration::from_millis(29_500);

/// How long a peer keeps a slot that goes round while we seed: long enough for TCP to get up to speed.
const SEEDING_TURN: Duration = Duration::from_millis(29_500);

/// How long a peer counts as new, and how many chances to be tried it has then for one of the others.
const NEW_FOR: Duration = Duration::from_secs(60);
const NEW_CHANCES: usize = 3;

/// What the choice depends on, for one connected peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub peer: PeerKey,
    /// Whether it wants something of us.
    pub interested: bool,
    /// Whether it is unchoked now.
    pub unchoked: bool,
    /// Bytes per second of blocks that it sends us.
    pub rate_from_peer: u64,
    /// Bytes per second of blocks that we send it.
    pub rate_to_peer: u64,
    /// When the connection was made.
    pub connected_at: Instant,
    /// Whether it owes us blocks and has sent none for a minute (BEP 3 §anti-snubbing).
    pub snubbed: bool,
    /// Since when it is unchoked, if it is.
    pub unchoked_since: Option<Instant>,
}

/// The choker of one torrent.
#[derive(Debug)]
pub struct Choker {
    slots: usize,
    last_round: Option<Instant>,
    optimistic: Option<Optimistic>,
    /// When each connected peer last had a slot.
    served: HashMap<PeerKey, Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Optimistic {
    peer: PeerKey,
    since: Instant,
}

/// One call of [`Choker::rechoke`]: who has a slot so far.
struct Round<'a> {
    now: Instant,
    slots: usize,
    interested: Vec<&'a Candidate>,
    chosen: Vec<PeerKey>,
}

impl Choker {
    /// A choker that unchokes at most `slots` peers, the optimistic one included.
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            last_round: None,
            optimistic: None,
            served: HashMap::new(),
        }
    }

    /// Changes the number of slots. The next [`Self::rechoke`] is a full round.
    pub fn set_slots(&mut self, slots: usize) {
        if slots != self.slots {
            self.slots = slots;
            self.last_round = None;
        }
    }

    /// The peers that shall be unchoked from now on; all others shall be choked.
    ///
    /// `candidates` are all connected peers. To be called every 10 s, and whenever a peer leaves or becomes
    /// interested: a call that comes sooner than 10 s after the last round takes nobody's slot away, unless
    /// the peer lost its interest.
    pub fn rechoke(
        &mut self,
        now: Instant,
        seeding: bool,
        candidates: &[Candidate],
        rng: &mut fastrand::Rng,
    ) -> Vec<PeerKey> {
        let mut interested: Vec<_> = candidates
            .iter()
            .filter(|candidate| candidate.interested)
            .collect();
        // Equals are ordered by chance: the sorts below keep the order of equals.
        rng.shuffle(&mut interested);
        let is_new_round = self.last_round.is_none_or(|last| is_past(now, last, ROUND));
        let mut round = Round {
            now,
            slots: self.slots,
            interested,
            chosen: Vec::new(),
        };
        if is_new_round {
            self.last_round = Some(now);
        } else {
            round.fill(self.slots, |candidate| candidate.unchoked);
        }
        if seeding {
            self.fill_by_turns(&mut round);
        } else {
            self.fill_by_merit(&mut round, rng);
        }
        self.remember(&round, candidates);
        round.chosen
    }

    /// Tit for tat: the best uploaders, and one at random.
    fn fill_by_merit(&mut self, round: &mut Round<'_>, rng: &mut fastrand::Rng) {
        let held = self.optimistic.take().filter(|held| round.wants(held.peer));
        let is_trial = |peer| held.is_some_and(|held| held.peer == peer);
        let trials = round.chosen.iter().filter(|peer| is_trial(**peer)).count();
        // With one slot only, it goes to the best: nobody is tried while somebody gives.
        let regular = self.slots.saturating_sub(1).max(self.slots.min(1));

        round
            .interested
            .sort_by_key(|candidate| Reverse((candidate.rate_from_peer, candidate.unchoked)));
        round.fill(regular + trials, |candidate| !candidate.snubbed);

        // A peer that was tried and earned its slot, or whose time is over, makes room for the next.
        let earned = trials == 0 && held.is_some_and(|held| round.chosen.contains(&held.peer));
        let is_over = held.is_some_and(|held| is_past(round.now, held.since, OPTIMISTIC_TURN));
        let stays = held.filter(|_| trials == 1 || (!earned && !is_over));
        self.optimistic = match stays {
            Some(held) => {
                round.fill(self.slots, |candidate| candidate.peer == held.peer);
                Some(held)
            }
            None => round.try_somebody(held.map(|held| held.peer), rng),
        };
    }

    /// Seeding: the fastest takers keep their slots, the others have theirs for a turn.
    fn fill_by_turns(&mut self, round: &mut Round<'_>) {
        let now = round.now;
        self.optimistic = None;
        round
            .interested
            .sort_by_key(|candidate| Reverse(candidate.rate_to_peer));
        round.fill(self.slots / 2, |candidate| {
            candidate.unchoked && candidate.rate_to_peer > 0
        });
        let in_turn = |since| !is_past(now, since, SEEDING_TURN);
        round.fill(self.slots, |candidate| {
            candidate.unchoked && candidate.unchoked_since.is_some_and(in_turn)
        });
        // Whoever had a slot longest ago is next; those who never had one come first.
        let served = &self.served;
        round.interested.sort_by_key(|candidate| {
            let last = served.get(&candidate.peer).copied();
            (last, candidate.connected_at)
        });
        round.fill(self.slots, |_| true);
    }

    fn remember(&mut self, round: &Round<'_>, candidates: &[Candidate]) {
        let still = candidates.iter().map(|candidate| candidate.peer);
        self.served = still
            .filter_map(|peer| self.served.get(&peer).map(|&at| (peer, at)))
            .collect();
        self.served
            .extend(round.chosen.iter().map(|&peer| (peer, round.now)));
    }
}

impl Round<'_> {
    /// Gives slots to those that qualify, in the present order, until `up_to` are taken.
    fn fill(&mut self, up_to: usize, qualifies: impl Fn(&Candidate) -> bool) {
        for candidate in &self.interested {
            if self.chosen.len() >= up_to.min(self.slots) {
                break;
            }
            if qualifies(candidate) && !self.chosen.contains(&candidate.peer) {
                self.chosen.push(candidate.peer);
            }
        }
    }

    fn wants(&self, peer: PeerKey) -> bool {
        self.interested.iter().any(|candidate| candidate.peer == peer)
    }

    /// Gives the free slot, if there is one, to a peer at random: a new one three times as likely, and the
    /// one that just had it only if there is no other.
    fn try_somebody(&mut self, previous: Option<PeerKey>, rng: &mut fastrand::Rng) -> Option<Optimistic> {
        if self.chosen.len() >= self.slots {
            return None;
        }
        let waiting = self
            .interested
            .iter()
            .filter(|candidate| !self.chosen.contains(&candidate.peer));
        let chances: Vec<_> = waiting
            .flat_map(|candidate| {
                let is_new = !is_past(self.now, candidate.connected_at, NEW_FOR);
                std::iter::repeat_n(candidate.peer, if is_new { NEW_CHANCES } else { 1 })
            })
            .collect();
        let others: Vec<_> = chances
            .iter()
            .copied()
            .filter(|&peer| Some(peer) != previous)
            .collect();
        let peer = rng.choice(if others.is_empty() { chances } else { others })?;
        self.chosen.push(peer);
        Some(Optimistic {
            peer,
            since: self.now,
        })
    }
}

/// Whether `span` has passed since `then`.
fn is_past(now: Instant, then: Instant, span: Duration) -> bool {
    now.saturating_duration_since(then) >= span
}

#[cfg(test)]
mod tests;
