//! The thread that reads a peer: bytes in, batches of inputs out. Layer 3.

use std::io::{self, ErrorKind, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::assembler::Assembler;
use super::{Deadlines, Shared, reason_of};
use crate::net::limiter::Limiter;
use crate::peer::link::{CloseReason, PeerBatch, PeerInput};

/// Most blocks in a batch: 256 KiB, a small part of what the budget of the client allows.
const BATCH_BLOCKS: usize = 16;

/// Most inputs of any kind in a batch.
const BATCH_INPUTS: usize = 256;

/// Bytes that are read before they are paid for. What a peer asks of us is small: to wait in line for it
/// behind blocks would hold up what we send, on which another limit stands.
const MOST_OWED: usize = 16 * 1024;

/// The reading half of a socket.
pub(super) trait Inlet {
    /// Reads into the spaces, in order; 0 is the end. With `wait` it waits until something is there, or for
    /// the read timeout of the socket; without, and after a timeout, the error is [`ErrorKind::WouldBlock`].
    fn receive(&mut self, spaces: &mut [IoSliceMut<'_>], wait: bool) -> io::Result<usize>;
}

/// The state of the reading thread.
///
/// A batch is what one wake-up brought: it goes out when the socket is drained or when it is large enough,
/// and the thread never waits for anything with a finished block in its hands.
pub(super) struct Reader<I> {
    pub(super) inlet: I,
    pub(super) shared: Arc<Shared>,
    pub(super) assembler: Assembler,
    pub(super) download: Arc<Limiter>,
    pub(super) events: Sender<PeerBatch>,
    pub(super) patience: Patience,
    /// Bytes that were read and not paid for.
    pub(super) owed: usize,
}

impl<I: Inlet> Reader<I> {
    /// Reads until the connection ends, and says so with the last batch.
    pub(super) fn run(mut self) {
        let mut inputs = Vec::new();
        let reason = self.read_all(&mut inputs);
        self.shared.end(reason.clone());
        // Another thread may have ended the connection, and that is what our socket then died of.
        let reason = self.shared.reason().unwrap_or(reason);
        log::debug!("peer {} {}: {reason}", self.shared.key, self.shared.addr);
        let _ = self.events.send(PeerBatch {
            peer: self.shared.key,
            at: Instant::now(),
            inputs,
            closed: Some(reason),
        });
    }

    fn read_all(&mut self, inputs: &mut Vec<PeerInput>) -> CloseReason {
        loop {
            if let Err(reason) = self.read_once(inputs) {
                return reason;
            }
            if self.shared.is_closing() {
                return CloseReason::ByUs("the connection is being closed");
            }
        }
    }

    fn read_once(&mut self, inputs: &mut Vec<PeerInput>) -> Result<(), CloseReason> {
        let wait = inputs.is_empty();
        let within_message = self.assembler.is_within_message();
        let began = Instant::now();
        let mut spaces = self.assembler.spaces();
        let asked: usize = spaces.iter().map(|space| space.len()).sum();
        let received = self.inlet.receive(&mut spaces, wait);
        let now = Instant::now();
        let count = match received {
            Ok(0) => return Err(CloseReason::ByPeer),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            Err(error) if is_timeout(&error) && !wait => return self.flush(inputs, now),
            Err(error) if is_timeout(&error) => {
                let waited = (now - began).max(self.patience.per_read());
                return self.patience.spend(waited, within_message, false);
            }
            Err(error) => return Err(reason_of(&error)),
        };
        self.shared
            .counters
            .received
            .fetch_add(count as u64, Ordering::Relaxed);
        let finished = inputs.len();
        self.assembler
            .filled(count, inputs)
            .map_err(|error| CloseReason::Protocol(error.to_string()))?;
        let within_message = within_message && inputs.len() == finished;
        self.patience.spend(now - began, within_message, count > 0)?;
        let limited = self.download.is_limited();
        if count < asked || limited || is_full(inputs) {
            self.flush(inputs, now)?;
        }
        self.pay(count, limited)
    }

    /// Waits for the rate limit. Bytes are paid for after the fact, as nobody knows before how many there are:
    /// what is owed and one read are ahead at most.
    fn pay(&mut self, count: usize, limited: bool) -> Result<(), CloseReason> {
        self.owed = if limited { self.owed + count } else { 0 };
        if self.owed < MOST_OWED {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.owed);
        if self.download.acquire(bytes, &self.shared.counters.closing) {
            Ok(())
        } else {
            Err(CloseReason::ByUs("the connection is being closed"))
        }
    }

    fn flush(&mut self, inputs: &mut Vec<PeerInput>, at: Instant) -> Result<(), CloseReason> {
        if inputs.is_empty() {
            return Ok(());
        }
        let batch = PeerBatch {
            peer: self.shared.key,
            at,
            inputs: std::mem::take(inputs),
            closed: None,
        };
        let gone = |_| CloseReason::ByUs("the torrent is being stopped");
        self.events.send(batch).map_err(gone)
    }
}

fn is_full(inputs: &[PeerInput]) -> bool {
    let is_block = |input: &&PeerInput| matches!(input, PeerInput::Block { .. });
    inputs.len() >= BATCH_INPUTS
        || inputs.len() >= BATCH_BLOCKS && inputs.iter().filter(is_block).count() >= BATCH_BLOCKS
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// How long we still wait for a peer. Only time that was spent waiting for its bytes counts, so that our
/// own rate limit, or a busy Downloader, is not held against it.
#[derive(Debug)]
pub(super) struct Patience {
    message: Duration,
    idle: Duration,
    /// Waited for the message that is under way.
    in_message: Duration,
    /// Waited since the last byte.
    in_silence: Duration,
}

impl Patience {
    pub(super) const fn new(deadlines: Deadlines) -> Self {
        Self {
            message: deadlines.message,
            idle: deadlines.idle,
            in_message: Duration::ZERO,
            in_silence: Duration::ZERO,
        }
    }

    /// The read timeout that the socket needs for this.
    pub(super) fn per_read(&self) -> Duration {
        self.message.min(self.idle)
    }

    /// Takes note of a wait: whether it was wholly within one message, and whether bytes ended it.
    pub(super) fn spend(
        &mut self,
        waited: Duration,
        within_message: bool,
        heard: bool,
    ) -> Result<(), CloseReason> {
        self.in_silence = if heard {
            Duration::ZERO
        } else {
            self.in_silence + waited
        };
        self.in_message = if within_message {
            self.in_message + waited
        } else {
            Duration::ZERO
        };
        let late = |what, limit: Duration| {
            let seconds = limit.as_secs();
            Err(CloseReason::Protocol(format!("{what} {seconds} s")))
        };
        if self.in_message >= self.message {
            late("a message was not complete after", self.message)
        } else if self.in_silence >= self.idle {
            late("it said nothing for", self.idle)
        } else {
            Ok(())
        }
    }
}
