//! What a file is that is no `.torrent`: people open the picture beside it, or the archive that it came in, and
//! "byte 0 is unexpected" would send them to fetch the same file again. Layer 1.

use super::MetainfoError;
use crate::sentence::phrase;

// Bencode begins with a digit, `d`, `i` or `l`, and a digit is followed by more of them or a colon: none of these
// beginnings could be a torrent.

/// How archives begin, and what they are, with their article.
const ARCHIVES: [(&[u8], &str); 7] = [
    (b"\x1f\x8b", phrase!("a gzip archive")),
    (b"PK\x03\x04", phrase!("a zip archive")),
    (b"7z\xbc\xaf\x27\x1c", phrase!("a 7-Zip archive")),
    (b"Rar!\x1a\x07", phrase!("a RAR archive")),
    (b"BZh", phrase!("a bzip2 archive")),
    (b"\xfd7zXZ\0", phrase!("an xz archive")),
    (b"\x28\xb5\x2f\xfd", phrase!("a zstd archive")),
];

/// The same of what nobody can do anything about.
const OTHERS: [(&[u8], &str); 14] = [
    (b"\x89PNG\r\n\x1a\n", phrase!("a PNG image")),
    (b"\xff\xd8\xff", phrase!("a JPEG image")),
    (b"GIF8", phrase!("a GIF image")),
    (b"%PDF-", phrase!("a PDF document")),
    (b"PK\x05\x06", phrase!("an empty zip archive")),
    (b"\x7fELF", phrase!("a program")),
    (b"MZ", phrase!("a Windows program")),
    (b"#!", phrase!("a script")),
    (b"\x1a\x45\xdf\xa3", phrase!("a Matroska or WebM video")),
    (b"OggS", phrase!("an Ogg sound or video")),
    (b"ID3", phrase!("an MP3 sound")),
    (b"fLaC", phrase!("a FLAC sound")),
    (b"RIFF", phrase!("a RIFF picture, sound or video")),
    (b"magnet:?", phrase!("a magnet link in a file")),
];

/// Why this is no torrent, if its beginning says that it is something else.
pub(super) fn refusal(bytes: &[u8]) -> Option<MetainfoError> {
    // ISO base media: the length of the first box comes before its type (ISO/IEC 14496-12 §4.3).
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(MetainfoError::OtherKind(phrase!("an MP4 video")));
    }
    if bytes.starts_with(b"{") {
        return Some(MetainfoError::Json);
    }
    let kind_of = |kinds: &[(&[u8], &'static str)]| {
        let found = kinds.iter().find(|(start, _)| bytes.starts_with(start));
        found.map(|(_, kind)| *kind)
    };
    let archive = kind_of(&ARCHIVES).map(MetainfoError::Archive);
    archive.or_else(|| kind_of(&OTHERS).map(MetainfoError::OtherKind))
}
