//! What the client costs: `dtorrent-cli` beside the other clients that are installed, as real processes that talk to
//! synthetic peers over the loopback. All go through each scenario in turn, round after round; the tables have the
//! medians.
//!
//! ```text
//! make bench
//! cargo bench --no-default-features --bench client -- --rounds 5 one-seed four-seeds
//! ```
//!
//! Everything that was downloaded is compared by its SHA-1, and what fails counts in no median. The synthetic peers are
//! threads of this process, and cost far less than the client at the other end. `docs/performance.md` says how it is
//! measured and what came out.

#![allow(clippy::print_stdout)]

mod bench;
mod charts;
mod clients;
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "the other benchmarks use the rest of it")]
mod common;
mod content;
mod download;
mod hashing;
mod idle;
mod leech;
mod machine;
mod many;
#[path = "../../src/ring/sim/plot.rs"]
mod plot;
mod process;
mod scenario;
mod seed;
mod tracker;
mod upload;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{CommandFactory, FromArgMatches, Parser};

use self::bench::{Bench, Figures};
use self::clients::Client;
use self::common::proc::raise_open_files;
use self::common::report::Report;
use self::scenario::{Prepared, SCENARIOS, Scenario};

/// Measures dtorrent-cli beside the other clients that are installed.
#[derive(Debug, Parser)]
#[command(name = "client")]
struct Options {
    /// How often each client goes through each scenario
    #[arg(long, default_value_t = 3, value_name = "N")]
    rounds: u32,
    /// Clients, with commas between [default: all that are installed]
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(Client::ALL.map(Client::name)))]
    clients: Vec<String>,
    /// MiB of content in every scenario, instead of its own
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=65536))]
    mib: Option<u64>,
    /// Where the data goes [default: /dev/shm, or where temporary files go if that has no room]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Connections of `loads` and `idle-peers`
    #[arg(long, default_value_t = 200, value_name = "N")]
    peers: usize,
    /// Torrents of `torrents`
    #[arg(long, default_value_t = 1000, value_name = "N")]
    torrents: usize,
    /// Draw docs/client/*.svg from what was measured of `peers-N` and `torrents-N`
    #[arg(long)]
    draw: bool,
    /// What is measured [default: everything]
    #[arg(value_name = "SCENARIO", value_parser = PossibleValuesParser::new(SCENARIOS.map(|scenario| scenario.name)), hide_possible_values = true)]
    scenarios: Vec<String>,
    /// From cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn parse_arguments() -> Self {
        let lines = SCENARIOS.map(|scenario| format!("  {:<15}{}", scenario.name, scenario.what));
        let more = format!(
            "Scenarios:\n{}\n\nThe variable DTORRENT names another build of dtorrent-cli to measure.",
            lines.join("\n")
        );
        let matches = Self::command().after_help(more).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    fn scenarios(&self) -> impl Iterator<Item = Scenario> {
        let is_wanted = |scenario: &Scenario| {
            let names = &self.scenarios;
            names.is_empty() || names.iter().any(|name| name == scenario.name)
        };
        SCENARIOS.into_iter().filter(is_wanted)
    }

    /// Bytes of the content of a scenario.
    fn length(&self, scenario: &Scenario) -> u64 {
        self.mib.unwrap_or(scenario.mib) << 20
    }

    fn clients(&self) -> Result<Vec<Client>> {
        let mut clients = Vec::new();
        for client in Client::ALL {
            let is_named = self.clients.iter().any(|name| name == client.name());
            match client.is_there() {
                true if is_named || self.clients.is_empty() => clients.push(client),
                false if is_named => bail!("{} is not installed", client.name()),
                false if self.clients.is_empty() => {
                    println!("{} is not installed and left out", client.name());
                }
                _ => {}
            }
        }
        Ok(clients)
    }
}

fn main() -> ExitCode {
    match measure(&Options::parse_arguments()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs everything and prints the tables. Whether nothing failed.
fn measure(options: &Options) -> Result<bool> {
    raise_open_files()?;
    process::heed_signals()?;
    let clients = options.clients()?;
    let room = |scenario: Scenario| options.length(&scenario) * scenario.copies;
    let room = options.scenarios().map(room).max().unwrap_or_default();
    let bench = Bench::new(options.dir.as_deref(), room, options.torrents, options.peers)?;
    let mut report = Report::default();
    for scenario in options.scenarios() {
        let prepared = (scenario.prepare)(&bench, options.length(&scenario))?;
        for round in 0..options.rounds {
            println!("{}, round {} of {}", scenario.name, round + 1, options.rounds);
            let mut able = clients.clone();
            able.retain(|client| scenario.role.is_some_and(|role| client.can(role)));
            // Nobody always has the same one before it.
            if !able.is_empty() {
                let first = round as usize % able.len();
                able.rotate_left(first);
            }
            run_round(&bench, &scenario, &prepared, &able, &mut report);
            if process::is_interrupted() {
                report.print_by_who();
                bail!("interrupted");
            }
        }
    }
    report.print_by_who();
    if options.draw {
        charts::draw(&report)?;
    }
    Ok(!report.has_failures())
}

fn run_round(
    bench: &Bench,
    scenario: &Scenario,
    prepared: &Prepared<'_>,
    clients: &[Client],
    report: &mut Report,
) {
    let mut note = |who: &'static str, figures: Result<Figures>| match figures {
        // What was interrupted has not failed.
        Err(_) if process::is_interrupted() => {}
        Err(error) => report.fail(scenario.name, who, &error),
        Ok(figures) => {
            for (unit, value) in figures {
                report.add(scenario.name, unit, who, value);
            }
        }
    };
    for client in clients {
        if !process::is_interrupted() {
            note(client.name(), prepared.run(*client));
        }
    }
    if let Some(torrent) = prepared.for_the_machine() {
        for (name, threads) in machine::NAMES.into_iter().zip(1..) {
            if !process::is_interrupted() {
                note(name, machine::measure(bench, torrent, threads));
            }
        }
    }
}
