//! The key of the ring, which lets a node in, and the key of a node, which tells it from others. Layers 1 and 3.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};

use super::{file, hex};

use crate::sentence::phrase;

/// What a line with a key of the ring begins with: it says what the digits are for.
const RING_KEY_MARK: &str = "dtracker-ring-key-1";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system refused something.
    #[error("could not {action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key file that is something else.
    #[error(
        "{} holds no ring key: it needs one line, \"{RING_KEY_MARK}\" and 64 hexadecimal digits, as `dtracker key` writes it",
        .path.display()
    )]
    NoRingKey {
        /// The file.
        path: PathBuf,
    },
    /// An identity that cannot be read. A new one would be refused by those who remember the old.
    #[error(
        "{} is damaged at its {field}; restore it, or remove it to let this node be a new one",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        field: &'static str,
    },
    /// Another program runs with this state folder.
    #[error(
        "{} is in use by another node; stop that one, or give each a folder of its own with --state",
        .folder.display()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers, so no key can be made: {0}")]
    Random(snow::Error),
}

impl KeyError {
    pub(super) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// The secret that all nodes of a ring share: the pre-shared key of their handshakes. Who does not know it can
/// neither join nor read nor write.
#[derive(Clone, PartialEq, Eq)]
pub struct RingKey([u8; 32]);

impl RingKey {
    /// What a node without a key file uses, and everybody knows. It is good for nothing but the loopback.
    pub(super) const PUBLIC: Self = Self([0; 32]);

    /// A new secret.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        random().map(Self)
    }

    /// A key that was made elsewhere.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a key file: blank lines, comments behind `#`, and one line with [`Self::to_line`].
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path).map_err(KeyError::io(phrase!("read the ring key in"), path))?;
        let key = Self::parse(&text).ok_or_else(|| KeyError::NoRingKey {
            path: path.to_owned(),
        })?;
        let mode = fs::metadata(path).map_or(0, |data| data.permissions().mode());
        if mode & 0o007 != 0 {
            log::warn!(
                "every user of this machine can read the ring key in {}; `chmod 600` helps",
                path.display()
            );
        }
        Ok(key)
    }

    /// Writes a key file that only its owner can read. An existing file is not touched.
    ///
    /// # Errors
    /// The file exists or cannot be written.
    pub fn create(&self, path: &Path) -> Result<(), KeyError> {
        let text = format!(
            "# The key of a tracker ring. Every node needs this file; nobody else may see it.\n{}\n",
            self.to_line()
        );
        file::create(path, &text).map_err(KeyError::io(phrase!("write the ring key to"), path))
    }

    /// The key as text: `dtracker-ring-key-1`, a blank, 64 hexadecimal digits. A secret.
    pub fn to_line(&self) -> String {
        format!("{RING_KEY_MARK} {}", hex::text(&self.0))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = file::lines(text);
        let line = lines.next()?;
        let (mark, digits) = line.split_once(char::is_whitespace)?;
        let key = hex::bytes(digits.trim()).filter(|_| mark == RING_KEY_MARK && lines.next().is_none())?;
        // All zeros is what nodes without a key use.
        Some(Self(key)).filter(|key| *key != Self::PUBLIC)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for RingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingKey(secret)")
    }
}

/// The secret half of what a node is known by, a Curve25519 key.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeKey([u8; 32]);

impl NodeKey {
    /// A new secret.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        random().map(Self)
    }

    /// A key that was made elsewhere: any 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The half that others see and remember.
    pub fn public(&self) -> PublicKey {
        let mut public = [0; 32];
        if let Some(mut dh) = DefaultResolver.resolve_dh(&DHChoice::Curve25519) {
            dh.set(&self.0);
            public.copy_from_slice(dh.pubkey());
        }
        PublicKey(public)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(secret)")
    }
}

/// What others know a node by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    pub(super) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn parse(digits: &str) -> Option<Self> {
        hex::bytes(digits).map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::text(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

fn random() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    let mut rng = DefaultResolver
        .resolve_rng()
        .ok_or(KeyError::Random(snow::Error::Rng))?;
    rng.try_fill_bytes(&mut bytes).map_err(KeyError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_key_comes_back_from_its_file_and_is_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ring.key");
        let key = RingKey::generate().expect("a key");
        key.create(&path).expect("a file");
        assert_eq!(RingKey::load(&path).expect("the key"), key);
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = RingKey::generate().expect("a key");
        assert!(other.create(&path).is_err());
        assert_eq!(RingKey::load(&path).expect("the key"), key);
    }

    #[test]
    fn other_files_are_no_ring_keys() {
        let digits = "5".repeat(64);
        assert!(RingKey::parse(&format!("# mine\n\n {RING_KEY_MARK}\t{digits} \n")).is_some());
        for text in [
            String::new(),
            digits.clone(),
            format!("{RING_KEY_MARK} {}", &digits[1..]),
            format!("{RING_KEY_MARK} {}", "0".repeat(64)),
            format!("{RING_KEY_MARK}{digits}"),
            format!("dtracker-ring-key-2 {digits}"),
            format!("{RING_KEY_MARK} {digits}\n{RING_KEY_MARK} {digits}"),
        ] {
            assert_eq!(RingKey::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?} {:?}", RingKey([0x5a; 32]), NodeKey([0x5a; 32]));
        assert!(!shown.contains("5a") && !shown.contains("90"), "{shown}");
    }

    #[test]
    fn the_public_half_belongs_to_the_secret_one() {
        let params = crate::ring::link::noise::PATTERN.parse().expect("a pattern");
        let pair = snow::Builder::new(params).generate_keypair().expect("keys");
        let secret = NodeKey::new(pair.private.try_into().expect("32 bytes"));
        assert_eq!(
            secret.public(),
            PublicKey(pair.public.try_into().expect("32 bytes"))
        );
    }
}
