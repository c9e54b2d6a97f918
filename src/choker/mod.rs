//! Whom to upload to: one policy, in one place. Layer 2, BEP 3 §choking and optimistic unchoking.
//!
//! While we download, slots go to those who give us the most, and one slot goes round at random so that a
//! better partner can show itself and a newcomer gets its first piece. While we seed, half of the slots go
//! to those who take the fastest, which spreads the data soonest, and the other half go round in turns. Who keeps to
//! itself what nobody else has waits while others want something, but for one slot in one round of eight.
//!
//! A slot of a seed is for those who ask for something. Who has one and asks for nothing gives it to the next at once and
//! comes behind all others; while most of them do that, more are served than there are slots, or many such would keep
//! the few that fetch from being found. Of a leecher they may be waiting for what it gets next.
//!
//! Changes are made in rounds, because a connection that is choked and unchoked in quick succession never
//! gets up to speed; between rounds only free slots are filled.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use crate::peer::link::PeerKey;

use slots::Automatic;
pub use slots::Slots;

mod slots;

/// Time between two rounds: the 10 s of BEP 3, less what a timer may come early.
const ROUND: Duration = Duration::from_millis(9_500);

/// How long the optimistic slot stays with one peer: the 30 s of BEP 3, with the same allowance.
const OPTIMISTIC_TURN: Duration = Duration::from_millis(29_500);

/// How long a peer keeps a slot that goes round while we seed: long enough for TCP to get up to speed.
const SEEDING_TURN: Duration = Duration::from_millis(29_500);

/// How long a peer counts as new, and how many chances to be tried it has then for one of the others.
const NEW_FOR: Duration = Duration::from_secs(60);
const NEW_CHANCES: usize = 3;

/// A peer hoards if it keeps more first copies than this to itself: so many may be on their way to others.
pub const MOST_KEPT: u32 = 2;

/// One of so many rounds those who do have a slot too while others want something: nobody shall wait for ever.
const TURN_OF_KEEPERS: u32 = 8;

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
    /// When it was last chosen.
    pub last_served: Option<Instant>,
    /// Pieces that we sent to it a while ago, and that it has passed on to nobody.
    pub kept: u32,
    /// Whether it asked for nothing when it last had a slot. Never while we download.
    pub idle: bool,
}

impl Candidate {
    /// Whether what it gets from us shows up at others.
    const fn spreads(&self) -> bool {
        self.kept <= MOST_KEPT
    }

    /// While we seed: whether a slot is well used by it.
    const fn comes_first(&self) -> bool {
        self.spreads() && !self.idle
    }
}

/// The choker of one torrent.
#[derive(Debug)]
pub struct Choker {
    slots: Slots,
    automatic: Automatic,
    last_round: Option<Instant>,
    rounds: u32,
    optimistic: Option<Optimistic>,
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
    /// Those who want something and have no slot yet.
    waiting: Vec<&'a Candidate>,
    chosen: Vec<PeerKey>,
}

impl Choker {
    /// A choker that unchokes so many peers at a time, the optimistic one included.
    pub const fn new(slots: Slots) -> Self {
        Self {
            slots,
            automatic: Automatic::new(),
            last_round: None,
            rounds: 0,
            optimistic: None,
        }
    }

    /// Who is served to find out whether it gives something in return.
    pub fn optimistic(&self) -> Option<PeerKey> {
        self.optimistic.as_ref().map(|held| held.peer)
    }

    /// Changes the number of slots. The next [`Self::rechoke`] is a full round.
    pub fn set_slots(&mut self, slots: Slots) {
        if slots != self.slots {
            self.slots = slots;
            self.last_round = None;
        }
    }

    /// How many peers are unchoked at most.
    pub const fn slots(&self) -> usize {
        match self.slots {
            Slots::Automatic => self.automatic.get(),
            Slots::Fixed(slots) => slots,
        }
    }

    /// Whether one more gets a slot at once, if those who are served are all who want something. To the last slot of
    /// a leecher, the optimistic one, only [`Self::rechoke`] can choose.
    pub const fn has_room(&self, seeding: bool, served: usize) -> bool {
        served < self.slots().saturating_sub(if seeding { 0 } else { 1 })
    }

    /// The peers that shall be unchoked from now on; all others shall be choked.
    ///
    /// `candidates` are all connected peers. To be called every 10 s, and whenever a peer leaves or becomes
    /// interested or idle: a call that comes sooner than 10 s after the last round takes nobody's slot away, unless
    /// the peer lost its interest or left its slot unused.
    pub fn rechoke(
        &mut self,
        now: Instant,
        seeding: bool,
        candidates: &[Candidate],
        rng: &mut fastrand::Rng,
    ) -> Vec<PeerKey> {
        let mut waiting: Vec<_> = candidates
            .iter()
            .filter(|candidate| candidate.interested)
            .collect();
        // Equals are ordered by chance: the sorts below keep the order of equals.
        rng.shuffle(&mut waiting);
        let is_new_round = self.last_round.is_none_or(|last| is_past(now, last, ROUND));
        if is_new_round {
            self.last_round = Some(now);
            self.rounds = self.rounds.wrapping_add(1);
            let rate = candidates.iter().map(|candidate| candidate.rate_to_peer).sum();
            self.automatic.on_round(waiting.len(), rate);
        }
        let served = || candidates.iter().filter(|candidate| candidate.unchoked);
        let taking = served().filter(|candidate| candidate.rate_to_peer > 0).count();
        let idle = served().filter(|candidate| candidate.idle).count();
        self.automatic.on_use(waiting.len(), taking, idle);
        let mut round = Round {
            now,
            slots: self.slots(),
            waiting,
            chosen: Vec::new(),
        };
        if !is_new_round {
            round.keep_served(self.rounds.is_multiple_of(TURN_OF_KEEPERS));
        }
        if seeding {
            self.optimistic = None;
            round.fill_by_turns(self.rounds.is_multiple_of(TURN_OF_KEEPERS));
        } else {
            self.fill_by_merit(&mut round, rng);
        }
        round.chosen
    }

