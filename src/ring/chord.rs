//! What the nodes of a ring say to keep it together. Layer 1.
//!
//! A message is the body of a frame ([`super::frame`]) whose kind tells which one it is: its fields, one behind
//! the other (see [`super::codec`]). Each list has its length in a byte before it, and a length above the bound of
//! that list is refused, so what a message may cost follows from its kind. Who speaks is known from the link and
//! stands in no message.

use super::codec::{DecodeError, Reader, Writer};
use super::contact::Contact;
use super::view::{MAX_PREDS, MAX_SUCC, Neighbour};
use crate::id::RingId;

/// Names a question, so that its answer is recognised when it comes late, twice, or after that of a later one.
pub type RequestId = u32;

/// Most members in one [`ChordMessage::Gossip`].
pub const MAX_GOSSIP: usize = 32;
/// Most nodes in one [`ChordMessage::Next`].
pub const MAX_NEXT: usize = 4;
/// Most nodes in one [`ChordMessage::Found`]: the owner and its successors.
pub const MAX_FOUND: usize = MAX_SUCC + 1;

/// What a lookup wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The owner of the key. Who owns it says so.
    Owner,
    /// The node before the key: only that one may answer. So a node finds its place.
    Predecessor,
}

/// What a node tells of itself to one that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// See [`Neighbour::serving`].
    pub serving: bool,
    /// The nodes before it, the nearest first; at most [`MAX_PREDS`].
    pub preds: Vec<Neighbour>,
    /// The nodes behind it, the nearest first; at most [`MAX_SUCC`].
    pub succ: Vec<Neighbour>,
}

/// A node that was once in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Its latest life.
    pub contact: Contact,
    /// Seconds since somebody heard of it.
    pub age: u32,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChordMessage {
    /// Are you alive?
    Ping {
        /// For the answer.
        request: RequestId,
    },
    /// I am.
    Pong {
        /// Of the ping.
        request: RequestId,
    },
    /// Who is before you and behind you?
    Ask {
        /// For the answer: `State`, `Busy` or `Outside`.
        request: RequestId,
    },
    /// These are.
    State {
        /// Of the `Ask`.
        request: RequestId,
        /// The answer.
        state: NodeState,
    },
    /// I am changing that myself; ask again soon.
    Busy {
        /// Of the `Ask`.
        request: RequestId,
    },
    /// I am in no ring.
    Outside {
        /// Of the `Ask` or `Find`.
        request: RequestId,
    },
    /// I believe that you come right behind me.
    Notify {
        /// Whether the sender serves.
        serving: bool,
        /// Who is before the sender, the nearest first; at most [`MAX_PREDS`].
        preds: Vec<Neighbour>,
    },
    /// I believe that I come right behind you.
    Candidate,
    /// Where does this key live?
    Find {
        /// For the answer: `Found`, `Next` or `Outside`.
        request: RequestId,
        /// The key.
        key: RingId,
        /// What the asker wants to know.
        want: Want,
    },
    /// The key lives here.
    Found {
        /// Of the `Find`.
        request: RequestId,
        /// The owner, then those behind it; one to [`MAX_FOUND`].
        owners: Vec<Neighbour>,
    },
    /// Ask these, the best first.
    Next {
        /// Of the `Find`.
        request: RequestId,
        /// At most [`MAX_NEXT`].
        nodes: Vec<Contact>,
    },
    /// I remember these nodes.
    Gossip {
        /// Whether the sender wants to hear of some in return.
        answer: bool,
        /// At most [`MAX_GOSSIP`].
        members: Vec<Heard>,
    },
    /// I leave the ring.
    Leaving,
    /// You are known to have begun a later life.
    Stale {
        /// Its incarnation.
        incarnation: u64,
    },
}

/// The kinds of frame.
mod kind {
    use super::super::frame::kind::CHORD;

    pub(super) const PING: u8 = CHORD;
    pub(super) const PONG: u8 = CHORD + 1;
    pub(super) const ASK: u8 = CHORD + 2;
    pub(super) const STATE: u8 = CHORD + 3;
    pub(super) const BUSY: u8 = CHORD + 4;
    pub(super) const OUTSIDE: u8 = CHORD + 5;
    pub(super) const NOTIFY: u8 = CHORD + 6;
    pub(super) const CANDIDATE: u8 = CHORD + 7;
    pub(super) const FIND: u8 = CHORD + 8;
    pub(super) const FOUND: u8 = CHORD + 9;
    pub(super) const NEXT: u8 = CHORD + 10;
    pub(super) const GOSSIP: u8 = CHORD + 11;
    pub(super) const LEAVING: u8 = CHORD + 12;
    pub(super) const STALE: u8 = CHORD + 13;
}

