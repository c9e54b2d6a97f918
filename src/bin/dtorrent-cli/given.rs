//! The torrents that `download` and `seed` were given. One that cannot be used is told, and the others go on.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use dtorrent::id::InfoHash;
use dtorrent::metainfo::Metainfo;
use dtorrent::sentence::with_causes;
use dtorrent::size::Count;

use crate::output::{complain, printable};
use crate::torrent_file;

/// Those that can be used so far.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) torrents: BTreeMap<InfoHash, Arc<Metainfo>>,
    /// How many were given.
    count: usize,
    /// One of them cannot be used.
    pub(crate) refused: bool,
}

impl Given {
    /// Reads the `.torrent` files.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self> {
        let mut given = Self {
            torrents: BTreeMap::new(),
            count: files.len(),
            refused: false,
        };
        for file in files {
            match torrent_file::read(file) {
                Ok(metainfo) => drop(given.torrents.insert(metainfo.info.info_hash, Arc::new(metainfo))),
                Err(error) => given.refuse(error, complain)?,
            }
        }
        given.check_any_left()?;
        Ok(given)
    }

    /// Leaves those out whose files are not in the folder at their full length.
    pub(crate) fn keep_those_in(&mut self, folder: &Path) -> Result<()> {
        for (id, metainfo) in std::mem::take(&mut self.torrents) {
            match check_presence(&metainfo, folder) {
                Ok(()) => drop(self.torrents.insert(id, metainfo)),
                Err(error) => self.refuse(error, complain)?,
            }
        }
        self.check_any_left()
    }

    /// One cannot be used. If it is the only one, that is the end; else it is told.
    pub(crate) fn refuse(&mut self, error: anyhow::Error, tell: impl FnOnce(String)) -> Result<()> {
        if self.count == 1 {
            return Err(error);
        }
        self.refused = true;
        tell(with_causes(error.as_ref()));
        Ok(())
    }

    fn check_any_left(&self) -> Result<()> {
        match self.torrents.is_empty() {
            true => bail!("none of the torrents can be used"),
            false => Ok(()),
        }
    }
}

/// Looks whether the files are there at their full length, before an engine would create them in a folder
/// that was only mistyped.
fn check_presence(metainfo: &Metainfo, dir: &Path) -> Result<()> {
    for file in metainfo.info.files.iter().filter(|file| !file.padding) {
        let path = file
            .path
            .iter()
            .fold(dir.to_owned(), |path, component| path.join(component));
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
                "cannot seed: {} is not there; --dir names the folder in which {} lies",
                path.display(),
                printable(&metainfo.info.name)
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot seed: cannot look at {}", path.display()));
            }
        };
        if found.len() < file.length {
            bail!(
                "cannot seed: {} has {} of {}; fetch the rest with `dtorrent-cli download`",
                path.display(),
                found.len(),
                Count(file.length, "byte")
            );
        }
    }
    Ok(())
}
