//! `make install`, as a packager calls it: what lands where, and whether the tools of a desktop take it.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const PROGRAMS: [&str; 3] = ["dtorrent", "dtorrent-cli", "dtracker"];

/// Calls the Makefile with the programs that were built for this test.
fn make(target: &str, destination: &Path) -> Output {
    let build = Path::new(env!("CARGO_BIN_EXE_dtorrent")).parent().unwrap();
    let done = Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([target, "PREFIX=/usr"])
        .arg(format!("DESTDIR={}", destination.display()))
        .arg(format!("BUILD={}", build.display()))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done
}

/// Installs into a folder of its own, which stands for the root of a package.
fn installed() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    make("install", folder.path());
    let root = folder.path().join("usr");
    (folder, root)
}

/// Runs a tool, which must be content; gives what it printed.
fn content<S: AsRef<OsStr>>(tool: &str, arguments: &[S]) -> String {
    let done = Command::new(tool).args(arguments).output().expect(tool);
    let (said, complained) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(
        done.status.success() && complained.is_empty(),
        "{tool}: {said}{complained}"
    );
    said.into_owned()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files
}

#[test]
fn the_programs_run_from_where_they_are_put() {
    let (_folder, root) = installed();
    for program in PROGRAMS {
        let said = content(root.join("bin").join(program).to_str().unwrap(), &["--version"]);
        assert_eq!(said, format!("{program} {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn the_desktop_takes_what_is_for_it() {
    let (_folder, root) = installed();
    let id = "io.github.dtorrent.DTorrent";
    content(
        "desktop-file-validate",
        &[root.join(format!("share/applications/{id}.desktop"))],
    );
    let metainfo = root.join(format!("share/metainfo/{id}.metainfo.xml"));
    content(
        "appstreamcli",
        &[
            OsStr::new("validate"),
            OsStr::new("--no-net"),
            metainfo.as_os_str(),
        ],
    );
    let service = root.join(format!("share/dbus-1/services/{id}.service"));
    let service = std::fs::read_to_string(service).unwrap();
    assert!(
        service.contains("Exec=/usr/bin/dtorrent --gapplication-service"),
        "{service}"
    );
    for icon in [
        format!("scalable/apps/{id}.svg"),
        format!("symbolic/apps/{id}-symbolic.svg"),
    ] {
        assert!(root.join("share/icons/hicolor").join(&icon).exists(), "{icon}");
    }
}

#[test]
fn manual_pages_can_be_read() {
    let (_folder, root) = installed();
    for program in PROGRAMS {
        let page = root.join(format!("share/man/man1/{program}.1"));
        // A macro that is not known, or a line that is, makes groff complain.
        let arguments = [
            "-man",
            "-Kutf8",
            "-Tutf8",
            "-P-bou",
            "-ww",
            page.to_str().unwrap(),
        ];
        let text = content("groff", &arguments);
        for said in ["SYNOPSIS", "EXAMPLES", "FILES"] {
            assert!(text.contains(said), "{said} is not in the page of {program}");
        }
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let (_folder, root) = installed();
    let completion = root.join("share/bash-completion/completions/dtorrent-cli");
    let completed = |line: &str| {
        let script = format!(
            "source {}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _dtorrent_cli dtorrent-cli \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\"",
            completion.display()
        );
        content("bash", &["-c", &script])
    };
    assert_eq!(completed("dtorrent-cli down").trim(), "download");
    assert_eq!(completed("dtorrent-cli download --pe").trim(), "--peer");
    for shell in [
        root.join("share/zsh/site-functions/_dtracker"),
        root.join("share/fish/vendor_completions.d/dtracker.fish"),
    ] {
        assert!(std::fs::read_to_string(shell).unwrap().contains("serve"));
    }
}

#[test]
fn what_was_installed_can_be_taken_away() {
    let (folder, root) = installed();
    assert!(files_below(&root).len() > 20);
    make("uninstall", folder.path());
    assert_eq!(files_below(folder.path()), Vec::<PathBuf>::new());
}
