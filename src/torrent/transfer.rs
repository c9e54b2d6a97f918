//! Blocks: what is taken back, what becomes of what comes, and what the disk says of it. Layer 2.

use std::time::{Duration, Instant};

use crate::geometry::{BLOCK_LENGTH, Block, PieceIndex};
use crate::memory::BlockBuf;
use crate::peer::link::{CloseReason, PeerCommand, PeerKey};
use crate::picker::Received;
use crate::storage::task::{BlockDigest, DiskResult, DiskTask};
use crate::torrent::assembly::Stored;
use crate::torrent::blame::Author;
use crate::torrent::peer::Peer;
use crate::torrent::state::{Action, Readiness, Torrent};
use crate::wire::message::Message;

/// A peer that sends this many blocks more that nobody asked for is thrown out. Some come honestly: they
/// cross our cancels.
const MOST_UNASKED: u32 = 2_000;

/// How long a piece that nobody can go on with may hold memory that is needed.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(30);

impl Torrent {
    // Giving up.

    /// Takes back everything that is out at a peer: it chokes us, is too slow, or is gone.
    pub(super) fn release_requests(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let blocks = peer.pipeline.drain();
        if blocks.is_empty() {
            return;
        }
        self.assembly.give_back_blocks(blocks.len());
        self.picker.release_all(key);
        self.drop_idle_pieces();
        self.everybody_is_hungry();
    }

    /// Takes suspect pieces from hosts that do not go on with them; another one gets them from the start, so
    /// that each attempt has one author.
    pub(super) fn pass_on_suspects(&mut self, now: Instant) {
        self.blame.on_tick(now);
        let claims: Vec<_> = self.blame.claims().collect();
        for (piece, ip) in claims {
            let asked = |peer: &Peer| peer.session.addr.ip() == ip && peer.pipeline.asks_for(piece);
            // One that is whole waits for its hash, and then it is known who was wrong.
            let whole =
                self.assembly.is_open(piece) && self.picker.open_pieces().all(|open| open.piece != piece);
            if !whole && !self.peers.values().any(asked) {
                self.give_up_piece(piece);
                self.blame.pass_on(piece);
                self.everybody_is_hungry();
            }
        }
    }

