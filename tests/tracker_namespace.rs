//! Which address a torrent names when a computer is its own tracker, and that another computer gets there.
//!
//! Needs root for two network namespaces of its own, `near` and `far`, with two links between them, the second of
//! which comes later:
//!
//! ```text
//! near cable  10.78.1.1, fd78:1::1 ──── 10.78.1.2, fd78:1::2 cable  far    two computers and a cable
//! near uplink 10.78.2.1            ──── 10.78.2.2            uplink far    where then the default route leads
//! ```

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

#[path = "support/namespace.rs"]
mod namespace;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dtorrent::metainfo::Metainfo;

use namespace::Namespace;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dtorrent-cli");

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_torrent_names_an_address_that_the_other_computer_reaches() {
    if !namespace::are_possible() {
        println!("skipped: network namespaces need root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (near, far) = (Namespace::new("n"), Namespace::new("f"));
    for side in [&near, &far] {
        side.ip("link set lo up");
    }
    link(&near, &far, "cable", 1);
    near.ip("addr add fd78:1::1/64 dev cable nodad");
    far.ip("addr add fd78:1::2/64 dev cable nodad");
    let data: Vec<u8> = (0..400_000_u32).map(|at| (at % 251) as u8).collect();
    fs::write(path("film.mkv"), &data).unwrap();
    fs::write(path("near.toml"), settings("")).unwrap();

    // There is no way out, and still a way to each other.
    let (torrent, said) = create(&near, folder.path(), "near.toml", "cable.torrent");
    let both = [
        "http://10.78.1.1:6969/announce",
        "http://[fd78:1::1]:6969/announce",
        "udp://10.78.1.1:6969/announce",
        "udp://[fd78:1::1]:6969/announce",
    ];
    assert_eq!(tier(&torrent), both);
    assert!(said.contains("these are private addresses"), "{said}");
    assert!(said.contains("forward the TCP and UDP port 6969"), "{said}");

    let mut seed = Program::start(&near, &path("seed.log"), |command| {
        command
            .args(["seed", "--tracker-node", "--dir"])
            .arg(folder.path());
        command.arg(&torrent).args(["--state"]).arg(path("seed-state"));
        command.arg("--config").arg(path("near.toml"));
    });
    seed.wait_for(&format!("tracker {}", both[0]));
    // Whoever asks before the tracker knows the seed hears of nobody, and asks again after half an hour.
    let log = path("program.log");
    seed.wait_until("its own announce", || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        log.contains("answered the started announce")
    });
    for family in ["4", "6"] {
        // By each family alone.
        let urls: Vec<&str> = both
            .into_iter()
            .filter(|url| url.contains('[') == (family == "6"))
            .collect();
        let torrent = path(&format!("only{family}.torrent"));
        let mut create = Command::new(PROGRAM);
        create.arg("create").arg(path("film.mkv")).arg("-o").arg(&torrent);
        create.args(urls.iter().flat_map(|url| ["--tracker", url]));
        assert!(create.output().unwrap().status.success());
        let dir = path(&format!("got{family}"));
        let mut download = far.run(PROGRAM);
        download.arg("download").arg(&torrent).arg("--dir").arg(&dir);
        download.arg("--state").arg(path(&format!("state{family}")));
        fs::write(path("far.toml"), settings("")).unwrap();
        download.arg("--config").arg(path("far.toml"));
        let mut download = Program(download.stdout(Stdio::null()).spawn().unwrap(), path("far.log"));
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = download.0.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < until,
                "no download by IPv{family}; the seed: {}",
                seed.output()
            );
            thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success());
        assert!(fs::read(dir.join("film.mkv")).unwrap() == data);
    }

    // Now there is a way out, and the running tracker says that it is reached by it.
    link(&near, &far, "uplink", 2);
    near.ip("route add default via 10.78.2.2 dev uplink");
    seed.wait_for("tracker http://10.78.2.1:6969/announce");
    drop(seed);
    let (torrent, _) = create(&near, folder.path(), "near.toml", "uplink.torrent");
    assert_eq!(tier(&torrent)[0], "http://10.78.2.1:6969/announce");
    for bind in ["cable", "10.78.1.1"] {
        fs::write(path("bound.toml"), settings(bind)).unwrap();
        let (torrent, _) = create(
            &near,
            folder.path(),
            "bound.toml",
            &format!("{bind}.bound.torrent"),
        );
        assert_eq!(tier(&torrent)[0], both[0], "{bind}");
    }
    // Nothing but the loopback is no address for others.
    near.ip("link set cable down");
    near.ip("link set uplink down");
    let mut alone = command(&near, folder.path(), "near.toml", "alone.torrent");
    let refused = alone.output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("no address that others can reach"), "{said}");
}

fn settings(bind: &str) -> String {
    format!("[network]\nbind = \"{bind}\"\n[log]\nfile = \"program.log\"\n")
}

/// Lays a link between the two.
fn link(near: &Namespace, far: &Namespace, name: &str, network: u8) {
    near.ip(&format!(
        "link add {name} type veth peer name {name} netns {}",
        far.name
    ));
    for (side, host) in [(near, 1), (far, 2)] {
        side.ip(&format!("addr add 10.78.{network}.{host}/24 dev {name}"));
        side.ip(&format!("link set {name} up"));
    }
}

fn command(near: &Namespace, folder: &Path, settings: &str, torrent: &str) -> Command {
    let mut create = near.run(PROGRAM);
    create.arg("create").arg(folder.join("film.mkv"));
    create.arg("-o").arg(folder.join(torrent));
    create
        .args(["--tracker-node", "--config"])
        .arg(folder.join(settings));
    create
}

/// Makes a torrent that names its maker as the tracker; what was said about that.
fn create(near: &Namespace, folder: &Path, settings: &str, torrent: &str) -> (PathBuf, String) {
    let created = command(near, folder, settings, torrent).output().unwrap();
    assert!(created.status.success(), "{created:?}");
    (folder.join(torrent), String::from_utf8(created.stderr).unwrap())
}

/// The one tier of a torrent.
fn tier(torrent: &Path) -> Vec<String> {
    let metainfo = Metainfo::parse(&fs::read(torrent).unwrap()).unwrap();
    let [tier] = <[_; 1]>::try_from(metainfo.tiers).unwrap();
    tier
}

/// A program that ends with the value, and where its output goes.
struct Program(Child, PathBuf);

impl Program {
    fn start(side: &Namespace, log: &Path, arguments: impl FnOnce(&mut Command)) -> Self {
        let output = File::create(log).unwrap();
        let mut command = side.run(PROGRAM);
        arguments(&mut command);
        command.stdout(output.try_clone().unwrap()).stderr(output);
        Self(command.spawn().unwrap(), log.to_owned())
    }

    fn output(&self) -> String {
        fs::read_to_string(&self.1).unwrap_or_default()
    }

    fn wait_for(&mut self, line: &str) {
        let output = self.1.clone();
        self.wait_until(line, || {
            let output = fs::read_to_string(&output).unwrap_or_default();
            output.lines().any(|said| said == line)
        });
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(
                self.0.try_wait().unwrap().is_none(),
                "it ended: {}",
                self.output()
            );
            assert!(Instant::now() < until, "no {what}: {}", self.output());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
