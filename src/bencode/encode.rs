//! Writing: always the canonical form.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// A value to be written. Keys are kept sorted and unique, so what comes out is canonical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a> {
    /// An integer.
    Int(i64),
    /// A string, which need not be text.
    Bytes(Cow<'a, [u8]>),
    /// A list.
    List(Vec<Item<'a>>),
    /// A dictionary.
    Dict(BTreeMap<Cow<'a, [u8]>, Item<'a>>),
    /// A value that is bencoded already and goes out byte for byte, such as an `info` dictionary.
    Raw(Cow<'a, [u8]>),
}

impl<'a> Item<'a> {
    /// A dictionary of these entries, in any order; of two with the same key the last counts.
    pub fn dict(entries: impl IntoIterator<Item = (&'a str, Item<'a>)>) -> Self {
        let entries = entries.into_iter();
        Self::Dict(entries.map(|(key, item)| (key.as_bytes().into(), item)).collect())
    }

    /// A list of these values.
    pub fn list<T: Into<Item<'a>>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    /// The bencoded bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out
    }

    /// Appends the bencoded bytes.
    pub fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(value) => out.extend_from_slice(format!("i{value}e").as_bytes()),
            Self::Bytes(bytes) => string_to(bytes, out),
            Self::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.encode_to(out));
                out.push(b'e');
            }
            Self::Dict(entries) => {
                out.push(b'd');
                for (key, item) in entries {
                    string_to(key, out);
                    item.encode_to(out);
                }
                out.push(b'e');
            }
            Self::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }
}

fn string_to(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
}

impl From<i64> for Item<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl<'a> From<&'a str> for Item<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes().into())
    }
}

impl<'a> From<&'a String> for Item<'a> {
    fn from(text: &'a String) -> Self {
        text.as_str().into()
    }
}

impl<'a> From<&'a [u8]> for Item<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Vec<u8>> for Item<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}
