//! From a file or folder to a `.torrent`. Layer 3, BEP 3 §metainfo files.
//!
//! What goes in, so that the same data always makes the same info-hash:
//!
//! - every file below the folder, hidden and empty ones too, each folder's entries in the order of their
//!   bytes (the order of BEP 52, so a hybrid can be made of it later); empty folders cannot be expressed;
//! - links are followed, to files and to folders, as other programs do: the torrent carries what they
//!   lead to. One that leads nowhere, or into a folder that it lies in, is refused, and so is one that leaves the
//!   folder which the data lies in: the torrent could not be served from there, where nothing is read outside;
//! - devices, sockets and pipes are refused, as are names that are not UTF-8: a torrent cannot name them;
//! - data that changes while it is hashed is noticed and refused.

mod save;
mod scan;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

pub(crate) use save::rename_to_new;
pub use save::{Existing, save};

use self::scan::{Scan, ScannedFile};
use crate::geometry::{Geometry, PieceIndex};
use crate::hashing;
use crate::metainfo::{Builder, Content, MAX_FILES, MAX_PIECE_LENGTH, Metainfo, MetainfoError};
use crate::storage::files::read_ahead;
use crate::tracker::url::{TrackerUrl, UrlError};

/// Smallest piece that we make: a block, and the least that some clients accept.
pub const MIN_PIECE_LENGTH: u32 = 16 * 1024;

/// Largest piece that is chosen unasked: a damaged piece is fetched again whole.
const MAX_CHOSEN_LENGTH: u32 = 16 * 1024 * 1024;

/// The chosen piece length gives at most this many pieces, and more than half of it.
const CHOSEN_PIECES: u64 = 2000;

/// What to make a torrent of, and what to write into it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateOptions {
    /// The file or folder.
    pub path: PathBuf,
    /// Bytes of a piece: a power of two, [`MIN_PIECE_LENGTH`]`..=`[`MAX_PIECE_LENGTH`]. `None`: see
    /// [`choose_piece_length`].
    pub piece_length: Option<u32>,
    /// Tracker URLs by tier.
    pub trackers: Vec<Vec<String>>,
    /// HTTP sources.
    pub web_seeds: Vec<String>,
    /// Free text.
    pub comment: Option<String>,
    /// Only the torrent's own trackers may tell of peers.
    pub private: bool,
}

