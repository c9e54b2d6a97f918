//! What the threads of a node share, and how frames and questions find their machine. Layer 3.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::Sender;

use super::questions::Questions;
use super::ring_thread::RingEvent;
use crate::ring::bulletin::{Bulletin, NodeCounters};
use crate::ring::chord::ChordMessage;
use crate::ring::codec::DecodeError;
use crate::ring::contact::Contact;
use crate::ring::data::{Addressee, DataMessage};
use crate::ring::frame::{Frame, Frames, kind};
use crate::ring::link::{Ending, FrameHandler, HandshakeError, Post, Refusal, Service};
use crate::ring::picture::Picture;
use crate::ring::replica::keeper::Keeper;
use crate::ring::replica::outbox::{Now, Origin, Outbox, Reply};
use crate::ring::replica::router::{Action, Question};
use crate::tracker::server::seam::{Mailbag, Totals};
use crate::tracker::swarm::{SHARDS, Settings, shard_of};

/// Everything of a node but its ring thread and its links.
pub(super) struct Hub {
    pub(super) me: Contact,
    /// Each lock guards one shard; none is held while another is taken.
    keepers: Vec<Mutex<Keeper>>,
    questions: Mutex<Questions>,
    events: Sender<RingEvent>,
    /// Answered by the faces since the start: announces, scrapes.
    requests: [AtomicU64; 2],
    /// Where others find the pages of this node; told when its faces have begun to answer.
    pages: OnceLock<SocketAddr>,
    /// Guards the ring as it was shown last for the moment in which it is copied or replaced.
    picture: Mutex<Option<Arc<Picture>>>,
    /// Whether this life is over for the ring, which knows a later one.
    is_outlived: AtomicBool,
    started: Instant,
    started_unix_ms: u64,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("me", &self.me)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// `store` bounds the whole node.
    pub(super) fn new(me: Contact, store: Settings, events: Sender<RingEvent>) -> Self {
        let [a, b, c, d, ..] = *me.id.as_bytes();
        let store = Settings {
            node: u32::from_be_bytes([a, b, c, d]),
            max_swarms: store.max_swarms.div_ceil(SHARDS),
            max_peers: store.max_peers.div_ceil(SHARDS),
            ..store
        };
        let started = Instant::now();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_unix_ms = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        let now = Now {
            at: started,
            unix_ms: started_unix_ms,
        };
        let keepers = (0..SHARDS)
            .filter_map(|index| u8::try_from(index).ok())
            .map(|index| Mutex::new(Keeper::new(me, index, started, store, fastrand::u64(..))));
        Self {
            me,
            keepers: keepers.collect(),
            questions: Mutex::new(Questions::new(now, me, fastrand::u64(..))),
            events,
            requests: Default::default(),
            pages: OnceLock::new(),
            picture: Mutex::new(None),
            is_outlived: AtomicBool::new(false),
            started,
            started_unix_ms,
        }
    }

