use proptest::prelude::*;

use super::*;

const HEAD: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 7];

#[test]
fn a_connect_request_is_16_bytes() {
    let bytes = Request::Connect { transaction: 7 }.encode();
    assert_eq!(
        bytes,
        [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 0, 0, 0, 7]
    );
    assert_eq!(Request::decode(&bytes), Ok(Request::Connect { transaction: 7 }));
    for len in 0..bytes.len() {
        assert_eq!(Request::decode(&bytes[..len]), Err(UdpError::Truncated));
    }
    assert_eq!(Request::decode(&[0; 16]), Err(UdpError::BadMagic));
    assert_eq!(
        Request::decode(&[9; 16]),
        Err(UdpError::UnknownAction(0x0909_0909))
    );
}

#[test]
fn bad_answers_are_refused() {
    for (name, bytes, expected) in [
        ("nothing", &[][..], UdpError::Truncated),
        ("no transaction", &HEAD[..7], UdpError::Truncated),
        ("connect without an id", &HEAD[..], UdpError::Truncated),
        (
            "announce without counts",
            &[0, 0, 0, 1, 0, 0, 0, 7, 0, 0],
            UdpError::Truncated,
        ),
        ("unknown", &[0, 0, 0, 4, 0, 0, 0, 7], UdpError::UnknownAction(4)),
    ] {
        assert_eq!(Response::decode(bytes, false), Err(expected), "{name}");
    }
}

#[test]
fn options_are_read_whatever_stands_between() {
    for (name, options, expected) in [
        ("none", &[][..], &b""[..]),
        ("url", &[2, 1, b'/'], b"/"),
        ("nop and unknown", &[1, 9, 2, 0, 0, 2, 1, b'a', 2, 1, b'b'], b"ab"),
        ("behind the end", &[0, 2, 1, b'a'], b""),
        ("cut short", &[2, 1, b'a', 2, 5, b'b'], b"a"),
        ("no length", &[2], b""),
    ] {
        assert_eq!(decode_url_data(options), expected, "{name}");
    }
}

proptest! {
    #[test]
    fn announces_round_trip(
        connection: u64, transaction: u32, totals: (u64, u64, u64), port: u16, key: u32,
        num_want in prop::option::of(0..=0x7fff_ffff_u32), url_data in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let request = Request::Announce {
            connection,
            transaction,
            announce: Box::new(AnnounceRequest {
                info_hash: InfoHash::new([1; 20]),
                peer_id: PeerId::new([2; 20]),
                port,
                uploaded: totals.0,
                downloaded: totals.1,
                left: totals.2,
                event: Some(Event::Completed),
                num_want,
                key,
                tracker_id: None,
            }),
            url_data,
        };
        let bytes = request.encode();
        prop_assert_eq!(Request::decode(&bytes), Ok(request));
        prop_assert_eq!(Request::decode(&bytes[..97]), Err(UdpError::Truncated));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, v6: bool) {
        let _ = Request::decode(&bytes);
        let _ = Response::decode(&bytes, v6);
    }
}
