//! The pieces that may be started, kept in the order in which they should be. Layer 2.
//!
//! One list per priority, partitioned by availability: all pieces that nobody has, then all that one peer
//! has, and so on. A `Have` moves a piece over one border by swapping it with the piece at that border, so
//! it costs the same however many pieces there are. Within a partition the order means nothing.
//!
//! Invariants, for the list of each priority:
//! - partition `k` is `order[ends[k - 1]..ends[k]]`, and the last end is the length of the list;
//! - `place[piece]` is where the piece stands in its list, or [`NOWHERE`];
//! - `excluded` holds exactly the pieces that stand in no list;
//! - no piece of the list lies below `first`.

use crate::bitfield::Bitfield;
use crate::engine::api::Priority;
use crate::geometry::PieceIndex;

use super::division::Division;

/// The place of a piece that is no candidate.
const NOWHERE: u32 = u32::MAX;

/// Of so many pieces of the rarest, for a seed to send, the one is taken that is the most ours: enough to find one of our own share
/// if there is any, with as many others as seeds are likely to serve.
const MOST_RANKED: usize = 128;

/// Which of the candidates that a peer has comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The one that the fewest peers have, at random among equals, but those first that are left to us.
    RarestFirst,
    /// Any.
    Random,
    /// The one with the lowest number.
    InOrder,
}

/// Pieces that are wanted, missing and not yet started.
#[derive(Debug)]
pub(super) struct Candidates {
    /// From [`Priority::High`] to [`Priority::Low`].
    classes: [Class; 3],
    place: Vec<u32>,
    excluded: Bitfield,
}

#[derive(Debug, Default)]
struct Class {
    order: Vec<PieceIndex>,
    ends: Vec<u32>,
    first: u32,
}

impl Candidates {
    pub(super) fn new(piece_count: u32) -> Self {
        Self {
            classes: Default::default(),
            place: vec![NOWHERE; piece_count as usize],
            excluded: Bitfield::full(piece_count),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(|class| class.order.is_empty())
    }

    pub(super) fn contains(&self, piece: PieceIndex) -> bool {
        self.place[piece.get()] != NOWHERE
    }

    /// Adds a piece that is none yet and that `availability` peers have. Time: one step for each
    /// availability above that. A skipped piece is not added.
    pub(super) fn insert(&mut self, piece: PieceIndex, priority: Priority, availability: u32) {
        let Some(number) = class_of(priority) else { return };
        debug_assert!(!self.contains(piece), "piece {piece} is a candidate already");
        let class = &mut self.classes[number];
        class.extend_to(availability);
        // Make room at the end of the partition: each later one gives its first place to the one before.
        let mut hole = class.order.len();
        class.order.push(piece);
        for partition in (availability as usize + 1..class.ends.len()).rev() {
            let first = class.ends[partition - 1] as usize;
            class.shift(first, hole, &mut self.place);
            class.ends[partition] += 1;
            hole = first;
        }
        class.ends[availability as usize] += 1;
        class.put(piece, hole, &mut self.place);
        class.first = class.first.min(piece.0);
        self.excluded.remove(piece);
    }

    /// Takes a piece out, if it is a candidate. Time as for [`Self::insert`].
    pub(super) fn remove(&mut self, piece: PieceIndex, priority: Priority, availability: u32) {
        let Some(number) = class_of(priority).filter(|_| self.contains(piece)) else {
            return;
        };
        let class = &mut self.classes[number];
        let mut hole = self.place[piece.get()] as usize;
        for partition in availability as usize..class.ends.len() {
            let last = class.ends[partition] as usize - 1;
            class.shift(last, hole, &mut self.place);
            class.ends[partition] -= 1;
            hole = last;
        }
        class.order.pop();
        self.place[piece.get()] = NOWHERE;
        self.excluded.insert(piece);
    }

    /// One more peer has the piece, besides the `before` that had it. Constant time.
    pub(super) fn rise(&mut self, piece: PieceIndex, priority: Priority, before: u32) {
        if let Some(number) = class_of(priority).filter(|_| self.contains(piece)) {
            let class = &mut self.classes[number];
            class.extend_to(before + 1);
            let last = class.ends[before as usize] - 1;
            class.swap(self.place[piece.get()], last, &mut self.place);
            class.ends[before as usize] = last;
        }
    }

    /// One peer less has the piece than the `before` that had it, at least one. Constant time.
    pub(super) fn sink(&mut self, piece: PieceIndex, priority: Priority, before: u32) {
        if let Some(number) = class_of(priority).filter(|_| self.contains(piece)) {
            let class = &mut self.classes[number];
            let first = class.ends[before as usize - 1];
            class.swap(self.place[piece.get()], first, &mut self.place);
            class.ends[before as usize - 1] = first + 1;
        }
    }

    /// Whether there are candidates of at least this priority that nobody has but seeds.
    pub(super) fn has_unshared(&self, priority: Priority) -> bool {
        let unshared = |class: &Class| class.ends.first().is_some_and(|end| *end > 0);
        class_of(priority).is_some_and(|last| self.classes[..=last].iter().any(unshared))
    }

    /// The candidate to start next among those that a peer has.
    ///
    /// Common peers have a candidate near the front of the list. One that has none costs a pass over two
    /// bitfields, and only one whose candidates are all common costs a walk along the list.
    pub(super) fn best(
        &mut self,
        has: &Bitfield,
        rule: Rule,
        division: &Division,
        rng: &mut fastrand::Rng,
    ) -> Option<PieceIndex> {
        if !self.excluded.lacks_some_of(has) {
            return None;
        }
        let place = &self.place;
        self.classes.iter_mut().find_map(|class| match rule {
            Rule::InOrder => class.lowest(has, place),
            Rule::Random => any_of(&class.order, has, rng),
            Rule::RarestFirst if has.is_full() => class.ours(division, rng),
            Rule::RarestFirst => class.rarest(has, rng),
        })
    }
}

fn class_of(priority: Priority) -> Option<usize> {
    match priority {
        Priority::Skip => None,
        Priority::Low => Some(2),
        Priority::Normal => Some(1),
        Priority::High => Some(0),
    }
}

impl Class {
    /// Makes sure that there is a partition for this availability.
    fn extend_to(&mut self, availability: u32) {
        let length = self.order.len() as u32;
        let partitions = self.ends.len().max(availability as usize + 1);
        self.ends.resize(partitions, length);
    }

