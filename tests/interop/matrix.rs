//! Every client with ours, both ways, through a real tracker over HTTP and over UDP.
//!
//! Each case moves two torrents at a time: one large file, and a folder of all that trips clients up. As a
//! seed we connect to the others over UDP, and over HTTP they connect to us, where they can: our listener has
//! its share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::aria2::Aria2;
use crate::support::cli::Cli;
use crate::support::content::Content;
use crate::support::libtorrent::Libtorrent;
use crate::support::opentracker::OpenTracker;
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::transmission::Transmission;

/// Transmission asks for nothing in its first 13 seconds; two cores are shared by whatever else runs.
const LIMIT: Duration = Duration::from_secs(120);

/// Odd, so that no piece length divides it.
const FILE_BYTES: usize = 64 * 1024 * 1024 + 12_345;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http,
    Udp,
}

/// The clients of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    Aria2,
    Libtorrent,
    Transmission,
}

impl Other {
    /// Two piece lengths that are no powers of two. Transmission takes only those that it can halve into
    /// blocks; the others take any, so theirs are odd.
    fn piece_lengths(self) -> [u32; 2] {
        match self {
            Self::Aria2 | Self::Libtorrent => [700_001, 50_021],
            Self::Transmission => [3 << 18, 3 << 14],
        }
    }
}

/// A running client of others, with all torrents of the case.
enum Running {
    Aria2(Aria2),
    Libtorrent(Libtorrent),
    Transmission(Vec<Transmission>),
}

impl Running {
    fn start(other: Other, stage: &Stage, torrents: &[PathBuf], dir: &Path) -> Self {
        match other {
            Other::Aria2 => Self::Aria2(Aria2::start(stage, torrents, dir, true)),
            Other::Libtorrent => Self::Libtorrent(Libtorrent::start(stage, torrents, dir, true)),
            Other::Transmission => Self::Transmission(
                torrents
                    .iter()
                    .enumerate()
                    .map(|(number, torrent)| {
                        Transmission::start(stage, &format!("transmission-{number}"), torrent, dir)
                    })
                    .collect(),
            ),
        }
    }

    fn wait_finished(&mut self) {
        match self {
            Self::Aria2(client) => client.wait_finished(LIMIT),
            Self::Libtorrent(client) => client.wait_finished(LIMIT),
            Self::Transmission(clients) => clients.iter_mut().for_each(|client| client.wait_finished(LIMIT)),
        }
    }
}

/// What all cases have.
struct Case {
    stage: Stage,
    contents: [Content; 2],
    tracker: OpenTracker,
    torrents: [PathBuf; 2],
    /// The data of who seeds, complete.
    from: PathBuf,
    /// Where the other one downloads to.
    to: PathBuf,
}

impl Case {
    fn new(other: Other, protocol: Protocol) -> Self {
        let stage = Stage::new();
        let [large, small] = other.piece_lengths();
        let contents = [
            Content::file("large file.bin", FILE_BYTES, large, 1),
            Content::folder("folder", small, 2),
        ];
        let tracker = OpenTracker::start(&stage, &contents.each_ref());
        let url = match protocol {
            Protocol::Http => tracker.http(),
            Protocol::Udp => tracker.udp(),
        };
        let torrents = contents
            .each_ref()
            .map(|content| content.torrent(&stage, std::slice::from_ref(&url)));
        let [from, to] = ["from", "to"].map(|name| stage.folder(name));
        contents.iter().for_each(|content| content.write(&from));
        Self {
            stage,
            contents,
            tracker,
            torrents,
            from,
            to,
        }
    }

    fn wait_announced(&mut self) {
        for content in &self.contents {
            self.tracker.wait_for_peers(content, 1);
        }
    }

    fn our_seed(&self) -> Process {
        Cli::seed(&self.stage, "ours", &self.torrents, &self.from).start(&self.stage)
    }
}

/// They seed, we find them at the tracker and connect.
fn download_from(other: Other, protocol: Protocol) {
    let mut case = Case::new(other, protocol);
    let mut seed = Running::start(other, &case.stage, &case.torrents, &case.from);
    seed.wait_finished();
    case.wait_announced();
    let mut ours = Cli::download(&case.stage, "ours", &case.torrents, &case.to).start(&case.stage);
    ours.finish(LIMIT);
    case.contents
        .iter()
        .for_each(|content| content.assert_in(&case.to));
}

/// We seed. Over HTTP they come later and connect to us; over UDP, and always with Transmission, which does
/// not connect to loopback addresses, we come later and connect to them.
fn seed_to(other: Other, protocol: Protocol) {
    let mut case = Case::new(other, protocol);
    let they_connect = protocol == Protocol::Http && other != Other::Transmission;
    let ours_first = they_connect.then(|| case.our_seed());
    if they_connect {
        case.wait_announced();
    }
    let mut leech = Running::start(other, &case.stage, &case.torrents, &case.to);
    let mut ours = ours_first.unwrap_or_else(|| {
        case.wait_announced();
        case.our_seed()
    });
    leech.wait_finished();
    ours.assert_running();
    // It ends cleanly, having told the tracker.
    ours.terminate();
    ours.finish(LIMIT);
    drop(leech);
    for content in &case.contents {
        match other {
            // It creates no files that are empty.
            Other::Transmission => content.assert_bytes_in(&case.to),
            Other::Aria2 | Other::Libtorrent => content.assert_in(&case.to),
        }
    }
}

macro_rules! cases {
    ($($name:ident: $story:ident($other:ident, $protocol:ident);)*) => {
        $(#[test]
        fn $name() {
            $story(Other::$other, Protocol::$protocol);
        })*
    };
}

cases! {
    // The slow starters first: with few cores the rest runs while they wait.
    seed_to_transmission_over_http: seed_to(Transmission, Http);
    seed_to_transmission_over_udp: seed_to(Transmission, Udp);
    download_from_transmission_over_http: download_from(Transmission, Http);
    download_from_transmission_over_udp: download_from(Transmission, Udp);
    seed_to_aria2_over_http: seed_to(Aria2, Http);
    seed_to_aria2_over_udp: seed_to(Aria2, Udp);
    download_from_aria2_over_http: download_from(Aria2, Http);
    download_from_aria2_over_udp: download_from(Aria2, Udp);
    seed_to_libtorrent_over_http: seed_to(Libtorrent, Http);
    seed_to_libtorrent_over_udp: seed_to(Libtorrent, Udp);
    download_from_libtorrent_over_http: download_from(Libtorrent, Http);
    download_from_libtorrent_over_udp: download_from(Libtorrent, Udp);
}