    /// The time. Of the wall clock only the start counts: it may be set while the program runs.
    pub(super) fn now(&self) -> Now {
        let at = Instant::now();
        let elapsed = at.saturating_duration_since(self.started).as_millis();
        Now {
            at,
            unix_ms: self
                .started_unix_ms
                .saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX)),
        }
    }

    pub(super) fn keeper(&self, shard: usize) -> MutexGuard<'_, Keeper> {
        // A thread that panicked in the middle of an announce left at worst one peer uncounted.
        self.keepers[shard % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the faces have answered since the start.
    pub(super) fn note_requests(&self, announces: u64, scrapes: u64) {
        self.requests[0].store(announces, Ordering::Relaxed);
        self.requests[1].store(scrapes, Ordering::Relaxed);
    }

    /// HTTP is answered at these addresses.
    pub(super) fn note_pages(&self, listening: &[SocketAddr]) {
        if let Some(pages) = pages(self.me.addr.ip(), listening) {
            // The faces begin once.
            let _ = self.pages.set(pages);
        }
    }

    /// The ring as it was shown last.
    pub(super) fn picture(&self) -> Option<Arc<Picture>> {
        self.picture
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn show(&self, picture: Picture) {
        *self.picture.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(picture));
    }

    /// Fills in what the ring thread does not know of itself.
    pub(super) fn complete(&self, bulletin: &mut Bulletin) {
        let mut repairs = 0;
        let (mut owned, mut held) = (Totals::default(), Totals::default());
        for shard in 0..SHARDS {
            let keeper = self.keeper(shard);
            let (mine, all) = (keeper.owned(), keeper.stats());
            repairs += keeper.repairs();
            drop(keeper);
            owned.add(mine.swarms, mine.seeds, mine.leechers);
            held.add(all.swarms, all.seeds, all.leechers);
        }
        *bulletin = Bulletin {
            owned,
            held,
            announces: self.requests[0].load(Ordering::Relaxed),
            scrapes: self.requests[1].load(Ordering::Relaxed),
            uptime: self.started.elapsed(),
            pages: self.pages.get().copied(),
            counters: NodeCounters {
                repairs,
                ..bulletin.counters
            },
            ..bulletin.clone()
        };
    }

    pub(super) fn is_outlived(&self) -> bool {
        self.is_outlived.load(Ordering::Acquire)
    }

    /// Takes note that it is. Returns whether that was known.
    pub(super) fn outlive(&self) -> bool {
        self.is_outlived.swap(true, Ordering::AcqRel)
    }

    /// Tells the ring thread. It ends before everything that tells it something.
    pub(super) fn tell(&self, event: RingEvent) {
        let _ = self.events.send(event);
    }

    /// Lets a keeper do something, and queues what it wants sent, and tells what it reports, before anybody else has
    /// it.
    pub(super) fn with_keeper(
        &self,
        shard: usize,
        post: &mut Post,
        out: &mut Outbox,
        work: impl FnOnce(&mut Keeper, &mut Outbox),
    ) {
        let mut keeper = self.keeper(shard);
        work(&mut keeper, out);
        send_all(post, out);
        // Also these with the shard locked. Of two threads the one that had the keeper first could be the last to tell
        // how far it is; and a keeper says that only once.
        for report in out.reports.drain(..) {
            self.tell(RingEvent::Report(report));
        }
        drop(keeper);
    }

    /// The same for all keepers in turn.
    pub(super) fn with_keepers(
        &self,
        post: &mut Post,
        out: &mut Outbox,
        mut work: impl FnMut(&mut Keeper, &mut Outbox),
    ) {
        for shard in 0..SHARDS {
            self.with_keeper(shard, post, out, &mut work);
        }
    }

    /// Ends what one wake-up has brought: acknowledges what was stored, and brings answers to those who wait for
    /// them. The caller flushes the post.
    pub(super) fn settle(&self, now: Now, post: &mut Post, out: &mut Outbox) {
        out.flush();
        send_all(post, out);
        let mut answers = Mailbag::default();
        loop {
            let replies = std::mem::take(&mut out.replies);
            let actions = {
                let mut questions = self.questions();
                for (request, reply) in replies {
                    questions.router().on_reply(now.at, &self.me, request, reply);
                }
                questions.take_actions(&mut answers)
            };
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.route(now, action, post, out);
            }
        }
        drop(answers);
    }

    fn route(&self, now: Now, action: Action, post: &mut Post, out: &mut Outbox) {
        match action {
            Action::Send(to, message) => {
                if !send(post, &to, &message) {
                    // It could not be reached a moment ago: somebody else is to be asked, and at once.
                    self.questions().router().on_lost(now.at, &to);
                }
            }
            Action::Local {
                request,
                question,
                from_copy,
            } => {
                let origin = Origin::Local { request };
                let shard = shard_of(&question.info_hash());
                self.with_keeper(shard, post, out, |keeper, out| match &question {
                    Question::Announce(announce) => keeper.announce(now, origin, announce, out),
                    Question::Scrape(info_hash) => keeper.scrape(now, origin, info_hash, from_copy, out),
                });
            }
            Action::Lookup(key) => self.tell(RingEvent::Lookup(key)),
            // The questions have dealt with these.
            Action::Done { .. } => {}
        }
    }

    /// All frames that one wake-up of a link has brought.
    fn on_frames(&self, from: &Contact, frames: Frames<'_>, post: &mut Post, out: &mut Outbox) {
        let now = self.now();
        for frame in frames {
            if let Err(error) = self.on_frame(now, from, frame, post, out) {
                // Perhaps of a later version; what is lost is asked for again.
                log::warn!("the ring node {from} sent a frame that was left out: {error}");
            }
        }
        self.settle(now, post, out);
    }

    fn on_frame(
        &self,
        now: Now,
        from: &Contact,
        frame: Frame<'_>,
        post: &mut Post,
        out: &mut Outbox,
    ) -> Result<(), DecodeError> {
        if (kind::CHORD..kind::DATA).contains(&frame.kind) {
            if let Some(message) = ChordMessage::decode(frame.kind, frame.body)? {
                self.tell(RingEvent::Chord(*from, message));
            }
            return Ok(());
        }
        if frame.kind == kind::BULLETIN {
            let bulletin = Box::new(Bulletin::decode(frame.body)?);
            self.tell(RingEvent::Bulletin(*from, bulletin, frame.body.into()));
            return Ok(());
        }
        let Some(message) = DataMessage::decode(frame.kind, frame.body)? else {
            // Of a later version; nodes of this one do without.
            return Ok(());
        };
        match message.addressee() {
            Addressee::Keeper(shard) => self.with_keeper(shard, post, out, |keeper, out| {
                keeper.on_message(now, from, message, out);
            }),
            Addressee::Custody => self.tell(RingEvent::Custody(*from, message)),
            Addressee::Router(_) => {
                if let Some((request, reply)) = Reply::from_message(message) {
                    self.questions().router().on_reply(now.at, from, request, reply);
                }
            }
        }
        Ok(())
    }
}

