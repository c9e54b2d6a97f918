//! Sharing a file: from the dialog to a peer that has it all.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::process::Stdio;
use std::sync::atomic::AtomicBool;

use dtorrent::config::Config;
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
    // What is said in passing may pass unseen on a busy machine.
    eyes.wait("Info-hash copied", |eyes| {
        eyes.action("win.copy-info-hash");
        let labels = eyes.labels();
        labels.contains(&"Info-hash copied".to_owned()).then_some(())
    });
    eyes.action("win.create");
    eyes.press("File…");
    eyes.choose_file(&desktop, "Choose a File to Share", &talk);
    eyes.wait_for("talk.ogg");
    eyes.write("Trackers", &format!("{}\n", tracker.url()));
    // The copied text goes where the keyboard is.
    desktop.keyboard("Create a Torrent", "key", "alt+m");
    desktop.keyboard("Create a Torrent", "key", "ctrl+v");
    let other_hash = other.metainfo.info.info_hash.to_string();
    eyes.wait("the pasted info-hash", |eyes| {
        eyes.read("Comment").filter(|text| *text == other_hash)
    });
    eyes.wait_all_named();
    share_and_save(&mut eyes);

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
    eyes.wait_value("Info-hash", &metainfo.info.info_hash.to_string());

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

/// Has the torrent made, and its file saved where it is proposed.
fn share_and_save(eyes: &mut Eyes) {
    eyes.press("Share");
    save(eyes);
}

/// Saves the file of a torrent that was made.
fn save(eyes: &mut Eyes) {
    eyes.press("Save Torrent As…");
    eyes.press_away("Save");
    eyes.wait_for("Saved as “");
    eyes.press("Done");
}

#[test]
fn what_is_pasted_is_shared_and_its_torrent_is_at_hand() {
    let desktop = Desktop::start();
    let talk = desktop.path("home/talk.ogg");
    fill(&talk, 3_000_001);
    let settings = format!("[tracker]\naddress = \"127.0.0.1:{}\"\n", free_port());
    let mut program = desktop.start_program_with(&settings);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");
    copy(&desktop, &mut eyes, &talk.display().to_string());
    // What is dropped goes the same way.
    eyes.action("win.paste");
    eyes.wait_for("1 file · 2.8 MiB");
    eyes.wait_for("Proposed: 16 KiB");
    eyes.wait_for("184 pieces");
    // The keyboard is where one key shares it.
    desktop.keyboard("Create a Torrent", "key", "Return");
    eyes.wait_for("“talk.ogg” Is Shared");
    eyes.wait_all_named();
    eyes.press("Copy Torrent File");
    eyes.wait_for("Copied: paste it into a message or a folder");
    let copies = fs::read_dir(desktop.path("cache/dtorrent/shared")).unwrap();
    let folder = copies.map(|entry| entry.unwrap().path()).next().unwrap();
    let copied = folder.join("talk.ogg.torrent");
    let metainfo = Metainfo::parse(&fs::read(&copied).unwrap()).unwrap();
    assert_eq!(metainfo.info.name, "talk.ogg");
    eyes.press("Done");
    eyes.wait_for("Seeding · 2.8 MiB (100 %)");
    // It is a torrent on the clipboard now, that we have already.
    eyes.wait("that it is there already", |eyes| {
        eyes.action("win.paste");
        let labels = eyes.labels();
        let told = labels
            .iter()
            .any(|label| label.contains("is in the list already"));
        told.then_some(())
    });
    eyes.action("window.close");
    assert!(program.wait().success());
}

/// Puts a text on the clipboard, through an entry that is left without an answer.
fn copy(desktop: &Desktop, eyes: &mut Eyes, text: &str) {
    eyes.action("win.add-link");
    eyes.write("Link", text);
    for key in ["ctrl+a", "ctrl+c"] {
        desktop.keyboard("Add from a Link", "key", key);
    }
    eyes.press("Cancel");
    eyes.wait_gone("Add from a Link");
}

/// A loopback port that is free for both protocols.
fn free_port() -> u16 {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    assert!(
        UdpSocket::bind(address).is_ok(),
        "the system gave a port that is in use"
    );
    address.port()
}

