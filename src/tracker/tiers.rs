//! Which tracker of a torrent is asked what, and when. Layer 2, BEP 12, BEP 3 §trackers.
//!
//! The rules:
//!
//! - The trackers of each tier are shuffled once, and one that answers moves to the front of its tier.
//! - **Every tier is announced to, all of them in parallel**; within a tier only one tracker is, as long as it
//!   works. BEP 12 would ask a later tier only when every tracker of the tiers before it has failed. Torrents
//!   in the wild put independent trackers in tiers of one, each knowing other peers, and waiting for the time
//!   limits of the dead ones first would cost minutes: hence this departure, which other clients share.
//! - When a tracker fails, the next of its tier is asked at once. When it merely does not answer, the next is
//!   asked after [`HEDGE_AFTER`], so a dead tracker never holds up a live one.
//! - A tracker that failed is asked again after [`BACKOFF_FIRST`], doubled with each failure in a row up to
//!   [`BACKOFF_MAX`], a quarter more or less at random so that a tracker that comes back is not met by all of
//!   its clients at once. It is not asked while another one of its tier works.
//! - A tracker that works is asked again after the interval that it gave. Events do not wait for it; a user's
//!   wish waits for the minimum interval.
//! - `started` is repeated until a tracker has answered it, then `completed` (if the download finished in this
//!   run) likewise.
//! - `stopped` goes to each tracker that has answered `started`, or may have heard it: one that is being asked
//!   gets [`STOP_PATIENCE`] to answer, so that it hears things in their order, and is told then all the same.
//!   If its answer to `started` comes later still, it may have taken the two the other way round, and is told
//!   again.
//! - A tracker that works and has not heard `completed` yet hears it before `stopped`, in the same second: it
//!   would not count the download otherwise.
//!
//! A tracker has at most one announce under way, and a `stopped` beside it.

use std::time::{Duration, Instant};

use super::announce::{AnnounceResponse, Event, ScrapeCounts};
use super::status::{TrackerState, TrackerStatus};

/// After so long without an answer the next tracker of the tier is asked as well.
pub const HEDGE_AFTER: Duration = Duration::from_secs(4);
/// Wait after a first failure.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(15);
/// Longest wait after a failure, random part apart.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30 * 60);
/// A tracker's interval counts as at least this: a tracker must not make us hammer it.
pub const INTERVAL_MIN: Duration = Duration::from_secs(60);
/// A tracker's interval counts as at most this: a tracker must not silence us for ever.
pub const INTERVAL_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// Even a user's wish asks a tracker that fails no sooner than this after the last time.
pub const RETRY_MIN: Duration = Duration::from_secs(5);
/// So long a `stopped` waits for the end of an announce that is under way at the same tracker.
pub const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// How many trackers of a torrent are used; the rest is left out. Real lists have some dozens.
pub const MAX_TRACKERS: usize = 200;

/// A tracker of one [`Tiers`], for as long as that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackerKey(usize);

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Announce; the result goes to [`Tiers::on_answer`] or [`Tiers::on_failure`].
    Announce {
        /// To whom.
        tracker: TrackerKey,
        /// What for.
        event: Option<Event>,
    },
    /// Scrape; the result goes to [`Tiers::on_scrape`], a failure goes nowhere.
    Scrape {
        /// Whom.
        tracker: TrackerKey,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Idle,
    Working,
    Failed(String),
}

/// Where `stopped` stands with a tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    Unsaid,
    UnderWay,
    /// Under way, and to be said again.
    Repeat,
    /// Answered or failed: it is not tried twice.
    Said,
}

impl Farewell {
    fn is_under_way(self) -> bool {
        matches!(self, Self::UnderWay | Self::Repeat)
    }

    /// It was answered or has failed.
    fn ended(self) -> Self {
        match self {
            Self::Repeat => Self::Unsaid,
            _ => Self::Said,
        }
    }

    /// An announce from before it was answered after it was said: the tracker may think that we are back.
    fn overtaken(self) -> Self {
        match self {
            Self::UnderWay | Self::Repeat => Self::Repeat,
            Self::Unsaid | Self::Said => Self::Unsaid,
        }
    }
}

#[derive(Debug)]
struct Tracker {
    url: String,
    standing: Standing,
    /// Since when an announce is, `stopped` apart.
    under_way: Option<Instant>,
    farewell: Farewell,
    /// When it may be asked in the regular course of things.
    next: Instant,
    /// When a user's wish may make us ask it.
    earliest: Instant,
    /// When it last answered.
    answered: Instant,
    /// Failures in a row.
    failures: u32,
    heard_started: bool,
    heard_completed: bool,
    /// The last scrape was asked for then.
    scraped: Option<Instant>,
    tracker_id: Option<Vec<u8>>,
    warning: Option<String>,
    counts: Counts,
    peers: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    seeds: Option<u32>,
    leechers: Option<u32>,
    downloads: Option<u32>,
}