    /// Tit for tat: the best uploaders, and one at random.
    fn fill_by_merit(&mut self, round: &mut Round<'_>, rng: &mut fastrand::Rng) {
        let held = self.optimistic.take().filter(|held| round.wants(held.peer));
        let is_trial = |peer| held.is_some_and(|held| held.peer == peer);
        let trials = round.chosen.iter().filter(|peer| is_trial(**peer)).count();
        // With one slot only, it goes to the best: nobody is tried while somebody gives.
        let regular = round.slots.saturating_sub(1).max(round.slots.min(1));

        // Of those who give nothing, and may just not have been able to, whoever was tried longest ago is next: else
        // those who were first would keep their slots for nothing.
        round
            .waiting
            .sort_by_key(|candidate| (Reverse(candidate.rate_from_peer), candidate.last_served));
        round.fill(regular + trials, |candidate| !candidate.snubbed);

        // A peer that was tried and earned its slot, or whose time is over, makes room for the next.
        let earned = trials == 0 && held.is_some_and(|held| round.chosen.contains(&held.peer));
        let is_over = held.is_some_and(|held| is_past(round.now, held.since, OPTIMISTIC_TURN));
        let stays = held.filter(|_| trials == 1 || (!earned && !is_over));
        self.optimistic = match stays {
            Some(held) => {
                round.fill(round.slots, |candidate| candidate.peer == held.peer);
                Some(held)
            }
            None => round.try_somebody(held.map(|held| held.peer), rng),
        };
    }
}

impl Round<'_> {
    /// Gives slots to those that qualify, in the present order, until `up_to` are taken.
    fn fill(&mut self, up_to: usize, qualifies: impl Fn(&Candidate) -> bool) {
        let mut free = up_to.min(self.slots).saturating_sub(self.chosen.len());
        if free > 0 {
            let chosen = &mut self.chosen;
            self.waiting.retain(|candidate| {
                let gets_one = free > 0 && qualifies(candidate);
                if gets_one {
                    free -= 1;
                    chosen.push(candidate.peer);
                }
                !gets_one
            });
        }
    }

    /// Between two rounds those who are served go on, but for those who keep first copies to themselves.
    fn keep_served(&mut self, keepers_may: bool) {
        let goes_on = |candidate: &Candidate| candidate.unchoked && !candidate.idle;
        self.fill(self.slots, |candidate| goes_on(candidate) && candidate.spreads());
        if keepers_may {
            self.fill(self.chosen.len() + 1, goes_on);
        }
    }

    /// Seeding: the fastest takers keep their slots, the others have theirs for a turn.
    fn fill_by_turns(&mut self, keepers_may: bool) {
        let now = self.now;
        let in_turn = |candidate: &Candidate| {
            let since = candidate.unchoked_since.filter(|_| candidate.unchoked);
            since.is_some_and(|since| !is_past(now, since, SEEDING_TURN))
        };
        // Those who are served now, by how fast they take.
        self.waiting.sort_unstable_by_key(|candidate| {
            let rate = if candidate.unchoked {
                candidate.rate_to_peer
            } else {
                0
            };
            Reverse(rate)
        });
        self.fill(self.slots / 2, |candidate| {
            candidate.unchoked && candidate.rate_to_peer > 0 && candidate.comes_first()
        });
        let one_waits = keepers_may && self.waiting.iter().any(|candidate| !candidate.comes_first());
        let most = self.slots.saturating_sub(usize::from(one_waits));
        self.fill(most, |candidate| in_turn(candidate) && candidate.comes_first());
        // Whoever had a slot longest ago is next; those who never had one come first.
        self.waiting
            .sort_unstable_by_key(|candidate| (candidate.last_served, candidate.connected_at));
        self.fill(most, Candidate::comes_first);
        self.fill(self.slots, |_| true);
    }

    fn wants(&self, peer: PeerKey) -> bool {
        self.chosen.contains(&peer) || self.waiting.iter().any(|candidate| candidate.peer == peer)
    }

    /// Gives the free slot, if there is one, to a peer at random: a new one three times as likely, and the
    /// one that just had it only if there is no other.
    fn try_somebody(&mut self, previous: Option<PeerKey>, rng: &mut fastrand::Rng) -> Option<Optimistic> {
        if self.chosen.len() >= self.slots {
            return None;
        }
        let chances: Vec<_> = self
            .waiting
            .iter()
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
