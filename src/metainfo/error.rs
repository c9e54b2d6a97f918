//! Why a `.torrent` is refused, in words for whoever opened it.

use super::{MAX_COMPONENTS, MAX_FILE_BYTES, MAX_FILES, MAX_PATH_BYTES, MAX_PIECE_LENGTH};
use crate::bencode::DecodeError;
use crate::size::Count;

/// What [`super::Metainfo::parse`] refuses. Files are counted from 1, as a person does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetainfoError {
    /// No bytes at all.
    #[error("the file is empty; fetch the torrent again")]
    Empty,
    /// A download page or an error page that was saved as a torrent.
    #[error("this is a web page, not a .torrent; the site may want you to log in before it gives the file")]
    WebPage,
    /// A file of another kind, known by how it begins.
    #[error("this is {0}, not a .torrent")]
    OtherKind(&'static str),
    /// An archive, which may hold the torrent.
    #[error("this is {0}, not a .torrent; unpack it and open the .torrent that is in it")]
    Archive(&'static str),
    /// What programs answer each other with.
    #[error("this is JSON text, not a .torrent; the site may have answered with an error")]
    Json,
    /// Longer than [`MAX_FILE_BYTES`].
    #[error("the file is larger than {} MiB, so it is no torrent", MAX_FILE_BYTES / (1024 * 1024))]
    TooLarge,
    /// It is not bencoded, or damaged.
    #[error("this is not a torrent, or it is damaged: {0}; fetch it again")]
    Bencode(#[from] DecodeError),
    /// Well-formed, but something else.
    #[error("this is not a torrent: it holds no dictionary")]
    NoDictionary,
    /// A required key is missing.
    #[error("the torrent is incomplete: {0} is missing")]
    Missing(&'static str),
    /// A key has a value of the wrong kind.
    #[error("the torrent is malformed: {key} is not {expected}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it must be, with its article.
        expected: &'static str,
    },
    /// BEP 52 without a version 1 side.
    #[error(
        "this is a version 2 torrent, which DTorrent does not support yet; look for a hybrid or version 1"
    )]
    OnlyVersion2,
    /// `piece length` is not in `1..=`[`MAX_PIECE_LENGTH`].
    #[error("the torrent says that a piece has {0} bytes; it must be 1 to {MAX_PIECE_LENGTH}")]
    PieceLength(i64),
    /// `pieces` is cut short.
    #[error("the piece hashes take {0} bytes, which is not a multiple of 20")]
    PartOfHash(usize),
    /// `pieces` does not fit the lengths.
    #[error("the torrent has the hashes of {}, but its files make {expected}", Count(*found as u64, "piece"))]
    PieceCount {
        /// Pieces by the lengths of the files.
        expected: u64,
        /// Hashes that are there.
        found: usize,
    },
    /// A length is missing or negative.
    #[error("file {0} of the torrent has no valid length")]
    FileLength(usize),
    /// A path is missing, empty, or no list of strings.
    #[error("file {0} of the torrent has no valid path")]
    FilePath(usize),
    /// A path is too long to be created.
    #[error(
        "the path of file {0} of the torrent is too long; \
        at most {MAX_COMPONENTS} folders and {MAX_PATH_BYTES} bytes can be created"
    )]
    LongPath(usize),
    /// An entry of `files` is no dictionary.
    #[error("file {0} of the torrent is not described by a dictionary")]
    FileEntry(usize),
    /// The lengths add up to more than can be counted.
    #[error("the files of the torrent are larger than any disk: their lengths cannot be added")]
    TotalLength,
    /// `files` is empty, or holds nothing but links and padding.
    #[error("the torrent has no files")]
    NoFiles,
    /// More than [`MAX_FILES`].
    #[error("the torrent has more than {MAX_FILES} files")]
    TooManyFiles,
}