/// Queues a message. `false` if it was dropped at once.
pub(super) fn send(post: &mut Post, to: &Contact, message: &DataMessage) -> bool {
    post.send(to, message.kind(), |body| message.encode(body))
}

fn send_all(post: &mut Post, out: &mut Outbox) {
    for (to, message) in out.sends.drain(..) {
        send(post, &to, &message);
    }
}

/// The links' way into the hub.
#[derive(Debug, Clone)]
pub(super) struct HubService(pub(super) Arc<Hub>);

impl Service for HubService {
    fn opened(&self, contact: &Contact, version: u16) -> FrameHandler {
        log::debug!("linked with the ring node {contact}, which speaks version {version}");
        let (hub, from) = (Arc::clone(&self.0), *contact);
        let mut out = Outbox::default();
        Box::new(move |frames, post| hub.on_frames(&from, frames, post, &mut out))
    }

    fn closed(&self, contact: &Contact, why: &Ending) {
        log::debug!("the link with the ring node {contact} has ended: {why}");
        if let Ending::Handshake(HandshakeError::Refused(Refusal::OldLife)) = why {
            self.0.tell(RingEvent::Outlived);
        }
        self.0.tell(RingEvent::Lost {
            contact: *contact,
            means_dead: why.means_dead(),
            is_idle: matches!(why, Ending::Idle),
            why: why.to_string(),
        });
    }

    fn met(&self, addr: SocketAddr, outcome: Result<Contact, Ending>) {
        self.0.tell(RingEvent::Met(addr, outcome));
    }
}

/// Where others find the pages that are answered at the addresses of `listening`, if other nodes reach this one at
/// `ip`. `None` if only programs on this computer can, as behind a proxy.
fn pages(ip: IpAddr, listening: &[SocketAddr]) -> Option<SocketAddr> {
    // `[::]` takes connections by IPv4 only where nothing else does.
    let takes =
        |at: &&SocketAddr| at.ip() == ip || (at.ip().is_unspecified() && at.is_ipv4() == ip.is_ipv4());
    let here = listening.iter().find(takes);
    let here = here.map(|at| SocketAddr::new(ip, at.port()));
    let is_reachable =
        |at: &&SocketAddr| !at.ip().is_unspecified() && (ip.is_loopback() || !at.ip().is_loopback());
    here.or_else(|| listening.iter().find(is_reachable).copied())
}

