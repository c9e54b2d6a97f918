//! From the bytes of a socket to frames. A machine: layer 2.

use super::noise::{MAX_PLAIN, OpenError, Opener, PREFIX_LENGTH, TAG_LENGTH};
use crate::ring::frame::{self, FrameError, HEADER_LENGTH, MAX_BODY, Split};

/// Bytes that are read at once: under load one wake-up brings many frames, and two whole Noise messages fit.
const READ_LENGTH: usize = 2 * (PREFIX_LENGTH + MAX_PLAIN + TAG_LENGTH);

/// Why what was read makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A message cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A frame is too long.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Puts the frames of a link together.
///
/// Memory: `READ_LENGTH`, and less than one frame and `READ_LENGTH` more; pages that were never needed are never
/// touched.
///
/// Invariants: between two calls `sealed` holds less than one Noise message; what stands in `plain` before `used`
/// is done with.
#[derive(Debug)]
pub(super) struct Inbox {
    opener: Opener,
    sealed: Box<[u8]>,
    held: usize,
    plain: Vec<u8>,
    /// Bytes of `plain` that mean something; the vector is as long as it ever had to be.
    filled: usize,
    used: usize,
}

impl Inbox {
    pub(super) fn new(opener: Opener) -> Self {
        Self {
            opener,
            sealed: vec![0; READ_LENGTH].into_boxed_slice(),
            held: 0,
            plain: Vec::new(),
            filled: 0,
            used: 0,
        }
    }

