//! How many peers, swarms and requests there were in each minute of the last three days. Layer 1, but for `file`.
//!
//! Time is that of the wall clock, in minutes since 1970. What is not recorded stays a gap. When the clock is set
//! back, what was recorded for the time that comes again gives way.

mod file;
mod recorder;

use std::collections::VecDeque;

use serde::Serialize;

pub use self::file::HistoryFile;
pub(super) use self::recorder::Recorder;

/// Minutes that are kept: three days.
pub const MINUTES: u32 = 3 * 24 * 60;

/// Figures of one minute: counts at its end, and requests during it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// Swarms.
    pub swarms: u32,
    /// Peers that have everything.
    pub seeds: u32,
    /// Peers that lack something.
    pub leechers: u32,
    /// Announces that were answered.
    pub announces: u32,
    /// Scrapes that were answered.
    pub scrapes: u32,
}

/// One minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute {
    /// Which one, since 1970.
    pub minute: u32,
    /// This node.
    pub node: Sample,
    /// All nodes together, each swarm counted once; `None` if the node was in no ring.
    pub ring: Option<Sample>,
}

/// Whose figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Those of this node.
    Node,
    /// Those of the ring.
    Ring,
}

/// Means over the recorded minutes of some minutes that lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Group {
    /// The first of them, in seconds since 1970.
    pub start: u64,
    /// Swarms.
    pub swarms: f64,
    /// Peers that have everything.
    pub seeds: f64,
    /// Peers that lack something.
    pub leechers: f64,
    /// Announces a minute.
    pub announces: f64,
    /// Scrapes a minute.
    pub scrapes: f64,
}

/// The minutes, in their order.
#[derive(Debug, Clone, Default)]
pub struct History {
    minutes: VecDeque<Minute>,
}

impl History {
    /// Adds a minute that is over. One that is recorded already gets the requests of both; later ones were recorded
    /// by a clock that has been set back since, and are dropped.
    pub fn push(&mut self, mut new: Minute) {
        while let Some(last) = self.minutes.back().filter(|last| last.minute >= new.minute) {
            if last.minute == new.minute {
                add_requests(&mut new.node, &last.node);
                if let (Some(ring), Some(before)) = (&mut new.ring, &last.ring) {
                    add_requests(ring, before);
                }
            }
            self.minutes.pop_back();
        }
        self.minutes.push_back(new);
        let is_old = |minute: u32| new.minute - minute >= MINUTES;
        while self.minutes.front().is_some_and(|first| is_old(first.minute)) {
            self.minutes.pop_front();
        }
    }

    /// Puts what was recorded in an earlier run before what is recorded here.
    pub fn go_on_from(&mut self, before: Self) {
        let here = std::mem::replace(self, before);
        here.minutes.into_iter().for_each(|minute| self.push(minute));
    }

    /// All of them.
    pub fn minutes(&self) -> impl ExactSizeIterator<Item = &Minute> {
        self.minutes.iter()
    }

    /// The latest of them.
    pub fn last(&self) -> Option<&Minute> {
        self.minutes.back()
    }

    /// The last `span` minutes before `now`, in groups of `size` minutes. Groups in which nothing is recorded are
    /// left out.
    pub fn groups(&self, now: u32, span: u32, size: u32, of: Of) -> Vec<Group> {
        let size = size.max(1);
        let first = now.saturating_sub(span.min(MINUTES));
        let mut groups: Vec<(Group, f64)> = Vec::new();
        for minute in &self.minutes {
            let sample = match of {
                Of::Node => Some(minute.node),
                Of::Ring => minute.ring,
            };
            let Some(sample) = sample.filter(|_| (first..now).contains(&minute.minute)) else {
                continue;
            };
            let start = u64::from(minute.minute / size * size) * 60;
            if groups.last().is_none_or(|(group, _)| group.start != start) {
                groups.push((Group::empty(start), 0.0));
            }
            if let Some((group, count)) = groups.last_mut() {
                group.add(&sample);
                *count += 1.0;
            }
        }
        groups
            .into_iter()
            .map(|(group, count)| group.over(count))
            .collect()
    }
}

fn add_requests(to: &mut Sample, from: &Sample) {
    to.announces = to.announces.saturating_add(from.announces);
    to.scrapes = to.scrapes.saturating_add(from.scrapes);
}

