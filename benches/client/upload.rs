//! Clients that serve synthetic leechers.

use std::ops::Range;
use std::slice;
use std::thread;

use anyhow::{Result, anyhow};

use crate::bench::{Bench, GIB, MIB, PIECE, Serving, serve};
use crate::content::Torrent;
use crate::download::costs;
use crate::idle::{SETTLE, connect_idle, kept};
use crate::leech::{self, Emptied};
use crate::process::{Usage, rest, watch};
use crate::scenario::Prepared;

/// Requests that the only leecher keeps out, and each of many.
const DEPTH: usize = 500;
pub(crate) const DEPTH_OF_MANY: usize = 64;
/// Connections of a crowd, and how many of them fetch.
const CROWD: usize = 1000;
const ACTIVE: usize = 50;

pub(crate) fn sink(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    prepared(bench, "sink", length, 1, DEPTH)
}

pub(crate) fn loads(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    prepared(bench, "loads", length, bench.peers, DEPTH_OF_MANY)
}

fn prepared<'a>(
    bench: &'a Bench,
    name: &str,
    length: u64,
    connections: usize,
    depth: usize,
) -> Result<Prepared<'a>> {
    let torrent = bench.torrent(name, length, PIECE)?;
    let data = bench.scratch()?;
    torrent.write(data.path())?;
    let of_run = torrent.clone();
    Ok(Prepared::new(torrent, move |client| {
        let scratch = bench.scratch()?;
        let mut seed = serve(bench, client, &[&of_run], &[&of_run], data.path(), scratch.path())?;
        let (emptied, usage) = upload(&mut seed, &of_run, 0..connections, depth)?;
        let bytes = of_run.content.length as f64;
        let mut figures = vec![("MiB/s", bytes / MIB / emptied.seconds)];
        figures.extend(costs(usage, bytes));
        if connections > 1 {
            figures.push(("served", emptied.served as f64));
        }
        Ok(figures)
    }))
}

/// The same load with nobody else about, and among many connections that want something and ask for nothing.
pub(crate) fn crowd(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    let torrent = bench.torrent("crowd", length, PIECE)?;
    let data = bench.scratch()?;
    torrent.write(data.path())?;
    let of_run = torrent.clone();
    Ok(Prepared::new(torrent, move |client| {
        let bytes = of_run.content.length as f64;
        let rate = |emptied: &Emptied| bytes / MIB / emptied.seconds;
        let run = |idle: usize| -> Result<(Emptied, Usage, usize)> {
            let scratch = bench.scratch()?;
            let mut seed = serve(bench, client, &[&of_run], &[&of_run], data.path(), scratch.path())?;
            let mut others = connect_idle(seed.address, &of_run, 0..idle);
            rest(slice::from_mut(&mut seed.process), SETTLE)?;
            let (emptied, usage) = upload(&mut seed, &of_run, idle..idle + ACTIVE, DEPTH_OF_MANY)?;
            Ok((emptied, usage, kept(&mut others)))
        };
        let (alone, usage_alone, _) = run(0)?;
        let (crowd, usage, kept) = run(CROWD - ACTIVE)?;
        Ok(vec![
            ("MiB/s alone", rate(&alone)),
            ("MiB/s in the crowd", rate(&crowd)),
            ("% of that alone", rate(&crowd) / rate(&alone) * 100.0),
            ("CPU s/GiB alone", usage_alone.cpu / (bytes / GIB)),
            ("CPU s/GiB in the crowd", usage.cpu / (bytes / GIB)),
            ("peak MiB", usage.peak as f64 / MIB),
            ("served", crowd.served as f64),
            ("others kept", kept as f64),
        ])
    }))
}

/// Lets so many leechers with these numbers fetch everything once between them, and gives what that has cost.
pub(crate) fn upload(
    seed: &mut Serving,
    torrent: &Torrent,
    numbers: Range<usize>,
    depth: usize,
) -> Result<(Emptied, Usage)> {
    let before = seed.process.usage()?;
    let address = seed.address;
    let emptied = thread::scope(|scope| {
        let leecher = scope.spawn(move || leech::empty(address, torrent, numbers, depth));
        watch(slice::from_mut(&mut seed.process), |processes| {
            processes.iter_mut().try_for_each(|process| process.must_run())?;
            Ok(leecher.is_finished().then_some(()))
        })?;
        leecher
            .join()
            .unwrap_or_else(|_| Err(anyhow!("the leecher panicked")))
    })?;
    Ok((emptied, seed.process.usage()?.since(before)))
}
