//! One other node as the threads of this one share it: the frames that wait for it, and its link. Layer 3.
//!
//! There is one such value for each node at most, and one lock in it, which is taken last of all locks: who sends
//! may hold a shard. Nothing waits under it, and nobody is called.
//!
//! Who has frames for a node appends them to its queue and then, with [`Neighbour::flush`], writes them out if
//! nobody else is writing; who is, goes on until the queue is empty. So at low load no thread has to be woken, and
//! at high load the writes grow. The writer thread of a link has work when the socket is full, when one thread would
//! write for too long, and when small writes follow each other closely: by the time it wakes, more is waiting.

use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::state::State;
use super::ending::{Ending, Goodbye};
use super::handshake::HandshakeError;
use super::hello::{Hello, Refusal, Serial};
use super::outlet::Outlet;
use super::slot::{Call, Phase, Slot};
use super::status::{Counters, LinkStatus};
use crate::id::RingId;
use crate::ring::contact::Contact;
use crate::ring::frame::{HEADER_LENGTH, kind};

mod state;

/// How often a thread that came to send its own frames writes those of others too, before it leaves that to the
/// writer thread.
const TURNS: usize = 4;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits to be sent.
    Queued,
    /// The node could not be reached a moment ago; the frame was dropped.
    Unreachable,
    /// It is for another life than the one that is known; it was dropped.
    OtherLife,
    /// Too much is waiting; it was dropped, and so is the link.
    TooMuch,
}

/// What [`Neighbour::flush`] leaves to its caller.
#[derive(Debug)]
pub(super) enum Flushed {
    /// Nothing.
    Done,
    /// To call the node: frames are waiting.
    Dial {
        /// The attempt.
        serial: Serial,
        /// Whom.
        contact: Contact,
    },
}

/// A link, as its two threads and those who send share it.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) serial: Serial,
    pub(super) contact: Contact,
    pub(super) version: u16,
    pub(super) socket: Arc<TcpStream>,
    pub(super) counters: Arc<Counters>,
}

#[derive(Debug)]
pub(super) struct Neighbour {
    /// Most bytes that may wait in the queue; as many again may be on their way out of it.
    limit: usize,
    state: Mutex<State>,
    /// The writer thread waits here.
    writing: Condvar,
    /// Calls that wait for another phase do so here.
    phase: Condvar,
}

