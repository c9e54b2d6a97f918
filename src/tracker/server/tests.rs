//! The faces over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::config::{HttpConfig, UdpConfig};
use super::fixture::{Script, Scripted};
use super::{Rules, ServeError, Tracker, TrackerServer};
use crate::tracker::udp::{Request, Response};

/// Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(30);
const REQUEST: &str =
    "GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1 HTTP/1.1\r\n\r\n";

fn start(tracker: Arc<dyn Tracker>, rules: Rules, listen: &[&str], threads: usize) -> TrackerServer {
    let listen: Vec<SocketAddr> = listen.iter().map(|address| address.parse().unwrap()).collect();
    let http = HttpConfig {
        listen: listen.clone(),
        threads,
        ..rules.http.clone()
    };
    TrackerServer::start(tracker, rules, &http, &UdpConfig { listen, threads }).unwrap()
}

fn local(tracker: Arc<dyn Tracker>) -> TrackerServer {
    start(tracker, Rules::default(), &["127.0.0.1:0", "[::1]:0"], 2)
}

fn connect(server: &TrackerServer) -> TcpStream {
    connect_to(server.http_addresses()[0])
}

fn connect_to(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads until this many answers have come.
fn read_answers(stream: &mut TcpStream, count: usize) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while text.matches("HTTP/1.1 ").count() < count || !text.ends_with(['e', '\n']) {
        let len = stream.read(&mut buffer).unwrap();
        assert_ne!(len, 0, "closed after {text:?}");
        text.extend(buffer[..len].iter().map(|&byte| char::from(byte)));
    }
    text
}

fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_))
}

/// Answers whatever waits, from a thread of its own, as long as the test lasts.
fn answer_from_elsewhere(tracker: &Arc<Scripted>) -> impl Drop {
    struct Stop(crossbeam_channel::Sender<()>, Option<thread::JoinHandle<()>>);
    impl Drop for Stop {
        fn drop(&mut self) {
            self.0 = crossbeam_channel::unbounded().0;
            self.1.take().unwrap().join().unwrap();
        }
    }
    let tracker = Arc::clone(tracker);
    let (stop_tx, stop) = crossbeam_channel::unbounded::<()>();
    let thread = thread::spawn(move || {
        let tick = Duration::from_millis(1);
        while stop.recv_timeout(tick) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            while !tracker.kept.lock().unwrap().is_empty() {
                tracker.answer_first();
            }
        }
    });
    Stop(stop_tx, Some(thread))
}

#[test]
fn answers_come_at_once_or_from_another_thread() {
    for script in [Script::AtOnce, Script::Later, Script::AtFlush] {
        let tracker = Scripted::new(script, &["192.0.2.9:1"]);
        let server = local(tracker.clone());
        let _elsewhere = (script == Script::Later).then(|| answer_from_elsewhere(&tracker));
        // Over IPv4 and IPv6 in turn.
        let addresses = server.http_addresses().iter().cycle();
        let mut streams: Vec<TcpStream> = addresses.take(20).map(|&address| connect_to(address)).collect();
        for _ in 0..3 {
            for stream in &mut streams {
                // Two at a time: the second one waits behind the first.
                stream.write_all(REQUEST.repeat(2).as_bytes()).unwrap();
            }
            for stream in &mut streams {
                let answers = read_answers(stream, 2);
                assert_eq!(answers.matches("5:peers6:").count(), 2, "{answers}");
            }
        }
        let old = REQUEST.replace("HTTP/1.1", "HTTP/1.0");
        let mut stream = connect(&server);
        stream.write_all(old.as_bytes()).unwrap();
        // Whoever closes its half at once still gets its answer.
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert_eq!(tracker.seen.lock().unwrap().len(), 121);
        server.stop();
    }
}

#[test]
fn datagrams_are_answered_at_once_or_from_another_thread() {
    for (listen, script) in [
        ("127.0.0.1:0", Script::AtOnce),
        ("127.0.0.1:0", Script::Later),
        ("127.0.0.1:0", Script::AtFlush),
        ("[::1]:0", Script::Later),
    ] {
        let tracker = Scripted::new(script, &[]);
        let server = start(tracker.clone(), Rules::default(), &[listen], 2);
        let _elsewhere = (script == Script::Later).then(|| answer_from_elsewhere(&tracker));
        let socket = UdpSocket::bind(listen).unwrap();
        socket.connect(server.udp_addresses()[0]).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 2048];
        let mut ask = |request: &Request| {
            socket.send(&request.encode()).unwrap();
            let len = socket.recv(&mut buffer).unwrap();
            Response::decode(&buffer[..len], false).unwrap()
        };
        let Response::Connect { connection, .. } = ask(&Request::Connect { transaction: 1 }) else {
            panic!("no connection");
        };
        for transaction in 0..50 {
            let scrape = Request::Scrape {
                connection,
                transaction,
                info_hashes: Vec::new(),
            };
            let answer = ask(&scrape);
            let expected = match script {
                // What is answered later is an announce, as far as the fixture goes.
                Script::Later | Script::AtFlush => matches!(answer, Response::Announce { .. }),
                _ => matches!(answer, Response::Scrape { .. }),
            };
            assert!(expected && answer.transaction() == transaction, "{answer:?}");
        }
        server.stop();
    }
}

