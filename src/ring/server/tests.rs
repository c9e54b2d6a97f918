//! Nodes of one ring in one process, over the loopback.

use std::sync::{Condvar, Mutex};

use super::*;
use crate::id::{InfoHash, RingId};
use crate::ring::picture::{Health, NodePicture, Picture};
use crate::ring::view::Stage;
use crate::tracker::announce::ScrapeCounts;
use crate::tracker::server::seam::{AnnounceAnswer, Late, Letter, Mailbox, Reply, ReturnTo, Ticket, Tracker};
use crate::tracker::swarm::{Families, PeerAnnounce, PeerState};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A face that waits for one answer at a time.
#[derive(Debug, Default)]
struct Face {
    late: Mutex<Option<Late>>,
    came: Condvar,
}

impl Mailbox for Face {
    fn deliver(&self, letters: &mut Vec<Letter>) {
        *self.late.lock().unwrap() = letters.pop().map(|(_, answer)| answer);
        self.came.notify_all();
    }
}

impl Face {
    fn wait_flushed(&self, node: &RingServer) -> Late {
        node.tracker().flush();
        self.wait()
    }

    fn wait(&self) -> Late {
        let late = self.late.lock().unwrap();
        let (mut late, _) = self
            .came
            .wait_timeout_while(late, PATIENCE, |late| late.is_none())
            .unwrap();
        late.take().expect("every question is answered")
    }
}

fn announce(node: &RingServer, info_hash: InfoHash, port: u16) -> Result<AnnounceAnswer, String> {
    let face = Arc::new(Face::default());
    let mailbox: Arc<dyn Mailbox> = face.clone();
    let announce = PeerAnnounce {
        info_hash,
        peer: SocketAddr::from(([192, 0, 2, 1], port)),
        state: PeerState::Leech,
        completed: false,
        families: Families::Both,
        limit: 50,
    };
    let mut answer = AnnounceAnswer::default();
    let ticket = Ticket::new(&mailbox, ReturnTo::Http { slot: 0, request: 0 });
    match node.tracker().announce(&announce, ticket, &mut answer) {
        Reply::Ready => Ok(answer),
        Reply::Refused(why) => Err(why.to_string()),
        Reply::Later => match face.wait_flushed(node) {
            Late::Announced(answer) => Ok(answer),
            other => Err(format!("{other:?}")),
        },
    }
}

fn scrape(node: &RingServer, info_hashes: &[InfoHash]) -> Result<Vec<ScrapeCounts>, String> {
    let face = Arc::new(Face::default());
    let mailbox: Arc<dyn Mailbox> = face.clone();
    let ticket = Ticket::new(&mailbox, ReturnTo::Http { slot: 0, request: 0 });
    let mut counts = Vec::new();
    match node.tracker().scrape(info_hashes, ticket, &mut counts) {
        Reply::Ready => Ok(counts),
        Reply::Refused(why) => Err(why.to_string()),
        Reply::Later => match face.wait_flushed(node) {
            Late::Scraped(counts) => Ok(counts),
            other => Err(format!("{other:?}")),
        },
    }
}

fn start(join: &[SocketAddr]) -> RingServer {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let me = Contact {
        id: RingId::random(&mut fastrand::Rng::new()),
        incarnation: 1,
        addr: listener.local_addr().unwrap(),
    };
    let setup = Setup {
        me,
        node_key: NodeKey::generate().unwrap(),
        ring_key: None,
        known: KnownNodes::in_memory(),
        listener,
        sockets: Arc::new(SocketFactory::new("").unwrap()),
        join: join.to_vec(),
        how: if join.is_empty() {
            Start::Alone
        } else {
            Start::Join
        },
        store: Settings {
            node: 0,
            max_swarms: 100_000,
            max_peers: 1_000_000,
            peer_lifetime_secs: 2_700,
            tombstone_secs: 300,
        },
    };
    RingServer::start(setup).unwrap()
}

fn addr(node: &RingServer) -> SocketAddr {
    node.tracker().me().addr
}

