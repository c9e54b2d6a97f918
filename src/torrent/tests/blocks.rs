//! Downloads from peers of every manner.

use super::world::{HONEST, Manner, Plan, World, bits};
use crate::engine::api::Priority;
use crate::geometry::{BLOCK_LENGTH, PieceIndex};
use crate::peer::link::PeerKey;
use crate::torrent::blame::Author;
use crate::wire::message::Message;

/// 1,024 blocks in pieces of 16.
fn large() -> Plan {
    Plan {
        piece_length: 16 * BLOCK_LENGTH,
        files: vec![u64::from(BLOCK_LENGTH) * 1024 - 5_000],
        ..Plan::default()
    }
}

/// Pieces of 32 blocks, too large for a budget of 1 MiB: they are spilled.
fn spilled() -> Plan {
    Plan {
        piece_length: 32 * BLOCK_LENGTH,
        files: vec![u64::from(BLOCK_LENGTH) * 200 + 77],
        budget_mib: 1,
        ..Plan::default()
    }
}

#[test]
fn everything_comes_from_one_peer() {
    for fast in [true, false] {
        let mut world = World::new(Plan::default());
        world.join(1, Manner { fast, ..HONEST });
        world.finish();
        assert_eq!((world.finished, world.pieces_done.len()), (1, 20));
        assert!(world.torrent.have().is_full());
        assert_eq!(world.torrent.downloaded(), 40 * u64::from(BLOCK_LENGTH));
        assert_eq!(world.torrent.tally().wasted, 0);
        assert!(world.closed.contains_key(&PeerKey(1)), "a seed parts from a seed");
    }
}

#[test]
fn several_peers_of_different_speed_share_the_work_and_waste_little() {
    let mut world = World::new(large());
    for (number, speed) in (1..).zip([1, 2, 4, 8, 16]) {
        world.join(
            number,
            Manner {
                speed,
                ignores_cancels: number % 2 == 0,
                ..HONEST
            },
        );
    }
    let total = world.geometry().total_length();
    let mut requests = 0;
    world.until("the download", |world| {
        requests = requests.max(world.peers.values().map(|peer| peer.requests).sum());
        world.torrent.is_complete()
    });
    world.finish();
    let wasted = world.torrent.tally().wasted;
    assert!(wasted * 100 < total, "{wasted} bytes of {total} came for nothing");
    assert!(requests < 1_100, "1024 blocks took {requests} requests");
}

#[test]
fn the_endgame_does_not_wait_for_the_slowest_and_takes_back_what_it_asked_twice() {
    let mut world = World::new(Plan::default());
    let silent = world.join(1, Manner { speed: 0, ..HONEST });
    world.steps(3);
    assert_eq!(world.peer(silent).asked.len(), 8);
    world.join(2, HONEST);
    world.until("all but the endgame", |world| world.torrent.have().count() >= 12);
    let mut cancels = 0;
    let mut steps = 0;
    world.until("the download", |world| {
        steps += 1;
        cancels = world.peers.get(&silent).map_or(cancels, |peer| peer.cancels);
        world.torrent.is_complete()
    });
    assert!(
        steps < 100,
        "{steps} steps: it waited for the one that answers nothing"
    );
    assert!(cancels >= 8, "{cancels} cancels");
    world.finish();
}

#[test]
fn twenty_peers_of_very_different_speed_send_hardly_anything_twice() {
    // A hundredth of the blocks, and for a small torrent eight.
    for (blocks, most) in [(3_000, 30), (64, 8), (8, 8)] {
        let mut world = World::new(Plan {
            piece_length: 16 * BLOCK_LENGTH,
            files: vec![u64::from(BLOCK_LENGTH) * blocks],
            ..Plan::default()
        });
        // From 8 KB/s to 5 MB/s, between 0.1 and 0.4 s away.
        for number in 1..=20_u8 {
            let (speed, sends_every) = match number {
                1..=5 => (1, 20 / u64::from(number)),
                6..=12 => (1, 1),
                _ => (1 << (number - 13).min(5), 1),
            };
            let manner = Manner {
                speed,
                sends_every,
                travels: u64::from(number % 4),
                ..HONEST
            };
            world.join(number, manner);
        }
        world.finish();
        let twice = world.torrent.tally().wasted / u64::from(BLOCK_LENGTH);
        assert!(twice <= most, "{twice} of {blocks} blocks came twice");
    }
}

