//! Which of the waiting requests may run, so that slow trackers starve nobody else. Layer 2.
//!
//! - One request at a time for a torrent at a tracker, in order: a `started` must not overtake the `stopped`
//!   before it. Only a `stopped` may run beside one that is not answered (see [`super::tiers`]), and goes before
//!   what waits: that belongs to the next life of the torrent.
//! - At most [`WORKERS`] at a time, of which [`PER_TORRENT`] for one torrent. A request that is not answered
//!   within [`SLOW_AFTER`] does not count towards these, up to [`MOST_WORKERS`] in all: however many trackers
//!   hang, a live one is asked soon.
//! - At most [`PER_HOST`] for one host that has answered its last request, and one for any other: that is as
//!   likely to wait for its time limit.
//! - Requests to trackers that failed last time come after all others and take at most half of the places.
//! - A `stopped` has little time, so [`MOST_WORKERS`] and [`PER_HOST`], counted apart, are all that holds it up.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::id::InfoHash;

/// Requests that may run at a time, those apart that are slow.
pub(crate) const WORKERS: usize = 16;
/// Of these for one torrent.
pub(crate) const PER_TORRENT: usize = 8;
/// Requests that may run at a time for one host.
pub(crate) const PER_HOST: usize = 4;
/// Requests that may run at a time, however slow.
pub(crate) const MOST_WORKERS: usize = 128;
/// A request that runs longer is taken for one that hangs.
pub(crate) const SLOW_AFTER: Duration = Duration::from_secs(2);
/// How many hosts are remembered as answering.
const MOST_ANSWERING: usize = 1000;

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
    since: Instant,
    holds_worker: bool,
}

impl Running {
    fn is_slow(&self, now: Instant) -> bool {
        now >= self.since + SLOW_AFTER
    }
}

/// Waiting and running requests.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiting: VecDeque<(Place, T)>,
    running: Vec<Running>,
    /// Hosts whose last request was answered.
    answering: HashSet<String>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            running: Vec::new(),
            answering: HashSet::new(),
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
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Place, T)> {
        let at = self.next(false, now).or_else(|| self.next(true, now))?;
        let (place, request) = self.waiting.remove(at)?;
        self.running.push(Running {
            place: place.clone(),
            since: now,
            holds_worker: true,
        });
        Some((place, request))
    }

    /// A request has ended.
    pub(crate) fn done(&mut self, place: &Place, success: bool) {
        if let Some(at) = self.running.iter().position(|running| running.place == *place) {
            self.running.swap_remove(at);
        }
        if !success {
            self.answering.remove(&place.host);
        } else if self.answering.len() < MOST_ANSWERING {
            self.answering.insert(place.host.clone());
        }
    }

    /// When [`Self::pop`] may give something although nothing has ended: a request turns slow.
    pub(crate) fn next_time(&self, now: Instant) -> Option<Instant> {
        let times = self
            .running
            .iter()
            .filter(|running| running.holds_worker && !running.is_slow(now))
            .map(|running| running.since + SLOW_AFTER);
        times.min().filter(|_| !self.waiting.is_empty())
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

    fn next(&self, retry: bool, now: Instant) -> Option<usize> {
        if self.held_workers() >= MOST_WORKERS {
            return None;
        }
        let mut load = Load::default();
        for running in &self.running {
            load.add(running, now);
        }
        let is_crowded = load.brisk >= WORKERS
            || (retry && (load.brisk_retries >= WORKERS / 2 || load.retries >= MOST_WORKERS / 2));
        for (at, (place, _)) in self.waiting.iter().enumerate() {
            let may_run = if place.farewell {
                load.farewells(place) < PER_HOST
            } else {
                !is_crowded && self.may_run(place, &load)
            };
            if place.retry == retry && may_run {
                return Some(at);
            }
            // What waits keeps its turn before a later request of the same torrent at the same tracker.
            load.busy.insert((place.info_hash, &place.url));
        }
        None
    }

    fn may_run(&self, place: &Place, load: &Load<'_>) -> bool {
        let per_host = if self.answering.contains(&place.host) {
            PER_HOST
        } else {
            1
        };
        load.torrents.get(&place.info_hash).copied().unwrap_or(0) < PER_TORRENT
            && load.hosts.get(place.host.as_str()).copied().unwrap_or(0) < per_host
            && !load.busy.contains(&(place.info_hash, &place.url))
    }
}

