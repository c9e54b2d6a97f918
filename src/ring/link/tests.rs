//! Nodes that talk over the loopback.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::id::RingId;
use crate::ring::frame::{Frames, kind};

mod flow;
mod refusals;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a service was told, in words where only words matter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Opened(Contact),
    Closed(Contact, String, bool),
    Met(SocketAddr, Result<Contact, String>),
    Frame(Contact, Vec<u8>),
}

/// Writes down what it is told, and lets tests wait for it.
#[derive(Default)]
struct Notes {
    told: Mutex<Vec<Told>>,
    changed: Condvar,
    /// While `true`, handlers do not return.
    holds: Mutex<bool>,
    released: Condvar,
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notes")
    }
}

impl Notes {
    fn note(&self, told: Told) {
        self.told.lock().unwrap().push(told);
        self.changed.notify_all();
    }

    fn all(&self) -> MutexGuard<'_, Vec<Told>> {
        self.told.lock().unwrap()
    }

    /// Waits until `find` finds something in all that was told.
    fn wait<T>(&self, what: &str, mut find: impl FnMut(&[Told]) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let mut told = self.all();
        loop {
            if let Some(found) = find(&told) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            let latest = &told[told.len().saturating_sub(5)..];
            assert!(!left.is_zero(), "{what} did not happen; the latest: {latest:?}");
            told = self.changed.wait_timeout(told, left).unwrap().0;
        }
    }

    /// Waits for the `count`-th link, counted from 1.
    fn wait_opened(&self, count: usize) -> Contact {
        self.wait("a link", |told| {
            let mut opened = told.iter().filter_map(|told| match told {
                Told::Opened(contact) => Some(*contact),
                _ => None,
            });
            opened.nth(count - 1)
        })
    }

    /// Waits for the first end, and says why and whether it means that the node is dead.
    fn wait_closed(&self) -> (Contact, String, bool) {
        self.wait("an end", |told| {
            told.iter().find_map(|told| match told {
                Told::Closed(contact, why, dead) => Some((*contact, why.clone(), *dead)),
                _ => None,
            })
        })
    }

    fn wait_frames(&self, count: usize) -> Vec<Vec<u8>> {
        self.wait("frames", |told| {
            let frames: Vec<_> = frames(told).collect();
            (frames.len() >= count).then_some(frames)
        })
    }

    fn count(&self, is: impl Fn(&Told) -> bool) -> usize {
        self.all().iter().filter(|told| is(told)).count()
    }

    fn hold(&self, holds: bool) {
        *self.holds.lock().unwrap() = holds;
        self.released.notify_all();
    }
}

fn frames(told: &[Told]) -> impl Iterator<Item = Vec<u8>> {
    told.iter().filter_map(|told| match told {
        Told::Frame(_, body) => Some(body.clone()),
        _ => None,
    })
}

/// What links know as their service.
#[derive(Debug)]
struct Noting(Arc<Notes>);

impl Service for Noting {
    fn opened(&self, contact: &Contact, _: u16) -> FrameHandler {
        self.0.note(Told::Opened(*contact));
        let (notes, contact) = (Arc::clone(&self.0), *contact);
        Box::new(move |frames: Frames<'_>, post: &mut Post| {
            let holds = notes.holds.lock().unwrap();
            drop(notes.released.wait_while(holds, |holds| *holds).unwrap());
            for frame in frames {
                match frame.kind {
                    // An echo, for who wants to hear that it was handled.
                    kind::CHORD => {
                        post.send(&contact, kind::DATA, |out| out.bytes(frame.body));
                    }
                    kind::DATA => notes.note(Told::Frame(contact, frame.body.to_vec())),
                    _ => {}
                }
            }
        })
    }

    fn closed(&self, contact: &Contact, why: &Ending) {
        self.0
            .note(Told::Closed(*contact, why.to_string(), why.means_dead()));
    }

    fn met(&self, addr: SocketAddr, outcome: Result<Contact, Ending>) {
        self.0
            .note(Told::Met(addr, outcome.map_err(|why| why.to_string())));
    }
}

/// How to make a node that differs from the others.
struct Plan {
    id: u8,
    key: u8,
    life: u64,
    port: u16,
    ring: Option<RingKey>,
    settings: LinkSettings,
}

impl Plan {
    fn new(id: u8) -> Self {
        Self {
            id,
            key: id,
            life: 1,
            port: 0,
            ring: Some(RingKey::new([7; 32])),
            settings: LinkSettings::default(),
        }
    }

    fn start(self) -> TestNode {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        let me = Contact {
            id: RingId::new([self.id; 20]),
            incarnation: self.life,
            addr: listener.local_addr().unwrap(),
        };
        let setup = Setup {
            me,
            node_key: NodeKey::new([self.key; 32]),
            ring_key: self.ring,
            known: KnownNodes::in_memory(),
            listener: Some(listener),
            sockets: Arc::new(SocketFactory::new("").unwrap()),
            settings: self.settings,
        };
        let notes = Arc::new(Notes::default());
        let links = Links::start(setup, Arc::new(Noting(Arc::clone(&notes)))).unwrap();
        TestNode { me, links, notes }
    }
}

struct TestNode {
    me: Contact,
    links: Links,
    notes: Arc<Notes>,
}

impl Drop for TestNode {
    fn drop(&mut self) {
        // A test that fails must not wait for its own handlers.
        self.notes.hold(false);
    }
}

impl TestNode {
    fn new(id: u8) -> Self {
        Plan::new(id).start()
    }

    /// Sends one frame with these bytes.
    fn say(&self, to: &Contact, body: &[u8]) -> bool {
        self.links.post().send(to, kind::DATA, |out| out.bytes(body))
    }

    /// Sends until a frame gets through: for after a link was lost.
    fn say_until_heard(&self, to: &TestNode, body: &[u8]) {
        let until = Instant::now() + PATIENCE;
        while !frames(&to.notes.all()).any(|heard| heard == body) {
            assert!(
                Instant::now() < until,
                "{:?} was not heard",
                body.escape_ascii().to_string()
            );
            self.say(&to.me, body);
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A wire between two nodes that can be tampered with: who calls its address is put through.
struct Wire {
    addr: SocketAddr,
    listener: TcpListener,
    to: SocketAddr,
}

impl Wire {
    fn to(node: &TestNode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            addr: listener.local_addr().unwrap(),
            listener,
            to: node.me.addr,
        }
    }

    /// Puts one call through. What the caller says passes `tamper`, which may change, repeat or drop it. An end of
    /// the connection is not passed on: one side may lose it and the other not notice. Gives the caller's end and
    /// the other one.
    fn put_through(&self, mut tamper: impl FnMut(&mut Vec<u8>) + Send + 'static) -> (TcpStream, TcpStream) {
        let near = self.listener.accept().unwrap().0;
        let far = TcpStream::connect(self.to).unwrap();
        let pump = |mut from: TcpStream, mut to: TcpStream, tamper: &mut dyn FnMut(&mut Vec<u8>)| {
            let mut buffer = vec![0; 65_536];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let mut bytes = buffer[..count].to_vec();
                tamper(&mut bytes);
                if to.write_all(&bytes).is_err() {
                    break;
                }
            }
        };
        let (from, to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        thread::spawn(move || pump(from, to, &mut tamper));
        let (from, to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        thread::spawn(move || pump(from, to, &mut |_| {}));
        (near, far)
    }
}
