//! The two threads of a connection: one reads, one writes, and neither knows what the bytes are for.
//! Layer 3, BEP 3 §peer protocol.
//!
//! The reader turns bytes into [`PeerBatch`]es for the Downloader; the writer turns [`PeerCommand`]s into
//! bytes and reads what it uploads from disk itself. They share [`PeerCounters`] and the way to end: whoever
//! finds a reason notes it, shuts the socket down and wakes the other, and the reader, which is the only one
//! who speaks to the Downloader, reports it with its last batch.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};
use rustix::net::{RecvAncillaryBuffer, RecvFlags, recvmsg};

use self::assembler::Assembler;
use self::outbox::Outbox;
use self::reader::{Inlet, Patience, Reader};
use self::writer::{Outlet, Writer};
use super::link::{CloseReason, CompletedLog, PeerBatch, PeerCommand, PeerCounters, PeerKey};
use crate::geometry::{Geometry, PieceIndex};
use crate::memory::BlockPool;
use crate::net::limiter::Limiter;
use crate::storage::Storage;
use crate::wire::message::FrameLimits;

mod assembler;
mod outbox;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

/// Address space for the stack of each thread. They do not recurse, and what is not used is never mapped.
const STACK_BYTES: usize = 256 * 1024;

/// Where the writer finds what it uploads.
pub trait BlockSource: Send + Sync + fmt::Debug {
    /// Fills `into` with the bytes of a piece from byte `begin` on.
    ///
    /// # Errors
    /// If they cannot be read; the connection ends with [`CloseReason::Disk`] and this error's words.
    fn read_block(
        &self,
        piece: PieceIndex,
        begin: u32,
        into: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

impl BlockSource for Storage {
    fn read_block(
        &self,
        piece: PieceIndex,
        begin: u32,
        into: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.read(piece, begin, into)?)
    }
}

/// What a connection is made of.
#[derive(Debug)]
pub struct ConnectionSetup<S = Storage> {
    /// The name that its batches carry.
    pub key: PeerKey,
    /// The socket, blocking, with the handshakes exchanged and nothing behind them read.
    pub stream: TcpStream,
    /// The other end.
    pub addr: SocketAddr,
    /// Whether both ends speak the fast extension (BEP 6).
    pub fast: bool,
    /// The shape of the torrent.
    pub geometry: Geometry,
    /// The torrent's files.
    pub storage: Arc<S>,
    /// The pieces as we complete them.
    pub completed: Arc<CompletedLog>,
    /// How many of `completed` the peer learns from our bitfield; the rest is told by `have`.
    pub completed_cursor: usize,
    /// Where buffers for blocks come from.
    pub pool: Arc<BlockPool>,
    /// What all received bytes count against.
    pub download: Arc<Limiter>,
    /// What all sent bytes count against.
    pub upload: Arc<Limiter>,
    /// Where the batches go.
    pub events: Sender<PeerBatch>,
}

/// How long a peer may take. All of them measure time spent waiting for the peer, none a single system call.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    /// For the rest of a message that was begun.
    message: Duration,
    /// For anything at all. BEP 3 has peers send something every two minutes.
    idle: Duration,
    /// For its socket to take anything while there is something to send.
    stall: Duration,
    /// After this long without a word from us we send a keep-alive.
    keep_alive: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            message: Duration::from_secs(60),
            idle: Duration::from_secs(180),
            stall: Duration::from_secs(60),
            keep_alive: Duration::from_secs(120),
        }
    }
}

/// A running connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    shared: Arc<Shared>,
    threads: [Option<JoinHandle<()>>; 2],
}

