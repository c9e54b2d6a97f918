//! The history on disk. Layer 3.
//!
//! ```text
//! "dtracker history 1\n"
//! records of 52 bytes, one a minute, appended; numbers most significant byte first:
//!     minute    4 bytes    since 1970
//!     ring      4          1 if there are figures of a ring
//!     node      5 × 4      swarms, seeds, leechers, announces, scrapes
//!     ring      5 × 4
//!     check     4          of the SHA-1 of the bytes before
//! ```
//!
//! A record that is damaged, or cut off by a crash, is a gap. It is not synced: a power cut costs the last minutes.
//! When it has twice the records that are kept, it is written anew beside its place and renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{History, MINUTES, Minute, Sample};
use crate::id::sha1_of;

const HEADER: &[u8] = b"dtracker history 1\n";
const RECORD: usize = 52;
/// Records after which the file is written anew.
const MOST_RECORDS: usize = 2 * MINUTES as usize;
/// Longest file that is read.
const MAX_BYTES: u64 = (HEADER.len() + 2 * MOST_RECORDS * RECORD) as u64;

/// An open history file, which no other process writes meanwhile.
#[derive(Debug)]
pub struct HistoryFile {
    path: PathBuf,
    file: File,
    records: usize,
    /// Whether the last attempt to write failed, so that it is complained of once.
    failed: bool,
}

impl HistoryFile {
    /// Opens the file at `path`, or makes it, and reads what is in it. What cannot be read is lost, and said to be.
    ///
    /// # Errors
    /// When the file cannot be opened or written, or another process has it.
    pub fn open(path: &Path) -> io::Result<(Self, History)> {
        let mut file = open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        let (history, records, is_whole) = read(&bytes);
        let mut opened = Self {
            path: path.to_owned(),
            file,
            records,
            failed: false,
        };
        if !is_whole {
            if !bytes.is_empty() {
                log::warn!("a part of {} is damaged and was left out", path.display());
            }
            opened.rewrite(&history)?;
        }
        Ok((opened, history))
    }

    /// Appends the minute that `history` ends with. A failure costs this minute, and is logged.
    pub fn append(&mut self, history: &History) {
        let Some(last) = history.last() else {
            return;
        };
        let written = if self.records >= MOST_RECORDS || self.failed {
            self.rewrite(history)
        } else {
            self.file.write_all(&encode(last)).map(|()| self.records += 1)
        };
        if let Err(error) = &written
            && !self.failed
        {
            log::warn!("could not write the history to {}: {error}", self.path.display());
        }
        self.failed = written.is_err();
    }

    /// A reader sees the old file or the new one.
    fn rewrite(&mut self, history: &History) -> io::Result<()> {
        let mut bytes = HEADER.to_vec();
        for minute in history.minutes() {
            bytes.extend_from_slice(&encode(minute));
        }
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&new, &self.path)?;
        self.file = open(&self.path)?;
        io::copy(&mut self.file, &mut io::sink())?;
        self.records = history.minutes().len();
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// The history in these bytes, how many records they have, and whether nothing else is in them.
fn read(bytes: &[u8]) -> (History, usize, bool) {
    let mut history = History::default();
    let Some(records) = bytes.strip_prefix(HEADER) else {
        return (history, 0, false);
    };
    let records = &records[..records.len().min(2 * MOST_RECORDS * RECORD)];
    let mut is_whole = records.len().is_multiple_of(RECORD) && bytes.len() as u64 <= MAX_BYTES;
    for record in records.chunks_exact(RECORD) {
        match decode(record) {
            Some(minute) => history.push(minute),
            None => is_whole = false,
        }
    }
    (history, records.len() / RECORD, is_whole)
}

fn encode(minute: &Minute) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let ring = minute.ring.unwrap_or_default();
    let numbers = [minute.minute, minute.ring.is_some().into()]
        .into_iter()
        .chain(numbers(&minute.node))
        .chain(numbers(&ring));
    let (content, check) = record.split_at_mut(RECORD - 4);
    for (place, number) in content.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    check.copy_from_slice(&sha1_of(content)[..4]);
    record
}

fn numbers(sample: &Sample) -> [u32; 5] {
    [
        sample.swarms,
        sample.seeds,
        sample.leechers,
        sample.announces,
        sample.scrapes,
    ]
}