impl Neighbour {
    pub(super) fn new(id: RingId, me: RingId, limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                slot: Slot::new(me > id),
                asked: None,
                queue: Vec::new(),
                queued: 0,
                next: Vec::new(),
                open: None,
            }),
            writing: Condvar::new(),
            phase: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a whole frame for this life of the node.
    pub(super) fn push(&self, to: &Contact, frame: &[u8]) -> Pushed {
        let mut guard = self.lock();
        let state = &mut *guard;
        match state.slot.phase() {
            Phase::Up { .. } => {
                let known = state.open.as_ref().map(|open| open.line.contact.incarnation);
                if known.is_some_and(|known| known < to.incarnation) {
                    // If it has started again, this connection is dead, and any packet will show it.
                    state.queue.extend_from_slice(&[kind::LINK, 0, 0, 0, 0]);
                    debug_assert_eq!(HEADER_LENGTH, 5);
                    return Pushed::OtherLife;
                }
                if known != Some(to.incarnation) {
                    return Pushed::OtherLife;
                }
            }
            phase => {
                if let Some(asked) = state.asked {
                    if asked.incarnation > to.incarnation {
                        return Pushed::OtherLife;
                    }
                    if asked.incarnation < to.incarnation {
                        state.queue.clear();
                        state.next.clear();
                    }
                }
                if phase == Phase::Idle && state.queue.is_empty() && !state.slot.may_dial(Instant::now()) {
                    return Pushed::Unreachable;
                }
                state.asked = Some(*to);
            }
        }
        let is_closing = matches!(state.slot.phase(), Phase::Retiring { .. } | Phase::Ending { .. });
        let queue = if is_closing {
            &mut state.next
        } else {
            &mut state.queue
        };
        let waiting = queue.len();
        if waiting + frame.len() > self.limit {
            state.cut(Ending::TooSlow { waiting });
            return Pushed::TooMuch;
        }
        queue.extend_from_slice(frame);
        state.queued += 1;
        Pushed::Queued
    }

    /// Sends what is waiting, or sees to it that somebody does.
    pub(super) fn flush(&self, serials: &AtomicU64) -> Flushed {
        let mut state = self.lock();
        if state.queue.is_empty() {
            return Flushed::Done;
        }
        let now = Instant::now();
        if state.is_better_late(now) {
            state.leave_to_writer(&self.writing);
            return Flushed::Done;
        }
        if let Some(contact) = state.asked
            && state.slot.may_dial(now)
        {
            let serial = serials.fetch_add(1, Ordering::Relaxed);
            state.slot.dial(serial);
            return Flushed::Dial { serial, contact };
        }
        for _ in 0..TURNS {
            let Some(mut outlet) = state.take_outlet() else {
                return Flushed::Done;
            };
            drop(state);
            let sent = outlet.send(false);
            state = self.lock();
            match sent {
                Ok(true) => state.give_back(outlet, &self.phase),
                Ok(false) => {
                    state.give_back(outlet, &self.phase);
                    state.leave_to_writer(&self.writing);
                    return Flushed::Done;
                }
                Err(error) => {
                    state.cut_line(outlet.serial, Ending::Broken(error));
                    self.phase.notify_all();
                    return Flushed::Done;
                }
            }
        }
        if !state.queue.is_empty() {
            state.leave_to_writer(&self.writing);
        }
        Flushed::Done
    }

    /// The writer thread of a link: writes what is left to it, until the link ends.
    pub(super) fn write_when_asked(&self, serial: Serial) {
        let mut state = self.lock();
        loop {
            let Some(open) = state.open_mut(serial) else {
                return;
            };
            if !open.is_writers {
                state = self.writing.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let Some(mut outlet) = state.take_outlet_to_wait() else {
                // Nothing is left, or somebody has not seen yet that the socket is full.
                state.is_ours_again();
                continue;
            };
            drop(state);
            let sent = outlet.send(true);
            state = self.lock();
            match sent {
                Ok(_) => state.give_back(outlet, &self.phase),
                Err(error) => {
                    state.cut_line(serial, Ending::Broken(error));
                    self.phase.notify_all();
                    return;
                }
            }
        }
    }

    /// Right before the hello of our call goes out: whether it still should.
    pub(super) fn offer(&self, serial: Serial) -> bool {
        self.lock().slot.offer(serial)
    }

    /// Our call was accepted. If that makes a link, it says whose frames had to be dropped, as they were for
    /// another life.
    pub(super) fn dialed(
        &self,
        hello: &Hello,
        line: Line,
        outlet: Outlet,
    ) -> Result<Option<Contact>, HandshakeError> {
        let mut state = self.lock();
        if !state
            .slot
            .dialed(line.serial, hello.contact.incarnation, hello.serial)
        {
            return Err(HandshakeError::Overtaken);
        }
        Ok(state.install(line, outlet))
    }

    /// Our call crossed theirs, which goes on. Whether it makes a link within `patience`.
    pub(super) fn wait_for_theirs(&self, serial: Serial, patience: Duration) -> bool {
        let mut state = self.lock();
        if !state.slot.yield_to_theirs(serial) {
            return true;
        }
        let waiting = Phase::Yielding { serial };
        state = self
            .phase
            .wait_timeout_while(state, patience, |state| state.slot.phase() == waiting)
            .map_or_else(|error| error.into_inner().0, |(state, _)| state);
        state.slot.phase() != waiting
    }

    /// Our call came to nothing. `false` if that does not matter, as there is a link or will be one; else what
    /// was waiting is lost.
    pub(super) fn dial_failed(&self, serial: Serial, rng: &mut fastrand::Rng) -> bool {
        let mut state = self.lock();
        let matters = state.slot.dial_failed(serial, Instant::now(), rng);
        if matters {
            state.asked = None;
            state.queue.clear();
            state.next.clear();
        }
        matters
    }

    /// They call. If there is a link it is ended first, and waited for up to `patience`. The serial is that of
    /// the link that they may have.
    pub(super) fn call(
        &self,
        life: u64,
        theirs: Serial,
        serials: &AtomicU64,
        patience: Duration,
    ) -> Result<Serial, Refusal> {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            let known = state.open.as_ref().map(|open| open.line.contact.incarnation);
            let ours = serials.fetch_add(1, Ordering::Relaxed);
            match state.slot.call(life, theirs, ours) {
                Call::Accept => return Ok(ours),
                Call::Refuse(refusal) => return Err(refusal),
                Call::Wait => {}
                Call::Replace if known == Some(life) => state.cut(Ending::Replaced),
                Call::Replace => state.cut(Ending::OtherLife),
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Refusal::Busy);
            }
            state = self
                .phase
                .wait_timeout(state, left)
                .map_or_else(|error| error.into_inner().0, |(state, _)| state);
        }
    }

    /// Our answer to their call is out, which makes a link; or it could not be sent. As [`Self::dialed`].
    pub(super) fn accepted(&self, serial: Serial, link: Option<(Line, Outlet)>) -> Option<Contact> {
        let mut state = self.lock();
        state.slot.accepted(serial, link.is_some());
        let dropped = link.and_then(|(line, outlet)| state.install(line, outlet));
        self.phase.notify_all();
        dropped
    }

    /// Begins to close the link in good order, if there is one. Flush after it.
    pub(super) fn part(&self, goodbye: Goodbye) {
        let mut state = self.lock();
        let serial = state.open.as_ref().map(|open| open.line.serial);
        if let Some(serial) = serial
            && state.slot.retire(serial)
        {
            // The last words of this link, behind all that waits.
            let frame = [kind::GOODBYE, 0, 0, 0, 1, goodbye.code()];
            state.queue.extend_from_slice(&frame);
            if let Some(open) = &mut state.open {
                open.is_parting = true;
                if goodbye == Goodbye::Left {
                    open.why = Some(Ending::ShutDown);
                }
            }
        }
    }

    /// The other side has said all, and so shall we: waits until our goodbye is sent, or the link is cut.
    pub(super) fn wait_until_parted(&self, serial: Serial, patience: Duration) {
        let state = self.lock();
        let _ = self.phase.wait_timeout_while(state, patience, |state| {
            let open = state.open_mut(serial);
            open.is_some_and(|open| open.is_parting && !open.has_parted && !open.is_cut)
        });
    }

    /// Ends the link at once, if there is one to this life.
    pub(super) fn give_up(&self, contact: &Contact) {
        let mut state = self.lock();
        let known = state.open.as_ref().map(|open| open.line.contact.incarnation);
        if known == Some(contact.incarnation) {
            state.cut(Ending::GivenUp);
        }
    }

    /// Ends the link at once, if there is one.
    pub(super) fn cut(&self, why: Ending) {
        self.lock().cut(why);
        self.phase.notify_all();
    }

    /// Nothing more comes over the link: what waits for it is lost. Says why, if somebody has ended it.
    pub(super) fn ending(&self, serial: Serial) -> Option<Ending> {
        let mut state = self.lock();
        state.slot.ending(serial);
        state.queue.clear();
        let open = state.open.take();
        self.writing.notify_all();
        open.and_then(|open| open.why)
    }

    /// All that came over it was handled. Flush after it.
    pub(super) fn ended(&self, serial: Serial) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.slot.ended(serial);
        if state.queue.is_empty() {
            std::mem::swap(&mut state.queue, &mut state.next);
        }
        self.phase.notify_all();
    }

    pub(super) fn status(&self) -> Option<LinkStatus> {
        let state = self.lock();
        let open = state.open.as_ref()?;
        Some(LinkStatus {
            contact: open.line.contact,
            version: open.line.version,
            waiting: state.waiting(),
            totals: open.line.counters.totals(),
        })
    }

    /// Bytes that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    /// Whether nothing would be missed with this value.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.slot.phase() == Phase::Idle && state.queue.is_empty()
    }
}
