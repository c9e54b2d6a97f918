//! What we and one peer have told each other: the protocol's state of a connection. Layer 2, BEP 3 §peer
//! protocol, BEP 6, BEP 10.
//!
//! The session checks everything that a peer says against the torrent and turns it into a [`Said`], in which
//! numbers are in range. What to do about it is the business of [`crate::torrent::state`].

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use sha1::{Digest, Sha1};

use crate::bitfield::Bitfield;
use crate::geometry::{Block, Geometry, PieceIndex};
use crate::id::{InfoHash, PeerId};
use crate::peer::client;
use crate::wire::extension::{ExtensionHandshake, HANDSHAKE_NUMBER};
use crate::wire::handshake::{Direction, Introduction};
use crate::wire::message::Message;

/// The largest block that we serve; every client asks for 16 KiB, some old ones for more (BEP 3 §request).
pub const MAX_SERVED_BLOCK: u32 = 128 * 1024;

/// Requests that a peer is asked to have waiting at us at most: `reqq` (BEP 10). As many as fill 1 Gbit/s at a quarter
/// of a second, and as many as libtorrent lets wait; a request that waits takes some forty bytes.
pub const REQUEST_QUEUE: usize = 2_000;

/// More waiting requests than this are dropped. Well above what we announce: a block counts as waiting until the
/// socket has taken its whole batch, when the peer may long have asked for the next; many clients do not read `reqq`;
/// and one without the fast extension is never told, and waits for what was dropped.
pub const MOST_REQUESTS_WAITING: usize = 2 * REQUEST_QUEUE;

/// What we assume a peer lets us have waiting there when it does not say.
const ASSUMED_REQUEST_QUEUE: usize = 250;

/// Pieces that a choked newcomer may fetch from us (BEP 6 §allowed fast set).
const ALLOWED_FAST_COUNT: usize = 10;

/// A peer that has more than this many pieces needs no allowed fast set.
const ALLOWED_FAST_FOR: u32 = ALLOWED_FAST_COUNT as u32;

/// Most pieces of *its* allowed fast set that we remember: more would only be a way to fill our memory.
const MAX_ALLOWED_FAST: usize = 64;

/// How a peer broke the protocol. The connection is closed; nothing else suffers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// A piece number past the end.
    #[error("it spoke of piece {0}, the torrent has {1}")]
    NoSuchPiece(u32, u32),
    /// A block that is not inside its piece, or larger than anybody may ask for.
    #[error("it asked for {0}, which is not a block of this torrent")]
    NoSuchBlock(Block),
    /// A bitfield of the wrong length or with a spare bit set.
    #[error("its bitfield of {0} bytes does not fit {1} pieces")]
    WrongBitfield(usize, u32),
    /// A message of the fast extension, which was not agreed on.
    #[error("it used the fast extension without announcing it")]
    FastNotAgreed,
    /// An extension handshake that cannot be read.
    #[error("its extension handshake cannot be read: {0}")]
    ExtensionHandshake(String),
}

/// What a message means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Nothing that anybody has to act on.
    Nothing,
    /// It will not serve us; without the fast extension all our requests there are void.
    Choked,
    /// It will.
    Unchoked,
    /// It became interested in what we have, or ceased to be.
    Interest,
    /// It told of a piece that it did not have before.
    Has(PieceIndex),
    /// It told of all its pieces at once; they are in [`Session::has`]. What it had told before, mostly nothing,
    /// no longer counts.
    HasSet {
        /// What it had told before.
        before: Arc<Bitfield>,
    },
    /// It asks for a block, which lies inside its piece.
    Request(Block),
    /// It takes a request back.
    Cancel(Block),
    /// It will not answer this request of ours.
    Reject(Block),
    /// A piece that it serves even while it chokes us.
    AllowedFast,
    /// Where it listens, which was not known before.
    ListensAt(SocketAddr),
}

