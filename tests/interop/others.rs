//! The others among themselves: if one of these fails, the fault is not in our client.

use std::time::Duration;

use crate::support::aria2::Aria2;
use crate::support::content::Content;
use crate::support::libtorrent::Libtorrent;
use crate::support::opentracker::OpenTracker;
use crate::support::stage::Stage;
use crate::support::transmission::Transmission;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn libtorrent_seeds_to_aria2() {
    let stage = Stage::new();
    let content = Content::folder("folder", 50_021, 1);
    let mut tracker = OpenTracker::start(&stage, &[&content]);
    let torrent = content.torrent(&stage, &[tracker.http()]);
    let (from, to) = (stage.folder("from"), stage.folder("to"));
    content.write(&from);
    let mut seed = Libtorrent::start(&stage, std::slice::from_ref(&torrent), &from, true);
    seed.wait_finished(LIMIT);
    tracker.wait_for_peers(&content, 1);
    Aria2::start(&stage, &[torrent], &to, false).process.finish(LIMIT);
    content.assert_in(&to);
}

#[test]
fn aria2_seeds_to_libtorrent() {
    let stage = Stage::new();
    let content = Content::file("file", 64 * 1024 * 1024 + 12_345, 700_001, 1);
    let mut tracker = OpenTracker::start(&stage, &[&content]);
    let torrent = content.torrent(&stage, &[tracker.udp()]);
    let (from, to) = (stage.folder("from"), stage.folder("to"));
    content.write(&from);
    let _seed = Aria2::start(&stage, std::slice::from_ref(&torrent), &from, true);
    tracker.wait_for_peers(&content, 1);
    Libtorrent::start(&stage, &[torrent], &to, false)
        .process
        .finish(LIMIT);
    content.assert_in(&to);
}

/// Transmission does not connect to loopback addresses, so it comes first and is found.
#[test]
fn transmission_seeds_to_libtorrent() {
    let stage = Stage::new();
    let content = Content::folder("folder", 3 << 14, 1);
    let mut tracker = OpenTracker::start(&stage, &[&content]);
    let torrent = content.torrent(&stage, &[tracker.udp()]);
    let (from, to) = (stage.folder("from"), stage.folder("to"));
    content.write(&from);
    let mut seed = Transmission::start(&stage, "transmission", &torrent, &from);
    seed.wait_finished(LIMIT);
    tracker.wait_for_peers(&content, 1);
    Libtorrent::start(&stage, &[torrent], &to, false)
        .process
        .finish(LIMIT);
    content.assert_in(&to);
}

#[test]
fn libtorrent_seeds_to_transmission() {
    let stage = Stage::new();
    let content = Content::file("file", 64 * 1024 * 1024 + 12_345, 3 << 18, 1);
    let mut tracker = OpenTracker::start(&stage, &[&content]);
    let torrent = content.torrent(&stage, &[tracker.http()]);
    let (from, to) = (stage.folder("from"), stage.folder("to"));
    content.write(&from);
    let mut leech = Transmission::start(&stage, "transmission", &torrent, &to);
    tracker.wait_for_peers(&content, 1);
    let _seed = Libtorrent::start(&stage, &[torrent], &from, true);
    leech.wait_finished(LIMIT);
    drop(leech);
    content.assert_in(&to);
}
