//! Who may own a key, as far as one node can guess. Layer 2.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::{Duration, Instant};

use crate::id::RingId;
use crate::ring::contact::Contact;

/// Nodes by their place on the circle, and which of them are not worth asking for a while. It may be wrong: whoever
/// is asked refuses what is not his, and says who may have it.
#[derive(Debug, Default)]
pub struct Directory {
    nodes: BTreeMap<RingId, Known>,
}

#[derive(Debug)]
struct Known {
    contact: Contact,
    avoid_until: Option<Instant>,
    /// How often in a row it was lost.
    losses: u32,
}

/// How long a node that did not answer is left out the first time; each time in a row it is twice as long.
const LOST_FIRST: Duration = Duration::from_secs(2);
/// ... and at most so long.
const LOST_MOST: Duration = Duration::from_secs(300);

impl Directory {
    /// Takes note of a node. Of two lives of one node the later one counts.
    pub fn learn(&mut self, contact: Contact) {
        let fresh = || Known {
            contact,
            avoid_until: None,
            losses: 0,
        };
        let known = self.nodes.entry(contact.id).or_insert_with(fresh);
        if known.contact.incarnation < contact.incarnation {
            *known = fresh();
        }
    }

    /// Forgets all nodes but these and learns these, so that what is no member any more does not stay for ever.
    pub fn keep_only(&mut self, members: &[Contact]) {
        self.nodes
            .retain(|id, _| members.iter().any(|member| member.id == *id));
        for &member in members {
            self.learn(member);
        }
    }

    /// Leaves a node out until then: it does not answer, or has no say over any arc yet.
    pub fn avoid(&mut self, contact: &Contact, until: Instant) {
        if let Some(known) = self.nodes.get_mut(&contact.id)
            && known.contact.incarnation <= contact.incarnation
        {
            known.avoid_until = Some(until);
        }
    }

    /// Leaves a node out that cannot be reached or does not answer: for longer and longer, for it may be dead for good.
    /// Where it is alive, others name it.
    pub fn lose(&mut self, now: Instant, contact: &Contact) {
        if let Some(known) = self.nodes.get_mut(&contact.id)
            && known.contact.incarnation <= contact.incarnation
            && known.avoid_until.is_none_or(|until| until <= now)
        {
            let wait = LOST_FIRST.saturating_mul(2_u32.saturating_pow(known.losses));
            known.losses = known.losses.saturating_add(1);
            known.avoid_until = Some(now + wait.min(LOST_MOST));
        }
    }

    /// Asks a node again at once: it has been heard, or named.
    pub fn trust(&mut self, contact: &Contact) {
        if let Some(known) = self.nodes.get_mut(&contact.id) {
            known.avoid_until = None;
            known.losses = 0;
        }
    }

    /// The nodes clockwise from `key`, one that stands on it included, without those to avoid.
    pub fn from(&self, now: Instant, key: RingId) -> impl Iterator<Item = Contact> + '_ {
        self.clockwise(now, Bound::Included(key), Bound::Excluded(key))
    }

    /// The nodes clockwise behind `key`, one that stands on it last.
    pub fn behind(&self, now: Instant, key: RingId) -> impl Iterator<Item = Contact> + '_ {
        self.clockwise(now, Bound::Excluded(key), Bound::Included(key))
    }

    fn clockwise(
        &self,
        now: Instant,
        start: Bound<RingId>,
        end: Bound<RingId>,
    ) -> impl Iterator<Item = Contact> + '_ {
        let upwards = self.nodes.range((start, Bound::Unbounded));
        let round = self.nodes.range((Bound::Unbounded, end));
        upwards
            .chain(round)
            .filter(move |(_, known)| known.avoid_until.is_none_or(|until| until <= now))
            .map(|(_, known)| known.contact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(first: u8, incarnation: u64) -> Contact {
        let mut id = [0; 20];
        id[0] = first;
        Contact {
            id: RingId::new(id),
            incarnation,
            addr: ([127, 0, 0, 1], u16::from(first) + 1).into(),
        }
    }

    fn names(nodes: impl Iterator<Item = Contact>) -> Vec<u8> {
        nodes.map(|contact| contact.id.as_bytes()[0]).collect()
    }

    #[test]
    fn it_goes_round_from_the_key() {
        let mut directory = Directory::default();
        for first in [30, 10, 20] {
            directory.learn(contact(first, 1));
        }
        let now = Instant::now();
        assert_eq!(names(directory.from(now, contact(20, 1).id)), [20, 30, 10]);
        assert_eq!(names(directory.behind(now, contact(20, 1).id)), [30, 10, 20]);
        assert_eq!(names(directory.from(now, contact(31, 1).id)), [10, 20, 30]);
    }

    #[test]
    fn who_is_to_be_avoided_is_left_out_for_a_while_or_until_it_starts_again() {
        let mut directory = Directory::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        for first in [10, 20] {
            directory.learn(contact(first, 1));
            directory.avoid(&contact(first, 1), later);
        }
        assert_eq!(names(directory.from(now, contact(0, 1).id)), [0; 0]);
        assert_eq!(names(directory.from(later, contact(0, 1).id)), [10, 20]);
        directory.learn(contact(10, 2));
        directory.trust(&contact(20, 1));
        assert_eq!(names(directory.from(now, contact(0, 1).id)), [10, 20]);
        directory.avoid(&contact(10, 1), later);
        assert_eq!(
            names(directory.from(now, contact(0, 1).id)),
            [10, 20],
            "an earlier life says nothing"
        );
        directory.keep_only(&[contact(20, 1)]);
        assert_eq!(names(directory.from(now, contact(0, 1).id)), [20]);
    }

    #[test]
    fn who_stays_lost_is_asked_less_and_less() {
        let mut directory = Directory::default();
        directory.learn(contact(10, 1));
        let mut now = Instant::now();
        for wait in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            directory.lose(now, &contact(10, 1));
            // Many questions wait for it: it is lost once.
            directory.lose(now, &contact(10, 1));
            let wait = Duration::from_secs(wait);
            let just_before = now + wait - Duration::from_millis(1);
            assert_eq!(names(directory.from(just_before, contact(0, 1).id)), [0; 0]);
            now += wait;
            assert_eq!(names(directory.from(now, contact(0, 1).id)), [10], "{wait:?}");
        }
        directory.trust(&contact(10, 1));
        directory.lose(now, &contact(10, 1));
        assert_eq!(
            names(directory.from(now + LOST_FIRST, contact(0, 1).id)),
            [10],
            "it was heard in between"
        );
    }
}
