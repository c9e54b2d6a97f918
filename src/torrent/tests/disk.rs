//! Downloads onto disks that are slow, full or out of order, and checks of what is there.

use super::world::{HONEST, Manner, Plan, World};
use crate::geometry::{BLOCK_LENGTH, PieceIndex};
use crate::storage::StorageError;
use crate::storage::task::{DiskResult, DiskTask};

/// Pieces of 32 blocks, too large for a budget of 1 MiB.
fn spilled() -> Plan {
    Plan {
        piece_length: 32 * BLOCK_LENGTH,
        files: vec![u64::from(BLOCK_LENGTH) * 320],
        budget_mib: 1,
        ..Plan::default()
    }
}

fn is_spill(task: &DiskTask) -> bool {
    matches!(task, DiskTask::Spill { .. })
}

#[test]
fn a_slow_disk_that_works_in_any_order_gets_everything() {
    for plan in [Plan::default(), spilled()] {
        let mut world = World::new(plan);
        world.disk.speed = 1;
        world.disk.reorders = true;
        world.join(1, HONEST);
        world.join(
            2,
            Manner {
                fast: false,
                ..HONEST
            },
        );
        world.finish();
        assert_eq!(world.finished, 1);
    }
}

#[test]
fn while_the_disk_stands_still_nothing_more_is_asked_for_and_nobody_is_blamed() {
    // Pieces of 1 MiB, more of them than may lie at the disk.
    let plan = Plan {
        piece_length: 64 * BLOCK_LENGTH,
        files: vec![u64::from(BLOCK_LENGTH) * 64 * 24],
        ..Plan::default()
    };
    let mut world = World::new(plan);
    let (quick, slow) = (
        world.join(1, HONEST),
        world.join(
            2,
            Manner {
                sends_every: 4,
                ..HONEST
            },
        ),
    );
    world.until("the first piece", |world| !world.torrent.have().is_empty());
    world.disk.speed = 0;
    world.until("the disk to be behind", |world| {
        world.torrent.assembly.disk_is_behind()
    });
    let have = world.torrent.have().count();
    // What was out before still comes, and its pieces are finished by it.
    world.steps(300);
    let asked = |world: &mut World| world.peer(quick).requests + world.peer(slow).requests;
    let before = asked(&mut world);
    world.steps(1_500);
    assert_eq!(asked(&mut world), before);
    assert!(world.budget.taken() <= world.budget.limit());
    assert_eq!(
        (world.closed.len(), world.halted.len()),
        (0, 0),
        "after minutes: {:?}",
        world.closed
    );

    world.disk.speed = 1;
    world.until("the rest", |world| world.torrent.have().count() > have + 20);
    assert!(world.closed.is_empty(), "{:?}", world.closed);
    world.finish();
    assert_eq!((world.torrent.tally().pieces_failed, world.finished), (0, 1));
}

#[test]
fn a_full_disk_halts_the_download_until_there_is_room() {
    for plan in [Plan::default(), spilled()] {
        let mut world = World::new(plan);
        world.join(1, HONEST);
        world.until("the first piece", |world| !world.torrent.have().is_empty());
        world.disk.full = true;
        world.until("the halt", |world| world.torrent.halted().is_some());
        let have = world.torrent.have().count();
        world.steps(300);
        assert!(world.torrent.have().count() <= have + 1, "nothing is written");
        assert!(world.halted[0].contains("full"), "{:?}", world.halted);
        world.disk.full = false;
        world.finish();
        assert_eq!(world.torrent.halted(), None);
    }
}

#[test]
fn a_disk_that_is_full_from_the_start_is_asked_again() {
    let mut world = World::new(Plan::default());
    world.disk.full = true;
    let key = world.join(1, HONEST);
    world.steps(50);
    assert!(world.torrent.halted().is_some());
    assert_eq!(
        world.peer(key).requests,
        0,
        "nothing is asked for before the disk is ready"
    );
    world.disk.full = false;
    world.finish();
}

