//! The bytes of [`DataMessage`]. Layer 1.
//!
//! The kind is that of the frame ([`crate::ring::frame`]); its body are the fields in the order of the type, with the
//! alphabet of [`crate::ring::codec`].
//!
//! | field | bytes |
//! |---|---|
//! | arc | after 20, upto 20 |
//! | session | shard 1, number 4 |
//! | peer's value | version and state 8 (the state in the lower two bits), seconds left 2 |
//! | record | info-hash 20, peer 7 or 19, value 10 |
//! | entries | groups of: info-hash 20, records 2, counters 2, then (peer, value) and (node 4, count 4) each |
//! | list | how many 2, then the items |
//! | optional field | 0 or 1, then the field |

use std::net::SocketAddr;

use super::{
    Answer, BUCKETS_A_SHARD, DataMessage, Entries, MAX_PEERS, MAX_RECORDS, MAX_RUNS, MAX_SWARMS, Purpose,
    Refusal, Run, Session,
};
use crate::id::InfoHash;
use crate::ring::codec::{DecodeError, Reader, Writer};
use crate::ring::contact::Contact;
use crate::ring::interval::Interval;
use crate::tracker::announce::ScrapeCounts;
use crate::tracker::swarm::{
    BucketDigest, Downloads, Families, Forgotten, Full, PeerAnnounce, PeerState, Record, SHARDS, Version,
    canonical,
};

/// Bytes of an IPv4 peer.
const SHORTEST_PEER: usize = 7;

/// The kinds of frame.
mod kind {
    use crate::ring::frame::kind::DATA;

    pub(super) const ANNOUNCE: u8 = DATA;
    pub(super) const SCRAPE: u8 = DATA + 1;
    pub(super) const ANNOUNCED: u8 = DATA + 2;
    pub(super) const SCRAPED: u8 = DATA + 3;
    pub(super) const REFUSED: u8 = DATA + 4;
    pub(super) const STORE: u8 = DATA + 16;
    pub(super) const STORED: u8 = DATA + 17;
    pub(super) const FORGET: u8 = DATA + 18;
    pub(super) const DIGESTS: u8 = DATA + 32;
    pub(super) const DIFFER: u8 = DATA + 33;
    pub(super) const SWARMS: u8 = DATA + 34;
    pub(super) const RECORDS: u8 = DATA + 35;
    pub(super) const WANTS: u8 = DATA + 36;
    pub(super) const FENCE: u8 = DATA + 37;
    pub(super) const PASSED: u8 = DATA + 38;
    pub(super) const MAY_DROP: u8 = DATA + 39;
    pub(super) const DROP: u8 = DATA + 40;
    pub(super) const NOT_HERE: u8 = DATA + 41;
    pub(super) const ASK: u8 = DATA + 48;
    pub(super) const TAKE_OVER: u8 = DATA + 49;
    pub(super) const LEAVING: u8 = DATA + 50;
}

const NOT_MINE: u8 = 0;
const NOT_YET: u8 = 1;
const FULL_SWARMS: u8 = 2;
const FULL_PEERS: u8 = 3;
const TOO_LATE: u8 = 4;

