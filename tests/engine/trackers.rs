//! What trackers are told.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, unbounded};
use dtorrent::engine::api::{EngineCommand, TorrentState};
use tempfile::tempdir;

use crate::client::{Client, PATIENCE, PIECE, Torrent, config};

/// An HTTP tracker that knows nobody; gives its URL and the requests that it gets.
pub(crate) fn tracker() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    let (requests_tx, requests) = unbounded();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut request = String::new();
            while stream.read_line(&mut request).is_ok_and(|read| read > 2) {}
            let body = "d8:intervali1800e5:peers0:e";
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.get_mut().write_all(answer.as_bytes());
            if requests_tx.send(request).is_err() {
                return;
            }
        }
    });
    (url, requests)
}

/// Each request's event and number of bytes left.
fn told(requests: impl Iterator<Item = String>) -> Vec<(String, String)> {
    let value = |request: &String, key: &str| {
        let (_, rest) = request.split_once(&format!("{key}="))?;
        Some(rest.split(['&', ' ']).next()?.to_owned())
    };
    requests
        .filter(|request| request.starts_with("GET /announce"))
        .map(|request| {
            (
                value(&request, "event").unwrap_or_default(),
                value(&request, "left").unwrap_or_default(),
            )
        })
        .collect()
}

#[test]
fn a_download_is_started_completed_once_and_stopped() {
    let home = tempdir().unwrap();
    let (url, requests) = tracker();
    let torrent = Torrent::tracked("film", 4 * PIECE, &url);
    let id = torrent.id();
    let mut seed = Client::start(&home.path().join("seed"));
    seed.seed(&torrent);
    // Stopped before that, it would have nothing to take back.
    let started = requests.recv().unwrap();
    seed.stop();
    let tell = |event: &str, left: &str| (event.to_owned(), left.to_owned());
    assert_eq!(
        told(std::iter::once(started).chain(requests.try_iter())),
        [tell("started", "0"), tell("stopped", "0")],
        "after its check, and without `completed`"
    );

    // From here on the seed is silent: the same data has the same info-hash without the tracker.
    let mut seed = Client::start(&home.path().join("silent"));
    let addr = seed.seed(&Torrent::file("film", 4 * PIECE));
    let mut leech = Client::start(&home.path().join("leech"));
    leech.add(&torrent.metainfo, &[]);
    let first = requests.recv().unwrap();
    let left = format!("left={}", 4 * PIECE);
    assert!(
        first.contains("event=started") && first.contains(&left),
        "{first}"
    );
    leech.send(EngineCommand::AddPeers {
        info_hash: id,
        peers: vec![addr],
    });
    leech.wait_state(id, TorrentState::Seeding);
    leech.send(EngineCommand::Recheck(id));
    leech.wait_state(id, TorrentState::Seeding);
    leech.stop();
    let events = told(requests.try_iter());
    let completed = events.iter().filter(|(event, _)| event == "completed").count();
    // Whether `stopped` follows depends on whether the `started` after the recheck was answered by then.
    assert_eq!(completed, 1, "{events:?}");
}

#[test]
fn a_tracker_that_does_not_answer_does_not_hold_up_the_end() {
    let home = tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", silent.local_addr().unwrap());
    let torrent = Torrent::tracked("film", 4 * PIECE, &url);
    let mut client = Client::start(home.path());
    client.add(&torrent.metainfo, &[]);
    client.wait_state(torrent.id(), TorrentState::Downloading);
    let _asked = silent.accept().unwrap();
    client.stop();
    let mut client = Client::start_with(client.config.clone(), home.path(), None);
    client.wait_state(torrent.id(), TorrentState::Downloading);
}

