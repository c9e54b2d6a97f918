//! Requests: whom to ask for how much. Layer 2.

use std::time::Instant;

use crate::peer::link::{PeerCommand, PeerKey};
use crate::torrent::peer::Peer;
use crate::torrent::state::{Action, Readiness, Torrent};
use crate::wire::message::Message;

impl Torrent {
    /// Fills the pipelines of all peers that may have room.
    pub(super) fn feed_hungry(&mut self, now: Instant) {
        let hungry = std::mem::take(&mut self.hungry);
        let ready = self.readiness == Readiness::Yes && self.check.is_none() && self.halt.is_none();
        if self.stopping || !ready || self.is_complete() {
            return;
        }
        for key in hungry {
            self.feed(now, key);
        }
    }

    fn feed(&mut self, now: Instant, key: PeerKey) {
        let may_start = self.may_become_active(key);
        let Some(peer) = self.peers.get_mut(&key).filter(|peer| peer.session.am_interested) else {
            return;
        };
        let session = &peer.session;
        let allowed = session.peer_choking.then_some(session.allowed_fast.as_slice());
        let room = peer.pipeline.room(now, session.request_queue);
        if room == 0 || !may_start || allowed.is_some_and(<[_]>::is_empty) {
            return;
        }
        let ip = session.addr.ip();
        let visible = self.blame.visible_to(ip, &session.has);
        let granted = self.assembly.take_blocks(room);
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
        if !blocks.is_empty() {
            blocks.iter().for_each(|block| self.blame.claim(block.piece, ip));
            peer.pipeline.sent(now, &blocks);
            let requests = blocks.into_iter().map(Message::Request).collect();
            self.actions.push(Action::Tell(key, PeerCommand::Send(requests)));
        }
    }

    /// Whether this peer is, or may become, one of those that we download from at a time.
    fn may_become_active(&self, key: PeerKey) -> bool {
        let most = self.settings.active_peers;
        // One that lets us wait takes no place: a few of them would otherwise keep everybody else out.
        let is_active = |peer: &Peer| !peer.pipeline.is_empty() && !peer.pipeline.is_snubbed();
        let goes_on = |peer: &Peer| is_active(peer) || peer.pipeline.is_snubbed();
        most == 0
            || self.peers.get(&key).is_some_and(goes_on)
            || self.peers.values().filter(|peer| is_active(peer)).count() < most
    }
}
