//! The 68 bytes with which a connection starts. Layer 1, BEP 3 §handshake, BEP 6, BEP 10.
//!
//! | bytes | meaning                               |
//! |-------|---------------------------------------|
//! | 0     | 19, the length of the name behind it  |
//! | 1-19  | `BitTorrent protocol`                 |
//! | 20-27 | reserved bits                         |
//! | 28-47 | info-hash                             |
//! | 48-67 | peer id                               |

use std::net::SocketAddr;

use crate::id::{InfoHash, PeerId};

/// Bytes of a handshake.
pub const HANDSHAKE_LENGTH: usize = 68;

/// Bytes up to the end of the info-hash: who accepts a connection knows by then which swarm it is for.
pub const INFO_HASH_END: usize = 48;

/// Length byte and name of the protocol (BEP 3 §handshake).
const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// The bit of the fast extension (BEP 6 §handshake), in reserved byte 7.
const FAST: (usize, u8) = (7, 0x04);

/// The bit of the extension protocol (BEP 10 §handshake), in reserved byte 5.
const EXTENDED: (usize, u8) = (5, 0x10);

/// What [`Handshake::decode`] refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The first 20 bytes are not those of BEP 3: another protocol, or an encrypted connection.
    #[error("the peer did not start with the BitTorrent handshake")]
    OtherProtocol,
}

/// Who opened a connection, and so spoke first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The peer did.
    Incoming,
    /// We did.
    Outgoing,
}

/// All that is known of a peer once the handshakes are through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Introduction {
    /// The other end of the connection.
    pub addr: SocketAddr,
    /// Who opened it.
    pub direction: Direction,
    /// What the peer said.
    pub handshake: Handshake,
}

/// The two handshakes of a connection have this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// The eight reserved bytes, in which extensions announce themselves.
    pub reserved: [u8; 8],
    /// The swarm that the connection is for.
    pub info_hash: InfoHash,
    /// Who is speaking.
    pub peer_id: PeerId,
}

impl Handshake {
    /// The reserved bytes of our own handshakes: fast extension and extension protocol.
    pub const OWN_RESERVED: [u8; 8] = {
        let mut reserved = [0; 8];
        reserved[FAST.0] |= FAST.1;
        reserved[EXTENDED.0] |= EXTENDED.1;
        reserved
    };

    /// What we say to a peer of the swarm `info_hash`.
    pub const fn ours(info_hash: InfoHash, peer_id: PeerId) -> Self {
        Self {
            reserved: Self::OWN_RESERVED,
            info_hash,
            peer_id,
        }
    }

    /// The handshake as it goes over the wire.
    pub fn encode(&self) -> [u8; HANDSHAKE_LENGTH] {
        let mut bytes = [0; HANDSHAKE_LENGTH];
        let parts: [&[u8]; 4] = [
            PROTOCOL,
            &self.reserved,
            self.info_hash.as_bytes(),
            self.peer_id.as_bytes(),
        ];
        for (byte, value) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *byte = *value;
        }
        bytes
    }

    /// Reads a handshake. Reserved bits that we do not know are kept and mean nothing.
    ///
    /// # Errors
    /// [`HandshakeError::OtherProtocol`] if the protocol's name is not in front.
    pub fn decode(bytes: &[u8; HANDSHAKE_LENGTH]) -> Result<Self, HandshakeError> {
        check_protocol(bytes)?;
        Ok(Self {
            reserved: field(bytes, PROTOCOL.len()),
            info_hash: InfoHash::new(field(bytes, INFO_HASH_END - 20)),
            peer_id: PeerId::new(field(bytes, INFO_HASH_END)),
        })
    }

    /// Whether the sender speaks the fast extension (BEP 6). It is in force if both sides do.
    pub const fn supports_fast(&self) -> bool {
        self.reserved[FAST.0] & FAST.1 != 0
    }

    /// Whether the sender speaks the extension protocol (BEP 10).
    pub const fn supports_extended(&self) -> bool {
        self.reserved[EXTENDED.0] & EXTENDED.1 != 0
    }
}

