//! The real window, driven as a person with a screen reader would: through the accessibility bus.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "window/desktop.rs"]
mod desktop;
#[path = "window/tracker.rs"]
mod tracker;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use desktop::{Desktop, Eyes, Owned};
use dtorrent::create::{self, CreateOptions, Existing};
use dtorrent::metainfo::Metainfo;
use tracker::Tracker;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dtorrent");

/// Bytes of the file: enough for the download to be looked at while it runs.
const LENGTH: usize = 6 * 1024 * 1024 + 1;

/// KiB/s; makes a download of some seconds.
const LIMIT: u32 = 1024;

/// A seed of a fresh file and its torrent.
struct Source {
    data: Vec<u8>,
    metainfo: Metainfo,
    tracker_url: String,
    peer: String,
    _seed: Owned,
    _tracker: Tracker,
}

fn source(folder: &Path, torrent: &Path) -> Source {
    let data: Vec<u8> = {
        let mut rng = fastrand::Rng::with_seed(7);
        std::iter::repeat_with(|| rng.u8(..)).take(LENGTH).collect()
    };
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("lecture.ogg"), &data).unwrap();
    let listener: TcpListener = Tracker::listener();
    let tracker_url = format!("http://{}/announce", listener.local_addr().unwrap());
    let options = CreateOptions {
        path: folder.join("lecture.ogg"),
        trackers: vec![vec![tracker_url.clone()]],
        piece_length: Some(256 * 1024),
        ..CreateOptions::default()
    };
    let metainfo = create::create(&options, |_, _| (), &AtomicBool::new(false)).unwrap();
    create::save(&metainfo, torrent, Existing::Keep).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/window/seed.py");
    let mut seed = Command::new("/usr/bin/python3");
    seed.arg(script).arg(torrent).arg(folder).stdin(Stdio::piped());
    let (seed, port) = Owned::start(&mut seed);
    let port = port.parse().expect("the seed tells its port");
    Source {
        data,
        metainfo,
        tracker_url,
        peer: format!("127.0.0.1:{port}"),
        _seed: seed,
        _tracker: Tracker::start(listener, port),
    }
}

/// The program with settings that keep to the desktop's folders.
fn start(desktop: &Desktop, torrent: &Path) -> Owned {
    let config = desktop.path("config.toml");
    let text = format!(
        "[network]\nport = 0\n[folders]\ndownloads = \"downloads\"\nstate = \"session\"\n\
         [transfer]\ndownload_limit_kib = {LIMIT}\n[log]\nfile = \"dtorrent.log\"\n"
    );
    fs::write(&config, text).unwrap();
    Owned(
        desktop
            .command(PROGRAM)
            .arg("--config")
            .arg(config)
            .arg(torrent)
            .spawn()
            .unwrap(),
    )
}

#[test]
fn a_download_from_opening_to_removing() {
    let desktop = Desktop::start();
    let torrent = desktop.path("lecture.torrent");
    let source = source(&desktop.path("seed"), &torrent);
    let mut program = start(&desktop, &torrent);
    let mut eyes = Eyes::of(&desktop, &program.0);

    eyes.wait_for("Downloading");
    assert_eq!(eyes.nameless(), [""; 0], "buttons without a name");
    reads_the_connection(&mut eyes, &source);
    reads_the_torrent(&mut eyes, &source);

    let complete = |eyes: &mut Eyes| eyes.value("Completed").filter(|value| value.contains("100 %"));
    eyes.wait("100 %", complete);
    eyes.wait("all pieces", |eyes| {
        eyes.value("Pieces verified").filter(|value| value == "25 of 25")
    });
    eyes.wait_for("Seeding");
    let file = desktop.path("downloads/lecture.ogg");
    assert!(
        fs::read(&file).unwrap() == source.data,
        "the file differs from that of the seed"
    );

    eyes.action("win.toggle");
    eyes.wait_for("Complete, paused");

    refuses_in_the_first_instance(&desktop, &mut eyes);

    eyes.action("win.remove");
    eyes.wait_for("Keep the files");
    eyes.press("Remove");
    eyes.wait("the torrent to go", |eyes| {
        (!eyes.labels().iter().any(|label| label.contains("lecture.ogg"))).then_some(())
    });
    eyes.wait_for("No Torrents Yet");
    assert!(file.exists(), "the files were to be kept");

    eyes.action("window.close");
    let status = program.0.wait().unwrap();
    assert!(status.success(), "{status}");
}

