//! The commands of `dtorrent-cli` that need no peers, as a shell or a script sees them: what they print, and
//! how they end.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A home of its own, so that nothing of the user is read or written.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs the program in this folder.
    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_dtorrent-cli"))
            .args(args)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .output()
            .unwrap()
    }

    /// What it printed; it must have ended with 0.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it complained about; it must have ended with `status`.
    fn fails(&self, status: i32, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// A folder of three files over pieces of 16 KiB: `a` ends within piece 1, `sub/b` within piece 3.
    fn holiday(&self) {
        fs::create_dir_all(self.path().join("holiday/sub")).unwrap();
        for (name, length) in [("a", 20_000), ("empty", 0), ("sub/b", 40_000)] {
            let bytes: Vec<u8> = (0..length).map(|at: u32| (at * 7 + at / 256) as u8).collect();
            fs::write(self.path().join("holiday").join(name), bytes).unwrap();
        }
        self.ok(&[
            "create",
            "holiday",
            "--piece-length",
            "16384",
            "--private",
            "--comment",
            "warm",
            "--tracker",
            "http://a.example/announce",
            "--tracker",
            " udp://b.example:6969  udp://c.example:6969",
        ]);
    }
}

#[test]
fn what_was_created_is_shown() {
    let home = Home::new();
    home.holiday();
    let shown = home.json(&["show", "holiday.torrent", "--json"]);
    assert_eq!(shown["name"], "holiday");
    assert_eq!(shown["piece_length"], 16384);
    assert_eq!(shown["total_length"], 60_000);
    assert_eq!(shown["private"], true);
    assert_eq!(
        shown["trackers"],
        serde_json::json!([
            "http://a.example/announce",
            "udp://b.example:6969",
            "udp://c.example:6969"
        ])
    );
    let files = serde_json::json!([
        { "path": "holiday/a", "length": 20_000 },
        { "path": "holiday/empty", "length": 0 },
        { "path": "holiday/sub/b", "length": 40_000 },
    ]);
    assert_eq!(shown["files"], files);
    let hash = shown["info_hash"].as_str().unwrap();
    assert_eq!(hash.len(), 40);
    assert!(
        shown["magnet"]
            .as_str()
            .unwrap()
            .starts_with(&format!("magnet:?xt=urn:btih:{hash}&"))
    );

    let text = home.ok(&["show", "holiday.torrent"]);
    for part in [
        "Name:       holiday",
        hash,
        "warm",
        "holiday/sub/b",
        "http://a.example/announce (tier 1)",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(
        !home.path().join(".config").exists(),
        "looking creates nothing at home"
    );
}

#[test]
fn a_torrent_is_not_written_over() {
    let home = Home::new();
    home.holiday();
    let before = fs::read(home.path().join("holiday.torrent")).unwrap();
    let error = home.fails(1, &["create", "holiday"]);
    assert!(error.contains("holiday.torrent exists already"), "{error}");
    assert_eq!(fs::read(home.path().join("holiday.torrent")).unwrap(), before);
}

#[test]
fn verify_says_what_is_wrong_file_by_file() {
    let home = Home::new();
    home.holiday();
    let verify = ["verify", "holiday.torrent", "--dir", ".", "--json"];
    let report = home.json(&verify);
    assert_eq!(report["complete"], true);
    assert_eq!(report["pieces_right"], 4);

    // One byte of `sub/b` in piece 2, which holds nothing else.
    let b = home.path().join("holiday/sub/b");
    let right = fs::read(&b).unwrap();
    let mut wrong = right.clone();
    wrong[20_000] ^= 1;
    let longer = [&right[..], &[0; 9]].concat();
    let edits = [
        (
            "damaged",
            Some(&wrong[..]),
            ["complete", "complete", "damaged"],
            3,
        ),
        (
            "short",
            Some(&right[..39_999]),
            ["complete", "complete", "short"],
            3,
        ),
        ("missing", None, ["unproven", "complete", "missing"], 1),
        ("longer", Some(&longer), ["complete", "complete", "long"], 4),
    ];
    for (name, bytes, states, pieces_right) in edits {
        match bytes {
            Some(bytes) => fs::write(&b, bytes).unwrap(),
            None => fs::remove_file(&b).unwrap(),
        }
        let output = home.run(&verify);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let found: Vec<_> = report["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| &file["state"])
            .collect();
        assert_eq!(found, states, "{name}");
        assert_eq!(report["pieces_right"], pieces_right, "{name}");
        let complete = states == ["complete"; 3];
        assert_eq!(report["complete"], complete, "{name}");
        assert_eq!(output.status.code(), Some(i32::from(!complete)), "{name}");
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            sentence.lines().count(),
            usize::from(!complete),
            "{name}: {sentence}"
        );
    }

    fs::remove_file(home.path().join("holiday/empty")).unwrap();
    let output = home.run(&["verify", "holiday.torrent", "--dir", "."]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("holiday/empty: missing"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn failures_are_one_sentence_and_status_1() {
    let home = Home::new();
    home.holiday();
    fs::write(home.path().join("page.torrent"), "<!doctype html><html></html>").unwrap();
    fs::write(home.path().join("picture.torrent"), b"\x89PNG\r\n\x1a\n").unwrap();
    fs::write(home.path().join("bad.toml"), "[network]\nport = 70000\n").unwrap();
    let cases: [(&[&str], &str); 12] = [
        (&["show", "absent.torrent"], "absent.torrent"),
        (&["show", "page.torrent"], "web page"),
        (
            &["show", "magnet:?xt=urn:btih:0123"],
            "magnet links cannot be opened yet",
        ),
        (
            &["show", "https://a.example/x.torrent"],
            "download the .torrent file first",
        ),
        (&["show", "holiday"], "`dtorrent-cli create holiday` makes one"),
        (
            &["verify", "holiday.torrent", "--dir", "absent"],
            "there is no folder absent; --dir names the one in which holiday lies",
        ),
        (
            &["seed", "holiday.torrent", "--dir", "holiday"],
            "--dir names the folder in which holiday lies",
        ),
        (&["create", "absent"], "cannot read absent"),
        (
            &["create", "holiday", "-o", "holiday"],
            "give --output the name of the .torrent",
        ),
        (
            &["create", "holiday", "-o", "absent/x.torrent"],
            "there is no folder absent; make it",
        ),
        (
            &["show", "picture.torrent"],
            "this is a PNG image, not a .torrent",
        ),
        (
            &["seed", "holiday.torrent", "--dir", ".", "--config", "bad.toml"],
            "bad.toml, line 2: `port = 70000`",
        ),
    ];
    for (args, expected) in cases {
        let error = home.fails(1, args);
        assert!(
            error.starts_with("dtorrent-cli: ") && error.contains(expected),
            "{args:?}: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
    }
}

#[test]
fn wrong_usage_is_status_2() {
    let home = Home::new();
    let cases: [(&[&str], &str); 15] = [
        (&[], "Usage:"),
        (&["explode"], "Usage:"),
        (&["show"], "Usage:"),
        (&["verify", "x.torrent"], "Usage:"),
        (
            &["show", "x.torrent", "--log-level", "loud"],
            "[possible values: off, ",
        ),
        (
            &["create", ".", "--piece-length", "1000"],
            "use a power of two, 16384 to 268435456",
        ),
        (
            &["create", ".", "--piece-length", "1M"],
            "it takes a power of two, 16384 to 268435456, in digits alone",
        ),
        (
            &["create", ".", "--tracker", "foo"],
            "\"foo\" is not a URL of a tracker, such as http://",
        ),
        (
            &["create", ".", "--tracker", "http://a.example/announce a.example"],
            "\"a.example\" is not a URL of a tracker",
        ),
        (
            &["create", ".", "--tracker", " "],
            "\" \" is not a URL of a tracker",
        ),
        (
            &["create", ".", "--tracker", "udp://tracker.example"],
            "\"udp://tracker.example\": the URL of a udp tracker needs a port",
        ),
        (
            &["create", ".", "--web-seed", "udp://a.example"],
            "\"udp://a.example\" is not a URL of a web seed",
        ),
        (
            &["seed", "x.torrent", "--port", "abc"],
            "a port is a whole number from 0 to 65535",
        ),
        (
            &["download", "x.torrent", "--port", "65536"],
            "a port is a whole number from 0 to 65535",
        ),
        (
            &["seed", "x.torrent", "--bind", "192.0.2.7:80"],
            "it takes an IP address or the name of a network interface",
        ),
    ];
    for (args, expected) in cases {
        let error = home.fails(2, args);
        assert!(
            error.contains(expected) && error.contains("--help"),
            "{args:?}: {error}"
        );
    }
}

#[test]
fn a_torrent_without_a_tracker_is_pointed_out_once() {
    let home = Home::new();
    fs::write(home.path().join("film"), "x").unwrap();
    for (args, notes) in [
        (&["create", "film"][..], 1),
        (
            &[
                "create",
                "film",
                "-o",
                "b.torrent",
                "--tracker",
                "udp://a.example:1",
            ],
            0,
        ),
    ] {
        let output = home.run(args);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), notes, "{said}");
        assert_eq!(said.matches("names no tracker").count(), notes, "{said}");
        assert_eq!(said.matches("--tracker URL").count(), notes, "{said}");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains(": 1 B in 1 piece of "), "{printed}");
    }
}

#[test]
fn what_needs_no_settings_works_with_wrong_ones() {
    let home = Home::new();
    home.holiday();
    fs::create_dir_all(home.path().join(".config/dtorrent")).unwrap();
    for path in ["bad.toml", ".config/dtorrent/config.toml"] {
        fs::write(home.path().join(path), "[network]\nport = 70000\n").unwrap();
    }
    for given in [&[][..], &["--config", "bad.toml"]] {
        let with = |args: &[&'static str]| [args, given].concat();
        home.ok(&with(&["show", "holiday.torrent"]));
        home.ok(&with(&["verify", "holiday.torrent", "--dir", "."]));
        home.ok(&with(&["create", "holiday", "-o", "again.torrent"]));
        fs::remove_file(home.path().join("again.torrent")).unwrap();
        let error = home.fails(
            1,
            &with(&["create", "holiday", "-o", "again.torrent", "--tracker-node"]),
        );
        assert!(error.contains("port = 70000"), "{error}");
    }
}

#[test]
fn no_help_promises_magnet_links() {
    let home = Home::new();
    for command in ["show", "verify", "create", "download", "seed"] {
        let help = home.ok(&[command, "--help"]);
        assert!(!help.contains("MAGNET"), "{help}");
    }
}
