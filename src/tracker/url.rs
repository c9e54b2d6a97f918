//! The URL of a tracker, taken apart. Layer 1, RFC 3986.

use std::fmt;

use ::http::Uri;

/// What trackers end their paths with.
const WORDS: [&str; 3] = ["announce", "announce.php", "scrape"];

/// Letters of a part of a URL that may be a passkey.
const SHORTEST_SECRET: usize = 8;

/// What is wrong with a tracker's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No URL, or one without a host.
    #[error("this is not a valid tracker URL")]
    Invalid,
    /// WebTorrent, I2P and the like.
    #[error("only http, https and udp trackers can be asked")]
    Scheme,
    /// UDP has no usual port.
    #[error("the URL of a udp tracker needs a port")]
    NoPort,
}

/// How a tracker is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Over TCP, with or without TLS.
    Http,
    /// By datagrams.
    Udp {
        /// Host name, or address without brackets.
        host: String,
        /// Port.
        port: u16,
        /// Path and query, for BEP 41; empty if there is nothing in them.
        url_data: Vec<u8>,
    },
}

/// A tracker's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerUrl {
    /// How it is asked.
    pub transport: Transport,
    /// Scheme, host and port: what may stand in a log. Path and query are left out, and so is a user name,
    /// since private trackers put passkeys there.
    pub origin: String,
}

impl TrackerUrl {
    /// Takes a URL apart.
    ///
    /// # Errors
    ///
    /// If it is none, or one of a kind of tracker that we cannot ask.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let uri: Uri = text.parse().map_err(|_| UrlError::Invalid)?;
        let scheme = uri.scheme_str().ok_or(UrlError::Invalid)?.to_ascii_lowercase();
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or(UrlError::Invalid)?;
        let port = uri.port_u16();
        let transport = match scheme.as_str() {
            "http" | "https" => Transport::Http,
            "udp" => Transport::Udp {
                host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
                port: port.filter(|&port| port != 0).ok_or(UrlError::NoPort)?,
                url_data: uri
                    .path_and_query()
                    .map(|path| path.as_str())
                    .filter(|&path| path != "/")
                    .unwrap_or_default()
                    .into(),
            },
            _ => return Err(UrlError::Scheme),
        };
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        Ok(Self {
            transport,
            origin: format!("{scheme}://{host}{port}"),
        })
    }
}

/// A tracker's URL as people recognise it, for logs, of a kind too that we cannot ask. Where a passkey may be, there is
/// an ellipsis: of the path only the words remain that trackers end it with, of the query nothing, and no user name.
pub fn shown(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    let Some((uri, host)) = uri.as_ref().and_then(|uri| Some((uri, uri.host()?))) else {
        return "what is no URL".to_owned();
    };
    let scheme = uri
        .scheme_str()
        .map_or(String::new(), |scheme| format!("{scheme}://"));
    let mut shown = scheme + host;
    if let Some(port) = uri.port_u16() {
        shown.push_str(&format!(":{port}"));
    }
    for part in uri.path().split('/').filter(|part| !part.is_empty()) {
        let is_word = WORDS.contains(&part);
        match is_word {
            true => shown.push_str(&format!("/{part}")),
            false if shown.ends_with("/…") => {}
            false => shown.push_str("/…"),
        }
    }
    if uri.query().is_some() {
        shown.push_str("?…");
    }
    shown
}

/// What a tracker says, without what [`shown`] leaves out of its URL: one that refuses a passkey may repeat it. Of
/// fewer than eight letters nothing is hidden, since they may be any word.
pub fn hide(text: &str, url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else {
        return text.to_owned();
    };
    let user = (uri.authority())
        .and_then(|authority| authority.as_str().rsplit_once('@'))
        .map_or("", |(user, _)| user);
    let values = (uri.query().unwrap_or_default().split('&'))
        .map(|field| field.split_once('=').map_or(field, |(_, value)| value));
    let mut secrets: Vec<&str> = uri
        .path()
        .split('/')
        .chain(values)
        .chain(user.split(':'))
        .collect();
    secrets.retain(|part| part.len() >= SHORTEST_SECRET && !WORDS.contains(part));
    // One may be part of another.
    secrets.sort_unstable_by_key(|part| std::cmp::Reverse(part.len()));
    secrets
        .iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
}

impl fmt::Display for TrackerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_without_their_secrets() {
        let origin = |text| TrackerUrl::parse(text).map(|url| url.origin);
        assert_eq!(
            origin("http://t.example/SECRET/announce?k=SECRET"),
            Ok("http://t.example".into())
        );
        assert_eq!(
            origin("https://me:SECRET@t.example:8080/a"),
            Ok("https://t.example:8080".into())
        );
        assert_eq!(origin("udp://[::1]:6969"), Ok("udp://[::1]:6969".into()));
        assert_eq!(origin("udp://t.example/announce"), Err(UrlError::NoPort));
        assert_eq!(origin("wss://t.example/announce"), Err(UrlError::Scheme));
        for text in [
            "",
            "announce",
            "/announce",
            "http://",
            "http://a b/",
            "udp://:80",
            "http:///x",
        ] {
            assert_eq!(origin(text), Err(UrlError::Invalid), "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_has_no_secrets() {
        for (url, expected) in [
            ("http://t.example:80/announce", "http://t.example:80/announce"),
            ("udp://[::1]:6969", "udp://[::1]:6969"),
            ("udp://t.example:6969/", "udp://t.example:6969"),
            (
                "https://t.example/announce.php?passkey=SECRET",
                "https://t.example/announce.php?…",
            ),
            ("http://t.example/SECRET/announce", "http://t.example/…/announce"),
            (
                "http://t.example/a/SECRET/announce",
                "http://t.example/…/announce",
            ),
            ("http://t.example/announce/SECRET", "http://t.example/announce/…"),
            (
                "https://me:SECRET@t.example/announce",
                "https://t.example/announce",
            ),
            ("wss://t.example/SECRET", "wss://t.example/…"),
            ("no url SECRET", "what is no URL"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    #[test]
    fn what_a_tracker_repeats_of_its_url_is_hidden() {
        for (url, text, expected) in [
            (
                "http://t.example/0123456789abcdef/announce",
                "passkey 0123456789abcdef not found",
                "passkey … not found",
            ),
            (
                "https://t.example/announce.php?user=joe&passkey=0123456789abcdef",
                "joe: 0123456789abcdef? No: 0123456789abcdef is banned",
                "joe: …? No: … is banned",
            ),
            (
                "http://t.example/announce?0123456789abcdef",
                "0123456789abcdef",
                "…",
            ),
            (
                "http://me:pass1234word@t.example/announce",
                "not pass1234word",
                "not …",
            ),
            ("http://t.example/abcdefgh/abcdefghi", "abcdefghi abcdefgh", "… …"),
            ("http://t.example/a/announce", "a bad announce", "a bad announce"),
            ("no url", "no luck", "no luck"),
        ] {
            assert_eq!(hide(text, url), expected, "{url}");
        }
    }

    #[test]
    fn udp_urls_keep_their_path_and_query() {
        let data = |text| match TrackerUrl::parse(text).unwrap().transport {
            Transport::Udp { host, port, url_data } => (host, port, String::from_utf8(url_data).unwrap()),
            Transport::Http => panic!("{text}"),
        };
        assert_eq!(data("udp://[::1]:80/a?b=c"), ("::1".into(), 80, "/a?b=c".into()));
        assert_eq!(data("udp://h:1"), ("h".into(), 1, String::new()));
        assert_eq!(data("UDP://h:1/"), ("h".into(), 1, String::new()));
    }
}
