//! Reading the `.torrent` that a command was given.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use dtorrent::metainfo::{self, Metainfo};

/// Reads and checks a `.torrent`.
pub(crate) fn read(path: &Path) -> Result<Metainfo> {
    if path.to_str().is_some_and(is_magnet) {
        bail!("magnet links cannot be opened yet; fetch the .torrent file and give that instead");
    }
    let bytes = File::open(path)
        .and_then(metainfo::read_bounded)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Metainfo::parse(&bytes).with_context(|| format!("cannot open {}", path.display()))
}

fn is_magnet(text: &str) -> bool {
    text.get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:"))
}
