//! The connections of one thread, by number. Layer 2.

use super::connection::Connection;

/// How many places are looked at for one that can be given up.
const LOOKS: usize = 64;

/// Places for connections. A place is used again once its connection is gone, under another generation, so that an
/// event for who was there before reaches nobody.
#[derive(Debug, Default)]
pub(super) struct Connections {
    places: Vec<Place>,
    free: Vec<u32>,
    /// Where the search for an idle one goes on.
    cursor: usize,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    connection: Option<Connection>,
}

/// Names a connection for `epoll`: place and generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) u64);

impl Key {
    fn new(slot: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(slot))
    }

    /// The place.
    pub(super) fn slot(self) -> u32 {
        self.0 as u32
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Finds a place.
    pub(super) fn insert(&mut self, connection: Connection) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            // There are never as many file descriptors.
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.places[slot as usize];
        place.connection = Some(connection);
        Key::new(slot, place.generation)
    }

    /// The connection, if it is still there.
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Connection> {
        let place = self.places.get_mut(key.slot() as usize)?;
        place
            .connection
            .as_mut()
            .filter(|_| place.generation == key.generation())
    }

    /// The key of whoever is in this place.
    pub(super) fn key_at(&self, slot: u32) -> Option<Key> {
        let place = self.places.get(slot as usize)?;
        place
            .connection
            .as_ref()
            .map(|_| Key::new(slot, place.generation))
    }

    /// Takes it out.
    pub(super) fn remove(&mut self, key: Key) -> Option<Connection> {
        self.get_mut(key)?;
        let place = &mut self.places[key.slot() as usize];
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.slot());
        place.connection.take()
    }

    /// All for which this is so.
    pub(super) fn keys(&self, is: impl Fn(&Connection) -> bool) -> Vec<Key> {
        let with_slots = (0..).zip(&self.places);
        with_slots
            .filter(|(_, place)| place.connection.as_ref().is_some_and(&is))
            .map(|(slot, place)| Key::new(slot, place.generation))
            .collect()
    }

    /// One that nobody will miss, and that is not `newest`: of some that are looked at the one that has been idle
    /// longest.
    pub(super) fn find_idle(&mut self, newest: Option<Key>) -> Option<Key> {
        let count = self.places.len();
        let looked_at = (0..count.min(LOOKS)).map(|step| (self.cursor + step) % count);
        let found = looked_at
            .filter_map(|slot| {
                let place = &self.places[slot];
                let connection = place.connection.as_ref().filter(|one| one.is_idle())?;
                let slot = u32::try_from(slot).ok()?;
                Some((connection.since(), Key::new(slot, place.generation)))
            })
            .filter(|(_, key)| Some(*key) != newest)
            .min_by_key(|(since, _)| *since);
        self.cursor = (self.cursor + LOOKS) % count.max(1);
        found.map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn connection(second: u32) -> Connection {
        let (socket, _) = UnixStream::pair().unwrap();
        Connection::new(OwnedFd::from(socket), [127, 0, 0, 1].into(), false, second)
    }

    #[test]
    fn a_place_is_used_again_under_another_key() {
        let mut connections = Connections::default();
        let first = connections.insert(connection(0));
        let second = connections.insert(connection(0));
        assert_eq!((first.slot(), second.slot(), connections.len()), (0, 1, 2));
        assert!(connections.remove(first).is_some());
        assert!(connections.remove(first).is_none());
        assert_eq!(connections.key_at(0), None);
        let third = connections.insert(connection(0));
        assert_eq!(third.slot(), 0);
        assert!(
            connections.get_mut(first).is_none(),
            "an old event reaches nobody"
        );
        assert!(connections.get_mut(third).is_some());
        assert_eq!(connections.key_at(0), Some(third));
        assert_eq!(connections.keys(|_| true), [third, second]);
    }

    #[test]
    fn the_one_that_is_idle_longest_is_found() {
        let mut connections = Connections::default();
        assert_eq!(connections.find_idle(None), None);
        connections.insert(connection(7));
        let oldest = connections.insert(connection(3));
        let next = connections.insert(connection(5));
        assert_eq!(connections.find_idle(None), Some(oldest));
        assert_eq!(connections.find_idle(Some(oldest)), Some(next));
    }
}
