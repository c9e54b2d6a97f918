//! `--tracker-node`: a file goes from one computer to others with no tracker but the client itself.

use std::fs;
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::slice;
use std::time::Duration;

use dtorrent::metainfo::Metainfo;

use crate::support::aria2::Aria2;
use crate::support::cli::{self, Cli};
use crate::support::content::Content;
use crate::support::libtorrent::Libtorrent;
use crate::support::stage::{Stage, fresh_address, wait_for};

/// Only a test that fails waits so long.
const LIMIT: Duration = Duration::from_secs(120);

fn option(address: SocketAddrV4) -> String {
    // A loopback address is never found out: it must be asked for.
    format!("--tracker-node={address}")
}

#[test]
fn a_file_is_shared_with_no_other_tracker() {
    let stage = Stage::new();
    let tracker = fresh_address();
    let content = Content::file("film.mkv", 3_000_001, 1 << 15, 5);
    let dir = |name: &str| stage.folder(name);
    content.write(&dir("seed"));

    let torrent = stage.path("film.torrent");
    let settings = stage.path("create.toml");
    let log = stage.path("create.log");
    fs::write(&settings, format!("[log]\nfile = \"{}\"\n", log.display())).unwrap();
    let film = stage.path("seed/film.mkv");
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let created = cli::run(&[
        "create",
        &path(&film),
        "-o",
        &path(&torrent),
        &option(tracker),
        "--tracker",
        "http://127.0.0.1:1/announce",
        "--config",
        &path(&settings),
    ]);
    assert!(created.status.success(), "{created:?}");
    let said = String::from_utf8(created.stderr).unwrap();
    assert!(said.contains("only programs on this computer reach"), "{said}");
    let (http, udp) = (
        format!("http://{tracker}/announce"),
        format!("udp://{tracker}/announce"),
    );
    let metainfo = Metainfo::parse(&fs::read(&torrent).unwrap()).unwrap();
    let own = vec![http.clone(), udp.clone()];
    assert_eq!(
        metainfo.tiers,
        [own, vec!["http://127.0.0.1:1/announce".to_owned()]]
    );

    let seed = Cli::seed(&stage, "seed", slice::from_ref(&torrent), &dir("seed")).flag(&option(tracker));
    let mut seed = seed.start(&stage);
    wait_for("the tracker's addresses", LIMIT, || {
        seed.assert_running();
        let said = seed.output();
        [&http, &udp]
            .into_iter()
            .all(|url| said.lines().any(|line| line == format!("tracker {url}")))
            .then_some(())
    });

    // The same torrent for each protocol alone.
    let with = |url: &String, name: &str| {
        let made = create(&stage, &film, name, url);
        let parsed = Metainfo::parse(&fs::read(&made).unwrap()).unwrap();
        assert_eq!(parsed.info.info_hash, metainfo.info.info_hash);
        made
    };
    let mut aria2 = Aria2::start(&stage, &[with(&http, "http")], &dir("aria2"), true);
    let by_udp = with(&udp, "udp");
    let mut libtorrent = Libtorrent::start(&stage, slice::from_ref(&by_udp), &dir("libtorrent"), true);
    let mut ours = Cli::download(&stage, "ours", &[torrent], &dir("ours")).start(&stage);
    let mut ours_by_udp = Cli::download(&stage, "ours-udp", &[by_udp], &dir("ours-udp")).start(&stage);
    aria2.wait_finished(LIMIT);
    libtorrent.wait_finished(LIMIT);
    ours.finish(LIMIT);
    ours_by_udp.finish(LIMIT);
    for name in ["aria2", "libtorrent", "ours", "ours-udp"] {
        content.assert_in(&dir(name));
    }
    seed.terminate();
    seed.finish(LIMIT);
    assert!(TcpStream::connect(tracker).is_err(), "the tracker has ended too");
}

/// A torrent of the file with this one tracker.
fn create(stage: &Stage, film: &Path, name: &str, tracker: &str) -> PathBuf {
    let torrent = stage.path(&format!("{name}.torrent"));
    let arguments = ["create", film.to_str().unwrap(), "-o", torrent.to_str().unwrap()];
    let made = cli::run(&[&arguments[..], &["--tracker", tracker]].concat());
    assert!(made.status.success(), "{made:?}");
    torrent
}

#[test]
fn an_edit_of_the_settings_switches_it_on_and_off() {
    let stage = Stage::new();
    let address = fresh_address();
    let content = Content::file("film.mkv", 100_000, 1 << 15, 6);
    content.write(&stage.folder("seed"));
    let torrent = content.torrent(&stage, &[format!("http://{address}/announce")]);
    let seed = Cli::seed(&stage, "seed", slice::from_ref(&torrent), &stage.folder("seed"));
    let mut process = seed.start(&stage);
    wait_for("the seed", LIMIT, || {
        process.assert_running();
        process.output().contains("seeding film.mkv").then_some(())
    });
    assert!(TcpStream::connect(address).is_err());

    let settings = |node: bool| format!("[tracker]\nnode = {node}\naddress = \"{address}\"\n");
    let seed = seed.settings(&stage, &settings(true));
    wait_for("the tracker", LIMIT, || {
        process.assert_running();
        TcpStream::connect(address).ok()
    });
    // The seed announces to its own tracker, which did not answer before: who asks now finds it.
    let mut leech = Cli::download(&stage, "leech", &[torrent], &stage.folder("leech")).start(&stage);
    leech.finish(LIMIT);
    content.assert_in(&stage.folder("leech"));

    seed.settings(&stage, &settings(false));
    wait_for("the tracker's end", LIMIT, || TcpStream::connect(address).err());
    process.assert_running();
    process.terminate();
    process.finish(LIMIT);
}

#[test]
fn what_stands_in_the_way_is_told() {
    let stage = Stage::new();
    let address = fresh_address();
    let taken = TcpListener::bind(address).unwrap();
    let content = Content::file("film.mkv", 100_000, 1 << 15, 7);
    content.write(&stage.folder("seed"));
    let torrent = content.torrent(&stage, &["http://127.0.0.1:1/announce".to_owned()]);
    let seed = Cli::seed(&stage, "seed", &[torrent], &stage.folder("seed")).flag(&option(address));
    let mut seed = seed.start(&stage);
    let mut told = |what: &str| {
        wait_for(what, LIMIT, || {
            seed.assert_running();
            seed.output().contains(what).then_some(())
        });
    };
    told(&format!(
        "port {} of this computer cannot be used",
        address.port()
    ));
    drop(taken);
    told(&format!("tracker http://{address}/announce"));
    told("only programs on this computer reach");
    told("film.mkv does not name this tracker");
}
