//! Peers: who joins and leaves, what they say, whom we serve, whom we dial. Layer 2.

use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::choker::{Candidate, MOST_KEPT};
use crate::geometry::Block;
use crate::peer::link::{CloseReason, PeerBatch, PeerCommand, PeerCounters, PeerInput, PeerKey};
use crate::peer::session::{MOST_REQUESTS_WAITING, Said, Session};
use crate::sentence::told;
use crate::torrent::blame::Author;
use crate::torrent::peer::Peer;
use crate::torrent::state::{Action, Torrent};
use crate::wire::handshake::{Direction, Introduction};
use crate::wire::message::Message;

/// Who is served is thought over this often (BEP 3 §choking).
const RECHOKE_EVERY: Duration = Duration::from_secs(10);

/// If so many are served, a free slot is given after so long, with the next event or tick.
const MANY_SERVED: usize = 50;
const TOGETHER: Duration = Duration::from_millis(100);

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
            return Err("the peer is banned");
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

    /// Adds up what was sent to peers that have left, once the threads of their connections have ended.
    pub(super) fn count_for_good(&mut self) {
        for counters in std::mem::take(&mut self.leaving) {
            match Arc::try_unwrap(counters) {
                Ok(counters) => self.uploaded_to_gone += counters.sent_payload(),
                Err(counters) => self.leaving.push(counters),
            }
        }
    }

    fn forget(&mut self, now: Instant, key: PeerKey) {
        self.release_requests(key);
        self.picker.forget_peer(key);
        self.spread.forget(key);
        self.hungry.remove(&key);
        let Some(peer) = self.peers.remove(&key) else {
            return;
        };
        self.picker.peer_left(&peer.session.has);
        self.leaving.push(peer.counters);
        if let Some(addr) = peer.session.listen_addr {
            self.addresses.disconnected(now, addr);
        }
        if peer.unchoked_since.is_some() {
            self.served -= 1;
            self.rechoke_soon(now);
        }
        self.everybody_is_hungry();
    }

    /// Throws out everybody at the host of somebody who sent wrong data, for the rest of this run.
    pub(super) fn ban(&mut self, now: Instant, guilty: Author) {
        log::warn!("{}: {} sent wrong data and is banned", self.info.name, guilty.ip);
        self.ban_host(now, guilty.ip, "it sent wrong data");
    }

    /// Throws out everybody at this host, and lets nobody in from there.
    pub fn ban_host(&mut self, now: Instant, ip: IpAddr, why: &'static str) {
        self.addresses.ban(ip);
        let there: Vec<_> = self
            .peers
            .values()
            .filter(|peer| peer.session.addr.ip().to_canonical() == ip.to_canonical())
            .map(|peer| peer.key)
            .collect();
        for key in there {
            self.close(now, key, CloseReason::ByUs(why));
        }
    }

    /// Whoever is at this host is welcome again.
    pub fn lift_ban(&mut self, ip: IpAddr) {
        self.addresses.lift_ban(ip);
    }

    // What peers say.

    /// Takes in what a peer said, in order.
    pub fn on_batch(&mut self, now: Instant, batch: PeerBatch) {
        let key = batch.peer;
        for input in batch.inputs {
            match input {
                PeerInput::Block { piece, begin, data } => self.on_block(now, key, piece, begin, data),
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
        self.halt_for_good(told!(
            "{error}. Nothing of it is shared until it is started again or its files are checked again."
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
            Said::Interest => self.interest_changed(now, key),
            Said::Has(piece) => {
                let id = peer.session.peer_id;
                self.picker.peer_got(piece, id);
                self.spread.on_have(now, key, piece);
                self.leave_to_others(key, piece);
                self.pieces_changed(now, key);
            }
            Said::HasSet { before } => {
                self.picker.peer_left(&before);
                self.picker.peer_joined(&peer.session.has);
                self.pieces_changed(now, key);
            }
            Said::Request(block) => self.on_request(now, key, block),
            Said::Cancel(block) => self.on_cancel(key, block),
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

    fn interest_changed(&mut self, now: Instant, key: PeerKey) {
        let room = self.all_are_served && self.choker.has_room(self.is_complete(), self.served);
        let slot_is_free = self.served < self.choker.slots();
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        peer.wants_something();
        match (peer.session.peer_interested, peer.session.am_choking) {
            // Nobody waits for a slot, so all others need not be looked at.
            (true, true) if room => self.serve(now, key),
            (true, true) => {
                self.all_are_served = false;
                if slot_is_free {
                    self.rechoke_soon(now);
                }
            }
            // A slot that is no longer wanted is free at once.
            (false, false) => self.rechoke_soon(now),
            _ => {}
        }
    }

    /// Gives a slot to a peer.
    fn serve(&mut self, now: Instant, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(&key) {
            self.served += 1;
            self.actions.push(Action::Tell(key, peer.unchoke(now)));
        }
    }

    /// A slot is free. With many of them those who come or go meanwhile are looked at together, for all peers are.
    fn rechoke_soon(&mut self, now: Instant) {
        let soon = now + TOGETHER;
        self.next_rechoke = self
            .next_rechoke
            .filter(|_| self.served >= MANY_SERVED)
            .map(|at| at.min(soon));
    }

    fn on_request(&mut self, now: Instant, key: PeerKey, block: Block) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        peer.wants_something();
        let peer = &*peer;
        let session = &peer.session;
        let served = !session.am_choking || session.granted_fast.contains(&block.piece);
        let told = self.uploads_told.get(&key).copied().unwrap_or(0);
        let waiting = peer.requests_in() + told + self.spread.held_of(key);
        if served && self.have.has(block.piece) && waiting < MOST_REQUESTS_WAITING {
            let rate = peer.upload_rate();
            let rate_of = |other: PeerKey| self.peers.get(&other).map_or(0, Peer::upload_rate);
            // As a leecher we have nobody wait for what comes from others as well.
            let unshared = self.have.is_full() && self.picker.is_unshared(block.piece);
            let takes_over = |other: PeerKey| rate > 2 * rate_of(other);
            if self.spread.on_request(now, key, block, unshared, takes_over) {
                self.upload(key, block);
            }
        } else if session.fast {
            let reject = vec![Message::RejectRequest(block)];
            self.actions.push(Action::Tell(key, PeerCommand::Send(reject)));
        }
        // Without the fast extension a choke has said it already; past the bound nobody is told, hence its size.
    }

    fn upload(&mut self, key: PeerKey, block: Block) {
        *self.uploads_told.entry(key).or_default() += 1;
        self.actions.push(Action::Tell(key, PeerCommand::Upload(block)));
    }

    fn on_cancel(&mut self, key: PeerKey, block: Block) {
        if !self.spread.on_cancel(key, block) {
            self.actions
                .push(Action::Tell(key, PeerCommand::CancelUpload(block)));
        } else if self.peers.get(&key).is_some_and(|peer| peer.session.fast) {
            let reject = vec![Message::RejectRequest(block)];
            self.actions.push(Action::Tell(key, PeerCommand::Send(reject)));
        }
    }

    /// Sends what was held back and shall not wait any longer.
    pub(super) fn release_held(&mut self, now: Instant) {
        if self.spread.holds() {
            let is_idle =
                self.uploads_told.is_empty() && self.peers.values().all(|peer| peer.requests_in() == 0);
            let picker = &self.picker;
            let unshared = |piece| picker.is_unshared(piece);
            for (key, block) in self.spread.release(now, is_idle, unshared) {
                self.upload(key, block);
            }
        }
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
        let kept = self.spread.kept(now);
        let peers = self.peers.values();
        let candidates: Vec<_> = peers
            .map(|peer| candidate(peer, kept.get(&peer.key).copied().unwrap_or(0)))
            .collect();
        let mut chosen = self
            .choker
            .rechoke(now, self.is_complete(), &candidates, &mut self.rng);
        chosen.sort_unstable();
        self.served = chosen.len();
        self.all_are_served =
            candidates.iter().filter(|candidate| candidate.interested).count() == chosen.len();
        for (key, peer) in &mut self.peers {
            match (chosen.binary_search(key).is_ok(), peer.session.am_choking) {
                (true, true) => self.actions.push(Action::Tell(*key, peer.unchoke(now))),
                (true, false) => peer.last_served = Some(now),
                (false, true) => {}
                (false, false) => {
                    peer.session.am_choking = true;
                    peer.unchoked_since = None;
                    let mut granted = peer.session.granted_fast.clone();
                    let keeps = kept.get(key).is_some_and(|kept| *kept > MOST_KEPT);
                    if peer.session.fast && !keeps {
                        // Half a first copy is of use to nobody.
                        granted.extend(self.spread.fetched_by(*key));
                    }
                    self.actions
                        .push(Action::Tell(*key, PeerCommand::Choke { granted }));
                    let held = self.spread.on_choked(*key);
                    if peer.session.fast && !held.is_empty() {
                        let rejects = held.into_iter().map(Message::RejectRequest).collect();
                        self.actions.push(Action::Tell(*key, PeerCommand::Send(rejects)));
                    }
                }
            }
        }
    }

    // Time.

    pub(super) fn tick_peers(&mut self, now: Instant) {
        let mut snubbing = Vec::new();
        let fetches = !self.is_complete();
        let slots_are_scarce = self.served >= self.choker.slots();
        for (key, peer) in &mut self.peers {
            peer.on_tick(now);
            if !fetches {
                let told = self.uploads_told.get(key).copied().unwrap_or(0);
                let waiting = peer.requests_in() + told + self.spread.held_of(*key);
                if peer.check_idle(now, waiting) && slots_are_scarce {
                    self.next_rechoke = None;
                }
            }
            if peer.pipeline.check_snub(now) {
                snubbing.push(*key);
            }
            if fetches {
                self.hungry.insert(*key);
            }
        }
        if self.have.is_full() && !self.spread.kept(now).is_empty() {
            self.next_rechoke = None;
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
        if count == 0 {
            return;
        }
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

fn candidate(peer: &Peer, kept: u32) -> Candidate {
    Candidate {
        peer: peer.key,
        interested: peer.session.peer_interested,
        unchoked: !peer.session.am_choking,
        rate_from_peer: peer.download_rate(),
        rate_to_peer: peer.upload_rate(),
        connected_at: peer.connected_at,
        snubbed: peer.pipeline.is_snubbed(),
        unchoked_since: peer.unchoked_since,
        last_served: peer.last_served,
        kept,
        idle: peer.is_idle(),
    }
}
