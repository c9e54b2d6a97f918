//! Answers of HTTP trackers: refusals, nonsense, redirects, compression.

use super::*;

#[test]
fn what_a_tracker_says_is_shown() {
    let announcing = announcing();
    let (refusing, _seen) = http_tracker(|_| ok(&http::encode_failure("not registered")));
    announcing.start(torrent(1), &[&[&refusing]]);
    assert!(announcing.failure().contains("not registered"));

    let (forbidding, _seen) =
        http_tracker(|_| response("403 Forbidden", "", &http::encode_failure("banned")));
    announcing.start(torrent(2), &[&[&forbidding]]);
    assert!(announcing.failure().contains("banned"));

    let (warning, _seen) = http_tracker(|_| {
        ok(&http::encode_announce(&AnnounceResponse {
            warning: Some("be nice".to_owned()),
            ..good_answer()
        }))
    });
    announcing.start(torrent(3), &[&[&warning]]);
    let status = announcing.status(|trackers| trackers[0].state == TrackerState::Working);
    assert_eq!(status[0].warning.as_deref(), Some("be nice"));
}

#[test]
fn bad_answers_are_failures() {
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("a web page", ok(b"<html>")),
        ("not bencoded", ok(b"")),
        ("not a dictionary", ok(b"le")),
        ("status 404", response("404 Not Found", "", b"gone")),
        ("longer than", ok(&vec![b'x'; 2 << 20])),
        ("cannot be reached", b"garbage\r\n\r\n".to_vec()),
        ("cannot be reached", Vec::new()),
        (
            "cannot be reached",
            response("200 OK", "Content-Encoding: gzip\r\n", b"not gzip"),
        ),
    ];
    let announcing = announcing();
    for (n, (expected, answer)) in (0..).zip(table) {
        let (url, _seen) = http_tracker(move |_| answer.clone());
        announcing.start(torrent(n), &[&[&url]]);
        let reason = announcing.failure();
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
}

#[test]
fn redirects_are_followed_to_a_bound() {
    let (target, _seen) = good_tracker();
    let moved = format!("Location: {target}\r\n");
    let (redirecting, _seen) = http_tracker(move |_| response("302 Found", &moved, b""));
    let (looping, seen) = http_tracker(|_| response("302 Found", "Location: /announce?again=1\r\n", b""));
    let announcing = announcing();
    announcing.start(torrent(1), &[&[&redirecting]]);
    assert_eq!(announcing.peers(), good_answer().peers);
    announcing.start(torrent(2), &[&[&looping]]);
    assert!(announcing.failure().contains("redirects more than"));
    assert!(seen.len() <= 6);
}

#[test]
fn gzip_is_read_and_a_bomb_is_not() {
    let announcing = announcing();
    let (url, _seen) = http_tracker(|_| {
        let body = gzip(&http::encode_announce(&good_answer()));
        response("200 OK", "Content-Encoding: gzip\r\n", &body)
    });
    announcing.start(torrent(1), &[&[&url]]);
    assert_eq!(announcing.peers(), good_answer().peers);
    let (bomb, _seen) = http_tracker(|_| {
        response(
            "200 OK",
            "Content-Encoding: gzip\r\n",
            &gzip(&vec![b'x'; 4 << 20]),
        )
    });
    announcing.start(torrent(2), &[&[&bomb]]);
    assert!(announcing.failure().contains("longer than"));
}

/// A gzip file of stored blocks (RFC 1951 §3.2.4, RFC 1952 §2.3).
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks: Vec<&[u8]> = data.chunks(65535).collect();
    for (at, block) in blocks.iter().enumerate() {
        let len = u16::try_from(block.len()).unwrap();
        out.push(u8::from(at + 1 == blocks.len()));
        out.extend(len.to_le_bytes());
        out.extend((!len).to_le_bytes());
        out.extend_from_slice(block);
    }
    let crc = !data.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    });
    out.extend(crc.to_le_bytes());
    out.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    out
}

#[test]
fn addresses_in_redirects_are_not_repeated() {
    let announcing = announcing();
    for (n, location) in (0..).zip([
        "http://[SECRET/announce",
        "//[SECRET",
        "ftp://127.0.0.1/SECRET",
        "http:///SECRET",
    ]) {
        let header = format!("Location: {location}\r\n");
        let (url, _seen) = http_tracker(move |_| response("301 Moved Permanently", &header, b""));
        announcing.start(torrent(n), &[&[&url]]);
        let reason = announcing.failure();
        assert!(!reason.contains("SECRET"), "{location}: {reason}");
    }
}

#[test]
fn a_passkey_that_a_tracker_repeats_is_not_passed_on() {
    const PASSKEY: &str = "0123456789abcdef";
    let with_passkey = |url: &str| url.replace("/announce", &format!("/{PASSKEY}/announce"));
    let announcing = announcing();
    let (refusing, _seen) =
        http_tracker(|_| ok(&http::encode_failure(&format!("passkey {PASSKEY} not found"))));
    announcing.start(torrent(1), &[&[&with_passkey(&refusing)]]);
    let reason = announcing.failure();
    assert!(reason.contains("passkey … not found"), "{reason}");

    let (warning, _seen) = http_tracker(|_| {
        ok(&http::encode_announce(&AnnounceResponse {
            warning: Some(format!("{PASSKEY} expires")),
            ..good_answer()
        }))
    });
    announcing.start(torrent(2), &[&[&with_passkey(&warning)]]);
    let status = announcing.status(|trackers| trackers[0].state == TrackerState::Working);
    assert_eq!(status[0].warning.as_deref(), Some("… expires"));
}
