//! The preferences: what they do to the settings file and to the client that runs, and what edits of the file do to
//! them; the alternative limits, and the statistics.

use std::fs;
use std::net::TcpListener;

use dtorrent::config::Config;

use crate::desktop::{Desktop, wait_until};
use crate::eyes::Eyes;
use crate::source::{Source, fill};

const LIMIT: &str = "Download Limit (KiB/s)";

/// What the settings file says.
fn text(desktop: &Desktop) -> String {
    fs::read_to_string(desktop.path("config.toml")).unwrap()
}

fn wait_for_file(desktop: &Desktop, what: &str, is_it: impl Fn(&Config) -> bool) {
    wait_until(what, || {
        let config = Config::load(&desktop.path("config.toml")).unwrap();
        is_it(&config).then_some(())
    });
}

fn wait_for_entry(eyes: &mut Eyes, name: &str, text: &str) {
    eyes.wait(&format!("{text} in {name}"), |eyes| {
        eyes.read(name).filter(|found| found == text)
    });
}

#[test]
fn a_key_is_changed_in_the_file_and_in_the_client_at_once() {
    let desktop = Desktop::start();
    let mut program = desktop.start_program_with("[memory]\nopen_files = 64 # mine\n");
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");
    desktop.keyboard("DTorrent", "key", "ctrl+comma");
    eyes.wait_for("Speed Limits");
    eyes.wait_all_named();

    eyes.write(LIMIT, "300");
    eyes.wait_for("(limit 300");
    wait_for_file(&desktop, "the limit", |config| {
        config.transfer.download_limit_kib == 300
    });
    let written = text(&desktop);
    assert!(written.contains("open_files = 64 # mine\n"), "{written}");

    // What is wrong is refused where it stands.
    for wrong in ["100000001", "-1", "many", ""] {
        eyes.write(LIMIT, wrong);
        eyes.wait_for("Not used: it takes a whole number from 0 to 100000000");
        eyes.write(LIMIT, "300");
        eyes.wait_gone("Not used");
    }
    assert_eq!(text(&desktop), written);

    // So does what an editor makes of the file.
    let edited = written.replace("download_limit_kib = 300", "download_limit_kib = 400");
    fs::write(
        desktop.path("config.toml"),
        edited + "[schedule]\nfrom = \"07:30\"\n",
    )
    .unwrap();
    wait_for_entry(&mut eyes, LIMIT, "400");
    wait_for_entry(&mut eyes, "Begins", "07:30");
    eyes.wait_for("(limit 400");
    eyes.write("Begins", "25:00");
    eyes.wait_for("Not used: it takes a time of the day from 00:00 to 23:59");
    eyes.write("Begins", "9:15");
    wait_for_file(&desktop, "the time", |config| {
        config.schedule.from.to_string() == "09:15"
    });
    wait_for_entry(&mut eyes, "Begins", "09:15");

    // One key, and then all of the page.
    eyes.press("Restore the default of “Begins”");
    wait_for_entry(&mut eyes, "Begins", "08:00");
    eyes.press("Restore the Defaults of This Page");
    wait_for_file(&desktop, "no limit", |config| {
        config.transfer.download_limit_kib == 0
    });
    eyes.press("Undo");
    wait_for_entry(&mut eyes, LIMIT, "400");

    eyes.press("Network");
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = port.local_addr().unwrap().port();
    drop(port);
    eyes.write("Port", &free.to_string());
    eyes.wait_for(&format!("Port {free}"));
    wait_for_file(&desktop, "the port", |config| config.network.port == free);
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn texts_wait_for_a_word_and_folders_for_the_next_start() {
    let desktop = Desktop::start();
    let mut program = desktop.start_program_with("");
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");
    eyes.action("win.preferences");
    eyes.wait_for("Speed Limits");
    let before = text(&desktop);

    // Whoever begins to type searches.
    desktop.keyboard("Preferences", "type", "vpn");
    let found = eyes.place("Address or Interface");
    desktop.click("Preferences", found);
    eyes.wait_focus("Address or Interface (text)");

    eyes.press("Tracker");
    eyes.write("Address for Others", "http://a/");
    eyes.wait_for("Not used: it takes an IP address or a name");
    eyes.write("Address for Others", "");
    eyes.wait_gone("Not used");
    eyes.write("Nodes to Join", "somewhere");
    eyes.wait_for("Not used: it takes addresses with their ports");
    eyes.write("Nodes to Join", "127.0.0.1:1, [::1]:2");
    eyes.wait_gone("Not used");
    eyes.press("Storage");
    let other = desktop.path("other");
    eyes.write("State Folder", &other.display().to_string());
    // Nothing that is half typed counts, and Escape forgets it.
    assert_eq!(text(&desktop), before);
    desktop.keyboard("Preferences", "key", "Escape");
    eyes.wait_gone("Nodes to Join");
    eyes.action("win.preferences");
    eyes.press("Tracker");
    wait_for_entry(&mut eyes, "Nodes to Join", "");
    eyes.write("Nodes to Join", "127.0.0.1:1, [::1]:2");
    eyes.press("Storage");
    eyes.write("State Folder", &other.display().to_string());
    assert_eq!(text(&desktop), before);
    // Whoever closes the window has not taken anything back.
    desktop.keyboard("Preferences", "key", "alt+F4");
    wait_for_file(&desktop, "both texts", |config| {
        config.folders.state == other && config.tracker.join.len() == 2
    });
    eyes.action("win.preferences");
    eyes.press("Storage");
    eyes.wait_for("Takes effect when DTorrent is started again");
    eyes.wait_all_named();
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn a_warning_leads_to_the_setting_that_it_names() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let tracker_port = free.local_addr().unwrap().port();
    drop(free);
    let node = format!("[tracker]\nnode = true\nport = {tracker_port}\njoin = [\"192.0.2.1:6970\"]\n");
    for (edit, problem, row) in [
        (
            ("port = 0\n", format!("port = {port}\n")),
            "choose another one in network.port",
            "Port (text)",
        ),
        (
            ("port = 0\n", "port = 0\nbind = \"nowhere0\"\n".to_owned()),
            "the network interface nowhere0 does not exist",
            "Address or Interface (text)",
        ),
        // It is further down than the window reaches.
        (
            ("[window]\n", format!("{node}[window]\n")),
            "192.0.2.1:6970 in tracker.join",
            "Nodes to Join (text)",
        ),
    ] {
        let desktop = Desktop::start();
        let mut program = desktop.start_program_edited(|text| text.replace(edit.0, &edit.1), &[]);
        let mut eyes = Eyes::of(&desktop, &program.0);
        eyes.wait("the warning", |eyes| {
            let labels = eyes.labels();
            let is_it = |label: &String| label.to_lowercase().contains(&problem.to_lowercase());
            labels.iter().any(is_it).then_some(())
        });
        eyes.press("Preferences");
        eyes.wait_focus(row);
        let name = row.strip_suffix(" (text)").unwrap();
        let place = eyes.wait("the row in view", |eyes| {
            let place = eyes.place(name);
            (place.1 > 0 && place.1 < 800).then_some(place)
        });
        assert!(place.0 > 0, "{place:?}");
        eyes.action("window.close");
        assert!(program.wait().success());
    }
}

#[test]
fn alternative_limits_are_one_click_away() {
    let desktop = Desktop::start();
    let mut program = desktop.start_program_with("");
    let mut eyes = Eyes::of(&desktop, &program.0);
    eyes.wait_for("No Torrents Yet");
    eyes.press("Alternative Limits");
    eyes.wait_for("(limit 512");
    eyes.wait_for("alternative limits by hand");
    wait_for_file(&desktop, "the switch", |config| {
        config.transfer.alternative_limits
    });
    eyes.press("Alternative Limits");
    eyes.wait_gone("limit");
    wait_for_file(&desktop, "the switch", |config| {
        !config.transfer.alternative_limits
    });

    let always = "[schedule]\nenabled = true\nfrom = \"00:00\"\nto = \"00:00\"\n\
                  days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\n";
    fs::write(desktop.path("config.toml"), text(&desktop) + always).unwrap();
    eyes.wait_for("alternative limits by the schedule");
    // Where the schedule has them on, a click is for this once.
    eyes.press("Alternative Limits");
    eyes.wait_gone("limit");
    desktop.keyboard("DTorrent", "key", "ctrl+l");
    eyes.wait_for("alternative limits by the schedule");
    wait_for_file(&desktop, "no switch", |config| {
        !config.transfer.alternative_limits
    });
    eyes.action("window.close");
    assert!(program.wait().success());
}

#[test]
fn statistics_tell_of_this_session_and_of_all() {
    let desktop = Desktop::start();
    fill(&desktop.path("seed/talk.ogg"), 2_000_000);
    let source = Source::new(&desktop, "talk.ogg");
    source.tracker.tell_of(source.port);
    let first = [&*source.torrent];
    for (torrents, session, starts) in [(&first[..], "1.9 MiB", "1 time"), (&[], "0 B", "2 times")] {
        let mut program = desktop.start_program(0, torrents);
        let mut eyes = Eyes::of(&desktop, &program.0);
        eyes.wait_for("Seeding");
        eyes.action("win.statistics");
        eyes.wait(&format!("{session} and {starts}"), |eyes| {
            let labels = eyes.labels();
            let at = |title: &str| labels.iter().position(|label| label == title);
            let (own, all) = (at("This Session")?, at("All Time")?);
            let value = |from: usize, title: &str| {
                let row = labels[from..].iter().position(|label| label == title)?;
                labels.get(from + row + 1).cloned()
            };
            let told = [
                value(own, "Downloaded")?,
                value(all, "Downloaded")?,
                value(all, "Started")?,
            ];
            (told == [session, "1.9 MiB", starts]).then_some(())
        });
        eyes.wait_all_named();
        desktop.keyboard("Statistics", "key", "Escape");
        eyes.action("window.close");
        assert!(program.wait().success());
    }
}
