//! The thread that writes to a peer: commands in, bytes and blocks from disk out. Layer 3.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::outbox::Outbox;
use super::{BlockSource, Deadlines, Shared, reason_of};
use crate::geometry::Block;
use crate::net::limiter::{Limiter, Waited};
use crate::peer::link::{CloseReason, PeerCommand};
use crate::wire::message::{PIECE_HEADER_LENGTH, piece_header};

/// Most blocks, and most bytes of blocks, that are read from disk and sent with one call.
const BATCH_BLOCKS: usize = 16;
const BATCH_BYTES: usize = 256 * 1024;

/// A batch that took less time than this is followed by a larger one.
const QUICK: Duration = Duration::from_millis(20);

/// A batch that took more time than this is followed by a smaller one.
const SLOW: Duration = Duration::from_millis(200);

/// Under a rate limit a batch takes no more than the limit lets pass in a hundredth of a second (but at least
/// one block), so that it is soon the next peer's turn.
const TURNS_PER_SEC: u64 = 100;

/// The writing half of a socket.
pub(super) trait Outlet {
    /// Sends some of the slices, in order, and says how many bytes. It waits until the socket takes any, or
    /// for the write timeout of the socket: then the error is [`ErrorKind::WouldBlock`].
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// The state of the writing thread.
pub(super) struct Writer<O> {
    outlet: O,
    shared: Arc<Shared>,
    commands: Receiver<PeerCommand>,
    outbox: Outbox,
    source: Arc<dyn BlockSource>,
    upload: Arc<Limiter>,
    deadlines: Deadlines,
    batch: Batch,
    /// Bytes of blocks that the rate limit let pass and that were not sent.
    paid: usize,
    last_sent: Instant,
}

/// What goes out with one call; kept between calls for its memory.
#[derive(Default)]
struct Batch {
    control: Vec<u8>,
    uploads: Vec<Block>,
    headers: Vec<[u8; PIECE_HEADER_LENGTH]>,
    data: Vec<u8>,
    /// How many blocks the next batch may have: as many as go out in about a tenth of a second, so that a
    /// slow peer does not hold a choke, a cancel or a request up for long.
    most_blocks: usize,
}

impl<O: Outlet> Writer<O> {
    pub(super) fn new(
        outlet: O,
        shared: Arc<Shared>,
        commands: Receiver<PeerCommand>,
        outbox: Outbox,
        source: Arc<dyn BlockSource>,
        upload: Arc<Limiter>,
        deadlines: Deadlines,
    ) -> Self {
        Self {
            outlet,
            shared,
            commands,
            outbox,
            source,
            upload,
            deadlines,
            batch: Batch {
                most_blocks: 1,
                ..Batch::default()
            },
            paid: 0,
            last_sent: Instant::now(),
        }
    }

    /// Writes until the connection ends.
    pub(super) fn run(mut self) {
        let reason = loop {
            if let Err(reason) = self.write_once() {
                break reason;
            }
        };
        // The reader tells the Downloader.
        self.shared.end(reason);
    }

    fn write_once(&mut self) -> Result<(), CloseReason> {
        self.take_commands();
        self.check_open()?;
        let most_bytes = self.wait_for_turn()?;
        if self.outbox.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let batch = &mut self.batch;
        self.outbox.take_messages(&mut batch.control);
        self.outbox
            .take_uploads(batch.most_blocks, most_bytes, &mut batch.uploads);
        batch.load(&*self.source)?;
        let bytes = batch.headers.as_flattened().len() + batch.data.len();
        self.upload.charge(bytes.saturating_sub(self.paid));
        self.paid = self.paid.saturating_sub(bytes);
        self.send_batch()?;
        self.batch.adapt(began.elapsed());
        Ok(())
    }

    /// Takes every command that is there, and waits for one while there is nothing to send.
    fn take_commands(&mut self) {
        while self.outbox.is_empty() && !self.shared.is_closing() {
            let silence_ends = self.last_sent + self.deadlines.keep_alive;
            match self.commands.recv_deadline(silence_ends) {
                Ok(command) => self.outbox.apply(command),
                Err(RecvTimeoutError::Timeout) => {
                    self.outbox.keep_alive();
                    // A peer that asks for nothing costs no buffers.
                    self.batch = Batch {
                        most_blocks: 1,
                        ..Batch::default()
                    };
                }
                Err(RecvTimeoutError::Disconnected) => self.shared.end(CloseReason::ByUs("it was dropped")),
            }
        }
        while let Ok(command) = self.commands.try_recv() {
            self.outbox.apply(command);
        }
    }

