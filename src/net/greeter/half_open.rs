//! One half-open connection, and how many there may be. Layer 3.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::exchange::Exchange;
use super::{DialError, Greeted};
use crate::id::InfoHash;
use crate::wire::handshake::{Direction, Introduction};

/// How long a connection may take from the first packet to the last byte of the handshake.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// Most dials under way. They have room of their own: a flood from outside cannot push them out.
pub(super) const MAX_OUTGOING: usize = 256;

/// Most half-open connections that were opened by others; with [`MAX_OUTGOING`] 1,024 in all.
pub(super) const MAX_INCOMING: usize = 768;

/// Most of them from one IPv4 address or one IPv6 /64, which is what one customer gets. Many peers can share
/// an address behind a provider's translation, so it is not small.
pub(super) const MAX_INCOMING_PER_HOST: usize = 64;

/// A connection of which not both handshakes were exchanged.
#[derive(Debug)]
pub(super) struct HalfOpen {
    pub(super) addr: SocketAddr,
    pub(super) direction: Direction,
    pub(super) deadline: Instant,
    stream: TcpStream,
    exchange: Exchange,
    connected: bool,
}

impl HalfOpen {
    /// Takes a non-blocking socket: connected if a peer opened it, else in progress.
    pub(super) fn new(
        stream: TcpStream,
        addr: SocketAddr,
        direction: Direction,
        exchange: Exchange,
        now: Instant,
    ) -> Self {
        Self {
            addr,
            direction,
            deadline: now + DEADLINE,
            stream,
            exchange,
            connected: direction == Direction::Incoming,
        }
    }

    pub(super) fn info_hash(&self) -> Option<InfoHash> {
        self.exchange.info_hash()
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// What is waited for.
    pub(super) fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        interest.set(
            PollFlags::OUT,
            !self.connected || !self.exchange.to_send().is_empty(),
        );
        interest.set(PollFlags::IN, self.connected && self.exchange.is_reading());
        interest
    }

    /// Moves what the socket lets through. To be called when [`Self::interest`] was met; says whether the
    /// handshakes are through.
    ///
    /// # Errors
    /// The connection is of no use: drop it.
    pub(super) fn advance(&mut self, knows: impl Fn(&InfoHash) -> bool) -> Result<bool, DialError> {
        if !self.connected {
            if let Some(error) = self.stream.take_error().map_err(DialError::Connect)? {
                return Err(DialError::Connect(error));
            }
            self.connected = true;
        }
        // Receiving can make something to send, and never the other way round.
        self.send()?;
        self.receive(knows)?;
        self.send()?;
        Ok(self.exchange.outcome()?.is_some())
    }

    fn send(&mut self) -> Result<(), DialError> {
        while !self.exchange.to_send().is_empty() {
            match (&self.stream).write(self.exchange.to_send()) {
                Ok(0) => return Err(DialError::Closed),
                Ok(count) => self.exchange.was_sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DialError::Io(error)),
            }
        }
        Ok(())
    }

    fn receive(&mut self, knows: impl Fn(&InfoHash) -> bool) -> Result<(), DialError> {
        while self.exchange.is_reading() {
            match (&self.stream).read(self.exchange.room()) {
                Ok(0) => return Err(DialError::Closed),
                Ok(count) => self.exchange.was_received(count, &knows)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DialError::Io(error)),
            }
        }
        Ok(())
    }

    /// Hands the connection over after [`Self::advance`] said that it is ready: blocking from here on.
    ///
    /// # Errors
    /// The socket failed at the last moment.
    pub(super) fn into_greeted(self) -> Result<Greeted, DialError> {
        let handshake = self.exchange.outcome()?.ok_or(DialError::Closed)?;
        self.stream.set_nonblocking(false).map_err(DialError::Io)?;
        // Writers batch what they send, so the kernel need not wait for more of it.
        self.stream.set_nodelay(true).map_err(DialError::Io)?;
        Ok(Greeted {
            stream: self.stream,
            peer: Introduction {
                addr: self.addr,
                direction: self.direction,
                handshake,
            },
        })
    }
}

/// The half-open connections by number; a later one has a greater number.
#[derive(Debug, Default)]
pub(super) struct HalfOpens {
    connections: BTreeMap<u64, HalfOpen>,
    last: u64,
}

