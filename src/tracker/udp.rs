//! The datagrams of UDP trackers, both directions. Layer 1, BEP 15; the URL option is BEP 41.
//!
//! All numbers are big endian.
//!
//! | request | bytes |
//! |---|---|
//! | connect | magic 8, action 0 4, transaction 4 |
//! | announce | connection 8, action 1 4, transaction 4, info-hash 20, peer id 20, downloaded 8, left 8, uploaded 8, event 4, address 4, key 4, number wanted 4, port 2, options |
//! | scrape | connection 8, action 2 4, transaction 4, info-hashes 20 each |
//!
//! | answer | bytes |
//! |---|---|
//! | connect | action 0 4, transaction 4, connection 8 |
//! | announce | action 1 4, transaction 4, interval 4, leechers 4, seeders 4, peers 6 or 18 each |
//! | scrape | action 2 4, transaction 4, (seeders 4, completed 4, leechers 4) each |
//! | error | action 3 4, transaction 4, message |

use std::net::SocketAddr;
use std::time::Duration;

use super::announce::{AnnounceRequest, Event, ScrapeCounts};
use super::compact;
use crate::id::{InfoHash, PeerId};

/// The first eight bytes of a connect request (BEP 15 §connect).
pub const PROTOCOL_MAGIC: u64 = 0x0417_2710_1980;
/// How many torrents one scrape asks for at most (BEP 15 §scrape).
pub const MAX_SCRAPE: usize = 74;

const ACTION_CONNECT: u32 = 0;
const ACTION_ANNOUNCE: u32 = 1;
const ACTION_SCRAPE: u32 = 2;
const ACTION_ERROR: u32 = 3;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_URL_DATA: u8 = 2;

/// What is wrong with a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UdpError {
    /// It ends too early.
    #[error("the datagram ends in the middle of a field")]
    Truncated,
    /// A connect request for another protocol.
    #[error("the datagram does not start with the magic number of a connect request")]
    BadMagic,
    /// No such request or answer.
    #[error("the datagram has the unknown action {0}")]
    UnknownAction(u32),
    /// No such event.
    #[error("the announce has the unknown event {0}")]
    UnknownEvent(u32),
}

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Ask for a connection id, which proves that the sender receives at its address.
    Connect {
        /// Chosen by the client, repeated in the answer.
        transaction: u32,
    },
    /// Announce.
    Announce {
        /// From the answer to a connect request.
        connection: u64,
        /// As above.
        transaction: u32,
        /// What is announced; the tracker id does not travel.
        announce: Box<AnnounceRequest>,
        /// Path and query of the tracker's URL (BEP 41); may be empty.
        url_data: Vec<u8>,
    },
    /// Ask for counts.
    Scrape {
        /// From the answer to a connect request.
        connection: u64,
        /// As above.
        transaction: u32,
        /// Up to [`MAX_SCRAPE`] torrents.
        info_hashes: Vec<InfoHash>,
    },
}

/// What a tracker answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// To a connect request.
    Connect {
        /// That of the request.
        transaction: u32,
        /// To be used for up to a minute.
        connection: u64,
    },
    /// To an announce.
    Announce {
        /// That of the request.
        transaction: u32,
        /// Time between announces, whole seconds.
        interval: Duration,
        /// Peers that do not have everything.
        leechers: u32,
        /// Peers that have everything.
        seeds: u32,
        /// Addresses of one family: that over which the datagram came.
        peers: Vec<SocketAddr>,
    },
    /// To a scrape, in the order of the request.
    Scrape {
        /// That of the request.
        transaction: u32,
        /// One for each torrent.
        files: Vec<ScrapeCounts>,
    },
    /// To anything.
    Error {
        /// That of the request.
        transaction: u32,
        /// For a person.
        message: String,
    },
}

/// Takes fields off the front of a datagram.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], UdpError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(UdpError::Truncated)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u16(&mut self) -> Result<u16, UdpError> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, UdpError> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, UdpError> {
        self.take().map(u64::from_be_bytes)
    }

    fn rest(self) -> &'a [u8] {
        self.0
    }
}