#[test]
fn a_file_is_shared_with_no_tracker_but_this_computer() {
    let desktop = Desktop::start();
    let film = desktop.path("home/film.mkv");
    let data = fill(&film, 2_000_003);
    let port = free_port();
    // A loopback address is never found out: it must be asked for.
    let settings = format!("[tracker]\naddress = \"127.0.0.1:{port}\" # for this test\n");
    let mut program = desktop.start_program_with(&settings);
    let mut eyes = Eyes::of(&desktop, &program.0);

    eyes.wait_for("No Torrents Yet");
    eyes.action("win.create");
    eyes.wait_for("Others need only the torrent file");
    eyes.wait_all_named();
    eyes.press("File…");
    eyes.choose_file(&desktop, "Choose a File to Share", &film);
    eyes.wait_for("film.mkv");
    // Nothing listens before somebody wants that.
    assert!(!Config::load(&desktop.path("config.toml")).unwrap().tracker.node);
    eyes.press("Share");
    eyes.wait_for(&format!("Others reach it at 127.0.0.1:{port}."));
    eyes.wait_for("Only programs on this computer reach it.");
    save(&mut eyes);
    eyes.wait_for("Seeding · 1.9 MiB (100 %)");
    eyes.wait_for("Tracker for this computer alone · 1 peer");

    let torrent = desktop.path("home/film.mkv.torrent");
    let metainfo = Metainfo::parse(&fs::read(&torrent).unwrap()).unwrap();
    let urls = ["http", "udp"].map(|scheme| format!("{scheme}://127.0.0.1:{port}/announce"));
    assert_eq!(metainfo.tiers, [urls]);
    // The next start is a tracker as well, and the settings kept their comments.
    let written = fs::read_to_string(desktop.path("config.toml")).unwrap();
    assert!(written.contains("# for this test"), "{written}");
    assert!(Config::load(&desktop.path("config.toml")).unwrap().tracker.node);

    let mut leech = desktop.command("aria2c");
    leech
        .args([
            "--no-conf",
            "--quiet",
            "--disable-ipv6",
            "--enable-dht=false",
            "--seed-time=0",
        ])
        .args([
            "--bt-enable-lpd=false",
            "--enable-peer-exchange=false",
            "--listen-port=20000-60000",
        ])
        .arg(format!("--dir={}", desktop.path("leech").display()))
        .arg(&torrent)
        .stdin(Stdio::null());
    let mut leech = Owned(leech.spawn().expect("aria2 is installed"));
    assert!(leech.wait().success());
    assert!(fs::read(desktop.path("leech/film.mkv")).unwrap() == data);

    // The check mark of the menu ends it.
    eyes.action("win.tracker");
    eyes.wait("the tracker's end", |eyes| {
        let labels = eyes.labels();
        (!labels.iter().any(|label| label.starts_with("Tracker for"))).then_some(())
    });
    wait_until("that the settings say so", || {
        let settings = Config::load(&desktop.path("config.toml")).unwrap();
        (!settings.tracker.node).then_some(())
    });
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn a_tracker_that_cannot_run_says_why() {
    let desktop = Desktop::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let settings = format!("[tracker]\naddress = \"{address}\"\n");
    let mut program = desktop.start_program_with(&settings);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");
    eyes.action("win.create");
    // By hand it starts at once.
    eyes.press("This Computer Is the Tracker");
    eyes.wait_for("Nobody Will Find It Without a Tracker");
    eyes.press("This Computer Is the Tracker");
    eyes.wait_for(&format!(
        "Port {} of this computer cannot be used",
        address.port()
    ));
    // Who changes his mind leaves nothing behind.
    eyes.press("Cancel");
    eyes.wait("the tracker's end", |eyes| {
        let labels = eyes.labels();
        (!labels.iter().any(|label| label.contains("racker:"))).then_some(())
    });
    wait_until("that the settings say so", || {
        let settings = Config::load(&desktop.path("config.toml")).unwrap();
        (!settings.tracker.node).then_some(())
    });
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn what_is_wrong_with_a_torrent_to_be_is_seen_before_it_is_made() {
    let desktop = Desktop::start();
    let film = desktop.path("home/film.mkv");
    fill(&film, 100_000);
    let mut program = desktop.start_program(0, &[]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");
    eyes.action("win.create");
    eyes.press("This Computer Is the Tracker");
    eyes.wait_for("Nobody Will Find It Without a Tracker");
    let can_be_made = |expected| move |eyes: &mut Eyes| eyes.enabled("Share").filter(|is| *is == expected);
    eyes.wait("no way to create", can_be_made(false));
    eyes.press("File…");
    eyes.choose_file(&desktop, "Choose a File to Share", &film);
    eyes.wait_for("film.mkv");
    eyes.wait("a way to create", can_be_made(true));

    eyes.write(
        "Trackers",
        "http://good.example/announce\nhtp://bad.example/announce",
    );
    eyes.wait_for("\"htp://bad.example/announce\" is not a URL of a tracker");
    eyes.wait("no way to create", can_be_made(false));
    eyes.wait_gone("Nobody Will Find It");
    eyes.write("Trackers", "http://good.example/announce");
    eyes.wait_gone("is not a URL of a tracker");
    eyes.wait("a way to create", can_be_made(true));
    // Without any it is a torrent all the same.
    eyes.write("Trackers", "");
    eyes.wait_for("Nobody Will Find It Without a Tracker");
    share_and_save(&mut eyes);
    eyes.wait_for("Seeding · 97.6 KiB (100 %)");
    let metainfo = Metainfo::parse(&fs::read(desktop.path("home/film.mkv.torrent")).unwrap()).unwrap();
    assert!(metainfo.tiers.is_empty());
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn the_file_of_a_torrent_of_the_list_is_saved_as_it_came() {
    let desktop = Desktop::start();
    let source = Source::lecture(&desktop);
    fs::create_dir(desktop.path("downloads")).unwrap();
    let mut program = desktop.start_program(0, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Downloading");
    eyes.wait_gone("Added");
    eyes.action("win.torrent-menu");
    eyes.press("Save Torrent File As…");
    // It is proposed beside the data.
    eyes.press_away("Save");
    eyes.wait_for("Saved as “");
    let saved = fs::read(desktop.path("downloads/lecture.ogg.torrent")).unwrap();
    assert!(saved == fs::read(&source.torrent).unwrap());
    eyes.action("window.close");
    assert!(program.wait().success());
}
