//! Bad input of every kind, from the outside: the program lives on, says what is wrong, and does its work
//! with what is good.

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dtorrent::geometry::{Block, PieceIndex};
use dtorrent::wire::handshake::Handshake;
use dtorrent::wire::message::Message;

use crate::support::cli::{self, Cli};
use crate::support::content::Content;
use crate::support::peer::{Conversation, ScriptedPeer, Service};
use crate::support::process::{Process, memory_of};
use crate::support::stage::{Stage, fresh_ip, wait_for};
use crate::support::web::ScriptedWeb;

const LIMIT: Duration = Duration::from_secs(60);

/// More than this and somebody made it allocate.
const MEMORY_LIMIT: u64 = 160 * 1024 * 1024;

/// Files that are no torrents, or whose torrents cannot be.
#[test]
fn malformed_torrents_are_refused_with_one_sentence() {
    let stage = Stage::new();
    let deep = [vec![b'l'; 100_000], vec![b'e'; 100_000]].concat();
    let table: &[(&str, &[u8], &str)] = &[
        ("empty", b"", "the file is empty"),
        ("a web page", b"<!DOCTYPE html><html><body>Log in</body></html>", "web page"),
        ("noise", b"\x00\xff\x13\x37 noise", "not a torrent"),
        ("cut short", b"d4:infod4:name1:a", "damaged"),
        ("nested too deep", &deep, "damaged"),
        ("a number", b"i42e", "no dictionary"),
        ("a string with a length that no memory has", b"d4:info99999999999999999999:x", "damaged"),
        ("a string that is longer than the file", b"d4:info999999:xe", "damaged"),
        ("no info", b"d8:announce3:urle", "info is missing"),
        ("info is a list", b"d4:infolee", "info is not a dictionary"),
        ("no name", b"d4:infod6:lengthi1e12:piece lengthi1e6:pieces20:aaaaaaaaaaaaaaaaaaaaee", "name is missing"),
        ("no pieces", b"d4:infod6:lengthi1e4:name1:a12:piece lengthi16384eee", "pieces is missing"),
        ("no lengths", b"d4:infod4:name1:a12:piece lengthi1e6:pieces20:aaaaaaaaaaaaaaaaaaaaee", "length"),
        (
            "piece length 0",
            b"d4:infod6:lengthi1e4:name1:a12:piece lengthi0e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
            "a piece has 0 bytes",
        ),
        (
            "negative piece length",
            b"d4:infod6:lengthi1e4:name1:a12:piece lengthi-1e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
            "a piece has -1 bytes",
        ),
        (
            "part of a hash",
            b"d4:infod6:lengthi1e4:name1:a12:piece lengthi1e6:pieces19:aaaaaaaaaaaaaaaaaaaee",
            "not a multiple of 20",
        ),
        (
            "too few hashes",
            b"d4:infod6:lengthi99e4:name1:a12:piece lengthi1e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
            "the hashes of 1 piece, but its files make 99",
        ),
        (
            "negative length",
            b"d4:infod6:lengthi-1e4:name1:a12:piece lengthi1e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
            "no valid length",
        ),
        (
            "lengths that cannot be added",
            b"d4:infod5:filesld6:lengthi9223372036854775807e4:pathl1:aeed6:lengthi9223372036854775807e4:pathl1:b\
              eed6:lengthi9223372036854775807e4:pathl1:ceee4:name1:a12:piece lengthi1e6:pieces0:ee",
            "lengths cannot be added",
        ),
        (
            "version 2 only",
            b"d4:infod9:file treed1:ad0:d6:lengthi1e11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeee\
              12:meta versioni2e4:name1:a12:piece lengthi16384eee",
            "version 2",
        ),
    ];
    for (name, bytes, expected) in table {
        let path = stage.path("bad.torrent");
        fs::write(&path, bytes).unwrap();
        let output = cli::run(&["show", path.to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
        assert!(
            said.starts_with("dtorrent-cli: ") && said.contains(expected),
            "{name}: {said}"
        );
    }
}

/// Runs a download that only the good seed can complete, while a tracker answers nonsense.
fn download_despite_tracker(url: &str) -> String {
    let stage = Stage::new();
    let content = Arc::new(Content::file("file.bin", 3_000_001, 65_536, 4));
    let torrent = content.torrent(&stage, &[url.to_owned()]);
    let to = stage.folder("to");
    // Slow, so that the tracker's answer comes first.
    let good = ScriptedPeer::seed(
        &content,
        Service {
            rate: Some(1024 * 1024),
            ..Service::default()
        },
    );
    let mut process = Cli::download(&stage, "ours", &[torrent], &to)
        .peers([good.address()])
        .start(&stage);
    finish_in_bounds(&mut process);
    content.assert_in(&to);
    process.output()
}

fn finish_in_bounds(process: &mut Process) {
    let mut peak = 0;
    let status = wait_for("the end of the download", LIMIT, || {
        peak = memory_of(process.pid(), "VmHWM").unwrap_or(peak);
        process.ended()
    });
    assert!(status.success(), "{status}");
    assert!(peak < MEMORY_LIMIT, "it took {peak} bytes of memory");
    assert!(!process.output().contains("panicked"), "a thread panicked");
}

type Answer = fn(&str, &mut TcpStream) -> io::Result<()>;

/// Answers with a body of this type.
fn respond(stream: &mut TcpStream, status: &str, body: &[u8]) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)
}

