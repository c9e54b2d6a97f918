//! What two nodes say first: who they are and what they speak. Layer 1.
//!
//! ```text
//! hello   version 2, oldest 2, flags 1, serial 8, callee 20, contact (id 20, incarnation 8, address 7 or 19), more
//! reply   0, hello   or   1, reason 1, more
//! ```
//!
//! What follows the last field belongs to a later version and is skipped.

use std::fmt;

use crate::id::RingId;
use crate::ring::codec::{DecodeError, Reader, Writer};
use crate::ring::contact::Contact;

/// The version of the messages that we speak. A node that adds kinds of messages, or fields behind the last ones,
/// raises it.
pub const VERSION: u16 = 1;

/// The oldest version that we still understand: at least the one before, so that a ring can be upgraded node by
/// node.
pub const OLDEST_VERSION: u16 = 1;

/// The flag of a hello that only asks who is there.
const FLAG_INTRODUCTION: u8 = 1;

/// The flag of a node that will not stay under its id.
const FLAG_VISITOR: u8 = 2;

/// Names an attempt of a node to have a link; each is greater than those before, for one life of the node.
pub(super) type Serial = u64;

/// What the opening side says, and the other one if it agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) version: u16,
    pub(super) oldest: u16,
    /// The connection is no link; it ends with the reply.
    pub(super) is_introduction: bool,
    /// The id is for this visit only, so nobody need remember whose it is.
    pub(super) is_visitor: bool,
    /// Of the opening side: which attempt this is. Of the other: all its own attempts up to this one are void.
    pub(super) serial: Serial,
    /// Whom it is for. In an introduction it means nothing.
    pub(super) callee: RingId,
    /// Whom it is from.
    pub(super) contact: Contact,
}

impl Hello {
    pub(super) const fn new(contact: Contact, callee: RingId, serial: Serial) -> Self {
        Self {
            version: VERSION,
            oldest: OLDEST_VERSION,
            is_introduction: false,
            is_visitor: false,
            serial,
            callee,
            contact,
        }
    }

    /// Only asks who is there. The caller's own id stands for that of the other one.
    pub(super) const fn introduction(contact: Contact) -> Self {
        Self {
            is_introduction: true,
            ..Self::new(contact, contact.id, 0)
        }
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u16(self.version);
        out.u16(self.oldest);
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        out.u8(flag(self.is_introduction, FLAG_INTRODUCTION) | flag(self.is_visitor, FLAG_VISITOR));
        out.u64(self.serial);
        out.ring_id(self.callee);
        self.contact.encode(out);
    }

    pub(super) fn decode(bytes: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (version, oldest, flags) = (bytes.u16()?, bytes.u16()?, bytes.u8()?);
        Ok(Self {
            version,
            oldest,
            is_introduction: flags & FLAG_INTRODUCTION != 0,
            is_visitor: flags & FLAG_VISITOR != 0,
            serial: bytes.u64()?,
            callee: bytes.ring_id()?,
            contact: Contact::decode(bytes)?,
        })
    }

    /// The version that both speak.
    pub(super) fn agree(&self, other: &Self) -> Option<u16> {
        let version = self.version.min(other.version);
        (version >= self.oldest.max(other.oldest)).then_some(version)
    }
}

/// Why a node that knows the ring key is refused a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// One side is too old for the other.
    Version,
    /// Its id was first seen with another key.
    OtherKey,
    /// A later life of it is known.
    OldLife,
    /// A link between the two is being made from the other side.
    Crossed,
    /// A later attempt of it is known.
    Overtaken,
    /// There is no room, or the last link is still being closed; later there may be.
    Busy,
    /// It has the id of the one it talks to.
    SameId,
    /// It wants to talk to another node than the one it reached.
    NotMe,
    /// A reason of a later version.
    Other(u8),
}

