//! Clients that hash what is in memory: to check it, or to make a torrent of it.

use std::slice;
use std::time::Duration;

use anyhow::Result;

use crate::bench::{Bench, Figures, MIB, PIECE, ready, start};
use crate::clients::{Client, Role};
use crate::content::Torrent;
use crate::download::costs;
use crate::process::{Process, Usage, watch};
use crate::scenario::Prepared;
use crate::tracker::Swarm;

pub(crate) fn recheck(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    let torrent = bench.torrent("recheck", length, PIECE)?;
    let data = bench.scratch()?;
    torrent.write(data.path())?;
    let of_run = torrent.clone();
    Ok(Prepared::new(torrent, move |client| {
        let scratch = bench.scratch()?;
        let job = bench.job(scratch.path(), 1, &[&of_run], Some(data.path()))?;
        bench.tracker.set(Swarm {
            seeds: vec![job.address],
            leechers: Vec::new(),
        });
        let mut process = start(client, Role::Check, &job)?;
        let wall = if client.ends() {
            wait_for_end(&mut process)?
        } else {
            ready(&mut process, job.address, &[&of_run])?
        };
        Ok(figures(wall, process.usage()?, &of_run))
    }))
}

pub(crate) fn create(bench: &Bench, length: u64) -> Result<Prepared<'_>> {
    let torrent = bench.torrent("create", length, PIECE)?;
    let data = bench.scratch()?;
    torrent.write(data.path())?;
    let of_run = torrent.clone();
    Ok(Prepared::new(torrent, move |client: Client| {
        let scratch = bench.scratch()?;
        let (path, out) = (data.path().join("create"), scratch.path().join("made.torrent"));
        let command = client.create(&path, &out, PIECE, &bench.tracker.url)?;
        let mut process = Process::start(command, &scratch.path().join("output"))?;
        let wall = wait_for_end(&mut process)?;
        of_run.compare(&out)?;
        Ok(figures(wall, process.usage()?, &of_run))
    }))
}

fn wait_for_end(process: &mut Process) -> Result<Duration> {
    let started = process.started;
    watch(slice::from_mut(process), |processes| {
        let mut all = true;
        for process in processes {
            all &= process.is_finished()?;
        }
        Ok(all.then(|| started.elapsed()))
    })
}

fn figures(wall: Duration, usage: Usage, torrent: &Torrent) -> Figures {
    let bytes = torrent.content.length as f64;
    let mut figures = vec![
        ("s", wall.as_secs_f64()),
        ("MiB/s", bytes / MIB / wall.as_secs_f64()),
    ];
    figures.extend(costs(usage, bytes));
    figures
}