#[test]
fn peers_that_choke_all_the_time_still_serve() {
    for (plan, fast) in [
        (large(), true),
        (large(), false),
        (spilled(), true),
        (spilled(), false),
    ] {
        let mut world = World::new(plan);
        for number in 1..=4 {
            let every = 3 + u64::from(number);
            world.join(
                number,
                Manner {
                    fast,
                    speed: 3,
                    chokes_every: Some(every),
                    ..HONEST
                },
            );
        }
        world.finish();
        assert!(
            world
                .closed
                .values()
                .all(|reason| reason.to_string().contains("everything")),
            "nobody is thrown out for late blocks: {:?}",
            world.closed
        );
    }
}

#[test]
fn what_a_peer_that_vanishes_owed_comes_from_others() {
    for plan in [large(), spilled()] {
        let mut world = World::new(plan);
        for number in 1..=5 {
            world.join(
                number,
                Manner {
                    leaves_after: Some(10 * usize::from(number)),
                    ..HONEST
                },
            );
        }
        world.steps(4);
        world.join(6, HONEST);
        world.finish();
    }
}

#[test]
fn a_peer_that_rejects_everything_is_asked_seldom_and_hinders_nobody() {
    let mut world = World::new(Plan::default());
    let rejecting = world.join(
        1,
        Manner {
            rejects: true,
            ..HONEST
        },
    );
    world.steps(600);
    let requests = world.peer(rejecting).requests;
    assert!((16..1_000).contains(&requests), "{requests} requests in a minute");
    world.join(2, Manner { speed: 1, ..HONEST });
    let mut steps = 0;
    world.until("the download", |world| {
        steps += 1;
        world.torrent.is_complete()
    });
    assert!(steps < 100, "40 blocks at one a step took {steps} steps");
    world.finish();
}

#[test]
fn one_that_sends_wrong_pieces_is_banned_and_nobody_else() {
    for plan in [large(), spilled()] {
        let mut world = World::new(plan);
        let guilty = world.join(
            2,
            Manner {
                corrupts: Some(7),
                speed: 5,
                ..HONEST
            },
        );
        world.join(1, Manner { speed: 4, ..HONEST });
        world.join(3, Manner { speed: 3, ..HONEST });
        world.finish();
        assert!(world.torrent.tally().pieces_failed > 0);
        let banned: Vec<_> = world
            .closed
            .iter()
            .filter(|(_, reason)| reason.to_string().contains("wrong data"))
            .map(|(key, _)| *key)
            .collect();
        assert_eq!(banned, [guilty]);
    }
}

#[test]
fn one_that_answers_all_at_once_goes_on_with_a_suspect_piece() {
    let piece = 32 * BLOCK_LENGTH;
    for budget_mib in [1, 16] {
        let mut world = World::new(Plan {
            piece_length: piece,
            files: vec![piece.into(), piece.into()],
            budget_mib,
            ..Plan::default()
        });
        // After a quiet while few requests are out at it, and with each step all of them are answered.
        world.join(1, HONEST);
        world
            .torrent
            .set_priorities(vec![Priority::Normal, Priority::Skip]);
        world.until("the first file", |world| world.torrent.is_complete());
        world.steps(600);
        let authors: Vec<_> = (0..32)
            .map(|block| Author {
                peer: PeerKey(50 + block % 2),
                ip: [127, 0, 0, 50 + (block % 2) as u8].into(),
            })
            .collect();
        let nobody_knows = world
            .torrent
            .blame
            .failed(PieceIndex(1), &authors, vec![[0; 20]; 32]);
        assert_eq!(nobody_knows, None);
        world.torrent.set_priorities(Vec::new());
        world.finish();
        assert_eq!(world.torrent.tally().wasted, 0, "it had its turn to the end");
    }
}

#[test]
fn a_peer_that_lets_us_wait_gives_its_blocks_to_others_though_memory_is_short() {
    let mut world = World::new(large());
    // Somebody else holds all memory but that of one piece.
    world.foreign_credits = world.budget.take(16 * 64 - 16);
    let silent = world.join(1, Manner { speed: 0, ..HONEST });
    world.steps(3);
    world.join(2, HONEST);
    world.steps(700);
    assert!(world.torrent.peers[&silent].pipeline.is_snubbed());
    world.finish();
}