impl DataMessage {
    /// The kind of its frame.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Announce { .. } => kind::ANNOUNCE,
            Self::Scrape { .. } => kind::SCRAPE,
            Self::Announced { .. } => kind::ANNOUNCED,
            Self::Scraped { .. } => kind::SCRAPED,
            Self::Refused { .. } => kind::REFUSED,
            Self::Store { .. } => kind::STORE,
            Self::Stored { .. } => kind::STORED,
            Self::Forget(_) => kind::FORGET,
            Self::Digests { .. } => kind::DIGESTS,
            Self::Differ { .. } => kind::DIFFER,
            Self::Swarms { .. } => kind::SWARMS,
            Self::Records { .. } => kind::RECORDS,
            Self::Wants { .. } => kind::WANTS,
            Self::Fence { .. } => kind::FENCE,
            Self::Passed { .. } => kind::PASSED,
            Self::MayDrop { .. } => kind::MAY_DROP,
            Self::Drop { .. } => kind::DROP,
            Self::NotHere { .. } => kind::NOT_HERE,
            Self::Ask => kind::ASK,
            Self::TakeOver { .. } => kind::TAKE_OVER,
            Self::Leaving => kind::LEAVING,
        }
    }

    /// Appends the body of its frame. Lists that are longer than their bound are cut: who builds a message keeps to it.
    pub fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Self::Announce {
                request,
                until_ms,
                announce,
            } => {
                out.u64(*request);
                out.u64(*until_ms);
                write_announce(out, announce);
            }
            Self::Scrape {
                request,
                info_hash,
                from_copy,
            } => {
                out.u64(*request);
                out.info_hash(info_hash);
                out.u8((*from_copy).into());
            }
            Self::Announced { request, answer } => {
                out.u64(*request);
                write_counts(out, answer.counts);
                write_list(out, &answer.peers, MAX_PEERS, |out, &peer| out.addr(peer));
            }
            Self::Scraped { request, counts } => {
                out.u64(*request);
                write_counts(out, *counts);
            }
            Self::Refused { request, refusal } => {
                out.u64(*request);
                write_refusal(out, *refusal);
            }
            Self::Store {
                op,
                record,
                downloads,
            } => {
                out.u64(*op);
                out.info_hash(&record.info_hash);
                write_peer(out, record);
                write_option(out, downloads.as_ref(), write_counter);
            }
            Self::Stored { shard, runs } => {
                out.u8(*shard);
                write_list(out, runs, MAX_RUNS, |out, run| {
                    out.u64(run.first);
                    out.u16(run.len);
                });
            }
            Self::Forget(forgotten) => {
                out.info_hash(&forgotten.info_hash);
                out.addr(forgotten.peer);
                out.u64(forgotten.version.as_u64());
            }
            Self::Ask | Self::Leaving => {}
            Self::TakeOver { arc } => {
                write_arc(out, *arc);
            }
            of_session => of_session.encode_session(out),
        }
    }

    fn encode_session(&self, out: &mut Writer<'_>) {
        match self {
            Self::Digests {
                session,
                arc,
                purpose,
                buckets,
                unix_ms,
            } => {
                write_session(out, *session);
                write_arc(out, *arc);
                out.u8(match purpose {
                    Purpose::Claim => 0,
                    Purpose::Merge => 1,
                    Purpose::Offer => 2,
                });
                for bucket in buckets.iter() {
                    out.u32(bucket.count);
                    out.u64(bucket.xor);
                }
                out.u64(*unix_ms);
            }
            Self::Differ {
                session,
                mask,
                unix_ms,
            } => {
                write_session(out, *session);
                out.u16(*mask);
                out.u64(*unix_ms);
            }
            Self::Swarms {
                session,
                arc,
                bucket,
                swarms,
            } => {
                write_session(out, *session);
                write_arc(out, *arc);
                out.u8(*bucket);
                write_list(out, swarms, MAX_SWARMS, |out, (info_hash, digest)| {
                    out.info_hash(info_hash);
                    out.u64(*digest);
                });
            }
            Self::Records {
                session,
                from_driver,
                entries,
            } => {
                write_session(out, *session);
                out.u8((*from_driver).into());
                write_entries(out, entries);
            }
            Self::Wants {
                session,
                swarms,
                records,
            } => {
                write_session(out, *session);
                write_list(out, swarms, MAX_SWARMS, |out, info_hash| out.info_hash(info_hash));
                out.u32(*records);
            }
            Self::Fence { session, records } => {
                write_session(out, *session);
                out.u32(*records);
            }
            Self::Passed { session } => write_session(out, *session),
            Self::MayDrop {
                session,
                arc,
                leaving,
            } => {
                write_session(out, *session);
                write_arc(out, *arc);
                out.u8((*leaving).into());
            }
            Self::Drop { session } => write_session(out, *session),
            Self::NotHere { session, mine, hint } => {
                write_session(out, *session);
                write_option(out, mine.as_ref(), |out, arc| write_arc(out, *arc));
                write_option(out, hint.as_ref(), |out, contact| contact.encode(out));
            }
            _ => unreachable!("encode() writes all others"),
        }
    }

    /// Reads the body of a frame of some kind. `None` when no message has this kind: it may be one of a later
    /// version.
    ///
    /// # Errors
    /// When the bytes end early or late, or a field has no meaning. Nothing is allocated for more than the bytes can
    /// hold.
    pub fn decode(kind: u8, body: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut bytes = Reader::new(body);
        let message = match kind {
            kind::DIGESTS..=kind::NOT_HERE => Some(Self::decode_session(kind, &mut bytes)?),
            kind => Self::decode_other(kind, &mut bytes)?,
        };
        if message.is_some() {
            bytes.finish()?;
        }
        Ok(message)
    }

    fn decode_other(kind: u8, bytes: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match kind {
            kind::ANNOUNCE => Self::Announce {
                request: bytes.u64()?,
                until_ms: bytes.u64()?,
                announce: read_announce(bytes)?,
            },
            kind::SCRAPE => Self::Scrape {
                request: bytes.u64()?,
                info_hash: bytes.info_hash()?,
                from_copy: read_flag(bytes)?,
            },
            kind::ANNOUNCED => Self::Announced {
                request: bytes.u64()?,
                answer: Answer {
                    counts: read_counts(bytes)?,
                    peers: read_list(bytes, MAX_PEERS, read_peer_addr)?,
                },
            },
            kind::SCRAPED => Self::Scraped {
                request: bytes.u64()?,
                counts: read_counts(bytes)?,
            },
            kind::REFUSED => Self::Refused {
                request: bytes.u64()?,
                refusal: read_refusal(bytes)?,
            },
            kind::STORE => {
                let op = bytes.u64()?;
                let info_hash = bytes.info_hash()?;
                Self::Store {
                    op,
                    record: read_peer(bytes, info_hash)?,
                    downloads: read_option(bytes, |bytes| read_counter(bytes, info_hash))?,
                }
            }
            kind::STORED => Self::Stored {
                shard: read_below(bytes, "shard", SHARDS)?,
                runs: read_list(bytes, MAX_RUNS, read_run)?,
            },
            kind::FORGET => Self::Forget(Forgotten {
                info_hash: bytes.info_hash()?,
                peer: read_peer_addr(bytes)?,
                version: read_version(bytes)?,
            }),
            kind::ASK => Self::Ask,
            kind::TAKE_OVER => Self::TakeOver {
                arc: read_arc(bytes)?,
            },
            kind::LEAVING => Self::Leaving,
            _ => return Ok(None),
        }))
    }

    fn decode_session(kind: u8, bytes: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let session = Session {
            shard: read_below(bytes, "shard", SHARDS)?,
            number: bytes.u32()?,
        };
        Ok(match kind {
            kind::DIGESTS => Self::Digests {
                session,
                arc: read_arc(bytes)?,
                purpose: match bytes.u8()? {
                    0 => Purpose::Claim,
                    1 => Purpose::Merge,
                    2 => Purpose::Offer,
                    value => return Err(bad("purpose of a session", value)),
                },
                buckets: Box::new(read_buckets(bytes)?),
                unix_ms: bytes.u64()?,
            },
            kind::DIFFER => Self::Differ {
                session,
                mask: bytes.u16()?,
                unix_ms: bytes.u64()?,
            },
            kind::SWARMS => Self::Swarms {
                session,
                arc: read_arc(bytes)?,
                bucket: read_below(bytes, "bucket", BUCKETS_A_SHARD)?,
                swarms: read_list(bytes, MAX_SWARMS, |bytes| Ok((bytes.info_hash()?, bytes.u64()?)))?,
            },
            kind::RECORDS => Self::Records {
                session,
                from_driver: read_flag(bytes)?,
                entries: read_entries(bytes)?,
            },
            kind::WANTS => Self::Wants {
                session,
                swarms: read_list(bytes, MAX_SWARMS, Reader::info_hash)?,
                records: bytes.u32()?,
            },
            kind::FENCE => Self::Fence {
                session,
                records: bytes.u32()?,
            },
            kind::PASSED => Self::Passed { session },
            kind::MAY_DROP => Self::MayDrop {
                session,
                arc: read_arc(bytes)?,
                leaving: read_flag(bytes)?,
            },
            kind::DROP => Self::Drop { session },
            kind::NOT_HERE => Self::NotHere {
                session,
                mine: read_option(bytes, read_arc)?,
                hint: read_option(bytes, Contact::decode)?,
            },
            kind => return Err(bad("kind of session message", kind)),
        })
    }
}

