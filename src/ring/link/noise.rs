//! The stream of frames as a stream of Noise messages, and back. Layer 1.
//!
//! Each Noise message has its length before it, two bytes, most significant first. Where one ends says nothing
//! about where a frame ends. Either direction has a key of its own and numbers its messages from 0; the numbers
//! are not sent, so a message that is left out, repeated or changed cannot be opened, and ends the link.

use std::sync::Arc;

use snow::StatelessTransportState;

/// The Noise protocol of a link: both sides prove a static key (`XX`) and that they know the ring's key (`psk3`).
pub(super) const PATTERN: &str = "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s";

/// Bytes before a Noise message that say how long it is.
pub(super) const PREFIX_LENGTH: usize = 2;

/// Bytes that a Noise message has more than what it carries.
pub(super) const TAG_LENGTH: usize = 16;

/// Most bytes that a Noise message carries.
pub(super) const MAX_PLAIN: usize = 65_535 - TAG_LENGTH;

/// A message that is none of the other side's, or not the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message {number} of the link cannot be opened: changed, left out or repeated on its way")]
pub struct OpenError {
    /// Its number, from 0.
    pub number: u64,
}

/// Encrypts one direction of a link.
#[derive(Debug)]
pub(super) struct Sealer {
    transport: Arc<StatelessTransportState>,
    number: u64,
}

/// Decrypts the other direction.
#[derive(Debug)]
pub(super) struct Opener {
    transport: Arc<StatelessTransportState>,
    number: u64,
}

/// Parts a finished handshake into what the writer and what the reader needs.
pub(super) fn part(transport: StatelessTransportState) -> (Sealer, Opener) {
    let transport = Arc::new(transport);
    let sealer = Sealer {
        transport: Arc::clone(&transport),
        number: 0,
    };
    (sealer, Opener { transport, number: 0 })
}

impl Sealer {
    /// Appends `plain` to `out` as one or several messages.
    ///
    /// # Errors
    /// After 2⁶⁴ messages.
    pub(super) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), snow::Error> {
        for part in plain.chunks(MAX_PLAIN) {
            let length = part.len() + TAG_LENGTH;
            // `MAX_PLAIN` bounds it.
            out.extend_from_slice(&(length as u16).to_be_bytes());
            let start = out.len();
            out.resize(start + length, 0);
            self.transport
                .write_message(self.number, part, &mut out[start..])?;
            self.number += 1;
        }
        Ok(())
    }
}

impl Opener {
    /// Opens one message, which stands without its length in `sealed`, into the front of `plain`, and says how
    /// many bytes that was. `plain` must be as long as `sealed`.
    pub(super) fn open(&mut self, sealed: &[u8], plain: &mut [u8]) -> Result<usize, OpenError> {
        let error = OpenError { number: self.number };
        // Below it `snow` panics.
        if sealed.len() < TAG_LENGTH {
            return Err(error);
        }
        let opened = self.transport.read_message(self.number, sealed, plain);
        self.number += 1;
        opened.map_err(|_| error)
    }
}
