//! Connection ids: the proof that a sender receives at its address (BEP 15 §connect). Layer 1.
//!
//! Nothing is remembered of those who were given one. The id is the second in which it was made (its lower 16 bits)
//! and 48 bits of a keyed hash of that second and the address, so nobody can make one without having the key, or
//! receiving at the address.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// How long an id is accepted, in seconds (BEP 15: two minutes).
const VALID_SECS: u32 = 120;

const TIME_BITS: u32 = 16;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// Makes ids and knows them again.
#[derive(Debug)]
pub(in crate::tracker::server) struct ConnectionIds {
    key: [u8; 16],
}

impl ConnectionIds {
    /// With a key that nobody outside knows.
    pub(in crate::tracker::server) fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The id for who asks from this address in this second of any clock.
    pub(in crate::tracker::server) fn issue(&self, address: IpAddr, second: u32) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        // The port is left out: some clients connect from one and announce from another.
        match address.to_canonical() {
            IpAddr::V4(address) => hasher.write_u64(u64::from(u32::from(address)) << 32 | u64::from(second)),
            IpAddr::V6(address) => {
                hasher.write_u128(address.into());
                hasher.write_u32(second);
            }
        }
        hasher.finish() & !TIME_MASK | u64::from(second) & TIME_MASK
    }

    /// Whether the id was given to this address not too long ago.
    pub(in crate::tracker::server) fn accepts(&self, id: u64, address: IpAddr, second: u32) -> bool {
        let age = (u64::from(second).wrapping_sub(id) & TIME_MASK) as u32;
        age <= VALID_SECS && age <= second && self.issue(address, second - age) == id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_for_its_address_and_two_minutes() {
        let ids = ConnectionIds::new([1; 16]);
        let others = ConnectionIds::new([2; 16]);
        for start in [0, 1, 65_530, 65_536, 1 << 31, u32::MAX - 130] {
            for address in ["192.0.2.1", "2001:db8::1"] {
                let address: IpAddr = address.parse().unwrap();
                let id = ids.issue(address, start);
                for (age, valid) in [(0, true), (1, true), (119, true), (120, true), (121, false)] {
                    assert_eq!(
                        ids.accepts(id, address, start + age),
                        valid,
                        "{address} {start} {age}"
                    );
                }
                assert!(!ids.accepts(id, "192.0.2.2".parse().unwrap(), start));
                assert!(!others.accepts(id, address, start), "another key");
                assert!(
                    (0..64).all(|bit| !ids.accepts(id ^ (1 << bit), address, start)),
                    "one bit changed"
                );
                assert!(
                    start < 9 || !ids.accepts(id, address, start - 1),
                    "from the future"
                );
            }
        }
    }

    #[test]
    fn one_address_in_two_clothes_is_one() {
        let ids = ConnectionIds::new([1; 16]);
        let id = ids.issue("192.0.2.1".parse().unwrap(), 5);
        assert!(ids.accepts(id, "::ffff:192.0.2.1".parse().unwrap(), 6));
    }
}
