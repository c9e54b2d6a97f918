//! A ring of our own trackers, as its users start it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use dtorrent::id::{InfoHash, PeerId};
use dtorrent::ring::picture::{Health, NodePicture, Picture};
use dtorrent::tracker::announce::{AnnounceRequest, Event};
use dtorrent::tracker::http::{announce_url, decode_announce};
use dtorrent::tracker::server::Status;
use fastrand::Rng;

use super::datagrams::Datagrams;
use super::dtracker::PROGRAM;
use super::process::{Process, Program};
use super::stage::{Stage, fresh_address, wait_for};

/// Only a test that fails waits so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
/// How often it is said why a ring is not whole.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// HTTP announces that one node is asked at a time.
const HTTP_AT_A_TIME: usize = 8;
/// Peers that an answer may have at least: more than any swarm of these tests has.
const NUM_WANT: u32 = 150;

/// How a node is started, once or again.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Its name, which its log and its state folder have too.
    pub(crate) name: String,
    /// `IP:PORT` of its faces.
    pub(crate) address: String,
    /// `IP:PORT` for other nodes.
    pub(crate) ring: String,
    /// `IP:PORT` of nodes that it joins.
    pub(crate) join: Vec<String>,
    /// The file with the ring's key.
    pub(crate) key: Option<PathBuf>,
    /// The network namespace in which it runs.
    pub(crate) namespace: Option<String>,
    /// Its state folder.
    pub(crate) state: PathBuf,
}

impl Plan {
    /// A node on the loopback, at addresses of its own.
    pub(crate) fn new(stage: &Stage, name: &str, join: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            address: fresh_address().to_string(),
            ring: fresh_address().to_string(),
            join: join.iter().map(|&join| join.to_owned()).collect(),
            key: None,
            namespace: None,
            state: stage.folder(name),
        }
    }

    /// Starts it, and does not wait for anything.
    pub(crate) fn launch(&self, stage: &Stage) -> Process {
        let state = self.state.to_str().unwrap();
        let key = self.key.as_ref().map(|key| key.to_str().unwrap());
        let mut arguments = match &self.namespace {
            Some(namespace) => vec!["netns", "exec", namespace, PROGRAM.name],
            None => Vec::new(),
        };
        arguments.extend(["serve", "--http", &self.address, "--udp", &self.address]);
        arguments.extend(["--ring", &self.ring, "--state", state, "--log-level", "debug"]);
        arguments.extend(self.join.iter().flat_map(|join| ["--join", join]));
        arguments.extend(key.iter().flat_map(|key| ["--key", key]));
        let program = match self.namespace {
            Some(_) => Program::new("ip", "iproute2"),
            None => PROGRAM,
        };
        Process::start(stage, &self.name, program, arguments)
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(self, stage: &Stage) -> RingNode {
        let process = self.launch(stage);
        let mut node = RingNode {
            process,
            client: HttpClient::to(&self.address),
            plan: self,
        };
        node.wait_for_answer();
        node
    }
}

/// A peer that a node is told of: `None` for a regular announce, or an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    /// The torrent.
    pub(crate) info_hash: InfoHash,
    /// The port, which names the peer: all have one address.
    pub(crate) port: u16,
    /// What has happened to it.
    pub(crate) event: Option<Event>,
}

impl Word {
    /// That of a leecher which goes on.
    pub(crate) fn of(info_hash: InfoHash, port: u16) -> Self {
        Self {
            info_hash,
            port,
            event: None,
        }
    }

    /// Its last one.
    pub(crate) fn stopped(info_hash: InfoHash, port: u16) -> Self {
        Self {
            info_hash,
            port,
            event: Some(Event::Stopped),
        }
    }

    /// The announce.
    pub(crate) fn request(self) -> AnnounceRequest {
        AnnounceRequest {
            info_hash: self.info_hash,
            peer_id: PeerId::generate(&mut Rng::new()),
            port: self.port,
            uploaded: 0,
            downloaded: 0,
            left: 1,
            event: self.event,
            num_want: Some(NUM_WANT),
            key: 0,
            tracker_id: None,
        }
    }
}

/// How a node is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Http,
    Udp,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The node was not there, or went away in the middle.
    Gone(String),
    /// It said why.
    Refused(String),
}

/// The ports of the others in the answer, or what went wrong.
pub(crate) type Answer = Result<HashSet<u16>, NoAnswer>;

/// Asks one node over HTTP, with connections that stay open.
#[derive(Debug)]
pub(crate) struct HttpClient {
    address: String,
    agent: ureq::Agent,
}

