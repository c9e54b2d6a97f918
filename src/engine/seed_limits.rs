//! The limits of seeding, and since when who has sent nothing. Knows no engine, and is told what time it is; layer 2.
//!
//! Whose minutes without an upload may be over is looked at once in that time, and then it is over, as a rule. So thousands
//! that are quiet cost nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::config::TransferConfig;
use crate::engine::api::{SeedEnd, SeedLimit};
use crate::id::InfoHash;
use crate::ratio::RatioLimit;

/// Bytes sent of a torrent of this size, and for how long none has been.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) uploaded: u64,
    pub(super) wanted_length: u64,
    pub(super) idle: Duration,
}

/// What holds for one torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) ratio: RatioLimit,
    pub(super) idle: Option<Duration>,
}

impl Rules {
    /// By the settings and the torrent's own choice. What was set aside for it does not count.
    pub(super) fn new(settings: &TransferConfig, own: SeedLimit, set_aside: RatioLimit) -> Self {
        let ratio = match own {
            SeedLimit::AsSet => settings.seed_until_ratio,
            SeedLimit::Ratio(ratio) => ratio,
            SeedLimit::Never => RatioLimit::NONE,
        };
        Self {
            ratio: if ratio > set_aside {
                ratio
            } else {
                RatioLimit::NONE
            },
            idle: settings.idle_seeding().filter(|_| own != SeedLimit::Never),
        }
    }

    /// Which limit is reached, if one is.
    pub(super) fn end(self, given: Given) -> Option<SeedEnd> {
        if self.ratio.is_reached(given.uploaded, given.wanted_length) {
            return Some(SeedEnd::Ratio(self.ratio));
        }
        let patience = self.idle.filter(|patience| given.idle >= *patience)?;
        Some(SeedEnd::Idle {
            minutes: patience.as_secs() / 60,
        })
    }
}

/// Since when nothing was sent of one torrent.
#[derive(Debug)]
struct Clock {
    uploaded: u64,
    since: Instant,
    /// When to look again.
    wakes: Option<Instant>,
}

/// Since when the torrents that seed have sent nothing.
#[derive(Debug, Default)]
pub(super) struct IdleClocks {
    clocks: BTreeMap<InfoHash, Clock>,
    /// When to look at whom again.
    wakes: BTreeSet<(Instant, InfoHash)>,
}

impl IdleClocks {
    /// Takes note of how many bytes were sent, and says how long that has been so. It wakes when that may be as long as
    /// `patience`.
    pub(super) fn look(
        &mut self,
        id: InfoHash,
        uploaded: u64,
        now: Instant,
        patience: Option<Duration>,
    ) -> Duration {
        let clock = self.clocks.entry(id).or_insert(Clock {
            uploaded,
            since: now,
            wakes: None,
        });
        if clock.uploaded != uploaded {
            clock.uploaded = uploaded;
            clock.since = now;
        }
        // One that wakes too early, as something was sent meanwhile, looks again.
        if let (None, Some(patience)) = (clock.wakes, patience) {
            let wakes = clock.since + patience;
            clock.wakes = Some(wakes);
            self.wakes.insert((wakes, id));
        }
        now.saturating_duration_since(clock.since)
    }

    /// It does not seed, or begins anew.
    pub(super) fn forget(&mut self, id: InfoHash) {
        if let Some(Clock { wakes: Some(at), .. }) = self.clocks.remove(&id) {
            self.wakes.remove(&(at, id));
        }
    }

    /// Nobody wakes any more who is not looked at before: how long to wait has changed.
    pub(super) fn forget_wakes(&mut self) {
        self.wakes.clear();
        for clock in self.clocks.values_mut() {
            clock.wakes = None;
        }
    }

