//! Entries as they lie in memory: 16 bytes for an IPv4 peer, 28 for an IPv6 one. Layer 1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::record::{PeerState, Seconds};
use super::version::Version;
use super::{GRACE_SECS, MAX_LIFETIME_SECS};

/// Version and state in one number. Its order is that of [`Version`], then of [`PeerState`], so of two values of
/// one peer the greater one wins, and merging is taking the maximum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value(u64);

impl Value {
    pub(super) fn new(version: Version, state: PeerState) -> Self {
        Self(version.as_u64() << 2 | state as u64)
    }

    pub(super) fn version(self) -> Version {
        Version::new(self.0 >> 2).unwrap_or(Version::MAX)
    }

    pub(super) fn state(self) -> PeerState {
        match self.0 & 3 {
            0 => PeerState::Leech,
            1 => PeerState::Seed,
            _ => PeerState::Stopped,
        }
    }

    pub(super) fn as_u64(self) -> u64 {
        self.0
    }
}

/// The second at which an entry ends, without its upper bits: 18 hours and 12 minutes bring the same number again.
/// An entry lives for at most [`MAX_LIFETIME_SECS`], so whatever seems to end later than that has ended already,
/// which is right for the next ten hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ends(pub(super) u16);

impl Ends {
    pub(super) fn after(now: Seconds, seconds: u16) -> Self {
        Self((now.0 as u16).wrapping_add(seconds.min(MAX_LIFETIME_SECS)))
    }

    /// Seconds until the end, 0 when it is over.
    pub(super) fn seconds_left(self, now: Seconds) -> u16 {
        match self.0.wrapping_sub(now.0 as u16) {
            left if left <= MAX_LIFETIME_SECS => left,
            _ => 0,
        }
    }

    /// Whether it is over, for the owner or for others.
    pub(super) fn is_over(self, now: Seconds, owned: bool) -> bool {
        let grace = if owned { 0 } else { GRACE_SECS };
        self.seconds_left(now) == 0 && (now.0 as u16).wrapping_sub(self.0) >= grace
    }
}

/// Where a peer takes connections, in the one way to write it: IPv4 in IPv6 clothes is IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    V4(PlaceV4),
    V6(PlaceV6),
}

/// Address and port of an IPv4 peer in the lower 48 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlaceV4(u64);

/// Address (most significant word first) and port of an IPv6 peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlaceV6 {
    ip: [u32; 4],
    port: u16,
}

impl From<SocketAddr> for Place {
    fn from(peer: SocketAddr) -> Self {
        match peer.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(PlaceV4(u64::from(ip.to_bits()) << 16 | u64::from(peer.port()))),
            IpAddr::V6(ip) => {
                let ip = ip.to_bits();
                Self::V6(PlaceV6 {
                    ip: [96, 64, 32, 0].map(|shift| (ip >> shift) as u32),
                    port: peer.port(),
                })
            }
        }
    }
}

impl From<Place> for SocketAddr {
    fn from(place: Place) -> Self {
        let no_value = (Value::default(), Ends::default());
        match place {
            Place::V4(place) => EntryV4::new(place, no_value.0, no_value.1).addr(),
            Place::V6(place) => EntryV6::new(place, no_value.0, no_value.1).addr(),
        }
    }
}

/// The place as three words, the same ones on every node: for hashes.
pub(super) trait Words: Copy + Eq {
    fn words(self) -> [u64; 3];
}

impl Words for PlaceV4 {
    fn words(self) -> [u64; 3] {
        [self.0, 0, 0]
    }
}

impl Words for PlaceV6 {
    fn words(self) -> [u64; 3] {
        let [a, b, c, d] = self.ip.map(u64::from);
        // No IPv4 place has the bit, so the two families never have the same words.
        [a << 32 | b, c << 32 | d, 1 << 48 | u64::from(self.port)]
    }
}

impl Words for Place {
    fn words(self) -> [u64; 3] {
        match self {
            Self::V4(place) => place.words(),
            Self::V6(place) => place.words(),
        }
    }
}

/// What [`super::peers::Peers`] needs of an entry.
pub(super) trait Entry: Copy {
    /// Where such peers are.
    type Place: Words;
    /// What stands in slots that are not used.
    const EMPTY: Self;

