//! The time of day in the ring. Layer 1.

use super::outbox::Now;

/// The clock of another node is followed if it is ahead of this one's by so much at most, in milliseconds: an hour.
pub(super) const MAX_AHEAD_MS: u64 = 3_600_000;

/// The time of day by the fastest clock that was heard of. All nodes tell each other, so all come to have the same.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RingClock {
    /// How far that clock is ahead of this node's, in milliseconds.
    ahead_ms: u64,
}

impl RingClock {
    /// Milliseconds since 1970.
    pub(super) fn ms(self, now: Now) -> u64 {
        now.unix_ms.saturating_add(self.ahead_ms)
    }

    /// Takes note of the time of day at another node.
    pub(super) fn follow(&mut self, now: Now, theirs_ms: u64) {
        let ahead = theirs_ms.saturating_sub(now.unix_ms);
        if ahead <= MAX_AHEAD_MS {
            self.ahead_ms = self.ahead_ms.max(ahead);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_follows_who_is_ahead_but_not_who_is_far_off() {
        let now = Now {
            at: Instant::now(),
            unix_ms: 10_000_000,
        };
        let mut clock = RingClock::default();
        for (theirs, then) in [
            (9_000_000, 10_000_000),
            (10_005_000, 10_005_000),
            (10_004_000, 10_005_000),
            (10_000_000 + MAX_AHEAD_MS + 1, 10_005_000),
        ] {
            clock.follow(now, theirs);
            assert_eq!(clock.ms(now), then, "after {theirs}");
        }
    }
}
