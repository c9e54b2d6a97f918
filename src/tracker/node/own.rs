//! The client's own torrents at its own tracker, where others know this computer by another address than its own.
//! Layer 3.
//!
//! Behind a router, the client's announces come from inside, if the router lets them come at all, and an address of
//! the inside is of no use to others. So the node enters the client itself, under the address that torrents name.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::named::Host;
use crate::id::InfoHash;
use crate::tracker::server::Tracker;
use crate::tracker::server::seam::{AnnounceAnswer, Letter, Mailbox, ReturnTo, Ticket};
use crate::tracker::swarm::{Families, PeerAnnounce, PeerState};

/// How often peers that are still there are entered again.
const EVERY: Duration = Duration::from_secs(300);

/// What the client shares through its own tracker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnTorrents {
    /// On which port peers reach the client.
    pub port: u16,
    /// The torrents that name the tracker, and whether the client has all of them that it wants.
    pub torrents: Vec<(InfoHash, bool)>,
}

/// Enters the client at its tracker.
#[derive(Debug, Default)]
pub(super) struct OwnEntries {
    entered: Vec<(InfoHash, SocketAddr)>,
    next: Option<Instant>,
}

impl OwnEntries {
    /// Something has changed, so do not wait.
    pub(super) fn hurry(&mut self) {
        self.next = None;
    }

    /// Enters what is shared, when it is time to, and takes out what no longer is.
    pub(super) fn tick(&mut self, now: Instant, outside: &Host, own: &OwnTorrents, tracker: &dyn Tracker) {
        if self.next.is_some_and(|next| now < next) {
            return;
        }
        self.next = Some(now + EVERY);
        let addresses = resolve(outside);
        let mut entered = Vec::new();
        for &(info_hash, is_seed) in own.torrents.iter().filter(|_| own.port > 0) {
            let state = if is_seed {
                PeerState::Seed
            } else {
                PeerState::Leech
            };
            for &ip in &addresses {
                let peer = SocketAddr::new(ip, own.port);
                announce(tracker, info_hash, peer, state);
                entered.push((info_hash, peer));
            }
        }
        for (info_hash, peer) in std::mem::replace(&mut self.entered, entered) {
            if !self.entered.contains(&(info_hash, peer)) {
                announce(tracker, info_hash, peer, PeerState::Stopped);
            }
        }
        tracker.flush();
    }
}

/// All addresses of a name. None, when nobody knows it at the moment.
fn resolve(host: &Host) -> Vec<IpAddr> {
    match host {
        Host::Ip(ip) => vec![*ip],
        Host::Name(name) => match (name.as_str(), 0).to_socket_addrs() {
            Ok(found) => found.map(|addr| addr.ip().to_canonical()).collect(),
            Err(error) => {
                log::warn!(
                    "the address of {name}, where this tracker is to be reached, is not known: {error}"
                );
                Vec::new()
            }
        },
    }
}

fn announce(tracker: &dyn Tracker, info_hash: InfoHash, peer: SocketAddr, state: PeerState) {
    let nobody: Arc<dyn Mailbox> = Arc::new(Nobody);
    let ticket = Ticket::new(&nobody, ReturnTo::Http { slot: 0, request: 0 });
    let announce = PeerAnnounce {
        info_hash,
        peer,
        state,
        completed: false,
        families: Families::Both,
        limit: 0,
    };
    // Whatever comes of it, the next one is not far.
    let _ = tracker.announce(&announce, ticket, &mut AnnounceAnswer::default());
}

/// Wants no answer.
#[derive(Debug)]
struct Nobody;

impl Mailbox for Nobody {
    fn deliver(&self, letters: &mut Vec<Letter>) {
        letters.clear();
    }
}
