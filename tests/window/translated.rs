//! The window in another language than English, what the library says included.

use std::fs;
use std::sync::atomic::AtomicBool;

use dtorrent::create::{self, CreateOptions, Existing};

use crate::desktop::{Desktop, Owned, wait_until};
use crate::eyes::Eyes;
use crate::installed::install;
use crate::source::fill;

#[test]
fn a_spanish_session_has_a_spanish_window_and_an_english_log() {
    let desktop = Desktop::start();
    let prefix = install(&desktop);
    let path = desktop.path("film.mkv");
    fill(&path, 100_000);
    let options = CreateOptions {
        path,
        // Nobody listens there.
        trackers: vec![vec!["http://127.0.0.1:1/announce".to_owned()]],
        ..CreateOptions::default()
    };
    let metainfo = create::create(&options, |_, _| (), &AtomicBool::new(false)).unwrap();
    let (good, damaged) = (desktop.path("film.torrent"), desktop.path("dañado.torrent"));
    create::save(&metainfo, &good, Existing::Keep).unwrap();
    let bytes = fs::read(&good).unwrap();
    fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();

    let mut program = desktop.command(prefix.join("bin/dtorrent"));
    // Each Debian has the locale C.UTF-8, and with any but C itself LANGUAGE says which translations are wanted.
    program.env("LC_ALL", "C.UTF-8").env("LANGUAGE", "es");
    program.arg("--config").arg(desktop.set_limit(0));
    let program = program.args([&good, &damaged]).spawn().unwrap();
    let mut program = Owned(program);
    let mut eyes = Eyes::of(&desktop, &program.0);

    // What is in the templates, what is in the code, and what the library says with its cause.
    eyes.wait_for("No se ha podido abrir");
    eyes.wait_for("«dañado.torrent»: esto no es un torrent, o está dañado: ");
    eyes.press("Aceptar");
    eyes.wait_for("Descargando");
    eyes.press("Menú principal");
    eyes.wait("the menu", |eyes| {
        let items = eyes.items();
        items
            .iter()
            .any(|item| item.starts_with("Preferencias"))
            .then_some(())
    });
    desktop.keyboard("DTorrent", "key", "Escape");
    eyes.press("Rastreadores");
    eyes.wait_for("No se puede contactar con el rastreador: conexión rechazada.\nNivel 1 · próximo anuncio");

    // Whoever is sent the log can read it.
    let told = wait_until("the failure in the log", || {
        let log = fs::read_to_string(desktop.path("dtorrent.log")).ok()?;
        let mut lines = log.lines().map(str::to_owned);
        lines.find(|line| line.contains("announce to"))
    });
    assert!(
        told.ends_with("failed: the tracker cannot be reached: Connection refused"),
        "{told}"
    );
    eyes.action("window.close");
    assert!(program.wait().success());
}
