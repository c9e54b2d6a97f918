//! Counts instructions: this program in valgrind.

use std::env;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cases::Case;

/// Its summary on standard error says how many instructions were executed; the profile is of no use here.
const VALGRIND: [&str; 2] = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];

/// What stands before the number in that summary.
const SUMMARY: &str = "Collected :";

/// What the counts depend on besides the code: the compiler and valgrind, as they call themselves.
pub(crate) fn tools() -> Result<String> {
    let valgrind = version_of("valgrind").context("`tools/setup.sh count` installs valgrind")?;
    Ok(format!("{}, {valgrind}", version_of("rustc")?))
}

fn version_of(program: &str) -> Result<String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("{program} does not start"))?;
    ensure!(
        output.status.success(),
        "{program} does not say which version it is: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The instructions that one unit of a case takes.
pub(crate) fn per_unit(case: &Case) -> Result<f64> {
    let once = whole_process(case, case.times)?;
    let twice = whole_process(case, 2 * case.times)?;
    let runs = twice
        .checked_sub(once)
        .with_context(|| format!("{} takes fewer instructions when it is run more often", case.name))?;
    Ok(runs as f64 / (f64::from(case.times) * f64::from(case.units)))
}

fn whole_process(case: &Case, times: u32) -> Result<u64> {
    let program = env::current_exe().context("the path of this program is not known")?;
    let output = Command::new("valgrind")
        .args(VALGRIND)
        .arg(program)
        .args(["--case", case.name, "--times", &times.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} failed in valgrind, which said:\n{said}{}",
        case.name,
        String::from_utf8_lossy(&output.stdout)
    );
    let Some((_, count)) = said.lines().find_map(|line| line.split_once(SUMMARY)) else {
        bail!("valgrind counted nothing; it said:\n{said}");
    };
    let count = count.trim();
    count
        .parse()
        .with_context(|| format!("valgrind counted {count:?}, which is no number"))
}