fn bad(field: &'static str, value: impl Into<u64>) -> DecodeError {
    DecodeError::BadValue {
        field,
        value: value.into(),
    }
}

fn write_list<T>(out: &mut Writer<'_>, items: &[T], most: usize, mut write: impl FnMut(&mut Writer<'_>, &T)) {
    debug_assert!(
        items.len() <= most,
        "the builder of a message keeps to its bounds"
    );
    let items = &items[..items.len().min(most)];
    out.u16(items.len() as u16);
    for item in items {
        write(out, item);
    }
}

fn read_list<'a, T>(
    bytes: &mut Reader<'a>,
    most: usize,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let len = bytes.u16()?;
    if usize::from(len) > most {
        return Err(bad("length of a list", len));
    }
    // The number is only what the sender says; no item is shorter than a peer, or the few that are grow the list.
    let mut items = Vec::with_capacity(usize::from(len).min(bytes.left() / SHORTEST_PEER));
    for _ in 0..len {
        items.push(read(bytes)?);
    }
    Ok(items)
}

fn write_option<T>(out: &mut Writer<'_>, item: Option<&T>, write: impl FnOnce(&mut Writer<'_>, &T)) {
    out.u8(item.is_some().into());
    if let Some(item) = item {
        write(out, item);
    }
}

