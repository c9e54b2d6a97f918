//! aria2.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::{Process, Program};
use super::stage::{Stage, fresh_address, wait_for};

/// One process with some torrents.
#[derive(Debug)]
pub(crate) struct Aria2 {
    /// The program.
    pub(crate) process: Process,
    /// One line for each torrent that is complete.
    completed: PathBuf,
    torrents: usize,
}

impl Aria2 {
    /// Shares these torrents, with their data below `dir`; it checks what is there and fetches the rest. When
    /// all is complete it ends, or stays if it is to.
    pub(crate) fn start(stage: &Stage, torrents: &[PathBuf], dir: &Path, stay: bool) -> Self {
        let address = fresh_address();
        let completed = stage.path("aria2-completed");
        let hook = stage.path("aria2-hook");
        fs::write(
            &hook,
            format!("#!/bin/sh\necho \"$1\" >> '{}'\n", completed.display()),
        )
        .unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        let mut arguments: Vec<String> = [
            "--no-conf",
            "--log-level=info",
            "--console-log-level=info",
            "--summary-interval=0",
            "--async-dns=false",
            "--disable-ipv6",
            // Only the tracker tells of peers. The DHT has nobody to start from: it is on because aria2 announces
            // to UDP trackers through its socket.
            "--enable-dht=true",
            "--enable-dht6=false",
            "--bt-enable-lpd=false",
            "--enable-peer-exchange=false",
            "--file-allocation=none",
            "--check-integrity=true",
            "--allow-overwrite=true",
            "--bt-max-peers=0",
            "--bt-tracker-connect-timeout=5",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(if stay { "--seed-ratio=0.0" } else { "--seed-time=0" }.to_owned());
        arguments.push(format!("--dht-listen-port={}", address.port()));
        arguments.push(format!("--dht-file-path={}", stage.path("aria2-dht").display()));
        arguments.push(format!("--interface={}", address.ip()));
        arguments.push(format!("--listen-port={}", address.port()));
        arguments.push(format!("--dir={}", dir.display()));
        arguments.push(format!("--on-bt-download-complete={}", hook.display()));
        arguments.extend(torrents.iter().map(|path| path.display().to_string()));
        let process = Process::start(stage, "aria2", Program::new("aria2c", "aria2"), arguments);
        Self {
            process,
            completed,
            torrents: torrents.len(),
        }
    }

    /// Waits until it has everything.
    pub(crate) fn wait_finished(&mut self, limit: Duration) {
        wait_for("aria2 to complete its torrents", limit, || {
            self.process
                .assert_not_ended_before(|_| {
                    let completed = fs::read_to_string(&self.completed).unwrap_or_default();
                    completed.lines().count() >= self.torrents
                })
                .then_some(())
        });
    }
}
