use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Tiers with a scripted clock.
struct Script {
    tiers: Tiers,
    /// The last announce of each tracker.
    asked: std::collections::HashMap<TrackerKey, Option<Event>>,
    now: Instant,
    rng: fastrand::Rng,
}

impl Script {
    fn new(tiers: &[&[&str]]) -> Self {
        let mut rng = fastrand::Rng::with_seed(7);
        let now = Instant::now();
        let urls = |tier: &&[&str]| tier.iter().map(|url| (*url).to_owned()).collect();
        let tiers = Tiers::new(tiers.iter().map(urls).collect(), now, &mut rng);
        Self {
            tiers,
            asked: Default::default(),
            now,
            rng,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// What is announced now, as "url event" in the order of the actions.
    fn tick(&mut self) -> Vec<(TrackerKey, String)> {
        let mut announced = Vec::new();
        loop {
            let actions = self.tiers.on_tick(self.now);
            if actions.is_empty() {
                return announced;
            }
            for action in actions {
                let Action::Announce { tracker, event } = action else {
                    panic!("a scrape out of nowhere")
                };
                self.asked.insert(tracker, event);
                let event = event.map_or("regular", Event::as_str);
                announced.push((tracker, format!("{} {event}", self.tiers.url(tracker).unwrap())));
            }
        }
    }

    /// The one announce that is due now.
    fn tick_one(&mut self) -> (TrackerKey, String) {
        let mut due = self.tick();
        assert_eq!(due.len(), 1, "{due:?}");
        due.remove(0)
    }

    fn answer(&mut self, tracker: TrackerKey) -> Option<Action> {
        let response = AnnounceResponse {
            interval: 30 * MINUTE,
            seeds: Some(1),
            leechers: Some(2),
            ..AnnounceResponse::default()
        };
        self.answer_with(tracker, &response)
    }

    fn answer_with(&mut self, tracker: TrackerKey, response: &AnnounceResponse) -> Option<Action> {
        self.answer_to(tracker, self.asked[&tracker], response)
    }

    fn answer_to(
        &mut self,
        tracker: TrackerKey,
        event: Option<Event>,
        response: &AnnounceResponse,
    ) -> Option<Action> {
        self.tiers.on_answer(tracker, event, response, self.now)
    }

    fn fail(&mut self, tracker: TrackerKey) {
        let reason = "no answer".to_owned();
        self.tiers
            .on_failure(tracker, self.asked[&tracker], reason, self.now, &mut self.rng);
    }

    fn wait(&self) -> Duration {
        self.tiers
            .next_tick()
            .expect("something is planned")
            .saturating_duration_since(self.now)
    }
}

#[test]
fn every_tier_is_announced_to_at_once() {
    let mut script = Script::new(&[&["a"], &["b", "c"], &["d"]]);
    let due: Vec<String> = script.tick().into_iter().map(|(_, what)| what).collect();
    assert_eq!(due.len(), 3);
    assert_eq!(due[0], "a started");
    assert!(due[1] == "b started" || due[1] == "c started");
    assert_eq!(due[2], "d started");
    assert!(script.tick().is_empty(), "and once");
}

#[test]
fn tiers_are_shuffled_by_the_given_rng() {
    let urls: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let order = |seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let tiers = Tiers::new(vec![urls.clone()], Instant::now(), &mut rng);
        tiers
            .status()
            .into_iter()
            .map(|status| status.url)
            .collect::<Vec<_>>()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    let mut sorted = order(1);
    sorted.sort_by_key(|url| url.parse::<u32>().unwrap());
    assert_eq!(sorted, urls);
}

#[test]
fn doubles_and_empty_urls_are_left_out_and_the_number_is_bounded() {
    let script = Script::new(&[&["a", " a", "", "b"], &[""], &["a"]]);
    let mut urls: Vec<String> = script.tiers.status().into_iter().map(|s| s.url).collect();
    urls.sort();
    assert_eq!(urls, ["a", "b"]);
    let many = (0..10_000).map(|n| vec![n.to_string()]).collect();
    let tiers = Tiers::new(many, script.now, &mut fastrand::Rng::with_seed(1));
    assert_eq!(tiers.status().len(), MAX_TRACKERS);
}

#[test]
fn a_failed_tracker_gives_way_at_once_and_the_working_one_goes_to_the_front() {
    let mut script = Script::new(&[&["a", "b", "c"]]);
    let (first, _) = script.tick_one();
    script.fail(first);
    let (second, what) = script.tick_one();
    assert_ne!(first, second);
    assert!(what.ends_with("started"));
    script.answer(second);
    assert_eq!(script.tiers.status()[0].url, script.tiers.url(second).unwrap());
    assert!(script.tick().is_empty());
    script.pass(29 * MINUTE);
    assert!(
        script.tick().is_empty(),
        "neither before the interval, nor the failed one"
    );
    script.pass(MINUTE);
    assert_eq!(script.tick_one().0, second);
}

#[test]
fn a_silent_tracker_gives_way_after_a_while() {
    let mut script = Script::new(&[&["a", "b"]]);
    let (silent, _) = script.tick_one();
    assert_eq!(script.wait(), HEDGE_AFTER);
    script.pass(HEDGE_AFTER);
    let (second, _) = script.tick_one();
    script.answer(second);
    script.fail(silent);
    script.pass(MINUTE);
    assert!(script.tick().is_empty(), "one works, that is enough");
}

#[test]
fn a_working_tracker_is_given_the_time_it_takes() {
    let mut script = Script::new(&[&["a", "b"]]);
    let (first, _) = script.tick_one();
    script.answer(first);
    script.pass(30 * MINUTE);
    assert_eq!(script.tick_one().0, first);
    script.pass(2 * HEDGE_AFTER);
    assert!(script.tick().is_empty());
    script.fail(first);
    assert_ne!(script.tick_one().0, first);
}

#[test]
fn failures_back_off_to_half_an_hour() {
    let mut script = Script::new(&[&["a"]]);
    let mut expected = BACKOFF_FIRST;
    for _ in 0..40 {
        let (tracker, what) = script.tick_one();
        assert_eq!(what, "a started", "repeated until it is heard");
        script.fail(tracker);
        let wait = script.wait();
        assert!(
            wait >= expected.mul_f64(0.75) && wait <= expected.mul_f64(1.25),
            "{wait:?}"
        );
        assert!(script.tick().is_empty());
        script.pass(wait);
        expected = (expected * 2).min(BACKOFF_MAX);
    }
}

#[test]
fn a_tracker_that_is_dead_at_first_and_comes_alive_is_found() {
    let mut script = Script::new(&[&["a"]]);
    for _ in 0..6 {
        let (tracker, what) = script.tick_one();
        assert_eq!(what, "a started");
        script.fail(tracker);
        let wait = script.wait();
        script.pass(wait);
    }
    script.tiers.complete();
    let (tracker, what) = script.tick_one();
    assert_eq!(what, "a started");
    script.answer(tracker);
    assert_eq!(script.tiers.status()[0].state, TrackerState::Working);
    assert!(!script.tiers.is_retry(tracker));
    assert_eq!(script.tick_one().1, "a completed", "what it missed follows");
    script.answer(tracker);
    assert_eq!(script.wait(), 30 * MINUTE, "the failures are forgotten");
    script.pass(30 * MINUTE);
    script.tick_one();
    script.fail(tracker);
    assert!(
        script.wait() <= BACKOFF_FIRST.mul_f64(1.25),
        "the waits begin anew"
    );
}

#[test]
fn events_come_in_order_whenever_the_answers_come() {
    let mut script = Script::new(&[&["a"]]);
    let (tracker, what) = script.tick_one();
    assert_eq!(what, "a started");
    script.tiers.complete();
    script.tiers.announce_now();
    assert!(script.tick().is_empty(), "one at a time");
    script.answer(tracker);
    assert_eq!(script.tick_one().1, "a completed");
    script.tiers.stop(script.now);
    assert!(script.tick().is_empty(), "one at a time");
    assert!(!script.tiers.is_stopped());
    script.answer(tracker);
    assert_eq!(script.tick_one().1, "a stopped");
    script.answer(tracker);
    assert!(script.tiers.is_stopped() && script.tiers.is_quiet());
}

#[test]
fn hostile_intervals_are_bounded() {
    for (given, counted) in [
        (Duration::ZERO, INTERVAL_MIN),
        (Duration::from_secs(u64::from(u32::MAX)), INTERVAL_MAX),
        (10 * MINUTE, 10 * MINUTE),
    ] {
        let mut script = Script::new(&[&["a"]]);
        let (tracker, _) = script.tick_one();
        let response = AnnounceResponse {
            interval: given,
            min_interval: Some(Duration::ZERO),
            ..AnnounceResponse::default()
        };
        script.answer_with(tracker, &response);
        assert_eq!(script.wait(), counted);
    }
}

#[test]
fn a_users_wish_waits_for_the_minimum_interval() {
    let mut script = Script::new(&[&["a"]]);
    let (tracker, _) = script.tick_one();
    let response = AnnounceResponse {
        interval: 30 * MINUTE,
        min_interval: Some(5 * MINUTE),
        ..AnnounceResponse::default()
    };
    script.answer_with(tracker, &response);
    script.tiers.announce_now();
    assert_eq!(script.wait(), 5 * MINUTE);
    script.pass(20 * MINUTE);
    assert!(script.tick_one().1.ends_with("regular"));
    script.fail(tracker);
    script.tiers.announce_now();
    assert_eq!(
        script.wait(),
        RETRY_MIN,
        "a failing tracker is not hammered either"
    );
}

#[test]
fn events_are_told_once_heard_and_completed_does_not_wait() {
    let mut script = Script::new(&[&["a"]]);
    let (tracker, _) = script.tick_one();
    script.tiers.complete();
    script.fail(tracker);
    script.pass(MINUTE);
    assert_eq!(script.tick_one().1, "a started");
    script.answer(tracker);
    assert_eq!(script.tick_one().1, "a completed", "at once");
    script.fail(tracker);
    script.pass(MINUTE);
    assert_eq!(script.tick_one().1, "a completed", "until it is heard");
    script.answer(tracker);
    assert_eq!(script.wait(), 30 * MINUTE);
    script.pass(30 * MINUTE);
    assert_eq!(script.tick_one().1, "a regular");
}

#[test]
fn stopped_goes_to_those_who_heard_started_or_may_have() {
    let mut script = Script::new(&[&["works"], &["fails"], &["slow"], &["silent"]]);
    let due = script.tick();
    let [works, fails, slow, silent] = [0, 1, 2, 3].map(|at: usize| due[at].0);
    script.answer(works);
    script.fail(fails);
    script.tiers.stop(script.now);
    assert_eq!(script.tick_one().1, "works stopped");
    script.answer(works);
    assert!(!script.tiers.is_stopped(), "the others may have heard");
    assert_eq!(script.wait(), STOP_PATIENCE);
    script.answer(slow);
    assert_eq!(script.tick_one().1, "slow stopped", "at once, in its order");
    script.fail(slow);
    script.pass(STOP_PATIENCE);
    assert_eq!(script.tick_one().1, "silent stopped");
    assert!(!script.tiers.is_stopped());
    script.answer(silent);
    assert!(
        script.tiers.is_stopped(),
        "its answer to `started` is not waited for"
    );
    assert!(!script.tiers.is_quiet());
    script.asked.insert(silent, Some(Event::Started));
    script.fail(silent);
    assert!(script.tiers.is_quiet());
    assert!(script.tick().is_empty(), "no second try");
}

#[test]
fn a_download_that_finished_just_before_the_stop_is_counted() {
    // Whether the answer to `started` comes after the stop or before it.
    for late in [true, false] {
        let mut script = Script::new(&[&["a"]]);
        let (a, _) = script.tick_one();
        script.tiers.complete();
        if late {
            script.tiers.stop(script.now);
            assert_eq!(script.tick(), []);
            script.answer(a);
        } else {
            script.answer(a);
            script.tiers.stop(script.now);
        }
        assert_eq!(script.wait(), Duration::ZERO);
        assert_eq!(script.tick_one().1, "a completed");
        assert!(!script.tiers.is_stopped());
        script.answer(a);
        assert_eq!(script.tick_one().1, "a stopped");
        script.answer(a);
        assert!(script.tiers.is_stopped() && script.tiers.is_quiet());
    }
}

#[test]
fn a_tracker_that_does_not_take_completed_is_left_all_the_same() {
    for fails in [true, false] {
        let mut script = Script::new(&[&["a"]]);
        let (a, _) = script.tick_one();
        script.answer(a);
        script.tiers.complete();
        script.tiers.stop(script.now);
        assert_eq!(script.tick_one().1, "a completed");
        if fails {
            script.fail(a);
        } else {
            assert_eq!(script.wait(), STOP_PATIENCE);
            script.pass(STOP_PATIENCE);
        }
        assert_eq!(script.tick_one().1, "a stopped");
    }
}

#[test]
fn a_new_port_waits_for_no_interval() {
    let mut script = Script::new(&[&["a"]]);
    let (a, _) = script.tick_one();
    script.answer(a);
    script.tiers.moved(script.now);
    assert_eq!(script.tick_one().1, "a regular");
    script.answer(a);
    assert_eq!(script.wait(), 30 * MINUTE);
}

#[test]
fn an_answer_that_stopped_may_have_overtaken_has_it_said_again() {
    for answered_before in [true, false] {
        let mut script = Script::new(&[&["a"]]);
        let (tracker, _) = script.tick_one();
        script.tiers.stop(script.now);
        assert!(script.tick().is_empty());
        script.pass(STOP_PATIENCE);
        assert_eq!(script.tick_one().1, "a stopped");
        let response = AnnounceResponse::default();
        if answered_before {
            script.answer(tracker);
            assert!(script.tiers.is_stopped());
        }
        script.answer_to(tracker, Some(Event::Started), &response);
        if !answered_before {
            assert!(script.tick().is_empty(), "one at a time");
            script.answer(tracker);
        }
        assert!(!script.tiers.is_stopped());
        assert_eq!(script.tick_one().1, "a stopped");
        script.answer(tracker);
        assert!(script.tiers.is_stopped() && script.tiers.is_quiet());
    }
}

#[test]
fn a_scrape_follows_when_counts_are_missing_once_an_interval() {
    let mut script = Script::new(&[&["a"]]);
    let silent = AnnounceResponse {
        interval: 10 * MINUTE,
        ..AnnounceResponse::default()
    };
    let (tracker, _) = script.tick_one();
    let scrape = script.answer_with(tracker, &silent);
    assert_eq!(scrape, Some(Action::Scrape { tracker }));
    let counts = ScrapeCounts {
        seeds: 3,
        downloads: 4,
        leechers: 5,
    };
    script.tiers.on_scrape(tracker, counts);
    assert_eq!(script.tiers.status()[0].downloads, Some(4));
    script.tiers.complete();
    assert_eq!(script.tick_one().1, "a completed");
    assert_eq!(script.answer_with(tracker, &silent), None);
    script.pass(10 * MINUTE);
    script.tick_one();
    assert!(script.answer_with(tracker, &silent).is_some());
    script.pass(10 * MINUTE);
    script.tick_one();
    assert_eq!(script.answer(tracker), None, "it told");
}

#[test]
fn status_says_what_a_person_wants_to_know() {
    let mut script = Script::new(&[&["a"], &["b"]]);
    let due = script.tick();
    let response = AnnounceResponse {
        interval: 30 * MINUTE,
        warning: Some("be nice".to_owned()),
        peers: vec!["127.0.0.1:1".parse().unwrap()],
        ..AnnounceResponse::default()
    };
    script.answer_with(due[0].0, &response);
    let status = script.tiers.status();
    assert_eq!(status[0].state, TrackerState::Working);
    assert_eq!(status[0].warning.as_deref(), Some("be nice"));
    assert_eq!(status[0].peers, 1);
    assert_eq!(status[0].next_announce, Some(script.now + 30 * MINUTE));
    assert_eq!((status[1].tier, &status[1].state), (1, &TrackerState::Announcing));
    script.fail(due[1].0);
    let failed = TrackerState::Failed("no answer".to_owned());
    assert_eq!(script.tiers.status()[1].state, failed);
}
