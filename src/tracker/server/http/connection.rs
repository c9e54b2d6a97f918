//! One connection: a socket, its session, and how long it may take. Layer 3.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::super::refusal::Refusal;
use super::super::seam::Late;
use super::desk::Desk;
use super::session::{End, Session};

/// Seconds until a request that has begun must be whole. Not for each packet: one byte a second must not live for
/// ever.
const HEAD_SECS: u32 = 10;
/// Seconds until the kernel must have taken a whole answer.
const WRITE_SECS: u32 = 60;
/// Seconds that the tracker may take for an answer.
const ANSWER_SECS: u32 = 30;
/// Seconds for what comes after the end.
const LINGER_SECS: u32 = 2;
/// Bytes that are read at a time.
const READ_BYTES: usize = 16 * 1024;

/// What a connection is waiting for. Each phase has its own deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its first request, or the rest of one.
    Head,
    /// Another request.
    Idle,
    /// The tracker.
    Answer,
    /// The client, who takes the answer slowly.
    Writing,
    /// The client, who has not noticed yet that we are done.
    Lingering,
}

/// What a thread lends to the connection that it works on.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) desk: Desk,
    /// What was read.
    input: Vec<u8>,
    /// What is to be sent.
    output: Vec<u8>,
    /// No connection waits for another request any more: the server is stopping.
    pub(super) closing: bool,
}

impl Bench {
    pub(super) fn new(desk: Desk) -> Self {
        Self {
            desk,
            input: Vec::with_capacity(READ_BYTES),
            output: Vec::with_capacity(READ_BYTES),
            closing: false,
        }
    }

    /// One large answer must not hold its memory for ever.
    pub(super) fn tidy(&mut self) {
        self.output.clear();
        self.output.shrink_to(4 * READ_BYTES);
    }
}

/// The connection is over, and is to be dropped.
#[derive(Debug)]
pub(super) struct Gone;

