//! One request in, one response out. Layer 3, but it opens nothing.

use std::net::IpAddr;

use super::super::access::{self, Service};
use super::super::front::Front;
use super::super::refusal::Refusal;
use super::super::seam::{AnnounceAnswer, Late, ReturnTo};
use super::head::{Head, Manner, forwarded_for};
use super::pages::{self, Page};
use super::response::{self, Content, Status};
use crate::id::InfoHash;
use crate::tracker::announce::{AnnounceResponse, ScrapeCounts};
use crate::tracker::http::{self, HttpError, PeersForm};
use crate::tracker::swarm::Families;

/// Most torrents of one scrape: more do not fit into a head.
const MAX_SCRAPE: usize = 200;

/// A request whose answer comes later.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its number, as in [`ReturnTo::Http`].
    request: u32,
    manner: Manner,
    what: WaitingFor,
}

#[derive(Debug)]
enum WaitingFor {
    Peers(PeersForm),
    Counts(Vec<InfoHash>),
    Route,
}

impl Waiting {
    /// Whether an answer to this request is meant.
    pub(super) fn is_for(&self, request: u32) -> bool {
        self.request == request
    }

    /// Whether the connection stays open after the answer.
    pub(super) fn keeps_alive(&self) -> bool {
        self.manner.keep_alive
    }
}

/// What one thread answers requests with.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) front: Front,
    /// The number of the next request that is asked of the tracker; it may wrap.
    next_request: u32,
    response: AnnounceResponse,
    files: Vec<(InfoHash, ScrapeCounts)>,
    body: Vec<u8>,
}

