//! How much of a torrent was given on for its size, and limits of that. Layer 1.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::sentence::phrase;

/// Bytes sent for each byte of what is wanted; 0 of nothing. Not for each byte received: who had the data already would be
/// through after a few blocks, and what a check found wrong and was fetched again would count twice.
pub fn ratio(uploaded: u64, wanted_length: u64) -> f64 {
    match wanted_length {
        0 => 0.0,
        size => uploaded as f64 / size as f64,
    }
}

/// A ratio that is set, with two decimals; 0: none.
///
/// ```
/// use dtorrent::ratio::RatioLimit;
///
/// let limit = RatioLimit::new(1.5).unwrap();
/// assert!(limit.is_reached(150, 100) && !limit.is_reached(149, 100));
/// assert_eq!(limit.to_string(), "1.5");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RatioLimit(u32);

impl RatioLimit {
    /// The greatest one. What the settings say of a wrong one names it, too.
    pub const MOST: u32 = 10_000;

    /// No limit.
    pub const NONE: Self = Self(0);

    /// Of the nearest hundredth; `None` for what is not in `0..=MOST`, and for a little that would become none.
    pub fn new(ratio: f64) -> Option<Self> {
        let is_one = (0.0..=f64::from(Self::MOST)).contains(&ratio);
        let limit = is_one.then(|| Self((ratio * 100.0).round() as u32));
        limit.filter(|limit| limit.is_set() || ratio == 0.0)
    }

    /// What a person has typed, with a point or a comma.
    ///
    /// ```
    /// use dtorrent::ratio::RatioLimit;
    ///
    /// assert_eq!(RatioLimit::parse("1,5"), RatioLimit::new(1.5));
    /// assert_eq!(RatioLimit::parse("-1"), None);
    /// assert_eq!(RatioLimit::parse("inf"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',');
        let text = text.trim();
        text.chars()
            .all(is_plain)
            .then(|| text.replace(',', "."))?
            .parse()
            .ok()
            .and_then(Self::new)
    }

    /// As a number.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// Whether there is one.
    pub const fn is_set(self) -> bool {
        self.0 > 0
    }

    /// Whether so much was sent of so much.
    pub fn is_reached(self, uploaded: u64, wanted_length: u64) -> bool {
        self.is_set() && ratio(uploaded, wanted_length) >= self.get()
    }
}

impl fmt::Display for RatioLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

impl Serialize for RatioLimit {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.get())
    }
}

impl<'de> Deserialize<'de> for RatioLimit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = RatioLimit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(phrase!("0, or a number from 0.01 to 10000, such as 1.5"))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<RatioLimit, E> {
                RatioLimit::new(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<RatioLimit, E> {
                RatioLimit::new(number as f64)
                    .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<RatioLimit, E> {
                RatioLimit::new(number as f64)
                    .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }
        }

        from.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_the_size() {
        assert_eq!(ratio(150, 100), 1.5);
        assert_eq!(ratio(150, 0), 0.0);
    }

    #[test]
    fn every_hundredth_survives_being_written() {
        for number in (0..=RatioLimit::MOST * 100).step_by(7) {
            let limit = RatioLimit(number);
            assert_eq!(RatioLimit::parse(&limit.to_string()), Some(limit));
            assert_eq!(RatioLimit::new(limit.get()), Some(limit));
        }
    }

    #[test]
    fn what_is_no_ratio_is_refused() {
        for number in [-0.1, 0.004, 10_000.1, f64::NAN, f64::INFINITY] {
            assert_eq!(RatioLimit::new(number), None, "{number}");
        }
        for text in ["", "x", "1.5.0", "1e3", "+1", "10001"] {
            assert_eq!(RatioLimit::parse(text), None, "{text}");
        }
        assert!(!RatioLimit::NONE.is_reached(u64::MAX, 1), "there is none");
        assert!(!RatioLimit(1).is_reached(u64::MAX, 0), "of nothing");
    }
}
