//! Announces over UDP: as fast as they are answered, or at a fixed rate.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use dtorrent::id::{InfoHash, PeerId};
use dtorrent::tracker::announce::AnnounceRequest;
use dtorrent::tracker::udp::{Request, Response};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
use socket2::SockRef;

use crate::load::{Order, Population, WANTED};

/// Sockets for each server that is loaded to the full.
const SOCKETS: usize = 8;
/// Announces that each socket has under way.
const WINDOW: usize = 16;
/// For bursts of answers. The system lowers it to `net.core.rmem_max`.
const RECEIVE_BUFFER: usize = 4 << 20;
/// After this the datagram counts as lost, and the announce is made again.
const LOST_AFTER: Duration = Duration::from_secs(3);
/// An announce that has no answer by then is given up.
const GIVE_UP: Duration = Duration::from_secs(30);
/// What a datagram of an answer says that it is.
const ANNOUNCED: u32 = 1;
const CONNECTED: [u8; 4] = [0; 4];
/// Bytes of a connection id, and how often a new one is asked for.
const CONNECTION: usize = 8;
const ASK_EVERY: Duration = Duration::from_secs(40);
/// Bytes of an answer before what it says, and of that before its peers.
const HEAD: usize = 8;
const COUNTS: usize = 12;
/// Bytes of an announce, and where in it what differs stands.
const LENGTH: usize = 98;
const TRANSACTION: std::ops::Range<usize> = 12..16;
const INFO_HASH: std::ops::Range<usize> = 16..36;
const PORT: std::ops::Range<usize> = 96..98;

/// Asks for a connection id.
pub(crate) fn connect(server: SocketAddr) -> Result<(UdpSocket, u64)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server)?;
    // What waits here while this program is not run must not be lost.
    SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut buffer = [0; 2048];
    for _ in 0..10 {
        socket.send(&Request::Connect { transaction: 1 }.encode())?;
        let Ok(length) = socket.recv(&mut buffer) else {
            continue;
        };
        if let Response::Connect { connection, .. } = Response::decode(&buffer[..length], false)? {
            socket.set_nonblocking(true)?;
            return Ok((socket, connection));
        }
    }
    bail!("no connection id from {server}")
}

/// A socket for one server, and the announce that is sent over it again and again.
pub(crate) struct Line {
    pub(crate) socket: UdpSocket,
    template: [u8; LENGTH],
    /// The connection id, and when it was asked for last: it is good for two minutes.
    connection: Cell<[u8; CONNECTION]>,
    asked: Cell<Instant>,
}

impl Line {
    pub(crate) fn new(server: SocketAddr) -> Result<Self> {
        let (socket, connection) = connect(server)?;
        let request = Request::Announce {
            connection,
            transaction: 0,
            announce: Box::new(AnnounceRequest {
                info_hash: InfoHash::new([0; 20]),
                peer_id: PeerId::new(*b"-XX0001-abcdefghijkl"),
                port: 1,
                uploaded: 0,
                downloaded: 0,
                left: 1,
                event: None,
                num_want: Some(WANTED),
                key: 0,
                tracker_id: None,
            }),
            url_data: Vec::new(),
        };
        match request.encode().try_into() {
            Ok(template) => Ok(Self {
                socket,
                template,
                connection: Cell::new(connection.to_be_bytes()),
                asked: Cell::new(Instant::now()),
            }),
            Err(other) => bail!("an announce of {} bytes", other.len()),
        }
    }

    pub(crate) fn announce(&self, transaction: u32, info_hash: InfoHash, port: u16) -> [u8; LENGTH] {
        let mut datagram = self.template;
        datagram[..CONNECTION].copy_from_slice(&self.connection.get());
        datagram[TRANSACTION].copy_from_slice(&transaction.to_be_bytes());
        datagram[INFO_HASH].copy_from_slice(info_hash.as_bytes());
        datagram[PORT].copy_from_slice(&port.to_be_bytes());
        datagram
    }

