//! How soon and how well one peer fills a long path: a seed and a leecher as processes of their own, a relay between
//! them that has delay and rate, and the bytes that come out of it counted.
//!
//! ```text
//! make bench-pipe
//! cargo bench --no-default-features --bench pipe -- --delays 10,100,300 --rate 125000000 --mib 2048 ours/ours
//! ```
//!
//! Names like `ours/libtorrent` say who seeds and who fetches. `docs/performance.md` has figures and what they mean.

#![allow(clippy::print_stdout)]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "the other benchmarks use the rest of it")]
mod common;
#[path = "../../tests/support/relay.rs"]
#[allow(dead_code, reason = "tests use the rest of it")]
mod relay;

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dtorrent::create::{CreateOptions, create};
use serde_json::json;

use self::common::proc::{PYTHON, fresh_port, guarded, has_libtorrent};
use self::relay::{Relay, Way};

/// What libtorrent is started with.
const LIBTORRENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/libtorrent_peer.py");
/// How often it is looked at what came out, and over how much of that time a rate is taken.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: usize = 5;
/// The path is filled when so much of its rate comes out.
const FULL: f64 = 0.9;
/// A measurement that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(300);

struct Options {
    delays: Vec<u64>,
    rate: u64,
    mib: u64,
    piece: u32,
    shows: bool,
    pairs: Vec<(Client, Client)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Ours,
    Libtorrent,
}

impl Client {
    fn of(name: &str) -> Result<Self> {
        match name {
            "ours" => Ok(Self::Ours),
            "libtorrent" => Ok(Self::Libtorrent),
            other => bail!("unknown: {other}; there are `ours` and `libtorrent`"),
        }
    }
}

