//! The real window, driven as a person with a screen reader would: through the accessibility bus, and by keys
//! where a file chooser wants them. Each test has a screen, a session bus and folders of its own.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::print_stdout)]

mod accessibility;
mod adding;
mod background;
mod desktop;
mod details;
mod download;
mod drag;
mod edge;
mod eyes;
mod files;
mod installed;
mod list;
mod log;
mod narrow;
mod overwriting;
mod preferences;
mod queue;
mod ring;
mod seeding;
mod sharing;
mod source;
mod steady;
#[allow(dead_code, reason = "one story needs a part of it")]
#[path = "../support/mod.rs"]
mod support;
mod tracker;
mod translated;
mod web;

use std::process::Command;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_dtorrent");

#[test]
fn without_a_display_there_is_one_sentence() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .args(arguments);
        command.output().unwrap()
    };
    let refused = run(&[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.starts_with("dtorrent: there is no display") && said.lines().count() == 1,
        "{said}"
    );

    assert!(run(&["--help"]).status.success());
    assert_eq!(
        run(&["--version"]).stdout,
        format!("dtorrent {}\n", env!("CARGO_PKG_VERSION")).as_bytes()
    );
    assert_eq!(run(&["--nonsense"]).status.code(), Some(2));
}
