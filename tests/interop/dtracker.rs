//! `dtracker` as its users start it: real clients find each other through it, and signals do what they should.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use dtorrent::tracker::server::Status;

use crate::support::aria2::Aria2;
use crate::support::cli::Cli;
use crate::support::content::Content;
use crate::support::dtracker::{Dtracker, PROGRAM};
use crate::support::libtorrent::Libtorrent;
use crate::support::process::Process;
use crate::support::stage::{Stage, fresh_address, wait_for};
use crate::support::transmission::Transmission;

/// Transmission asks for nothing in its first 13 seconds; two cores are shared by whatever else runs.
const LIMIT: Duration = Duration::from_secs(120);

/// Four clients: one of them seeds, each of the others announces where it is told to. All get everything, and who
/// ends says so to the tracker.
fn four_clients_meet(schemes: [&str; 4]) {
    let stage = Stage::new();
    let mut tracker = Dtracker::start(&stage, "");
    // A length of pieces that Transmission takes.
    let content = Content::folder("folder", 3 << 14, 3);
    let torrent_for = |scheme: &str, number: usize| -> PathBuf {
        let url = format!("{scheme}://{}/announce", tracker.address);
        let torrent = content.torrent(&stage, &[url]);
        // Each with the URL of its own.
        let own = stage.path(&format!("{number}.torrent"));
        fs::rename(torrent, &own).unwrap();
        own
    };
    let [with_us, with_transmission, with_libtorrent, with_aria2] =
        [0, 1, 2, 3].map(|number| torrent_for(schemes[number], number));
    let dir = |name: &str| stage.folder(name);
    content.write(&dir("transmission"));

    // Transmission only ever waits to be found.
    let mut transmission =
        Transmission::start(&stage, "transmission", &with_transmission, &dir("transmission"));
    tracker.wait_for("Transmission's announce", |status| status.seeds == 1);
    let mut libtorrent = Libtorrent::start(&stage, &[with_libtorrent], &dir("libtorrent"), true);
    let mut aria2 = Aria2::start(&stage, &[with_aria2], &dir("aria2"), true);
    let mut ours = Cli::download(&stage, "ours", &[with_us], &dir("ours")).start(&stage);

    libtorrent.wait_finished(LIMIT);
    aria2.wait_finished(LIMIT);
    ours.finish(LIMIT);
    transmission.wait_finished(LIMIT);
    for name in ["libtorrent", "aria2", "ours"] {
        content.assert_in(&dir(name));
    }
    // We left, and said so; the others seed.
    tracker.wait_for("three seeds", |status| {
        (status.torrents, status.seeds, status.leechers) == (1, 3, 0)
    });
    let status = tracker.status();
    let count = |scheme: &str| schemes.iter().filter(|other| **other == scheme).count() as u64;
    assert!(status.http.announces >= count("http"), "{status:?}");
    assert!(status.udp.announces >= count("udp"), "{status:?}");
    assert_eq!((status.http.refused, status.udp.refused), (0, 0), "{status:?}");

    drop((transmission, libtorrent, aria2));
    tracker.process.terminate();
    tracker.process.finish(LIMIT);
}

#[test]
fn clients_meet_over_http() {
    four_clients_meet(["http"; 4]);
}

#[test]
fn clients_meet_over_udp() {
    four_clients_meet(["udp"; 4]);
}

#[test]
fn clients_of_both_protocols_meet() {
    four_clients_meet(["udp", "http", "udp", "http"]);
}

#[test]
fn lists_are_read_again_on_a_signal() {
    let stage = Stage::new();
    let list = stage.path("deny");
    fs::write(&list, "").unwrap();
    let settings = format!("[access]\ndeny_list = \"{}\"\n", list.display());
    let mut tracker = Dtracker::start(&stage, &settings);
    let announce = "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1&left=1";
    assert!(tracker.get(announce).unwrap().contains("5:peers0:"));
    let log = || fs::read_to_string(stage.path("logs/dtracker.own.log")).unwrap_or_default();

    fs::write(&list, "not a hash\n").unwrap();
    tracker.process.hang_up();
    wait_for("the word on the bad list", LIMIT, || {
        log().contains("line 1: an info-hash has 40").then_some(())
    });
    assert!(
        tracker.get(announce).unwrap().contains("5:peers0:"),
        "the old list holds"
    );

    fs::write(&list, "61".repeat(20)).unwrap();
    tracker.process.hang_up();
    wait_for("the new list", LIMIT, || {
        let answer = tracker.get(announce)?;
        answer.contains("does not serve this torrent").then_some(())
    });
    tracker.process.terminate();
    tracker.process.finish(LIMIT);
    assert!(log().contains("stopped"), "{}", log());
}

#[test]
fn its_status_is_for_people_and_for_programs() {
    let stage = Stage::new();
    let tracker = Dtracker::start(&stage, "");
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM.name);
        command.arg("status").args(arguments).output().unwrap()
    };
    let text = String::from_utf8(ask(&[&tracker.address]).stdout).unwrap();
    assert!(text.contains("Peers:        0 seeds, 0 leechers"), "{text}");
    let status: Status = serde_json::from_slice(&ask(&[&tracker.address, "--json"]).stdout).unwrap();
    assert_eq!(status.torrents, 0);
    let nobody = ask(&[&fresh_address().to_string()]);
    assert_eq!(nobody.status.code(), Some(1));
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert!(
        said.starts_with("dtracker: cannot ask the tracker at 127."),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn without_settings_it_serves_and_bad_settings_are_named() {
    let stage = Stage::new();
    let address = fresh_address().to_string();
    let arguments = ["serve", "--http", &address, "--udp", &address];
    let mut process = Process::start(&stage, "plain", PROGRAM, arguments);
    let expected = format!("http://{address}/announce\nudp://{address}/announce\n");
    wait_for("its addresses", LIMIT, || {
        process.assert_running();
        (process.output() == expected).then_some(())
    });
    // A second one on these ports is told so, and changes nothing for the first.
    let mut second = Process::start(&stage, "second", PROGRAM, arguments);
    assert_eq!(second.wait(LIMIT).code(), Some(1));
    let said = second.output();
    assert!(
        said.contains(&format!("cannot listen for HTTP on {address}")),
        "{said}"
    );
    process.assert_running();
    process.terminate();
    process.finish(LIMIT);
    assert!(stage.path("home/.local/state/dtracker/dtracker.log").exists());

    let config = stage.path("bad.toml");
    fs::write(&config, "[udp]\nlisten = 5\n").unwrap();
    let arguments = ["serve", "--config", config.to_str().unwrap()];
    let mut bad = Process::start(&stage, "bad", PROGRAM, arguments);
    assert_eq!(bad.wait(LIMIT).code(), Some(1));
    assert!(bad.output().contains("bad.toml, line 2: "), "{}", bad.output());
}