/// The state of one connection.
#[derive(Debug)]
pub struct Session {
    geometry: Geometry,
    /// The other end of the connection.
    pub addr: SocketAddr,
    /// Who opened it.
    pub direction: Direction,
    /// Who the peer says it is.
    pub peer_id: PeerId,
    /// Both sides speak the fast extension (BEP 6).
    pub fast: bool,
    /// Both sides speak the extension protocol (BEP 10).
    pub extended: bool,
    /// We do not serve it.
    pub am_choking: bool,
    /// We have told it that we want what it has.
    pub am_interested: bool,
    /// It does not serve us.
    pub peer_choking: bool,
    /// It wants what we have.
    pub peer_interested: bool,
    /// Its pieces, as far as it told. Whoever shows them shares them: a copy is made when they change meanwhile.
    pub has: Arc<Bitfield>,
    /// Pieces that we may ask for while it chokes us (BEP 6).
    pub allowed_fast: Vec<PieceIndex>,
    /// Pieces that it may ask for while we choke it (BEP 6).
    pub granted_fast: Vec<PieceIndex>,
    /// Requests that it lets wait (`reqq`, BEP 10).
    pub request_queue: usize,
    /// Where it listens, if it said (`p`, BEP 10) or if we dialled it.
    pub listen_addr: Option<SocketAddr>,
    client: Option<String>,
}

impl Session {
    /// The state after the handshake: both sides choke and nobody is interested (BEP 3 §peer protocol).
    pub fn new(peer: &Introduction, geometry: Geometry) -> Self {
        Self {
            geometry,
            addr: peer.addr,
            direction: peer.direction,
            peer_id: peer.handshake.peer_id,
            fast: peer.handshake.supports_fast(),
            extended: peer.handshake.supports_extended(),
            am_choking: true,
            am_interested: false,
            peer_choking: true,
            peer_interested: false,
            has: Arc::new(Bitfield::empty(geometry.piece_count())),
            allowed_fast: Vec::new(),
            granted_fast: Vec::new(),
            request_queue: ASSUMED_REQUEST_QUEUE,
            listen_addr: (peer.direction == Direction::Outgoing).then_some(peer.addr),
            client: None,
        }
    }

    /// Whether the peer has every piece.
    pub fn is_seed(&self) -> bool {
        self.has.is_full()
    }

    /// Whether we may ask for blocks of this piece: it does not choke us, or serves that piece all the same.
    pub fn may_request(&self, piece: PieceIndex) -> bool {
        !self.peer_choking || self.allowed_fast.contains(&piece)
    }

    /// Name of its program: what it says itself, else what its peer id tells.
    pub fn client(&self) -> String {
        self.client
            .clone()
            .unwrap_or_else(|| client::client_name(self.peer_id))
    }

    /// The messages that open a connection, first of all what we have: the shortest form that says it. For the
    /// rest see [`Self::introduction`].
    pub fn greeting(
        &mut self,
        info_hash: InfoHash,
        have: &Bitfield,
        upload_only: bool,
        listen_port: u16,
    ) -> Vec<Message> {
        let mut messages = Vec::new();
        if self.fast && have.is_full() {
            messages.push(Message::HaveAll);
        } else if self.fast && have.is_empty() {
            messages.push(Message::HaveNone);
        } else if !have.is_empty() {
            messages.push(Message::Bitfield(have.as_bytes().into()));
        }
        messages.extend(self.introduction(upload_only, listen_port));
        // A seed grants nothing. It has no use for what a newcomer could give in return, and since nobody sees what
        // others ask it for, grants make it send the same pieces to many while the rest of them wait.
        if self.fast
            && !have.is_full()
            && let IpAddr::V4(ip) = self.addr.ip()
        {
            self.granted_fast = allowed_fast_set(info_hash, ip.octets(), self.geometry.piece_count());
            // Only what we can serve: a grant that would end in a reject is worth nothing.
            self.granted_fast.retain(|&piece| have.has(piece));
            messages.extend(
                self.granted_fast
                    .iter()
                    .map(|piece| Message::AllowedFast(piece.0)),
            );
        }
        messages
    }

