//! A narrow window: list and torrent one after the other, and a dialog that fits.

use crate::desktop::Desktop;
use crate::eyes::Eyes;
use crate::source::{Source, fill};

/// As wide as a telephone, and the border that a desktop without shadows draws.
const WIDTH: u32 = 360 + 10;

/// Where the keyboard is in the list, and where it is in the torrent: that tells which of them is shown.
const LIST: &str = " (list item)";
const TORRENT: &str = "Back (push button)";

#[test]
fn a_narrow_window_leads_to_the_torrent_and_back() {
    let desktop = Desktop::start();
    // Folders in folders leave little room for what is in them.
    fill(
        &desktop.path("seed/lecture.ogg/first/second/third/fourth/a long name of a file.ogg"),
        100_000,
    );
    let source = Source::new(&desktop, "lecture.ogg");
    let mut program = desktop.start_program(0, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Downloading");
    // Escape would put this away first.
    eyes.wait_gone("Added “lecture.ogg”");
    assert_eq!(desktop.resize("DTorrent", WIDTH), WIDTH);
    eyes.wait_focus("lecture.ogg (list item)");
    for back in ["Escape", "alt+Left"] {
        desktop.keyboard("DTorrent", "key", "alt+Return");
        eyes.wait_focus(TORRENT);
        desktop.keyboard("DTorrent", "key", back);
        eyes.wait_focus(LIST);
    }
    desktop.keyboard("DTorrent", "key", "Return");
    eyes.wait_focus(TORRENT);
    for page in ["Peers", "Files", "Trackers"] {
        eyes.press(page);
        eyes.wait_all_named();
        assert_eq!(desktop.width("DTorrent"), WIDTH, "{page}");
    }
    eyes.press("Back");
    eyes.wait_focus(LIST);

    eyes.action("win.create");
    eyes.wait_for("Nothing chosen yet");
    let width = desktop.width("Create a Torrent");
    assert!(width <= WIDTH, "{width}");
    eyes.press("Cancel");
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn every_filter_can_be_seen_and_clicked() {
    let desktop = Desktop::start();
    let source = Source::lecture(&desktop);
    let mut program = desktop.start_program(0, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Downloading 1");
    eyes.wait_gone("Added “lecture.ogg”");
    assert_eq!(desktop.resize("DTorrent", WIDTH), WIDTH);
    let filters = ["All 1", "Downloading 1", "Seeding 0", "Paused 0", "Failed 0"];
    eyes.wait("all filters within the window", |eyes| {
        let places = filters.map(|filter| eyes.place(filter));
        places
            .iter()
            .all(|(x, _)| (1..i64::from(WIDTH)).contains(x))
            .then_some(())
    });
    let place = eyes.place("Failed 0");
    desktop.click("DTorrent", place);
    eyes.wait_for("0 of 1 torrent");
    let place = eyes.place("All 1");
    desktop.click("DTorrent", place);
    eyes.wait_gone("0 of 1 torrent");
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn a_click_leads_to_the_torrent_that_was_clicked() {
    let desktop = Desktop::start();
    let sources = ["first.ogg", "second.ogg"].map(|name| {
        fill(&desktop.path(&format!("seed/{name}")), 100_000);
        Source::new(&desktop, name)
    });
    // Without animations the list is gone at once: before it has chosen the row itself.
    desktop.keep_still();
    let mut program = desktop.start_program(0, &[&sources[0].torrent, &sources[1].torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    for name in ["first.ogg", "second.ogg"] {
        eyes.wait_for(name);
        eyes.wait_gone(&format!("Added “{name}”"));
    }
    eyes.wait_gone("Added 2 torrents");
    assert_eq!(desktop.resize("DTorrent", WIDTH), WIDTH);
    eyes.wait_focus(LIST);
    for name in ["first.ogg", "second.ogg", "first.ogg"] {
        let place = eyes.place(name);
        desktop.click("DTorrent", place);
        eyes.wait_focus(TORRENT);
        // The list has each name once, and the torrent has its own.
        eyes.wait(&format!("{name} and no other"), |eyes| {
            let labels = eyes.labels();
            let count = |name| labels.iter().filter(|label| *label == name).count();
            let others = ["first.ogg", "second.ogg"]
                .into_iter()
                .filter(|other| *other != name);
            (count(name) > 1 && others.map(count).sum::<usize>() == 1).then_some(())
        });
        desktop.keyboard("DTorrent", "key", "Escape");
        eyes.wait_focus(LIST);
    }
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn a_window_of_any_width_is_laid_out_without_a_complaint() {
    // What appears in the middle of a layout has to wait for the next one; animations would hide that.
    for still in [true, false] {
        let desktop = Desktop::start();
        if still {
            desktop.keep_still();
        }
        let source = Source::lecture(&desktop);
        let (mut program, complaints) = desktop.start_program_heard(&[&source.torrent]);
        let mut eyes = Eyes::of(&desktop, &program.0);
        eyes.wait_for("Downloading 1");
        eyes.wait_gone("Added “lecture.ogg”");
        eyes.wait_focus(LIST);
        for page in ["Overview", "Peers"] {
            eyes.press(page);
            for width in [WIDTH, 1180, 560] {
                assert_eq!(desktop.resize("DTorrent", width), width);
                // It has been laid out once it answers.
                eyes.wait_for("Overview");
            }
        }
        eyes.action("win.ring");
        for width in [WIDTH, 900] {
            desktop.resize("Tracker Ring", width);
            eyes.wait_for("Make this computer a tracker");
        }
        desktop.keyboard("Tracker Ring", "key", "Escape");
        eyes.action("window.close");
        assert!(program.wait().success());
        let said = std::fs::read_to_string(complaints).unwrap();
        // What somebody who looks at a widget that is about to go makes GTK say is none of these.
        let of_sizes = ["allocate", "reported min", "Trying to measure", "needs at least"];
        let said: Vec<&str> = said
            .lines()
            .filter(|line| of_sizes.iter().any(|of_size| line.contains(of_size)))
            .collect();
        assert!(said.is_empty(), "{said:#?}");
    }
}
