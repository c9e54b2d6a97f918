//! The edge between list and torrent, and where it is at the next start.

use std::fs;

use crate::desktop::Desktop;
use crate::eyes::Eyes;
use crate::queue::wait_for_order;
use crate::source::torrent;

const EDGE: &str = "Edge of the list";

/// The border that a desktop without shadows draws; places are told from within it.
const BORDER: i64 = 5;

/// Pixels that a key moves it by.
const STEP: i64 = 20;

#[test]
fn the_edge_of_the_list_is_drawn_and_stays() {
    let desktop = Desktop::start();
    let torrent = torrent(&desktop, "first.bin");
    let mut program = desktop.start_program(0, &[&torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    wait_for_order(&mut eyes, &["first.bin"]);
    eyes.wait_gone("Added");
    let (x, y) = eyes.place_of_drawn(EDGE);
    let from = x + BORDER;
    desktop.drag(("DTorrent", (from, y)), ("DTorrent", (from + 90, y)));
    let at = eyes.wait("the edge further on", |eyes| {
        let (now, _) = eyes.place_of_drawn(EDGE);
        ((now - x - 90).abs() <= 2).then_some(now)
    });

    // The same by keys, from the list and back to it.
    eyes.wait_focus("first.bin (list item)");
    desktop.keyboard("DTorrent", "key", "F8");
    eyes.wait_focus("Edge of the list (separator)");
    desktop.keyboard("DTorrent", "key", "Left");
    wait_edge(&mut eyes, at - STEP);
    desktop.keyboard("DTorrent", "key", "Escape");
    eyes.wait_focus("first.bin (list item)");
    wait_edge(&mut eyes, at);
    desktop.keyboard("DTorrent", "key", "F8");
    eyes.wait_focus("Edge of the list (separator)");
    desktop.keyboard("DTorrent", "key", "Right");
    desktop.keyboard("DTorrent", "key", "Right");
    wait_edge(&mut eyes, at + 2 * STEP);
    desktop.keyboard("DTorrent", "key", "Return");
    eyes.wait_focus("first.bin (list item)");
    eyes.action("window.close");
    assert!(program.wait().success());

    let kept: serde_json::Value =
        serde_json::from_slice(&fs::read(desktop.path("session/window.json")).unwrap()).unwrap();
    let width = kept["list_width"].as_i64().unwrap();
    assert!((1..at + 2 * STEP + 1).contains(&width), "{kept}");
    let mut program = desktop.start_program(0, &[]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    wait_for_order(&mut eyes, &["first.bin"]);
    wait_edge(&mut eyes, at + 2 * STEP);
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn from_right_to_left_the_edge_is_mirrored() {
    let desktop = Desktop::start();
    let torrent = torrent(&desktop, "first.bin");
    // As in Arabic or Hebrew.
    let mut program = desktop.start_program_in(&[("GTK_DEBUG", "invert-text-dir")], &[&torrent]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    wait_for_order(&mut eyes, &["first.bin"]);
    eyes.wait_gone("Added");
    let (x, y) = eyes.place_of_drawn(EDGE);
    let (list, _) = eyes.place_of_drawn("first.bin");
    assert!(list > x, "the list at {list} is right of its edge at {x}");
    let from = x + BORDER;
    desktop.drag(("DTorrent", (from, y)), ("DTorrent", (from - 90, y)));
    let at = eyes.wait("the edge further on", |eyes| {
        let (now, _) = eyes.place_of_drawn(EDGE);
        ((x - now - 90).abs() <= 2).then_some(now)
    });
    desktop.keyboard("DTorrent", "key", "F8");
    eyes.wait_focus("Edge of the list (separator)");
    desktop.keyboard("DTorrent", "key", "Left");
    wait_edge(&mut eyes, at - STEP);
    desktop.keyboard("DTorrent", "key", "Right");
    desktop.keyboard("DTorrent", "key", "Right");
    wait_edge(&mut eyes, at + STEP);
    eyes.action("window.close");
    assert!(program.wait().success());
}

fn wait_edge(eyes: &mut Eyes, x: i64) {
    eyes.wait(&format!("the edge at {x}"), |eyes| {
        (eyes.place_of_drawn(EDGE).0 == x).then_some(())
    });
}
