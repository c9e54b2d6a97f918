//! What a node says about itself, for whoever shows the ring. Layer 1.
//!
//! Each node publishes one every second or so ([`Board::period`](super::board::Board::period)). It goes round the
//! ring from successor to successor, so every node has the latest of every other node without asking anybody, and no
//! page that somebody opens costs the ring a message.
//!
//! ```text
//! contact    see Contact::encode        owned, held       3 numbers of 8 bytes each
//! number     8 bytes                    announces         8
//! state      1, flags                   scrapes           8
//! arc        1 + 40                     counters          6 of 8 bytes
//! copies     1 + 21 each                uptime            8
//! mending    1 + 20 each                version           1 + its length
//!                                       fingers           1 + 20 each, or nothing
//!                                       pages             1 + an address, or nothing
//! ```
//!
//! What a later version appends is skipped here, and passed on as it came. The first version ended before the fingers, the second
//! before the pages.

use std::net::SocketAddr;
use std::time::Duration;

use super::codec::{DecodeError, Reader, Writer};
use super::contact::Contact;
use super::interval::Interval;
use super::view::Stage;
use crate::id::RingId;
use crate::tracker::server::seam::Totals;

/// Most copies that a bulletin names, of either kind. A node has two.
const MAX_COPIES: usize = 16;
/// Most fingers that a bulletin names: in a ring of a thousand nodes one has about eight.
const MAX_FINGERS: usize = 16;
/// Longest name of a version.
const MAX_VERSION: usize = 32;
/// Longest bulletin, whatever later versions append.
pub const MAX_BULLETIN: usize = 4096;

/// A node that must have each entry of another before an announce is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyState {
    /// The node.
    pub id: RingId,
    /// Whether it also has all that was written before it became a copy.
    pub complete: bool,
}

/// What a node has counted since its start, or counts now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeCounters {
    /// Links to other nodes.
    pub links: u64,
    /// Nodes that it remembers.
    pub members: u64,
    /// Fingers: shortcuts across the circle.
    pub fingers: u64,
    /// How often it has held a node for dead.
    pub held_for_dead: u64,
    /// How often a copy that was silent was left out.
    pub copies_left_out: u64,
    /// How often it found something missing on either side when it compared a shard with another node, and mended it.
    pub repairs: u64,
}

/// What a node says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulletin {
    /// The node.
    pub contact: Contact,
    /// Greater in each later bulletin of one life.
    pub number: u64,
    /// How far it is.
    pub stage: Stage,
    /// Whether it has the say over an arc.
    pub serving: bool,
    /// Whether it asks others for what it may have missed of that arc.
    pub merging: bool,
    /// Whether it is about to leave.
    pub leaving: bool,
    /// The arc over which it has the say, or is about to.
    pub arc: Option<Interval>,
    /// Who keeps copies of what is on that arc.
    pub copies: Vec<CopyState>,
    /// Who should, but was silent.
    pub mending: Vec<RingId>,
    /// What is on that arc.
    pub owned: Totals,
    /// All that it keeps, for others too.
    pub held: Totals,
    /// Announces answered since the start.
    pub announces: u64,
    /// Scrapes answered since the start.
    pub scrapes: u64,
    /// Figures of its place in the ring.
    pub counters: NodeCounters,
    /// How long it has been running.
    pub uptime: Duration,
    /// Version of its program: printable ASCII.
    pub version: String,
    /// The nodes that its fingers lead to, each once.
    pub fingers: Vec<RingId>,
    /// Where it answers over HTTP, if others can reach that.
    pub pages: Option<SocketAddr>,
}

impl Bulletin {
    /// The first one of a node that is in no ring yet.
    pub fn outside(contact: Contact) -> Self {
        Self {
            contact,
            number: 0,
            stage: Stage::Outside,
            serving: false,
            merging: false,
            leaving: false,
            arc: None,
            copies: Vec::new(),
            mending: Vec::new(),
            owned: Totals::default(),
            held: Totals::default(),
            announces: 0,
            scrapes: 0,
            counters: NodeCounters::default(),
            uptime: Duration::ZERO,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fingers: Vec::new(),
            pages: None,
        }
    }

    /// Whether it replaces `other` of the same node.
    pub fn is_later_than(&self, other: &Self) -> bool {
        (self.contact.incarnation, self.number) > (other.contact.incarnation, other.number)
    }

