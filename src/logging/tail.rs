//! Follows a log file as `tail -F` does: what is added, and the next file where it is rotated away. Layer 3.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most bytes that are read at a time. A longer backlog comes with the next calls.
const MOST: usize = 1024 * 1024;

/// A file that is being followed.
///
/// It is opened anew by its name when that names another file, after what is left in the old one was read; a file that
/// has become shorter is read from its start.
#[derive(Debug)]
pub struct LogTail {
    path: PathBuf,
    open: Option<File>,
    /// The start of a line whose end is not written yet.
    rest: Vec<u8>,
    /// Bytes at the end of the first file that are of interest.
    backlog: u64,
}

impl LogTail {
    /// Follows the file at `path`, which need not be there yet, from at most `backlog` bytes before its end.
    pub fn new(path: &Path, backlog: u64) -> Self {
        Self {
            path: path.to_owned(),
            open: None,
            rest: Vec::new(),
            backlog,
        }
    }

    /// The whole lines that have come since the last call, without their ends.
    ///
    /// # Errors
    /// The file cannot be read. That it is not there is no error: there is nothing new then.
    pub fn new_lines(&mut self) -> io::Result<Vec<String>> {
        let mut bytes = std::mem::take(&mut self.rest);
        let before = bytes.len();
        if self.open.is_none() {
            self.open_anew(&mut bytes)?;
        }
        self.read(&mut bytes)?;
        if bytes.len() == before && self.is_replaced()? {
            self.open = None;
            self.open_anew(&mut bytes)?;
            self.read(&mut bytes)?;
        }
        let end = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        self.rest = bytes.split_off(end);
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn open_anew(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        // Only the first file has a part that nobody asked for.
        let skipped = file.metadata()?.len().saturating_sub(self.backlog);
        self.backlog = u64::MAX;
        if skipped > 0 {
            file.seek(SeekFrom::Start(skipped - 1))?;
            skip_line(&mut file, bytes)?;
        }
        self.open = Some(file);
        Ok(())
    }

    fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        if let Some(file) = &mut self.open {
            let position = file.stream_position()?;
            if file.metadata()?.len() < position {
                file.seek(SeekFrom::Start(0))?;
                bytes.clear();
            }
            file.take(MOST as u64).read_to_end(bytes)?;
        }
        Ok(())
    }

    /// Whether the name stands for another file by now.
    fn is_replaced(&self) -> io::Result<bool> {
        let Some(file) = &self.open else {
            return Ok(false);
        };
        let held = file.metadata()?;
        match std::fs::metadata(&self.path) {
            Ok(named) => Ok((named.dev(), named.ino()) != (held.dev(), held.ino())),
            // It has just been renamed, and the next one is not there yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Reads to the end of the line that is under way, and keeps what follows it.
fn skip_line(file: &mut File, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 4096];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        if let Some(end) = chunk[..count].iter().position(|&byte| byte == b'\n') {
            bytes.extend_from_slice(&chunk[end + 1..count]);
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn append(path: &Path, text: &str) {
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn lines_come_when_they_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut tail = LogTail::new(&path, 1000);
        assert_eq!(tail.new_lines().unwrap(), [""; 0], "there is no file yet");
        append(&path, "one\ntw");
        assert_eq!(tail.new_lines().unwrap(), ["one"]);
        append(&path, "o\n");
        assert_eq!(tail.new_lines().unwrap(), ["two"]);
        assert_eq!(tail.new_lines().unwrap(), [""; 0]);
    }

    #[test]
    fn an_old_log_is_read_from_a_whole_line_near_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&path, "first\nsecond\nthird\n");
        assert_eq!(LogTail::new(&path, 9).new_lines().unwrap(), ["third"]);
        assert_eq!(LogTail::new(&path, 6).new_lines().unwrap(), ["third"]);
        assert_eq!(
            LogTail::new(&path, 19).new_lines().unwrap(),
            ["first", "second", "third"]
        );
    }

    #[test]
    fn nothing_is_lost_when_the_file_is_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&path, "one\n");
        let mut tail = LogTail::new(&path, 1000);
        tail.new_lines().unwrap();
        append(&path, "two\n");
        std::fs::rename(&path, folder.path().join("log.1")).unwrap();
        assert_eq!(tail.new_lines().unwrap(), ["two"]);
        append(&path, "three\n");
        assert_eq!(tail.new_lines().unwrap(), ["three"]);
    }

    #[test]
    fn a_file_that_was_cut_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&path, "one\ntwo\n");
        let mut tail = LogTail::new(&path, 1000);
        tail.new_lines().unwrap();
        File::create(&path).unwrap();
        append(&path, "new\n");
        assert_eq!(tail.new_lines().unwrap(), ["new"]);
    }
}
