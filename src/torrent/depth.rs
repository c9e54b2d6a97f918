//! How many requests should be out at a peer, from how fast its answers come and how long they take. Layer 2.
//!
//! A path is full when `rate × round trip` is under way. More than that waits at the peer, where it does no good but
//! for the moment when the path or the peer turns out to be faster; it makes chokes and the end of the download wait.
//! So the depth is the greatest rate of the last second or so times about two round trips: while the path has room
//! the rate doubles with each round trip, and when it is full one round trip's worth waits at the peer. A slow peer
//! has a second's worth, since many of those serve in turns, or let their limit pass once a second.
//!
//! What waits at the peer makes round trips longer, so the one that counts is the shortest that was seen. That one
//! may be of a path that has changed since: every ten seconds, for a round trip, so little is out that nothing waits,
//! and it is measured anew (compare BBR, Cardwell et al. 2016 §4).

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::picker::Pace;

/// Requests that a new peer gets before anything is known of it.
pub(super) const FIRST: usize = 8;

/// Requests that are always worth having out at a peer that answers, however slow: one under way, one waiting.
pub(super) const LEAST: usize = 2;

/// Most requests out at one peer, whatever it allows: 31 MiB under way, enough for 1 Gbit/s at a quarter of a second,
/// and half of what `memory.buffers_mib` is by default.
pub(super) const MOST: usize = 2_000;

/// How much time's worth is out at a peer whatever its round trip, and how many blocks of that at most: beyond them
/// nobody serves in turns that are so far apart.
const SLOW_TIME: Duration = Duration::from_secs(1);
const SLOW_MOST: f64 = 256.0;

/// What a round trip may take longer than the shortest one, by the turns of the threads at both ends.
const SLACK: Duration = Duration::from_millis(50);

/// Rates are taken over at least this; over less they would be of a batch.
const WINDOW: Duration = Duration::from_millis(200);

/// After so long in which hardly anything came the rate is taken to have fallen, though no answer ends the window.
const LONGEST_WINDOW: Duration = Duration::from_secs(1);

/// So many rates are kept; the greatest counts.
const WINDOWS: usize = 5;

/// How long a round trip counts before it is measured anew.
const FRESH: Duration = Duration::from_secs(10);

/// Below this depth what waits at the peer is little, and the round trip is not measured anew.
const WORTH_PROBING: usize = 64;

/// What is out meanwhile: this part of `rate × round trip`, and a few more. So many answers tell; if they come so much
/// sooner than before, it is done once more.
const PROBE_PART: f64 = 0.75;
const PROBE_SPARE: usize = 8;
const PROBE_ANSWERS: u32 = 16;
const PROBE_AGAIN: f64 = 0.9;

/// What is known of a peer's path.
#[derive(Debug)]
pub(super) struct Depth {
    /// Slow start: each answer allows one request more, until one takes so long that something waits at the peer.
    growing: Option<usize>,
    window: Option<Window>,
    /// Blocks a second in the last windows.
    rates: VecDeque<f64>,
    shortest: Option<Shortest>,
    probe: Option<Probe>,
}

/// A stretch of time over which a rate is taken.
#[derive(Debug)]
struct Window {
    began: Instant,
    blocks: u32,
    /// There was less to ask for than would have been asked: the peer can be faster than this window shows.
    starved: bool,
}

/// The shortest round trip.
#[derive(Debug, Clone, Copy)]
struct Shortest {
    time: Duration,
    at: Instant,
}

/// The round trip is being measured anew.
#[derive(Debug)]
struct Probe {
    /// The shortest round trip when it began.
    before: Duration,
    /// Since when no more is out than should be.
    drained: Option<Instant>,
    shortest: Option<Duration>,
    answers: u32,
}

impl Depth {
    /// Of a peer that nothing is known of.
    pub(super) fn new() -> Self {
        Self {
            growing: Some(FIRST),
            window: None,
            rates: VecDeque::new(),
            shortest: None,
            probe: None,
        }
    }

    /// How many requests should be out.
    pub(super) fn get(&self) -> usize {
        let depth = match (&self.probe, self.growing) {
            (Some(_), _) => self.probed(),
            (None, Some(grown)) => grown.max(self.by_rate()),
            (None, None) => self.by_rate() + LEAST,
        };
        depth.clamp(LEAST, MOST)
    }

    /// How fast the peer answers, once a rate was taken.
    pub(super) fn pace(&self) -> Option<Pace> {
        (!self.rates.is_empty()).then(|| Pace {
            blocks_per_sec: self.rate(),
            round_trip: self.round_trip(),
        })
    }

    /// What was learned of its speed no longer holds, as after a choke: it begins anew with so many requests.
    pub(super) fn restart(&mut self, with: usize) {
        self.growing = Some(with);
        self.window = None;
        self.rates.clear();
        self.probe = None;
    }

    /// Requests went out.
    pub(super) fn on_sent(&mut self, now: Instant) {
        self.window.get_or_insert(Window::new(now));
    }

