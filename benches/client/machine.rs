//! What the machine can do, without any BitTorrent: receive over the loopback, SHA-1, write.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::time::{ClockId, clock_gettime};
use sha1::{Digest, Sha1};

use crate::bench::{Bench, Figures, GIB, MIB};
use crate::common::proc::own_switches;
use crate::content::{BLOCK, Torrent};

/// How the table calls it, with one thread and with two.
pub(crate) const NAMES: [&str; 2] = ["the machine, one thread", "the machine, a pipe of two"];
/// Blocks of one write.
const BATCH: u64 = 16;
/// Pieces that may wait between the two threads.
const WAITING: usize = 2;

/// Processor seconds and switches of a thread.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    cpu: f64,
    switches: u64,
}

impl Spent {
    /// By the thread that asks, since its start.
    fn now() -> Self {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Self {
            cpu: time.tv_sec as f64 + time.tv_nsec as f64 / 1e9,
            switches: own_switches(),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            switches: self.switches + other.switches,
        }
    }
}

/// Moves the content of a torrent into a file, with one thread or two on the side that receives; its cost is counted.
pub(crate) fn measure(bench: &Bench, torrent: &Torrent, threads: usize) -> Result<Figures> {
    let scratch = bench.scratch()?;
    let file = File::create(scratch.path().join("received"))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let to = listener.local_addr()?;
    let start = Instant::now();
    let spent = thread::scope(|scope| {
        let sender = scope.spawn(move || send(torrent, TcpStream::connect(to)?));
        // The listener is gone before the sender is waited for, whatever comes.
        let (from, _) = listener.accept()?;
        // Threads of their own, since they count what they have used since their start.
        let receiver = scope.spawn(|| match threads {
            1 => alone(torrent, from, &file),
            _ => piped(torrent, from, &file),
        });
        let received = join(receiver)?;
        join(sender)?;
        anyhow::Ok(received)
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let bytes = torrent.content.length as f64;
    Ok(vec![
        ("MiB/s", bytes / MIB / seconds),
        ("CPU s/GiB", spent.cpu / (bytes / GIB)),
        ("switches/GiB", spent.switches as f64 / (bytes / GIB)),
    ])
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread
        .join()
        .unwrap_or_else(|_| Err(anyhow!("a thread panicked")))
}

fn send(torrent: &Torrent, mut stream: TcpStream) -> Result<()> {
    let length = torrent.content.length;
    for offset in (0..length).step_by((BATCH * BLOCK) as usize) {
        let slices = torrent.content.slices(offset, BATCH * BLOCK);
        let mut parts: Vec<IoSlice<'_>> = slices.map(IoSlice::new).collect();
        let mut rest = &mut parts[..];
        while !rest.is_empty() {
            let sent = stream.write_vectored(rest)?;
            IoSlice::advance_slices(&mut rest, sent);
        }
    }
    Ok(())
}

fn alone(torrent: &Torrent, mut from: TcpStream, file: &File) -> Result<Spent> {
    let mut buffer = vec![0; torrent.piece_length() as usize];
    for piece in 0..torrent.pieces() {
        let data = &mut buffer[..torrent.length_of(piece) as usize];
        from.read_exact(data)?;
        finish(torrent, file, piece, data)?;
    }
    Ok(Spent::now())
}

fn piped(torrent: &Torrent, mut from: TcpStream, file: &File) -> Result<Spent> {
    thread::scope(|scope| {
        let (full_tx, full_rx) = mpsc::sync_channel::<(u32, Vec<u8>)>(WAITING);
        let (empty_tx, empty_rx) = mpsc::channel();
        // One more is being filled.
        for _ in 0..=WAITING {
            empty_tx.send(vec![0; torrent.piece_length() as usize])?;
        }
        let second = scope.spawn(move || {
            for (piece, buffer) in full_rx {
                finish(torrent, file, piece, &buffer[..torrent.length_of(piece) as usize])?;
                // Nobody takes it any more behind the last piece.
                let _ = empty_tx.send(buffer);
            }
            anyhow::Ok(Spent::now())
        });
        for piece in 0..torrent.pieces() {
            let mut buffer = empty_rx.recv().context("the second thread has ended")?;
            from.read_exact(&mut buffer[..torrent.length_of(piece) as usize])?;
            full_tx
                .send((piece, buffer))
                .context("the second thread has ended")?;
        }
        drop(full_tx);
        Ok(Spent::now().and(join(second)?))
    })
}

fn finish(torrent: &Torrent, file: &File, piece: u32, data: &[u8]) -> Result<()> {
    let expected = torrent.metainfo.info.piece_hashes[piece as usize];
    ensure!(Sha1::digest(data)[..] == expected[..], "piece {piece} is wrong");
    file.write_all_at(data, u64::from(piece) * torrent.piece_length())?;
    Ok(())
}
