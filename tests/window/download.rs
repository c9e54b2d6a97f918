//! A download from opening the torrent to removing it.

use std::fs;

use crate::PROGRAM;
use crate::desktop::Desktop;
use crate::eyes::Eyes;
use crate::source::{Source, fill};

/// Bytes of the file: enough for the download to be looked at while it runs.
const LENGTH: usize = 6 * 1024 * 1024 + 1;

/// KiB/s; makes a download that lasts until it was looked at, however busy the machine is.
const LIMIT: u32 = 16;

#[test]
fn a_download_from_opening_to_removing() {
    let desktop = Desktop::start();
    let data = fill(&desktop.path("seed/lecture.ogg"), LENGTH);
    let source = Source::new(&desktop, "lecture.ogg");
    source.tracker.tell_of(source.port);
    let mut program = desktop.start_program(LIMIT, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);

    eyes.wait_for("Downloading");
    eyes.wait_all_named();
    eyes.wait_for(&format!("(limit {LIMIT} KiB/s)"));
    reads_the_connection(&mut eyes, &source);
    reads_the_torrent(&mut eyes, &source);
    eyes.action("win.sequential");
    eyes.wait_for("Downloading in order · ");
    assert_eq!(start_or_pause(&desktop, &mut eyes), ["Pause"]);
    desktop.set_limit(0);

    let complete = |eyes: &mut Eyes| eyes.value("Completed").filter(|value| value.contains("100 %"));
    eyes.wait("100 %", complete);
    eyes.wait_value("Pieces verified", "25 of 25");
    eyes.wait_for("Seeding");
    let file = desktop.path("downloads/lecture.ogg");
    assert!(
        fs::read(&file).unwrap() == data,
        "the file differs from that of the seed"
    );

    eyes.action("win.toggle");
    eyes.wait_for("Complete, paused");
    assert_eq!(start_or_pause(&desktop, &mut eyes), ["Start"]);

    refuses_in_the_first_instance(&desktop, &mut eyes);

    eyes.action("win.remove-with-files");
    eyes.wait_for("Keep the files");
    // The keyboard is at the safe answer; the dot stands for the question mark.
    desktop.keyboard("Remove the Torrent.", "key", "Return");
    eyes.wait_gone("Keep the files");
    eyes.wait_value("Name", "lecture.ogg");
    eyes.action("win.remove");
    eyes.wait_for("“lecture.ogg” removed");
    eyes.wait_for("No Torrents Yet");
    eyes.wait_gone("lecture.ogg");
    assert!(file.exists(), "the files were to be kept");

    eyes.action("window.close");
    let status = program.wait();
    assert!(status.success(), "{status}");
}

/// Which of the two the menu of the torrent has.
fn start_or_pause(desktop: &Desktop, eyes: &mut Eyes) -> Vec<String> {
    eyes.action("win.torrent-menu");
    let items = eyes.wait("the menu", |eyes| {
        Some(eyes.items()).filter(|items| items.contains(&"Open Folder".to_owned()))
    });
    desktop.keyboard("DTorrent", "key", "Escape");
    eyes.wait("the menu to close", |eyes| eyes.items().is_empty().then_some(()));
    let both = ["Start", "Pause"];
    items
        .into_iter()
        .filter(|item| both.contains(&item.as_str()))
        .collect()
}

/// The tab *Peers*: one connection, with all that is known of it.
fn reads_the_connection(eyes: &mut Eyes, source: &Source) {
    eyes.press("Peers");
    let peer = format!("127.0.0.1:{}", source.port);
    let row = eyes.wait("the seed's connection", |eyes| {
        let labels = eyes.labels();
        let at = labels.iter().position(|label| *label == peer)?;
        // The states come when the peer has unchoked us.
        let row = labels.get(at..at + 13)?.to_vec();
        row.contains(&"unchoked, not interested".to_owned())
            .then_some(row)
    });
    let [
        _,
        client,
        flags,
        progress,
        down,
        up,
        received,
        sent,
        peer_state,
        own_state,
        connection,
        why,
        peer_id,
    ] = &row[..]
    else {
        panic!("a row has thirteen cells: {row:?}")
    };
    assert!(client.contains("libtorrent"), "{row:?}");
    assert_eq!((&flags[..], &progress[..]), ("D C", "100 %"));
    assert!(down.ends_with("B/s") && up.ends_with("B/s"), "{row:?}");
    assert!(received.ends_with('B') && sent == "0 B", "{row:?}");
    assert_eq!(peer_state, "unchoked, not interested");
    assert!(own_state.ends_with(", interested"), "{row:?}");
    assert_eq!(connection, "TCP, outgoing");
    assert!(why.starts_with("It sends"), "{row:?}");
    assert!(peer_id.starts_with("-LT"), "{row:?}");
}

/// The tab *Overview*: what the torrent says of itself, and where it is fetched from.
fn reads_the_torrent(eyes: &mut Eyes, source: &Source) {
    eyes.press("Overview");
    eyes.wait_value("Pieces", "25 of 256 KiB");
    let info_hash = source.metainfo.info.info_hash.to_string();
    eyes.wait_value("Info-hash", &info_hash);
    eyes.wait_value("Name", "lecture.ogg");
    eyes.wait_value("Size", &format!("6 MiB ({LENGTH} bytes)"));
    eyes.wait_value("Structure", "Single file");
    eyes.wait_for("1 connected, 1 seed");
    eyes.press("Trackers");
    eyes.wait_for(&source.tracker.url());
    eyes.wait_for("Seeds: 7 · Leechers: 3");
    eyes.press("Overview");
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