/// The tab *Statistics*: one connection, with all that is known of it.
fn reads_the_connection(eyes: &mut Eyes, source: &Source) {
    eyes.press("Statistics");
    let row = eyes.wait("the seed's connection", |eyes| {
        let labels = eyes.labels();
        let at = labels.iter().position(|label| *label == source.peer)?;
        // It stands after the client's name; the states come when the peer has unchoked us.
        let row = labels.get(at - 1..at + 7)?.to_vec();
        row.contains(&"unchoked, not interested".to_owned())
            .then_some(row)
    });
    let [client, _, progress, down, up, peer_state, own_state, peer_id] = &row[..] else {
        panic!("a row has eight cells: {row:?}")
    };
    assert!(client.contains("libtorrent"), "{row:?}");
    assert_eq!(progress, "100 %");
    assert!(down.ends_with("B/s") && up.ends_with("B/s"), "{row:?}");
    assert_eq!(peer_state, "unchoked, not interested");
    assert!(own_state.ends_with(", interested"), "{row:?}");
    assert!(peer_id.starts_with("-LT"), "{row:?}");
}

/// The tab *General*: what the torrent says of itself, and where it is fetched from.
fn reads_the_torrent(eyes: &mut Eyes, source: &Source) {
    eyes.press("General");
    eyes.wait("the number of pieces", |eyes| {
        eyes.value("Pieces").filter(|value| value == "25 of 256 KiB")
    });
    let info_hash = source.metainfo.info.info_hash.to_string();
    assert_eq!(eyes.value("Info-hash"), Some(info_hash));
    assert_eq!(eyes.value("Name").as_deref(), Some("lecture.ogg"));
    assert_eq!(eyes.value("Size"), Some(format!("6 MiB ({LENGTH} bytes)")));
    assert_eq!(eyes.value("Structure").as_deref(), Some("Single file"));
    let peers = eyes.value("Peers").unwrap();
    assert!(peers.starts_with("1 connected"), "{peers}");
    eyes.wait_for(&source.tracker_url);
    eyes.wait_for("Seeds: 7 · Leechers: 3");
}

/// A second start hands its file over and ends; what is wrong with the file is said in the first window.
fn refuses_in_the_first_instance(desktop: &Desktop, eyes: &mut Eyes) {
    let bad = desktop.path("bad.torrent");
    fs::write(&bad, "<html>Not found</html>").unwrap();
    let second = desktop.command(PROGRAM).arg(&bad).status().unwrap();
    assert!(second.success(), "{second}");
    eyes.wait_for("Could Not Be Opened");
    eyes.wait_for("this is a web page");
    eyes.press("OK");
    eyes.wait("the dialog to go", |eyes| {
        (!eyes
            .labels()
            .iter()
            .any(|label| label.contains("this is a web page")))
        .then_some(())
    });
}

#[test]
fn without_a_display_there_is_one_sentence() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .args(arguments);
        command.output().unwrap()
    };
    let refused = run(&[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.starts_with("dtorrent: there is no display") && said.lines().count() == 1,
        "{said}"
    );

    assert!(run(&["--help"]).status.success());
    assert_eq!(
        run(&["--version"]).stdout,
        format!("dtorrent {}\n", env!("CARGO_PKG_VERSION")).as_bytes()
    );
    assert_eq!(run(&["--nonsense"]).status.code(), Some(2));
}
