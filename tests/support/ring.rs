//! A ring of our own trackers, as its users start it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use dtorrent::id::{InfoHash, PeerId};
use dtorrent::tracker::announce::{AnnounceRequest, Event};
use dtorrent::tracker::http::{announce_url, decode_announce};
use fastrand::Rng;

use super::dtracker::PROGRAM;
use super::process::Process;
use super::stage::{Stage, fresh_address, wait_for};

/// Only a test that fails waits so long.
const LIMIT: Duration = Duration::from_secs(60);

/// One node of a ring.
#[derive(Debug)]
pub(crate) struct RingNode {
    /// The program.
    pub(crate) process: Process,
    /// `IP:PORT` of its faces.
    pub(crate) address: String,
    /// `IP:PORT` for other nodes.
    pub(crate) ring: String,
    agent: ureq::Agent,
}

impl RingNode {
    /// Starts a node that joins the ring of the one at `join`, or begins one.
    pub(crate) fn start(stage: &Stage, number: usize, join: Option<&str>) -> Self {
        let (address, ring) = (fresh_address().to_string(), fresh_address().to_string());
        let state = stage.folder(&format!("node{number}"));
        let state = state.to_str().unwrap();
        let mut arguments = vec![
            "serve",
            "--http",
            &address,
            "--udp",
            &address,
            "--ring",
            &ring,
            "--state",
            state,
            "--log-level",
            "debug",
        ];
        arguments.extend(join.iter().flat_map(|join| ["--join", join]));
        let process = Process::start(stage, &format!("node{number}"), PROGRAM, arguments);
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(LIMIT))
            .proxy(None)
            .build();
        let mut node = Self {
            process,
            address,
            ring,
            agent: ureq::Agent::new_with_config(config),
        };
        // An answer means that it has its place, or knows who answers.
        wait_for("an answer of the new node", LIMIT, || {
            node.process.assert_running();
            node.announce(InfoHash::new([0; 20]), 1, Some(Event::Stopped))
                .ok()
        });
        node
    }

    /// Announces a leecher with this port; the ports of the others in the answer.
    pub(crate) fn announce(
        &self,
        info_hash: InfoHash,
        port: u16,
        event: Option<Event>,
    ) -> Result<HashSet<u16>, String> {
        let request = AnnounceRequest {
            info_hash,
            peer_id: PeerId::generate(&mut Rng::new()),
            port,
            uploaded: 0,
            downloaded: 0,
            left: 1,
            event,
            num_want: Some(200),
            key: 0,
            tracker_id: None,
        };
        let url = announce_url(&format!("http://{}/announce", self.address), &request);
        let body = self
            .agent
            .get(&url)
            .call()
            .and_then(|mut answer| answer.body_mut().read_to_vec())
            .map_err(|error| error.to_string())?;
        let answer = decode_announce(&body).map_err(|error| error.to_string())?;
        Ok(answer.peers.iter().map(SocketAddr::port).collect())
    }
}

/// Starts a ring of so many nodes.
pub(crate) fn start(stage: &Stage, count: usize) -> Vec<RingNode> {
    let mut nodes = vec![RingNode::start(stage, 0, None)];
    let first = nodes[0].ring.clone();
    nodes.extend((1..count).map(|number| RingNode::start(stage, number, Some(&first))));
    nodes
}
