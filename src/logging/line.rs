//! From a log record to one line of text, on the thread that logs. No disk, no waiting.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::Sender;
use log::{LevelFilter, Log, Metadata, Record};
use simplelog::{ConfigBuilder, LevelPadding, WriteLogger};
use time::UtcOffset;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::LogCommand;
use crate::sentence::printable;

/// The time at the start of each line. The logger's own notices use it too.
pub(super) const NOTICE_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");

/// Our own programs and library. What libraries log (the HTTP client, TLS) is for their makers.
const TARGETS: [&str; 2] = ["dtorrent", "dtracker"];

/// Passes records on with everything visible in their text.
///
/// This has to happen before the line is formatted: in the stream of bytes that comes out, the newline that
/// ends a record cannot be told from one that a peer put into its name.
pub(super) struct VisibleLog {
    inner: Box<WriteLogger<LineAssembler>>,
}

impl VisibleLog {
    pub(super) fn new(assembler: LineAssembler, offset: UtcOffset) -> Self {
        let format = ConfigBuilder::new()
            .set_time_format_custom(NOTICE_TIME)
            .set_time_offset(offset)
            .set_level_padding(LevelPadding::Off)
            .set_thread_level(LevelFilter::Off)
            .set_target_level(LevelFilter::Error)
            .set_location_level(LevelFilter::Off)
            .build();
        // All levels: `log::max_level`, which can change while we run, is the only filter.
        Self {
            inner: WriteLogger::new(LevelFilter::Trace, format, assembler),
        }
    }
}

impl Log for VisibleLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        TARGETS.iter().any(|target| metadata.target().starts_with(target))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string();
            let text = printable(&text);
            let mut passed_on = Record::builder();
            passed_on.metadata(record.metadata().clone());
            self.inner.log(&passed_on.args(format_args!("{text}")).build());
        }
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

/// Collects what a formatter writes piece by piece, and sends it off by the line.
#[derive(Debug)]
pub(super) struct LineAssembler {
    command_tx: Sender<LogCommand>,
    line: Vec<u8>,
    /// Lines that found no room.
    lost: Arc<AtomicU64>,
}

impl LineAssembler {
    pub(super) fn new(command_tx: Sender<LogCommand>, lost: Arc<AtomicU64>) -> Self {
        Self {
            command_tx,
            line: Vec::new(),
            lost,
        }
    }
}

impl Write for LineAssembler {
    /// Takes everything and never waits.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                if self.command_tx.try_send(LogCommand::Line(line)).is_err() {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{Receiver, bounded};
    use log::Level;

    use super::*;

    fn lines(command_rx: &Receiver<LogCommand>) -> Vec<String> {
        command_rx
            .try_iter()
            .map(|command| match command {
                LogCommand::Line(line) => String::from_utf8(line).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn pieces_become_lines() {
        let (command_tx, command_rx) = bounded(8);
        let mut assembler = LineAssembler::new(command_tx, Arc::default());
        for piece in ["12:00 ", "[INFO] ", "", "hello", "\n", "a\nb\nc"] {
            assembler.write_all(piece.as_bytes()).unwrap();
        }
        assert_eq!(lines(&command_rx), ["12:00 [INFO] hello\n", "a\n", "b\n"]);
        assembler.write_all(b"\n").unwrap();
        assert_eq!(lines(&command_rx), ["c\n"]);
    }

    #[test]
    fn lines_without_room_are_counted() {
        let (command_tx, command_rx) = bounded(1);
        let lost = Arc::new(AtomicU64::new(0));
        let mut assembler = LineAssembler::new(command_tx, Arc::clone(&lost));
        assembler.write_all(b"1\n2\n3\n").unwrap();
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        assert_eq!(lines(&command_rx), ["1\n"]);
        drop(command_rx);
        assembler.write_all(b"4\n").unwrap();
        assert_eq!(lost.load(Ordering::Relaxed), 3, "nobody listens any more");
    }

    #[test]
    fn a_record_is_one_line_whatever_it_says() {
        let (command_tx, command_rx) = bounded(8);
        let log = VisibleLog::new(LineAssembler::new(command_tx, Arc::default()), UtcOffset::UTC);
        let say = |target, name: &str| {
            let mut record = Record::builder();
            record.level(Level::Info).target(target);
            log.log(&record.args(format_args!("peer {name}{name}left")).build());
        };
        say("dtorrent::peer", "\n");
        say("ureq::pool", "x");
        say("dtracker", "y");
        let lines = lines(&command_rx);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].ends_with(" [INFO] dtorrent::peer: peer \\n\\nleft\n"),
            "{lines:?}"
        );
        assert!(lines[1].ends_with(" [INFO] dtracker: peer yyleft\n"), "{lines:?}");
    }
}
