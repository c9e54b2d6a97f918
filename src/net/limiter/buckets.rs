//! The arithmetic of rate limits: a tree of token buckets and one queue of waiters before it. Layer 2.
//!
//! What stays true:
//! - a waiter is granted when *every* limited bucket from its own up to the root holds its price, and is then
//!   charged to all of them at once, so no bucket is charged for bytes that another one holds back;
//! - among waiters that lack the same bucket, who came first goes first;
//! - a bucket grants at most `rate × time + max(burst, largest request)` in any span of time, less what is
//!   charged to it without a request.
//!
//! A bucket holds a burst, or as much as its dearest waiter asks for: so 16 KiB pass a limit of 10 KiB/s, after
//! the 1.6 s that they cost. (To let the first pass at once and the next one pay would put a window of ten
//! seconds 12 % over such a limit.)

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// How long a bucket that nobody uses saves up: 1 % of a window of 10 s.
const BURST: Duration = Duration::from_millis(100);

/// How much of what passes without waiting those who wait have to make up for: with no end to that, a few
/// bytes too many in each second would hold them back for ever longer.
const MOST_DEBT: Duration = Duration::from_secs(1);

/// Credit is counted in bytes × nanoseconds per second, so a refill loses nothing to rounding.
const CREDIT_PER_BYTE: i128 = 1_000_000_000;

/// One bucket of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct BucketId(u64);

/// One waiter; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

#[derive(Debug)]
struct Bucket {
    parent: Option<BucketId>,
    rate_bytes_per_sec: Option<u64>,
    /// What may be spent, in bytes times [`CREDIT_PER_BYTE`]. Right as of `updated`.
    credit: i128,
    /// The price of the dearest request that waits here or below, in the same unit.
    wanted: i128,
    updated: Instant,
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.updated);
        self.updated = self.updated.max(now);
        if let Some(rate) = self.rate_bytes_per_sec {
            self.credit = self
                .credit
                .saturating_add(earned(rate, elapsed))
                .min(earned(rate, BURST).max(self.wanted));
        }
    }

    /// When the bucket holds `price`; `None` for never.
    fn ready_at(&self, price: i128) -> Option<Instant> {
        if self.holds(price) {
            return Some(self.updated);
        }
        let rate = self.rate_bytes_per_sec.filter(|rate| *rate > 0)?;
        let missing = price.saturating_sub(self.credit).unsigned_abs();
        let nanos = u64::try_from(missing.div_ceil(rate.into())).ok()?;
        self.updated.checked_add(Duration::from_nanos(nanos))
    }

    /// A rate of zero holds everything back, even what there is credit for.
    fn holds(&self, price: i128) -> bool {
        self.rate_bytes_per_sec
            .is_none_or(|rate| rate > 0 && self.credit >= price)
    }
}

fn price_of(bytes: usize) -> i128 {
    i128::try_from(bytes)
        .unwrap_or(i128::MAX)
        .saturating_mul(CREDIT_PER_BYTE)
}

/// The credit that `rate` yields in `time`.
fn earned(rate: u64, time: Duration) -> i128 {
    i128::from(rate).saturating_mul(i128::try_from(time.as_nanos()).unwrap_or(i128::MAX))
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    bucket: BucketId,
    /// In bytes times [`CREDIT_PER_BYTE`].
    price: i128,
}

/// A tree of buckets with those who wait for its tokens.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    buckets: BTreeMap<BucketId, Bucket>,
    /// In the order of arrival.
    queue: VecDeque<Waiter>,
    next_id: u64,
}

impl Buckets {
    /// Adds a bucket below `parent`; `None` for a rate is no limit, `Some(0)` lets nothing pass.
    pub(super) fn add(&mut self, now: Instant, parent: Option<BucketId>, rate: Option<u64>) -> BucketId {
        let id = BucketId(self.next_number());
        let bucket = Bucket {
            parent,
            rate_bytes_per_sec: rate,
            credit: 0,
            wanted: 0,
            updated: now,
        };
        self.buckets.insert(id, bucket);
        id
    }

    /// Removes a bucket that nobody waits for and that has no children.
    pub(super) fn remove(&mut self, id: BucketId) {
        self.buckets.remove(&id);
    }

    /// Changes a rate from `now` on. What was saved at the old rate is kept, so after a limit was raised
    /// nobody waits longer than before.
    pub(super) fn set_rate(&mut self, now: Instant, id: BucketId, rate: Option<u64>) {
        if let Some(bucket) = self.buckets.get_mut(&id) {
            bucket.refill(now);
            if bucket.rate_bytes_per_sec.is_none() || rate.is_none() {
                bucket.credit = 0;
            }
            bucket.rate_bytes_per_sec = rate;
            bucket.refill(now);
        }
    }