impl HalfOpens {
    /// Adds a connection. Among incoming ones, if there are too many of them, or too many of one host, the one
    /// with the least progress gives way, the oldest of several.
    pub(super) fn insert(&mut self, connection: HalfOpen) -> u64 {
        if connection.direction == Direction::Incoming {
            let host = host(connection.addr.ip());
            // What comes by loopback are proxies and programs of this machine: no host of its own.
            let is_local = connection.addr.ip().is_loopback();
            self.make_room(MAX_INCOMING_PER_HOST, |other| {
                !is_local && self::host(other.addr.ip()) == host
            });
            self.make_room(MAX_INCOMING, |_| true);
        }
        self.last += 1;
        self.connections.insert(self.last, connection);
        self.last
    }

    /// Drops connections until there are less than `limit` incoming ones of a kind.
    fn make_room(&mut self, limit: usize, kind: impl Fn(&HalfOpen) -> bool) {
        let of_kind = || {
            self.connections
                .iter()
                .filter(|(_, connection)| connection.direction == Direction::Incoming && kind(connection))
        };
        if of_kind().count() < limit {
            return;
        }
        let least = of_kind().min_by_key(|(number, connection)| (connection.exchange.progress(), **number));
        if let Some((&number, _)) = least {
            self.connections.remove(&number);
        }
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut HalfOpen> {
        self.connections.get_mut(&number)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<HalfOpen> {
        self.connections.remove(&number)
    }

    /// Takes all connections out that `is_wanted` is true for.
    pub(super) fn take(&mut self, is_wanted: impl Fn(&HalfOpen) -> bool) -> Vec<HalfOpen> {
        self.connections
            .extract_if(.., |_, connection| is_wanted(connection))
            .map(|(_, connection)| connection)
            .collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &HalfOpen)> {
        self.connections
            .iter()
            .map(|(number, connection)| (*number, connection))
    }

    /// The first deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        // Numbers grow with time and every deadline is equally far away.
        self.connections
            .first_key_value()
            .map(|(_, first)| first.deadline)
    }
}

/// What counts as one host: an IPv4 address, or an IPv6 /64.
fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::id::PeerId;

    /// An incoming connection that says it is from `addr` and has received `progress` bytes.
    fn incoming(stream: &TcpStream, addr: &str, progress: usize) -> HalfOpen {
        let mut exchange = Exchange::incoming(PeerId::new([0; 20]));
        let start = b"\x13BitTorrent protocol";
        exchange.room()[..progress].copy_from_slice(&start[..progress]);
        exchange.was_received(progress, |_| true).unwrap();
        let stream = stream.try_clone().unwrap();
        HalfOpen::new(
            stream,
            addr.parse().unwrap(),
            Direction::Incoming,
            exchange,
            Instant::now(),
        )
    }

    fn socket() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).unwrap()
    }

    #[test]
    fn the_least_progress_of_a_crowded_host_gives_way() {
        let socket = socket();
        let mut connections = HalfOpens::default();
        let other = connections.insert(incoming(&socket, "198.51.100.9:1", 0));
        let numbers: Vec<u64> = (0..MAX_INCOMING_PER_HOST)
            .map(|place| {
                connections.insert(incoming(
                    &socket,
                    "198.51.100.1:1",
                    if place == 5 { 1 } else { 2 },
                ))
            })
            .collect();
        connections.insert(incoming(&socket, "198.51.100.1:2", 0));
        assert!(connections.get_mut(numbers[5]).is_none());
        assert!(connections.get_mut(other).is_some(), "another host's stays");
        assert_eq!(connections.iter().count(), MAX_INCOMING_PER_HOST + 1);
    }

    #[test]
    fn hosts_are_addresses_or_networks_of_64_bits() {
        for (one, two, same) in [
            ("198.51.100.1", "198.51.100.1", true),
            ("198.51.100.1", "198.51.100.2", false),
            ("198.51.100.1", "::ffff:198.51.100.1", true),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ] {
            let equal = host(one.parse().unwrap()) == host(two.parse().unwrap());
            assert_eq!(equal, same, "{one} and {two}");
        }
    }
}
