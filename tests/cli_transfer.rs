//! `dtorrent-cli seed` and `download` against each other, as two processes on the loopback.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use dtorrent::id::PeerId;
use dtorrent::metainfo::Metainfo;
use dtorrent::wire::handshake::{HANDSHAKE_LENGTH, Handshake};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Larger than any of the engine's slices, and not a multiple of a piece.
const LENGTH: usize = 3_000_001;

/// How long an answer is waited for.
const LIMIT: Duration = Duration::from_secs(30);

/// A folder with a torrent and its data, and settings that keep to the loopback.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        fs::create_dir(scene.path("data")).unwrap();
        fs::write(scene.path("data/film"), content()).unwrap();
        let settings = "[network]\nport = 0\nbind = \"127.0.0.1\"\n";
        fs::write(scene.path("config.toml"), settings).unwrap();
        let created = scene
            .command(&["create", "data/film", "--piece-length", "65536"])
            .output()
            .unwrap();
        assert!(created.status.success(), "{created:?}");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dtorrent-cli"));
        command
            .args(args)
            .args(["--config", "config.toml"])
            .current_dir(self.0.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn start(&self, args: &[&str]) -> Running {
        let mut child = self.command(args).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running {
            child: Some(child),
            lines,
        }
    }
}

fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| (at * 31 + at / 997) as u8).collect()
}

/// A program under way; killed if the test ends before it.
struct Running {
    child: Option<Child>,
    lines: BufReader<ChildStdout>,
}

