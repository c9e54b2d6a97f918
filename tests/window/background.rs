//! Closing the window where everything is to go on behind it.

use crate::PROGRAM;
use crate::desktop::Desktop;
use crate::eyes::Eyes;

#[test]
fn a_second_start_brings_the_window_back() {
    let desktop = Desktop::start();
    let mut program = desktop.start_program_with("[window]\nbackground = true\n");
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");
    eyes.action("window.close");
    eyes.wait_gone("No Torrents Yet");
    assert!(program.0.try_wait().unwrap().is_none(), "it goes on");

    let second = desktop.command(PROGRAM).status().unwrap();
    assert!(second.success(), "{second}");
    eyes.wait_for("No Torrents Yet");
    desktop.keyboard("DTorrent", "key", "ctrl+q");
    assert!(program.wait().success());
}
