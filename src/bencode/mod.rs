//! Bencoding: how torrents, tracker answers and extension handshakes are written down. Layer 1, BEP 3
//! §bencoding.
//!
//! [`decode()`] checks the whole input once, without recursion and without allocating for what it finds, and
//! gives a [`Value`]: a view of the checked bytes. A view knows its exact bytes ([`Value::raw`]), which is
//! what an info-hash is computed over. Lists and dictionaries are walked where they lie, so even a hostile
//! input costs no more memory than its own bytes and no more time than a few passes over them.
//!
//! # What is accepted
//!
//! BEP 3 has exactly one way to write each value. Files in the wild have others, and every client takes
//! them; as long as the meaning is clear we do too, and report it in [`Decoded::flaw`]: keys out of order or
//! given twice (the first one counts), integers and lengths with leading zeros, minus zero, and bytes after
//! the end. What has no clear meaning is refused: a number without digits, a key that is not a string, a key
//! without a value, anything cut short, and nesting deeper than [`MAX_DEPTH`].
//!
//! ```
//! use dtorrent::bencode::{self, Item};
//!
//! let answer = bencode::decode(b"d8:intervali1800e5:peers0:e")?;
//! let dict = answer.as_dict().expect("it begins with a d");
//! assert_eq!(dict.int("interval"), Some(1800));
//! assert_eq!(Item::dict([("interval", Item::from(1800)), ("peers", "".into())]).encode(), answer.raw());
//! # Ok::<(), bencode::DecodeError>(())
//! ```

mod decode;
mod encode;
mod value;

pub use decode::{DecodeError, Decoded, Flaw, MAX_DEPTH, decode, decode_prefix};
pub use encode::Item;
pub use value::{Dict, Fields, List, Value};

#[cfg(test)]
mod tests;