    /// Takes `bytes` that pass now from what a bucket and those above it hold.
    pub(super) fn charge(&mut self, now: Instant, bucket: BucketId, bytes: usize) {
        let price = price_of(bytes);
        self.for_path(bucket, |bucket| {
            if let Some(rate) = bucket.rate_bytes_per_sec {
                bucket.refill(now);
                let floor = bucket.credit.min(-earned(rate, MOST_DEBT));
                bucket.credit = bucket.credit.saturating_sub(price).max(floor);
            }
        });
    }

    /// Queues a request for `bytes` from a bucket and those above it. It begins to save at the next
    /// [`Self::advance`], which has to follow at once.
    pub(super) fn reserve(&mut self, bucket: BucketId, bytes: usize) -> Ticket {
        let ticket = Ticket(self.next_number());
        let price = price_of(bytes);
        self.queue.push_back(Waiter {
            ticket,
            bucket,
            price,
        });
        ticket
    }

    /// Takes a request back. Nothing is charged for it.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        if let Ok(place) = self.queue.binary_search_by_key(&ticket, |waiter| waiter.ticket) {
            self.queue.remove(place);
        }
    }

    /// Grants what can be granted at `now`, in order of arrival, and says when the next call can grant more:
    /// `None` if nobody waits, or only a changed rate can help.
    pub(super) fn advance(&mut self, now: Instant) -> (Vec<Ticket>, Option<Instant>) {
        for bucket in self.buckets.values_mut() {
            bucket.refill(now);
            bucket.wanted = 0;
        }
        let mut granted = Vec::new();
        let mut next_grant: Option<Instant> = None;
        let mut exhausted = HashSet::new();
        let mut waiting = VecDeque::with_capacity(self.queue.len());
        while let Some(waiter) = self.queue.pop_front() {
            let is_in_line = self.path(waiter.bucket).any(|id| exhausted.contains(&id));
            if !is_in_line && self.spend(&waiter) {
                granted.push(waiter.ticket);
                continue;
            }
            if !is_in_line {
                // Only the lowest: who waits for a torrent's own tokens is not in the line for the global ones.
                exhausted.extend(self.path(waiter.bucket).find(|id| !self.holds(*id, waiter.price)));
                next_grant = [next_grant, self.ready_at(&waiter)].into_iter().flatten().min();
            }
            self.save_for(&waiter);
            waiting.push_back(waiter);
        }
        self.queue = waiting;
        (granted, next_grant)
    }

    /// Whether a request was neither granted nor taken back.
    pub(super) fn is_waiting(&self, ticket: Ticket) -> bool {
        self.queue
            .binary_search_by_key(&ticket, |waiter| waiter.ticket)
            .is_ok()
    }

    /// Charges a request to its whole path, if every bucket there holds its price.
    fn spend(&mut self, waiter: &Waiter) -> bool {
        if !self.path(waiter.bucket).all(|id| self.holds(id, waiter.price)) {
            return false;
        }
        self.for_path(waiter.bucket, |bucket| {
            if bucket.rate_bytes_per_sec.is_some() {
                bucket.credit = bucket.credit.saturating_sub(waiter.price);
            }
        });
        true
    }

    /// Lets the buckets of a path grow to what a request costs.
    fn save_for(&mut self, waiter: &Waiter) {
        self.for_path(waiter.bucket, |bucket| {
            bucket.wanted = bucket.wanted.max(waiter.price);
        });
    }

    fn for_path(&mut self, bucket: BucketId, change: impl Fn(&mut Bucket)) {
        let mut next = Some(bucket);
        while let Some(bucket) = next.and_then(|id| self.buckets.get_mut(&id)) {
            change(bucket);
            next = bucket.parent;
        }
    }

    /// A bucket and those above it.
    fn path(&self, bucket: BucketId) -> impl Iterator<Item = BucketId> + '_ {
        std::iter::successors(Some(bucket), |id| self.buckets.get(id)?.parent)
    }

    fn holds(&self, id: BucketId, price: i128) -> bool {
        self.buckets.get(&id).is_none_or(|bucket| bucket.holds(price))
    }

    /// When every bucket on the way of a request holds its price; `None` for never.
    fn ready_at(&self, waiter: &Waiter) -> Option<Instant> {
        let mut latest = None;
        for bucket in self.path(waiter.bucket).filter_map(|id| self.buckets.get(&id)) {
            latest = latest.max(Some(bucket.ready_at(waiter.price)?));
        }
        latest
    }

    fn next_number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

#[cfg(test)]
mod tests;
