//! The 68 bytes with which a connection starts. Layer 1, BEP 3 §handshake, BEP 6, BEP 10.

use crate::id::{InfoHash, PeerId};

/// Bytes of a handshake.
pub const HANDSHAKE_LENGTH: usize = 68;

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
