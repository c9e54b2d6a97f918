//! Reading what a person opens: `.torrent` files and links. Layer 4; files are read off the GTK thread.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dtorrent::metainfo::{self, Metainfo};
use gtk::gio;
use gtk::gio::prelude::*;

/// What a file or link that was handed to the window turns out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// A file to read.
    File(PathBuf),
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
        let reason = "Magnet links are not supported yet. Look for the torrent file on the same page.";
        return Handed::Refused(reason.to_owned());
    }
    match file.path() {
        Some(path) => Handed::File(path),
        None => Handed::Refused(format!(
            "“{}” is not on this computer. Download the torrent file first, then open it.",
            file.uri()
        )),
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
            reason: "DTorrent made a mistake while reading it".to_owned(),
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
        .map_err(|error| refusal(format!("it cannot be read: {error}")))?;
    let metainfo = Metainfo::parse(&bytes).map_err(|error| refusal(error.to_string()))?;
    Ok(Arc::new(metainfo))
}

/// What a text that was pasted names: links and paths, one a line. `None` if any line is neither.
pub(crate) fn from_text(text: &str) -> Option<Vec<gio::File>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let files: Option<Vec<_>> = lines
        .map(|line| match line {
            line if line.starts_with("magnet:") || line.starts_with("file:") => {
                Some(gio::File::for_uri(line))
            }
            line if line.starts_with('/') && line.ends_with(".torrent") => Some(gio::File::for_path(line)),
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
        for uri in ["magnet:?xt=urn:btih:0123", "https://example.org/a.torrent"] {
            let handed = classify(&gio::File::for_uri(uri));
            assert!(matches!(handed, Handed::Refused(_)), "{uri}: {handed:?}");
        }
    }

    #[test]
    fn pasted_text_is_links_or_nothing() {
        let count = |text| from_text(text).map(|files| files.len());
        assert_eq!(count("magnet:?xt=urn:btih:0123\n /x/y.torrent \n"), Some(2));
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
