//! A file of the user's that has the name of what is downloaded.

use std::fs;

use crate::desktop::Desktop;
use crate::eyes::Eyes;
use crate::source::{Source, fill};

#[test]
fn a_file_of_the_users_is_written_over_only_when_he_says_so() {
    let desktop = Desktop::start();
    let data = fill(&desktop.path("seed/course/talk.ogg"), 300_000);
    fill(&desktop.path("seed/course/notes.txt"), 2_000);
    let source = Source::new(&desktop, "course");
    source.tracker.tell_of(source.port);
    // Longer than the torrent's, too.
    let mine = fill(&desktop.path("downloads/course/talk.ogg"), 400_000);
    let mut program = desktop.start_program(0, &[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("course/talk.ogg is in the way");
    eyes.wait_all_named();
    eyes.wait_gone("Added");

    let asked = |eyes: &mut Eyes| {
        let folder = desktop.path("downloads").display().to_string();
        eyes.wait_for(&format!("These files in “{folder}” were there before"));
        eyes.wait("that file and no other", |eyes| {
            let labels = eyes.labels();
            labels.contains(&"course/talk.ogg".to_owned()).then_some(())
        });
    };
    eyes.press("Overwrite…");
    asked(&mut eyes);
    eyes.wait_all_named();
    // The keyboard is at the safe answer; the dot stands for the question mark.
    desktop.keyboard("Overwrite the Files.", "key", "Return");
    eyes.wait_gone("were there before");
    assert!(fs::read(desktop.path("downloads/course/talk.ogg")).unwrap() == mine);

    // The menu has it as well.
    eyes.action("win.torrent-menu");
    eyes.press("Overwrite Files…");
    asked(&mut eyes);
    desktop.keyboard("Overwrite the Files.", "key", "alt+o");
    eyes.wait("all of it", |eyes| {
        eyes.value("Completed").filter(|value| value.contains("100 %"))
    });
    eyes.wait_gone("is in the way");
    assert!(fs::read(desktop.path("downloads/course/talk.ogg")).unwrap() == data);
    eyes.action("win.torrent-menu");
    let items = eyes.wait("the menu", |eyes| {
        Some(eyes.items()).filter(|items| items.contains(&"Open Folder".to_owned()))
    });
    assert!(!items.contains(&"Overwrite Files…".to_owned()), "{items:?}");
    desktop.keyboard("DTorrent", "key", "Escape");
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn files_in_the_way_of_several_are_asked_about_together() {
    let desktop = Desktop::start();
    let names = ["talk.ogg", "slides.pdf"];
    let data = names.map(|name| fill(&desktop.path(&format!("seed/{name}")), 100_000 + name.len()));
    let sources = names.map(|name| Source::new(&desktop, name));
    for (source, name) in sources.iter().zip(names) {
        source.tracker.tell_of(source.port);
        fill(&desktop.path(&format!("downloads/{name}")), 200_000 + name.len());
    }
    let mut program = desktop.start_program(0, &[&sources[0].torrent, &sources[1].torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Failed 2");
    let row = eyes.place("talk.ogg");
    desktop.click("DTorrent", row);
    desktop.keyboard("DTorrent", "key", "ctrl+a");
    eyes.wait_for("2 Torrents Chosen");
    eyes.action("win.overwrite");
    eyes.wait_for("These files were there before and do not belong to the torrents.");
    for name in names {
        eyes.wait_for(&desktop.path(&format!("downloads/{name}")).display().to_string());
    }
    eyes.wait_all_named();
    desktop.keyboard("Overwrite the Files.", "key", "alt+o");
    eyes.wait_for("Seeding 2");
    for (name, data) in names.iter().zip(data) {
        assert!(
            fs::read(desktop.path(&format!("downloads/{name}"))).unwrap() == data,
            "{name}"
        );
    }
    eyes.action("window.close");
    assert!(program.wait().success());
}
