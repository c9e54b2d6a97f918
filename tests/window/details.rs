//! The tabs of a torrent during a download from a real peer: what each tells, and what can be changed there.

use std::fs;

use dtorrent::metainfo::Metainfo;

use crate::desktop::{Desktop, Owned};
use crate::eyes::Eyes;
use crate::source::{PIECE_LENGTH, Source, fill};

/// KiB/s; makes a download that lasts until it was looked at, however busy the machine is.
const LIMIT: u32 = 16;

#[test]
fn a_piece_is_told_of_with_the_peers_that_have_it() {
    let desktop = Desktop::start();
    let source = course(&desktop);
    let [(_first, lecture), (_second, slides)] = two_peers(&desktop, &source);
    let mut program = desktop.start_program(LIMIT, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    // Both peers are there.
    eyes.wait_value("Availability", "1.00 copies at connected peers");
    // It stands above the map, which moves when it comes.
    eyes.wait_for("The limit of all torrents is reached: 16 KiB/s.");
    let place = eyes.place_of_drawn("Piece map. ");
    // The pointer alone tells as much.
    desktop.point_at("DTorrent", place);
    eyes.wait_for(" · 1 peer has it: 127.0.0.1:");
    desktop.click("DTorrent", place);
    for (key, piece, port) in [
        ("Home", "Piece 0 · lecture.ogg · ", lecture),
        ("End", "Piece 23 · all.pdf · ", slides),
    ] {
        desktop.keyboard("DTorrent", "key", key);
        let holder = format!(" · 1 peer has it: 127.0.0.1:{port} (");
        eyes.wait(&holder, |eyes| {
            let labels = eyes.labels();
            let is_it = |label: &String| label.starts_with(piece) && label.contains(&holder);
            labels.iter().any(is_it).then_some(())
        });
    }
    eyes.action("window.close");
    assert!(program.wait().success());
}

/// A folder of two files, 24 pieces in all.
fn course(desktop: &Desktop) -> Source {
    let piece = PIECE_LENGTH as usize;
    fill(&desktop.path("seed/course/lecture.ogg"), 16 * piece);
    fill(&desktop.path("seed/course/slides/all.pdf"), 8 * piece);
    Source::new(desktop, "course")
}

/// Two peers that the tracker tells of, with their ports: one has the lecture, two thirds of the folder, the other one the
/// slides.
fn two_peers(desktop: &Desktop, source: &Source) -> [(Owned, u16); 2] {
    ["course/lecture.ogg", "course/slides/all.pdf"].map(|file| {
        let (peer, port) = source.peer_with(desktop, file);
        source.tracker.tell_of(port);
        (peer, port)
    })
}

#[test]
fn the_overview_tells_of_pieces_speeds_and_what_makes_it_slow() {
    let desktop = Desktop::start();
    let source = course(&desktop);
    source.tracker.tell_of(source.port);
    let mut program = desktop.start_program(LIMIT, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);

    eyes.wait_for("Downloading");
    eyes.wait_all_named();
    // Pieces: in the map, in its legend, and one by one by the keyboard.
    eyes.wait_image("Piece map. On its way: ", ", Missing: ");
    eyes.wait("the legend", |eyes| {
        let labels = eyes.labels();
        labels
            .iter()
            .any(|label| label.starts_with("Missing: "))
            .then_some(())
    });
    // It stands above the map, which moves when it comes.
    eyes.wait_for("The limit of all torrents is reached: 16 KiB/s.");
    let place = eyes.place_of_drawn("Piece map. ");
    desktop.click("DTorrent", place);
    eyes.wait_for(" · 1 peer has it");
    desktop.keyboard("DTorrent", "key", "Home");
    eyes.wait_for("Piece 0 · lecture.ogg · ");
    desktop.keyboard("DTorrent", "key", "End");
    eyes.wait_for("Piece 23 · all.pdf · ");
    desktop.keyboard("DTorrent", "key", "Left");
    let seed = format!(" · 1 peer has it: 127.0.0.1:{} (", source.port);
    eyes.wait("the piece before the last", |eyes| {
        let labels = eyes.labels();
        let is_it = |label: &String| label.starts_with("Piece 22 · all.pdf · ") && label.contains(&seed);
        labels.iter().any(is_it).then_some(())
    });
    eyes.wait_value("Availability", "1.00 copies at connected peers");

    // Speeds, in words too.
    eyes.wait_image("Speeds of the last minute. Download: now ", ". Upload: now ");
    eyes.press("Hour");
    eyes.wait_image("Speeds of the last hour. Download: now ", ", at most ");

    // Why it is slow, and no more when it is not.
    eyes.wait_for("The limit of all torrents is reached: 16 KiB/s.");
    eyes.wait_for("Raise it in the settings, or pause other torrents.");
    desktop.set_limit(0);
    eyes.wait_value("Pieces verified", "24 of 24");
    eyes.wait_gone("Why Is It Slow?");
    eyes.wait_image("Piece map. Verified: 24", "");
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn a_peer_is_explained_and_banned_and_another_one_added() {
    let desktop = Desktop::start();
    let source = course(&desktop);
    let mut program = desktop.start_program(LIMIT, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    let peer = format!("127.0.0.1:{}", source.port);

    // The tracker tells of nobody: the peer is added by hand, after what is no address was refused in place.
    eyes.wait_for("Downloading");
    eyes.wait_for("No tracker has told of any peer yet.");
    eyes.press("Peers");
    eyes.press("Add Peer…");
    eyes.write("Address of the peer", "127.0.0.1");
    eyes.wait_for("An address and a port, such as");
    assert_eq!(eyes.enabled("Add"), Some(false));
    eyes.write("Address of the peer", &peer);
    eyes.wait("a way to add it", |eyes| eyes.enabled("Add").filter(|is| *is));
    eyes.press("Add");
    eyes.wait_for(&peer);
    eyes.wait_for("TCP, outgoing");
    eyes.wait_for("unchoked, not interested");
    eyes.wait_all_named();

    // In words.
    let place = eyes.place(&peer);
    desktop.click("DTorrent", place);
    eyes.wait_for("D: it lets us download\nC: it has everything");
    eyes.wait_for("Download: It sends");
    eyes.wait_for("Upload: It wants nothing of us");

    // Banned, it is gone, and stays away until the ban is lifted.
    eyes.press("Ban…");
    eyes.wait_for("Nobody at 127.0.0.1 is talked to any more");
    eyes.press("Ban");
    eyes.wait_for("No Connections");
    eyes.press("1 Banned…");
    eyes.press("Lift the ban of 127.0.0.1");
    eyes.wait_for("Nobody is banned.");
    desktop.keyboard("Banned Peers", "key", "Escape");
    eyes.wait_gone("Nobody is banned.");
    eyes.press("Add Peer…");
    eyes.write("Address of the peer", &peer);
    eyes.wait("a way to add it", |eyes| eyes.enabled("Add").filter(|is| *is));
    eyes.press("Add");
    eyes.wait_for(&peer);
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn peers_are_sorted_by_a_title_and_by_a_menu() {
    let desktop = Desktop::start();
    let source = course(&desktop);
    let [(_first, lecture), (_second, slides)] = two_peers(&desktop, &source);
    let mut program = desktop.start_program(LIMIT, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Downloading");
    eyes.press("Peers");
    let address = |port: u16| format!("127.0.0.1:{port}");
    let wait_order = |eyes: &mut Eyes, ports: [u16; 2]| {
        eyes.wait(&format!("the order {ports:?}"), |eyes| {
            let [first, second] = ports.map(address);
            let labels = eyes.labels();
            let at = |text: String| labels.iter().position(|label| *label == text);
            (at(first)? < at(second)?).then_some(())
        });
    };
    eyes.wait_for(&address(lecture));
    eyes.wait_for(&address(slides));

    // By clicks, and what is chosen stays so.
    let row = eyes.place(&address(slides));
    desktop.click("DTorrent", row);
    eyes.wait_for(&format!("{} · ", address(slides)));
    for order in [[slides, lecture], [lecture, slides]] {
        let title = eyes.place("Progress");
        desktop.click("DTorrent", title);
        wait_order(&mut eyes, order);
        eyes.wait_for(&format!("{} · ", address(slides)));
    }

    // By the menu: of numbers the largest come first, of all else the least.
    let sort = |eyes: &mut Eyes, by: &str| eyes.choose_from("Sort Connections", by);
    sort(&mut eyes, "Reversed Order");
    wait_order(&mut eyes, [slides, lecture]);
    let mut ports = [lecture, slides];
    ports.sort_unstable();
    sort(&mut eyes, "IP and Port");
    wait_order(&mut eyes, ports);
    sort(&mut eyes, "Reversed Order");
    wait_order(&mut eyes, [ports[1], ports[0]]);
    sort(&mut eyes, "Progress");
    wait_order(&mut eyes, [lecture, slides]);
    eyes.wait_for(&format!("{} · ", address(slides)));
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn trackers_are_edited_as_a_text() {
    let desktop = Desktop::start();
    let source = course(&desktop);
    let other = crate::tracker::Tracker::start();
    let mut program = desktop.start_program(LIMIT, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);

    eyes.wait_for("Downloading");
    eyes.press("Trackers");
    eyes.wait_for("Working · tier 1 · next announce in 29 min");
    eyes.wait_for("Seeds: 7 · Leechers: 3");
    eyes.wait_all_named();
    eyes.press("Edit Trackers…");
    let text = "Trackers of the torrent";
    eyes.wait("the trackers", |eyes| {
        eyes.read(text).filter(|text| *text == source.tracker.url())
    });
    eyes.write(text, "htp://a/announce");
    eyes.wait_for("\"htp://a/announce\" is not a URL of a tracker");
    assert_eq!(eyes.enabled("Save"), Some(false));
    eyes.write(text, &format!("{}\n\n{}", other.url(), source.tracker.url()));
    eyes.wait("a way to save them", |eyes| eyes.enabled("Save").filter(|is| *is));
    eyes.press("Save");
    eyes.wait_for(&other.url());
    eyes.wait_for("Working · tier 2 · ");
    let info_hash = source.metainfo.info.info_hash;
    let kept = desktop.path(&format!("session/torrents/{info_hash}.torrent"));
    let kept = Metainfo::parse(&fs::read(kept).unwrap()).unwrap();
    assert_eq!(kept.tiers, [[other.url()], [source.tracker.url()]]);

    // With none at all that is said, also where it is asked why nothing comes.
    eyes.press("Edit Trackers…");
    eyes.write(text, "");
    eyes.press("Save");
    eyes.wait_for("This torrent names no tracker.");
    eyes.press("Overview");
    eyes.wait_for("The torrent names no tracker, so nobody tells of peers.");
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn files_are_chosen_by_the_keyboard_and_a_folder_is_all_that_is_in_it() {
    let desktop = Desktop::start();
    let source = course(&desktop);
    let mut program = desktop.start_program(LIMIT, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);

    eyes.wait_for("Downloading");
    eyes.press("Files");
    eyes.wait_for("2 files · 6 MiB");
    eyes.wait_all_named();
    let priority_of = |eyes: &mut Eyes, name: &str| {
        let labels = eyes.labels();
        let at = labels.iter().rposition(|label| label == name)?;
        // Name, status, priority.
        labels.get(at + 2).cloned()
    };
    let wait = |eyes: &mut Eyes, name: &str, priority: &str| {
        eyes.wait(&format!("{priority} of {name}"), |eyes| {
            priority_of(eyes, name).filter(|is| is == priority)
        });
    };
    let place = eyes.place("slides");
    desktop.click("DTorrent", place);
    desktop.keyboard("DTorrent", "key", "space");
    wait(&mut eyes, "slides", "Skip");
    wait(&mut eyes, "all.pdf", "Skip");
    wait(&mut eyes, "lecture.ogg", "Normal");
    eyes.wait_for("2 files · 1 of them not wanted · 6 MiB");
    eyes.wait("what is left of it", |eyes| {
        eyes.press("Overview");
        eyes.value("Completed")
            .filter(|value| value.contains(" of 4 MiB "))
    });
    eyes.press("Files");
    let place = eyes.place("slides");
    desktop.click("DTorrent", place);
    desktop.keyboard("DTorrent", "key", "space");
    wait(&mut eyes, "all.pdf", "Normal");

    // The menu of what is chosen, by the keyboard.
    desktop.keyboard("DTorrent", "key", "shift+F10");
    eyes.press("High");
    wait(&mut eyes, "slides", "High");
    wait(&mut eyes, "all.pdf", "High");
    // Of the folder that holds all, the priorities differ.
    eyes.wait_for("Mixed");
    // And the mark in front of a file, by name.
    let place = eyes.place_of_drawn("Download lecture.ogg");
    desktop.click("DTorrent", place);
    wait(&mut eyes, "lecture.ogg", "Skip");
    eyes.action("window.close");
    assert!(program.wait().success());
}
