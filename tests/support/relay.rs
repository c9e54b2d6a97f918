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
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

/// Bytes that are carried at a time: large enough that a gigabit takes a thousand of them a second.
const CHUNK: usize = 128 * 1024;

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

    /// Bytes of one connection that are under way when it is full.
    fn capacity(&self) -> usize {
        // Without a rate the queue is what the memory of the test takes.
        let rate = self.rate.unwrap_or(1 << 30);
        let time = self.delay + self.queue;
        (rate as f64 * time.as_secs_f64()) as usize + CHUNK
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

/// What has come through.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// Bytes from clients to the server.
    pub(crate) toward: AtomicU64,
    /// The same at the clients' end, before they travel.
    pub(crate) asked: AtomicU64,
    /// Bytes from the server, before they travel.
    pub(crate) served: AtomicU64,
    /// The same at the clients' end.
    pub(crate) back: AtomicU64,
    /// Connections that were opened.
    pub(crate) connections: AtomicU64,
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
        carry(from, to, &self.toward, &self.carried, |carried| {
            [&carried.asked, &carried.toward]
        });
        carry(server, client, &self.back, &self.carried, |carried| {
            [&carried.served, &carried.back]
        });
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
    carried: &Arc<Carried>,
    counts: fn(&Carried) -> [&AtomicU64; 2],
) {
    let pipe = Arc::new(Pipe::default());
    let (link, carried) = (Arc::clone(link), Arc::clone(carried));
    let (intake, taken_in) = (Arc::clone(&pipe), Arc::clone(&carried));
    thread::spawn(move || {
        let way = lock(&link).way;
        let mut chunk = vec![0; CHUNK];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            counts(&taken_in)[0].fetch_add(count as u64, Ordering::Relaxed);
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
            counts(&carried)[1].fetch_add(chunk.len() as u64, Ordering::Relaxed);
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
