//! The extension handshake: which extensions a peer speaks, and what it says of itself. Layer 1, BEP 10
//! §handshake message, BEP 21 (`upload_only`).
//!
//! It travels as [`Message::Extended`](crate::wire::message::Message::Extended) number
//! [`HANDSHAKE_NUMBER`]. Unknown keys are passed over, and so are known ones with a value that makes no
//! sense: BEP 10 makes every key optional, so a bad one is as good as none. `ipv4` and `ipv6` are not read:
//! addresses that a peer claims to have are no better than those that a tracker saw.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::bencode::{self, DecodeError, Dict, Item};

/// The number of the handshake among the extension messages (BEP 10).
pub const HANDSHAKE_NUMBER: u8 = 0;

/// Most extensions that are remembered of a peer, and most bytes of the name of one. Clients have about ten.
const MAX_EXTENSIONS: usize = 64;
const MAX_NAME_LENGTH: usize = 32;

/// Most characters that are kept of a client's name.
const MAX_CLIENT_LENGTH: usize = 64;

/// What a peer says in its extension handshake. Each may be missing; a later handshake adds to an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtensionHandshake {
    /// `m`: the number of each extension, for messages *to* the sender of this handshake. 0 turns it off.
    pub extensions: BTreeMap<String, u8>,
    /// `v`: name and version of the client, without control characters.
    pub client: Option<String>,
    /// `p`: the TCP port at which the sender takes connections.
    pub port: Option<NonZeroU16>,
    /// `reqq`: how many outstanding requests the sender keeps without dropping any.
    pub request_queue: Option<u32>,
    /// `upload_only`: the sender wants no more pieces, seed or not (BEP 21).
    pub upload_only: Option<bool>,
    /// `yourip`: the address at which the sender sees us.
    pub your_ip: Option<IpAddr>,
}

/// Why an extension handshake was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// The payload is not bencoded.
    #[error("the extension handshake is not bencoded: {0}")]
    Bencode(#[source] DecodeError),
    /// The payload is bencoded, but not a dictionary.
    #[error("the extension handshake is not a dictionary")]
    NotADictionary,
}

impl ExtensionHandshake {
    /// Reads the payload. Bytes after the dictionary are passed over, as other clients do.
    ///
    /// # Errors
    /// If the payload does not start with a bencoded dictionary.
    pub fn decode(payload: &[u8]) -> Result<Self, ExtensionError> {
        let decoded = bencode::decode_prefix(payload).map_err(ExtensionError::Bencode)?;
        let dict = decoded.value.as_dict().ok_or(ExtensionError::NotADictionary)?;
        Ok(Self {
            extensions: dict.dict("m").map(extensions_from).unwrap_or_default(),
            client: dict.bytes("v").and_then(client_from),
            port: dict
                .int("p")
                .and_then(|port| u16::try_from(port).ok())
                .and_then(NonZeroU16::new),
            request_queue: dict.int("reqq").and_then(|length| u32::try_from(length).ok()),
            upload_only: dict.int("upload_only").map(|flag| flag != 0),
            your_ip: dict.bytes("yourip").and_then(address_from),
        })
    }

    /// The payload that says this.
    pub fn encode(&self) -> Vec<u8> {
        let numbers = self.extensions.iter();
        let mut dict = vec![(
            "m",
            Item::dict(numbers.map(|(name, &number)| (name.as_str(), Item::from(i64::from(number))))),
        )];
        dict.extend(self.client.as_ref().map(|name| ("v", Item::from(name))));
        dict.extend(self.port.map(|port| ("p", i64::from(port.get()).into())));
        dict.extend(
            self.request_queue
                .map(|length| ("reqq", i64::from(length).into())),
        );
        dict.extend(
            self.upload_only
                .map(|flag| ("upload_only", i64::from(flag).into())),
        );
        dict.extend(
            self.your_ip
                .map(|address| ("yourip", Item::from(address_to(address)))),
        );
        Item::dict(dict).encode()
    }

    /// Takes in a later handshake of the same peer: BEP 10 has it carry only what changed.
    pub fn update(&mut self, later: Self) {
        for (name, number) in later.extensions {
            if self.extensions.len() < MAX_EXTENSIONS || self.extensions.contains_key(&name) {
                self.extensions.insert(name, number);
            }
        }
        self.client = later.client.or(self.client.take());
        self.port = later.port.or(self.port);
        self.request_queue = later.request_queue.or(self.request_queue);
        self.upload_only = later.upload_only.or(self.upload_only);
        self.your_ip = later.your_ip.or(self.your_ip);
    }
}

fn extensions_from(dict: Dict<'_>) -> BTreeMap<String, u8> {
    dict.iter()
        .filter(|(name, _)| name.len() <= MAX_NAME_LENGTH)
        .filter_map(|(name, number)| {
            let name = std::str::from_utf8(name).ok()?;
            let number = u8::try_from(number.as_int()?).ok()?;
            Some((name.to_owned(), number))
        })
        .take(MAX_EXTENSIONS)
        .collect()
}

fn client_from(name: &[u8]) -> Option<String> {
    // Bounded before the conversion: one character has at most four bytes.
    let name = String::from_utf8_lossy(&name[..name.len().min(4 * MAX_CLIENT_LENGTH)]);
    let shown: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_CLIENT_LENGTH)
        .collect();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}

