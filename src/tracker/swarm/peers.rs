//! The peers of one swarm and one address family. Layer 2.

use std::net::SocketAddr;

use hashbrown::HashTable;

use super::entry::{Ends, Entry, Value, Words};
use super::hash::Secret;
use super::record::PeerState;
use super::version::Version;

/// Up to this many entries are searched one by one; a table finds one among more.
const SEARCHED: usize = 64;

/// So many are chosen in one place: a place costs a visit to memory, which brings about as many at once.
const TOGETHER: usize = 4;

/// The states in the order in which their entries lie.
const STATES: [PeerState; 3] = [PeerState::Leech, PeerState::Seed, PeerState::Stopped];

/// Entries in one block of memory.
///
/// - Leechers come first, then seeds, then tombstones: what an asker may get is a front part of the block.
/// - Slots behind those are empty. There are few, for most swarms are small and there are many.
/// - No place occurs twice.
/// - The index, if there is one, has the position of each entry under the hash of its place.
#[derive(Debug)]
pub(super) struct Peers<E> {
    slots: Box<[E]>,
    counts: [u32; 3],
    index: Option<Box<HashTable<u32>>>,
}

/// What merging a value has found and left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) before: Option<Value>,
    pub(super) after: Value,
    pub(super) ends: Ends,
}

impl<E> Default for Peers<E> {
    fn default() -> Self {
        Self {
            slots: Box::default(),
            counts: [0; 3],
            index: None,
        }
    }
}

impl<E: Entry> Peers<E> {
    pub(super) fn len(&self) -> usize {
        self.counts.iter().map(|&count| count as usize).sum()
    }

    pub(super) fn count(&self, state: PeerState) -> u32 {
        self.counts[state as usize]
    }

    pub(super) fn entries(&self) -> &[E] {
        &self.slots[..self.len()]
    }

    /// Those that are of use to a peer in this state.
    pub(super) fn useful_to(&self, asker: PeerState) -> &[E] {
        let [leechers, seeds, _] = self.counts;
        let len = match asker {
            PeerState::Leech => leechers + seeds,
            PeerState::Seed => leechers,
            PeerState::Stopped => 0,
        };
        &self.slots[..len as usize]
    }

    /// Where the entries of a state end.
    fn end_of(&self, state: PeerState) -> usize {
        self.counts[..=state as usize]
            .iter()
            .map(|&count| count as usize)
            .sum()
    }

    pub(super) fn find(&self, place: E::Place, secret: &Secret) -> Option<usize> {
        match &self.index {
            None => self.entries().iter().position(|entry| entry.place() == place),
            Some(index) => {
                let found = |&position: &u32| self.slots[position as usize].place() == place;
                index
                    .find(secret.hash(place.words()), found)
                    .map(|&position| position as usize)
            }
        }
    }

    /// Keeps the greater of the value given and the one that is there.
    pub(super) fn merge(&mut self, place: E::Place, value: Value, ends: Ends, secret: &Secret) -> Merged {
        let entry = E::new(place, value, ends);
        let Some(position) = self.find(place, secret) else {
            self.insert(entry, secret);
            return Merged {
                before: None,
                after: value,
                ends,
            };
        };
        let old = self.slots[position];
        let before = old.value();
        if before >= value {
            return Merged {
                before: Some(before),
                after: before,
                ends: old.ends(),
            };
        }
        if before.state() == value.state() {
            self.slots[position] = entry;
        } else {
            self.take(position, secret);
            self.put(entry, secret);
        }
        Merged {
            before: Some(before),
            after: value,
            ends,
        }
    }

    /// Drops the entry of a place unless its version is later than this one.
    pub(super) fn forget(&mut self, place: E::Place, version: Version, secret: &Secret) -> Option<Value> {
        let position = self.find(place, secret)?;
        let value = self.slots[position].value();
        (value.version() <= version).then(|| {
            self.remove(position, secret);
            value
        })
    }

    /// Looks at up to `budget` entries in front of position `from`, the last one first, and drops those that are
    /// over. Returns the position to go on from; 0 when all have been seen.
    pub(super) fn sweep(
        &mut self,
        from: usize,
        budget: usize,
        secret: &Secret,
        is_over: impl Fn(Ends) -> bool,
        mut dropped: impl FnMut(E),
    ) -> usize {
        let from = from.min(self.len());
        let until = from.saturating_sub(budget);
        // What a removal moves comes from further behind, where it has been seen.
        for position in (until..from).rev() {
            let entry = self.slots[position];
            if is_over(entry.ends()) {
                self.remove(position, secret);
                dropped(entry);
            }
        }
        until
    }

