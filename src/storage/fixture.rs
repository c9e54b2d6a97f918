//! Torrents and disks for the tests of the storage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Storage;
use super::files::FileCache;
use super::layout::Layout;
use crate::geometry::{Geometry, PieceIndex};
use crate::id::{InfoHash, sha1_of};
use crate::memory::{BlockBuf, BlockPool};
use crate::metainfo::{FileEntry, Info, MetaVersion};

/// A torrent of these files; a name that begins with `.pad/` is padding.
pub(crate) fn info(files: &[(&str, u64)], piece_length: u32) -> Info {
    let total = files.iter().map(|(_, length)| length).sum();
    let geometry = Geometry::new(total, piece_length).unwrap();
    let files: Vec<_> = files
        .iter()
        .map(|(path, length)| FileEntry {
            path: path.split('/').map(str::to_owned).collect(),
            length: *length,
            padding: path.starts_with(".pad/"),
        })
        .collect();
    let content = content(&files);
    Info {
        info_hash: InfoHash::new([7; 20]),
        version: MetaVersion::V1,
        name: "name".into(),
        geometry,
        piece_hashes: content.chunks(piece_length as usize).map(sha1_of).collect(),
        multi_file: files.len() > 1,
        files,
        private: false,
        raw: Arc::from(&[][..]),
    }
}

/// The bytes of the torrent: zeroes in padding, elsewhere something that no other place has.
fn content(files: &[FileEntry]) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(1);
    let byte = |padding: bool, rng: &mut fastrand::Rng| if padding { 0 } else { rng.u8(1..) };
    let each = files
        .iter()
        .flat_map(|file| std::iter::repeat_n(file.padding, file.length as usize));
    each.map(|padding| byte(padding, &mut rng)).collect()
}

/// A torrent with its true content.
pub(crate) struct Torrent {
    pub(crate) info: Info,
    pub(crate) content: Vec<u8>,
}

impl Torrent {
    pub(crate) fn new(files: &[(&str, u64)], piece_length: u32) -> Self {
        let info = info(files, piece_length);
        let content = content(&info.files);
        Self { info, content }
    }

    pub(crate) fn storage(&self, root: &Path) -> Arc<Storage> {
        self.storage_with(root, Arc::new(FileCache::new(4)), false)
    }

    pub(crate) fn storage_with(&self, root: &Path, cache: Arc<FileCache>, preallocate: bool) -> Arc<Storage> {
        Arc::new(Storage::open(Layout::new(&self.info), root, cache, preallocate))
    }

    pub(crate) fn piece(&self, piece: PieceIndex) -> &[u8] {
        let bytes = Layout::new(&self.info).piece_bytes(piece);
        &self.content[bytes.start as usize..bytes.end as usize]
    }

    pub(crate) fn hash(&self, piece: PieceIndex) -> [u8; 20] {
        self.info.piece_hashes[piece.get()]
    }

    /// The blocks of a piece as peers would have sent them.
    pub(crate) fn blocks(&self, piece: PieceIndex) -> Vec<BlockBuf> {
        let pool = BlockPool::new(4);
        let fill = |bytes: &[u8]| {
            let mut buffer = pool.buffer(bytes.len() as u32);
            buffer.copy_from_slice(bytes);
            buffer
        };
        self.piece(piece)
            .chunks(crate::geometry::BLOCK_LENGTH as usize)
            .map(fill)
            .collect()
    }

    pub(crate) fn write(&self, storage: &Storage, piece: PieceIndex) -> Result<(), super::StorageError> {
        storage.write(piece, 0, &[std::io::IoSlice::new(self.piece(piece))])
    }

    pub(crate) fn write_all(&self, storage: &Storage) {
        for piece in self.info.geometry.pieces() {
            self.write(storage, piece).unwrap();
        }
    }

    pub(crate) fn assert_readable(&self, storage: &Storage) {
        for piece in self.info.geometry.pieces() {
            let mut found = vec![1; self.piece(piece).len()];
            storage.read(piece, 0, &mut found).unwrap();
            assert_eq!(found, self.piece(piece), "piece {piece}");
        }
    }
}

/// A file system of its own in memory, gone with the value. Needs root.
pub(crate) struct Tmpfs {
    folder: tempfile::TempDir,
}

impl Tmpfs {
    /// `None`, with a word on stderr, where the tests do not run as root; under `CI=true` that is a failure.
    pub(crate) fn new(kib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(folder.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self { folder });
        }
        let must_run =
            rustix::process::geteuid().is_root() || std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!must_run, "a small file system could not be mounted");
        eprintln!("skipped: mounting a small file system needs root");
        None
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "the test's file system stays mounted"
        );
    }
}
