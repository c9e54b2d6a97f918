//! When a torrent has seeded enough: the limits of that, who has reached one, and what happens then. The limits and the
//! clocks know no engine; layer 2 like those beside them that are told what time it is.
//!
//! Looked at are torrents that have changed, and those whose minutes without an upload may be over: each of them once
//! in that time, and then it is over, as a rule. So thousands that are quiet cost nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::config::TransferConfig;
use crate::engine::Engine;
use crate::engine::api::{EngineEvent, SeedEnd, SeedLimit, TorrentState};
use crate::engine::entry::Entry;
use crate::id::InfoHash;
use crate::ratio::RatioLimit;

/// Bytes sent of a torrent of this size, and for how long none has been.
#[derive(Debug, Clone, Copy)]
struct Given {
    uploaded: u64,
    wanted_length: u64,
    idle: Duration,
}

/// What holds for one torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rules {
    ratio: RatioLimit,
    idle: Option<Duration>,
}

impl Rules {
    /// By the settings and the torrent's own choice. What was set aside for it does not count.
    fn new(settings: &TransferConfig, own: SeedLimit, set_aside: RatioLimit) -> Self {
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
    fn end(self, given: Given) -> Option<SeedEnd> {
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
    fn look(&mut self, id: InfoHash, uploaded: u64, now: Instant, patience: Option<Duration>) -> Duration {
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
    fn forget_wakes(&mut self) {
        self.wakes.clear();
        for clock in self.clocks.values_mut() {
            clock.wakes = None;
        }
    }

    /// Whom to look at now.
    fn take_due(&mut self, now: Instant) -> Vec<InfoHash> {
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

impl Engine {
    /// Ends the seeding of those that have reached a limit.
    pub(super) fn end_seeding(&mut self, now: Instant) {
        let mut looked_at = self.torrents.take_changed();
        looked_at.extend(self.idle_clocks.take_due(now));
        for id in looked_at {
            if let Some(end) = self.reached_end(id, now) {
                self.end_seeding_of(id, end);
            }
        }
    }

    /// The settings of it have changed, or whether what everything is bound to can be used.
    pub(super) fn look_at_all_seeds(&mut self) {
        self.idle_clocks.forget_wakes();
        self.torrents.change_all();
    }

    /// The settings of it have changed: whom they ended may be started with the others where they would not end it now.
    pub(super) fn forget_ends(&mut self) {
        for id in self.torrents.order().to_vec() {
            self.forget_end(id);
        }
    }

    fn forget_end(&mut self, id: InfoHash) {
        let settings = &self.config.transfer;
        let outdated = self.torrents.get(id).is_some_and(|entry| {
            let rules = Rules::new(settings, entry.seed_limit, entry.ratio_set_aside);
            match entry.seed_end {
                None => false,
                Some(SeedEnd::Ratio(_)) => !rules.ratio.is_reached(entry.uploaded(), entry.wanted_length),
                Some(SeedEnd::Idle { .. }) => rules.idle.is_none(),
            }
        });
        if let Some(entry) = self.torrents.get_mut(id).filter(|_| outdated) {
            entry.seed_end = None;
            self.save(id);
        }
    }

    fn reached_end(&mut self, id: InfoHash, now: Instant) -> Option<SeedEnd> {
        let entry = self.torrents.get(id).filter(|entry| seeds(entry));
        let Some(entry) = entry.filter(|_| !self.offline) else {
            self.idle_clocks.forget(id);
            return None;
        };
        let mut rules = Rules::new(&self.config.transfer, entry.seed_limit, entry.ratio_set_aside);
        // What this run is for goes before what was chosen in another one.
        if let Some(ratio) = self.scope.as_ref().and_then(|scope| scope.seed_until_ratio) {
            rules.ratio = ratio;
        }
        let uploaded = entry.uploaded();
        rules.end(Given {
            uploaded,
            wanted_length: entry.wanted_length,
            idle: self.idle_clocks.look(id, uploaded, now, rules.idle),
        })
    }

    fn end_seeding_of(&mut self, id: InfoHash, end: SeedEnd) {
        let Some(entry) = self.torrents.get_mut(id) else {
            return;
        };
        entry.pause();
        entry.seed_end = Some(end);
        log::info!("{}: finished, and paused: {end}", entry.name());
        self.save(id);
        self.queue_is_stale = true;
        // Whoever hears of it looks it up there.
        self.tell_snapshot();
        self.tell(EngineEvent::SeedingEnded { info_hash: id, end });
    }

    /// A person wants it to run: the ratio that has ended it does not do so again, and the minutes count anew. A run that
    /// is for a few torrents starts them all, whether they were ended or not, and means nothing by it.
    pub(super) fn set_limits_aside(&mut self, id: InfoHash) {
        self.idle_clocks.forget(id);
        let Some(entry) = self.torrents.get_mut(id).filter(|_| self.scope.is_none()) else {
            return;
        };
        if let Some(SeedEnd::Ratio(ratio)) = entry.seed_end {
            log::info!("{}: it seeds on past a ratio of {ratio}", entry.name());
            entry.ratio_set_aside = entry.ratio_set_aside.max(ratio);
        }
    }

    /// A torrent has a limit of its own, or none any more.
    pub(super) fn set_seed_limit(&mut self, id: InfoHash, limit: SeedLimit) {
        if let Some(entry) = self.torrents.get_mut(id) {
            entry.seed_limit = limit;
            entry.ratio_set_aside = RatioLimit::NONE;
            self.save(id);
            self.forget_end(id);
        }
    }
}

fn seeds(entry: &Entry) -> bool {
    entry.state() == TorrentState::Seeding
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