    /// A peer will not answer this request.
    pub(super) fn on_reject(&mut self, now: Instant, key: PeerKey, block: Block) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if peer.pipeline.ended(block) {
            // A choke is said once and rejects the rest; otherwise it would be asked the same again at once.
            if peer.session.may_request(block.piece) {
                peer.pipeline.refused(now);
            }
            self.assembly.give_back_blocks(1);
            self.picker.release(key, block);
            self.drop_idle_pieces();
            self.everybody_is_hungry();
        } else {
            self.picker.spared(key, block);
        }
    }

    /// Open pieces of which nothing is here and nothing is asked hold credits for nothing: another piece may
    /// need them.
    fn drop_idle_pieces(&mut self) {
        let idle: Vec<_> = self
            .picker
            .open_pieces()
            .filter(|open| open.received == 0 && open.requested == 0)
            .map(|open| open.piece)
            .collect();
        for piece in idle {
            self.picker.drop_open(piece);
            self.assembly.close(piece);
        }
    }

    /// While memory is short, pieces are thrown away of which nobody has sent or could send anything for a
    /// while: with their credits others can be had.
    pub(super) fn give_up_orphans(&mut self, now: Instant) {
        if !self.assembly.memory_is_short() {
            self.orphans.clear();
            return;
        }
        let orphans: Vec<_> = self
            .picker
            .open_pieces()
            .filter(|open| open.requested == 0 && (self.halt.is_some() || !self.is_served(open.piece)))
            .collect();
        self.orphans
            .retain(|piece, _| orphans.iter().any(|open| open.piece == *piece));
        for open in orphans {
            let since = *self.orphans.entry(open.piece).or_insert(now);
            if now.saturating_duration_since(since) >= ORPHAN_PATIENCE {
                self.orphans.remove(&open.piece);
                self.give_up_piece(open.piece);
                self.everybody_is_hungry();
            }
        }
    }

    /// Whether some peer has the piece and lets us ask for it.
    fn is_served(&self, piece: PieceIndex) -> bool {
        self.peers.values().any(|peer| {
            peer.session.has.has(piece) && peer.session.may_request(piece) && !peer.pipeline.is_snubbed()
        })
    }

    /// Throws a partly received piece away, with cancels for what is out.
    pub(super) fn give_up_piece(&mut self, piece: PieceIndex) {
        let received = self
            .picker
            .open_pieces()
            .find(|open| open.piece == piece)
            .map_or(0, |open| open.received);
        self.tally.wasted += u64::from(received) * u64::from(BLOCK_LENGTH);
        let mut out = Vec::new();
        for (key, peer) in &mut self.peers {
            let blocks = peer.pipeline.drain_piece(piece);
            self.assembly.give_back_blocks(blocks.len());
            if !blocks.is_empty() {
                out.push((*key, blocks));
            }
        }
        for (key, blocks) in out {
            let cancels = blocks.into_iter().map(Message::Cancel).collect();
            self.actions.push(Action::Tell(key, PeerCommand::Send(cancels)));
        }
        self.picker.drop_open(piece);
        self.assembly.close(piece);
    }

    // Receiving.

    /// A peer sent a block; the numbers are as they came from the wire.
    pub(super) fn on_block(&mut self, now: Instant, key: PeerKey, piece: u32, begin: u32, data: BlockBuf) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let length = data.len() as u32;
        let block = Block {
            piece: PieceIndex(piece),
            begin,
            length,
        };
        self.hungry.insert(key);
        let asked = peer.pipeline.answered(now, block);
        // A block that comes after its request was taken back is kept if it is still of use and there is
        // memory for it.
        let held = asked || self.assembly.take_blocks(1) == 1;
        let is_block = self.info.geometry.block_number(block).is_some();
        let received = if held && is_block {
            self.picker.received(key, block)
        } else {
            Received::Unrequested
        };
        let Received::Accepted { also_asked, .. } = received else {
            if held {
                self.assembly.give_back_blocks(1);
            }
            self.waste(now, key, length, asked);
            return;
        };
        if !asked {
            peer.pipeline.heard(now);
        }
        peer.downloaded += u64::from(length);
        let author = Author {
            peer: key,
            ip: peer.session.addr.ip(),
        };
        self.downloaded += u64::from(length);
        for other in also_asked {
            self.cancel(other, block);
        }
        self.store(block, author, data);
    }

    fn waste(&mut self, now: Instant, key: PeerKey, length: u32, asked: bool) {
        self.tally.wasted += u64::from(length);
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        peer.unasked += u32::from(!asked);
        if peer.unasked > MOST_UNASKED {
            self.close(
                now,
                key,
                CloseReason::ByUs("it keeps sending blocks that nobody asked for"),
            );
        }
    }

    /// A peer has got a piece that we ask a seed for: the seed should rather send what nobody has. What we lack of the
    /// piece comes from that peer, or from one that has it from there.
    pub(super) fn leave_to_others(&mut self, from: PeerKey, piece: PieceIndex) {
        if !self.assembly.is_open(piece) || !self.picker.has_unshared_like(piece) {
            return;
        }
        let asked = |(key, peer): &(&PeerKey, &Peer)| {
            **key != from && peer.session.is_seed() && peer.pipeline.asks_for(piece)
        };
        let seeds: Vec<_> = self.peers.iter().filter(asked).map(|(key, _)| *key).collect();
        if seeds.is_empty() {
            return;
        }
        for key in seeds {
            let Some(peer) = self.peers.get_mut(&key) else {
                continue;
            };
            let blocks = peer.pipeline.drain_piece(piece);
            self.assembly.give_back_blocks(blocks.len());
            for block in &blocks {
                self.picker.release(key, *block);
            }
            self.hungry.insert(key);
            let cancels = blocks.into_iter().map(Message::Cancel).collect();
            self.actions.push(Action::Tell(key, PeerCommand::Send(cancels)));
        }
        self.drop_idle_pieces();
        self.everybody_is_hungry();
    }

    fn cancel(&mut self, key: PeerKey, block: Block) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if peer.pipeline.ended(block) {
            self.assembly.give_back_blocks(1);
            self.hungry.insert(key);
            self.actions
                .push(Action::Tell(key, PeerCommand::Send(vec![Message::Cancel(block)])));
        }
    }

    fn store(&mut self, block: Block, author: Author, data: BlockBuf) {
        let piece = block.piece;
        match self.assembly.store(block, author, data) {
            Stored::Kept => {}
            Stored::Whole(blocks) => {
                let expected = self.info.piece_hashes[piece.get()];
                let digests = self.blame.is_open(piece);
                self.submit(DiskTask::WritePiece {
                    piece,
                    expected,
                    blocks,
                    digests,
                });
            }
            Stored::Spill(data) => self.spilling.push((block, data)),
            // The picker accepts blocks of open pieces only, and what is open there is open here.
            Stored::NotOpen => debug_assert!(false, "{block} is open in the picker alone"),
        }
    }

    pub(super) fn flush_spills(&mut self) {
        if !self.spilling.is_empty() {
            let blocks = std::mem::take(&mut self.spilling);
            self.submit(DiskTask::Spill { blocks });
        }
    }

    fn submit(&mut self, task: DiskTask) {
        self.at_disk += 1;
        self.actions.push(Action::Disk(task));
    }

    // What the disk says.

    pub(super) fn on_piece_result(&mut self, now: Instant, result: DiskResult) {
        self.at_disk = self.at_disk.saturating_sub(1);
        match result {
            DiskResult::Written { piece, digests } | DiskResult::Checked { piece, digests } => {
                self.piece_is_good(now, piece, digests);
            }
            DiskResult::Mismatch { piece, digests } => self.piece_is_bad(now, piece, digests),
            DiskResult::Spilled { blocks } => {
                for piece in self.assembly.spilled(&blocks) {
                    let expected = self.info.piece_hashes[piece.get()];
                    let digests = self.blame.is_open(piece);
                    self.submit(DiskTask::CheckPiece {
                        piece,
                        expected,
                        digests,
                    });
                }
            }
            DiskResult::Failed { piece, error } => {
                match piece {
                    Some(piece) => self.lose_piece(piece),
                    // Of what is asked of the disk here only this has no piece.
                    None => self.preparing = self.preparing.saturating_sub(1),
                }
                self.halt(now, &error);
            }
            DiskResult::SpillFailed { blocks, error } => {
                // Any of them may be missing now, so none of these pieces can become whole as it is.
                blocks.iter().for_each(|block| self.lose_piece(block.piece));
                self.assembly.spilled(&blocks);
                self.halt(now, &error);
            }
            DiskResult::Prepared { .. } => {
                self.preparing = self.preparing.saturating_sub(1);
                // With others on their way, what is wanted has changed meanwhile: the last answer counts.
                if self.preparing == 0 && self.readiness == Readiness::Asked {
                    self.prepared();
                }
            }
            // Nobody here asked for the rest.
            _ => {}
        }
        self.everybody_is_hungry();
    }

    fn piece_is_good(&mut self, now: Instant, piece: PieceIndex, digests: Option<Vec<BlockDigest>>) {
        self.assembly.close(piece);
        self.picker.verified(piece);
        self.failed_pieces.remove(&piece);
        self.tally.pieces_received += 1;
        if self.have.insert(piece) {
            let have = self.have.count();
            self.actions.push(Action::PieceDone { piece, have });
        }
        self.interest_is_stale = true;
        for guilty in self.blame.verified(piece, &digests.unwrap_or_default()) {
            self.ban(now, guilty);
        }
        self.tell_if_finished();
        if self.have.is_full() {
            self.part_from_seeds(now);
        }
    }

    fn piece_is_bad(&mut self, now: Instant, piece: PieceIndex, digests: Vec<BlockDigest>) {
        self.tally.pieces_received += 1;
        self.tally.pieces_failed += 1;
        self.tally.wasted += u64::from(self.info.geometry.piece_size(piece));
        let authors = self.assembly.close(piece).unwrap_or_default();
        self.picker.failed(piece);
        self.failed_pieces.insert(piece);
        log::warn!(
            "{}: piece {piece} has a wrong hash and is fetched again",
            self.info.name
        );
        // Without digests there was nothing to read back: somebody removed the file, which no peer can.
        if !digests.is_empty()
            && let Some(guilty) = self.blame.failed(piece, &authors, digests)
        {
            self.ban(now, guilty);
        }
    }

    /// The disk did not take blocks of this piece: all of it is missing again.
    fn lose_piece(&mut self, piece: PieceIndex) {
        self.give_up_piece(piece);
        self.picker.failed(piece);
    }
}
