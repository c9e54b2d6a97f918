//! What of a resume record still holds, judged by the files as they are now. Layer 3.

use std::os::unix::fs::MetadataExt;

use super::Storage;
use super::layout::FileIndex;
use super::resume::{FileStamp, ResumeRecord};
use crate::bitfield::Bitfield;
use crate::geometry::PieceIndex;

/// How far a resume record is to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// Pieces that count at once.
    pub trusted: Bitfield,
    /// Pieces that are to be hashed before they count, in order.
    pub recheck: Vec<PieceIndex>,
    /// Files that are not there, though the record knows complete pieces in them.
    pub missing: Vec<FileIndex>,
}

impl Storage {
    /// Compares a record with the files. A sealed record loses the pieces of each file whose size or time
    /// has changed; any other, those that lie past the end of a file. They, and the `candidates` of the
    /// journal, are to be hashed. A record of a torrent of another shape vouches for nothing.
    pub fn vouch(&self, record: &ResumeRecord, candidates: &[PieceIndex]) -> Vouched {
        let shape = *self.layout.geometry();
        if record.have.len() != shape.piece_count() {
            return Vouched {
                trusted: Bitfield::empty(shape.piece_count()),
                recheck: shape.pieces().collect(),
                missing: Vec::new(),
            };
        }
        let mut trusted = record.have.clone();
        let mut recheck = Bitfield::empty(shape.piece_count());
        let mut missing = Vec::new();
        for (index, found) in (0..).map(FileIndex).zip(self.stamps()) {
            let mut pieces = self.layout.pieces_of_file(index).map(PieceIndex);
            if found.is_none() && pieces.any(|piece| record.have.has(piece)) {
                missing.push(index);
            }
            for piece in self.doubtful(index, found, record) {
                if trusted.remove(piece) {
                    recheck.insert(piece);
                }
            }
        }
        for piece in candidates.iter().filter(|piece| !trusted.has(**piece)) {
            recheck.insert(*piece);
        }
        Vouched {
            trusted,
            recheck: recheck.iter().collect(),
            missing,
        }
    }

    /// Size and time of each file, `None` for one that does not exist or cannot be looked at: what seals a
    /// record at a clean stop, after the last [`Storage::sync`].
    pub fn stamps(&self) -> Vec<Option<FileStamp>> {
        self.look().collect()
    }

    /// Whether any file of the torrent that has bytes exists: if not, there is nothing to check. Looks no further than
    /// the first one.
    pub fn has_data(&self) -> bool {
        self.look().flatten().any(|stamp| stamp.size > 0)
    }

    /// The files that are gone, or too short for the verified pieces in them.
    pub fn lacking(&self, verified: &Bitfield) -> Vec<FileIndex> {
        let is_lacking = |(index, found): &(FileIndex, Option<FileStamp>)| {
            let file = &self.layout.files()[index.get()];
            let pieces = self.layout.pieces_of_file(*index).map(PieceIndex);
            let last = pieces.rev().find(|piece| verified.has(*piece));
            let end = last.map(|piece| self.layout.piece_bytes(piece).end.min(file.bytes().end) - file.start);
            end.is_some_and(|end| found.is_none_or(|found| found.size < end))
        };
        let found = (0..).map(FileIndex).zip(self.stamps());
        found.filter(is_lacking).map(|(index, _)| index).collect()
    }

    fn look(&self) -> impl Iterator<Item = Option<FileStamp>> {
        let folder = self.folder().ok();
        self.layout.files().iter().map(move |file| {
            let found = folder.as_ref()?.metadata(&file.path).ok()?;
            found.is_file().then(|| FileStamp {
                size: found.len(),
                mtime: found.mtime(),
                mtime_nsec: found.mtime_nsec(),
            })
        })
    }

