//! A tracker for the tests of the faces: it answers what it was told to, at once or when it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::refusal::Refusal;
use super::seam::{
    AnnounceAnswer, KeptTicket, Late, Letter, Mailbag, Mailbox, Reply, Ticket, Totals, Tracker,
};
use crate::id::InfoHash;
use crate::tracker::announce::ScrapeCounts;
use crate::tracker::swarm::PeerAnnounce;

/// How [`Scripted`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    AtOnce,
    Refuse(Refusal),
    Later,
    /// Later, but not before the face says that this is all.
    AtFlush,
}

/// Has the same peers in every swarm.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) script: Mutex<Script>,
    pub(super) peers: Vec<SocketAddr>,
    /// What was announced.
    pub(super) seen: Mutex<Vec<PeerAnnounce>>,
    /// Tickets that wait.
    pub(super) kept: Mutex<Vec<KeptTicket>>,
}

pub(super) const COUNTS: ScrapeCounts = ScrapeCounts {
    seeds: 1,
    downloads: 2,
    leechers: 3,
};

impl Scripted {
    pub(super) fn new(script: Script, peers: &[&str]) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script),
            peers: peers.iter().map(|peer| peer.parse().unwrap()).collect(),
            seen: Mutex::default(),
            kept: Mutex::default(),
        })
    }

    /// Answers the announce that has waited longest.
    pub(super) fn answer_first(&self) {
        let ticket = self.kept.lock().unwrap().remove(0);
        ticket.answer(Late::Announced(self.answer()));
    }

    fn answer(&self) -> AnnounceAnswer {
        AnnounceAnswer {
            counts: COUNTS,
            peers: self.peers.clone(),
        }
    }

    fn reply(&self, ticket: Ticket<'_>) -> Reply {
        match *self.script.lock().unwrap() {
            Script::AtOnce => Reply::Ready,
            Script::Refuse(refusal) => Reply::Refused(refusal),
            Script::Later | Script::AtFlush => {
                self.kept.lock().unwrap().push(ticket.keep());
                Reply::Later
            }
        }
    }
}

impl Tracker for Scripted {
    fn announce(&self, announce: &PeerAnnounce, ticket: Ticket<'_>, answer: &mut AnnounceAnswer) -> Reply {
        self.seen.lock().unwrap().push(*announce);
        assert_eq!(
            *answer,
            AnnounceAnswer {
                counts: answer.counts,
                ..AnnounceAnswer::default()
            }
        );
        *answer = self.answer();
        self.reply(ticket)
    }

    fn scrape(&self, info_hashes: &[InfoHash], ticket: Ticket<'_>, counts: &mut Vec<ScrapeCounts>) -> Reply {
        counts.extend(info_hashes.iter().map(|_| COUNTS));
        self.reply(ticket)
    }

    fn flush(&self) {
        if *self.script.lock().unwrap() != Script::AtFlush {
            return;
        }
        let mut bag = Mailbag::default();
        for ticket in self.kept.lock().unwrap().drain(..) {
            bag.add(ticket, Late::Announced(self.answer()));
        }
    }

    fn all_swarms(&self) -> Vec<(InfoHash, ScrapeCounts)> {
        vec![(InfoHash::new([9; 20]), COUNTS), (InfoHash::new([1; 20]), COUNTS)]
    }

    fn look_up(&self, _info_hash: InfoHash, ticket: Ticket<'_>) -> bool {
        self.reply(ticket) == Reply::Later
    }

    fn totals(&self) -> Totals {
        Totals {
            swarms: 2,
            seeds: 2,
            leechers: 6,
        }
    }
}

/// Keeps letters until somebody looks.
#[derive(Debug, Default)]
pub(super) struct Letters(pub(super) Mutex<Vec<Letter>>);

impl Mailbox for Letters {
    fn deliver(&self, letters: &mut Vec<Letter>) {
        self.0.lock().unwrap().append(letters);
    }
}
