//! New nodes choose their place, and those that come back return to it. In one process, over the loopback.

use std::time::Instant;

use super::*;
use crate::ring::interval::clockwise;
use crate::ring::view::Stage;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const STORE: Settings = Settings {
    node: 0,
    max_swarms: 1_000,
    max_peers: 10_000,
    peer_lifetime_secs: 2_700,
    tombstone_secs: 300,
};

fn start(state: &Path, join: &[SocketAddr]) -> RingNode {
    let config = RingConfig {
        listen: Some(([127, 0, 0, 1], 0).into()),
        join: join.to_vec(),
        state: state.to_owned(),
        ..RingConfig::default()
    };
    let sockets = Arc::new(SocketFactory::new("").unwrap());
    RingNode::start(&config, sockets, STORE, &|| false).unwrap()
}

/// Waits until all of them are one ring and know the nodes behind them.
fn wait_for_ring(nodes: &[RingNode]) {
    let until = Instant::now() + PATIENCE;
    let mut order: Vec<RingId> = nodes.iter().map(|node| node.me().id).collect();
    order.sort();
    let behind = |id: RingId| {
        let place = order.iter().position(|&other| other == id).unwrap_or_default();
        let around = order.iter().cycle().skip(place + 1).copied();
        around.take((order.len() - 1).min(4)).collect::<Vec<_>>()
    };
    let is_whole = |status: &RingStatus| {
        let succ: Vec<RingId> = status.succ.iter().map(|node| node.contact.id).collect();
        status.stage == Stage::Member && status.serving && succ == behind(status.me.id)
    };
    while !nodes
        .iter()
        .all(|node| node.status().is_some_and(|status| is_whole(&status)))
    {
        assert!(Instant::now() < until, "no ring of {} nodes", nodes.len());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The largest arc as a multiple of the mean.
fn load(nodes: &[RingNode]) -> f64 {
    let mut ids: Vec<RingId> = nodes.iter().map(|node| node.me().id).collect();
    ids.sort();
    let high = |id: RingId| u32::from_be_bytes([0, 1, 2, 3].map(|byte| id.as_bytes()[byte]));
    let before = |at: usize| ids[(at + ids.len() - 1) % ids.len()];
    let arcs = (0..ids.len()).map(|at| f64::from(high(clockwise(before(at), ids[at]))));
    arcs.fold(0.0, f64::max) / 2_f64.powi(32) * ids.len() as f64
}

#[test]
fn ten_nodes_that_join_one_after_the_other_share_the_circle() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes: Vec<RingNode> = Vec::new();
    for number in 0..10 {
        let join: Vec<SocketAddr> = nodes.iter().map(|node| node.me().addr).take(2).collect();
        nodes.push(start(&folder.path().join(number.to_string()), &join));
        wait_for_ring(&nodes);
    }
    // Ten arcs of halves: two whole eighths and eight sixteenths would be 1.25, give or take a 64th for each halving.
    // At random it is 2.9 on average, and one time in a thousand so little.
    let load = load(&nodes);
    println!("the busiest of ten has {load:.2} times the mean");
    assert!(load < 1.5, "{load}");

    // Nobody remembers the visitors that chose.
    let known = fs::read_to_string(folder.path().join("0/known")).unwrap();
    let ids: Vec<String> = nodes.iter().map(|node| node.me().id.to_string()).collect();
    for line in known.lines().filter(|line| !line.starts_with('#')) {
        assert!(ids.iter().any(|id| line.starts_with(id)), "{line}");
    }

    // One that comes back returns to its place.
    let gone = nodes.pop().unwrap();
    let me = gone.me();
    assert!(gone.leave(PATIENCE));
    gone.stop();
    let back = start(&folder.path().join("9"), &[nodes[0].me().addr]);
    assert_eq!(back.me().id, me.id);
    assert!(back.me().incarnation > me.incarnation);
    nodes.push(back);
    wait_for_ring(&nodes);
}

#[test]
fn two_that_choose_at_once_both_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes = vec![start(&folder.path().join("0"), &[])];
    let join = [nodes[0].me().addr];
    let path = |number: usize| folder.path().join(number.to_string());
    let both = std::thread::scope(|scope| {
        [1, 2]
            .map(|number| scope.spawn(move || start(&path(number), &join)))
            .map(|thread| thread.join().unwrap())
    });
    nodes.extend(both);
    wait_for_ring(&nodes);
    assert_ne!(nodes[1].me().id, nodes[2].me().id);
}

#[test]
fn a_new_node_whom_nobody_answers_begins_a_ring_and_finds_the_others_later() {
    let folder = tempfile::tempdir().unwrap();
    // An address at which nobody is yet.
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let late = reserved.local_addr().unwrap();
    drop(reserved);
    let first = start(&folder.path().join("first"), &[late]);
    let mut nodes = vec![first];
    wait_for_ring(&nodes);

    let config = RingConfig {
        listen: Some(late),
        state: folder.path().join("late"),
        ..RingConfig::default()
    };
    let sockets = Arc::new(SocketFactory::new("").unwrap());
    nodes.push(RingNode::start(&config, sockets, STORE, &|| false).unwrap());
    wait_for_ring(&nodes);
}

#[test]
fn who_is_not_wanted_any_more_stops_choosing() {
    let folder = tempfile::tempdir().unwrap();
    let config = RingConfig {
        listen: Some(([127, 0, 0, 1], 0).into()),
        join: vec![([127, 0, 0, 1], 1).into()],
        state: folder.path().to_owned(),
        ..RingConfig::default()
    };
    let sockets = Arc::new(SocketFactory::new("").unwrap());
    let stopped = RingNode::start(&config, sockets, STORE, &|| true);
    assert!(matches!(stopped, Err(RingNodeError::Stopped)), "{stopped:?}");
    assert!(
        !folder.path().join("node").exists(),
        "the next start chooses anew"
    );
}

#[test]
fn members_are_remembered_and_rubbish_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("members");
    assert_eq!(load_members(&path).unwrap(), []);
    replace(&path, "# comment\n192.0.2.1:6970\nrubbish\n[2001:db8::1]:1\n").unwrap();
    let expected: [SocketAddr; 2] = [
        "192.0.2.1:6970".parse().unwrap(),
        "[2001:db8::1]:1".parse().unwrap(),
    ];
    assert_eq!(load_members(&path).unwrap(), expected);
}
