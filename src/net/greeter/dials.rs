//! The peers that wait to be dialled. Layer 2.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;

use super::half_open::MAX_OUTGOING;
use crate::id::InfoHash;

/// Most dials that wait for their turn; what is over is told to come later.
const MAX_QUEUED: usize = 4096;

/// A peer of a torrent.
pub(super) type Dial = (InfoHash, SocketAddr);

/// A queue without duplicates, and how many of those taken out of it are still under way.
#[derive(Debug, Default)]
pub(super) struct Dials {
    queue: VecDeque<Dial>,
    /// All that are in the queue or under way.
    known: HashSet<Dial>,
}

impl Dials {
    /// Queues a dial, unless the same is queued or under way. `false`: there is no room.
    pub(super) fn push(&mut self, dial: Dial) -> bool {
        if self.known.contains(&dial) {
            return true;
        }
        if self.queue.len() >= MAX_QUEUED {
            return false;
        }
        self.known.insert(dial);
        self.queue.push_back(dial);
        true
    }

    /// The next dial to begin, if not too many are under way. Call [`Self::finish`] at its end.
    pub(super) fn begin(&mut self) -> Option<Dial> {
        let under_way = self.known.len() - self.queue.len();
        if under_way >= MAX_OUTGOING {
            return None;
        }
        self.queue.pop_front()
    }

    /// A dial that was begun has succeeded or failed.
    pub(super) fn finish(&mut self, dial: &Dial) {
        self.known.remove(dial);
    }

    /// A dial that was begun has to be begun again, before the others.
    pub(super) fn begin_again(&mut self, dial: Dial) {
        self.queue.push_front(dial);
    }

    /// Forgets the dials of a torrent that wait; those under way have to be finished by who began them.
    pub(super) fn forget(&mut self, info_hash: InfoHash) {
        let (gone, kept) = self
            .queue
            .drain(..)
            .partition(|(torrent, _)| *torrent == info_hash);
        self.queue = kept;
        let gone: VecDeque<Dial> = gone;
        for dial in &gone {
            self.known.remove(dial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TORRENT: InfoHash = InfoHash::new([1; 20]);
    const OTHER: InfoHash = InfoHash::new([2; 20]);

    fn dial(info_hash: InfoHash, port: u16) -> Dial {
        (info_hash, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn duplicates_are_dropped_until_the_first_has_ended() {
        let mut dials = Dials::default();
        assert!(dials.push(dial(TORRENT, 1)) && dials.push(dial(TORRENT, 1)) && dials.push(dial(OTHER, 1)));
        assert_eq!(dials.begin(), Some(dial(TORRENT, 1)));
        assert_eq!(dials.begin(), Some(dial(OTHER, 1)));
        assert!(dials.push(dial(TORRENT, 1)));
        assert_eq!(dials.begin(), None, "it is under way");
        dials.finish(&dial(TORRENT, 1));
        assert!(dials.push(dial(TORRENT, 1)));
        assert_eq!(dials.begin(), Some(dial(TORRENT, 1)));
    }

    #[test]
    fn dials_under_way_and_in_the_queue_are_bounded() {
        let mut dials = Dials::default();
        for port in 1..=4096 {
            assert!(dials.push(dial(TORRENT, port)));
        }
        assert!(!dials.push(dial(TORRENT, 5000)));
        for _ in 0..MAX_OUTGOING {
            assert!(dials.begin().is_some());
        }
        assert_eq!(dials.begin(), None);
        dials.finish(&dial(TORRENT, 1));
        assert!(dials.begin().is_some());
    }

    #[test]
    fn a_forgotten_torrent_leaves_the_others_in_order() {
        let mut dials = Dials::default();
        for port in 1..=3 {
            dials.push(dial(TORRENT, port));
            dials.push(dial(OTHER, port));
        }
        dials.forget(TORRENT);
        let rest: Vec<_> = std::iter::from_fn(|| dials.begin()).collect();
        assert_eq!(rest, [1, 2, 3].map(|port| dial(OTHER, port)));
        assert!(dials.push(dial(TORRENT, 1)));
        assert_eq!(
            dials.begin(),
            Some(dial(TORRENT, 1)),
            "it is not taken for a duplicate"
        );
    }
}
