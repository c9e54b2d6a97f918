//! `dtorrent`, the window. Command line first, then GTK: `--help` needs no display. Layer 4.

mod window;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::{CommandFactory, Parser};
use dtorrent::command_line::{self, CLIENT_FILES, Manual};
use gtk::gio::prelude::*;
use gtk::glib;

use window::{Application, Start, set_up_language};

/// A BitTorrent client with a window.
///
/// Torrent files that are named are opened; if the program runs already, by that instance.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  dtorrent\n  dtorrent debian.torrent music.torrent"
)]
struct Args {
    /// Settings to use instead of those of the user
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for the session's state, instead of the one in the settings. The log goes along, unless the settings
    /// put it in a place of its own
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Started by the session bus, for what it is about to ask: no window opens by itself
    #[arg(long = "gapplication-service", hide = true)]
    service: bool,
    /// Torrent files to open
    #[arg(value_name = "TORRENT")]
    torrents: Vec<OsString>,
}

const MANUAL: Manual = Manual {
    files: CLIENT_FILES,
    see_also: "dtorrent-cli(1), dtracker(1)",
};

fn main() -> ExitCode {
    if let Some(generated) = command_line::generate(Args::command, MANUAL, std::env::args_os()) {
        return generated;
    }
    let args = Args::parse();
    dtorrent::descriptors::raise_limit();
    let open = match args
        .torrents
        .iter()
        .map(|torrent| absolute(torrent))
        .collect::<io::Result<Vec<_>>>()
    {
        Ok(open) => open,
        Err(error) => return fail(&format!("the current folder is not known: {error}")),
    };
    if gtk::gio::resources_register_include!("dtorrent.gresource").is_err() || adw::init().is_err() {
        return fail("there is no display to show a window on; dtorrent-cli works without one");
    }
    set_up_language();
    glib::set_application_name("DTorrent");
    let app = Application::new(Start {
        config: args.config.clone(),
        state: args.state.clone(),
        service: args.service,
    });
    // Without a session bus this fails, and the program is simply not the only one.
    let registered = app.register(gtk::gio::Cancellable::NONE);
    if registered.is_ok() && app.is_remote() && (args.config.is_some() || args.state.is_some()) {
        say("DTorrent runs already; --config and --state count only when it starts");
    }
    // Only what is left to open: the options are ours.
    let program = OsString::from("dtorrent");
    let arguments: Vec<OsString> = std::iter::once(program).chain(open).collect();
    let status = app.run_with_args_os(&arguments);
    if let Some(open) = app.take_again() {
        // Its name on the bus is free by now, and the lock of the state folder goes with this program.
        return fail(&format!(
            "DTorrent cannot be started again: {}",
            start_again(&args, &open)
        ));
    }
    if app.has_failed() || status != glib::ExitCode::SUCCESS {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Becomes the program anew, with the same options, for somebody who has started it while it ended. Returns why it cannot.
fn start_again(args: &Args, open: &[OsString]) -> io::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut command = Command::new(program);
    for (name, path) in [("--config", &args.config), ("--state", &args.state)] {
        if let Some(path) = path {
            command.arg(name).arg(path);
        }
    }
    command.arg("--").args(open).exec()
}

/// A path that means the same to an instance in another folder; links stay as they are.
fn absolute(torrent: &OsStr) -> io::Result<OsString> {
    let is_link = torrent
        .to_str()
        .is_some_and(|text| text.starts_with("magnet:") || text.contains("://"));
    if is_link {
        return Ok(torrent.to_owned());
    }
    std::path::absolute(torrent).map(PathBuf::into_os_string)
}

fn fail(message: &str) -> ExitCode {
    say(message);
    ExitCode::FAILURE
}

fn say(message: &str) {
    // With the terminal gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "dtorrent: {message}");
}
