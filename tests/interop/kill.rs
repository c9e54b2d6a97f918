//! Killed again and again, a download ends with the right bytes and fetches next to nothing twice.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dtorrent::geometry::{Block, PieceIndex};

use crate::support::cli::Cli;
use crate::support::content::Content;
use crate::support::peer::{ScriptedPeer, Service};
use crate::support::stage::{Stage, wait_for};

const LIMIT: Duration = Duration::from_secs(120);

/// How often the client is killed.
const KILLS: u64 = 12;

/// What may have been verified and yet be fetched again, for each kill.
const WHOLE_A_KILL: u64 = 1024 * 1024;

/// `memory.buffers_mib`, which bounds what can be in flight.
const BUDGET: u64 = 4 * 1024 * 1024;

/// The seed counts. A block that it served to a later life again was lost by a kill, and there are two kinds:
///
/// - Of its piece, every block had been served to one earlier life. It may have been verified, so these are
///   what must stay below 1 MiB a kill; the pieces whose last block was just on its way to the disk are among
///   them.
/// - Its piece had not been served whole, so it cannot have been verified. Such blocks hold memory until
///   their piece is on disk, so there are never more of them than `memory.buffers_mib` allows.
#[test]
fn killed_at_random_moments_it_resumes() {
    let seed = std::env::var("DTORRENT_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("DTORRENT_TEST_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);

    let stage = Stage::new();
    let content = Arc::new(Content::file(
        "file.bin",
        48 * 1024 * 1024 + 777,
        256 * 1024,
        seed,
    ));
    let torrent = content.torrent(&stage, &[]);
    let to = stage.folder("to");
    // Slow enough to be killed in the middle.
    let service = Service {
        rate: Some(12 * 1024 * 1024),
        ..Service::default()
    };
    let ledger = Arc::clone(&service.ledger);
    let peer = ScriptedPeer::seed(&content, service);
    let client = Cli::download(&stage, "ours", &[torrent], &to)
        .settings(&stage, "[memory]\nbuffers_mib = 4")
        .peers([peer.address()]);

    let blocks_in_all = content.bytes().len().div_ceil(16 * 1024);
    let mut lives = Vec::new();
    let mut kills = 0;
    loop {
        let before = ledger.len();
        let mut process = client.start(&stage);
        if kills < KILLS {
            // Mostly somewhere in the transfer, at times right at the start.
            let more = rng.usize(0..2 * blocks_in_all / KILLS as usize);
            wait_for("more of the download, or its end", LIMIT, || {
                (ledger.len() >= before + more || process.ended().is_some()).then_some(())
            });
            thread::sleep(Duration::from_millis(rng.u64(0..100)));
        } else {
            process.wait(LIMIT);
        }
        let ended = process.ended();
        process.kill();
        // What the seed sends before it notices counts for this life.
        wait_for("the end of the connections", LIMIT, || {
            (peer.live_count() == 0).then_some(())
        });
        lives.push(ledger.blocks()[before..].to_vec());
        if let Some(status) = ended {
            assert!(status.success(), "it failed by itself: {status}");
            break;
        }
        kills += 1;
    }
    content.assert_in(&to);

    let (whole, part) = fetched_again(&content, &lives);
    println!("{kills} kills; fetched again: {whole} bytes of whole pieces, {part} of parts");
    assert!(kills >= KILLS / 3, "it was over after {kills} kills");
    assert!(
        whole <= kills * WHOLE_A_KILL,
        "{whole} bytes of whole pieces in {kills} kills"
    );
    assert!(
        part <= kills * BUDGET,
        "{part} bytes of parts of pieces in {kills} kills"
    );
}

/// How many bytes were served again after a kill: those of pieces that one earlier life had been served whole,
/// and the others.
fn fetched_again(content: &Content, lives: &[Vec<Block>]) -> (u64, u64) {
    let geometry = content.metainfo.info.geometry;
    let mut seen: HashSet<Block> = HashSet::new();
    let mut served_whole: HashSet<PieceIndex> = HashSet::new();
    let (mut whole, mut part) = (0, 0);
    for life in lives {
        let blocks: HashSet<Block> = life.iter().copied().collect();
        for block in blocks.intersection(&seen) {
            let lost = if served_whole.contains(&block.piece) {
                &mut whole
            } else {
                &mut part
            };
            *lost += u64::from(block.length);
        }
        let is_whole = |piece: &PieceIndex| geometry.blocks(*piece).all(|block| blocks.contains(&block));
        served_whole.extend(geometry.pieces().filter(is_whole));
        seen.extend(blocks);
    }
    (whole, part)
}