impl Running {
    /// The first line of stdout that holds this.
    fn line_with(&mut self, part: &str) -> String {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if line.contains(part) {
                return line.trim_end().to_owned();
            }
            line.clear();
        }
        let mut stderr = String::new();
        let child = self.child.as_mut().unwrap();
        child
            .stderr
            .as_mut()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        panic!("it ended without saying {part:?}; stderr: {stderr}");
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.as_ref().unwrap().id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    fn wait(mut self) -> Output {
        self.child.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The lines of stderr, without the one that comes only when the end takes long.
fn complaints(output: &Output) -> Vec<&str> {
    let stderr = str::from_utf8(&output.stderr).unwrap();
    let wait = "telling the trackers, and writing what is left";
    stderr.lines().filter(|line| !line.contains(wait)).collect()
}

fn is_whole(path: &Path) -> bool {
    fs::read(path).unwrap() == content()
}

#[test]
fn a_seed_ends_at_the_ratio_that_it_was_given() {
    let scene = Scene::new();
    let serve = [
        "seed",
        "film.torrent",
        "--dir",
        "data",
        "--state",
        "seed-state",
        "--ratio",
        "0.5",
    ];
    let mut seed = scene.start(&serve);
    let ready = seed.line_with("seeding film");
    let peer = ready.rsplit_once(" on ").unwrap().1.to_owned();
    let fetch = [
        "download",
        "film.torrent",
        "--dir",
        "out",
        "--state",
        "leech-state",
        "--peer",
        &peer,
    ];
    let _leech = scene.start(&fetch);
    assert_eq!(
        seed.line_with("finished"),
        "finished: film: it has shared 0.50 times its size"
    );
    let output = seed.wait();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(complaints(&output), [""; 0]);
    // What was shared in earlier runs counts, and so does the ratio of the settings, however often it has ended a run.
    let settings = fs::read_to_string(scene.path("config.toml")).unwrap();
    for (args, seed_until_ratio) in [(&serve[..], 0.0), (&serve[..6], 0.5), (&serve[..6], 0.5)] {
        let settings = format!("{settings}[transfer]\nseed_until_ratio = {seed_until_ratio:?}\n");
        fs::write(scene.path("config.toml"), settings).unwrap();
        let output = scene.command(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(told.matches("finished: film").count(), 1, "{output:?}");
    }

    let refused = scene
        .command(&["seed", "film.torrent", "--ratio", "x"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let refused = scene
        .command(&["download", "film.torrent", "--ratio", "1"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2), "without --seed it ends anyway");
}

#[test]
fn what_one_seeds_the_other_downloads() {
    let scene = Scene::new();
    let mut seed = scene.start(&["seed", "film.torrent", "--dir", "data", "--state", "seed-state"]);
    let ready = seed.line_with("seeding film");
    let peer = ready.rsplit_once(" on ").unwrap().1.to_owned();
    assert!(peer.starts_with("127.0.0.1:"), "{ready}");

    let args = [
        "download",
        "film.torrent",
        "--dir",
        "new/folder",
        "--state",
        "leech-state",
        "--peer",
        &peer,
    ];
    let output = scene
        .start(&[&args[..], &["--log-level", "debug"]].concat())
        .wait();
    assert!(output.status.success(), "{output:?}");
    assert!(is_whole(&scene.path("new/folder/film")));
    let log = fs::read_to_string(scene.path("leech-state/dtorrent.log")).unwrap();
    assert!(log.contains("is gone: both sides have everything"), "{log}");
    // Its pieces come in any order, and each counts one more.
    let pieces = LENGTH.div_ceil(65_536);
    for number in 1..=pieces {
        let counted = format!(" verified, {number} of {pieces}\n");
        assert_eq!(log.matches(&counted).count(), 1, "{counted}: {log}");
    }

    // Again, without a peer: it is all there.
    let output = scene.start(&args[..6]).wait();
    assert!(output.status.success(), "{output:?}");

    seed.signal(Signal::TERM);
    let output = seed.wait();
    assert!(output.status.success(), "{output:?}");
    let log = fs::read_to_string(scene.path("seed-state/dtorrent.log")).unwrap();
    assert!(log.contains("film"), "{log}");
    assert!(!scene.path("logs").exists(), "each has its log with its state");
}

#[test]
fn a_download_that_is_stopped_says_so_and_ends_with_1() {
    let scene = Scene::new();
    let mut download = scene.start(&["download", "film.torrent", "--dir", "empty"]);
    download.line_with("peers");
    download.signal(Signal::INT);
    let output = download.wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = complaints(&output);
    assert!(
        error[0].contains("stopped before everything was there"),
        "{error:?}"
    );
    assert_eq!(error.len(), 1, "{error:?}");
}

/// A tracker that answers the first announce, with one peer, and none after it.
fn tracker_that_falls_silent(peer: SocketAddrV4) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut asked = Vec::new();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {}
            if asked.is_empty() {
                let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 33\r\nConnection: close\r\n\r\n\
                                   d8:intervali1800e5:peers6:"
                    .to_vec();
                answer.extend(peer.ip().octets());
                answer.extend(peer.port().to_be_bytes());
                answer.push(b'e');
                stream.get_mut().write_all(&answer).unwrap();
            }
            // Kept open: an end would be an answer.
            asked.push(stream);
        }
    });
    url
}

#[test]
fn a_stop_that_waits_for_trackers_says_so_and_a_second_one_does_not_wait() {
    let scene = Scene::new();
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let SocketAddr::V4(addr) = peer.local_addr().unwrap() else {
        panic!("it is bound to an address of IPv4");
    };
    let url = tracker_that_falls_silent(addr);
    let created = scene
        .command(&["create", "data/film", "-o", "tracked.torrent", "--tracker", &url])
        .args(["--piece-length", "65536"])
        .output()
        .unwrap();
    assert!(created.status.success(), "{created:?}");
    let seed = ["seed", "tracked.torrent", "--dir", "data", "--state", "state"];
    let mut running = scene.start(&seed);
    running.line_with("seeding film");
    // Only a tracker that knows us is told that we go. When its peer is dialled, its answer has been read.
    let (_dialled, _) = peer.accept().unwrap();
    running.signal(Signal::INT);
    let stderr = running.child.as_mut().unwrap().stderr.take().unwrap();
    let mut line = String::new();
    BufReader::new(stderr).read_line(&mut line).unwrap();
    assert!(
        line.contains("telling the trackers") && line.contains("Ctrl-C again"),
        "{line}"
    );
    running.signal(Signal::INT);
    assert_eq!(running.wait().status.code(), Some(130));

    // What was verified is known: without a tracker, and with no peer.
    let output = scene
        .start(&["download", "film.torrent", "--dir", "data", "--state", "state"])
        .wait();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_download_whose_data_is_gone_begins_anew_if_its_folder_is_there() {
    let scene = Scene::new();
    let args = ["download", "film.torrent", "--dir", "disk/to", "--state", "state"];
    fs::create_dir_all(scene.path("disk/to")).unwrap();
    fs::copy(scene.path("data/film"), scene.path("disk/to/film")).unwrap();
    let output = scene.command(&args).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    // A disk that is not mounted is not to be filled where it should be.
    fs::rename(scene.path("disk"), scene.path("unmounted")).unwrap();
    let output = scene.command(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = complaints(&output);
    assert!(
        error[0].starts_with("dtorrent-cli: film: none of its files is in ") && error.len() == 1,
        "{error:?}"
    );
    assert!(!scene.path("disk").exists());

    fs::rename(scene.path("unmounted"), scene.path("disk")).unwrap();
    fs::remove_file(scene.path("disk/to/film")).unwrap();
    let mut seed = scene.start(&["seed", "film.torrent", "--dir", "data", "--state", "seed-state"]);
    let ready = seed.line_with("seeding film");
    let peer = ready.rsplit_once(" on ").unwrap().1;
    let output = scene
        .command(&[&args[..], &["--peer", peer]].concat())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(is_whole(&scene.path("disk/to/film")));
}

#[test]
fn a_file_that_has_gone_is_told_of_before_it_is_fetched_again() {
    let scene = Scene::new();
    fs::create_dir(scene.path("data/pair")).unwrap();
    for name in ["data/pair/a", "data/pair/b"] {
        fs::write(scene.path(name), content()).unwrap();
    }
    let created = scene.command(&["create", "data/pair"]).output().unwrap();
    assert!(created.status.success(), "{created:?}");
    let mut seed = scene.start(&["seed", "pair.torrent", "--dir", "data", "--state", "seed-state"]);
    let ready = seed.line_with("seeding pair");
    let peer = ready.rsplit_once(" on ").unwrap().1;
    let args = ["download", "pair.torrent", "--dir", "to", "--state", "state"];
    let args = [&args[..], &["--peer", peer]].concat();
    let output = scene.command(&args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(complaints(&output).is_empty(), "{output:?}");

    fs::remove_file(scene.path("to/pair/b")).unwrap();
    let output = scene.command(&args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let [line] = complaints(&output)[..] else {
        panic!("{output:?}")
    };
    let expected = "dtorrent-cli: pair: “pair/b” was missing from ";
    assert!(line.starts_with(expected), "{line}");
    assert!(is_whole(&scene.path("to/pair/b")));
}

#[test]
fn trackers_that_take_no_announce_are_pointed_out() {
    let scene = Scene::new();
    // A port at which nobody listens any more.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let urls = [closed, other].map(|address| format!("http://{address}/SECRET/announce"));
    let created = scene
        .command(&["create", "data/film", "-o", "tracked.torrent"])
        .args(["--tracker", &urls[0], "--tracker", &urls[1]])
        .output()
        .unwrap();
    assert!(created.status.success(), "{created:?}");
    let mut download = scene.start(&["download", "tracked.torrent", "--dir", "empty"]);
    let stderr = download.child.as_mut().unwrap().stderr.take().unwrap();
    let mut line = String::new();
    BufReader::new(stderr).read_line(&mut line).unwrap();
    let expected =
        "dtorrent-cli: film: no tracker takes its announces, asking again (2 trackers were asked: http://";
    let refused = "the tracker cannot be reached: Connection refused";
    assert!(line.starts_with(expected) && !line.contains("SECRET"), "{line}");
    for address in [closed, other] {
        assert!(line.contains(&format!("http://{address}: {refused}")), "{line}");
    }
    download.signal(Signal::INT);
    let output = download.wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let log = fs::read_to_string(scene.path("logs/dtorrent.log")).unwrap();
    let failed = format!("film: started announce to http://{closed}/…/announce failed: ");
    assert!(log.contains(&failed) && !log.contains("SECRET"), "{log}");
}

#[test]
fn a_torrent_that_cannot_be_used_does_not_stop_the_others() {
    let scene = Scene::new();
    fs::write(scene.path("picture.torrent"), b"\x89PNG\r\n\x1a\n").unwrap();
    fs::write(scene.path("absent"), "x").unwrap();
    let created = scene.command(&["create", "absent"]).output().unwrap();
    assert!(created.status.success(), "{created:?}");
    let torrents = [
        "picture.torrent",
        "absent.torrent",
        "nothing.torrent",
        "film.torrent",
    ];

    let args = [&["seed", "--dir", "data"][..], &torrents].concat();
    let mut seed = scene.start(&args);
    seed.line_with("seeding film");
    seed.signal(Signal::TERM);
    let output = seed.wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    for part in [
        "a PNG image",
        "absent is not there",
        "nothing.torrent",
        "not every torrent could be served",
    ] {
        assert_eq!(
            error.lines().filter(|line| line.contains(part)).count(),
            1,
            "{error}"
        );
    }

    let output = scene
        .command(&["download", "--dir", "data", "picture.torrent", "film.torrent"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("complete: film")
    );
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("a PNG image") && error.contains("not every torrent could be completed"),
        "{error}"
    );

    let output = scene
        .start(&["download", "picture.torrent", "nothing.torrent"])
        .wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("none of the torrents can be used"), "{error}");
}

#[test]
fn incomplete_data_is_not_seeded() {
    let scene = Scene::new();
    let output = scene
        .start(&["seed", "film.torrent", "--dir", "elsewhere"])
        .wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("elsewhere/film is not there")
    );
    assert!(
        !scene.path("elsewhere").exists(),
        "a mistyped folder is not created"
    );

    let mut wrong = content();
    wrong[1_000_000] ^= 1;
    fs::write(scene.path("data/film"), &wrong).unwrap();
    let output = scene.start(&["seed", "film.torrent", "--dir", "data"]).wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("fetch the rest with")
    );
    assert_eq!(fs::read(scene.path("data/film")).unwrap(), wrong);
}

/// Connects as a peer that wants to know whether it has to do with this torrent.
fn greet(to: &str, metainfo: &Metainfo) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let peer_id = PeerId::generate(&mut fastrand::Rng::new());
    let handshake = Handshake::ours(metainfo.info.info_hash, peer_id);
    stream.write_all(&handshake.encode()).unwrap();
    stream
}

#[test]
fn beside_data_that_is_served_incomplete_data_is_left_as_it_is() {
    let scene = Scene::new();
    let mut damaged = content();
    damaged[1] ^= 1;
    fs::write(scene.path("data/other"), &damaged).unwrap();
    let created = scene.command(&["create", "data/other"]).output().unwrap();
    assert!(created.status.success(), "{created:?}");
    damaged[2_000_000] ^= 1;
    fs::write(scene.path("data/other"), &damaged).unwrap();
    let metainfo = |name| Metainfo::parse(&fs::read(scene.path(name)).unwrap()).unwrap();
    let (film, other) = (metainfo("film.torrent"), metainfo("other.torrent"));

    let args = ["seed", "film.torrent", "other.torrent", "--dir", "data"];
    for _ in 0..2 {
        let mut seed = scene.start(&[&args[..], &["--state", "state"]].concat());
        let ready = seed.line_with("seeding film");
        let address = ready.rsplit_once(" on ").unwrap().1;
        let mut stderr = BufReader::new(seed.child.as_mut().unwrap().stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert!(
            line.contains("other: only") && line.contains("fetch the rest with"),
            "{line}"
        );

        // The first may have come before it was stopped, and is let go then.
        greet(address, &other).read_to_end(&mut Vec::new()).unwrap();
        let mut answer = Vec::new();
        greet(address, &other).read_to_end(&mut answer).unwrap();
        assert_eq!(answer.len(), HANDSHAKE_LENGTH, "it goes on to talk");
        let mut answer = [0; HANDSHAKE_LENGTH + 1];
        greet(address, &film).read_exact(&mut answer).unwrap();
        seed.signal(Signal::TERM);
        assert_eq!(seed.wait().status.code(), Some(1));
        assert_eq!(fs::read(scene.path("data/other")).unwrap(), damaged);
    }
}

#[test]
fn data_that_cannot_be_read_is_not_called_incomplete() {
    let scene = Scene::new();
    fs::create_dir(scene.path("data/pair")).unwrap();
    for name in ["data/pair/a", "data/pair/b"] {
        fs::write(scene.path(name), content()).unwrap();
    }
    let created = scene.command(&["create", "data/pair"]).output().unwrap();
    assert!(created.status.success(), "{created:?}");
    fs::rename(scene.path("data/pair/b"), scene.path("aside")).unwrap();
    std::os::unix::fs::symlink(scene.path("aside"), scene.path("data/pair/b")).unwrap();
    let output = scene.start(&["seed", "pair.torrent", "--dir", "data"]).wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("pair/b was not opened") && !error.contains("fetch the rest"),
        "{error}"
    );
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_goes() {
    let scene = Scene::new();
    let program = env!("CARGO_BIN_EXE_dtorrent-cli");
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -Sn 64 && exec \"$0\" \"$@\"", program])
        .args(["seed", "film.torrent", "--dir", "data", "--state", "state"])
        .args(["--config", "config.toml"])
        .current_dir(scene.0.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Its first line comes when it runs.
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    let limits = limits.unwrap();
    let open_files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let [soft, hard] = [3, 4].map(|at| open_files.split_whitespace().nth(at).unwrap());
    assert_eq!(soft, hard, "{open_files}");
    assert_ne!(soft, "64");
}

#[test]
fn data_that_was_moved_by_hand_is_taken_up_where_it_is() {
    let scene = Scene::new();
    let seed = ["seed", "film.torrent", "--dir", "data", "--state", "s"];
    let mut first = scene.start(&seed);
    first.line_with("seeding film");
    first.signal(Signal::INT);
    first.wait();
    // As long as it is where the list has it, another folder may be a mistake.
    fs::create_dir(scene.path("elsewhere")).unwrap();
    fs::copy(scene.path("data/film"), scene.path("elsewhere/film")).unwrap();
    let elsewhere = ["seed", "film.torrent", "--dir", "elsewhere", "--state", "s"];
    let refused = scene.command(&elsewhere).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("is on the list already"), "{said}");
    fs::remove_file(scene.path("data/film")).unwrap();
    let mut moved = scene.start(&elsewhere);
    moved.line_with("seeding film");
    moved.signal(Signal::INT);
    moved.wait();
    assert!(is_whole(&scene.path("elsewhere/film")));
}

