//! Which of the waiting requests may run, so that slow trackers starve nobody else. Layer 2.
//!
//! - One request at a time for a torrent at a tracker, in order: a `started` must not overtake the `stopped`
//!   before it. Only a `stopped` may run beside one that is not answered (see [`super::tiers`]), and goes before
//!   what waits: that belongs to the next life of the torrent.
//! - At most [`PER_TORRENT`] at a time for one torrent, and [`PER_HOST`] for one host: only one if that host's
//!   last request failed, since then the next one is likely to wait for its time limit too.
//! - Requests to trackers that failed last time come after all others and take at most half of the places.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::id::InfoHash;

/// Requests that may run at a time.
pub(crate) const WORKERS: usize = 16;
/// Of these for one torrent.
pub(crate) const PER_TORRENT: usize = 8;
/// Of these for one host.
pub(crate) const PER_HOST: usize = 4;
/// How many hosts are remembered as failing.
const MAX_FAILING: usize = 1000;

/// Where a request belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) info_hash: InfoHash,
    pub(crate) url: String,
    pub(crate) host: String,
    /// The tracker failed last time.
    pub(crate) retry: bool,
    /// It is a `stopped`.
    pub(crate) farewell: bool,
}

#[derive(Debug)]
struct Running {
    place: Place,
    holds_worker: bool,
}

/// Waiting and running requests.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiting: VecDeque<(Place, T)>,
    running: Vec<Running>,
    failing: HashSet<String>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            running: Vec::new(),
            failing: HashSet::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Adds a request behind all others; a `stopped` before those for the same torrent at the same tracker.
    pub(crate) fn push(&mut self, place: Place, request: T) {
        let is_next_life =
            |(other, _): &(Place, T)| other.info_hash == place.info_hash && other.url == place.url;
        let at = self.waiting.iter().position(is_next_life);
        let at = at.filter(|_| place.farewell).unwrap_or(self.waiting.len());
        self.waiting.insert(at, (place, request));
    }

    /// Takes the next request that may run; it runs until [`Self::done`].
    pub(crate) fn pop(&mut self) -> Option<(Place, T)> {
        let at = self.next(false).or_else(|| self.next(true))?;
        let (place, request) = self.waiting.remove(at)?;
        self.running.push(Running {
            place: place.clone(),
            holds_worker: true,
        });
        Some((place, request))
    }

    /// A request has ended.
    pub(crate) fn done(&mut self, place: &Place, success: bool) {
        if let Some(at) = self.running.iter().position(|running| running.place == *place) {
            self.running.swap_remove(at);
        }
        if success {
            self.failing.remove(&place.host);
        } else if self.failing.len() < MAX_FAILING {
            self.failing.insert(place.host.clone());
        }
    }

    /// A request goes on without a worker. It still keeps its turn.
    pub(crate) fn detach(&mut self, place: &Place) {
        if let Some(running) = self.running.iter_mut().find(|running| running.place == *place) {
            running.holds_worker = false;
        }
    }

    /// How many requests hold a worker.
    pub(crate) fn held_workers(&self) -> usize {
        self.running.iter().filter(|running| running.holds_worker).count()
    }

    /// Takes back waiting requests.
    pub(crate) fn withdraw(&mut self, mut which: impl FnMut(&T) -> bool) -> Vec<T> {
        let (withdrawn, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(_, request)| which(request));
        self.waiting = waiting;
        withdrawn.into_iter().map(|(_, request)| request).collect()
    }

    fn next(&self, retry: bool) -> Option<usize> {
        let held = || self.running.iter().filter(|running| running.holds_worker);
        let retries = held().filter(|running| running.place.retry).count();
        if self.held_workers() >= WORKERS || (retry && retries >= WORKERS / 2) {
            return None;
        }
        let mut load = Load::default();
        for running in &self.running {
            load.add(running);
        }
        for (at, (place, _)) in self.waiting.iter().enumerate() {
            if place.retry == retry && self.may_run(place, &load) {
                return Some(at);
            }
            // What waits keeps its turn before a later request of the same torrent at the same tracker.
            load.busy.insert((place.info_hash, &place.url));
        }
        None
    }

    fn may_run(&self, place: &Place, load: &Load<'_>) -> bool {
        let per_host = if self.failing.contains(&place.host) {
            1
        } else {
            PER_HOST
        };
        load.torrents.get(&place.info_hash).copied().unwrap_or(0) < PER_TORRENT
            && load.hosts.get(place.host.as_str()).copied().unwrap_or(0) < per_host
            && (place.farewell || !load.busy.contains(&(place.info_hash, &place.url)))
    }
}

