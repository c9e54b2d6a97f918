//! `dtorrent`, the window. Command line first, then GTK: `--help` needs no display. Layer 4.

mod window;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gtk::gio::prelude::*;
use gtk::glib;

use window::{Application, Start};

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
    /// Torrent files to open
    #[arg(value_name = "TORRENT")]
    torrents: Vec<OsString>,
}

fn main() -> ExitCode {
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
    glib::set_application_name("DTorrent");
    let app = Application::new(Start {
        config: args.config.clone(),
        state: args.state.clone(),
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
    if app.has_failed() || status != glib::ExitCode::SUCCESS {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
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
