//! Frames as they are drawn, cut and lied about.

use super::*;
use proptest::prelude::*;

const LIMITS: FrameLimits = FrameLimits::for_pieces(20);

fn block(piece: u32, begin: u32, length: u32) -> Block {
    let piece = PieceIndex(piece);
    Block { piece, begin, length }
}

/// Decodes the one frame that `bytes` are.
fn read(bytes: &[u8]) -> Result<Option<Message>, MessageError> {
    match parse_header(bytes, LIMITS)? {
        Some(FrameHeader::Message { id, length }) => {
            let payload = &bytes[PREFIX_LENGTH + 1..];
            assert_eq!(payload.len(), length as usize);
            Message::decode(id, payload).map(Some)
        }
        Some(FrameHeader::KeepAlive) => Ok(Some(Message::KeepAlive)),
        Some(FrameHeader::Piece { .. }) | None => Ok(None),
    }
}

#[test]
fn frames_as_the_specifications_draw_them() {
    let table: &[(Message, &[u8])] = &[
        (Message::KeepAlive, b"\0\0\0\0"),
        (Message::Choke, b"\0\0\0\x01\0"),
        (Message::Unchoke, b"\0\0\0\x01\x01"),
        (Message::Interested, b"\0\0\0\x01\x02"),
        (Message::NotInterested, b"\0\0\0\x01\x03"),
        (Message::Have(0x0102_0304), b"\0\0\0\x05\x04\x01\x02\x03\x04"),
        (
            Message::Bitfield([0xff, 0, 0xf0].into()),
            b"\0\0\0\x04\x05\xff\0\xf0",
        ),
        (
            Message::Request(block(1, 0x4000, 0x2000)),
            b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x40\0\0\0\x20\0",
        ),
        (
            Message::Cancel(block(1, 0x4000, 0x2000)),
            b"\0\0\0\x0d\x08\0\0\0\x01\0\0\x40\0\0\0\x20\0",
        ),
        (Message::Port(6881), b"\0\0\0\x03\x09\x1a\xe1"),
        (Message::SuggestPiece(7), b"\0\0\0\x05\x0d\0\0\0\x07"),
        (Message::HaveAll, b"\0\0\0\x01\x0e"),
        (Message::HaveNone, b"\0\0\0\x01\x0f"),
        (
            Message::RejectRequest(block(1, 2, 3)),
            b"\0\0\0\x0d\x10\0\0\0\x01\0\0\0\x02\0\0\0\x03",
        ),
        (Message::AllowedFast(7), b"\0\0\0\x05\x11\0\0\0\x07"),
        (
            Message::Extended(3, b"de".as_slice().into()),
            b"\0\0\0\x04\x14\x03de",
        ),
        (Message::Unknown(99), b"\0\0\0\x01\x63"),
    ];
    for (message, bytes) in table {
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        assert_eq!(encoded, *bytes, "{message:?}");
        assert_eq!(read(bytes), Ok(Some(message.clone())), "{bytes:?}");
    }
}

#[test]
fn a_block_has_thirteen_bytes_in_front() {
    let header = piece_header(block(5, 0x8000, 0x4000));
    assert_eq!(&header, b"\0\0\x40\x09\x07\0\0\0\x05\0\0\x80\0");
    let expected = FrameHeader::Piece {
        piece: 5,
        begin: 0x8000,
        length: 0x4000,
    };
    assert_eq!(parse_header(&header, LIMITS), Ok(Some(expected)));
    for length in 0..header.len() {
        assert_eq!(
            parse_header(&header[..length], LIMITS),
            Ok(None),
            "{length} bytes"
        );
    }
}

#[test]
fn lengths_that_cannot_be_are_refused_before_the_payload_comes() {
    let table: &[(&[u8], &str)] = &[
        (
            b"\0\0\0\x02\0",
            "choke message with 1 byte of payload, which must be 0",
        ),
        (
            b"\0\0\0\x04\x04",
            "have message with 3 bytes of payload, which must be 4",
        ),
        (
            b"\0\0\0\x03\x05",
            "bitfield message with 2 bytes of payload, which must be 3",
        ),
        (
            b"\xff\xff\xff\xff\x05",
            "bitfield message with 4294967294 bytes of payload, which must be 3",
        ),
        (
            b"\0\0\0\x0e\x06",
            "request message with 13 bytes of payload, which must be 12",
        ),
        (
            b"\0\0\0\x08\x07",
            "piece message with 7 bytes of payload, which must be at least 8",
        ),
        (
            b"\0\0\x40\x0a\x07",
            "piece message with 16393 bytes of payload, which may be at most 16392",
        ),
        (
            b"\0\0\0\x02\x09",
            "port message with 1 byte of payload, which must be 2",
        ),
        (
            b"\0\0\0\x01\x14",
            "extended message with 0 bytes of payload, which must be at least 1",
        ),
        (
            b"\x7f\0\0\0\x14",
            "extended message with 2130706431 bytes of payload, which may be at most 131072",
        ),
        (
            b"GET \x2f",
            "unknown message with 1195725855 bytes of payload, which may be at most 131072",
        ),
    ];
    for (bytes, error) in table {
        let refused = parse_header(bytes, LIMITS).unwrap_err();
        assert_eq!(refused.to_string(), *error);
    }
}

#[test]
fn payloads_of_the_wrong_length_are_refused() {
    for (id, payload) in [
        (0, &b"x"[..]),
        (4, b"abc"),
        (6, b"short"),
        (9, b"abc"),
        (15, b"x"),
        (20, b""),
    ] {
        assert!(Message::decode(id, payload).is_err(), "{id} {payload:?}");
    }
}

fn any_block() -> impl Strategy<Value = Block> {
    any::<(u32, u32, u32)>().prop_map(|(piece, begin, length)| block(piece, begin, length))
}

fn any_message() -> impl Strategy<Value = Message> {
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::HaveAll),
        any::<u32>().prop_map(Message::Have),
        any::<[u8; 3]>().prop_map(|bits| Message::Bitfield(bits.into())),
        any_block().prop_map(Message::Request),
        any_block().prop_map(Message::Cancel),
        any_block().prop_map(Message::RejectRequest),
        any::<u16>().prop_map(Message::Port),
        (any::<u8>(), bytes).prop_map(|(number, payload)| Message::Extended(number, payload.into())),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_decodes(message in any_message()) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        prop_assert_eq!(read(&bytes), Ok(Some(message)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40), id in any::<u8>()) {
        let _ = parse_header(&bytes, LIMITS);
        let _ = Message::decode(id, &bytes);
    }
}