impl Desk {
    pub(super) fn new(front: Front) -> Self {
        Self {
            front,
            next_request: 0,
            response: AnnounceResponse::default(),
            files: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Appends the response to a request that came from `peer` over the connection at `slot`. If the tracker
    /// answers later, nothing is appended and what is waited for is returned.
    pub(super) fn answer(
        &mut self,
        head: &Head<'_>,
        peer: IpAddr,
        slot: u32,
        out: &mut Vec<u8>,
    ) -> Option<Waiting> {
        let to = ReturnTo::Http {
            slot,
            request: self.next_request,
        };
        let Some((service, passkey)) = access::parse_path(head.path) else {
            let what = self.answer_page(head, peer, to, out)?;
            return Some(self.wait_for(what, head.manner));
        };
        let answered = self.admit(head, peer, passkey).and_then(|client| match service {
            Service::Announce => self.announce(head, client, to, out),
            Service::Scrape => self.scrape(head, to, out),
        });
        match answered {
            Ok(None) => None,
            Ok(Some(what)) => Some(self.wait_for(what, head.manner)),
            Err(refusal) => {
                self.write_refusal(refusal, head.manner, out);
                None
            }
        }
    }

    fn wait_for(&mut self, what: WaitingFor, manner: Manner) -> Waiting {
        let request = self.next_request;
        self.next_request = request.wrapping_add(1);
        Waiting {
            request,
            manner,
            what,
        }
    }

    /// Appends the response to a request that was waiting.
    pub(super) fn answer_late(&mut self, waiting: &Waiting, late: Late, out: &mut Vec<u8>) {
        match (&waiting.what, late) {
            (WaitingFor::Peers(form), Late::Announced(mut answer)) => {
                self.write_peers(&mut answer, *form, waiting.manner, out);
            }
            (WaitingFor::Counts(info_hashes), Late::Scraped(counts)) if counts.len() == info_hashes.len() => {
                self.files.clear();
                self.files.extend(info_hashes.iter().copied().zip(counts));
                self.write_files(waiting.manner, out);
            }
            (WaitingFor::Route, Late::Found(route)) => write_page(&pages::route(&route), waiting.manner, out),
            (WaitingFor::Route, Late::Refused(why)) => write_page(&pages::no_route(why), waiting.manner, out),
            (_, Late::Refused(refusal)) => self.write_refusal(refusal, waiting.manner, out),
            (what, late) => {
                log::error!("the tracker answered {late:?} to who waits for {what:?}");
                self.write_refusal(Refusal::Unanswered, waiting.manner, out);
            }
        }
    }

    /// Who asks, if he may.
    fn admit(&self, head: &Head<'_>, peer: IpAddr, passkey: Option<&str>) -> Result<IpAddr, Refusal> {
        let client = self.client(head, peer)?;
        self.front.rules().access.check_passkey(passkey)?;
        Ok(client)
    }

    /// Who asks, if he has not asked too often.
    fn client(&self, head: &Head<'_>, peer: IpAddr) -> Result<IpAddr, Refusal> {
        let rules = self.front.rules();
        let client = if rules.is_proxy(peer) {
            head.forwarded
                .and_then(forwarded_for)
                .ok_or(Refusal::BadParameter("address in its proxy's header"))?
        } else {
            peer.to_canonical()
        };
        if !self.front.admits(client) {
            return Err(Refusal::TooMany);
        }
        Ok(client)
    }

    fn announce(
        &mut self,
        head: &Head<'_>,
        client: IpAddr,
        to: ReturnTo,
        out: &mut Vec<u8>,
    ) -> Result<Option<WaitingFor>, Refusal> {
        let query = http::parse_announce(head.query).map_err(|error| match error {
            HttpError::BadParameter(name) => Refusal::BadParameter(name),
            _ => Refusal::BadParameter("query"),
        })?;
        let announce =
            self.front
                .rules()
                .admit(&query.request, client, query.ip, Families::Both, usize::MAX)?;
        let Some(answer) = self.front.announce(&announce, to) else {
            return Ok(Some(WaitingFor::Peers(query.form)));
        };
        // Taken out, to be put back: its buffer of peers is used again and again.
        let mut answer = std::mem::take(answer?);
        self.write_peers(&mut answer, query.form, head.manner, out);
        self.front.give_back(answer);
        Ok(None)
    }

    fn scrape(
        &mut self,
        head: &Head<'_>,
        to: ReturnTo,
        out: &mut Vec<u8>,
    ) -> Result<Option<WaitingFor>, Refusal> {
        let mut info_hashes = http::parse_scrape(head.query).take(MAX_SCRAPE).peekable();
        if info_hashes.peek().is_none() {
            if head.query.contains("info_hash=") {
                return Err(Refusal::BadParameter("info_hash"));
            }
            if !self.front.rules().http.full_scrape {
                return Err(Refusal::FullScrape);
            }
            self.front.counters.scrapes.add(1);
            self.files = self.front.shared.tracker.all_swarms();
            self.write_files(head.manner, out);
            // It may have been large.
            self.files = Vec::new();
            self.body = Vec::new();
            return Ok(None);
        }
        match self.front.scrape(info_hashes, to) {
            Some(scraped) => {
                let scraped = scraped?;
                self.files.clear();
                self.files.extend(
                    scraped
                        .info_hashes
                        .iter()
                        .copied()
                        .zip(scraped.counts.iter().copied()),
                );
                self.write_files(head.manner, out);
                Ok(None)
            }
            None => Ok(Some(WaitingFor::Counts(self.front.scraped_torrents().to_vec()))),
        }
    }

    fn write_peers(
        &mut self,
        answer: &mut AnnounceAnswer,
        form: PeersForm,
        manner: Manner,
        out: &mut Vec<u8>,
    ) {
        let response = &mut self.response;
        std::mem::swap(&mut response.peers, &mut answer.peers);
        response.interval = self.front.interval();
        response.min_interval = Some(self.front.rules().min_interval());
        response.seeds = Some(answer.counts.seeds);
        response.leechers = Some(answer.counts.leechers);
        response.downloads = Some(answer.counts.downloads);
        self.body.clear();
        http::write_announce(response, form, &mut self.body);
        std::mem::swap(&mut response.peers, &mut answer.peers);
        response::write(Status::Ok, Content::Text, &self.body, manner, out);
    }

    fn write_files(&mut self, manner: Manner, out: &mut Vec<u8>) {
        self.body.clear();
        http::write_scrape(&mut self.files, &mut self.body);
        response::write(Status::Ok, Content::Text, &self.body, manner, out);
    }

    /// Refusals go with status 200: many clients read no body of another one.
    fn write_refusal(&mut self, refusal: Refusal, manner: Manner, out: &mut Vec<u8>) {
        self.front.counters.refused(refusal);
        self.body.clear();
        http::write_failure(&refusal.to_string(), &mut self.body);
        response::write(Status::Ok, Content::Text, &self.body, manner, out);
    }

    /// `Some`: the answer comes later.
    fn answer_page(
        &mut self,
        head: &Head<'_>,
        peer: IpAddr,
        to: ReturnTo,
        out: &mut Vec<u8>,
    ) -> Option<WaitingFor> {
        self.front.counters.pages.add(1);
        let page = match head.path {
            "/lookup" => match self.look_up(head, peer, to) {
                Ok(()) => return Some(WaitingFor::Route),
                Err(page) => page,
            },
            path => pages::find(&self.front.shared, path, head.query),
        };
        write_page(&page, head.manner, out);
        None
    }

    /// Other pages cost no other node anything. This one does, so nobody may ask for it more often than for peers.
    fn look_up(&self, head: &Head<'_>, peer: IpAddr, to: ReturnTo) -> Result<(), Page> {
        let info_hash = pages::torrent_to_look_up(head.query)?;
        self.client(head, peer).map_err(pages::no_route)?;
        match self.front.look_up(info_hash, to) {
            true => Ok(()),
            false => Err(pages::no_ring()),
        }
    }
}

fn write_page(page: &Page, manner: Manner, out: &mut Vec<u8>) {
    response::write(page.status, page.content, page.body.as_bytes(), manner, out);
}
