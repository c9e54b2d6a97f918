//! Views of bytes that were checked.

use std::fmt;

use super::decode::number;

/// A value: a view of its own bytes. Only [`super::decode()`] and its kin make one, so the bytes are well-formed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    raw: &'a [u8],
}

impl<'a> Value<'a> {
    /// `raw` is exactly one value that the scan has passed.
    pub(super) const fn checked(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The bytes of the value as they were given, ends included.
    pub const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// The integer, if it is one and fits.
    pub fn as_int(self) -> Option<i64> {
        let text = self.raw.strip_prefix(b"i")?.strip_suffix(b"e")?;
        std::str::from_utf8(text).ok()?.parse().ok()
    }

    /// The bytes of the string, if it is one.
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        let colon = string_header(self.raw)?;
        self.raw.get(colon + 1..)
    }

    /// The string as text, if it is one and valid UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The values of the list, if it is one.
    pub fn as_list(self) -> Option<List<'a>> {
        let inner = self.raw.strip_prefix(b"l")?.strip_suffix(b"e")?;
        Some(List { left: inner })
    }

    /// The dictionary, if it is one.
    pub fn as_dict(self) -> Option<Dict<'a>> {
        let inner = self.raw.strip_prefix(b"d")?.strip_suffix(b"e")?;
        Some(Dict { inner })
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Long strings are hashes and compact peers: nothing to read.
        let shown = &self.raw[..self.raw.len().min(64)];
        write!(f, "Value({} bytes: {})", self.raw.len(), shown.escape_ascii())
    }
}

/// The values of a list, in order.
#[derive(Debug, Clone)]
pub struct List<'a> {
    left: &'a [u8],
}

impl<'a> Iterator for List<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        take(&mut self.left)
    }
}

/// A dictionary. Looking a key up walks over the entries before it, so a reader of many keys does better with
/// one [`Dict::iter`], or with [`Dict::only`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dict<'a> {
    inner: &'a [u8],
}

impl<'a> Dict<'a> {
    /// The entries, in the order of the input.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> + use<'a> {
        let mut left = self.inner;
        std::iter::from_fn(move || Some((take(&mut left)?.as_bytes()?, take(&mut left)?)))
    }

    /// The value of the first entry with this key.
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        self.iter()
            .find(|(found, _)| *found == key.as_bytes())
            .map(|(_, value)| value)
    }

    /// The entries with these keys, found in one walk: for a reader of several keys beside long values.
    pub fn only(self, keys: &[&'static str]) -> Fields<'a> {
        let mut found = vec![None; keys.len()];
        for (key, value) in self.iter() {
            if let Some(place) = keys.iter().position(|wanted| wanted.as_bytes() == key) {
                // The first of two with one key counts, as for `get`.
                found[place].get_or_insert(value);
            }
        }
        let values = keys.iter().copied().zip(found);
        Fields(values.filter_map(|(key, value)| Some((key, value?))).collect())
    }

    /// The integer under this key.
    pub fn int(self, key: &str) -> Option<i64> {
        self.get(key)?.as_int()
    }

    /// The string under this key.
    pub fn bytes(self, key: &str) -> Option<&'a [u8]> {
        self.get(key)?.as_bytes()
    }

    /// The text under this key, if it is valid UTF-8.
    pub fn str(self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    /// The list under this key.
    pub fn list(self, key: &str) -> Option<List<'a>> {
        self.get(key)?.as_list()
    }

    /// The dictionary under this key.
    pub fn dict(self, key: &str) -> Option<Dict<'a>> {
        self.get(key)?.as_dict()
    }
}

/// Some entries of a dictionary, found before; see [`Dict::only`]. A key that was not looked for is not there.
#[derive(Debug, Clone)]
pub struct Fields<'a>(Vec<(&'static str, Value<'a>)>);

impl<'a> Fields<'a> {
    /// The value of the first entry with this key.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.0
            .iter()
            .find(|(found, _)| *found == key)
            .map(|(_, value)| *value)
    }

    /// The integer under this key.
    pub fn int(&self, key: &str) -> Option<i64> {
        self.get(key)?.as_int()
    }

    /// The string under this key.
    pub fn bytes(&self, key: &str) -> Option<&'a [u8]> {
        self.get(key)?.as_bytes()
    }

    /// The text under this key, if it is valid UTF-8.
    pub fn str(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    /// The list under this key.
    pub fn list(&self, key: &str) -> Option<List<'a>> {
        self.get(key)?.as_list()
    }
}

/// Takes one value off the front of checked bytes.
fn take<'a>(left: &mut &'a [u8]) -> Option<Value<'a>> {
    let (raw, rest) = left.split_at_checked(length_of(left)?)?;
    *left = rest;
    Some(Value { raw })
}

/// Bytes of the first value. The bytes were checked, so counting what opens and closes is enough.
fn length_of(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0_usize, 0_usize);
    loop {
        let left = bytes.get(at..)?;
        match left.first()? {
            b'l' | b'd' => {
                depth += 1;
                at += 1;
            }
            b'e' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b'i' => at += left.iter().position(|byte| *byte == b'e')? + 1,
            _ => {
                let colon = string_header(left)?;
                at = at
                    .checked_add(colon + 1)?
                    .checked_add(number(left.get(..colon)?)?)?;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Where the colon of a string stands; `None` if this is no string.
fn string_header(bytes: &[u8]) -> Option<usize> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0 && bytes.get(digits) == Some(&b':')).then_some(digits)
}