/// What runs, counted.
#[derive(Default)]
struct Load<'a> {
    /// Workers held by requests that are not slow.
    brisk: usize,
    /// Those of them for trackers that failed last time.
    brisk_retries: usize,
    /// Workers held for such trackers in all.
    retries: usize,
    /// Workers held by requests that are not slow.
    torrents: HashMap<InfoHash, usize>,
    /// Workers held, `stopped` apart.
    hosts: HashMap<&'a str, usize>,
    /// Workers held by `stopped`.
    farewells: HashMap<&'a str, usize>,
    busy: HashSet<(InfoHash, &'a str)>,
}

impl<'a> Load<'a> {
    fn add(&mut self, running: &'a Running, now: Instant) {
        let place = &running.place;
        self.busy.insert((place.info_hash, &place.url));
        if !running.holds_worker {
            return;
        }
        let hosts = if place.farewell {
            &mut self.farewells
        } else {
            &mut self.hosts
        };
        *hosts.entry(&place.host).or_default() += 1;
        self.retries += usize::from(place.retry);
        if !running.is_slow(now) {
            self.brisk += 1;
            self.brisk_retries += usize::from(place.retry);
            *self.torrents.entry(place.info_hash).or_default() += 1;
        }
    }

    fn farewells(&self, place: &Place) -> usize {
        self.farewells.get(place.host.as_str()).copied().unwrap_or(0)
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

    fn drain_at(queue: &mut Queue<u32>, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop(now).map(|(_, request)| request)).collect()
    }

    /// All in one moment.
    fn drain(queue: &mut Queue<u32>) -> Vec<u32> {
        drain_at(queue, Instant::now())
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
    fn one_host_takes_few_places_and_one_that_does_not_answer_a_single_one() {
        let mut queue = Queue::default();
        for n in 0..100 {
            queue.push(place(n, "host"), n.into());
        }
        assert_eq!(drain(&mut queue), [0], "nobody knows it yet");
        queue.done(&place(0, "host"), true);
        assert_eq!(drain(&mut queue).len(), PER_HOST);
        for n in 1..5 {
            queue.done(&place(n, "host"), false);
        }
        assert_eq!(drain(&mut queue), [5]);
    }

    #[test]
    fn however_many_trackers_hang_a_live_one_is_asked_soon() {
        let start = Instant::now();
        let mut queue = Queue::default();
        for n in 0..40 {
            let hanging = n.to_string();
            queue.push(place(1, &hanging), n.into());
            queue.push(place(100 + n, &hanging), 100 + u32::from(n));
        }
        queue.push(place(1, "good"), 1000);
        assert_eq!(queue.next_time(start), None, "nothing runs");
        let mut now = start;
        let mut begun = drain_at(&mut queue, now);
        assert!(begun.len() <= WORKERS && !begun.contains(&1000));
        while !begun.contains(&1000) {
            now = queue.next_time(now).expect("more room, in a while");
            begun.extend(drain_at(&mut queue, now));
        }
        assert!(now - start <= 5 * SLOW_AFTER, "after {:?}", now - start);
        // Their number is bounded all the same.
        for n in 0..200 {
            queue.push(place(n, &format!("further{n}")), n.into());
        }
        while let Some(next) = queue.next_time(now) {
            now = next;
            drain_at(&mut queue, now);
        }
        assert_eq!(queue.held_workers(), MOST_WORKERS);
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
    fn a_stopped_finds_a_worker_though_everything_hangs() {
        let mut queue = Queue::default();
        for n in 0..100 {
            queue.push(place(n, &n.to_string()), n.into());
        }
        assert_eq!(drain(&mut queue).len(), WORKERS);
        for n in 0..10 {
            let farewell = Place {
                farewell: true,
                ..place(100 + n, "good")
            };
            queue.push(farewell, 100 + u32::from(n));
        }
        assert_eq!(drain(&mut queue), [100, 101, 102, 103], "as many as a host takes");
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
