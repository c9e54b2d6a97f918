//! Our own tracker, as its users start it.

use std::fs;
use std::time::Duration;

use dtorrent::tracker::server::Status;

use super::process::{Process, Program};
use super::stage::{Stage, fresh_address, wait_for};

/// The program.
pub(crate) const PROGRAM: Program = Program::new(env!("CARGO_BIN_EXE_dtracker"), "dtorrent");

/// Only a test that fails waits so long.
const LIMIT: Duration = Duration::from_secs(60);

/// A running tracker, on one address for both protocols.
#[derive(Debug)]
pub(crate) struct Dtracker {
    /// The program.
    pub(crate) process: Process,
    /// `IP:PORT` of both faces.
    pub(crate) address: String,
}

impl Dtracker {
    /// Starts it with these settings and waits until it answers.
    pub(crate) fn start(stage: &Stage, settings: &str) -> Self {
        let address = fresh_address().to_string();
        let config = stage.path("dtracker.toml");
        let log = stage.path("logs/dtracker.own.log");
        fs::write(
            &config,
            format!("{settings}\n[log]\nfile = \"{}\"\n", log.display()),
        )
        .unwrap();
        let arguments = [
            "serve",
            "--config",
            config.to_str().unwrap(),
            "--http",
            &address,
            "--udp",
            &address,
        ];
        let process = Process::start(stage, "dtracker", PROGRAM, arguments);
        let mut tracker = Self { process, address };
        wait_for("the tracker's health", LIMIT, || {
            tracker.process.assert_running();
            (tracker.get("/health")? == "ok\n").then_some(())
        });
        tracker
    }

    /// The body at this path, if it is answered with success.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://{}{path}", self.address);
        ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()
    }

    /// How it says that it is.
    pub(crate) fn status(&self) -> Status {
        serde_json::from_str(&self.get("/status").unwrap()).unwrap()
    }

    /// Waits until it says so.
    pub(crate) fn wait_for(&mut self, what: &str, reached: impl Fn(&Status) -> bool) {
        wait_for(what, LIMIT, || {
            self.process.assert_running();
            reached(&self.status()).then_some(())
        });
    }
}
