//! Everything has a name for those who do not see it, and can be reached without a pointer.

use crate::desktop::Desktop;
use crate::eyes::Eyes;
use crate::source::Source;

/// What each window is opened with, what is in it, and its title.
const WINDOWS: [(&str, &str, &str); 6] = [
    ("ctrl+comma", "Speed Limits", "Preferences"),
    ("ctrl+n", "Nothing chosen yet", "Create a Torrent"),
    ("ctrl+shift+o", "Link", "Add from a Link"),
    ("ctrl+question", "Open torrent files", "Keyboard Shortcuts"),
    ("log", "listening on [", "Log"),
    ("statistics", "This Session", "Statistics"),
];

#[test]
fn every_control_has_a_name() {
    let desktop = Desktop::start();
    let source = Source::lecture(&desktop);
    let program = desktop.start_program(1, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Downloading");
    for page in ["Overview", "Peers", "Files", "Trackers"] {
        eyes.press(page);
        eyes.wait_all_named();
    }
    for (way, inside, title) in WINDOWS {
        if way.contains('+') {
            desktop.keyboard("DTorrent", "key", way);
        } else {
            eyes.press("Main Menu");
            eyes.press(title);
        }
        eyes.wait_for(inside);
        eyes.wait_all_named();
        desktop.keyboard(title, "key", "Escape");
        eyes.wait_gone(inside);
        eyes.look_beyond();
    }
    eyes.wait_for("Downloading");
}

/// The way of a torrent through its whole life, by keys alone.
#[test]
fn a_torrent_needs_no_pointer() {
    let desktop = Desktop::start();
    let source = Source::lecture(&desktop);
    let program = desktop.start_program(1, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Downloading");
    eyes.wait_focus(" (list item)");
    desktop.keyboard("DTorrent", "key", "space");
    eyes.wait_for("Paused");
    desktop.keyboard("DTorrent", "key", "space");
    eyes.wait_for("Downloading");
    desktop.keyboard("DTorrent", "key", "ctrl+f");
    desktop.keyboard("DTorrent", "type", "nothing like it");
    eyes.wait_for("Nothing Matches");
    desktop.keyboard("DTorrent", "key", "Escape");
    eyes.wait_focus(" (list item)");
    desktop.keyboard("DTorrent", "key", "Delete");
    eyes.wait_for("0 torrents");
    desktop.keyboard("DTorrent", "key", "ctrl+z");
    eyes.wait_for("1 torrent ");
}