#[test]
fn many_idle_connections_are_held_and_then_served() {
    let server = local(Scripted::new(Script::AtOnce, &[]));
    let mut streams: Vec<TcpStream> = (0..400).map(|_| connect(&server)).collect();
    for stream in &mut streams {
        stream.write_all(REQUEST.as_bytes()).unwrap();
        read_answers(stream, 1);
    }
    let shared = &server.shared;
    let status = shared.counters.status(Duration::ZERO, shared.tracker.totals());
    assert_eq!(status.http_connections, 400);
    for stream in &mut streams {
        stream.write_all(REQUEST.as_bytes()).unwrap();
        read_answers(stream, 1);
    }
}

#[test]
fn idle_connections_make_room_for_new_ones() {
    let mut rules = Rules::default();
    rules.http.max_connections = 3;
    let server = start(Scripted::new(Script::AtOnce, &[]), rules, &["127.0.0.1:0"], 1);
    let mut streams: Vec<TcpStream> = (0..10)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(REQUEST.as_bytes()).unwrap();
            read_answers(&mut stream, 1);
            stream
        })
        .collect();
    let mut newest = streams.split_off(9);
    newest[0].write_all(REQUEST.as_bytes()).unwrap();
    read_answers(&mut newest[0], 1);
    let shared = &server.shared;
    let status = shared.counters.status(Duration::ZERO, shared.tracker.totals());
    assert!(status.http_connections <= 3, "{status:?}");
    // Which of the first ones are left is chance: they all came within a second.
    server.stop();
    assert!(streams.iter_mut().all(is_closed));
}

#[test]
fn a_slow_head_is_cut_off_and_a_slow_reader_is_waited_for() {
    let mut rules = Rules::default();
    rules.http.idle_timeout_secs = 1;
    let server = start(
        Scripted::new(Script::AtOnce, &["192.0.2.9:1"]),
        rules,
        &["127.0.0.1:0"],
        1,
    );
    // One byte of a head, and never another.
    let mut slow = connect(&server);
    slow.write_all(b"G").unwrap();
    let mut idle = connect(&server);
    idle.write_all(REQUEST.as_bytes()).unwrap();
    read_answers(&mut idle, 1);
    // Many answers that are not read until the kernel takes no more of them.
    let mut reader = connect(&server);
    let count = 20_000;
    let mut writer = reader.try_clone().unwrap();
    let writing = thread::spawn(move || writer.write_all(REQUEST.repeat(count).as_bytes()).unwrap());
    assert!(is_closed(&mut idle));
    assert!(is_closed(&mut slow));
    let answers = read_answers(&mut reader, count);
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), count);
    writing.join().unwrap();
}

#[test]
fn what_cannot_be_read_gets_its_answer_before_the_end() {
    let server = local(Scripted::new(Script::AtOnce, &[]));
    let mut stream = connect(&server);
    // More than is read: closing at once would take the answer away.
    let mut flood = b"POST /announce HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n".to_vec();
    flood.extend_from_slice(&[b'x'; 200_000]);
    let mut writer = stream.try_clone().unwrap();
    let writing = thread::spawn(move || writer.write_all(&flood));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 4"),
        "{:?}",
        answer.escape_ascii().to_string()
    );
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    let _ = writing.join().unwrap();
}

#[test]
fn stopping_answers_what_is_under_way() {
    let tracker = Scripted::new(Script::Later, &["192.0.2.9:1"]);
    let server = local(tracker.clone());
    let address = server.http_addresses()[0];
    let (mut waiting, mut idle) = (connect(&server), connect(&server));
    waiting.write_all(REQUEST.as_bytes()).unwrap();
    while tracker.kept.lock().unwrap().is_empty() {
        thread::yield_now();
    }
    let stopping = thread::spawn(move || server.stop());
    assert!(is_closed(&mut idle));
    tracker.answer_first();
    assert!(read_answers(&mut waiting, 1).contains("5:peers6:"));
    assert!(is_closed(&mut waiting));
    stopping.join().unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn new_rules_hold_for_open_connections() {
    let server = local(Scripted::new(Script::AtOnce, &[]));
    let mut stream = connect(&server);
    stream.write_all(REQUEST.as_bytes()).unwrap();
    assert!(!read_answers(&mut stream, 1).contains("failure reason"));
    let mut rules = Rules::default();
    rules.access.allow = Some(Default::default());
    server.set_rules(rules);
    stream.write_all(REQUEST.as_bytes()).unwrap();
    assert!(read_answers(&mut stream, 1).contains("does not serve this torrent"));
}

#[test]
fn a_port_that_somebody_has_is_not_shared() {
    let tracker = Scripted::new(Script::AtOnce, &[]);
    let first = local(tracker.clone());
    for (http, udp) in [
        (first.http_addresses()[0], None),
        ("127.0.0.1:0".parse().unwrap(), Some(first.udp_addresses()[0])),
    ] {
        let http = HttpConfig {
            listen: vec![http],
            ..HttpConfig::default()
        };
        let udp = UdpConfig {
            listen: udp.into_iter().collect(),
            threads: 2,
        };
        let error = TrackerServer::start(tracker.clone(), Rules::default(), &http, &udp).unwrap_err();
        assert!(matches!(error, ServeError::Listen { .. }), "{error}");
    }
    let nowhere = TrackerServer::start(
        tracker,
        Rules::default(),
        &HttpConfig {
            listen: Vec::new(),
            ..HttpConfig::default()
        },
        &UdpConfig {
            listen: Vec::new(),
            threads: 1,
        },
    );
    assert!(matches!(nowhere, Err(ServeError::NoFace)));
    // Its own sockets are gone when it has stopped.
    let address = first.http_addresses()[0];
    first.stop();
    TcpListener::bind(address).unwrap();
}
