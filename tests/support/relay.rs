//! A path with a length: what goes through the relay arrives later, not faster than a rate, and some of it never.
//!
//! ```text
//! client ──► relay ──► server       `toward`: the way there, `back`: the way of the answers
//!        ◄──       ◄──
//! ```
//!
//! Streams and datagrams have a [`Relay`] each. A stream cannot lose bytes, so what is lost of it comes a round trip
//! later, and all that was sent behind it waits: what TCP makes of loss. Chance is seeded. The kernel has no delay of
//! its own for the loopback, and the windows of TCP are those of the loopback: only what the two programs have on its
//! way at a time is tried here.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

/// Most bytes that are carried at a time: large enough that a gigabit takes a thousand of them a second.
const CHUNK: usize = 128 * 1024;

/// At lower rates they are what passes in a hundredth of a second, or a packet.
const CHUNKS_PER_SEC: u64 = 100;

/// Bytes that the sockets of the relay hold beside its queues: little, or the path would be longer than it says.
const SOCKET_BUFFER: usize = 256 * 1024;

/// What a packet carries on most networks.
const PACKET: usize = 1_448;

/// How one direction is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// How long a byte travels.
    pub(crate) delay: Duration,
    /// Bytes a second, all connections together; `None`: no limit.
    pub(crate) rate: Option<u64>,
    /// How much time's worth of bytes waits before the narrow place at most, of each connection.
    pub(crate) queue: Duration,
    /// 0..=1 of the packets that are lost.
    pub(crate) loss: f64,
    /// Datagrams travel up to this much longer, so that they overtake each other.
    pub(crate) jitter: Duration,
}

impl Way {
    /// Without a limit, and without loss.
    pub(crate) const fn of_delay(delay: Duration) -> Self {
        Self {
            delay,
            rate: None,
            queue: Duration::from_millis(50),
            loss: 0.0,
            jitter: Duration::ZERO,
        }
    }

    /// With this many bytes a second.
    pub(crate) const fn at_rate(self, rate: u64) -> Self {
        Self {
            rate: Some(rate),
            ..self
        }
    }

    /// Bytes that are carried at a time.
    fn chunk(&self) -> usize {
        let passing = |rate| usize::try_from(rate / CHUNKS_PER_SEC).unwrap_or(CHUNK);
        self.rate.map_or(CHUNK, passing).clamp(PACKET, CHUNK)
    }

    /// Bytes of one connection that are under way when it is full.
    fn capacity(&self) -> usize {
        // Without a rate the queue is what the memory of the test takes.
        let rate = self.rate.unwrap_or(1 << 30);
        let time = self.delay + self.queue;
        (rate as f64 * time.as_secs_f64()) as usize + self.chunk()
    }
}

/// The narrow place of a direction, which its connections share.
#[derive(Debug)]
pub(crate) struct Link {
    way: Way,
    rng: fastrand::Rng,
    free_at: Instant,
}

impl Link {
    pub(crate) fn new(way: Way, seed: u64) -> Self {
        Self {
            way,
            rng: fastrand::Rng::with_seed(seed),
            free_at: Instant::now(),
        }
    }

    /// When bytes that are sent now come out at its other end, if nothing happens to them.
    pub(crate) fn carry(&mut self, bytes: usize) -> Instant {
        let now = Instant::now();
        let on_the_wire = self.way.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(bytes as f64 / rate as f64)
        });
        self.free_at = self.free_at.max(now) + on_the_wire;
        self.free_at + self.way.delay
    }

    /// Whether some of these bytes are lost.
    pub(crate) fn loses(&mut self, bytes: usize) -> bool {
        let packets = i32::try_from(bytes.div_ceil(PACKET)).unwrap_or(i32::MAX);
        self.rng.f64() > (1.0 - self.way.loss).powi(packets)
    }
}

/// What has come through, and what peers asked of each other with it.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// Connections that were opened.
    pub(crate) connections: AtomicU64,
    /// Bytes that have reached clients.
    pub(crate) back: AtomicU64,
    /// Blocks that have reached clients (BEP 3 §piece).
    pub(crate) blocks: AtomicU64,
    /// Requests that clients sent less those that they took back or that were rejected.
    requests: AtomicI64,
}

impl Carried {
    /// Requests of the clients that have no answer yet, as the clients see it.
    pub(crate) fn out(&self) -> u64 {
        let blocks = self.blocks.load(Ordering::Relaxed);
        let requests = self.requests.load(Ordering::Relaxed);
        u64::try_from(requests).unwrap_or(0).saturating_sub(blocks)
    }

    /// Takes a message of a client into account, by its number (BEP 3, BEP 6).
    fn on_asked(&self, message: u8) {
        let more = match message {
            6 => 1,
            8 => -1,
            _ => 0,
        };
        self.requests.fetch_add(more, Ordering::Relaxed);
    }

    /// Takes a message to a client into account.
    fn on_answered(&self, message: u8) {
        match message {
            7 => self.blocks.fetch_add(1, Ordering::Relaxed) as i64,
            16 => self.requests.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

/// Finds the messages in a stream between two peers.
#[derive(Debug)]
struct Tap {
    /// Bytes of the handshake or of a message that are still to come.
    skip: usize,
    /// The length of the next message, as far as it is here.
    prefix: Vec<u8>,
}

impl Tap {
    fn new() -> Self {
        Self {
            skip: 68,
            prefix: Vec::new(),
        }
    }

    /// Says the number of each message that is complete with these bytes.
    fn on_bytes(&mut self, mut bytes: &[u8], mut on_message: impl FnMut(u8)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                if self.skip > 0 {
                    return;
                }
                if let Some(number) = self.prefix.get(4) {
                    on_message(*number);
                }
                self.prefix.clear();
                continue;
            }
            self.prefix.push(bytes[0]);
            bytes = &bytes[1..];
            let length = |prefix: &[u8]| u32::from_be_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]);
            match self.prefix.len() {
                // A keep-alive.
                4 if length(&self.prefix) == 0 => self.prefix.clear(),
                5 if length(&self.prefix) == 1 => {
                    on_message(self.prefix[4]);
                    self.prefix.clear();
                }
                5 => self.skip = length(&self.prefix) as usize - 1,
                _ => {}
            }
        }
    }
}

