//! The announcer's own thread. Layer 3.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select, unbounded};

use super::sessions::{Session, Sessions};
use super::workers::{Job, JobKind, Outcome, Report, Workers};
use super::{AnnouncerCommand, AnnouncerEvent, AnnouncerSetup, Limits, Totals};
use crate::id::{InfoHash, PeerId};
use crate::size::Count;
use crate::tracker::announce::{AnnounceRequest, AnnounceResponse, Event, ScrapeCounts};
use crate::tracker::datagrams::Datagrams;
use crate::tracker::fetch::Fetcher;
use crate::tracker::http;
use crate::tracker::queue::{Place, Queue};
use crate::tracker::tiers::{Action, Tiers, TrackerKey};
use crate::tracker::url::{TrackerUrl, Transport, hide, shown};

/// How many peers we ask for while we want some.
const NUM_WANT: u32 = 200;

/// Longest wait for the answers to `stopped`, whatever is asked.
const SHUTDOWN_MAX: Duration = Duration::from_secs(60);

/// A request of a session to one of its trackers.
#[derive(Debug, Clone)]
struct Ticket {
    session: u64,
    tracker: TrackerKey,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Announce(Option<Event>),
    Scrape,
}

/// The state of the thread.
pub(super) struct Announcer {
    peer_id: PeerId,
    port: u16,
    key: u32,
    rng: fastrand::Rng,
    commands: Receiver<AnnouncerCommand>,
    reports: Receiver<Report>,
    events: Sender<AnnouncerEvent>,
    workers: Workers,
    sessions: Sessions,
    /// The session of each torrent that is not being stopped.
    current: HashMap<InfoHash, u64>,
    next_number: u64,
    queue: Queue<Ticket>,
    under_way: HashMap<u64, (Place, Ticket)>,
    /// Set once we are shutting down.
    deadline: Option<Instant>,
}

impl Announcer {
    pub(super) fn new(
        setup: AnnouncerSetup,
        limits: Limits,
        commands: Receiver<AnnouncerCommand>,
    ) -> io::Result<Self> {
        let (reports_tx, reports) = unbounded();
        let udp_reports = reports_tx.clone();
        let datagrams = Datagrams::spawn(Arc::clone(&setup.sockets), limits.udp, move |ended| {
            let outcome = Outcome::Announced(ended.result.map_err(|error| error.to_string()));
            // Nobody listens any more at the end of the program.
            let _ = udp_reports.send(Report {
                key: ended.key,
                outcome,
            });
        })?;
        let fetcher = Fetcher::new(&setup.sockets, &setup.user_agent, limits.http);
        let mut rng = fastrand::Rng::new();
        Ok(Self {
            peer_id: setup.peer_id,
            port: setup.port,
            key: rng.u32(..),
            rng,
            commands,
            reports,
            events: setup.events,
            workers: Workers::new(setup.sockets, fetcher, datagrams, reports_tx),
            sessions: Sessions::default(),
            current: HashMap::new(),
            next_number: 0,
            queue: Queue::default(),
            under_way: HashMap::new(),
            deadline: None,
        })
    }

    pub(super) fn run(mut self) {
        loop {
            self.tick();
            self.dispatch();
            if self.is_over() {
                break;
            }
            let timer = self.next_time().map_or_else(never, crossbeam_channel::at);
            select! {
                recv(self.commands) -> command => match command {
                    Ok(command) => self.command(command),
                    // Whoever waits for our end has let go of the sender.
                    Err(_) if self.deadline.is_some() => self.commands = never(),
                    Err(_) => break,
                },
                recv(self.reports) -> report => if let Ok(report) = report {
                    self.report(report);
                },
                recv(timer) -> _ => {}
            }
        }
        self.workers.shutdown();
    }

    fn is_over(&self) -> bool {
        let Some(deadline) = self.deadline else {
            return false;
        };
        self.sessions.all_are_stopped() || Instant::now() >= deadline
    }

    fn next_time(&self) -> Option<Instant> {
        let turns = self.queue.next_time(Instant::now());
        [self.sessions.next_time(), self.deadline, turns]
            .into_iter()
            .flatten()
            .min()
    }

    fn command(&mut self, command: AnnouncerCommand) {
        match command {
            AnnouncerCommand::Shutdown(limit) => self.shut_down(limit),
            // Nothing is begun any more.
            _ if self.deadline.is_some() => {}
            AnnouncerCommand::Start {
                info_hash,
                name,
                tiers,
                totals,
            } => self.start(info_hash, name, tiers, totals),
            AnnouncerCommand::Completed(info_hash) => self.with(info_hash, Tiers::complete),
            AnnouncerCommand::AnnounceNow(info_hash) => self.with(info_hash, Tiers::announce_now),
            AnnouncerCommand::Stop(info_hash) => self.stop(info_hash),
            AnnouncerCommand::Port(port) => {
                self.port = port;
                let running: Vec<InfoHash> = self.current.keys().copied().collect();
                let now = Instant::now();
                for info_hash in running {
                    self.with(info_hash, |tiers| tiers.moved(now));
                }
            }
        }
    }

