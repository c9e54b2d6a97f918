//! A ring with clients.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use super::checks;
use super::host::{BREATH, DataHost};
use crate::id::{InfoHash, RingId};
use crate::ring::contact::Contact;
use crate::ring::members::{MAX_MEMBERS, Members};
use crate::ring::node::Start;
use crate::ring::replica::outbox::Reply;
use crate::ring::replica::router::{Failure, Question};
use crate::ring::sim::checks::Wrong;
use crate::ring::sim::host::no_members;
use crate::ring::sim::world::{Faults, MILLI, Micros, SECOND, World};
use crate::ring::timing::Timing;
use crate::ring::view::Stage;
use crate::tracker::swarm::{Families, PeerAnnounce, PeerState, Settings};

const FIRST_PORT: u16 = 1000;

/// A peer of a swarm: who announces.
pub(super) type Client = (InfoHash, SocketAddr);

/// What is known of a client.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// What it was last told to be safe.
    pub(super) acked: Option<PeerState>,
    /// What it has said since, or before without an answer.
    pub(super) may_be: BTreeSet<PeerState>,
    /// It waits for an answer.
    waits: bool,
    /// The node that it had asked has died: what it said may come late, so it says no more.
    quiet: bool,
    last: Micros,
}

/// A ring, its clients and its history.
pub(super) struct Play {
    pub(super) world: World<DataHost>,
    pub(super) began: Instant,
    pub(super) settings: Settings,
    pub(super) clients: BTreeMap<Client, Told>,
    /// Announces a second; 0 is silence.
    pub(super) load: u64,
    /// Announces that were refused for good.
    pub(super) failures: Vec<String>,
    pub(super) announces: u64,
    /// The longest time to an answer, of nodes that were not stopped meanwhile.
    pub(super) slowest: Micros,
    ids: Vec<RingId>,
    lives: Vec<u64>,
    disks: Vec<Option<Members>>,
    swarms: Vec<InfoHash>,
    /// When each place was stopped last.
    stopped: BTreeMap<usize, Micros>,
    /// Questions that wait: where, of whom, what, since when.
    asked: BTreeMap<u64, (usize, Client, PeerState, Micros)>,
    /// The answer to [`Self::peers`].
    probed: Option<(u64, Result<Reply, Failure>)>,
    requests: u64,
    next_announce: Micros,
    introduced: Micros,
    trace: bool,
    /// The epochs of the views that were told.
    shown: BTreeMap<usize, u64>,
}

impl Play {
    pub(super) fn new(seed: u64, places: usize, faults: Faults, trace: bool) -> Self {
        let mut world = World::new(seed, faults);
        let ids: Vec<RingId> = (0..places).map(|_| RingId::random(&mut world.rng)).collect();
        for place in 0..places {
            world.add_place(FIRST_PORT + place as u16);
        }
        let random = |world: &mut World<DataHost>| InfoHash::new(*RingId::random(&mut world.rng).as_bytes());
        let swarms = (0..60).map(|_| random(&mut world)).collect();
        Self {
            began: world.instant(),
            world,
            settings: Settings {
                node: 0,
                max_swarms: 10_000,
                max_peers: 10_000,
                peer_lifetime_secs: 1_800,
                tombstone_secs: 1_800,
            },
            clients: BTreeMap::new(),
            load: 0,
            failures: Vec::new(),
            announces: 0,
            slowest: 0,
            ids,
            lives: vec![0; places],
            disks: vec![None; places],
            stopped: BTreeMap::new(),
            swarms,
            asked: BTreeMap::new(),
            probed: None,
            requests: 0,
            next_announce: 0,
            introduced: 0,
            trace,
            shown: BTreeMap::new(),
        }
    }

