//! HTTP trackers: requests as URLs, answers as bencode, both directions. Layer 1, BEP 3 §trackers, BEP 7
//! (`peers6`), BEP 23 (compact peers), BEP 48 (scrape).
//!
//! Here is the client's half: it writes URLs and reads answers. `query` and `answer` are the tracker's.

mod answer;
mod query;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::announce::{AnnounceRequest, AnnounceResponse, ScrapeCounts, text};
use super::compact;
use crate::bencode::{self, DecodeError, Dict, Value};
use crate::id::InfoHash;

pub use answer::{
    encode_announce, encode_failure, encode_scrape, write_announce, write_decimal, write_failure,
    write_scrape,
};
pub use query::{AnnounceQuery, PeersForm, parse_announce, parse_scrape};

/// The interval of an answer that does not tell any.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(30 * 60);
/// How many peers of an answer are taken.
pub const MAX_PEERS: usize = 5000;

/// What may stand in a query as it is (RFC 3986 §2.3); all other bytes are escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What is wrong with a request or an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// A page for a browser, of an error or a login.
    #[error("what answers there is a web page, not a tracker; is its address right?")]
    WebPage,
    /// Not bencode.
    #[error("the tracker's answer is not bencoded: {0}")]
    Bencode(#[from] DecodeError),
    /// Bencode, but not a dictionary.
    #[error("the tracker's answer is not a dictionary")]
    NotADictionary,
    /// A tracker's `failure reason`.
    #[error("the tracker says: {0}")]
    Failure(String),
    /// The torrent is not in the answer to a scrape.
    #[error("the tracker does not tell of this torrent")]
    NotListed,
    /// A request without a parameter that it must have, or with a bad one.
    #[error("the request has no valid {0}")]
    BadParameter(&'static str),
}

/// The URL of an announce: that of the tracker, whose query (a passkey, say) is kept, and the parameters.
pub fn announce_url(tracker: &str, request: &AnnounceRequest) -> String {
    let mut url = String::from(without_fragment(tracker));
    let mut push = |name: &str, value: &[u8]| push_parameter(&mut url, name, value);
    push("info_hash", request.info_hash.as_bytes());
    push("peer_id", request.peer_id.as_bytes());
    push("port", request.port.to_string().as_bytes());
    push("uploaded", request.uploaded.to_string().as_bytes());
    push("downloaded", request.downloaded.to_string().as_bytes());
    push("left", request.left.to_string().as_bytes());
    push("compact", b"1");
    push("key", format!("{:08X}", request.key).as_bytes());
    if let Some(num_want) = request.num_want {
        push("numwant", num_want.to_string().as_bytes());
    }
    if let Some(event) = request.event {
        push("event", event.as_str().as_bytes());
    }
    if let Some(tracker_id) = &request.tracker_id {
        push("trackerid", tracker_id);
    }
    url
}

/// The URL of a scrape, if the tracker's has the form that allows one: the last path segment starts with
/// `announce` (BEP 48 §scrape).
pub fn scrape_url(tracker: &str, info_hash: &InfoHash) -> Option<String> {
    let tracker = without_fragment(tracker);
    let path_end = tracker.find('?').unwrap_or(tracker.len());
    let (path, query) = tracker.split_at_checked(path_end)?;
    let (before, last) = path.rsplit_once('/')?;
    let rest = last.strip_prefix("announce")?;
    let mut url = format!("{before}/scrape{rest}{query}");
    push_parameter(&mut url, "info_hash", info_hash.as_bytes());
    Some(url)
}

fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(url, _)| url)
}

fn push_parameter(url: &mut String, name: &str, value: &[u8]) {
    let separator = match url.find('?') {
        None => "?",
        Some(_) if url.ends_with(['?', '&']) => "",
        Some(_) => "&",
    };
    url.push_str(separator);
    url.push_str(name);
    url.push('=');
    url.extend(percent_encode(value, ESCAPED));
}

