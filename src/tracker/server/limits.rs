//! How often one address may ask, and how many connections it may have. Layer 1: counters; the time is an argument.

use std::collections::HashMap;
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use siphasher::sip::SipHasher13;

/// Counters. Two addresses that share one are limited together: one chance in 65,536 for each busy address.
const COUNTERS: usize = 1 << 16;

/// The count of a second stands in the lower bits, the second itself in the upper ones.
const COUNT_BITS: u32 = 20;
const COUNT_MASK: u32 = (1 << COUNT_BITS) - 1;

/// Requests of each address in the running second, for all threads at once and without a lock. It never grows:
/// addresses are hashed, with a secret key, into a table of counters.
#[derive(Debug)]
pub(super) struct RequestLimiter {
    counters: Box<[AtomicU32]>,
    key: [u8; 16],
}

impl RequestLimiter {
    /// With a key that nobody outside knows.
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self {
            counters: (0..COUNTERS).map(|_| AtomicU32::new(0)).collect(),
            key,
        }
    }

    /// Counts a request and says whether it is one of the first `limit` of this second; a limit of 0 is none.
    /// `second` is that of any clock. This machine itself, from where a proxy asks for many, has no limit.
    pub(super) fn admits(&self, address: IpAddr, second: u32, limit: u32) -> bool {
        if limit == 0 || address.is_loopback() {
            return true;
        }
        let mut hasher = SipHasher13::new_with_key(&self.key);
        match group_of(address) {
            IpAddr::V4(address) => hasher.write_u32(address.into()),
            IpAddr::V6(address) => hasher.write_u128(address.into()),
        }
        // Cut to the size of the table.
        let counter = &self.counters[hasher.finish() as usize % COUNTERS];
        let this_second = second << COUNT_BITS;
        let old = counter.load(Ordering::Relaxed);
        let count = if old & !COUNT_MASK == this_second {
            old & COUNT_MASK
        } else {
            0
        };
        if count >= limit.min(COUNT_MASK) {
            return false;
        }
        // Two threads may write the same number: then one request more is let through, which does no harm.
        counter.store(this_second | (count + 1), Ordering::Relaxed);
        true
    }
}

/// Connections of each address, over all threads.
#[derive(Debug, Default)]
pub(super) struct ConnectionLimiter {
    /// Guards the counts while a connection comes or goes. Those of this machine itself are not in it.
    open: Mutex<HashMap<IpAddr, u32>>,
}

impl ConnectionLimiter {
    /// Counts a connection, unless the address has `limit` already; a limit of 0 is none. What was counted must be
    /// taken back by [`Self::closed`].
    pub(super) fn admits(&self, address: IpAddr, limit: u32) -> bool {
        if address.is_loopback() {
            return true;
        }
        let mut open = self.lock();
        let count = open.entry(group_of(address)).or_default();
        if limit != 0 && *count >= limit {
            return false;
        }
        *count += 1;
        true
    }

    /// A connection that was admitted is gone.
    pub(super) fn closed(&self, address: IpAddr) {
        if address.is_loopback() {
            return;
        }
        let mut open = self.lock();
        let group = group_of(address);
        if let Some(count) = open.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                open.remove(&group);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address: of IPv6 the network of 64 bits, for each host has a whole one to choose from.
pub(super) fn group_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let upper = u128::from(address) >> 64 << 64;
            IpAddr::V6(upper.into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(limiter: &RequestLimiter, address: &str, second: u32, limit: u32, asked: usize) -> usize {
        let address = address.parse().unwrap();
        (0..asked)
            .filter(|_| limiter.admits(address, second, limit))
            .count()
    }

    #[test]
    fn each_address_has_its_share_of_each_second() {
        let limiter = RequestLimiter::new([1; 16]);
        assert_eq!(admitted(&limiter, "192.0.2.1", 7, 10, 50), 10);
        assert_eq!(admitted(&limiter, "192.0.2.2", 7, 10, 50), 10, "another address");
        assert_eq!(admitted(&limiter, "192.0.2.1", 8, 10, 50), 10, "the next second");
        assert_eq!(admitted(&limiter, "192.0.2.1", 9, 0, 50), 50, "no limit");
        assert_eq!(admitted(&limiter, "127.0.0.9", 9, 10, 50), 50, "this machine");
    }

    #[test]
    fn connections_are_counted_until_they_are_closed() {
        let limiter = ConnectionLimiter::default();
        let [one, same, other, local] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1", "127.0.0.1"].map(|address| address.parse().unwrap());
        assert!(limiter.admits(one, 2) && limiter.admits(same, 2));
        assert!(!limiter.admits(one, 2));
        assert!(limiter.admits(other, 2));
        limiter.closed(same);
        assert!(limiter.admits(one, 2));
        assert!(limiter.admits(one, 0), "no limit");
        for _ in 0..5 {
            assert!(limiter.admits(local, 1));
        }
        [one, one, one, other, local]
            .into_iter()
            .for_each(|address| limiter.closed(address));
        assert!(limiter.lock().is_empty());
    }

    #[test]
    fn a_host_with_many_ipv6_addresses_is_one() {
        let limiter = RequestLimiter::new([1; 16]);
        let total: usize = (0..50)
            .map(|host| admitted(&limiter, &format!("2001:db8::{host:x}"), 7, 10, 1))
            .sum();
        assert_eq!(total, 10);
        assert_eq!(
            admitted(&limiter, "2001:db8:0:1::1", 7, 10, 50),
            10,
            "the next network"
        );
    }
}
