//! The listeners, and the threads that sleep in `epoll`. Layer 3.
//!
//! All threads watch all listeners; the kernel wakes one of them for a connection (`EPOLLEXCLUSIVE`), which keeps it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Socket, Type};

use super::super::ServeError;
use super::super::counters::Face;
use super::super::front::{Front, Shared};
use super::super::seam::{Late, Letter, Mailbox, ReturnTo};
use super::connection::{Bench, Connection, Gone, Readiness};
use super::connections::{Connections, Key};
use super::desk::Desk;
use crate::net::waker::Waker;

/// Connections that the kernel completes before we accept them. The system lowers it to `somaxconn`.
const BACKLOG: i32 = 4096;
/// Sockets that one wake-up can tell of.
const EVENTS: usize = 256;
/// Connections that are taken before the others are looked at again.
const ACCEPTS: usize = 64;
/// Names the waker for `epoll`; listeners have the numbers below. No connection has them: its upper half is a
/// generation, which never gets there.
const WAKER: u64 = u64::MAX;
/// Seconds that answers under way may take once the server is told to stop.
const GRACE_SECS: u32 = 3;
/// The wait after `epoll` itself failed, for lack of memory: it must not be called in a loop.
const PAUSE: Duration = Duration::from_millis(100);

/// The running threads.
#[derive(Debug)]
pub(in crate::tracker::server) struct HttpFace {
    /// Where it listens; ports are those that the system chose, where it was to.
    pub(in crate::tracker::server) addresses: Vec<SocketAddr>,
    wakers: Vec<Arc<Waker>>,
    threads: Vec<JoinHandle<()>>,
}

impl HttpFace {
    /// Lets the threads look around: the server is told to stop.
    pub(in crate::tracker::server) fn wake(&self) {
        self.wakers.iter().for_each(|waker| waker.wake());
    }

    /// Waits for the threads, after the server was told to stop.
    pub(in crate::tracker::server) fn join(self) {
        self.wake();
        for thread in self.threads {
            // A panic was reported by the panic itself.
            let _ = thread.join();
        }
    }
}

/// Listens on these addresses with this many threads.
pub(in crate::tracker::server) fn start(
    shared: &Arc<Shared>,
    listeners: Vec<Socket>,
    threads: usize,
) -> Result<HttpFace, ServeError> {
    let addresses = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.as_socket()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(ServeError::Thread)?
        .into_iter()
        .flatten()
        .collect();
    let listeners: Arc<[Socket]> = listeners.into();
    let total = Arc::new(AtomicUsize::new(0));
    let mut face = HttpFace {
        addresses,
        wakers: Vec::new(),
        threads: Vec::new(),
    };
    for number in 0..threads {
        let started = Poller::new(shared, &listeners, &total).and_then(|poller| {
            face.wakers.push(Arc::clone(&poller.waker));
            thread::Builder::new()
                .name(format!("http-{number}"))
                .spawn(move || poller.run())
        });
        match started {
            Ok(thread) => face.threads.push(thread),
            Err(source) => {
                shared.stop();
                face.join();
                return Err(ServeError::Thread(source));
            }
        }
    }
    Ok(face)
}

