//! Versions of entries, and the clock that makes them. Layer 1-2.

/// Bits below the milliseconds in a clock value.
const COUNTER_BITS: u32 = 16;

/// When the owner of a swarm stamped an entry: milliseconds since 1970 in the upper bits, a counter in the lower
/// 16. Of two entries for one peer the greater version is the later one. With equal versions the greater
/// [`PeerState`](super::PeerState) wins, so entries are ordered totally and no node needs to put its name in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(u64);

impl Version {
    /// The greatest one. Two bits are left over, in which the store keeps the state of the peer.
    pub const MAX: Self = Self((1 << 62) - 1);

    /// The version with this number, if it is not above [`Self::MAX`].
    pub const fn new(clock: u64) -> Option<Self> {
        if clock <= Self::MAX.0 {
            Some(Self(clock))
        } else {
            None
        }
    }

    /// The number, as it goes over the wire.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A hybrid logical clock (Kulkarni et al., 2014): it follows the time of day, never gives the same version twice,
/// and never one below a version that it has seen. So whoever becomes the owner of a swarm stamps later than those
/// before, however wrong its time of day is.
#[derive(Debug, Clone, Copy, Default)]
pub struct HybridClock {
    last: u64,
}

impl HybridClock {
    /// The next version, with `unix_ms` milliseconds since 1970. Above 65,536 a millisecond, and while the time of
    /// day is behind what was seen, it counts on.
    pub fn stamp(&mut self, unix_ms: u64) -> Version {
        let time = unix_ms.min(Version::MAX.0 >> COUNTER_BITS) << COUNTER_BITS;
        self.last = time.max(self.last + 1).min(Version::MAX.0);
        Version(self.last)
    }

    /// Takes note of a version that somebody else made.
    pub fn saw(&mut self, version: Version) {
        self.last = self.last.max(version.0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_that_goes_back_does_not_take_versions_back() {
        let mut clock = HybridClock::default();
        let first = clock.stamp(5_000);
        let second = clock.stamp(4_000);
        assert!(second > first);
        assert_eq!(clock.stamp(6_000).as_u64(), 6_000 << 16);
    }

    #[test]
    fn the_time_of_another_is_never_undercut() {
        let mut clock = HybridClock::default();
        let other = HybridClock::default().stamp(1 << 40);
        clock.saw(other);
        assert!(clock.stamp(1) > other);
    }

    #[test]
    fn numbers_beyond_the_last_version_are_none() {
        assert_eq!(Version::new(Version::MAX.as_u64()), Some(Version::MAX));
        assert_eq!(Version::new(Version::MAX.as_u64() + 1), None);
        assert_eq!(HybridClock::default().stamp(u64::MAX).as_u64() >> 62, 0);
    }

    proptest! {
        #[test]
        fn stamps_rise(times in prop::collection::vec(0_u64..1 << 44, 1..100)) {
            let mut clock = HybridClock::default();
            let stamps: Vec<_> = times.into_iter().map(|time| clock.stamp(time)).collect();
            prop_assert!(stamps.is_sorted_by(|a, b| a < b));
        }
    }
}
