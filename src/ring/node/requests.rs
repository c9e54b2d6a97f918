//! Questions that wait for their answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::id::RingId;
use crate::ring::chord::{ChordMessage, RequestId, Want};
use crate::ring::contact::Contact;

/// What an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Is a silent neighbour alive?
    Watch,
    /// First step of stabilizing: the successor's list, and who it believes is before it.
    Head,
    /// Second step: the list of a node that may stand between this one and its successor, `head` (none when this
    /// node is alone).
    Between { head: Option<Contact> },
    /// The list of the node that will be the predecessor.
    Join,
    /// The list of a successor in what may be another ring.
    Merge,
    /// One step of the lookup with this number.
    Find { lookup: u64, key: RingId, want: Want },
}

impl Purpose {
    /// Whether the answer changes the lists, so that nobody may be told of them meanwhile.
    pub(super) fn is_query(self) -> bool {
        matches!(self, Self::Head | Self::Between { .. } | Self::Join | Self::Merge)
    }

    /// How often a question is sent. A lookup has others to ask.
    fn sends(self) -> u8 {
        match self {
            Self::Find { .. } => 1,
            _ => 2,
        }
    }

    fn question(self, request: RequestId) -> ChordMessage {
        match self {
            Self::Watch => ChordMessage::Ping { request },
            Self::Head | Self::Between { .. } | Self::Join | Self::Merge => ChordMessage::Ask { request },
            Self::Find { key, want, .. } => ChordMessage::Find { request, key, want },
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Request {
    to: Contact,
    purpose: Purpose,
    deadline: Instant,
    sends_left: u8,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Requests {
    open: BTreeMap<RequestId, Request>,
    next_id: RequestId,
}

/// What became of a question whose answer is overdue.
#[derive(Debug)]
pub(super) enum Overdue {
    /// It is to be sent once more.
    Again(Contact, ChordMessage),
    /// It will not be answered.
    Failed(Contact, Purpose),
}

impl Requests {
    /// Numbers begin at random, so that what was asked in an earlier life has no number of this one.
    pub(super) fn new(first: RequestId) -> Self {
        Self {
            open: BTreeMap::new(),
            next_id: first,
        }
    }

    /// Opens a question and returns it.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        to: Contact,
        purpose: Purpose,
        within: Duration,
    ) -> ChordMessage {
        let request = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.open.insert(
            request,
            Request {
                to,
                purpose,
                deadline: now + within,
                sends_left: purpose.sends() - 1,
            },
        );
        purpose.question(request)
    }

    /// Closes the question that `from` answered. `None` when there is none: it was answered before, or given up,
    /// or somebody else was asked.
    pub(super) fn answered(&mut self, from: &Contact, request: RequestId) -> Option<Purpose> {
        if self.open.get(&request)?.to != *from {
            return None;
        }
        self.open.remove(&request).map(|request| request.purpose)
    }

    /// Whether a question is open whose answer changes the lists.
    pub(super) fn has_query(&self) -> bool {
        self.open.values().any(|request| request.purpose.is_query())
    }

    /// Whether a node has any question to answer that fails it when it does not.
    pub(super) fn is_tested(&self, node: &Contact) -> bool {
        let is_test = |request: &Request| !matches!(request.purpose, Purpose::Find { .. });
        self.open
            .values()
            .any(|request| request.to == *node && is_test(request))
    }

    /// Takes what is overdue: once more, or given up.
    pub(super) fn overdue(&mut self, now: Instant, within: Duration) -> Vec<Overdue> {
        let due: Vec<RequestId> = self
            .open
            .iter()
            .filter(|(_, request)| request.deadline <= now)
            .map(|(&id, _)| id)
            .collect();
        let mut all = Vec::with_capacity(due.len());
        for id in due {
            let Some(request) = self.open.get_mut(&id) else {
                continue;
            };
            if request.sends_left == 0 {
                all.push(Overdue::Failed(request.to, request.purpose));
                self.open.remove(&id);
            } else {
                request.sends_left -= 1;
                request.deadline = now + within;
                all.push(Overdue::Again(request.to, request.purpose.question(id)));
            }
        }
        all
    }

    /// Gives up all that was asked of nodes for which `gone` holds, and returns what for.
    pub(super) fn give_up(&mut self, gone: impl Fn(&Contact) -> bool) -> Vec<(Contact, Purpose)> {
        let open = std::mem::take(&mut self.open);
        let mut given_up = Vec::new();
        for (id, request) in open {
            if gone(&request.to) {
                given_up.push((request.to, request.purpose));
            } else {
                self.open.insert(id, request);
            }
        }
        given_up
    }

    /// Gives everybody so much more time.
    pub(super) fn extend(&mut self, by: Duration) {
        for request in self.open.values_mut() {
            request.deadline += by;
        }
    }

    /// When the first answer becomes overdue.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.open.values().map(|request| request.deadline).min()
    }
}
