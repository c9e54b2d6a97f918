//! Who is alive: pings, deadlines, lost links, and lives that are over.

use std::time::Instant;

use super::Node;
use super::requests::{Overdue, Purpose};
use crate::ring::contact::Contact;
use crate::ring::list::Cut;
use crate::ring::view::Stage;

impl Node {
    /// The neighbours changed: watch those that are, forget those that were.
    pub(super) fn watch_whom(&mut self, now: Instant) {
        let view = &self.view;
        let is_neighbour = |contact: &Contact| {
            view.succ
                .iter()
                .chain(&view.preds)
                .any(|node| node.contact == *contact)
        };
        self.heard.retain(|contact, _| is_neighbour(contact));
        for node in view.succ.iter().chain(&view.preds) {
            self.heard.entry(node.contact).or_insert(now);
        }
        if let Some((heir, _)) = &self.heir
            && view
                .preds
                .first()
                .is_some_and(|pred| pred.contact == heir.contact)
        {
            self.heir = None;
        }
    }

    /// Pings neighbours that were silent.
    pub(super) fn watch(&mut self, now: Instant) {
        let silent_since = |heard: Instant| now.saturating_duration_since(heard);
        let silent: Vec<Contact> = self
            .heard
            .iter()
            .filter(|&(contact, &heard)| {
                silent_since(heard) >= self.timing.ping_after && !self.requests.is_tested(contact)
            })
            .map(|(&contact, _)| contact)
            .collect();
        for contact in silent {
            self.ask(now, contact, Purpose::Watch);
        }
    }

    /// A message of `contact` came.
    pub(super) fn heard_of(&mut self, now: Instant, contact: &Contact) {
        self.suspects.remove(contact);
        if let Some(heard) = self.heard.get_mut(contact) {
            *heard = now;
        }
        if self.pred().is_some_and(|pred| pred.contact == *contact) {
            self.heir = None;
        }
    }

    /// Sends again, or gives up, what was not answered in time.
    pub(super) fn take_overdue(&mut self, now: Instant) {
        for overdue in self.requests.overdue(now, self.timing.answer_within) {
            match overdue {
                Overdue::Again(to, question) => self.send(to, question),
                Overdue::Failed(to, purpose) => {
                    self.on_unanswered(now, to, purpose);
                    if !matches!(purpose, Purpose::Find { .. }) {
                        self.held_for_dead += 1;
                        self.on_lost(now, &to);
                    }
                }
            }
        }
    }

    /// What depended on the answer of `from` goes on without it.
    fn on_unanswered(&mut self, now: Instant, from: Contact, purpose: Purpose) {
        match purpose {
            Purpose::Watch | Purpose::Head | Purpose::Merge => {}
            Purpose::Between { head } => {
                // Keep the list; the successor hears of us.
                if let Some(head) = head.filter(|head| self.head().is_some_and(|now| now.contact == *head)) {
                    self.notify(head);
                }
            }
            Purpose::Join => self.joining = false,
            Purpose::Find { lookup, .. } => {
                self.fingers.remove(&from);
                self.ask_next(now, lookup);
            }
        }
    }

    /// A node that was asked is in no ring, so it is nobody's neighbour.
    pub(super) fn on_outside(&mut self, now: Instant, from: Contact, purpose: Purpose) {
        self.on_unanswered(now, from, purpose);
        if !matches!(purpose, Purpose::Find { .. } | Purpose::Join) {
            self.drop_node(now, |contact| *contact == from);
        }
    }

    /// A node does not answer, or the link to it was reset or refused: it is held for dead until it is heard.
    pub fn on_lost(&mut self, now: Instant, contact: &Contact) {
        if self.view.stage == Stage::Left {
            return;
        }
        self.suspects.insert(*contact, now + self.timing.suspect_for);
        self.drop_node(now, |gone| gone == contact);
    }

    /// A later life of a node is known: the earlier ones are over.
    pub(super) fn end_earlier_lives(&mut self, now: Instant, later: &Contact) {
        let (id, incarnation) = (later.id, later.incarnation);
        self.fingers.remove_older(later);
        self.drop_node(now, |contact| {
            contact.id == id && contact.incarnation < incarnation
        });
    }

    /// Takes nodes out of everything that rests on them.
    fn drop_node(&mut self, now: Instant, gone: impl Fn(&Contact) -> bool) {
        if self.candidate.is_some_and(|candidate| gone(&candidate)) {
            self.candidate = None;
        }
        if self.heir.as_ref().is_some_and(|(heir, _)| gone(&heir.contact)) {
            self.heir = None;
        }
        for (contact, purpose) in self.requests.give_up(&gone) {
            self.fingers.remove(&contact);
            self.on_unanswered(now, contact, purpose);
        }
        if self.view.stage != Stage::Member {
            return;
        }
        self.drop_successors(now, &gone);
        self.replace_predecessor(now, &gone);
    }

    fn drop_successors(&mut self, now: Instant, gone: &impl Fn(&Contact) -> bool) {
        let head = self.head();
        let mut left = self.view.succ.clone();
        left.retain(|node| !gone(&node.contact));
        if left.len() == self.view.succ.len() {
            return;
        }
        if left.is_empty() {
            // The way back is a way round.
            let alive = |node: &&_| {
                let node: &crate::ring::view::Neighbour = node;
                !gone(&node.contact) && !self.is_suspect(&node.contact)
            };
            left.extend(self.view.preds.iter().find(alive));
        }
        self.set_succ(now, left);
        if self.head() != head {
            self.clocks.round = now;
        }
        if self.view.succ.is_empty() {
            self.become_alone(now);
        }
    }

    /// The predecessor is gone: the heir takes its place. Without one it stays what it is until somebody comes.
    fn replace_predecessor(&mut self, now: Instant, gone: &impl Fn(&Contact) -> bool) {
        let mut at = 0;
        let mut left = self.view.preds.clone();
        left.retain(|node| {
            at += 1;
            at == 1 || !gone(&node.contact)
        });
        let goes_round = self.view.preds_go_round;
        self.set_preds(
            now,
            Cut {
                list: left,
                goes_round,
            },
        );
        if self.pred().is_some_and(|pred| gone(&pred.contact))
            && let Some((heir, before)) = self.heir.take()
        {
            self.set_preds_before(now, heir, &before);
        }
    }

    /// No other node is left: this one is a ring of its own, and looks for others at once.
    fn become_alone(&mut self, now: Instant) {
        self.heir = None;
        self.set_preds(
            now,
            Cut {
                list: Vec::new(),
                goes_round: true,
            },
        );
        self.clocks.merge = now;
    }
}
