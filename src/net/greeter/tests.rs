//! A greeter on loopback, and the peers that a test plays by hand.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::*;
use crate::wire::handshake::{Direction, HANDSHAKE_LENGTH, Handshake};

const TIMEOUT: Duration = Duration::from_secs(20);
const OURS: PeerId = PeerId::new(*b"-DT0100-ourselves...");
const THEIRS: PeerId = PeerId::new(*b"-XX0001-somebody....");
const TORRENT: InfoHash = InfoHash::new([1; 20]);
const OTHER: InfoHash = InfoHash::new([2; 20]);

struct Fixture {
    greeter: GreeterHandle,
    events: Receiver<GreeterEvent>,
    sockets: Arc<SocketFactory>,
}

/// A greeter on 127.0.0.1 with one torrent, whose first event was read.
fn greeter(port: u16) -> Fixture {
    let (events_tx, events) = unbounded();
    let sockets = Arc::new(SocketFactory::new("127.0.0.1").unwrap());
    let greeter = spawn(GreeterSetup {
        sockets: Arc::clone(&sockets),
        port,
        peer_id: OURS,
        events: events_tx,
    })
    .unwrap();
    greeter.send(GreeterCommand::Register(TORRENT));
    let fixture = Fixture {
        greeter,
        events,
        sockets,
    };
    match fixture.event() {
        GreeterEvent::Listening(addresses) => assert_eq!(addresses, fixture.greeter.listening()),
        GreeterEvent::ListenFailed { .. } => assert!(fixture.greeter.listening().is_empty()),
        other => panic!("{other:?} before anything else"),
    }
    fixture
}

impl Fixture {
    fn event(&self) -> GreeterEvent {
        self.events.recv_timeout(TIMEOUT).unwrap()
    }

    fn greeted(&self) -> Greeted {
        match self.event() {
            GreeterEvent::Greeted(greeted) => greeted,
            other => panic!("{other:?} instead of a peer"),
        }
    }

    fn failed(&self) -> (SocketAddr, DialError) {
        match self.event() {
            GreeterEvent::DialFailed { addr, error, .. } => (addr, error),
            other => panic!("{other:?} instead of a failed dial"),
        }
    }

    fn addr(&self) -> SocketAddr {
        self.greeter.listening()[0]
    }

    fn connect(&self) -> TcpStream {
        connect_to(self.addr())
    }

    fn dial(&self, addr: SocketAddr) {
        self.greeter.send(GreeterCommand::Dial {
            info_hash: TORRENT,
            addr,
        });
    }
}

