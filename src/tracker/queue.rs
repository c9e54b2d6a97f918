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

impl Place {
    /// Whether both are for one torrent at one tracker.
    fn is_same_line(&self, other: &Self) -> bool {
        self.info_hash == other.info_hash && self.url == other.url
    }
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

#[derive(Debug)]
struct Waiting<T> {
    /// Those that came later have greater ones.
    number: u64,
    place: Place,
    request: T,
}

/// What waits for one host, each kind in the order in which it came.
#[derive(Debug)]
struct Lane<T> {
    farewells: VecDeque<Waiting<T>>,
    fresh: VecDeque<Waiting<T>>,
    /// The tracker failed last time.
    retries: VecDeque<Waiting<T>>,
}

/// One of the queues of a [`Lane`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Farewell,
    Fresh,
    Retry,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            farewells: VecDeque::new(),
            fresh: VecDeque::new(),
            retries: VecDeque::new(),
        }
    }
}

impl<T> Lane<T> {
    fn queue(&self, kind: Kind) -> &VecDeque<Waiting<T>> {
        match kind {
            Kind::Farewell => &self.farewells,
            Kind::Fresh => &self.fresh,
            Kind::Retry => &self.retries,
        }
    }

    fn queue_mut(&mut self, kind: Kind) -> &mut VecDeque<Waiting<T>> {
        match kind {
            Kind::Farewell => &mut self.farewells,
            Kind::Fresh => &mut self.fresh,
            Kind::Retry => &mut self.retries,
        }
    }

    fn is_empty(&self) -> bool {
        self.farewells.is_empty() && self.fresh.is_empty() && self.retries.is_empty()
    }

    /// Whether nothing of the same torrent at the same tracker has to run before this.
    fn is_next(&self, waiting: &Waiting<T>) -> bool {
        let goes_first = |other: &Waiting<T>| other.place.is_same_line(&waiting.place);
        let came_before = |other: &&Waiting<T>| other.number < waiting.number;
        !self.farewells.iter().any(goes_first)
            && !self.fresh.iter().take_while(came_before).any(goes_first)
            && !self.retries.iter().take_while(came_before).any(goes_first)
    }
}

/// Where a waiting request was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    host: String,
    kind: Kind,
    at: usize,
}

/// Waiting and running requests.
///
/// Many thousands may wait, most of them for a host that has all the requests that it may have: those cost nothing
/// until one of its requests ends.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    /// By host. None is empty.
    lanes: HashMap<String, Lane<T>>,
    next_number: u64,
    running: Vec<Running>,
    /// Hosts whose last request was answered.
    answering: HashSet<String>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            next_number: 0,
            running: Vec::new(),
            answering: HashSet::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Adds a request behind all others; a `stopped` before those for the same torrent at the same tracker.
    pub(crate) fn push(&mut self, place: Place, request: T) {
        let kind = match (place.farewell, place.retry) {
            (true, _) => Kind::Farewell,
            (false, false) => Kind::Fresh,
            (false, true) => Kind::Retry,
        };
        let number = self.next_number;
        self.next_number += 1;
        let lane = self.lanes.entry(place.host.clone()).or_default();
        lane.queue_mut(kind).push_back(Waiting {
            number,
            place,
            request,
        });
    }

    /// Takes the next request that may run; it runs until [`Self::done`].
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Place, T)> {
        let found = self.next(now)?;
        let lane = self.lanes.get_mut(&found.host)?;
        let Waiting { place, request, .. } = lane.queue_mut(found.kind).remove(found.at)?;
        if lane.is_empty() {
            self.lanes.remove(&found.host);
        }
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
        times.min().filter(|_| !self.lanes.is_empty())
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
        let mut withdrawn = Vec::new();
        self.lanes.retain(|_, lane| {
            for kind in [Kind::Farewell, Kind::Fresh, Kind::Retry] {
                let queue = lane.queue_mut(kind);
                if queue.iter().any(|waiting| which(&waiting.request)) {
                    let (taken, kept): (VecDeque<_>, _) =
                        queue.drain(..).partition(|waiting| which(&waiting.request));
                    *queue = kept;
                    withdrawn.extend(taken.into_iter().map(|waiting| waiting.request));
                }
            }
            !lane.is_empty()
        });
        withdrawn
    }

    /// The first that may run, those last whose tracker failed last time.
    fn next(&self, now: Instant) -> Option<Found> {
        if self.held_workers() >= MOST_WORKERS {
            return None;
        }
        let mut load = Load::default();
        for running in &self.running {
            load.add(running, now);
        }
        let mut first: Option<((bool, u64), Found)> = None;
        for (host, lane) in &self.lanes {
            for kind in [Kind::Farewell, Kind::Fresh, Kind::Retry] {
                if !self.has_room(host, kind, &load) {
                    continue;
                }
                let Some((at, waiting)) = Self::first_of(lane, kind, &load) else {
                    continue;
                };
                let rank = (waiting.place.retry, waiting.number);
                if first.as_ref().is_none_or(|(best, _)| rank < *best) {
                    let host = host.clone();
                    first = Some((rank, Found { host, kind, at }));
                }
            }
        }
        first.map(|(_, found)| found)
    }

    /// Whether one more request of this kind may run at a host.
    fn has_room(&self, host: &str, kind: Kind, load: &Load<'_>) -> bool {
        if kind == Kind::Farewell {
            return load.farewells.get(host).copied().unwrap_or(0) < PER_HOST;
        }
        let per_host = if self.answering.contains(host) {
            PER_HOST
        } else {
            1
        };
        let retries_are_crowded = load.brisk_retries >= WORKERS / 2 || load.retries >= MOST_WORKERS / 2;
        load.brisk < WORKERS
            && !(kind == Kind::Retry && retries_are_crowded)
            && load.hosts.get(host).copied().unwrap_or(0) < per_host
    }

    /// The first of a kind whose torrent may have one more request, and whose turn it is.
    fn first_of<'a>(lane: &'a Lane<T>, kind: Kind, load: &Load<'_>) -> Option<(usize, &'a Waiting<T>)> {
        let mut waiting = lane.queue(kind).iter().enumerate();
        if kind == Kind::Farewell {
            return waiting.min_by_key(|(_, waiting)| (waiting.place.retry, waiting.number));
        }
        waiting.find(|(_, waiting)| {
            let place = &waiting.place;
            load.torrents.get(&place.info_hash).copied().unwrap_or(0) < PER_TORRENT
                && !load.busy.contains(&(place.info_hash, &place.url))
                && lane.is_next(waiting)
        })
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
}

#[cfg(test)]
mod tests;