    /// Says something to whoever replays the schedule.
    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>9.3} s  {}", self.world.now() as f64 / SECOND as f64, what());
        }
    }

    pub(super) fn start(&mut self, place: usize, how: Start) {
        self.lives[place] += 1;
        let me = Contact {
            id: self.ids[place],
            incarnation: self.lives[place],
            addr: ([127, 0, 0, 1], FIRST_PORT + place as u16).into(),
        };
        let timing = Timing::default();
        let members = self.disks[place]
            .take()
            .unwrap_or_else(|| no_members(MAX_MEMBERS, &timing));
        self.note(|| format!("start {place} {how:?}: {me}"));
        let now = self.world.instant();
        let host = DataHost::start(self.began, now, me, members, self.settings, how);
        self.world.boot(place, host);
    }

    pub(super) fn kill(&mut self, place: usize) {
        self.note(|| format!("kill {place}"));
        self.collect(place);
        if let Some(host) = self.world.kill(place) {
            self.disks[place] = Some(host.node.members().clone());
        }
        // Its clients get no answer.
        let lost: Vec<u64> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.0 == place)
            .map(|(&id, _)| id)
            .collect();
        for request in lost {
            if let Some((_, client, ..)) = self.asked.remove(&request)
                && let Some(told) = self.clients.get_mut(&client)
            {
                (told.waits, told.quiet) = (false, true);
            }
        }
    }

    /// Stops a process for a while.
    pub(super) fn pause(&mut self, place: usize, time: Micros) {
        self.note(|| format!("stop {place}"));
        self.world.stop(place);
        self.stopped.insert(place, self.world.now());
        self.advance(time);
        self.note(|| format!("resume {place}"));
        self.world.resume(place);
    }

    /// Tells a node to leave; [`Self::bury`] ends it when it says that it may go.
    pub(super) fn leave(&mut self, place: usize) {
        self.note(|| format!("leave {place}"));
        self.world.with(place, DataHost::leave);
    }

    /// Ends the processes that may go, after their last words.
    fn bury(&mut self) {
        let gone: Vec<usize> = self
            .world
            .running()
            .filter(|&place| {
                self.world
                    .host(place)
                    .is_some_and(|host| host.gone && host.router.is_empty())
            })
            .collect();
        for place in gone {
            self.note(|| format!("gone {place}"));
            self.kill(place);
        }
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, time: Micros) {
        let end = self.world.now() + time;
        while self.world.now() < end {
            if self.world.now() >= self.introduced + SECOND {
                self.introduced = self.world.now();
                self.introduce();
            }
            if self.load > 0 && self.world.now() >= self.next_announce {
                let pause = 2 * SECOND / self.load;
                self.next_announce = self.world.now() + self.world.rng.u64(1..=pause);
                self.announce();
            }
            let until = end.min(self.introduced + SECOND);
            let until = if self.load > 0 {
                until.min(self.next_announce)
            } else {
                until
            };
            while let Some(place) = self.world.step(until) {
                self.collect(place);
            }
            self.bury();
        }
    }

    /// Takes the answers that have come at a place.
    fn collect(&mut self, place: usize) {
        if let (true, Some(host)) = (self.trace, self.world.host(place)) {
            let view = host.custody.view();
            if self.shown.get(&place) != Some(&view.epoch) {
                let show = checks::show(host);
                self.note(|| format!("{place} {show}"));
                self.shown.insert(place, view.epoch);
            }
        }
        let done = match self.world.host(place) {
            Some(host) if !host.done.is_empty() => self
                .world
                .with(place, |host, _| std::mem::take(&mut host.done))
                .unwrap_or_default(),
            _ => return,
        };
        for (request, result) in done {
            let Some((_, client, state, since)) = self.asked.remove(&request) else {
                self.probed = Some((request, result));
                continue;
            };
            let took = self.world.now() - since;
            if self.stopped.get(&place).is_none_or(|&stopped| stopped < since) {
                self.slowest = self.slowest.max(took);
            }
            let Some(told) = self.clients.get_mut(&client) else {
                continue;
            };
            told.waits = false;
            self.note(|| format!("{} of {} hears at {place} after {took}", client.1, client.0));
            let Some(told) = self.clients.get_mut(&client) else {
                continue;
            };
            match result {
                Ok(Reply::Announced(_)) => {
                    told.acked = Some(state);
                    told.may_be = BTreeSet::from([state]);
                }
                other => {
                    told.quiet = true;
                    let failure = format!("{client:?} at place {place} after {} ms: {other:?}", took / MILLI);
                    self.note(|| format!("failure: {failure}"));
                    self.failures.push(failure);
                }
            }
        }
    }

    /// A client says something to a node, if one lives that takes announces.
    fn announce(&mut self) {
        let places: Vec<usize> = self.open_places();
        let Some(&place) = self.world.rng.choice(&places) else {
            return;
        };
        let hash = self.swarms[self.world.rng.usize(..self.swarms.len())];
        let peer = SocketAddr::from(([10, 0, 0, self.world.rng.u8(..40)], 6881));
        let client = (hash, peer);
        let state = match self.world.rng.u8(..6) {
            0 => PeerState::Stopped,
            1 | 2 => PeerState::Seed,
            _ => PeerState::Leech,
        };
        let now = self.world.now();
        let told = self.clients.entry(client).or_default();
        if told.waits || told.quiet || now < told.last + BREATH.as_micros() as u64 {
            return;
        }
        told.waits = true;
        told.last = now;
        told.may_be.insert(state);
        self.requests += 1;
        self.announces += 1;
        let request = self.requests;
        self.asked.insert(request, (place, client, state, now));
        self.note(|| format!("{peer} of {hash} announces {state:?} at {place}"));
        let question = Question::Announce(announce(hash, peer, state));
        self.world
            .with(place, |host, now| host.ask(now, request, question));
        self.collect(place);
    }

    /// Asks a node for all peers of a swarm, as one client more, and waits for the answer.
    pub(super) fn peers(&mut self, place: usize, hash: InfoHash) -> Result<Vec<SocketAddr>, Wrong> {
        self.requests += 1;
        let request = self.requests;
        let peer = SocketAddr::from(([10, 0, 1, 1], 1));
        let question = Question::Announce(announce(hash, peer, PeerState::Leech));
        self.world
            .with(place, |host, now| host.ask(now, request, question));
        self.collect(place);
        // A node that is new has heard of dead ones too, and asks those first that stand before the owner.
        for _ in 0..2_000 {
            match self.probed.take().filter(|(of, _)| *of == request) {
                Some((_, Ok(Reply::Announced(answer)))) => return Ok(answer.peers),
                Some((_, other)) => return Err(format!("place {place} answers {other:?}")),
                None => self.advance(MILLI),
            }
        }
        let router = self.world.host(place).map(|host| &host.router);
        Err(format!("place {place} does not answer for {hash}: {router:?}"))
    }

    pub(super) fn swarms(&self) -> Vec<InfoHash> {
        self.swarms.clone()
    }

    /// Where clients may ask: a node that is in the ring, runs and does not leave.
    pub(super) fn open_places(&self) -> Vec<usize> {
        let open = |&place: &usize| {
            let host = self.world.host(place);
            !self.world.is_stopped(place)
                && host.is_some_and(|host| {
                    host.node.view().stage == Stage::Member && !host.custody.view().leaving && !host.gone
                })
        };
        self.world.running().filter(open).collect()
    }

    pub(super) fn empty_places(&self) -> Vec<usize> {
        (0..self.world.len())
            .filter(|&place| self.world.host(place).is_none())
            .collect()
    }

    pub(super) fn any_of(&mut self, places: &[usize]) -> Option<usize> {
        self.world.rng.choice(places).copied()
    }

    /// The addresses of the configuration name at least one node that lives.
    fn introduce(&mut self) {
        let running: Vec<usize> = self
            .world
            .running()
            .filter(|&place| !self.world.is_stopped(place))
            .collect();
        let now_and_then = (self.introduced / SECOND).is_multiple_of(5);
        for &place in &running {
            let host = self.world.host(place);
            let outside = host.is_some_and(|host| host.node.view().stage == Stage::Outside);
            if outside || now_and_then {
                for &known in running.iter().take(2).filter(|&&known| known != place) {
                    self.world.introduce(place, known);
                }
            }
        }
    }

    /// Runs, without clients, until the ring is ideal, everything is in its place, and nothing waits. Returns how
    /// long it took.
    pub(super) fn settle(&mut self, limit: Micros) -> Result<Micros, Wrong> {
        let load = std::mem::take(&mut self.load);
        let begin = self.world.now();
        let result = loop {
            match checks::at_rest(self) {
                Ok(()) if self.asked.is_empty() => break Ok(self.world.now() - begin),
                Ok(()) => {}
                Err(wrong) if self.world.now() - begin > limit => break Err(wrong),
                Err(_) => {}
            }
            if self.world.now() - begin > limit + 10 * SECOND {
                break Err(format!("questions wait for ever: {:?}", self.asked));
            }
            self.advance(100 * MILLI);
        };
        self.load = load;
        result
    }
}

fn announce(info_hash: InfoHash, peer: SocketAddr, state: PeerState) -> PeerAnnounce {
    PeerAnnounce {
        info_hash,
        peer,
        state,
        completed: state == PeerState::Seed,
        families: Families::Both,
        limit: 1_000,
    }
}