fn address_from(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

fn address_to(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full() -> ExtensionHandshake {
        ExtensionHandshake {
            extensions: [("ut_metadata".to_owned(), 2), ("ut_pex".to_owned(), 1)].into(),
            client: Some("DTorrent 0.1.0".to_owned()),
            port: NonZeroU16::new(6881),
            request_queue: Some(500),
            upload_only: Some(true),
            your_ip: Some(IpAddr::from([10, 0, 0, 1])),
        }
    }

    #[test]
    fn a_full_handshake_is_canonical_and_comes_back() {
        let bytes = full().encode();
        assert_eq!(
            bytes.escape_ascii().to_string(),
            "d1:md11:ut_metadatai2e6:ut_pexi1ee1:pi6881e4:reqqi500e11:upload_onlyi1e1:v14:DTorrent 0.1.0\
             6:yourip4:\\n\\x00\\x00\\x01e"
        );
        assert_eq!(ExtensionHandshake::decode(&bytes), Ok(full()));
    }

    /// The number under which the sender takes messages of this extension; 0 takes it back.
    fn number_of(handshake: &ExtensionHandshake, extension: &str) -> Option<u8> {
        let number = handshake.extensions.get(extension).copied();
        number.filter(|number| *number != 0)
    }

    #[test]
    fn the_example_of_bep_10_is_read() {
        let payload = b"d1:md11:LT_metadatai1e7:\xc2\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e";
        let read = ExtensionHandshake::decode(payload).unwrap();
        assert_eq!(number_of(&read, "LT_metadata"), Some(1));
        assert_eq!(number_of(&read, "µT_PEX"), Some(2));
        assert_eq!(number_of(&read, "ut_pex"), None);
        assert_eq!(read.client.as_deref(), Some("µTorrent 1.2"));
        assert_eq!(read.port, NonZeroU16::new(6881));
    }

    #[test]
    fn values_that_make_no_sense_are_as_good_as_none() {
        let table: &[&[u8]] = &[
            b"de",
            b"d1:mi5ee",
            b"d1:md6:ut_pex1:1ee",
            b"d1:md6:ut_pexi256eee",
            b"d1:md2:\xff\xfei1eee",
            b"d1:md40:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaai1eee",
            b"d1:pi0ee",
            b"d1:pi65536ee",
            b"d4:reqqi-1ee",
            b"d11:upload_only1:1e",
            b"d1:v3:\n\x00 e",
            b"d6:yourip5:abcdee",
            b"d7:unknownd1:xlee4:ipv44:aaaae",
            b"detrailing",
        ];
        for payload in table {
            let shown = payload.escape_ascii();
            assert_eq!(
                ExtensionHandshake::decode(payload),
                Ok(ExtensionHandshake::default()),
                "{shown}"
            );
        }
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        assert_eq!(
            ExtensionHandshake::decode(b"le"),
            Err(ExtensionError::NotADictionary)
        );
        for payload in [&b""[..], b"d", b"d1:m", b"garbage"] {
            let refused = ExtensionHandshake::decode(payload);
            assert!(matches!(refused, Err(ExtensionError::Bencode(_))), "{refused:?}");
        }
    }

    #[test]
    fn names_from_the_network_are_bounded_and_shown_without_control_characters() {
        let read = |name: &str| {
            let payload = Item::dict([("v", Item::from(name))]).encode();
            ExtensionHandshake::decode(&payload).unwrap().client
        };
        assert_eq!(read("a\nb\u{1b}[0m").as_deref(), Some("ab[0m"));
        assert_eq!(
            read(&"é".repeat(10_000)).map(|name| name.chars().count()),
            Some(MAX_CLIENT_LENGTH)
        );
    }

    #[test]
    fn a_later_handshake_changes_only_what_it_names() {
        let mut known = full();
        known.update(ExtensionHandshake::decode(b"d1:md6:ut_pexi0ee4:reqqi9ee").unwrap());
        assert_eq!(number_of(&known, "ut_pex"), None);
        assert_eq!(number_of(&known, "ut_metadata"), Some(2));
        assert_eq!(known.request_queue, Some(9));
        assert_eq!(known.client, full().client);
    }

    #[test]
    fn extensions_are_bounded_over_many_handshakes() {
        let mut known = full();
        for number in 0..1000 {
            let payload = format!("d1:md5:x{number:04}i1eee");
            known.update(ExtensionHandshake::decode(payload.as_bytes()).unwrap());
        }
        assert_eq!(known.extensions.len(), MAX_EXTENSIONS);
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(
            extensions in prop::collection::btree_map("[a-z_]{1,12}", any::<u8>(), 0..8),
            client in prop::option::of("[A-Za-z]{1,20} [0-9.]{1,8}"),
            port in any::<u16>(),
            request_queue in any::<Option<u32>>(),
            upload_only in any::<Option<bool>>(),
            your_ip in any::<Option<IpAddr>>(),
        ) {
            let port = NonZeroU16::new(port);
            let said = ExtensionHandshake { extensions, client, port, request_queue, upload_only, your_ip };
            prop_assert_eq!(ExtensionHandshake::decode(&said.encode()), Ok(said));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = ExtensionHandshake::decode(&bytes);
        }
    }
}
