//! The same data and piece length give the same info-hash here and in other programs.
//!
//! Needs `transmission-create` (package transmission-cli) and the Python binding of libtorrent (package
//! python3-libtorrent); without them the tests fail rather than pass unseen.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail as tests do")]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use dtorrent::create::{CreateOptions, create};
use dtorrent::metainfo::Metainfo;

/// Files in our order. No empty ones, which `transmission-create` leaves out, and only lower-case names, as
/// it sorts without regard to case.
const FILES: &[(&str, usize)] = &[
    ("a.bin", 100_000),
    ("big.bin", 3_000_001),
    ("one", 1),
    ("sub/deep/x.txt", 16_384),
    ("sub/y ü.txt", 77),
    ("z", 65_536),
];

fn write_files(root: &Path, files: &[(&str, usize)]) {
    for (seed, (path, length)) in files.iter().enumerate() {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let content: Vec<u8> = (0..*length).map(|at| (at * 7 + at / 255 + seed) as u8).collect();
        std::fs::write(path, content).unwrap();
    }
}

fn ours(path: &Path, piece_length: u32, private: bool) -> Metainfo {
    let options = CreateOptions {
        path: path.to_owned(),
        piece_length: Some(piece_length),
        trackers: vec![vec!["http://127.0.0.1:1/announce".into()]],
        private,
        ..CreateOptions::default()
    };
    create(&options, |_, _| {}, &AtomicBool::new(false)).unwrap()
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {} {said}", output.status);
}

fn read(path: &Path) -> Metainfo {
    Metainfo::parse(&std::fs::read(path).unwrap()).unwrap()
}

fn transmission(path: &Path, out: &Path, piece_length: u32) -> Metainfo {
    let mut command = Command::new("transmission-create");
    command.args([
        "-p",
        "-t",
        "http://127.0.0.1:1/announce",
        "-s",
        &(piece_length / 1024).to_string(),
    ]);
    run(command.arg("-o").arg(out).arg(path));
    read(out)
}

/// With the files in byte order: by itself libtorrent takes the order in which the file system lists them.
const LIBTORRENT: &str = r#"
import os, sys
import libtorrent as lt
path, out, piece_length, private = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "private"
files = lt.file_storage()
if os.path.isfile(path):
    files.add_file(os.path.basename(path), os.path.getsize(path))
else:
    found = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    found.sort(key=lambda name: os.fsencode(os.path.relpath(name, path)).split(b"/"))
    for name in found:
        files.add_file(os.path.relpath(name, os.path.dirname(path)), os.path.getsize(name))
torrent = lt.create_torrent(files, piece_length, flags=lt.create_torrent.v1_only)
torrent.set_priv(private)
lt.set_piece_hashes(torrent, os.path.dirname(path))
made = torrent.generate()
with open(out, "wb") as file:
    file.write(lt.bencode(made))
print(lt.torrent_info(made).info_hash())
"#;

fn libtorrent(path: &Path, out: &Path, piece_length: u32, private: bool) -> Metainfo {
    let mut command = Command::new("/usr/bin/python3");
    let privacy = if private { "private" } else { "public" };
    command
        .args(["-c", LIBTORRENT])
        .args([path, out])
        .args([&piece_length.to_string(), privacy]);
    run(&mut command);
    read(out)
}

/// `transmission-create` 3 writes `private` even when it is 0, so that only private torrents can be equal.
#[test]
fn transmission_makes_the_same_info_hash() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("top");
    write_files(&top, FILES);
    for piece_length in [16_384, 32_768, 1_048_576] {
        for path in [top.clone(), top.join("big.bin"), top.join("one")] {
            let theirs = transmission(&path, &dir.path().join("t.torrent"), piece_length);
            let own = ours(&path, piece_length, true);
            assert_eq!(
                own.info,
                theirs.info,
                "{} in pieces of {piece_length}",
                path.display()
            );
            assert_eq!(own.tiers, theirs.tiers);
        }
    }
}

#[test]
fn libtorrent_makes_the_same_info_hash() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("top");
    write_files(&top, FILES);
    // What transmission-create cannot be asked for.
    write_files(
        &top,
        &[("Upper", 5), (".hidden", 9), ("empty", 0), ("sub.txt", 3)],
    );
    for piece_length in [16_384, 32_768, 1_048_576] {
        for private in [false, true] {
            for path in [top.clone(), top.join("big.bin"), top.join("one")] {
                let theirs = libtorrent(&path, &dir.path().join("l.torrent"), piece_length, private);
                let own = ours(&path, piece_length, private);
                assert_eq!(
                    own.info,
                    theirs.info,
                    "{} in pieces of {piece_length}",
                    path.display()
                );
            }
        }
    }
}

/// Other clients read what we write, and see the same torrent in it.
#[test]
fn others_read_what_we_write() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("top");
    write_files(&top, FILES);
    let own = ours(&top, 32_768, false);
    let out = dir.path().join("own.torrent");
    std::fs::write(&out, &own.raw).unwrap();
    let script = "import sys, libtorrent as lt; print(lt.torrent_info(sys.argv[1]).info_hash())";
    let libtorrent = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .arg(&out)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&libtorrent.stdout).trim(),
        own.info.info_hash.to_string()
    );
    let show = Command::new("transmission-show").arg(&out).output().unwrap();
    let shown = String::from_utf8_lossy(&show.stdout);
    assert!(
        shown.contains(&format!("Hash: {}", own.info.info_hash)),
        "{shown}"
    );
}