fn read_option<'a, T>(
    bytes: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    Ok(if read_flag(bytes)? {
        Some(read(bytes)?)
    } else {
        None
    })
}

fn read_flag(bytes: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match bytes.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        value => Err(bad("flag", value)),
    }
}

fn read_below(bytes: &mut Reader<'_>, field: &'static str, bound: usize) -> Result<u8, DecodeError> {
    let value = bytes.u8()?;
    if usize::from(value) < bound {
        Ok(value)
    } else {
        Err(bad(field, value))
    }
}

fn write_arc(out: &mut Writer<'_>, arc: Interval) {
    out.ring_id(arc.after);
    out.ring_id(arc.upto);
}

fn read_arc(bytes: &mut Reader<'_>) -> Result<Interval, DecodeError> {
    Ok(Interval::new(bytes.ring_id()?, bytes.ring_id()?))
}

fn write_session(out: &mut Writer<'_>, session: Session) {
    out.u8(session.shard);
    out.u32(session.number);
}

fn write_counts(out: &mut Writer<'_>, counts: ScrapeCounts) {
    out.u32(counts.seeds);
    out.u32(counts.downloads);
    out.u32(counts.leechers);
}

fn read_counts(bytes: &mut Reader<'_>) -> Result<ScrapeCounts, DecodeError> {
    Ok(ScrapeCounts {
        seeds: bytes.u32()?,
        downloads: bytes.u32()?,
        leechers: bytes.u32()?,
    })
}

fn read_run(bytes: &mut Reader<'_>) -> Result<Run, DecodeError> {
    let (first, len) = (bytes.u64()?, bytes.u16()?);
    match first.checked_add(len.into()) {
        Some(_) => Ok(Run { first, len }),
        None => Err(bad("run of operations", first)),
    }
}

fn read_buckets(bytes: &mut Reader<'_>) -> Result<[BucketDigest; BUCKETS_A_SHARD], DecodeError> {
    let mut buckets = [BucketDigest::default(); BUCKETS_A_SHARD];
    for bucket in &mut buckets {
        bucket.count = bytes.u32()?;
        bucket.xor = bytes.u64()?;
    }
    Ok(buckets)
}

/// A peer's address in the one way in which the store writes it. Nobody can be reached at port 0.
fn read_peer_addr(bytes: &mut Reader<'_>) -> Result<SocketAddr, DecodeError> {
    match canonical(bytes.addr()?) {
        peer if peer.port() == 0 => Err(bad("port of a peer", 0_u8)),
        peer => Ok(peer),
    }
}

fn read_version(bytes: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let number = bytes.u64()?;
    Version::new(number).ok_or(bad("version", number))
}

const fn state_byte(state: PeerState) -> u8 {
    match state {
        PeerState::Leech => 0,
        PeerState::Seed => 1,
        PeerState::Stopped => 2,
    }
}

fn read_state(value: u8) -> Result<PeerState, DecodeError> {
    match value {
        0 => Ok(PeerState::Leech),
        1 => Ok(PeerState::Seed),
        2 => Ok(PeerState::Stopped),
        value => Err(bad("state of a peer", value)),
    }
}

/// A record without its info-hash.
fn write_peer(out: &mut Writer<'_>, record: &Record) {
    out.addr(record.peer);
    out.u64(record.version.as_u64() << 2 | u64::from(state_byte(record.state)));
    out.u16(record.seconds_left);
}

fn read_peer(bytes: &mut Reader<'_>, info_hash: InfoHash) -> Result<Record, DecodeError> {
    let peer = read_peer_addr(bytes)?;
    let value = bytes.u64()?;
    Ok(Record {
        info_hash,
        peer,
        state: read_state((value & 3) as u8)?,
        version: Version::new(value >> 2).ok_or(bad("version", value >> 2))?,
        seconds_left: bytes.u16()?,
    })
}

