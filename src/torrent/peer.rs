//! One connected peer as its torrent sees it: the session, the requests that are out, and how fast it is.
//! Layer 2.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::engine::api::PeerDetail;
use crate::peer::link::{PeerCounters, PeerKey};
use crate::peer::session::Session;
use crate::torrent::pipeline::Pipeline;
use crate::torrent::rate::Rate;
use crate::wire::handshake::Direction;

/// One connected peer.
#[derive(Debug)]
pub struct Peer {
    /// The connection.
    pub key: PeerKey,
    /// What both sides have told each other.
    pub session: Session,
    /// What we asked it for.
    pub pipeline: Pipeline,
    /// What its threads count.
    pub counters: Arc<PeerCounters>,
    /// When it joined.
    pub connected_at: Instant,
    /// Since when we serve it.
    pub unchoked_since: Option<Instant>,
    /// Bytes of blocks that it sent us.
    pub downloaded: u64,
    /// Blocks that it sent and that nobody had asked for; one is forgiven with each tick.
    pub unasked: u32,
    download_rate: Rate,
    upload_rate: Rate,
}

impl Peer {
    /// A peer that has just joined.
    pub fn new(now: Instant, key: PeerKey, session: Session, counters: Arc<PeerCounters>) -> Self {
        let mut download_rate = Rate::default();
        download_rate.update(now, 0);
        Self {
            key,
            session,
            pipeline: Pipeline::new(),
            counters,
            connected_at: now,
            unchoked_since: None,
            downloaded: 0,
            unasked: 0,
            download_rate,
            upload_rate: Rate::default(),
        }
    }

    /// Measures the speeds and fits the number of requests to them.
    pub fn on_tick(&mut self, now: Instant) {
        self.download_rate.update(now, self.downloaded);
        self.upload_rate.update(now, self.uploaded());
        self.pipeline.on_tick(now);
        self.unasked = self.unasked.saturating_sub(1);
    }

    /// Bytes a second of blocks from it.
    pub fn download_rate(&self) -> u64 {
        self.download_rate.get()
    }

    /// Bytes a second of blocks to it.
    pub fn upload_rate(&self) -> u64 {
        self.upload_rate.get()
    }

    /// Bytes of blocks that we sent it.
    pub fn uploaded(&self) -> u64 {
        self.counters.payload_sent.load(Ordering::Relaxed)
    }

    /// Requests of its own that wait at our writer.
    pub fn requests_in(&self) -> usize {
        self.counters.uploads_queued.load(Ordering::Relaxed) as usize
    }

    /// The peer for a person to look at.
    pub fn detail(&self) -> PeerDetail {
        let session = &self.session;
        let pieces = session.has.len();
        PeerDetail {
            key: self.key.0,
            addr: session.addr,
            incoming: session.direction == Direction::Incoming,
            client: session.client(),
            peer_id: session.peer_id.to_string(),
            progress: if pieces == 0 {
                1.0
            } else {
                f64::from(session.has.count()) / f64::from(pieces)
            },
            download_rate: self.download_rate(),
            upload_rate: self.upload_rate(),
            downloaded: self.downloaded,
            uploaded: self.uploaded(),
            am_choking: session.am_choking,
            am_interested: session.am_interested,
            peer_choking: session.peer_choking,
            peer_interested: session.peer_interested,
            snubbed: self.pipeline.is_snubbed(),
            requests_out: self.pipeline.len(),
            requests_in: self.requests_in(),
        }
    }
}