    /// Where the next bytes go. Never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.sealed[self.held..]
    }

    /// Takes note that `count` bytes were read into [`Self::space`], and finds the frames that are whole now.
    ///
    /// # Errors
    /// The link is of no use after that.
    pub(super) fn filled(&mut self, count: usize) -> Result<Split<'_>, ReadError> {
        self.forget_used();
        self.held += count;
        let mut start = 0;
        while let Some((prefix, rest)) = self.sealed[start..self.held].split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*prefix));
            let Some(sealed) = rest.get(..length) else { break };
            let needed = self.filled + length;
            if self.plain.len() < needed {
                self.plain.resize(needed, 0);
            }
            self.filled += self.opener.open(sealed, &mut self.plain[self.filled..needed])?;
            start += PREFIX_LENGTH + length;
        }
        self.sealed.copy_within(start..self.held, 0);
        self.held -= start;
        let split = frame::split(&self.plain[..self.filled])?;
        self.used = split.used;
        Ok(split)
    }

    fn forget_used(&mut self) {
        self.plain.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.used = 0;
        debug_assert!(self.filled < HEADER_LENGTH + MAX_BODY);
        // After a long frame.
        if self.filled == 0 && self.plain.len() > READ_LENGTH {
            self.plain = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::frame::kind;
    use crate::ring::link::noise::{Sealer, part};

    /// Both ends of a link without a handshake.
    fn ends() -> (Sealer, Inbox) {
        let params = || "Noise_NN_25519_ChaChaPoly_BLAKE2s".parse().expect("a pattern");
        let mut one = snow::Builder::new(params()).build_initiator().expect("a state");
        let mut two = snow::Builder::new(params()).build_responder().expect("a state");
        let (mut message, mut payload) = ([0; 256], [0; 256]);
        let length = one.write_message(&[], &mut message).expect("a message");
        two.read_message(&message[..length], &mut payload)
            .expect("a message");
        let length = two.write_message(&[], &mut message).expect("a message");
        one.read_message(&message[..length], &mut payload)
            .expect("a message");
        let (sealer, _) = part(one.into_stateless_transport_mode().expect("a transport"));
        let (_, opener) = part(two.into_stateless_transport_mode().expect("a transport"));
        (sealer, Inbox::new(opener))
    }

    /// Lets `bytes` come in pieces of `step`, and collects kind and length of each frame.
    fn receive(inbox: &mut Inbox, bytes: &[u8], step: usize) -> Result<Vec<(u8, usize)>, ReadError> {
        let mut found = Vec::new();
        for piece in bytes.chunks(step) {
            let mut piece = piece;
            while !piece.is_empty() {
                let space = inbox.space();
                let count = space.len().min(piece.len());
                space[..count].copy_from_slice(&piece[..count]);
                piece = &piece[count..];
                let split = inbox.filled(count)?;
                found.extend(split.frames.map(|frame| (frame.kind, frame.body.len())));
            }
        }
        Ok(found)
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let lengths = [0, 1, 100, MAX_PLAIN - 5, MAX_PLAIN, MAX_BODY, 3];
        for step in [1, 7, 1_000, 65_536, 1 << 20] {
            let (mut sealer, mut inbox) = ends();
            let mut plain = Vec::new();
            for length in lengths {
                frame::put(&mut plain, kind::DATA, |out| out.bytes(&vec![7; length])).expect("a frame");
            }
            let mut sealed = Vec::new();
            // Once as one batch, once byte by byte at its beginning.
            sealer.seal(&plain, &mut sealed).expect("messages");
            for byte in &plain[..300] {
                sealer.seal(&[*byte], &mut sealed).expect("messages");
            }
            sealer.seal(&plain[300..], &mut sealed).expect("messages");
            let found = receive(&mut inbox, &sealed, step).expect("frames");
            let expected: Vec<_> = lengths
                .iter()
                .chain(&lengths)
                .map(|length| (kind::DATA, *length))
                .collect();
            assert_eq!(found, expected, "{step}");
        }
    }

    #[test]
    fn what_was_changed_repeated_or_left_out_is_refused() {
        let mut plain = Vec::new();
        frame::put(&mut plain, kind::CHORD, |out| out.u64(1)).expect("a frame");
        let one = |sealer: &mut Sealer| {
            let mut sealed = Vec::new();
            sealer.seal(&plain, &mut sealed).expect("a message");
            sealed
        };
        let refused = |number| Err(ReadError::Open(OpenError { number }));

        let (mut sealer, mut inbox) = ends();
        let first = one(&mut sealer);
        assert_eq!(receive(&mut inbox, &first, 64), Ok(vec![(kind::CHORD, 8)]));
        assert_eq!(receive(&mut inbox, &first, 64), refused(1), "repeated");

        let (mut sealer, mut inbox) = ends();
        let (_, second) = (one(&mut sealer), one(&mut sealer));
        assert_eq!(receive(&mut inbox, &second, 64), refused(0), "left out");

        for at in PREFIX_LENGTH..first.len() {
            let (mut sealer, mut inbox) = ends();
            let mut changed = one(&mut sealer);
            changed[at] ^= 1;
            assert_eq!(receive(&mut inbox, &changed, 64), refused(0), "byte {at} changed");
        }

        for length in 0..TAG_LENGTH as u16 {
            let (_, mut inbox) = ends();
            let mut short = length.to_be_bytes().to_vec();
            short.resize(PREFIX_LENGTH + usize::from(length), 0);
            assert_eq!(receive(&mut inbox, &short, 64), refused(0), "{length} bytes");
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_at_its_header() {
        let (mut sealer, mut inbox) = ends();
        let mut sealed = Vec::new();
        let header = [kind::DATA, 0xff, 0xff, 0xff, 0xff];
        sealer.seal(&header, &mut sealed).expect("a message");
        assert!(matches!(
            receive(&mut inbox, &sealed, 64),
            Err(ReadError::Frame(FrameError::TooLong { .. }))
        ));
    }

    #[test]
    fn memory_is_given_back_after_a_long_frame() {
        let (mut sealer, mut inbox) = ends();
        for length in [MAX_BODY, 1, 1] {
            let (mut plain, mut sealed) = (Vec::new(), Vec::new());
            frame::put(&mut plain, kind::DATA, |out| out.bytes(&vec![0; length])).expect("a frame");
            sealer.seal(&plain, &mut sealed).expect("messages");
            receive(&mut inbox, &sealed, 4_096).expect("frames");
        }
        assert!(inbox.plain.len() <= READ_LENGTH);
    }
}
