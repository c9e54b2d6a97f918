//! Messages after the handshake. Layer 1, BEP 3 §peer messages, BEP 6, BEP 10.

use crate::geometry::Block;

/// Every message but `piece`, whose payload never passes through a value: readers and writers move it
/// between socket and buffer directly.
///
/// Indices and lengths are as the peer sent them; the session checks them against the torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Four zero bytes.
    KeepAlive,
    /// We will not serve your requests.
    Choke,
    /// We will.
    Unchoke,
    /// You have what we want.
    Interested,
    /// You have not.
    NotInterested,
    /// A piece that the sender has completed.
    Have(u32),
    /// All that the sender has, in the layout of [`crate::bitfield::Bitfield`]; only ever the first message.
    Bitfield(Box<[u8]>),
    /// Asks for a block.
    Request(Block),
    /// Takes a request back.
    Cancel(Block),
    /// UDP port of the sender's DHT node (BEP 5).
    Port(u16),
    /// A piece that would be good to fetch (BEP 6).
    SuggestPiece(u32),
    /// Instead of a bitfield: everything (BEP 6).
    HaveAll,
    /// Instead of a bitfield: nothing (BEP 6).
    HaveNone,
    /// This request will not be answered (BEP 6).
    RejectRequest(Block),
    /// A piece that may be requested while choked (BEP 6).
    AllowedFast(u32),
    /// Number and payload of an extension message; number 0 is the extension handshake (BEP 10).
    Extended(u8, Box<[u8]>),
    /// A message of an extension that was not negotiated: kept only to be counted.
    Unknown(u8),
}
