//! Block buffers and the credits that bound them. Layer 1, one of each per client; shared by its threads, none
//! of which ever waits here.
//!
//! Memory is granted when a request is sent, not when data arrives: a Downloader takes one credit of the
//! [`Budget`] for each block that it asks for and gives it back when that block was written, refused or
//! given up. A reader therefore always finds a buffer for what was asked and nobody ever waits for one, so
//! none of the waits can form a circle.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::geometry::BLOCK_LENGTH;

/// How many blocks the client may hold in memory or have asked for, over all torrents.
#[derive(Debug)]
pub struct Budget {
    limit: AtomicUsize,
    taken: AtomicUsize,
}

impl Budget {
    /// A budget of `mib` MiB, which is 64 credits of 16 KiB each.
    pub fn of_mib(mib: usize) -> Self {
        Self {
            limit: AtomicUsize::new(credits_of_mib(mib)),
            taken: AtomicUsize::new(0),
        }
    }

    /// Changes the size. Credits that are out stay out: a smaller budget takes hold as they come back.
    pub fn resize_mib(&self, mib: usize) {
        self.limit.store(credits_of_mib(mib), Ordering::Relaxed);
    }

    /// Takes up to `wanted` credits; says how many it took.
    pub fn take(&self, wanted: usize) -> usize {
        let mut granted = 0;
        // The closure never refuses, so the update always succeeds.
        let _ = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                granted = self.limit().saturating_sub(taken).min(wanted);
                Some(taken + granted)
            });
        granted
    }

    /// Gives `credits` back that [`Self::take`] granted.
    pub fn give_back(&self, credits: usize) {
        let before = self.taken.fetch_sub(credits, Ordering::Relaxed);
        debug_assert!(
            before >= credits,
            "{credits} credits given back, {before} were out"
        );
    }

    /// Credits in all.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Credits that are out.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

fn credits_of_mib(mib: usize) -> usize {
    mib * (1024 * 1024 / BLOCK_LENGTH as usize)
}

/// The free list of block buffers: a buffer that is dropped comes back here, so that a busy client neither
/// allocates nor zeroes memory for each block. The last one that came back goes out first, as it may be in a cache still.
#[derive(Debug)]
pub struct BlockPool {
    /// The lock is held for a push or a pop.
    free: Mutex<Vec<Box<[u8]>>>,
    kept: usize,
}

impl BlockPool {
    /// A pool that keeps at most `kept` unused buffers; more are freed.
    pub fn new(kept: usize) -> Arc<Self> {
        let free = Mutex::default();
        Arc::new(Self { free, kept })
    }

    fn free(&self) -> MutexGuard<'_, Vec<Box<[u8]>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer of `length` bytes, at most [`BLOCK_LENGTH`]; its content is whatever was there before.
    ///
    /// # Panics
    /// If `length` is larger: callers check the lengths of the wire first.
    pub fn buffer(self: &Arc<Self>, length: u32) -> BlockBuf {
        assert!(
            length <= BLOCK_LENGTH,
            "a block buffer holds {BLOCK_LENGTH} bytes, not {length}"
        );
        let kept = self.free().pop();
        let bytes = kept.unwrap_or_else(|| vec![0; BLOCK_LENGTH as usize].into());
        BlockBuf {
            bytes,
            length: length as usize,
            pool: Arc::clone(self),
        }
    }
}

/// The bytes of one block on their way from the socket to the disk. It is moved, never copied.
pub struct BlockBuf {
    bytes: Box<[u8]>,
    length: usize,
    pool: Arc<BlockPool>,
}

impl Deref for BlockBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl DerefMut for BlockBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl Drop for BlockBuf {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = self.pool.free();
        // A full list means that this buffer is not needed again: let it go.
        if free.len() < self.pool.kept {
            free.push(bytes);
        }
    }
}

impl fmt::Debug for BlockBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockBuf({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_run_out_and_come_back() {
        let budget = Budget::of_mib(1);
        assert_eq!(budget.take(60), 60);
        assert_eq!(budget.take(10), 4, "all that is left");
        assert_eq!(budget.take(10), 0);
        budget.give_back(64);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn a_smaller_budget_takes_hold_as_credits_return() {
        let budget = Budget::of_mib(2);
        assert_eq!(budget.take(128), 128);
        budget.resize_mib(1);
        budget.give_back(60);
        assert_eq!(budget.take(1), 0);
        budget.give_back(10);
        assert_eq!(budget.take(100), 6);
    }

    #[test]
    fn a_dropped_buffer_is_used_again() {
        let pool = BlockPool::new(1);
        let mut first = pool.buffer(3);
        first.copy_from_slice(b"abc");
        let place = first.as_ptr();
        drop(first);
        let again = pool.buffer(BLOCK_LENGTH);
        assert_eq!(again.as_ptr(), place);
        assert_eq!(again.len(), BLOCK_LENGTH as usize);
    }
}
