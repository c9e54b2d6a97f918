//! The exchange of handshakes on one connection, as a machine: bytes in, bytes out. Layer 2, BEP 3 §handshake.
//!
//! Who dials speaks first. Who is dialled answers only when it has read the info-hash of a torrent that it has,
//! so a scanner learns nothing from us, not even which protocol this is. No byte behind the 68 is taken: they
//! belong to the peer's own threads.
//!
//! Encrypted connections (message stream encryption) have their place before this machine: a stage that
//! exchanges the keys, told apart from a plain handshake by its first byte, and that hands plain bytes to the
//! [`Exchange`].

use crate::id::{InfoHash, PeerId};
use crate::wire::handshake::{self, HANDSHAKE_LENGTH, Handshake, HandshakeError};

/// Why a connection is not one for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedHandshake {
    /// Not the protocol of BEP 3.
    #[error(transparent)]
    OtherProtocol(#[from] HandshakeError),
    /// The peer dialled us for a torrent that we do not have.
    #[error("the peer asked for {0}, which is not among our torrents")]
    UnknownTorrent(InfoHash),
    /// We dialled the peer, and it answered with another torrent's info-hash.
    #[error("the peer answered for another torrent, {0}")]
    OtherTorrent(InfoHash),
    /// The peer has our own id: we reached ourselves, by way of a tracker for example.
    #[error("the address is our own")]
    Ourselves,
}

/// What one side of a connection has said and heard so far.
#[derive(Debug)]
pub(super) struct Exchange {
    own_id: PeerId,
    /// The torrent: known from the start to who dials, else when the peer has said it.
    info_hash: Option<InfoHash>,
    ours: Option<[u8; HANDSHAKE_LENGTH]>,
    sent: usize,
    theirs: [u8; HANDSHAKE_LENGTH],
    received: usize,
}

impl Exchange {
    /// For a connection that we open for the torrent `info_hash`.
    pub(super) fn outgoing(info_hash: InfoHash, own_id: PeerId) -> Self {
        Self {
            info_hash: Some(info_hash),
            ours: Some(Handshake::ours(info_hash, own_id).encode()),
            ..Self::incoming(own_id)
        }
    }

    /// For a connection that a peer opened.
    pub(super) const fn incoming(own_id: PeerId) -> Self {
        Self {
            own_id,
            info_hash: None,
            ours: None,
            sent: 0,
            theirs: [0; HANDSHAKE_LENGTH],
            received: 0,
        }
    }

    /// The torrent, as far as it is known.
    pub(super) const fn info_hash(&self) -> Option<InfoHash> {
        self.info_hash
    }

    /// Bytes that moved in either direction: how far this connection has come.
    pub(super) const fn progress(&self) -> usize {
        self.sent + self.received
    }

    /// What is to be sent now; tell [`Self::was_sent`] how much of it was.
    pub(super) fn to_send(&self) -> &[u8] {
        self.ours.as_ref().map_or(&[], |ours| &ours[self.sent..])
    }