impl Connection {
    /// Starts both threads. From now on `events` gets batches, and at the end exactly one with
    /// [`PeerBatch::closed`] set (unless its receiver is gone).
    ///
    /// # Errors
    /// If the socket cannot be configured or a thread cannot be started; then no batch is ever sent.
    pub fn spawn<S: BlockSource + 'static>(setup: ConnectionSetup<S>) -> io::Result<Self> {
        Self::spawn_with(setup, Deadlines::default())
    }

    fn spawn_with<S: BlockSource + 'static>(
        setup: ConnectionSetup<S>,
        deadlines: Deadlines,
    ) -> io::Result<Self> {
        let patience = Patience::new(deadlines);
        // We send whole batches: waiting for more to send would only delay them.
        setup.stream.set_nodelay(true)?;
        setup.stream.set_read_timeout(Some(patience.per_read()))?;
        // A quarter, because a call that takes something and then waits reports no timeout.
        setup.stream.set_write_timeout(Some(deadlines.stall / 4))?;

        let (commands_tx, commands_rx) = unbounded();
        let stream = Arc::new(setup.stream);
        let counters = Arc::new(PeerCounters::default());
        let shared = Arc::new(Shared {
            key: setup.key,
            addr: setup.addr,
            stream: Arc::clone(&stream),
            counters: Arc::clone(&counters),
            commands: commands_tx,
            download: Arc::clone(&setup.download),
            upload: Arc::clone(&setup.upload),
            reason: OnceLock::new(),
        });
        let outbox = Outbox::new(
            setup.fast,
            setup.geometry,
            setup.completed,
            setup.completed_cursor,
            counters,
        );
        let writer = Writer::new(
            Socket(Arc::clone(&stream)),
            Arc::clone(&shared),
            commands_rx,
            outbox,
            setup.storage,
            setup.upload,
            deadlines,
        );
        let reader = Reader {
            inlet: Socket(stream),
            shared: Arc::clone(&shared),
            assembler: Assembler::new(FrameLimits::for_pieces(setup.geometry.piece_count()), setup.pool),
            download: setup.download,
            events: setup.events,
            patience,
            owed: 0,
        };
        let thread = |half| {
            Builder::new()
                .name(format!("{half} {}", setup.addr))
                .stack_size(STACK_BYTES)
        };
        let writer = thread("w").spawn(move || writer.run())?;
        let reader = thread("r").spawn(move || reader.run()).inspect_err(|_| {
            shared.end(CloseReason::ByUs("its reader could not be started"));
        })?;
        Ok(Self {
            shared,
            threads: [Some(reader), Some(writer)],
        })
    }

    /// Hands a command to the writer. After the end it is dropped.
    ///
    /// An [`PeerCommand::Upload`] counts in [`PeerCounters::uploads_queued`] from here on; only the writer
    /// takes it out again.
    pub fn send(&self, command: PeerCommand) {
        if matches!(command, PeerCommand::Upload(_)) {
            self.shared
                .counters
                .uploads_queued
                .fetch_add(1, Ordering::Relaxed);
        }
        self.shared.tell_writer(command);
    }

    /// Tells the writer that the list of completed pieces has grown, unless it is about to look anyway.
    pub fn nudge_haves(&self) {
        if !self.shared.counters.haves_pending.swap(true, Ordering::AcqRel) {
            self.shared.tell_writer(PeerCommand::Haves);
        }
    }

    /// Ends the connection and does not wait for it; what is queued is not sent any more. The last batch says
    /// [`CloseReason::ByUs`].
    pub fn close(&self) {
        self.shared.end(CloseReason::ByUs("we closed the connection"));
    }

    /// The other end.
    pub fn addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// What the threads count.
    pub fn counters(&self) -> &Arc<PeerCounters> {
        &self.shared.counters
    }

    /// Whether both threads have ended, so that [`Self::join`] would not wait.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().flatten().all(JoinHandle::is_finished)
    }

    /// Waits for both threads; [`Self::close`] first, unless the connection has ended by itself. The reader
    /// may be waiting for room in the channel of batches, so the thread that empties this channel must not
    /// call this before it dropped the receiver.
    pub fn join(mut self) {
        for thread in self.threads.iter_mut().filter_map(Option::take) {
            if thread.join().is_err() {
                log::error!(
                    "a thread of peer {} {} panicked",
                    self.shared.key,
                    self.shared.addr
                );
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the two threads and the [`Connection`] have in common.
#[derive(Debug)]
struct Shared {
    key: PeerKey,
    addr: SocketAddr,
    stream: Arc<TcpStream>,
    counters: Arc<PeerCounters>,
    commands: Sender<PeerCommand>,
    download: Arc<Limiter>,
    upload: Arc<Limiter>,
    /// Why the connection ended: the first reason that anybody had.
    reason: OnceLock<CloseReason>,
}

impl Shared {
    /// Ends the connection for this reason, unless it has ended for another one, and wakes both threads
    /// wherever they wait: on the socket, on the commands, on the limiters.
    fn end(&self, reason: CloseReason) {
        if self.reason.set(reason).is_err() {
            return;
        }
        self.counters.closing.store(true, Ordering::Release);
        // It fails if the peer was first.
        let _ = self.stream.shutdown(Shutdown::Both);
        self.tell_writer(PeerCommand::Send(Vec::new()));
        self.download.wake_all();
        self.upload.wake_all();
    }

    fn reason(&self) -> Option<CloseReason> {
        self.reason.get().cloned()
    }

    fn is_closing(&self) -> bool {
        self.counters.closing.load(Ordering::Acquire)
    }

    fn tell_writer(&self, command: PeerCommand) {
        // A writer that has ended needs no commands.
        let _ = self.commands.send(command);
    }
}

fn reason_of(error: &io::Error) -> CloseReason {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            CloseReason::ByPeer
        }
        _ => CloseReason::Io(error.to_string()),
    }
}

/// One half of a socket.
struct Socket(Arc<TcpStream>);

impl Inlet for Socket {
    fn receive(&mut self, spaces: &mut [IoSliceMut<'_>], wait: bool) -> io::Result<usize> {
        let flags = if wait {
            RecvFlags::empty()
        } else {
            RecvFlags::DONTWAIT
        };
        let message = recvmsg(&*self.0, spaces, &mut RecvAncillaryBuffer::default(), flags)?;
        Ok(message.bytes)
    }
}

impl Outlet for Socket {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self.0).write_vectored(slices)
    }
}