/// The relay of streams. It ends with the value.
#[derive(Debug)]
pub(crate) struct Relay {
    addr: SocketAddr,
    carried: Arc<Carried>,
    closing: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// A relay to the server at `to`, which clients reach at [`Self::addr`].
    pub(crate) fn start(to: SocketAddr, toward: Way, back: Way, seed: u64) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into())?;
        socket.listen(128)?;
        let listener = TcpListener::from(socket);
        let addr = listener.local_addr()?;
        let (carried, closing) = (Arc::default(), Arc::default());
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let acceptor = Acceptor {
            to,
            toward: Arc::new(Mutex::new(Link::new(toward, seed))),
            back: Arc::new(Mutex::new(Link::new(back, seed ^ 1))),
            carried: Arc::clone(&carried),
            closing: Arc::clone(&closing),
            streams: Arc::clone(&streams),
        };
        let thread = Some(thread::spawn(move || acceptor.run(&listener)));
        Ok(Self {
            addr,
            carried,
            closing,
            streams,
            thread,
        })
    }

    /// Where clients reach it.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What has come through.
    pub(crate) fn carried(&self) -> &Carried {
        &self.carried
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        // What it listens with can be woken by a caller only.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for stream in lock(&self.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

struct Acceptor {
    to: SocketAddr,
    toward: Arc<Mutex<Link>>,
    back: Arc<Mutex<Link>>,
    carried: Arc<Carried>,
    closing: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Acceptor {
    fn run(&self, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.closing.load(Ordering::Acquire) {
                return;
            }
            // A client whose server cannot be reached sees its connection end.
            let _ = client.and_then(|client| self.join(client));
        }
    }

    fn join(&self, client: TcpStream) -> io::Result<()> {
        let server = Socket::new(Domain::for_address(self.to), Type::STREAM, None)?;
        server.set_recv_buffer_size(SOCKET_BUFFER)?;
        server.connect(&self.to.into())?;
        let server = TcpStream::from(server);
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            SockRef::from(stream).set_send_buffer_size(SOCKET_BUFFER)?;
            lock(&self.streams).push(stream.try_clone()?);
        }
        self.carried.connections.fetch_add(1, Ordering::Relaxed);
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        let (asked, answered) = (Arc::clone(&self.carried), Arc::clone(&self.carried));
        let (mut toward, mut back) = (Tap::new(), Tap::new());
        let on_sent = move |bytes: &[u8]| toward.on_bytes(bytes, |message| asked.on_asked(message));
        carry(from, to, &self.toward, on_sent, |_| {});
        let on_arrived = move |bytes: &[u8]| {
            answered.back.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            back.on_bytes(bytes, |message| answered.on_answered(message));
        };
        carry(server, client, &self.back, |_| {}, on_arrived);
        Ok(())
    }
}

/// Bytes under way, each with the time when it arrives.
#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<PipeState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PipeState {
    chunks: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    ended: bool,
}

/// Carries one direction of a connection until one of its ends closes it.
fn carry(
    mut from: TcpStream,
    mut to: TcpStream,
    link: &Arc<Mutex<Link>>,
    mut on_sent: impl FnMut(&[u8]) + Send + 'static,
    mut on_arrived: impl FnMut(&[u8]) + Send + 'static,
) {
    let pipe = Arc::new(Pipe::default());
    let (intake, link) = (Arc::clone(&pipe), Arc::clone(link));
    thread::spawn(move || {
        let way = lock(&link).way;
        let mut chunk = vec![0; way.chunk()];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            on_sent(&chunk[..count]);
            let due = {
                let mut link = lock(&link);
                let lost = link.loses(count);
                link.carry(count) + if lost { 2 * way.delay } else { Duration::ZERO }
            };
            if !intake.push(due, chunk[..count].to_vec(), way.capacity()) {
                break;
            }
        }
        intake.end();
    });
    thread::spawn(move || {
        while let Some((due, chunk)) = pipe.pop() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&chunk).is_err() {
                break;
            }
            on_arrived(&chunk);
        }
        pipe.end();
        let _ = to.shutdown(Shutdown::Write);
    });
}

impl Pipe {
    /// Puts a chunk in and waits while there is more than `most`; false when nobody takes it out any more.
    fn push(&self, due: Instant, chunk: Vec<u8>, most: usize) -> bool {
        let mut state = lock(&self.state);
        state.bytes += chunk.len();
        state.chunks.push_back((due, chunk));
        self.changed.notify_all();
        while state.bytes > most && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.ended
    }

    /// Takes the oldest chunk out; `None` at the end.
    fn pop(&self) -> Option<(Instant, Vec<u8>)> {
        let mut state = lock(&self.state);
        loop {
            if let Some((due, chunk)) = state.chunks.pop_front() {
                state.bytes -= chunk.len();
                self.changed.notify_all();
                return Some((due, chunk));
            }
            if state.ended {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self) {
        lock(&self.state).ended = true;
        self.changed.notify_all();
    }
}

/// A thread that panicked holding it has failed its test anyway.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
