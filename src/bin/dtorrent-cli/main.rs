//! The engine without a window: `dtorrent-cli`, for servers, scripts and measurements. Layer 4.
//!
//! Every command ends with 0 (done), 1 (failed, with one sentence on stderr) or 2 (wrong usage). Results go
//! to stdout, progress to stderr on a terminal and to stdout, as plain lines, in a pipe.

mod create;
mod face;
mod given;
mod goal;
mod output;
mod progress;
mod settings;
mod show;
mod stop;
mod torrent_file;
mod tracker_node;
mod transfer;
mod verify;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use dtorrent::command_line::{self, CLIENT_FILES, Manual};
use dtorrent::sentence::with_causes;

use settings::Common;

/// A BitTorrent client for the command line.
#[derive(Debug, Parser)]
#[command(name = "dtorrent-cli", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  dtorrent-cli show debian.torrent
  dtorrent-cli download debian.torrent --dir ~/Downloads
  dtorrent-cli create holiday/ --tracker http://tracker.example/announce
  dtorrent-cli seed holiday.torrent --dir .
  dtorrent-cli create film.mkv --tracker-node && dtorrent-cli seed film.mkv.torrent --dir . --tracker-node

Each command has its own --help. Exit status: 0 done, 1 failed, 2 wrong usage.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a .torrent of a file or folder
    Create(create::CreateArgs),
    /// Print what is in a .torrent
    Show(show::ShowArgs),
    /// Compare data on disk with a .torrent
    Verify(verify::VerifyArgs),
    /// Download torrents, and end when they are complete
    Download(transfer::DownloadArgs),
    /// Serve complete torrents until stopped
    Seed(transfer::SeedArgs),
}

const MANUAL: Manual = Manual {
    files: CLIENT_FILES,
    see_also: "dtorrent(1), dtracker(1)",
};

fn main() -> ExitCode {
    if let Some(generated) = command_line::generate(Cli::command, MANUAL, std::env::args_os()) {
        return generated;
    }
    let cli = Cli::parse();
    dtorrent::descriptors::raise_limit();
    let done = match &cli.command {
        Command::Create(args) => create::run(args, &cli.common),
        Command::Show(args) => show::run(args, &cli.common),
        Command::Verify(args) => verify::run(args, &cli.common),
        Command::Download(args) => transfer::download(args, &cli.common),
        Command::Seed(args) => transfer::seed(args, &cli.common),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough of it (`show … | head`).
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is closed too, the status has to do.
            let _ = writeln!(io::stderr(), "dtorrent-cli: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_is_said_twice() {
        let source = io::Error::other("no luck");
        let error = dtorrent::create::CreateError::Read {
            path: "a.mkv".into(),
            source,
        };
        let error = anyhow::Error::new(error).context("nothing was shared");
        assert_eq!(
            with_causes(error.as_ref()),
            "nothing was shared: cannot read a.mkv: no luck"
        );
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Examples:\n  dtorrent-cli "), "{help}");
        }
    }
}