    /// Sends these with one call. What the system does not take counts as lost later.
    fn send(&self, datagrams: &[[u8; LENGTH]]) {
        let slices: Vec<_> = datagrams
            .iter()
            .map(|datagram| [IoSlice::new(datagram)])
            .collect();
        let mut controls: Vec<_> = datagrams.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<_> = slices
            .iter()
            .zip(&mut controls)
            .map(|(slice, control)| MMsgHdr::new(slice, control))
            .collect();
        let mut rest = &mut messages[..];
        while !rest.is_empty() {
            match sendmmsg(&self.socket, rest, SendFlags::empty()) {
                Ok(sent) => rest = &mut rest[sent.max(1)..],
                Err(_) => return,
            }
        }
    }

    /// The next answer, if one is there: its transaction and what it says.
    pub(crate) fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<(u32, Answer<'a>)> {
        if self.asked.get().elapsed() > ASK_EVERY {
            self.asked.set(Instant::now());
            // Should it be lost, the next one comes soon enough.
            let _ = self.socket.send(&Request::Connect { transaction: 0 }.encode());
        }
        let length = loop {
            match self.socket.recv(buffer) {
                Ok(length) if length == HEAD + CONNECTION && buffer[..4] == CONNECTED => {
                    let mut connection = [0; CONNECTION];
                    connection.copy_from_slice(&buffer[HEAD..length]);
                    self.connection.set(connection);
                }
                Ok(length) if length >= HEAD => break length,
                // A port that is closed: who was there has been killed.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return None,
            }
        };
        let (head, rest) = buffer[..length].split_at(HEAD);
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let answer = match rest.get(COUNTS..) {
            Some(peers) if word(0) == ANNOUNCED => Answer::Peers(peers),
            _ => Answer::Refused(rest),
        };
        Some((word(4), answer))
    }
}

/// What a tracker says.
pub(crate) enum Answer<'a> {
    /// Peers of IPv4, six bytes each.
    Peers(&'a [u8]),
    /// Why not.
    Refused(&'a [u8]),
}

/// Sleeps until there is something to read, or the time is up.
pub(crate) fn wait(lines: &[Line], patience: Duration) {
    let mut fds: Vec<PollFd<'_>> = lines
        .iter()
        .map(|line| PollFd::new(&line.socket, PollFlags::IN))
        .collect();
    let patience = Timespec::try_from(patience).unwrap_or(Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    });
    // Whatever comes out, the sockets are read next.
    let _ = poll(&mut fds, Some(&patience));
}

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    /// Announces that were refused, or never answered.
    pub(crate) failed: u64,
    /// Datagrams that had to be sent again.
    pub(crate) again: u64,
    pub(crate) seconds: f64,
    pub(crate) last_refusal: String,
}

/// An announce under way.
#[derive(Clone, Copy)]
struct Flight {
    peer: u32,
    transaction: u32,
    first: Instant,
    sent: Instant,
}

