//! Numbers of bytes, and of other things, as people read them. Layer 1.

use std::fmt;

/// Bytes in units of 1,024, as the piece lengths of the field are: `1.5 MiB`. One decimal, rounded down, and none
/// where it would be 0.
///
/// ```
/// assert_eq!(dtorrent::size::Size(1_572_864).to_string(), "1.5 MiB");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        if bytes < 1024 {
            return write!(f, "{bytes} B");
        }
        // The largest unit of which there is at least one.
        let power = bytes.ilog2() / 10;
        let unit = UNITS[power as usize - 1];
        let tenths = (u128::from(bytes) * 10) >> (10 * power);
        match tenths % 10 {
            0 => write!(f, "{} {unit}", tenths / 10),
            tenth => write!(f, "{}.{tenth} {unit}", tenths / 10),
        }
    }
}

/// A number of things, by the name of one: `1 peer`, `2 peers`.
///
/// ```
/// assert_eq!(dtorrent::size::Count(1, "peer").to_string(), "1 peer");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u64, pub &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, one) = self;
        write!(f, "{number} {one}{}", if *number == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        let words = [0, 1, 2].map(|number| Count(number, "seed").to_string());
        assert_eq!(words, ["0 seeds", "1 seed", "2 seeds"]);
    }

    #[test]
    fn sizes_have_no_needless_decimals() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (16_384, "16 KiB"),
            (1_572_864, "1.5 MiB"),
            ((1 << 30) - 1, "1023.9 MiB"),
            (u64::MAX, "15.9 EiB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Size(bytes).to_string(), expected);
        }
    }
}