    /// The extension handshake, if the peer understands it. `upload_only`: we want no more pieces, having all or
    /// not (BEP 21). It may be sent again when something of it changes (BEP 10 §handshake message).
    pub fn introduction(&self, upload_only: bool, listen_port: u16) -> Option<Message> {
        let handshake = ExtensionHandshake {
            extensions: BTreeMap::new(),
            client: Some(concat!("DTorrent ", env!("CARGO_PKG_VERSION")).into()),
            port: NonZeroU16::new(listen_port),
            request_queue: Some(REQUEST_QUEUE as u32),
            upload_only: Some(upload_only),
            your_ip: Some(self.addr.ip()),
        };
        self.extended
            .then(|| Message::Extended(HANDSHAKE_NUMBER, handshake.encode().into()))
    }

    /// Takes a message in, checks it, and says what it means.
    pub fn on_message(&mut self, message: &Message) -> Result<Said, SessionError> {
        match message {
            Message::Choke => {
                self.peer_choking = true;
                Ok(Said::Choked)
            }
            Message::Unchoke => {
                self.peer_choking = false;
                Ok(Said::Unchoked)
            }
            Message::Interested => Ok(self.set_interested(true)),
            Message::NotInterested => Ok(self.set_interested(false)),
            Message::Have(index) => {
                let piece = self.piece(*index)?;
                Ok(if Arc::make_mut(&mut self.has).insert(piece) {
                    Said::Has(piece)
                } else {
                    Said::Nothing
                })
            }
            Message::Bitfield(bytes) => {
                let pieces = self.geometry.piece_count();
                let has = Bitfield::from_bytes(bytes, pieces)
                    .ok_or(SessionError::WrongBitfield(bytes.len(), pieces))?;
                Ok(self.set_all(has))
            }
            Message::HaveAll => {
                self.need_fast()?;
                Ok(self.set_all(Bitfield::full(self.geometry.piece_count())))
            }
            Message::HaveNone => {
                self.need_fast()?;
                Ok(self.set_all(Bitfield::empty(self.geometry.piece_count())))
            }
            Message::Request(block) => {
                if block.length > MAX_SERVED_BLOCK || !self.geometry.contains(*block) {
                    return Err(SessionError::NoSuchBlock(*block));
                }
                Ok(Said::Request(*block))
            }
            Message::Cancel(block) => Ok(Said::Cancel(*block)),
            Message::RejectRequest(block) => {
                self.need_fast()?;
                Ok(Said::Reject(*block))
            }
            Message::AllowedFast(index) => {
                self.need_fast()?;
                let piece = self.piece(*index)?;
                if self.allowed_fast.len() < MAX_ALLOWED_FAST && !self.allowed_fast.contains(&piece) {
                    self.allowed_fast.push(piece);
                }
                Ok(Said::AllowedFast)
            }
            Message::SuggestPiece(_) => self.need_fast().map(|()| Said::Nothing),
            Message::Extended(HANDSHAKE_NUMBER, payload) => self.extension_handshake(payload),
            // We announce no extension message yet, so none can be meant for us.
            Message::Extended(..) | Message::KeepAlive | Message::Port(_) | Message::Unknown(_) => {
                Ok(Said::Nothing)
            }
        }
    }

    fn set_interested(&mut self, interested: bool) -> Said {
        let changed = self.peer_interested != interested;
        self.peer_interested = interested;
        if changed { Said::Interest } else { Said::Nothing }
    }

    /// BEP 3 and BEP 6 want this as the very first message, but extension handshakes come before it, and aria2
    /// sends another bitfield later in place of many `have`s: what was said last counts.
    fn set_all(&mut self, has: Bitfield) -> Said {
        let before = std::mem::replace(&mut self.has, Arc::new(has));
        if self.has.count() > ALLOWED_FAST_FOR {
            self.granted_fast.clear();
        }
        Said::HasSet { before }
    }

    fn piece(&self, index: u32) -> Result<PieceIndex, SessionError> {
        let error = SessionError::NoSuchPiece(index, self.geometry.piece_count());
        self.geometry.check_piece(index).ok_or(error)
    }

