//! The resume record: what a torrent must know to go on after a stop. Layer 1.
//!
//! A line that names kind, version and SHA-1 of what follows, then JSON: to be read by a person, checked
//! before it is believed. The record holds only pieces that were synced before it was written; those written
//! since are in the [`super::journal`].

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout::FileIndex;
use crate::bitfield::Bitfield;
use crate::engine::api::{Priority, SeedEnd, SeedLimit};
use crate::id::{InfoHash, sha1_of};
use crate::ratio::RatioLimit;

/// Version of what is written. Others are refused: a recheck is safer than a guess.
const VERSION: u32 = 1;

/// Most addresses that a record keeps.
const MOST_PEERS: usize = 200;

/// Why a record is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It does not begin as our records do.
    #[error("it is no record of this kind")]
    Kind,
    /// It is from another version of the program.
    #[error("it has version {0:?}, and this program reads version {VERSION}")]
    Version(String),
    /// Bytes have changed since it was written.
    #[error("its checksum is wrong")]
    Checksum,
    /// The checksum is right, the content is not ours.
    #[error("its content cannot be read: {0}")]
    Content(String),
}

/// Size and time of a file at a clean stop: if both are the same later, nobody has written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970 of the last change.
    pub mtime: i64,
    /// Nanoseconds on top.
    pub mtime_nsec: i64,
}

/// What is kept of a torrent between two runs, beside its `.torrent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeRecord {
    /// Pieces that are verified and synced.
    #[serde(with = "hex_bits")]
    pub have: Bitfield,
    /// Pieces that may be there and must be hashed before they count: a check that has not ended.
    #[serde(with = "hex_bits")]
    pub unchecked: Bitfield,
    /// One for each file that is not padding; empty: all normal.
    pub priorities: Vec<Priority>,
    /// Whether pieces are fetched in order.
    pub sequential: bool,
    /// Whether the user has stopped it.
    pub paused: bool,
    /// Whether the user has it run past the queue. Records of earlier versions do not say so.
    #[serde(default)]
    pub forced: bool,
    /// The download folder.
    #[serde(with = "path_bytes")]
    pub folder: PathBuf,
    /// Bytes of blocks received, over all runs.
    pub downloaded: u64,
    /// Bytes of blocks sent, over all runs.
    pub uploaded: u64,
    /// Limit from peers in KiB/s; 0: none.
    pub download_limit_kib: u64,
    /// Limit to peers in KiB/s; 0: none.
    pub upload_limit_kib: u64,
    /// When it stops seeding. Records of earlier versions do not say so, nor what follows from it.
    #[serde(default)]
    pub seed_limit: SeedLimit,
    /// A ratio up to this does not stop it: the user had it seed on.
    #[serde(default)]
    pub ratio_set_aside: RatioLimit,
    /// It is paused as it has seeded enough.
    #[serde(default)]
    pub seed_end: Option<SeedEnd>,
    /// When it was added, in seconds since 1970.
    pub added_at: u64,
    /// When all that was wanted was there, in seconds since 1970.
    pub completed_at: Option<u64>,
    /// Peers to try first; the first 200 are kept.
    pub known_peers: Vec<SocketAddr>,
    /// The files that this client created, rather than found.
    pub created_files: Vec<FileIndex>,
    /// The files that it may write to, whoever created them. `None` in records of earlier versions: all.
    #[serde(default)]
    pub claimed_files: Option<Vec<FileIndex>>,
    /// At a clean stop: each file that is not padding as it was left, `None` for one that did not exist.
    /// Without this only sizes vouch for the files. To be `None` in any record that is saved while the
    /// torrent may write: a stamp that is out of date costs a recheck of its file.
    pub sealed: Option<Vec<Option<FileStamp>>>,
}