    fn put(&mut self, piece: PieceIndex, at: usize, place: &mut [u32]) {
        self.order[at] = piece;
        place[piece.get()] = at as u32;
    }

    /// Fills a hole with the piece that stands at `from`, which is then the hole. In a partition without
    /// pieces both are the same place, and what stands there stands elsewhere already.
    fn shift(&mut self, from: usize, hole: usize, place: &mut [u32]) {
        if from != hole {
            self.put(self.order[from], hole, place);
        }
    }

    fn swap(&mut self, one: u32, other: u32, place: &mut [u32]) {
        let (a, b) = (self.order[one as usize], self.order[other as usize]);
        self.put(b, one as usize, place);
        self.put(a, other as usize, place);
    }

    fn rarest(&self, has: &Bitfield, rng: &mut fastrand::Rng) -> Option<PieceIndex> {
        let mut start = 0;
        self.ends.iter().find_map(|&end| {
            let partition = &self.order[start..end as usize];
            start = end as usize;
            any_of(partition, has, rng)
        })
    }

    /// One of the rarest pieces, for a seed to send: of a number of them, the one that is the most ours.
    fn ours(&self, division: &Division, rng: &mut fastrand::Rng) -> Option<PieceIndex> {
        let end = self.ends.iter().find(|end| **end > 0)?;
        let rarest = &self.order[..*end as usize];
        let (before, after) = rarest.split_at(rng.usize(..rarest.len()));
        let mut best = None;
        for &piece in after.iter().chain(before).take(MOST_RANKED) {
            let rank = division.rank(piece);
            if rank == 0 {
                return Some(piece);
            }
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, piece));
            }
        }
        best.map(|(_, piece)| piece)
    }

    fn lowest(&mut self, has: &Bitfield, place: &[u32]) -> Option<PieceIndex> {
        if self.order.is_empty() {
            return None;
        }
        let order = &self.order;
        let is_here = |piece: u32| {
            let at = place[piece as usize] as usize;
            order.get(at) == Some(&PieceIndex(piece))
        };
        let length = place.len() as u32;
        self.first = (self.first..length)
            .find(|&piece| is_here(piece))
            .unwrap_or(length);
        (self.first..length)
            .find(|&piece| has.has(PieceIndex(piece)) && is_here(piece))
            .map(PieceIndex)
    }
}

/// One of the pieces that the peer has, from a random place onward.
fn any_of(pieces: &[PieceIndex], has: &Bitfield, rng: &mut fastrand::Rng) -> Option<PieceIndex> {
    if pieces.is_empty() {
        return None;
    }
    let (before, after) = pieces.split_at(rng.usize(..pieces.len()));
    let mut from_there = after.iter().chain(before);
    from_there.find(|&&piece| has.has(piece)).copied()
}

#[cfg(test)]
impl Candidates {
    /// Panics unless the lists are what the invariants say, for these wanted pieces and availabilities.
    pub(super) fn check(&self, priorities: &[Priority], counts: &[u32]) {
        for (number, class) in self.classes.iter().enumerate() {
            let mut start = 0;
            for (availability, &end) in (0..).zip(&class.ends) {
                for &piece in &class.order[start..end as usize] {
                    assert_eq!(
                        counts[piece.get()],
                        availability,
                        "{piece} stands in the wrong partition"
                    );
                    assert_eq!(
                        class_of(priorities[piece.get()]),
                        Some(number),
                        "{piece} stands in the wrong list"
                    );
                    assert!(class.first <= piece.0, "{piece} lies below the first");
                }
                start = end as usize;
            }
            assert_eq!(start, class.order.len(), "the partitions cover the list");
            for (at, piece) in (0..).zip(&class.order) {
                assert_eq!(self.place[piece.get()], at, "place of {piece}");
            }
        }
        let listed: usize = self.classes.iter().map(|class| class.order.len()).sum();
        assert_eq!(
            listed,
            self.place.iter().filter(|&&place| place != NOWHERE).count()
        );
        for piece in (0..self.place.len() as u32).map(PieceIndex) {
            assert_eq!(
                self.excluded.has(piece),
                !self.contains(piece),
                "exclusion of {piece}"
            );
        }
    }
}