    /// Notes that the first `count` bytes of [`Self::to_send`] were sent.
    pub(super) fn was_sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(HANDSHAKE_LENGTH);
    }

    /// Where the next bytes are to be read to; empty when the peer's handshake is complete. Tell
    /// [`Self::was_received`] how many there were.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.theirs[self.received..]
    }

    /// Whether more of the peer's handshake is to come.
    pub(super) const fn is_reading(&self) -> bool {
        self.received < HANDSHAKE_LENGTH
    }

    /// Notes that the first `count` bytes of [`Self::room`] were filled, and judges them. `knows` says whether
    /// we have a torrent.
    ///
    /// # Errors
    /// As soon as the bytes show that the connection is not for us.
    pub(super) fn was_received(
        &mut self,
        count: usize,
        knows: impl Fn(&InfoHash) -> bool,
    ) -> Result<(), RefusedHandshake> {
        self.received = (self.received + count).min(HANDSHAKE_LENGTH);
        let heard = &self.theirs[..self.received];
        handshake::check_protocol(heard)?;
        let Some(theirs) = handshake::info_hash_in(heard) else {
            return Ok(());
        };
        match self.info_hash {
            Some(ours) if ours != theirs => Err(RefusedHandshake::OtherTorrent(theirs)),
            Some(_) => Ok(()),
            None if !knows(&theirs) => Err(RefusedHandshake::UnknownTorrent(theirs)),
            None => {
                self.info_hash = Some(theirs);
                self.ours = Some(Handshake::ours(theirs, self.own_id).encode());
                Ok(())
            }
        }
    }

    /// The peer's handshake when both are through, `None` before.
    ///
    /// # Errors
    /// [`RefusedHandshake::Ourselves`]. Only now, not when the id is read: the side of us that dialled must hear
    /// our answer to know whom it reached.
    pub(super) fn outcome(&self) -> Result<Option<Handshake>, RefusedHandshake> {
        if self.received.min(self.sent) < HANDSHAKE_LENGTH {
            return Ok(None);
        }
        let theirs = Handshake::decode(&self.theirs)?;
        match theirs.peer_id == self.own_id {
            true => Err(RefusedHandshake::Ourselves),
            false => Ok(Some(theirs)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: PeerId = PeerId::new([b'o'; 20]);
    const THEIRS: PeerId = PeerId::new([b't'; 20]);
    const TORRENT: InfoHash = InfoHash::new([1; 20]);
    const OTHER: InfoHash = InfoHash::new([2; 20]);

    /// Feeds `bytes` in pieces of `step`, as far as the machine takes them.
    fn feed(exchange: &mut Exchange, bytes: &[u8], step: usize) -> Result<usize, RefusedHandshake> {
        let mut taken = 0;
        while taken < bytes.len() && exchange.is_reading() {
            let room = exchange.room();
            let count = step.min(room.len()).min(bytes.len() - taken);
            room[..count].copy_from_slice(&bytes[taken..taken + count]);
            exchange.was_received(count, |info_hash| *info_hash == TORRENT)?;
            taken += count;
        }
        Ok(taken)
    }

    #[test]
    fn who_dials_speaks_first() {
        let exchange = Exchange::outgoing(TORRENT, OURS);
        assert_eq!(exchange.to_send(), Handshake::ours(TORRENT, OURS).encode());
    }

    #[test]
    fn who_is_dialled_answers_when_it_knows_the_torrent() {
        let mut exchange = Exchange::incoming(OURS);
        let bytes = Handshake::ours(TORRENT, THEIRS).encode();
        feed(&mut exchange, &bytes[..47], 47).unwrap();
        assert!(exchange.to_send().is_empty());
        feed(&mut exchange, &bytes[47..48], 1).unwrap();
        assert_eq!(exchange.to_send(), Handshake::ours(TORRENT, OURS).encode());
    }

    #[test]
    fn an_unknown_torrent_gets_no_answer() {
        let mut exchange = Exchange::incoming(OURS);
        let outcome = feed(&mut exchange, &Handshake::ours(OTHER, THEIRS).encode(), 68);
        assert_eq!(outcome, Err(RefusedHandshake::UnknownTorrent(OTHER)));
        assert!(exchange.to_send().is_empty());
    }

    #[test]
    fn an_answer_for_another_torrent_is_refused() {
        let mut exchange = Exchange::outgoing(TORRENT, OURS);
        let outcome = feed(&mut exchange, &Handshake::ours(OTHER, THEIRS).encode(), 68);
        assert_eq!(outcome, Err(RefusedHandshake::OtherTorrent(OTHER)));
    }

    #[test]
    fn another_protocol_is_refused_at_its_first_byte() {
        let mut exchange = Exchange::incoming(OURS);
        let outcome = feed(&mut exchange, b"GET / HTTP/1.1\r\n", 1);
        assert_eq!(
            outcome,
            Err(RefusedHandshake::OtherProtocol(HandshakeError::OtherProtocol))
        );
        assert_eq!(exchange.progress(), 1);
    }

    #[test]
    fn both_sides_of_a_connection_to_ourselves_notice() {
        let mut dialling = Exchange::outgoing(TORRENT, OURS);
        let mut dialled = Exchange::incoming(OURS);
        feed(&mut dialled, dialling.to_send(), 68).unwrap();
        dialling.was_sent(68);
        assert_eq!(dialled.outcome(), Ok(None), "it has to answer first");
        feed(&mut dialling, dialled.to_send(), 68).unwrap();
        dialled.was_sent(68);
        assert_eq!(dialling.outcome(), Err(RefusedHandshake::Ourselves));
        assert_eq!(dialled.outcome(), Err(RefusedHandshake::Ourselves));
    }

    proptest! {
        #[test]
        fn handshakes_get_through_in_any_pieces(step in 1_usize..80, cut in 1_usize..68) {
            let mut dialling = Exchange::outgoing(TORRENT, OURS);
            let mut dialled = Exchange::incoming(THEIRS);
            while let Ok(None) = dialling.outcome() {
                let bytes = dialling.to_send()[..cut.min(dialling.to_send().len())].to_vec();
                feed(&mut dialled, &bytes, step).unwrap();
                dialling.was_sent(bytes.len());
                let bytes = dialled.to_send()[..cut.min(dialled.to_send().len())].to_vec();
                feed(&mut dialling, &bytes, step).unwrap();
                dialled.was_sent(bytes.len());
            }
            prop_assert_eq!(dialling.outcome(), Ok(Some(Handshake::ours(TORRENT, THEIRS))));
            prop_assert_eq!(dialled.outcome(), Ok(Some(Handshake::ours(TORRENT, OURS))));
        }

        #[test]
        fn hostile_bytes_never_panic_and_nothing_behind_the_handshake_is_taken(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            valid in 0_usize..68,
            step in 1_usize..200,
        ) {
            let start = Handshake::ours(TORRENT, THEIRS).encode();
            let valid = valid.min(bytes.len());
            bytes[..valid].copy_from_slice(&start[..valid]);
            for mut exchange in [Exchange::incoming(OURS), Exchange::outgoing(TORRENT, OURS)] {
                if let Ok(taken) = feed(&mut exchange, &bytes, step) {
                    prop_assert_eq!(taken, bytes.len().min(HANDSHAKE_LENGTH));
                }
                let _ = exchange.outcome();
            }
        }
    }
}
