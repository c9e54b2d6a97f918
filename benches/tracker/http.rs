//! Announces over HTTP: on connections that stay open, on a new one each, and connections that only stay open.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dtorrent::id::PeerId;
use dtorrent::tracker::announce::AnnounceRequest;
use dtorrent::tracker::http::announce_url;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

use crate::load::{Order, Population, WANTED};
use crate::udp::Outcome;

/// Connections at a time.
const CONNECTIONS: usize = 32;
/// An answer that takes longer has failed.
const GIVE_UP: Duration = Duration::from_secs(30);
/// Each connection of its own comes from one of so many addresses, so that ports do not run out.
const SOURCES: u32 = 200;

/// A request that was sent.
struct Exchange {
    stream: TcpStream,
    answer: Vec<u8>,
    since: Instant,
}

impl Exchange {
    /// Reads what is there. Whether the answer is whole.
    fn read(&mut self, closes: bool) -> Result<bool> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) if closes => return Ok(true),
                Ok(0) => bail!("the connection was closed"),
                Ok(count) => self.answer.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(!closes && self.is_whole()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn is_whole(&self) -> bool {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(head)) = response.parse(&self.answer) else {
            return false;
        };
        let length = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"))
            .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
        self.answer.len() >= head + length.unwrap_or(usize::MAX - head)
    }

    fn has_peers(&self) -> bool {
        self.answer.windows(7).any(|bytes| bytes == b"5:peers")
    }
}

/// Announces as fast as the answers come; with `closes` each on a connection of its own.
pub(crate) fn saturate(
    server: SocketAddr,
    closes: bool,
    population: &Population,
    mut order: Order,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut opened = 0;
    let start = Instant::now();
    loop {
        while exchanges.len() < CONNECTIONS
            && let Some(peer) = order.next()
        {
            opened += 1;
            let mut exchange = Exchange {
                stream: open(server, opened)?,
                answer: Vec::new(),
                since: Instant::now(),
            };
            exchange
                .stream
                .write_all(request(population, peer, closes).as_bytes())?;
            exchanges.push(exchange);
        }
        if exchanges.is_empty() {
            outcome.seconds = start.elapsed().as_secs_f64();
            return Ok(outcome);
        }
        wait(&exchanges);
        let mut at = 0;
        while let Some(exchange) = exchanges.get_mut(at) {
            let whole = exchange.read(closes);
            if matches!(whole, Ok(false)) && exchange.since.elapsed() < GIVE_UP {
                at += 1;
                continue;
            }
            if exchange.has_peers() {
                outcome.answered += 1;
            } else {
                outcome.failed += 1;
                outcome.last_refusal = String::from_utf8_lossy(&exchange.answer).into_owned();
            }
            let next = if closes || whole.is_err() {
                None
            } else {
                order.next()
            };
            match next {
                Some(peer) => {
                    exchange.answer.clear();
                    exchange.since = Instant::now();
                    exchange
                        .stream
                        .write_all(request(population, peer, false).as_bytes())?;
                    at += 1;
                }
                None => drop(exchanges.swap_remove(at)),
            }
        }
    }
}

/// Opens connections, each of which has asked something and been answered.
pub(crate) fn idle(server: SocketAddr, count: u32, population: &Population) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for number in 0..count {
        let mut stream = open(server, number)?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(GIVE_UP))?;
        stream.write_all(request(population, number % population.peers, false).as_bytes())?;
        let mut exchange = Exchange {
            stream,
            answer: Vec::new(),
            since: Instant::now(),
        };
        let mut buffer = [0; 4096];
        while !exchange.is_whole() {
            let length = exchange.stream.read(&mut buffer).context("an answer")?;
            if length == 0 {
                bail!("the server closes connection number {number}");
            }
            exchange.answer.extend_from_slice(&buffer[..length]);
        }
        streams.push(exchange.stream);
    }
    Ok(streams)
}

fn request(population: &Population, peer: u32, closes: bool) -> String {
    let (info_hash, port) = population.peer(peer);
    let announce = AnnounceRequest {
        info_hash,
        peer_id: PeerId::new(*b"-XX0001-abcdefghijkl"),
        port,
        uploaded: 0,
        downloaded: 0,
        left: 1,
        event: None,
        num_want: Some(WANTED),
        key: 0,
        tracker_id: None,
    };
    let target = announce_url("/announce", &announce);
    let manner = if closes { "close" } else { "keep-alive" };
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nConnection: {manner}\r\n\r\n")
}

fn open(server: SocketAddr, number: u32) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let source = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + number % SOURCES);
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&server.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn wait(exchanges: &[Exchange]) {
    let mut fds: Vec<PollFd<'_>> = exchanges
        .iter()
        .map(|exchange| PollFd::new(&exchange.stream, PollFlags::IN))
        .collect();
    let second = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    // Whatever comes out, the sockets are read next.
    let _ = poll(&mut fds, Some(&second));
}
