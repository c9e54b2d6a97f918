//! Rate limits: token buckets, one tree for each direction, with a child for each torrent. Layer 3.
//!
//! A thread that is about to move bytes asks for them first and is blocked until its torrent's limit and the
//! global one both allow it. The arithmetic is in `buckets`, a machine without a clock; here is the lock and
//! the waiting.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use self::buckets::{BucketId, Buckets, Ticket};

mod buckets;

/// A limit in bytes per second on everything that passes it, alone or below a parent's limit.
///
/// No limit costs an atomic load for each level of the tree.
#[derive(Debug)]
pub struct Limiter {
    tree: Arc<Tree>,
    bucket: BucketId,
    /// Whether this bucket has a rate. Read without the lock: who misses a change by a moment passes one
    /// request under the old rate.
    limited: AtomicBool,
    parent: Option<Arc<Limiter>>,
}

impl Limiter {
    /// A limit with nothing above it; `None` for no limit, `Some(0)` holds everything back.
    pub fn new(rate_bytes_per_sec: Option<u64>) -> Arc<Self> {
        Self::in_tree(Arc::default(), None, rate_bytes_per_sec)
    }

    /// A limit below another one: what passes it has to pass `parent` too.
    pub fn child(parent: &Arc<Limiter>, rate_bytes_per_sec: Option<u64>) -> Arc<Self> {
        Self::in_tree(
            Arc::clone(&parent.tree),
            Some(Arc::clone(parent)),
            rate_bytes_per_sec,
        )
    }

    fn in_tree(tree: Arc<Tree>, parent: Option<Arc<Limiter>>, rate: Option<u64>) -> Arc<Self> {
        let above = parent.as_ref().map(|parent| parent.bucket);
        let bucket = tree.lock().buckets.add(Instant::now(), above, rate);
        Arc::new(Self {
            tree,
            bucket,
            limited: AtomicBool::new(rate.is_some()),
            parent,
        })
    }

    /// Changes the limit; threads that wait at it feel it at once.
    pub fn set_rate(&self, rate_bytes_per_sec: Option<u64>) {
        let mut waiting = self.tree.lock();
        let now = Instant::now();
        waiting.buckets.set_rate(now, self.bucket, rate_bytes_per_sec);
        self.limited
            .store(rate_bytes_per_sec.is_some(), Ordering::Relaxed);
        waiting.grant(now);
        waiting.wake_timekeeper();
    }

    /// Blocks the calling thread until `bytes` may pass, first come first served, and says whether they may:
    /// `false` if `cancelled` was found set while waiting, in which case nothing is charged. Set it, then call
    /// [`Self::wake_all`].
    pub fn acquire(&self, bytes: usize, cancelled: &AtomicBool) -> bool {
        if bytes == 0 || !self.is_limited() {
            return true;
        }
        self.tree.acquire(self.bucket, bytes, cancelled)
    }

    /// Makes every thread that waits in this tree look at its `cancelled` flag.
    pub fn wake_all(&self) {
        for waiter in self.tree.lock().waiters.values() {
            waiter.notify_one();
        }
    }

    /// Whether this limit or one above it has a rate.
    pub(crate) fn is_limited(&self) -> bool {
        self.limited.load(Ordering::Relaxed) || self.parent.as_ref().is_some_and(|parent| parent.is_limited())
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        // Who waits here borrows the limiter, and children hold their parent: neither can be left.
        self.tree.lock().buckets.remove(self.bucket);
    }
}

/// The buckets of one direction and the threads that wait for them.
#[derive(Debug, Default)]
struct Tree {
    /// Guards the buckets, their queue, and the list of sleeping threads. It is held for a few hundred
    /// nanoseconds, never across a wait or a system call on a socket, and no other lock is taken under it.
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    buckets: Buckets,
    /// What each waiting thread sleeps on: one each, so that a grant wakes one thread and not all.
    waiters: HashMap<Ticket, Arc<Condvar>>,
    /// The one waiter that sleeps until the next grant and then hands out tokens for all; the others sleep
    /// until they are woken.
    timekeeper: Option<Ticket>,
}

impl Tree {
    /// A thread that panicked with the lock left nothing half done that could matter: go on.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acquire(&self, bucket: BucketId, bytes: usize, cancelled: &AtomicBool) -> bool {
        let mut waiting = self.lock();
        let ticket = waiting.buckets.reserve(bucket, bytes);
        let mut next_grant = waiting.grant(Instant::now());
        if !waiting.buckets.is_waiting(ticket) {
            return true;
        }
        let wake = Arc::new(Condvar::new());
        waiting.waiters.insert(ticket, Arc::clone(&wake));
        if waiting.timekeeper.is_some() {
            // Ours may be the first to be ready, in a bucket that no other waiter needs.
            waiting.wake_timekeeper();
        }
        while waiting.buckets.is_waiting(ticket) && !cancelled.load(Ordering::Acquire) {
            let keeps_time = *waiting.timekeeper.get_or_insert(ticket) == ticket;
            let sleep = next_grant.map(|at| at.saturating_duration_since(Instant::now()));
            waiting = match sleep.filter(|_| keeps_time) {
                Some(sleep) => wake
                    .wait_timeout(waiting, sleep)
                    .map_or_else(|poisoned| poisoned.into_inner().0, |(waiting, _)| waiting),
                None => wake.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
            next_grant = waiting.grant(Instant::now());
        }
        waiting.leave(ticket)
    }
}

impl Waiting {
    /// Hands out what there is, wakes who got it, and says when there is more.
    fn grant(&mut self, now: Instant) -> Option<Instant> {
        let (granted, next_grant) = self.buckets.advance(now);
        for ticket in granted {
            if let Some(waiter) = self.waiters.remove(&ticket) {
                waiter.notify_one();
            }
        }
        next_grant
    }

    /// Ends a wait, by grant or by cancellation, and passes the watch on. Says whether it was a grant.
    fn leave(&mut self, ticket: Ticket) -> bool {
        let granted = !self.buckets.is_waiting(ticket);
        if !granted {
            self.buckets.cancel(ticket);
            self.waiters.remove(&ticket);
        }
        if self.timekeeper == Some(ticket) {
            self.timekeeper = self.buckets.waiting().next();
        }
        if !granted || self.timekeeper.is_some() {
            // The successor has to learn its office, and who stood behind a cancelled request can go on.
            self.wake_timekeeper();
        }
        granted
    }

    fn wake_timekeeper(&self) {
        if let Some(waiter) = self.timekeeper.and_then(|ticket| self.waiters.get(&ticket)) {
            waiter.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
