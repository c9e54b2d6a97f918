//! Files laid over the bytes of a torrent. Layer 1, BEP 3 §info dictionary, BEP 47 §padding files.
//!
//! The torrent is the concatenation of its files, padding included. Padding exists only in this arithmetic:
//! it has no [`FileIndex`], reads as zeroes and is never written. Everything that numbers files (priorities,
//! details, resume records) uses [`FileIndex`], so there is one numbering and not two.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::geometry::{Geometry, PieceIndex};
use crate::metainfo::Info;

/// Number of a file, `0..files().len()`, padding files not counted: the order in which faces see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileIndex(pub u32);

impl FileIndex {
    /// The index as a subscript.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for FileIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A file of the torrent that exists on disk (or will).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaidFile {
    /// Path below the download folder.
    pub path: PathBuf,
    /// First byte, counted from the start of the torrent.
    pub start: u64,
    /// Bytes; may be 0.
    pub length: u64,
}

impl LaidFile {
    /// The bytes of the torrent that this file holds.
    pub const fn bytes(&self) -> Range<u64> {
        self.start..self.start + self.length
    }
}

/// A run of bytes that lies in one file, or in one stretch of padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The file; `None`: padding, all zeroes.
    pub file: Option<FileIndex>,
    /// First byte within the file.
    pub offset: u64,
    /// Bytes, never 0.
    pub length: u64,
}

/// One entry of the torrent that has bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Extent {
    start: u64,
    length: u64,
    file: Option<FileIndex>,
}

/// Which file holds which byte.
///
/// Invariant: the extents are sorted, none is empty, and together they cover `0..total_length` without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    geometry: Geometry,
    files: Vec<LaidFile>,
    extents: Vec<Extent>,
}

impl Layout {
    /// Lays the files of a torrent over its bytes.
    pub fn new(info: &Info) -> Self {
        let mut files = Vec::new();
        let mut extents = Vec::new();
        let mut start = 0;
        for entry in &info.files {
            let file = (!entry.padding).then(|| {
                files.push(LaidFile {
                    path: entry.path.iter().collect(),
                    start,
                    length: entry.length,
                });
                FileIndex(files.len() as u32 - 1)
            });
            if entry.length > 0 {
                extents.push(Extent {
                    start,
                    length: entry.length,
                    file,
                });
            }
            start += entry.length;
        }
        Self {
            geometry: info.geometry,
            files,
            extents,
        }
    }

    /// Lengths and pieces.
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The files in order, padding left out.
    pub fn files(&self) -> &[LaidFile] {
        &self.files
    }

    /// The files with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (FileIndex, &LaidFile)> {
        (0..).map(FileIndex).zip(&self.files)
    }

    /// Cuts a run of the torrent's bytes at the borders of files. What lies past the end yields nothing.
    pub fn spans(&self, bytes: Range<u64>) -> impl Iterator<Item = Span> + '_ {
        let first = self
            .extents
            .partition_point(|extent| extent.start + extent.length <= bytes.start);
        self.extents[first..]
            .iter()
            .map(move |extent| {
                let from = bytes.start.max(extent.start);
                let to = bytes.end.min(extent.start + extent.length);
                Span {
                    file: extent.file,
                    offset: from - extent.start,
                    length: to.saturating_sub(from),
                }
            })
            .take_while(|span| span.length > 0)
    }

    /// The bytes of a piece within the torrent.
    pub fn piece_bytes(&self, piece: PieceIndex) -> Range<u64> {
        let start = self.geometry.piece_offset(piece);
        start..start + u64::from(self.geometry.piece_size(piece))
    }

    /// The spans of a whole piece.
    pub fn piece_spans(&self, piece: PieceIndex) -> impl Iterator<Item = Span> + '_ {
        self.spans(self.piece_bytes(piece))
    }

    /// The files that hold some byte of a piece.
    pub fn files_of_piece(&self, piece: PieceIndex) -> impl Iterator<Item = FileIndex> + '_ {
        self.piece_spans(piece).filter_map(|span| span.file)
    }

    /// The pieces that hold some byte of a file; empty for an empty file.
    ///
    /// # Panics
    /// If the torrent has no such file.
    pub fn pieces_of_file(&self, file: FileIndex) -> Range<u32> {
        self.geometry.pieces_of(self.files[file.get()].bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fixture::info;
    use proptest::prelude::*;

    const fn span(file: u32, offset: u64, length: u64) -> Span {
        Span {
            file: Some(FileIndex(file)),
            offset,
            length,
        }
    }

    #[test]
    fn runs_are_cut_at_the_borders_of_files() {
        let files = [("t/a", 10), ("t/empty", 0), (".pad/6", 6), ("t/b", 5)];
        let layout = Layout::new(&info(&files, 8));
        let padding = Span {
            file: None,
            offset: 0,
            length: 6,
        };
        assert_eq!(
            layout.spans(0..21).collect::<Vec<_>>(),
            [span(0, 0, 10), padding, span(2, 0, 5)]
        );
        assert_eq!(layout.spans(3..5).collect::<Vec<_>>(), [span(0, 3, 2)]);
        assert_eq!(layout.spans(17..99).collect::<Vec<_>>(), [span(2, 1, 4)]);
        assert_eq!(layout.spans(5..5).count() + layout.spans(21..30).count(), 0);
        assert_eq!(layout.files().len(), 3, "padding is not a file");
        assert_eq!(layout.pieces_of_file(FileIndex(0)), 0..2);
        assert_eq!(layout.pieces_of_file(FileIndex(1)), 0..0);
        assert_eq!(layout.pieces_of_file(FileIndex(2)), 2..3);
        assert_eq!(
            layout.files_of_piece(PieceIndex(1)).collect::<Vec<_>>(),
            [FileIndex(0)]
        );
    }

    proptest! {
        #[test]
        fn spans_tile_the_torrent(files in prop::collection::vec((0u64..40, any::<bool>()), 1..12),
                                  piece_length in 1u32..50) {
            let names: Vec<_> = files.iter().enumerate().map(|(at, (length, padding))| {
                (format!("{}/{at}", if *padding { ".pad" } else { "t" }), *length)
            }).collect();
            let names: Vec<_> = names.iter().map(|(name, length)| (name.as_str(), *length)).collect();
            let layout = Layout::new(&info(&names, piece_length));
            let mut seen: Vec<u64> = vec![0; layout.files().len()];
            let mut total = 0;
            for piece in layout.geometry().pieces() {
                let mut length = 0;
                for span in layout.piece_spans(piece) {
                    prop_assert!(span.length > 0);
                    if let Some(file) = span.file {
                        prop_assert_eq!(span.offset, seen[file.get()], "each file in order, without a gap");
                        prop_assert!(layout.pieces_of_file(file).contains(&piece.0));
                        seen[file.get()] += span.length;
                    }
                    length += span.length;
                }
                prop_assert_eq!(length, u64::from(layout.geometry().piece_size(piece)));
                total += length;
            }
            prop_assert_eq!(total, layout.geometry().total_length());
            for (file, seen) in layout.files().iter().zip(seen) {
                prop_assert_eq!(file.length, seen);
            }
        }
    }
}
