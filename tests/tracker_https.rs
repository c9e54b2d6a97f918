//! HTTPS trackers on the loopback, with certificates of our own.
//!
//! OpenSSL reads `SSL_CERT_FILE` once in a process, so whoever announces is a child process: this program
//! again, told to run [`child`] alone.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this is a test, helpers included"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use dtorrent::id::{InfoHash, PeerId};
use dtorrent::net::sockets::SocketFactory;
use dtorrent::tracker::announce::AnnounceResponse;
use dtorrent::tracker::client::{AnnouncerCommand, AnnouncerEvent, AnnouncerSetup, Totals, spawn};
use dtorrent::tracker::http;
use dtorrent::tracker::status::TrackerState;
use log::{Level, LevelFilter, Log, Metadata, Record};
use native_tls::{Identity, TlsAcceptor};
use tempfile::TempDir;

/// Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tells the child what to announce to.
const URL_VARIABLE: &str = "DTORRENT_TEST_TRACKER";
/// Stands in for all that nobody may read in a log.
const SECRET: &str = "S3CRETS3CRET";

/// A certificate authority, and what it signed.
struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=Test CA",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]);
        authority
    }

    fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl")
            .args(args)
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .expect("openssl, of the package of that name, can be run");
        assert!(output.status.success(), "{args:?}: {output:?}");
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// A server's key and certificate for `name`, such as `IP:127.0.0.1`, good for so many days from now.
    fn identity(&self, name: &str, days: i32) -> Identity {
        let extensions = format!("subjectAltName={name}\nextendedKeyUsage=serverAuth\n");
        fs::write(self.0.path().join("extensions"), extensions).unwrap();
        self.openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=Test tracker",
            "-keyout",
            "key.pem",
            "-out",
            "request.pem",
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            "request.pem",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            "extensions",
            "-days",
            &days.to_string(),
            "-out",
            "certificate.pem",
        ]);
        let read = |name| fs::read(self.0.path().join(name)).unwrap();
        Identity::from_pkcs8(&read("certificate.pem"), &read("key.pem")).unwrap()
    }
}

/// Serves the head and body that `answer` says, encrypted if there is an identity. Returns its port, and what
/// it is asked: the target of each request that it could read.
fn tracker(identity: Option<Identity>, answer: Vec<u8>) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = identity.map(|identity| TlsAcceptor::new(identity).unwrap());
    let (targets_tx, targets) = unbounded();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let target = match &acceptor {
                None => serve(stream, &answer),
                // The client may refuse us.
                Some(acceptor) => acceptor
                    .accept(stream)
                    .ok()
                    .and_then(|stream| serve(stream, &answer)),
            };
            if let Some(target) = target
                && targets_tx.send(target).is_err()
            {
                return;
            }
        }
    });
    (port, targets)
}

/// `None` if what comes is no request.
fn serve(mut stream: impl Read + Write, answer: &[u8]) -> Option<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    // What does not begin with the name of a method is answered at once: no HTTP server waits for its end.
    while !request.ends_with(b"\r\n\r\n") && request.first().is_none_or(u8::is_ascii_uppercase) {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        request.push(byte[0]);
    }
    // The client may have gone.
    let _ = stream.write_all(answer);
    let request = String::from_utf8(request).ok()?;
    request.split(' ').nth(1).map(str::to_owned)
}

fn good_answer() -> Vec<u8> {
    let body = http::encode_announce(&AnnounceResponse {
        interval: Duration::from_secs(1800),
        // Without them a scrape would follow.
        seeds: Some(1),
        leechers: Some(0),
        peers: vec!["127.0.0.1:1234".parse().unwrap()],
        ..AnnounceResponse::default()
    });
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// Announces once in a process of its own that trusts `ca`; returns all that it said.
fn announce(url: &str, ca: Option<&Path>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["child", "--exact", "--nocapture"])
        .env(URL_VARIABLE, url)
        .env_remove("SSL_CERT_DIR")
        .env_remove("SSL_CERT_FILE");
    if let Some(ca) = ca {
        command.env("SSL_CERT_FILE", ca);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains(SECRET), "a passkey was logged: {said}");
    said
}

/// Prints what the program logs about it at any level.
struct Printer;

impl Log for Printer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // As the program does: what libraries log does not reach its file.
        metadata.target().starts_with("dtorrent")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let mark = if record.level() == Level::Warn {
                "WARN"
            } else {
                "log"
            };
            println!("{mark}: {}", record.args());
        }
    }

    fn flush(&self) {}
}

