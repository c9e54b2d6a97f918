//! The ways in: what is asked before a torrent is added, links, and the folder that is watched.

use std::fs;
use std::path::Path;

use crate::PROGRAM;
use crate::desktop::{Desktop, wait_until};
use crate::eyes::Eyes;
use crate::queue;
use crate::source::{PIECE_LENGTH, Source, fill, torrent};
use crate::web::Web;

/// Bytes of each file: pieces end where files do.
const LENGTH: usize = 4 * PIECE_LENGTH as usize;

/// The title of the question for one torrent.
const TITLE: &str = "Add a Torrent";

#[test]
fn a_torrent_is_shown_before_it_is_added() {
    let desktop = Desktop::start();
    let lecture = fill(&desktop.path("seed/course/lecture.ogg"), LENGTH);
    fill(&desktop.path("seed/course/slides/all.pdf"), LENGTH);
    let source = Source::new(&desktop, "course");
    let other = desktop.path("home/elsewhere");
    fs::create_dir(&other).unwrap();
    let mut program = desktop.start_program_that_asks(&[&source.torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("All files, 2 MiB");
    eyes.wait_for(" free");
    eyes.wait_all_named();

    // A folder says what becomes of all that is in it.
    eyes.mark(&desktop, TITLE, "Download slides");
    eyes.wait_for("1 of 2 files, 1 MiB of 2 MiB");
    eyes.press("None");
    eyes.wait_for("Nothing is selected");
    eyes.wait("no way to add nothing", |eyes| {
        eyes.enabled("Add").filter(|can| !can)
    });
    eyes.mark(&desktop, TITLE, "Download lecture.ogg");
    eyes.wait_for("1 of 2 files, 1 MiB of 2 MiB");
    eyes.press("Choose Another Folder");
    eyes.choose_file(&desktop, "Choose a Folder", &other);
    eyes.wait_for(&other.display().to_string());
    eyes.press("Start Paused");
    eyes.press("Fetch in Order");
    // The space bar changes the mark that has the keyboard, and Return adds from there.
    eyes.mark(&desktop, TITLE, "Download slides");
    eyes.wait_for("All files, 2 MiB");
    desktop.keyboard(TITLE, "key", "space");
    eyes.wait_for("1 of 2 files, 1 MiB of 2 MiB");
    desktop.keyboard(TITLE, "key", "Return");
    eyes.wait_gone("1 of 2 files");
    eyes.wait_for("Paused");

    source.tracker.tell_of(source.port);
    eyes.action("win.toggle");
    eyes.wait_for("Seeding");
    assert!(fs::read(other.join("course/lecture.ogg")).unwrap() == lecture);
    assert!(!other.join("course/slides").exists(), "it was not wanted");

    // One that is there already is not asked about again.
    let second = desktop.command(PROGRAM).arg(&source.torrent).status().unwrap();
    assert!(second.success(), "{second}");
    eyes.wait_for("“course” is in the list already");
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn what_is_opened_while_the_program_ends_is_opened_by_the_next_one() {
    let desktop = Desktop::start();
    let torrents = ["first.bin", "second.bin"].map(|name| torrent(&desktop, name));
    let mut program = desktop.start_program(0, &[&torrents[0]]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("Downloading");
    // The goodbye can be read for two seconds at least.
    eyes.action("window.close");
    eyes.wait_for("Until Next Time");
    let second = desktop.command(PROGRAM).arg(&torrents[1]).status().unwrap();
    assert!(second.success(), "{second}");
    // The process goes on as another program, which the eyes must find anew.
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("second.bin");
    eyes.wait_for("Downloading 2");
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn several_torrents_are_one_question() {
    let desktop = Desktop::start();
    let torrents = ["first.bin", "second.bin", "third.bin"].map(|name| torrent(&desktop, name));
    let mut program = desktop.start_program_that_asks(&[&torrents[0], &torrents[1]]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("2 torrents");
    // One that is opened meanwhile joins them.
    let second = desktop.command(PROGRAM).arg(&torrents[2]).status().unwrap();
    assert!(second.success(), "{second}");
    eyes.wait_for("3 torrents");
    eyes.mark(&desktop, "Add 3 Torrents", "Download second.bin");
    eyes.wait_for("2 of 3 files");
    eyes.press("Add");
    eyes.wait_gone("2 of 3 files");
    // Those that were chosen.
    queue::wait_for_order(&mut eyes, &["first.bin", "third.bin"]);

    let again = desktop.command(PROGRAM).arg(&torrents[1]).status().unwrap();
    assert!(again.success(), "{again}");
    eyes.wait_for("1 file");
    desktop.keyboard(TITLE, "key", "Escape");
    eyes.wait_gone("1 file");
    queue::wait_for_order(&mut eyes, &["first.bin", "third.bin"]);
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn a_torrent_comes_from_a_link() {
    let desktop = Desktop::start();
    let file = torrent(&desktop, "linked.bin");
    let web = Web::start(fs::read(file).unwrap());
    let mut program = desktop.start_program_that_asks(&[]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");

    let missing = web.url("/missing");
    eyes.action("win.add-link");
    eyes.write("Link", &missing);
    eyes.press("Fetch");
    eyes.wait_for(&format!(
        "“{missing}”: There is nothing at this address (HTTP status 404)."
    ));
    eyes.press("OK");
    eyes.action("win.add-link");
    eyes.write("Link", "magnet:?xt=urn:btih:0123");
    eyes.press("Fetch");
    eyes.wait_for("Magnet links are not supported yet.");
    eyes.press("OK");

    // Over a redirect.
    eyes.action("win.add-link");
    eyes.write("Link", &web.url("/moved"));
    eyes.press("Fetch");
    eyes.wait_for("1 file");
    eyes.press("Add");
    eyes.wait_for("Added “linked.bin”");
    eyes.wait_for("Downloading");
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn what_appears_in_the_watched_folder_is_added() {
    let desktop = Desktop::start();
    let file = torrent(&desktop, "watched.bin");
    let folder = desktop.path("watched");
    fs::create_dir(&folder).unwrap();
    let watch = |text: String| text.replace("[folders]\n", "[folders]\nwatch = \"watched\"\n");
    let mut program = desktop.start_program_edited(watch, &[] as &[&Path]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");
    fs::write(folder.join("bad.torrent"), "<html>Not found</html>").unwrap();
    fs::rename(file, folder.join("watched.torrent")).unwrap();
    eyes.wait_for("watched.bin");
    eyes.wait_for("Downloading");
    wait_until("its new name", || {
        folder.join("watched.torrent.added").exists().then_some(())
    });
    assert!(!folder.join("watched.torrent").exists());
    eyes.wait_for("bad.torrent was not added: this is a web page");
    eyes.press("OK");
    assert!(folder.join("bad.torrent").exists());
    eyes.action("window.close");
    assert!(program.wait().success());
}
