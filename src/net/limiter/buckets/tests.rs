//! Scripted time: a limit is exact over any span, and order is kept.

use proptest::prelude::*;

use super::*;

const BLOCK: usize = 16 * 1024;
const KIB: u64 = 1024;

/// Lets `waiters` requests of `bytes` wait at each of `at` all the time for `seconds`, calling `advance` when
/// it asks for it, and counts the bytes that each of `at` let pass.
fn saturate(buckets: &mut Buckets, start: Instant, at: &[BucketId], bytes: usize, seconds: u64) -> Vec<u64> {
    let mut passed = vec![0; at.len()];
    let mut owners = std::collections::HashMap::new();
    for (place, bucket) in at.iter().cycle().take(3 * at.len()).enumerate() {
        owners.insert(buckets.reserve(*bucket, bytes), place % at.len());
    }
    let mut now = start;
    loop {
        let (granted, next) = buckets.advance(now);
        for ticket in &granted {
            let place = owners.remove(ticket).unwrap();
            passed[place] += bytes as u64;
            owners.insert(buckets.reserve(at[place], bytes), place);
        }
        if granted.is_empty() {
            now = next.unwrap();
        }
        if now >= start + Duration::from_secs(seconds) {
            owners.into_keys().for_each(|ticket| buckets.cancel(ticket));
            return passed;
        }
    }
}

/// Asserts that `passed` is `expected` within 5 % or one request.
fn assert_rate(passed: u64, expected: u64, request: usize, what: &str) {
    let tolerance = (expected / 20).max(request as u64);
    assert!(
        passed.abs_diff(expected) <= tolerance,
        "{what}: {passed} instead of {expected}"
    );
}

#[test]
fn a_limit_holds_over_ten_seconds() {
    for (rate, request) in [
        (10 * KIB, BLOCK),
        (50 * KIB, BLOCK),
        (100 * KIB, 68),
        (1024 * KIB, BLOCK),
        (100 * 1024 * KIB, BLOCK),
    ] {
        let start = Instant::now();
        let mut buckets = Buckets::default();
        let bucket = buckets.add(start, None, Some(rate));
        // An idle bucket saves up no more than the burst.
        let start = start + Duration::from_secs(3600);
        let passed = saturate(&mut buckets, start, &[bucket], request, 10);
        assert_rate(
            passed[0],
            10 * rate,
            request,
            &format!("{rate} B/s in requests of {request}"),
        );
    }
}

#[test]
fn the_limits_of_a_torrent_and_of_all_hold_together() {
    let start = Instant::now();
    let mut buckets = Buckets::default();
    let global = buckets.add(start, None, Some(300 * KIB));
    let small = buckets.add(start, Some(global), Some(50 * KIB));
    let open = buckets.add(start, Some(global), None);
    let passed = saturate(&mut buckets, start, &[small, open], BLOCK, 10);
    assert_rate(passed[0], 500 * KIB, BLOCK, "the small torrent");
    assert_rate(passed[0] + passed[1], 3000 * KIB, BLOCK, "all");
}

#[test]
fn a_changed_rate_counts_at_once_for_those_who_wait() {
    let start = Instant::now();
    let mut buckets = Buckets::default();
    let bucket = buckets.add(start, None, Some(KIB));
    let waiting = buckets.reserve(bucket, 10 * 1024);
    assert_eq!(
        buckets.advance(start),
        (vec![], Some(start + Duration::from_secs(10)))
    );

    let later = start + Duration::from_secs(5);
    buckets.set_rate(later, bucket, Some(5 * KIB));
    assert_eq!(
        buckets.advance(later),
        (vec![], Some(start + Duration::from_secs(6)))
    );
    buckets.set_rate(later, bucket, Some(0));
    assert_eq!(
        buckets.advance(later),
        (vec![], None),
        "only a changed rate can help"
    );
    buckets.set_rate(later, bucket, None);
    assert_eq!(buckets.advance(later), (vec![waiting], None));
}

