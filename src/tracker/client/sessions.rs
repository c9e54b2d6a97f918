//! What the announcer keeps of each torrent, and when each has something to do next. Layer 2.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::Totals;
use crate::id::InfoHash;
use crate::tracker::tiers::Tiers;

/// A torrent from its `Start` to its last `stopped`. A torrent that is stopped and started again has two for a
/// while.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) info_hash: InfoHash,
    /// How the torrent is called in the log.
    pub(super) name: String,
    pub(super) tiers: Tiers,
    pub(super) totals: Arc<Totals>,
    pub(super) stopping: bool,
}

impl Session {
    /// Whether everything has been said and answered.
    fn is_over(&self) -> bool {
        self.stopping && self.tiers.is_stopped() && self.tiers.is_quiet()
    }
}

/// All sessions by number, which grow in the order in which they were started.
///
/// The cost of a step does not grow with how many sessions wait for their time. So what changes a session goes through
/// [`Self::change`]:
///
/// - `times` has, for each session that has something to do by time, that time and its number; nothing else.
/// - No session is over.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_number: BTreeMap<u64, Session>,
    times: BTreeSet<(Instant, u64)>,
}

impl Sessions {
    pub(super) fn insert(&mut self, number: u64, session: Session) {
        self.by_number.insert(number, session);
        self.change(number, |_| ());
    }

    pub(super) fn get(&self, number: u64) -> Option<&Session> {
        self.by_number.get(&number)
    }

    /// Changes a session, works out anew when it has something to do, and drops it if it is over.
    pub(super) fn change<R>(&mut self, number: u64, change: impl FnOnce(&mut Session) -> R) -> Option<R> {
        let session = self.by_number.get_mut(&number)?;
        let before = session.tiers.next_tick();
        let outcome = change(session);
        if let Some(before) = before {
            self.times.remove(&(before, number));
        }
        if session.is_over() {
            self.by_number.remove(&number);
        } else if let Some(next) = session.tiers.next_tick() {
            self.times.insert((next, number));
        }
        Some(outcome)
    }

    /// Those whose time has come, the first one first.
    pub(super) fn due(&self, now: Instant) -> Vec<u64> {
        let due = self.times.range(..=(now, u64::MAX));
        due.map(|&(_, number)| number).collect()
    }

    /// When the next one has something to do.
    pub(super) fn next_time(&self) -> Option<Instant> {
        self.times.first().map(|&(at, _)| at)
    }

    /// Whether every `stopped` that can be said has been answered, or has failed.
    pub(super) fn all_are_stopped(&self) -> bool {
        self.by_number.values().all(|session| session.tiers.is_stopped())
    }
}