#[test]
fn trackers_that_answer_nonsense() {
    // What it answers, and what the log must then say of it.
    let table: &[(&str, Answer, &str)] = &[
        (
            "garbage",
            |_, stream| respond(stream, "200 OK", b"\xff\xfe\x00garbage"),
            "",
        ),
        ("nothing", |_, stream| respond(stream, "200 OK", b""), ""),
        (
            "a web page",
            |_, stream| respond(stream, "200 OK", b"<html><body>Welcome</body></html>"),
            "",
        ),
        (
            "not HTTP",
            |_, stream| stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n"),
            "",
        ),
        (
            "not found",
            |_, stream| respond(stream, "404 Not Found", b"nothing here"),
            "404",
        ),
        (
            "broken",
            |_, stream| respond(stream, "500 Internal Server Error", b"oops"),
            "500",
        ),
        (
            "failure reason",
            |_, stream| {
                respond(
                    stream,
                    "200 OK",
                    b"d14:failure reason25:torrent is not registerede",
                )
            },
            "torrent is not registered",
        ),
        (
            "failure reason that would forge a line of the log",
            |_, stream| {
                respond(
                    stream,
                    "200 OK",
                    b"d14:failure reason24:no\n2020-01-01 forged\x1b[2Je",
                )
            },
            "forged",
        ),
        (
            "nested too deep",
            |_, stream| respond(stream, "200 OK", &vec![b'l'; 200_000]),
            "",
        ),
        (
            "negative numbers",
            |_, stream| respond(stream, "200 OK", b"d8:intervali-5e5:peersi-1ee"),
            "",
        ),
        (
            "part of a peer",
            |_, stream| respond(stream, "200 OK", b"d8:intervali1800e5:peers7:aaaaaaae"),
            "",
        ),
        (
            "peers that cannot be",
            |_, stream| {
                respond(
                    stream,
                    "200 OK",
                    b"d8:intervali1800e5:peers12:\0\0\0\0\0\0\xff\xff\xff\xff\0\0e",
                )
            },
            "",
        ),
        (
            "redirect loop",
            |_, stream| {
                stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /announce\r\n")?;
                stream.write_all(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            },
            "redirect",
        ),
        (
            "without end",
            |_, stream| {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nd5:peers")?;
                let part = [b'0'; 65_536];
                loop {
                    stream.write_all(&part)?;
                }
            },
            "",
        ),
        (
            "a length that no memory has",
            |_, stream| {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nd8:interval")
            },
            "",
        ),
    ];
    for chunk in table.chunks(4) {
        thread::scope(|scope| {
            for &(name, answer, expected) in chunk {
                scope.spawn(move || {
                    let web = ScriptedWeb::start(answer);
                    let log = download_despite_tracker(&web.url("/announce"));
                    assert!(web.request_count() > 0, "{name}: the tracker was not asked");
                    assert!(
                        log.contains(expected),
                        "{name}: the log does not say {expected:?}\n{log}"
                    );
                    let forged = log.lines().any(|line| line.starts_with("2020-01-01"));
                    assert!(
                        !forged && !log.contains('\x1b'),
                        "{name}: the log was written to\n{log}"
                    );
                });
            }
        });
    }
}

/// Datagrams of the wrong size, action and transaction, one after the other.
#[test]
fn a_udp_tracker_that_answers_nonsense() {
    let socket = UdpSocket::bind((fresh_ip(), 0)).unwrap();
    let url = format!("udp://{}/announce", socket.local_addr().unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 2048];
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                let transaction = buffer.get(12..16.min(length)).unwrap_or_default().to_vec();
                let answers: [&[u8]; 5] = [
                    b"",
                    b"x",
                    &[0xff; 2000],
                    &[0; 16],
                    &[&[0, 0, 0, 3], &transaction[..], b"go away"].concat(),
                ];
                for answer in answers {
                    let _ = socket.send_to(answer, from);
                }
            }
        });
        let log = download_despite_tracker(&url);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(
            log.contains("go away"),
            "the log does not say why the tracker refused\n{log}"
        );
    });
}

type Script = fn(&mut Conversation) -> io::Result<()>;