    /// The pieces of a file for which a record does not vouch.
    fn doubtful(
        &self,
        index: FileIndex,
        found: Option<FileStamp>,
        record: &ResumeRecord,
    ) -> impl Iterator<Item = PieceIndex> {
        let file = &self.layout.files()[index.get()];
        let all = self.layout.pieces_of_file(index);
        let reach = file.length.min(found.map_or(0, |stamp| stamp.size));
        // A seal of another number of files is no seal.
        let sealed = record
            .sealed
            .as_ref()
            .filter(|seal| seal.len() == self.files.len());
        let bytes = match sealed.map(|seal| seal[index.get()]) {
            Some(stamp) if stamp != found => file.bytes(),
            _ => file.start + reach..file.start + file.length,
        };
        let pieces = self.layout.geometry().pieces_of(bytes);
        debug_assert!(pieces.is_empty() || (all.start <= pieces.start && pieces.end <= all.end));
        pieces.map(PieceIndex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fixture::Torrent;
    use std::fs;
    use tempfile::tempdir;

    fn pieces(numbers: &[u32]) -> Vec<PieceIndex> {
        numbers.iter().copied().map(PieceIndex).collect()
    }

    /// Pieces 0..5 of 1,000 bytes: `a` holds 0..2.5, `b` the rest.
    fn finished(folder: &std::path::Path) -> (std::sync::Arc<Storage>, ResumeRecord) {
        let torrent = Torrent::new(&[("t/a", 2_500), ("t/none", 0), ("t/b", 2_500)], 1_000);
        let storage = torrent.storage(folder);
        torrent.write_all(&storage);
        let record = ResumeRecord {
            have: Bitfield::full(5),
            sealed: Some(storage.stamps()),
            ..ResumeRecord::new(folder, 5)
        };
        (storage, record)
    }

    #[test]
    fn untouched_files_are_trusted() {
        let folder = tempdir().unwrap();
        let (storage, mut record) = finished(folder.path());
        for sealed in [record.sealed.clone(), None] {
            record.sealed = sealed;
            let vouched = storage.vouch(&record, &[]);
            assert!(vouched.trusted.is_full() && vouched.recheck.is_empty());
        }
    }

    #[test]
    fn a_touched_file_is_hashed_again_if_the_record_is_sealed() {
        let folder = tempdir().unwrap();
        let (storage, mut record) = finished(folder.path());
        let file = fs::File::options()
            .write(true)
            .open(folder.path().join("t/b"))
            .unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(storage.vouch(&record, &[]).recheck, pieces(&[2, 3, 4]));
        record.sealed = None;
        assert!(storage.vouch(&record, &[]).trusted.is_full());
    }

    #[test]
    fn what_a_file_no_longer_reaches_is_hashed_again() {
        let folder = tempdir().unwrap();
        let (storage, mut record) = finished(folder.path());
        record.sealed = None;
        let file = fs::File::options()
            .write(true)
            .open(folder.path().join("t/b"))
            .unwrap();
        file.set_len(1_499).unwrap();
        assert_eq!(storage.vouch(&record, &[]).recheck, pieces(&[3, 4]));
        fs::remove_file(folder.path().join("t/a")).unwrap();
        let vouched = storage.vouch(&record, &[]);
        assert!(vouched.trusted.is_empty() && vouched.recheck == pieces(&[0, 1, 2, 3, 4]));
        assert_eq!(vouched.missing, [FileIndex(0)], "not the one that is too short");
        record.have = Bitfield::empty(5);
        record.have.insert(PieceIndex(4));
        assert_eq!(storage.vouch(&record, &[]).missing, [], "nothing of it was there");
        assert!(storage.has_data());
        let mut verified = Bitfield::full(5);
        assert_eq!(storage.lacking(&verified), [FileIndex(0), FileIndex(2)]);
        verified.remove(PieceIndex(4));
        verified.remove(PieceIndex(3));
        assert_eq!(storage.lacking(&verified), [FileIndex(0)], "b has what it should");
        assert_eq!(storage.lacking(&Bitfield::empty(5)), []);
    }

    #[test]
    fn candidates_are_hashed_and_foreign_shapes_are_not_believed() {
        let folder = tempdir().unwrap();
        let (storage, mut record) = finished(folder.path());
        record.have.remove(PieceIndex(1));
        let vouched = storage.vouch(&record, &pieces(&[1, 3, 77, u32::MAX]));
        assert_eq!(
            vouched.recheck,
            pieces(&[1]),
            "3 is trusted already, the others do not exist"
        );
        record.have = Bitfield::full(4);
        let vouched = storage.vouch(&record, &[]);
        assert!(vouched.trusted.is_empty() && vouched.recheck.len() == 5);
        record.have = Bitfield::full(5);
        record.sealed = Some(vec![None]);
        assert!(
            storage.vouch(&record, &[]).trusted.is_full(),
            "only the sizes vouch"
        );
    }
}