/// Announces as fast as the answers come.
pub(crate) fn saturate(servers: &[SocketAddr], population: &Population, mut order: Order) -> Result<Outcome> {
    let mut lines = Vec::new();
    for server in servers.iter().cycle().take(servers.len() * SOCKETS) {
        lines.push(Line::new(*server)?);
    }
    let mut flights: Vec<[Option<Flight>; WINDOW]> = vec![[None; WINDOW]; lines.len()];
    let mut outcome = Outcome::default();
    let mut buffer = [0; 2048];
    let mut turn = 0_u32;
    let start = Instant::now();
    let mut last_look = start;
    loop {
        let now = Instant::now();
        let looks = now - last_look > LOST_AFTER / 4;
        if looks {
            last_look = now;
        }
        let mut under_way = 0;
        for (line, flights) in lines.iter().zip(&mut flights) {
            while let Some((transaction, answer)) = line.receive(&mut buffer) {
                let slot = transaction as usize % WINDOW;
                if flights[slot]
                    .take_if(|flight| flight.transaction == transaction)
                    .is_none()
                {
                    continue;
                }
                match answer {
                    Answer::Peers(_) => outcome.answered += 1,
                    Answer::Refused(why) => {
                        outcome.failed += 1;
                        outcome.last_refusal = String::from_utf8_lossy(why).into_owned();
                    }
                }
            }
            let mut batch = Vec::with_capacity(WINDOW);
            for (slot, flight) in flights.iter_mut().enumerate() {
                if let Some(lost) = flight.filter(|flight| looks && now - flight.sent > LOST_AFTER) {
                    outcome.again += 1;
                    if now - lost.first > GIVE_UP {
                        outcome.failed += 1;
                        *flight = None;
                    } else {
                        let (info_hash, port) = population.peer(lost.peer);
                        batch.push(line.announce(lost.transaction, info_hash, port));
                        *flight = Some(Flight { sent: now, ..lost });
                    }
                }
                if flight.is_none()
                    && let Some(peer) = order.next()
                {
                    turn = turn.wrapping_add(1);
                    let transaction = (turn << 4) | slot as u32;
                    let (info_hash, port) = population.peer(peer);
                    batch.push(line.announce(transaction, info_hash, port));
                    *flight = Some(Flight {
                        peer,
                        transaction,
                        first: now,
                        sent: now,
                    });
                }
                under_way += usize::from(flight.is_some());
            }
            line.send(&batch);
        }
        if under_way == 0 {
            outcome.seconds = start.elapsed().as_secs_f64();
            return Ok(outcome);
        }
        wait(&lines, LOST_AFTER / 4);
    }
}

/// How long answers took.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// In ascending order.
    pub(crate) millis: Vec<f64>,
    /// Announces that were refused or had no answer.
    pub(crate) failed: usize,
}

impl Latencies {
    /// The value that this share of all is not above.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.millis.len().saturating_sub(1);
        self.millis
            .get((last as f64 * share).round() as usize)
            .copied()
            .unwrap_or(f64::NAN)
    }
}

/// Announces at this rate, whether answers come or not, until `ends` says so or the time is up; each server in turn.
pub(crate) fn paced(
    servers: &[SocketAddr],
    population: &Population,
    rate: f64,
    time: Duration,
    ends: impl Fn() -> bool,
) -> Result<Latencies> {
    let lines = servers
        .iter()
        .map(|server| Line::new(*server))
        .collect::<Result<Vec<_>>>()?;
    let mut order = Order::random(u32::MAX, population);
    let mut sent: Vec<Option<Instant>> = Vec::new();
    let mut latencies = Latencies::default();
    let mut buffer = [0; 2048];
    let start = Instant::now();
    let mut end = start + time;
    loop {
        let now = Instant::now();
        if now < end && ends() {
            end = now;
        }
        let due = ((now.min(end) - start).as_secs_f64() * rate) as usize;
        while sent.len() < due
            && let Some(peer) = order.next()
        {
            let line = &lines[sent.len() % lines.len()];
            let (info_hash, port) = population.peer(peer);
            let datagram = line.announce(sent.len() as u32, info_hash, port);
            sent.push(Some(Instant::now()));
            // Lost if the system does not take it, and counted so in the end.
            let _ = line.socket.send(&datagram);
        }
        for line in &lines {
            while let Some((transaction, answer)) = line.receive(&mut buffer) {
                let Some(at) = sent.get_mut(transaction as usize).and_then(Option::take) else {
                    continue;
                };
                match answer {
                    Answer::Peers(_) => latencies.millis.push(at.elapsed().as_secs_f64() * 1e3),
                    Answer::Refused(_) => latencies.failed += 1,
                }
            }
        }
        let open = sent.len() - latencies.millis.len() - latencies.failed;
        if now >= end && (open == 0 || now > end + LOST_AFTER * 4) {
            latencies.failed += open;
            latencies.millis.sort_by(f64::total_cmp);
            return Ok(latencies);
        }
        let next = start + Duration::from_secs_f64((sent.len() + 1) as f64 / rate);
        let next = if now < end { next } else { now + LOST_AFTER / 30 };
        wait(&lines, next.saturating_duration_since(Instant::now()));
    }
}
