//! The order of the list, which is that of the queue, changed by keys and by the menu.

use crate::PROGRAM;
use crate::desktop::Desktop;
use crate::eyes::Eyes;
use crate::source::torrent;

#[test]
fn a_torrent_moves_in_the_queue() {
    let desktop = Desktop::start();
    let torrents = ["first.bin", "second.bin", "third.bin"].map(|name| torrent(&desktop, name));
    let mut program = desktop.start_program(0, &[&torrents[0]]);
    let mut eyes = Eyes::of(&desktop, &program.0);
    wait_for_order(&mut eyes, &["first.bin"]);
    // What is opened last is chosen.
    for (torrent, order) in torrents[1..].iter().zip([
        &["first.bin", "second.bin"][..],
        &["first.bin", "second.bin", "third.bin"],
    ]) {
        let second = desktop.command(PROGRAM).arg(torrent).status().unwrap();
        assert!(second.success(), "{second}");
        wait_for_order(&mut eyes, order);
    }
    eyes.wait_value("Name", "third.bin");

    desktop.keyboard("DTorrent", "key", "alt+Up");
    wait_for_order(&mut eyes, &["first.bin", "third.bin", "second.bin"]);
    desktop.keyboard("DTorrent", "key", "alt+Up");
    wait_for_order(&mut eyes, &["third.bin", "first.bin", "second.bin"]);
    desktop.keyboard("DTorrent", "key", "alt+Down");
    wait_for_order(&mut eyes, &["first.bin", "third.bin", "second.bin"]);
    desktop.keyboard("DTorrent", "key", "alt+End");
    wait_for_order(&mut eyes, &["first.bin", "second.bin", "third.bin"]);
    eyes.action("win.torrent-menu");
    eyes.press("Place in the Queue");
    eyes.press("To the Top");
    wait_for_order(&mut eyes, &["third.bin", "first.bin", "second.bin"]);
    assert_eq!(
        eyes.value("Name").as_deref(),
        Some("third.bin"),
        "it stays chosen"
    );
    desktop.keyboard("DTorrent", "key", "Down");
    eyes.wait_value("Name", "first.bin");

    // That they do not go on behind a closed window can be read.
    eyes.action("window.close");
    eyes.wait_for("3 downloads are saved and go on when DTorrent is opened again.");
    assert!(program.wait().success());
}

/// Waits until the list shows these torrents in this order. In a row the state and the size stand behind the name.
pub fn wait_for_order(eyes: &mut Eyes, order: &[&str]) {
    eyes.wait(&format!("{order:?}"), |eyes| {
        let labels = eyes.labels();
        let rows = labels
            .windows(2)
            .filter(|pair| pair[1].starts_with("Downloading · "));
        rows.map(|pair| &pair[0]).eq(order).then_some(())
    });
}
