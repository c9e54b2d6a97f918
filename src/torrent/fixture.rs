//! Torrents for the tests of this folder.

use std::sync::Arc;

use crate::geometry::Geometry;
use crate::id::{InfoHash, sha1_of};
use crate::metainfo::{FileEntry, Info, MetaVersion};

/// The bytes of every torrent here: byte `n` tells of `n`.
pub(super) fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}

/// A torrent of these files, filled with [`content`].
pub(super) fn info_of_files(piece_length: u32, lengths: &[u64]) -> Info {
    let total: u64 = lengths.iter().sum();
    let geometry = Geometry::new(total, piece_length).unwrap();
    let bytes = content(total as usize);
    let file = |(number, &length): (usize, &u64)| FileEntry {
        path: vec!["fixture".into(), number.to_string()],
        length,
        padding: false,
    };
    Info {
        info_hash: InfoHash::new([7; 20]),
        version: MetaVersion::V1,
        name: "fixture".into(),
        geometry,
        piece_hashes: bytes.chunks(piece_length as usize).map(sha1_of).collect(),
        files: lengths.iter().enumerate().map(file).collect(),
        multi_file: true,
        private: false,
        raw: Arc::default(),
    }
}
