//! The thread of the UDP trackers: one socket for each family, however many exchanges. Layer 3.
//!
//! The sockets live as long as an exchange does, so that nobody can answer to a socket that waits for nothing.
//! When `network.bind` is changed meanwhile, not one datagram more leaves by the old ones: the exchanges under
//! way begin again with new sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::announce::AnnounceRequest;
use super::exchange::{Ended, Exchanges, Outgoing, Timing};
use crate::net::sockets::SocketFactory;
use crate::net::waker::Waker;

/// Longest datagram that is read; a longer one is cut, which costs peers at its end.
const MAX_DATAGRAM: usize = 16 * 1024;
/// How many datagrams are read before requests and times are looked at again.
const BATCH: usize = 64;

/// An exchange to be made.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) key: u64,
    pub(crate) announce: Box<AnnounceRequest>,
    pub(crate) url_data: Vec<u8>,
    pub(crate) addrs: Vec<SocketAddr>,
}

/// Where to send what is to be asked. The thread ends when the last of these is gone.
#[derive(Debug, Clone)]
pub(crate) struct Datagrams {
    // The order of the fields matters: the channel closes before the last wake.
    asks: Sender<Ask>,
    waker: Arc<LastWake>,
}

impl Datagrams {
    /// Starts the thread; `report` is called on it with every exchange that ends.
    pub(crate) fn spawn(
        sockets: Arc<SocketFactory>,
        timing: Timing,
        report: impl Fn(Ended) + Send + 'static,
    ) -> io::Result<Self> {
        let (asks, asks_rx) = unbounded();
        let waker = Arc::new(Waker::new()?);
        let worker = Worker {
            asks: asks_rx,
            waker: Arc::clone(&waker),
            changes: sockets.changes(),
            factory: sockets,
            v4: None,
            v6: None,
            exchanges: Exchanges::new(timing),
            rng: fastrand::Rng::new(),
            report,
        };
        thread::Builder::new()
            .name("announcer-udp".to_owned())
            .spawn(move || worker.run())?;
        let waker = Arc::new(LastWake(waker));
        Ok(Self { asks, waker })
    }

    /// Starts an exchange.
    pub(crate) fn ask(&self, ask: Ask) {
        // The thread ends after us.
        let _ = self.asks.send(ask);
        self.waker.0.wake();
    }
}

/// Wakes the thread out of its poll when the last who may ask is gone.
#[derive(Debug)]
struct LastWake(Arc<Waker>);

impl Drop for LastWake {
    fn drop(&mut self) {
        self.0.wake();
    }
}

struct Worker<R> {
    asks: Receiver<Ask>,
    waker: Arc<Waker>,
    factory: Arc<SocketFactory>,
    /// What [`SocketFactory::changes`] was before the sockets were made.
    changes: u64,
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    exchanges: Exchanges,
    rng: fastrand::Rng,
    report: R,
}

impl<R: Fn(Ended)> Worker<R> {
    fn run(mut self) {
        loop {
            if !self.take_asks() {
                return;
            }
            self.exchanges.on_tick(Instant::now(), &mut self.rng);
            self.obey_setting();
            self.flush();
            if self.exchanges.is_idle() {
                self.exchanges.forget_connections();
                (self.v4, self.v6) = (None, None);
            }
            if let Err(error) = self.wait() {
                log::error!("UDP trackers cannot be asked any more: poll failed: {error}");
                return;
            }
            self.read();
        }
    }

    /// Returns whether anybody is left who may ask.
    fn take_asks(&mut self) -> bool {
        loop {
            match self.asks.try_recv() {
                Ok(ask) => self.exchanges.start(
                    ask.key,
                    ask.announce,
                    ask.url_data,
                    ask.addrs,
                    Instant::now(),
                    &mut self.rng,
                ),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Lets go of sockets that are bound by an earlier setting, before anything is sent.
    fn obey_setting(&mut self) {
        let changes = self.factory.changes();
        if changes != self.changes {
            self.changes = changes;
            (self.v4, self.v6) = (None, None);
            self.exchanges.begin_again(Instant::now(), &mut self.rng);
        }
    }

    /// Sends what is to be sent, and reports what has ended.
    fn flush(&mut self) {
        loop {
            let outgoing = self.exchanges.take_outgoing();
            if outgoing.is_empty() {
                break;
            }
            for datagram in outgoing {
                if let Err(error) = self.send(&datagram) {
                    self.exchanges
                        .on_send_failed(datagram.key, error.to_string(), Instant::now());
                }
            }
        }
        for ended in self.exchanges.take_ended() {
            (self.report)(ended);
        }
    }

    fn send(&mut self, outgoing: &Outgoing) -> io::Result<()> {
        let v6 = outgoing.to.is_ipv6();
        let slot = if v6 { &mut self.v6 } else { &mut self.v4 };
        let socket = match slot {
            Some(socket) => socket,
            None => {
                let socket = self.factory.udp(v6)?;
                socket.set_nonblocking(true)?;
                slot.insert(socket)
            }
        };
        match socket.send_to(&outgoing.datagram, outgoing.to) {
            // A full buffer loses the datagram as the network might.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    fn wait(&self) -> io::Result<()> {
        let sockets = [&self.v4, &self.v6].into_iter().flatten();
        let mut fds: Vec<PollFd<'_>> = std::iter::once(self.waker.as_fd())
            .chain(sockets.map(UdpSocket::as_fd))
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let timeout = self.exchanges.next_tick().map(|at| {
            let wait = at.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: wait.subsec_nanos().into(),
            }
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&mut self) {
        self.waker.clear();
        let mut buffer = [0; MAX_DATAGRAM];
        for socket in [&self.v4, &self.v6].into_iter().flatten() {
            for _ in 0..BATCH {
                // What fails to be read, for whatever reason, is sent again like what was lost.
                let Ok((len, from)) = socket.recv_from(&mut buffer) else {
                    break;
                };
                let bytes = buffer.get(..len).unwrap_or_default();
                self.exchanges
                    .on_datagram(from, bytes, Instant::now(), &mut self.rng);
            }
        }
    }
}
