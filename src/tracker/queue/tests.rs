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

/// Every rule of the module at any time, and in the end everything has run: whatever comes, ends, hangs, goes on
/// without a worker or is taken back, in any order.
#[test]
fn random_histories_keep_the_rules() {
    let mut most = Most::default();
    for seed in 0..16 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut history = History::default();
        let mut ends = 0;
        for number in 0..800 {
            if number % 100 == 0 {
                // For a while everything hangs, or much of it ends.
                ends = rng.usize(..4);
            }
            // Some torrents have more to ask than others.
            let torrent = rng.u8(..6).min(rng.u8(..6));
            let host = format!("host{}", rng.u8(..60));
            history.push(number, place(torrent, &host), &mut rng);
            if rng.u8(..20) == 0 {
                history.withdraw(rng.u32(..=number));
            }
            history.start_all(&mut most);
            if rng.u8(..20) == 0 {
                history.detach_one(&mut rng);
            }
            for _ in 0..rng.usize(..=ends) {
                history.end_one(&mut rng);
            }
            history.now += Duration::from_millis(rng.u64(..300));
        }
        history.start_all(&mut most);
        while !history.waiting.is_empty() {
            let waiting = history.waiting.len();
            assert!(
                !history.running.is_empty(),
                "seed {seed}: nothing runs, {waiting} wait"
            );
            history.end_one(&mut rng);
            history.start_all(&mut most);
        }
        assert_eq!(history.queue.pop(history.now), None);
    }
    // Each of the rules had something to keep back.
    let limits = Most {
        held: MOST_WORKERS,
        brisk: WORKERS,
        retries: WORKERS / 2,
        of_a_torrent: PER_TORRENT,
        at_a_host: PER_HOST,
        farewells_at_a_host: PER_HOST,
    };
    assert_eq!(most, limits);
}

/// The most that ran at a time when one more was started, which is counted; but for `held` and the last, those that are
/// no `stopped`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Most {
    held: usize,
    brisk: usize,
    retries: usize,
    of_a_torrent: usize,
    at_a_host: usize,
    farewells_at_a_host: usize,
}

/// A request that runs.
struct Started {
    number: u32,
    place: Place,
    since: Instant,
    detached: bool,
}

/// A queue, and beside it what it should know.
struct History {
    queue: Queue<u32>,
    now: Instant,
    waiting: Vec<(u32, Place)>,
    running: Vec<Started>,
    answering: HashSet<String>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            queue: Queue::default(),
            now: Instant::now(),
            waiting: Vec::new(),
            running: Vec::new(),
            answering: HashSet::new(),
        }
    }
}

impl History {
    fn push(&mut self, number: u32, place: Place, rng: &mut fastrand::Rng) {
        // A request is for a torrent that was not stopped, or the one `stopped` of its life.
        let waiting = self.waiting.iter().map(|(_, other)| other);
        let mut all = waiting.chain(self.running.iter().map(|other| &other.place));
        let parting = all.any(|other| other.farewell && other.is_same_line(&place));
        let new = Place {
            retry: rng.u8(..4) == 0,
            farewell: !parting && rng.u8(..6) == 0,
            ..place
        };
        self.waiting.push((number, new.clone()));
        self.queue.push(new, number);
    }

    fn withdraw(&mut self, gone: u32) {
        let withdrawn = self.queue.withdraw(|&request| request == gone);
        let before = self.waiting.len();
        self.waiting.retain(|(number, _)| *number != gone);
        assert_eq!(withdrawn.len(), before - self.waiting.len());
    }

    /// Runs what may run, and looks whether it may.
    fn start_all(&mut self, most: &mut Most) {
        while let Some((place, number)) = self.queue.pop(self.now) {
            let at = self.waiting.iter().position(|(n, _)| *n == number);
            self.waiting.remove(at.expect("it waits"));
            self.check_turn(number, &place);
            self.running.push(Started {
                number,
                place: place.clone(),
                since: self.now,
                detached: false,
            });
            self.check_room(&place, most);
        }
        assert_eq!(self.queue.held_workers(), self.held(|_| true));
    }

    /// Of one torrent at one tracker each waits for the one before it, and a `stopped` for none.
    fn check_turn(&self, number: u32, place: &Place) {
        if place.farewell {
            return;
        }
        let under_way = |other: &Started| other.place.is_same_line(place);
        let other = self.running.iter().find(|other| under_way(other));
        assert!(other.is_none(), "{number} runs beside {}", other.unwrap().number);
        let before = |(n, other): &(u32, Place)| other.is_same_line(place) && (*n < number || other.farewell);
        assert!(!self.waiting.iter().any(before), "{number} has overtaken another");
    }

    /// What runs now that this was started is not too much of anything.
    fn check_room(&self, place: &Place, most: &mut Most) {
        let at_host =
            |farewell| self.held(|other| other.place.host == place.host && other.place.farewell == farewell);
        let keep = |most: &mut usize, count: usize, limit: usize| {
            assert!(count <= limit, "{count} of {limit}: {place:?}");
            *most = count.max(*most);
        };
        keep(&mut most.held, self.held(|_| true), MOST_WORKERS);
        if place.farewell {
            keep(&mut most.farewells_at_a_host, at_host(true), PER_HOST);
            return;
        }
        let brisk = |other: &Started| self.now < other.since + SLOW_AFTER;
        keep(&mut most.brisk, self.held(brisk), WORKERS);
        let of_torrent = self.held(|other| brisk(other) && other.place.info_hash == place.info_hash);
        keep(&mut most.of_a_torrent, of_torrent, PER_TORRENT);
        let answers = self.answering.contains(&place.host);
        keep(
            &mut most.at_a_host,
            at_host(false),
            if answers { PER_HOST } else { 1 },
        );
        if place.retry {
            let retries = self.held(|other| brisk(other) && other.place.retry);
            keep(&mut most.retries, retries, WORKERS / 2);
            assert!(self.held(|other| other.place.retry) <= MOST_WORKERS / 2);
        }
    }

    /// How many of those that run hold a worker and are such.
    fn held(&self, such: impl Fn(&Started) -> bool) -> usize {
        let held = |other: &&Started| !other.detached && such(other);
        self.running.iter().filter(held).count()
    }

    fn detach_one(&mut self, rng: &mut fastrand::Rng) {
        if !self.running.is_empty() {
            let at = rng.usize(..self.running.len());
            self.running[at].detached = true;
            self.queue.detach(&self.running[at].place);
        }
    }

    fn end_one(&mut self, rng: &mut fastrand::Rng) {
        if self.running.is_empty() {
            return;
        }
        let at = rng.usize(..self.running.len());
        let Started { place, .. } = self.running.swap_remove(at);
        let success = rng.bool();
        if success {
            self.answering.insert(place.host.clone());
        } else {
            self.answering.remove(&place.host);
        }
        self.queue.done(&place, success);
    }
}