/// Why no torrent was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A device, socket or pipe.
    #[error("{} is neither a file nor a folder; move it out of the way and try again", .0.display())]
    Special(PathBuf),
    /// A name that a torrent cannot hold.
    #[error("the name of {} is not valid UTF-8; rename it and try again", .0.display())]
    Name(PathBuf),
    /// The path is a root, which has no name.
    #[error("{} has no name that a torrent could take; choose a folder inside of it", .0.display())]
    NoName(PathBuf),
    /// A link leads to a folder that it lies in.
    #[error("{} leads back into a folder that it lies in; remove the link and try again", .0.display())]
    Loop(PathBuf),
    /// A link that leads out of the folder which the data lies in, or gives its way from the root.
    #[error(
        "{} is an absolute link, or leads out of {}, so it could not be served from there; put what it leads to in \
         its place, or a relative link to something inside, and try again", link.display(), folder.display()
    )]
    Outside {
        /// The link.
        link: PathBuf,
        /// The download folder that the torrent would have.
        folder: PathBuf,
    },
    /// A folder without files.
    #[error("{} holds no files, so there is nothing to share", .0.display())]
    NoFiles(PathBuf),
    /// All files are empty. Other clients refuse such a torrent.
    #[error("{} holds no data: a torrent needs at least one byte", .0.display())]
    NoData(PathBuf),
    /// More than [`MAX_FILES`].
    #[error("{} holds more than {MAX_FILES} files; share its folders one by one", .0.display())]
    TooManyFiles(PathBuf),
    /// A file became longer, shorter or newer.
    #[error("{} changed while it was read; wait until nothing writes to it and try again", .0.display())]
    Changed(PathBuf),
    /// A piece length that other clients refuse.
    #[error(
        "a piece of {0} bytes is not possible: use a power of two, {MIN_PIECE_LENGTH} to {MAX_PIECE_LENGTH}"
    )]
    PieceLength(u32),
    /// Something that is no URL of a tracker.
    #[error("{0:?} is not a URL of a tracker, such as http://tracker.example/announce")]
    TrackerUrl(String),
    /// Something that is no URL of a web seed.
    #[error("{0:?} is not a URL of a web seed, such as https://example.org/files/")]
    WebSeedUrl(String),
    /// A URL of a tracker that no client could ask.
    #[error("{url:?}: {source}")]
    Tracker {
        /// The URL.
        url: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// Too large for a `.torrent`: too many pieces, or paths that are too long.
    #[error("no torrent can be made of this: {0}; larger pieces or fewer files help")]
    Metainfo(#[from] MetainfoError),
    /// The flag was set.
    #[error("stopped before the torrent was complete")]
    Cancelled,
    /// The output is there already and was not to be replaced.
    #[error("{} exists already and was left as it is; choose another name", .0.display())]
    Exists(PathBuf),
    /// The output cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The output.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Reads the file or folder and makes its torrent, with the present time as its date. Hashing uses all cores.
///
/// `progress(hashed, total)` in bytes is called after each piece, from several threads, and may come out of
/// order. When `cancelled` is set this returns soon, with [`CreateError::Cancelled`].
///
/// # Errors
/// See [`CreateError`]. What can be known before the data is read is refused before that.
pub fn create(
    options: &CreateOptions,
    progress: impl Fn(u64, u64) + Sync,
    cancelled: &AtomicBool,
) -> Result<Metainfo, CreateError> {
    check_urls(options)?;
    let scan = scan::scan(&options.path, cancelled)?;
    let piece_length = options
        .piece_length
        .unwrap_or_else(|| choose_piece_length(scan.total));
    check_piece_length(piece_length)?;
    let geometry = Geometry::new(scan.total, piece_length).ok_or(MetainfoError::TotalLength)?;
    let mut builder = builder(options, &scan, geometry);
    // With hashes of zeroes first: what would be refused in the end is refused before hours of hashing.
    builder.build()?;
    builder.piece_hashes = hash(&scan, geometry, &progress, cancelled)?;
    Ok(builder.build()?)
}

/// What a torrent of a file or folder would hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Survey {
    /// Number of files.
    pub files: usize,
    /// Bytes of all of them.
    pub total: u64,
}

/// Looks what is below a path, without reading it. When `cancelled` is set this returns soon.
///
/// # Errors
/// What cannot be part of a torrent, as [`create`] would refuse it.
pub fn survey(path: &Path, cancelled: &AtomicBool) -> Result<Survey, CreateError> {
    let scan = scan::scan(path, cancelled)?;
    Ok(Survey {
        files: scan.files.len(),
        total: scan.total,
    })
}

/// Whether pieces can have this many bytes.
///
/// # Errors
/// [`CreateError::PieceLength`].
pub const fn check_piece_length(length: u32) -> Result<(), CreateError> {
    if length.is_power_of_two() && MIN_PIECE_LENGTH <= length && length <= MAX_PIECE_LENGTH {
        Ok(())
    } else {
        Err(CreateError::PieceLength(length))
    }
}

/// Whether this may be the URL of a tracker, of those kinds too that only other clients ask (WebTorrent).
///
/// # Errors
/// [`CreateError::TrackerUrl`] and [`CreateError::Tracker`].
pub fn check_tracker_url(url: &str) -> Result<(), CreateError> {
    let refused = || Err(CreateError::TrackerUrl(url.to_owned()));
    if !is_url(url, &["http", "https", "udp", "ws", "wss"]) {
        return refused();
    }
    match TrackerUrl::parse(url) {
        // Of a kind that we cannot ask, but web browsers can.
        Ok(_) | Err(UrlError::Scheme) => Ok(()),
        Err(UrlError::Invalid) => refused(),
        Err(source @ UrlError::NoPort) => Err(CreateError::Tracker {
            url: url.to_owned(),
            source,
        }),
    }
}

/// Whether this may be the URL of a web seed.
///
/// # Errors
/// [`CreateError::WebSeedUrl`].
pub fn check_web_seed_url(url: &str) -> Result<(), CreateError> {
    match is_url(url, &["http", "https", "ftp"]) {
        true => Ok(()),
        false => Err(CreateError::WebSeedUrl(url.to_owned())),
    }
}

/// The power of two that cuts this many bytes into 1000 to 2000 pieces, within 16 KiB to 16 MiB: small enough
/// that peers soon have something to share, large enough that the `.torrent` stays small.
pub fn choose_piece_length(total: u64) -> u32 {
    let mut length = MIN_PIECE_LENGTH;
    while length < MAX_CHOSEN_LENGTH && total.div_ceil(u64::from(length)) > CHOSEN_PIECES {
        length *= 2;
    }
    length
}

fn builder(options: &CreateOptions, scan: &Scan, geometry: Geometry) -> Builder {
    let content = match &scan.files[..] {
        [file] if !scan.folder => Content::File(file.length),
        files => Content::Folder(
            files
                .iter()
                .map(|file| (file.path.clone(), file.length))
                .collect(),
        ),
    };
    let hashes = vec![[0; 20]; geometry.piece_count() as usize];
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Builder {
        tiers: options.trackers.clone(),
        web_seeds: options.web_seeds.clone(),
        comment: options.comment.clone(),
        private: options.private,
        creation_date: now.ok().and_then(|now| i64::try_from(now.as_secs()).ok()),
        ..Builder::new(scan.name.clone(), content, geometry.piece_length(), hashes)
    }
}

fn hash(
    scan: &Scan,
    geometry: Geometry,
    progress: &(impl Fn(u64, u64) + Sync),
    cancelled: &AtomicBool,
) -> Result<Vec<[u8; 20]>, CreateError> {
    // A piece is set once by whichever thread hashed it: the lock is held for twenty bytes at a time.
    let hashes = Mutex::new(vec![[0; 20]; geometry.piece_count() as usize]);
    let failure = OnceLock::new();
    let hashed = AtomicU64::new(0);
    let read = |piece: PieceIndex, begin: u32, buffer: &mut [u8]| {
        if failure.get().is_some() {
            // One failure is enough: the pieces that are left end at once.
            return Err(None);
        }
        let start = geometry.piece_offset(piece);
        if begin == 0 {
            // Several pieces are read in turn, in which the system sees no order.
            scan.read_ahead(start, u64::from(geometry.piece_size(piece)));
        }
        scan.read(start + u64::from(begin), buffer).map_err(Some)
    };
    let on_piece = |piece: PieceIndex, result| match result {
        Ok(digest) => {
            hashes.lock().unwrap_or_else(PoisonError::into_inner)[piece.get()] = digest;
            let size = u64::from(geometry.piece_size(piece));
            progress(
                hashed.fetch_add(size, Ordering::Relaxed) + size,
                geometry.total_length(),
            );
        }
        Err(Some(error)) => {
            // Later failures are most often the same one.
            let _ = failure.set(error);
        }
        Err(None) => {}
    };
    let complete = hashing::hash_pieces(geometry, hashing::all_cores(), read, on_piece, cancelled);
    if let Some(error) = failure.into_inner() {
        return Err(error);
    }
    if !complete {
        return Err(CreateError::Cancelled);
    }
    scan.files.iter().try_for_each(ScannedFile::check_unchanged)?;
    Ok(hashes.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl Scan {
    /// Fills the buffer with the bytes of the torrent from `start` on. Files are opened for each call: that
    /// costs nothing beside the hashing of what is read, and nothing is held open.
    fn read(&self, start: u64, buffer: &mut [u8]) -> Result<(), CreateError> {
        let mut rest = &mut *buffer;
        for (file, within, length) in self.spans(start, rest.len() as u64) {
            let (part, others) = rest.split_at_mut(length as usize);
            file.read(within, part)?;
            rest = others;
        }
        debug_assert_eq!(rest.len(), 0, "the files are as long as the torrent");
        Ok(())
    }

    /// Has the system begin to read so many bytes of the torrent from `start` on into its cache.
    fn read_ahead(&self, start: u64, length: u64) {
        for (file, within, length) in self.spans(start, length) {
            // Less than that is read with one call anyway. What cannot be opened is for the read to report.
            if length > u64::from(hashing::SLICE_LENGTH)
                && let Ok(file) = File::open(&file.source)
            {
                read_ahead(&file, within, length);
            }
        }
    }

    /// The files over which so many bytes from `start` on lie: from which byte of each on, and how many there.
    fn spans(&self, start: u64, length: u64) -> impl Iterator<Item = (&ScannedFile, u64, u64)> {
        // The last file that begins at or before `start`: empty ones before it hold nothing of this.
        let first = self
            .files
            .partition_point(|file| file.start <= start)
            .saturating_sub(1);
        let end = start + length;
        self.files[first..]
            .iter()
            .take_while(move |file| file.start < end)
            .filter_map(move |file| {
                let from = start.max(file.start);
                let to = end.min(file.start + file.length);
                (from < to).then(|| (file, from - file.start, to - from))
            })
    }
}

impl ScannedFile {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), CreateError> {
        let read = File::open(&self.source).and_then(|file| file.read_exact_at(buffer, offset));
        read.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => CreateError::Changed(self.source.clone()),
            _ => CreateError::Read {
                path: self.source.clone(),
                source,
            },
        })
    }

    /// Whether the file is as it was when it was scanned: written to in between, it may fit none of its hashes.
    fn check_unchanged(&self) -> Result<(), CreateError> {
        let now = self.source.metadata();
        let now = now.map_err(|source| CreateError::Read {
            path: self.source.clone(),
            source,
        })?;
        if now.len() == self.length && now.modified().ok() == self.modified {
            Ok(())
        } else {
            Err(CreateError::Changed(self.source.clone()))
        }
    }
}

fn check_urls(options: &CreateOptions) -> Result<(), CreateError> {
    (options.trackers.iter().flatten()).try_for_each(|url| check_tracker_url(url))?;
    options
        .web_seeds
        .iter()
        .try_for_each(|url| check_web_seed_url(url))
}

fn is_url(url: &str, schemes: &[&str]) -> bool {
    let is_clean = !url.contains(|c: char| c.is_whitespace() || c.is_control());
    let is_known = url.split_once("://").is_some_and(|(scheme, rest)| {
        !rest.is_empty() && schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme))
    });
    is_clean && is_known
}

#[cfg(test)]
mod tests;