/// What runs, counted.
#[derive(Default)]
struct Load<'a> {
    torrents: HashMap<InfoHash, usize>,
    hosts: HashMap<&'a str, usize>,
    busy: HashSet<(InfoHash, &'a str)>,
}

impl<'a> Load<'a> {
    fn add(&mut self, running: &'a Running) {
        let place = &running.place;
        self.busy.insert((place.info_hash, &place.url));
        if running.holds_worker {
            *self.torrents.entry(place.info_hash).or_default() += 1;
            *self.hosts.entry(&place.host).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(torrent: u8, host: &str) -> Place {
        Place {
            info_hash: InfoHash::new([torrent; 20]),
            url: format!("http://{host}/announce"),
            host: host.to_owned(),
            retry: false,
            farewell: false,
        }
    }

    fn drain(queue: &mut Queue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop().map(|(_, request)| request)).collect()
    }

    #[test]
    fn one_torrent_does_not_take_every_place() {
        let mut queue = Queue::default();
        for n in 0..100 {
            queue.push(place(1, &n.to_string()), n);
        }
        queue.push(place(2, "other"), 1000);
        let running = drain(&mut queue);
        assert_eq!(running.len(), PER_TORRENT + 1);
        assert!(running.contains(&1000));
    }

    #[test]
    fn one_host_does_not_take_every_place_and_a_failing_one_takes_one() {
        let mut queue = Queue::default();
        for n in 0..100 {
            queue.push(place(n, "slow"), n.into());
        }
        assert_eq!(drain(&mut queue).len(), PER_HOST);
        for n in 0..4 {
            queue.done(&place(n, "slow"), false);
        }
        assert_eq!(drain(&mut queue), [4]);
        queue.done(&place(4, "slow"), true);
        assert_eq!(drain(&mut queue).len(), PER_HOST);
    }

    #[test]
    fn a_good_host_is_asked_at_once_while_200_torrents_hang_at_another() {
        let mut queue = Queue::default();
        for n in 0..200 {
            queue.push(place(n, "hanging"), n.into());
        }
        let mut running = drain(&mut queue);
        // Whether nothing has ended yet, or some have failed and are asked again.
        for torrent in 200..250 {
            queue.push(place(torrent, "good"), torrent.into());
            assert_eq!(drain(&mut queue), [u32::from(torrent)]);
            queue.done(&place(torrent, "good"), true);
            if let Some(failed) = running.pop() {
                let failed = u8::try_from(failed).unwrap();
                queue.done(&place(failed, "hanging"), false);
                let again = Place {
                    retry: true,
                    ..place(failed, "hanging")
                };
                queue.push(again, failed.into());
                running.extend(drain(&mut queue));
            }
            assert!(queue.held_workers() <= PER_HOST);
        }
    }

    #[test]
    fn requests_of_a_torrent_at_a_tracker_keep_their_order() {
        let mut queue = Queue::default();
        let retry = Place {
            retry: true,
            ..place(1, "a")
        };
        queue.push(retry.clone(), 1);
        queue.push(place(1, "a"), 2);
        assert_eq!(drain(&mut queue), [1]);
        queue.done(&retry, true);
        assert_eq!(drain(&mut queue), [2]);
    }

    #[test]
    fn a_stopped_waits_for_no_answer_and_goes_before_the_next_life() {
        let mut queue = Queue::default();
        queue.push(place(1, "a"), 1);
        assert_eq!(drain(&mut queue), [1]);
        queue.push(place(1, "a"), 3);
        let farewell = Place {
            farewell: true,
            ..place(1, "a")
        };
        queue.push(farewell.clone(), 2);
        assert_eq!(drain(&mut queue), [2]);
        queue.done(&place(1, "a"), false);
        assert!(
            drain(&mut queue).is_empty(),
            "a started must not overtake a stopped"
        );
        queue.done(&farewell, true);
        assert_eq!(drain(&mut queue), [3]);
    }

    #[test]
    fn trackers_that_failed_come_later_and_take_half_the_places() {
        let mut queue = Queue::default();
        for n in 0..100 {
            let host = format!("dead{n}");
            queue.push(
                Place {
                    retry: true,
                    ..place(n, &host)
                },
                n.into(),
            );
        }
        queue.push(place(200, "live"), 200);
        let running = drain(&mut queue);
        assert_eq!(running.len(), WORKERS / 2 + 1);
        assert_eq!(running[0], 200);
    }
}
