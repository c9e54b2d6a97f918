//! One datagram in, at most one out. Layer 3, but it opens nothing.
//!
//! Until its connection id is proven, a sender gets nothing that is longer than what it sent: whoever forges the
//! address of a victim wins nothing by sending through us.

use std::net::SocketAddr;

use super::super::access::{self, Access};
use super::super::front::Front;
use super::super::refusal::Refusal;
use super::super::seam::{Late, ReturnTo};
use crate::tracker::announce::AnnounceRequest;
use crate::tracker::compact::{V4_LEN, V6_LEN};
use crate::tracker::swarm::Families;
use crate::tracker::udp::{self, Request};

/// Longest answer: it goes through any IPv6 network in one piece (1,280 bytes less the headers), as through almost
/// any IPv4 one.
const MAX_ANSWER: usize = 1232;
/// Bytes of an answer before its peers.
const ANNOUNCE_HEAD: usize = 20;

/// Appends the answer to `out`. Nothing is appended if there is none, or none yet.
pub(super) fn answer(front: &mut Front, datagram: &[u8], client: SocketAddr, out: &mut Vec<u8>) {
    if !front.admits(client.ip()) {
        // In silence: an answer would cost more than the question.
        front.counters.refused(Refusal::TooMany);
        return;
    }
    let Ok(request) = Request::decode(datagram) else {
        front.counters.malformed.add(1);
        return;
    };
    let transaction = request.transaction();
    let start = out.len();
    if let Err(refusal) = obey(front, &request, client, out) {
        front.counters.refused(refusal);
        write_refusal(transaction, refusal, out);
        // A scrape of nothing is shorter than the words for it.
        if refusal == Refusal::Connection && out.len() - start > datagram.len() {
            out.truncate(start);
        }
    }
}

fn obey(front: &mut Front, request: &Request, client: SocketAddr, out: &mut Vec<u8>) -> Result<(), Refusal> {
    match request {
        Request::Connect { transaction } => {
            front.counters.connects.add(1);
            let id = front.shared.connection_ids.issue(client.ip(), front.second);
            udp::write_connect(*transaction, id, out);
            Ok(())
        }
        Request::Announce {
            connection,
            transaction,
            announce,
            url_data,
        } => {
            check_connection(front, *connection, client)?;
            check_passkey(&front.rules().access, url_data)?;
            obey_announce(front, announce, client, *transaction, out)
        }
        Request::Scrape {
            connection,
            transaction,
            info_hashes,
        } => {
            check_connection(front, *connection, client)?;
            // A scrape has no room for one.
            check_passkey(&front.rules().access, b"")?;
            let to = ReturnTo::Udp {
                client,
                transaction: *transaction,
            };
            if let Some(scraped) = front.scrape(info_hashes.iter().copied(), to) {
                udp::write_scrape(*transaction, scraped?.counts, out);
            }
            Ok(())
        }
    }
}

fn obey_announce(
    front: &mut Front,
    request: &AnnounceRequest,
    client: SocketAddr,
    transaction: u32,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let (families, peer_len) = match client {
        SocketAddr::V4(_) => (Families::V4, V4_LEN),
        SocketAddr::V6(_) => (Families::V6, V6_LEN),
    };
    let most = (MAX_ANSWER - ANNOUNCE_HEAD) / peer_len;
    let announce = front.rules().admit(request, client.ip(), None, families, most)?;
    let interval = front.interval();
    if let Some(answer) = front.announce(&announce, ReturnTo::Udp { client, transaction }) {
        let answer = answer?;
        let counts = answer.counts;
        udp::write_announce(
            transaction,
            interval,
            counts.leechers,
            counts.seeds,
            &answer.peers,
            out,
        );
    }
    Ok(())
}

fn check_connection(front: &Front, connection: u64, client: SocketAddr) -> Result<(), Refusal> {
    let ids = &front.shared.connection_ids;
    ids.accepts(connection, client.ip(), front.second)
        .then_some(())
        .ok_or(Refusal::Connection)
}

/// The passkey stands in the path that BEP 41 sends along.
fn check_passkey(access: &Access, url_data: &[u8]) -> Result<(), Refusal> {
    if access.passkeys.is_none() {
        return Ok(());
    }
    let url = std::str::from_utf8(url_data).unwrap_or_default();
    let path = url.split('?').next().unwrap_or_default();
    let passkey = access::parse_path(path).and_then(|(_, passkey)| passkey);
    access.check_passkey(passkey)
}

fn write_refusal(transaction: u32, refusal: Refusal, out: &mut Vec<u8>) {
    udp::write_error(transaction, &refusal.to_string(), out);
}

/// Appends an answer that came later.
pub(super) fn write_late(transaction: u32, late: &Late, interval: std::time::Duration, out: &mut Vec<u8>) {
    match late {
        Late::Announced(answer) => {
            let counts = answer.counts;
            udp::write_announce(
                transaction,
                interval,
                counts.leechers,
                counts.seeds,
                &answer.peers,
                out,
            );
        }
        Late::Scraped(counts) => udp::write_scrape(transaction, counts, out),
        Late::Refused(refusal) => write_refusal(transaction, *refusal, out),
        // Nobody can ask for that by UDP.
        Late::Found(_) => write_refusal(transaction, Refusal::Unanswered, out),
    }
}

#[cfg(test)]
mod tests;
