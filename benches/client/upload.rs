//! Clients that serve a synthetic leecher.

use std::slice;
use std::thread;

use anyhow::{Result, anyhow};

use crate::bench::{Bench, Figures, MIB, PIECE, serve};
use crate::clients::Client;
use crate::content::Torrent;
use crate::download::costs;
use crate::leech;
use crate::process::watch;
use crate::scenario::Prepared;

/// Requests that the only leecher keeps out, and each of many.
const DEPTH: usize = 500;
const DEPTH_OF_MANY: usize = 64;

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
        upload(bench, client, &of_run, data.path(), connections, depth)
    }))
}

fn upload(
    bench: &Bench,
    client: Client,
    torrent: &Torrent,
    data: &std::path::Path,
    connections: usize,
    depth: usize,
) -> Result<Figures> {
    let scratch = bench.scratch()?;
    let mut seed = serve(bench, client, &[torrent], &[torrent], data, scratch.path())?;
    let before = seed.process.usage()?;
    let address = seed.address;
    let emptied = thread::scope(|scope| {
        let leecher = scope.spawn(move || leech::empty(address, torrent, connections, depth));
        watch(slice::from_mut(&mut seed.process), |processes| {
            processes.iter_mut().try_for_each(|process| process.must_run())?;
            Ok(leecher.is_finished().then_some(()))
        })?;
        leecher
            .join()
            .unwrap_or_else(|_| Err(anyhow!("the leecher panicked")))
    })?;
    let usage = seed.process.usage()?.since(before);
    let bytes = torrent.content.length as f64;
    let mut figures = vec![("MiB/s", bytes / MIB / emptied.seconds)];
    figures.extend(costs(usage, bytes));
    if connections > 1 {
        figures.push(("served", emptied.served as f64));
    }
    Ok(figures)
}
