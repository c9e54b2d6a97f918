//! What this node says about itself, and the way of all bulletins round the ring. Layer 3.

use std::time::{Duration, Instant};

use super::RingThread;
use crate::id::RingId;
use crate::ring::bulletin::{Bulletin, CopyState, NodeCounters};
use crate::ring::codec::Writer;
use crate::ring::contact::Contact;
use crate::ring::frame::kind;
use crate::ring::link::LinkStatus;
use crate::ring::picture::LinkPicture;
use crate::ring::view::Stage;

/// How often the picture of the ring is drawn anew.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// A look that comes so late means that this process was stopped.
const STOPPED: Duration = Duration::from_secs(3);

/// When what is due next.
#[derive(Debug)]
pub(super) struct Clocks {
    show: Instant,
    publish: Instant,
    seen: Instant,
}

impl Clocks {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            show: now,
            publish: now,
            seen: now,
        }
    }
}

impl RingThread {
    /// Publishes and shows what is due.
    pub(super) fn show(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.showing.seen);
        self.showing.seen = now;
        if gap > STOPPED {
            self.board.excuse(gap);
        }
        if self.showing.show > now || self.is_gone {
            return;
        }
        self.showing.show = now + SHOW_EVERY;
        let links = self.links.status();
        let bulletin = self.bulletin(now, links.len());
        let is_due = self.showing.publish <= now;
        self.post_bulletin(now, bulletin, is_due);
        if is_due {
            // A little early rather than a whole round late.
            self.showing.publish = now + self.board.period() - SHOW_EVERY / 2;
        }
        self.board.expire(now);
        let mut picture = self.board.picture(now, self.node.view());
        picture.links = links.iter().map(link_picture).collect();
        picture.links.sort_by(|one, other| one.id.cmp(&other.id));
        self.hub.show(picture);
    }

    /// The last word of a node that leaves.
    pub(super) fn say_farewell(&mut self) {
        let now = Instant::now();
        let bulletin = Bulletin {
            stage: Stage::Left,
            serving: false,
            arc: None,
            copies: Vec::new(),
            ..self.bulletin(now, 0)
        };
        self.post_bulletin(now, bulletin, true);
    }

    /// A bulletin has come; `body` is the whole of it, with what only later versions understand.
    pub(super) fn on_bulletin(&mut self, now: Instant, from: &Contact, bulletin: &Bulletin, body: &[u8]) {
        if self.board.take(now, bulletin) {
            self.pass_on(bulletin.contact.id, from.id, body);
        }
    }

    fn post_bulletin(&mut self, now: Instant, bulletin: Bulletin, is_due: bool) {
        let me = self.hub.me.id;
        let mut body = Vec::new();
        let posted = self.board.publish(now, bulletin);
        if is_due && posted.stage != Stage::Outside {
            posted.encode(&mut Writer::new(&mut body));
            self.pass_on(me, me, &body);
        }
    }

    fn pass_on(&mut self, origin: RingId, from: RingId, body: &[u8]) {
        for to in self.board.next_readers(self.node.view(), origin, from) {
            self.post.send(&to, kind::BULLETIN, |out| out.bytes(body));
        }
    }

    fn bulletin(&self, now: Instant, links: usize) -> Bulletin {
        let (ring, custody) = (self.node.view(), self.custody.view());
        let copies = self.custody.copy_states();
        let mending = custody.own.iter().flat_map(|own| &own.mending);
        let mut mending: Vec<RingId> = mending.map(|contact| contact.id).collect();
        mending.sort_unstable();
        mending.dedup();
        let fingers = self.node.fingers();
        let mut bulletin = Bulletin {
            stage: ring.stage,
            serving: ring.serving,
            merging: custody.own.iter().any(|own| own.merging),
            leaving: custody.leaving,
            arc: custody.mine(),
            copies: copies
                .iter()
                .map(|(contact, complete)| CopyState {
                    id: contact.id,
                    complete: *complete,
                })
                .collect(),
            mending,
            counters: NodeCounters {
                links: links as u64,
                members: self.node.members().iter(now).count() as u64,
                fingers: fingers.len() as u64,
                held_for_dead: self.node.held_for_dead(),
                copies_left_out: self.custody.copies_left_out(),
                repairs: 0,
            },
            fingers: fingers.iter().map(|contact| contact.id).collect(),
            ..Bulletin::outside(self.hub.me)
        };
        self.hub.complete(&mut bulletin);
        bulletin
    }
}

fn link_picture(link: &LinkStatus) -> LinkPicture {
    LinkPicture {
        id: link.contact.id.to_string(),
        address: link.contact.addr.to_string(),
        version: link.version,
        waiting: link.waiting,
        bytes_out: link.totals.bytes_out,
        bytes_in: link.totals.bytes_in,
    }
}
