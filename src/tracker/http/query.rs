//! Requests as a tracker receives them: the query behind `/announce?` and `/scrape?`. Layer 1.
//!
//! Nothing is allocated but for a `trackerid`: a busy tracker reads tens of thousands of these a second.

use std::net::IpAddr;

use percent_encoding::percent_decode_str;

use super::HttpError;
use crate::id::{InfoHash, PeerId};
use crate::tracker::announce::{AnnounceRequest, Event};

/// How the peers of an answer are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PeersForm {
    /// Runs of 6 and of 18 bytes (BEP 23, BEP 7): what nearly everybody wants, so also for those who do not say.
    #[default]
    Compact,
    /// A list of dictionaries, for `compact=0`. They never hold a `peer id`, as if `no_peer_id` were always
    /// given: this tracker does not keep them.
    Dictionaries,
}

/// An announce in a query, with what only HTTP can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceQuery {
    /// What every protocol says.
    pub request: AnnounceRequest,
    /// How the answer should look.
    pub form: PeersForm,
    /// The address that the sender claims to have. Anybody can enter anybody else here, so it counts only from
    /// those who are trusted. Host names, which BEP 3 allows, are not taken.
    pub ip: Option<IpAddr>,
}

/// Reads the query of an announce. Of a parameter that is given twice, the first counts.
///
/// `left` may be missing: who does not know yet how large the torrent is has not got it, and counts as a
/// leech.
///
/// # Errors
///
/// If the info-hash, peer id or port is missing or not valid.
pub fn parse_announce(query: &str) -> Result<AnnounceQuery, HttpError> {
    let mut fields = Fields::default();
    for (name, value) in parameters(query) {
        fields.take(name, value);
    }
    let event = match fields.event {
        Some("started") => Some(Event::Started),
        Some("completed") => Some(Event::Completed),
        Some("stopped") => Some(Event::Stopped),
        _ => None,
    };
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    let bad = HttpError::BadParameter;
    let request = AnnounceRequest {
        info_hash: fields
            .info_hash
            .and_then(hash)
            .map(InfoHash::new)
            .ok_or(bad("info_hash"))?,
        peer_id: fields
            .peer_id
            .and_then(hash)
            .map(PeerId::new)
            .ok_or(bad("peer_id"))?,
        port: number(fields.port)
            .and_then(|port| u16::try_from(port).ok())
            .ok_or(bad("port"))?,
        uploaded: number(fields.uploaded).unwrap_or(0),
        downloaded: number(fields.downloaded).unwrap_or(0),
        left: number(fields.left).unwrap_or(u64::MAX),
        event,
        num_want: number(fields.num_want).and_then(|count| u32::try_from(count).ok()),
        key: fields
            .key
            .and_then(|key| u32::from_str_radix(key, 16).ok())
            .unwrap_or(0),
        tracker_id: fields.tracker_id.map(|id| percent_decode_str(id).collect()),
    };
    Ok(AnnounceQuery {
        request,
        form: match fields.compact {
            Some("0") => PeersForm::Dictionaries,
            _ => PeersForm::Compact,
        },
        ip: fields.ip.and_then(address),
    })
}

/// Reads the query of a scrape: the torrents that it asks for, wrong ones left out.
pub fn parse_scrape(query: &str) -> impl Iterator<Item = InfoHash> + '_ {
    parameters(query)
        .filter(|(name, _)| *name == "info_hash")
        .filter_map(|(_, value)| hash(value).map(InfoHash::new))
}

/// The values as they stand in the query.
#[derive(Default)]
struct Fields<'q> {
    info_hash: Option<&'q str>,
    peer_id: Option<&'q str>,
    port: Option<&'q str>,
    uploaded: Option<&'q str>,
    downloaded: Option<&'q str>,
    left: Option<&'q str>,
    event: Option<&'q str>,
    num_want: Option<&'q str>,
    key: Option<&'q str>,
    tracker_id: Option<&'q str>,
    compact: Option<&'q str>,
    ip: Option<&'q str>,
}

impl<'q> Fields<'q> {
    fn take(&mut self, name: &str, value: &'q str) {
        let field = match name {
            "info_hash" => &mut self.info_hash,
            "peer_id" => &mut self.peer_id,
            "port" => &mut self.port,
            "uploaded" => &mut self.uploaded,
            "downloaded" => &mut self.downloaded,
            "left" => &mut self.left,
            "event" => &mut self.event,
            "numwant" => &mut self.num_want,
            "key" => &mut self.key,
            "trackerid" => &mut self.tracker_id,
            "compact" => &mut self.compact,
            "ip" => &mut self.ip,
            _ => return,
        };
        field.get_or_insert(value);
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}

/// Twenty bytes, escaped.
fn hash(value: &str) -> Option<[u8; 20]> {
    let mut decoded = percent_decode_str(value);
    let mut bytes = [0; 20];
    for byte in &mut bytes {
        *byte = decoded.next()?;
    }
    decoded.next().is_none().then_some(bytes)
}

/// An IP address; the colons of IPv6 may be escaped.
fn address(value: &str) -> Option<IpAddr> {
    let text = percent_decode_str(value).decode_utf8().ok()?;
    Some(text.parse::<IpAddr>().ok()?.to_canonical())
}
