//! What the faces count, and how it is told to Prometheus. Layer 1.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::refusal::Refusal;
use super::ring_metrics;
use super::seam::Totals;
use crate::ring::picture::Picture;

/// A number that one thread counts up and any thread reads.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Only ever called by one thread: a plain store is enough, and costs a tenth of an atomic addition.
    pub(super) fn add(&self, count: u64) {
        let old = self.0.load(Ordering::Relaxed);
        self.0.store(old.wrapping_add(count), Ordering::Relaxed);
    }

    /// As [`Self::add`].
    pub(super) fn subtract(&self, count: u64) {
        self.add(count.wrapping_neg());
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one thread of a face has counted. Each has its own, so that they do not wait for each other's cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct FaceCounters {
    /// Answered with peers.
    pub(super) announces: Counter,
    /// Answered with counts.
    pub(super) scrapes: Counter,
    /// Connection ids given out (UDP).
    pub(super) connects: Counter,
    /// Other pages: health, metrics, what is not there (HTTP).
    pub(super) pages: Counter,
    /// What could not be read as a request.
    pub(super) malformed: Counter,
    /// In the order of [`REASONS`].
    pub(super) refusals: [Counter; REASONS.len()],
    /// Connections that are open now (HTTP).
    pub(super) connections: Counter,
    /// Connections ever taken (HTTP).
    pub(super) accepted: Counter,
    /// Connections closed to make room, or not taken (HTTP).
    pub(super) crowded_out: Counter,
    /// Connections closed because something took too long (HTTP).
    pub(super) timed_out: Counter,
}

/// The labels of all refusals.
const REASONS: [&str; 9] = [
    "bad_parameter",
    "connection",
    "full",
    "full_scrape",
    "no_port",
    "passkey",
    "too_many",
    "torrent",
    "unanswered",
];

impl FaceCounters {
    pub(super) fn refused(&self, refusal: Refusal) {
        if let Some(index) = REASONS.iter().position(|reason| *reason == refusal.label()) {
            self.refusals[index].add(1);
        }
    }
}

/// Which face a thread belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    Http,
    Udp,
}

impl Face {
    fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Udp => "udp",
        }
    }
}

/// The counters of all threads.
#[derive(Debug, Default)]
pub(super) struct AllCounters {
    /// Guards the list while a thread is added or all are read.
    threads: Mutex<Vec<(Face, Arc<FaceCounters>)>>,
}

impl AllCounters {
    /// For a new thread.
    pub(super) fn add(&self, face: Face) -> Arc<FaceCounters> {
        let counters = Arc::new(FaceCounters::default());
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push((face, Arc::clone(&counters)));
        counters
    }

    fn sum(&self, face: Face, of: impl Fn(&FaceCounters) -> &Counter) -> u64 {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let of_face = threads.iter().filter(|(other, _)| *other == face);
        of_face.fold(0, |sum, (_, counters)| sum.wrapping_add(of(counters).get()))
    }

    fn requests(&self, face: Face) -> RequestCounts {
        let refused = |reason: usize| self.sum(face, |counters| &counters.refusals[reason]);
        RequestCounts {
            announces: self.sum(face, |counters| &counters.announces),
            scrapes: self.sum(face, |counters| &counters.scrapes),
            connects: self.sum(face, |counters| &counters.connects),
            refused: (0..REASONS.len()).map(refused).sum(),
            malformed: self.sum(face, |counters| &counters.malformed),
        }
    }

    /// Announces and scrapes that all faces have answered.
    pub(super) fn answered(&self) -> [u64; 2] {
        let (http, udp) = (self.requests(Face::Http), self.requests(Face::Udp));
        [http.announces + udp.announces, http.scrapes + udp.scrapes]
    }

