//! The [`relay`](super::relay) for datagrams: they are delayed, lost and overtake each other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::relay::{Link, Way, lock};

/// How often a thread that waits for datagrams looks whether the relay has ended.
const LOOK: Duration = Duration::from_millis(50);

/// The largest datagram.
const MOST_BYTES: usize = 65_535;

/// A relay to one server. It ends with the value.
#[derive(Debug)]
pub(crate) struct DatagramRelay {
    addr: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    closing: AtomicBool,
    lost: AtomicU64,
    overtaken: AtomicU64,
    flying: Mutex<BinaryHeap<Reverse<Datagram>>>,
    changed: Condvar,
}

/// A datagram under way; the first to arrive is the least.
#[derive(Debug)]
struct Datagram {
    due: Instant,
    number: u64,
    from: Arc<UdpSocket>,
    to: SocketAddr,
    bytes: Vec<u8>,
}

impl Datagram {
    fn order(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Datagram {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Datagram {}

impl PartialOrd for Datagram {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Datagram {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl DatagramRelay {
    /// A relay to the server at `to`, which clients reach at [`Self::addr`].
    pub(crate) fn start(to: SocketAddr, toward: Way, back: Way, seed: u64) -> std::io::Result<Self> {
        let outside = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        outside.set_read_timeout(Some(LOOK))?;
        let addr = outside.local_addr()?;
        let shared = Arc::new(Shared {
            closing: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            overtaken: AtomicU64::new(0),
            flying: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut intake = Intake {
            to,
            outside,
            toward: Lane::new(toward, seed),
            back: Arc::new(Mutex::new(Lane::new(back, seed ^ 1))),
            shared: Arc::clone(&shared),
            clients: HashMap::new(),
        };
        let outlet = Arc::clone(&shared);
        let threads = vec![
            thread::spawn(move || intake.run()),
            thread::spawn(move || outlet.deliver()),
        ];
        Ok(Self {
            addr,
            shared,
            threads,
        })
    }

    /// Where clients reach it.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// How many arrived after one that was sent later in the same direction.
    pub(crate) fn overtaken(&self) -> u64 {
        self.shared.overtaken.load(Ordering::Relaxed)
    }
}

impl Drop for DatagramRelay {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One direction.
#[derive(Debug)]
struct Lane {
    way: Way,
    link: Link,
    rng: fastrand::Rng,
    number: u64,
    /// When the last of those that were sent so far arrives.
    latest: Instant,
}

impl Lane {
    fn new(way: Way, seed: u64) -> Self {
        Self {
            way,
            link: Link::new(way, seed),
            rng: fastrand::Rng::with_seed(!seed),
            number: 0,
            latest: Instant::now(),
        }
    }

    fn send(&mut self, shared: &Shared, from: &Arc<UdpSocket>, to: SocketAddr, bytes: &[u8]) {
        let due = self.link.carry(bytes.len()) + self.way.jitter.mul_f64(self.rng.f64());
        if self.link.loses(1) {
            shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if due < self.latest {
            shared.overtaken.fetch_add(1, Ordering::Relaxed);
        }
        self.latest = self.latest.max(due);
        self.number += 1;
        let datagram = Datagram {
            due,
            number: self.number,
            from: Arc::clone(from),
            to,
            bytes: bytes.to_vec(),
        };
        lock(&shared.flying).push(Reverse(datagram));
        shared.changed.notify_all();
    }
}

/// Takes in what clients send; each has a thread that takes in the answers.
struct Intake {
    to: SocketAddr,
    outside: Arc<UdpSocket>,
    toward: Lane,
    back: Arc<Mutex<Lane>>,
    shared: Arc<Shared>,
    /// The socket by which the server knows a client.
    clients: HashMap<SocketAddr, (Arc<UdpSocket>, JoinHandle<()>)>,
}

impl Intake {
    fn run(&mut self) {
        let mut bytes = vec![0; MOST_BYTES];
        while !self.shared.closing.load(Ordering::Acquire) {
            let Ok((count, client)) = self.outside.recv_from(&mut bytes) else {
                continue;
            };
            if let Ok(inside) = self.inside(client) {
                self.toward.send(&self.shared, &inside, self.to, &bytes[..count]);
            }
        }
        for (_, (_, thread)) in self.clients.drain() {
            let _ = thread.join();
        }
    }

    fn inside(&mut self, client: SocketAddr) -> std::io::Result<Arc<UdpSocket>> {
        if let Some((inside, _)) = self.clients.get(&client) {
            return Ok(Arc::clone(inside));
        }
        let inside = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        inside.set_read_timeout(Some(LOOK))?;
        let (shared, back) = (Arc::clone(&self.shared), Arc::clone(&self.back));
        let (from, outside) = (Arc::clone(&inside), Arc::clone(&self.outside));
        let thread = thread::spawn(move || {
            let mut bytes = vec![0; MOST_BYTES];
            while !shared.closing.load(Ordering::Acquire) {
                if let Ok((count, _)) = from.recv_from(&mut bytes) {
                    lock(&back).send(&shared, &outside, client, &bytes[..count]);
                }
            }
        });
        self.clients.insert(client, (Arc::clone(&inside), thread));
        Ok(inside)
    }
}

impl Shared {
    /// Sends what is due until the relay ends.
    fn deliver(&self) {
        let mut flying = lock(&self.flying);
        while !self.closing.load(Ordering::Acquire) {
            let now = Instant::now();
            let wait = match flying.peek() {
                Some(Reverse(next)) if next.due <= now => {
                    if let Some(Reverse(datagram)) = flying.pop() {
                        // Whoever it is for may be gone.
                        let _ = datagram.from.send_to(&datagram.bytes, datagram.to);
                    }
                    continue;
                }
                Some(Reverse(next)) => next.due - now,
                None => LOOK,
            };
            flying = self
                .changed
                .wait_timeout(flying, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
