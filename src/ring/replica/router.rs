//! Announces and scrapes on their way to the owner: the side of the node that a client has asked. Layer 2.
//!
//! The router guesses the owner from the nodes it knows. Who is asked in vain says who may be right, and the guess
//! mends itself. A question that is refused for the moment, or whose node does not answer or is lost, is asked again
//! after a small random while, until an answer comes or [`GIVE_UP`] has passed. Asking twice does no harm: the
//! second entry of an announce is the first one again, a little younger. What arrives so late that the router has
//! asked elsewhere is refused, for the client may have said something else since.
//!
//! A scrape changes nothing, so where the owner does not answer at once a copy does.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::clock::RingClock;
use super::directory::Directory;
use super::numbered::Numbered;
use super::outbox::{Now, Reply};
use crate::id::{InfoHash, RingId};
use crate::ring::contact::Contact;
use crate::ring::data::{DataMessage, Refusal};
use crate::tracker::swarm::{Full, PeerAnnounce};

/// A question that has no answer by then has failed. Longer than it takes to find out that a node is dead, and for
/// the next to take over.
pub const GIVE_UP: Duration = Duration::from_secs(8);
/// How long an announce waits for one node. The owner may have to wait for a copy that has died.
const ANNOUNCE_WAIT: Duration = Duration::from_millis(700);
/// How long a scrape waits for one node, and an announce for one that was silent before.
const SHORT_WAIT: Duration = Duration::from_millis(150);
/// Shortest pause before a question is asked again, in milliseconds; the longest is three times as long.
const PAUSE_MS: u64 = 15;
/// Pauses grow up to this many times.
const MAX_GROWTH: u32 = 8;
/// Nodes that are asked in a row, each named by the one before.
const MAX_HOPS: u32 = 6;
/// After so many such rows the ring itself is asked who owns the key.
const LOOKUP_AFTER: u32 = 2;
/// How long a node that has no say is not asked.
const AVOID_IDLE: Duration = Duration::from_millis(300);

/// A node of which nobody has heard for so long is not asked: see [`Router::on_members`].
pub const HEARD_WITHIN: Duration = Duration::from_secs(600);

/// What a client wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// It announces.
    Announce(PeerAnnounce),
    /// The figures of a swarm.
    Scrape(InfoHash),
}

impl Question {
    /// The swarm.
    pub fn info_hash(&self) -> InfoHash {
        match self {
            Self::Announce(announce) => announce.info_hash,
            Self::Scrape(info_hash) => *info_hash,
        }
    }
}

/// Why a client gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The owner has no room.
    #[error(transparent)]
    Full(#[from] Full),
    /// No node that may own the swarm has answered in time.
    #[error("the servers that keep this torrent did not answer within 8 seconds; try again in a minute")]
    NoAnswer,
}

/// What the router wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this.
    Send(Contact, DataMessage),
    /// Ask this node's own keeper. The answer goes to [`Router::on_reply`].
    Local {
        /// The number of the question.
        request: u64,
        /// The question.
        question: Question,
        /// Whether a copy will do.
        from_copy: bool,
    },
    /// Find the owner of this key through the ring. What is found goes to [`Router::on_found`].
    Lookup(RingId),
    /// Tell the client.
    Done {
        /// The number of the question.
        request: u64,
        /// [`Reply::Announced`] or [`Reply::Scraped`], or why there is none.
        result: Result<Reply, Failure>,
    },
}

/// A question under way.
#[derive(Debug)]
struct Request {
    question: Question,
    give_up: Instant,
    /// When it is asked again.
    due: Instant,
    /// Who was asked last and has not answered.
    asked: Option<Contact>,
    /// Who has been asked and is silent. If it is only slow its answer will come; until then it is not asked again.
    silent: Option<(Contact, Instant)>,
    hops: u32,
    /// Rows of hops, or silences.
    tries: u32,
}

