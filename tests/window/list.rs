//! The list of torrents: what it shows of them and in which order, and several of them chosen at a time.

use std::fs;
use std::path::PathBuf;

use crate::desktop::{Desktop, Owned};
use crate::eyes::Eyes;
use crate::source::torrent;

/// What stands behind the name in a row begins with one of these.
const STATES: [&str; 7] = [
    "Downloading",
    "Seeding",
    "Complete, paused",
    "Paused",
    "Queued",
    "Checking",
    "↓",
];

/// Three torrents: of the first two the data is there, of the third nothing.
fn start(desktop: &Desktop) -> (Owned, Eyes) {
    let names = ["beta.bin", "Alpha.bin", "gamma.bin"];
    let torrents: Vec<PathBuf> = names.iter().map(|name| torrent(desktop, name)).collect();
    fs::create_dir(desktop.path("downloads")).unwrap();
    for name in &names[..2] {
        fs::copy(desktop.path(name), desktop.path("downloads").join(name)).unwrap();
    }
    let torrents: Vec<_> = torrents.iter().map(PathBuf::as_path).collect();
    let program = desktop.start_program(0, &torrents);
    let mut eyes = Eyes::of(desktop, &program.0);
    wait_rows(&mut eyes, &["beta.bin", "Alpha.bin", "gamma.bin"]);
    eyes.wait_for("Seeding 2");
    (program, eyes)
}

/// The names in the rows of the list, which stands behind its filters.
fn rows(eyes: &mut Eyes) -> Vec<String> {
    let labels = eyes.labels();
    let filters = labels.iter().rposition(|label| label.starts_with("Failed "));
    let labels = &labels[filters.unwrap_or_default()..];
    let is_row = |pair: &&[String]| {
        let shows_state = STATES.iter().any(|state| pair[1].starts_with(state));
        pair[0].ends_with(".bin") && shows_state
    };
    let rows = labels.windows(2).filter(is_row);
    rows.map(|pair| pair[0].clone()).collect()
}

fn wait_rows(eyes: &mut Eyes, expected: &[&str]) {
    eyes.wait(&format!("the rows {expected:?}"), |eyes| {
        (rows(eyes) == expected).then_some(())
    });
}

/// Waits for rows of one line, with a state alone.
fn wait_one_line(eyes: &mut Eyes) {
    eyes.wait("rows of one line", |eyes| {
        eyes.labels().contains(&"Seeding".to_owned()).then_some(())
    });
}

