//! libtorrent, through Debian's Python binding: the engine of qBittorrent and Deluge.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::process::{Process, Program};
use super::stage::{Stage, fresh_address, wait_for};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/libtorrent_peer.py");

/// One session with some torrents.
#[derive(Debug)]
pub(crate) struct Libtorrent {
    /// The program.
    pub(crate) process: Process,
}

impl Libtorrent {
    /// Shares these torrents, with their data below `dir`; it checks what is there and fetches the rest. When
    /// all is complete it ends, or stays if it is to.
    pub(crate) fn start(stage: &Stage, torrents: &[PathBuf], dir: &Path, stay: bool) -> Self {
        Self::start_with(stage, torrents, dir, stay, &[])
    }

    /// [`Self::start`] that connects to these peers besides.
    pub(crate) fn start_with(
        stage: &Stage,
        torrents: &[PathBuf],
        dir: &Path,
        stay: bool,
        peers: &[SocketAddr],
    ) -> Self {
        let address = fresh_address();
        let job = json!({
            "ip": address.ip(), "port": address.port(), "dir": dir, "torrents": torrents, "stay": stay,
            "seed": false, "peers": peers,
        });
        // Not the first python3 on the path: the binding belongs to Debian's own.
        let program = Program::new("/usr/bin/python3", "python3-libtorrent");
        let process = Process::start(stage, "libtorrent", program, [SCRIPT, &job.to_string()]);
        Self { process }
    }

    /// Waits until it has everything.
    pub(crate) fn wait_finished(&mut self, limit: Duration) {
        wait_for("libtorrent to complete its torrents", limit, || {
            self.process
                .assert_not_ended_before(|process| process.output().lines().any(|line| line == "finished"))
                .then_some(())
        });
    }
}
