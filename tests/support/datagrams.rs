//! A client of a UDP tracker that asks much at a time.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use dtorrent::tracker::udp::{Request, Response};

use super::ring::{Answer, LIMIT, NoAnswer, Word};

/// Requests that wait for their answers at a time: few enough for the buffers of any socket.
const WINDOW: usize = 64;
/// What has no answer by then is asked again, as datagrams may be lost. A node gives up before that: two announces of
/// one peer must not be under way at a time, or the first one would count when the peer has said something else since.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// A connection id is good for two minutes; it is asked for anew long before.
const ID_LIFE: Duration = Duration::from_secs(45);

/// One socket, and the tracker that it asks.
#[derive(Debug)]
pub(crate) struct Datagrams {
    socket: UdpSocket,
    connection: u64,
    asked_at: Instant,
    last: u32,
}

impl Datagrams {
    /// A client of the tracker at this address.
    pub(crate) fn to(tracker: &str) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.connect(tracker).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut client = Self {
            socket,
            connection: 0,
            asked_at: Instant::now(),
            last: 0,
        };
        let started = Instant::now();
        while !client.connect() {
            assert!(started.elapsed() < LIMIT, "no answer to a connect request");
        }
        client
    }

    /// Asks for a connection id once; whether one came.
    fn connect(&mut self) -> bool {
        self.last += 1;
        let transaction = self.last;
        let _ = self.socket.send(&Request::Connect { transaction }.encode());
        let asked = Instant::now();
        while asked.elapsed() < AGAIN_AFTER {
            if let Some(Response::Connect {
                transaction: of,
                connection,
            }) = self.receive()
                && of == transaction
            {
                (self.connection, self.asked_at) = (connection, Instant::now());
                return true;
            }
        }
        false
    }

    /// Announces once, as a client does that has another tracker to go to.
    pub(crate) fn announce(&mut self, word: Word) -> Answer {
        let gone = || NoAnswer::Gone("no datagram comes".to_owned());
        if self.asked_at.elapsed() > ID_LIFE && !self.connect() {
            return Err(gone());
        }
        self.last += 1;
        let asked_as = self.last;
        self.send(asked_as, word);
        let asked = Instant::now();
        while asked.elapsed() < AGAIN_AFTER {
            match self.receive() {
                Some(Response::Announce {
                    transaction, peers, ..
                }) if transaction == asked_as => {
                    return Ok(peers.iter().map(SocketAddr::port).collect());
                }
                Some(Response::Error { transaction, message }) if transaction == asked_as => {
                    // A tracker that was started again does not know the ids that it gave before.
                    return match message.contains("connection") && self.connect() {
                        true => self.announce(word),
                        false => Err(NoAnswer::Refused(message)),
                    };
                }
                _ => {}
            }
        }
        Err(gone())
    }

    fn receive(&self) -> Option<Response> {
        let mut datagram = [0; 2048];
        let len = self.socket.recv(&mut datagram).ok()?;
        Some(Response::decode(&datagram[..len], false).unwrap())
    }

    /// Announces all this; the answers in the same order.
    pub(crate) fn announce_all(&mut self, words: &[Word]) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; words.len()];
        // The place of each word that waits, and when it was sent last.
        let mut waiting: HashMap<u32, (usize, Instant)> = HashMap::new();
        let started = Instant::now();
        let mut next = 0;
        while next < words.len() || !waiting.is_empty() {
            if self.asked_at.elapsed() > ID_LIFE && waiting.is_empty() {
                self.connect();
            }
            while next < words.len() && waiting.len() < WINDOW && self.asked_at.elapsed() <= ID_LIFE {
                self.last += 1;
                self.send(self.last, words[next]);
                waiting.insert(self.last, (next, Instant::now()));
                next += 1;
            }
            match self.receive() {
                Some(Response::Announce {
                    transaction, peers, ..
                }) => {
                    if let Some((at, _)) = waiting.remove(&transaction) {
                        answers[at] = Some(Ok(peers.iter().map(SocketAddr::port).collect()));
                    }
                }
                Some(Response::Error { transaction, message }) => {
                    if let Some((at, _)) = waiting.remove(&transaction) {
                        answers[at] = Some(Err(NoAnswer::Refused(message)));
                    }
                }
                _ => {}
            }
            for (&transaction, (at, sent)) in &mut waiting {
                if sent.elapsed() > AGAIN_AFTER {
                    *sent = Instant::now();
                    self.send(transaction, words[*at]);
                }
            }
            assert!(
                started.elapsed() < LIMIT,
                "{} of {} announces have no answer",
                waiting.len(),
                words.len()
            );
        }
        answers.into_iter().flatten().collect()
    }

    fn send(&self, transaction: u32, word: Word) {
        let request = Request::Announce {
            connection: self.connection,
            transaction,
            announce: Box::new(word.request()),
            url_data: Vec::new(),
        };
        // Whether anybody is there, the answer says.
        let _ = self.socket.send(&request.encode());
    }
}
