//! The blocking shell: what matters here is who is woken, not how much time passed.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(20);
const KIB: u64 = 1024;

/// A block that nothing passes before some change.
fn blocked() -> (Arc<Limiter>, Arc<Limiter>) {
    let global = Limiter::new(None);
    let torrent = Limiter::child(&global, Some(0));
    (global, torrent)
}

/// Acquires on a thread of its own and reports what came out.
fn acquire_elsewhere(
    limiter: &Arc<Limiter>,
    bytes: usize,
    cancelled: &Arc<AtomicBool>,
) -> std::sync::mpsc::Receiver<bool> {
    let (done_tx, done_rx) = channel();
    let (limiter, cancelled) = (Arc::clone(limiter), Arc::clone(cancelled));
    thread::spawn(move || done_tx.send(limiter.acquire(bytes, &cancelled)));
    done_rx
}

fn wait_for_waiters(limiter: &Limiter, count: usize) {
    while limiter.tree.lock().sleepers.len() != count {
        thread::yield_now();
    }
}

#[test]
fn without_a_limit_everything_passes() {
    let global = Limiter::new(None);
    let torrent = Limiter::child(&global, None);
    assert!(torrent.acquire(usize::MAX, &AtomicBool::new(false)));
    assert!(torrent.acquire(0, &AtomicBool::new(true)));
}

#[test]
fn waiting_threads_get_their_tokens() {
    let global = Limiter::new(Some(4 * 1024 * KIB));
    let torrents: Vec<_> = (0..4)
        .map(|_| Limiter::child(&global, Some(2 * 1024 * KIB)))
        .collect();
    let cancelled = Arc::new(AtomicBool::new(false));
    let outcomes: Vec<_> = torrents
        .iter()
        .cycle()
        .take(32)
        .map(|torrent| acquire_elsewhere(torrent, 16 * 1024, &cancelled))
        .collect();
    for outcome in outcomes {
        assert_eq!(outcome.recv_timeout(TIMEOUT), Ok(true));
    }
    let waiting = global.tree.lock();
    assert!(waiting.sleepers.is_empty() && waiting.timekeeper.is_none());
}

#[test]
fn a_raised_limit_wakes_those_who_wait() {
    for rate in [None, Some(1024 * 1024 * KIB)] {
        let (_global, torrent) = blocked();
        let cancelled = Arc::new(AtomicBool::new(false));
        let outcomes = [(); 3].map(|()| acquire_elsewhere(&torrent, 16 * 1024, &cancelled));
        wait_for_waiters(&torrent, 3);
        torrent.set_rate(rate);
        for outcome in outcomes {
            assert_eq!(outcome.recv_timeout(TIMEOUT), Ok(true), "{rate:?}");
        }
    }
}

#[test]
fn a_raised_global_limit_wakes_those_who_wait_below_it() {
    let global = Limiter::new(Some(0));
    let torrent = Limiter::child(&global, None);
    let outcome = acquire_elsewhere(&torrent, 16 * 1024, &Arc::default());
    wait_for_waiters(&torrent, 1);
    global.set_rate(Some(1024 * KIB));
    assert_eq!(outcome.recv_timeout(TIMEOUT), Ok(true));
}

#[test]
fn a_cancelled_thread_gives_up_and_the_others_go_on_waiting() {
    let (global, torrent) = blocked();
    let (cancelled, other) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let given_up = acquire_elsewhere(&torrent, 16 * 1024, &cancelled);
    wait_for_waiters(&torrent, 1);
    let patient = acquire_elsewhere(&torrent, 16 * 1024, &other);
    wait_for_waiters(&torrent, 2);
    cancelled.store(true, Ordering::Release);
    global.wake_all();
    assert_eq!(given_up.recv_timeout(TIMEOUT), Ok(false));
    wait_for_waiters(&torrent, 1);
    torrent.set_rate(None);
    assert_eq!(patient.recv_timeout(TIMEOUT), Ok(true));
}

