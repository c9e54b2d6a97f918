//! What all scenarios work with: sizes, folders, addresses, torrents, and clients that serve.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::statvfs;
use tempfile::TempDir;

use crate::clients::{Client, Job, Role};
use crate::common::proc::fresh_port;
use crate::content::{BLOCK, Content, Torrent};
use crate::process::{Process, watch};
use crate::tracker::{Swarm, Tracker};
use crate::wire;

pub(crate) const MIB: f64 = (1_u64 << 20) as f64;
pub(crate) const GIB: f64 = (1_u64 << 30) as f64;
/// Bytes of a piece, unless a scenario says otherwise.
pub(crate) const PIECE: u32 = 1 << 20;
/// Where data is in memory, so that no disk is measured.
const MEMORY: &str = "/dev/shm";
/// Room that is left to others.
const SPARE: u64 = 256 << 20;

/// Values with their units, in the order of the columns.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// What is the same for all scenarios.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) tracker: Tracker,
    /// Torrents, and the data of one run.
    folder: TempDir,
    pool: Content,
    ports: RefCell<HashSet<u16>>,
    /// Block from which on no content was given out.
    fresh: Cell<u64>,
    pub(crate) torrents: usize,
    pub(crate) peers: usize,
}

impl Bench {
    /// Works in `dir`, or where there is room for so many bytes.
    pub(crate) fn new(dir: Option<&Path>, room: u64, torrents: usize, peers: usize) -> Result<Self> {
        let parent = match dir {
            Some(dir) => dir.to_owned(),
            None => place_with(room)?,
        };
        println!("data is in {}", parent.display());
        Ok(Self {
            tracker: Tracker::start()?,
            folder: tempfile::tempdir_in(parent)?,
            pool: Content::pool(),
            ports: RefCell::default(),
            fresh: Cell::new(0),
            torrents,
            peers,
        })
    }

    /// A folder for what is deleted when it is dropped.
    pub(crate) fn scratch(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(self.folder.path())?)
    }

    /// Content that no other torrent has.
    fn content(&self, length: u64) -> Content {
        let first = self.fresh.get();
        self.fresh.set(first + length.div_ceil(BLOCK));
        self.pool.part(first, length)
    }

    /// A torrent of one file.
    pub(crate) fn torrent(&self, name: &str, length: u64, piece: u32) -> Result<Arc<Torrent>> {
        let (content, tracker) = (self.content(length), &self.tracker.url);
        let torrent = Torrent::single(name, content, piece, tracker, self.folder.path())?;
        Ok(Arc::new(torrent))
    }

    /// A torrent of many files.
    pub(crate) fn torrent_of(&self, files: u64, name: &str, length: u64, piece: u32) -> Result<Arc<Torrent>> {
        let (content, tracker) = (self.content(length), &self.tracker.url);
        let torrent = Torrent::many(name, files, content, piece, tracker, self.folder.path())?;
        Ok(Arc::new(torrent))
    }

    /// A port that no other peer of this benchmark has, on an address of the loopback network.
    pub(crate) fn address(&self, number: u8) -> Result<SocketAddr> {
        let ip = IpAddr::from(Ipv4Addr::new(127, 0, 1, number));
        loop {
            let port = fresh_port(ip)?;
            if self.ports.borrow_mut().insert(port) {
                return Ok(SocketAddr::from((ip, port)));
            }
        }
    }

    /// What a client works with; its data is in `dir`, or in a new folder.
    pub(crate) fn job(
        &self,
        scratch: &Path,
        number: u8,
        torrents: &[&Torrent],
        dir: Option<&Path>,
    ) -> Result<Job> {
        let work = scratch.join(format!("work-{number}"));
        fs::create_dir(&work)?;
        let dir = match dir {
            Some(dir) => dir.to_owned(),
            None => {
                let dir = scratch.join(format!("data-{number}"));
                fs::create_dir(&dir)?;
                dir
            }
        };
        Ok(Job {
            torrents: torrents.iter().map(|torrent| torrent.path.clone()).collect(),
            dir,
            work,
            address: self.address(number)?,
        })
    }
}

/// Memory if so many bytes fit, else the folder for temporary files.
fn place_with(room: u64) -> Result<PathBuf> {
    let memory = Path::new(MEMORY);
    let fits = |path: &Path| {
        statvfs(path).is_ok_and(|system| system.f_bavail.saturating_mul(system.f_frsize) >= room + SPARE)
    };
    if fits(memory) {
        return Ok(memory.to_owned());
    }
    let folder = std::env::temp_dir();
    if !fits(&folder) {
        bail!(
            "neither {MEMORY} nor {} has {} MiB free",
            folder.display(),
            room >> 20
        );
    }
    println!(
        "{MEMORY} has no room for {} MiB: what is measured has a disk in it",
        room >> 20
    );
    Ok(folder)
}

/// Starts a client.
pub(crate) fn start(client: Client, role: Role, job: &Job) -> Result<Process> {
    Process::start(client.command(role, job)?, &job.work.join("output"))
}

/// Starts a client that serves the data in `dir`, and waits until it answers for these of the torrents.
pub(crate) fn serve(
    bench: &Bench,
    client: Client,
    torrents: &[&Torrent],
    asked: &[&Torrent],
    dir: &Path,
    scratch: &Path,
) -> Result<Serving> {
    let job = bench.job(scratch, 1, torrents, Some(dir))?;
    let address = job.address;
    bench.tracker.set(Swarm {
        seeds: vec![address],
        leechers: Vec::new(),
    });
    let mut process = start(client, Role::Seed, &job)?;
    let after = ready(&mut process, address, asked)?;
    Ok(Serving {
        process,
        address,
        after,
    })
}

/// A client that serves.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// Time from its start until it answered.
    pub(crate) after: Duration,
}

/// Waits until a client answers handshakes for all these torrents, and has all their pieces. Gives the time from its
/// start.
pub(crate) fn ready(process: &mut Process, address: SocketAddr, torrents: &[&Torrent]) -> Result<Duration> {
    for torrent in torrents {
        let info_hash = torrent.metainfo.info.info_hash;
        watch(slice::from_mut(process), |processes| {
            processes.iter_mut().try_for_each(Process::must_run)?;
            let has_all = wire::probe(address, info_hash).is_ok_and(|pieces| pieces == torrent.pieces());
            Ok(has_all.then_some(()))
        })
        .with_context(|| format!("waiting for {}", torrent.metainfo.info.name))?;
    }
    Ok(process.started.elapsed())
}
