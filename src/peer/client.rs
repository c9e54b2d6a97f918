//! Which client a peer says it is, by its peer id. Layer 1, BEP 20.
//!
//! Only a hint, and only for people to read: an id can say anything, and the name in the extension handshake
//! ([`ExtensionHandshake::client`](crate::wire::extension::ExtensionHandshake::client)) is better where there
//! is one.

use crate::id::PeerId;

/// How a client spells its version in the four characters of an Azureus-style id.
#[derive(Debug, Clone, Copy)]
enum Version {
    /// `4650` is 4.6.5, and `4651` is 4.6.5.1: the last number is left out if it is 0.
    Dotted,
    /// `355W` is 3.5.5: the last character marks a build.
    Three,
    /// `0112` is 1.12: two numbers of two digits.
    Pairs,
    /// `4060` is 4.0.6, but `2940` is 2.94 and `0072` is 0.72. `Z` or `X` at the end is a development build.
    Transmission,
}

/// The clients of Azureus style (BEP 20 and what is met in swarms), sorted by code.
const AZUREUS: &[(&[u8; 2], &str, Version)] = &[
    (b"7T", "aTorrent", Version::Dotted),
    (b"A2", "aria2", Version::Dotted),
    (b"AG", "Ares", Version::Dotted),
    (b"AR", "Arctic", Version::Dotted),
    (b"AZ", "Azureus", Version::Dotted),
    (b"BC", "BitComet", Version::Dotted),
    (b"BE", "BitTorrent SDK", Version::Dotted),
    (b"BI", "BiglyBT", Version::Dotted),
    (b"BT", "BitTorrent", Version::Three),
    (b"BW", "BitTorrent Web", Version::Three),
    (b"DE", "Deluge", Version::Three),
    (b"DT", "DTorrent", Version::Dotted),
    (b"FD", "Free Download Manager", Version::Dotted),
    (b"FL", "Flud", Version::Dotted),
    (b"FW", "FrostWire", Version::Three),
    (b"GT", "anacrolix/torrent", Version::Dotted),
    (b"HL", "Halite", Version::Dotted),
    (b"KG", "KGet", Version::Dotted),
    (b"KT", "KTorrent", Version::Three),
    (b"LP", "Lphant", Version::Dotted),
    (b"LT", "libtorrent", Version::Dotted),
    (b"LW", "LimeWire", Version::Dotted),
    (b"MG", "MediaGet", Version::Dotted),
    (b"PI", "PicoTorrent", Version::Dotted),
    (b"RN", "rain", Version::Dotted),
    (b"SD", "Xunlei", Version::Dotted),
    (b"SZ", "Shareaza", Version::Dotted),
    (b"TL", "Tribler", Version::Dotted),
    (b"TR", "Transmission", Version::Transmission),
    (b"TT", "TuoTu", Version::Dotted),
    (b"TX", "Tixati", Version::Pairs),
    (b"UE", "µTorrent Embedded", Version::Three),
    (b"UM", "µTorrent Mac", Version::Three),
    (b"UT", "µTorrent", Version::Three),
    (b"UW", "µTorrent Web", Version::Three),
    (b"VZ", "Vuze", Version::Dotted),
    (b"WD", "WebTorrent Desktop", Version::Pairs),
    (b"WW", "WebTorrent", Version::Pairs),
    (b"XF", "Xfplay", Version::Dotted),
    (b"XL", "Xunlei", Version::Dotted),
    (b"lt", "rTorrent (libTorrent)", Version::Three),
    (b"qB", "qBittorrent", Version::Dotted),
    (b"rQ", "rqbit", Version::Dotted),
    (b"st", "SharkTorrent", Version::Dotted),
];

/// The clients of Shadow's style: one letter, and a version of up to five characters.
const SHADOW: &[(u8, &str)] = &[
    (b'A', "ABC"),
    (b'O', "Osprey Permaseed"),
    (b'Q', "BTQueue"),
    (b'R', "Tribler"),
    (b'S', "Shadow's client"),
    (b'T', "BitTornado"),
    (b'U', "UPnP NAT Bit Torrent"),
];

/// The name and version for people to read, for instance `Transmission 4.0.6`. For an unknown client it is the
/// start of its id with everything unprintable escaped.
///
/// ```
/// use dtorrent::{id::PeerId, peer::client::client_name};
///
/// assert_eq!(client_name(PeerId::new(*b"-qB4650-abcdefghijkl")), "qBittorrent 4.6.5");
/// ```
pub fn client_name(id: PeerId) -> String {
    let bytes = id.as_bytes();
    azureus(bytes)
        .or_else(|| dashed(bytes))
        .or_else(|| shadow(bytes))
        .unwrap_or_else(|| format!("unknown ({})", bytes[..8].escape_ascii()))
}

/// `-XX1234-`, then random bytes.
fn azureus(id: &[u8; 20]) -> Option<String> {
    let [b'-', c0, c1, v0, v1, v2, v3, b'-', ..] = *id else {
        return None;
    };
    let (code, version) = ([c0, c1], [v0, v1, v2, v3]);
    if !code.iter().chain(&version).all(u8::is_ascii_graphic) {
        return None;
    }
    let known = AZUREUS.iter().find(|(known, ..)| **known == code);
    Some(match known {
        Some((_, name, style)) => match style.show(version) {
            Some(version) => format!("{name} {version}"),
            None => (*name).to_owned(),
        },
        None => format!("{}{} {}", c0 as char, c1 as char, version.escape_ascii()),
    })
}