/// A socket that listens on this address.
pub(in crate::tracker::server) fn listen(address: SocketAddr) -> Result<Socket, ServeError> {
    open(address).map_err(|source| ServeError::Listen {
        face: "HTTP",
        address,
        source,
    })
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    // So that a restart need not wait until the old connections have left TIME_WAIT.
    socket.set_reuse_address(address.port() != 0)?;
    // Connections inherit it, which saves a call for each.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// An answer that came later: place, request, what it is.
type Answer = (u32, u32, Late);

/// All that a thread owns.
#[derive(Debug)]
struct Poller {
    epoll: OwnedFd,
    waker: Arc<Waker>,
    mailbox: Arc<HttpMailbox>,
    answers: Receiver<Answer>,
    listeners: Arc<[Socket]>,
    /// Whether `epoll` tells of new connections; not while there is no room for one.
    accepting: bool,
    connections: Connections,
    /// Connections of all threads.
    total: Arc<AtomicUsize>,
    bench: Bench,
    /// The second in which deadlines were last looked at.
    swept: u32,
    /// When the thread ends whatever is under way, once it is told to stop.
    end: Option<u32>,
}

impl Poller {
    fn new(shared: &Arc<Shared>, listeners: &Arc<[Socket]>, total: &Arc<AtomicUsize>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = Arc::new(Waker::new()?);
        epoll::add(
            &epoll,
            &*waker,
            epoll::EventData::new_u64(WAKER),
            epoll::EventFlags::IN,
        )?;
        let (answers_tx, answers) = unbounded();
        let mailbox = Arc::new(HttpMailbox {
            answers: answers_tx,
            waker: Arc::clone(&waker),
            called: AtomicBool::new(false),
        });
        let front = Front::new(shared, Face::Http, mailbox.clone());
        let mut poller = Self {
            epoll,
            waker,
            mailbox,
            answers,
            listeners: Arc::clone(listeners),
            accepting: false,
            connections: Connections::default(),
            total: Arc::clone(total),
            swept: front.second,
            bench: Bench::new(Desk::new(front)),
            end: None,
        };
        poller.begin_accepting()?;
        Ok(poller)
    }

    fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        while self.turn(&mut events) {}
    }

    /// One wake-up. Returns whether there will be another.
    fn turn(&mut self, events: &mut Vec<epoll::Event>) -> bool {
        self.wait(events);
        self.bench.desk.front.wake();
        for event in events.drain(..) {
            let flags = event.flags;
            match event.data.u64() {
                WAKER => self.waker.clear(),
                number if !number < self.listeners.len() as u64 + 1 => {
                    let index = usize::try_from(!number - 1).unwrap_or(usize::MAX);
                    self.accept(index);
                }
                key => self.advance(Key(key), flags),
            }
        }
        self.take_answers();
        let second = self.bench.desk.front.second;
        if second != self.swept {
            self.swept = second;
            self.sweep(second);
        }
        // Last: what was answered or ended above may have let the next request of a connection through.
        self.bench.desk.front.flush();
        !self.bench.desk.front.shared.is_stopping() || self.wind_down(second)
    }

    fn wait(&self, events: &mut Vec<epoll::Event>) {
        // Deadlines and lack of room are looked at each second; without either, sleep is undisturbed.
        let second = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        let restless = self.connections.len() > 0 || !self.accepting;
        let timeout = restless.then_some(&second);
        match epoll::wait(&self.epoll, spare_capacity(events), timeout) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                log::error!("cannot wait for connections: {error}");
                thread::sleep(PAUSE);
            }
        }
    }

    fn begin_accepting(&mut self) -> io::Result<()> {
        for (index, listener) in (0..).zip(self.listeners.iter()) {
            let flags = epoll::EventFlags::IN | epoll::EventFlags::EXCLUSIVE;
            epoll::add(
                &self.epoll,
                listener,
                epoll::EventData::new_u64(WAKER - 1 - index),
                flags,
            )?;
        }
        self.accepting = true;
        Ok(())
    }

    fn stop_accepting(&mut self) {
        for listener in self.listeners.iter().filter(|_| self.accepting) {
            let _ = epoll::delete(&self.epoll, listener);
        }
        self.accepting = false;
    }

    fn accept(&mut self, index: usize) {
        let listeners = Arc::clone(&self.listeners);
        let Some(listener) = listeners.get(index) else {
            return;
        };
        for _ in 0..ACCEPTS {
            match acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((socket, address)) => {
                    if let Some(address) = address.and_then(|any| SocketAddr::try_from(any).ok()) {
                        self.take_in(socket, address.ip());
                    }
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    if !self.make_room(None) {
                        log::warn!(
                            "there is no room for more HTTP connections; raise the limit of open files"
                        );
                        self.stop_accepting();
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    fn take_in(&mut self, socket: OwnedFd, peer: IpAddr) {
        let front = &self.bench.desk.front;
        front.counters.accepted.add(1);
        let rules = front.rules();
        let (most, per_address) = (rules.http.max_connections, rules.http.connections_per_address);
        let counted = !rules.is_proxy(peer);
        if counted && !front.shared.connections.admits(peer, per_address) {
            front.counters.crowded_out.add(1);
            return;
        }
        let connection = Connection::new(socket, peer, counted, front.second);
        front.counters.connections.add(1);
        let total = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        let key = self.connections.insert(connection);
        if total > most && !self.make_room(Some(key)) {
            self.bench.desk.front.counters.crowded_out.add(1);
            self.close(key);
            return;
        }
        // The request is often here already; then the connection may be over before `epoll` hears of it.
        let ready = Readiness {
            read: true,
            write: false,
        };
        self.work_on(key, |connection, slot, bench| {
            connection.advance(slot, ready, bench)
        });
    }

    /// Closes a connection on which nothing is under way, but not `newest`. Returns whether there was one.
    fn make_room(&mut self, newest: Option<Key>) -> bool {
        let Some(idle) = self.connections.find_idle(newest) else {
            return false;
        };
        self.bench.desk.front.counters.crowded_out.add(1);
        self.close(idle);
        true
    }

    fn advance(&mut self, key: Key, flags: epoll::EventFlags) {
        if flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP) {
            self.close(key);
            return;
        }
        let ready = Readiness {
            read: flags.contains(epoll::EventFlags::IN),
            write: flags.contains(epoll::EventFlags::OUT),
        };
        self.work_on(key, |connection, slot, bench| {
            connection.advance(slot, ready, bench)
        });
    }

    /// Lets `work` change a connection, and does what follows: it is watched for something else, or closed.
    fn work_on(&mut self, key: Key, work: impl FnOnce(&mut Connection, u32, &mut Bench) -> Result<(), Gone>) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let outcome = work(connection, key.slot(), &mut self.bench);
        if outcome.is_err() || watch(&self.epoll, key, connection).is_err() {
            self.close(key);
        }
    }

    fn close(&mut self, key: Key) {
        let Some(connection) = self.connections.remove(key) else {
            return;
        };
        self.total.fetch_sub(1, Ordering::Relaxed);
        let front = &self.bench.desk.front;
        front.counters.connections.subtract(1);
        if connection.counted {
            front.shared.connections.closed(connection.peer());
        }
    }

    fn take_answers(&mut self) {
        self.mailbox.called.store(false, Ordering::SeqCst);
        while let Ok((slot, request, late)) = self.answers.try_recv() {
            if let Some(key) = self.connections.key_at(slot) {
                self.work_on(key, |connection, slot, bench| {
                    connection.take_late(slot, request, late, bench)
                });
            }
        }
    }

    /// Looks at all deadlines. Ten thousand take a tenth of a millisecond, once a second.
    fn sweep(&mut self, second: u32) {
        for key in self
            .connections
            .keys(|connection| connection.deadline() <= second)
        {
            self.work_on(key, |connection, slot, bench| connection.time_out(slot, bench));
        }
        self.bench.tidy();
        if !self.accepting && self.end.is_none() {
            // The next attempt to accept says what is wrong if there still is no room.
            let _ = self.begin_accepting();
        }
    }

    /// Ends in good order: no new connections, no further requests, but what is under way is answered. Returns whether
    /// there is still something.
    fn wind_down(&mut self, second: u32) -> bool {
        let end = *self.end.get_or_insert(second + GRACE_SECS);
        self.stop_accepting();
        self.bench.closing = true;
        for key in self.connections.keys(Connection::is_idle) {
            self.close(key);
        }
        self.connections.len() > 0 && second < end
    }
}

/// Tells `epoll` what the connection is to be watched for, if that has changed.
fn watch(epoll: &OwnedFd, key: Key, connection: &mut Connection) -> rustix::io::Result<()> {
    let Some(wanted) = connection.wanted() else {
        return Ok(());
    };
    if connection.watched == Some(wanted) {
        return Ok(());
    }
    let mut flags = epoll::EventFlags::empty();
    flags.set(epoll::EventFlags::IN, wanted.read);
    flags.set(epoll::EventFlags::OUT, wanted.write);
    let data = epoll::EventData::new_u64(key.0);
    match connection.watched {
        None => epoll::add(epoll, connection.as_fd(), data, flags)?,
        Some(_) => epoll::modify(epoll, connection.as_fd(), data, flags)?,
    }
    connection.watched = Some(wanted);
    Ok(())
}

/// Takes answers from any thread and wakes the one that they are for.
#[derive(Debug)]
struct HttpMailbox {
    answers: Sender<Answer>,
    waker: Arc<Waker>,
    /// Whether the thread was woken and has not looked yet, so that many answers cost one wake-up.
    called: AtomicBool,
}

impl Mailbox for HttpMailbox {
    fn deliver(&self, letters: &mut Vec<Letter>) {
        for (to, answer) in letters.drain(..) {
            let ReturnTo::Http { slot, request } = to else {
                log::error!("an answer for UDP came to the HTTP face");
                continue;
            };
            // It fails only once the thread has ended, and then nobody waits.
            let _ = self.answers.send((slot, request, answer));
        }
        if !self.called.swap(true, Ordering::SeqCst) {
            self.waker.wake();
        }
    }
}
