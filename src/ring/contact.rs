//! Who a node is and where to reach it. Layer 1.

use std::fmt;
use std::net::SocketAddr;

use super::codec::{DecodeError, Reader, Writer};
use crate::id::RingId;

/// One life of one node.
///
/// A node that starts again keeps its id and takes a greater incarnation. Its earlier life is no member any more,
/// and what that life still has on the wire is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Contact {
    /// The node's place on the circle.
    pub id: RingId,
    /// Milliseconds since 1970 at which this life began.
    pub incarnation: u64,
    /// Where it takes connections of other nodes.
    pub addr: SocketAddr,
}

impl Contact {
    /// Appends the contact: id (20 bytes), incarnation (8), address (see [`Writer::addr`]).
    pub fn encode(&self, out: &mut Writer<'_>) {
        out.ring_id(self.id);
        out.u64(self.incarnation);
        out.addr(self.addr);
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes end early or the address is none.
    pub fn decode(bytes: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: bytes.ring_id()?,
            incarnation: bytes.u64()?,
            addr: bytes.addr()?,
        })
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.id, self.addr)
    }
}