/// Reads the answer to an announce: compact and dictionary peers, `peers6`.
///
/// # Errors
///
/// If it is not a bencoded dictionary, or the tracker refused. Fields that are missing or have a wrong type
/// are not errors.
pub fn decode_announce(body: &[u8]) -> Result<AnnounceResponse, HttpError> {
    let dict = decode_dict(body)?;
    let mut peers = dict.get("peers").map(decode_peers).unwrap_or_default();
    peers.extend(dict.bytes("peers6").into_iter().flat_map(compact::peers_v6));
    peers.truncate(MAX_PEERS);
    Ok(AnnounceResponse {
        interval: seconds(dict, "interval").unwrap_or(DEFAULT_INTERVAL),
        min_interval: seconds(dict, "min interval"),
        tracker_id: dict.bytes("tracker id").map(<[u8]>::to_vec),
        warning: dict.bytes("warning message").map(text),
        seeds: count(dict, "complete"),
        leechers: count(dict, "incomplete"),
        downloads: count(dict, "downloaded"),
        peers,
    })
}

/// Reads what the answer to a scrape says of one torrent.
///
/// # Errors
///
/// If it is not a bencoded dictionary, the tracker refused, or the torrent is not in it.
pub fn decode_scrape(body: &[u8], info_hash: &InfoHash) -> Result<ScrapeCounts, HttpError> {
    let dict = decode_dict(body)?;
    let files = dict.dict("files").ok_or(HttpError::NotListed)?;
    let (_, file) = files
        .iter()
        .find(|(key, _)| key == info_hash.as_bytes())
        .ok_or(HttpError::NotListed)?;
    let file = file.as_dict().ok_or(HttpError::NotListed)?;
    Ok(ScrapeCounts {
        seeds: count(file, "complete").unwrap_or(0),
        downloads: count(file, "downloaded").unwrap_or(0),
        leechers: count(file, "incomplete").unwrap_or(0),
    })
}

/// Whether these bytes are a tracker's own refusal: trackers send it with all kinds of status codes.
pub fn failure_reason(body: &[u8]) -> Option<String> {
    match decode_dict(body) {
        Err(HttpError::Failure(reason)) => Some(reason),
        _ => None,
    }
}

fn decode_dict(body: &[u8]) -> Result<Dict<'_>, HttpError> {
    if body.trim_ascii_start().starts_with(b"<") {
        return Err(HttpError::WebPage);
    }
    let dict = bencode::decode(body)?
        .as_dict()
        .ok_or(HttpError::NotADictionary)?;
    match dict.bytes("failure reason") {
        Some(reason) => Err(HttpError::Failure(text(reason))),
        None => Ok(dict),
    }
}

fn decode_peers(peers: Value<'_>) -> Vec<SocketAddr> {
    if let Some(bytes) = peers.as_bytes() {
        return compact::peers_v4(bytes).collect();
    }
    let list = peers.as_list().into_iter().flatten();
    list.filter_map(|peer| decode_peer(peer.as_dict()?))
        .take(MAX_PEERS)
        .collect()
}

/// A peer as a dictionary. BEP 3 allows host names for `ip`; nobody sends them and they are left out.
fn decode_peer(peer: Dict<'_>) -> Option<SocketAddr> {
    let ip: IpAddr = peer.str("ip")?.parse().ok()?;
    let port = u16::try_from(peer.int("port")?).ok()?;
    (port != 0).then(|| SocketAddr::new(ip.to_canonical(), port))
}

fn seconds(dict: Dict<'_>, key: &str) -> Option<Duration> {
    u32::try_from(dict.int(key)?)
        .ok()
        .map(|seconds| Duration::from_secs(seconds.into()))
}

fn count(dict: Dict<'_>, key: &str) -> Option<u32> {
    u32::try_from(dict.int(key)?).ok()
}

#[cfg(test)]
mod tests;
