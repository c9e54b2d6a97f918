//! One checking pass over untrusted bytes.

use super::Value;
use crate::size::Count;

/// How many lists and dictionaries may lie inside each other. A `file tree` (BEP 52) nests once for each
/// folder; nothing else comes near.
pub const MAX_DEPTH: usize = 100;

/// What [`decode`] refuses. Offsets count bytes from the start of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ends inside a value.
    #[error("the data ends too early, at byte {offset}")]
    Truncated {
        /// Where more was expected.
        offset: usize,
    },
    /// A byte that begins no value, or no key where a key must stand.
    #[error("unexpected byte 0x{byte:02x} at byte {offset}")]
    Unexpected {
        /// Where it stands.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// `i…e` around something that is no integer.
    #[error("malformed integer at byte {offset}")]
    Integer {
        /// Where its `i` stands.
        offset: usize,
    },
    /// The length of a string is no number, or larger than any memory.
    #[error("malformed string length at byte {offset}")]
    Length {
        /// Where its first digit stands.
        offset: usize,
    },
    /// A string is longer than what is left of the input.
    #[error("a string of {} at byte {offset} runs past the end of the data", Count(*length as u64, "byte"))]
    StringPastEnd {
        /// Where its length stands.
        offset: usize,
        /// What it claims.
        length: usize,
    },
    /// A dictionary ends after a key.
    #[error("a key without a value before byte {offset}")]
    KeyWithoutValue {
        /// Where the dictionary ends.
        offset: usize,
    },
    /// More than [`MAX_DEPTH`] lists and dictionaries inside each other.
    #[error("lists and dictionaries are nested more than {MAX_DEPTH} deep at byte {offset}")]
    TooDeep {
        /// Where the one too many begins.
        offset: usize,
    },
    /// Something other than white space follows the value.
    #[error("unexpected data after the end, at byte {offset}")]
    Trailing {
        /// Where it begins.
        offset: usize,
    },
}

/// The first departure from the one way in which BEP 3 writes a value; harmless, and many files have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The key at this offset is not after the one before it.
    KeyOrder(usize),
    /// The integer at this offset has leading zeros or is minus zero.
    Integer(usize),
    /// The string at this offset has leading zeros in its length.
    Length(usize),
    /// There are bytes after the value, from this offset on.
    Trailing(usize),
}

/// A value at the start of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The value.
    pub value: Value<'a>,
    /// What follows it: where a message has one, its payload (BEP 9).
    pub rest: &'a [u8],
    /// The first departure from the canonical form, if any; bytes in `rest` are one.
    pub flaw: Option<Flaw>,
}

/// Checks one value that is all of the input; white space and NULs after it are let pass, as some trackers
/// end their answers with a line break.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<Value<'_>, DecodeError> {
    let decoded = decode_prefix(bytes)?;
    if decoded
        .rest
        .iter()
        .all(|byte| matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n'))
    {
        Ok(decoded.value)
    } else {
        Err(DecodeError::Trailing {
            offset: decoded.value.raw().len(),
        })
    }
}

/// Checks the value at the start of the input and leaves what follows it alone.
///
/// # Errors
/// See [`DecodeError`]; never [`DecodeError::Trailing`].
pub fn decode_prefix(bytes: &[u8]) -> Result<Decoded<'_>, DecodeError> {
    let mut scan = Scan {
        bytes,
        at: 0,
        flaw: None,
    };
    scan.value()?;
    let (raw, rest) = bytes.split_at(scan.at);
    let trailing = (!rest.is_empty()).then_some(Flaw::Trailing(scan.at));
    Ok(Decoded {
        value: Value::checked(raw),
        rest,
        flaw: scan.flaw.or(trailing),
    })
}