#[test]
fn trackers_that_are_added_are_announced_to_and_kept() {
    let home = tempdir().unwrap();
    let (url, requests) = tracker();
    let torrent = Torrent::file("film", 4 * PIECE);
    let id = torrent.id();
    let mut client = Client::start(home.path());
    client.seed(&torrent);
    assert!(client.details(id).trackers.is_empty());
    let add = || EngineCommand::AddTrackers {
        info_hash: id,
        tiers: vec![vec![url.clone()]],
    };
    client.send(add());
    let first = requests.recv_timeout(PATIENCE).unwrap();
    assert!(
        first.contains("event=started") && first.contains("left=0"),
        "{first}"
    );
    // The engine hears of its trackers from the announcer, a moment later.
    let urls = |client: &mut Client| -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let details = client.details(id);
            if !details.trackers.is_empty() || Instant::now() > deadline {
                return details
                    .trackers
                    .iter()
                    .map(|tracker| tracker.url.clone())
                    .collect();
            }
        }
    };
    assert_eq!(urls(&mut client), [url.as_str()]);

    // What it has already makes no difference.
    client.send(add());
    assert_eq!(urls(&mut client), [url.as_str()]);
    client.stop();
    let events = told(requests.try_iter());
    assert!(!events.iter().any(|(event, _)| event == "started"), "{events:?}");

    let mut client = Client::start_with(client.config.clone(), home.path(), None);
    client.wait_state(id, TorrentState::Seeding);
    assert_eq!(urls(&mut client), [url]);
    let again = requests.recv_timeout(PATIENCE).unwrap();
    assert!(again.contains("event=started"), "{again}");
}

#[test]
fn other_trackers_take_the_place_of_the_old_ones_also_after_the_next_start() {
    let home = tempdir().unwrap();
    let ((old, of_old), (new, of_new)) = (tracker(), tracker());
    let torrent = Torrent::tracked("film", 4 * PIECE, &old);
    let id = torrent.id();
    let mut client = Client::start(home.path());
    client.add(&torrent.metainfo, &[]);
    assert!(of_old.recv_timeout(PATIENCE).unwrap().contains("event=started"));
    let unasked = "http://127.0.0.1:1/announce";
    client.send(EngineCommand::SetTrackers {
        info_hash: id,
        tiers: vec![vec!["wss://127.0.0.1/announce".to_owned()]],
    });
    let told = client.wait_failure("is no tracker that can be asked");
    assert!(told.contains("wss://127.0.0.1/announce"), "{told}");
    client.send(EngineCommand::SetTrackers {
        info_hash: id,
        tiers: vec![vec![new.clone()], vec![unasked.to_owned()]],
    });
    assert!(of_new.recv_timeout(PATIENCE).unwrap().contains("event=started"));
    // It may be asked for numbers as well.
    while !of_old.recv_timeout(PATIENCE).unwrap().contains("event=stopped") {}
    let named = |client: &mut Client| -> Vec<(usize, String)> {
        let details = client.details(id);
        let trackers = details.trackers.iter();
        trackers
            .map(|tracker| (tracker.tier, tracker.url.clone()))
            .collect()
    };
    let expected = [(0, new), (1, unasked.to_owned())];
    assert_eq!(named(&mut client), expected);
    let mut client = client.restart();
    assert_eq!(named(&mut client), expected);
    // One that stands still names its trackers too.
    client.send(EngineCommand::Pause(id));
    client.wait_state(id, TorrentState::Paused);
    let mut client = client.restart();
    client.wait_state(id, TorrentState::Paused);
    assert_eq!(named(&mut client), expected);
}

#[test]
fn a_port_that_another_has_is_not_announced_and_peers_are_had_all_the_same() {
    let home = tempdir().unwrap();
    let (url, requests) = tracker();
    let torrent = Torrent::tracked("film", 4 * PIECE, &url);
    let mut seed = Client::start(&home.path().join("seed"));
    let peer = seed.seed(&Torrent::file("film", 4 * PIECE));
    let mut settings = config(&home.path().join("second"));
    let first = TcpListener::bind((settings.network.bind.as_str(), 0)).unwrap();
    let port = first.local_addr().unwrap().port();
    settings.network.port = port;
    let mut second = Client::launch(None, settings, &home.path().join("second"), None);
    second.wait_for("that it has no port", |snapshot| {
        snapshot.network_problem.is_some()
    });
    second.add(&torrent.metainfo, &[peer]);
    second.wait_state(torrent.id(), TorrentState::Seeding);
    let started = requests.recv().unwrap();
    assert!(
        started.contains("port=1&") && started.contains("event=started"),
        "{started}"
    );
    second.stop();
    let asked: Vec<_> = requests.try_iter().collect();
    assert!(
        !asked
            .iter()
            .any(|request| request.contains(&format!("port={port}"))),
        "{asked:?}"
    );
}
