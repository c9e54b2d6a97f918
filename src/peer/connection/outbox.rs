//! What is to be sent to a peer, and in which order. A machine: layer 2, BEP 3 §peer messages, BEP 6.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::geometry::{Block, Geometry};
use crate::peer::link::{CompletedLog, PeerCommand, PeerCounters};
use crate::peer::session::MAX_SERVED_BLOCK;
use crate::wire::message::{Message, PIECE_HEADER_LENGTH};

/// The messages and blocks that wait for the socket.
///
/// Messages go before blocks, so that neither our requests nor our chokes stand behind megabytes. Until its
/// data is read from disk a block can be taken back, and it counts in [`PeerCounters::uploads_queued`] until
/// it is sent or dropped.
#[derive(Debug)]
pub(super) struct Outbox {
    fast: bool,
    geometry: Geometry,
    completed: Arc<CompletedLog>,
    /// Our place in `completed`: the pieces before it were told.
    cursor: usize,
    counters: Arc<PeerCounters>,
    control: Vec<u8>,
    uploads: VecDeque<Block>,
}

impl Outbox {
    /// Nothing to send to a peer that knows of the first `cursor` pieces in `completed`.
    pub(super) fn new(
        fast: bool,
        geometry: Geometry,
        completed: Arc<CompletedLog>,
        cursor: usize,
        counters: Arc<PeerCounters>,
    ) -> Self {
        Self {
            fast,
            geometry,
            completed,
            cursor,
            counters,
            control: Vec::new(),
            uploads: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.uploads.is_empty()
    }

    /// Does what the Downloader says.
    pub(super) fn apply(&mut self, command: PeerCommand) {
        match command {
            PeerCommand::Send(messages) => messages.iter().for_each(|message| self.say(message)),
            PeerCommand::Upload(block) if self.may_serve(block) => self.uploads.push_back(block),
            PeerCommand::Upload(block) => self.drop_upload(block),
            PeerCommand::CancelUpload(block) => {
                if let Some(place) = self.uploads.iter().position(|queued| *queued == block) {
                    self.uploads.remove(place);
                    self.drop_upload(block);
                }
            }
            PeerCommand::Choke { granted } => {
                // First the choke, so that the peer does not ask again for what is rejected (BEP 6 §reject).
                self.say(&Message::Choke);
                let (kept, dropped): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.uploads)
                    .into_iter()
                    .partition(|block| granted.contains(&block.piece));
                self.uploads = kept;
                dropped.into_iter().for_each(|block| self.drop_upload(block));
            }
            PeerCommand::Haves => self.tell_haves(),
        }
    }

    /// Whether messages wait, blocks aside.
    pub(super) fn has_messages(&self) -> bool {
        !self.control.is_empty()
    }

    pub(super) fn keep_alive(&mut self) {
        self.say(&Message::KeepAlive);
    }

    /// Moves the messages to `control`, which it clears first.
    pub(super) fn take_messages(&mut self, control: &mut Vec<u8>) {
        control.clear();
        std::mem::swap(control, &mut self.control);
    }

    /// Moves up to `most_blocks` uploads of together up to `most_bytes` to `uploads`, which it clears first; at
    /// least one if there is any.
    pub(super) fn take_uploads(&mut self, most_blocks: usize, most_bytes: usize, uploads: &mut Vec<Block>) {
        uploads.clear();
        uploads.extend(self.uploads.drain(..self.next_uploads(most_blocks, most_bytes).0));
    }

    /// How many uploads [`Self::take_uploads`] would take, and the bytes that they come to on the wire.
    pub(super) fn next_uploads(&self, most_blocks: usize, most_bytes: usize) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        for block in &self.uploads {
            let more = bytes + block.length as usize;
            if count > 0 && (count >= most_blocks || more > most_bytes) {
                break;
            }
            (count, bytes) = (count + 1, more);
        }
        (count, bytes + count * PIECE_HEADER_LENGTH)
    }

    /// Takes note that this many uploads are no longer queued.
    pub(super) fn uploads_done(&self, count: usize) {
        self.counters
            .uploads_queued
            .fetch_sub(count as u32, Ordering::Relaxed);
    }

    fn say(&mut self, message: &Message) {
        message.encode(&mut self.control);
    }

    /// The Downloader has checked this already; what is read from disk is checked where it is read.
    fn may_serve(&self, block: Block) -> bool {
        block.length <= MAX_SERVED_BLOCK && self.geometry.contains(block)
    }

    fn drop_upload(&mut self, block: Block) {
        self.uploads_done(1);
        if self.fast {
            self.say(&Message::RejectRequest(block));
        }
    }

    fn tell_haves(&mut self) {
        // Cleared before the list is read: a piece that comes after this sends a new command.
        self.counters.haves_pending.swap(false, Ordering::AcqRel);
        let completed = Arc::clone(&self.completed);
        for piece in completed.since(self.cursor) {
            self.say(&Message::Have(piece.0));
            self.cursor += 1;
        }
    }
}