/// Peers that break the protocol, each in its own way, and one good one that waits until they are all done.
#[test]
fn peers_that_break_the_protocol() {
    let table: &[(&str, Script)] = &[
        ("garbage instead of a handshake", |peer| {
            peer.send_bytes(
                b"GET / HTTP/1.1\r\nHost: tracker.example\r\nConnection: close\r\n\r\n and so on and so on",
            )?;
            peer.wait_closed()
        }),
        ("handshake for another torrent", |peer| {
            peer.read_handshake()?;
            let mut other = peer.own_handshake();
            other.info_hash = dtorrent::id::InfoHash::new([7; 20]);
            peer.send_bytes(&other.encode())?;
            peer.wait_closed()
        }),
        ("message longer than any may be", |peer| {
            peer.greet()?;
            peer.send_bytes(b"\xff\xff\xff\xff\x05")?;
            peer.wait_closed()
        }),
        ("bitfield of the wrong length", |peer| {
            peer.greet()?;
            peer.send(&Message::Bitfield([0xff; 3].into()))?;
            peer.wait_closed()
        }),
        ("bitfield with bits behind the last piece", |peer| {
            peer.greet()?;
            let bytes = (peer.content().metainfo.info.geometry.piece_count() as usize).div_ceil(8);
            peer.send(&Message::Bitfield(vec![0xff; bytes].into()))?;
            peer.wait_closed()
        }),
        ("have for a piece that is not", |peer| {
            peer.greet()?;
            peer.send(&Message::Have(u32::MAX))?;
            peer.wait_closed()
        }),
        ("request far outside", |peer| {
            peer.greet()?;
            peer.send(&Message::Interested)?;
            peer.send(&Message::Request(Block {
                piece: PieceIndex(u32::MAX),
                begin: u32::MAX,
                length: u32::MAX,
            }))?;
            peer.wait_closed()
        }),
        ("block longer than any may be", |peer| {
            peer.greet_as_seed()?;
            let block = peer.next_request()?;
            peer.send_block(
                Block {
                    length: 1 << 20,
                    ..block
                },
                &vec![0; 1 << 20],
            )?;
            peer.wait_closed()
        }),
        ("choke with a payload", |peer| {
            peer.greet()?;
            peer.send_bytes(b"\0\0\0\x05\0abcd")?;
            peer.wait_closed()
        }),
    ];
    // Those that are not against the letter of the protocol may be kept, but must do no harm.
    let nuisances: &[(&str, Script)] = &[
        ("blocks that nobody asked for", |peer| {
            peer.greet_as_seed()?;
            peer.next_request()?;
            let data = vec![0; 16_384];
            (0..1000).try_for_each(|number| {
                let block = Block {
                    piece: PieceIndex(number % 40),
                    begin: 16_384,
                    length: 16_384,
                };
                peer.send_block(block, &data)
            })
        }),
        ("a handshake byte by byte", |peer| {
            peer.read_handshake()?;
            for byte in peer.own_handshake().encode() {
                peer.send_bytes(&[byte])?;
                thread::sleep(Duration::from_millis(30));
            }
            Ok(())
        }),
        ("hundred thousand keep-alives", |peer| {
            peer.greet()?;
            peer.send_bytes(&vec![0; 400_000])
        }),
        ("messages that nobody knows", |peer| {
            peer.greet()?;
            (0..1000).try_for_each(|number| peer.send(&Message::Unknown(100 + (number % 100) as u8)))
        }),
        ("extended messages of nonsense", |peer| {
            peer.read_handshake()?;
            let reserved = Handshake::OWN_RESERVED;
            let handshake = Handshake {
                reserved,
                ..peer.own_handshake()
            };
            peer.send_bytes(&handshake.encode())?;
            peer.send(&Message::Extended(0, b"not a dictionary"[..].into()))?;
            peer.send(&Message::Extended(77, vec![0xff; 100_000].into()))
        }),
        ("choke and unchoke without end", |peer| {
            peer.greet_as_seed()?;
            (0..5000).try_for_each(|_| {
                peer.send(&Message::Choke)?;
                peer.send(&Message::Unchoke)
            })
        }),
        ("all allowed, nothing given", |peer| {
            peer.greet_as_seed()?;
            loop {
                let block = peer.next_request()?;
                peer.send(&Message::RejectRequest(block))?;
            }
        }),
    ];

    let stage = Stage::new();
    let content = Arc::new(Content::file("file.bin", 5_000_001, 65_536, 9));
    let torrent = content.torrent(&stage, &[]);
    let to = stage.folder("to");
    let start = |script: Script| ScriptedPeer::start(&content, script);
    let hostile: Vec<(&str, ScriptedPeer)> = table
        .iter()
        .map(|&(name, script)| (name, start(script)))
        .collect();
    let nuisance: Vec<ScriptedPeer> = nuisances.iter().map(|&(_, script)| start(script)).collect();
    let good = ScriptedPeer::seed(
        &content,
        Service {
            rate: Some(512 * 1024),
            ..Service::default()
        },
    );
    let addresses = hostile
        .iter()
        .map(|(_, peer)| peer)
        .chain(&nuisance)
        .chain([&good]);
    let addresses: Vec<SocketAddr> = addresses.map(ScriptedPeer::address).collect();
    let mut process = Cli::download(&stage, "ours", &[torrent], &to)
        .peers(addresses)
        .start(&stage);
    for (name, peer) in &hostile {
        wait_for(&format!("the end of the connection: {name}"), LIMIT, || {
            process.assert_running();
            (peer.connection_count() > 0 && peer.live_count() == 0).then_some(())
        });
    }
    finish_in_bounds(&mut process);
    content.assert_in(&to);
    let log = process.output();
    for (name, peer) in &hostile {
        assert!(
            log.contains(&peer.address().to_string()),
            "{name}: the log does not say why it was closed"
        );
    }
}