impl Tracker {
    fn new(url: String, now: Instant) -> Self {
        Self {
            url,
            standing: Standing::Idle,
            under_way: None,
            farewell: Farewell::Unsaid,
            next: now,
            earliest: now,
            answered: now,
            failures: 0,
            heard_started: false,
            heard_completed: false,
            scraped: None,
            tracker_id: None,
            warning: None,
            counts: Counts::default(),
            peers: 0,
        }
    }

    fn is_working(&self) -> bool {
        self.standing == Standing::Working
    }

    fn status(&self, tier: usize, next_announce: Option<Instant>) -> TrackerStatus {
        let state = match (&self.under_way, &self.standing) {
            (Some(_), _) => TrackerState::Announcing,
            (None, Standing::Idle) => TrackerState::Idle,
            (None, Standing::Working) => TrackerState::Working,
            (None, Standing::Failed(reason)) => TrackerState::Failed(reason.clone()),
        };
        TrackerStatus {
            url: self.url.clone(),
            tier,
            state,
            warning: self.warning.clone(),
            seeds: self.counts.seeds,
            leechers: self.counts.leechers,
            downloads: self.counts.downloads,
            peers: self.peers,
            next_announce,
        }
    }
}

/// The trackers of one torrent.
#[derive(Debug)]
pub struct Tiers {
    trackers: Vec<Tracker>,
    /// Keys of the trackers in the order in which they are asked.
    tiers: Vec<Vec<usize>>,
    completed: bool,
    /// Since when nothing is said but `stopped`.
    stopping: Option<Instant>,
}

impl Tiers {
    /// Takes the tiers of a torrent and shuffles each. A URL that stands there twice counts once, empty ones and
    /// empty tiers not at all; at most [`MAX_TRACKERS`] are taken.
    pub fn new(tiers: Vec<Vec<String>>, now: Instant, rng: &mut fastrand::Rng) -> Self {
        let mut this = Self {
            trackers: Vec::new(),
            tiers: Vec::new(),
            completed: false,
            stopping: None,
        };
        for urls in tiers {
            let mut tier = Vec::new();
            for url in urls {
                let url = url.trim();
                let known = this.trackers.iter().any(|tracker| tracker.url == url);
                if url.is_empty() || known || this.trackers.len() == MAX_TRACKERS {
                    continue;
                }
                tier.push(this.trackers.len());
                this.trackers.push(Tracker::new(url.to_owned(), now));
            }
            if !tier.is_empty() {
                rng.shuffle(&mut tier);
                this.tiers.push(tier);
            }
        }
        this
    }

    /// The download has just finished: trackers that work hear of it with the next [`Self::on_tick`].
    pub fn complete(&mut self) {
        self.completed = true;
    }

    /// The user wants an announce: brings forward what the minimum intervals allow.
    pub fn announce_now(&mut self) {
        for tracker in &mut self.trackers {
            tracker.next = tracker.next.min(tracker.earliest);
        }
    }

    /// We are reached elsewhere: trackers that work hear of it with the next [`Self::on_tick`], whatever they ask of
    /// our patience, since whomever they send to us until then finds nobody.
    pub fn moved(&mut self, now: Instant) {
        for tracker in self.trackers.iter_mut().filter(|tracker| tracker.is_working()) {
            tracker.next = tracker.next.min(now);
        }
    }

    /// From now on nothing is said but `stopped`, to the trackers that have heard `started` or may have.
    pub fn stop(&mut self, now: Instant) {
        self.stopping.get_or_insert(now);
    }

    /// Whether every `stopped` that can be said has been answered, or has failed.
    pub fn is_stopped(&self) -> bool {
        self.stopping.is_some()
            && self
                .trackers
                .iter()
                .all(|tracker| !tracker.farewell.is_under_way() && self.stop_time(tracker).is_none())
    }

    /// Whether any announce is under way, `stopped` or not. After [`Self::stop`] a late answer to `started`
    /// means that `stopped` has to follow.
    pub fn is_quiet(&self) -> bool {
        self.trackers
            .iter()
            .all(|tracker| tracker.under_way.is_none() && !tracker.farewell.is_under_way())
    }

