//! The listener ("server"): the sockets on which peers reach us. Layer 3.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::sockets::{SocketError, SocketFactory};

/// How often it is tried to listen again, and looked whether the interface is still the same.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How long nobody is let in after the system refused to (no descriptors left, for example). The listening
/// sockets stay readable, so without a pause the thread would spin.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Connections accepted in one turn: those that are half-open already get their turn in between.
const ACCEPTS_PER_TURN: usize = 64;

/// Listening sockets that open themselves again.
#[derive(Debug)]
pub(super) struct Server {
    sockets: Arc<SocketFactory>,
    /// What is listened on; 0 until the system chose one.
    port: u16,
    listeners: Vec<TcpListener>,
    /// The number of the interface at the time of listening.
    interface: Option<u32>,
    check_at: Instant,
    paused_until: Option<Instant>,
}

impl Server {
    /// Listens on nothing yet.
    pub(super) fn new(sockets: Arc<SocketFactory>, port: u16, now: Instant) -> Self {
        Self {
            sockets,
            port,
            listeners: Vec::new(),
            interface: None,
            check_at: now,
            paused_until: None,
        }
    }

    /// Closes what is open and listens on `port` as the configuration has it now. Connections that the
    /// system completed and nobody has accepted are lost.
    pub(super) fn listen(&mut self, port: u16, now: Instant) -> Result<Vec<SocketAddr>, SocketError> {
        self.port = port;
        self.listeners.clear();
        self.paused_until = None;
        self.check_at = now + CHECK_INTERVAL;
        self.interface = self.sockets.interface_index()?;
        // An interface that is down, too, lets itself be listened on.
        self.check_bind()?;
        let listeners = self.sockets.listen(port)?;
        let mut addresses = Vec::new();
        for listener in &listeners {
            listener.set_nonblocking(true)?;
            addresses.push(listener.local_addr()?);
        }
        // After an interruption peers should find us where the trackers say that we are.
        self.port = addresses.first().map_or(port, SocketAddr::port);
        self.listeners = listeners;
        Ok(addresses)
    }

    /// Listens again if that failed before, or if the interface was replaced by a new one of the same name, on
    /// which the old sockets hear nothing; and no more while the address or interface is gone, so that this is known.
    /// `None` if nothing was to be done.
    pub(super) fn check(&mut self, now: Instant) -> Option<Result<Vec<SocketAddr>, SocketError>> {
        if now < self.check_at {
            return None;
        }
        self.check_at = now + CHECK_INTERVAL;
        // To look takes a socket. That there is none left for it says nothing of those that are open.
        let is_other = |index| index != self.interface;
        let is_well = !self.listeners.is_empty()
            && !self.sockets.interface_index().is_ok_and(is_other)
            && self.check_bind().is_ok();
        (!is_well).then(|| self.listen(self.port, now))
    }

    /// Whether what everything is bound to is there, as far as that can be known.
    fn check_bind(&self) -> Result<(), SocketError> {
        match self.sockets.check() {
            Err(error) if error.is_of_the_bind() => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// What to wait for.
    pub(super) fn listeners(&self, now: Instant) -> &[TcpListener] {
        match self.paused_until {
            Some(until) if now < until => &[],
            _ => &self.listeners,
        }
    }

    /// When to call [`Self::check`] again, or look at [`Self::listeners`].
    pub(super) fn wake_at(&self, now: Instant) -> Instant {
        let pause = self.paused_until.filter(|until| now < *until);
        pause.map_or(self.check_at, |until| until.min(self.check_at))
    }

    /// Lets in who waits, non-blocking, up to a bound.
    pub(super) fn accept(&mut self, now: Instant) -> Vec<(TcpStream, SocketAddr)> {
        let mut accepted = Vec::new();
        for listener in &self.listeners {
            while accepted.len() < ACCEPTS_PER_TURN {
                match accept_one(listener) {
                    Ok(connection) => accepted.push(connection),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // That one gave up before its turn came.
                    Err(error) if is_about_the_peer(&error) => {}
                    Err(error) => {
                        log::warn!("cannot let peers in for {ACCEPT_PAUSE:?}: {error}");
                        self.paused_until = Some(now + ACCEPT_PAUSE);
                        return accepted;
                    }
                }
            }
        }
        accepted
    }
}

fn accept_one(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, addr) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok((stream, addr))
}

fn is_about_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
