//! Clients that fetch from synthetic seeds.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::bench::{Bench, Figures, GIB, MIB, PIECE, start};
use crate::clients::{Client, Job, Role};
use crate::content::Torrent;
use crate::idle::{SETTLE, connect_idle};
use crate::process::{Process, Usage, rest, watch};
use crate::scenario::Prepared;
use crate::seed::Seed;
use crate::tracker::Swarm;
use crate::wire;

/// Files of the torrent that has many.
const FILES: u64 = 5000;
/// Connections that have nothing, beside so many seeds.
const IDLE: usize = 950;
const CROWD_SEEDS: usize = 4;
/// Addresses of leechers begin here.
const FIRST_LEECHER: u8 = 101;

pub(crate) fn one_seed(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    let torrent = bench.torrent("one-seed", length, PIECE)?;
    Ok(prepared(bench, torrent, 1, 1).beside_the_machine())
}

pub(crate) fn four_seeds(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    let torrent = bench.torrent("four-seeds", length, PIECE)?;
    Ok(prepared(bench, torrent, 4, 1).beside_the_machine())
}

pub(crate) fn fan_out(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    let torrent = bench.torrent("fan-out", length, PIECE)?;
    Ok(prepared(bench, torrent, 1, 4))
}

pub(crate) fn many_files(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    let torrent = bench.torrent_of(FILES, "many-files", length, PIECE / 4)?;
    Ok(prepared(bench, torrent, 1, 1))
}

/// The same download with nobody else about, and among many connections that have nothing and ask for nothing.
pub(crate) fn crowd_fetch(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    let torrent = bench.torrent("crowd-fetch", length, PIECE)?;
    let of_run = torrent.clone();
    Ok(Prepared::new(torrent, move |client| {
        let bytes = of_run.content.length as f64;
        let alone = fetch_among(bench, client, &of_run, 0)?;
        let crowd = fetch_among(bench, client, &of_run, IDLE)?;
        let rate = |transfer: &Transfer| bytes / MIB / transfer.wall.as_secs_f64();
        Ok(vec![
            ("MiB/s alone", rate(&alone)),
            ("MiB/s in the crowd", rate(&crowd)),
            ("% of that alone", rate(&crowd) / rate(&alone) * 100.0),
            ("CPU s/GiB alone", alone.usage.cpu / (bytes / GIB)),
            ("CPU s/GiB in the crowd", crowd.usage.cpu / (bytes / GIB)),
            ("peak MiB", crowd.usage.peak as f64 / MIB),
        ])
    }))
}

/// A client that so many idle peers are connected to, before the seeds connect: the time counts from there.
fn fetch_among(bench: &Bench, client: Client, torrent: &Arc<Torrent>, idle: usize) -> Result<Transfer> {
    let scratch = bench.scratch()?;
    let job = bench.job(scratch.path(), FIRST_LEECHER, &[torrent.as_ref()], None)?;
    bench.tracker.set(Swarm::default());
    let mut process = start(client, Role::Leech, &job)?;
    let info_hash = torrent.metainfo.info.info_hash;
    let first = watch(slice::from_mut(&mut process), |processes| {
        processes.iter_mut().try_for_each(Process::must_run)?;
        Ok(wire::connect(job.address, 0, info_hash, SETTLE).ok())
    })?;
    let others = connect_idle(job.address, torrent, 1..idle + 1);
    rest(slice::from_mut(&mut process), SETTLE)?;
    let before = process.usage()?;
    let seed = Seed::start(bench.address(1)?, torrent)?;
    let begin = Instant::now();
    for number in 0..CROWD_SEEDS {
        seed.dial(job.address, idle + 1 + number)?;
    }
    let wall = watch(slice::from_mut(&mut process), |processes| {
        let mut done = false;
        for process in processes {
            done |= has_all(client, process, &job)?;
        }
        Ok(done.then(|| begin.elapsed()))
    })?;
    let usage = process.usage()?.since(before);
    drop(process);
    drop((first, others));
    let first_request = seed.first_request().context("nothing was asked for")? - begin;
    torrent.verify(&job.dir)?;
    Ok(Transfer {
        wall,
        first_request,
        usage,
    })
}

