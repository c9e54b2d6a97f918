//! Where a torrent comes from: a libtorrent seed with fresh data, and a tracker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use dtorrent::create::{self, CreateOptions, Existing};
use dtorrent::metainfo::Metainfo;

use crate::desktop::{Desktop, Owned};
use crate::tracker::Tracker;

/// Bytes of a piece.
pub const PIECE_LENGTH: u32 = 256 * 1024;

/// A torrent with a tracker, and a seed that the tracker does not know of yet.
#[derive(Debug)]
pub struct Source {
    /// The `.torrent`.
    pub torrent: PathBuf,
    pub metainfo: Metainfo,
    pub tracker: Tracker,
    /// Port of the seed on loopback.
    pub port: u16,
    _seed: Owned,
}

impl Source {
    /// Shares the file or folder of this name, which lies below `seed` in the desktop's home.
    pub fn new(desktop: &Desktop, name: &str) -> Self {
        let folder = desktop.path("seed");
        let tracker = Tracker::start();
        let options = CreateOptions {
            path: folder.join(name),
            trackers: vec![vec![tracker.url()]],
            piece_length: Some(PIECE_LENGTH),
            ..CreateOptions::default()
        };
        let (metainfo, torrent) = make(desktop, name, &options);
        let mut seed = libtorrent();
        seed.arg(&torrent).arg(folder).stdin(Stdio::piped());
        let (seed, port) = Owned::start(&mut seed);
        Self {
            torrent,
            metainfo,
            tracker,
            port: port.parse().expect("the seed tells its port"),
            _seed: seed,
        }
    }

    /// Shares a file that is small enough not to matter, `lecture.ogg`.
    pub fn lecture(desktop: &Desktop) -> Self {
        fill(&desktop.path("seed/lecture.ogg"), 100_000);
        Self::new(desktop, "lecture.ogg")
    }

    /// A peer that has one file of the shared folder, and wants no other, and its port.
    pub fn peer_with(&self, desktop: &Desktop, file: &str) -> (Owned, u16) {
        let folder = desktop.path(&format!("peer-with-{}", file.replace('/', "-")));
        let copy = folder.join(file);
        fs::create_dir_all(copy.parent().expect("it is in a folder")).expect("the home can be written");
        fs::copy(desktop.path("seed").join(file), &copy).expect("the file is there");
        let mut peer = libtorrent();
        peer.arg(&self.torrent)
            .arg(&folder)
            .arg("part")
            .stdin(Stdio::piped());
        let (peer, port) = Owned::start(&mut peer);
        (peer, port.parse().expect("the peer tells its port"))
    }
}

/// A torrent of 98 KiB that nobody has.
pub fn torrent(desktop: &Desktop, name: &str) -> PathBuf {
    let path = desktop.path(name);
    fill(&path, 100_000 + name.len());
    let options = CreateOptions {
        path,
        ..CreateOptions::default()
    };
    make(desktop, name, &options).1
}

/// Writes the `.torrent` of this name.
fn make(desktop: &Desktop, name: &str, options: &CreateOptions) -> (Metainfo, PathBuf) {
    let metainfo = create::create(options, |_, _| (), &AtomicBool::new(false)).unwrap();
    let torrent = desktop.path(&format!("{name}.torrent"));
    create::save(&metainfo, &torrent, Existing::Keep).unwrap();
    (metainfo, torrent)
}

/// The peer of `peer.py`, whose arguments follow.
pub fn libtorrent() -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/window/peer.py");
    // The binding belongs to Debian's own python.
    let mut peer = Command::new("/usr/bin/python3");
    peer.arg(script);
    peer
}

/// Writes a file of random bytes, and the folders that it lies in.
pub fn fill(path: &Path, length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    fastrand::Rng::with_seed(length as u64).fill(&mut data);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, &data).unwrap();
    data
}
