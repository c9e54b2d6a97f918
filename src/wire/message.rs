//! Messages after the handshake. Layer 1, BEP 3 §peer messages, BEP 6, BEP 10.
//!
//! On the wire a message is a length (four bytes, big-endian), a number that says which message it is, and
//! a payload; the length counts the last two. [`Message::encode`] writes such frames. Reading takes two
//! steps, so that a block never passes through a value and nothing is allocated for a length that is not
//! allowed: [`parse_header`] looks at the first bytes, and [`Message::decode`] takes the whole payload.

use crate::geometry::{BLOCK_LENGTH, Block, PieceIndex};
use crate::size::Count;

/// Bytes of the length in front of each message.
pub const PREFIX_LENGTH: usize = 4;

/// Bytes in front of the data of a `piece` message: length, number, piece and first byte.
pub const PIECE_HEADER_LENGTH: usize = 13;

/// Longest payload of an extended message that is read, the extension's number included. Metadata comes in
/// 16 KiB parts (BEP 9) and peer exchange in a few KiB (BEP 11); this leaves room and is no burden.
pub const MAX_EXTENDED_PAYLOAD: usize = 128 * 1024;

/// Longest payload of a message that is not known, which is read and forgotten.
pub const MAX_UNKNOWN_PAYLOAD: usize = 128 * 1024;

/// The numbers of the messages.
mod id {
    pub(super) const CHOKE: u8 = 0;
    pub(super) const UNCHOKE: u8 = 1;
    pub(super) const INTERESTED: u8 = 2;
    pub(super) const NOT_INTERESTED: u8 = 3;
    pub(super) const HAVE: u8 = 4;
    pub(super) const BITFIELD: u8 = 5;
    pub(super) const REQUEST: u8 = 6;
    pub(super) const PIECE: u8 = 7;
    pub(super) const CANCEL: u8 = 8;
    pub(super) const PORT: u8 = 9;
    pub(super) const SUGGEST_PIECE: u8 = 13;
    pub(super) const HAVE_ALL: u8 = 14;
    pub(super) const HAVE_NONE: u8 = 15;
    pub(super) const REJECT_REQUEST: u8 = 16;
    pub(super) const ALLOWED_FAST: u8 = 17;
    pub(super) const EXTENDED: u8 = 20;
}

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

/// Why a frame was refused. The connection cannot go on after it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The payload has a length that this message cannot have.
    #[error("{name} message with {} of payload, which must be {expected}", bytes(found))]
    Length {
        /// What BEP 3 or BEP 6 calls the message.
        name: &'static str,
        /// What it must have.
        expected: u32,
        /// What it has.
        found: u32,
    },
    /// The payload is too short to hold what every such message starts with.
    #[error(
        "{name} message with {} of payload, which must be at least {least}",
        bytes(found)
    )]
    TooShort {
        /// What the specification calls the message.
        name: &'static str,
        /// What it must have.
        least: u32,
        /// What it has.
        found: u32,
    },
    /// The payload is longer than we read.
    #[error(
        "{name} message with {} of payload, which may be at most {most}",
        bytes(found)
    )]
    TooLong {
        /// What the specification calls the message.
        name: &'static str,
        /// The most that is read.
        most: u32,
        /// What it has.
        found: u32,
    },
}

fn bytes(number: &u32) -> Count {
    Count(u64::from(*number), "byte")
}

/// The longest payloads that a connection reads: what bounds the memory that a peer can make us take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    bitfield: u32,
}

impl FrameLimits {
    /// The limits for a torrent of `piece_count` pieces.
    pub const fn for_pieces(piece_count: u32) -> Self {
        Self {
            bitfield: piece_count.div_ceil(8),
        }
    }

    fn check(self, id: u8, found: u32) -> Result<(), MessageError> {
        let exactly = |expected| {
            let name = name_of(id);
            (found == expected).then_some(()).ok_or(MessageError::Length {
                name,
                expected,
                found,
            })
        };
        let between = |least, most| {
            let name = name_of(id);
            if found < least {
                Err(MessageError::TooShort { name, least, found })
            } else if found > most {
                Err(MessageError::TooLong { name, most, found })
            } else {
                Ok(())
            }
        };
        match id {
            id::CHOKE | id::UNCHOKE | id::INTERESTED | id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => {
                exactly(0)
            }
            id::HAVE | id::SUGGEST_PIECE | id::ALLOWED_FAST => exactly(4),
            id::REQUEST | id::CANCEL | id::REJECT_REQUEST => exactly(12),
            id::PORT => exactly(2),
            id::BITFIELD => exactly(self.bitfield),
            id::PIECE => between(8, 8 + BLOCK_LENGTH),
            id::EXTENDED => between(1, MAX_EXTENDED_PAYLOAD as u32),
            _ => between(0, MAX_UNKNOWN_PAYLOAD as u32),
        }
    }
}