impl ChordMessage {
    /// The kind of its frame.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Ping { .. } => kind::PING,
            Self::Pong { .. } => kind::PONG,
            Self::Ask { .. } => kind::ASK,
            Self::State { .. } => kind::STATE,
            Self::Busy { .. } => kind::BUSY,
            Self::Outside { .. } => kind::OUTSIDE,
            Self::Notify { .. } => kind::NOTIFY,
            Self::Candidate => kind::CANDIDATE,
            Self::Find { .. } => kind::FIND,
            Self::Found { .. } => kind::FOUND,
            Self::Next { .. } => kind::NEXT,
            Self::Gossip { .. } => kind::GOSSIP,
            Self::Leaving => kind::LEAVING,
            Self::Stale { .. } => kind::STALE,
        }
    }

    /// Appends the body of its frame.
    ///
    /// Lists are cut to their bounds: a node never makes longer ones.
    pub fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Self::Ping { request }
            | Self::Pong { request }
            | Self::Ask { request }
            | Self::Busy { request }
            | Self::Outside { request } => out.u32(*request),
            Self::State { request, state } => {
                out.u32(*request);
                out.u8(state.serving.into());
                list(out, &state.preds, MAX_PREDS, neighbour);
                list(out, &state.succ, MAX_SUCC, neighbour);
            }
            Self::Notify { serving, preds } => {
                out.u8((*serving).into());
                list(out, preds, MAX_PREDS, neighbour);
            }
            Self::Candidate | Self::Leaving => {}
            Self::Find { request, key, want } => {
                out.u32(*request);
                out.ring_id(*key);
                out.u8(match want {
                    Want::Owner => 0,
                    Want::Predecessor => 1,
                });
            }
            Self::Found { request, owners } => {
                out.u32(*request);
                list(out, owners, MAX_FOUND, neighbour);
            }
            Self::Next { request, nodes } => {
                out.u32(*request);
                list(out, nodes, MAX_NEXT, |out, node| node.encode(out));
            }
            Self::Gossip { answer, members } => {
                out.u8((*answer).into());
                list(out, members, MAX_GOSSIP, |out, member| {
                    member.contact.encode(out);
                    out.u32(member.age);
                });
            }
            Self::Stale { incarnation } => out.u64(*incarnation),
        }
    }

    /// Reads the body of a frame of some kind. `None` when no message has this kind: it may be one of a later
    /// version.
    ///
    /// # Errors
    /// When the bytes end early or late, or a field has no meaning.
    pub fn decode(kind: u8, body: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut bytes = Reader::new(body);
        let message = Self::decode_fields(kind, &mut bytes)?;
        if message.is_some() {
            bytes.finish()?;
        }
        Ok(message)
    }

    fn decode_fields(kind: u8, bytes: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match kind {
            kind::PING => Self::Ping {
                request: bytes.u32()?,
            },
            kind::PONG => Self::Pong {
                request: bytes.u32()?,
            },
            kind::ASK => Self::Ask {
                request: bytes.u32()?,
            },
            kind::STATE => Self::State {
                request: bytes.u32()?,
                state: NodeState {
                    serving: read_flag(bytes)?,
                    preds: read_list(bytes, MAX_PREDS, read_neighbour)?,
                    succ: read_list(bytes, MAX_SUCC, read_neighbour)?,
                },
            },
            kind::BUSY => Self::Busy {
                request: bytes.u32()?,
            },
            kind::OUTSIDE => Self::Outside {
                request: bytes.u32()?,
            },
            kind::NOTIFY => Self::Notify {
                serving: read_flag(bytes)?,
                preds: read_list(bytes, MAX_PREDS, read_neighbour)?,
            },
            kind::CANDIDATE => Self::Candidate,
            kind::FIND => Self::Find {
                request: bytes.u32()?,
                key: bytes.ring_id()?,
                want: match bytes.u8()? {
                    0 => Want::Owner,
                    1 => Want::Predecessor,
                    value => return Err(bad("wanted node", value)),
                },
            },
            kind::FOUND => {
                let request = bytes.u32()?;
                let owners = read_list(bytes, MAX_FOUND, read_neighbour)?;
                if owners.is_empty() {
                    return Err(bad("number of owners", 0));
                }
                Self::Found { request, owners }
            }
            kind::NEXT => Self::Next {
                request: bytes.u32()?,
                nodes: read_list(bytes, MAX_NEXT, Contact::decode)?,
            },
            kind::GOSSIP => Self::Gossip {
                answer: read_flag(bytes)?,
                members: read_list(bytes, MAX_GOSSIP, |bytes| {
                    Ok(Heard {
                        contact: Contact::decode(bytes)?,
                        age: bytes.u32()?,
                    })
                })?,
            },
            kind::LEAVING => Self::Leaving,
            kind::STALE => Self::Stale {
                incarnation: bytes.u64()?,
            },
            _ => return Ok(None),
        }))
    }
}

fn neighbour(out: &mut Writer<'_>, neighbour: &Neighbour) {
    neighbour.contact.encode(out);
    out.u8(neighbour.serving.into());
}

fn list<T>(out: &mut Writer<'_>, items: &[T], most: usize, encode: impl Fn(&mut Writer<'_>, &T)) {
    let items = &items[..items.len().min(most)];
    out.u8(items.len() as u8);
    for item in items {
        encode(out, item);
    }
}

fn read_neighbour(bytes: &mut Reader<'_>) -> Result<Neighbour, DecodeError> {
    Ok(Neighbour {
        contact: Contact::decode(bytes)?,
        serving: read_flag(bytes)?,
    })
}

fn read_flag(bytes: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match bytes.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        value => Err(bad("flag", value)),
    }
}

fn read_list<T>(
    bytes: &mut Reader<'_>,
    most: usize,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = bytes.u8()?;
    if usize::from(count) > most {
        return Err(bad("list length", count));
    }
    (0..count).map(|_| read(bytes)).collect()
}

fn bad(field: &'static str, value: u8) -> DecodeError {
    DecodeError::BadValue {
        field,
        value: value.into(),
    }
}

#[cfg(test)]
mod tests;
