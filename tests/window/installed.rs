//! The program as the session bus starts it, from an installation.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::desktop::{Desktop, wait_until};

const ID: &str = "io.github.dtorrent.DTorrent";

/// Installs the program into a folder of the user, which is given.
pub fn install(desktop: &Desktop) -> PathBuf {
    let prefix = desktop.path("installed");
    let build = Path::new(crate::PROGRAM).parent().unwrap();
    let done = Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("install")
        .arg(format!("PREFIX={}", prefix.display()))
        .arg(format!("BUILD={}", build.display()))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    prefix
}

#[test]
fn the_session_bus_starts_it_and_a_window_opens() {
    let desktop = Desktop::start();
    let prefix = install(&desktop);
    // The user's settings, which keep it on this machine.
    let config = desktop.path("config/dtorrent");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(
        config.join("config.toml"),
        "[network]\nport = 0\nbind = \"127.0.0.1\"\n",
    )
    .unwrap();
    // A bus looks for services in the folder of the user's data as well.
    let services = desktop.path("data/dbus-1/services");
    std::fs::create_dir_all(&services).unwrap();
    let service = format!("share/dbus-1/services/{ID}.service");
    std::fs::copy(prefix.join(service), services.join(format!("{ID}.service"))).unwrap();
    let bus = |method: &str, arguments: &[&str]| {
        call(
            &desktop,
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            method,
            arguments,
        )
    };
    bus("org.freedesktop.DBus.ReloadConfig", &[]).unwrap();

    let application = |method: &str, arguments: &[&str]| {
        let method = format!("org.freedesktop.Application.{method}");
        call(&desktop, ID, "/io/github/dtorrent/DTorrent", &method, arguments)
    };
    application("Activate", &["{}"]).unwrap();
    wait_until("the window", || {
        let mut search = desktop.command("xdotool");
        let found = search
            .args(["search", "--onlyvisible", "--name", "^DTorrent$"])
            .output()
            .unwrap();
        found.status.success().then_some(())
    });
    application("ActivateAction", &["quit", "[]", "{}"]).unwrap();
    wait_until("the end of the program", || {
        let owned = bus("org.freedesktop.DBus.NameHasOwner", &[ID]).unwrap();
        owned.contains("false").then_some(())
    });
}

/// What a method answers.
fn call(
    desktop: &Desktop,
    name: &str,
    path: &str,
    method: &str,
    arguments: &[&str],
) -> Result<String, String> {
    let mut call = desktop.command("gdbus");
    call.args([
        "call",
        "--session",
        "--dest",
        name,
        "--object-path",
        path,
        "--method",
        method,
    ]);
    let done = call.args(arguments).output().unwrap();
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}
