//! What a client costs that has little to do: with connections, with torrents, and alone.

use std::net::TcpStream;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, GIB, MIB, PIECE, Serving, serve};
use crate::content::Torrent;
use crate::download::transfer;
use crate::idle::{SETTLE, connect_idle, kept};
use crate::process::{Process, idle_percent, rest, watch};
use crate::scenario::Prepared;
use crate::upload::{DEPTH_OF_MANY, upload};

const KIB: f64 = 1024.0;
/// After so long a client has done what comes with the start of many torrents.
const SETTLE_TORRENTS: Duration = Duration::from_secs(3);
/// Over so long it is counted what it takes then. `/proc` counts in hundredths of a second.
const IDLE: Duration = Duration::from_secs(10);
/// Each of many torrents: bytes, and of a piece.
const SMALL: u64 = 64 * 1024;
const SMALL_PIECE: u32 = 16 * 1024;
/// Of many torrents the last ones, and as many others, are asked for.
const ASKED_LAST: usize = 3;
const ASKED_OTHERS: usize = 5;

pub(crate) fn idle_peers(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    let torrent = bench.torrent("idle-peers", length, PIECE)?;
    let data = bench.scratch()?;
    torrent.write(data.path())?;
    let of_run = torrent.clone();
    Ok(Prepared::new(torrent, move |client| {
        let scratch = bench.scratch()?;
        let mut seed = serve(bench, client, &[&of_run], &[&of_run], data.path(), scratch.path())?;
        let (mut streams, more) = memory_of_idle(&mut seed, &of_run, bench.peers)?;
        let percent = idle_percent(&mut seed.process, IDLE)?;
        let kept = kept(&mut streams);
        ensure!(kept > 0, "no connection was kept");
        Ok(vec![
            ("KiB a connection", more / KIB / kept as f64),
            ("kept", kept as f64),
            ("% of a core", percent),
        ])
    }))
}

/// Makes so many connections that ask for nothing; also how many bytes more the seed has in memory for them.
fn memory_of_idle(seed: &mut Serving, torrent: &Torrent, count: usize) -> Result<(Vec<TcpStream>, f64)> {
    rest(slice::from_mut(&mut seed.process), SETTLE)?;
    let before = seed.process.memory();
    let streams = connect_idle(seed.address, torrent, 0..count);
    rest(slice::from_mut(&mut seed.process), SETTLE)?;
    Ok((streams, seed.process.memory().saturating_sub(before) as f64))
}

/// So many connections, for the charts: what each takes while it asks for nothing, and what they cost when all fetch.
pub(crate) fn peers_of<const COUNT: usize>(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    let torrent = bench.torrent("peers", length, PIECE)?;
    let data = bench.scratch()?;
    torrent.write(data.path())?;
    let of_run = torrent.clone();
    Ok(Prepared::new(torrent, move |client| {
        let scratch = bench.scratch()?;
        let mut seed = serve(bench, client, &[&of_run], &[&of_run], data.path(), scratch.path())?;
        let (mut streams, more) = memory_of_idle(&mut seed, &of_run, COUNT)?;
        let kept = kept(&mut streams);
        ensure!(kept == COUNT, "only {kept} connections were kept");
        drop(streams);
        rest(slice::from_mut(&mut seed.process), SETTLE)?;
        let (emptied, usage) = upload(&mut seed, &of_run, 0..COUNT, DEPTH_OF_MANY)?;
        let bytes = of_run.content.length as f64;
        Ok(vec![
            ("KiB a connection", more / KIB / COUNT as f64),
            ("MiB/s", bytes / MIB / emptied.seconds),
            ("CPU s/GiB", usage.cpu / (bytes / GIB)),
            ("served", emptied.served as f64),
        ])
    }))
}

pub(crate) fn torrents(bench: &Bench, _: u64) -> Result<Prepared<'_>> {
    seeding(bench, bench.torrents)
}

/// So many torrents, for the charts.
pub(crate) fn torrents_of<const COUNT: usize>(bench: &Bench, _: u64) -> Result<Prepared<'_>> {
    seeding(bench, COUNT)
}

fn seeding(bench: &Bench, count: usize) -> Result<Prepared<'_>> {
    let data = bench.scratch()?;
    let torrents: Vec<Arc<Torrent>> = (0..count)
        .map(|number| {
            let torrent = bench.torrent(&format!("small-{number:05}"), SMALL, SMALL_PIECE)?;
            torrent.write(data.path())?;
            Ok(torrent)
        })
        .collect::<Result<_>>()?;
    let first = torrents.first().context("no torrents")?.clone();
    Ok(Prepared::new(first, move |client| {
        let all: Vec<&Torrent> = torrents.iter().map(AsRef::as_ref).collect();
        let last = all.iter().rev().take(ASKED_LAST);
        let others = all.iter().step_by((all.len() / ASKED_OTHERS).max(1));
        let asked: Vec<&Torrent> = last.chain(others).copied().collect();
        let scratch = bench.scratch()?;
        let mut seed = serve(bench, client, &all, &asked, data.path(), scratch.path())?;
        let usage = seed.process.usage()?;
        // Each torrent is announced once, which is no work at rest.
        watch(slice::from_mut(&mut seed.process), |processes| {
            processes.iter_mut().try_for_each(Process::must_run)?;
            Ok((bench.tracker.quiet_for() > SETTLE_TORRENTS).then_some(()))
        })?;
        let memory = seed.process.memory() as f64;
        let percent = idle_percent(&mut seed.process, IDLE)?;
        Ok(vec![
            ("s until served", seed.after.as_secs_f64()),
            ("CPU s until served", usage.cpu),
            ("KiB a torrent", memory / KIB / all.len() as f64),
            ("% of a core", percent),
        ])
    }))
}

pub(crate) fn start(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    let torrent = bench.torrent("start", length, PIECE)?;
    let data = bench.scratch()?;
    torrent.write(data.path())?;
    let of_run = torrent.clone();
    Ok(Prepared::new(torrent, move |client| {
        let scratch = bench.scratch()?;
        let mut seed = serve(bench, client, &[&of_run], &[&of_run], data.path(), scratch.path())?;
        rest(slice::from_mut(&mut seed.process), SETTLE)?;
        let percent = idle_percent(&mut seed.process, IDLE)?;
        let memory = seed.process.memory() as f64;
        let ready = seed.after;
        drop(seed);
        let leech = transfer(bench, client, &of_run, 1, 1)?;
        Ok(vec![
            ("ms to the first request", leech.first_request.as_secs_f64() * 1e3),
            ("ms to ready as a seed", ready.as_secs_f64() * 1e3),
            ("MiB at rest", memory / MIB),
            ("% of a core", percent),
        ])
    }))
}
