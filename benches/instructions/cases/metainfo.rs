//! A torrent of 5,000 files in 50 folders.

use std::hint::black_box;
use std::sync::Arc;

use dtorrent::bencode;
use dtorrent::metainfo::{Builder, Content, Metainfo};

const FILES: usize = 5_000;
const FILE_LENGTH: u64 = 50 * 1024;
const PIECE_LENGTH: u32 = 256 * 1024;

fn bytes() -> Arc<[u8]> {
    let file = |number: usize| {
        let path = vec![
            format!("folder {}", number % 50),
            format!("a file with a name of usual length {number}.bin"),
        ];
        (path, FILE_LENGTH)
    };
    let content = Content::Folder((0..FILES).map(file).collect());
    let pieces = (FILES as u64 * FILE_LENGTH).div_ceil(u64::from(PIECE_LENGTH));
    let hashes = (0..pieces).map(|piece| [piece as u8; 20]).collect();
    let builder = Builder::new("many files".to_owned(), content, PIECE_LENGTH, hashes);
    builder.build().expect("the parts fit").raw
}

/// The encoding alone.
pub(crate) fn decode(times: u32) {
    let bytes = bytes();
    for _ in 0..times {
        let value = bencode::decode(black_box(&bytes)).expect("it was encoded here");
        black_box(value);
    }
}

/// With every name made safe, and the hash of the torrent.
pub(crate) fn parse(times: u32) {
    let bytes = bytes();
    for _ in 0..times {
        let metainfo = Metainfo::parse(black_box(&bytes)).expect("it was built here");
        assert_eq!(metainfo.info.files.len(), FILES);
        black_box(metainfo);
    }
}