    /// Fewer requests went out than might have: nothing more was wanted of this peer.
    pub(super) fn on_starved(&mut self) {
        if let Some(window) = &mut self.window {
            window.starved = true;
        }
    }

    /// A request that was sent at `asked` was answered now; so many are still `out`.
    pub(super) fn on_answer(&mut self, now: Instant, asked: Instant, out: usize) {
        let took = now.saturating_duration_since(asked);
        let window = self.window.get_or_insert(Window::new(now));
        window.blocks += 1;
        let grows = !window.starved;
        let is_over = now.saturating_duration_since(window.began) >= WINDOW;
        self.measure(now, asked, took, out);
        let queues = took > self.horizon();
        if queues {
            self.growing = None;
        } else if grows && let Some(grown) = &mut self.growing {
            *grown = (*grown + 1).min(MOST);
        }
        // A rate of whatever there is serves better than none.
        if is_over || queues && self.rate() == 0.0 {
            self.close_window(now);
        }
    }

    /// Call this now and then while something is out.
    pub(super) fn on_tick(&mut self, now: Instant) {
        let Some(window) = &self.window else { return };
        let elapsed = now.saturating_duration_since(window.began);
        let rate = window.rate(elapsed);
        // Silence shows at once. The window goes on: the next answer counts over all of the time that it took, or
        // the end of a burst would look like a rate.
        if elapsed >= LONGEST_WINDOW && rate < self.rate() {
            self.add_rate(rate);
        }
    }

    /// Nothing is out: the time that goes by says nothing.
    pub(super) fn on_idle(&mut self) {
        self.window = None;
    }

    fn close_window(&mut self, now: Instant) {
        let Some(window) = self.window.replace(Window::new(now)) else {
            return;
        };
        let rate = window.rate(now.saturating_duration_since(window.began));
        if !window.starved || rate > self.rate() {
            self.add_rate(rate);
        }
    }

    fn add_rate(&mut self, rate: f64) {
        if self.rates.len() == WINDOWS {
            self.rates.pop_front();
        }
        self.rates.push_back(rate);
    }

    /// Takes a round trip into account, and sees whether it is time to measure the shortest one anew.
    fn measure(&mut self, now: Instant, asked: Instant, took: Duration, out: usize) {
        let shortest = match self.shortest {
            Some(shortest) if took >= shortest.time => shortest,
            _ => *self.shortest.insert(Shortest { time: took, at: now }),
        };
        let probed = self.probed();
        let Some(probe) = &mut self.probe else {
            let due = now.saturating_duration_since(shortest.at) >= FRESH;
            if due && self.growing.is_none() && self.get() >= WORTH_PROBING {
                self.probe = Some(Probe::new(shortest.time));
            }
            return;
        };
        let Some(drained) = probe.drained else {
            if out <= probed {
                probe.drained = Some(now);
            }
            return;
        };
        if asked >= drained {
            probe.answers += 1;
            probe.shortest = Some(probe.shortest.map_or(took, |least| least.min(took)));
        }
        let late = now.saturating_duration_since(drained) > 2 * shortest.time + 2 * SLACK;
        if (probe.answers >= PROBE_ANSWERS || late)
            && let Some(time) = probe.shortest
        {
            self.shortest = Some(Shortest { time, at: now });
            // Something waited all the same: with less there may be less still.
            let is_shorter = time < probe.before.mul_f64(PROBE_AGAIN);
            self.probe = is_shorter.then(|| Probe::new(time));
        }
    }

    /// How many requests are out while the round trip is measured.
    fn probed(&self) -> usize {
        (self.rate() * self.round_trip().as_secs_f64() * PROBE_PART) as usize + PROBE_SPARE
    }

    fn round_trip(&self) -> Duration {
        self.shortest.map_or(Duration::ZERO, |shortest| shortest.time)
    }

    /// Blocks a second.
    fn rate(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }

    /// How much time's worth of blocks should be out; a round trip that takes longer shows that some wait.
    fn horizon(&self) -> Duration {
        self.shortest
            .map_or(SLOW_TIME, |shortest| 2 * shortest.time + SLACK)
    }

    fn by_rate(&self) -> usize {
        let rate = self.rate();
        let slow = (rate * SLOW_TIME.as_secs_f64()).min(SLOW_MOST);
        slow.max(rate * self.horizon().as_secs_f64()) as usize
    }
}

impl Probe {
    const fn new(before: Duration) -> Self {
        Self {
            before,
            drained: None,
            shortest: None,
            answers: 0,
        }
    }
}

impl Window {
    const fn new(began: Instant) -> Self {
        Self {
            began,
            blocks: 0,
            starved: false,
        }
    }

    /// Blocks a second.
    fn rate(&self, elapsed: Duration) -> f64 {
        f64::from(self.blocks) / elapsed.as_secs_f64().max(1e-3)
    }
}