impl Refusal {
    const fn code(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::OtherKey => 2,
            Self::OldLife => 3,
            Self::Crossed => 4,
            Self::Overtaken => 5,
            Self::Busy => 6,
            Self::SameId => 7,
            Self::NotMe => 8,
            Self::Other(code) => code,
        }
    }

    const fn of(code: u8) -> Self {
        match code {
            1 => Self::Version,
            2 => Self::OtherKey,
            3 => Self::OldLife,
            4 => Self::Crossed,
            5 => Self::Overtaken,
            6 => Self::Busy,
            7 => Self::SameId,
            8 => Self::NotMe,
            code => Self::Other(code),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "the versions of the two programs are too far apart; upgrade the older one",
            Self::OtherKey => "its id was seen with another key before",
            Self::OldLife => "a later life of the same node is known; do two nodes share one state folder?",
            Self::Crossed => "both sides called at once",
            Self::Overtaken => "a later call is known",
            Self::Busy => "there is no room at the moment",
            Self::SameId => "both sides have the same id",
            Self::NotMe => "another node has that address now",
            Self::Other(code) => return write!(f, "reason {code}, which this version does not know"),
        })
    }
}

/// The answer to a hello.
pub(super) type Reply = Result<Hello, Refusal>;

pub(super) fn encode_reply(reply: &Reply, out: &mut Writer<'_>) {
    match reply {
        Ok(hello) => {
            out.u8(0);
            hello.encode(out);
        }
        Err(refusal) => {
            out.u8(1);
            out.u8(refusal.code());
        }
    }
}

pub(super) fn decode_reply(bytes: &mut Reader<'_>) -> Result<Reply, DecodeError> {
    match bytes.u8()? {
        0 => Hello::decode(bytes).map(Ok),
        1 => bytes.u8().map(|code| Err(Refusal::of(code))),
        kind => Err(DecodeError::BadValue {
            field: "kind of reply",
            value: kind.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: u16, oldest: u16) -> Hello {
        Hello {
            version,
            oldest,
            is_introduction: true,
            is_visitor: false,
            serial: 5,
            callee: RingId::new([4; 20]),
            contact: Contact {
                id: RingId::new([3; 20]),
                incarnation: 7,
                addr: ([127, 0, 0, 1], 6_969).into(),
            },
        }
    }

    fn reply(reply: &Reply) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_reply(reply, &mut Writer::new(&mut bytes));
        bytes
    }

    #[test]
    fn replies_round_trip_and_what_a_later_version_adds_is_skipped() {
        let every = (0..=u8::MAX).map(|code| Err(Refusal::of(code)));
        let visitor = Hello {
            is_introduction: false,
            is_visitor: true,
            ..hello(1, 1)
        };
        for said in every.chain([Ok(hello(1, 1)), Ok(visitor)]) {
            let mut bytes = reply(&said);
            assert_eq!(decode_reply(&mut Reader::new(&bytes)), Ok(said));
            bytes.extend_from_slice(b"more");
            assert_eq!(decode_reply(&mut Reader::new(&bytes)), Ok(said));
        }
    }

    #[test]
    fn short_and_odd_replies_are_refused() {
        let whole = reply(&Ok(hello(1, 1)));
        for end in 0..whole.len() {
            assert_eq!(
                decode_reply(&mut Reader::new(&whole[..end])),
                Err(DecodeError::Truncated),
                "{end}"
            );
        }
        assert!(matches!(
            decode_reply(&mut Reader::new(&[2, 1])),
            Err(DecodeError::BadValue { value: 2, .. })
        ));
    }

    #[test]
    fn two_versions_agree_on_the_older_one_if_the_newer_still_speaks_it() {
        let table = [
            ((1, 1), (1, 1), Some(1)),
            ((3, 2), (2, 1), Some(2)),
            ((3, 3), (2, 1), None),
            ((3, 1), (2, 2), Some(2)),
        ];
        for ((version, oldest), (other, other_oldest), agreed) in table {
            let (one, two) = (hello(version, oldest), hello(other, other_oldest));
            assert_eq!((one.agree(&two), two.agree(&one)), (agreed, agreed));
        }
    }
}