#[test]
fn a_disk_that_fails_now_and_then_costs_time_and_nothing_else() {
    for seed in 0..8 {
        for plan in [Plan::default(), spilled()] {
            let mut world = World::new(Plan { seed, ..plan });
            world.disk.fails_one_in = Some(6);
            world.disk.speed = 2;
            world.disk.reorders = true;
            world.join(1, HONEST);
            world.join(2, Manner { speed: 3, ..HONEST });
            world.steps(400);
            world.disk.fails_one_in = None;
            world.finish();
            assert!(
                world
                    .closed
                    .values()
                    .all(|reason| !reason.to_string().contains("wrong data")),
                "nobody is blamed for the disk: {:?}",
                world.closed
            );
        }
    }
}

#[test]
fn a_spill_that_fails_takes_back_every_piece_that_it_held_blocks_of() {
    let mut world = World::new(spilled());
    let count = world.geometry().piece_count();
    world.steps(2);
    world.disk.speed = 0;
    world.join_with(1, HONEST, super::world::bits(count, [0]));
    world.join_with(2, HONEST, super::world::bits(count, [1]));
    world.until("a spill of two pieces", |world| {
        world.disk.queue.iter().any(|task| {
            matches!(task, DiskTask::Spill { blocks } if blocks.iter().any(|(block, _)| block.piece.0 == 0)
                && blocks.iter().any(|(block, _)| block.piece.0 == 1))
        })
    });
    world.disk.full = true;
    world.disk.speed = usize::MAX;
    world.step();
    world.disk.full = false;
    world.disk.speed = 1;
    world.until("the two pieces", |world| world.torrent.have().count() == 2);
    assert_eq!(
        world.torrent.tally().pieces_failed,
        0,
        "no piece was checked before it was there"
    );
}

#[test]
fn spills_of_a_piece_that_was_given_up_do_not_count_for_its_next_life() {
    use crate::engine::api::Priority;
    let mut world = World::new(Plan {
        files: vec![u64::from(BLOCK_LENGTH) * 32, u64::from(BLOCK_LENGTH) * 32],
        ..spilled()
    });
    world.steps(2);
    let key = world.join_with(1, HONEST, super::world::bits(2, [0]));
    world.disk.speed = 0;
    world.until("a spill", |world| world.disk.queue.iter().any(is_spill));
    world
        .torrent
        .set_priorities(vec![Priority::Skip, Priority::Normal]);
    world.step();
    world.torrent.set_priorities(vec![Priority::Normal; 2]);
    world.steps(30);
    assert!(
        world.torrent.picker.open_pieces().next().is_none(),
        "it waits until the old spills are done"
    );
    world.disk.speed = usize::MAX;
    world.until("the piece", |world| world.torrent.have().has(PieceIndex(0)));
    assert_eq!(world.torrent.tally().pieces_failed, 0);
    assert!(world.peers.contains_key(&key));
}

#[test]
fn files_that_vanish_are_nobodys_fault() {
    let mut world = World::new(spilled());
    world.disk.forgets = true;
    world.join(1, HONEST);
    world.until("a failed piece", |world| world.torrent.tally().pieces_failed > 0);
    world.disk.forgets = false;
    world.finish();
}

#[test]
fn data_is_checked_before_the_rest_is_fetched() {
    let mut world = World::new(Plan {
        to_check: (0..15).collect(),
        ..Plan::default()
    });
    // Three of the pieces are not what they should be.
    for piece in [2, 3, 11] {
        world.disk.image[piece * 2 * BLOCK_LENGTH as usize] ^= 1;
    }
    world.disk.speed = 1;
    world.end_turn();
    assert!(world.torrent.is_checking());
    let introduced = super::world::introduced(
        super::world::addr(1),
        [1; 20],
        crate::wire::handshake::Direction::Incoming,
        true,
    );
    assert!(
        world.torrent.admit(world.now, &introduced).is_err(),
        "no peers yet"
    );
    world.steps(4);
    assert!(world.disk.queue.len() <= 8, "a few at a time");
    assert_eq!(world.torrent.unchecked().len(), 3);
    world.until("the end of the check", |world| world.checked == 1);
    assert_eq!(world.torrent.have().count(), 12);
    assert_eq!(world.finished, 0);
    world.join(1, HONEST);
    world.finish();
    assert_eq!(
        (world.finished, world.pieces_done.len()),
        (1, 8),
        "the other 12 were there"
    );
}

