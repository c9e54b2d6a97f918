//! How many connections all torrents may have together. Layer 3.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the connections of the client. Each torrent asks before it takes one: were they counted from what
/// torrents report, a burst of peers between two reports would pass.
#[derive(Debug)]
pub struct ConnectionLimit {
    open: AtomicUsize,
    limit: AtomicUsize,
}

impl ConnectionLimit {
    /// Room for `limit` connections.
    pub fn new(limit: usize) -> Self {
        Self {
            open: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
        }
    }

    /// Changes the limit. Connections over it stay until each torrent has closed its part of them, see
    /// [`Self::to_close`].
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Counts one connection more, if there is room for it.
    pub fn take(self: &Arc<Self>) -> Option<ConnectionSlot> {
        let limit = self.limit.load(Ordering::Relaxed);
        let taken = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
                (open < limit).then_some(open + 1)
            });
        taken.ok().map(|_| ConnectionSlot(Arc::clone(self)))
    }

    /// How many of its `own` connections a torrent should close, since there are more than the limit allows:
    /// its part of them, rounded up.
    pub fn to_close(&self, own: usize) -> usize {
        let open = self.open.load(Ordering::Relaxed);
        let over = open.saturating_sub(self.limit.load(Ordering::Relaxed));
        if over == 0 { 0 } else { (own * over).div_ceil(open) }
    }
}

/// Room for one connection, which is free again when this is dropped: also by a thread that panics.
#[derive(Debug)]
pub struct ConnectionSlot(Arc<ConnectionLimit>);

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_are_open() {
        let limit = Arc::new(ConnectionLimit::new(2));
        let (one, other) = (limit.take(), limit.take());
        assert!(one.is_some() && other.is_some());
        assert!(limit.take().is_none());
        drop(one);
        limit.set_limit(1);
        assert!(limit.take().is_none(), "one is open still");
        assert_eq!(limit.to_close(1), 0);
        drop(other);
        assert!(limit.take().is_some());
    }

    #[test]
    fn a_thread_that_panics_gives_its_connections_back() {
        let limit = Arc::new(ConnectionLimit::new(1));
        let slot = limit.take();
        let thread = std::thread::spawn(move || {
            let _slot = slot;
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(thread.join().is_err());
        assert!(limit.take().is_some());
    }

    #[test]
    fn each_torrent_closes_its_part_of_what_is_too_much() {
        let limit = Arc::new(ConnectionLimit::new(100));
        let _slots: Vec<_> = (0..100).map(|_| limit.take().unwrap()).collect();
        assert_eq!(limit.to_close(60), 0);
        limit.set_limit(50);
        assert_eq!([60, 39, 1].map(|own| limit.to_close(own)), [30, 20, 1]);
        limit.set_limit(0);
        assert_eq!(limit.to_close(60), 60);
    }
}