fn decode(record: &[u8]) -> Option<Minute> {
    let (content, check) = record.split_at_checked(RECORD - 4)?;
    if sha1_of(content)[..4] != *check {
        return None;
    }
    let mut numbers = content
        .chunks_exact(4)
        .filter_map(|number| Some(u32::from_be_bytes(number.try_into().ok()?)));
    let (minute, has_ring) = (numbers.next()?, numbers.next()?);
    let mut sample = || {
        Some(Sample {
            swarms: numbers.next()?,
            seeds: numbers.next()?,
            leechers: numbers.next()?,
            announces: numbers.next()?,
            scrapes: numbers.next()?,
        })
    };
    let (node, ring) = (sample()?, sample()?);
    Some(Minute {
        minute,
        node,
        ring: (has_ring == 1).then_some(ring),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: u32) -> Minute {
        let sample = |by: u32| Sample {
            swarms: by + minute,
            seeds: by + 1,
            leechers: by + 2,
            announces: by + 3,
            scrapes: by + 4,
        };
        Minute {
            minute,
            node: sample(10),
            ring: minute.is_multiple_of(2).then(|| sample(100)),
        }
    }

    fn all(history: &History) -> Vec<Minute> {
        history.minutes().copied().collect()
    }

    /// Writes these minutes as a run of the program does, and says where.
    fn written(folder: &Path, minutes: impl IntoIterator<Item = u32>) -> PathBuf {
        let path = folder.join("history");
        let (mut file, mut history) = HistoryFile::open(&path).unwrap();
        for number in minutes {
            history.push(minute(number));
            file.append(&history);
        }
        path
    }

    #[test]
    fn what_was_written_is_read_again_gaps_included() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), 10..13);
        let path = written(folder.path(), 20..22);
        let (_, history) = HistoryFile::open(&path).unwrap();
        assert_eq!(all(&history), [10, 11, 12, 20, 21].map(minute));
    }

    #[test]
    fn damage_costs_what_is_damaged_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), 10..20);
        let good = fs::read(&path).unwrap();
        for (name, damage, left) in [
            ("a record is cut off", good[..good.len() - 9].to_vec(), 9),
            ("only a header", HEADER.to_vec(), 0),
            ("half a header", HEADER[..5].to_vec(), 0),
            ("nothing", Vec::new(), 0),
            ("something else", b"PNG, or so\n".repeat(99), 0),
            (
                "a bit of the third record is wrong",
                {
                    let mut bytes = good.clone();
                    bytes[HEADER.len() + 2 * RECORD + 7] ^= 1;
                    bytes
                },
                9,
            ),
            ("zeros at the end", [&good[..], &[0; 100]].concat(), 10),
        ] {
            fs::write(&path, damage).unwrap();
            let (mut file, mut history) = HistoryFile::open(&path).unwrap();
            assert_eq!(history.minutes().len(), left, "{name}");
            history.push(minute(30));
            file.append(&history);
            drop(file);
            let (_, again) = HistoryFile::open(&path).unwrap();
            assert_eq!(all(&again), all(&history), "{name}");
            assert_eq!(again.minutes().len(), left + 1, "{name}");
        }
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), 0..2 * MINUTES + 50);
        let records = (fs::metadata(&path).unwrap().len() as usize - HEADER.len()) / RECORD;
        assert_eq!(records, MINUTES as usize + 49);
        let (_, history) = HistoryFile::open(&path).unwrap();
        assert_eq!(history.minutes().len(), MINUTES as usize);
        assert!(!folder.path().join("history.new").exists());
    }

    #[test]
    fn one_process_writes_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let (mut file, mut history) = HistoryFile::open(&path).unwrap();
        assert!(HistoryFile::open(&path).is_err());
        // The new file is held as the old one was.
        history.push(minute(1));
        file.rewrite(&history).unwrap();
        assert!(HistoryFile::open(&path).is_err());
        drop(file);
        assert!(HistoryFile::open(&path).is_ok());
    }

    #[test]
    fn a_disk_that_fails_costs_minutes_only() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let mut file = HistoryFile {
            path: missing.join("history"),
            // Nothing can be written to it.
            file: File::open(folder.path()).unwrap(),
            records: 0,
            failed: false,
        };
        let mut history = History::default();
        for number in 0..3 {
            history.push(minute(number));
            file.append(&history);
            assert!(file.failed);
        }
        // It is there again: nothing that is remembered is lost.
        fs::create_dir(missing).unwrap();
        history.push(minute(3));
        file.append(&history);
        let path = file.path.clone();
        drop(file);
        let (_, again) = HistoryFile::open(&path).unwrap();
        assert_eq!(all(&again), [0, 1, 2, 3].map(minute));
    }
}
