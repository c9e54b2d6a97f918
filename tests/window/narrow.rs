//! A narrow window: list and torrent one after the other, and a dialog that fits.

use std::fs;

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
    fill(&desktop.path("seed/lecture.ogg"), 100_000);
    let source = Source::new(&desktop, "lecture.ogg");
    let mut program = desktop.start_program(0, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Downloading");
    // Escape would put this away first.
    eyes.wait_gone("Added “lecture.ogg”");
    assert_eq!(desktop.resize("DTorrent", WIDTH), WIDTH);
    eyes.wait_focus(LIST);
    for back in ["Escape", "alt+Left"] {
        desktop.keyboard("DTorrent", "key", "alt+Return");
        eyes.wait_focus(TORRENT);
        desktop.keyboard("DTorrent", "key", back);
        eyes.wait_focus(LIST);
    }
    desktop.keyboard("DTorrent", "key", "Return");
    eyes.wait_focus(TORRENT);
    eyes.press("Back");
    eyes.wait_focus(LIST);

    eyes.action("win.create");
    eyes.wait_for("Nothing chosen yet");
    let width = desktop.width("^Create a Torrent$");
    assert!(width <= WIDTH, "{width}");
    eyes.press("Cancel");
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
    let settings = desktop.path("config/gtk-4.0/settings.ini");
    fs::create_dir_all(settings.parent().expect("it is in a folder")).expect("there is room");
    fs::write(&settings, "[Settings]\ngtk-enable-animations=0\n").expect("there is room");
    let mut program = desktop.start_program(0, &[&sources[0].torrent, &sources[1].torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    for name in ["first.ogg", "second.ogg"] {
        eyes.wait_for(name);
        eyes.wait_gone(&format!("Added “{name}”"));
    }
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