#[test]
fn the_list_is_one_stop_for_tab() {
    let desktop = Desktop::start();
    let (mut program, mut eyes) = start(&desktop);
    let place = eyes.place("beta.bin");
    desktop.click("DTorrent", place);
    eyes.wait_focus("beta.bin (list item)");
    desktop.keyboard("DTorrent", "key", "Down");
    eyes.wait_focus("Alpha.bin (list item)");
    desktop.keyboard("DTorrent", "key", "Tab");
    eyes.wait("the keyboard beside the list", |eyes| {
        eyes.focused().filter(|on| !on.ends_with("(list item)"))
    });
    desktop.keyboard("DTorrent", "key", "shift+Tab");
    eyes.wait_focus("Alpha.bin (list item)");
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn the_list_is_filtered_searched_and_sorted() {
    let desktop = Desktop::start();
    let (mut program, mut eyes) = start(&desktop);
    eyes.wait_all_named();

    eyes.press("Seeding 2");
    wait_rows(&mut eyes, &["beta.bin", "Alpha.bin"]);
    eyes.wait_for("2 of 3 torrents");
    eyes.press("Failed 0");
    eyes.wait_for("Nothing Matches");
    eyes.wait_for("No Torrent Chosen");
    eyes.press("Show All Torrents");
    wait_rows(&mut eyes, &["beta.bin", "Alpha.bin", "gamma.bin"]);

    desktop.keyboard("DTorrent", "key", "ctrl+f");
    desktop.keyboard("DTorrent", "type", "GAM");
    wait_rows(&mut eyes, &["gamma.bin"]);
    eyes.wait_value("Name", "gamma.bin");
    desktop.keyboard("DTorrent", "key", "Escape");
    wait_rows(&mut eyes, &["beta.bin", "Alpha.bin", "gamma.bin"]);

    eyes.press("Main Menu");
    eyes.press("Sort By");
    eyes.press("Name");
    wait_rows(&mut eyes, &["Alpha.bin", "beta.bin", "gamma.bin"]);
    eyes.action("win.reversed");
    wait_rows(&mut eyes, &["gamma.bin", "beta.bin", "Alpha.bin"]);
    // A row of one line says the state and no size.
    eyes.action("win.compact");
    wait_one_line(&mut eyes);
    wait_rows(&mut eyes, &["gamma.bin", "beta.bin", "Alpha.bin"]);
    eyes.wait_all_named();

    eyes.action("window.close");
    assert!(program.wait().success());
    // The next start looks as this one did.
    let mut program = desktop.start_program(0, &[]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    wait_rows(&mut eyes, &["gamma.bin", "beta.bin", "Alpha.bin"]);
    wait_one_line(&mut eyes);
    eyes.wait_value("Name", "gamma.bin");
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn several_are_paused_and_removed_and_come_back() {
    let desktop = Desktop::start();
    let (mut program, mut eyes) = start(&desktop);
    let all = ["beta.bin", "Alpha.bin", "gamma.bin"];
    desktop.keyboard("DTorrent", "key", "ctrl+a");
    eyes.wait_for("3 Torrents Chosen");
    desktop.keyboard("DTorrent", "key", "space");
    eyes.wait_for("3 paused");
    eyes.wait_for("Paused 3");
    // They move together, and stay chosen.
    desktop.keyboard("DTorrent", "key", "Down");
    eyes.wait("one alone", |eyes| eyes.value("Name"));
    desktop.keyboard("DTorrent", "key", "Home");
    desktop.keyboard("DTorrent", "key", "shift+Down");
    eyes.wait_for("2 Torrents Chosen");
    eyes.action("win.to-the-bottom");
    wait_rows(&mut eyes, &["gamma.bin", "beta.bin", "Alpha.bin"]);
    eyes.wait_for("2 Torrents Chosen");
    eyes.action("win.to-the-top");
    wait_rows(&mut eyes, &all);

    desktop.keyboard("DTorrent", "key", "Delete");
    wait_rows(&mut eyes, &["gamma.bin"]);
    eyes.wait_for("2 torrents removed");
    assert!(desktop.path("downloads/beta.bin").exists());
    eyes.press("Undo");
    wait_rows(&mut eyes, &all);
    eyes.wait_for("Paused 3");

    trash_takes_them_and_gives_them_back(&desktop, &mut eyes, &all);
    eyes.action("window.close");
    assert!(program.wait().success());
}

/// Two torrents are chosen, whose data is there.
fn trash_takes_them_and_gives_them_back(desktop: &Desktop, eyes: &mut Eyes, all: &[&str]) {
    let files = ["downloads/beta.bin", "downloads/Alpha.bin"].map(|file| desktop.path(file));
    let before = files.clone().map(|file| fs::read(file).unwrap());
    eyes.action("win.remove-with-files");
    eyes.wait_for("2 torrents will be taken off the list.");
    let folder = desktop.path("downloads");
    eyes.wait_for(&format!("These files in “{}” will go:", folder.display()));
    for file in ["beta.bin (97.6 KiB)", "Alpha.bin (97.6 KiB)"] {
        eyes.wait_for(file);
    }
    desktop.keyboard("Remove the Torrents.", "key", "alt+r");
    eyes.wait_for("2 torrents moved to the trash");
    wait_rows(eyes, &["gamma.bin"]);
    assert!(files.iter().all(|file| !file.exists()));
    eyes.action("win.undo");
    wait_rows(eyes, all);
    assert_eq!(files.map(|file| fs::read(file).unwrap()), before);
    // Nothing was changed, so nothing is checked.
    eyes.wait_for("Complete, paused");
    eyes.wait_for("Paused 3");
}

#[test]
fn only_the_limit_that_was_touched_is_set_for_several() {
    const DOWNLOAD: &str = "Download limit in KiB/s";
    const UPLOAD: &str = "Upload limit in KiB/s";
    let desktop = Desktop::start();
    let (mut program, mut eyes) = start(&desktop);
    eyes.wait_gone("Added");
    let limits = |eyes: &mut Eyes, name: &str, down: Option<u64>, up: Option<u64>| {
        let row = eyes.place_of_drawn(name);
        desktop.click("DTorrent", row);
        eyes.wait(&format!("the limits of {name}"), |eyes| {
            let is_shown = eyes.value("Name").is_some_and(|shown| shown == name);
            let has = |eyes: &mut Eyes, title: &str, limit: Option<u64>| {
                eyes.value(title).is_some_and(|value| match limit {
                    Some(kib) => value.contains(&format!("(limit {kib} KiB/s)")),
                    None => !value.contains("limit"),
                })
            };
            (is_shown && has(eyes, "Download", down) && has(eyes, "Upload", up)).then_some(())
        });
    };
    let set = |eyes: &mut Eyes, title: &str, name: &str, kib: &str| {
        eyes.action("win.limits");
        let (x, y) = eyes.place_of_drawn(name);
        // Beside its buttons.
        desktop.click(title, (x - 30, y));
        desktop.keyboard(title, "key", "ctrl+a");
        desktop.keyboard(title, "type", kib);
        desktop.keyboard(title, "key", "Return");
        eyes.wait_gone("0 means no limit.");
    };
    limits(&mut eyes, "beta.bin", None, None);
    set(&mut eyes, "Limit This Torrent", DOWNLOAD, "7");
    limits(&mut eyes, "beta.bin", Some(7), None);
    limits(&mut eyes, "Alpha.bin", None, None);

    desktop.keyboard("DTorrent", "key", "ctrl+a");
    eyes.wait_for("3 Torrents Chosen");
    // Of what they do not share no number is shown.
    eyes.action("win.limits");
    assert_eq!(eyes.description(DOWNLOAD), "different");
    assert_eq!(eyes.description(UPLOAD), "");
    eyes.press("Cancel");
    eyes.wait_gone("0 means no limit.");
    set(&mut eyes, "Limit These Torrents", UPLOAD, "30");
    for (name, down) in [("Alpha.bin", None), ("gamma.bin", None), ("beta.bin", Some(7))] {
        limits(&mut eyes, name, down, Some(30));
    }
    eyes.action("window.close");
    assert!(program.wait().success());
}