impl Version {
    fn show(self, version: [u8; 4]) -> Option<String> {
        let [major, minor, patch] = [digit(version[0])?, digit(version[1])?, digit(version[2])?];
        let build = digit(version[3]);
        Some(match (self, build) {
            (Self::Dotted, Some(build @ 1..)) => format!("{major}.{minor}.{patch}.{build}"),
            (Self::Dotted | Self::Three, _) => format!("{major}.{minor}.{patch}"),
            (Self::Pairs, build) => {
                let build = build?;
                format!("{}.{}", 10 * major + minor, 10 * patch + build)
            }
            (Self::Transmission, build) => {
                let development = if matches!(version[3], b'Z' | b'X') {
                    "+"
                } else {
                    ""
                };
                match major {
                    0 => format!("0.{patch}{}", build?),
                    1..=3 => format!("{major}.{minor}{patch}{development}"),
                    _ => format!("{major}.{minor}.{patch}{development}"),
                }
            }
        })
    }
}

/// One number of a version in one character: `A` is 10, `a` is 36 (BEP 20 §Shadow's style).
fn digit(character: u8) -> Option<u32> {
    match character {
        b'0'..=b'9' => Some(u32::from(character - b'0')),
        b'A'..=b'Z' => Some(u32::from(character - b'A') + 10),
        b'a'..=b'z' => Some(u32::from(character - b'a') + 36),
        _ => None,
    }
}

/// `M7-10-5--` (the first client) and `A2-1-36-0-` (aria2): decimal numbers between dashes.
fn dashed(id: &[u8; 20]) -> Option<String> {
    let text = id
        .split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')
        .next()?;
    let text = std::str::from_utf8(text).ok()?;
    let (name, rest) = match text.strip_prefix("A2-") {
        Some(rest) => ("aria2", rest),
        None => ("BitTorrent", text.strip_prefix('M')?),
    };
    let mut parts = rest.split('-');
    let numbers: Vec<&str> = parts.by_ref().take(3).collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    // The third number needs a dash behind it, or random digits would be taken for a part of it.
    (numbers.len() == 3 && numbers.iter().all(is_number) && parts.next().is_some())
        .then(|| format!("{name} {}", numbers.join(".")))
}

/// `T03I----` or `S58B-----`: a letter, a number a character, and dashes from the fourth to the ninth byte.
fn shadow(id: &[u8; 20]) -> Option<String> {
    let (_, name) = SHADOW.iter().find(|(letter, _)| *letter == id[0])?;
    let digits = &id[1..6];
    let length = digits
        .iter()
        .position(|byte| *byte == b'-')
        .unwrap_or(digits.len());
    if length == 0 || !id[6..].starts_with(b"--") && !id[1 + length..].starts_with(b"--") {
        return None;
    }
    let numbers: Option<Vec<String>> = digits[..length]
        .iter()
        .map(|&character| digit(character).map(|number| number.to_string()))
        .collect();
    Some(format!("{name} {}", numbers?.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn clients_by_their_ids() {
        let table: &[(&[u8], &str)] = &[
            (b"-TR4060-", "Transmission 4.0.6"),
            (b"-TR410Z-", "Transmission 4.1.0+"),
            (b"-TR3000-", "Transmission 3.00"),
            (b"-TR2940-", "Transmission 2.94"),
            (b"-TR0072-", "Transmission 0.72"),
            (b"-LT2080-", "libtorrent 2.0.8"),
            (b"-LT20B0-", "libtorrent 2.0.11"),
            (b"-lt0D80-", "rTorrent (libTorrent) 0.13.8"),
            (b"-qB4650-", "qBittorrent 4.6.5"),
            (b"-qB4331-", "qBittorrent 4.3.3.1"),
            (b"-DE211s-", "Deluge 2.1.1"),
            (b"-UT355W-", "µTorrent 3.5.5"),
            (b"-WW0112-", "WebTorrent 1.12"),
            (b"-AZ5770-", "Azureus 5.7.7"),
            (b"-DT0100-", "DTorrent 0.1.0"),
            (b"-UT????-", "µTorrent"),
            (b"-ZZ12X4-", "ZZ 12X4"),
            (b"A2-1-36-0-", "aria2 1.36.0"),
            (b"M7-10-5--", "BitTorrent 7.10.5"),
            (b"M4-3-6--", "BitTorrent 4.3.6"),
            (b"T03I----", "BitTornado 0.3.18"),
            (b"S587---", "Shadow's client 5.8.7"),
            (b"M7-10-53434343434343", "unknown (M7-10-53)"),
            (b"Sabcdefghijklmnopqrs", "unknown (Sabcdefg)"),
            (
                b"\x00\x01-\xff\n\"",
                "unknown (\\x00\\x01-\\xff\\n\\\"\\x00\\x00)",
            ),
            (b"-\n\n1234-", "unknown (-\\n\\n1234-)"),
        ];
        for (start, name) in table {
            let mut id = [0; 20];
            id[..start.len()].copy_from_slice(start);
            assert_eq!(client_name(PeerId::new(id)), *name);
        }
    }

    #[test]
    fn the_table_is_sorted_and_has_each_code_once() {
        assert!(AZUREUS.is_sorted_by(|one, next| one.0 < next.0));
    }

    #[test]
    fn our_own_ids_say_who_we_are() {
        let id = PeerId::generate(&mut fastrand::Rng::with_seed(1));
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(client_name(id), format!("DTorrent {version}"));
    }

    proptest! {
        #[test]
        fn any_id_has_a_short_name_that_can_be_shown(id in any::<[u8; 20]>()) {
            let name = client_name(PeerId::new(id));
            prop_assert!(name.chars().all(|c| !c.is_control()) && name.chars().count() < 60);
        }
    }
}
