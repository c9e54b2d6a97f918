//! Identities: what a torrent, a peer and a node of the ring are called on the wire. Layer 1, BEP 3, BEP 20 and
//! Chord (2001) §4.1.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::{Digest, Sha1};

/// What [`InfoHash::from_str`] refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an info-hash is 40 hexadecimal digits, this is {0:?}")]
pub struct ParseInfoHashError(String);

/// The version 1 info-hash: SHA-1 of the bencoded `info` dictionary, byte for byte as it stands in the
/// `.torrent` (BEP 3 §metainfo files). It names the swarm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InfoHash([u8; 20]);

impl InfoHash {
    /// Wraps the 20 bytes of a hash that was computed elsewhere (handshake, tracker).
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Hashes the raw bytes of an `info` dictionary.
    pub fn of_info(info: &[u8]) -> Self {
        Self(sha1_of(info))
    }

    /// The 20 bytes, as they go over the wire.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHash({self})")
    }
}

impl FromStr for InfoHash {
    type Err = ParseInfoHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseInfoHashError(text.to_owned());
        let digits = text.as_bytes();
        if digits.len() != 40 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(error());
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| error())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for InfoHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InfoHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What a peer calls itself in the handshake: 20 bytes, most often a client prefix and random bytes
/// (BEP 3 §peer protocol, BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerId([u8; 20]);

impl PeerId {
    /// The prefix of our own ids in the Azureus style of BEP 20: `DT` and the version.
    pub const OWN_PREFIX: &'static [u8; 8] = b"-DT0100-";

    /// Wraps the 20 bytes that a peer sent.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// A fresh id of our own: [`Self::OWN_PREFIX`] and twelve random characters.
    pub fn generate(rng: &mut fastrand::Rng) -> Self {
        let mut bytes = [0; 20];
        let (prefix, rest) = bytes.split_at_mut(Self::OWN_PREFIX.len());
        prefix.copy_from_slice(Self::OWN_PREFIX);
        rest.fill_with(|| rng.alphanumeric() as u8);
        Self(bytes)
    }

    /// The 20 bytes, as they go over the wire.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl fmt::Display for PeerId {
    /// Printable characters as they are, everything else escaped: an id comes from the network.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

/// A point on Chord's circle of 160 bits: the id of a node, or the key of a swarm (Chord (2001) §4.1). The
/// order is that of the unsigned number; what lies between two points of a circle is for
/// [`crate::ring::interval`] to say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RingId([u8; 20]);

impl RingId {
    /// Wraps the 20 bytes, most significant first.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// A point chosen at random.
    pub fn random(rng: &mut fastrand::Rng) -> Self {
        let mut bytes = [0; 20];
        rng.fill(&mut bytes);
        Self(bytes)
    }

    /// The 20 bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl From<InfoHash> for RingId {
    /// An info-hash is spread evenly over the circle already, so it is its own key.
    fn from(hash: InfoHash) -> Self {
        Self(hash.0)
    }
}

impl fmt::Display for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RingId {
    /// The first four bytes: enough to tell nodes apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingId(")?;
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…)")
    }
}

/// SHA-1 of `bytes` in one go.
pub fn sha1_of(bytes: &[u8]) -> [u8; 20] {
    Sha1::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_hash_round_trips_through_hex() {
        let hash = InfoHash::of_info(b"de");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
    }

    #[test]
    fn info_hash_refuses_what_is_not_40_hex_digits() {
        for text in ["", "ab", &"g".repeat(40), &"+1".repeat(20), &"é".repeat(20)] {
            assert!(text.parse::<InfoHash>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn own_peer_ids_carry_the_prefix_and_differ() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (one, two) = (PeerId::generate(&mut rng), PeerId::generate(&mut rng));
        assert!(one.as_bytes().starts_with(PeerId::OWN_PREFIX));
        assert_ne!(one, two);
    }

    #[test]
    fn peer_id_shows_control_bytes_escaped() {
        let id = PeerId::new(*b"-XX0001-\n\0abcdefghij");
        assert_eq!(id.to_string(), "-XX0001-\\n\\x00abcdefghij");
    }
}
