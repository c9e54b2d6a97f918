//! Reading the `.torrent` that a command was given.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use dtorrent::metainfo::{self, Metainfo};

use crate::output::printable;

/// Reads and checks a `.torrent`.
pub(crate) fn read(path: &Path) -> Result<Metainfo> {
    if path.to_str().is_some_and(is_magnet) {
        bail!("magnet links cannot be opened yet; fetch the .torrent file and give that instead");
    }
    if path.to_str().is_some_and(is_web_address) {
        bail!(
            "{} is an address on the web; download the .torrent file first and give that instead",
            printable(&path.to_string_lossy())
        );
    }
    if path.is_dir() {
        let folder = path.display();
        bail!("{folder} is a folder, not a .torrent; `dtorrent-cli create {folder}` makes one of it");
    }
    let bytes = File::open(path)
        .and_then(metainfo::read_bounded)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Metainfo::parse(&bytes).with_context(|| format!("cannot open {}", path.display()))
}

fn is_web_address(text: &str) -> bool {
    let scheme = text
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https" | "ftp"))
}

fn is_magnet(text: &str) -> bool {
    text.get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:"))
}
