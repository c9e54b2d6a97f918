//! Rate limits: token buckets, one tree for each direction, with a child for each torrent. Layer 3.
//!
//! A thread that is about to move bytes asks for them first and waits until its torrent's limit and the global
//! one both allow it: with [`Limiter::acquire`], or with a `Claim` if it has other things to do meanwhile.
//! The arithmetic is in `buckets`, a machine without a clock; the waiting is in `claim`; here is the lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Sender, never};

use self::buckets::{BucketId, Buckets, Ticket};
pub(crate) use self::claim::{Claim, Waited};

mod buckets;
mod claim;

/// What [`Limiter::rate`] holds for no limit.
const UNLIMITED: u64 = u64::MAX;

/// A limit in bytes per second on everything that passes it, alone or below a parent's limit.
///
/// No limit costs an atomic load for each level of the tree.
#[derive(Debug)]
pub struct Limiter {
    tree: Arc<Tree>,
    bucket: BucketId,
    /// Bytes per second of this bucket. Read without the lock: who misses a change by a moment passes one
    /// request under the old rate.
    rate: AtomicU64,
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
            rate: AtomicU64::new(rate.unwrap_or(UNLIMITED)),
            parent,
        })
    }

    /// Changes the limit; threads that wait at it feel it at once.
    pub fn set_rate(&self, rate_bytes_per_sec: Option<u64>) {
        let mut waiting = self.tree.lock();
        let now = Instant::now();
        waiting.buckets.set_rate(now, self.bucket, rate_bytes_per_sec);
        self.rate
            .store(rate_bytes_per_sec.unwrap_or(UNLIMITED), Ordering::Relaxed);
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
        let mut claim = self.claim(bytes);
        while !cancelled.load(Ordering::Acquire) {
            if let Waited::Granted = claim.wait(&never::<()>(), None) {
                return true;
            }
        }
        false
    }

    /// Asks for `bytes` and does not wait for them.
    pub(crate) fn claim(&self, bytes: usize) -> Claim<'_> {
        Claim::new(&self.tree, self.bucket, bytes)
    }

    /// Lets `bytes` pass at once. They are taken from what others wait for, but for no more than a second's
    /// worth at a time.
    pub(crate) fn charge(&self, bytes: usize) {
        if self.is_limited() {
            self.tree
                .lock()
                .buckets
                .charge(Instant::now(), self.bucket, bytes);
        }
    }

    /// Makes every thread that waits in this tree look at its `cancelled` flag.
    pub fn wake_all(&self) {
        let mut waiting = self.tree.lock();
        waiting.roll_calls += 1;
        for sleeper in waiting.sleepers.values() {
            // One that was woken already looks anyway.
            let _ = sleeper.try_send(());
        }
    }

    /// Whether this limit or one above it has a rate.
    pub(crate) fn is_limited(&self) -> bool {
        self.rate().is_some()
    }

    /// The lowest rate from here up, in bytes per second.
    pub(crate) fn rate(&self) -> Option<u64> {
        let own = self.rate.load(Ordering::Relaxed);
        let above = self.parent.as_ref().and_then(|parent| parent.rate());
        [above, (own != UNLIMITED).then_some(own)]
            .into_iter()
            .flatten()
            .min()
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
    /// How to wake each thread that sleeps for a ticket: one each, so that a grant wakes one thread and not
    /// all. A thread that is busy with something else has a place in the queue and none here.
    sleepers: BTreeMap<Ticket, Sender<()>>,
    /// The sleeper that wakes for the next grant and then hands out tokens for all; the others sleep until
    /// they are woken.
    timekeeper: Option<Ticket>,
    /// How often everybody was asked to look around.
    roll_calls: u64,
    #[cfg(test)]
    naps: usize,
}

impl Tree {
    /// A thread that panicked with the lock left nothing half done that could matter: go on.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Hands out what there is, wakes who got it, and says when there is more.
    fn grant(&mut self, now: Instant) -> Option<Instant> {
        let (granted, next_grant) = self.buckets.advance(now);
        for ticket in granted {
            if let Some(sleeper) = self.sleepers.get(&ticket) {
                let _ = sleeper.try_send(());
            }
        }
        next_grant
    }

    fn wake_timekeeper(&self) {
        if let Some(sleeper) = self.timekeeper.and_then(|ticket| self.sleepers.get(&ticket)) {
            let _ = sleeper.try_send(());
        }
    }
}

#[cfg(test)]
mod tests;
