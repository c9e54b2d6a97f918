//! How a thread sends frames. Layer 3.

use std::fmt;
use std::sync::Arc;

use super::ending::Ending;
use super::neighbour::{Neighbour, Pushed};
use super::shared::Shared;
use crate::id::RingId;
use crate::ring::codec::Writer;
use crate::ring::contact::Contact;
use crate::ring::frame;

/// Nodes that a thread remembers between two flushes, so that it need not look them up.
const REMEMBERED: usize = 256;

/// The sending side of one thread.
///
/// [`Self::send`] puts a frame into the queue of its node, which is a copy under a short lock: it may be called
/// while a shard is locked, and frames go out in the order in which they were put there, whichever threads did it.
/// [`Self::flush`] sends them; it must not be called with a lock held. A thread flushes once after all that one
/// wake-up has brought. What is dropped unflushed is flushed then.
pub struct Post {
    shared: Arc<Shared>,
    /// In the order of their ids. A thread sends to a few, and each frame is looked up here.
    remembered: Vec<Remembered>,
    /// What could not be queued since the last flush, and whether the node is to be reported.
    lost: Vec<(Contact, Ending)>,
    frame: Vec<u8>,
}

struct Remembered {
    id: RingId,
    neighbour: Arc<Neighbour>,
    /// Whether something new is in its queue.
    is_touched: bool,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").finish_non_exhaustive()
    }
}

impl Post {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            remembered: Vec::new(),
            lost: Vec::new(),
            frame: Vec::new(),
        }
    }

    /// Queues a frame whose body `write` makes; see [`crate::ring::frame::kind`]. There need not be a link yet.
    /// `false` if the frame was dropped at once: it is longer than
    /// [`crate::ring::frame::MAX_BODY`], it is for ourselves, the
    /// node could not be reached a moment ago, is another life by now, or has too much waiting. Frames that are
    /// queued and then lost are not told one by one: see [`super::Service::closed`].
    pub fn send(&mut self, to: &Contact, kind: u8, write: impl FnOnce(&mut Writer<'_>)) -> bool {
        self.frame.clear();
        if let Err(error) = frame::put(&mut self.frame, kind, write) {
            log::error!("a frame for the ring node {to} was not sent: {error}");
            return false;
        }
        let Some(at) = self.remember(to.id) else {
            return false;
        };
        let remembered = &mut self.remembered[at];
        remembered.is_touched = true;
        match remembered.neighbour.push(to, &self.frame) {
            Pushed::Queued => true,
            Pushed::OtherLife => {
                self.lost.push((*to, Ending::OtherLife));
                false
            }
            Pushed::Unreachable | Pushed::TooMuch => false,
        }
    }

    /// Sends what this thread has queued.
    pub fn flush(&mut self) {
        for remembered in &mut self.remembered {
            if std::mem::take(&mut remembered.is_touched) {
                self.shared.flush(&remembered.neighbour);
            }
        }
        for (contact, why) in self.lost.drain(..) {
            self.shared.service.closed(&contact, &why);
        }
        if self.remembered.len() > REMEMBERED {
            self.remembered.clear();
        }
    }

    /// Bytes that wait to be sent to this node: a measure for who sends much.
    pub fn waiting(&mut self, id: RingId) -> usize {
        let at = self.remember(id);
        at.map_or(0, |at| self.remembered[at].neighbour.waiting())
    }

    /// Where a node stands among those remembered.
    fn remember(&mut self, id: RingId) -> Option<usize> {
        let place = self
            .remembered
            .binary_search_by_key(&id, |remembered| remembered.id);
        let at = match place {
            Ok(at) => return Some(at),
            Err(at) => at,
        };
        let remembered = Remembered {
            id,
            neighbour: self.shared.neighbour(id)?,
            is_touched: false,
        };
        self.remembered.insert(at, remembered);
        Some(at)
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.flush();
    }
}
