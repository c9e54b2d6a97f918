//! One of several peers lies.

use std::sync::Arc;
use std::time::Duration;

use crate::support::cli::Cli;
use crate::support::content::Content;
use crate::support::peer::{ScriptedPeer, Service};
use crate::support::stage::Stage;

/// One peer sends every third block wrong, three send what is asked for, and a piece comes from all of them.
/// Who lied is found out, is banned, and stays out; the others are kept.
#[test]
fn who_sends_corrupt_blocks_is_found_out() {
    let stage = Stage::new();
    let content = Arc::new(Content::file("file.bin", 24 * 1024 * 1024 + 1, 512 * 1024, 3));
    let torrent = content.torrent(&stage, &[]);
    let to = stage.folder("to");
    let honest = Service {
        rate: Some(2 * 1024 * 1024),
        ..Service::default()
    };
    let lying = Service {
        corrupts: Some(|block| (block.begin / 16_384) % 3 == 0),
        ..honest.clone()
    };
    let good: Vec<ScriptedPeer> = (0..3)
        .map(|_| ScriptedPeer::seed(&content, honest.clone()))
        .collect();
    let bad = ScriptedPeer::seed(&content, lying);
    let mut process = Cli::download(&stage, "ours", &[torrent], &to)
        .peers(good.iter().chain([&bad]).map(ScriptedPeer::address))
        .start(&stage);
    process.finish(Duration::from_secs(120));
    content.assert_in(&to);

    let log = process.output();
    let bans: Vec<&str> = log.lines().filter(|line| line.contains("banned")).collect();
    assert!(!bans.is_empty(), "nobody was banned");
    let liar = bad.address().ip().to_string();
    assert!(
        bans.iter().all(|line| line.contains(&liar)),
        "an honest peer was banned: {bans:#?}"
    );
    assert_eq!(bad.connection_count(), 1, "who was banned was connected to again");
    assert!(
        good.iter().all(|peer| peer.connection_count() == 1),
        "an honest peer was lost"
    );
}
