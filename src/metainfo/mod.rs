//! The `.torrent` file as a value. Layer 1, BEP 3 §metainfo files, with BEP 12 (tiers of trackers), 19 (web
//! seeds), 27 (private), 47 (padding and links) and the version 1 side of BEP 52.
//!
//! Nothing in a `.torrent` is trusted: lengths are added with care and must fit the hashes, names are made
//! safe (see [`FileEntry::path`]), and all sizes are bounded by the constants below. Keys that we do not
//! know are kept, as the whole file is ([`Metainfo::raw`]).
//!
//! - Where a name comes both in an unknown encoding and in UTF-8 (`name.utf-8`, `path.utf-8`), the latter is
//!   used; else what is not UTF-8 is replaced with U+FFFD.
//! - Padding is what `attr` calls padding. Names that look like it (`_____padding_file_…`) are ordinary files:
//!   nobody vouches that they are zeroes.
//! - Symbolic links without bytes are left out and never created.

mod builder;
mod error;
mod kind;
mod names;
mod parse;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use builder::{Builder, Content};
pub use error::MetainfoError;

use crate::bencode::{self, Item};
use crate::geometry::Geometry;
use crate::id::InfoHash;

/// Most bytes of a `.torrent`: more than a million pieces or files need, little enough to be held in memory.
pub const MAX_FILE_BYTES: usize = 32 * 1024 * 1024;

/// Most bytes of a piece, 256 MiB: sixteen times what the largest torrents use.
pub const MAX_PIECE_LENGTH: u32 = 256 * 1024 * 1024;

/// Most files of a torrent, padding included.
pub const MAX_FILES: usize = 500_000;

/// Most components of a path, the torrent's name included.
pub const MAX_COMPONENTS: usize = 64;

/// Most bytes of a path below the download folder: `PATH_MAX` is 4096, and the folder needs some.
pub const MAX_PATH_BYTES: usize = 3072;

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
    /// one, none longer than a file system takes, no two files of a torrent with the same path, and none where
    /// another has a folder. The first component is the torrent's name.
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

/// Reads what is to be parsed as a `.torrent`, but no more of it than one byte past the most that one may have:
/// by that byte [`Metainfo::parse`] sees that it is too long, however large the file is.
///
/// # Errors
/// Those of `source`.
pub fn read_bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Metainfo {
    /// All tracker URLs, tier by tier.
    pub fn announce_urls(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().flatten().map(String::as_str)
    }

    /// The same torrent with these trackers as well, those that it lacks in tiers behind its own; `None` if it lacks
    /// none. All else stays byte for byte, so the info-hash does.
    pub fn with_trackers(&self, tiers: &[Vec<String>]) -> Option<Self> {
        let known: HashSet<&str> = self.announce_urls().collect();
        let lacking = |tier: &Vec<String>| -> Vec<String> {
            let urls = tier.iter().filter(|url| !known.contains(url.as_str()));
            urls.cloned().collect()
        };
        let new: Vec<_> = tiers
            .iter()
            .map(lacking)
            .filter(|tier| !tier.is_empty())
            .collect();
        if new.is_empty() {
            return None;
        }
        let mut all = self.tiers.clone();
        all.extend(new);
        self.rewritten(|entries| {
            let list = all.iter().map(Item::list).collect();
            entries.insert(b"announce-list"[..].into(), Item::List(list));
        })
    }

    /// The same torrent with these trackers and no others; `None` if there are too many for a `.torrent`. All else stays
    /// byte for byte.
    pub fn with_tiers(&self, tiers: &[Vec<String>]) -> Option<Self> {
        let tiers: Vec<_> = tiers.iter().filter(|tier| !tier.is_empty()).collect();
        self.rewritten(|entries| {
            // The first one is for readers that know of no tiers (BEP 12).
            match tiers.first().and_then(|tier| tier.first()) {
                Some(first) => {
                    entries.insert(b"announce"[..].into(), Item::Bytes(first.as_bytes().into()));
                    let list = tiers.iter().map(|&tier| Item::list(tier)).collect();
                    entries.insert(b"announce-list"[..].into(), Item::List(list));
                }
                None => entries.retain(|key, _| !matches!(&**key, b"announce" | b"announce-list")),
            }
        })
    }

    /// The same torrent with other entries beside the info dictionary.
    fn rewritten<'a>(&'a self, change: impl FnOnce(&mut BTreeMap<Cow<'a, [u8]>, Item<'a>>)) -> Option<Self> {
        let root = bencode::decode_prefix(&self.raw).ok()?.value.as_dict()?;
        let kept = root
            .iter()
            .map(|(key, value)| (key.into(), Item::Raw(value.raw().into())));
        let mut entries: BTreeMap<Cow<'_, [u8]>, Item<'_>> = kept.collect();
        change(&mut entries);
        Self::parse(&Item::Dict(entries).encode()).ok()
    }

    /// The magnet link: info-hash, name and trackers (BEP 9 §magnet URI format).
    pub fn magnet(&self) -> String {
        let mut link = format!(
            "magnet:?xt=urn:btih:{}&dn={}",
            self.info.info_hash,
            utf8_percent_encode(&self.info.name, RESERVED)
        );
        for url in self.announce_urls() {
            // Writing to a string does not fail.
            let _ = write!(link, "&tr={}", utf8_percent_encode(url, RESERVED));
        }
        link
    }
}

/// Everything but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests;
