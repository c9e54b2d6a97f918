//! The greeter's thread: one turn for each return of `poll`. Layer 3.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::dials::{Dial, Dials};
use super::exchange::Exchange;
use super::half_open::{HalfOpen, HalfOpens};
use super::server::Server;
use super::{DialError, GreeterCommand, GreeterEvent};
use crate::id::{InfoHash, PeerId};
use crate::net::sockets::{SocketError, SocketFactory};
use crate::net::waker::Waker;
use crate::wire::handshake::Direction;

/// The wait after `poll` itself failed, for lack of memory: it must not be called in a loop.
const POLL_PAUSE: Duration = Duration::from_millis(200);

/// The engine is gone, or wants the greeter to end.
#[derive(Debug)]
pub(super) struct Ended;

/// All that the thread owns.
#[derive(Debug)]
pub(super) struct Greeter {
    pub(super) sockets: Arc<SocketFactory>,
    pub(super) peer_id: PeerId,
    pub(super) commands: Receiver<GreeterCommand>,
    pub(super) waker: Arc<Waker>,
    pub(super) events: Sender<GreeterEvent>,
    pub(super) server: Server,
    pub(super) torrents: HashSet<InfoHash>,
    pub(super) dials: Dials,
    pub(super) half_open: HalfOpens,
    /// What was last reported, so that the same failure is told once and not at each attempt.
    pub(super) listen_error: Option<String>,
}

/// What `poll` found.
#[derive(Debug, Default)]
struct Ready {
    commands: bool,
    server: bool,
    connections: Vec<u64>,
}

impl Greeter {
    /// Works until it is told to shut down or nobody listens to it any more.
    pub(super) fn run(mut self) {
        while self.turn().is_ok() {}
    }

    fn turn(&mut self) -> Result<(), Ended> {
        let ready = self.wait();
        if ready.commands {
            self.obey_all()?;
        }
        let now = Instant::now();
        for number in ready.connections {
            self.advance(number)?;
        }
        if ready.server {
            self.let_in(now)?;
        }
        self.expire(now)?;
        self.dial(now)?;
        match self.server.check(now) {
            Some(outcome) => self.report_listening(outcome),
            None => Ok(()),
        }
    }

