//! What can be seen of a link from outside. Layer 1.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ring::contact::Contact;

/// Counts of one link, by its threads as they go.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) frames_out: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) frames_in: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) reads: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn totals(&self) -> Totals {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            frames_out: of(&self.frames_out),
            bytes_out: of(&self.bytes_out),
            writes: of(&self.writes),
            frames_in: of(&self.frames_in),
            bytes_in: of(&self.bytes_in),
            reads: of(&self.reads),
        }
    }
}

/// What went over a link since it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Frames that were given to it.
    pub frames_out: u64,
    /// Bytes sent, encrypted.
    pub bytes_out: u64,
    /// System calls that sent them.
    pub writes: u64,
    /// Frames received.
    pub frames_in: u64,
    /// Bytes received, encrypted.
    pub bytes_in: u64,
    /// System calls that received them.
    pub reads: u64,
}

/// A link that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkStatus {
    /// Who is at the other end.
    pub contact: Contact,
    /// The version that both speak.
    pub version: u16,
    /// Bytes of frames that wait to be sent.
    pub waiting: usize,
    /// What went over it.
    pub totals: Totals,
}
