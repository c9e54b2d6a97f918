//! UDP exchanges under way: connect, then announce, with what is lost sent again. Layer 2, BEP 15.
//!
//! Departures from the times of BEP 15, which would let a dead tracker stand for over an hour: a request is
//! sent again after 3 seconds, doubled each time, and the exchange fails after 20 ([`Timing`]). The
//! waits between *exchanges* ([`super::tiers`]) grow to half an hour, so a tracker that is down still receives
//! less than it would by the letter.
//!
//! A tracker with several addresses is tried at one after the other, each time something is sent again, until
//! one has answered the connect request. The next exchange begins with that one, as long as its connection id
//! is good.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::announce::{AnnounceRequest, AnnounceResponse, text};
use super::udp::{Request, Response};

/// How patient an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Wait before a request is sent again for the first time.
    pub resend_first: Duration,
    /// After so long an exchange has failed.
    pub time_limit: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            resend_first: Duration::from_secs(3),
            time_limit: Duration::from_secs(20),
        }
    }
}

/// How long a connection id is used (BEP 15 §connect: one minute after it was received).
const CONNECTION_LIFE: Duration = Duration::from_secs(60);
/// How many connection ids are remembered; the oldest are forgotten.
const MAX_CONNECTIONS: usize = 256;

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Nothing came back in time.
    #[error("the tracker did not answer in time")]
    Timeout,
    /// The tracker refused.
    #[error("the tracker says: {0}")]
    Refused(String),
    /// The tracker's name has no address.
    #[error("the tracker's name has no address")]
    NoAddress,
    /// No datagram could be sent to any of its addresses.
    #[error("nothing can be sent to the tracker: {0}")]
    Send(String),
}

/// A datagram to be sent, of the exchange `key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// For [`Exchanges::on_send_failed`].
    pub key: u64,
    /// To whom.
    pub to: SocketAddr,
    /// What.
    pub datagram: Vec<u8>,
}

/// An exchange that has ended.
#[derive(Debug)]
pub struct Ended {
    /// What [`Exchanges::start`] was given.
    pub key: u64,
    /// How.
    pub result: Result<AnnounceResponse, ExchangeError>,
}

#[derive(Debug)]
struct Exchange {
    announce: Box<AnnounceRequest>,
    url_data: Vec<u8>,
    addrs: Vec<SocketAddr>,
    /// Which of `addrs` is asked.
    at: usize,
    connection: Option<u64>,
    /// The connection id is from an earlier exchange.
    remembered: bool,
    /// Kept when a request is sent again, so that a late answer counts.
    transaction: u32,
    resend: Instant,
    wait: Duration,
    deadline: Instant,
    /// Addresses in a row to which nothing could be sent.
    unsendable: usize,
}

/// Every exchange under way.
#[derive(Debug, Default)]
pub struct Exchanges {
    timing: Timing,
    exchanges: BTreeMap<u64, Exchange>,
    connections: HashMap<SocketAddr, (u64, Instant)>,
    connection_order: VecDeque<SocketAddr>,
    outgoing: Vec<Outgoing>,
    ended: Vec<Ended>,
}

impl Exchanges {
    /// No exchange yet.
    pub fn new(timing: Timing) -> Self {
        Self {
            timing,
            ..Self::default()
        }
    }

    /// Starts an exchange with the tracker at `addrs`. `key` is the caller's name for it and must not be
    /// that of another one.
    pub fn start(
        &mut self,
        key: u64,
        announce: Box<AnnounceRequest>,
        url_data: Vec<u8>,
        addrs: Vec<SocketAddr>,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) {
        if addrs.is_empty() {
            self.end(key, Err(ExchangeError::NoAddress));
            return;
        }
        let known = addrs
            .iter()
            .enumerate()
            .find_map(|(at, &addr)| Some((at, self.connection_to(addr, now)?)));
        let connection = known.map(|(_, connection)| connection);
        let exchange = Exchange {
            announce,
            url_data,
            addrs,
            at: known.map_or(0, |(at, _)| at),
            connection,
            remembered: connection.is_some(),
            transaction: rng.u32(..),
            resend: now,
            wait: self.timing.resend_first,
            deadline: now + self.timing.time_limit,
            unsendable: 0,
        };
        self.exchanges.insert(key, exchange);
        self.send(key, now);
    }

