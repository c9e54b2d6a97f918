//! The thread that writes to a peer: commands in, bytes and blocks from disk out. Layer 3.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::outbox::Outbox;
use super::{BlockSource, Deadlines, Shared, reason_of};
use crate::geometry::Block;
use crate::net::limiter::Limiter;
use crate::peer::link::{CloseReason, PeerCommand};
use crate::wire::message::{PIECE_HEADER_LENGTH, piece_header};

/// Most blocks, and most bytes of blocks, that are read from disk and sent with one call.
const BATCH_BLOCKS: usize = 16;
const BATCH_BYTES: usize = 256 * 1024;

/// A batch that took less time than this is followed by a larger one.
const QUICK: Duration = Duration::from_millis(20);

/// A batch that took more time than this is followed by a smaller one.
const SLOW: Duration = Duration::from_millis(200);

/// Bytes of messages that go out before they are paid for.
const MOST_OWED: usize = 4 * 1024;

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
    /// Bytes of messages that were sent and not paid for.
    owed: usize,
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
    /// slow peer or a low limit does not hold a choke, a cancel or a request up for long.
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
            owed: 0,
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
        let began = Instant::now();
        let batch = &mut self.batch;
        self.outbox.take(
            batch.most_blocks,
            BATCH_BYTES,
            &mut batch.control,
            &mut batch.uploads,
        );
        batch.load(&*self.source)?;
        self.pay()?;
        self.send_batch()?;
        self.last_sent = Instant::now();
        self.batch.adapt(self.last_sent - began);
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

    /// Waits for the rate limit. Messages go out at once and are paid for with the next block: they are few,
    /// and a request that waited behind other peers' blocks would cost us more than it saves.
    fn pay(&mut self) -> Result<(), CloseReason> {
        self.owed += self.batch.control.len();
        if self.batch.uploads.is_empty() && self.owed < MOST_OWED {
            return Ok(());
        }
        let bytes = self.owed + self.batch.headers.as_flattened().len() + self.batch.data.len();
        self.owed = 0;
        if self.upload.acquire(bytes, &self.shared.counters.closing) {
            Ok(())
        } else {
            self.check_open()
        }
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