/// A counter without its info-hash.
fn write_counter(out: &mut Writer<'_>, downloads: &Downloads) {
    out.u32(downloads.node);
    out.u32(downloads.count);
}

fn read_counter(bytes: &mut Reader<'_>, info_hash: InfoHash) -> Result<Downloads, DecodeError> {
    Ok(Downloads {
        info_hash,
        node: bytes.u32()?,
        count: bytes.u32()?,
    })
}

fn write_entries(out: &mut Writer<'_>, entries: &Entries) {
    debug_assert!(
        entries.len() <= MAX_RECORDS,
        "the builder of a message keeps to its bounds"
    );
    let (mut records, mut downloads) = (&entries.records[..], &entries.downloads[..]);
    while let Some(info_hash) = records
        .first()
        .map(|record| record.info_hash)
        .or(downloads.first().map(|downloads| downloads.info_hash))
    {
        let of_swarm = records
            .iter()
            .take_while(|record| record.info_hash == info_hash)
            .count();
        let counters = downloads
            .iter()
            .take_while(|counter| counter.info_hash == info_hash)
            .count();
        out.info_hash(&info_hash);
        out.u16(of_swarm as u16);
        out.u16(counters as u16);
        for record in &records[..of_swarm] {
            write_peer(out, record);
        }
        for counter in &downloads[..counters] {
            write_counter(out, counter);
        }
        records = &records[of_swarm..];
        downloads = &downloads[counters..];
    }
}

fn read_entries(bytes: &mut Reader<'_>) -> Result<Entries, DecodeError> {
    let mut entries = Entries::default();
    while !bytes.is_empty() {
        let info_hash = bytes.info_hash()?;
        let (records, downloads) = (bytes.u16()?, bytes.u16()?);
        let more = usize::from(records) + usize::from(downloads);
        if more == 0 || entries.len() + more > MAX_RECORDS {
            return Err(bad("number of entries", more as u64));
        }
        for _ in 0..records {
            entries.records.push(read_peer(bytes, info_hash)?);
        }
        for _ in 0..downloads {
            entries.downloads.push(read_counter(bytes, info_hash)?);
        }
    }
    Ok(entries)
}

fn write_announce(out: &mut Writer<'_>, announce: &PeerAnnounce) {
    out.info_hash(&announce.info_hash);
    out.addr(announce.peer);
    out.u8(state_byte(announce.state));
    out.u8(announce.completed.into());
    out.u8(match announce.families {
        Families::V4 => 0,
        Families::V6 => 1,
        Families::Both => 2,
    });
    out.u16(announce.limit.min(MAX_PEERS) as u16);
}

fn read_announce(bytes: &mut Reader<'_>) -> Result<PeerAnnounce, DecodeError> {
    Ok(PeerAnnounce {
        info_hash: bytes.info_hash()?,
        peer: read_peer_addr(bytes)?,
        state: bytes.u8().and_then(read_state)?,
        completed: read_flag(bytes)?,
        families: match bytes.u8()? {
            0 => Families::V4,
            1 => Families::V6,
            2 => Families::Both,
            value => return Err(bad("address families", value)),
        },
        limit: match usize::from(bytes.u16()?) {
            limit if limit <= MAX_PEERS => limit,
            limit => return Err(bad("number of peers", limit as u64)),
        },
    })
}

fn write_refusal(out: &mut Writer<'_>, refusal: Refusal) {
    match refusal {
        Refusal::NotMine { hint } => {
            out.u8(NOT_MINE);
            write_option(out, hint.as_ref(), |out, contact| contact.encode(out));
        }
        Refusal::NotYet => out.u8(NOT_YET),
        Refusal::TooLate { unix_ms } => {
            out.u8(TOO_LATE);
            out.u64(unix_ms);
        }
        Refusal::Full(Full::Swarms) => out.u8(FULL_SWARMS),
        Refusal::Full(Full::Peers) => out.u8(FULL_PEERS),
    }
}

fn read_refusal(bytes: &mut Reader<'_>) -> Result<Refusal, DecodeError> {
    Ok(match bytes.u8()? {
        NOT_MINE => Refusal::NotMine {
            hint: read_option(bytes, Contact::decode)?,
        },
        NOT_YET => Refusal::NotYet,
        TOO_LATE => Refusal::TooLate {
            unix_ms: bytes.u64()?,
        },
        FULL_SWARMS => Refusal::Full(Full::Swarms),
        FULL_PEERS => Refusal::Full(Full::Peers),
        value => return Err(bad("refusal", value)),
    })
}
