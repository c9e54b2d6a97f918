//! The window with thousands of torrents: how soon it shows them, what it takes while some of them download, and how
//! smoothly it scrolls. The program is the real one, on a screen without hardware; the data comes from a client in this
//! process, over the loopback. See docs/performance.md.
//!
//! `cargo bench --bench window -- [--torrents 5000] [--active 50] [--seconds 20]`; `DTORRENT=FILE` measures another build of
//! the program.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "the other benchmarks use the rest of it")]
mod common;
#[path = "../../tests/window/desktop.rs"]
#[allow(dead_code, reason = "tests use the rest of it")]
mod desktop;
mod session;
mod strokes;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rustix::time::{ClockId, clock_gettime};

use common::proc;
use desktop::{Desktop, Owned, wait_until};
use session::{Seed, Session};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_dtorrent");

/// What comes with the start is over then.
const SETTLE: Duration = Duration::from_secs(5);

/// What one frame may last at 60 a second, in milliseconds.
const FRAME: f64 = 1000.0 / 60.0;

#[derive(Debug, Parser)]
struct Args {
    /// Torrents in the list
    #[arg(long, default_value_t = 5000)]
    torrents: usize,
    /// Those of them that download
    #[arg(long, default_value_t = 50)]
    active: usize,
    /// Over how many seconds the processor's time is taken
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// How the list looks, as the window remembers it.
const LOOKS: [(&str, &str); 3] = [
    ("full rows, in the order of the queue", r#""sort":"queue""#),
    (
        "full rows, fastest first",
        r#""sort":"download-rate","reversed":true"#,
    ),
    (
        "compact rows, fastest first",
        r#""sort":"download-rate","reversed":true,"compact":true"#,
    ),
];

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        args.active <= args.torrents,
        "more torrents download than there are"
    );
    proc::raise_open_files()?;
    println!("{} torrents, {} of them download", args.torrents, args.active);
    for (look, settings) in LOOKS {
        println!("{look}:");
        measure(&args, settings).with_context(|| look.to_owned())?;
    }
    Ok(())
}

fn measure(args: &Args, look: &str) -> Result<()> {
    let desktop = Desktop::start();
    let seed = Seed::start(&desktop.path("seed"), args.active)?;
    let session = Session::write(&desktop.path("session"), args.torrents, &seed)?;
    let window = format!(r#"{{"width":1100,"height":900,{look}}}"#);
    fs::write(session.state.join("window.json"), window)?;
    let begun = Instant::now();
    let mut command = desktop.command(std::env::var_os("DTORRENT").unwrap_or_else(|| PROGRAM.into()));
    command.arg("--config").arg(&session.config);
    let program = Owned(command.spawn()?);
    let pid = program.0.id();
    let shown = wait_until("the first frame", || first_frame(&session.log));
    println!("  first frame {shown} ms after the session was read");
    println!(
        "  {} ms after the start of the program",
        begun.elapsed().as_millis()
    );
    seed.wait_for_peers(args.active);
    thread::sleep(SETTLE);

    let (of_all, of_window) = (proc::cpu(pid), main_thread_cpu(pid));
    let asked = Instant::now();
    thread::sleep(Duration::from_secs(args.seconds));
    let seconds = asked.elapsed().as_secs_f64();
    let idle = (main_thread_cpu(pid) - of_window) / seconds;
    println!(
        "  {:.1} % of a core, {:.1} % of it the window's thread; {:.0} MiB in memory",
        100.0 * (proc::cpu(pid) - of_all) / seconds,
        100.0 * idle,
        proc::memory(pid, "VmRSS") as f64 / f64::from(1 << 20)
    );

    session.log_everything()?;
    wait_until("frames in the log", || {
        (!frames(&session.log).is_empty()).then_some(())
    });
    for (what, hands, every, times) in [
        ("wheel", &["click", "5"][..], 16, 200),
        ("Page Down", &["key", "Next"], 33, 60),
    ] {
        println!(
            "  {what}: {}",
            scroll(&desktop, &session.log, hands, every, times)?
        );
    }
    // What they take depends on the rows in view, not on which these are.
    if look == LOOKS[0].1 {
        strokes::measure(&desktop, &session.log, pid, idle)?;
    }
    Ok(())
}

/// How long after it was told of its torrents the window was drawn, in milliseconds, once it has been.
fn first_frame(log: &Path) -> Option<u64> {
    let text = fs::read_to_string(log).ok()?;
    let line = text.lines().find(|line| line.contains("the window shows"))?;
    let (_, time) = line.rsplit_once("torrents, ")?;
    time.split(' ').next()?.parse().ok()
}

/// Seconds of processor of the thread that draws: the first one of the process.
fn main_thread_cpu(pid: u32) -> f64 {
    proc::cpu_of(&format!("/proc/{pid}/task/{pid}/stat"))
}

/// Scrolls with these hands over the list, so many times and so many milliseconds apart, and tells of the frames.
fn scroll(desktop: &Desktop, log: &Path, hands: &[&str], every: u64, times: u64) -> Result<String> {
    let window = ["search", "--onlyvisible", "--name", "^DTorrent$"];
    let place = [
        "windowactivate",
        "--sync",
        "mousemove",
        "--window",
        "%1",
        "150",
        "400",
    ];
    // Windows that come and go make the search fail.
    wait_until("the window", || {
        let mut hands = desktop.command("xdotool");
        let found = hands.args(window).args(place).stderr(Stdio::null()).status();
        found.is_ok_and(|status| status.success()).then_some(())
    });
    thread::sleep(Duration::from_millis(500));
    let (what, how) = hands.split_first().context("hands that do nothing")?;
    let (delay, repeat) = (every.to_string(), times.to_string());
    let repeated = [*what, "--delay", &delay, "--repeat", &repeat];
    let mut command = desktop.command("xdotool");
    ensure!(command.args(repeated).args(how).status()?.success(), "{hands:?}");
    let ended = monotonic();
    // Before that the hands were still on their way, and only what downloads was drawn.
    let begun = ended - every * times * 1000;
    // The log is written once a second.
    thread::sleep(Duration::from_secs(2));
    let drawn: Vec<u64> = frames(log)
        .into_iter()
        .filter(|at| (begun..=ended).contains(at))
        .collect();
    let mut gaps: Vec<f64> = drawn
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) as f64 / 1000.0)
        .collect();
    gaps.sort_by(f64::total_cmp);
    let longest = gaps.last().context("nothing was drawn")?;
    let slow = gaps.iter().filter(|gap| **gap > 3.0 * FRAME).count();
    Ok(format!(
        "{} frames, median gap {:.0} ms, longest {longest:.0} ms, {slow} over {:.0} ms",
        drawn.len(),
        gaps[gaps.len() / 2],
        3.0 * FRAME
    ))
}

/// When frames were done, in microseconds.
fn frames(log: &Path) -> Vec<u64> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let times = text
        .lines()
        .filter_map(|line| line.split_once("frame at ")?.1.split(' ').next()?.parse().ok());
    times.collect()
}

/// The clock that frames are told by.
fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}
