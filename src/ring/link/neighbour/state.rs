//! What the lock of a neighbour guards. Layer 3.

use std::net::Shutdown;
use std::sync::Condvar;
use std::time::{Duration, Instant};

use super::Line;
use crate::ring::contact::Contact;
use crate::ring::link::ending::Ending;
use crate::ring::link::hello::Serial;
use crate::ring::link::outlet::Outlet;
use crate::ring::link::slot::Slot;
use crate::ring::link::status::Counters;

/// A flush so soon after a write leaves what is queued to the writer thread, if it is less than [`LARGE`]. Waking it
/// costs about as much as a write; the gain is that it writes later. Measured with `cargo bench --bench link`: a
/// thread that flushes after each frame costs 5 CPU seconds per million if it always writes itself, 0.3 so; frames
/// that go there and back one by one cost 21 if it never does, 13 to 21 so.
const BREATH: Duration = Duration::from_micros(10);

/// So many bytes are worth a write.
const LARGE: usize = 8 * 1024;

#[derive(Debug)]
pub(super) struct State {
    pub(super) slot: Slot,
    /// Whom the waiting frames are for, while there is no link.
    pub(super) asked: Option<Contact>,
    /// For the link, or the one that comes next if there is none.
    pub(super) queue: Vec<u8>,
    pub(super) queued: u64,
    /// For the one after it: this one is being closed.
    pub(super) next: Vec<u8>,
    pub(super) open: Option<Open>,
}

/// What belongs to the link that there is.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) line: Line,
    /// The right to write, while nobody does.
    pub(super) outlet: Option<Box<Outlet>>,
    /// Only the writer thread writes.
    pub(super) is_writers: bool,
    pub(super) written_at: Instant,
    /// Who ended it says why.
    pub(super) why: Option<Ending>,
    /// The connection was ended at once.
    pub(super) is_cut: bool,
    /// Our goodbye is queued.
    pub(super) is_parting: bool,
    /// It is sent.
    pub(super) has_parted: bool,
}

impl State {
    pub(super) fn open_mut(&mut self, serial: Serial) -> Option<&mut Open> {
        self.open.as_mut().filter(|open| open.line.serial == serial)
    }

    pub(super) fn waiting(&self) -> usize {
        let outlet = self.open.as_ref().and_then(|open| open.outlet.as_ref());
        self.queue.len() + self.next.len() + outlet.map_or(0, |outlet| outlet.waiting())
    }

    /// Makes the link that the slot has agreed to.
    pub(super) fn install(&mut self, line: Line, outlet: Outlet) -> Option<Contact> {
        let asked = self.asked.take();
        let dropped = asked.filter(|asked| asked.incarnation != line.contact.incarnation);
        if dropped.is_some() {
            self.queue.clear();
            self.queued = 0;
        }
        self.open = Some(Open {
            line,
            outlet: Some(Box::new(outlet)),
            is_writers: false,
            written_at: Instant::now(),
            why: None,
            is_cut: false,
            is_parting: false,
            has_parted: false,
        });
        dropped
    }

    /// The outlet with what is waiting, if there is something and nobody is at it.
    pub(super) fn take_outlet(&mut self) -> Option<Box<Outlet>> {
        let open = self.open.as_mut().filter(|open| !open.is_writers)?;
        if self.queue.is_empty() {
            return None;
        }
        let mut outlet = open.outlet.take()?;
        outlet.take(&mut self.queue);
        Counters::add(&open.line.counters.frames_out, self.queued as usize);
        self.queued = 0;
        Some(outlet)
    }

    /// Whether small writes come too fast.
    pub(super) fn is_better_late(&self, now: Instant) -> bool {
        let is_soon = |open: &Open| open.outlet.is_some() && now < open.written_at + BREATH;
        self.queue.len() < LARGE && self.open.as_ref().is_some_and(is_soon)
    }

    /// The same for the writer thread: what the socket did not take comes first.
    pub(super) fn take_outlet_to_wait(&mut self) -> Option<Box<Outlet>> {
        let open = self.open.as_mut()?;
        if open.outlet.as_ref().is_some_and(|outlet| outlet.waiting() > 0) {
            return open.outlet.take();
        }
        open.is_writers = false;
        let outlet = self.take_outlet();
        if let Some(open) = &mut self.open {
            open.is_writers = outlet.is_some();
        }
        outlet
    }

    pub(super) fn is_ours_again(&mut self) {
        if let Some(open) = &mut self.open {
            open.is_writers = false;
        }
    }

    pub(super) fn give_back(&mut self, outlet: Box<Outlet>, phase: &Condvar) {
        let is_done = outlet.waiting() == 0 && self.queue.is_empty();
        if let Some(open) = self.open_mut(outlet.serial) {
            if open.is_parting && is_done {
                outlet.finish();
                open.has_parted = true;
                phase.notify_all();
            }
            open.outlet = Some(outlet);
            open.written_at = Instant::now();
        }
    }

    pub(super) fn leave_to_writer(&mut self, writing: &Condvar) {
        if let Some(open) = &mut self.open
            && !open.is_writers
        {
            open.is_writers = true;
            writing.notify_all();
        }
    }

    pub(super) fn cut_line(&mut self, serial: Serial, why: Ending) {
        if self.open_mut(serial).is_some() {
            self.cut(why);
        }
    }

    /// Ends the connection. Its reader notices, and does the rest.
    pub(super) fn cut(&mut self, why: Ending) {
        if let Some(open) = &mut self.open {
            open.why.get_or_insert(why);
            open.is_cut = true;
            // It fails when the connection is gone already.
            let _ = open.line.socket.shutdown(Shutdown::Both);
        }
    }
}