    /// Appends the bulletin.
    pub fn encode(&self, out: &mut Writer<'_>) {
        self.contact.encode(out);
        out.u64(self.number);
        let stage = match self.stage {
            Stage::Outside => 0,
            Stage::Member => 1,
            Stage::Left => 2,
        };
        let flags = [self.serving, self.merging, self.leaving];
        let bits = (2..).zip(flags).map(|(bit, flag)| u8::from(flag) << bit);
        out.u8(bits.fold(stage, |byte, bit| byte | bit));
        out.u8(self.arc.is_some().into());
        if let Some(arc) = self.arc {
            out.ring_id(arc.after);
            out.ring_id(arc.upto);
        }
        let copies = &self.copies[..self.copies.len().min(MAX_COPIES)];
        out.u8(copies.len() as u8);
        for copy in copies {
            out.ring_id(copy.id);
            out.u8(copy.complete.into());
        }
        let mending = &self.mending[..self.mending.len().min(MAX_COPIES)];
        out.u8(mending.len() as u8);
        mending.iter().for_each(|id| out.ring_id(*id));
        for totals in [self.owned, self.held] {
            out.u64(totals.swarms);
            out.u64(totals.seeds);
            out.u64(totals.leechers);
        }
        out.u64(self.announces);
        out.u64(self.scrapes);
        let counters = self.counters;
        for counter in [
            counters.links,
            counters.members,
            counters.fingers,
            counters.held_for_dead,
            counters.copies_left_out,
            counters.repairs,
        ] {
            out.u64(counter);
        }
        out.u64(self.uptime.as_secs());
        let version = &self.version.as_bytes()[..self.version.len().min(MAX_VERSION)];
        out.u8(version.len() as u8);
        out.bytes(version);
        let fingers = &self.fingers[..self.fingers.len().min(MAX_FINGERS)];
        out.u8(fingers.len() as u8);
        fingers.iter().for_each(|id| out.ring_id(*id));
        out.u8(self.pages.is_some().into());
        if let Some(pages) = self.pages {
            out.addr(pages);
        }
    }

    /// Reads what [`Self::encode`] wrote. What stands behind it is of a later version.
    ///
    /// # Errors
    /// When the bytes end early, or a field has no meaning.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        if body.len() > MAX_BULLETIN {
            return Err(bad("length of a bulletin", body.len() as u64));
        }
        let bytes = &mut Reader::new(body);
        let contact = Contact::decode(bytes)?;
        let number = bytes.u64()?;
        let state = bytes.u8()?;
        let stage = match state & 3 {
            0 => Stage::Outside,
            1 => Stage::Member,
            2 => Stage::Left,
            other => return Err(bad("stage of a node", other.into())),
        };
        let arc = match bytes.u8()? {
            0 => None,
            1 => Some(Interval::new(bytes.ring_id()?, bytes.ring_id()?)),
            other => return Err(bad("flag", other.into())),
        };
        let copies = list(bytes, MAX_COPIES, |bytes| {
            Ok(CopyState {
                id: bytes.ring_id()?,
                complete: bytes.u8()? != 0,
            })
        })?;
        let mending = list(bytes, MAX_COPIES, Reader::ring_id)?;
        let totals = |bytes: &mut Reader<'_>| {
            Ok(Totals {
                swarms: bytes.u64()?,
                seeds: bytes.u64()?,
                leechers: bytes.u64()?,
            })
        };
        Ok(Self {
            contact,
            number,
            stage,
            serving: state & 4 != 0,
            merging: state & 8 != 0,
            leaving: state & 16 != 0,
            arc,
            copies,
            mending,
            owned: totals(bytes)?,
            held: totals(bytes)?,
            announces: bytes.u64()?,
            scrapes: bytes.u64()?,
            counters: NodeCounters {
                links: bytes.u64()?,
                members: bytes.u64()?,
                fingers: bytes.u64()?,
                held_for_dead: bytes.u64()?,
                copies_left_out: bytes.u64()?,
                repairs: bytes.u64()?,
            },
            uptime: Duration::from_secs(bytes.u64()?),
            version: version(bytes)?,
            fingers: match bytes.is_empty() {
                true => Vec::new(),
                false => list(bytes, MAX_FINGERS, Reader::ring_id)?,
            },
            pages: match bytes.is_empty() || bytes.u8()? == 0 {
                true => None,
                false => Some(bytes.addr()?),
            },
        })
    }
}

fn bad(field: &'static str, value: u64) -> DecodeError {
    DecodeError::BadValue { field, value }
}

fn list<'a, T>(
    bytes: &mut Reader<'a>,
    most: usize,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let len = bytes.u8()?;
    if usize::from(len) > most {
        return Err(bad("number of nodes", len.into()));
    }
    (0..len).map(|_| read(bytes)).collect()
}