    /// Changes the plans of a torrent that is not being stopped, and tells of them.
    fn with(&mut self, info_hash: InfoHash, change: impl FnOnce(&mut Tiers)) {
        let Some(&number) = self.current.get(&info_hash) else {
            return;
        };
        self.sessions.change(number, |session| change(&mut session.tiers));
        self.tell_status(number);
    }

    fn start(&mut self, info_hash: InfoHash, name: String, tiers: Vec<Vec<String>>, totals: Arc<Totals>) {
        self.stop(info_hash);
        let number = self.new_number();
        let tiers = Tiers::new(tiers, Instant::now(), &mut self.rng);
        let session = Session {
            info_hash,
            name,
            tiers,
            totals,
            stopping: false,
        };
        self.sessions.insert(number, session);
        self.current.insert(info_hash, number);
        self.tell_status(number);
    }

    fn stop(&mut self, info_hash: InfoHash) {
        if let Some(number) = self.current.remove(&info_hash) {
            let withdrawn = self.queue.withdraw(|ticket| ticket.session == number);
            self.part(number, withdrawn);
        }
    }

    /// From now on a session says nothing but `stopped`. `withdrawn`: what it wanted to ask and did not come to.
    fn part(&mut self, number: u64, withdrawn: Vec<Ticket>) {
        self.sessions.change(number, |session| {
            session.stopping = true;
            session.tiers.stop(Instant::now());
            for ticket in withdrawn {
                if ticket.what != What::Scrape {
                    session.tiers.on_withdrawn(ticket.tracker);
                }
            }
        });
    }

    fn shut_down(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit.min(SHUTDOWN_MAX);
        self.deadline = Some(self.deadline.map_or(deadline, |before| before.min(deadline)));
        // At once: thousands may wait.
        let mut running: BTreeMap<u64, Vec<Ticket>> = self
            .current
            .drain()
            .map(|(_, number)| (number, Vec::new()))
            .collect();
        for ticket in self
            .queue
            .withdraw(|ticket| running.contains_key(&ticket.session))
        {
            running.entry(ticket.session).or_default().push(ticket);
        }
        for (number, withdrawn) in running {
            self.part(number, withdrawn);
        }
    }

    /// Puts what is due into the queue.
    fn tick(&mut self) {
        let now = Instant::now();
        for number in self.sessions.due(now) {
            self.sessions.change(number, |session| {
                for action in session.tiers.on_tick(now) {
                    push(&mut self.queue, number, session, &action);
                }
            });
            self.tell_status(number);
        }
    }

    /// Hands the workers what may run.
    fn dispatch(&mut self) {
        while let Some((place, ticket)) = self.queue.pop(Instant::now()) {
            let key = self.new_number();
            match self.job(&ticket, key) {
                Some(Ok(job)) => {
                    self.under_way.insert(key, (place, ticket));
                    self.workers.run(job, self.queue.held_workers());
                }
                // Nothing was tried, so this says nothing about the host.
                Some(Err(reason)) => {
                    self.queue.done(&place, true);
                    self.announced(&ticket, Err(reason));
                }
                None => self.queue.done(&place, true),
            }
        }
    }

    /// The request in full, with the totals of this moment. `None` if there is nothing to ask.
    fn job(&self, ticket: &Ticket, key: u64) -> Option<Result<Job, String>> {
        let session = self.sessions.get(ticket.session)?;
        let url = session.tiers.url(ticket.tracker)?;
        let kind = match ticket.what {
            What::Scrape => JobKind::Scrape {
                url: http::scrape_url(url, &session.info_hash)?,
                info_hash: session.info_hash,
            },
            What::Announce(event) => {
                let announce = self.request(session, ticket.tracker, event);
                match TrackerUrl::parse(url) {
                    Err(error) => return Some(Err(error.to_string())),
                    Ok(parsed) => announce_job(url, parsed.transport, announce),
                }
            }
        };
        Some(Ok(Job { key, kind }))
    }

    fn request(&self, session: &Session, tracker: TrackerKey, event: Option<Event>) -> AnnounceRequest {
        let totals = &session.totals;
        let wants_peers = totals.wants_peers.load(Ordering::Relaxed) && event != Some(Event::Stopped);
        AnnounceRequest {
            info_hash: session.info_hash,
            peer_id: self.peer_id,
            port: self.port,
            uploaded: totals.uploaded.load(Ordering::Relaxed),
            downloaded: totals.downloaded.load(Ordering::Relaxed),
            left: totals.left.load(Ordering::Relaxed),
            event,
            num_want: Some(if wants_peers { NUM_WANT } else { 0 }),
            key: self.key,
            tracker_id: session.tiers.tracker_id(tracker).map(<[u8]>::to_vec),
        }
    }

