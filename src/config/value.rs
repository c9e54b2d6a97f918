//! Checks of single values while serde reads them. The wording of each `expecting` is what a person reads
//! behind "expected" when a value is refused, so it says what is allowed. Layer 1.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::sentence::{phrase, told};
use crate::tracker::node::Named;
use log::LevelFilter;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// Longest name of a network interface: `IFNAMSIZ` less its closing NUL.
const INTERFACE_NAME_MAX: usize = 15;

/// A whole number in `MIN..=MAX`.
pub(crate) fn whole_number<'de, D, T, const MIN: i64, const MAX: i64>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    deserializer.deserialize_i64(WholeNumber::<T, MIN, MAX>(PhantomData))
}

struct WholeNumber<T, const MIN: i64, const MAX: i64>(PhantomData<T>);

impl<T: TryFrom<i64>, const MIN: i64, const MAX: i64> Visitor<'_> for WholeNumber<T, MIN, MAX> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&told!("a whole number from {MIN} to {MAX}"))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        Some(number)
            .filter(|number| (MIN..=MAX).contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }
}

/// A path that is not empty; relative ones are completed by the caller, who knows from where they count.
pub(crate) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    deserializer.deserialize_str(Text {
        expected: phrase!("a path that is not empty"),
        parse: |text| (!text.is_empty() && !text.contains('\0')).then(|| text.into()),
    })
}

/// A path, or nothing.
pub(crate) fn optional_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    deserializer.deserialize_str(Text {
        expected: phrase!("a path, or \"\" for none"),
        parse: |text| (!text.contains('\0')).then(|| Some(text.into()).filter(|_| !text.is_empty())),
    })
}

/// An address with a port, or nothing.
pub(crate) fn optional_addr<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    deserializer.deserialize_str(Text {
        expected: phrase!("an address such as \"192.0.2.7:6970\", or \"\" for none"),
        parse: |text| match text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        },
    })
}

/// The name of a header of HTTP (RFC 9110 §5.1), in small letters.
pub(crate) fn header_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(Text {
        expected: phrase!("the name of an HTTP header"),
        parse: |text| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            (!text.is_empty() && text.chars().all(allowed)).then(|| text.to_ascii_lowercase())
        },
    })
}

/// Empty, an IP address, or what may be the name of a network interface.
pub(crate) fn bind_target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(Text {
        expected: phrase!("an IP address, the name of a network interface, or \"\" for all of them"),
        parse: |text| is_bind_target(text).then(|| text.to_owned()),
    })
}

/// What [`bind_target`] takes.
pub(crate) fn is_bind_target(text: &str) -> bool {
    text.is_empty() || text.parse::<IpAddr>().is_ok() || is_interface_name(text)
}

/// Empty, or where a tracker is reached: an address or a name, with or without a port.
pub(crate) fn tracker_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(Text {
        expected: phrase!("an IP address or a name, with or without \":PORT\", or \"\" to find it out"),
        parse: |text| (text.is_empty() || Named::parse(text).is_some()).then(|| text.to_owned()),
    })
}

/// What Linux accepts as the name of an interface (`dev_valid_name`), but for a colon, which would be the
/// rest of a mistyped address.
fn is_interface_name(text: &str) -> bool {
    text.len() <= INTERFACE_NAME_MAX
        && text != "."
        && text != ".."
        && !text.contains(|c: char| matches!(c, '/' | ':' | '\0') || c.is_whitespace())
}

/// A level by its name in small letters.
pub(crate) fn log_level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LevelFilter, D::Error> {
    deserializer.deserialize_str(Text {
        expected: phrase!("one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\""),
        parse: |text| {
            text.parse()
                .ok()
                .filter(|_| text.chars().all(|c| c.is_ascii_lowercase()))
        },
    })
}

/// A string that `parse` takes; `expected` says what that is.
pub(crate) fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text { expected, parse })
}

/// A string that `parse` takes.
struct Text<T> {
    expected: &'static str,
    parse: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}
