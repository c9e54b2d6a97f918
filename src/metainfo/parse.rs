//! From bytes to [`Metainfo`].

use std::collections::HashSet;

use super::kind;
use super::names::{self, NameTree};
use super::{
    FileEntry, Info, MAX_COMPONENTS, MAX_FILE_BYTES, MAX_FILES, MAX_PATH_BYTES, MAX_PIECE_LENGTH,
    MetaVersion, Metainfo, MetainfoError,
};
use crate::bencode::{self, Dict, Fields, Value};
use crate::geometry::Geometry;
use crate::id::InfoHash;
use crate::sentence::phrase;

/// What is read of the outer dictionary.
const ROOT_KEYS: [&str; 9] = [
    "info",
    "announce-list",
    "announce",
    "url-list",
    "comment.utf-8",
    "comment",
    "created by.utf-8",
    "created by",
    "creation date",
];

/// What is read of `info`.
const INFO_KEYS: [&str; 9] = [
    "file tree",
    "meta version",
    "pieces",
    "piece length",
    "name",
    "name.utf-8",
    "files",
    "length",
    "private",
];

/// What is read of an entry of `files`.
const FILE_KEYS: [&str; 4] = ["attr", "length", "path.utf-8", "path"];

impl Metainfo {
    /// Reads a `.torrent`. Bytes after its end are let pass: other clients do, and the info-hash does not
    /// cover them.
    ///
    /// # Errors
    /// See [`MetainfoError`]: each says what is wrong in words for a user.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetainfoError> {
        check_kind(bytes)?;
        let root = bencode::decode_prefix(bytes)?.value;
        let root = root.as_dict().ok_or(MetainfoError::NoDictionary)?;
        let root = &root.only(&ROOT_KEYS);
        let info = root.get("info").ok_or(MetainfoError::Missing("info"))?;
        Ok(Self {
            info: Info::of_value(info)?,
            tiers: tiers(root),
            web_seeds: web_seeds(root),
            comment: text_of(root, "comment.utf-8", "comment"),
            created_by: text_of(root, "created by.utf-8", "created by"),
            creation_date: root.int("creation date"),
            raw: bytes.into(),
        })
    }
}

impl Info {
    /// Reads an `info` dictionary that came by itself, as peers send it (BEP 9).
    ///
    /// # Errors
    /// See [`MetainfoError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, MetainfoError> {
        check_kind(bytes)?;
        Self::of_value(bencode::decode(bytes)?)
    }

    fn of_value(value: Value<'_>) -> Result<Self, MetainfoError> {
        let wrong = MetainfoError::WrongType {
            key: "info",
            expected: phrase!("a dictionary"),
        };
        let dict = &value.as_dict().ok_or(wrong)?.only(&INFO_KEYS);
        let info_hash = InfoHash::of_info(value.raw());
        let version = version(dict)?;
        let name = name(dict, info_hash)?;
        let listed = dict.get("files");
        let files = match listed {
            Some(list) => listed_files(&name, list)?,
            None => single_file(&name, dict)?,
        };
        let (geometry, piece_hashes) = pieces(dict, &files)?;
        Ok(Self {
            info_hash,
            version,
            name,
            geometry,
            piece_hashes,
            files,
            multi_file: listed.is_some(),
            private: dict.int("private") == Some(1),
            raw: value.raw().into(),
        })
    }
}

/// Tells what is not even meant to be bencoded, which deserves a better word than an offset.
fn check_kind(bytes: &[u8]) -> Result<(), MetainfoError> {
    if let Some(refusal) = kind::refusal(bytes) {
        return Err(refusal);
    }
    if bytes.len() > MAX_FILE_BYTES {
        return Err(MetainfoError::TooLarge);
    }
    let start = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    match start.first() {
        None => Err(MetainfoError::Empty),
        Some(b'<') => Err(MetainfoError::WebPage),
        Some(_) => Ok(()),
    }
}

