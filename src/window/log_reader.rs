//! The thread that reads the log file for the log window. Layer 4.

use std::path::Path;
use std::thread;
use std::time::Duration;

use async_channel::{Receiver, bounded};
use dtorrent::logging::tail::LogTail;

use super::i18n::tr;
use super::library;
use super::log_line::LogLine;

/// How often it looks for new lines. The logger writes them at least once a second.
const PAUSE: Duration = Duration::from_millis(300);

/// Bytes before the end of the log that are shown at first: some thousand lines.
const BACKLOG: u64 = 512 * 1024;

/// Reads the log at `path` until nobody takes what comes. A problem is said once, as the last thing.
pub(super) fn follow(path: &Path) -> Receiver<Result<Vec<LogLine>, String>> {
    let (tx, rx) = bounded(1);
    let mut tail = LogTail::new(path, BACKLOG);
    let path = path.to_owned();
    let failed = tx.clone();
    let read = move || {
        while !tx.is_closed() {
            let lines = match tail.new_lines() {
                Ok(lines) => Ok(lines.iter().map(|line| LogLine::parse(line)).collect::<Vec<_>>()),
                Err(error) => Err(tr!(
                    "{file} cannot be read: {error}",
                    file = path.display(),
                    error = library::in_own_words(&error.to_string())
                )),
            };
            let has_failed = lines.is_err();
            let is_empty = lines.as_ref().is_ok_and(Vec::is_empty);
            if !is_empty && tx.send_blocking(lines).is_err() || has_failed {
                return;
            }
            if is_empty {
                thread::sleep(PAUSE);
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("log-reader".into()).spawn(read) {
        // The channel has room for it: nothing was sent yet.
        let _ = failed.try_send(Err(tr!(
            "the log cannot be followed: {error}",
            error = library::in_own_words(&error.to_string())
        )));
    }
    rx
}
