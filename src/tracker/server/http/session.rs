//! A connection as a machine: bytes in, bytes out. It knows no socket and no time. Layer 2.

use std::mem;
use std::net::IpAddr;

use super::super::seam::Late;
use super::desk::{Desk, Waiting};
use super::head::{self, Parsed};
use super::response;

/// How a connection goes on once what was written is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum End {
    /// It stays open.
    #[default]
    Open,
    /// It is closed.
    Close,
    /// It is closed, but there may be bytes under way that nobody reads. Closing at once would make the kernel throw
    /// away our answer with them, so they are waited for (RFC 9112 §9.6).
    Linger,
}

/// Requests one after the other, each answered before the next is looked at.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The beginning of a request, or requests behind one that is waited for. No buffer at all when empty.
    input: Vec<u8>,
    waiting: Option<Box<Waiting>>,
    end: End,
}

impl Session {
    /// Takes bytes that came from `peer` over the connection at `slot`, and appends the responses to `out`. Returns
    /// how many requests were read whole.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        peer: IpAddr,
        slot: u32,
        desk: &mut Desk,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut kept = mem::take(&mut self.input);
        let input = if kept.is_empty() {
            bytes
        } else {
            kept.extend_from_slice(bytes);
            &kept
        };
        let mut at = 0;
        let mut count = 0;
        while at < input.len() && self.reads() {
            match head::parse(&input[at..], &desk.front.rules().http.proxy_header) {
                Parsed::Partial => break,
                Parsed::Whole { len, head } => {
                    at += len;
                    count += 1;
                    self.waiting = desk.answer(&head, peer, slot, out).map(Box::new);
                    if self.waiting.is_none() && !head.manner.keep_alive {
                        self.end = End::Close;
                    }
                }
                Parsed::Bad(status) => {
                    desk.front.counters.malformed.add(1);
                    response::write_error(status, out);
                    self.end = End::Linger;
                }
            }
        }
        if self.end == End::Open && at < input.len() {
            // Anew, so that it is no larger than what it holds.
            self.input = input[at..].to_vec();
        }
        count
    }

    /// Takes the answer to a request that waited, if it still does, and goes on with what came behind it. Returns
    /// whether it did.
    pub(super) fn take_late(
        &mut self,
        request: u32,
        late: Late,
        peer: IpAddr,
        slot: u32,
        desk: &mut Desk,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(waiting) = self.waiting.take_if(|waiting| waiting.is_for(request)) else {
            return false;
        };
        self.finish(&waiting, late, peer, slot, desk, out);
        true
    }

    /// Answers what waits, if something does, although no answer came.
    pub(super) fn give_up(
        &mut self,
        late: Late,
        peer: IpAddr,
        slot: u32,
        desk: &mut Desk,
        out: &mut Vec<u8>,
    ) {
        if let Some(waiting) = self.waiting.take() {
            self.finish(&waiting, late, peer, slot, desk, out);
        }
    }

    fn finish(
        &mut self,
        waiting: &Waiting,
        late: Late,
        peer: IpAddr,
        slot: u32,
        desk: &mut Desk,
        out: &mut Vec<u8>,
    ) {
        desk.answer_late(waiting, late, out);
        if waiting.keeps_alive() {
            self.feed(&[], peer, slot, desk, out);
        } else {
            self.end = End::Close;
            self.input = Vec::new();
        }
    }

    /// Whether bytes that come are looked at. If not, they are better left with the kernel.
    pub(super) fn reads(&self) -> bool {
        self.end == End::Open && self.waiting.is_none()
    }

    /// Whether an answer is waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether a request has begun to come.
    pub(super) fn is_in_head(&self) -> bool {
        !self.input.is_empty()
    }

    /// How the connection goes on.
    pub(super) fn end(&self) -> End {
        self.end
    }
}

#[cfg(test)]
mod tests;
