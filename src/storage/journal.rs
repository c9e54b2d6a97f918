//! The pieces that were written since the last resume record. Layer 3, one file per torrent.
//!
//! A resume record names only pieces that were synced, so after a kill it lacks the latest ones. The journal
//! names those, without a sync: it is written right after the piece, by a thread that does nothing else, since such
//! a write takes as long as the file system commits (`disk`). Nothing in it is believed. What it names is a
//! *candidate*, hashed again before it counts, so a lost tail costs a download and a false entry costs a hash.
//!
//! Format: entries of 8 bytes, the piece index and its complement, both big-endian. An entry whose halves do
//! not match, and a tail of less than 8 bytes, are skipped.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bitfield::Bitfield;
use crate::geometry::PieceIndex;

const ENTRY_LENGTH: usize = 8;

/// The journal of one torrent.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// Guards the file and what is in it; the innermost lock of the storage.
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    pieces: BTreeSet<PieceIndex>,
}

impl Journal {
    /// Opens a journal, or begins one. What it holds stays in it until a record covers it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let pieces = match std::fs::read(path) {
            Ok(bytes) => decode(&bytes).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        // Written anew, so that a torn entry cannot shift those that follow it.
        let file = write_anew(path, &pieces)?;
        Ok(Self {
            path: path.to_owned(),
            inner: Mutex::new(Inner { file, pieces }),
        })
    }

    /// Adds pieces that were written, with one call. Not synced: see the module.
    pub fn append(&self, pieces: &[PieceIndex]) -> io::Result<()> {
        let mut inner = self.lock();
        let new = pieces.iter().filter(|piece| inner.pieces.insert(**piece));
        let entries: Vec<u8> = new.flat_map(|piece| encode(*piece)).collect();
        inner.file.write_all(&entries)
    }

    /// Drops the pieces that a saved resume record covers.
    pub fn drop_saved(&self, saved: &Bitfield) -> io::Result<()> {
        let mut inner = self.lock();
        let before = inner.pieces.len();
        inner.pieces.retain(|piece| !saved.has(*piece));
        if inner.pieces.len() != before {
            inner.file = write_anew(&self.path, &inner.pieces)?;
        }
        Ok(())
    }

    /// The candidates, in order.
    pub fn pieces(&self) -> Vec<PieceIndex> {
        self.lock().pieces.iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // After a panic the file may lack an entry or hold one twice: both are allowed for.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces the file in one step, and opens it for appending.
fn write_anew(path: &Path, pieces: &BTreeSet<PieceIndex>) -> io::Result<File> {
    let temporary = path.with_extension("journal-new");
    let bytes: Vec<u8> = pieces.iter().flat_map(|piece| encode(*piece)).collect();
    std::fs::write(&temporary, bytes)?;
    std::fs::rename(&temporary, path)?;
    OpenOptions::new().append(true).open(path)
}

fn encode(piece: PieceIndex) -> [u8; ENTRY_LENGTH] {
    let mut entry = [0; ENTRY_LENGTH];
    entry[..4].copy_from_slice(&piece.0.to_be_bytes());
    entry[4..].copy_from_slice(&(!piece.0).to_be_bytes());
    entry
}

/// The entries of a journal file, whatever state it is in.
fn decode(bytes: &[u8]) -> impl Iterator<Item = PieceIndex> + '_ {
    let (entries, _torn) = bytes.as_chunks::<ENTRY_LENGTH>();
    entries.iter().filter_map(|[a, b, c, d, check @ ..]| {
        let piece = u32::from_be_bytes([*a, *b, *c, *d]);
        (u32::from_be_bytes(*check) == !piece).then_some(PieceIndex(piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    #[test]
    fn a_journal_cut_anywhere_keeps_its_whole_entries_and_grows_on() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("x.journal");
        let bytes: Vec<u8> = [5, 0, u32::MAX]
            .into_iter()
            .flat_map(|piece| encode(PieceIndex(piece)))
            .collect();
        for cut in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let journal = Journal::open(&path).unwrap();
            assert_eq!(journal.pieces().len(), cut / ENTRY_LENGTH, "cut at {cut}");
            journal.append(&[PieceIndex(9)]).unwrap();
            drop(journal);
            assert!(
                Journal::open(&path).unwrap().pieces().contains(&PieceIndex(9)),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn entries_that_do_not_match_are_skipped() {
        let mut bytes: Vec<u8> = [1, 2, 3]
            .into_iter()
            .flat_map(|piece| encode(PieceIndex(piece)))
            .collect();
        bytes[ENTRY_LENGTH + 2] ^= 4;
        assert_eq!(decode(&bytes).collect::<Vec<_>>(), [PieceIndex(1), PieceIndex(3)]);
        // Blocks that a power cut left unwritten read as zeroes.
        assert_eq!(decode(&[0; 64]).count(), 0);
    }
}