impl Request {
    /// The number that its answer repeats.
    pub fn transaction(&self) -> u32 {
        match *self {
            Self::Connect { transaction }
            | Self::Announce { transaction, .. }
            | Self::Scrape { transaction, .. } => transaction,
        }
    }

    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        let (connection, action) = match *self {
            Self::Connect { .. } => (PROTOCOL_MAGIC, ACTION_CONNECT),
            Self::Announce { connection, .. } => (connection, ACTION_ANNOUNCE),
            Self::Scrape { connection, .. } => (connection, ACTION_SCRAPE),
        };
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&connection.to_be_bytes());
        bytes.extend_from_slice(&action.to_be_bytes());
        bytes.extend_from_slice(&self.transaction().to_be_bytes());
        match self {
            Self::Connect { .. } => {}
            Self::Announce {
                announce, url_data, ..
            } => {
                encode_announce(announce, &mut bytes);
                encode_url_data(url_data, &mut bytes);
            }
            Self::Scrape { info_hashes, .. } => {
                for info_hash in info_hashes.iter().take(MAX_SCRAPE) {
                    bytes.extend_from_slice(info_hash.as_bytes());
                }
            }
        }
        bytes
    }

    /// Reads a datagram that a client sent.
    ///
    /// # Errors
    ///
    /// If it is cut short or is no request. More than [`MAX_SCRAPE`] torrents are not an error: the rest is
    /// left out.
    pub fn decode(bytes: &[u8]) -> Result<Self, UdpError> {
        let mut fields = Fields(bytes);
        let connection = fields.u64()?;
        let action = fields.u32()?;
        let transaction = fields.u32()?;
        match action {
            ACTION_CONNECT if connection == PROTOCOL_MAGIC => Ok(Self::Connect { transaction }),
            ACTION_CONNECT => Err(UdpError::BadMagic),
            ACTION_ANNOUNCE => {
                let announce = Box::new(decode_announce(&mut fields)?);
                Ok(Self::Announce {
                    connection,
                    transaction,
                    announce,
                    url_data: decode_url_data(fields.rest()),
                })
            }
            ACTION_SCRAPE => Ok(Self::Scrape {
                connection,
                transaction,
                info_hashes: {
                    let (hashes, _rest) = fields.rest().as_chunks::<20>();
                    hashes
                        .iter()
                        .take(MAX_SCRAPE)
                        .copied()
                        .map(InfoHash::new)
                        .collect()
                },
            }),
            unknown => Err(UdpError::UnknownAction(unknown)),
        }
    }
}

fn encode_announce(announce: &AnnounceRequest, bytes: &mut Vec<u8>) {
    let event: u32 = match announce.event {
        None => 0,
        Some(Event::Completed) => 1,
        Some(Event::Started) => 2,
        Some(Event::Stopped) => 3,
    };
    // -1: as many as the tracker likes.
    let num_want = announce
        .num_want
        .map_or(-1, |count| i32::try_from(count).unwrap_or(i32::MAX));
    bytes.extend_from_slice(announce.info_hash.as_bytes());
    bytes.extend_from_slice(announce.peer_id.as_bytes());
    bytes.extend_from_slice(&announce.downloaded.to_be_bytes());
    bytes.extend_from_slice(&announce.left.to_be_bytes());
    bytes.extend_from_slice(&announce.uploaded.to_be_bytes());
    bytes.extend_from_slice(&event.to_be_bytes());
    // Our address: 0, the one that the datagram comes from.
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&announce.key.to_be_bytes());
    bytes.extend_from_slice(&num_want.to_be_bytes());
    bytes.extend_from_slice(&announce.port.to_be_bytes());
}

fn decode_announce(fields: &mut Fields<'_>) -> Result<AnnounceRequest, UdpError> {
    let info_hash = InfoHash::new(fields.take()?);
    let peer_id = PeerId::new(fields.take()?);
    let downloaded = fields.u64()?;
    let left = fields.u64()?;
    let uploaded = fields.u64()?;
    let event = match fields.u32()? {
        0 => None,
        1 => Some(Event::Completed),
        2 => Some(Event::Started),
        3 => Some(Event::Stopped),
        unknown => return Err(UdpError::UnknownEvent(unknown)),
    };
    // An address in the request is ignored: anybody could enter anybody else.
    let _address = fields.u32()?;
    let key = fields.u32()?;
    let num_want = u32::try_from(i32::from_be_bytes(fields.take()?)).ok();
    let port = fields.u16()?;
    Ok(AnnounceRequest {
        info_hash,
        peer_id,
        port,
        uploaded,
        downloaded,
        left,
        event,
        num_want,
        key,
        tracker_id: None,
    })
}

/// BEP 41: the data goes in runs of up to 255 bytes; the list of options ends with the datagram.
fn encode_url_data(data: &[u8], bytes: &mut Vec<u8>) {
    for run in data.chunks(usize::from(u8::MAX)) {
        bytes.push(OPTION_URL_DATA);
        bytes.push(u8::try_from(run.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(run);
    }
}

/// Reads the options behind an announce. Unknown ones are stepped over, and what is cut short is left out:
/// an announce is good without its options.
fn decode_url_data(mut options: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            OPTION_END => break,
            OPTION_NOP => options = rest,
            _ => {
                let Some((&len, rest)) = rest.split_first() else {
                    break;
                };
                let Some((value, rest)) = rest.split_at_checked(usize::from(len)) else {
                    break;
                };
                if kind == OPTION_URL_DATA {
                    data.extend_from_slice(value);
                }
                options = rest;
            }
        }
    }
    data
}

