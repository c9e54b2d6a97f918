//! The sockets of the UDP face and the threads that read them. Layer 3.
//!
//! Each thread has a socket of its own for one address (`SO_REUSEPORT`): the kernel spreads clients over them, and
//! no thread waits for another. What one wake-up brings is answered with one system call.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny, recvfrom, sendmmsg};
use socket2::{Domain, Protocol, Socket, Type};

use super::super::ServeError;
use super::super::counters::Face;
use super::super::front::{Front, Shared};
use super::super::seam::{Letter, Mailbox, ReturnTo};
use super::datagrams;

/// Datagrams that are answered together.
const BATCH: usize = 32;
/// Most batches that are answered once the server is told to stop: about what a socket holds.
const LAST_BATCHES: usize = 400;
/// No request is longer: options of BEP 41 included.
const MAX_REQUEST: usize = 2048;
/// How often an idle thread looks whether it should end.
const NAP: Duration = Duration::from_millis(500);
/// The wait after reading failed for a reason that may last: it must not be tried in a loop.
const PAUSE: Duration = Duration::from_millis(100);
/// Room for an answer with 30 peers: more than most have.
const USUAL_ANSWER: usize = 200;
/// For bursts: some 10,000 requests. The system lowers it to `net.core.rmem_max`.
const SOCKET_BUFFER: usize = 4 << 20;

/// The running threads of one address.
#[derive(Debug)]
pub(in crate::tracker::server) struct UdpFace {
    /// Where it listens; the port is the one that the system chose, if it was to.
    pub(in crate::tracker::server) address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl UdpFace {
    /// Waits for the threads, after the server was told to stop.
    pub(in crate::tracker::server) fn join(self) {
        for thread in self.threads {
            // A panic was reported by the panic itself.
            let _ = thread.join();
        }
    }
}

/// Listens on `address` with this many threads.
pub(in crate::tracker::server) fn start(
    shared: &Arc<Shared>,
    address: SocketAddr,
    threads: usize,
) -> Result<UdpFace, ServeError> {
    let failed = |source| ServeError::Listen {
        face: "UDP",
        address,
        source,
    };
    let sockets = open_all(address, threads).map_err(failed)?;
    let address = sockets[0].local_addr().map_err(failed)?;
    let threads = sockets
        .into_iter()
        .enumerate()
        .map(|(number, socket)| {
            let socket = Arc::new(socket);
            let mailbox = Arc::new(UdpMailbox {
                socket: Arc::clone(&socket),
                shared: Arc::clone(shared),
            });
            let worker = Worker {
                front: Front::new(shared, Face::Udp, mailbox),
                socket,
                outbox: Outbox::default(),
            };
            thread::Builder::new()
                .name(format!("udp-{}-{number}", address.port()))
                .spawn(move || worker.run())
        })
        .collect::<io::Result<_>>();
    match threads {
        Ok(threads) => Ok(UdpFace { address, threads }),
        Err(source) => {
            // Those that run must not go on without us.
            shared.stop();
            Err(ServeError::Thread(source))
        }
    }
}

/// One socket for each thread, all on one port.
fn open_all(address: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    // The first one is bound alone: another program that has this port must be noticed, not joined.
    let first = open(address)?;
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    let first = UdpSocket::from(first);
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..count {
        let next = open(address)?;
        next.set_reuse_port(true)?;
        next.bind(&address.into())?;
        sockets.push(next.into());
    }
    Ok(sockets)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_read_timeout(Some(NAP))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    Ok(socket)
}

/// All that a thread owns.
#[derive(Debug)]
struct Worker {
    front: Front,
    socket: Arc<UdpSocket>,
    outbox: Outbox,
}

impl Worker {
    fn run(mut self) {
        let mut buffer = [0; MAX_REQUEST];
        let mut failing = false;
        while !self.front.shared.is_stopping() {
            match self.socket.recv_from(&mut buffer) {
                Ok((len, client)) => {
                    failing = false;
                    self.front.wake();
                    self.answer(&buffer[..len], client);
                    self.answer_the_rest(&mut buffer);
                    self.outbox.send(&self.socket);
                    self.front.flush();
                }
                Err(error) if is_nap(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        log::error!("cannot receive datagrams: {error}");
                    }
                    thread::sleep(PAUSE);
                }
            }
        }
        // Whoever has asked before the end gets an answer.
        self.front.wake();
        for _ in 0..LAST_BATCHES {
            if self.answer_the_rest(&mut buffer) == 0 {
                break;
            }
            self.outbox.send(&self.socket);
        }
    }