/// Whether the `received` bytes, of which there may be fewer than 68, can be the start of a handshake. Lets
/// a connection of another protocol be closed at its first wrong byte, without waiting for the rest.
///
/// # Errors
/// [`HandshakeError::OtherProtocol`] at the first byte that differs.
pub fn check_protocol(received: &[u8]) -> Result<(), HandshakeError> {
    match received
        .iter()
        .zip(PROTOCOL)
        .all(|(byte, expected)| byte == expected)
    {
        true => Ok(()),
        false => Err(HandshakeError::OtherProtocol),
    }
}

/// The info-hash in the `received` start of a handshake, once it is complete.
pub fn info_hash_in(received: &[u8]) -> Option<InfoHash> {
    let bytes = received.get(INFO_HASH_END - 20..INFO_HASH_END)?;
    bytes.try_into().ok().map(InfoHash::new)
}

/// `N` bytes from `start` on; the callers' ranges lie within the handshake.
fn field<const N: usize>(bytes: &[u8; HANDSHAKE_LENGTH], start: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[start..start + N]);
    field
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &[u8; HANDSHAKE_LENGTH] =
        b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04hhhhhhhhhhhhhhhhhhhh-DT0100-abcdefghijkl";

    #[test]
    fn our_own_handshake_has_the_bytes_of_the_specification() {
        let ours = Handshake::ours(InfoHash::new([b'h'; 20]), PeerId::new(*b"-DT0100-abcdefghijkl"));
        assert_eq!(&ours.encode(), EXAMPLE);
        assert!(ours.supports_fast() && ours.supports_extended());
    }

    #[test]
    fn other_protocols_are_refused_at_the_first_wrong_byte() {
        for (name, bytes, expected) in [
            ("nothing yet", &b""[..], true),
            ("length byte", b"\x13", true),
            ("half of the name", b"\x13BitTorr", true),
            ("whole name", b"\x13BitTorrent protocol", true),
            (
                "anything behind the name",
                b"\x13BitTorrent protocol\xff\xff",
                true,
            ),
            ("HTTP", b"GET / HTTP/1.1", false),
            ("other length", b"\x12BitTorrent protoco", false),
            ("other case", b"\x13bittorrent protocol", false),
            ("last letter", b"\x13BitTorrent protocoL", false),
        ] {
            assert_eq!(check_protocol(bytes).is_ok(), expected, "{name}");
        }
        let mut bytes = *EXAMPLE;
        bytes[19] = b'L';
        assert_eq!(Handshake::decode(&bytes), Err(HandshakeError::OtherProtocol));
    }

    #[test]
    fn the_info_hash_is_known_before_the_peer_id() {
        assert_eq!(info_hash_in(&EXAMPLE[..INFO_HASH_END - 1]), None);
        assert_eq!(
            info_hash_in(&EXAMPLE[..INFO_HASH_END]),
            Some(InfoHash::new([b'h'; 20]))
        );
    }

    #[test]
    fn extensions_are_read_from_their_own_bits() {
        let mut handshake = Handshake::ours(InfoHash::new([0; 20]), PeerId::new([0; 20]));
        handshake.reserved = [0xff, 0xff, 0xff, 0xff, 0xff, !0x10, 0xff, !0x04];
        assert!(!handshake.supports_fast() && !handshake.supports_extended());
        handshake.reserved = [0, 0, 0, 0, 0, 0x10, 0, 0];
        assert!(!handshake.supports_fast() && handshake.supports_extended());
        handshake.reserved = [0, 0, 0, 0, 0, 0, 0, 0x04];
        assert!(handshake.supports_fast() && !handshake.supports_extended());
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes_to_itself(reserved: [u8; 8], info_hash: [u8; 20], peer_id: [u8; 20]) {
            let handshake = Handshake {
                reserved,
                info_hash: InfoHash::new(info_hash),
                peer_id: PeerId::new(peer_id),
            };
            prop_assert_eq!(Handshake::decode(&handshake.encode()), Ok(handshake));
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(tail in prop::collection::vec(any::<u8>(), 48)) {
            let mut bytes = *EXAMPLE;
            bytes[20..].copy_from_slice(&tail);
            prop_assert_eq!(Handshake::decode(&bytes).map(|handshake| handshake.encode()), Ok(bytes));
        }
    }
}
