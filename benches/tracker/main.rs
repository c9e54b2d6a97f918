//! What a tracker costs: real processes, alone and as a ring, beside other trackers where they are installed. Every
//! program is driven by the same load over the loopback, in turn, round after round; the table has the medians.
//!
//! ```text
//! make bench-tracker
//! cargo bench --no-default-features --bench tracker -- --rounds 5 udp http
//! ```
//!
//! Processor time is the sound figure: it hardly changes with whatever else the machine does. Times of day are those
//! of this machine at that moment. `docs/performance.md` has figures and what they mean.

#![allow(clippy::print_stdout)]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "the other benchmarks use the rest of it")]
mod common;
mod http;
mod load;
mod process;
mod ring;
mod udp;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use self::common::proc::raise_open_files;
use self::common::report::Report;
use self::load::{Order, Population};
use self::process::{Server, cpu_of};
use self::ring::Ring;

/// What can be measured, by the names on the command line.
const PARTS: [&str; 9] = [
    "udp", "http", "memory", "idle", "ring", "latency", "kill", "join", "load",
];
/// Ours in the tables.
const OURS: &str = "dtracker";
/// Announces of one measurement.
const COUNT: u32 = 500_000;
/// On a connection each.
const CLOSING_COUNT: u32 = 60_000;
/// Connections that only stay open.
const IDLE: u32 = 10_000;
/// Announces a second whose answers are timed.
const RATE: f64 = 10_000.0;
const RATE_FOR: Duration = Duration::from_secs(8);
const MILLION: f64 = 1e6;

struct Options {
    rounds: u32,
    parts: Vec<String>,
}

/// A part of the benchmark, by name.
type Part<'a> = &'a dyn Fn(&mut Report) -> Result<()>;

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
        rounds: 3,
        parts: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // From cargo.
            "--bench" => {}
            "--rounds" => options.rounds = arguments.next().unwrap_or_default().parse()?,
            part if PARTS.contains(&part) => options.parts.push(part.to_owned()),
            other => bail!("unknown: {other}; there are --rounds N and {}", PARTS.join(", ")),
        }
    }
    Ok(options)
}