    fn report(&mut self, report: Report) {
        if let Outcome::Asked = report.outcome {
            if let Some((place, _)) = self.under_way.get(&report.key) {
                self.queue.detach(place);
            }
            return;
        }
        let Some((place, ticket)) = self.under_way.remove(&report.key) else {
            return;
        };
        match report.outcome {
            Outcome::Asked => {}
            Outcome::Announced(result) => {
                self.queue.done(&place, result.is_ok());
                self.announced(&ticket, result);
            }
            Outcome::Scraped(result) => {
                self.queue.done(&place, result.is_ok());
                self.scraped(&ticket, result);
            }
        }
    }

    fn announced(&mut self, ticket: &Ticket, result: Result<AnnounceResponse, String>) {
        let now = Instant::now();
        let What::Announce(event) = ticket.what else {
            return;
        };
        self.sessions.change(ticket.session, |session| {
            let result = without_secrets(result, session.tiers.url(ticket.tracker).unwrap_or_default());
            log_announce(session, ticket, &result);
            match result {
                Ok(response) => {
                    if let Some(scrape) = session.tiers.on_answer(ticket.tracker, event, &response, now) {
                        push(&mut self.queue, ticket.session, session, &scrape);
                    }
                    if !session.stopping && !response.peers.is_empty() {
                        let info_hash = session.info_hash;
                        let peers = response.peers;
                        tell(&self.events, AnnouncerEvent::Peers { info_hash, peers });
                    }
                }
                Err(reason) => session
                    .tiers
                    .on_failure(ticket.tracker, event, reason, now, &mut self.rng),
            }
        });
        self.tell_status(ticket.session);
    }

    fn scraped(&mut self, ticket: &Ticket, result: Result<ScrapeCounts, String>) {
        match result {
            Ok(counts) => {
                self.sessions.change(ticket.session, |session| {
                    session.tiers.on_scrape(ticket.tracker, counts);
                });
                self.tell_status(ticket.session);
            }
            Err(reason) => {
                let Some(session) = self.sessions.get(ticket.session) else {
                    return;
                };
                let url = session.tiers.url(ticket.tracker).unwrap_or_default();
                let reason = hide(&reason, url);
                log::debug!("{}: scrape of {} failed: {reason}", session.name, shown(url));
            }
        }
    }

    fn tell_status(&self, number: u64) {
        let Some(session) = self.sessions.get(number) else {
            return;
        };
        if !session.stopping {
            let info_hash = session.info_hash;
            let trackers = session.tiers.status();
            tell(&self.events, AnnouncerEvent::Status { info_hash, trackers });
        }
    }

    fn new_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

fn tell(events: &Sender<AnnouncerEvent>, event: AnnouncerEvent) {
    // The engine has ended before us: nobody wants to know any more.
    let _ = events.send(event);
}

fn announce_job(url: &str, transport: Transport, announce: AnnounceRequest) -> JobKind {
    match transport {
        Transport::Http => JobKind::Announce(http::announce_url(url, &announce)),
        Transport::Udp { host, port, url_data } => JobKind::Udp {
            host,
            port,
            url_data,
            announce: Box::new(announce),
        },
    }
}

fn push(queue: &mut Queue<Ticket>, number: u64, session: &Session, action: &Action) {
    let (tracker, what) = match *action {
        Action::Announce { tracker, event } => (tracker, What::Announce(event)),
        Action::Scrape { tracker } => (tracker, What::Scrape),
    };
    let url = session.tiers.url(tracker).unwrap_or_default();
    let place = Place {
        info_hash: session.info_hash,
        url: url.to_owned(),
        host: origin(url),
        retry: session.tiers.is_retry(tracker),
        farewell: what == What::Announce(Some(Event::Stopped)),
    };
    let ticket = Ticket {
        session: number,
        tracker,
        what,
    };
    queue.push(place, ticket);
}

/// The host that is asked: requests to one of them wait for each other.
fn origin(url: &str) -> String {
    TrackerUrl::parse(url).map_or_else(|_| "an unusable tracker URL".to_owned(), |url| url.origin)
}

/// What came of an announce, in words that may stand in a log, on a screen or in a service's journal.
fn without_secrets(result: Result<AnnounceResponse, String>, url: &str) -> Result<AnnounceResponse, String> {
    match result {
        Ok(mut response) => {
            response.warning = response.warning.map(|warning| hide(&warning, url));
            Ok(response)
        }
        Err(reason) => Err(hide(&reason, url)),
    }
}

fn log_announce(session: &Session, ticket: &Ticket, result: &Result<AnnounceResponse, String>) {
    let torrent = &session.name;
    let tracker = shown(session.tiers.url(ticket.tracker).unwrap_or_default());
    let event = match ticket.what {
        What::Announce(Some(event)) => event.as_str(),
        What::Announce(None) | What::Scrape => "regular",
    };
    match result {
        Ok(response) => {
            let peers = Count(response.peers.len() as u64, "peer");
            log::info!("{torrent}: {tracker} answered the {event} announce with {peers}");
            if let Some(warning) = &response.warning {
                log::warn!("{torrent}: {tracker} warns: {warning}");
            }
        }
        Err(reason) => log::warn!("{torrent}: {event} announce to {tracker} failed: {reason}"),
    }
}