impl ResumeRecord {
    /// The record of a torrent of `pieces` pieces of which nothing is known.
    pub fn new(folder: &Path, pieces: u32) -> Self {
        Self {
            have: Bitfield::empty(pieces),
            unchecked: Bitfield::empty(pieces),
            priorities: Vec::new(),
            sequential: false,
            paused: false,
            forced: false,
            folder: folder.to_owned(),
            downloaded: 0,
            uploaded: 0,
            download_limit_kib: 0,
            upload_limit_kib: 0,
            seed_limit: SeedLimit::AsSet,
            ratio_set_aside: RatioLimit::NONE,
            seed_end: None,
            added_at: 0,
            completed_at: None,
            known_peers: Vec::new(),
            created_files: Vec::new(),
            claimed_files: Some(Vec::new()),
            sealed: None,
        }
    }

    /// The record as it is saved.
    ///
    /// # Errors
    /// [`RecordError::Content`] if a value has no JSON form, which none of these types lacks.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        if self.known_peers.len() <= MOST_PEERS {
            return seal("resume", self);
        }
        let mut bounded = self.clone();
        bounded.known_peers.truncate(MOST_PEERS);
        seal("resume", &bounded)
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// Anything else, down to a single bit.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        unseal("resume", bytes)
    }
}

/// The order of the torrents, as it is saved.
pub(super) fn encode_order(order: &[InfoHash]) -> Result<Vec<u8>, RecordError> {
    seal("session", &order)
}

/// Reads what [`encode_order`] wrote.
pub(super) fn decode_order(bytes: &[u8]) -> Result<Vec<InfoHash>, RecordError> {
    unseal("session", bytes)
}

/// The banned addresses, as they are saved.
pub(super) fn encode_bans(bans: &[IpAddr]) -> Result<Vec<u8>, RecordError> {
    seal("bans", &bans)
}

/// Reads what [`encode_bans`] wrote.
pub(super) fn decode_bans(bytes: &[u8]) -> Result<Vec<IpAddr>, RecordError> {
    unseal("bans", bytes)
}