fn measure(options: &Options) -> Result<()> {
    raise_open_files()?;
    let is_wanted =
        |part: &str| options.parts.is_empty() || options.parts.iter().any(|wanted| wanted == part);
    let mut report = Report::default();
    let mut rng = fastrand::Rng::with_seed(1);
    for round in 1..=options.rounds {
        println!("round {round} of {}", options.rounds);
        let parts: [(&str, Part<'_>); 6] = [
            ("udp", &udp_alone),
            ("http", &http_alone),
            ("memory", &memory),
            ("idle", &idle),
            ("ring", &ring_cost),
            ("latency", &ring_latency),
        ];
        for (part, run) in parts {
            if is_wanted(part) {
                run(&mut report)?;
            }
        }
        if is_wanted("kill") {
            kill(&mut report, &mut rng)?;
        }
        if is_wanted("join") {
            join(&mut report)?;
        }
        if is_wanted("load") {
            let folder = tempfile::tempdir()?;
            let ring = Ring::start(folder.path(), 10)?;
            report.add("load of ten nodes, max over mean", "", OURS, ring.max_over_mean());
        }
    }
    report.print_by_measure(OURS);
    Ok(())
}

/// A folder that whoever runs a tracker may read.
fn folder() -> Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// All trackers, one after the other; each is gone before the next one starts.
fn each_tracker(
    population: &Population,
    mut measure: impl FnMut(&'static str, &Server) -> Result<()>,
) -> Result<()> {
    let folder = folder()?;
    measure(OURS, &process::dtracker(folder.path(), "alone", None, None)?)?;
    match process::opentracker(folder.path(), population)? {
        Some(server) => measure("opentracker", &server)?,
        None => println!("  opentracker is not installed and left out"),
    }
    match process::aquatic_udp(folder.path())? {
        Some(server) => measure("aquatic_udp", &server)?,
        None => println!("  aquatic_udp is not installed and left out"),
    }
    Ok(())
}

/// Fails unless every announce was answered.
fn check(who: &str, outcome: &udp::Outcome) -> Result<()> {
    if outcome.failed > 0 {
        bail!(
            "{who}: {} announces failed: {}",
            outcome.failed,
            outcome.last_refusal
        );
    }
    if outcome.again > 0 {
        println!("  {who}: {} datagrams were sent again", outcome.again);
    }
    Ok(())
}

fn udp_alone(report: &mut Report) -> Result<()> {
    let population = Population::new(10_000, 100_000);
    each_tracker(&population, |who, server| {
        check(
            who,
            &udp::saturate(&[server.udp], &population, Order::each(&population))?,
        )?;
        let before = server.cpu();
        let outcome = udp::saturate(&[server.udp], &population, Order::random(COUNT, &population))?;
        check(who, &outcome)?;
        let cost = (server.cpu() - before) * MILLION / outcome.answered as f64;
        report.add("one node, UDP", "CPU s per million announces", who, cost);
        report.add(
            "one node, UDP, answered",
            "a second",
            who,
            outcome.answered as f64 / outcome.seconds,
        );
        Ok(())
    })
}

fn http_alone(report: &mut Report) -> Result<()> {
    let population = Population::new(10_000, 100_000);
    each_tracker(&population, |who, server| {
        if who == "aquatic_udp" {
            return Ok(());
        }
        check(
            who,
            &udp::saturate(&[server.udp], &population, Order::each(&population))?,
        )?;
        for (name, closes, count) in [
            ("one node, HTTP, keep-alive", false, COUNT / 2),
            ("one node, HTTP, a connection each", true, CLOSING_COUNT),
        ] {
            // It closes each connection.
            if who == "opentracker" && !closes {
                continue;
            }
            let before = server.cpu();
            let outcome = http::saturate(
                server.http,
                closes,
                &population,
                Order::random(count, &population),
            )?;
            check(who, &outcome)?;
            let cost = (server.cpu() - before) * MILLION / outcome.answered as f64;
            report.add(name, "CPU s per million announces", who, cost);
        }
        Ok(())
    })
}

fn memory(report: &mut Report) -> Result<()> {
    let population = Population::new(100_000, 1_000_000);
    each_tracker(&population, |who, server| {
        let before = server.resident();
        check(
            who,
            &udp::saturate(&[server.udp], &population, Order::each(&population))?,
        )?;
        let bytes = (server.resident() - before) as f64 / MILLION;
        report.add("one node, a million peers", "bytes a peer", who, bytes);
        Ok(())
    })
}

fn idle(report: &mut Report) -> Result<()> {
    let population = Population::new(1_000, 1_000);
    let folder = folder()?;
    let server = process::dtracker(folder.path(), "alone", None, None)?;
    // What the first ones bring along stays out.
    let some = http::idle(server.http, 100, &population)?;
    let before = server.resident();
    let streams = http::idle(server.http, IDLE, &population)?;
    let bytes = (server.resident().saturating_sub(before)) as f64 / streams.len() as f64;
    drop(some);
    report.add("idle HTTP connection", "bytes", OURS, bytes);
    Ok(())
}

fn ring_cost(report: &mut Report) -> Result<()> {
    let folder = folder()?;
    let population = Population::new(10_000, 100_000);
    let ring = Ring::start(folder.path(), 5)?;
    ring.fill(&population)?;
    let before = cpu_of(&ring.nodes);
    let outcome = udp::saturate(&ring.udp(), &population, Order::random(COUNT, &population))?;
    check("the ring", &outcome)?;
    let cost = (cpu_of(&ring.nodes) - before) * MILLION / outcome.answered as f64;
    report.add(
        "ring of five, three copies",
        "CPU s per million announces",
        OURS,
        cost,
    );
    report.add(
        "ring of five, answered",
        "a second",
        OURS,
        outcome.answered as f64 / outcome.seconds,
    );
    let before = cpu_of(&ring.nodes);
    thread::sleep(Duration::from_secs(5));
    let rest = (cpu_of(&ring.nodes) - before) / 5.0;
    report.add("ring of five at rest", "CPU s a second", OURS, rest);
    Ok(())
}

fn ring_latency(report: &mut Report) -> Result<()> {
    let folder = folder()?;
    let population = Population::new(10_000, 100_000);
    let ring = Ring::start(folder.path(), 5)?;
    ring.fill(&population)?;
    let before = cpu_of(&ring.nodes);
    let latencies = udp::paced(&ring.udp(), &population, RATE, RATE_FOR, || false)?;
    let cost = (cpu_of(&ring.nodes) - before) * MILLION / latencies.millis.len() as f64;
    if latencies.failed > 0 {
        println!("  {} announces had no answer", latencies.failed);
    }
    report.add(
        "ring of five at 10,000 a second, p50",
        "ms",
        OURS,
        latencies.quantile(0.5),
    );
    report.add(
        "ring of five at 10,000 a second, p99",
        "ms",
        OURS,
        latencies.quantile(0.99),
    );
    report.add(
        "ring of five at 10,000 a second",
        "CPU s per million announces",
        OURS,
        cost,
    );
    Ok(())
}

fn kill(report: &mut Report, rng: &mut fastrand::Rng) -> Result<()> {
    let few = Population::new(1_000, 10_000);
    let killed = ring::kill_two_of_five(folder()?.path(), &few, true, rng)?;
    report.add(
        "two of five killed, all 10,000 peers served",
        "s",
        OURS,
        killed.served.as_secs_f64(),
    );
    report.add("two of five killed, peers lost", "", OURS, killed.lost as f64);
    let many = Population::new(10_000, 100_000);
    let killed = ring::kill_two_of_five(folder()?.path(), &many, false, rng)?;
    report.add(
        "third copies of 100,000 peers back",
        "s",
        OURS,
        killed.copied.as_secs_f64(),
    );
    Ok(())
}

fn join(report: &mut Report) -> Result<()> {
    let folder = folder()?;
    let population = Population::new(100_000, 1_000_000);
    let joined = ring::join(folder.path(), &population)?;
    report.add(
        "join, a million peers in the ring",
        "s",
        OURS,
        joined.took.as_secs_f64(),
    );
    report.add(
        "ring of five, a million peers",
        "bytes a peer and copy",
        OURS,
        joined.bytes,
    );
    report.add(
        "ring of five, a million peers, a node in all",
        "MB",
        OURS,
        joined.resident / MILLION,
    );
    report.add(
        "join, failed announces meanwhile",
        "",
        OURS,
        joined.meanwhile.failed as f64,
    );
    report.add(
        "join, slowest announce meanwhile",
        "ms",
        OURS,
        joined.meanwhile.quantile(1.0),
    );
    Ok(())
}
