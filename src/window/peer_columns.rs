//! The columns of the table of connections. Layer 4.

use dtorrent::engine::api::PeerDetail;

use super::columns::{Column, column, number};
use super::i18n::tr;
use super::{peer_words, words};

pub(crate) const COLUMNS: [Column<PeerDetail>; 14] = [
    column(
        || tr!("IP and Port"),
        |peer| peer.addr.to_string(),
        |one, other| one.addr.cmp(&other.addr),
    ),
    // Known only by a database that was configured.
    Column {
        rare: true,
        ..column(
            || tr!("Country"),
            |peer| peer.country.clone().unwrap_or_else(|| words::NONE.to_owned()),
            |one, other| one.country.cmp(&other.country),
        )
    },
    column(
        || tr!("Client"),
        |peer| peer.client.clone(),
        |one, other| one.client.cmp(&other.client),
    ),
    Column {
        meaning: Some(peer_words::meanings),
        ..column(
            || tr!("Flags"),
            peer_words::letters,
            |one, other| peer_words::letters(one).cmp(&peer_words::letters(other)),
        )
    },
    number(
        || tr!("Progress"),
        |peer| words::percent(peer.progress),
        |one, other| one.progress.total_cmp(&other.progress),
    ),
    number(
        || tr!("Download"),
        |peer| words::rate(peer.download_rate),
        |one, other| one.download_rate.cmp(&other.download_rate),
    ),
    number(
        || tr!("Upload"),
        |peer| words::rate(peer.upload_rate),
        |one, other| one.upload_rate.cmp(&other.upload_rate),
    ),
    number(
        || tr!("Received"),
        |peer| words::size(peer.downloaded),
        |one, other| one.downloaded.cmp(&other.downloaded),
    ),
    number(
        || tr!("Sent"),
        |peer| words::size(peer.uploaded),
        |one, other| one.uploaded.cmp(&other.uploaded),
    ),
    column(
        || tr!("Peer’s State"),
        words::peer_state,
        |one, other| {
            (one.peer_choking, !one.peer_interested).cmp(&(other.peer_choking, !other.peer_interested))
        },
    ),
    column(
        || tr!("Our State"),
        words::own_state,
        |one, other| (one.am_choking, !one.am_interested).cmp(&(other.am_choking, !other.am_interested)),
    ),
    column(
        || tr!("Connection"),
        peer_words::connection,
        |one, other| one.incoming.cmp(&other.incoming),
    ),
    column(
        || tr!("Why"),
        peer_words::why,
        |one, other| peer_words::why(one).cmp(&peer_words::why(other)),
    ),
    column(
        || tr!("Peer ID"),
        |peer| peer.peer_id.clone(),
        |one, other| one.peer_id.cmp(&other.peer_id),
    ),
];
