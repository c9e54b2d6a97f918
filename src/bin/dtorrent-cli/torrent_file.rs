//! Reading the `.torrent` that a command was given.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use dtorrent::metainfo::{MAX_FILE_BYTES, Metainfo};

/// Reads and checks a `.torrent`.
pub(crate) fn read(path: &Path) -> Result<Metainfo> {
    if path.to_str().is_some_and(is_magnet) {
        bail!("magnet links cannot be opened yet; fetch the .torrent file and give that instead");
    }
    let bytes = read_bounded(path).with_context(|| format!("cannot read {}", path.display()))?;
    Metainfo::parse(&bytes).with_context(|| format!("cannot open {}", path.display()))
}

fn is_magnet(text: &str) -> bool {
    text.get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:"))
}

/// One byte more than a torrent may have is enough for the parser to refuse it.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
