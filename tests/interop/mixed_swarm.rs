//! Four clients in one swarm, none of which has everything.

use std::time::Duration;

use dtorrent::geometry::PieceIndex;

use crate::support::aria2::Aria2;
use crate::support::cli::Cli;
use crate::support::content::Content;
use crate::support::libtorrent::Libtorrent;
use crate::support::opentracker::OpenTracker;
use crate::support::stage::Stage;
use crate::support::transmission::Transmission;

const LIMIT: Duration = Duration::from_secs(120);

/// Transmission, libtorrent and aria2 start with a different third of the pieces each, and ours with a third
/// too: half of Transmission's and half of libtorrent's, so that it has to see for itself which pieces on its
/// disk are whole. Nobody can finish unless all pieces go round.
#[test]
fn everybody_starts_with_another_third() {
    let stage = Stage::new();
    let content = Content::folder("folder", 3 << 14, 7);
    let mut tracker = OpenTracker::start(&stage, &[&content]);
    let torrent = content.torrent(&stage, &[tracker.http()]);
    let torrents = std::slice::from_ref(&torrent);
    let third_of = |name: &str, has: fn(PieceIndex) -> bool| {
        let dir = stage.folder(name);
        content.write_pieces(&dir, has);
        dir
    };
    let with_transmission = third_of("with-transmission", |piece| piece.0 % 3 == 0);
    let with_libtorrent = third_of("with-libtorrent", |piece| piece.0 % 3 == 1);
    let with_aria2 = third_of("with-aria2", |piece| piece.0 % 3 == 2);
    let with_us = third_of("with-us", |piece| piece.0 % 6 == 0 || piece.0 % 6 == 1);

    // Each finds at the tracker those who came before; Transmission only ever waits to be found.
    let mut transmission = Transmission::start(&stage, "transmission", &torrent, &with_transmission);
    tracker.wait_for_peers(&content, 1);
    let mut aria2 = Aria2::start(&stage, torrents, &with_aria2, true);
    tracker.wait_for_peers(&content, 2);
    let mut libtorrent = Libtorrent::start(&stage, torrents, &with_libtorrent, true);
    tracker.wait_for_peers(&content, 3);
    let mut ours = Cli::download(&stage, "ours", torrents, &with_us)
        .and_seed()
        .start(&stage);

    libtorrent.wait_finished(LIMIT);
    aria2.wait_finished(LIMIT);
    transmission.wait_finished(LIMIT);
    crate::support::stage::wait_for("the last pieces on our disk", LIMIT, || {
        ours.assert_running();
        content.is_in(&with_us).then_some(())
    });
    ours.terminate();
    ours.finish(LIMIT);
    drop((transmission, libtorrent, aria2));
    for dir in [with_transmission, with_libtorrent, with_aria2, with_us] {
        content.assert_in(&dir);
    }
}