fn prepared(bench: &Bench, torrent: Arc<Torrent>, seeds: u8, leechers: u8) -> Prepared<'_> {
    let of_run = Arc::clone(&torrent);
    let run = move |client| {
        let transfer = transfer(bench, client, &of_run, seeds, leechers)?;
        let bytes = (of_run.content.length * u64::from(leechers)) as f64;
        Ok(transfer.figures(bytes))
    };
    Prepared::new(torrent, run)
}

/// What came of a download.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// From the start of the first leecher until the last one has everything.
    wall: Duration,
    /// From the start of the first leecher until a block was asked for.
    pub(crate) first_request: Duration,
    usage: Usage,
}

impl Transfer {
    fn figures(&self, bytes: f64) -> Figures {
        let mut figures = vec![("MiB/s", bytes / MIB / self.wall.as_secs_f64())];
        figures.extend(costs(self.usage, bytes));
        figures
    }
}

/// What this much data has cost a client.
pub(crate) fn costs(usage: Usage, bytes: f64) -> Figures {
    vec![
        ("CPU s/GiB", usage.cpu / (bytes / GIB)),
        ("peak MiB", usage.peak as f64 / MIB),
        ("switches/GiB", usage.switches / (bytes / GIB)),
    ]
}

/// So many synthetic seeds, and so many processes of a client that fetch all from them, and from each other.
pub(crate) fn transfer(
    bench: &Bench,
    client: Client,
    torrent: &Arc<Torrent>,
    seeds: u8,
    leechers: u8,
) -> Result<Transfer> {
    let scratch = bench.scratch()?;
    let addresses: Vec<SocketAddr> = (1..=seeds)
        .map(|number| bench.address(number))
        .collect::<Result<_>>()?;
    let jobs: Vec<Job> = (FIRST_LEECHER..FIRST_LEECHER + leechers)
        .map(|number| bench.job(scratch.path(), number, &[torrent.as_ref()], None))
        .collect::<Result<_>>()?;
    bench.tracker.set(Swarm {
        seeds: addresses.clone(),
        leechers: jobs.iter().map(|job| job.address).collect(),
    });
    let seeds: Vec<Seed> = addresses
        .into_iter()
        .map(|address| Seed::start(address, torrent))
        .collect::<Result<_>>()?;
    let mut processes: Vec<Process> = jobs
        .iter()
        .map(|job| start(client, Role::Leech, job))
        .collect::<Result<_>>()?;
    let begin = processes.first().context("no leechers")?.started;
    let mut finished = HashMap::new();
    let wall = watch(&mut processes, |processes| {
        for (number, (process, job)) in processes.iter_mut().zip(&jobs).enumerate() {
            if !finished.contains_key(&number) && has_all(client, process, job)? {
                finished.insert(number, begin.elapsed());
            }
        }
        let all = finished.len() == jobs.len();
        Ok(finished.values().max().copied().filter(|_| all))
    })?;
    let usages: Vec<Usage> = processes.iter_mut().map(Process::usage).collect::<Result<_>>()?;
    drop(processes);
    let first = seeds.iter().filter_map(Seed::first_request).min();
    let first = first.context("nothing was asked for")?;
    drop(seeds);
    for job in &jobs {
        torrent.verify(&job.dir)?;
    }
    Ok(Transfer {
        wall,
        first_request: first - begin,
        usage: Usage::of_all(usages.into_iter()),
    })
}

fn has_all(client: Client, process: &mut Process, job: &Job) -> Result<bool> {
    if client.ends() {
        return process.is_finished();
    }
    process.must_run()?;
    Ok(job.marker().exists())
}
