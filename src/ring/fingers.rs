//! Shortcuts over the circle. Layer 2, Chord (2001) §4.3.
//!
//! Fingers are hints: they make lookups short, and nothing that must be right rests on them.

use super::contact::Contact;
use super::interval::{advance, clockwise, power_of_two};
use crate::id::RingId;

/// Bits of the circle.
const BITS: u8 = 160;

/// For each power of two, a node not far behind the point so far away.
#[derive(Debug, Clone)]
pub struct Fingers {
    me: RingId,
    /// By the bit of the distance, the farthest first; only those beyond the successor list.
    fingers: Vec<(u8, Contact)>,
    /// The bit that was repaired last.
    repaired: u8,
}

impl Fingers {
    /// No finger yet.
    pub fn new(me: RingId) -> Self {
        Self {
            me,
            fingers: Vec::new(),
            repaired: BITS,
        }
    }

    /// The next finger to repair: its bit, the point it should be behind, and what it is now. Goes from the
    /// farthest to the first that the successor list, ending at `covered`, makes needless, and begins again.
    /// `None` when the list covers all.
    pub fn next_repair(&mut self, covered: RingId) -> Option<(u8, RingId, Option<Contact>)> {
        let reach = clockwise(self.me, covered);
        let beyond = |bit: u8| power_of_two(bit) > reach;
        let bit = match self.repaired.checked_sub(1) {
            Some(bit) if beyond(bit) => bit,
            _ if beyond(BITS - 1) => BITS - 1,
            _ => {
                self.fingers.clear();
                return None;
            }
        };
        self.repaired = bit;
        self.fingers.retain(|&(bit, _)| beyond(bit));
        let now = self.fingers.iter().find(|&&(at, _)| at == bit);
        Some((
            bit,
            advance(self.me, power_of_two(bit)),
            now.map(|&(_, contact)| contact),
        ))
    }

    /// Sets the finger of `bit`.
    pub fn set(&mut self, bit: u8, contact: Contact) {
        match self.fingers.binary_search_by(|&(at, _)| bit.cmp(&at)) {
            Ok(at) => self.fingers[at].1 = contact,
            Err(at) => self.fingers.insert(at, (bit, contact)),
        }
    }

    /// Forgets a node.
    pub fn remove(&mut self, contact: &Contact) {
        self.fingers.retain(|(_, finger)| finger != contact);
    }

    /// Forgets the earlier lives of a node.
    pub fn remove_older(&mut self, contact: &Contact) {
        self.fingers
            .retain(|(_, finger)| finger.id != contact.id || finger.incarnation >= contact.incarnation);
    }

    /// All of them, the farthest first; the same node may stand for several distances.
    pub fn iter(&self) -> impl Iterator<Item = Contact> + '_ {
        self.fingers.iter().map(|&(_, contact)| contact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8) -> RingId {
        let mut bytes = [0; 20];
        bytes[0] = first;
        RingId::new(bytes)
    }

    #[test]
    fn repairs_go_from_the_farthest_to_the_successor_list_and_begin_again() {
        let mut fingers = Fingers::new(id(10));
        let mut bits = || {
            fingers
                .next_repair(id(10 + 20))
                .map(|(bit, point, _)| (bit, point))
        };
        assert_eq!(bits(), Some((159, id(10 + 128))));
        assert_eq!(bits(), Some((158, id(10 + 64))));
        assert_eq!(bits(), Some((157, id(10 + 32))));
        assert_eq!(bits(), Some((159, id(10 + 128))));
    }

    #[test]
    fn what_the_successor_list_covers_needs_no_finger() {
        let mut fingers = Fingers::new(id(10));
        let contact = Contact {
            id: id(200),
            incarnation: 1,
            addr: ([127, 0, 0, 1], 1).into(),
        };
        fingers.set(159, contact);
        fingers.set(150, contact);
        assert_eq!(fingers.iter().count(), 2);
        assert!(fingers.next_repair(id(30)).is_some());
        assert_eq!(fingers.iter().count(), 1);
        assert_eq!(fingers.next_repair(id(9)), None);
        assert_eq!(fingers.iter().count(), 0);
    }
}
