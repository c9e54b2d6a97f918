//! What the clients of this node wait for. Layer 2, but for the tickets.

use std::time::Instant;

use crate::ring::contact::Contact;
use crate::ring::replica::numbered::Numbered;
use crate::ring::replica::outbox::{Now, Reply};
use crate::ring::replica::router::{Action, Failure, Question, Router};
use crate::tracker::announce::ScrapeCounts;
use crate::tracker::server::Refusal;
use crate::tracker::server::seam::{AnnounceAnswer, KeptTicket, Late, Mailbag};

/// The router, and to whom its answers go.
#[derive(Debug)]
pub(super) struct Questions {
    router: Router,
    waiting: Numbered<Waiting>,
    scrapes: Numbered<Scrape>,
    last: u64,
}

#[derive(Debug)]
enum Waiting {
    Announce(KeptTicket),
    /// One of the swarms of a scrape.
    Scrape {
        scrape: u64,
        place: usize,
    },
}

/// A scrape of several swarms, which may live on several nodes.
#[derive(Debug)]
struct Scrape {
    ticket: KeptTicket,
    counts: Vec<ScrapeCounts>,
    to_come: usize,
}

impl Questions {
    pub(super) fn new(now: Now, me: Contact, seed: u64) -> Self {
        Self {
            router: Router::new(now, me, seed),
            waiting: Numbered::default(),
            scrapes: Numbered::default(),
            last: 0,
        }
    }

    pub(super) fn router(&mut self) -> &mut Router {
        &mut self.router
    }

    pub(super) fn announce(&mut self, now: Instant, question: Question, ticket: KeptTicket) {
        let request = self.next();
        self.waiting.insert(request, Waiting::Announce(ticket));
        self.router.ask(now, request, question);
    }

    pub(super) fn scrape(
        &mut self,
        now: Instant,
        questions: impl ExactSizeIterator<Item = Question>,
        ticket: KeptTicket,
    ) {
        let scrape = self.next();
        let to_come = questions.len();
        let counts = vec![ScrapeCounts::default(); to_come];
        let waiting = Scrape {
            ticket,
            counts,
            to_come,
        };
        if to_come == 0 {
            return waiting.ticket.answer(Late::Scraped(waiting.counts));
        }
        self.scrapes.insert(scrape, waiting);
        for (place, question) in questions.enumerate() {
            let request = self.next();
            self.waiting.insert(request, Waiting::Scrape { scrape, place });
            self.router.ask(now, request, question);
        }
    }

    /// What the router wants done next, but for answers: these go into `answers`, to be delivered with no lock held.
    pub(super) fn take_actions(&mut self, answers: &mut Mailbag) -> Vec<Action> {
        let mut actions = self.router.take_actions();
        actions.retain_mut(|action| match action {
            Action::Done { request, result } => {
                let (request, result) = (*request, std::mem::replace(result, Err(Failure::NoAnswer)));
                if let Some((ticket, late)) = self.finish(request, result) {
                    answers.add(ticket, late);
                }
                false
            }
            _ => true,
        });
        actions
    }

    fn finish(&mut self, request: u64, result: Result<Reply, Failure>) -> Option<(KeptTicket, Late)> {
        let late = match result {
            Ok(Reply::Announced(answer)) => Late::Announced(AnnounceAnswer {
                counts: answer.counts,
                peers: answer.peers,
            }),
            Ok(Reply::Scraped(counts)) => Late::Scraped(vec![counts]),
            Ok(Reply::Refused(_)) | Err(Failure::NoAnswer) => Late::Refused(Refusal::Unanswered),
            Err(Failure::Full(full)) => Late::Refused(full.into()),
        };
        let (scrape, place) = match self.waiting.remove(&request)? {
            Waiting::Announce(ticket) => return Some((ticket, late)),
            Waiting::Scrape { scrape, place } => (scrape, place),
        };
        let waiting = self.scrapes.get_mut(&scrape)?;
        match late {
            Late::Scraped(counts) => {
                if let (Some(slot), Some(counts)) = (waiting.counts.get_mut(place), counts.first()) {
                    *slot = *counts;
                }
                waiting.to_come -= 1;
                if waiting.to_come > 0 {
                    return None;
                }
                let done = self.scrapes.remove(&scrape)?;
                Some((done.ticket, Late::Scraped(done.counts)))
            }
            // A wrong figure would be worse than none.
            refused => Some((self.scrapes.remove(&scrape)?.ticket, refused)),
        }
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