    /// Sleeps until a socket can go on, a command comes or a time has come.
    fn wait(&self) -> Ready {
        let now = Instant::now();
        let listeners = self.server.listeners(now);
        let mut fds = vec![PollFd::new(&self.waker, PollFlags::IN)];
        fds.extend(
            listeners
                .iter()
                .map(|listener| PollFd::new(listener, PollFlags::IN)),
        );
        fds.extend(
            self.half_open
                .iter()
                .map(|(_, connection)| PollFd::new(connection.stream(), connection.interest())),
        );
        let wake_at = self.server.wake_at(now);
        let wake_at = self
            .half_open
            .deadline()
            .map_or(wake_at, |deadline| deadline.min(wake_at));
        match poll(&mut fds, Some(&timeout(wake_at.saturating_duration_since(now)))) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ready::default(),
            Err(error) => {
                log::error!("cannot wait for connections: {error}");
                thread::sleep(POLL_PAUSE);
                return Ready::default();
            }
        }
        let mut fired = fds.iter().map(|fd| !fd.revents().is_empty());
        Ready {
            commands: fired.next().unwrap_or(false),
            server: fired
                .by_ref()
                .take(listeners.len())
                .fold(false, |any, fired| any | fired),
            connections: self
                .half_open
                .iter()
                .zip(fired)
                .filter_map(|((number, _), fired)| fired.then_some(number))
                .collect(),
        }
    }

    fn obey_all(&mut self) -> Result<(), Ended> {
        // Cleared before the channel is emptied: a command that comes in between wakes us once more.
        self.waker.clear();
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.obey(command)?,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Ended),
            }
        }
    }

    fn obey(&mut self, command: GreeterCommand) -> Result<(), Ended> {
        match command {
            GreeterCommand::Register(info_hash) => {
                self.torrents.insert(info_hash);
            }
            GreeterCommand::Unregister(info_hash) => self.unregister(info_hash),
            GreeterCommand::Dial { info_hash, addr } => {
                let is_known = self.torrents.contains(&info_hash);
                if is_known && !self.dials.push((info_hash, addr)) {
                    return self.report_failed((info_hash, addr), DialError::Busy);
                }
            }
            GreeterCommand::Rebind { port } => return self.rebind(port),
            GreeterCommand::Shutdown => return Err(Ended),
        }
        Ok(())
    }

    fn unregister(&mut self, info_hash: InfoHash) {
        self.torrents.remove(&info_hash);
        self.dials.forget(info_hash);
        for connection in self.half_open.take(|one| one.info_hash() == Some(info_hash)) {
            if connection.direction == Direction::Outgoing {
                self.dials.finish(&(info_hash, connection.addr));
            }
        }
    }

    /// Begins again with the settings of now: nothing half-open may go on over an address or interface that
    /// the user has just turned away from.
    fn rebind(&mut self, port: u16) -> Result<(), Ended> {
        for connection in self.half_open.take(|_| true) {
            if let (Direction::Outgoing, Some(info_hash)) = (connection.direction, connection.info_hash()) {
                self.dials.begin_again((info_hash, connection.addr));
            }
        }
        let outcome = self.server.listen(port, Instant::now());
        self.listen_error = None;
        self.report_listening(outcome)
    }

    fn let_in(&mut self, now: Instant) -> Result<(), Ended> {
        for (stream, addr) in self.server.accept(now) {
            let exchange = Exchange::incoming(self.peer_id);
            let connection = HalfOpen::new(stream, addr, Direction::Incoming, exchange, now);
            let number = self.half_open.insert(connection);
            // The handshake may be here already: then no later one can push this connection out.
            self.advance(number)?;
        }
        Ok(())
    }

    /// Moves a connection on, and out of here if it is through or failed.
    fn advance(&mut self, number: u64) -> Result<(), Ended> {
        let torrents = &self.torrents;
        let Some(connection) = self.half_open.get_mut(number) else {
            return Ok(());
        };
        let outcome = connection.advance(|info_hash| torrents.contains(info_hash));
        if matches!(outcome, Ok(false)) {
            return Ok(());
        }
        let Some(connection) = self.half_open.remove(number) else {
            return Ok(());
        };
        let dial = dial_of(&connection);
        let addr = connection.addr;
        match outcome.and_then(|_| connection.into_greeted()) {
            Ok(greeted) => {
                dial.inspect(|dial| self.dials.finish(dial));
                self.report(GreeterEvent::Greeted(greeted))
            }
            Err(error) => self.drop_failed(dial, addr, error),
        }
    }

    fn expire(&mut self, now: Instant) -> Result<(), Ended> {
        for connection in self.half_open.take(|one| one.deadline <= now) {
            self.drop_failed(dial_of(&connection), connection.addr, DialError::TimedOut)?;
        }
        Ok(())
    }

    /// Begins dials as long as there is room for them.
    fn dial(&mut self, now: Instant) -> Result<(), Ended> {
        while let Some((info_hash, addr)) = self.dials.begin() {
            match self.sockets.start_connect(addr) {
                Ok(stream) => {
                    let exchange = Exchange::outgoing(info_hash, self.peer_id);
                    let connection = HalfOpen::new(stream, addr, Direction::Outgoing, exchange, now);
                    self.half_open.insert(connection);
                }
                Err(error) => {
                    self.drop_failed(Some((info_hash, addr)), addr, DialError::Connect(error))?;
                }
            }
        }
        Ok(())
    }

    /// Reports a dial that failed; of a connection that was opened by others only the log hears.
    fn drop_failed(&mut self, dial: Option<Dial>, addr: SocketAddr, error: DialError) -> Result<(), Ended> {
        let Some(dial) = dial else {
            log::debug!("{addr} dropped before its handshake was complete: {error}");
            return Ok(());
        };
        self.dials.finish(&dial);
        self.report_failed(dial, error)
    }

    fn report_failed(&self, (info_hash, addr): Dial, error: DialError) -> Result<(), Ended> {
        self.report(GreeterEvent::DialFailed {
            info_hash,
            addr,
            error,
        })
    }

    pub(super) fn report_listening(
        &mut self,
        outcome: Result<Vec<SocketAddr>, SocketError>,
    ) -> Result<(), Ended> {
        match outcome {
            Ok(addresses) => {
                self.listen_error = None;
                self.report(GreeterEvent::Listening(addresses))
            }
            Err(error) => {
                let text = error.to_string();
                if self.listen_error.as_ref() == Some(&text) {
                    return Ok(());
                }
                self.listen_error = Some(text);
                self.report(GreeterEvent::ListenFailed { error })
            }
        }
    }

    fn report(&self, event: GreeterEvent) -> Result<(), Ended> {
        self.events.send(event).map_err(|_| Ended)
    }
}

/// What the connection was dialled for, if it was.
fn dial_of(connection: &HalfOpen) -> Option<Dial> {
    let info_hash = connection.info_hash()?;
    (connection.direction == Direction::Outgoing).then_some((info_hash, connection.addr))
}

/// Rounded up to the next millisecond: who wakes a moment before a deadline would only sleep again.
fn timeout(wait: Duration) -> Timespec {
    let wait = wait + Duration::from_millis(1);
    Timespec {
        tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    }
}