#[test]
fn a_snubbed_peer_that_answers_is_trusted_again() {
    let mut world = World::new(Plan::default());
    let key = world.join(1, Manner { speed: 0, ..HONEST });
    world.steps(610);
    assert!(world.torrent.peers[&key].pipeline.is_snubbed());
    world.peer(key).manner.speed = 2;
    world.finish();
}

#[test]
fn memory_goes_to_pieces_that_somebody_can_finish() {
    let mut world = World::new(large());
    let count = world.geometry().piece_count();
    // One piece fits, and the only peer that has it goes in the middle.
    world.foreign_credits = world.budget.take(16 * 64 - 16);
    let some = Manner {
        leaves_after: Some(8),
        speed: 4,
        ..HONEST
    };
    let gone = world.join_with(1, some, bits(count, [0]));
    world.until("its end", |world| !world.peers.contains_key(&gone));
    world.join_with(2, HONEST, bits(count, 1..count));
    world.until("all that the other one has", |world| {
        world.torrent.have().count() == count - 1
    });
    world.join(3, HONEST);
    world.finish();
}

#[test]
fn a_block_that_crossed_a_choke_is_kept() {
    let mut world = World::new(Plan::default());
    let key = world.join(
        1,
        Manner {
            fast: false,
            speed: 0,
            ..HONEST
        },
    );
    world.steps(3);
    let late: Vec<_> = world.peer(key).asked.iter().copied().take(4).collect();
    // The first block of a piece has come before the choke, so that the piece stays open.
    world.send_block(key, late[0]);
    world.peer(key).set_choking(true);
    world.step();
    let before = world.torrent.downloaded();
    world.send_block(key, late[1]);
    world.end_turn();
    assert_eq!(world.torrent.downloaded(), before + u64::from(BLOCK_LENGTH));
    world.peer(key).manner.speed = 4;
    world.peer(key).set_choking(false);
    world.finish();
}

#[test]
fn blocks_that_nobody_asked_for_are_thrown_away_and_then_the_peer_is() {
    let mut world = World::new(Plan::default());
    let key = world.join(
        1,
        Manner {
            keeps_choking: true,
            ..HONEST
        },
    );
    world.steps(3);
    let block = world.geometry().block(PieceIndex(3), 0);
    for _ in 0..2_001 {
        world.send_block(key, block);
    }
    world.end_turn();
    assert_eq!(world.torrent.downloaded(), 0);
    assert!(world.closed[&key].to_string().contains("nobody asked for"));
    assert_eq!(world.budget.taken(), 0);
}

#[test]
fn what_came_unasked_long_ago_is_forgiven() {
    let mut world = World::new(Plan::default());
    let silent = Manner {
        keeps_choking: true,
        ..HONEST
    };
    let key = world.join(1, silent);
    let block = world.geometry().block(PieceIndex(3), 0);
    (0..1_500).for_each(|_| world.send_block(key, block));
    world.steps(4_000);
    (0..1_200).for_each(|_| world.send_block(key, block));
    world.end_turn();
    assert!(world.peers.contains_key(&key));
}

#[test]
fn what_may_be_had_while_choked_is_fetched_and_nothing_else() {
    let mut world = World::new(Plan::default());
    let key = world.join(
        1,
        Manner {
            keeps_choking: true,
            ..HONEST
        },
    );
    world.step();
    world.say(key, Message::AllowedFast(4));
    world.step();
    let pieces: Vec<_> = world.torrent.peers[&key]
        .pipeline
        .blocks()
        .map(|block| block.piece)
        .collect();
    assert_eq!(pieces, [PieceIndex(4); 2]);
}

