//! Peers: who joins and leaves, what they say, whom we serve, whom we dial. Layer 2.

use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::choker::Candidate;
use crate::geometry::Block;
use crate::peer::link::{CloseReason, PeerBatch, PeerCommand, PeerCounters, PeerInput, PeerKey};
use crate::peer::session::{MOST_REQUESTS_WAITING, Said, Session};
use crate::torrent::blame::Author;
use crate::torrent::peer::Peer;
use crate::torrent::state::{Action, Torrent};
use crate::wire::handshake::{Direction, Introduction};
use crate::wire::message::Message;

/// Who is served is thought over this often (BEP 3 §choking).
const RECHOKE_EVERY: Duration = Duration::from_secs(10);

/// Dials of one torrent that are under way at a time.
const DIALS_AT_ONCE: usize = 30;

/// Two connections with one peer that were opened this close together crossed each other.
const CROSSING: Duration = Duration::from_secs(10);

impl Torrent {
    // Joining and leaving.

    /// Whether a connection with a finished handshake is welcome: its session, for [`Self::on_joined`], or
    /// why it is dropped.
    pub fn admit(&mut self, now: Instant, peer: &Introduction) -> Result<Session, &'static str> {
        match self.may_join(now, peer) {
            Ok(()) => Ok(Session::new(peer, self.info.geometry)),
            Err(reason) => {
                if peer.direction == Direction::Outgoing {
                    self.addresses.failed(now, peer.addr);
                }
                Err(reason)
            }
        }
    }

    /// The connection of an admitted peer runs: it is told what we have.
    pub fn on_joined(
        &mut self,
        now: Instant,
        key: PeerKey,
        mut session: Session,
        counters: Arc<PeerCounters>,
    ) {
        let greeting = session.greeting(
            self.info.info_hash,
            &self.have,
            self.is_complete(),
            self.settings.listen_port,
        );
        if session.direction == Direction::Outgoing {
            self.addresses.connected(session.addr);
        }
        self.peers.insert(key, Peer::new(now, key, session, counters));
        self.actions.push(Action::Tell(key, PeerCommand::Send(greeting)));
    }

    fn may_join(&mut self, now: Instant, peer: &Introduction) -> Result<(), &'static str> {
        let peer_id = peer.handshake.peer_id;
        if self.stopping || self.check.is_some() {
            return Err("the torrent is not ready for peers");
        }
        if self.addresses.is_banned(peer.addr.ip()) {
            return Err("the peer is banned: it sent wrong data");
        }
        if peer_id == self.own_id {
            return Err("it is a connection to ourselves");
        }
        let is_twin = |other: &&Peer| {
            let session = &other.session;
            session.peer_id == peer_id && may_be_one_host(session.addr.ip(), peer.addr.ip())
        };
        let twin = self.peers.values().find(is_twin);
        let Some(twin) = twin else {
            return if self.peers.len() < self.settings.max_connections {
                Ok(())
            } else {
                Err("too many connections")
            };
        };
        // Both sides may have dialled at once. Each would close the other's call and none would stay, so both
        // keep the one that the greater id opened.
        let crossed = twin.session.direction != peer.direction
            && now.saturating_duration_since(twin.connected_at) < CROSSING;
        let ours_wins = self.own_id.as_bytes() > peer_id.as_bytes();
        if crossed && ours_wins == (peer.direction == Direction::Outgoing) {
            let key = twin.key;
            self.close(
                now,
                key,
                CloseReason::ByUs("the same peer has another connection"),
            );
            return Ok(());
        }
        Err("the same peer is connected already")
    }

    /// A dialled peer could not be had.
    pub fn on_dial_failed(&mut self, now: Instant, addr: SocketAddr, own: bool) {
        if own {
            self.addresses.is_own(addr);
        } else {
            self.addresses.failed(now, addr);
        }
    }

    /// Somebody told of peers.
    pub fn on_peers_found(&mut self, now: Instant, peers: Vec<SocketAddr>) {
        if self.addresses.add(peers) > 0 {
            self.dial(now);
        }
    }

    /// Ends a connection from our side.
    pub(super) fn close(&mut self, now: Instant, key: PeerKey, reason: CloseReason) {
        if self.peers.contains_key(&key) {
            self.forget(now, key);
            self.actions.push(Action::Close(key, reason));
        }
    }

    /// Ends every connection from our side.
    pub fn close_all(&mut self, now: Instant, reason: &'static str) {
        while let Some((&key, _)) = self.peers.first_key_value() {
            self.close(now, key, CloseReason::ByUs(reason));
        }
    }

    fn forget(&mut self, now: Instant, key: PeerKey) {
        self.release_requests(key);
        self.picker.forget_peer(key);
        self.hungry.remove(&key);
        let Some(peer) = self.peers.remove(&key) else {
            return;
        };
        self.picker.peer_left(&peer.session.has);
        self.uploaded_to_gone += peer.uploaded();
        if let Some(addr) = peer.session.listen_addr {
            self.addresses.disconnected(now, addr);
        }
        if peer.unchoked_since.is_some() {
            self.next_rechoke = None;
        }
        self.everybody_is_hungry();
    }

    /// Throws out everybody at the host of somebody who sent wrong data, for the rest of this run.
    pub(super) fn ban(&mut self, now: Instant, guilty: Author) {
        log::warn!("{}: {} sent wrong data and is banned", self.info.name, guilty.ip);
        self.addresses.ban(guilty.ip);
        let there: Vec<_> = self
            .peers
            .values()
            .filter(|peer| peer.session.addr.ip() == guilty.ip)
            .map(|peer| peer.key)
            .collect();
        for key in there {
            self.close(now, key, CloseReason::ByUs("it sent wrong data"));
        }
    }

    // What peers say.

    /// Takes in what a peer said, in order.
    pub fn on_batch(&mut self, now: Instant, batch: PeerBatch) {
        let key = batch.peer;
        for input in batch.inputs {
            match input {
                PeerInput::Block(block) => self.on_block(now, key, block),
                PeerInput::Message(message) => self.on_message(now, key, &message),
            }
        }
        if let Some(reason) = batch.closed
            && self.peers.contains_key(&key)
        {
            self.forget(now, key);
            if let CloseReason::Disk(error) = &reason {
                self.cannot_serve(error);
            }
            self.actions.push(Action::Close(key, reason));
        }
    }

    /// What we promised to a peer cannot be read. The next one would be let down as well, and fetching it again
    /// unasked would write where a disk was mounted until now: it is for the user to say what has become of it.
    fn cannot_serve(&mut self, error: &str) {
        self.halt_for_good(format!(
            "{error}. Nothing of it is shared until it is started again or rechecked."
        ));
    }

    fn on_message(&mut self, now: Instant, key: PeerKey, message: &Message) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let said = match peer.session.on_message(message) {
            Ok(said) => said,
            Err(error) => {
                log::info!(
                    "{}: {} broke the protocol: {error}",
                    self.info.name,
                    peer.session.addr
                );
                return self.close(now, key, CloseReason::Protocol(error.to_string()));
            }
        };
        match said {
            Said::Nothing => {}
            Said::Choked => {
                peer.pipeline.choked();
                // A fast peer rejects what it will not serve, one by one; the others just forget it.
                if !peer.session.fast {
                    self.release_requests(key);
                }
            }
            Said::Unchoked | Said::AllowedFast => {
                self.hungry.insert(key);
            }
            Said::Interest => self.interest_changed(key),
            Said::Has(piece) => {
                self.picker.peer_got(piece);
                self.pieces_changed(now, key);
            }
            Said::HasSet { before } => {
                self.picker.peer_left(&before);
                self.picker.peer_joined(&peer.session.has);
                self.pieces_changed(now, key);
            }
            Said::Request(block) => self.on_request(key, block),
            Said::Cancel(block) => self
                .actions
                .push(Action::Tell(key, PeerCommand::CancelUpload(block))),
            Said::Reject(block) => self.on_reject(now, key, block),
            Said::ListensAt(addr) => {
                let is_seed = peer.session.is_seed();
                self.addresses.connected(addr);
                if is_seed {
                    self.addresses.is_seed(addr);
                }
            }
        }
    }

    fn pieces_changed(&mut self, now: Instant, key: PeerKey) {
        self.update_interest(key);
        let Some(peer) = self.peers.get(&key).filter(|peer| peer.session.is_seed()) else {
            return;
        };
        if let Some(addr) = peer.session.listen_addr {
            self.addresses.is_seed(addr);
        }
        self.part_from_seed(now, key);
    }

    /// Two peers that both have everything have nothing for each other.
    fn part_from_seed(&mut self, now: Instant, key: PeerKey) {
        if self.have.is_full() && self.peers.get(&key).is_some_and(|peer| peer.session.is_seed()) {
            self.close(now, key, CloseReason::ByUs("both sides have everything"));
        }
    }

    fn interest_changed(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get(&key) else { return };
        let served = self
            .peers
            .values()
            .filter(|peer| !peer.session.am_choking)
            .count();
        let slot_is_free = served < self.settings.upload_slots;
        // A free slot is given at once, and one that is no longer used is free at once.
        if peer.session.am_choking == slot_is_free || !peer.session.peer_interested {
            self.next_rechoke = None;
        }
    }

    fn on_request(&mut self, key: PeerKey, block: Block) {
        let Some(peer) = self.peers.get(&key) else { return };
        let session = &peer.session;
        let served = !session.am_choking || session.granted_fast.contains(&block.piece);
        let told = self.uploads_told.get(&key).copied().unwrap_or(0);
        if served && self.have.has(block.piece) && peer.requests_in() + told < MOST_REQUESTS_WAITING {
            self.uploads_told.insert(key, told + 1);
            self.actions.push(Action::Tell(key, PeerCommand::Upload(block)));
        } else if session.fast {
            let reject = vec![Message::RejectRequest(block)];
            self.actions.push(Action::Tell(key, PeerCommand::Send(reject)));
        }
        // Without the fast extension a choke has said it already; past the bound nobody is told, hence its size.
    }

    // Interest.

    fn update_interest(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let interested = self.settings.fetch && self.picker.interests(&peer.session.has);
        if interested != peer.session.am_interested {
            peer.session.am_interested = interested;
            let message = if interested {
                Message::Interested
            } else {
                Message::NotInterested
            };
            self.actions
                .push(Action::Tell(key, PeerCommand::Send(vec![message])));
        }
        self.hungry.insert(key);
    }

    /// Works out anew who has something for us.
    pub(super) fn update_interests(&mut self) {
        let everybody: Vec<_> = self.peers.keys().copied().collect();
        everybody.into_iter().for_each(|key| self.update_interest(key));
    }

    /// Tells everybody when we have got all that we want, or want more again.
    pub(super) fn tell_if_upload_only(&mut self) {
        let upload_only = self.is_complete();
        if upload_only == self.upload_only_told {
            return;
        }
        self.upload_only_told = upload_only;
        for (key, peer) in &self.peers {
            let introduction = peer.session.introduction(upload_only, self.settings.listen_port);
            if let Some(message) = introduction {
                self.actions
                    .push(Action::Tell(*key, PeerCommand::Send(vec![message])));
            }
        }
    }

    // Whom we serve.

    pub(super) fn rechoke_if_due(&mut self, now: Instant) {
        if self.next_rechoke.is_some_and(|at| now < at) {
            return;
        }
        self.next_rechoke = Some(now + RECHOKE_EVERY);
        let candidates: Vec<_> = self.peers.values().map(candidate).collect();
        let chosen = self
            .choker
            .rechoke(now, self.is_complete(), &candidates, &mut self.rng);
        for (key, peer) in &mut self.peers {
            let serve = chosen.contains(key);
            if serve != peer.session.am_choking {
                continue;
            }
            peer.session.am_choking = !serve;
            peer.unchoked_since = serve.then_some(now);
            let command = if serve {
                PeerCommand::Send(vec![Message::Unchoke])
            } else {
                let granted = peer.session.granted_fast.clone();
                PeerCommand::Choke { granted }
            };
            self.actions.push(Action::Tell(*key, command));
        }
    }

    // Time.

    pub(super) fn tick_peers(&mut self, now: Instant) {
        let mut snubbing = Vec::new();
        for (key, peer) in &mut self.peers {
            peer.on_tick(now);
            if peer.pipeline.check_snub(now) {
                snubbing.push(*key);
            }
            self.hungry.insert(*key);
        }
        for key in snubbing {
            log::debug!(
                "{}: peer {key} lets us wait, its blocks go to others",
                self.info.name
            );
            self.release_requests(key);
        }
    }

    /// Closes connections, those first that are of the least use: with nobody who wants anything of the other,
    /// then by what they carry; of equals, the newest.
    pub fn close_least_useful(&mut self, now: Instant, count: usize) {
        let mut by_use: Vec<_> = self
            .peers
            .values()
            .map(|peer| {
                let wanted = peer.session.am_interested || peer.session.peer_interested;
                let rate = peer.download_rate() + peer.upload_rate();
                (wanted, rate, Reverse((peer.connected_at, peer.key)))
            })
            .collect();
        by_use.sort_unstable();
        for (_, _, Reverse((_, key))) in by_use.into_iter().take(count) {
            self.close(
                now,
                key,
                CloseReason::ByUs("the settings allow fewer connections now"),
            );
        }
    }

    // Whom we dial.

    pub(super) fn dial(&mut self, now: Instant) {
        if self.stopping || self.check.is_some() || self.halt.is_some() {
            return;
        }
        let dialing = self.addresses.dialing();
        let free = self
            .settings
            .max_connections
            .saturating_sub(self.peers.len() + dialing);
        let most = free.min(DIALS_AT_ONCE.saturating_sub(dialing));
        if most == 0 {
            return;
        }
        let dials = self.addresses.next_dials(now, most, self.is_complete());
        self.actions.extend(dials.into_iter().map(Action::Dial));
    }

    /// When the download is complete, seeds are let go.
    pub(super) fn part_from_seeds(&mut self, now: Instant) {
        let everybody: Vec<_> = self.peers.keys().copied().collect();
        everybody
            .into_iter()
            .for_each(|key| self.part_from_seed(now, key));
    }
}

/// Whether two addresses of one peer id may be one peer's: anybody can call himself by the id of another, and would
/// keep that one away from us. A peer with both families has an address of each.
fn may_be_one_host(one: IpAddr, other: IpAddr) -> bool {
    let (one, other) = (one.to_canonical(), other.to_canonical());
    one == other || one.is_ipv4() != other.is_ipv4()
}

fn candidate(peer: &Peer) -> Candidate {
    Candidate {
        peer: peer.key,
        interested: peer.session.peer_interested,
        unchoked: !peer.session.am_choking,
        rate_from_peer: peer.download_rate(),
        rate_to_peer: peer.upload_rate(),
        connected_at: peer.connected_at,
        snubbed: peer.pipeline.is_snubbed(),
        unchoked_since: peer.unchoked_since,
    }
}
