//! The scripted peers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::bitfield::Bitfield;
use crate::geometry::Block;
use crate::peer::link::{PeerCommand, PeerCounters, PeerInput};
use crate::wire::message::Message;

/// How a scripted peer behaves.
#[derive(Debug, Clone)]
pub(in crate::torrent::tests) struct Manner {
    /// Speaks the fast extension.
    pub(in crate::torrent::tests) fast: bool,
    /// Blocks that it sends in a step; 0: it answers nothing.
    pub(in crate::torrent::tests) speed: usize,
    /// It sends in every so many-th step only.
    pub(in crate::torrent::tests) sends_every: u64,
    /// Steps that a block is under way, when it is too late to take its request back.
    pub(in crate::torrent::tests) travels: u64,
    /// Sends wrong bytes in blocks whose number within the torrent is divisible by this.
    pub(in crate::torrent::tests) corrupts: Option<u32>,
    /// Refuses every request.
    pub(in crate::torrent::tests) rejects: bool,
    /// Chokes us every so many steps, and unchokes us as many later.
    pub(in crate::torrent::tests) chokes_every: Option<u64>,
    /// Goes after so many blocks.
    pub(in crate::torrent::tests) leaves_after: Option<usize>,
    /// Never lets us ask.
    pub(in crate::torrent::tests) keeps_choking: bool,
    /// Sends what it was asked for even when the request is taken back.
    pub(in crate::torrent::tests) ignores_cancels: bool,
}

/// A peer that answers well and quickly.
pub(in crate::torrent::tests) const HONEST: Manner = Manner {
    fast: true,
    speed: 8,
    sends_every: 1,
    travels: 0,
    corrupts: None,
    rejects: false,
    chokes_every: None,
    leaves_after: None,
    keeps_choking: false,
    ignores_cancels: false,
};

/// A scripted peer.
#[derive(Debug)]
pub(in crate::torrent::tests) struct FakePeer {
    pub(in crate::torrent::tests) manner: Manner,
    pub(in crate::torrent::tests) has: Bitfield,
    pub(in crate::torrent::tests) counters: Arc<PeerCounters>,
    pub(super) choking: bool,
    /// What it will say in the next step.
    pub(super) says: Vec<PeerInput>,
    /// What it was asked for and has not answered.
    pub(in crate::torrent::tests) asked: VecDeque<Block>,
    /// Blocks under way, with the step in which they arrive.
    pub(super) travelling: VecDeque<(u64, Block)>,
    /// Everything that it was told, but requests.
    pub(in crate::torrent::tests) heard: Vec<Message>,
    /// Blocks that we were told to upload to it.
    pub(in crate::torrent::tests) uploads: Vec<Block>,
    /// Requests and cancels that it got.
    pub(in crate::torrent::tests) requests: usize,
    pub(in crate::torrent::tests) cancels: usize,
    pub(in crate::torrent::tests) sent: usize,
    pub(in crate::torrent::tests) unchoked: bool,
}

impl FakePeer {
    pub(super) fn new(manner: Manner, has: Bitfield) -> Self {
        Self {
            manner,
            has,
            counters: Arc::default(),
            choking: true,
            says: Vec::new(),
            asked: VecDeque::new(),
            travelling: VecDeque::new(),
            heard: Vec::new(),
            uploads: Vec::new(),
            requests: 0,
            cancels: 0,
            sent: 0,
            unchoked: false,
        }
    }

    pub(in crate::torrent::tests) fn say(&mut self, message: Message) {
        self.says.push(PeerInput::Message(message));
    }

    pub(super) fn hear(&mut self, command: PeerCommand) {
        match command {
            PeerCommand::Send(messages) => messages
                .into_iter()
                .for_each(|message| self.hear_message(message)),
            PeerCommand::Upload(block) => {
                self.counters.uploads_queued.fetch_add(1, Ordering::Relaxed);
                self.uploads.push(block);
            }
            PeerCommand::CancelUpload(block) => self.uploads.retain(|other| *other != block),
            PeerCommand::Choke { granted } => {
                self.uploads.retain(|block| granted.contains(&block.piece));
                let kept = self.uploads.len() as u32;
                self.counters.uploads_queued.store(kept, Ordering::Relaxed);
                self.unchoked = false;
            }
            PeerCommand::Haves => {}
        }
    }

    fn hear_message(&mut self, message: Message) {
        match message {
            Message::Request(block) => {
                assert!(
                    self.has.has(block.piece),
                    "it was asked for {block}, which it lacks"
                );
                self.requests += 1;
                if self.manner.rejects || (self.choking && self.manner.fast) {
                    self.say(Message::RejectRequest(block));
                } else if !self.choking {
                    self.asked.push_back(block);
                }
                return;
            }
            Message::Cancel(block) => {
                self.cancels += 1;
                if !self.manner.ignores_cancels {
                    self.asked.retain(|other| *other != block);
                }
            }
            Message::Interested if !self.manner.keeps_choking && self.choking => self.set_choking(false),
            Message::Unchoke => self.unchoked = true,
            _ => {}
        }
        self.heard.push(message);
    }

    pub(in crate::torrent::tests) fn set_choking(&mut self, choking: bool) {
        self.choking = choking;
        self.say(if choking { Message::Choke } else { Message::Unchoke });
        if choking {
            let dropped = std::mem::take(&mut self.asked);
            if self.manner.fast {
                dropped
                    .into_iter()
                    .for_each(|block| self.say(Message::RejectRequest(block)));
            }
        }
    }
}
