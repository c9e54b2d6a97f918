//! The tracker: `dtracker`. Layer 4.
//!
//! Every command ends with 0 (done), 1 (failed, with one sentence on stderr) or 2 (wrong usage).

mod key;
mod node;
mod serve;
mod status;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use dtorrent::command_line::{self, Manual};
use dtorrent::sentence::with_causes;

/// A BitTorrent tracker, over HTTP and UDP.
#[derive(Debug, Parser)]
#[command(name = "dtracker", version, after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  dtracker serve
  dtracker serve --config dtracker.toml
  dtracker key ring.key
  dtracker status tracker.example:6969

Each command has its own --help. Exit status: 0 done, 1 failed, 2 wrong usage.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer announces until stopped
    Serve(serve::ServeArgs),
    /// Make the key that lets nodes into a ring
    Key(key::KeyArgs),
    /// Ask a running tracker how it is
    Status(status::StatusArgs),
}

const MANUAL: Manual = Manual {
    files: &[(
        "dtracker.toml",
        "settings for --config, each explained in the file that comes with the program",
    )],
    see_also: "dtorrent(1), dtorrent-cli(1)",
};

fn main() -> ExitCode {
    if let Some(generated) = command_line::generate(Args::command, MANUAL, std::env::args_os()) {
        return generated;
    }
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is closed too, the status has to do.
            let _ = writeln!(io::stderr(), "dtracker: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    match &args.command {
        Command::Serve(args) => serve::run(args),
        Command::Key(args) => key::run(args),
        Command::Status(args) => status::run(args),
    }
}

/// Prints one line on stdout.
fn say(line: impl Display) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// Prints one line on stderr; that nobody can read it is no reason to stop.
fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "dtracker: {line}");
}

/// Whether the reader of our stdout went away.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn causes_are_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let [absent, there] = ["absent", "there"].map(|name| folder.path().join(name));
        std::fs::write(&there, "").unwrap();
        let [absent, there] = [&absent, &there].map(|path| path.to_str().unwrap());
        for (args, cause) in [
            (["serve", "--config", absent].as_slice(), "No such file"),
            (&["key", there], "File exists"),
        ] {
            let args = Args::parse_from(["dtracker"].iter().chain(args));
            let said = with_causes(run(&args).unwrap_err().as_ref());
            assert_eq!(said.matches(cause).count(), 1, "{said}");
        }
    }

    #[test]
    fn every_command_has_examples() {
        for command in Args::command().get_subcommands() {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Examples:\n  dtracker "), "{help}");
        }
    }
}
