//! A network of its own for each node, with switches between them that a test can cut.
//!
//! ```text
//!          hub: switches `ring` and `apart`; `clients` with 10.79.1.254
//!            │ ring0          │ clients0        and so on
//! node 0:  eth0 10.79.0.1    eth1 10.79.1.1
//! ```
//!
//! There is no delay and no loss in it. A cut is silent: the links stay up, but nothing arrives.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Command, id};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The namespaces. They end with the value.
#[derive(Debug)]
pub(crate) struct Network {
    hub: Namespace,
    nodes: Vec<Namespace>,
}

impl Network {
    /// A network for so many nodes; `None` without root, but where tests must not be skipped.
    pub(crate) fn new(count: usize) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            assert!(
                std::env::var_os("CI").is_none_or(|ci| ci != "true"),
                "this test needs root"
            );
            println!("skipped: network namespaces need root");
            return None;
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |part: &str| format!("dtorrent-{}-{number}-{part}", id());
        let hub = Namespace::new(name("hub"));
        for switch in ["ring", "apart", "clients"] {
            hub.ip(&format!("link add {switch} type bridge"));
            hub.ip(&format!("link set {switch} up"));
        }
        hub.ip("addr add 10.79.1.254/24 dev clients");
        hub.ip("link set lo up");
        let nodes: Vec<Namespace> = (0..count)
            .map(|at| Namespace::new(name(&at.to_string())))
            .collect();
        for (at, node) in nodes.iter().enumerate() {
            node.ip("link set lo up");
            for (switch, end, network) in [("ring", "eth0", 0), ("clients", "eth1", 1)] {
                hub.ip(&format!(
                    "link add {switch}{at} type veth peer name {end} netns {}",
                    node.0
                ));
                hub.ip(&format!("link set {switch}{at} master {switch} up"));
                node.ip(&format!("addr add 10.79.{network}.{}/24 dev {end}", at + 1));
                node.ip(&format!("link set {end} up"));
            }
        }
        Some(Self { hub, nodes })
    }

    /// The name of a node's namespace.
    pub(crate) fn node(&self, number: usize) -> &str {
        &self.nodes[number].0
    }

    /// Where other nodes reach a node.
    pub(crate) fn ring_address(&self, number: usize) -> String {
        format!("10.79.0.{}:6970", number + 1)
    }

    /// Where clients reach a node.
    pub(crate) fn client_address(&self, number: usize) -> String {
        format!("10.79.1.{}:6969", number + 1)
    }

    /// Takes the calling thread, and those that it starts from now on, to where the clients are.
    pub(crate) fn enter(&self) {
        let hub = File::open(format!("/run/netns/{}", self.hub.0)).unwrap();
        move_into_link_name_space(hub.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Parts these nodes from the others. Among themselves they can talk.
    pub(crate) fn cut(&self, nodes: &[usize]) {
        self.plug(nodes, "apart");
    }

    /// Ends the cut.
    pub(crate) fn heal(&self, nodes: &[usize]) {
        self.plug(nodes, "ring");
    }

    fn plug(&self, nodes: &[usize], switch: &str) {
        for node in nodes {
            self.hub.ip(&format!("link set ring{node} master {switch}"));
        }
    }
}

/// A network namespace that ends with the value.
#[derive(Debug)]
struct Namespace(String);

impl Namespace {
    fn new(name: String) -> Self {
        ip(&format!("netns add {name}"));
        Self(name)
    }

    fn ip(&self, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.0));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}
