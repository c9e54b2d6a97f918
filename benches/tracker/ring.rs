//! Rings of real processes: what two kills at once, a new node, and chance do to them.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::load::{Order, Population};
use crate::process::{self, Server, resident_of};
use crate::udp::{self, Answer, Latencies, Line};

/// Nodes on which each peer is.
const COPIES: u64 = 3;
/// Longest wait for a ring to come to rest, on a busy machine.
const REST_WITHIN: Duration = Duration::from_secs(180);
/// The port of whoever looks whether peers are served; no peer has it.
const LOOKER: u16 = 9;
/// An answer that takes longer is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(300);
/// Announces a second while a node joins.
const JOIN_RATE: f64 = 1_000.0;

/// Nodes that are one tracker.
pub(crate) struct Ring {
    pub(crate) nodes: Vec<Server>,
    places: Vec<[u8; 20]>,
    first: SocketAddr,
}

impl Ring {
    /// Starts the nodes one after the other, and waits until all serve.
    pub(crate) fn start(folder: &Path, count: usize) -> Result<Self> {
        let first = process::ring_address()?;
        let mut ring = Self {
            nodes: Vec::new(),
            places: Vec::new(),
            first,
        };
        for _ in 0..count {
            ring.add(folder)?;
        }
        Ok(ring)
    }

    /// Starts one more node. How long it took until it had the say over its arc.
    pub(crate) fn add(&mut self, folder: &Path) -> Result<Duration> {
        let number = self.nodes.len();
        let name = format!("node{number}");
        let (address, join) = match number {
            0 => (self.first, None),
            _ => (process::ring_address()?, Some(self.first)),
        };
        let start = Instant::now();
        let node = process::dtracker(folder, &name, Some(address), join)?;
        wait_for("the new node to serve", || {
            Ok(node.log().contains("this node serves"))
        })?;
        let took = start.elapsed();
        let identity = std::fs::read_to_string(folder.join(&name).join("state/node"))?;
        self.places
            .push(place(&identity).context("no id in the identity of a node")?);
        self.nodes.push(node);
        Ok(took)
    }

    pub(crate) fn udp(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.udp).collect()
    }

    /// Announces all peers, each to a node at random, and waits until all copies are there.
    pub(crate) fn fill(&self, population: &Population) -> Result<()> {
        let filled = udp::saturate(&self.udp(), population, Order::each(population))?;
        if filled.failed > 0 {
            bail!("{} announces failed: {}", filled.failed, filled.last_refusal);
        }
        let copies = COPIES.min(self.nodes.len() as u64);
        self.wait_for_entries(u64::from(population.peers) * copies)
    }

    /// Waits until the nodes have so many entries together.
    fn wait_for_entries(&self, count: u64) -> Result<()> {
        wait_for("all copies", || {
            let mut all = 0;
            for node in &self.nodes {
                let status = node.status()?;
                all += status.seeds + status.leechers;
            }
            Ok(all >= count)
        })
    }

    /// Kills two nodes that follow each other on the circle.
    fn kill_two(&mut self, rng: &mut fastrand::Rng) -> Instant {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|&at| self.places[at]);
        let at = rng.usize(..order.len());
        let mut pair = [order[at], order[(at + 1) % order.len()]];
        pair.sort_unstable();
        let start = Instant::now();
        for at in pair {
            self.nodes[at].kill();
        }
        for at in pair.into_iter().rev() {
            self.nodes.remove(at);
            self.places.remove(at);
        }
        start
    }

    /// The longest arc, by the length that it would have if all were as long.
    pub(crate) fn max_over_mean(&self) -> f64 {
        let mut places: Vec<f64> = self.places.iter().map(fraction).collect();
        places.sort_by(f64::total_cmp);
        let round = places.last().map_or(0.0, |last| places[0] + 1.0 - last);
        let longest = places
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .fold(round, f64::max);
        longest * places.len() as f64
    }
}

/// What two kills at once cost.
pub(crate) struct Killed {
    /// Until the last acknowledged peer was served by the last node.
    pub(crate) served: Duration,
    /// Acknowledged peers that some node does not serve.
    pub(crate) lost: usize,
    /// Until all copies were back.
    pub(crate) copied: Duration,
}

/// Kills two neighbours of five, of a ring with these peers. With `looks` every peer is looked for at every node.
pub(crate) fn kill_two_of_five(
    folder: &Path,
    population: &Population,
    looks: bool,
    rng: &mut fastrand::Rng,
) -> Result<Killed> {
    let mut ring = Ring::start(folder, 5)?;
    ring.fill(population)?;
    let start = ring.kill_two(rng);
    let (served, lost) = if looks {
        look_for_all(&ring, population, start)?
    } else {
        (Duration::ZERO, 0)
    };
    // With three nodes left, each has everything.
    for node in &ring.nodes {
        wait_for("the third copies", || {
            let status = node.status()?;
            Ok(status.seeds + status.leechers >= u64::from(population.peers))
        })?;
    }
    Ok(Killed {
        served,
        lost,
        copied: start.elapsed(),
    })
}

