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

/// Every rule of the module at any time, and in the end everything has run: whatever comes, ends, hangs or is taken
/// back, in any order.
#[test]
fn random_histories_keep_the_rules() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut now = Instant::now();
        let mut queue = Queue::default();
        // What waits and what runs, by number.
        let mut waiting: Vec<(u32, Place)> = Vec::new();
        let mut running: Vec<(u32, Place)> = Vec::new();
        let mut answering = HashSet::new();
        for number in 0..400 {
            let torrent = rng.u8(..20);
            let host = format!("host{}", rng.u8(..4));
            // A request is for a torrent that was not stopped, or the one `stopped` of its life.
            let is_line =
                |place: &Place| place.info_hash == InfoHash::new([torrent; 20]) && place.host == host;
            let parting = waiting.iter().any(|(_, other)| other.farewell && is_line(other))
                || running.iter().any(|(_, other)| other.farewell && is_line(other));
            let new = Place {
                retry: rng.u8(..4) == 0,
                farewell: !parting && rng.u8(..8) == 0,
                ..place(torrent, &host)
            };
            waiting.push((number, new.clone()));
            queue.push(new, number);
            if rng.u8(..20) == 0 {
                let gone = rng.u32(..=number);
                let withdrawn = queue.withdraw(|&request| request == gone);
                assert_eq!(
                    withdrawn.len(),
                    waiting.iter().filter(|(n, _)| *n == gone).count()
                );
                waiting.retain(|(n, _)| *n != gone);
            }
            step(&mut queue, &mut waiting, &mut running, &answering, now);
            for _ in 0..rng.usize(..3) {
                end_one(&mut queue, &mut running, &mut answering, &mut rng);
            }
            now += Duration::from_millis(rng.u64(..300));
        }
        step(&mut queue, &mut waiting, &mut running, &answering, now);
        while !waiting.is_empty() {
            assert!(
                !running.is_empty(),
                "seed {seed}: nothing runs, and {} wait",
                waiting.len()
            );
            end_one(&mut queue, &mut running, &mut answering, &mut rng);
            step(&mut queue, &mut waiting, &mut running, &answering, now);
        }
        assert_eq!(queue.pop(now), None);
    }
}

/// Runs what may run, and looks whether it may.
fn step(
    queue: &mut Queue<u32>,
    waiting: &mut Vec<(u32, Place)>,
    running: &mut Vec<(u32, Place)>,
    answering: &HashSet<String>,
    now: Instant,
) {
    while let Some((place, number)) = queue.pop(now) {
        let at = waiting.iter().position(|(n, _)| *n == number).expect("it waits");
        waiting.remove(at);
        let same_line = |other: &Place| other.is_same_line(&place);
        if place.farewell {
            let beside = running
                .iter()
                .filter(|(_, other)| other.farewell && other.host == place.host);
            assert!(beside.count() < PER_HOST);
        } else {
            assert!(!running.iter().any(|(_, other)| same_line(other)));
            let before = |(n, other): &(u32, Place)| same_line(other) && (*n < number || other.farewell);
            assert!(!waiting.iter().any(before), "{number} has overtaken another");
            let beside = running
                .iter()
                .filter(|(_, other)| !other.farewell && other.host == place.host);
            let most = if answering.contains(&place.host) {
                PER_HOST
            } else {
                1
            };
            assert!(beside.count() < most);
        }
        running.push((number, place));
        assert!(running.len() <= MOST_WORKERS);
    }
}

fn end_one(
    queue: &mut Queue<u32>,
    running: &mut Vec<(u32, Place)>,
    answering: &mut HashSet<String>,
    rng: &mut fastrand::Rng,
) {
    if running.is_empty() {
        return;
    }
    let (_, place) = running.swap_remove(rng.usize(..running.len()));
    let success = rng.bool();
    if success {
        answering.insert(place.host.clone());
    } else {
        answering.remove(&place.host);
    }
    queue.done(&place, success);
}
