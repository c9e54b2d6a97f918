//! Pieces far larger than the memory, and many peers that are all slow.

use std::sync::Arc;
use std::time::Duration;

use crate::support::cli::Cli;
use crate::support::content::Content;
use crate::support::peer::{ScriptedPeer, Service};
use crate::support::process::memory_of;
use crate::support::stage::{Stage, wait_for};

const PEERS: usize = 50;

const MIB: u64 = 1024 * 1024;

/// `memory.buffers_mib`.
const BUDGET: u64 = 4 * MIB;

/// What the program takes beside the budget: itself and its libraries (file pages that it shares with others
/// count in the peak), its allocator, and stacks, of which a thread touches a few pages.
const BASE: u64 = 24 * MIB;

/// What a connection takes beside the blocks: two threads, with what they touch of their stacks.
const PER_PEER: u64 = 128 * 1024;

#[test]
fn pieces_of_64_mib_from_50_slow_peers_in_4_mib() {
    let stage = Stage::new();
    // One piece and a half.
    let content = Arc::new(Content::file(
        "file.bin",
        96 * MIB as usize + 1,
        64 * MIB as u32,
        5,
    ));
    let torrent = content.torrent(&stage, &[]);
    let to = stage.folder("to");
    let service = Service {
        rate: Some(256 * 1024),
        ..Service::default()
    };
    let peers: Vec<ScriptedPeer> = (0..PEERS)
        .map(|_| ScriptedPeer::seed(&content, service.clone()))
        .collect();
    let mut process = Cli::download(&stage, "ours", &[torrent], &to)
        .settings(&stage, "[memory]\nbuffers_mib = 4")
        .peers(peers.iter().map(ScriptedPeer::address))
        .start(&stage);

    let mut peak = 0;
    let mut most_connected = 0;
    let status = wait_for("the end of the download", Duration::from_secs(180), || {
        // The peak is the kernel's own, so looking now and then is enough.
        peak = memory_of(process.pid(), "VmHWM").unwrap_or(peak);
        most_connected = most_connected.max(peers.iter().map(ScriptedPeer::live_count).sum());
        process.ended()
    });
    println!("peak {} KiB, {most_connected} peers at a time", peak / 1024);
    assert!(status.success(), "{status}");
    content.assert_in(&to);
    assert_eq!(most_connected, PEERS, "not all peers were connected at a time");
    let allowed = BUDGET + BASE + PEERS as u64 * PER_PEER;
    assert!(
        peak <= allowed,
        "it took {peak} bytes of memory, {allowed} are allowed"
    );
}