    /// Whom to look at now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<InfoHash> {
        let mut due = Vec::new();
        while let Some((_, id)) = self.wakes.first().copied().filter(|(at, _)| *at <= now) {
            self.wakes.pop_first();
            if let Some(clock) = self.clocks.get_mut(&id) {
                clock.wakes = None;
            }
            due.push(id);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn ratio(ratio: f64) -> RatioLimit {
        RatioLimit::new(ratio).unwrap()
    }

    fn settings(seed_until_ratio: f64, seed_until_idle_minutes: u64) -> TransferConfig {
        TransferConfig {
            seed_until_ratio: ratio(seed_until_ratio),
            seed_until_idle_minutes,
            ..TransferConfig::default()
        }
    }

    #[test]
    fn seeding_ends_at_the_limit_that_holds() {
        use SeedLimit::{AsSet, Never, Ratio};
        let (by_ratio, idle) = (
            |at| Some(SeedEnd::Ratio(ratio(at))),
            Some(SeedEnd::Idle { minutes: 30 }),
        );
        for (program, minutes, own, aside, uploaded, idle_minutes, expected) in [
            (0.0, 0, AsSet, 0.0, 999_999, 999_999, None),
            (2.0, 0, AsSet, 0.0, 199, 999_999, None),
            (2.0, 0, AsSet, 0.0, 200, 0, by_ratio(2.0)),
            // Its own limit goes before, and may be none.
            (2.0, 0, Ratio(ratio(3.0)), 0.0, 299, 0, None),
            (2.0, 0, Ratio(ratio(3.0)), 0.0, 300, 0, by_ratio(3.0)),
            (0.0, 0, Ratio(ratio(0.5)), 0.0, 50, 0, by_ratio(0.5)),
            (2.0, 0, Ratio(ratio(0.0)), 0.0, 999, 0, None),
            (2.0, 30, Never, 0.0, 999, 999, None),
            // What was set aside counts no more, but a greater one does.
            (2.0, 0, AsSet, 2.0, 999, 0, None),
            (1.0, 0, AsSet, 2.0, 999, 0, None),
            (3.0, 0, AsSet, 2.0, 299, 0, None),
            (3.0, 0, AsSet, 2.0, 300, 0, by_ratio(3.0)),
            // Nothing was sent for long.
            (2.0, 30, AsSet, 0.0, 199, 29, None),
            (2.0, 30, AsSet, 0.0, 199, 30, idle),
            (0.0, 30, Ratio(ratio(5.0)), 5.0, 999, 30, idle),
            (2.0, 30, AsSet, 0.0, 200, 30, by_ratio(2.0)),
        ] {
            let rules = Rules::new(&settings(program, minutes), own, ratio(aside));
            let given = Given {
                uploaded,
                wanted_length: 100,
                idle: idle_minutes * MINUTE,
            };
            assert_eq!(rules.end(given), expected, "{rules:?}, {given:?}, {own:?}");
        }
    }

    #[test]
    fn who_is_quiet_is_looked_at_when_it_is_time_and_not_before() {
        let start = Instant::now();
        let at = |minutes: u32| start + minutes * MINUTE;
        let (a, b) = (InfoHash::new([1; 20]), InfoHash::new([2; 20]));
        let patience = Some(30 * MINUTE);
        let mut clocks = IdleClocks::default();
        assert_eq!(clocks.look(a, 7, at(0), patience), Duration::ZERO);
        assert_eq!(clocks.look(b, 7, at(0), patience), Duration::ZERO);
        assert_eq!(clocks.take_due(at(29)), []);
        // Something was sent: it is looked at when it would have been, and then again.
        assert_eq!(clocks.look(a, 8, at(20), patience), Duration::ZERO);
        assert_eq!(clocks.take_due(at(30)), [a, b]);
        assert_eq!(clocks.look(a, 8, at(30), patience), 10 * MINUTE);
        assert_eq!(clocks.look(b, 7, at(30), patience), 30 * MINUTE);
        clocks.forget(b);
        assert_eq!(clocks.take_due(at(49)), []);
        assert_eq!(clocks.take_due(at(50)), [a]);
        assert_eq!(clocks.look(a, 8, at(50), patience), 30 * MINUTE);
        // It seeds no more, and then again: from the beginning.
        clocks.forget(a);
        assert_eq!(clocks.look(a, 8, at(60), None), Duration::ZERO);
        assert_eq!(clocks.take_due(at(999)), [], "nobody waits for it");
        // Another time to wait counts from the last byte as well.
        clocks.forget_wakes();
        assert_eq!(clocks.look(a, 8, at(65), Some(10 * MINUTE)), 5 * MINUTE);
        assert_eq!(clocks.take_due(at(70)), [a]);
        clocks.forget(a);
        assert!(clocks.clocks.is_empty() && clocks.wakes.is_empty());
    }
}