    fn need_fast(&self) -> Result<(), SessionError> {
        self.fast.then_some(()).ok_or(SessionError::FastNotAgreed)
    }

    fn extension_handshake(&mut self, payload: &[u8]) -> Result<Said, SessionError> {
        let handshake = ExtensionHandshake::decode(payload)
            .map_err(|error| SessionError::ExtensionHandshake(error.to_string()))?;
        if let Some(client) = handshake.client.filter(|client| !client.is_empty()) {
            self.client = Some(client);
        }
        if let Some(queue) = handshake.request_queue {
            self.request_queue = (queue as usize).max(1);
        }
        // The first word counts: with each new port we would have another address to look after.
        Ok(match handshake.port {
            Some(port) if self.listen_addr.is_none() => {
                let addr = SocketAddr::new(self.addr.ip(), port.get());
                self.listen_addr = Some(addr);
                Said::ListensAt(addr)
            }
            _ => Said::Nothing,
        })
    }
}

/// The pieces that a peer at this address may fetch while choked: the same for everybody who computes them,
/// so that reconnecting does not yield others (BEP 6 §allowed fast set). Empty for a torrent of few pieces.
fn allowed_fast_set(info_hash: InfoHash, ip: [u8; 4], piece_count: u32) -> Vec<PieceIndex> {
    if piece_count as usize <= ALLOWED_FAST_COUNT {
        return Vec::new();
    }
    let mut set = Vec::with_capacity(ALLOWED_FAST_COUNT);
    // The last byte of the address does not count: one network gets one set.
    let mut digest: [u8; 20] = Sha1::new()
        .chain_update([ip[0], ip[1], ip[2], 0])
        .chain_update(info_hash.as_bytes())
        .finalize()
        .into();
    while set.len() < ALLOWED_FAST_COUNT {
        for word in digest.as_chunks::<4>().0 {
            let piece = PieceIndex(u32::from_be_bytes(*word) % piece_count);
            if set.len() < ALLOWED_FAST_COUNT && !set.contains(&piece) {
                set.push(piece);
            }
        }
        digest = Sha1::digest(digest).into();
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::handshake::Handshake;

    fn session() -> Session {
        session_with(true)
    }

    /// Of a torrent of ten pieces of ten bytes.
    fn session_with(fast: bool) -> Session {
        let geometry = Geometry::new(100, 10).unwrap();
        let mut handshake = Handshake::ours(InfoHash::new([1; 20]), PeerId::new([2; 20]));
        if !fast {
            handshake.reserved = [0; 8];
        }
        let peer = Introduction {
            addr: SocketAddr::from(([192, 0, 2, 1], 6881)),
            direction: Direction::Outgoing,
            handshake,
        };
        Session::new(&peer, geometry)
    }

    fn block(piece: u32, begin: u32, length: u32) -> Block {
        Block {
            piece: PieceIndex(piece),
            begin,
            length,
        }
    }

    #[test]
    fn hostile_messages_are_refused_and_change_nothing() {
        let request = |piece, begin, length| {
            let block = block(piece, begin, length);
            (Message::Request(block), SessionError::NoSuchBlock(block))
        };
        let wrong = |bytes: &[u8]| {
            (
                Message::Bitfield(bytes.into()),
                SessionError::WrongBitfield(bytes.len(), 10),
            )
        };
        let unreadable = |payload: &[u8]| Message::Extended(HANDSHAKE_NUMBER, payload.into());
        let table = [
            (Message::Have(10), SessionError::NoSuchPiece(10, 10)),
            (Message::Have(u32::MAX), SessionError::NoSuchPiece(u32::MAX, 10)),
            (Message::AllowedFast(10), SessionError::NoSuchPiece(10, 10)),
            wrong(&[]),
            wrong(&[0xff]),
            wrong(&[0xff, 0xc0, 0]),
            // A bit for a piece past the end.
            wrong(&[0, 0b0010_0000]),
            request(10, 0, 1),
            request(u32::MAX, 0, 1),
            request(0, 10, 1),
            request(0, 9, 2),
            request(0, 0, 0),
            request(0, 0, MAX_SERVED_BLOCK + 1),
            // Their sum wraps round to something small.
            request(0, u32::MAX, 2),
            request(0, 5, u32::MAX),
        ];
        for (message, expected) in table {
            let mut session = session();
            session.on_message(&Message::Have(3)).unwrap();
            let before = (session.has.clone(), session.allowed_fast.clone());
            assert_eq!(session.on_message(&message), Err(expected), "{message:?}");
            assert_eq!((session.has, session.allowed_fast), before, "{message:?}");
        }
        for payload in [&b""[..], b"d", b"le", b"i1e", &[b'd'; 70_000]] {
            let refused = session().on_message(&unreadable(payload));
            assert!(
                matches!(refused, Err(SessionError::ExtensionHandshake(_))),
                "{:?}: {refused:?}",
                &payload[..payload.len().min(20)]
            );
        }
    }

    #[test]
    fn the_fast_extension_is_refused_to_those_who_did_not_announce_it() {
        for message in [
            Message::HaveAll,
            Message::HaveNone,
            Message::SuggestPiece(1),
            Message::AllowedFast(1),
            Message::RejectRequest(block(0, 0, 10)),
        ] {
            assert_eq!(
                session_with(false).on_message(&message),
                Err(SessionError::FastNotAgreed),
                "{message:?}"
            );
            assert!(session().on_message(&message).is_ok(), "{message:?}");
        }
    }

    #[test]
    fn what_is_useless_but_no_offence_does_nothing() {
        let mut session = session();
        let before = format!("{session:?}");
        for message in [
            Message::KeepAlive,
            Message::Port(0),
            Message::SuggestPiece(u32::MAX),
            Message::Unknown(99),
            Message::Extended(77, b"what is this"[..].into()),
            Message::Extended(HANDSHAKE_NUMBER, b"d1:pi99999e1:v0:4:reqqi-1ee"[..].into()),
        ] {
            assert_eq!(session.on_message(&message), Ok(Said::Nothing), "{message:?}");
        }
        assert_eq!(format!("{session:?}"), before);
        for _ in 0..2 {
            (0..10).for_each(|piece| drop(session.on_message(&Message::AllowedFast(piece))));
        }
        assert_eq!(session.allowed_fast.len(), 10, "each counts once");
    }

    #[test]
    fn what_was_said_last_of_the_pieces_counts() {
        let mut session = session();
        let set = |bytes: [u8; 2]| Message::Bitfield(bytes.into());
        let pieces = |bytes: [u8; 2]| Arc::new(Bitfield::from_bytes(&bytes, 10).unwrap());
        let first = session.on_message(&set([0b1000_0000, 0]));
        assert_eq!(
            first,
            Ok(Said::HasSet {
                before: Arc::new(Bitfield::empty(10))
            })
        );
        assert_eq!(
            session.on_message(&Message::Have(1)),
            Ok(Said::Has(PieceIndex(1)))
        );
        let second = session.on_message(&set([0b1111_0000, 0]));
        assert_eq!(
            second,
            Ok(Said::HasSet {
                before: pieces([0b1100_0000, 0])
            })
        );
        assert_eq!(session.has, pieces([0b1111_0000, 0]));
        let third = session.on_message(&Message::HaveAll);
        assert_eq!(
            third,
            Ok(Said::HasSet {
                before: pieces([0b1111_0000, 0])
            })
        );
        assert!(session.is_seed());
    }

    #[test]
    fn the_allowed_fast_set_is_the_one_of_the_specification() {
        // BEP 6 gives this set for 80.4.4.200, an info-hash of twenty 0xaa and 1313 pieces.
        let set = allowed_fast_set(InfoHash::new([0xaa; 20]), [80, 4, 4, 200], 1313);
        let expected = [1059, 431, 808, 1217, 287, 376, 1188, 353, 508, 1246];
        assert_eq!(set.iter().map(|piece| piece.0).collect::<Vec<_>>(), expected);
        assert_eq!(allowed_fast_set(InfoHash::new([0; 20]), [1, 2, 3, 4], 10), []);
    }
}
