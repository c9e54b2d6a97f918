//! The log window: lines as they come, and those that are looked for.

use std::fs;

use crate::desktop::Desktop;
use crate::eyes::Eyes;

#[test]
fn the_log_is_followed_and_searched() {
    let desktop = Desktop::start();
    // Only what is in view can be read: of so many lines the newest.
    let old: String = (0..1_500)
        .map(|line| format!("2026-01-01 00:00:00.000 [INFO] dtorrent: old line {line}\n"))
        .collect();
    fs::write(desktop.path("dtorrent.log"), old).unwrap();
    let program = desktop.start_program(0, &[]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");
    eyes.press("Main Menu");
    eyes.press("Log");
    eyes.wait_for("listening on [");

    desktop.keyboard("Log", "type", "SETTINGS WERE");
    eyes.wait_for("No Such Lines");
    eyes.wait_gone("listening on [");
    // The program logs that it has taken over the edited file, while the window looks on.
    desktop.set_limit(123);
    eyes.wait_for("the settings were taken over");
    desktop.keyboard("Log", "key", "ctrl+a");
    desktop.keyboard("Log", "key", "BackSpace");
    eyes.wait_for("listening on [");
    eyes.wait_all_named();

    desktop.keyboard("Log", "key", "Escape");
    eyes.wait_gone("listening on [");
}