impl Group {
    fn empty(start: u64) -> Self {
        Self {
            start,
            swarms: 0.0,
            seeds: 0.0,
            leechers: 0.0,
            announces: 0.0,
            scrapes: 0.0,
        }
    }

    fn add(&mut self, sample: &Sample) {
        self.swarms += f64::from(sample.swarms);
        self.seeds += f64::from(sample.seeds);
        self.leechers += f64::from(sample.leechers);
        self.announces += f64::from(sample.announces);
        self.scrapes += f64::from(sample.scrapes);
    }

    /// The means of sums over `count` minutes, to two digits behind the point.
    fn over(self, count: f64) -> Self {
        let mean = |sum: f64| (sum / count * 100.0).round() / 100.0;
        Self {
            start: self.start,
            swarms: mean(self.swarms),
            seeds: mean(self.seeds),
            leechers: mean(self.leechers),
            announces: mean(self.announces),
            scrapes: mean(self.scrapes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(leechers: u32, announces: u32) -> Sample {
        Sample {
            swarms: 1,
            seeds: 2,
            leechers,
            announces,
            scrapes: 1,
        }
    }

    fn minute(minute: u32, leechers: u32, announces: u32) -> Minute {
        Minute {
            minute,
            node: sample(leechers, announces),
            ring: Some(sample(10 * leechers, 10 * announces)),
        }
    }

    fn history(minutes: impl IntoIterator<Item = Minute>) -> History {
        let mut history = History::default();
        minutes.into_iter().for_each(|minute| history.push(minute));
        history
    }

    fn numbers(history: &History) -> Vec<u32> {
        history.minutes().map(|minute| minute.minute).collect()
    }

    #[test]
    fn three_days_are_kept() {
        let history = history((0..MINUTES + 10).map(|at| minute(100 + at, 1, 1)));
        let numbers = numbers(&history);
        assert_eq!(numbers.len(), MINUTES as usize);
        assert_eq!((numbers[0], numbers[numbers.len() - 1]), (110, 110 + MINUTES - 1));
        let mut later = history;
        later.push(minute(110 + 2 * MINUTES, 1, 1));
        assert_eq!(
            later.minutes().len(),
            1,
            "after a pause of three days nothing is left"
        );
    }

    #[test]
    fn minutes_and_hours_are_means_of_what_is_recorded() {
        // Two minutes of one hour, a gap, one of the next hour.
        let history = history([minute(600, 10, 4), minute(601, 20, 6), minute(665, 7, 1)]);
        let by_minute = history.groups(666, 66, 1, Of::Node);
        let leechers: Vec<(u64, f64)> = by_minute
            .iter()
            .map(|group| (group.start, group.leechers))
            .collect();
        assert_eq!(leechers, [(36_000, 10.0), (36_060, 20.0), (39_900, 7.0)]);
        let by_hour = history.groups(666, 66, 60, Of::Ring);
        let means: Vec<_> = by_hour
            .iter()
            .map(|group| (group.start, group.leechers, group.announces))
            .collect();
        assert_eq!(means, [(36_000, 150.0, 50.0), (39_600, 70.0, 10.0)]);
        assert_eq!(
            history.groups(666, 65, 1, Of::Node).len(),
            2,
            "the first is too old"
        );
        assert_eq!(
            history.groups(665, 65, 1, Of::Node).len(),
            2,
            "the last is not over"
        );
        assert_eq!(history.groups(u32::MAX, u32::MAX, 0, Of::Node), []);
    }

    #[test]
    fn what_was_no_ring_is_no_ring_of_nothing() {
        let alone = Minute {
            ring: None,
            ..minute(5, 1, 1)
        };
        let history = history([alone, minute(6, 1, 1)]);
        assert_eq!(history.groups(7, 60, 1, Of::Node).len(), 2);
        assert_eq!(history.groups(7, 60, 1, Of::Ring).len(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_writes_its_time_anew() {
        let mut history = history((10..20).map(|at| minute(at, 1, 5)));
        history.push(minute(19, 3, 7));
        assert_eq!(
            history.minutes().last(),
            Some(&Minute {
                node: Sample {
                    scrapes: 2,
                    ..sample(3, 12)
                },
                ring: Some(Sample {
                    scrapes: 2,
                    ..sample(30, 120)
                }),
                minute: 19,
            }),
            "a second or two make it come twice"
        );
        history.push(minute(12, 4, 1));
        assert_eq!(numbers(&history), [10, 11, 12]);
    }
}
