//! Answers as a tracker writes them: bencode, straight into a buffer that the caller reuses. Layer 1.
//!
//! The keys stand in the order that bencode wants (BEP 3 §bencoding), so nothing has to be sorted.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::query::PeersForm;
use crate::id::InfoHash;
use crate::tracker::announce::{AnnounceResponse, ScrapeCounts};
use crate::tracker::compact;

/// Writes the answer to an announce with compact peers.
pub fn encode_announce(response: &AnnounceResponse) -> Vec<u8> {
    let mut out = Vec::new();
    write_announce(response, PeersForm::Compact, &mut out);
    out
}

/// Appends the answer to an announce.
pub fn write_announce(response: &AnnounceResponse, form: PeersForm, out: &mut Vec<u8>) {
    out.push(b'd');
    write_count(b"8:complete", response.seeds, out);
    write_count(b"10:downloaded", response.downloads, out);
    write_count(b"10:incomplete", response.leechers, out);
    write_seconds(b"8:interval", response.interval, out);
    if let Some(time) = response.min_interval {
        write_seconds(b"12:min interval", time, out);
    }
    match form {
        PeersForm::Compact => write_compact(&response.peers, out),
        PeersForm::Dictionaries => write_dictionaries(&response.peers, out),
    }
    if let Some(id) = &response.tracker_id {
        out.extend_from_slice(b"10:tracker id");
        write_bytes(id, out);
    }
    if let Some(warning) = &response.warning {
        out.extend_from_slice(b"15:warning message");
        write_bytes(warning.as_bytes(), out);
    }
    out.push(b'e');
}

/// Writes a refusal.
pub fn encode_failure(reason: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_failure(reason, &mut out);
    out
}

/// Appends a refusal.
pub fn write_failure(reason: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"d14:failure reason");
    write_bytes(reason.as_bytes(), out);
    out.push(b'e');
}

/// Writes the answer to a scrape.
pub fn encode_scrape(files: &[(InfoHash, ScrapeCounts)]) -> Vec<u8> {
    let mut files = files.to_vec();
    let mut out = Vec::new();
    write_scrape(&mut files, &mut out);
    out
}

/// Appends the answer to a scrape; `files` are put in order, and of several with one info-hash one stays.
pub fn write_scrape(files: &mut Vec<(InfoHash, ScrapeCounts)>, out: &mut Vec<u8>) {
    files.sort_unstable_by_key(|(info_hash, _)| *info_hash);
    files.dedup_by_key(|(info_hash, _)| *info_hash);
    out.extend_from_slice(b"d5:filesd");
    for (info_hash, counts) in files {
        out.extend_from_slice(b"20:");
        out.extend_from_slice(info_hash.as_bytes());
        out.push(b'd');
        write_count(b"8:complete", Some(counts.seeds), out);
        write_count(b"10:downloaded", Some(counts.downloads), out);
        write_count(b"10:incomplete", Some(counts.leechers), out);
        out.push(b'e');
    }
    out.extend_from_slice(b"ee");
}

/// Appends a number as its decimal digits.
pub fn write_decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        // Below ten: it fits.
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

fn write_count(key: &[u8], count: Option<u32>, out: &mut Vec<u8>) {
    if let Some(count) = count {
        out.extend_from_slice(key);
        write_integer(count.into(), out);
    }
}

fn write_seconds(key: &[u8], time: Duration, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    write_integer(time.as_secs(), out);
}

fn write_integer(number: u64, out: &mut Vec<u8>) {
    out.push(b'i');
    write_decimal(number, out);
    out.push(b'e');
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_decimal(bytes.len() as u64, out);
    out.push(b':');
    out.extend_from_slice(bytes);
}

/// `peers` is always there; `peers6` only when it holds something.
fn write_compact(peers: &[SocketAddr], out: &mut Vec<u8>) {
    let v4 = peers.iter().filter(|peer| is_v4(peer)).count();
    out.extend_from_slice(b"5:peers");
    write_decimal((v4 * compact::V4_LEN) as u64, out);
    out.push(b':');
    compact::write_v4(peers, out);
    if v4 < peers.len() {
        out.extend_from_slice(b"6:peers6");
        write_decimal(((peers.len() - v4) * compact::V6_LEN) as u64, out);
        out.push(b':');
        compact::write_v6(peers, out);
    }
}

fn is_v4(peer: &SocketAddr) -> bool {
    matches!(peer.ip().to_canonical(), IpAddr::V4(_))
}

fn write_dictionaries(peers: &[SocketAddr], out: &mut Vec<u8>) {
    out.extend_from_slice(b"5:peersl");
    let mut text = Vec::with_capacity(40);
    for peer in peers {
        text.clear();
        // Writing to memory does not fail.
        let _ = write!(text, "{}", peer.ip().to_canonical());
        out.extend_from_slice(b"d2:ip");
        write_bytes(&text, out);
        out.extend_from_slice(b"4:port");
        write_integer(peer.port().into(), out);
        out.push(b'e');
    }
    out.push(b'e');
}