    /// A datagram has come. What belongs to no exchange, comes from the wrong address or makes no sense is
    /// ignored: anybody can send datagrams.
    pub fn on_datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Instant, rng: &mut fastrand::Rng) {
        let Ok(response) = Response::decode(bytes, from.is_ipv6()) else {
            return;
        };
        let transaction = response.transaction();
        let Some((&key, exchange)) = self
            .exchanges
            .iter_mut()
            .find(|(_, exchange)| exchange.transaction == transaction && exchange.may_answer(from))
        else {
            return;
        };
        match response {
            Response::Connect { connection, .. } if exchange.connection.is_none() => {
                exchange.at = exchange
                    .addrs
                    .iter()
                    .position(|&addr| addr == from)
                    .unwrap_or(exchange.at);
                exchange.connection = Some(connection);
                exchange.transaction = rng.u32(..);
                exchange.wait = self.timing.resend_first;
                self.remember(from, connection, now);
                self.send(key, now);
            }
            Response::Announce {
                interval,
                leechers,
                seeds,
                peers,
                ..
            } if exchange.connection.is_some() => {
                let response = AnnounceResponse {
                    interval,
                    seeds: Some(seeds),
                    leechers: Some(leechers),
                    peers,
                    ..AnnounceResponse::default()
                };
                self.end(key, Ok(response));
            }
            Response::Error { message, .. } => self.on_refusal(key, from, &message, now, rng),
            _ => {}
        }
    }

    fn on_refusal(
        &mut self,
        key: u64,
        from: SocketAddr,
        message: &str,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) {
        self.forget(from);
        match self.exchanges.get_mut(&key) {
            // The id may have been the trouble: the tracker may have been started again since.
            Some(exchange) if exchange.remembered => {
                exchange.connect_afresh(rng);
                exchange.wait = self.timing.resend_first;
                self.send(key, now);
            }
            _ => self.end(key, Err(ExchangeError::Refused(text(message.as_bytes())))),
        }
    }

    /// A datagram could not be sent: the next address is tried at once, until none is left.
    pub fn on_send_failed(&mut self, key: u64, error: String, now: Instant) {
        let Some(exchange) = self.exchanges.get_mut(&key) else {
            return;
        };
        exchange.unsendable += 1;
        if exchange.unsendable >= exchange.addrs.len() {
            self.end(key, Err(ExchangeError::Send(error)));
            return;
        }
        exchange.connection = None;
        exchange.remembered = false;
        exchange.at = (exchange.at + 1) % exchange.addrs.len();
        // What was not sent is not waited for.
        exchange.wait /= 2;
        self.send(key, now);
    }

    /// Sends again what is due, and ends what took too long.
    pub fn on_tick(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        let due: Vec<u64> = self
            .exchanges
            .iter()
            .filter(|(_, exchange)| exchange.time() <= now)
            .map(|(&key, _)| key)
            .collect();
        for key in due {
            let Some(exchange) = self.exchanges.get_mut(&key) else {
                continue;
            };
            if exchange.deadline <= now {
                self.end(key, Err(ExchangeError::Timeout));
                continue;
            }
            exchange.unsendable = 0;
            if exchange.remembered {
                // Some trackers do not answer at all when a connection id is no longer good.
                exchange.connect_afresh(rng);
            } else if exchange.connection.is_none() {
                exchange.at = (exchange.at + 1) % exchange.addrs.len();
            }
            self.send(key, now);
        }
    }

    /// When [`Self::on_tick`] has something to do.
    pub fn next_tick(&self) -> Option<Instant> {
        self.exchanges.values().map(Exchange::time).min()
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// Forgets the connection ids: they belong to the socket that they were asked for from.
    pub fn forget_connections(&mut self) {
        self.connections.clear();
        self.connection_order.clear();
    }

    /// The sockets are others from now on: begins every exchange under way again, with all of its time, and
    /// forgets what was to be sent.
    pub fn begin_again(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        self.forget_connections();
        self.outgoing.clear();
        let keys: Vec<u64> = self.exchanges.keys().copied().collect();
        for key in keys {
            if let Some(exchange) = self.exchanges.get_mut(&key) {
                exchange.connect_afresh(rng);
                exchange.wait = self.timing.resend_first;
                exchange.deadline = now + self.timing.time_limit;
                exchange.unsendable = 0;
            }
            self.send(key, now);
        }
    }

    /// The datagrams to be sent now.
    pub fn take_outgoing(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.outgoing)
    }

    /// The exchanges that have ended since the last call.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    fn send(&mut self, key: u64, now: Instant) {
        let Some(exchange) = self.exchanges.get_mut(&key) else {
            return;
        };
        let Some(to) = exchange.addr() else { return };
        let transaction = exchange.transaction;
        let request = match exchange.connection {
            None => Request::Connect { transaction },
            Some(connection) => Request::Announce {
                connection,
                transaction,
                announce: exchange.announce.clone(),
                url_data: exchange.url_data.clone(),
            },
        };
        exchange.resend = now + exchange.wait;
        exchange.wait *= 2;
        self.outgoing.push(Outgoing {
            key,
            to,
            datagram: request.encode(),
        });
    }

    fn end(&mut self, key: u64, result: Result<AnnounceResponse, ExchangeError>) {
        self.exchanges.remove(&key);
        self.ended.push(Ended { key, result });
    }

    fn connection_to(&self, addr: SocketAddr, now: Instant) -> Option<u64> {
        let &(connection, received) = self.connections.get(&addr)?;
        (now < received + CONNECTION_LIFE).then_some(connection)
    }

    fn forget(&mut self, addr: SocketAddr) {
        self.connections.remove(&addr);
        self.connection_order.retain(|&other| other != addr);
    }

    fn remember(&mut self, addr: SocketAddr, connection: u64, now: Instant) {
        if self.connections.insert(addr, (connection, now)).is_none() {
            self.connection_order.push_back(addr);
        }
        if self.connection_order.len() > MAX_CONNECTIONS
            && let Some(oldest) = self.connection_order.pop_front()
        {
            self.connections.remove(&oldest);
        }
    }
}

impl Exchange {
    /// Gives up the connection id from an earlier exchange, and what was asked with it.
    fn connect_afresh(&mut self, rng: &mut fastrand::Rng) {
        self.remembered = false;
        self.connection = None;
        self.transaction = rng.u32(..);
    }

    fn addr(&self) -> Option<SocketAddr> {
        self.addrs.get(self.at).copied()
    }

    /// Any of the addresses may answer a connect request, only the one that did an announce.
    fn may_answer(&self, from: SocketAddr) -> bool {
        match self.connection {
            None => self.addrs.contains(&from),
            Some(_) => self.addr() == Some(from),
        }
    }

    fn time(&self) -> Instant {
        self.resend.min(self.deadline)
    }
}

#[cfg(test)]
mod tests;
