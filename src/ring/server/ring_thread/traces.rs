//! Lookups that somebody wants to see, hop by hop. Layer 3.
//!
//! What clients announce goes straight to the owner, which every node knows. This asks the ring as a node would that
//! knows only its neighbours and fingers: so it costs the ring some messages, and is asked for by pages alone. No more
//! than [`MAX_OPEN`] are under way at a node.

use std::collections::BTreeMap;
use std::time::Instant;

use super::RingThread;
use crate::id::{InfoHash, RingId};
use crate::ring::contact::Contact;
use crate::ring::interval::clockwise;
use crate::ring::lookup::{Found, LookupFailed};
use crate::ring::picture::{Route, place};
use crate::tracker::server::Refusal;
use crate::tracker::server::seam::{KeptTicket, Late};

/// Most of them at a time.
const MAX_OPEN: usize = 16;
/// Copies beside the owner.
const COPIES: usize = 2;

/// Who waits for which lookup, by its token: from 1 on.
#[derive(Debug, Default)]
pub(super) struct Traces {
    open: BTreeMap<u64, (InfoHash, KeptTicket)>,
    last: u64,
}

impl Traces {
    /// Tells everybody who waits that there is no answer.
    pub(super) fn end(&mut self) {
        self.open.clear();
    }
}

impl RingThread {
    /// Begins a lookup; each ends by itself, at the latest when all that were asked have been silent.
    pub(super) fn trace(&mut self, now: Instant, info_hash: InfoHash, ticket: KeptTicket) {
        if self.traces.open.len() >= MAX_OPEN {
            ticket.answer(Late::Refused(Refusal::TooMany));
            return;
        }
        self.traces.last += 1;
        let token = self.traces.last;
        self.traces.open.insert(token, (info_hash, ticket));
        self.node.lookup(now, token, info_hash.into());
    }

    /// One has ended.
    pub(super) fn traced(&mut self, token: u64, result: Result<Found, LookupFailed>) {
        let Some((info_hash, ticket)) = self.traces.open.remove(&token) else {
            return;
        };
        let route = result.ok().and_then(|found| self.route(info_hash, &found));
        ticket.answer(match route {
            Some(route) => Late::Found(Box::new(route)),
            None => Late::Refused(Refusal::Unanswered),
        });
    }

    fn route(&self, info_hash: InfoHash, found: &Found) -> Option<Route> {
        // A node that has just joined stands in the list, but the one behind it has the say as yet.
        let serving = found.owners.iter().filter(|owner| owner.serving);
        let mut serving = serving.map(|owner| owner.contact);
        let owner = serving.next()?;
        let mut copies: Vec<Contact> = self.board.copies_of(owner.id);
        if copies.is_empty() {
            copies = serving.take(COPIES).collect();
        }
        copies.sort_by_key(|copy| clockwise(owner.id, copy.id));
        let path = std::iter::once(self.hub.me).chain(found.path.iter().copied());
        Some(Route {
            info_hash: info_hash.to_string(),
            place: place(RingId::from(info_hash)),
            path: path.map(Into::into).collect(),
            owner: owner.into(),
            copies: copies.into_iter().map(Into::into).collect(),
        })
    }
}