#[cfg(test)]
mod tests {
    use std::sync::TryLockError;
    use std::thread;

    use crossbeam_channel::{Receiver, bounded};

    use super::*;
    use crate::id::RingId;
    use crate::net::sockets::SocketFactory;
    use crate::ring::link::{KnownNodes, LinkSettings, Links, NodeKey, Setup};
    use crate::ring::replica::outbox::{Progress, Report};

    /// A hub that waits at each event until somebody takes it.
    fn hub() -> (Arc<Hub>, Links, Receiver<RingEvent>) {
        let me = Contact {
            id: RingId::new([7; 20]),
            incarnation: 1,
            addr: ([127, 0, 0, 1], 1).into(),
        };
        let store = Settings {
            node: 0,
            max_swarms: 100,
            max_peers: 100,
            peer_lifetime_secs: 2_700,
            tombstone_secs: 300,
        };
        let (events, inbox) = bounded(0);
        let hub = Arc::new(Hub::new(me, store, events));
        let setup = Setup {
            me,
            node_key: NodeKey::generate().unwrap(),
            ring_key: None,
            known: KnownNodes::in_memory(),
            listener: None,
            sockets: Arc::new(SocketFactory::new("").unwrap()),
            settings: LinkSettings::default(),
        };
        let links = Links::start(setup, Arc::new(HubService(Arc::clone(&hub)))).unwrap();
        (hub, links, inbox)
    }

    #[test]
    fn pages_are_where_others_reach_them() {
        for (ip, listening, expected) in [
            (
                "192.0.2.7",
                &["0.0.0.0:6969", "[::]:6969"][..],
                Some("192.0.2.7:6969"),
            ),
            (
                "2001:db8::7",
                &["0.0.0.0:1", "[::]:6969"],
                Some("[2001:db8::7]:6969"),
            ),
            (
                "192.0.2.7",
                &["127.0.0.1:80", "192.0.2.7:81"],
                Some("192.0.2.7:81"),
            ),
            ("192.0.2.7", &["192.0.2.8:80"], Some("192.0.2.8:80")),
            ("192.0.2.7", &["127.0.0.1:80"], None),
            ("127.0.0.1", &["127.0.0.2:80"], Some("127.0.0.2:80")),
            ("192.0.2.7", &["[::]:80"], None),
            ("192.0.2.7", &[], None),
        ] {
            let listening: Vec<SocketAddr> = listening.iter().map(|at| at.parse().unwrap()).collect();
            let expected = expected.map(|at| at.parse().unwrap());
            assert_eq!(
                pages(ip.parse().unwrap(), &listening),
                expected,
                "{ip} {listening:?}"
            );
        }
    }

    /// Two readers of links that work on one shard one after the other have each something to report. Told the wrong
    /// way round, the earlier would stand for good: what has not changed is not reported again.
    #[test]
    fn nobody_has_a_keeper_before_all_that_it_reported_is_told() {
        let (hub, links, inbox) = hub();
        let report = |epoch| {
            Report::Progress(Progress {
                epoch,
                ..Progress::default()
            })
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut out = Outbox::default();
                hub.with_keeper(0, &mut links.post(), &mut out, |_, out| {
                    out.reports.extend([report(1), report(2)]);
                });
            });
            let first = inbox.recv().unwrap();
            let is_held = matches!(hub.keepers[0].try_lock(), Err(TryLockError::WouldBlock));
            let second = inbox.recv().unwrap();
            assert!(is_held, "another thread could have told something in between");
            let told = [first, second].map(|event| match event {
                RingEvent::Report(report) => report,
                other => panic!("{other:?}"),
            });
            assert_eq!(told, [report(1), report(2)]);
        });
    }
}
