//! Lines for people and for programs.

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

/// Prints one line on stdout.
pub(crate) fn say(line: impl Display) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// Prints one value as JSON on stdout, indented.
pub(crate) fn say_json(value: &impl Serialize) -> Result<()> {
    say(serde_json::to_string_pretty(value)?)
}

/// Prints one line on stderr; that it cannot be read by anybody is no reason to stop.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "dtorrent-cli: {line}");
}

/// Whether the reader of our stdout went away.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Text of a torrent, which its maker chose, with everything escaped that would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    dtorrent::sentence::printable(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_escaped() {
        assert_eq!(printable("a\x1b[2Jb\nü"), "a\\u{1b}[2Jb\\nü");
    }
}