/// Waits until all these are one ring in which each entry has as many copies as there can be.
fn wait_for_ring(nodes: &[RingServer]) {
    let until = Instant::now() + PATIENCE;
    let copies = nodes.len().min(3);
    loop {
        let views: Vec<RingStatus> = nodes.iter().filter_map(RingServer::status).collect();
        let is_whole = views.len() == nodes.len()
            && views.iter().all(|view| {
                view.stage == Stage::Member
                    && view.serving
                    && !view.merging
                    && view.copies_in_all() == copies
                    && view.succ.len() == (nodes.len() - 1).min(4)
            });
        if is_whole {
            return;
        }
        assert!(Instant::now() < until, "no ring: {views:#?}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn ring(count: usize) -> Vec<RingServer> {
    let mut nodes = vec![start(&[])];
    let first = addr(&nodes[0]);
    nodes.extend((1..count).map(|_| start(&[first])));
    wait_for_ring(&nodes);
    nodes
}

fn hash(number: u8) -> InfoHash {
    InfoHash::of_info(&[number])
}

#[test]
fn a_node_alone_answers_at_once() {
    let node = start(&[]);
    wait_for_ring(std::slice::from_ref(&node));
    assert_eq!(announce(&node, hash(1), 1).map(|answer| answer.peers), Ok(vec![]));
    let peers = announce(&node, hash(1), 2).map(|answer| answer.peers);
    assert_eq!(peers, Ok(vec![SocketAddr::from(([192, 0, 2, 1], 1))]));
    let counts = scrape(&node, &[hash(1), hash(2)]).unwrap();
    assert_eq!((counts[0].leechers, counts[1].leechers), (2, 0));
}

#[test]
fn an_answer_does_not_hang_on_a_flush() {
    let nodes = ring(3);
    for number in 0..6 {
        let face = Arc::new(Face::default());
        let mailbox: Arc<dyn Mailbox> = face.clone();
        let ticket = Ticket::new(&mailbox, ReturnTo::Http { slot: 0, request: 0 });
        let mut counts = Vec::new();
        // As of a face that has ended in between: the ring thread does what was put off.
        let reply = nodes[0].tracker().scrape(&[hash(number)], ticket, &mut counts);
        assert_eq!(reply, Reply::Later);
        assert_eq!(face.wait(), Late::Scraped(vec![ScrapeCounts::default()]));
    }
}

#[test]
fn what_one_node_is_told_every_node_answers() {
    let nodes = ring(5);
    for number in 0..40 {
        let told = &nodes[usize::from(number) % 5];
        announce(told, hash(number), 1_000).unwrap();
        let asked = &nodes[usize::from(number + 2) % 5];
        let answer = announce(asked, hash(number), 2_000).unwrap();
        assert_eq!(
            answer.peers,
            [SocketAddr::from(([192, 0, 2, 1], 1_000))],
            "{number}"
        );
    }
    let all: Vec<InfoHash> = (0..40).map(hash).collect();
    let counts = scrape(&nodes[3], &all).unwrap();
    assert!(counts.iter().all(|counts| counts.leechers == 2));
    let kept: u64 = nodes.iter().map(|node| node.tracker().totals().leechers).sum();
    assert_eq!(kept, 3 * 80, "each peer is on three nodes");
}

#[test]
fn two_nodes_that_end_at_once_take_nothing_with_them() {
    let mut nodes = ring(5);
    for number in 0..60 {
        announce(&nodes[usize::from(number) % 5], hash(number), 1_000).unwrap();
    }
    // Two beside each other: an owner and its first copy, for some of the swarms.
    let next = nodes[0].status().unwrap().succ[0].contact;
    let at = nodes.iter().position(|node| addr(node) == next.addr).unwrap();
    drop((nodes.swap_remove(at), nodes.swap_remove(0)));
    for number in 0..60 {
        for node in &nodes {
            let answer = announce(node, hash(number), 2_000).unwrap();
            assert_eq!(answer.counts.leechers, 2, "{number}");
        }
    }
    wait_for_ring(&nodes);
}

#[test]
fn a_node_that_leaves_hands_everything_over() {
    let mut nodes = ring(4);
    for number in 0..60 {
        announce(&nodes[usize::from(number) % 4], hash(number), 1_000).unwrap();
    }
    for _ in 0..2 {
        let node = nodes.remove(0);
        assert!(node.leave(PATIENCE), "it can go");
        drop(node);
        wait_for_ring(&nodes);
    }
    let all: Vec<InfoHash> = (0..60).map(hash).collect();
    for node in &nodes {
        let counts = scrape(node, &all).unwrap();
        assert!(counts.iter().all(|counts| counts.leechers == 1));
    }
}

fn look_up(node: &RingServer, info_hash: InfoHash) -> Late {
    let face = Arc::new(Face::default());
    let mailbox: Arc<dyn Mailbox> = face.clone();
    let ticket = Ticket::new(&mailbox, ReturnTo::Http { slot: 0, request: 0 });
    assert!(node.tracker().look_up(info_hash, ticket));
    face.wait()
}

#[test]
fn every_node_finds_where_a_torrent_lives_and_says_by_which_way() {
    let mut nodes = ring(7);
    nodes.sort_by_key(|node| node.tracker().me().id);
    let ids: Vec<String> = nodes
        .iter()
        .map(|node| node.tracker().me().id.to_string())
        .collect();
    let id = |at: usize| ids[at % 7].clone();
    // What each node said last of its copies may be from before the last one came.
    wait_for_picture(&nodes, |picture| {
        let is_settled = |(at, node): (usize, &NodePicture)| {
            let mut copies: Vec<&str> = node.copies.iter().map(|copy| copy.id.as_str()).collect();
            let mut right = [id(at + 1), id(at + 2)];
            copies.sort_unstable();
            right.sort_unstable();
            copies == right
        };
        picture.nodes.len() == 7 && picture.nodes.iter().enumerate().all(is_settled)
    });
    for number in 0..21 {
        let info_hash = hash(number);
        let key = RingId::from(info_hash);
        let owner = nodes
            .iter()
            .position(|node| node.tracker().me().id >= key)
            .unwrap_or(0);
        let asked = usize::from(number) % 7;
        let Late::Found(route) = look_up(&nodes[asked], info_hash) else {
            panic!("{number}");
        };
        assert_eq!(route.owner.id, id(owner), "{number}");
        let copies: Vec<&str> = route.copies.iter().map(|copy| copy.id.as_str()).collect();
        assert_eq!(copies, [id(owner + 1), id(owner + 2)], "{number}");
        assert_eq!(route.path[0].id, id(asked), "{number}");
        let last = &route.path.last().unwrap().id;
        assert!([id(owner), id(owner + 6)].contains(last), "{number}: {route:?}");
        assert!(route.path.len() <= 7, "{number}: {route:?}");
    }
    let node = nodes.remove(0);
    assert!(node.leave(PATIENCE));
    assert_eq!(
        look_up(&node, hash(1)),
        Late::Refused(crate::tracker::server::Refusal::Unanswered)
    );
}

/// Waits until every node shows the ring so.
fn wait_for_picture(nodes: &[RingServer], is_right: impl Fn(&Picture) -> bool) {
    let until = Instant::now() + PATIENCE;
    loop {
        let pictures: Vec<_> = nodes.iter().filter_map(|node| node.tracker().ring()).collect();
        if pictures.len() == nodes.len() && pictures.iter().all(|picture| is_right(picture)) {
            return;
        }
        assert!(Instant::now() < until, "{pictures:#?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_node_shows_the_whole_ring_and_counts_nothing_twice() {
    let mut nodes = ring(6);
    for number in 0..60 {
        announce(&nodes[usize::from(number) % 6], hash(number), 1_000).unwrap();
    }
    for node in &nodes {
        node.tracker().note_requests(10, 1);
        node.tracker().note_pages(&[([127, 0, 0, 1], 6969).into()]);
    }
    let is_whole = |picture: &Picture, count: usize| {
        let serving = picture.nodes.iter().filter(|node| node.health == Health::Serving);
        (picture.heard, serving.count()) == (count, count)
            && (picture.totals.swarms, picture.totals.leechers) == (60, 60)
    };
    wait_for_picture(&nodes, |picture| {
        let nodes = &picture.nodes;
        let shares: f64 = nodes.iter().flat_map(|node| &node.arc).map(|arc| arc.share).sum();
        let held: u64 = nodes.iter().map(|node| node.held.leechers).sum();
        is_whole(picture, 6)
            && (shares - 1.0).abs() < 1e-6
            && held == 3 * 60
            && nodes.iter().map(|node| node.announces).sum::<u64>() == 60
            && nodes
                .iter()
                .all(|node| node.copies_complete == 3 && node.copies.len() == 2)
            && picture.this_node().is_some_and(|me| me.links >= 4)
            && nodes.iter().all(|node| node.pages == Some(([127, 0, 0, 1], 6969).into()))
            // Of six nodes four stand in the list of successors, and a finger leads to the fifth at most.
            && nodes.iter().all(|node| node.fingers == node.fingers_to.len() as u64)
            && nodes.iter().flat_map(|node| &node.fingers_to).all(|id| nodes.iter().any(|node| node.id == *id))
    });

    // One dies, and one leaves.
    let dead = nodes.remove(0);
    let dead_id = dead.tracker().me().id.to_string();
    drop(dead);
    let gone = nodes.remove(0);
    let gone_id = gone.tracker().me().id.to_string();
    assert!(gone.leave(PATIENCE));
    drop(gone);
    wait_for_picture(&nodes, |picture| {
        let health = |id: &str| {
            let mut nodes = picture.nodes.iter();
            nodes.find(|node| node.id == id).map(|node| node.health)
        };
        is_whole(picture, 4)
            && health(&dead_id) == Some(Health::Silent)
            && health(&gone_id) == Some(Health::Left)
    });
}
