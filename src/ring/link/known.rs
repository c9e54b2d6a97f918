//! Which key each node was first seen with. Layer 3.
//!
//! The ring key lets a node in; this keeps one that is in from taking the place of another. A node's first
//! handshake with us binds its id to its key. From then on the id with another key is refused. The file has one
//! line a node, the one longest silent first: id (40 hexadecimal digits), public key (64), address.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::keys::{KeyError, PublicKey};
use super::{file, hex};
use crate::id::RingId;
use crate::sentence::phrase;

/// Most nodes that are remembered, some 600 KiB; beyond it the one longest silent is forgotten.
const MAX_KNOWN: usize = 4_096;

/// An id that was used with two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OtherKey;

#[derive(Debug, Clone, Copy)]
struct Known {
    key: PublicKey,
    addr: SocketAddr,
    /// Greater for those seen later.
    seen: u64,
}

#[derive(Debug, Default)]
struct Table {
    nodes: HashMap<RingId, Known>,
    clock: u64,
}

/// The nodes that once completed a handshake with us.
#[derive(Debug)]
pub struct KnownNodes {
    /// Guards the table and the writing of the file. Nothing else is locked under it.
    table: Mutex<Table>,
    path: Option<PathBuf>,
    /// Held as long as this lives; the kernel gives it up with the process, however that ends.
    _lock: Option<File>,
}

impl KnownNodes {
    /// Remembers as long as the program runs.
    pub fn in_memory() -> Self {
        Self {
            table: Mutex::default(),
            path: None,
            _lock: None,
        }
    }

    /// Reads the file, which need not exist, and writes what is new to it. Only one program at a time may: it is the
    /// node of this folder.
    ///
    /// # Errors
    /// Another program has it, or it exists and cannot be read. Lines that make no sense are left out with a warning.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let lock = lock(path)?;
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(KeyError::io(phrase!("read the known nodes in"), path)(error)),
        };
        let mut table = Table::default();
        for line in file::lines(&text) {
            match parse(line) {
                Some((id, key, addr)) => {
                    table.insert(id, key, addr);
                }
                None => log::warn!("{} has a line that names no node: {line:?}", path.display()),
            }
        }
        Ok(Self {
            table: Mutex::new(table),
            path: Some(path.to_owned()),
            _lock: Some(lock),
        })
    }

    /// How many nodes are known.
    pub fn len(&self) -> usize {
        self.table().nodes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the file is, for messages.
    pub(super) fn place(&self) -> String {
        self.path
            .as_ref()
            .map_or_else(|| "memory".to_owned(), |path| path.display().to_string())
    }

    /// Compares with what is known, or remembers a node that is new. To be asked about proven keys only.
    pub(super) fn check(&self, id: RingId, key: PublicKey, addr: SocketAddr) -> Result<(), OtherKey> {
        let mut table = self.table();
        if table.nodes.get(&id).is_some_and(|known| known.key != key) {
            return Err(OtherKey);
        }
        let is_news = table.insert(id, key, addr);
        if let (Some(path), true) = (&self.path, is_news)
            && let Err(error) = file::replace(path, &table.to_text())
        {
            // It is remembered until the program ends; refusing the node would help nobody.
            log::warn!("could not write the known nodes to {}: {error}", path.display());
        }
        Ok(())
    }

    /// The same for a node that will not come back under this id: it is compared, and not remembered.
    pub(super) fn check_visitor(&self, id: RingId, key: PublicKey) -> Result<(), OtherKey> {
        let known = self.table().nodes.get(&id).map(|known| known.key);
        match known {
            Some(known) if known != key => Err(OtherKey),
            _ => Ok(()),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Says whether the file is to be written again.
    fn insert(&mut self, id: RingId, key: PublicKey, addr: SocketAddr) -> bool {
        self.clock += 1;
        let seen = self.clock;
        let before = self.nodes.insert(id, Known { key, addr, seen });
        if self.nodes.len() > MAX_KNOWN {
            let silent = self.nodes.iter().min_by_key(|(_, known)| known.seen);
            if let Some(id) = silent.map(|(id, _)| *id) {
                self.nodes.remove(&id);
            }
        }
        before.is_none_or(|known| known.addr != addr)
    }

    fn to_text(&self) -> String {
        let mut nodes: Vec<_> = self.nodes.iter().collect();
        nodes.sort_unstable_by_key(|(_, known)| known.seen);
        let mut text = String::from(
            "# The nodes that this one has met: id, public key, address. A node that comes back with its id and\n\
             # another key is refused; if it was set up anew, remove its line while this node is stopped.\n",
        );
        for (id, known) in nodes {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{id} {} {}", known.key, known.addr);
        }
        text
    }
}

/// Keeps other programs out. The file itself is replaced when it changes, so the lock is one beside it.
fn lock(path: &Path) -> Result<File, KeyError> {
    let beside = path.with_extension("lock");
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&beside);
    let file = file.map_err(KeyError::io(phrase!("open"), &beside))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(KeyError::InUse {
            folder: path.parent().unwrap_or(path).to_owned(),
        }),
        Err(error) => Err(KeyError::io(phrase!("lock"), &beside)(error.into())),
    }
}

