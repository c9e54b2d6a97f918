//! The head of a request. Layer 1, RFC 9110 and RFC 9112.

use std::mem::MaybeUninit;
use std::net::IpAddr;

use super::response::Status;

/// Longest head. 120 info-hashes of a scrape fit in, and no client sends half of it otherwise.
pub(super) const MAX_HEAD: usize = 8192;
/// Most headers; browsers and proxies send some 20.
const MAX_HEADERS: usize = 64;

/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    /// Whether the connection stays open afterwards.
    pub(super) keep_alive: bool,
    /// HTTP/1.0, which has to be told that the connection stays open.
    pub(super) old: bool,
    /// `HEAD`: the answer without its body.
    pub(super) head_only: bool,
}

impl Manner {
    /// For answers to what could not be read.
    pub(super) const LAST: Self = Self {
        keep_alive: false,
        old: false,
        head_only: false,
    };
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head<'b> {
    /// The path, as it stands there.
    pub(super) path: &'b str,
    /// What follows the question mark.
    pub(super) query: &'b str,
    /// The value of the header in which a proxy names its client; the last one, if there are several.
    pub(super) forwarded: Option<&'b [u8]>,
    /// How to answer.
    pub(super) manner: Manner,
}

/// What the bytes at hand are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed<'b> {
    /// The beginning of a head.
    Partial,
    /// A whole one.
    Whole {
        /// How many bytes it takes.
        len: usize,
        /// What it says.
        head: Head<'b>,
    },
    /// Something that is not answered but with this status, and after which nothing can be read.
    Bad(Status),
}

/// Reads a head. `proxy_header` is the name, in small letters, of the header for [`Head::forwarded`].
pub(super) fn parse<'b>(bytes: &'b [u8], proxy_header: &str) -> Parsed<'b> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    let len = match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete(len)) if len <= MAX_HEAD => len,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Parsed::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Parsed::Bad(Status::HeadTooLarge),
        Err(httparse::Error::Version) => return Parsed::Bad(Status::VersionNotSupported),
        Err(_) => return Parsed::Bad(Status::BadRequest),
    };
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Parsed::Bad(Status::BadRequest);
    };
    let head_only = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Parsed::Bad(Status::MethodNotAllowed),
    };
    let old = version == 0;
    let mut keep_alive = !old;
    let mut forwarded = None;
    for header in request.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("connection") {
            keep_alive = keeps_alive(header.value, keep_alive);
        } else if is("transfer-encoding") || (is("content-length") && header.value != b"0") {
            // Requests with bodies are for servers that want some; what follows cannot be told from a request.
            return Parsed::Bad(Status::BodyNotWanted);
        } else if is(proxy_header) {
            forwarded = Some(header.value);
        }
    }
    let target = path_of(target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Parsed::Whole {
        len,
        head: Head {
            path,
            query,
            forwarded,
            manner: Manner {
                keep_alive,
                old,
                head_only,
            },
        },
    }
}

/// `Connection: close` and `Connection: keep-alive` (RFC 9112 §9.3); other options mean nothing to us.
fn keeps_alive(value: &[u8], before: bool) -> bool {
    let options = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    options.fold(before, |keep, option| {
        if option.eq_ignore_ascii_case(b"close") {
            false
        } else {
            keep || option.eq_ignore_ascii_case(b"keep-alive")
        }
    })
}

/// The path and query of `http://host/path?query`, which is how proxies are asked (RFC 9112 §3.2.2).
fn path_of(target: &str) -> &str {
    let absolute = target
        .get(..7)
        .filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
    match absolute.and_then(|_| target.get(7..)) {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    }
}

/// The client that a trusted proxy names: the last entry of its header, which is the one that the proxy itself has
/// added. Those before it can be anybody's invention.
pub(super) fn forwarded_for(value: &[u8]) -> Option<IpAddr> {
    let last = value.rsplit(|&byte| byte == b',').next()?;
    let text = std::str::from_utf8(last).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address: IpAddr = bare.unwrap_or(text).parse().ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &str) -> Head<'_> {
        match parse(text.as_bytes(), "x-forwarded-for") {
            Parsed::Whole { len, head } => {
                assert_eq!(len, text.len());
                head
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn targets_are_taken_apart() {
        for (target, path, query) in [
            ("/announce?a=b&c", "/announce", "a=b&c"),
            ("/announce", "/announce", ""),
            ("/a?b?c", "/a", "b?c"),
            ("http://t:80/announce?x", "/announce", "x"),
            ("HTTP://t", "/", ""),
            ("*", "*", ""),
        ] {
            let text = format!("GET {target} HTTP/1.1\r\n\r\n");
            let head = whole(&text);
            assert_eq!((head.path, head.query), (path, query), "{target}");
        }
    }

    #[test]
    fn connections_stay_open_as_the_versions_want() {
        for (version, header, keep_alive) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "connection: Keep-Alive\r\n", true),
            ("1.1", "Connection: upgrade, CLOSE\r\n", false),
            ("1.1", "Connection: keep-alive, close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: keep-alive\r\n", true),
            ("1.0", "Connection: foo ,Keep-Alive\r\n", true),
            ("1.0", "Connection: close\r\n", false),
        ] {
            let text = format!("GET / HTTP/{version}\r\nHost: x\r\n{header}\r\n");
            let manner = whole(&text).manner;
            assert_eq!(
                (manner.keep_alive, manner.old),
                (keep_alive, version == "1.0"),
                "{text:?}"
            );
        }
        assert!(whole("HEAD / HTTP/1.1\r\n\r\n").manner.head_only);
        assert_eq!(whole("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").path, "/");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MAX_HEAD));
        let endless = "GET /".to_owned() + &"a".repeat(MAX_HEAD);
        for (text, status) in [
            ("POST /announce HTTP/1.1\r\n\r\n", Status::MethodNotAllowed),
            ("get / HTTP/1.1\r\n\r\n", Status::MethodNotAllowed),
            ("GET / HTTP/2.0\r\n", Status::VersionNotSupported),
            (
                "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
                Status::BodyNotWanted,
            ),
            (
                "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                Status::BodyNotWanted,
            ),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", Status::BadRequest),
            ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", Status::BadRequest),
            ("d1:ad2:id20:", Status::BadRequest),
            (&many, Status::HeadTooLarge),
            (&long, Status::HeadTooLarge),
            (&endless, Status::HeadTooLarge),
        ] {
            assert_eq!(parse(text.as_bytes(), "x"), Parsed::Bad(status), "{text:?}");
        }
    }

    #[test]
    fn a_head_is_partial_until_its_last_byte() {
        let text = b"GET /announce?x HTTP/1.1\r\nHost: t\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(parse(&text[..end], "x"), Parsed::Partial, "{end}");
        }
    }

    #[test]
    fn the_last_address_of_the_last_header_is_the_client() {
        for (value, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("203.0.113.9, 192.0.2.1", Some("192.0.2.1")),
            ("unknown,192.0.2.1 ", Some("192.0.2.1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("192.0.2.1,", None),
            ("192.0.2.1:80", None),
            ("", None),
        ] {
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(forwarded_for(value.as_bytes()), expected, "{value:?}");
        }
        let text = "GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\n\r\n";
        assert_eq!(whole(text).forwarded, Some(&b"2.2.2.2"[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, text in "(GET|HEAD) [ -~]{0,40} HTTP/1.[01]\r\n([ -~]{0,20}\r\n){0,3}") {
            let _ = parse(&bytes, "x");
            let _ = parse(text.as_bytes(), "x");
            let _ = forwarded_for(&bytes);
        }
    }
}