pub(super) fn seal(kind: &str, value: &impl Serialize) -> Result<Vec<u8>, RecordError> {
    let body = serde_json::to_vec(value).map_err(|error| RecordError::Content(error.to_string()))?;
    let mut bytes = head(kind, &body).into_bytes();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

pub(super) fn unseal<T: for<'de> Deserialize<'de>>(kind: &str, bytes: &[u8]) -> Result<T, RecordError> {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(RecordError::Kind)?;
    let (found, body) = bytes.split_at(end + 1);
    let found = str::from_utf8(found).map_err(|_| RecordError::Kind)?;
    let rest = found
        .strip_prefix(&format!("dtorrent-{kind} "))
        .ok_or(RecordError::Kind)?;
    let (version, _) = rest.split_once(' ').ok_or(RecordError::Kind)?;
    if version != VERSION.to_string() {
        return Err(RecordError::Version(version.to_owned()));
    }
    if found != head(kind, body) {
        return Err(RecordError::Checksum);
    }
    serde_json::from_slice(body).map_err(|error| RecordError::Content(error.to_string()))
}

/// The first line of a record with this body.
fn head(kind: &str, body: &[u8]) -> String {
    format!("dtorrent-{kind} {VERSION} {}\n", hex(&sha1_of(body)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4 | digit(*low)?) as u8);
    odd.is_empty().then(|| pairs.iter().map(byte).collect())?
}

/// A set of pieces as its size and its bytes in hexadecimal.
mod hex_bits {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Bitfield, from_hex, hex};

    pub(super) fn serialize<S: Serializer>(set: &Bitfield, to: S) -> Result<S::Ok, S::Error> {
        (set.len(), hex(set.as_bytes())).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bitfield, D::Error> {
        let (length, text) = <(u32, String)>::deserialize(from)?;
        from_hex(&text)
            .and_then(|bytes| Bitfield::from_bytes(&bytes, length))
            .ok_or_else(|| D::Error::custom("the set of pieces has the wrong length"))
    }
}

/// A path as text where it is, else as hexadecimal bytes: a folder need not have a name in UTF-8.
mod path_bytes {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{from_hex, hex};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Bytes { hex: String },
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => Form::Text(text.to_owned()),
            None => Form::Bytes {
                hex: hex(path.as_os_str().as_bytes()),
            },
        }
        .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        match Form::deserialize(from)? {
            Form::Text(text) => Ok(text.into()),
            Form::Bytes { hex } => from_hex(&hex)
                .map(|bytes| OsString::from_vec(bytes).into())
                .ok_or_else(|| D::Error::custom("the path is not in hexadecimal")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn sample() -> ResumeRecord {
        let mut have = Bitfield::empty(11);
        have.insert(crate::geometry::PieceIndex(9));
        let stamp = FileStamp {
            size: 5,
            mtime: -1,
            mtime_nsec: 999_999_999,
        };
        ResumeRecord {
            have,
            priorities: vec![Priority::Skip, Priority::High],
            known_peers: vec!["[::1]:6881".parse().unwrap(), "10.0.0.1:1".parse().unwrap()],
            seed_limit: SeedLimit::Ratio(RatioLimit::new(1.25).unwrap()),
            seed_end: Some(SeedEnd::Idle { minutes: 30 }),
            completed_at: Some(1),
            created_files: vec![FileIndex(1)],
            sealed: Some(vec![Some(stamp), None]),
            ..ResumeRecord::new(Path::new(OsStr::from_bytes(b"/data/\xff")), 11)
        }
    }

    #[test]
    fn records_round_trip() {
        for record in [sample(), ResumeRecord::new(Path::new("/ä b"), 0)] {
            assert_eq!(ResumeRecord::decode(&record.encode().unwrap()), Ok(record));
        }
    }

    #[test]
    fn every_changed_byte_is_noticed_and_every_cut() {
        let bytes = sample().encode().unwrap();
        for at in 0..bytes.len() {
            for change in [1, 0x20, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                assert!(ResumeRecord::decode(&damaged).is_err(), "byte {at} ^ {change}");
            }
            assert!(ResumeRecord::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn other_versions_and_kinds_are_refused() {
        let text = String::from_utf8(ResumeRecord::new(Path::new("/"), 3).encode().unwrap()).unwrap();
        let newer = text.replacen(" 1 ", " 2 ", 1);
        assert_eq!(
            ResumeRecord::decode(newer.as_bytes()),
            Err(RecordError::Version("2".into()))
        );
        let order = encode_order(&[InfoHash::new([3; 20])]).unwrap();
        assert_eq!(decode_order(&order).unwrap(), [InfoHash::new([3; 20])]);
        assert_eq!(ResumeRecord::decode(&order), Err(RecordError::Kind));
    }

    #[test]
    fn a_set_that_claims_a_wrong_length_is_refused() {
        let text = String::from_utf8(ResumeRecord::new(Path::new("/"), 3).encode().unwrap()).unwrap();
        let (_, body) = text.split_once('\n').unwrap();
        for set in [
            r#"[4294967295,"00"]"#,
            r#"[3,"0"]"#,
            r#"[3,"+f"]"#,
            r#"[3,"ff"]"#,
            r#"[3,"é"]"#,
        ] {
            let body = body.replacen(r#"[3,"00"]"#, set, 1);
            let forged = head("resume", body.as_bytes()) + &body;
            let refused = ResumeRecord::decode(forged.as_bytes());
            assert!(
                matches!(refused, Err(RecordError::Content(_))),
                "{set}: {refused:?}"
            );
        }
    }

    #[test]
    fn known_peers_are_bounded() {
        let mut record = sample();
        record.known_peers = (0..999).map(|port| ([1, 2, 3, 4], port).into()).collect();
        let decoded = ResumeRecord::decode(&record.encode().unwrap()).unwrap();
        assert_eq!(decoded.known_peers, record.known_peers[..MOST_PEERS]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(ResumeRecord::decode(&bytes).is_err());
            let body = String::from_utf8_lossy(&bytes).into_owned();
            let forged = head("resume", body.as_bytes()) + &body;
            prop_assert!(ResumeRecord::decode(forged.as_bytes()).is_err());
        }
    }
}
