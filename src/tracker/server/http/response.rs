//! Responses as bytes. Layer 1, RFC 9112 §4.
//!
//! There is no `Date`: no client of a tracker keeps an answer, and every byte is sent millions of times.

use super::head::Manner;
use crate::tracker::http::write_decimal;

/// The status line of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    BodyNotWanted,
    HeadTooLarge,
    TooMany,
    VersionNotSupported,
    Unavailable,
}

impl Status {
    /// Code and words.
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::BodyNotWanted => "413 Content Too Large",
            Self::TooMany => "429 Too Many Requests",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::VersionNotSupported => "505 HTTP Version Not Supported",
            Self::Unavailable => "503 Service Unavailable",
        }
    }
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Text for people and, as every tracker sends it, bencode.
    Text,
    /// JSON.
    Json,
    /// Prometheus' text format.
    Metrics,
    /// The page, and what belongs to it.
    Html,
    /// As above.
    Css,
    /// As above.
    JavaScript,
    /// As above.
    Svg,
}

impl Content {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Json => "application/json",
            Self::Metrics => "text/plain; version=0.0.4",
            Self::Html => "text/html; charset=utf-8",
            Self::Css => "text/css; charset=utf-8",
            Self::JavaScript => "text/javascript; charset=utf-8",
            Self::Svg => "image/svg+xml",
        }
    }

    /// More headers, for what browsers show. Nothing from outside is loaded, and nothing that stands in a page runs
    /// but the script that comes as a file of its own.
    fn headers(self) -> &'static [u8] {
        match self {
            Self::Text | Self::Metrics => b"",
            Self::Json => b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
            Self::Html | Self::Css | Self::JavaScript | Self::Svg => {
                b"Cache-Control: no-cache\r\n\
                X-Content-Type-Options: nosniff\r\n\
                Referrer-Policy: no-referrer\r\n\
                Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
                img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                frame-ancestors 'none'\r\n"
            }
        }
    }
}

/// Appends a response.
pub(super) fn write(status: Status, content: Content, body: &[u8], manner: Manner, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.line().as_bytes());
    out.extend_from_slice(b"\r\nContent-Type: ");
    out.extend_from_slice(content.name().as_bytes());
    out.extend_from_slice(b"\r\nContent-Length: ");
    write_decimal(body.len() as u64, out);
    if status == Status::MethodNotAllowed {
        out.extend_from_slice(b"\r\nAllow: GET, HEAD");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(content.headers());
    match manner {
        Manner {
            keep_alive: false, ..
        } => out.extend_from_slice(b"Connection: close\r\n\r\n"),
        Manner { old: true, .. } => out.extend_from_slice(b"Connection: keep-alive\r\n\r\n"),
        _ => out.extend_from_slice(b"\r\n"),
    }
    if !manner.head_only {
        out.extend_from_slice(body);
    }
}

/// Appends the response to what could not be read; it is the last one.
pub(super) fn write_error(status: Status, out: &mut Vec<u8>) {
    write(status, Content::Text, status.line().as_bytes(), Manner::LAST, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_say_how_the_connection_goes_on() {
        let written = |manner: Manner| {
            let mut out = Vec::new();
            write(Status::Ok, Content::Text, b"body", manner, &mut out);
            String::from_utf8(out).unwrap()
        };
        let manner = |keep_alive, old, head_only| Manner {
            keep_alive,
            old,
            head_only,
        };
        let start = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n";
        assert_eq!(written(manner(true, false, false)), format!("{start}\r\nbody"));
        assert_eq!(
            written(manner(true, true, false)),
            format!("{start}Connection: keep-alive\r\n\r\nbody")
        );
        assert_eq!(
            written(manner(false, true, false)),
            format!("{start}Connection: close\r\n\r\nbody")
        );
        assert_eq!(written(manner(true, false, true)), format!("{start}\r\n"));
    }
}
