//! What `network.bind` promises, seen from outside: with an interface configured, traffic goes by it, and when
//! it is down or gone not one packet leaves by another.
//!
//! Needs root for two network namespaces of its own, `near` and `far`, with two links between them:
//!
//! ```text
//! near vpn0 10.77.1.1 ──── 10.77.1.2 vpn0 far    the configured interface
//! near eth0 10.77.2.1 ──── 10.77.2.2 eth0 far    where the default route of `near` leads
//!                          10.77.9.9 lo   far    whom everybody wants to reach, and who answers for names
//! ```
//!
//! Each side runs this same program again, in its namespace, for one of the tests below.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

#[path = "support/namespace.rs"]
mod namespace;

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::unbounded;
use dtorrent::id::{InfoHash, PeerId};
use dtorrent::net::sockets::SocketFactory;
use dtorrent::tracker::client::{self, AnnouncerCommand, AnnouncerEvent, AnnouncerSetup, Totals};
use dtorrent::tracker::status::TrackerState;

use rustix::process::{Pid, Signal, kill_process};

use namespace::{Namespace, ip};

const TIMEOUT: Duration = Duration::from_secs(20);

/// How long it is listened for an answer that must not come. TCP sends again after 0.2 s.
const SILENCE: Duration = Duration::from_secs(1);

/// Set in the processes that run inside a namespace.
const INSIDE: &str = "DTORRENT_TEST_INSIDE_NAMESPACE";

const READY: &str = "the far side listens";

/// What the far side's name server knows, like any other name, as its own address.
const NAME: &str = "tracker.test:7000";

fn far_addr() -> SocketAddr {
    SocketAddr::from(([10, 77, 9, 9], 7000))
}

#[test]
fn nothing_leaves_by_another_interface() {
    if env::var_os(INSIDE).is_some() {
        return;
    }
    if !namespace::are_possible() {
        println!("skipped: network namespaces need root");
        return;
    }
    let near = Namespace::new("near");
    let far = Namespace::new("far");
    link(&near, &far);
    let _far_side = FarSide::start(&far);
    let _names = NameServer::of(&near);
    let status = run_again(&near, "near_side").status().unwrap();
    assert!(status.success(), "what the near side printed says why");
}

