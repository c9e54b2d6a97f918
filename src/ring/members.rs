//! The nodes that were once in the ring. Layer 2.
//!
//! They are how a ring that fell apart finds its other half, and where a node that starts again knocks first. The
//! list is gossiped and kept on disk. What has been silent longest goes first when it is full.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::chord::Heard;
use super::contact::Contact;
use crate::id::RingId;

/// Most members that a node remembers.
pub const MAX_MEMBERS: usize = 1024;

/// The members that one node remembers, a life of each.
#[derive(Debug, Clone)]
pub struct Members {
    most: usize,
    forget_after: Duration,
    /// Each with the moment at which it will be forgotten.
    known: BTreeMap<RingId, (Contact, Instant)>,
}

impl Members {
    /// No member. At most `most` are remembered, each for `forget_after` since somebody heard of it.
    pub fn new(most: usize, forget_after: Duration) -> Self {
        Self {
            most,
            forget_after,
            known: BTreeMap::new(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes in that somebody heard of `heard.contact` so long ago. A later life replaces an earlier one, and an
    /// earlier one changes nothing. Returns whether it was news that this life exists.
    pub fn hear(&mut self, now: Instant, heard: Heard) -> bool {
        let age = Duration::from_secs(heard.age.into());
        let Some(left) = self.forget_after.checked_sub(age).filter(|left| !left.is_zero()) else {
            return false;
        };
        let (contact, forget_at) = (heard.contact, now + left);
        match self.known.get_mut(&contact.id) {
            Some((known, _)) if known.incarnation > contact.incarnation => false,
            Some((known, until)) if known.incarnation == contact.incarnation => {
                *until = forget_at.max(*until);
                false
            }
            Some(entry) => {
                *entry = (contact, forget_at);
                true
            }
            None => {
                if self.known.len() >= self.most && !self.make_room(forget_at) {
                    return false;
                }
                self.known.insert(contact.id, (contact, forget_at));
                true
            }
        }
    }

    /// Takes in that `contact` was heard just now.
    pub fn hear_now(&mut self, now: Instant, contact: Contact) -> bool {
        self.hear(now, Heard { contact, age: 0 })
    }

    /// Drops the member of which nothing was heard for the longest time, if that is longer than for one that
    /// would be forgotten at `forget_at`.
    fn make_room(&mut self, forget_at: Instant) -> bool {
        let oldest = self.known.iter().map(|(&id, &(_, until))| (until, id)).min();
        match oldest {
            Some((until, id)) if until < forget_at => self.known.remove(&id).is_some(),
            _ => false,
        }
    }

    /// Drops those of which nothing was heard for too long.
    pub fn expire(&mut self, now: Instant) {
        self.known.retain(|_, &mut (_, until)| until > now);
    }

    /// The latest incarnation that is known of the node.
    pub fn incarnation(&self, id: RingId) -> Option<u64> {
        self.known.get(&id).map(|(contact, _)| contact.incarnation)
    }

    /// Forgets a node.
    pub fn remove(&mut self, id: RingId) {
        self.known.remove(&id);
    }

    /// All members in the order of the circle, each with the seconds since somebody heard of it: what goes to
    /// disk.
    pub fn iter(&self, now: Instant) -> impl Iterator<Item = Heard> + '_ {
        self.known.values().map(move |&(contact, until)| Heard {
            contact,
            age: self.age(now, until),
        })
    }

    /// Those of whom somebody has heard within this time. A ring of 1,000 tells everybody of everybody in some minutes.
    pub fn lately(&self, now: Instant, within: Duration) -> impl Iterator<Item = Contact> + '_ {
        let lately = move |heard: &Heard| Duration::from_secs(heard.age.into()) <= within;
        self.iter(now).filter(lately).map(|heard| heard.contact)
    }

    fn age(&self, now: Instant, until: Instant) -> u32 {
        let left = until.saturating_duration_since(now);
        self.forget_after
            .saturating_sub(left)
            .as_secs()
            .try_into()
            .unwrap_or(u32::MAX)
    }

    /// Up to `most` of them, chosen at random.
    pub fn sample(&self, now: Instant, most: usize, rng: &mut fastrand::Rng) -> Vec<Heard> {
        let chosen = rng.choose_multiple(self.known.values(), most);
        chosen
            .into_iter()
            .map(|&(contact, until)| Heard {
                contact,
                age: self.age(now, until),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u32 = 24 * 3600;

    fn contact(first: u8, incarnation: u64) -> Contact {
        let mut id = [0; 20];
        id[0] = first;
        Contact {
            id: RingId::new(id),
            incarnation,
            addr: ([127, 0, 0, 1], 1).into(),
        }
    }

    fn members(most: usize) -> Members {
        Members::new(most, Duration::from_secs(7 * u64::from(DAY)))
    }

    #[test]
    fn a_later_life_replaces_an_earlier_one() {
        let (mut members, now) = (members(8), Instant::now());
        assert!(members.hear_now(now, contact(1, 5)));
        assert!(!members.hear_now(now, contact(1, 4)));
        assert_eq!(members.incarnation(contact(1, 0).id), Some(5));
        assert!(members.hear_now(now, contact(1, 6)));
        assert_eq!(members.incarnation(contact(1, 0).id), Some(6));
        assert_eq!(members.len(), 1);
    }

    #[test]
    fn members_are_forgotten_a_week_after_anybody_heard_of_them() {
        let (mut members, start) = (members(8), Instant::now());
        let heard = |contact, age| Heard { contact, age };
        assert!(members.hear(start, heard(contact(1, 1), 6 * DAY)));
        assert!(members.hear(start, heard(contact(2, 1), 0)));
        assert!(
            !members.hear(start, heard(contact(3, 1), 7 * DAY)),
            "too old to be news"
        );
        let later = start + Duration::from_secs(u64::from(DAY) + 1);
        members.expire(later);
        assert_eq!(
            members.lately(later, Duration::from_secs(u64::from(DAY))).count(),
            0
        );
        let lately = members.lately(later, Duration::from_secs(u64::from(DAY) + 1));
        assert_eq!(lately.collect::<Vec<_>>(), [contact(2, 1)]);
        let ages: Vec<Heard> = members.iter(later).collect();
        assert_eq!(ages, [heard(contact(2, 1), DAY + 1)]);
    }

    #[test]
    fn when_full_the_one_silent_for_longest_goes() {
        let (mut members, now) = (members(2), Instant::now());
        members.hear(
            now,
            Heard {
                contact: contact(1, 1),
                age: 50,
            },
        );
        members.hear(
            now,
            Heard {
                contact: contact(2, 1),
                age: 10,
            },
        );
        assert!(!members.hear(
            now,
            Heard {
                contact: contact(3, 1),
                age: 60
            }
        ));
        assert!(members.hear(
            now,
            Heard {
                contact: contact(4, 1),
                age: 5
            }
        ));
        let left: Vec<_> = members.iter(now).map(|heard| heard.contact).collect();
        assert_eq!(left, [contact(2, 1), contact(4, 1)]);
        assert_eq!(members.sample(now, 5, &mut fastrand::Rng::with_seed(1)).len(), 2);
    }
}
