//! What all threads of the links share. Layer 3.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::complaints::Complaints;
use super::handshake::Keys;
use super::hello::{Hello, Serial};
use super::keys::{NodeKey, RingKey};
use super::known::KnownNodes;
use super::neighbour::{Flushed, Neighbour};
use super::service::Service;
use super::{LinkSettings, Setup, calls};
use crate::id::RingId;
use crate::net::sockets::SocketFactory;
use crate::ring::contact::Contact;

/// Nodes that are kept in the table when nothing is known of them but that they were once sent to.
const MAX_IDLE: usize = 1_024;

/// Who we are and how we talk.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) me: Contact,
    /// Whether `me` is for a visit only.
    pub(super) is_visitor: bool,
    pub(super) node_key: NodeKey,
    pub(super) ring_key: Option<RingKey>,
    pub(super) known: KnownNodes,
    pub(super) sockets: Arc<SocketFactory>,
    pub(super) settings: LinkSettings,
    pub(super) service: Arc<dyn Service>,
    pub(super) serials: AtomicU64,
    /// Those that others opened, and those that we did.
    pub(super) half_open_in: HalfOpen,
    pub(super) half_open_out: HalfOpen,
    pub(super) lines: Lines,
    pub(super) threads: Threads,
    is_stopping: AtomicBool,
    /// Guards the table. Each entry has a lock of its own, which is taken after this one if both are.
    neighbours: Mutex<HashMap<RingId, Arc<Neighbour>>>,
    /// Guards what was logged when.
    complaints: Mutex<Complaints>,
}

impl Shared {
    /// Takes what there is, and gives back the listener, which one thread owns. Who has none is a visitor.
    pub(super) fn new(setup: Setup, service: Arc<dyn Service>) -> (Self, Option<TcpListener>) {
        let Setup {
            me,
            node_key,
            ring_key,
            known,
            listener,
            sockets,
            settings,
        } = setup;
        let shared = Self {
            me,
            is_visitor: listener.is_none(),
            node_key,
            ring_key,
            known,
            sockets,
            half_open_in: HalfOpen::default(),
            half_open_out: HalfOpen::default(),
            lines: Lines::default(),
            threads: Threads::default(),
            settings,
            service,
            serials: AtomicU64::new(1),
            is_stopping: AtomicBool::new(false),
            neighbours: Mutex::default(),
            complaints: Mutex::default(),
        };
        (shared, listener)
    }

    pub(super) fn keys(&self) -> Keys<'_> {
        Keys {
            ring: self.ring_key.as_ref().unwrap_or(&RingKey::PUBLIC),
            node: &self.node_key,
        }
    }

    /// What this node says first.
    pub(super) fn hello(&self, callee: RingId, serial: Serial) -> Hello {
        Hello {
            is_visitor: self.is_visitor,
            ..Hello::new(self.me, callee, serial)
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    /// The one value for this node; `None` if that is ourselves, or we shut down.
    pub(super) fn neighbour(&self, id: RingId) -> Option<Arc<Neighbour>> {
        if id == self.me.id || self.is_stopping() {
            return None;
        }
        let mut neighbours = self.neighbours.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(neighbour) = neighbours.get(&id) {
            return Some(Arc::clone(neighbour));
        }
        if neighbours.len() >= MAX_IDLE {
            // Whoever has one got it under this lock, so nobody gets one of these now.
            neighbours.retain(|_, kept| Arc::strong_count(kept) > 1 || !kept.is_idle());
        }
        let neighbour = Arc::new(Neighbour::new(id, self.me.id, self.settings.queue_bytes));
        neighbours.insert(id, Arc::clone(&neighbour));
        Some(neighbour)
    }

    pub(super) fn neighbours(&self) -> Vec<Arc<Neighbour>> {
        let neighbours = self.neighbours.lock().unwrap_or_else(PoisonError::into_inner);
        neighbours.values().map(Arc::clone).collect()
    }

    /// Sends what waits for a node, and calls it if there is no link.
    pub(super) fn flush(self: &Arc<Self>, neighbour: &Arc<Neighbour>) {
        match neighbour.flush(&self.serials) {
            Flushed::Done => {}
            Flushed::Dial { serial, contact } => calls::dial(self, neighbour, serial, contact),
        }
    }

    /// Writes a line about a host that is refused, unless it had one a moment ago.
    pub(super) fn complain(&self, host: IpAddr, line: &str) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        match complaints.about(host, Instant::now()) {
            None => {}
            Some(0) => log::warn!("{line}"),
            Some(left_out) => log::warn!("{line} ({left_out} more like it from {host} before)"),
        }
    }
}

/// Connections without a whole handshake. They can be ended, to make room or to shut down.
#[derive(Debug, Default)]
pub(super) struct HalfOpen {
    /// Guards the list, the oldest first.
    sockets: Mutex<Vec<(u64, Arc<TcpStream>)>>,
    next: AtomicU64,
}

impl HalfOpen {
    /// Counts a connection in. If there are `most` already, the oldest is ended: who is honest needs some
    /// milliseconds, and a flood pushes out itself.
    pub(super) fn enter(&self, socket: &Arc<TcpStream>, most: usize) -> HalfOpenGuard<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut sockets = self.lock();
        if sockets.len() >= most {
            let (_, oldest) = sockets.remove(0);
            let _ = oldest.shutdown(Shutdown::Both);
        }
        sockets.push((number, Arc::clone(socket)));
        HalfOpenGuard { of: self, number }
    }

    pub(super) fn end_all(&self) {
        for (_, socket) in self.lock().iter() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Arc<TcpStream>)>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them, until dropped.
#[derive(Debug)]
pub(super) struct HalfOpenGuard<'a> {
    of: &'a HalfOpen,
    number: u64,
}

impl Drop for HalfOpenGuard<'_> {
    fn drop(&mut self) {
        self.of.lock().retain(|(number, _)| *number != self.number);
    }
}

/// How many links there are.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Guards the number, of which a change is told by `changed`.
    count: Mutex<usize>,
    changed: Condvar,
}

impl Lines {
    /// Counts one in, if there are not yet `most`.
    pub(super) fn enter(&self, most: usize) -> bool {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = *count < most;
        *count += usize::from(has_room);
        has_room
    }

    pub(super) fn leave(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.changed.notify_all();
    }

    /// Waits until there are none, or the time is up.
    pub(super) fn wait_for_none(&self, patience: Duration) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self
            .changed
            .wait_timeout_while(count, patience, |count| *count > 0);
    }
}

/// The threads, to be joined in the end.
#[derive(Debug, Default)]
pub(super) struct Threads {
    /// Guards the list.
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    pub(super) fn spawn(&self, name: String, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let handle = thread::Builder::new().name(name).spawn(run)?;
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended are joined without a wait.
        let (ended, running) = handles.drain(..).partition(JoinHandle::is_finished);
        *handles = running;
        handles.push(handle);
        drop(handles);
        join(ended);
        Ok(())
    }

    /// Joins them all, those too that begin meanwhile.
    pub(super) fn join_all(&self) {
        loop {
            let handles = std::mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner));
            if handles.is_empty() {
                break;
            }
            join(handles);
        }
    }
}

fn join(handles: Vec<JoinHandle<()>>) {
    for handle in handles {
        if handle.join().is_err() {
            log::error!("a thread of a ring link has panicked");
        }
    }
}
