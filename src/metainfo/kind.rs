//! What a file is that is no `.torrent`: people open the picture beside it, or the archive that it came in, and
//! "byte 0 is unexpected" would send them to fetch the same file again. Layer 1.

/// The kinds of which [`kind_of`] knows the beginning. Bencode begins with a digit, `d`, `i` or `l`, and a digit is
/// followed by more of them or a colon: none of these beginnings could be a torrent.
const KINDS: [(&[u8], &str, &str); 22] = [
    (b"\x89PNG\r\n\x1a\n", "a PNG image", ""),
    (b"\xff\xd8\xff", "a JPEG image", ""),
    (b"GIF8", "a GIF image", ""),
    (b"%PDF-", "a PDF document", ""),
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"PK\x03\x04", "a zip archive", UNPACK),
    (b"PK\x05\x06", "an empty zip archive", ""),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", UNPACK),
    (b"\x7fELF", "a program", ""),
    (b"MZ", "a Windows program", ""),
    (b"#!", "a script", ""),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video", ""),
    (b"OggS", "an Ogg sound or video", ""),
    (b"ID3", "an MP3 sound", ""),
    (b"fLaC", "a FLAC sound", ""),
    (b"RIFF", "a RIFF picture, sound or video", ""),
    (b"magnet:?", "a magnet link in a file", ""),
    (b"{", "JSON text", "; the site may have answered with an error"),
];

const UNPACK: &str = "; unpack it and open the .torrent that is in it";

/// What the bytes are, with its article, and what to do, if that is known.
pub(super) fn kind_of(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    // ISO base media: the length of the first box comes before its type (ISO/IEC 14496-12 §4.3).
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(("an MP4 video", ""));
    }
    KINDS
        .iter()
        .find(|(start, ..)| bytes.starts_with(start))
        .map(|&(_, kind, advice)| (kind, advice))
}