    /// What is due. Each announce is under way from then on.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Action> {
        if self.stopping.is_some() {
            return (0..self.trackers.len())
                .filter_map(|key| self.part_from(key, now))
                .collect();
        }
        let due: Vec<usize> = self.tiers.iter().filter_map(|tier| self.due(tier, now)).collect();
        due.into_iter().map(|key| self.announce(key, now)).collect()
    }

    /// When [`Self::on_tick`] has something to do next, if nothing else happens before.
    pub fn next_tick(&self) -> Option<Instant> {
        if self.stopping.is_some() {
            return self
                .trackers
                .iter()
                .filter_map(|tracker| self.completed_time(tracker).or(self.stop_time(tracker)))
                .min();
        }
        self.tiers.iter().filter_map(|tier| self.tier_time(tier)).min()
    }

    /// A tracker has answered an announce for `event`.
    ///
    /// Returns a scrape if the tracker told no counts and was not scraped for an interval.
    pub fn on_answer(
        &mut self,
        key: TrackerKey,
        event: Option<Event>,
        response: &AnnounceResponse,
        now: Instant,
    ) -> Option<Action> {
        let tracker = self.trackers.get_mut(key.0)?;
        if event == Some(Event::Stopped) {
            tracker.farewell = tracker.farewell.ended();
            return None;
        }
        tracker.under_way = None;
        tracker.farewell = tracker.farewell.overtaken();
        let interval = response.interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
        let min_interval = response
            .min_interval
            .unwrap_or(INTERVAL_MIN)
            .clamp(INTERVAL_MIN, INTERVAL_MAX);
        tracker.standing = Standing::Working;
        tracker.failures = 0;
        tracker.next = now + interval.max(min_interval);
        tracker.earliest = now + min_interval;
        tracker.answered = now;
        tracker.heard_started = true;
        tracker.heard_completed |= event == Some(Event::Completed);
        tracker.warning.clone_from(&response.warning);
        tracker.peers = response.peers.len();
        if response.tracker_id.is_some() {
            tracker.tracker_id.clone_from(&response.tracker_id);
        }
        tracker.counts.seeds = response.seeds.or(tracker.counts.seeds);
        tracker.counts.leechers = response.leechers.or(tracker.counts.leechers);
        tracker.counts.downloads = response.downloads.or(tracker.counts.downloads);
        let counts_known = response.seeds.is_some() && response.leechers.is_some();
        let scraped_lately = tracker.scraped.is_some_and(|at| now < at + interval);
        let scrape = !counts_known && !scraped_lately && self.stopping.is_none();
        if scrape {
            tracker.scraped = Some(now);
        }
        self.move_to_front(key);
        scrape.then_some(Action::Scrape { tracker: key })
    }

    /// A tracker has not answered an announce for `event`, or has refused; `reason` says why, for a person.
    pub fn on_failure(
        &mut self,
        key: TrackerKey,
        event: Option<Event>,
        reason: String,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) {
        let Some(tracker) = self.trackers.get_mut(key.0) else {
            return;
        };
        if event == Some(Event::Stopped) {
            tracker.farewell = tracker.farewell.ended();
            return;
        }
        tracker.under_way = None;
        tracker.standing = Standing::Failed(reason);
        tracker.next = now + backoff(tracker.failures, rng);
        tracker.earliest = now + RETRY_MIN;
        tracker.failures = tracker.failures.saturating_add(1);
    }

    /// An announce was taken back before it was sent.
    pub fn on_withdrawn(&mut self, key: TrackerKey) {
        if let Some(tracker) = self.trackers.get_mut(key.0) {
            tracker.under_way = None;
        }
    }

    /// A tracker has answered a scrape.
    pub fn on_scrape(&mut self, key: TrackerKey, counts: ScrapeCounts) {
        if let Some(tracker) = self.trackers.get_mut(key.0) {
            tracker.counts = Counts {
                seeds: Some(counts.seeds),
                leechers: Some(counts.leechers),
                downloads: Some(counts.downloads),
            };
        }
    }

    /// The URL of a tracker.
    pub fn url(&self, key: TrackerKey) -> Option<&str> {
        self.trackers.get(key.0).map(|tracker| tracker.url.as_str())
    }

    /// What the tracker called us in an earlier answer.
    pub fn tracker_id(&self, key: TrackerKey) -> Option<&[u8]> {
        self.trackers.get(key.0)?.tracker_id.as_deref()
    }

    /// Whether the last answer of this tracker was a failure: then others go first.
    pub fn is_retry(&self, key: TrackerKey) -> bool {
        self.trackers
            .get(key.0)
            .is_some_and(|tracker| tracker.failures > 0)
    }

    /// All trackers, for a person, in the order in which they are asked.
    pub fn status(&self) -> Vec<TrackerStatus> {
        let of_tier = |(tier, keys): (usize, &Vec<usize>)| {
            let plan = if self.stopping.is_some() {
                Vec::new()
            } else {
                self.candidates(keys)
            };
            let status = |&key: &usize| {
                let next = plan
                    .iter()
                    .find(|(planned, _)| *planned == key)
                    .map(|&(_, at)| at);
                self.tracker(key).status(tier, next)
            };
            keys.iter().map(status).collect::<Vec<_>>()
        };
        self.tiers.iter().enumerate().flat_map(of_tier).collect()
    }

    fn tracker(&self, key: usize) -> &Tracker {
        &self.trackers[key]
    }

    /// The tracker of a tier that is to be asked now.
    fn due(&self, tier: &[usize], now: Instant) -> Option<usize> {
        self.candidates(tier)
            .into_iter()
            .find(|&(_, at)| at <= now)
            .map(|(key, _)| key)
    }

    fn tier_time(&self, tier: &[usize]) -> Option<Instant> {
        self.candidates(tier).into_iter().map(|(_, at)| at).min()
    }

    /// The trackers of a tier that come into question, each with the time at which it does.
    fn candidates(&self, tier: &[usize]) -> Vec<(usize, Instant)> {
        let (busy, free): (Vec<usize>, Vec<usize>) = tier
            .iter()
            .partition(|&&key| self.tracker(key).under_way.is_some());
        // News goes to all who know us, and does not wait.
        if let Some(&key) = free.iter().find(|&&key| self.has_news_for(key)) {
            return vec![(key, self.tracker(key).answered)];
        }
        // One that works is given all the time that it takes; others only some, before the next is asked.
        if busy.iter().any(|&key| self.tracker(key).is_working()) {
            return Vec::new();
        }
        if let Some(&key) = free.iter().find(|&&key| self.tracker(key).is_working()) {
            return vec![(key, self.tracker(key).next)];
        }
        let patience = busy
            .iter()
            .filter_map(|&key| self.tracker(key).under_way)
            .map(|since| since + HEDGE_AFTER)
            .max();
        free.into_iter()
            .map(|key| {
                let next = self.tracker(key).next;
                (key, patience.map_or(next, |patience| patience.max(next)))
            })
            .collect()
    }

    fn has_news_for(&self, key: usize) -> bool {
        self.lacks_completed(self.tracker(key))
    }

    fn lacks_completed(&self, tracker: &Tracker) -> bool {
        self.completed && tracker.is_working() && !tracker.heard_completed
    }

    /// When this tracker is to be told, before we part, that the download has finished; if at all.
    fn completed_time(&self, tracker: &Tracker) -> Option<Instant> {
        let free = tracker.under_way.is_none() && tracker.farewell == Farewell::Unsaid;
        self.stopping.filter(|_| free && self.lacks_completed(tracker))
    }

    /// When this tracker is to be told that we stop, if at all.
    fn stop_time(&self, tracker: &Tracker) -> Option<Instant> {
        let since = self.stopping?;
        if tracker.farewell != Farewell::Unsaid {
            return None;
        }
        match tracker.under_way {
            // Whether it was heard is not known.
            Some(_) => Some(since + STOP_PATIENCE),
            None => tracker.heard_started.then_some(since),
        }
    }

    /// What is due to a tracker now that we stop.
    fn part_from(&mut self, key: usize, now: Instant) -> Option<Action> {
        let tracker = self.tracker(key);
        if self.completed_time(tracker).is_some() {
            return Some(self.announce(key, now));
        }
        self.stop_time(tracker).filter(|&at| at <= now)?;
        self.trackers[key].farewell = Farewell::UnderWay;
        Some(Action::Announce {
            tracker: TrackerKey(key),
            event: Some(Event::Stopped),
        })
    }

    fn announce(&mut self, key: usize, now: Instant) -> Action {
        let completed = self.completed;
        let tracker = &mut self.trackers[key];
        let event = if !tracker.heard_started {
            Some(Event::Started)
        } else if completed && !tracker.heard_completed {
            Some(Event::Completed)
        } else {
            None
        };
        tracker.under_way = Some(now);
        Action::Announce {
            tracker: TrackerKey(key),
            event,
        }
    }

    fn move_to_front(&mut self, key: TrackerKey) {
        for tier in &mut self.tiers {
            if let Some(position) = tier.iter().position(|&other| other == key.0) {
                tier[..=position].rotate_right(1);
            }
        }
    }
}

fn backoff(failures_before: u32, rng: &mut fastrand::Rng) -> Duration {
    let doubled = BACKOFF_FIRST.saturating_mul(2u32.saturating_pow(failures_before));
    doubled.min(BACKOFF_MAX).mul_f64(0.75 + rng.f64() / 2.0)
}

#[cfg(test)]
mod tests;