fn main() -> ExitCode {
    match options().and_then(|options| measure(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let mut options = Options {
        delays: vec![10, 100, 300],
        rate: 125_000_000,
        mib: 2048,
        piece: 1 << 20,
        shows: false,
        pairs: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().context("a value is missing");
        match argument.as_str() {
            // From cargo.
            "--bench" => {}
            "--delays" => {
                let delays = value()?.split(',').map(str::parse).collect::<Result<_, _>>();
                options.delays = delays?;
            }
            "--rate" => options.rate = value()?.parse()?,
            "--mib" => options.mib = value()?.parse()?,
            "--piece" => options.piece = value()?.parse()?,
            "--show" => options.shows = true,
            pair => {
                let (seed, leecher) = pair.split_once('/').with_context(|| {
                    format!("unknown: {pair}; there are --delays MS,MS --rate BYTES --mib N --piece BYTES --show, and pairs like ours/libtorrent")
                })?;
                options.pairs.push((Client::of(seed)?, Client::of(leecher)?));
            }
        }
    }
    if options.pairs.is_empty() {
        options.pairs = vec![(Client::Ours, Client::Ours)];
        if has_libtorrent() {
            let (ours, theirs) = (Client::Ours, Client::Libtorrent);
            options
                .pairs
                .extend([(theirs, ours), (ours, theirs), (theirs, theirs)]);
        }
    }
    Ok(options)
}

fn measure(options: &Options) -> Result<()> {
    // In memory, so that no disk is measured.
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let folder = tempfile::tempdir_in(parent)?;
    let torrent = make_torrent(folder.path(), options)?;
    println!(
        "{} MiB, pieces of {} KiB, {:.1} MB/s each way\n",
        options.mib,
        options.piece / 1024,
        options.rate as f64 / 1e6
    );
    println!("| seed / leecher | delay there and back | filled after | mean of the rate | most blocks out |");
    println!("|---|---|---|---|---|");
    for &delay in &options.delays {
        for &(seed, leecher) in &options.pairs {
            let figures = run(folder.path(), &torrent, options, delay, seed, leecher)?;
            let filled = figures.filled.map_or("never".to_owned(), |after| {
                format!("{:.2} s", after.as_secs_f64())
            });
            println!(
                "| {seed:?} / {leecher:?} | {delay} ms | {filled} | {:.0} % | {} |",
                100.0 * figures.mean / options.rate as f64,
                figures.most_out
            );
        }
    }
    Ok(())
}

/// A file that nobody can compress, and its torrent.
fn make_torrent(folder: &Path, options: &Options) -> Result<PathBuf> {
    let data = folder.join("seed");
    fs::create_dir(&data)?;
    let path = data.join("file.bin");
    let mut file = File::create(&path)?;
    let mut rng = fastrand::Rng::with_seed(1);
    let mut mib = vec![0; 1 << 20];
    for _ in 0..options.mib {
        rng.fill(&mut mib);
        file.write_all(&mib)?;
    }
    drop(file);
    let create_options = CreateOptions {
        path,
        piece_length: Some(options.piece),
        ..CreateOptions::default()
    };
    let metainfo = create(&create_options, |_, _| (), &AtomicBool::new(false))?;
    let torrent = folder.join("file.torrent");
    fs::write(&torrent, &metainfo.raw)?;
    Ok(torrent)
}

struct Figures {
    /// From the connection to the first time that the path was full.
    filled: Option<Duration>,
    /// Bytes a second, from the connection to the last byte.
    mean: f64,
    /// Most requests that were under way or waiting, counted at the leecher's end of the path.
    most_out: u64,
}

fn run(
    folder: &Path,
    torrent: &Path,
    options: &Options,
    delay: u64,
    seed: Client,
    leecher: Client,
) -> Result<Figures> {
    let seed_address = fresh_address(2)?;
    let _seed = start(folder, seed, seed_address, torrent, "seed", None)?;
    let until = Instant::now() + LONGEST;
    while TcpStream::connect(seed_address).is_err() {
        if Instant::now() > until {
            bail!("the seed does not listen");
        }
        thread::sleep(LOOK);
    }
    let way = Way::of_delay(Duration::from_millis(delay) / 2).at_rate(options.rate);
    let relay = Relay::start(seed_address.into(), way, way, 1)?;
    let target = folder.join("leech");
    fs::create_dir(&target)?;
    let mut child = start(
        folder,
        leecher,
        fresh_address(3)?,
        torrent,
        "leech",
        Some(relay.addr()),
    )?;
    let figures = watch(&relay, options, &mut child)?;
    drop(child);
    let right = fs::read(target.join("file.bin"))? == fs::read(folder.join("seed/file.bin"))?;
    fs::remove_dir_all(&target)?;
    if !right {
        bail!("what was fetched is not what was seeded");
    }
    Ok(figures)
}

fn watch(relay: &Relay, options: &Options, leecher: &mut Program) -> Result<Figures> {
    let until = Instant::now() + LONGEST;
    let mut began = None;
    // Times, and bytes that had come by then.
    let mut looks: Vec<(Instant, u64)> = Vec::new();
    let mut figures = Figures {
        filled: None,
        mean: 0.0,
        most_out: 0,
    };
    loop {
        thread::sleep(LOOK);
        let now = Instant::now();
        if now > until {
            bail!("it took too long");
        }
        if began.is_none() && relay.carried().connections.load(Ordering::Relaxed) > 0 {
            began = Some(now);
        }
        let back = relay.carried().back.load(Ordering::Relaxed);
        let out = relay.carried().out();
        figures.most_out = figures.most_out.max(out);
        looks.push((now, back));
        let Some(start) = began else {
            looks.clear();
            continue;
        };
        if let Some(&(then, before)) = looks.iter().rev().nth(LOOKS) {
            let rate = (back - before) as f64 / (now - then).as_secs_f64();
            if figures.filled.is_none() && rate >= FULL * options.rate as f64 {
                figures.filled = Some(now - start);
            }
            if options.shows && looks.len().is_multiple_of(LOOKS) {
                println!(
                    "  {:5.2} s  {:6.1} MB/s  {out} blocks out",
                    (now - start).as_secs_f64(),
                    rate / 1e6
                );
            }
        }
        if leecher.has_ended()? {
            // The last byte came a while before the process ended.
            let last = looks.iter().find(|(_, bytes)| *bytes == back);
            let took = last.map_or(Duration::ZERO, |(at, _)| *at - start);
            figures.mean = back as f64 / took.as_secs_f64();
            return Ok(figures);
        }
    }
}

/// A client at work. It is killed when this is dropped, and when we end.
struct Program(Child);

impl Program {
    fn has_ended(&mut self) -> Result<bool> {
        match self.0.try_wait()? {
            Some(status) if status.success() => Ok(true),
            Some(status) => bail!("the leecher failed: {status}"),
            None => Ok(false),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It fails only when the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address that nothing else uses, with a port chosen by the system.
fn fresh_address(last: u8) -> Result<SocketAddrV4> {
    let ip = Ipv4Addr::new(127, 0, 0, last);
    Ok(SocketAddrV4::new(ip, fresh_port(ip.into())?))
}

fn start(
    folder: &Path,
    client: Client,
    address: SocketAddrV4,
    torrent: &Path,
    part: &str,
    peer: Option<SocketAddr>,
) -> Result<Program> {
    let dir = folder.join(part);
    let mut command = match client {
        Client::Ours => {
            // Another build can be measured in its place, to compare.
            let program =
                std::env::var("DTORRENT_CLI").unwrap_or_else(|_| env!("CARGO_BIN_EXE_dtorrent-cli").into());
            let state = tempfile::tempdir_in(folder)?.keep();
            let config = state.join("config.toml");
            fs::write(&config, "")?;
            let mut command = guarded(&program, &[]);
            command
                .args(peer.map_or(&["seed", "--trust"][..], |_| &["download"]))
                .arg(torrent)
                .args(["--bind", &address.ip().to_string()])
                .args(["--port", &address.port().to_string()])
                .arg("--dir")
                .arg(&dir)
                .arg("--state")
                .arg(&state)
                .arg("--config")
                .arg(&config);
            if let Some(peer) = peer {
                command.args(["--peer", &peer.to_string()]);
            }
            command
        }
        Client::Libtorrent => {
            let job = json!({
                "ip": address.ip(), "port": address.port(), "dir": dir, "torrents": [torrent],
                "stay": peer.is_none(), "seed": peer.is_none(), "peers": Vec::from_iter(peer),
            });
            let mut command = guarded(PYTHON, &[]);
            command.args([LIBTORRENT, &job.to_string()]);
            command
        }
    };
    let child = command
        // Theirs ends when it closes.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Program(child))
}