/// Asks every node for every swarm until all peers are there.
fn look_for_all(ring: &Ring, population: &Population, start: Instant) -> Result<(Duration, usize)> {
    let lines = ring
        .udp()
        .into_iter()
        .map(Line::new)
        .collect::<Result<Vec<_>>>()?;
    let wanted = population.ports();
    let mut asked: Vec<Vec<Option<Instant>>> = vec![vec![None; population.swarms().len()]; lines.len()];
    let mut missing: Vec<HashSet<u32>> = lines.iter().map(|_| population.swarms().collect()).collect();
    let mut lost_by: Vec<Vec<usize>> = vec![vec![wanted.len(); population.swarms().len()]; lines.len()];
    let mut buffer = [0; 2048];
    let mut served = start;
    while missing.iter().any(|missing| !missing.is_empty()) && start.elapsed() < Duration::from_secs(30) {
        for (at, line) in lines.iter().enumerate() {
            let now = Instant::now();
            let due = missing[at]
                .iter()
                .copied()
                .filter(|&swarm| asked[at][swarm as usize].is_none_or(|asked| now - asked > ASK_AGAIN));
            for swarm in due.take(64).collect::<Vec<_>>() {
                asked[at][swarm as usize] = Some(now);
                // Should the system not take it, it is asked again.
                let _ = line
                    .socket
                    .send(&line.announce(swarm, population.hash(swarm), LOOKER));
            }
            while let Some((swarm, answer)) = line.receive(&mut buffer) {
                let Answer::Peers(peers) = answer else { continue };
                let ports: HashSet<u16> = peers
                    .chunks_exact(6)
                    .map(|peer| u16::from_be_bytes([peer[4], peer[5]]))
                    .collect();
                let lacking = wanted.clone().filter(|port| !ports.contains(port)).count();
                lost_by[at][swarm as usize] = lacking;
                if lacking == 0 && missing[at].remove(&swarm) {
                    served = Instant::now();
                }
            }
        }
        udp::wait(&lines, Duration::from_millis(5));
    }
    // What the worst node does not have.
    let lost = lost_by.iter().map(|node| node.iter().sum()).max().unwrap_or(0);
    Ok((served - start, lost))
}

/// What a new node costs.
pub(crate) struct Joined {
    /// Until it had all of its arc, and the say over it.
    pub(crate) took: Duration,
    /// How the announces went meanwhile.
    pub(crate) meanwhile: Latencies,
    /// Bytes that each further peer and copy had taken before.
    pub(crate) bytes: f64,
    /// Bytes of each of the five nodes then.
    pub(crate) resident: f64,
}

/// Lets a sixth node join a ring of five with these peers, while clients announce to the five.
pub(crate) fn join(folder: &Path, population: &Population) -> Result<Joined> {
    let mut ring = Ring::start(folder, 5)?;
    // A tenth of the peers first: by then the nodes have the buffers of their links, whose size does not depend on
    // how many peers there are.
    let tenth = Population::new(population.swarms().end / 10, population.peers / 10);
    ring.fill(&tenth)?;
    let before = resident_of(&ring.nodes);
    ring.fill(population)?;
    let after = resident_of(&ring.nodes);
    let entries = f64::from(population.peers - tenth.peers) * COPIES as f64;
    let bytes = after.saturating_sub(before) as f64 / entries;
    let servers = ring.udp();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let announcing = scope.spawn(|| {
            udp::paced(&servers, population, JOIN_RATE, REST_WITHIN, || {
                is_done.load(Ordering::Relaxed)
            })
        });
        let took = ring.add(folder);
        is_done.store(true, Ordering::Relaxed);
        let meanwhile = announcing
            .join()
            .map_err(|_| anyhow::anyhow!("the load has panicked"))??;
        Ok(Joined {
            took: took?,
            meanwhile,
            bytes,
            resident: after as f64 / 5.0,
        })
    })
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + REST_WITHIN;
    while !is_there()? {
        if Instant::now() > until {
            bail!("waited in vain for {what}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The place on the circle that a node's identity names.
fn place(identity: &str) -> Option<[u8; 20]> {
    let digits = identity.lines().find_map(|line| line.strip_prefix("id "))?.trim();
    let mut place = [0; 20];
    for (at, byte) in place.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(place)
}

/// As a part of the circle.
fn fraction(place: &[u8; 20]) -> f64 {
    place
        .iter()
        .rev()
        .fold(0.0, |part, &byte| (part + f64::from(byte)) / 256.0)
}