impl Response {
    /// The number of the request that is answered.
    pub fn transaction(&self) -> u32 {
        match *self {
            Self::Connect { transaction, .. }
            | Self::Announce { transaction, .. }
            | Self::Scrape { transaction, .. }
            | Self::Error { transaction, .. } => transaction,
        }
    }

    /// The datagram. Of the peers those go along that are of the family of the first.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    /// Appends the datagram, as [`Self::encode`].
    pub fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Connect {
                transaction,
                connection,
            } => write_connect(transaction, connection, out),
            Self::Announce {
                transaction,
                interval,
                leechers,
                seeds,
                ref peers,
            } => write_announce(transaction, interval, leechers, seeds, peers, out),
            Self::Scrape {
                transaction,
                ref files,
            } => write_scrape(transaction, files, out),
            Self::Error {
                transaction,
                ref message,
            } => write_error(transaction, message, out),
        }
    }

    /// Reads a datagram that a tracker sent, over IPv6 if `v6`: that decides the length of a peer (BEP 15
    /// §IPv6).
    ///
    /// # Errors
    ///
    /// If it is cut short or is no answer.
    pub fn decode(bytes: &[u8], v6: bool) -> Result<Self, UdpError> {
        let mut fields = Fields(bytes);
        let action = fields.u32()?;
        let transaction = fields.u32()?;
        match action {
            ACTION_CONNECT => Ok(Self::Connect {
                transaction,
                connection: fields.u64()?,
            }),
            ACTION_ANNOUNCE => {
                let interval = Duration::from_secs(fields.u32()?.into());
                let leechers = fields.u32()?;
                let seeds = fields.u32()?;
                let peers = if v6 {
                    compact::peers_v6(fields.rest()).collect()
                } else {
                    compact::peers_v4(fields.rest()).collect()
                };
                Ok(Self::Announce {
                    transaction,
                    interval,
                    leechers,
                    seeds,
                    peers,
                })
            }
            ACTION_SCRAPE => {
                let (files, _rest) = fields.rest().as_chunks::<12>();
                let files = files
                    .iter()
                    .map(|file| decode_counts(file))
                    .collect::<Result<_, _>>()?;
                Ok(Self::Scrape { transaction, files })
            }
            ACTION_ERROR => Ok(Self::Error {
                transaction,
                message: String::from_utf8_lossy(fields.rest()).into_owned(),
            }),
            unknown => Err(UdpError::UnknownAction(unknown)),
        }
    }
}

fn write_head(action: u32, transaction: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&action.to_be_bytes());
    out.extend_from_slice(&transaction.to_be_bytes());
}

/// Appends the answer to a connect request.
pub fn write_connect(transaction: u32, connection: u64, out: &mut Vec<u8>) {
    write_head(ACTION_CONNECT, transaction, out);
    out.extend_from_slice(&connection.to_be_bytes());
}

/// Appends the answer to an announce. Of the peers those go along that are of the family of the first.
pub fn write_announce(
    transaction: u32,
    interval: Duration,
    leechers: u32,
    seeds: u32,
    peers: &[SocketAddr],
    out: &mut Vec<u8>,
) {
    write_head(ACTION_ANNOUNCE, transaction, out);
    let interval = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
    out.extend_from_slice(&interval.to_be_bytes());
    out.extend_from_slice(&leechers.to_be_bytes());
    out.extend_from_slice(&seeds.to_be_bytes());
    match peers.first() {
        Some(first) if first.is_ipv6() => compact::write_v6(peers, out),
        _ => compact::write_v4(peers, out),
    }
}

/// Appends the answer to a scrape.
pub fn write_scrape(transaction: u32, files: &[ScrapeCounts], out: &mut Vec<u8>) {
    write_head(ACTION_SCRAPE, transaction, out);
    for file in files {
        out.extend_from_slice(&file.seeds.to_be_bytes());
        out.extend_from_slice(&file.downloads.to_be_bytes());
        out.extend_from_slice(&file.leechers.to_be_bytes());
    }
}

/// Appends a refusal.
pub fn write_error(transaction: u32, message: &str, out: &mut Vec<u8>) {
    write_head(ACTION_ERROR, transaction, out);
    out.extend_from_slice(message.as_bytes());
}

fn decode_counts(bytes: &[u8]) -> Result<ScrapeCounts, UdpError> {
    let mut fields = Fields(bytes);
    Ok(ScrapeCounts {
        seeds: fields.u32()?,
        downloads: fields.u32()?,
        leechers: fields.u32()?,
    })
}

#[cfg(test)]
mod tests;