#[test]
fn the_client_says_that_it_waits_for_its_interface_and_goes_on() {
    if env::var_os(INSIDE).is_some() {
        return;
    }
    if !namespace::are_possible() {
        println!("skipped: network namespaces need root");
        return;
    }
    let program = env!("CARGO_BIN_EXE_dtorrent-cli");
    let home = tempfile::tempdir().unwrap();
    let prepared = Command::new("sh")
        .args([
            "-c",
            "echo x > film && : > config.toml && \"$0\" create film",
            program,
        ])
        .current_dir(home.path())
        .output()
        .unwrap();
    assert!(prepared.status.success(), "{prepared:?}");
    let near = Namespace::new("waiting");
    near.ip("link set lo up");
    let mut client = near
        .run(program)
        .args([
            "download",
            "film.torrent",
            "--dir",
            "to",
            "--config",
            "config.toml",
        ])
        .args(["--state", "state", "--bind", "vpn0", "--port", "0"])
        .current_dir(home.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map(Client)
        .unwrap();
    let mut lines = BufReader::new(client.0.stderr.take().unwrap()).lines();
    let mut next_line = || lines.next().unwrap().unwrap();
    let expect = |line: String, part: &str| assert!(line.contains(part), "{line}");
    expect(
        next_line(),
        "vpn0 does not exist, so nothing is sent; bring it up or change network.bind. Waiting until",
    );
    near.ip("link add vpn0 type veth peer name other0");
    near.ip("link set other0 up");
    near.ip("link set vpn0 up");
    // It looks now and then, so it may have seen the interface before that was up.
    let mut line = next_line();
    if line.contains("vpn0 is down") {
        line = next_line();
    }
    expect(line, "can be used again");
    near.ip("link set vpn0 down");
    expect(next_line(), "vpn0 is down, so nothing is sent");
    near.ip("link set vpn0 up");
    expect(next_line(), "can be used again");
    let id = Pid::from_raw(i32::try_from(client.0.id()).unwrap()).unwrap();
    kill_process(id, Signal::INT).unwrap();
    // What there is to write may take a while.
    let mut line = next_line();
    if line.contains("stopping: telling the trackers") {
        line = next_line();
    }
    expect(line, "stopped before everything was there");
    assert_eq!(client.0.wait().unwrap().code(), Some(1));
}

/// A client; it ends with the value.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test of its own: tells each peer that connects by which address it came.
#[test]
fn far_side() {
    if env::var_os(INSIDE).is_none() {
        return;
    }
    let listener = TcpListener::bind(far_addr()).unwrap();
    let names = UdpSocket::bind((far_addr().ip(), 53)).unwrap();
    thread::spawn(move || answer_for_names(&names));
    println!("{READY}");
    let mut connections = Vec::new();
    loop {
        let (mut stream, addr) = listener.accept().unwrap();
        writeln!(stream, "{}", addr.ip()).unwrap();
        connections.push(stream);
    }
}

/// Not a test of its own: the client.
#[test]
fn near_side() {
    if env::var_os(INSIDE).is_none() {
        return;
    }
    let factory = SocketFactory::new("vpn0").unwrap();
    let mut peer = factory.connect(far_addr(), TIMEOUT).unwrap();
    assert_eq!(source_seen_by(&peer), "10.77.1.1");
    let datagrams = factory.udp(false).unwrap();
    datagrams.send_to(b"up", far_addr()).unwrap();
    assert!(!factory.listen(0).unwrap().is_empty());
    assert_eq!(packets_sent_by("eth0"), 0, "while vpn0 is up");

    ip("link set vpn0 down");
    for error in [
        factory.connect(far_addr(), TIMEOUT).unwrap_err(),
        factory.start_connect(far_addr()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("vpn0"), "{error}");
    }
    assert!(factory.udp(false).unwrap().send_to(b"down", far_addr()).is_err());
    assert!(datagrams.send_to(b"down", far_addr()).is_err());
    assert!(why_no_announce("http").contains("interface vpn0 is down"));
    assert!(why_no_announce("udp").contains("interface vpn0 is down"));
    let _ = peer.write_all(b"down");
    peer.set_read_timeout(Some(SILENCE)).unwrap();
    assert!(!matches!(peer.read(&mut [0]), Ok(1..)));
    assert_eq!(packets_sent_by("eth0"), 0, "while vpn0 is down");

    ip("link del vpn0");
    for error in [
        factory.connect(far_addr(), TIMEOUT).unwrap_err(),
        factory.start_connect(far_addr()).unwrap_err(),
        factory.udp(false).unwrap_err(),
        factory.listen(0).unwrap_err().into(),
    ] {
        assert!(error.to_string().contains("vpn0 does not exist"), "{error}");
    }
    assert!(datagrams.send_to(b"gone", far_addr()).is_err());
    assert!(why_no_announce("http").contains("vpn0 does not exist"));
    assert!(why_no_announce("udp").contains("vpn0 does not exist"));
    let _ = peer.write_all(b"gone");
    let by_address = SocketFactory::new("10.77.1.1").unwrap();
    let error = by_address.connect(far_addr(), TIMEOUT).unwrap_err();
    assert!(error.to_string().contains("10.77.1.1"), "{error}");
    let error = by_address.resolve(NAME).unwrap_err();
    assert!(error.to_string().contains("10.77.1.1"), "{error}");
    assert_eq!(packets_sent_by("eth0"), 0, "without vpn0");

    // There was another way all the time, and the count would have shown it.
    let free = SocketFactory::new("").unwrap();
    assert_eq!(free.resolve(NAME).unwrap(), [far_addr()]);
    let by_names = packets_sent_by("eth0");
    assert_ne!(by_names, 0);
    assert_eq!(
        source_seen_by(&free.connect(far_addr(), TIMEOUT).unwrap()),
        "10.77.2.1"
    );
    assert!(packets_sent_by("eth0") > by_names);
}

/// What an announcer that is bound to `vpn0` says of a tracker that has a name.
fn why_no_announce(scheme: &str) -> String {
    let (events, events_rx) = unbounded();
    let announcer = client::spawn(AnnouncerSetup {
        peer_id: PeerId::new([b'x'; 20]),
        port: 6881,
        user_agent: "test".to_owned(),
        sockets: Arc::new(SocketFactory::new("vpn0").unwrap()),
        events,
    })
    .unwrap();
    announcer.send(AnnouncerCommand::Start {
        info_hash: InfoHash::new([1; 20]),
        name: "film".to_owned(),
        tiers: vec![vec![format!("{scheme}://{NAME}/announce")]],
        totals: Arc::new(Totals::default()),
    });
    loop {
        if let AnnouncerEvent::Status { trackers, .. } = events_rx.recv_timeout(TIMEOUT).unwrap()
            && let TrackerState::Failed(reason) = &trackers[0].state
        {
            return reason.clone();
        }
    }
}

/// A name server (RFC 1035 §4.1) to which every name is that of the far side, which has no IPv6.
fn answer_for_names(names: &UdpSocket) {
    let mut query = [0; 512];
    loop {
        let (length, from) = names.recv_from(&mut query).unwrap();
        let question = &query[12..];
        let end_of_name = question.iter().position(|&length| length == 0).unwrap() + 1;
        let asks_for_v4 = question[end_of_name..][..2] == [0, 1];
        let mut answer = query[..2].to_vec();
        // An answer without error, to one question.
        answer.extend([0x81, 0x80, 0, 1, 0, u8::from(asks_for_v4), 0, 0, 0, 0]);
        answer.extend(&query[12..length.min(12 + end_of_name + 4)]);
        if asks_for_v4 {
            // The name above, an internet address, for a minute, four bytes.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 77, 9, 9]);
        }
        names.send_to(&answer, from).unwrap();
    }
}

fn source_seen_by(peer: &TcpStream) -> String {
    peer.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut line = String::new();
    BufReader::new(peer).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn packets_sent_by(interface: &str) -> u64 {
    let path = format!("/sys/class/net/{interface}/statistics/tx_packets");
    std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

/// The links and routes of the picture above. Without IPv6, whose own messages would be counted.
fn link(near: &Namespace, far: &Namespace) {
    for side in [near, far] {
        let status = side
            .run("sysctl")
            .args([
                "-qw",
                "net.ipv6.conf.all.disable_ipv6=1",
                "net.ipv6.conf.default.disable_ipv6=1",
            ])
            .status();
        assert!(status.unwrap().success(), "sysctl");
        side.ip("link set lo up");
    }
    for (name, network) in [("vpn0", 1), ("eth0", 2)] {
        near.ip(&format!(
            "link add {name} type veth peer name {name} netns {}",
            far.name
        ));
        for (side, host) in [(near, 1), (far, 2)] {
            side.ip(&format!("addr add 10.77.{network}.{host}/24 dev {name}"));
            side.ip(&format!("link set {name} up"));
        }
    }
    far.ip("addr add 10.77.9.9/32 dev lo");
    near.ip("route add default via 10.77.2.2 dev eth0");
    near.ip("route add default via 10.77.1.2 dev vpn0 metric 500");
}

/// This program again, inside the namespace, for one test.
fn run_again(namespace: &Namespace, test: &str) -> Command {
    let mut command = namespace.run(env::current_exe().unwrap().to_str().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    command
}

/// Who is asked for names in a namespace: `ip netns exec` lays its file over `/etc/resolv.conf`. It ends with the
/// value.
struct NameServer(PathBuf);

impl NameServer {
    fn of(namespace: &Namespace) -> Self {
        let settings = Path::new("/etc/netns").join(&namespace.name);
        std::fs::create_dir_all(&settings).unwrap();
        std::fs::write(settings.join("resolv.conf"), "nameserver 10.77.9.9\n").unwrap();
        Self(settings)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The process that listens in the far namespace; it ends with the value.
struct FarSide(Child);

impl FarSide {
    fn start(far: &Namespace) -> Self {
        let child = run_again(far, "far_side").stdout(Stdio::piped()).spawn().unwrap();
        let mut far_side = Self(child);
        let output = BufReader::new(far_side.0.stdout.take().unwrap());
        let is_ready = output
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains(READY));
        assert!(is_ready, "the far side ended");
        far_side
    }
}

impl Drop for FarSide {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