fn connect_to(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

fn peer() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

fn hear(stream: &mut TcpStream) -> Handshake {
    let mut bytes = [0; HANDSHAKE_LENGTH];
    stream.read_exact(&mut bytes).unwrap();
    Handshake::decode(&bytes).unwrap()
}

fn say(stream: &mut TcpStream, info_hash: InfoHash, peer_id: PeerId) {
    stream
        .write_all(&Handshake::ours(info_hash, peer_id).encode())
        .unwrap();
}

/// Asserts that the other side closes without having said anything.
fn assert_closed(stream: &mut TcpStream) {
    match stream.read(&mut [0; 1]) {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
}

/// Descriptors for both ends of many connections.
fn allow_open_files(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        let limit = Rlimit {
            current: Some(count),
            ..limit
        };
        setrlimit(Resource::Nofile, limit).unwrap();
    }
}

#[test]
fn a_peer_that_dials_us_is_greeted_and_nothing_behind_the_handshake_is_read() {
    let fixture = greeter(0);
    let mut peer = fixture.connect();
    let mut bytes = Handshake::ours(TORRENT, THEIRS).encode().to_vec();
    bytes.extend_from_slice(b"behind");
    peer.write_all(&bytes).unwrap();
    assert_eq!(hear(&mut peer), Handshake::ours(TORRENT, OURS));

    let mut greeted = fixture.greeted();
    assert_eq!(greeted.peer.direction, Direction::Incoming);
    assert_eq!(greeted.peer.addr, peer.local_addr().unwrap());
    assert_eq!(greeted.peer.handshake, Handshake::ours(TORRENT, THEIRS));
    assert!(greeted.stream.nodelay().unwrap());
    let mut behind = [0; 6];
    greeted.stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    greeted.stream.read_exact(&mut behind).unwrap();
    assert_eq!(&behind, b"behind");
}

#[test]
fn a_peer_that_we_dial_is_greeted_even_if_it_speaks_byte_by_byte() {
    let fixture = greeter(0);
    let (listener, addr) = peer();
    fixture.dial(addr);
    let mut peer = accept(&listener);
    assert_eq!(hear(&mut peer), Handshake::ours(TORRENT, OURS));
    peer.set_nodelay(true).unwrap();
    for byte in Handshake::ours(TORRENT, THEIRS).encode() {
        peer.write_all(&[byte]).unwrap();
    }
    let greeted = fixture.greeted();
    assert_eq!(
        (greeted.peer.direction, greeted.peer.addr),
        (Direction::Outgoing, addr)
    );
    assert_eq!(greeted.peer.handshake.peer_id, THEIRS);
}

#[test]
fn who_asks_for_an_unknown_torrent_or_speaks_otherwise_learns_nothing() {
    let fixture = greeter(0);
    let mut stranger = fixture.connect();
    say(&mut stranger, OTHER, THEIRS);
    assert_closed(&mut stranger);
    let mut browser = fixture.connect();
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_closed(&mut browser);
    assert!(fixture.events.is_empty());
}

#[test]
fn dials_that_lead_nowhere_are_reported_with_their_reason() {
    let fixture = greeter(0);
    let (listener, refusing) = peer();
    drop(listener);
    fixture.dial(refusing);
    assert!(matches!(fixture.failed(), (addr, DialError::Connect(_)) if addr == refusing));

    let (listener, addr) = peer();
    fixture.dial(addr);
    drop(accept(&listener));
    assert!(matches!(fixture.failed().1, DialError::Closed | DialError::Io(_)));

    fixture.dial(addr);
    say(&mut accept(&listener), OTHER, THEIRS);
    assert!(matches!(
        fixture.failed().1,
        DialError::Refused(RefusedHandshake::OtherTorrent(OTHER))
    ));

    let other_family = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, addr.port()));
    fixture.dial(other_family);
    assert!(matches!(fixture.failed().1, DialError::Connect(_)));
}

#[test]
fn a_dial_to_ourselves_is_told_apart() {
    let fixture = greeter(0);
    fixture.dial(fixture.addr());
    let (addr, error) = fixture.failed();
    assert_eq!(addr, fixture.addr());
    assert!(error.is_own_address(), "{error}");
    assert!(fixture.events.is_empty());
}