#[test]
fn a_cancelled_request_is_not_charged() {
    let start = Instant::now();
    let mut buckets = Buckets::default();
    let bucket = buckets.add(start, None, Some(KIB));
    let [first, cancelled, third] = [1024, 1 << 30, 1024].map(|bytes| buckets.reserve(bucket, bytes));
    assert_eq!(buckets.advance(start).0, []);
    assert_eq!(buckets.advance(start + Duration::from_secs(1)).0, [first]);
    buckets.cancel(cancelled);
    assert_eq!(buckets.advance(start + Duration::from_secs(2)).0, [third]);
}

#[test]
fn a_slow_torrent_does_not_hold_the_others_up() {
    let start = Instant::now();
    let mut buckets = Buckets::default();
    let global = buckets.add(start, None, Some(1000 * KIB));
    let slow = buckets.add(start, Some(global), Some(0));
    let open = buckets.add(start, Some(global), None);
    let _stuck = buckets.reserve(slow, BLOCK);
    let ticket = buckets.reserve(open, BLOCK);
    assert_eq!(buckets.advance(start + BURST).0, [ticket]);
}

#[test]
fn who_waits_makes_up_for_what_passed_without_waiting() {
    let start = Instant::now();
    let seconds = Duration::from_secs;
    let mut buckets = Buckets::default();
    let global = buckets.add(start, None, Some(KIB));
    let torrent = buckets.add(start, Some(global), None);
    buckets.charge(start, torrent, 512);
    let ticket = buckets.reserve(torrent, 512);
    assert_eq!(buckets.advance(start), (vec![], Some(start + seconds(1))));
    // Never for more than a second's worth, and that is no gift to what is owed already.
    buckets.charge(start, torrent, 1 << 40);
    buckets.charge(start, torrent, 1);
    assert_eq!(
        buckets.advance(start),
        (vec![], Some(start + Duration::from_millis(1500)))
    );
    assert_eq!(buckets.advance(start + seconds(2)).0, [ticket]);
}

proptest! {
    #[test]
    fn no_span_of_time_lets_more_pass_than_it_may(
        rate in 1_u64..10_000_000,
        requests in prop::collection::vec((0_u64..3_000, 1_usize..20_000), 1..100),
    ) {
        let start = Instant::now();
        let mut buckets = Buckets::default();
        let bucket = buckets.add(start, None, Some(rate));
        let (mut now, mut asked, mut sizes) = (start, Vec::new(), Vec::new());
        let mut grants: Vec<(Instant, usize)> = Vec::new();
        for (pause, bytes) in requests {
            now += Duration::from_millis(pause);
            asked.push(buckets.reserve(bucket, bytes));
            sizes.push(bytes);
            for _ in buckets.advance(now).0 {
                grants.push((now, sizes[grants.len()]));
            }
        }
        let largest = sizes.iter().copied().max().unwrap_or(0);
        for (place, (from, _)) in grants.iter().enumerate() {
            let mut passed = 0;
            for (until, bytes) in &grants[place..] {
                passed += bytes;
                let saved = (rate as f64 * BURST.as_secs_f64()).max(largest as f64);
                let allowed = (*until - *from).as_secs_f64() * rate as f64 + saved + 1.0;
                prop_assert!(passed as f64 <= allowed, "{passed} of {allowed} bytes");
            }
        }
    }

    #[test]
    fn every_request_is_granted_in_order_and_once(
        rates in prop::collection::vec(prop::option::of(1_u64..1_000_000), 1..5),
        requests in prop::collection::vec((0_usize..4, 1_usize..40_000), 1..60),
    ) {
        let mut now = Instant::now();
        let mut buckets = Buckets::default();
        let global = buckets.add(now, None, rates[0]);
        let children: Vec<_> =
            rates.iter().map(|rate| buckets.add(now, Some(global), *rate)).collect();
        let mut queued = vec![VecDeque::new(); children.len()];
        for (child, bytes) in requests {
            let child = child % children.len();
            queued[child].push_back(buckets.reserve(children[child], bytes));
        }
        loop {
            let (granted, next) = buckets.advance(now);
            for ticket in granted {
                let owner = queued.iter().position(|queue| queue.front() == Some(&ticket));
                prop_assert!(owner.is_some(), "{ticket:?} is not the first of any torrent");
                queued[owner.unwrap()].pop_front();
            }
            let Some(next) = next else { break };
            prop_assert!(next > now, "time has to pass before the next grant");
            now = next;
        }
        prop_assert!(queued.iter().all(VecDeque::is_empty));
    }
}