    /// How the node stands, for `/status`.
    pub(super) fn status(&self, uptime: Duration, totals: Totals) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_secs: uptime.as_secs(),
            torrents: totals.swarms,
            seeds: totals.seeds,
            leechers: totals.leechers,
            http: self.requests(Face::Http),
            udp: self.requests(Face::Udp),
            http_connections: self.sum(Face::Http, |counters| &counters.connections),
        }
    }

    /// All figures in Prometheus' text format (version 0.0.4).
    pub(super) fn metrics(&self, uptime: Duration, totals: Totals, ring: Option<&Picture>) -> String {
        let mut page = Page(String::with_capacity(4096));
        page.head("dtracker_uptime_seconds", "gauge", "Seconds since the start.");
        page.line("dtracker_uptime_seconds", "", uptime.as_secs());
        page.head("dtracker_torrents", "gauge", "Torrents with a peer.");
        page.line("dtracker_torrents", "", totals.swarms);
        page.head("dtracker_peers", "gauge", "Peers that were heard of lately.");
        page.line("dtracker_peers", "state=\"seed\"", totals.seeds);
        page.line("dtracker_peers", "state=\"leech\"", totals.leechers);
        page.head(
            "dtracker_requests_total",
            "counter",
            "Requests that were answered.",
        );
        for (face, kind, count) in self.by_kind() {
            let labels = format!("face=\"{}\",kind=\"{kind}\"", face.label());
            page.line("dtracker_requests_total", &labels, count);
        }
        page.head(
            "dtracker_refused_total",
            "counter",
            "Requests that were refused, with the reason.",
        );
        for face in [Face::Http, Face::Udp] {
            for (index, reason) in REASONS.iter().enumerate() {
                let count = self.sum(face, |counters| &counters.refusals[index]);
                let labels = format!("face=\"{}\",reason=\"{reason}\"", face.label());
                page.line("dtracker_refused_total", &labels, count);
            }
        }
        let of_http = |of: fn(&FaceCounters) -> &Counter| self.sum(Face::Http, of);
        for (name, kind, help, count) in [
            (
                "dtracker_http_connections",
                "gauge",
                "Connections that are open.",
                of_http(|counters| &counters.connections),
            ),
            (
                "dtracker_http_accepted_total",
                "counter",
                "Connections that were taken.",
                of_http(|counters| &counters.accepted),
            ),
            (
                "dtracker_http_crowded_out_total",
                "counter",
                "Connections that were closed for lack of room.",
                of_http(|counters| &counters.crowded_out),
            ),
            (
                "dtracker_http_timed_out_total",
                "counter",
                "Connections that were closed because something took too long.",
                of_http(|counters| &counters.timed_out),
            ),
        ] {
            page.head(name, kind, help);
            page.line(name, "", count);
        }
        if let Some(ring) = ring {
            ring_metrics::write(ring, &mut page);
        }
        page.0
    }

    fn by_kind(&self) -> Vec<(Face, &'static str, u64)> {
        let (http, udp) = (self.requests(Face::Http), self.requests(Face::Udp));
        vec![
            (Face::Http, "announce", http.announces),
            (Face::Http, "scrape", http.scrapes),
            (
                Face::Http,
                "page",
                self.sum(Face::Http, |counters| &counters.pages),
            ),
            (Face::Http, "malformed", http.malformed),
            (Face::Udp, "announce", udp.announces),
            (Face::Udp, "scrape", udp.scrapes),
            (Face::Udp, "connect", udp.connects),
            (Face::Udp, "malformed", udp.malformed),
        ]
    }
}

/// A text in Prometheus' format.
pub(super) struct Page(String);

impl Page {
    // Writing to memory does not fail.
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn line(&mut self, name: &str, labels: &str, value: u64) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }
}

/// Requests of one face since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct RequestCounts {
    /// Announces that were answered with peers.
    pub announces: u64,
    /// Scrapes that were answered with counts.
    pub scrapes: u64,
    /// Connection ids that were given out (UDP).
    pub connects: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// What could not be read as a request.
    pub malformed: u64,
}

/// How a node stands: what `/status` tells and `dtracker status` shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Seconds since the start.
    pub uptime_secs: u64,
    /// Torrents with a peer.
    pub torrents: u64,
    /// Peers that have everything.
    pub seeds: u64,
    /// Peers that lack something.
    pub leechers: u64,
    /// Requests over HTTP.
    pub http: RequestCounts,
    /// Requests over UDP.
    pub udp: RequestCounts,
    /// HTTP connections that are open.
    pub http_connections: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_counted_under_its_name() {
        let all = AllCounters::default();
        let counters = all.add(Face::Udp);
        let refusals = [
            Refusal::BadParameter("port"),
            Refusal::NoPort,
            Refusal::Torrent,
            Refusal::Passkey,
            Refusal::FullScrape,
            Refusal::Connection,
            Refusal::TooMany,
            Refusal::Full(crate::tracker::swarm::Full::Peers),
            Refusal::Unanswered,
        ];
        for refusal in refusals {
            counters.refused(refusal);
            counters.refused(refusal);
        }
        assert_eq!(all.requests(Face::Udp).refused, 2 * REASONS.len() as u64);
        let text = all.metrics(Duration::ZERO, Totals::default(), None);
        for reason in REASONS {
            let line = format!("dtracker_refused_total{{face=\"udp\",reason=\"{reason}\"}} 2\n");
            assert!(text.contains(&line), "{text}");
        }
    }

    #[test]
    fn threads_are_added_up_and_every_metric_is_explained_once() {
        let all = AllCounters::default();
        let (one, two) = (all.add(Face::Http), all.add(Face::Http));
        one.announces.add(3);
        two.announces.add(4);
        // A connection that one thread took in and another one lost is nobody's error.
        one.connections.add(2);
        two.connections.subtract(1);
        let totals = Totals {
            swarms: 1,
            seeds: 2,
            leechers: 3,
        };
        let text = all.metrics(Duration::from_secs(9), totals, None);
        for line in [
            "dtracker_uptime_seconds 9",
            "dtracker_peers{state=\"leech\"} 3",
            "dtracker_requests_total{face=\"http\",kind=\"announce\"} 7",
            "dtracker_http_connections 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let mut explained: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let count = explained.len();
        explained.dedup();
        assert_eq!(explained.len(), count);
        assert_eq!(all.status(Duration::ZERO, totals).http.announces, 7);
    }
}