/// What a socket is ready for, or should be watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    peer: IpAddr,
    session: Session,
    /// What the kernel did not take. No buffer at all when empty.
    unsent: Vec<u8>,
    /// When the phase began or a request was last answered in it, and when it must end, in seconds of the server's
    /// clock.
    since: u32,
    deadline: u32,
    phase: Phase,
    /// Whether a request was answered.
    served: bool,
    /// Whether the client has said that it sends no more.
    at_end: bool,
    /// Bytes came that we do not want yet, so the socket must not be watched for more.
    early: bool,
    /// Whether it counts for its address.
    pub(super) counted: bool,
    /// What `epoll` watches it for; `None` before it knows of it.
    pub(super) watched: Option<Readiness>,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, peer: IpAddr, counted: bool, second: u32) -> Self {
        Self {
            socket,
            peer,
            session: Session::default(),
            unsent: Vec::new(),
            since: second,
            deadline: second + HEAD_SECS,
            phase: Phase::Head,
            served: false,
            at_end: false,
            early: false,
            counted,
            watched: None,
        }
    }

    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Since when nothing has happened.
    pub(super) fn since(&self) -> u32 {
        self.since
    }

    pub(super) fn deadline(&self) -> u32 {
        self.deadline
    }

    /// Whether nothing is under way, so that it may be closed for the sake of others.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle || (self.phase == Phase::Head && !self.session.is_in_head())
    }

    /// Does what can be done now: sends, reads, answers.
    pub(super) fn advance(&mut self, slot: u32, ready: Readiness, bench: &mut Bench) -> Result<(), Gone> {
        if ready.write {
            self.flush()?;
        }
        let mut count = 0;
        if ready.read {
            if self.wants_bytes() {
                count = self.read(slot, bench)?;
            } else {
                self.early = true;
            }
        }
        self.settle(count, bench)
    }

    /// Takes an answer that the tracker gave later.
    pub(super) fn take_late(
        &mut self,
        slot: u32,
        request: u32,
        late: Late,
        bench: &mut Bench,
    ) -> Result<(), Gone> {
        bench.output.clear();
        let taken =
            self.session
                .take_late(request, late, self.peer, slot, &mut bench.desk, &mut bench.output);
        if taken {
            self.send(&bench.output)?;
        }
        self.settle(usize::from(taken), bench)
    }

    /// Its deadline has passed.
    pub(super) fn time_out(&mut self, slot: u32, bench: &mut Bench) -> Result<(), Gone> {
        match self.phase {
            Phase::Idle => Err(Gone),
            Phase::Answer => {
                bench.output.clear();
                let none = Late::Refused(Refusal::Unanswered);
                self.session
                    .give_up(none, self.peer, slot, &mut bench.desk, &mut bench.output);
                self.send(&bench.output)?;
                self.settle(1, bench)
            }
            Phase::Head | Phase::Writing | Phase::Lingering => {
                bench.desk.front.counters.timed_out.add(1);
                Err(Gone)
            }
        }
    }

    /// What `epoll` should watch the socket for; `None` leaves it as it is.
    pub(super) fn wanted(&self) -> Option<Readiness> {
        // As a rule the answer comes before anything else does: watching stays as it is until then.
        if self.phase == Phase::Answer && !self.early && !self.at_end {
            return None;
        }
        Some(Readiness {
            read: self.wants_bytes(),
            write: !self.unsent.is_empty(),
        })
    }

    fn wants_bytes(&self) -> bool {
        !self.at_end && self.unsent.is_empty() && (self.session.reads() || self.phase == Phase::Lingering)
    }

    /// Returns how many requests were read whole.
    fn read(&mut self, slot: u32, bench: &mut Bench) -> Result<usize, Gone> {
        bench.input.clear();
        match recv(
            &self.socket,
            spare_capacity(&mut bench.input),
            RecvFlags::DONTWAIT,
        ) {
            Ok(_) if bench.input.is_empty() => {
                self.at_end = true;
                Ok(0)
            }
            Ok(_) if self.phase == Phase::Lingering => Ok(0),
            Ok(_) => {
                bench.output.clear();
                let count =
                    self.session
                        .feed(&bench.input, self.peer, slot, &mut bench.desk, &mut bench.output);
                self.send(&bench.output)?;
                Ok(count)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(_) => Err(Gone),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let sent = match bytes {
            [] => return Ok(()),
            _ if !self.unsent.is_empty() => 0,
            bytes => self.send_some(bytes)?,
        };
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Gone> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let sent = self.send_some(&self.unsent)?;
        if sent == self.unsent.len() {
            self.unsent = Vec::new();
        } else {
            self.unsent.drain(..sent);
        }
        Ok(())
    }

    fn send_some(&self, bytes: &[u8]) -> Result<usize, Gone> {
        match send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => Ok(sent),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(_) => Err(Gone),
        }
    }

    /// Finds the phase that follows from what happened; `count` requests were answered.
    fn settle(&mut self, count: usize, bench: &Bench) -> Result<(), Gone> {
        self.served |= count > 0;
        self.early &= self.session.is_waiting();
        let phase = self.next_phase(bench.closing)?;
        if phase != self.phase || count > 0 {
            let seconds = match phase {
                Phase::Head => HEAD_SECS,
                Phase::Idle => bench.desk.front.rules().http.idle_timeout_secs,
                Phase::Answer => ANSWER_SECS,
                Phase::Writing => WRITE_SECS,
                Phase::Lingering => LINGER_SECS,
            };
            self.since = bench.desk.front.second;
            self.deadline = self.since + seconds;
            self.phase = phase;
        }
        Ok(())
    }

    fn next_phase(&self, closing: bool) -> Result<Phase, Gone> {
        if !self.unsent.is_empty() {
            return Ok(Phase::Writing);
        }
        if self.session.is_waiting() {
            return Ok(Phase::Answer);
        }
        match self.session.end() {
            End::Open if self.at_end => Err(Gone),
            End::Open if self.session.is_in_head() || !self.served => Ok(Phase::Head),
            End::Open if closing => Err(Gone),
            End::Open => Ok(Phase::Idle),
            End::Close => Err(Gone),
            End::Linger if self.at_end => Err(Gone),
            End::Linger => {
                if self.phase != Phase::Lingering {
                    shutdown(&self.socket, Shutdown::Write).map_err(|_| Gone)?;
                }
                Ok(Phase::Lingering)
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