#[test]
fn a_torrent_that_waits_holds_no_other_up() {
    let (global, blocked) = blocked();
    let cancelled = Arc::default();
    let waiting = acquire_elsewhere(&blocked, 16 * 1024, &cancelled);
    wait_for_waiters(&blocked, 1);
    let other = Limiter::child(&global, Some(1024 * KIB));
    let passed = [(); 4].map(|()| acquire_elsewhere(&other, 16 * 1024, &cancelled));
    for outcome in passed {
        assert_eq!(outcome.recv_timeout(TIMEOUT), Ok(true));
    }
    assert!(waiting.try_recv().is_err());
    blocked.set_rate(None);
    assert_eq!(waiting.recv_timeout(TIMEOUT), Ok(true));
}

#[test]
fn a_claim_waits_for_something_else_too_and_keeps_its_place() {
    let (_global, torrent) = blocked();
    let (other_tx, other_rx) = crossbeam_channel::unbounded();
    let mut claim = torrent.claim(16 * 1024);
    other_tx.send("command").unwrap();
    assert!(matches!(
        claim.wait(&other_rx, None),
        Waited::Other(Ok("command"))
    ));
    let behind = acquire_elsewhere(&torrent, 16 * 1024, &Arc::default());
    wait_for_waiters(&torrent, 1);
    // Who claims does not sleep now, and the time is kept all the same.
    torrent.set_rate(Some(1024 * KIB));
    assert_eq!(behind.recv_timeout(TIMEOUT), Ok(true));
    assert!(matches!(claim.wait(&other_rx, None), Waited::Granted));
    drop(claim);
    let waiting = torrent.tree.lock();
    assert!(waiting.sleepers.is_empty() && waiting.timekeeper.is_none());
}

#[test]
fn a_claim_that_is_dropped_holds_nobody_up() {
    let global = Limiter::new(Some(KIB));
    let claim = global.claim(1 << 30);
    let behind = acquire_elsewhere(&global, 1, &Arc::default());
    wait_for_waiters(&global, 1);
    drop(claim);
    assert_eq!(behind.recv_timeout(TIMEOUT), Ok(true));
}

#[test]
fn a_claim_does_not_sleep_through_a_call_or_past_its_time() {
    let (global, torrent) = blocked();
    let mut claim = torrent.claim(1);
    global.wake_all();
    assert!(matches!(claim.wait(&never::<()>(), None), Waited::Woken));
    let soon = Instant::now() + Duration::from_millis(5);
    assert!(matches!(claim.wait(&never::<()>(), Some(soon)), Waited::Woken));
    assert!(Instant::now() >= soon);
}

#[test]
fn the_lowest_rate_of_a_path_counts() {
    for (above, own, lowest) in [
        (None, None, None),
        (Some(7), None, Some(7)),
        (None, Some(5), Some(5)),
        (Some(7), Some(9), Some(7)),
    ] {
        let global = Limiter::new(above);
        let torrent = Limiter::child(&global, own);
        assert_eq!(torrent.rate(), lowest);
        assert_eq!(torrent.is_limited(), lowest.is_some());
    }
}

#[test]
fn who_waits_sleeps() {
    let (global, torrent) = blocked();
    let cancelled = Arc::new(AtomicBool::new(false));
    let outcomes: Vec<_> = (1..=4)
        .map(|count| {
            let outcome = acquire_elsewhere(&torrent, 1, &cancelled);
            wait_for_waiters(&torrent, count);
            outcome
        })
        .collect();
    let mut claim = torrent.claim(1);
    for _ in 0..10 {
        // Each of these wakes one sleeper or none, and the watch may go to another.
        torrent.set_rate(Some(0));
        let soon = Instant::now() + Duration::from_millis(5);
        assert!(matches!(claim.wait(&never::<()>(), Some(soon)), Waited::Woken));
    }
    cancelled.store(true, Ordering::Release);
    global.wake_all();
    for outcome in outcomes {
        assert_eq!(outcome.recv_timeout(TIMEOUT), Ok(false));
    }
    let naps = global.tree.lock().naps;
    assert!(naps < 100, "threads woke each other {naps} times");
}