    fn new(place: Self::Place, value: Value, ends: Ends) -> Self;
    fn place(&self) -> Self::Place;
    fn value(&self) -> Value;
    fn ends(&self) -> Ends;
    fn addr(&self) -> SocketAddr;
}

/// An IPv4 peer: address, port and end in the first word.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryV4 {
    head: u64,
    value: Value,
}

impl Entry for EntryV4 {
    type Place = PlaceV4;
    const EMPTY: Self = Self {
        head: 0,
        value: Value(0),
    };

    fn new(place: PlaceV4, value: Value, ends: Ends) -> Self {
        let head = place.0 << 16 | u64::from(ends.0);
        Self { head, value }
    }

    fn place(&self) -> PlaceV4 {
        PlaceV4(self.head >> 16)
    }

    fn value(&self) -> Value {
        self.value
    }

    fn ends(&self) -> Ends {
        Ends(self.head as u16)
    }

    fn addr(&self) -> SocketAddr {
        let ip = Ipv4Addr::from_bits((self.head >> 32) as u32);
        SocketAddr::new(ip.into(), (self.head >> 16) as u16)
    }
}

/// An IPv6 peer, in words of four bytes, so that nothing is lost between two.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryV6 {
    ip: [u32; 4],
    value: [u32; 2],
    port: u16,
    ends: Ends,
}

impl Entry for EntryV6 {
    type Place = PlaceV6;
    const EMPTY: Self = Self {
        ip: [0; 4],
        value: [0; 2],
        port: 0,
        ends: Ends(0),
    };

    fn new(place: PlaceV6, value: Value, ends: Ends) -> Self {
        Self {
            ip: place.ip,
            value: [(value.0 >> 32) as u32, value.0 as u32],
            port: place.port,
            ends,
        }
    }

    fn place(&self) -> PlaceV6 {
        PlaceV6 {
            ip: self.ip,
            port: self.port,
        }
    }

    fn value(&self) -> Value {
        let [high, low] = self.value.map(u64::from);
        Value(high << 32 | low)
    }

    fn ends(&self) -> Ends {
        self.ends
    }

    fn addr(&self) -> SocketAddr {
        let ip = self.ip.iter().fold(0, |ip, &word| ip << 32 | u128::from(word));
        SocketAddr::new(Ipv6Addr::from_bits(ip).into(), self.port)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_are_small() {
        assert_eq!((size_of::<EntryV4>(), size_of::<EntryV6>()), (16, 28));
    }

    #[test]
    fn the_end_of_an_entry_survives_the_end_of_sixteen_bits() {
        let now = Seconds(65_530);
        let ends = Ends::after(now, 100);
        let at = |seconds| Seconds(now.0 + seconds);
        assert_eq!(ends.seconds_left(now), 100);
        assert_eq!(ends.seconds_left(at(99)), 1);
        assert_eq!(ends.seconds_left(at(100)), 0);
        assert_eq!(ends.seconds_left(at(100 + 10 * 3600)), 0);
        assert!(!ends.is_over(at(99), true) && ends.is_over(at(100), true));
        assert!(!ends.is_over(at(159), false) && ends.is_over(at(160), false));
        assert_eq!(Ends::after(now, u16::MAX).seconds_left(now), MAX_LIFETIME_SECS);
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            ip in any::<IpAddr>(), port in any::<u16>(), version in 0..=Version::MAX.as_u64(), ends in any::<u16>(),
        ) {
            let version = Version::new(version).expect("in range");
            let peer = SocketAddr::new(ip.to_canonical(), port);
            for state in [PeerState::Leech, PeerState::Seed, PeerState::Stopped] {
                let value = Value::new(version, state);
                prop_assert_eq!((value.version(), value.state()), (version, state));
                let found = match Place::from(peer) {
                    Place::V4(place) => {
                        let entry = EntryV4::new(place, value, Ends(ends));
                        (entry.place().words(), entry.addr(), entry.value(), entry.ends())
                    }
                    Place::V6(place) => {
                        let entry = EntryV6::new(place, value, Ends(ends));
                        (entry.place().words(), entry.addr(), entry.value(), entry.ends())
                    }
                };
                prop_assert_eq!(found, (Place::from(peer).words(), peer, value, Ends(ends)));
            }
        }
    }
}