impl Request {
    fn is_silent(&self, now: Instant, contact: &Contact) -> bool {
        self.silent
            .is_some_and(|(silent, until)| silent == *contact && now < until)
    }
}

/// The questions of one node.
#[derive(Debug)]
pub struct Router {
    me: Contact,
    /// When it began.
    began: Now,
    clock: RingClock,
    directory: Directory,
    requests: Numbered<Request>,
    due: BTreeSet<(Instant, u64)>,
    rng: fastrand::Rng,
    actions: Vec<Action>,
}

impl Router {
    /// A router without questions. It knows only its own node.
    pub fn new(now: Now, me: Contact, seed: u64) -> Self {
        let mut directory = Directory::default();
        directory.learn(me);
        Self {
            me,
            began: now,
            clock: RingClock::default(),
            directory,
            requests: Numbered::default(),
            due: BTreeSet::new(),
            rng: fastrand::Rng::with_seed(seed),
            actions: Vec::new(),
        }
    }

    /// What is to be done, in this order.
    pub fn take_actions(&mut self) -> Vec<Action> {
        // What comes next is about as much.
        let room = Vec::with_capacity(self.actions.len());
        std::mem::replace(&mut self.actions, room)
    }

    /// Nodes of the ring: neighbours, and whoever else is known.
    pub fn learn(&mut self, nodes: impl IntoIterator<Item = Contact>) {
        for node in nodes {
            self.directory.learn(node);
        }
    }

    /// All nodes that were heard of lately; others are forgotten. Should one of them be in the ring all the same, those
    /// that are asked for what it owns name it.
    pub fn on_members(&mut self, members: &[Contact]) {
        self.directory.keep_only(members);
        self.directory.learn(self.me);
    }

    /// The ring has answered [`Action::Lookup`].
    pub fn on_found(&mut self, owner: Contact) {
        self.directory.learn(owner);
        self.directory.trust(&owner);
    }

    /// How many questions have no answer yet.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether all questions have their answers.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// When [`Self::on_tick`] is due.
    pub fn next_tick(&self) -> Option<Instant> {
        self.due.first().map(|&(due, _)| due)
    }

    /// A client asks. `request` is a number that no other question of this router has that waits.
    pub fn ask(&mut self, now: Instant, request: u64, question: Question) {
        let give_up = now + GIVE_UP;
        self.requests.insert(
            request,
            Request {
                question,
                give_up,
                due: now,
                asked: None,
                silent: None,
                hops: 0,
                tries: 0,
            },
        );
        self.send(now, request, None);
    }

    /// A node answers: another one, or this one's keeper.
    pub fn on_reply(&mut self, now: Instant, from: &Contact, request: u64, reply: Reply) {
        if !self.requests.contains_key(&request) {
            return;
        }
        self.directory.trust(from);
        match reply {
            Reply::Refused(Refusal::NotMine { hint }) => self.on_not_mine(now, from, request, hint),
            Reply::Refused(Refusal::NotYet) => self.pause(now, request),
            Reply::Refused(Refusal::TooLate { unix_ms }) => {
                self.clock.follow(self.time_of_day(now), unix_ms);
                self.pause(now, request);
            }
            Reply::Refused(Refusal::Full(full)) => self.finish(request, Err(full.into())),
            Reply::Announced(_) | Reply::Scraped(_) => self.finish(request, Ok(reply)),
        }
    }

    /// The link to a node has broken.
    pub fn on_lost(&mut self, now: Instant, contact: &Contact) {
        self.directory.lose(now, contact);
        let asked = self
            .requests
            .iter()
            .filter(|(_, request)| request.asked == Some(*contact));
        let mut asked: Vec<u64> = asked.map(|(&request, _)| request).collect();
        asked.sort_unstable();
        for request in asked {
            self.pause(now, request);
        }
        for request in self.requests.values_mut() {
            request.silent.take_if(|(silent, _)| silent == contact);
        }
    }