#[test]
fn scarce_memory_is_shared_by_all_who_serve_us() {
    // 64 credits, for pieces that are spilled and for pieces that are kept.
    for piece_blocks in [32, 16, 4] {
        let mut world = World::new(Plan {
            piece_length: piece_blocks * BLOCK_LENGTH,
            files: vec![u64::from(BLOCK_LENGTH) * 4_096],
            budget_mib: 1,
            ..Plan::default()
        });
        for number in 1..=40 {
            world.join(number, Manner { speed: 1, ..HONEST });
        }
        world.steps(3);
        // Of the last seconds in which there was always work for everybody.
        let mut idle = 0;
        for _ in 0..30 {
            world.step();
            let out = world.torrent.peers.values().map(|peer| peer.pipeline.len());
            idle += out.filter(|out| *out == 0).count();
        }
        let least = world.peers.values().map(|peer| peer.sent).min().unwrap();
        assert!(
            least >= 5,
            "pieces of {piece_blocks}: somebody sent {least} blocks, idle {idle} times"
        );
        world.finish();
    }
}

#[test]
fn a_few_large_pieces_are_fetched_from_many() {
    let mut world = World::new(Plan {
        piece_length: 64 * BLOCK_LENGTH,
        files: vec![u64::from(BLOCK_LENGTH) * 64 * 16],
        budget_mib: 64,
        ..Plan::default()
    });
    // Each has less room than a piece has blocks.
    for number in 1..=20 {
        let part = bits(16, (0..16).filter(|piece| piece % 4 == u32::from(number) % 4));
        world.join_with(number, Manner { speed: 1, ..HONEST }, part);
    }
    world.finish();
}

#[test]
fn a_budget_that_shrinks_below_one_piece_and_grows_again_holds_up_nothing() {
    for mib in [1, 3] {
        let mut world = World::new(Plan {
            piece_length: 128 * BLOCK_LENGTH,
            files: vec![u64::from(BLOCK_LENGTH) * 128 * 30],
            budget_mib: 16,
            ..Plan::default()
        });
        world.join(1, HONEST);
        world.join(2, Manner { speed: 3, ..HONEST });
        world.steps(10);
        world.budget.resize_mib(mib);
        world.until("some more pieces", |world| world.torrent.have().count() >= 15);
        assert!(world.torrent.assembly.spills());
        world.budget.resize_mib(16);
        world.finish();
    }
}

#[test]
fn memory_that_slow_peers_do_not_need_goes_to_a_quick_one() {
    let mut world = World::new(Plan {
        budget_mib: 1,
        ..large()
    });
    for number in 1..=12 {
        world.join(number, Manner { speed: 1, ..HONEST });
    }
    let quick = world.join(13, Manner { speed: 24, ..HONEST });
    world.steps(60);
    let sent: Vec<_> = world.peers.values().map(|peer| peer.sent).collect();
    let others: usize = sent[..12].iter().sum();
    assert!(world.peer(quick).sent * 12 * 2 > others * 3, "{sent:?}");
    world.finish();
}

#[test]
fn only_so_many_peers_are_downloaded_from_at_a_time() {
    let mut plan = large();
    plan.settings.active_peers = 2;
    let mut world = World::new(plan);
    for number in 1..=6 {
        world.join(number, Manner { speed: 2, ..HONEST });
    }
    world.until("the download", |world| {
        let active = world
            .torrent
            .peers
            .values()
            .filter(|peer| !peer.pipeline.is_empty())
            .count();
        assert!(active <= 2, "{active} are active");
        world.torrent.is_complete()
    });
    world.finish();
}

#[test]
fn peers_that_choke_before_they_send_anything_do_not_keep_the_place_of_others() {
    let mut plan = large();
    plan.settings.active_peers = 1;
    let mut world = World::new(plan);
    let silent = Manner { speed: 0, ..HONEST };
    let (mut one, mut other) = (world.join(1, silent.clone()), world.join(2, silent));
    world.steps(5);
    let honest = world.join(9, HONEST);
    // At any time one of the two lets us ask.
    for _ in 0..20 {
        world.peer(other).set_choking(false);
        world.step();
        world.peer(one).set_choking(true);
        world.steps(2);
        std::mem::swap(&mut one, &mut other);
    }
    assert!(world.peer(honest).sent > 0, "it has never had a turn");
    world.finish();
}

#[test]
fn a_peer_that_is_quick_from_the_start_gets_more_requests_than_a_new_one() {
    let mut world = World::new(large());
    let key = world.join(1, Manner { speed: 16, ..HONEST });
    world.steps(9);
    let out = world.torrent.peers[&key].pipeline.len();
    assert!(
        out > 16,
        "{out} requests are out at a peer that answers 160 a second"
    );
}
