//! Sharing a file: from the dialog to a peer that has it all.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::AtomicBool;

use dtorrent::create::{self, CreateOptions};
use dtorrent::metainfo::Metainfo;

use crate::desktop::{Desktop, Owned, wait_until};
use crate::eyes::Eyes;
use crate::source::{Source, fill, libtorrent};
use crate::tracker::Tracker;

#[test]
fn a_file_is_shared_at_once() {
    let desktop = Desktop::start();
    fill(&desktop.path("seed/other.ogg"), 1000);
    let other = Source::new(&desktop, "other.ogg");
    let tracker = Tracker::start();
    let talk = desktop.path("home/talk.ogg");
    let data = fill(&talk, 3_000_001);
    let mut program = desktop.start_program(0, &[&other.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);

    eyes.wait_for("Downloading");
    eyes.action("win.copy-info-hash");
    eyes.wait_for("Info-hash copied");
    eyes.action("win.create");
    eyes.press("File…");
    // A slash opens the chooser's entry for a path.
    desktop.keyboard("Choose a File to Share", "type", &talk.display().to_string());
    eyes.press("Choose");
    eyes.wait_for("talk.ogg");
    eyes.write("Trackers", &format!("{}\n", tracker.url()));
    // The copied text goes where the keyboard is.
    desktop.keyboard("Create a Torrent", "key", "alt+m");
    desktop.keyboard("Create a Torrent", "key", "ctrl+v");
    let other_hash = other.metainfo.info.info_hash.to_string();
    eyes.wait("the pasted info-hash", |eyes| {
        eyes.read("Comment").filter(|text| *text == other_hash)
    });
    assert_eq!(eyes.nameless(), [""; 0], "buttons without a name");
    eyes.press("Create…");
    eyes.press("Save");

    eyes.wait("a torrent that is shared", |eyes| {
        let labels = eyes.labels();
        labels
            .contains(&"Seeding · 2.8 MiB (100 %)".to_owned())
            .then_some(())
    });
    let written = desktop.path("home/talk.ogg.torrent");
    let metainfo = Metainfo::parse(&fs::read(&written).unwrap()).unwrap();
    let options = CreateOptions {
        path: talk,
        ..CreateOptions::default()
    };
    let expected = create::create(&options, |_, _| (), &AtomicBool::new(false)).unwrap();
    assert_eq!(metainfo.info.info_hash, expected.info.info_hash);
    assert_eq!(metainfo.tiers, [[tracker.url()]]);
    assert_eq!(metainfo.comment, Some(other_hash));
    eyes.wait("its info-hash", |eyes| {
        eyes.value("Info-hash")
            .filter(|value| *value == metainfo.info.info_hash.to_string())
    });

    let announce = wait_until("the first announce", || tracker.announces().first().cloned());
    assert!(announce.contains("left=0&"), "{announce}");
    let port = announce
        .split('&')
        .find_map(|field| field.strip_prefix("port="))
        .unwrap();
    let mut leech = libtorrent();
    leech
        .arg(&written)
        .arg(desktop.path("leech"))
        .arg(format!("127.0.0.1:{port}"))
        .stdin(Stdio::null());
    let (mut leech, _) = Owned::start(&mut leech);
    assert!(leech.wait().success());
    assert!(fs::read(desktop.path("leech/talk.ogg")).unwrap() == data);

    eyes.action("window.close");
    assert!(program.wait().success());
}