impl HttpClient {
    /// A client of the node that answers at this address.
    pub(crate) fn to(address: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(LIMIT))
            .proxy(None)
            .build();
        Self {
            address: address.to_owned(),
            agent: ureq::Agent::new_with_config(config),
        }
    }

    /// Announces.
    pub(crate) fn announce(&self, word: Word) -> Answer {
        let url = announce_url(&format!("http://{}/announce", self.address), &word.request());
        let body = self
            .agent
            .get(&url)
            .call()
            .and_then(|mut answer| answer.body_mut().read_to_vec())
            .map_err(|error| NoAnswer::Gone(error.to_string()))?;
        let answer = decode_announce(&body).map_err(|error| NoAnswer::Refused(error.to_string()))?;
        Ok(answer.peers.iter().map(SocketAddr::port).collect())
    }

    fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://{}{path}", self.address);
        let mut answer = self.agent.get(&url).call().ok()?;
        answer.body_mut().read_to_string().ok()
    }
}

/// One node of a ring.
#[derive(Debug)]
pub(crate) struct RingNode {
    /// The program.
    pub(crate) process: Process,
    /// How it was started.
    pub(crate) plan: Plan,
    client: HttpClient,
}

impl RingNode {
    fn wait_for_answer(&mut self) {
        // An answer means that it has its place, or knows who answers.
        wait_for("an answer of the new node", LIMIT, || {
            self.process.assert_running();
            self.announce(Word::stopped(InfoHash::new([0; 20]), 1)).ok()
        });
    }

    /// Announces over HTTP.
    pub(crate) fn announce(&self, word: Word) -> Answer {
        self.client.announce(word)
    }

    /// Announces all this, much of it at a time; the answers in the same order.
    pub(crate) fn announce_all(&self, face: Face, words: &[Word]) -> Vec<Answer> {
        match face {
            Face::Udp => Datagrams::to(&self.plan.address).announce_all(words),
            Face::Http => {
                let portion = words.len().div_ceil(HTTP_AT_A_TIME).max(1);
                thread::scope(|scope| {
                    let portions = words.chunks(portion).map(|portion| {
                        scope.spawn(|| {
                            let answers = portion.iter().map(|&word| self.announce(word));
                            answers.collect::<Vec<_>>()
                        })
                    });
                    let portions: Vec<_> = portions.collect();
                    portions
                        .into_iter()
                        .flat_map(|portion| portion.join().unwrap())
                        .collect()
                })
            }
        }
    }

    /// The ring as it shows it; none if it does not answer.
    pub(crate) fn picture(&self) -> Option<Picture> {
        serde_json::from_str(&self.client.get("/ring")?).ok()
    }

    /// How many seeds it keeps.
    pub(crate) fn seeds(&self) -> Option<u64> {
        let status: Status = serde_json::from_str(&self.client.get("/status")?).ok()?;
        Some(status.seeds)
    }

    /// Starts it again, with what it has in its state folder, after it has ended.
    pub(crate) fn start_again(&mut self, stage: &Stage) {
        self.process.wait(LIMIT);
        self.process = self.plan.launch(stage);
        self.wait_for_answer();
    }
}

/// Starts a ring of so many nodes, and waits until it is whole.
pub(crate) fn start(stage: &Stage, count: usize) -> Vec<RingNode> {
    let first = Plan::new(stage, "node0", &[]).start(stage);
    let join = first.plan.ring.clone();
    let mut nodes = vec![first];
    nodes.extend((1..count).map(|number| Plan::new(stage, &format!("node{number}"), &[&join]).start(stage)));
    wait_for_ring(&nodes.iter().collect::<Vec<_>>());
    nodes
}

/// Waits until these nodes are one ring, each entry of which is on three of them. Returns them in the order of the
/// ring: indices into `nodes`.
pub(crate) fn wait_for_ring(nodes: &[&RingNode]) -> Vec<usize> {
    let what = format!("a whole ring of {}", nodes.len());
    let mut told = Instant::now();
    wait_for(&what, LIMIT, || {
        let pictures: Option<Vec<Picture>> = nodes.iter().map(|node| node.picture()).collect();
        let order = match pictures {
            None => Err("a node does not answer".to_owned()),
            Some(pictures) => order_of(&pictures),
        };
        // Now and then, for whoever reads why it failed.
        if let (Err(why), true) = (&order, told.elapsed() > TELL_EVERY) {
            told = Instant::now();
            println!("no whole ring yet: {why}");
        }
        order.ok()
    })
}

/// The nodes in the order of the ring, if it is one and everything is in its place.
fn order_of(pictures: &[Picture]) -> Result<Vec<usize>, String> {
    let count = pictures.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&one, &other| pictures[one].me.cmp(&pictures[other].me));
    for (at, &index) in order.iter().enumerate() {
        let picture = &pictures[index];
        let near = |steps: usize| &pictures[order[(at + steps) % count]].me;
        let behind = (1..count).map(near).take(4);
        let before = (count > 1).then(|| near(count - 1));
        let has_all = |me: &NodePicture| {
            me.health == Health::Serving && me.copies_complete == count.min(3) && me.mending.is_empty()
        };
        let is_right = picture.successors.iter().eq(behind)
            && picture.predecessors.first() == before
            && picture.this_node().is_some_and(has_all);
        if !is_right {
            let (me, behind) = (picture.this_node(), &picture.successors);
            return Err(format!("{me:?} before {behind:?}"));
        }
    }
    Ok(order)
}
