//! The announcer against a tracker of somebody else: opentracker, over HTTP and UDP.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this is a test, helpers included"
)]

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use dtorrent::id::{InfoHash, PeerId};
use dtorrent::net::sockets::SocketFactory;
use dtorrent::tracker::client::{
    AnnouncerCommand, AnnouncerEvent, AnnouncerHandle, AnnouncerSetup, Totals, spawn,
};

const PROGRAM: &str = "/usr/bin/opentracker";
/// Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running opentracker, and the folder that it confines itself to.
struct Tracker {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Tracker {
    /// `None` if it is not installed; an error under `CI=true`.
    fn start(torrent: InfoHash) -> Option<Self> {
        if !fs::exists(PROGRAM).unwrap() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{PROGRAM} is missing");
            println!("skipped: {PROGRAM} is not installed");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        // Started by root it gives up its rights before it reads the list, and still has to reach it.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("whitelist"), format!("{torrent}\n")).unwrap();
        let port = free_port();
        let child = Command::new(PROGRAM)
            .args([
                "-i",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-P",
                &port.to_string(),
            ])
            .args(["-w", "whitelist", "-d"])
            .arg(dir.path())
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let tracker = Self {
            child,
            port,
            _dir: dir,
        };
        tracker.wait_until_it_listens();
        Some(tracker)
    }

    fn wait_until_it_listens(&self) {
        let patience = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < patience, "opentracker does not listen");
            thread::yield_now();
        }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}/announce", self.port)
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A client that announces one torrent at one tracker.
struct Client {
    handle: AnnouncerHandle,
    events: Receiver<AnnouncerEvent>,
}

impl Client {
    fn start(torrent: InfoHash, port: u16, url: &str) -> Self {
        let (events_tx, events) = unbounded();
        let handle = spawn(AnnouncerSetup {
            peer_id: PeerId::generate(&mut fastrand::Rng::new()),
            port,
            user_agent: "DTorrent/test".to_owned(),
            sockets: Arc::new(SocketFactory::new("").unwrap()),
            events: events_tx,
        })
        .unwrap();
        let totals = Arc::new(Totals::default());
        totals.left.store(1, Ordering::Relaxed);
        totals.wants_peers.store(true, Ordering::Relaxed);
        let start = AnnouncerCommand::Start {
            info_hash: torrent,
            name: "film".to_owned(),
            tiers: vec![vec![url.to_owned()]],
            totals,
        };
        handle.send(start);
        Self { handle, events }
    }

    /// The peers of the first answer that has any; opentracker tells of ourselves too.
    fn peers(&self) -> Vec<SocketAddr> {
        loop {
            if let AnnouncerEvent::Peers { peers, .. } = self.events.recv_timeout(PATIENCE).unwrap() {
                return peers;
            }
        }
    }

    fn stop(self) {
        self.handle.send(AnnouncerCommand::Shutdown(PATIENCE));
        self.handle.join();
    }
}

fn peers_meet_and_part(scheme: &str) {
    let torrent = InfoHash::new(*b"\x01opentracker\xff\0 &%abc");
    let Some(tracker) = Tracker::start(torrent) else {
        return;
    };
    let url = tracker.url(scheme);
    let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));

    let first = Client::start(torrent, 1001, &url);
    assert!(first.peers().contains(&addr(1001)));
    let second = Client::start(torrent, 1002, &url);
    assert!(
        second.peers().contains(&addr(1001)),
        "the second hears of the first"
    );
    first.stop();
    let third = Client::start(torrent, 1003, &url);
    let peers = third.peers();
    assert!(peers.contains(&addr(1002)), "{peers:?}");
    assert!(!peers.contains(&addr(1001)), "it said that it stopped: {peers:?}");
    second.stop();
    third.stop();
}

#[test]
fn peers_meet_and_part_over_http() {
    peers_meet_and_part("http");
}

#[test]
fn peers_meet_and_part_over_udp() {
    peers_meet_and_part("udp");
}