/// What the first bytes of a frame announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameHeader {
    /// A keep-alive: the frame ends after its [`PREFIX_LENGTH`] bytes.
    KeepAlive,
    /// A `piece` message: [`PIECE_HEADER_LENGTH`] bytes of header, then `length` bytes of data.
    Piece {
        /// Number of the piece, unchecked.
        piece: u32,
        /// First byte within the piece, unchecked.
        begin: u32,
        /// Bytes of data, at most [`BLOCK_LENGTH`].
        length: u32,
    },
    /// Any other message: [`PREFIX_LENGTH`] bytes and one more, then `length` bytes for [`Message::decode`].
    Message {
        /// Which message it is.
        id: u8,
        /// Bytes of payload, as many as this message may have.
        length: u32,
    },
}

/// Reads the header of the frame at the start of `bytes`; `None` if it is not all there yet.
///
/// # Errors
/// If a message of this kind cannot have this length.
pub fn parse_header(bytes: &[u8], limits: FrameLimits) -> Result<Option<FrameHeader>, MessageError> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_LENGTH>() else {
        return Ok(None);
    };
    let Some(length) = u32::from_be_bytes(*prefix).checked_sub(1) else {
        return Ok(Some(FrameHeader::KeepAlive));
    };
    let Some((&id, rest)) = rest.split_first() else {
        return Ok(None);
    };
    limits.check(id, length)?;
    if id != id::PIECE {
        return Ok(Some(FrameHeader::Message { id, length }));
    }
    Ok(rest.first_chunk::<8>().map(|numbers| {
        let [p0, p1, p2, p3, b0, b1, b2, b3] = *numbers;
        FrameHeader::Piece {
            piece: u32::from_be_bytes([p0, p1, p2, p3]),
            begin: u32::from_be_bytes([b0, b1, b2, b3]),
            length: length - 8,
        }
    }))
}

/// What goes in front of the data of a block (BEP 3 §piece).
pub fn piece_header(block: Block) -> [u8; PIECE_HEADER_LENGTH] {
    let mut header = [0; PIECE_HEADER_LENGTH];
    header[..4].copy_from_slice(&(block.length.saturating_add(9)).to_be_bytes());
    header[4] = id::PIECE;
    header[5..9].copy_from_slice(&block.piece.0.to_be_bytes());
    header[9..].copy_from_slice(&block.begin.to_be_bytes());
    header
}

impl Message {
    /// The message of number `id` with this payload: what follows the header that [`parse_header`] read.
    ///
    /// # Errors
    /// If the payload has the wrong length for this message. A `piece` message has no value: given one, the
    /// answer is [`Message::Unknown`].
    pub fn decode(id: u8, payload: &[u8]) -> Result<Self, MessageError> {
        Ok(match id {
            id::CHOKE => fixed(id, payload, |[]| Self::Choke)?,
            id::UNCHOKE => fixed(id, payload, |[]| Self::Unchoke)?,
            id::INTERESTED => fixed(id, payload, |[]| Self::Interested)?,
            id::NOT_INTERESTED => fixed(id, payload, |[]| Self::NotInterested)?,
            id::HAVE => fixed(id, payload, |index| Self::Have(u32::from_be_bytes(index)))?,
            id::BITFIELD => Self::Bitfield(payload.into()),
            id::REQUEST => fixed(id, payload, |numbers| Self::Request(block_from(numbers)))?,
            id::CANCEL => fixed(id, payload, |numbers| Self::Cancel(block_from(numbers)))?,
            id::PORT => fixed(id, payload, |port| Self::Port(u16::from_be_bytes(port)))?,
            id::SUGGEST_PIECE => fixed(id, payload, |index| Self::SuggestPiece(u32::from_be_bytes(index)))?,
            id::HAVE_ALL => fixed(id, payload, |[]| Self::HaveAll)?,
            id::HAVE_NONE => fixed(id, payload, |[]| Self::HaveNone)?,
            id::REJECT_REQUEST => fixed(id, payload, |numbers| Self::RejectRequest(block_from(numbers)))?,
            id::ALLOWED_FAST => fixed(id, payload, |index| Self::AllowedFast(u32::from_be_bytes(index)))?,
            id::EXTENDED => {
                let (&number, payload) = payload.split_first().ok_or(MessageError::TooShort {
                    name: name_of(id),
                    least: 1,
                    found: 0,
                })?;
                Self::Extended(number, payload.into())
            }
            _ => Self::Unknown(id),
        })
    }