    /// Waits until the rate limit lets the next uploads pass, and says how many bytes of them may go. Messages
    /// go out meanwhile: they are few, and our requests, if they stood behind blocks, would hold up what we
    /// receive, on which another limit stands.
    fn wait_for_turn(&mut self) -> Result<usize, CloseReason> {
        let upload = Arc::clone(&self.upload);
        let Some(rate) = upload.rate() else {
            self.paid = 0;
            return Ok(BATCH_BYTES);
        };
        // The same for every peer, since who asks for more at a time gets more.
        let turn = usize::try_from(rate / TURNS_PER_SEC).map_or(BATCH_BYTES, |turn| turn.min(BATCH_BYTES));
        let mut claim = None;
        loop {
            if self.outbox.has_messages() {
                self.send_messages()?;
            }
            let (_, bytes) = self.outbox.next_uploads(self.batch.most_blocks, turn);
            if bytes <= self.paid {
                return Ok(turn);
            }
            let lacking = bytes - self.paid;
            let (claim, asked) = claim.get_or_insert_with(|| (upload.claim(lacking), lacking));
            let silence_ends = self.last_sent + self.deadlines.keep_alive;
            match claim.wait(&self.commands, Some(silence_ends)) {
                // More may have been queued meanwhile; what has been taken back is paid for next time.
                Waited::Granted => {
                    self.paid += *asked;
                    return Ok(turn.min(self.paid));
                }
                Waited::Other(Ok(command)) => self.outbox.apply(command),
                Waited::Other(Err(_)) => self.shared.end(CloseReason::ByUs("it was dropped")),
                Waited::Woken if Instant::now() >= silence_ends => self.outbox.keep_alive(),
                Waited::Woken => {}
            }
            while let Ok(command) = self.commands.try_recv() {
                self.outbox.apply(command);
            }
            self.check_open()?;
        }
    }

    /// Sends the messages that wait, and no blocks.
    fn send_messages(&mut self) -> Result<(), CloseReason> {
        self.outbox.take_messages(&mut self.batch.control);
        self.batch.uploads.clear();
        self.batch.headers.clear();
        self.batch.data.clear();
        self.send_batch()
    }

    fn send_batch(&mut self) -> Result<(), CloseReason> {
        let batch = &self.batch;
        let mut slices = Vec::with_capacity(1 + 2 * batch.uploads.len());
        if !batch.control.is_empty() {
            slices.push(IoSlice::new(&batch.control));
        }
        let mut data = batch.data.as_slice();
        for (block, header) in batch.uploads.iter().zip(&batch.headers) {
            let (payload, rest) = data.split_at(block.length as usize);
            slices.extend([IoSlice::new(header), IoSlice::new(payload)]);
            data = rest;
        }
        send_all(&mut self.outlet, &self.shared, &mut slices, self.deadlines.stall)?;
        self.upload.charge(batch.control.len());
        self.last_sent = Instant::now();
        let payload = batch.data.len() as u64;
        self.shared
            .counters
            .payload_sent
            .fetch_add(payload, Ordering::Relaxed);
        self.outbox.uploads_done(batch.uploads.len());
        Ok(())
    }

    fn check_open(&self) -> Result<(), CloseReason> {
        if self.shared.is_closing() {
            return Err(CloseReason::ByUs("the connection is being closed"));
        }
        Ok(())
    }
}

impl Batch {
    /// Reads the data of the uploads: blocks that follow each other in a piece with one read.
    fn load(&mut self, source: &dyn BlockSource) -> Result<(), CloseReason> {
        self.headers.clear();
        self.headers
            .extend(self.uploads.iter().map(|block| piece_header(*block)));
        let total = self.uploads.iter().map(|block| block.length as usize).sum();
        self.data.resize(total, 0);
        let mut data = self.data.as_mut_slice();
        let follows =
            |one: &Block, next: &Block| one.piece == next.piece && one.begin + one.length == next.begin;
        for run in self.uploads.chunk_by(follows) {
            let length = run.iter().map(|block| block.length as usize).sum();
            let (space, rest) = std::mem::take(&mut data).split_at_mut(length);
            source
                .read_block(run[0].piece, run[0].begin, space)
                .map_err(|error| CloseReason::Disk(error.to_string()))?;
            data = rest;
        }
        Ok(())
    }

    fn adapt(&mut self, took: Duration) {
        if took > SLOW {
            self.most_blocks = (self.uploads.len() / 2).max(1);
        } else if took < QUICK && self.uploads.len() == self.most_blocks {
            self.most_blocks = (2 * self.most_blocks).min(BATCH_BLOCKS);
        }
    }
}

/// Sends everything, unless the socket takes nothing for `stall`.
fn send_all(
    outlet: &mut impl Outlet,
    shared: &Shared,
    mut slices: &mut [IoSlice<'_>],
    stall: Duration,
) -> Result<(), CloseReason> {
    let mut last_taken = Instant::now();
    while !slices.is_empty() {
        match outlet.send(slices) {
            Ok(0) => return Err(CloseReason::ByPeer),
            Ok(count) => {
                last_taken = Instant::now();
                shared.counters.sent.fetch_add(count as u64, Ordering::Relaxed);
                IoSlice::advance_slices(&mut slices, count);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if last_taken.elapsed() >= stall {
                    return Err(CloseReason::Stalled);
                }
            }
            Err(error) => return Err(reason_of(&error)),
        }
    }
    Ok(())
}