#[test]
fn the_same_dial_twice_is_one_connection() {
    let fixture = greeter(0);
    let (listener, addr) = peer();
    fixture.dial(addr);
    fixture.dial(addr);
    let mut peer = accept(&listener);
    say(&mut peer, TORRENT, THEIRS);
    fixture.greeted();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn an_unregistered_torrent_loses_its_half_open_connections() {
    let fixture = greeter(0);
    let (listener, addr) = peer();
    fixture.dial(addr);
    let mut dialled = accept(&listener);
    hear(&mut dialled);
    let mut incoming = fixture.connect();
    incoming
        .write_all(&Handshake::ours(TORRENT, THEIRS).encode()[..60])
        .unwrap();
    hear(&mut incoming);
    fixture.greeter.send(GreeterCommand::Unregister(TORRENT));
    assert_closed(&mut dialled);
    assert_closed(&mut incoming);
    fixture.dial(addr);
    fixture.greeter.send(GreeterCommand::Register(OTHER));
    let mut peer = fixture.connect();
    say(&mut peer, OTHER, THEIRS);
    assert_eq!(
        fixture.greeted().peer.handshake.info_hash,
        OTHER,
        "and nothing else was reported"
    );
}

#[test]
fn many_silent_connections_do_not_keep_a_good_peer_out() {
    allow_open_files(4096);
    let fixture = greeter(0);
    let silent: Vec<TcpStream> = (0..500).map(|_| fixture.connect()).collect();
    let mut peer = fixture.connect();
    say(&mut peer, TORRENT, THEIRS);
    let event = fixture.events.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(matches!(event, GreeterEvent::Greeted(_)), "{event:?}");
    drop(silent);
}

#[test]
fn when_there_are_too_many_the_silent_ones_give_way() {
    allow_open_files(8192);
    let fixture = greeter(0);
    let mut slow = fixture.connect();
    let (first, rest) = {
        let bytes = Handshake::ours(TORRENT, THEIRS).encode();
        (bytes[..60].to_vec(), bytes[60..].to_vec())
    };
    slow.write_all(&first).unwrap();
    hear(&mut slow);
    let mut silent: Vec<TcpStream> = (0..half_open::MAX_INCOMING).map(|_| fixture.connect()).collect();
    assert_closed(&mut silent[0]);
    slow.write_all(&rest).unwrap();
    assert_eq!(fixture.greeted().peer.addr, slow.local_addr().unwrap());
}

#[test]
fn a_taken_port_is_reported_and_dialling_goes_on() {
    let (taken, addr) = peer();
    let fixture = greeter(addr.port());
    assert!(fixture.greeter.listening().is_empty());
    let (listener, peer_addr) = peer();
    fixture.dial(peer_addr);
    say(&mut accept(&listener), TORRENT, THEIRS);
    assert_eq!(fixture.greeted().peer.addr, peer_addr);

    drop(taken);
    match fixture.event() {
        GreeterEvent::Listening(addresses) => assert_eq!(addresses, [addr]),
        other => panic!("{other:?} instead of another attempt"),
    }
}

/// Set in the process that runs a test again, alone.
const ALONE: &str = "DTORRENT_TEST_ALONE";

/// Runs the test of this name again, in a process of its own, whose limits it may change. Whether this is that process.
fn is_alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

#[test]
fn while_descriptors_are_short_it_listens_on() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    if !is_alone("net::greeter::tests::while_descriptors_are_short_it_listens_on") {
        return;
    }
    // An address, and an interface that every Linux has.
    for bind in ["127.0.0.1", "lo"] {
        let sockets = Arc::new(SocketFactory::new(bind).unwrap());
        let mut now = Instant::now();
        let mut server = server::Server::new(Arc::clone(&sockets), 0, now);
        let port = server.listen(0, now).unwrap()[0].port();
        let _waiting = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let limit = getrlimit(Resource::Nofile);
        let none_left = Rlimit {
            current: Some(0),
            ..limit
        };
        setrlimit(Resource::Nofile, none_left).unwrap();
        assert!(sockets.udp(false).is_err(), "no socket can be made");
        now += Duration::from_mins(1);
        let outcome = server.check(now);
        setrlimit(Resource::Nofile, limit).unwrap();
        assert!(outcome.is_none(), "{bind}: {outcome:?}");
        now += Duration::from_mins(1);
        assert!(
            server.check(now).is_none(),
            "{bind}: and there is nothing to tell"
        );
        assert_eq!(
            server.accept(now).len(),
            1,
            "{bind}: who had connected is not lost"
        );
    }
}

#[test]
fn after_a_change_of_the_configuration_it_listens_and_dials_anew() {
    let fixture = greeter(0);
    let (listener, addr) = peer();
    fixture.dial(addr);
    let mut old = accept(&listener);
    hear(&mut old);

    fixture.sockets.rebind("127.0.1.5").unwrap();
    fixture.greeter.send(GreeterCommand::Rebind { port: 0 });
    let GreeterEvent::Listening(addresses) = fixture.event() else {
        panic!("it does not listen");
    };
    assert_eq!(addresses[0].ip(), Ipv4Addr::new(127, 0, 1, 5));
    assert!(TcpStream::connect(fixture.addr()).is_err(),);
    assert_closed(&mut old);
    let mut again = accept(&listener);
    assert_eq!(again.peer_addr().unwrap().ip(), addresses[0].ip());
    say(&mut again, TORRENT, THEIRS);
    assert_eq!(fixture.greeted().peer.direction, Direction::Outgoing);
    let mut incoming = connect_to(addresses[0]);
    say(&mut incoming, TORRENT, THEIRS);
    assert_eq!(fixture.greeted().peer.direction, Direction::Incoming);
}

#[test]
fn at_the_end_everything_half_open_is_closed() {
    let fixture = greeter(0);
    let mut silent = fixture.connect();
    let mut other = fixture.connect();
    say(&mut other, TORRENT, THEIRS);
    fixture.greeted();
    fixture.greeter.shutdown();
    assert_closed(&mut silent);
    assert!(fixture.events.recv().is_err(), "the thread has ended");
}
