//! How well a swarm has done.

use std::fmt;

use crate::host::{Host, Manner};
use crate::world::{Micros, Plan, SECOND};
use dtorrent::choker::Slots;

/// One host at the end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fate {
    pub(crate) manner: Manner,
    /// From its coming to when it had everything.
    pub(crate) took: Option<Micros>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Bytes that came twice or unasked.
    pub(crate) wasted: u64,
    pub(crate) links: usize,
}

/// What became of a swarm.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) size: u64,
    pub(crate) fates: Vec<Fate>,
    /// When the seeds had sent every block.
    pub(crate) once: Option<Micros>,
    /// When the last of those who stayed had everything; else when it was given up.
    pub(crate) ended: Micros,
    /// No way of sharing is faster.
    pub(crate) optimum: Micros,
}

impl Outcome {
    pub(crate) fn new(plan: &Plan, hosts: &[Host], once: Option<Micros>, ended: Micros) -> Self {
        let fates: Vec<_> = hosts
            .iter()
            .map(|host| Fate {
                took: host
                    .done
                    .filter(|_| !host.manner.is_seed)
                    .map(|done| done - host.manner.joins),
                sent: host.sent,
                received: host.received,
                wasted: host.torrent.tally().wasted,
                links: host.links.len(),
                manner: host.manner.clone(),
            })
            .collect();
        Self {
            size: plan.size(),
            optimum: optimum(plan),
            once,
            ended,
            fates,
        }
    }

    /// Those who came for the data and stayed until they had it, or would have.
    pub(crate) fn stayers(&self) -> impl Iterator<Item = &Fate> {
        self.fates
            .iter()
            .filter(|fate| !fate.manner.is_seed && fate.manner.leaves.is_none())
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.stayers().all(|fate| fate.took.is_some())
    }

    /// Time until all had it, in parts of the optimum.
    pub(crate) fn last(&self) -> f64 {
        self.ended as f64 / self.optimum as f64
    }

    /// Time until the seeds had sent everything once, in parts of the optimum.
    pub(crate) fn once(&self) -> f64 {
        self.once
            .map_or(f64::NAN, |once| once as f64 / self.optimum as f64)
    }

    /// Time until half of them had it.
    pub(crate) fn median(&self) -> f64 {
        self.middle(|_| true)
    }

    /// The median time of some, in parts of the optimum.
    pub(crate) fn middle(&self, which: impl Fn(&Manner) -> bool) -> f64 {
        let mut took: Vec<_> = self
            .stayers()
            .filter(|fate| which(&fate.manner))
            .map(|fate| fate.took.unwrap_or(Micros::MAX))
            .collect();
        took.sort_unstable();
        took.get(took.len() / 2)
            .map_or(f64::NAN, |took| *took as f64 / self.optimum as f64)
    }

    /// How many times the seeds sent the whole torrent.
    pub(crate) fn copies(&self) -> f64 {
        let seeds = self.fates.iter().filter(|fate| fate.manner.is_seed);
        seeds.map(|fate| fate.sent).sum::<u64>() as f64 / self.size as f64
    }

    /// Share of the bytes received that were of no use.
    pub(crate) fn waste(&self) -> f64 {
        let (mut wasted, mut received) = (0, 0);
        for fate in &self.fates {
            wasted += fate.wasted;
            received += fate.received;
        }
        wasted as f64 / received.max(1) as f64
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let links: usize = self.fates.iter().map(|fate| fate.links).sum();
        write!(
            f,
            "last {:.3} median {:.3} of {:.1} s, seed {:.3} copies, once at {:.3}, {:.2} % twice, {:.1} links each{}",
            self.last(),
            self.median(),
            self.optimum as f64 / SECOND as f64,
            self.copies(),
            self.once(),
            100.0 * self.waste(),
            links as f64 / self.fates.len() as f64,
            if self.is_complete() { "" } else { ", NOT COMPLETE" }
        )
    }
}

/// When all could have everything at the soonest: the seeds have to send each byte once, each host has to receive
/// every byte, and all that is received has to be sent by somebody.
fn optimum(plan: &Plan) -> Micros {
    let size = plan.size() as f64;
    let leechers = || plan.hosts.iter().filter(|manner| !manner.is_seed);
    let seeding: u64 = plan
        .hosts
        .iter()
        .filter(|manner| manner.is_seed)
        .map(|manner| manner.up)
        .sum();
    let sending: u64 = seeding
        + leechers()
            .filter(|manner| manner.slots != Slots::Fixed(0))
            .map(|manner| manner.up)
            .sum::<u64>();
    let slowest = leechers().map(|manner| manner.down).min().unwrap_or(u64::MAX);
    let seconds = [
        size / seeding as f64,
        size / slowest as f64,
        size * leechers().count() as f64 / sending as f64,
    ];
    (seconds.into_iter().fold(0.0, f64::max) * SECOND as f64) as Micros
}
