//! The node as its owner sees it, over the loopback.

use super::*;
use crate::id::InfoHash;
use crate::tracker::http::decode_announce;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node, what it tells, and its folder.
struct Node {
    handle: Option<NodeHandle>,
    statuses: Receiver<Option<TrackerNodeStatus>>,
    folder: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let (statuses_tx, statuses) = unbounded();
        Self {
            handle: Some(NodeHandle::spawn(statuses_tx).unwrap()),
            statuses,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn configure(&self, change: impl FnOnce(&mut TrackerNodeConfig)) {
        self.configure_bound("", change);
    }

    fn configure_bound(&self, bind: &str, change: impl FnOnce(&mut TrackerNodeConfig)) {
        let mut config = TrackerNodeConfig {
            node: true,
            ..TrackerNodeConfig::default()
        };
        change(&mut config);
        let setup = NodeSetup {
            config,
            bind: bind.to_owned(),
            state: self.folder.path().join("tracker"),
        };
        self.send(NodeCommand::Configure(Some(Box::new(setup))));
    }

    fn send(&self, command: NodeCommand) {
        self.handle.as_ref().unwrap().send(command);
    }

    /// Waits until it tells what is looked for.
    fn wait<T>(&self, seen: impl Fn(Option<TrackerNodeStatus>) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.statuses.recv_deadline(until).expect("it tells in time");
            if let Some(seen) = seen(status) {
                return seen;
            }
        }
    }

    fn wait_running(&self) -> TrackerNodeStatus {
        self.wait(|status| status.filter(TrackerNodeStatus::is_reachable))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.handle.take().into_iter().for_each(NodeHandle::stop);
    }
}

/// A loopback port that is free for both protocols.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = tcp.local_addr().unwrap();
        if std::net::UdpSocket::bind(addr).is_ok() {
            return addr.port();
        }
    }
}

/// Announces a leecher with this port over HTTP; how many others there are.
fn announce(url: &str, port: u16) -> Option<usize> {
    Some(peers(url, port)?.len())
}

fn peers(url: &str, port: u16) -> Option<Vec<SocketAddr>> {
    let hash = "%01".repeat(20);
    let url = format!(
        "{url}?info_hash={hash}&peer_id={}&port={port}&left=1&compact=1",
        "p".repeat(20)
    );
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
    let body = agent.get(&url).call().ok()?.body_mut().read_to_vec().ok()?;
    Some(decode_announce(&body).ok()?.peers)
}

#[test]
fn it_answers_while_it_is_wanted_and_keeps_its_place() {
    let node = Node::new();
    let port = free_port();
    node.configure(|config| config.address = format!("127.0.0.1:{port}"));
    let status = node.wait_running();
    assert_eq!(status.urls[0], format!("http://127.0.0.1:{port}/announce"));
    assert_eq!(status.urls[1], format!("udp://127.0.0.1:{port}/announce"));
    assert_eq!(status.reach, Some(status::Reach::ThisComputer));
    let place = |status: &TrackerNodeStatus| status.ring.clone().unwrap().me.id;
    let before = place(&status);
    // A ring of one serves as soon as its custody has looked round.
    let until = Instant::now() + PATIENCE;
    while announce(&status.urls[0], 1) != Some(0) {
        assert!(Instant::now() < until, "it does not answer");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(announce(&status.urls[0], 2), Some(1));
    let counted = node.wait(|status| status.filter(|status| status.leechers == 2));
    assert_eq!((counted.torrents, counted.seeds), (1, 0));

    // Another port, and the same node.
    let other = free_port();
    node.configure(|config| config.address = format!("127.0.0.1:{other}"));
    let status = node.wait(|status| {
        status.filter(|status| status.is_reachable() && status.urls[0].contains(&other.to_string()))
    });
    assert_eq!(place(&status), before);
    assert_eq!(announce(&format!("http://127.0.0.1:{port}/announce"), 3), None);

    node.send(NodeCommand::Configure(None));
    node.wait(|status| status.is_none().then_some(()));
    assert_eq!(announce(&status.urls[0], 3), None);
}

#[test]
fn a_port_that_is_taken_is_told_and_tried_again() {
    let node = Node::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    node.configure(|config| config.address = format!("127.0.0.1:{port}"));
    let problem = node.wait(|status| status?.problem);
    assert!(
        problem.contains(&format!("port {port} of this computer")),
        "{problem}"
    );
    assert!(problem.contains("tracker.port"), "{problem}");
    drop(taken);
    assert!(node.wait_running().problem.is_none());
}

#[test]
fn nodes_elsewhere_need_a_key_and_those_here_do_not() {
    let node = Node::new();
    let port = free_port();
    node.configure(|config| {
        config.address = format!("127.0.0.1:{port}");
        config.join = vec![([192, 0, 2, 1], 6970).into()];
    });
    let problem = node.wait(|status| status?.problem);
    assert!(
        problem.contains("192.0.2.1:6970") && problem.contains("tracker.key"),
        "{problem}"
    );

    let first = Node::new();
    let other = free_port();
    first.configure(|config| config.address = format!("127.0.0.1:{other}"));
    let ring = first.wait_running().ring.unwrap().me;
    node.configure(|config| {
        config.address = format!("127.0.0.1:{port}");
        config.join = vec![ring.addr];
    });
    let place = node.wait(|status| status?.ring.filter(|ring| ring.serving && ring.copies == 2));
    assert_eq!(place.behind, [ring]);
}

#[test]
fn behind_a_router_the_client_is_entered_under_the_address_outside() {
    let node = Node::new();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/announce");
    let share = |torrents: Vec<(InfoHash, bool)>| {
        node.send(NodeCommand::Share(OwnTorrents { port: 6881, torrents }));
    };
    share(vec![(InfoHash::new([1; 20]), true)]);
    node.configure_bound("127.0.0.1", |config| {
        config.port = port;
        config.address = "203.0.113.5".to_owned();
    });
    let status = node.wait_running();
    assert_eq!(status.urls[0], format!("http://203.0.113.5:{port}/announce"));
    let outside: SocketAddr = ([203, 0, 113, 5], 6881).into();
    let wait_for = |expected: &[SocketAddr]| {
        let until = Instant::now() + PATIENCE;
        while peers(&url, 1).as_deref() != Some(expected) {
            assert!(Instant::now() < until, "{:?} is not {expected:?}", peers(&url, 1));
            thread::sleep(Duration::from_millis(20));
        }
    };
    wait_for(&[outside]);
    share(Vec::new());
    wait_for(&[]);
}

#[test]
fn this_computer_finds_its_own_pages() {
    for (listening, found) in [
        ("0.0.0.0:6969", "127.0.0.1:6969"),
        ("[::]:6969", "[::1]:6969"),
        ("127.0.0.9:7000", "127.0.0.9:7000"),
    ] {
        let (listening, found): (SocketAddr, SocketAddr) =
            (listening.parse().unwrap(), found.parse().unwrap());
        assert_eq!(from_here(listening), found);
    }
}
