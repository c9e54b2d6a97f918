//! opentracker, the tracker behind most large public ones.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddrV4;
use std::time::Duration;

use dtorrent::bencode;

use super::content::Content;
use super::process::{Process, Program};
use super::stage::{Stage, fresh_address, wait_for};

const PROGRAM: Program = Program {
    name: "opentracker",
    package: "opentracker",
    never_root: true,
};

/// A tracker of its own for each test, on TCP and UDP. Debian's serves only what its whitelist names.
#[derive(Debug)]
pub(crate) struct OpenTracker {
    process: Process,
    address: SocketAddrV4,
}

impl OpenTracker {
    /// Starts a tracker for these torrents and waits until it answers.
    pub(crate) fn start(stage: &Stage, contents: &[&Content]) -> Self {
        let address = fresh_address();
        let mut whitelist = String::new();
        for content in contents {
            let _ = writeln!(whitelist, "{}", content.metainfo.info.info_hash);
        }
        let dir = stage.folder("opentracker");
        fs::write(dir.join("whitelist.txt"), whitelist).unwrap();
        let config = dir.join("opentracker.conf");
        let text = format!(
            "listen.tcp_udp {address}\naccess.whitelist whitelist.txt\ntracker.rootdir {}\n",
            dir.display()
        );
        fs::write(&config, text).unwrap();
        let process = Process::start(stage, "opentracker", PROGRAM, ["-f".as_ref(), config.as_os_str()]);
        let mut tracker = Self { process, address };
        for content in contents {
            tracker.wait_for_peers(content, 0);
        }
        tracker
    }

    /// The announce URL over HTTP.
    pub(crate) fn http(&self) -> String {
        format!("http://{}/announce", self.address)
    }

    /// The announce URL over UDP.
    pub(crate) fn udp(&self) -> String {
        format!("udp://{}/announce", self.address)
    }

    /// Waits until the tracker knows at least `count` peers of the torrent.
    pub(crate) fn wait_for_peers(&mut self, content: &Content, count: i64) {
        let what = format!("{count} peers of {} at the tracker", content.metainfo.info.name);
        let hash = content.metainfo.info.info_hash.as_bytes();
        let escaped = percent_encoding::percent_encode(hash, percent_encoding::NON_ALPHANUMERIC);
        let url = format!("http://{}/scrape?info_hash={escaped}", self.address);
        wait_for(&what, Duration::from_secs(30), || {
            self.process.assert_running();
            let body = ureq::get(&url).call().ok()?.body_mut().read_to_vec().ok()?;
            (peers_in(&body)? >= count).then_some(())
        });
    }
}

/// Seeds and leeches in a scrape answer for one torrent (BEP 48); none if this is no such answer. A torrent
/// that nobody has announced is not in it.
fn peers_in(body: &[u8]) -> Option<i64> {
    let files = bencode::decode(body).ok()?.as_dict()?.dict("files")?;
    let Some((_, torrent)) = files.iter().next() else {
        return Some(0);
    };
    let torrent = torrent.as_dict()?;
    Some(torrent.int("complete")? + torrent.int("incomplete")?)
}
