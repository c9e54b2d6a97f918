//! Torrents whose every byte is known.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use dtorrent::geometry::{Block, PieceIndex};
use dtorrent::id::sha1_of;
use dtorrent::metainfo::{Builder, Content as Files, Metainfo};

use super::stage::Stage;

/// The data of a torrent, in memory.
#[derive(Debug)]
pub(crate) struct Content {
    /// The torrent without trackers; its `raw` is what clients that need none can be given.
    pub(crate) metainfo: Metainfo,
    builder: Builder,
    bytes: Vec<u8>,
}

impl Content {
    /// One file of `length` bytes.
    pub(crate) fn file(name: &str, length: usize, piece_length: u32, seed: u64) -> Self {
        Self::new(name, Files::File(length as u64), length, piece_length, seed)
    }

    /// A folder of what trips clients up: folders in folders, empty files (the first, the last, two in a row,
    /// one alone in its folder), files of one byte, names that are not ASCII, pieces that span files.
    pub(crate) fn folder(name: &str, piece_length: u32, seed: u64) -> Self {
        let files: &[(&str, u64)] = &[
            ("a first empty file", 0),
            ("one byte", 1),
            ("large.bin", 3_500_017),
            ("nested/deeper/deepest/file.dat", 700_001),
            ("nested/empty.dat", 0),
            ("nested/empty too.dat", 0),
            ("nested/one.dat", 1),
            ("nested/only empty/nothing", 0),
            ("Ünïcödé/日本語 ファイル.txt", 123_457),
            ("Ünïcödé/эмпти", 0),
            ("Ünïcödé/🦀", 1),
            ("small/1", 999),
            ("small/2", 16_383),
            ("small/3", 16_385),
            ("z last", 1_000_003),
            ("zz empty", 0),
        ];
        let split = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        let length: u64 = files.iter().map(|(_, length)| length).sum();
        let files = files
            .iter()
            .map(|(path, length)| (split(path), *length))
            .collect();
        Self::new(name, Files::Folder(files), length as usize, piece_length, seed)
    }

    fn new(name: &str, files: Files, length: usize, piece_length: u32, seed: u64) -> Self {
        let mut bytes = vec![0; length];
        fastrand::Rng::with_seed(seed).fill(&mut bytes);
        let hashes = bytes.chunks(piece_length as usize).map(sha1_of).collect();
        let builder = Builder::new(name.to_owned(), files, piece_length, hashes);
        let metainfo = builder.build().unwrap();
        Self {
            metainfo,
            builder,
            bytes,
        }
    }

    /// All bytes, file after file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of a block that lies within the torrent.
    pub(crate) fn block(&self, block: Block) -> &[u8] {
        let start = self.metainfo.info.geometry.piece_offset(block.piece) as usize + block.begin as usize;
        &self.bytes[start..start + block.length as usize]
    }

    /// Writes a `.torrent` with these trackers, each in a tier of its own.
    pub(crate) fn torrent(&self, stage: &Stage, trackers: &[String]) -> PathBuf {
        let path = stage
            .folder("torrents")
            .join(format!("{}.torrent", self.metainfo.info.name));
        self.torrent_at(&path, trackers.iter().map(|url| vec![url.clone()]).collect());
        path
    }

    /// Writes a `.torrent` with these tiers of trackers.
    pub(crate) fn torrent_at(&self, path: &Path, tiers: Vec<Vec<String>>) {
        let metainfo = Builder {
            tiers,
            ..self.builder.clone()
        }
        .build()
        .unwrap();
        fs::write(path, &metainfo.raw).unwrap();
    }

    /// Writes all files below `dir`.
    pub(crate) fn write(&self, dir: &Path) {
        self.write_pieces(dir, |_| true);
    }

    /// Writes all files below `dir` with only the pieces that `has` chooses; the others are zeroes.
    pub(crate) fn write_pieces(&self, dir: &Path, has: impl Fn(PieceIndex) -> bool) {
        let mut bytes = self.bytes.clone();
        let length = self.metainfo.info.geometry.piece_length() as usize;
        for (piece, data) in self.metainfo.info.geometry.pieces().zip(bytes.chunks_mut(length)) {
            if !has(piece) {
                data.fill(0);
            }
        }
        for (path, range) in self.files() {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &bytes[range]).unwrap();
        }
    }

    /// Panics unless every file below `dir` is there and right, byte for byte.
    pub(crate) fn assert_in(&self, dir: &Path) {
        self.files().for_each(|file| self.assert_file(dir, file));
    }

    /// [`Self::assert_in`] without the empty files, which not every client creates.
    pub(crate) fn assert_bytes_in(&self, dir: &Path) {
        let files = self.files().filter(|(_, range)| !range.is_empty());
        files.for_each(|file| self.assert_file(dir, file));
    }

    fn assert_file(&self, dir: &Path, (path, range): (PathBuf, Range<usize>)) {
        let path = dir.join(path);
        let found = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let expected = &self.bytes[range];
        assert_eq!(found.len(), expected.len(), "length of {}", path.display());
        if let Some(at) = found.iter().zip(expected).position(|(a, b)| a != b) {
            panic!("{} differs from byte {at} on", path.display());
        }
    }

    /// Whether every file below `dir` is there and right.
    pub(crate) fn is_in(&self, dir: &Path) -> bool {
        self.files()
            .all(|(path, range)| fs::read(dir.join(path)).is_ok_and(|found| found == self.bytes[range]))
    }

    /// Path and place of each file.
    fn files(&self) -> impl Iterator<Item = (PathBuf, Range<usize>)> {
        self.metainfo.info.files.iter().scan(0, |start, file| {
            let range = *start..*start + file.length as usize;
            *start = range.end;
            Some((file.path.iter().collect(), range))
        })
    }
}
