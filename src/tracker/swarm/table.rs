//! The table of swarms. Layer 2.

use hashbrown::HashTable;

use super::hash::Secret;
use super::one::Swarm;
use crate::id::InfoHash;

/// Swarms side by side, and their positions under the hash of the info-hash.
///
/// A position costs the index 5 bytes and the free places between them little; the swarms themselves grow by an
/// eighth at a time, not to the double.
#[derive(Debug)]
pub(super) struct Table {
    swarms: Vec<Swarm>,
    index: HashTable<u32>,
    pub(super) secret: Secret,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            swarms: Vec::new(),
            index: HashTable::new(),
            secret: Secret::draw(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.swarms.len()
    }

    pub(super) fn swarms(&self) -> &[Swarm] {
        &self.swarms
    }

    pub(super) fn swarms_mut(&mut self) -> &mut [Swarm] {
        &mut self.swarms
    }

    pub(super) fn get(&self, info_hash: &InfoHash) -> Option<&Swarm> {
        self.find(info_hash).map(|position| &self.swarms[position])
    }

    pub(super) fn find(&self, info_hash: &InfoHash) -> Option<usize> {
        let is_it = |&position: &u32| self.swarms[position as usize].info_hash == *info_hash;
        let found = self.index.find(self.secret.hash(words(info_hash)), is_it);
        found.map(|&position| position as usize)
    }

    /// A swarm and the secret that its methods need.
    pub(super) fn at(&mut self, position: usize) -> (&mut Swarm, &Secret) {
        (&mut self.swarms[position], &self.secret)
    }

    /// Adds a swarm that is not there yet.
    pub(super) fn push(&mut self, swarm: Swarm) -> usize {
        let position = self.swarms.len();
        if position == self.swarms.capacity() {
            self.swarms.reserve_exact(16 + position / 8);
        }
        let hash = self.secret.hash(words(&swarm.info_hash));
        self.swarms.push(swarm);
        let (swarms, secret) = (&self.swarms, &self.secret);
        let rehash = |&other: &u32| secret.hash(words(&swarms[other as usize].info_hash));
        self.index.insert_unique(hash, position as u32, rehash);
        position
    }

    /// Takes a swarm out. The last one moves to its position.
    pub(super) fn remove(&mut self, position: usize) {
        let last = self.swarms.len() - 1;
        let hash = |table: &Self, at: usize| table.secret.hash(words(&table.swarms[at].info_hash));
        let (gone, moved) = (hash(self, position), hash(self, last));
        if let Ok(found) = self.index.find_entry(gone, |&other| other as usize == position) {
            found.remove();
        }
        if let Some(found) = self.index.find_mut(moved, |&other| other as usize == last) {
            *found = position as u32;
        }
        self.swarms.swap_remove(position);
        if self.swarms.capacity() > 64 + 2 * self.swarms.len() {
            self.swarms.shrink_to(last + last / 8);
            let (swarms, secret) = (&self.swarms, &self.secret);
            let rehash = |&other: &u32| secret.hash(words(&swarms[other as usize].info_hash));
            self.index.shrink_to_fit(rehash);
        }
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.index.len(), self.swarms.len());
        for (position, swarm) in self.swarms.iter().enumerate() {
            assert_eq!(self.find(&swarm.info_hash), Some(position));
            assert_ne!(swarm.len(), 0, "an empty swarm was left over");
            swarm.check(&self.secret);
        }
    }
}

fn words(info_hash: &InfoHash) -> [u64; 3] {
    let [a, b, c, d, e] = std::array::from_fn(|word| {
        let bytes = &info_hash.as_bytes()[4 * word..4 * word + 4];
        bytes
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte))
    });
    [a << 32 | b, c << 32 | d, e]
}
