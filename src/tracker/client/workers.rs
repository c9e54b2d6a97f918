//! The workers: HTTP requests and lookups of names, which block. Layer 3.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::id::InfoHash;
use crate::net::sockets::SocketFactory;
use crate::sentence::told;
use crate::tracker::announce::{AnnounceRequest, AnnounceResponse, ScrapeCounts};
use crate::tracker::datagrams::{Ask, Datagrams};
use crate::tracker::fetch::Fetcher;
use crate::tracker::http;
use crate::tracker::queue::WORKERS;

/// Addresses of a UDP tracker that are tried.
const MAX_ADDRS: usize = 8;

/// A request; `key` comes back in the report.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) key: u64,
    pub(super) kind: JobKind,
}

#[derive(Debug)]
pub(super) enum JobKind {
    /// Announce to an HTTP tracker.
    Announce(String),
    /// Scrape an HTTP tracker.
    Scrape { url: String, info_hash: InfoHash },
    /// Find the addresses of a UDP tracker and have it asked.
    Udp {
        host: String,
        port: u16,
        url_data: Vec<u8>,
        announce: Box<AnnounceRequest>,
    },
}

/// What became of a request.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) key: u64,
    pub(super) outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Outcome {
    /// A worker is free again; the UDP tracker is being asked.
    Asked,
    /// The end of an announce; a failure is in words for a person.
    Announced(Result<AnnounceResponse, String>),
    /// The end of a scrape.
    Scraped(Result<ScrapeCounts, String>),
}

/// The pool: up to [`WORKERS`] threads that stay, and one for each job beyond them, which are rare.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: Sender<Job>,
    jobs_rx: Receiver<Job>,
    reports: Sender<Report>,
    sockets: Arc<SocketFactory>,
    fetcher: Fetcher,
    datagrams: Datagrams,
    threads: usize,
}

impl Workers {
    pub(super) fn new(
        sockets: Arc<SocketFactory>,
        fetcher: Fetcher,
        datagrams: Datagrams,
        reports: Sender<Report>,
    ) -> Self {
        let (jobs, jobs_rx) = unbounded();
        Self {
            jobs,
            jobs_rx,
            reports,
            sockets,
            fetcher,
            datagrams,
            threads: 0,
        }
    }

    /// Has a job done; `busy` counts the jobs that hold a worker, this one included.
    pub(super) fn run(&mut self, job: Job, busy: usize) {
        if self.threads < busy.min(WORKERS) {
            match self.spawn(|jobs, worker| jobs.iter().for_each(|job| worker.work(job))) {
                Ok(()) => self.threads += 1,
                Err(error) => {
                    log::warn!("no further thread for tracker requests: {error}");
                    if self.threads == 0 {
                        let outcome = job.kind.failed(told!("no thread for the request: {error}"));
                        // We hold the receiver's other end ourselves.
                        let _ = self.reports.send(Report {
                            key: job.key,
                            outcome,
                        });
                        return;
                    }
                }
            }
        }
        // We hold a receiver ourselves.
        let _ = self.jobs.send(job);
        if busy > WORKERS {
            // Those that stay may all be held by trackers that hang. One of them that is free may be quicker.
            let spawned = self.spawn(|jobs, worker| jobs.try_iter().for_each(|job| worker.work(job)));
            if let Err(error) = spawned {
                log::warn!("a tracker request waits for others, there is no further thread: {error}");
            }
        }
    }

    /// Interrupts what can be interrupted. The threads end by themselves, now or when the system lets go of
    /// them.
    pub(super) fn shutdown(self) {
        self.fetcher.shutdown();
    }

    fn spawn(&self, run: impl FnOnce(Receiver<Job>, Worker) + Send + 'static) -> std::io::Result<()> {
        let worker = Worker {
            reports: self.reports.clone(),
            sockets: Arc::clone(&self.sockets),
            fetcher: self.fetcher.clone(),
            datagrams: self.datagrams.clone(),
        };
        let jobs = self.jobs_rx.clone();
        thread::Builder::new()
            .name("announcer-worker".to_owned())
            .spawn(move || run(jobs, worker))?;
        Ok(())
    }
}

impl JobKind {
    fn failed(&self, reason: String) -> Outcome {
        match self {
            Self::Announce(_) | Self::Udp { .. } => Outcome::Announced(Err(reason)),
            Self::Scrape { .. } => Outcome::Scraped(Err(reason)),
        }
    }
}

struct Worker {
    reports: Sender<Report>,
    sockets: Arc<SocketFactory>,
    fetcher: Fetcher,
    datagrams: Datagrams,
}

impl Worker {
    fn work(&self, job: Job) {
        let key = job.key;
        let outcome = match job.kind {
            JobKind::Announce(url) => Outcome::Announced(self.announce(&url)),
            JobKind::Scrape { url, info_hash } => Outcome::Scraped(self.scrape(&url, &info_hash)),
            JobKind::Udp {
                host,
                port,
                url_data,
                announce,
            } => match self.resolve(&host, port) {
                Ok(addrs) => {
                    // Reported first: the end of the exchange must not come before it.
                    self.report(key, Outcome::Asked);
                    self.datagrams.ask(Ask {
                        key,
                        announce,
                        url_data,
                        addrs,
                    });
                    return;
                }
                Err(error) => Outcome::Announced(Err(error)),
            },
        };
        self.report(key, outcome);
    }

    fn report(&self, key: u64, outcome: Outcome) {
        // Nobody listens any more at the end of the program.
        let _ = self.reports.send(Report { key, outcome });
    }

    fn announce(&self, url: &str) -> Result<AnnounceResponse, String> {
        let body = self.fetcher.fetch(url).map_err(|error| error.to_string())?;
        http::decode_announce(&body).map_err(|error| error.to_string())
    }

    fn scrape(&self, url: &str, info_hash: &InfoHash) -> Result<ScrapeCounts, String> {
        let body = self.fetcher.fetch(url).map_err(|error| error.to_string())?;
        http::decode_scrape(&body, info_hash).map_err(|error| error.to_string())
    }

    fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let mut addrs = self
            .sockets
            .resolve((host, port))
            .map_err(|error| told!("the tracker's host name cannot be found: {error}"))?;
        addrs.truncate(MAX_ADDRS);
        Ok(addrs)
    }
}
