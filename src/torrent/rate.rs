//! How fast bytes go, smoothed. Layer 2.

use std::time::{Duration, Instant};

/// Samples older than this hardly count any more.
const MEMORY: Duration = Duration::from_secs(4);

/// Samples closer together than this are put off: a rate over a few milliseconds is noise.
const SHORTEST_SAMPLE: Duration = Duration::from_millis(200);

/// Bytes a second of a counter that only grows, as an exponentially weighted mean.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    last: Option<(Instant, u64)>,
    bytes_per_sec: f64,
}

impl Rate {
    /// Takes the counter's present value into account.
    pub fn update(&mut self, now: Instant, total: u64) {
        let Some((then, before)) = self.last else {
            self.last = Some((now, total));
            return;
        };
        let elapsed = now.saturating_duration_since(then);
        if elapsed < SHORTEST_SAMPLE {
            return;
        }
        let sample = total.saturating_sub(before) as f64 / elapsed.as_secs_f64();
        let weight = 1.0 - (-elapsed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        // A rate that rises from nothing is shown at once; later it is smoothed.
        let weight = if self.bytes_per_sec == 0.0 { 1.0 } else { weight };
        self.bytes_per_sec += (sample - self.bytes_per_sec) * weight;
        if self.bytes_per_sec < 1.0 {
            self.bytes_per_sec = 0.0;
        }
        self.last = Some((now, total));
    }

    /// Bytes a second.
    pub fn get(&self) -> u64 {
        self.bytes_per_sec as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_a_steady_stream_and_forgets_it() {
        let start = Instant::now();
        let mut rate = Rate::default();
        let at = |half_seconds: u64| start + Duration::from_millis(500 * half_seconds);
        (0..20).for_each(|turn| rate.update(at(turn), turn * 500));
        assert_eq!(rate.get(), 1000);
        (20..100).for_each(|turn| rate.update(at(turn), 19 * 500));
        assert_eq!(rate.get(), 0);
    }
}