    /// Appends the whole frame to `out`. Of [`Message::Unknown`] only the number is known, so that is a frame
    /// without payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::KeepAlive => out.extend([0; PREFIX_LENGTH]),
            Self::Choke => frame(out, id::CHOKE, &[]),
            Self::Unchoke => frame(out, id::UNCHOKE, &[]),
            Self::Interested => frame(out, id::INTERESTED, &[]),
            Self::NotInterested => frame(out, id::NOT_INTERESTED, &[]),
            Self::Have(piece) => frame(out, id::HAVE, &piece.to_be_bytes()),
            Self::Bitfield(bits) => frame(out, id::BITFIELD, bits),
            Self::Request(block) => frame(out, id::REQUEST, &block_to(*block)),
            Self::Cancel(block) => frame(out, id::CANCEL, &block_to(*block)),
            Self::Port(port) => frame(out, id::PORT, &port.to_be_bytes()),
            Self::SuggestPiece(piece) => frame(out, id::SUGGEST_PIECE, &piece.to_be_bytes()),
            Self::HaveAll => frame(out, id::HAVE_ALL, &[]),
            Self::HaveNone => frame(out, id::HAVE_NONE, &[]),
            Self::RejectRequest(block) => frame(out, id::REJECT_REQUEST, &block_to(*block)),
            Self::AllowedFast(piece) => frame(out, id::ALLOWED_FAST, &piece.to_be_bytes()),
            Self::Extended(number, payload) => {
                head(out, id::EXTENDED, 1 + payload.len());
                out.push(*number);
                out.extend_from_slice(payload);
            }
            Self::Unknown(id) => frame(out, *id, &[]),
        }
    }
}

fn frame(out: &mut Vec<u8>, id: u8, payload: &[u8]) {
    head(out, id, payload.len());
    out.extend_from_slice(payload);
}

/// Appends length and number. What we send is built by us and far below 4 GiB.
fn head(out: &mut Vec<u8>, id: u8, payload_length: usize) {
    let length = u32::try_from(1 + payload_length).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    out.push(id);
}

fn fixed<const N: usize>(
    id: u8,
    payload: &[u8],
    make: impl FnOnce([u8; N]) -> Message,
) -> Result<Message, MessageError> {
    payload.try_into().map(make).map_err(|_| MessageError::Length {
        name: name_of(id),
        expected: N as u32,
        found: u32::try_from(payload.len()).unwrap_or(u32::MAX),
    })
}

fn block_from(numbers: [u8; 12]) -> Block {
    let [p0, p1, p2, p3, b0, b1, b2, b3, l0, l1, l2, l3] = numbers;
    Block {
        piece: PieceIndex(u32::from_be_bytes([p0, p1, p2, p3])),
        begin: u32::from_be_bytes([b0, b1, b2, b3]),
        length: u32::from_be_bytes([l0, l1, l2, l3]),
    }
}

fn block_to(block: Block) -> [u8; 12] {
    let mut numbers = [0; 12];
    numbers[..4].copy_from_slice(&block.piece.0.to_be_bytes());
    numbers[4..8].copy_from_slice(&block.begin.to_be_bytes());
    numbers[8..].copy_from_slice(&block.length.to_be_bytes());
    numbers
}

const fn name_of(id: u8) -> &'static str {
    match id {
        id::CHOKE => "choke",
        id::UNCHOKE => "unchoke",
        id::INTERESTED => "interested",
        id::NOT_INTERESTED => "not interested",
        id::HAVE => "have",
        id::BITFIELD => "bitfield",
        id::REQUEST => "request",
        id::PIECE => "piece",
        id::CANCEL => "cancel",
        id::PORT => "port",
        id::SUGGEST_PIECE => "suggest piece",
        id::HAVE_ALL => "have all",
        id::HAVE_NONE => "have none",
        id::REJECT_REQUEST => "reject request",
        id::ALLOWED_FAST => "allowed fast",
        id::EXTENDED => "extended",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
