//! How fast a torrent was in the last minute and in the last hour: speeds and the time in, means out. Layer 2.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::engine::api::{Speed, SpeedHistory};

/// What one value of the last minute stands for, and how many there are.
const SECOND: (Duration, usize) = (Duration::from_secs(1), SpeedHistory::MINUTE);

/// What one value of the last hour stands for, and how many there are.
const TEN_SECONDS: (Duration, usize) = (Duration::from_secs(10), SpeedHistory::HOUR);

/// The speeds of one torrent. One that never moved anything takes no memory for them.
#[derive(Debug, Clone)]
pub(super) struct History {
    minute: Track,
    hour: Track,
}

impl Default for History {
    fn default() -> Self {
        Self {
            minute: Track::new(SECOND),
            hour: Track::new(TEN_SECONDS),
        }
    }
}

impl History {
    /// Takes in how fast it is now.
    pub(super) fn record(&mut self, now: Instant, down: u64, up: u64) {
        if down + up > 0 || self.minute.begun_at.is_some() {
            self.minute.record(now, down, up);
            self.hour.record(now, down, up);
        }
    }

    /// What is known. While nothing was recorded, as of a torrent that stood still, there was no speed.
    pub(super) fn view(&self, now: Instant) -> SpeedHistory {
        SpeedHistory {
            minute: self.minute.view(now),
            hour: self.hour.view(now),
        }
    }
}

/// Means over equal periods. Invariant: `begun_at` is the start of the period that `sum` is of, and `means` are of the
/// periods before it, the last one last.
#[derive(Debug, Clone)]
struct Track {
    period: Duration,
    most: usize,
    means: VecDeque<Speed>,
    begun_at: Option<Instant>,
    sum: Speed,
    samples: u64,
}

impl Track {
    fn new((period, most): (Duration, usize)) -> Self {
        Self {
            period,
            most,
            means: VecDeque::new(),
            begun_at: None,
            sum: Speed::default(),
            samples: 0,
        }
    }

    fn record(&mut self, now: Instant, down: u64, up: u64) {
        self.advance(now);
        self.sum.down += down;
        self.sum.up += up;
        self.samples += 1;
    }

    /// Ends the periods that are over.
    fn advance(&mut self, now: Instant) {
        let begun_at = self.begun_at.get_or_insert(now);
        let over = now.saturating_duration_since(*begun_at).as_nanos() / self.period.as_nanos();
        // Of more periods than are kept nothing would be left but zeros.
        for _ in 0..over.min(self.most as u128 + 1) {
            let sum = std::mem::take(&mut self.sum);
            let samples = std::mem::take(&mut self.samples).max(1);
            if self.means.len() == self.most {
                self.means.pop_front();
            }
            self.means.push_back(Speed {
                down: sum.down / samples,
                up: sum.up / samples,
            });
        }
        let over = u32::try_from(over).unwrap_or(u32::MAX);
        *begun_at += self.period.saturating_mul(over);
    }

    fn view(&self, now: Instant) -> Vec<Speed> {
        if self.begun_at.is_none() {
            return Vec::new();
        }
        let mut track = self.clone();
        track.advance(now);
        track.means.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records a speed twice a second, from `seconds.start` to `seconds.end` after `start`.
    fn run(history: &mut History, start: Instant, seconds: std::ops::Range<u64>, down: u64) {
        for half in 2 * seconds.start..2 * seconds.end {
            history.record(start + Duration::from_millis(500 * half), down, down / 10);
        }
    }

    #[test]
    fn each_second_and_each_ten_are_means() {
        let start = Instant::now();
        let mut history = History::default();
        history.record(start, 100, 0);
        history.record(start + Duration::from_millis(500), 300, 40);
        run(&mut history, start, 1..20, 1_000);
        let seen = history.view(start + Duration::from_secs(20));
        assert_eq!(seen.minute.len(), 20);
        assert_eq!(seen.minute[0], Speed { down: 200, up: 20 });
        assert_eq!(seen.minute[19], Speed { down: 1_000, up: 100 });
        assert_eq!(seen.hour.len(), 2);
        assert_eq!(seen.hour[0], Speed { down: 920, up: 92 });
    }

    #[test]
    fn what_is_old_is_forgotten_and_what_stood_still_was_not_fast() {
        let start = Instant::now();
        let mut history = History::default();
        run(&mut history, start, 0..100, 500);
        let seen = history.view(start + Duration::from_secs(110));
        assert_eq!(seen.minute.len(), 60);
        assert_eq!(seen.minute.iter().filter(|speed| speed.down == 500).count(), 50);
        assert_eq!(seen.minute[59], Speed::default());
        let later = start + Duration::from_secs(100_000);
        history.record(later, 7, 7);
        let seen = history.view(later + Duration::from_secs(1));
        assert_eq!((seen.minute.len(), seen.hour.len()), (60, 360));
        assert_eq!(seen.minute[59], Speed { down: 7, up: 7 });
        assert_eq!(seen.minute[58], Speed::default());
    }

    #[test]
    fn a_torrent_that_never_moved_anything_has_no_history() {
        let start = Instant::now();
        let mut history = History::default();
        run(&mut history, start, 0..10, 0);
        assert_eq!(
            history.view(start + Duration::from_secs(9)),
            SpeedHistory::default()
        );
    }
}
