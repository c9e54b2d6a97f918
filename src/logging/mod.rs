//! The `Logger`: the one thread that holds the log file. Layer 3.
//!
//! Any thread logs through the `log` crate. The line is formatted there (by `simplelog`), handed over a bounded
//! channel, and written by the thread named `logger`: no other thread ever waits for the disk. Lines that do
//! not fit are counted, and the count is logged as soon as there is room.
//!
//! What comes from the network (names, errors, client versions) may hold line breaks and terminal escapes;
//! `line` makes them visible before a line is built, so one event is always one line.

mod line;
mod rotate;
pub mod tail;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use time::{OffsetDateTime, UtcOffset};

use crate::config::LogConfig;
use crate::size::Count;
use line::{LineAssembler, NOTICE_TIME, VisibleLog};
use rotate::RotatingFile;

/// Lines between the threads that log and the one that writes: some 2 MiB at worst.
const QUEUED_LINES: usize = 8192;

/// The thread hands this much to the system at a time when lines come faster than it writes.
const BATCH_BYTES: usize = 64 * 1024;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log` takes one logger for the life of the program.
    #[error("a logger is running already")]
    Running(#[from] log::SetLoggerError),
    /// The system gave no thread.
    #[error("cannot start the logger: {0}")]
    Thread(#[source] io::Error),
}

/// What the logger's thread receives.
#[derive(Debug)]
enum LogCommand {
    /// One line with its newline.
    Line(Vec<u8>),
    /// New settings.
    Configure(LogConfig),
    /// Write what came before this, and end.
    Stop,
}

/// The running log. Dropping it writes what is queued; lines after that are lost.
#[derive(Debug)]
pub struct Logger {
    command_tx: Sender<LogCommand>,
    thread: Option<JoinHandle<()>>,
}

impl Logger {
    /// Starts to write the log; with `also_stderr` each line goes there too. A file that cannot be written is
    /// no error: it is said once on stderr, tried again later, and the lines until then are counted.
    ///
    /// Times are local, by the offset from UTC at this moment: a change to or from summer time while the program
    /// runs is not noticed. If the system does not tell the offset they are UTC, which the log says.
    ///
    /// # Errors
    /// [`LogError`], when a logger runs already or no thread can be had.
    pub fn start(config: &LogConfig, also_stderr: bool) -> Result<Self, LogError> {
        let offset = UtcOffset::current_local_offset();
        let (command_tx, command_rx) = bounded(QUEUED_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let assembler = LineAssembler::new(command_tx.clone(), Arc::clone(&lost));
        let log = VisibleLog::new(assembler, offset.unwrap_or(UtcOffset::UTC));
        log::set_boxed_logger(Box::new(log))?;
        log::set_max_level(config.level);

        let writer = Writer {
            file: RotatingFile::new(config),
            also_stderr,
            batch: Vec::new(),
            lost,
            offset: offset.unwrap_or(UtcOffset::UTC),
            complained: false,
        };
        let thread = std::thread::Builder::new()
            .name("logger".into())
            .spawn(move || writer.run(&command_rx))
            .map_err(LogError::Thread)?;
        if offset.is_err() {
            log::warn!("the local time zone is not known: times are UTC");
        }
        Ok(Self {
            command_tx,
            thread: Some(thread),
        })
    }

    /// Changes the least severe level that is written, at once and for all threads.
    pub fn set_level(&self, level: log::LevelFilter) {
        log::set_max_level(level);
    }

    /// Takes over new settings: level, file, and how it rotates.
    pub fn configure(&self, config: &LogConfig) {
        self.set_level(config.level);
        // The thread ends only after `stop`, so the channel is open.
        let _ = self.command_tx.send(LogCommand::Configure(config.clone()));
    }

    /// Writes all that was logged before, and ends.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.command_tx.send(LogCommand::Stop);
            // A panic of the logger's thread was reported by the panic itself; there is no log to add it to.
            let _ = thread.join();
        }
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        self.finish();
    }
}

/// What the logger's thread owns.
struct Writer {
    file: RotatingFile,
    also_stderr: bool,
    batch: Vec<u8>,
    lost: Arc<AtomicU64>,
    offset: UtcOffset,
    complained: bool,
}

impl Writer {
    /// Until [`LogCommand::Stop`]. Each wake-up writes all that is queued, so the file is never behind by
    /// more than one write.
    fn run(mut self, command_rx: &Receiver<LogCommand>) {
        while let Ok(first) = command_rx.recv() {
            let mut next = Some(first);
            while let Some(command) = next {
                match command {
                    LogCommand::Line(line) => self.batch.extend_from_slice(&line),
                    LogCommand::Configure(config) => {
                        self.write_batch();
                        self.file.configure(&config);
                    }
                    LogCommand::Stop => {
                        self.write_batch();
                        return;
                    }
                }
                next = if self.batch.len() < BATCH_BYTES {
                    command_rx.try_recv().ok()
                } else {
                    None
                };
            }
            self.write_batch();
        }
    }

    fn write_batch(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.batch
                .extend_from_slice(lost_notice(lost, self.now()).as_bytes());
        }
        if self.batch.is_empty() {
            return;
        }
        if self.also_stderr {
            // Nobody may be reading; there is nowhere to say so.
            let _ = io::stderr().write_all(&self.batch);
        }
        if let Err(error) = self.file.write_lines(&self.batch) {
            let lines = self.batch.iter().filter(|byte| **byte == b'\n').count() as u64;
            // A notice that did not reach the file stands for the lines that it counted.
            self.lost
                .fetch_add(if lost > 0 { lines - 1 + lost } else { lines }, Ordering::Relaxed);
            self.complain(&error);
        }
        self.batch.clear();
    }

    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            let path = self.file.path().display();
            let _ = writeln!(
                io::stderr(),
                "{}: cannot write the log {path}: {error}; lines are lost until it can be written again",
                program()
            );
        }
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc().to_offset(self.offset)
    }
}

/// The line that stands for `lost` others.
fn lost_notice(lost: u64, now: OffsetDateTime) -> String {
    let time = now.format(NOTICE_TIME).unwrap_or_default();
    format!(
        "{time} [WARN] logger: {} missing here: the log could not take more\n",
        Count(lost, "line")
    )
}

/// The name by which this program was started, as its own errors begin.
fn program() -> String {
    let path = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = path.as_deref().and_then(std::path::Path::file_name);
    name.map_or_else(|| "dtorrent".into(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(path: &std::path::Path, lost: &Arc<AtomicU64>) -> Writer {
        Writer {
            file: RotatingFile::new(&LogConfig {
                file: path.to_owned(),
                ..LogConfig::default()
            }),
            also_stderr: false,
            batch: Vec::new(),
            lost: Arc::clone(lost),
            offset: UtcOffset::UTC,
            complained: true, // keeps the test's own stderr clean
        }
    }

    #[test]
    fn what_was_queued_before_stop_is_written_and_losses_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/x.log");
        let lost = Arc::new(AtomicU64::new(2));
        let (command_tx, command_rx) = bounded(8);
        for line in ["one\n", "two\n"] {
            command_tx.send(LogCommand::Line(line.into())).unwrap();
        }
        command_tx.send(LogCommand::Stop).unwrap();
        command_tx.send(LogCommand::Line("late\n".into())).unwrap();
        writer(&path, &lost).run(&command_rx);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["one", "two"]);
        assert!(lines[2].ends_with("[WARN] logger: 2 lines missing here: the log could not take more"));
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn a_file_that_cannot_be_written_loses_lines_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blocked/x.log");
        std::fs::write(folder.path().join("blocked"), "a file where a folder should be").unwrap();
        let lost = Arc::new(AtomicU64::new(3));
        let mut writer = writer(&path, &lost);
        writer.batch.extend_from_slice(b"one\ntwo\n");
        writer.write_batch();
        assert_eq!(lost.load(Ordering::Relaxed), 5);

        std::fs::remove_file(folder.path().join("blocked")).unwrap();
        writer.batch.extend_from_slice(b"three\n");
        writer.write_batch();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("three\n"), "{text}");
        assert!(text.contains("5 lines missing"), "{text}");
    }

    #[test]
    fn the_file_can_change_while_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("1.log"), folder.path().join("2.log"));
        let (command_tx, command_rx) = bounded(8);
        command_tx.send(LogCommand::Line("one\n".into())).unwrap();
        let config = LogConfig {
            file: second.clone(),
            ..LogConfig::default()
        };
        command_tx.send(LogCommand::Configure(config)).unwrap();
        command_tx.send(LogCommand::Line("two\n".into())).unwrap();
        drop(command_tx);
        writer(&first, &Arc::default()).run(&command_rx);
        assert_eq!(std::fs::read_to_string(first).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(second).unwrap(), "two\n");
    }
}
