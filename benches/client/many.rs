//! What a client costs that has little to do: with connections, with torrents, and alone.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, MIB, PIECE, serve};
use crate::content::Torrent;
use crate::download::transfer;
use crate::process::{idle_percent, rest};
use crate::scenario::Prepared;
use crate::wire;

const KIB: f64 = 1024.0;
/// After so long a client has done what comes with its start, or with new connections.
const SETTLE: Duration = Duration::from_secs(1);
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
        rest(slice::from_mut(&mut seed.process), SETTLE)?;
        let before = seed.process.memory();
        let info_hash = of_run.metainfo.info.info_hash;
        let mut streams = Vec::new();
        for number in 0..bench.peers {
            let connected = wire::connect(seed.address, number, info_hash, wire::PATIENCE)
                .and_then(|mut stream| stream.write_all(&wire::SAY_INTERESTED).map(|()| stream));
            match connected {
                Ok(stream) => streams.push(stream),
                // It has a limit of its own: what it keeps is in the table.
                Err(error) => {
                    println!("  no more than {number} connections: {error}");
                    break;
                }
            }
        }
        rest(slice::from_mut(&mut seed.process), SETTLE)?;
        let more = seed.process.memory().saturating_sub(before) as f64;
        let percent = idle_percent(&mut seed.process, IDLE)?;
        let kept = streams.iter_mut().filter_map(|stream| is_open(stream).ok());
        let kept = kept.filter(|is_open| *is_open).count();
        ensure!(kept > 0, "no connection was kept");
        Ok(vec![
            ("KiB a connection", more / KIB / kept as f64),
            ("kept", kept as f64),
            ("% of a core", percent),
        ])
    }))
}

/// Whether the other side has kept a connection. What it has sent is read.
fn is_open(stream: &mut TcpStream) -> Result<bool> {
    stream.set_nonblocking(true)?;
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Ok(error.kind() == ErrorKind::WouldBlock),
        }
    }
}

pub(crate) fn torrents(bench: &Bench, _: u64) -> Result<Prepared<'_>> {
    let data = bench.scratch()?;
    let torrents: Vec<Arc<Torrent>> = (0..bench.torrents)
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
        rest(slice::from_mut(&mut seed.process), SETTLE_TORRENTS)?;
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