/// What [`announce`] starts; nothing to do in a regular run.
#[test]
fn child() {
    let Ok(url) = std::env::var(URL_VARIABLE) else {
        return;
    };
    log::set_logger(&Printer).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let (events_tx, events) = unbounded();
    let announcer = spawn(AnnouncerSetup {
        peer_id: PeerId::generate(&mut fastrand::Rng::new()),
        port: 6881,
        user_agent: "DTorrent/test".to_owned(),
        sockets: Arc::new(SocketFactory::new("").unwrap()),
        events: events_tx,
    })
    .unwrap();
    let totals = Totals::default();
    totals.wants_peers.store(true, Ordering::Relaxed);
    announcer.send(AnnouncerCommand::Start {
        info_hash: InfoHash::new([1; 20]),
        name: "film".to_owned(),
        tiers: vec![vec![url]],
        totals: Arc::new(totals),
    });
    loop {
        let AnnouncerEvent::Status { trackers, .. } = events.recv_timeout(PATIENCE).unwrap() else {
            continue;
        };
        match &trackers[0].state {
            TrackerState::Working => println!("result: working"),
            TrackerState::Failed(reason) => println!("result: {reason}"),
            TrackerState::Idle | TrackerState::Announcing => continue,
        }
        break;
    }
    announcer.send(AnnouncerCommand::Shutdown(PATIENCE));
    announcer.join();
}

/// What became of the announce, out of what the child said.
fn result(said: &str) -> &str {
    let (_, result) = said.split_once("result: ").expect("a result");
    result.lines().next().unwrap_or_default()
}

fn secret_url(scheme: &str, port: u16) -> String {
    format!("{scheme}://user:{SECRET}@127.0.0.1:{port}/{SECRET}/announce?passkey={SECRET}")
}

#[test]
fn a_known_authority_is_trusted_and_an_unknown_one_is_not() {
    let authority = Authority::new();
    let (port, targets) = tracker(Some(authority.identity("IP:127.0.0.1", 1)), good_answer());
    let url = secret_url("https", port);

    let said = announce(&url, None);
    let reason = result(&said);
    let origin = format!("the certificate of https://127.0.0.1:{port} is not trusted");
    assert!(reason.starts_with(&origin), "{said}");
    assert!(reason.contains("add its CA"), "what can be done: {said}");
    assert!(said.contains("WARN: "), "{said}");
    assert!(targets.is_empty(), "nothing was asked in spite of it");

    let other = Authority::new();
    let said = announce(&url, Some(&other.file()));
    assert!(result(&said).contains("is not trusted"), "{said}");

    let said = announce(&url, Some(&authority.file()));
    assert_eq!(result(&said), "working", "{said}");
    let asked: Vec<String> = targets.try_iter().collect();
    assert_eq!(asked.len(), 2, "started and stopped: {asked:?}");
    assert!(asked[0].starts_with(&format!("/{SECRET}/announce?passkey={SECRET}&info_hash=")));
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    for name in ["DNS:tracker.example", "IP:127.0.0.2"] {
        let (port, targets) = tracker(Some(authority.identity(name, 1)), good_answer());
        for host in ["127.0.0.1", "localhost"] {
            let url = format!("https://{host}:{port}/announce");
            let said = announce(&url, Some(&authority.file()));
            assert!(result(&said).contains("is not for this host"), "{url}: {said}");
        }
        assert!(targets.is_empty());
    }
    let (port, _targets) = tracker(Some(authority.identity("DNS:localhost", 1)), good_answer());
    let said = announce(
        &format!("https://localhost:{port}/announce"),
        Some(&authority.file()),
    );
    assert_eq!(result(&said), "working", "{said}");
}

#[test]
fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let (port, targets) = tracker(Some(authority.identity("IP:127.0.0.1", -1)), good_answer());
    let said = announce(&secret_url("https", port), Some(&authority.file()));
    assert!(result(&said).contains("is not valid today"), "{said}");
    assert!(targets.is_empty());
}

#[test]
fn plain_http_at_an_https_url_is_told() {
    let (port, _targets) = tracker(None, good_answer());
    let said = announce(&secret_url("https", port), None);
    let expected = format!("https://127.0.0.1:{port} does not speak TLS");
    assert!(result(&said).contains(&expected), "{said}");
}

#[test]
fn redirects_lead_to_encryption_and_never_out_of_it() {
    let authority = Authority::new();
    let identity = || authority.identity("IP:127.0.0.1", 1);
    let (plain, plain_targets) = tracker(None, good_answer());
    let (downgrading, _targets) = tracker(Some(identity()), redirect(&secret_url("http", plain)));
    let said = announce(&secret_url("https", downgrading), Some(&authority.file()));
    assert!(result(&said).contains("from https to plain http"), "{said}");
    assert!(plain_targets.is_empty(), "the passkey stays here");

    let (encrypted, targets) = tracker(Some(identity()), good_answer());
    let (upgrading, _targets) = tracker(None, redirect(&format!("https://127.0.0.1:{encrypted}/announce")));
    let said = announce(&secret_url("http", upgrading), Some(&authority.file()));
    assert_eq!(result(&said), "working", "{said}");
    assert!(!targets.is_empty());
}