/// It is shown to people, so it must not be able to pretend to be something else.
fn version(bytes: &mut Reader<'_>) -> Result<String, DecodeError> {
    let len = bytes.u8()?;
    let text = bytes.bytes(len.into())?;
    let is_plain = text.iter().all(|byte| byte.is_ascii_graphic());
    match std::str::from_utf8(text) {
        Ok(text) if is_plain && text.len() <= MAX_VERSION => Ok(text.to_owned()),
        _ => Err(bad("version of a program", len.into())),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A node at `first` of 256 places.
    pub(crate) fn contact(first: u8, incarnation: u64) -> Contact {
        let mut id = [0; 20];
        id[0] = first;
        Contact {
            id: RingId::new(id),
            incarnation,
            addr: ([127, 0, 0, 1], 7000 + u16::from(first)).into(),
        }
    }

    fn bulletin() -> Bulletin {
        let id = |first| contact(first, 1).id;
        let copy = |first, complete| CopyState {
            id: id(first),
            complete,
        };
        Bulletin {
            number: 9,
            stage: Stage::Member,
            serving: true,
            leaving: true,
            arc: Some(Interval::new(id(250), id(3))),
            copies: vec![copy(5, true), copy(7, false)],
            mending: vec![id(9)],
            owned: Totals {
                swarms: 1,
                seeds: 2,
                leechers: 3,
            },
            held: Totals {
                swarms: 4,
                seeds: 5,
                leechers: u64::MAX,
            },
            announces: 6,
            scrapes: 7,
            counters: NodeCounters {
                links: 8,
                members: 9,
                fingers: 10,
                held_for_dead: 11,
                copies_left_out: 12,
                repairs: 13,
            },
            uptime: Duration::from_secs(14),
            fingers: vec![id(90), id(160)],
            pages: Some(([192, 0, 2, 7], 6969).into()),
            ..Bulletin::outside(contact(3, 77))
        }
    }

    fn bytes_of(bulletin: &Bulletin) -> Vec<u8> {
        let mut bytes = Vec::new();
        bulletin.encode(&mut Writer::new(&mut bytes));
        bytes
    }

    #[test]
    fn bulletins_round_trip_and_what_a_later_version_appends_is_skipped() {
        for bulletin in [bulletin(), Bulletin::outside(contact(1, 2))] {
            let mut bytes = bytes_of(&bulletin);
            assert_eq!(Bulletin::decode(&bytes).as_ref(), Ok(&bulletin));
            bytes.extend_from_slice(b"more");
            assert_eq!(Bulletin::decode(&bytes), Ok(bulletin));
        }
    }

    #[test]
    fn short_and_odd_bulletins_are_refused() {
        let whole = bytes_of(&bulletin());
        let second_version = whole.len() - (1 + 1 + 4 + 2);
        let first_version = second_version - (1 + 2 * 20);
        let ends = (0..whole.len()).filter(|&end| end != first_version && end != second_version);
        for end in ends {
            assert_eq!(
                Bulletin::decode(&whole[..end]),
                Err(DecodeError::Truncated),
                "{end}"
            );
        }
        let mut old = Bulletin {
            pages: None,
            ..bulletin()
        };
        assert_eq!(Bulletin::decode(&whole[..second_version]).as_ref(), Ok(&old));
        old.fingers.clear();
        assert_eq!(Bulletin::decode(&whole[..first_version]), Ok(old));
        let mut many = whole[..first_version].to_vec();
        many.push(17);
        many.resize(many.len() + 17 * 20, 1);
        assert!(matches!(
            Bulletin::decode(&many),
            Err(DecodeError::BadValue { .. })
        ));
        let refused = |change: &dyn Fn(&mut Bulletin)| {
            let mut odd = bulletin();
            change(&mut odd);
            matches!(
                Bulletin::decode(&bytes_of(&odd)),
                Err(DecodeError::BadValue { .. })
            )
        };
        for version in ["<script>\n", "a b", "\u{1b}[31m", "é"] {
            assert!(
                refused(&|odd| version.clone_into(&mut odd.version)),
                "{version:?}"
            );
        }
        assert!(!refused(&|odd| "9.0.0-rc.1+x".clone_into(&mut odd.version)));
        let mut stage = whole.clone();
        stage[20 + 8 + 7 + 8] |= 3;
        assert!(Bulletin::decode(&stage).is_err());
        let too_long = [whole, vec![0; MAX_BULLETIN]].concat();
        assert!(Bulletin::decode(&too_long).is_err());
    }

    #[test]
    fn a_later_life_is_later_whatever_the_numbers() {
        let at = |incarnation, number| Bulletin {
            number,
            ..Bulletin::outside(contact(1, incarnation))
        };
        assert!(at(2, 0).is_later_than(&at(1, 9)));
        assert!(at(1, 2).is_later_than(&at(1, 1)));
        assert!(!at(1, 1).is_later_than(&at(1, 1)));
        assert!(!at(1, 9).is_later_than(&at(2, 0)));
    }
}