/// A list or dictionary that the scan is inside of.
enum Open<'a> {
    List,
    /// With the key before, for the order.
    Key(Option<&'a [u8]>),
    /// After this key.
    DictValue(&'a [u8]),
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    flaw: Option<Flaw>,
}

impl<'a> Scan<'a> {
    /// One whole value. The stack is on the heap and bounded, so nesting costs no stack of ours.
    fn value(&mut self) -> Result<(), DecodeError> {
        let mut open: Vec<Open<'a>> = Vec::new();
        loop {
            match (self.peek()?, open.pop()) {
                (b'e', Some(Open::DictValue(_))) => {
                    return Err(DecodeError::KeyWithoutValue { offset: self.at });
                }
                (b'e', Some(Open::List | Open::Key(_))) => self.at += 1,
                (_, Some(Open::Key(before))) => {
                    let key = self.key(before)?;
                    open.push(Open::DictValue(key));
                    continue;
                }
                (byte, parent) => {
                    // The parent goes back as it will be after this value.
                    match parent {
                        Some(Open::DictValue(key)) => open.push(Open::Key(Some(key))),
                        Some(other) => open.push(other),
                        None => {}
                    }
                    if let Some(inner) = self.begin(byte)? {
                        if open.len() >= MAX_DEPTH {
                            return Err(DecodeError::TooDeep { offset: self.at - 1 });
                        }
                        open.push(inner);
                    }
                }
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// A whole integer or string, or the first byte of a list or dictionary, which is then returned.
    fn begin(&mut self, byte: u8) -> Result<Option<Open<'a>>, DecodeError> {
        match byte {
            b'l' => {
                self.at += 1;
                Ok(Some(Open::List))
            }
            b'd' => {
                self.at += 1;
                Ok(Some(Open::Key(None)))
            }
            b'i' => self.integer().map(|()| None),
            b'0'..=b'9' => self.string().map(|_| None),
            byte => Err(DecodeError::Unexpected {
                offset: self.at,
                byte,
            }),
        }
    }

    fn key(&mut self, before: Option<&[u8]>) -> Result<&'a [u8], DecodeError> {
        let offset = self.at;
        let byte = self.peek()?;
        if !byte.is_ascii_digit() {
            return Err(DecodeError::Unexpected { offset, byte });
        }
        let key = self.string()?;
        if before.is_some_and(|before| before >= key) {
            self.flaw.get_or_insert(Flaw::KeyOrder(offset));
        }
        Ok(key)
    }

    fn integer(&mut self) -> Result<(), DecodeError> {
        let offset = self.at;
        self.at += 1;
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let digits = self.digits();
        if self.peek()? != b'e' || digits.is_empty() {
            return Err(DecodeError::Integer { offset });
        }
        self.at += 1;
        if digits[0] == b'0' && (digits.len() > 1 || negative) {
            self.flaw.get_or_insert(Flaw::Integer(offset));
        }
        Ok(())
    }

    fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        let offset = self.at;
        let digits = self.digits();
        if self.peek()? != b':' {
            return Err(DecodeError::Length { offset });
        }
        self.at += 1;
        let length = number(digits).ok_or(DecodeError::Length { offset })?;
        if digits.len() > 1 && digits[0] == b'0' {
            self.flaw.get_or_insert(Flaw::Length(offset));
        }
        let content = self.bytes[self.at..]
            .get(..length)
            .ok_or(DecodeError::StringPastEnd { offset, length })?;
        self.at += length;
        Ok(content)
    }

    fn digits(&mut self) -> &'a [u8] {
        let left = &self.bytes[self.at..];
        let digits = &left[..left.iter().take_while(|byte| byte.is_ascii_digit()).count()];
        self.at += digits.len();
        digits
    }

    fn peek(&self) -> Result<u8, DecodeError> {
        self.bytes
            .get(self.at)
            .copied()
            .ok_or(DecodeError::Truncated { offset: self.at })
    }
}

/// The value of a run of digits; `None` if there are none or it is too large.
pub(super) fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_usize, |sum, digit| {
        sum.checked_mul(10)?.checked_add(usize::from(digit - b'0'))
    })
}
