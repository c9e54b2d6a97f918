//! What frames cost over one link between two nodes on the loopback, with and without others in the same batch.
//!
//! `cargo bench --bench link`. Both nodes run in this process, so the CPU time is that of sender and receiver, the
//! system's share included.

#![allow(clippy::print_stdout)]

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use dtorrent::id::RingId;
use dtorrent::net::sockets::SocketFactory;
use dtorrent::ring::contact::Contact;
use dtorrent::ring::frame::{Frames, kind};
use dtorrent::ring::link::{
    Ending, FrameHandler, KnownNodes, LinkSettings, Links, NodeKey, Post, RingKey, Service, Setup,
};
use rustix::time::{ClockId, clock_gettime};

/// As long as an announce on its way to a copy, more or less.
const BODY: [u8; 60] = [7; 60];

/// Tells of frames that have come, and answers those that want it.
struct Counting {
    came: Sender<usize>,
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counting")
    }
}

impl Service for Counting {
    fn opened(&self, contact: &Contact, _: u16) -> FrameHandler {
        let (came, contact) = (self.came.clone(), *contact);
        Box::new(move |frames: Frames<'_>, post: &mut Post| {
            let mut count = 0;
            for frame in frames {
                match frame.kind {
                    kind::CHORD => {
                        post.send(&contact, kind::DATA, |out| out.bytes(frame.body));
                    }
                    _ => count += 1,
                }
            }
            if count > 0 {
                let _ = came.send(count);
            }
        })
    }

    fn closed(&self, contact: &Contact, why: &Ending) {
        println!("the link to {contact} has ended: {why}");
    }

    fn met(&self, _: SocketAddr, _: Result<Contact, Ending>) {}
}

struct Bench {
    links: Links,
    me: Contact,
    came: Receiver<usize>,
}

impl Bench {
    fn node(number: u8) -> Result<Self, Box<dyn std::error::Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let me = Contact {
            id: RingId::new([number; 20]),
            incarnation: 1,
            addr: listener.local_addr()?,
        };
        let (came, receiver) = unbounded();
        let setup = Setup {
            me,
            node_key: NodeKey::new([number; 32]),
            ring_key: Some(RingKey::new([9; 32])),
            known: KnownNodes::in_memory(),
            listener: Some(listener),
            sockets: Arc::new(SocketFactory::new("")?),
            settings: LinkSettings {
                queue_bytes: 64 << 20,
                ..LinkSettings::default()
            },
        };
        Ok(Self {
            links: Links::start(setup, Arc::new(Counting { came }))?,
            me,
            came: receiver,
        })
    }

    fn wait_for(&self, frames: usize) -> Result<(), crossbeam_channel::RecvTimeoutError> {
        let mut left = frames;
        while left > 0 {
            left -= self.came.recv_timeout(Duration::from_secs(60))?;
        }
        Ok(())
    }

    /// Writes and reads of the one link.
    fn calls(&self) -> (u64, u64) {
        let totals = self.links.status().first().map(|link| link.totals);
        totals.map_or((0, 0), |totals| (totals.writes, totals.reads))
    }
}

/// CPU time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn measure(
    name: &str,
    frames: usize,
    nodes: [&Bench; 2],
    run: impl FnOnce() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let before = nodes.map(Bench::calls);
    let (began, used) = (Instant::now(), cpu());
    run()?;
    let (took, used) = (began.elapsed(), cpu() - used);
    let after = nodes.map(Bench::calls);
    let writes: u64 = (0..2).map(|node| after[node].0 - before[node].0).sum();
    let reads: u64 = (0..2).map(|node| after[node].1 - before[node].1).sum();
    let millions = frames as f64 / 1e6;
    println!(
        "{name:36} {:>10.0} frames/s {:>7.3} CPU s per million {:>9.0} writes {:>9.0} reads per million",
        frames as f64 / took.as_secs_f64(),
        used.as_secs_f64() / millions,
        writes as f64 / millions,
        reads as f64 / millions,
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (one, two) = (Bench::node(1)?, Bench::node(2)?);
    let nodes = [&one, &two];
    let mut post = one.links.post();
    let mut send = |kind: u8, count: usize| {
        for _ in 0..count {
            assert!(
                post.send(&two.me, kind, |out| out.bytes(&BODY)),
                "the queue is full"
            );
        }
        post.flush();
    };
    send(kind::DATA, 1);
    two.wait_for(1)?;

    for batch in [1, 10, 100, 1_000] {
        let frames = (batch * 20_000).min(2_000_000);
        measure(&format!("one way, flushed every {batch}"), frames, nodes, || {
            // Some batches ahead of the receiver, as its socket would have it.
            let mut ahead = 0;
            for _ in 0..frames / batch {
                send(kind::DATA, batch);
                ahead += batch;
                while ahead > 50_000 {
                    ahead -= two.came.recv()?;
                }
            }
            Ok(two.wait_for(ahead)?)
        })?;
    }
    for batch in [1, 10, 100] {
        let frames = batch * 20_000;
        measure(
            &format!("there and back, {batch} at a time"),
            2 * frames,
            nodes,
            || {
                for _ in 0..frames / batch {
                    send(kind::CHORD, batch);
                    one.wait_for(batch)?;
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}