/// Version 1 is there when its piece hashes are (BEP 52 §upgrade path).
fn version(info: &Fields<'_>) -> Result<MetaVersion, MetainfoError> {
    let version_2 = info.get("file tree").is_some() || info.int("meta version").is_some_and(|v| v >= 2);
    match (info.get("pieces").is_some(), version_2) {
        (true, true) => Ok(MetaVersion::Hybrid),
        (true, false) => Ok(MetaVersion::V1),
        (false, true) => Err(MetainfoError::OnlyVersion2),
        (false, false) => Err(MetainfoError::Missing("pieces")),
    }
}

/// An empty name becomes the info-hash: there must be something to call the folder.
fn name(info: &Fields<'_>, info_hash: InfoHash) -> Result<String, MetainfoError> {
    info.get("name")
        .or_else(|| info.get("name.utf-8"))
        .ok_or(MetainfoError::Missing("name"))?;
    let name = text_of(info, "name.utf-8", "name").ok_or(MetainfoError::WrongType {
        key: "name",
        expected: phrase!("a string"),
    })?;
    Ok(names::component(&name).unwrap_or_else(|| info_hash.to_string()))
}

fn single_file(name: &str, info: &Fields<'_>) -> Result<Vec<FileEntry>, MetainfoError> {
    let length = info
        .get("length")
        .ok_or(MetainfoError::Missing("the length of the file"))?;
    let length = length.as_int().and_then(|length| u64::try_from(length).ok());
    let length = length.ok_or(MetainfoError::FileLength(1))?;
    Ok(vec![FileEntry {
        path: vec![name.to_owned()],
        length,
        padding: false,
    }])
}

fn listed_files(name: &str, list: Value<'_>) -> Result<Vec<FileEntry>, MetainfoError> {
    let list = list.as_list().ok_or(MetainfoError::WrongType {
        key: "files",
        expected: phrase!("a list"),
    })?;
    let mut tree = NameTree::default();
    let mut files = Vec::new();
    for (number, entry) in (1..).zip(list) {
        if number > MAX_FILES {
            return Err(MetainfoError::TooManyFiles);
        }
        let entry = entry.as_dict().ok_or(MetainfoError::FileEntry(number))?;
        files.extend(listed_file(number, name, entry, &mut tree)?);
    }
    if files.iter().all(|file| file.padding) {
        return Err(MetainfoError::NoFiles);
    }
    Ok(files)
}

/// One entry of `files`; `None` for a symbolic link (BEP 47), which has no bytes and is never created, as it
/// could point out of the folder. One that has bytes is a file like others: they must go somewhere.
fn listed_file(
    number: usize,
    name: &str,
    entry: Dict<'_>,
    tree: &mut NameTree,
) -> Result<Option<FileEntry>, MetainfoError> {
    let entry = &entry.only(&FILE_KEYS);
    let attributes = entry.bytes("attr").unwrap_or_default();
    let link = attributes.contains(&b'l');
    let length = match entry.get("length") {
        None if link => Some(0),
        length => length
            .and_then(Value::as_int)
            .and_then(|length| u64::try_from(length).ok()),
    };
    let length = length.ok_or(MetainfoError::FileLength(number))?;
    if attributes.contains(&b'p') {
        // Its name means nothing, many carry the same one, and it is never written.
        let path = vec![name.to_owned(), ".pad".to_owned(), number.to_string()];
        return Ok(Some(FileEntry {
            path,
            length,
            padding: true,
        }));
    }
    let path = path_of(number, name, entry)?;
    if link && length == 0 {
        return Ok(None);
    }
    Ok(Some(FileEntry {
        path: tree.place(path),
        length,
        padding: false,
    }))
}

/// The safe path of an entry, the torrent's name first.
fn path_of(number: usize, name: &str, entry: &Fields<'_>) -> Result<Vec<String>, MetainfoError> {
    let invalid = || MetainfoError::FilePath(number);
    let utf8 = entry
        .list("path.utf-8")
        .filter(|list| list.clone().all(|part| part.as_str().is_some()));
    let parts = utf8.or_else(|| entry.list("path")).ok_or_else(invalid)?;
    let mut path = vec![name.to_owned()];
    let mut bytes = name.len();
    for part in parts {
        let part = names::text(part.as_bytes().ok_or_else(invalid)?);
        if let Some(part) = names::component(&part) {
            bytes += 1 + part.len();
            path.push(part);
        }
        if path.len() > MAX_COMPONENTS || bytes > MAX_PATH_BYTES {
            return Err(MetainfoError::LongPath(number));
        }
    }
    if path.len() < 2 {
        return Err(invalid());
    }
    Ok(path)
}

