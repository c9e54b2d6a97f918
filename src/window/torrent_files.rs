//! Reading what a person opens: `.torrent` files and links. Layer 4; files are read off the GTK thread.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dtorrent::metainfo::{self, Metainfo};
use gtk::gio;
use gtk::gio::prelude::*;

use super::i18n::tr;
use super::library;

/// What a file or link that was handed to the window turns out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// A file to read.
    File(PathBuf),
    /// An address to fetch it from.
    Link(String),
    /// Nothing that we can open; why, in a sentence.
    Refused(String),
}

/// Why a `.torrent` was not opened: the file, and the reason in a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
}

/// Tells files from links.
pub(crate) fn classify(file: &gio::File) -> Handed {
    if file.has_uri_scheme("magnet") {
        return Handed::Refused(tr!(
            "Magnet links are not supported yet. Look for the torrent file on the same page."
        ));
    }
    if is_link(&file.uri()) {
        return Handed::Link(file.uri().to_string());
    }
    match file.path() {
        Some(path) => Handed::File(path),
        None => Handed::Refused(tr!(
            "“{file}” is not on this computer. Download the torrent file first, then open it.",
            file = file.uri()
        )),
    }
}

/// Whether this is the address of something that can be fetched.
pub(crate) fn is_link(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let is_known = |scheme: &str| {
        ["http", "https"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(scheme))
    };
    scheme.is_some_and(is_known) && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Tells what is to be opened from what may be shared, on a thread of its own.
pub(crate) async fn sort(files: Vec<gio::File>) -> (Vec<gio::File>, Vec<PathBuf>) {
    let looked = gio::spawn_blocking(move || {
        let is_content = |file: &gio::File| file.path().is_some_and(|path| is_content(&path));
        let (content, torrents): (Vec<_>, Vec<_>) = files.into_iter().partition(is_content);
        let content = content.iter().filter_map(gio::File::path).collect();
        (torrents, content)
    });
    // A panic while looking would be a mistake of ours; nothing is lost by it.
    looked.await.unwrap_or_default()
}

/// Whether a file or folder is no torrent, by its name or by how it begins.
fn is_content(path: &Path) -> bool {
    if path.is_dir() {
        return true;
    }
    let ending = path.extension();
    if ending.is_some_and(|ending| ending.eq_ignore_ascii_case("torrent")) {
        return false;
    }
    let mut start = [0; 2];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    // A bencoded dictionary begins with a string. What cannot be read is refused where torrents are opened.
    match read {
        Ok(()) => start[0] != b'd' || !start[1].is_ascii_digit(),
        Err(error) => error.kind() == ErrorKind::UnexpectedEof,
    }
}

/// Reads and checks these files on a thread of their own.
pub(crate) async fn read(paths: Vec<PathBuf>) -> Vec<Result<Arc<Metainfo>, Refusal>> {
    let all = paths.clone();
    let read = gio::spawn_blocking(move || paths.iter().map(|path| read_one(path)).collect());
    read.await.unwrap_or_else(|_| {
        // A panic while parsing, which would be a mistake of ours: say so rather than nothing.
        let refusal = |path| Refusal {
            path,
            reason: tr!("DTorrent made a mistake while reading it"),
        };
        all.into_iter().map(|path| Err(refusal(path))).collect()
    })
}

fn read_one(path: &Path) -> Result<Arc<Metainfo>, Refusal> {
    let refusal = |reason: String| Refusal {
        path: path.to_owned(),
        reason,
    };
    let bytes = File::open(path)
        .and_then(metainfo::read_bounded)
        .map_err(|error| {
            refusal(tr!(
                "it cannot be read: {error}",
                error = library::in_own_words(&error.to_string())
            ))
        })?;
    let metainfo =
        Metainfo::parse(&bytes).map_err(|error| refusal(library::in_own_words(&error.to_string())))?;
    Ok(Arc::new(metainfo))
}

/// What a text that was pasted names: links and paths, one a line. `None` if any line is neither.
pub(crate) fn from_text(text: &str) -> Option<Vec<gio::File>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let files: Option<Vec<_>> = lines
        .map(|line| match line {
            line if line.starts_with("magnet:") || line.starts_with("file:") || is_link(line) => {
                Some(gio::File::for_uri(line))
            }
            line if line.starts_with('/') => Some(gio::File::for_path(line)),
            _ => None,
        })
        .collect();
    files.filter(|files| !files.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_told_from_files() {
        let file = gio::File::for_path("/a/b.torrent");
        assert_eq!(classify(&file), Handed::File("/a/b.torrent".into()));
        let magnet = classify(&gio::File::for_uri("magnet:?xt=urn:btih:0123"));
        assert!(matches!(magnet, Handed::Refused(_)), "{magnet:?}");
        for uri in ["https://example.org/a%20b.torrent?k=v", "http://[::1]:80/a"] {
            assert_eq!(classify(&gio::File::for_uri(uri)), Handed::Link(uri.to_owned()));
        }
    }

    #[test]
    fn what_is_no_torrent_may_be_shared() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("folder.torrent")).unwrap();
        for (name, bytes, expected) in [
            ("film.mkv", &b"\x1aE\xdf\xa3"[..], true),
            ("empty", b"", true),
            ("a.torrent", b"not even one", false),
            ("B.TORRENT", b"", false),
            ("saved by a browser", b"d8:announce", false),
            ("dictionary.txt", b"dear reader", true),
        ] {
            std::fs::write(path(name), bytes).unwrap();
            assert_eq!(is_content(&path(name)), expected, "{name}");
        }
        assert!(is_content(&path("folder.torrent")));
        assert!(!is_content(&path("missing")));
    }

    #[test]
    fn pasted_text_is_links_or_nothing() {
        let count = |text| from_text(text).map(|files| files.len());
        assert_eq!(count("magnet:?xt=urn:btih:0123\n /x/y.torrent \n"), Some(2));
        assert_eq!(count("https://example.org/a.torrent"), Some(1));
        assert_eq!(count("https://example.org/a b"), None);
        assert_eq!(count("hello"), None);
        assert_eq!(count("magnet:?xt=1\nhello"), None);
        assert_eq!(count(" \n"), None);
    }

    #[test]
    fn a_file_that_is_no_torrent_is_refused_with_its_path() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"not bencode").unwrap();
        let refusal = read_one(file.path()).unwrap_err();
        assert_eq!(refusal.path, file.path());
        assert!(!refusal.reason.is_empty());
        assert!(
            read_one(Path::new("/nonexistent"))
                .unwrap_err()
                .reason
                .contains("cannot be read")
        );
    }
}
