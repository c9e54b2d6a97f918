//! Peers that are far away or slow: how much is asked of them, and what comes twice at the end.
//!
//! Nothing here is about how long it takes, only about what is under way: a relay counts it at our end of the path.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dtorrent::geometry::BLOCK_LENGTH;

use crate::support::cli::Cli;
use crate::support::content::Content;
use crate::support::datagram_relay::DatagramRelay;
use crate::support::dtracker::Dtracker;
use crate::support::libtorrent::Libtorrent;
use crate::support::process::Process;
use crate::support::relay::{Relay, Way};
use crate::support::stage::Stage;

const LIMIT: Duration = Duration::from_secs(180);

/// A seed of ours.
fn seed(stage: &Stage, name: &str, content: &Content) -> (SocketAddr, Process) {
    let dir = stage.folder(name);
    content.write(&dir);
    let torrent = content.torrent(stage, &[]);
    let cli = Cli::seed(stage, name, &[torrent], &dir).flag("--trust");
    (cli.address, cli.start(stage))
}

fn way(delay_ms: u64, rate: u64) -> Way {
    Way::of_delay(Duration::from_millis(delay_ms) / 2).at_rate(rate)
}

/// Looks at the relay until the client has ended, and says how many requests were out at most.
fn most_out(relay: &Relay, client: &mut Process) -> u64 {
    let started = Instant::now();
    let mut most = 0;
    loop {
        most = most.max(relay.carried().out());
        if let Some(status) = client.ended() {
            assert!(status.success(), "{status}");
            return most;
        }
        assert!(
            started.elapsed() < LIMIT,
            "it does not end; {} are out",
            relay.carried().out()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Fetches everything from a seed of ours over such a path, and says how many requests were out at most.
fn fetch_over(delay_ms: u64, rate: u64, blocks: usize) -> u64 {
    let stage = Stage::new();
    let content = Content::file("file", blocks * BLOCK_LENGTH as usize, 1 << 18, 11);
    let (address, _seed) = seed(&stage, "seed", &content);
    let relay = Relay::start(address, way(delay_ms, rate), way(delay_ms, rate), 1).unwrap();
    let dir = stage.folder("ours");
    let torrent = content.torrent(&stage, &[]);
    let mut ours = Cli::download(&stage, "ours", &[torrent], &dir)
        .peers([relay.addr()])
        .start(&stage);
    let most = most_out(&relay, &mut ours);
    content.assert_in(&dir);
    most
}

#[test]
fn a_long_path_is_filled() {
    // 244 blocks are under way when it is full.
    let most = fetch_over(200, 20_000_000, 2_400);
    assert!((244..1_500).contains(&most), "{most} requests were out");
}

#[test]
fn a_slow_peer_holds_few_blocks() {
    // Six blocks a second. Eight are asked for before anything is known of it.
    let most = fetch_over(50, 100_000, 60);
    assert!((2..=14).contains(&most), "{most} requests were out");
}

#[test]
fn libtorrent_fetches_from_us_over_a_long_path() {
    let stage = Stage::new();
    let content = Content::file("file", 1_000 * BLOCK_LENGTH as usize, 1 << 18, 12);
    let (address, _seed) = seed(&stage, "seed", &content);
    let relay = Relay::start(address, way(100, 20_000_000), way(100, 20_000_000), 1).unwrap();
    let dir = stage.folder("libtorrent");
    let torrent = content.torrent(&stage, &[]);
    let mut libtorrent = Libtorrent::start_with(&stage, &[torrent], &dir, false, &[relay.addr()]);
    libtorrent.wait_finished(LIMIT);
    content.assert_in(&dir);
}

#[test]
fn at_the_end_hardly_anything_comes_twice() {
    // From 50 KB/s to 6 MB/s; 1,600 blocks, of which sixteen are a hundredth.
    const RATES: [u64; 8] = [
        50_000, 80_000, 120_000, 250_000, 500_000, 1_000_000, 3_000_000, 6_000_000,
    ];
    const BLOCKS: u64 = 1_600;
    let stage = Stage::new();
    let content = Content::file("file", BLOCKS as usize * BLOCK_LENGTH as usize, 1 << 18, 13);
    let mut seeds = Vec::new();
    let mut relays = Vec::new();
    for (number, rate) in (0..).zip(RATES) {
        let (address, process) = seed(&stage, &format!("seed-{number}"), &content);
        seeds.push(process);
        relays.push(Relay::start(address, way(60, rate), way(60, rate), number).unwrap());
    }
    let dir = stage.folder("ours");
    let torrent = content.torrent(&stage, &[]);
    let mut ours = Cli::download(&stage, "ours", &[torrent], &dir)
        .peers(relays.iter().map(Relay::addr))
        .start(&stage);
    ours.finish(LIMIT);
    content.assert_in(&dir);
    let blocks: Vec<u64> = relays
        .iter()
        .map(|relay| relay.carried().blocks.load(Ordering::Relaxed))
        .collect();
    let twice = blocks.iter().sum::<u64>().saturating_sub(BLOCKS);
    assert!(twice <= BLOCKS / 100, "{twice} came twice; by peer {blocks:?}");
    assert!(
        blocks.iter().filter(|count| **count > 0).count() >= 7,
        "only some took part: {blocks:?}"
    );
}

#[test]
fn datagrams_are_lost_and_overtake_each_other() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let toward = Way {
        loss: 0.25,
        jitter: Duration::from_millis(40),
        ..Way::of_delay(Duration::from_millis(10)).at_rate(1_000_000)
    };
    let back = Way::of_delay(Duration::ZERO);
    let relay = DatagramRelay::start(server.local_addr().unwrap(), toward, back, 5).unwrap();
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // No more at a time than what the buffer of a socket takes.
    for number in 0..200_u32 {
        client.send_to(&number.to_be_bytes(), relay.addr()).unwrap();
    }
    let mut arrived = Vec::new();
    let mut bytes = [0; 8];
    while let Ok((4, _)) = server.recv_from(&mut bytes) {
        arrived.push(u32::from_be_bytes(bytes[..4].try_into().unwrap()));
    }
    assert_eq!(arrived.len() as u64 + relay.lost(), 200);
    assert!((20..90).contains(&relay.lost()), "{} were lost", relay.lost());
    assert!(relay.overtaken() > 0 && !arrived.is_sorted());
}

/// The tracker is heard although a fifth of what goes to it or comes from it is lost.
#[test]
fn a_tracker_is_heard_over_a_path_that_loses_datagrams() {
    let stage = Stage::new();
    let mut tracker = Dtracker::start(&stage, "");
    let lossy = Way {
        loss: 0.2,
        jitter: Duration::from_millis(20),
        ..Way::of_delay(Duration::from_millis(30))
    };
    let relay = DatagramRelay::start(tracker.address.parse().unwrap(), lossy, lossy, 3).unwrap();
    let content = Content::file("file", 200_000, 1 << 15, 14);
    let torrent = content.torrent(&stage, &[format!("udp://{}/announce", relay.addr())]);
    let torrents = std::slice::from_ref(&torrent);
    content.write(&stage.folder("seed"));
    let _seed = Cli::seed(&stage, "seed", torrents, &stage.folder("seed")).start(&stage);
    tracker.wait_for("the seed's announce", |status| status.seeds == 1);
}