    /// Appends up to `limit` of those that are of use to a peer in this state and are `wanted`.
    ///
    /// Where many can be chosen from, they are cut into runs of equal length, beginning anywhere, and each run gives
    /// [`TOGETHER`] neighbours from a place chosen at random. So nobody is chosen twice, each has the same chance,
    /// and the cost does not grow with the swarm; but neighbours come together more often than by chance, and a run
    /// in which few are wanted gives fewer.
    pub(super) fn choose(
        &self,
        asker: PeerState,
        limit: usize,
        rng: &mut fastrand::Rng,
        wanted: impl Fn(&E) -> bool,
        out: &mut Vec<SocketAddr>,
    ) {
        let among = self.useful_to(asker);
        if among.len() <= 2 * limit {
            let start = out.len();
            out.extend(among.iter().filter(|entry| wanted(entry)).map(Entry::addr));
            keep_some(out, start, limit, rng);
            return;
        }
        let wrap = |position: usize, len: usize| if position < len { position } else { position - len };
        let runs = limit.div_ceil(TOGETHER);
        let offset = rng.usize(..among.len());
        for run in 0..runs {
            let begin = run * among.len() / runs;
            let len = (run + 1) * among.len() / runs - begin;
            let start = rng.usize(..len);
            let of_run =
                (0..len).map(|step| &among[wrap(offset + begin + wrap(start + step, len), among.len())]);
            let chosen = of_run.filter(|entry| wanted(entry)).map(Entry::addr);
            out.extend(chosen.take(TOGETHER.min(limit - run * TOGETHER)));
        }
    }

    fn insert(&mut self, entry: E, secret: &Secret) {
        let len = self.len();
        if len == self.slots.len() {
            self.resize(len + 1 + len / 8);
        }
        self.put(entry, secret);
        if self.index.is_none() && len >= SEARCHED {
            self.build_index(secret);
        }
    }

    fn remove(&mut self, position: usize, secret: &Secret) {
        self.take(position, secret);
        let len = self.len();
        // Not at once, lest a peer that comes and goes costs a copy of the block each time.
        if self.slots.len() > len + 2 + len / 4 {
            self.resize(len + len / 8);
            if let Some(index) = &mut self.index {
                let slots = &self.slots;
                index.shrink_to_fit(|&position| secret.hash(slots[position as usize].place().words()));
            }
        }
        if len < SEARCHED / 2 {
            self.index = None;
        }
    }

    /// Writes an entry where its state lies: the first of each state behind moves to that state's end.
    fn put(&mut self, entry: E, secret: &Secret) {
        let state = entry.value().state();
        let mut hole = self.len();
        for behind in STATES.into_iter().rev().take_while(|&behind| behind > state) {
            let first = self.end_of(behind) - self.count(behind) as usize;
            self.shift(first, hole, secret);
            hole = first;
        }
        self.slots[hole] = entry;
        self.counts[state as usize] += 1;
        if let Some(index) = &mut self.index {
            let slots = &self.slots;
            let rehash = |&position: &u32| secret.hash(slots[position as usize].place().words());
            index.insert_unique(secret.hash(entry.place().words()), hole as u32, rehash);
        }
    }

    /// Takes an entry out and closes the gap: the last of each state from its own on moves to the gap before it.
    fn take(&mut self, position: usize, secret: &Secret) {
        let entry = self.slots[position];
        if let Some(index) = &mut self.index {
            let hash = secret.hash(entry.place().words());
            if let Ok(found) = index.find_entry(hash, |&other| other as usize == position) {
                found.remove();
            }
        }
        let state = entry.value().state();
        let mut hole = position;
        for behind in STATES.into_iter().filter(|&behind| behind >= state) {
            let end = self.end_of(behind);
            if end > hole {
                self.shift(end - 1, hole, secret);
                hole = end - 1;
            }
        }
        self.slots[hole] = E::EMPTY;
        self.counts[state as usize] -= 1;
    }

    fn shift(&mut self, from: usize, to: usize, secret: &Secret) {
        if from == to {
            return;
        }
        let entry = self.slots[from];
        self.slots[to] = entry;
        if let Some(index) = &mut self.index {
            let hash = secret.hash(entry.place().words());
            if let Some(position) = index.find_mut(hash, |&other| other as usize == from) {
                *position = to as u32;
            }
        }
    }

    fn resize(&mut self, slots: usize) {
        let mut block = std::mem::take(&mut self.slots).into_vec();
        block.reserve_exact(slots.saturating_sub(block.len()));
        block.resize(slots, E::EMPTY);
        self.slots = block.into_boxed_slice();
    }

    fn build_index(&mut self, secret: &Secret) {
        let hash = |position: u32| secret.hash(self.slots[position as usize].place().words());
        let mut index = HashTable::with_capacity(self.len());
        for position in 0..self.len() as u32 {
            index.insert_unique(hash(position), position, |&other| hash(other));
        }
        self.index = Some(Box::new(index));
    }

    #[cfg(test)]
    pub(super) fn check(&self, secret: &Secret) {
        for (position, entry) in self.entries().iter().enumerate() {
            assert_eq!(self.find(entry.place(), secret), Some(position));
            let state = entry.value().state();
            assert!(position < self.end_of(state));
            assert!(position >= self.end_of(state) - self.count(state) as usize);
        }
        assert_eq!(
            self.index.as_ref().map_or(self.len(), |index| index.len()),
            self.len()
        );
        assert!(
            self.slots.len() <= self.len() + self.len() / 4 + 2,
            "too many empty slots"
        );
    }
}

/// Keeps `limit` of what stands in `out` from `start` on, each with the same chance.
fn keep_some(out: &mut Vec<SocketAddr>, start: usize, limit: usize, rng: &mut fastrand::Rng) {
    let found = out.len() - start;
    if found > limit {
        for position in 0..limit {
            out.swap(start + position, start + rng.usize(position..found));
        }
        out.truncate(start + limit);
    }
}
