//! What has brought the window down once, by faults of the libraries below it that it steps around now. In all of these
//! tests memory that is freed is written over, so that whoever still reads it falls here.

use crate::desktop::Desktop;
use crate::eyes::Eyes;
use crate::source::Source;

/// libadwaita 1.2 frees a toast that goes before it has come, and then has it come.
#[test]
fn messages_may_come_quickly() {
    let desktop = Desktop::start();
    let source = Source::lecture(&desktop);
    let mut program = desktop.start_program(1, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Downloading");
    eyes.wait("Info-hash copied", |eyes| {
        eyes.action("win.copy-info-hash");
        eyes.labels()
            .contains(&"Info-hash copied".to_owned())
            .then_some(())
    });
    for _ in 0..15 {
        eyes.action("win.copy-info-hash");
    }
    eyes.wait_gone("Info-hash copied");
    eyes.action("window.close");
    assert!(program.wait().success());
}

/// A gesture keeps what was clicked, and GTK 4.8 falls over a tab that goes before what is in it.
#[test]
fn a_window_may_close_after_a_double_click_on_a_tab() {
    let desktop = Desktop::start();
    let mut program = desktop.start_program(0, &[]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");
    for _ in 0..3 {
        desktop.keyboard("DTorrent", "key", "ctrl+comma");
        eyes.wait_for("Speed Limits");
        // The second of five, which are at the lower edge where it is narrow.
        desktop.resize("Preferences", 370);
        desktop.double_click("Preferences", (111, 772));
        eyes.wait_for("Incoming Connections");
        desktop.keyboard("Preferences", "key", "Escape");
        eyes.wait_gone("Incoming Connections");
    }
    eyes.action("window.close");
    assert!(program.wait().success());
}
