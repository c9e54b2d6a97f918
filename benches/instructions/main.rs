//! How many instructions the hot paths take, compared with what is kept in `expected.toml`: a slow-down shows without
//! a clock, on a machine that is busy as well.
//!
//! ```text
//! make bench-instructions                   # counts, and fails where a case takes 3 % more than is kept
//! make bench-instructions BENCH=--write     # counts, and keeps that from now on
//! cargo bench --no-default-features --bench instructions -- --case choker/seeding --times 1000   # for a profiler
//! ```
//!
//! The program runs itself in valgrind, each case so many times and twice as many times. The difference is what the
//! case takes, without the start of the process and what is prepared. `docs/performance.md` tells what the counts are
//! good for.

#![allow(clippy::print_stdout)]

mod cases;
mod count;
mod expected;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::cases::{CASES, Case};
use crate::expected::{Expected, Verdict};

#[derive(Debug, Parser)]
#[command(
    about = "Instructions that the hot paths take, counted by valgrind and compared with expected.toml"
)]
struct Options {
    /// Only the cases whose names contain one of these.
    names: Vec<String>,
    /// Keep what is counted in expected.toml, instead of comparing with it.
    #[arg(long, conflicts_with = "names")]
    write: bool,
    /// Run this case here and now, without valgrind and without counting.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["names", "write"])]
    case: Option<String>,
    /// How many times it is run.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "case")]
    times: u32,
    /// From cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether no case has become slower.
fn run(options: &Options) -> Result<bool> {
    if let Some(name) = &options.case {
        let case = CASES.iter().find(|case| case.name == name);
        let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        let case =
            case.with_context(|| format!("no case is called {name}; there are {}", names.join(", ")))?;
        (case.run)(options.times);
        return Ok(true);
    }
    let is_chosen = |case: &&Case| {
        options.names.is_empty() || options.names.iter().any(|name| case.name.contains(name.as_str()))
    };
    let chosen: Vec<_> = CASES.iter().filter(is_chosen).collect();
    ensure!(!chosen.is_empty(), "no case has a name with that in it");
    let tools = count::tools()?;
    if options.write {
        return write(&chosen, &tools).map(|()| true);
    }
    compare(&chosen, &tools)
}

fn write(chosen: &[&Case], tools: &str) -> Result<()> {
    let mut counted = Vec::new();
    println!("| case | unit | instructions |");
    println!("|---|---|---|");
    for case in chosen {
        let instructions = count::per_unit(case)?;
        println!("| `{}` | {} | {instructions:.1} |", case.name, case.unit);
        counted.push((case.name, instructions));
    }
    expected::write(&counted, tools)
}

fn compare(chosen: &[&Case], tools: &str) -> Result<bool> {
    let expected = Expected::read()?;
    let mut remarks = Vec::new();
    let mut none_is_slower = true;
    println!("| case | unit | instructions | kept | difference |");
    println!("|---|---|---|---|---|");
    for case in chosen {
        let counted = count::per_unit(case)?;
        let (kept, verdict) = expected.judge(case.name, counted);
        let (kept_text, change) = match kept {
            Some(kept) => (
                format!("{kept:.1}"),
                format!("{:+.1} %", 100.0 * (counted / kept - 1.0)),
            ),
            None => ("none".to_owned(), String::new()),
        };
        println!(
            "| `{}` | {} | {counted:.1} | {kept_text} | {change} |",
            case.name, case.unit
        );
        none_is_slower &= matches!(verdict, Verdict::Same | Verdict::Faster);
        remarks.extend(expected::remark(case, counted, kept, verdict));
    }
    for remark in remarks {
        println!("\n{remark}");
    }
    if let Some(other) = expected.other_tools(tools) {
        println!("\n{other}");
    }
    Ok(none_is_slower)
}
