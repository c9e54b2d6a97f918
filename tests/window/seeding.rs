//! Seeding that ends by itself.

use std::fs;
use std::process::Stdio;

use crate::desktop::{Desktop, Owned};
use crate::eyes::Eyes;
use crate::source::torrent;

const DIALOG: &str = "Limit This Torrent";

/// Waits until what has the keyboard has this name.
fn wait_focus(eyes: &mut Eyes, name: &str) {
    eyes.wait(&format!("the keyboard at {name}"), |eyes| {
        let focused = eyes.focused()?;
        focused.starts_with(name).then_some(())
    });
}

#[test]
fn a_torrent_that_was_shared_enough_is_finished_until_it_is_started_again() {
    let desktop = Desktop::start();
    let film = torrent(&desktop, "film.ogg");
    fs::create_dir(desktop.path("downloads")).unwrap();
    fs::copy(desktop.path("film.ogg"), desktop.path("downloads/film.ogg")).unwrap();
    let listens = |text: String| text.replace("port = 0", "port = 0\nbind = \"127.0.0.1\"");
    let mut program = desktop.start_program_edited(listens, &[&film]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Seeding · 97.6 KiB (100 %)");
    eyes.wait_gone("Added");
    let port = eyes.wait("the port", |eyes| {
        let labels = eyes.labels();
        let told = labels.iter().find_map(|label| label.strip_prefix("Port "))?;
        told.split(':').next()?.parse::<u16>().ok()
    });

    eyes.action("win.limits");
    eyes.wait_all_named();
    // By the keyboard alone; it is the button inside a drop-down that has it.
    for stop in [
        "Upload",
        "Upload limit in KiB/s",
        "Stops Seeding",
        "GtkToggleButton",
    ] {
        desktop.keyboard(DIALOG, "key", "Tab");
        wait_focus(&mut eyes, stop);
    }
    eyes.wait_for("By the preferences: never");
    desktop.keyboard(DIALOG, "key", "space");
    // Items of a list that opens have no names of their own.
    wait_focus(&mut eyes, " (list item)");
    desktop.keyboard(DIALOG, "key", "Down");
    desktop.keyboard(DIALOG, "key", "Return");
    eyes.wait_for("Times its size");
    wait_focus(&mut eyes, "GtkToggleButton");
    for stop in ["Ratio", "Ratio at which it stops seeding"] {
        desktop.keyboard(DIALOG, "key", "Tab");
        wait_focus(&mut eyes, stop);
    }
    desktop.keyboard(DIALOG, "key", "ctrl+a");
    desktop.keyboard(DIALOG, "type", "0.5");
    desktop.keyboard(DIALOG, "key", "Return");
    eyes.wait("the limit", |eyes| {
        let ratio = eyes.value("Ratio")?;
        (ratio == "0.00 (seeds until 0.50)").then_some(())
    });

    let mut leech = desktop.command(env!("CARGO_BIN_EXE_dtorrent-cli"));
    leech
        .args(["download", "--config"])
        .arg(desktop.path("config.toml"))
        .arg("--state")
        .arg(desktop.path("leech-state"))
        .arg("--dir")
        .arg(desktop.path("leech"))
        .args(["--port", "0", "--peer", &format!("127.0.0.1:{port}")])
        .arg(&film)
        .stdin(Stdio::null());
    let _leech = Owned(leech.spawn().unwrap());
    eyes.wait_for("“film.ogg” is finished: it has shared 0.50 times its size");
    eyes.wait_for("Finished · 97.6 KiB (100 %)");
    eyes.wait_for("It has shared 0.50 times its size.");

    // The limit is set aside, so none is told of.
    eyes.action("win.start");
    eyes.wait_for("Seeding · 97.6 KiB (100 %)");
    eyes.wait("the ratio alone", |eyes| {
        let ratio: f64 = eyes.value("Ratio")?.parse().ok()?;
        (ratio >= 0.5).then_some(())
    });
    eyes.action("window.close");
    assert!(program.wait().success());
}
