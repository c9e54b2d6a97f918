//! How many connections all torrents may have together. Layer 3.

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

    /// Changes the limit. Connections over it stay; there are no new ones until enough have left.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Counts one connection more, if there is room for it.
    pub fn take(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        self.open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
                (open < limit).then_some(open + 1)
            })
            .is_ok()
    }

    /// A connection has ended.
    pub fn give_back(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_are_open() {
        let limit = ConnectionLimit::new(2);
        assert!(limit.take() && limit.take());
        assert!(!limit.take());
        limit.give_back();
        limit.set_limit(1);
        assert!(!limit.take(), "one is open still");
        limit.give_back();
        assert!(limit.take());
    }
}