    /// Whatever else is there already, up to a batch. Returns how many datagrams that were.
    fn answer_the_rest(&mut self, buffer: &mut [u8]) -> usize {
        for count in 0..BATCH - 1 {
            let Ok((len, _, Some(client))) = recvfrom(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) else {
                // What is wrong, the next call that waits will say.
                return count;
            };
            let Ok(client) = SocketAddr::try_from(client) else {
                continue;
            };
            self.answer(&buffer[..len], client);
        }
        BATCH - 1
    }

    fn answer(&mut self, datagram: &[u8], client: SocketAddr) {
        self.outbox.push(client, |out| {
            datagrams::answer(&mut self.front, datagram, client, out);
        });
    }
}

fn is_nap(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// Answers that are sent together.
#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    letters: Vec<(SocketAddrAny, Range<usize>)>,
}

impl Outbox {
    /// Adds what `write` appends, if it does.
    fn push(&mut self, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        if self.bytes.len() > start {
            self.letters.push((to.as_any(), start..self.bytes.len()));
        }
    }

    /// Sends all. What the kernel does not take is lost, as datagrams may be; clients ask again.
    fn send(&mut self, socket: &UdpSocket) {
        match &self.letters[..] {
            [] => {}
            [(to, range)] => {
                let _ = rustix::net::sendto(socket, &self.bytes[range.clone()], SendFlags::empty(), to);
            }
            letters => send_together(socket, &self.bytes, letters),
        }
        self.bytes.clear();
        self.letters.clear();
    }
}

fn send_together(socket: &UdpSocket, bytes: &[u8], letters: &[(SocketAddrAny, Range<usize>)]) {
    let slices: Vec<[IoSlice<'_>; 1]> = letters
        .iter()
        .map(|(_, range)| [IoSlice::new(&bytes[range.clone()])])
        .collect();
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
        letters.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: Vec<MMsgHdr<'_>> = letters
        .iter()
        .zip(&slices)
        .zip(&mut controls)
        .map(|(((to, _), slice), control)| MMsgHdr::new_with_addr(to, slice, control))
        .collect();
    let mut rest = &mut messages[..];
    while !rest.is_empty() {
        match sendmmsg(socket, rest, SendFlags::empty()) {
            Ok(sent) => rest = &mut rest[sent.max(1)..],
            Err(Errno::INTR) => {}
            // The first one cannot be sent: no route to this client, or a packet filter. The others can.
            Err(_) => rest = &mut rest[1..],
        }
    }
}

/// Sends what comes later, from the thread that brings it and as one: a socket for datagrams can be shared.
#[derive(Debug)]
struct UdpMailbox {
    socket: Arc<UdpSocket>,
    shared: Arc<Shared>,
}

impl Mailbox for UdpMailbox {
    fn deliver(&self, letters: &mut Vec<Letter>) {
        let rules = self.shared.rules.newest();
        let mut rng = fastrand::Rng::new();
        let mut outbox = Outbox {
            bytes: Vec::with_capacity(letters.len() * USUAL_ANSWER),
            letters: Vec::with_capacity(letters.len()),
        };
        for (to, answer) in letters.drain(..) {
            let ReturnTo::Udp { client, transaction } = to else {
                log::error!("an answer for HTTP came to the UDP face");
                continue;
            };
            let interval = rules.interval(&mut rng);
            outbox.push(client, |out| {
                datagrams::write_late(transaction, &answer, interval, out);
            });
        }
        outbox.send(&self.socket);
    }
}
