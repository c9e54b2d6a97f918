//! A folder of which one file is not wanted at first, and what is asked of its tracker meanwhile.

use std::fs;

use crate::desktop::Desktop;
use crate::eyes::Eyes;
use crate::source::{PIECE_LENGTH, Source, fill};

/// Bytes of each file: pieces end where files do, so that a file that is not wanted is not touched at all.
const LENGTH: usize = 4 * PIECE_LENGTH as usize;

#[test]
fn an_unwanted_file_is_left_out_until_it_is_wanted() {
    let desktop = Desktop::start();
    let lecture = fill(&desktop.path("seed/course/lecture.ogg"), LENGTH);
    let slides = fill(&desktop.path("seed/course/slides/all.pdf"), LENGTH);
    let source = Source::new(&desktop, "course");
    let mut program = desktop.start_program(0, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);

    // Menus open beside what can be seen of the page, which is all of it now.
    eyes.action("window.toggle-maximized");
    // While the tracker tells of nobody nothing can be fetched too early.
    eyes.press("Trackers");
    eyes.wait_for("Working · tier 1 · next announce in 29 min");
    // Sooner than the tracker asked for, but not at once: that is for trackers to allow.
    eyes.action("win.announce");
    eyes.wait("a sooner announce", |eyes| {
        let labels = eyes.labels();
        let status = labels.iter().find(|label| label.starts_with("Working"))?;
        (!status.contains("29 min")).then_some(())
    });

    eyes.press("Files");
    eyes.wait_value("all.pdf", "1 MiB · 0 %");
    set_priority(&mut eyes, "slides", "Skip");
    eyes.press("Overview");
    eyes.wait_value("Completed", "0 B of 1 MiB (0 %)");

    // Another start is another announce.
    source.tracker.tell_of(source.port);
    eyes.action("win.toggle");
    eyes.wait_for("Paused");
    eyes.action("win.toggle");
    eyes.wait_value("Completed", "1 MiB (100 %)");
    let folder = desktop.path("downloads/course");
    assert!(fs::read(folder.join("lecture.ogg")).unwrap() == lecture);
    assert!(!folder.join("slides").exists(), "it was not wanted");
    eyes.press("Files");
    eyes.wait_value("all.pdf", "1 MiB · 0 %");

    // What was never fetched is not the torrent's own, and would stay if somebody had it there.
    eyes.action("win.remove-with-files");
    eyes.wait_for("downloads” will go:");
    eyes.wait_for("course/lecture.ogg (1 MiB)");
    assert!(!eyes.labels().iter().any(|label| label.contains("all.pdf (")));
    eyes.press("Cancel");

    set_priority(&mut eyes, "all.pdf", "High");
    eyes.press("Overview");
    eyes.wait_value("Completed", "2 MiB (100 %)");
    assert!(fs::read(folder.join("slides/all.pdf")).unwrap() == slides);

    eyes.action("window.close");
    assert!(program.wait().success());

    // A file that has gone is fetched again, and that is said for as long as it takes.
    fs::remove_file(folder.join("slides/all.pdf")).unwrap();
    let mut program = desktop.start_program(16, &[]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("“course/slides/all.pdf” was missing from");
    desktop.set_limit(0);
    eyes.wait_for("Seeding");
    eyes.wait_gone("was missing from");
    assert!(fs::read(folder.join("slides/all.pdf")).unwrap() == slides);
    eyes.action("window.close");
    assert!(program.wait().success());
}

/// Chooses from the menu of a file or folder, and waits until the engine has taken it over.
fn set_priority(eyes: &mut Eyes, name: &str, priority: &str) {
    eyes.press(&format!("Priority of {name}"));
    eyes.press(priority);
    eyes.wait(priority, |eyes| {
        let labels = eyes.labels();
        let at = labels.iter().position(|label| label == name)?;
        // Name, status, priority.
        (labels.get(at + 2)? == priority).then_some(())
    });
}
