//! What is transferred: bytes that need no place of their own, the torrents of them, and whether a copy is right.
//!
//! All content is made of windows into one pool of random bytes, a different one for each block. So a synthetic seed of
//! any size sends out of a few megabytes, no two blocks are the same, and nothing has to be read from a disk.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use dtorrent::metainfo::{Builder, Content as Shape, Metainfo};
use sha1::{Digest, Sha1};

/// Bytes of a block, as all clients ask for them.
pub(crate) const BLOCK: u64 = 16 * 1024;
/// More than the caches of most processors hold, so that a seed reads memory as one with real data does.
const POOL: u64 = 64 << 20;
/// Folders of a torrent with many files.
const FOLDERS: u32 = 50;
/// Windows begin at multiples of this.
const ALIGNMENT: u64 = 64;
/// From one window to the next, in multiples of the alignment; it has no divisor in common with their number.
const STEP: u64 = 257;

/// So many bytes, the same at each run.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pool: Arc<[u8]>,
    /// Number of the first block, so that torrents differ.
    first: u64,
    /// Bytes.
    pub(crate) length: u64,
}

impl Content {
    /// Nothing yet: the pool, out of which [`part`](Self::part) makes contents.
    pub(crate) fn pool() -> Self {
        let mut pool = vec![0; POOL as usize];
        fastrand::Rng::with_seed(4).fill(&mut pool);
        Self {
            pool: pool.into(),
            first: 0,
            length: 0,
        }
    }

    /// Content of this length, from the block of this number on.
    pub(crate) fn part(&self, first: u64, length: u64) -> Self {
        Self {
            pool: Arc::clone(&self.pool),
            first,
            length,
        }
    }

    /// The bytes from `offset` on, at most `length` and no further than the end of the block that they begin in.
    pub(crate) fn slice(&self, offset: u64, length: u64) -> &[u8] {
        let within = offset % BLOCK;
        let windows = (POOL - BLOCK) / ALIGNMENT;
        let start = (self.first + offset / BLOCK) * STEP % windows * ALIGNMENT + within;
        let length = length.min(BLOCK - within).min(self.length - offset);
        &self.pool[start as usize..(start + length) as usize]
    }

    /// The bytes of a range, piece by piece.
    pub(crate) fn slices(&self, offset: u64, length: u64) -> impl Iterator<Item = &[u8]> {
        let (mut at, end) = (offset, (offset + length).min(self.length));
        std::iter::from_fn(move || {
            let slice = (at < end).then(|| self.slice(at, end - at))?;
            at += slice.len() as u64;
            Some(slice)
        })
    }

    fn sha1(&self, offset: u64, length: u64) -> [u8; 20] {
        let mut hash = Sha1::new();
        self.slices(offset, length).for_each(|slice| hash.update(slice));
        hash.finalize().into()
    }
}

/// A torrent, and its file.
#[derive(Debug)]
pub(crate) struct Torrent {
    pub(crate) content: Content,
    pub(crate) metainfo: Metainfo,
    pub(crate) path: PathBuf,
}

impl Torrent {
    /// One file.
    pub(crate) fn single(
        name: &str,
        content: Content,
        piece: u32,
        tracker: &str,
        folder: &Path,
    ) -> Result<Self> {
        let shape = Shape::File(content.length);
        Self::make(name, shape, content, piece, tracker, folder)
    }

    /// A folder of so many files, cut at random: most are short, a few are long.
    pub(crate) fn many(
        name: &str,
        files: u64,
        content: Content,
        piece: u32,
        tracker: &str,
        folder: &Path,
    ) -> Result<Self> {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut cuts: Vec<u64> = (1..files).map(|_| rng.u64(..=content.length)).collect();
        cuts.sort_unstable();
        cuts.push(content.length);
        let mut start = 0;
        let shape = (0..).zip(cuts).map(|(file, end)| {
            let path = vec![format!("{:02}", file % FOLDERS), format!("file-{file:05}")];
            let length = end - start;
            start = end;
            (path, length)
        });
        let shape = Shape::Folder(shape.collect());
        Self::make(name, shape, content, piece, tracker, folder)
    }

    fn make(
        name: &str,
        shape: Shape,
        content: Content,
        piece: u32,
        tracker: &str,
        folder: &Path,
    ) -> Result<Self> {
        let length = u64::from(piece);
        let hashes = (0..content.length.div_ceil(length))
            .map(|number| content.sha1(number * length, length))
            .collect();
        let mut builder = Builder::new(name.to_owned(), shape, piece, hashes);
        builder.tiers = vec![vec![tracker.to_owned()]];
        let metainfo = builder.build()?;
        let path = folder.join(format!("{name}.torrent"));
        fs::write(&path, &metainfo.raw)?;
        Ok(Self {
            content,
            metainfo,
            path,
        })
    }

    pub(crate) fn piece_length(&self) -> u64 {
        u64::from(self.metainfo.info.geometry.piece_length())
    }

    pub(crate) fn pieces(&self) -> u32 {
        self.metainfo.info.piece_hashes.len() as u32
    }

    /// Bytes of the piece of this number.
    pub(crate) fn length_of(&self, piece: u32) -> u64 {
        let start = u64::from(piece) * self.piece_length();
        self.piece_length().min(self.content.length - start)
    }

    fn files(&self, dir: &Path) -> impl Iterator<Item = (PathBuf, u64)> {
        let files = self.metainfo.info.files.iter();
        files.map(move |file| {
            let path = file
                .path
                .iter()
                .fold(dir.to_owned(), |path, part| path.join(part));
            (path, file.length)
        })
    }

    /// Writes the whole data below `dir`.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let mut offset = 0;
        for (path, length) in self.files(dir) {
            fs::create_dir_all(path.parent().unwrap_or(dir))?;
            let mut file = File::create(&path)?;
            for slice in self.content.slices(offset, length) {
                file.write_all(slice)?;
            }
            offset += length;
        }
        Ok(())
    }

    /// Fails unless all the data is below `dir`, by the SHA-1 of each piece.
    pub(crate) fn verify(&self, dir: &Path) -> Result<()> {
        let mut files = self.files(dir);
        let mut open: Option<File> = None;
        let mut piece = vec![0; self.piece_length() as usize];
        for (number, expected) in self.metainfo.info.piece_hashes.iter().enumerate() {
            let wanted = self.length_of(number as u32) as usize;
            let mut filled = 0;
            while filled < wanted {
                let count = match &mut open {
                    Some(file) => file.read(&mut piece[filled..wanted])?,
                    None => 0,
                };
                filled += count;
                if count == 0 {
                    let (path, length) = files.next().context("the files are too short")?;
                    let file = File::open(&path).with_context(|| path.display().to_string())?;
                    let found = file.metadata()?.len();
                    ensure!(found == length, "{} has {found} bytes", path.display());
                    open = Some(file);
                }
            }
            if Sha1::digest(&piece[..wanted])[..] != expected[..] {
                bail!("piece {number} of the download is wrong");
            }
        }
        Ok(())
    }

    /// Fails unless a `.torrent` that another program has made has the same pieces.
    pub(crate) fn compare(&self, made: &Path) -> Result<()> {
        let bytes = match fs::read(made) {
            Err(error) if error.kind() == ErrorKind::NotFound => bail!("no torrent was made"),
            bytes => bytes?,
        };
        let made = Metainfo::parse(&bytes)?;
        let same = made.info.piece_hashes == self.metainfo.info.piece_hashes;
        ensure!(same, "the hashes of the pieces are wrong");
        Ok(())
    }
}