#[test]
fn a_check_that_finds_everything_finishes_and_a_complete_start_does_not() {
    let mut world = World::new(Plan {
        to_check: (0..20).collect(),
        ..Plan::default()
    });
    world.steps(5);
    assert_eq!((world.checked, world.finished), (1, 1));
    let mut world = World::new(Plan {
        have: (0..20).collect(),
        ..Plan::default()
    });
    world.steps(5);
    assert_eq!((world.checked, world.finished), (0, 0));
    assert!(world.torrent.is_quiet());
}

#[test]
fn a_check_that_is_stopped_knows_what_it_has_not_looked_at() {
    let mut world = World::new(Plan {
        to_check: (0..20).collect(),
        ..Plan::default()
    });
    world.disk.speed = 1;
    world.steps(3);
    world.torrent.stop(world.now);
    world.steps(20);
    assert!(!world.torrent.awaits_disk());
    let seen = world.torrent.have().count();
    assert_eq!(seen as usize + world.torrent.unchecked().len(), 20);
}

#[test]
fn a_check_that_cannot_read_a_piece_halts_and_does_not_call_it_missing() {
    let mut world = World::new(Plan {
        to_check: (0..20).collect(),
        ..Plan::default()
    });
    world.disk.speed = 1;
    world.disk.unreadable = Some(PieceIndex(3));
    world.steps(100);
    assert_eq!((world.checked, world.halted.len()), (0, 1));
    let halted = world.torrent.halted().unwrap();
    assert!(
        halted.message.contains("fixture/0") && !halted.retries,
        "{}",
        halted.message
    );
    world.torrent.stop(world.now);
    world.steps(5);
    assert!(!world.torrent.awaits_disk());
    let seen = world.torrent.have().count();
    assert_eq!(seen as usize + world.torrent.unchecked().len(), 20);
    assert!(world.torrent.unchecked().contains(&PieceIndex(3)));
}

#[test]
fn pieces_at_the_disk_count_after_a_stop() {
    for plan in [Plan::default(), spilled()] {
        let mut world = World::new(plan);
        world.join(1, HONEST);
        world.steps(2);
        world.disk.speed = 0;
        world.steps(40);
        let writes = world.disk.queue.len();
        assert!(writes > 0 && world.torrent.awaits_disk());
        world.torrent.stop(world.now);
        world.end_turn();
        assert!(world.peers.is_empty());
        world.disk.speed = usize::MAX;
        world.steps(5);
        assert!(!world.torrent.awaits_disk());
        assert!(world.torrent.have().count() > 0);
        drop(world.torrent);
        assert_eq!(world.budget.taken(), 0, "what was open gives its credits back");
    }
}

#[test]
fn an_error_other_than_a_full_disk_halts_for_good() {
    let mut world = World::new(Plan::default());
    world.join(1, HONEST);
    world.steps(3);
    let error = StorageError::NotAFile {
        path: "fixture/0".into(),
    };
    world.disk.queue.clear();
    let at_disk = world.torrent.at_disk;
    for _ in 0..at_disk {
        world.torrent.on_disk(
            world.now,
            DiskResult::Failed {
                piece: Some(PieceIndex(19)),
                error: error.clone(),
            },
        );
    }
    world.torrent.halt(world.now, &error);
    let before = world.torrent.halted().unwrap().clone();
    assert!(before.message.contains("fixture/0") && !before.retries);
    world
        .torrent
        .on_tick(world.now + std::time::Duration::from_secs(3600));
    assert_eq!(world.torrent.halted(), Some(&before));
}
