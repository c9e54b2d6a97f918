//! Who this node is, over restarts. Layer 3.
//!
//! ```text
//! dtracker-node-1
//! id           40 hexadecimal digits
//! key          64 hexadecimal digits: the secret half
//! incarnation  milliseconds since 1970 at which the latest life began
//! ```
//!
//! All of it is in one file, since it is of use only together: others refuse this id with another key, and an
//! incarnation below the one that they have seen.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::keys::{KeyError, NodeKey};
use super::{file, hex};
use crate::id::RingId;
use crate::sentence::phrase;

const MARK: &str = "dtracker-node-1";

/// The identity of this node, at the beginning of a new life.
#[derive(Debug)]
pub struct Identity {
    path: PathBuf,
    id: RingId,
    key: NodeKey,
    incarnation: u64,
}

impl Identity {
    /// Reads the file and begins a new life: its incarnation is `unix_ms`, or more if the clock has gone back since
    /// the last one. It is on disk before this returns. `None`: there is no file, and so far no such node.
    ///
    /// # Errors
    /// The file is damaged, or the system refused something.
    pub fn open(path: &Path, unix_ms: u64) -> Result<Option<Self>, KeyError> {
        let mut identity = match fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(KeyError::io(phrase!("read the identity in"), path)(error)),
        };
        identity.incarnation = unix_ms.max(identity.incarnation.saturating_add(1));
        identity.save()?;
        Ok(Some(identity))
    }

    /// A new node with this place on the circle, for good, at the beginning of its first life. It is on disk before
    /// this returns.
    ///
    /// # Errors
    /// The system refused something.
    pub fn create(path: &Path, id: RingId, unix_ms: u64) -> Result<Self, KeyError> {
        let identity = Self {
            path: path.to_owned(),
            id,
            key: NodeKey::generate()?,
            incarnation: unix_ms,
        };
        identity.save()?;
        Ok(identity)
    }

    /// The node's place on the circle.
    pub const fn id(&self) -> RingId {
        self.id
    }

    /// What its neighbours know it by.
    pub const fn key(&self) -> &NodeKey {
        &self.key
    }

    /// When this life began, for [`crate::ring::contact::Contact::incarnation`].
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    fn save(&self) -> Result<(), KeyError> {
        let mut text = format!("{MARK}\n# Secret. Two nodes with the same identity shut each other out.\n");
        let (id, key) = (hex::text(self.id.as_bytes()), hex::text(self.key.as_bytes()));
        // Writing to a string does not fail.
        let _ = write!(text, "id {id}\nkey {key}\nincarnation {}\n", self.incarnation);
        file::replace(&self.path, &text).map_err(KeyError::io(phrase!("write the identity to"), &self.path))
    }

    fn parse(path: &Path, text: &str) -> Result<Self, KeyError> {
        let damaged = |field| KeyError::Damaged {
            path: path.to_owned(),
            field,
        };
        let mut lines = file::lines(text);
        if lines.next() != Some(MARK) {
            return Err(damaged("first line"));
        }
        let mut field = |name| {
            let line = lines.next().and_then(|line| line.strip_prefix(name));
            line.map(str::trim).ok_or_else(|| damaged(name))
        };
        let (id, key, incarnation) = (field("id")?, field("key")?, field("incarnation")?);
        Ok(Self {
            path: path.to_owned(),
            id: RingId::new(hex::bytes(id).ok_or_else(|| damaged("id"))?),
            key: NodeKey::new(hex::bytes(key).ok_or_else(|| damaged("key"))?),
            incarnation: incarnation.parse().map_err(|_| damaged("incarnation"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const HERE: RingId = RingId::new([7; 20]);

    #[test]
    fn an_identity_stays_and_each_life_is_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("identity");
        assert!(Identity::open(&path, 900).expect("no file is no error").is_none());
        let first = Identity::create(&path, HERE, 1_000).expect("an identity");
        assert_eq!((first.id(), first.incarnation()), (HERE, 1_000));
        // The clock has gone back.
        for (unix_ms, incarnation) in [(500, 1_001), (9_000, 9_000)] {
            let again = Identity::open(&path, unix_ms).expect("it can be read");
            let again = again.expect("an identity");
            assert_eq!((again.id(), again.incarnation()), (HERE, incarnation));
            assert_eq!(again.key(), first.key());
        }
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_identity_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("identity");
        Identity::create(&path, HERE, 1).expect("an identity");
        let whole = fs::read_to_string(&path).expect("a file");
        let table = [
            ("first line", String::new()),
            ("first line", whole.replace(MARK, "dtracker-node-2")),
            ("id", whole.replace("id 07", "id 7")),
            ("key", whole.replace("key ", "key x")),
            ("incarnation", whole.replace("incarnation 1", "incarnation -1")),
            ("incarnation", whole[..whole.len() - 14].to_owned()),
        ];
        for (wrong, text) in table {
            fs::write(&path, &text).expect("a file");
            match Identity::open(&path, 1) {
                Err(KeyError::Damaged { field, .. }) => assert_eq!(field, wrong, "{text}"),
                other => panic!("{other:?} from {text}"),
            }
            assert_eq!(fs::read_to_string(&path).expect("a file"), text);
        }
    }
}