fn pieces(info: &Fields<'_>, files: &[FileEntry]) -> Result<(Geometry, Vec<[u8; 20]>), MetainfoError> {
    let length = info
        .get("piece length")
        .ok_or(MetainfoError::Missing("piece length"))?;
    let length = length.as_int().ok_or(MetainfoError::WrongType {
        key: "piece length",
        expected: phrase!("an integer"),
    })?;
    let piece_length = u32::try_from(length)
        .ok()
        .filter(|length| (1..=MAX_PIECE_LENGTH).contains(length));
    let piece_length = piece_length.ok_or(MetainfoError::PieceLength(length))?;
    let total = files
        .iter()
        .try_fold(0_u64, |total, file| total.checked_add(file.length));
    let total = total.ok_or(MetainfoError::TotalLength)?;

    let hashes = info.bytes("pieces").ok_or(MetainfoError::WrongType {
        key: "pieces",
        expected: phrase!("a string"),
    })?;
    let (hashes, part) = hashes.as_chunks::<20>();
    if !part.is_empty() {
        return Err(MetainfoError::PartOfHash(hashes.len() * 20 + part.len()));
    }
    let expected = total.div_ceil(u64::from(piece_length));
    let mismatch = MetainfoError::PieceCount {
        expected,
        found: hashes.len(),
    };
    // Too many to be numbered is also too many for the hashes that are there.
    let geometry = Geometry::new(total, piece_length).ok_or(mismatch.clone())?;
    if hashes.len() as u64 != expected {
        return Err(mismatch);
    }
    Ok((geometry, hashes.to_vec()))
}

/// The trackers by tier. `announce` counts only where `announce-list` names none (BEP 12); URLs that come
/// again, empty ones and what is not text are left out, as is a tier that has nothing left.
fn tiers(root: &Fields<'_>) -> Vec<Vec<String>> {
    let mut seen = HashSet::new();
    let mut url = |value: Value<'_>| {
        let url = value.as_str()?.trim();
        (!url.is_empty() && seen.insert(url.to_owned())).then(|| url.to_owned())
    };
    let tiers: Vec<Vec<String>> = root
        .list("announce-list")
        .into_iter()
        .flatten()
        .map(|tier| match tier.as_list() {
            Some(tier) => tier.filter_map(&mut url).collect(),
            // Some makers leave the inner lists out.
            None => url(tier).into_iter().collect(),
        })
        .filter(|tier: &Vec<String>| !tier.is_empty())
        .collect();
    if tiers.is_empty() {
        let announce = root.get("announce").and_then(url);
        return announce.map(|url| vec![url]).into_iter().collect();
    }
    tiers
}

/// `url-list` is one URL or a list of them (BEP 19).
fn web_seeds(root: &Fields<'_>) -> Vec<String> {
    let Some(value) = root.get("url-list") else {
        return Vec::new();
    };
    let mut seen = HashSet::new();
    let urls = value
        .as_list()
        .into_iter()
        .flatten()
        .chain(value.as_bytes().map(|_| value));
    urls.filter_map(Value::as_str)
        .map(str::trim)
        .filter(|url| !url.is_empty() && seen.insert(*url))
        .map(str::to_owned)
        .collect()
}

/// The text under `preferred` if that is valid UTF-8, else what can be read of `key`.
fn text_of(dict: &Fields<'_>, preferred: &str, key: &str) -> Option<String> {
    let plain = || {
        let bytes = dict.bytes(key).or_else(|| dict.bytes(preferred))?;
        Some(names::text(bytes).into_owned())
    };
    dict.str(preferred).map(str::to_owned).or_else(plain)
}
