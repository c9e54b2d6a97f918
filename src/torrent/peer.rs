//! One connected peer as its torrent sees it: the session, the requests that are out, and how fast it is.
//! Layer 2.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::engine::api::PeerDetail;
use crate::peer::link::{PeerCommand, PeerCounters, PeerKey};
use crate::peer::session::Session;
use crate::torrent::pipeline::Pipeline;
use crate::torrent::rate::Rate;
use crate::wire::handshake::Direction;
use crate::wire::message::Message;

/// Who is served and has asked for nothing for so long leaves the slot to others. Answers to an unchoke take less on any
/// line.
const IDLE_AFTER: Duration = Duration::from_secs(3);

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
    /// When it was last chosen to be served.
    pub last_served: Option<Instant>,
    /// Since when it is served and has nothing out at us.
    asks_nothing_since: Option<Instant>,
    is_idle: bool,
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
            last_served: None,
            asks_nothing_since: None,
            is_idle: false,
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

    /// Gives it a slot. Returns what tells it so.
    pub fn unchoke(&mut self, now: Instant) -> PeerCommand {
        self.session.am_choking = false;
        self.unchoked_since = Some(now);
        self.last_served = Some(now);
        PeerCommand::Send(vec![Message::Unchoke])
    }

    /// It asks for a block, or is interested anew.
    pub const fn wants_something(&mut self) {
        self.asks_nothing_since = None;
        self.is_idle = false;
    }

    /// Time has passed; `waiting`: how many of its requests wait to be answered. Says whether it has turned out that it
    /// does not use its slot.
    pub fn check_idle(&mut self, now: Instant, waiting: usize) -> bool {
        if self.session.am_choking || waiting > 0 {
            self.asks_nothing_since = None;
            return false;
        }
        let since = *self.asks_nothing_since.get_or_insert(now);
        let was_idle = self.is_idle;
        self.is_idle |= now.saturating_duration_since(since) >= IDLE_AFTER;
        self.is_idle && !was_idle
    }

    /// Whether it asked for nothing when it was last served.
    pub const fn is_idle(&self) -> bool {
        self.is_idle
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
        self.counters.sent_payload()
    }

    /// Requests of its own that wait at our writer.
    pub fn requests_in(&self) -> usize {
        self.counters.uploads_queued.load(Ordering::Relaxed) as usize
    }

    /// The peer for a person to look at, but for what others know of it.
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
            refusing: self.pipeline.is_refusing(),
            optimistic: false,
            country: None,
            requests_out: self.pipeline.len(),
            requests_in: self.requests_in(),
            pieces: Arc::clone(&session.has),
        }
    }
}
