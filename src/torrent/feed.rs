//! Requests: whom to ask for how much. Layer 2.

use std::time::Instant;

use crate::peer::link::{PeerCommand, PeerKey};
use crate::picker::OpenProgress;
use crate::torrent::peer::Peer;
use crate::torrent::pipeline::is_worth_a_message;
use crate::torrent::state::{Action, Readiness, Torrent};
use crate::wire::message::Message;

impl Torrent {
    /// Fills the pipelines of all peers that may have room.
    pub(super) fn feed_hungry(&mut self, now: Instant) {
        if self.assembly.disk_is_behind() {
            return;
        }
        let hungry = std::mem::take(&mut self.hungry);
        let ready = self.readiness == Readiness::Yes && self.check.is_none() && self.halt.is_none();
        if self.stopping || !ready || self.is_complete() || !self.settings.fetch {
            return;
        }
        self.assembly.fit_to_budget();
        if self.picker.is_near_the_end() {
            let paces = self.peers.iter();
            self.picker
                .set_paces(paces.filter_map(|(key, peer)| Some((*key, peer.pipeline.pace()?))));
        }
        let Some(share) = self.fair_share(now) else {
            for key in hungry {
                self.feed(now, key, 1.0, 1);
            }
            return;
        };
        // Everybody gets a share, and what is left then goes to whoever can use it. Who is first changes, for
        // there may be less than one block for each.
        let mut turn: Vec<_> = self.peers.keys().copied().collect();
        let first = turn.partition_point(|key| *key <= self.fed_first);
        turn.rotate_left(first);
        self.fed_first = turn.first().copied().unwrap_or(self.fed_first);
        let least = self.least_share();
        for share in [share, 1.0] {
            turn.iter().for_each(|key| self.feed(now, *key, share, least));
        }
    }

    /// What a share is at least: a piece if there is memory for two of them at each peer, since a piece is cheapest if
    /// one peer sends all of it.
    fn least_share(&self) -> usize {
        let piece = self.assembly.piece_blocks();
        let asked = self.peers.values().filter(|peer| may_be_asked(peer)).count();
        if self.assembly.memory_is_enough_for(2 * asked * piece) {
            piece
        } else {
            1
        }
    }

    /// Which part of the requests that it could have out each peer may have, if there is not the memory for all
    /// of them: so what is out at each is worth the same time, however fast it is.
    fn fair_share(&self, now: Instant) -> Option<f64> {
        let full = self.active_places_are_taken();
        let (mut out, mut wanted) = (0, 0);
        for peer in self.peers.values() {
            if may_be_asked(peer) && (!full || goes_on(peer)) {
                out += peer.pipeline.len();
                wanted += peer.pipeline.room(now, peer.session.request_queue);
            }
        }
        let mut there = self.assembly.free_credits();
        if wanted > there && !self.assembly.spills() {
            // Pieces that are kept hold the credits of all of their blocks.
            let free = |open: OpenProgress| (open.total - open.received - open.requested) as usize;
            there += self.picker.open_pieces().map(free).sum::<usize>();
        }
        (wanted > there).then(|| (out + there) as f64 / (out + wanted) as f64)
    }

    /// Asks a peer for as much as it has room for, up to this share of what may be out at it, or `least`.
    fn feed(&mut self, now: Instant, key: PeerKey, share: f64, least: usize) {
        let full = self.active_places_are_taken();
        let Some(peer) = self
            .peers
            .get_mut(&key)
            .filter(|peer| may_be_asked(peer) && (!full || goes_on(peer)))
        else {
            return;
        };
        let session = &peer.session;
        let allowed = session.peer_choking.then_some(session.allowed_fast.as_slice());
        let room = peer.pipeline.room(now, session.request_queue);
        let out = peer.pipeline.len();
        let most = (((out + room) as f64 * share) as usize).max(least.min(out + room));
        let room = room.min(most.saturating_sub(out));
        // The room of the pipeline itself is worth one.
        if share < 1.0 && !is_worth_a_message(room, most) {
            return;
        }
        let granted = self.assembly.take_blocks(room);
        if granted == 0 {
            return;
        }
        let ip = session.addr.ip();
        let visible = self.blame.visible_to(ip, &session.has);
        let mut blocks = Vec::with_capacity(granted);
        let assembly = &mut self.assembly;
        let mut open = |piece| assembly.open(piece);
        self.picker.pick(
            key,
            visible.as_ref().unwrap_or(&session.has),
            allowed,
            granted,
            &mut open,
            &mut self.rng,
            &mut blocks,
        );
        self.assembly.give_back_blocks(granted - blocks.len());
        peer.pipeline.sent(now, &blocks, granted);
        if !blocks.is_empty() {
            blocks.iter().for_each(|block| self.blame.claim(block.piece, ip));
            let requests = blocks.into_iter().map(Message::Request).collect();
            self.actions.push(Action::Tell(key, PeerCommand::Send(requests)));
        }
    }

    /// Whether we download from as many peers as we may at a time.
    fn active_places_are_taken(&self) -> bool {
        let most = self.settings.active_peers;
        most > 0 && self.peers.values().filter(|peer| is_active(peer)).count() >= most
    }
}

/// Whether it has something for us and lets us ask for it.
fn may_be_asked(peer: &Peer) -> bool {
    let session = &peer.session;
    session.am_interested && !(session.peer_choking && session.allowed_fast.is_empty())
}

/// Whether it takes one of the places of those that we download from. One that lets us wait takes none: a few
/// of them would otherwise keep everybody else out.
fn is_active(peer: &Peer) -> bool {
    !peer.pipeline.is_empty() && !peer.pipeline.is_doubtful()
}

/// Whether it may be asked although all places are taken.
fn goes_on(peer: &Peer) -> bool {
    is_active(peer) || peer.pipeline.is_doubtful()
}
