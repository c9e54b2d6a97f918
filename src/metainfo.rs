//! The `.torrent` file as a value. Layer 1, BEP 3 §metainfo files.

use std::sync::Arc;

use crate::geometry::Geometry;
use crate::id::InfoHash;

/// Which versions of the `info` dictionary a torrent carries (BEP 3, BEP 52 §upgrade path).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaVersion {
    /// Version 1 only.
    V1,
    /// Both; we use the version 1 side.
    Hybrid,
}

/// One file of a torrent, in the order of the torrent's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Path below the download folder, made safe: no empty, `.` or `..` component, no separator or NUL in
    /// one, none longer than a file system takes, and no two files of a torrent with the same path. The first
    /// component is the torrent's name.
    pub path: Vec<String>,
    /// Bytes.
    pub length: u64,
    /// Filler between files (BEP 47): all zeroes, never written to disk and not shown.
    pub padding: bool,
}

/// The `info` dictionary: everything that the info-hash vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// SHA-1 of the dictionary's own bytes.
    pub info_hash: InfoHash,
    /// Which versions the dictionary carries.
    pub version: MetaVersion,
    /// Name of the file or of the folder, made safe like the components of [`FileEntry::path`].
    pub name: String,
    /// Lengths and pieces.
    pub geometry: Geometry,
    /// SHA-1 of each piece, `geometry.piece_count()` of them.
    pub piece_hashes: Vec<[u8; 20]>,
    /// The files, padding included, in order; their lengths add up to `geometry.total_length()`.
    pub files: Vec<FileEntry>,
    /// Whether this is a folder of files (`files`) or one file (`length`).
    pub multi_file: bool,
    /// Only the torrent's own trackers may tell of peers (BEP 27).
    pub private: bool,
    /// The bencoded dictionary, byte for byte.
    pub raw: Arc<[u8]>,
}

/// A whole `.torrent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metainfo {
    /// What the info-hash vouches for.
    pub info: Info,
    /// Tracker URLs by tier (BEP 12); a lone `announce` is one tier of one.
    pub tiers: Vec<Vec<String>>,
    /// HTTP sources (BEP 19, `url-list`).
    pub web_seeds: Vec<String>,
    /// Free text.
    pub comment: Option<String>,
    /// Program that made the torrent.
    pub created_by: Option<String>,
    /// Seconds since 1970.
    pub creation_date: Option<i64>,
    /// The file as it was read, keys that we do not know included: what is saved is what was given.
    pub raw: Arc<[u8]>,
}