#[test]
fn a_file_of_the_users_is_not_written_over_unless_it_may_be() {
    let scene = Scene::new();
    let mut seed = scene.start(&["seed", "film.torrent", "--dir", "data", "--state", "seed-state"]);
    let ready = seed.line_with("seeding film");
    let peer = ready.rsplit_once(" on ").unwrap().1;
    fs::create_dir(scene.path("to")).unwrap();
    let mine = vec![b'm'; LENGTH + 500_000];
    fs::write(scene.path("to/film"), &mine).unwrap();
    let args = [
        "download",
        "film.torrent",
        "--dir",
        "to",
        "--state",
        "state",
        "--peer",
        peer,
    ];
    let output = scene.command(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = complaints(&output);
    assert!(
        error[0].contains("to/film is in the way")
            && error[0].ends_with("With --overwrite it is written over."),
        "{error:?}"
    );
    assert!(fs::read(scene.path("to/film")).unwrap() == mine);
    let output = scene
        .command(&[&args[..], &["--overwrite"]].concat())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(is_whole(&scene.path("to/film")));

    // What comes after the end is not the torrent's.
    let mut file = fs::File::options()
        .append(true)
        .open(scene.path("to/film"))
        .unwrap();
    file.write_all(b"tail").unwrap();
    let output = scene
        .command(&["verify", "film.torrent", "--dir", "to"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with("film: longer than it should be"), "{told}");
}

#[test]
fn a_seed_whose_data_goes_says_so_and_ends() {
    let scene = Scene::new();
    let mut seed = scene.start(&["seed", "film.torrent", "--dir", "data", "--state", "s", "--trust"]);
    let ready = seed.line_with("seeding film");
    let peer = ready.rsplit_once(" on ").unwrap().1;
    fs::remove_file(scene.path("data/film")).unwrap();
    let download = [
        "download",
        "film.torrent",
        "--dir",
        "to",
        "--state",
        "l",
        "--peer",
        peer,
    ];
    let _leech = scene.start(&download);
    let output = seed.wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = complaints(&output);
    assert!(error[0].contains("film is missing"), "{error:?}");
}
