//! Drag and drop by the mouse: files from another program onto the window, and rows within the list.

use std::path::Path;
use std::process::Stdio;

use crate::desktop::{Desktop, Owned};
use crate::eyes::Eyes;
use crate::queue;
use crate::source::{fill, torrent};

/// The window from which files are dragged, and a place in it.
const FILES: (&str, (i64, i64)) = ("Files to Drag", (60, 60));
/// Where windows do not cover each other.
const BESIDE: (i64, i64) = (0, 300);

#[test]
fn a_torrent_file_that_is_dropped_is_added() {
    let desktop = Desktop::start();
    let torrent = torrent(&desktop, "talk.ogg");
    let mut program = desktop.start_program(0, &[]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");
    let files = offer(&desktop, &torrent);
    desktop.drag(FILES, ("DTorrent", (300, 200)));
    eyes.wait_for("Added “talk.ogg”");
    queue::wait_for_order(&mut eyes, &["talk.ogg"]);
    drop(files);

    // What is no torrent is not added as one: it may be shared.
    fill(&desktop.path("home/course/slides.pdf"), 3_000);
    fill(&desktop.path("home/course/lecture.ogg"), 5_000);
    let _files = offer(&desktop, &desktop.path("home/course"));
    desktop.drag(FILES, ("DTorrent", (300, 200)));
    eyes.wait_for("Create a Torrent");
    eyes.wait("the folder that was dropped", |eyes| {
        let labels = eyes.labels();
        let folder = desktop.path("home").display().to_string();
        let is_it = |label: &String| label.starts_with(&folder) && label.ends_with("2 files · 7.8 KiB");
        (labels.contains(&"course".to_owned()) && labels.iter().any(is_it)).then_some(())
    });
    eyes.press("Cancel");
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn a_row_is_dragged_to_another_place_of_the_queue() {
    let desktop = Desktop::start();
    let torrents = ["first.bin", "second.bin", "third.bin"].map(|name| torrent(&desktop, name));
    let torrents: Vec<&Path> = torrents.iter().map(|torrent| &**torrent).collect();
    let mut program = desktop.start_program(0, &torrents);
    let mut eyes = Eyes::of(&desktop, &program.0);
    let order = |eyes: &mut Eyes, order: [&str; 3]| queue::wait_for_order(eyes, &order);
    order(&mut eyes, ["first.bin", "second.bin", "third.bin"]);
    eyes.wait_gone("Added");
    // Rows, and not texts: the name of the chosen torrent stands beside the list, too.
    let [first, second, third] =
        ["first.bin", "second.bin", "third.bin"].map(|name| eyes.place_of_drawn(name));
    let quarter = (second.1 - first.1) / 4;
    // All that were opened at once may be chosen, and would go along.
    desktop.click("DTorrent", third);
    eyes.wait_focus("third.bin (list item)");
    eyes.wait_value("Name", "third.bin");
    let row = |(x, y): (i64, i64), more: i64| ("DTorrent", (x, y + more));
    // In the upper half of a row it is dropped above, in the lower half below.
    desktop.drag(row(first, 0), row(second, quarter));
    order(&mut eyes, ["second.bin", "first.bin", "third.bin"]);
    desktop.drag(row(third, 0), row(first, -quarter));
    order(&mut eyes, ["third.bin", "second.bin", "first.bin"]);
    eyes.action("window.close");
    assert!(program.wait().success());
}

/// Opens a window with this file or folder in it, beside the program's.
fn offer(desktop: &Desktop, path: &Path) -> Owned {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/window/dragged.py");
    // The binding belongs to Debian's own python.
    let mut files = desktop.command("/usr/bin/python3");
    files.arg(script).arg(path).stderr(Stdio::null());
    let (files, there) = Owned::start(&mut files);
    assert_eq!(there, "there");
    desktop.put("DTorrent", BESIDE);
    desktop.put(FILES.0, (0, 0));
    files
}