fn parse(line: &str) -> Option<(RingId, PublicKey, SocketAddr)> {
    let mut words = line.split_whitespace();
    let id = RingId::new(hex::bytes(words.next()?)?);
    let key = PublicKey::parse(words.next()?)?;
    let addr = words.next()?.parse().ok()?;
    words.next().is_none().then_some((id, key, addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> RingId {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        RingId::new(bytes)
    }

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    const ONE: PublicKey = PublicKey::new([1; 32]);
    const TWO: PublicKey = PublicKey::new([2; 32]);

    #[test]
    fn a_second_key_is_refused_after_a_restart_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("known");
        let known = KnownNodes::open(&path).expect("no file yet");
        assert_eq!(known.check(id(1), ONE, addr(1)), Ok(()));
        assert_eq!(known.check(id(1), TWO, addr(1)), Err(OtherKey));
        assert_eq!(known.check_visitor(id(1), TWO), Err(OtherKey));
        assert_eq!(known.check_visitor(id(3), TWO), Ok(()), "it is not remembered");
        // It may move, and one key may stand for several ids.
        assert_eq!(known.check(id(1), ONE, addr(2)), Ok(()));
        assert_eq!(known.check(id(2), ONE, addr(2)), Ok(()));
        drop(known);
        let known = KnownNodes::open(&path).expect("a file");
        assert_eq!(known.len(), 2);
        assert_eq!(known.check(id(1), TWO, addr(1)), Err(OtherKey));
        assert_eq!(known.check(id(1), ONE, addr(2)), Ok(()));
    }

    #[test]
    fn a_folder_serves_one_node_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("known");
        let first = KnownNodes::open(&path).expect("no file yet");
        match KnownNodes::open(&path) {
            Err(KeyError::InUse { folder: named }) => assert_eq!(named, folder.path()),
            other => panic!("{other:?}"),
        }
        drop(first);
        KnownNodes::open(&path).expect("nobody has it");
    }

    #[test]
    fn lines_that_make_no_sense_cost_only_themselves() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("known");
        let good = format!("{} {ONE} {}", id(1), addr(1));
        fs::write(&path, format!("# a comment\nnonsense\n{good} more\n{good}\n")).expect("a file");
        let known = KnownNodes::open(&path).expect("a file");
        assert_eq!(known.len(), 1);
        assert_eq!(known.check(id(1), TWO, addr(1)), Err(OtherKey));
    }

    #[test]
    fn the_one_longest_silent_is_forgotten_first() {
        let known = KnownNodes::in_memory();
        for number in 0..MAX_KNOWN as u32 {
            assert_eq!(known.check(id(number), ONE, addr(1)), Ok(()));
        }
        // Node 0 speaks again, so node 1 is the one to go.
        assert_eq!(known.check(id(0), ONE, addr(1)), Ok(()));
        assert_eq!(known.check(id(u32::MAX), ONE, addr(1)), Ok(()));
        assert_eq!(known.len(), MAX_KNOWN);
        assert_eq!(known.check(id(0), TWO, addr(1)), Err(OtherKey));
        assert_eq!(known.check(id(1), TWO, addr(1)), Ok(()));
    }
}