    /// Time has passed.
    pub fn on_tick(&mut self, now: Instant) {
        while let Some(&(due, request)) = self.due.first()
            && due <= now
        {
            let Some(of) = self.requests.get_mut(&request) else {
                self.due.remove(&(due, request));
                continue;
            };
            if of.give_up <= now {
                self.finish(request, Err(Failure::NoAnswer));
                continue;
            }
            // Silence. Should the node only be waiting for its copies, the next one will name it again.
            if let Some(silent) = of.asked {
                of.tries += 1;
                of.silent = Some((silent, now + ANNOUNCE_WAIT));
                self.directory.lose(now, &silent);
            }
            if of.tries >= LOOKUP_AFTER {
                self.actions.push(Action::Lookup(of.question.info_hash().into()));
            }
            self.send(now, request, None);
        }
    }

    fn on_not_mine(&mut self, now: Instant, from: &Contact, request: u64, hint: Option<Contact>) {
        let hint = hint.filter(|hint| hint.id != from.id);
        if let Some(hint) = hint {
            self.directory.learn(hint);
            self.directory.trust(&hint);
        }
        self.directory.avoid(from, now + AVOID_IDLE);
        let Some(of) = self.requests.get_mut(&request) else {
            return;
        };
        of.hops += 1;
        match hint {
            Some(hint) if of.hops < MAX_HOPS && !of.is_silent(now, &hint) => {
                self.send(now, request, Some(hint));
            }
            _ => self.pause(now, request),
        }
    }

    /// Asks again after a random while.
    fn pause(&mut self, now: Instant, request: u64) {
        let Some(of) = self.requests.get_mut(&request) else {
            return;
        };
        let growth = (of.tries + 1).min(MAX_GROWTH);
        let pause = Duration::from_millis(self.rng.u64(PAUSE_MS..=3 * PAUSE_MS)) * growth;
        of.tries += 1;
        of.hops = 0;
        of.asked = None;
        self.wait(request, now + pause);
    }

    fn wait(&mut self, request: u64, due: Instant) {
        if let Some(of) = self.requests.get_mut(&request) {
            self.due.remove(&(of.due, request));
            of.due = due.min(of.give_up);
            self.due.insert((of.due, request));
        }
    }

    fn send(&mut self, now: Instant, request: u64, to: Option<Contact>) {
        let Some(of) = self.requests.get_mut(&request) else {
            return;
        };
        let key = of.question.info_hash().into();
        let scrapes = matches!(of.question, Question::Scrape(_));
        let from_copy = scrapes && of.tries > 0;
        let nth = if from_copy { of.tries as usize % 3 } else { 0 };
        let to = to
            .or_else(|| self.directory.from(now, key).nth(nth))
            .unwrap_or(self.me);
        of.asked = Some(to);
        let question = of.question;
        let was_silent = of.silent.is_some_and(|(silent, _)| silent == to);
        let wait = if scrapes || was_silent {
            SHORT_WAIT
        } else {
            ANNOUNCE_WAIT
        };
        self.wait(request, now + wait);
        let action = if to.id == self.me.id {
            Action::Local {
                request,
                question,
                from_copy,
            }
        } else {
            let message = match question {
                Question::Announce(announce) => DataMessage::Announce {
                    request,
                    until_ms: self.clock.ms(self.time_of_day(now + wait)),
                    announce,
                },
                Question::Scrape(info_hash) => DataMessage::Scrape {
                    request,
                    info_hash,
                    from_copy,
                },
            };
            Action::Send(to, message)
        };
        self.actions.push(action);
    }

    fn time_of_day(&self, at: Instant) -> Now {
        let elapsed = at.saturating_duration_since(self.began.at).as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        Now {
            at,
            unix_ms: self.began.unix_ms.saturating_add(elapsed),
        }
    }

    fn finish(&mut self, request: u64, result: Result<Reply, Failure>) {
        if let Some(of) = self.requests.remove(&request) {
            self.due.remove(&(of.due, request));
            self.actions.push(Action::Done { request, result });
        }
    }
}

#[cfg(test)]
mod tests;
