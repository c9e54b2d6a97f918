//! Waiting for a rate limit, and for something else meanwhile. Layer 3.

use std::time::Instant;

use crossbeam_channel::{Receiver, RecvError, Sender, at, bounded, never, select};

use super::buckets::{BucketId, Ticket};
use super::{Tree, Waiting};

/// A place in the queue of a limit. Dropped before it is granted, it is given up, and nothing is charged.
#[derive(Debug)]
pub(crate) struct Claim<'l> {
    tree: &'l Tree,
    ticket: Ticket,
    /// For sleeping: made when it comes to that.
    alarm: Option<(Sender<()>, Receiver<()>)>,
    /// As many of [`Waiting::roll_calls`] as its thread knows of: it must not sleep through one that came
    /// while it was awake.
    roll_calls: u64,
}

/// Why a wait for a [`Claim`] ended.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    /// The bytes may pass and are charged.
    Granted,
    /// This came before.
    Other(Result<T, RecvError>),
    /// The time was up, or everybody was asked to look around.
    Woken,
}

impl<'l> Claim<'l> {
    pub(super) fn new(tree: &'l Tree, bucket: BucketId, bytes: usize) -> Self {
        let mut waiting = tree.lock();
        Self {
            tree,
            ticket: waiting.buckets.reserve(bucket, bytes),
            alarm: None,
            roll_calls: waiting.roll_calls,
        }
    }

    /// Sleeps until the claim is granted, but not past `until`, and not when `other` has something. In between
    /// the thread may do as it likes: the claim keeps its place.
    pub(crate) fn wait<T>(&mut self, other: &Receiver<T>, until: Option<Instant>) -> Waited<T> {
        let mut waiting = self.tree.lock();
        let waited = loop {
            let now = Instant::now();
            let next_grant = waiting.grant(now);
            if !waiting.buckets.is_waiting(self.ticket) {
                break Waited::Granted;
            }
            let called = std::mem::replace(&mut self.roll_calls, waiting.roll_calls) != waiting.roll_calls;
            if called || until.is_some_and(|until| until <= now) {
                break Waited::Woken;
            }
            let (wake, woken) = self.alarm.get_or_insert_with(|| bounded(1));
            let keeps_time = waiting.lie_down(self.ticket, wake);
            drop(waiting);
            let rise = [until, next_grant.filter(|_| keeps_time)];
            let alarm = rise.into_iter().flatten().min().map_or_else(never, at);
            let came = select! {
                recv(woken) -> _ => None,
                recv(alarm) -> _ => None,
                recv(other) -> came => Some(came),
            };
            waiting = self.tree.lock();
            // It must not be lost; the claim learns at its next wait if it was granted.
            if let Some(came) = came {
                break Waited::Other(came);
            }
        };
        // Only now: who is woken to keep the time, and passes the watch on for that, wakes others without end.
        waiting.get_up(self.ticket);
        waited
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut waiting = self.tree.lock();
        if waiting.buckets.is_waiting(self.ticket) {
            waiting.buckets.cancel(self.ticket);
            // Who stood behind it can go on.
            waiting.wake_timekeeper();
        }
    }
}

impl Waiting {
    /// Notes that a thread sleeps, and says whether it is the one that keeps the time.
    fn lie_down(&mut self, ticket: Ticket, wake: &Sender<()>) -> bool {
        #[cfg(test)]
        {
            self.naps += 1;
        }
        let is_new = self.sleepers.insert(ticket, wake.clone()).is_none();
        let keeps_time = *self.timekeeper.get_or_insert(ticket) == ticket;
        if is_new && !keeps_time {
            // It may be the first to be ready, in a bucket that no other waiter needs.
            self.wake_timekeeper();
        }
        keeps_time
    }

    /// Notes that a thread does not sleep any more, and passes the watch on.
    fn get_up(&mut self, ticket: Ticket) {
        self.sleepers.remove(&ticket);
        if self.timekeeper == Some(ticket) {
            self.timekeeper = self.sleepers.keys().next().copied();
            self.wake_timekeeper();
        }
    }
}
