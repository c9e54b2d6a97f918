//! How far we are: a bar on a terminal, and in a pipe a plain line now and then.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// When the first plain line comes: work that is done sooner says so by its result, and needs no `0%` before it.
const FIRST_LINE: Duration = Duration::from_secs(1);

/// Time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// One piece of work, reported from any thread. When it is dropped, the bar is cleared.
#[derive(Debug)]
pub(crate) struct Progress {
    output: Output,
}

#[derive(Debug)]
enum Output {
    Bar(ProgressBar),
    Lines(Mutex<Lines>),
    Silent,
}

/// Guards what was said last: two threads must not say the same.
#[derive(Debug)]
struct Lines {
    due: Instant,
    last: String,
}

impl Progress {
    /// Shows a bar if stderr is a terminal, else prints lines on stdout; with `quiet` (because stdout is for a
    /// program) no lines.
    pub(crate) fn new(quiet: bool) -> Self {
        let output = if io::stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            // The template is a constant, and it is right.
            if let Ok(style) = ProgressStyle::with_template("{percent:>3}% [{wide_bar}] {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            Output::Bar(bar)
        } else if quiet {
            Output::Silent
        } else {
            Output::Lines(Mutex::new(Lines::new(Instant::now())))
        };
        Self { output }
    }

    /// `done` of `total` bytes, and what else there is to say.
    pub(crate) fn set(&self, done: u64, total: u64, message: impl Into<Cow<'static, str>>) {
        match &self.output {
            Output::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(message);
            }
            Output::Lines(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(line) = lines.next(Instant::now(), done, total, &message.into()) {
                    // Whoever closed stdout does not want to know; the work goes on.
                    let _ = writeln!(io::stdout(), "{line}");
                }
            }
            Output::Silent => {}
        }
    }

    /// Prints a line that stays, above the bar if there is one.
    pub(crate) fn note(&self, print: impl FnOnce()) {
        match &self.output {
            Output::Bar(bar) => bar.suspend(print),
            Output::Lines(_) | Output::Silent => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Output::Bar(bar) = &self.output {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    fn new(now: Instant) -> Self {
        Self {
            due: now + FIRST_LINE,
            last: String::new(),
        }
    }

    /// The line to print: not too often, and only if it says something new.
    fn next(&mut self, now: Instant, done: u64, total: u64, message: &str) -> Option<String> {
        if now < self.due {
            return None;
        }
        let line = format!("{:>3}% {message}", percent(done, total));
        (line != self.last).then(|| {
            self.due = now + LINE_INTERVAL;
            self.last.clone_from(&line);
            line
        })
    }
}

/// Whole percents, 100 only when all is done.
pub(crate) fn percent(done: u64, total: u64) -> u64 {
    if total == 0 {
        return 100;
    }
    // Through 128 bits: lengths come from a torrent and may be as large as they like.
    u64::try_from(u128::from(done) * 100 / u128::from(total)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_now_and_then_and_only_with_news() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut lines = Lines::new(start);
        assert_eq!(lines.next(after(0), 0, 10, "x"), None, "it may be done at once");
        assert_eq!(lines.next(after(1), 0, 10, "x").as_deref(), Some("  0% x"));
        assert_eq!(lines.next(after(10), 1, 10, "x"), None, "too soon");
        assert_eq!(lines.next(after(11), 0, 10, "x"), None, "nothing new");
        assert_eq!(lines.next(after(12), 1, 10, "x").as_deref(), Some(" 10% x"));
    }

    #[test]
    fn a_hundred_percent_is_all() {
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(999, 1000), 99);
        assert_eq!(percent(1000, 1000), 100);
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
    }
}
