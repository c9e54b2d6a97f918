//! What the user chooses: files, order, limits.

use super::world::{HONEST, Manner, Plan, World, bits};
use crate::engine::api::Priority::{High, Normal, Skip};
use crate::geometry::{BLOCK_LENGTH, PieceIndex};
use crate::peer::link::PeerKey;
use crate::wire::message::Message;

/// Three files of ten pieces each.
fn three_files() -> Plan {
    Plan {
        files: vec![u64::from(BLOCK_LENGTH) * 20; 3],
        ..Plan::default()
    }
}

fn count_between(world: &World, from: u32, to: u32) -> usize {
    world
        .pieces_done
        .iter()
        .filter(|piece| (from..to).contains(&piece.0))
        .count()
}

#[test]
fn skipped_files_are_not_fetched_and_can_be_had_later() {
    let mut world = World::new(three_files());
    world.torrent.set_priorities(vec![Normal, Skip, Normal]);
    let key = world.join(1, HONEST);
    world.finish();
    assert_eq!(world.finished, 1);
    assert_eq!(count_between(&world, 10, 20), 0);
    assert_eq!(world.torrent.left(), 0);
    world.steps(10);
    assert_eq!(world.peer(key).heard.last(), Some(&Message::NotInterested));

    world.torrent.set_priorities(vec![Normal; 3]);
    assert!(!world.torrent.is_complete());
    world.finish();
    assert_eq!((world.finished, world.pieces_done.len()), (2, 30));
}

#[test]
fn choosing_anew_while_it_runs_takes_back_what_is_out() {
    for budget_mib in [16, 1] {
        let mut world = World::new(Plan {
            piece_length: 40 * BLOCK_LENGTH,
            files: vec![u64::from(BLOCK_LENGTH) * 120; 3],
            budget_mib,
            ..Plan::default()
        });
        world.disk.speed = 1;
        let key = world.join(1, Manner { speed: 3, ..HONEST });
        world.join(
            2,
            Manner {
                speed: 3,
                ignores_cancels: true,
                ..HONEST
            },
        );
        let choices = [
            [Normal, Skip, Skip],
            [Skip, Normal, High],
            [Skip, Skip, Normal],
            [High, Normal, Skip],
        ];
        for choice in choices.iter().cycle().take(20) {
            world.steps(7);
            world.torrent.set_priorities(choice.to_vec());
            world.end_turn();
            let torrent = &world.torrent;
            let wanted = |piece| torrent.picker.is_wanted(piece);
            assert!(
                torrent
                    .peers
                    .values()
                    .all(|peer| peer.pipeline.blocks().all(|block| wanted(block.piece)))
            );
        }
        assert!(world.peer(key).cancels > 0);
        world.torrent.set_priorities(vec![Normal; 3]);
        world.finish();
    }
}

#[test]
fn a_piece_that_is_skipped_while_the_disk_has_it_counts_all_the_same() {
    let mut world = World::new(three_files());
    world.steps(2);
    world.disk.speed = 0;
    world.join_with(1, HONEST, bits(30, [5]));
    world.until("the write", |world| !world.disk.queue.is_empty());
    world.torrent.set_priorities(vec![Skip, Skip, Normal]);
    world.end_turn();
    world.disk.speed = usize::MAX;
    world.steps(5);
    assert!(world.torrent.have().has(PieceIndex(5)));
    assert_eq!(world.budget.taken(), 0);
}

#[test]
fn pieces_come_in_order_if_wanted_so() {
    let mut world = World::new(Plan {
        sequential: true,
        ..Plan::default()
    });
    world.join(1, Manner { speed: 2, ..HONEST });
    world.finish();
    assert!(world.pieces_done.is_sorted(), "{:?}", world.pieces_done);
}

#[test]
fn what_has_high_priority_comes_first() {
    let mut world = World::new(three_files());
    world.torrent.set_priorities(vec![Normal, Normal, High]);
    world.join(1, Manner { speed: 2, ..HONEST });
    world.until("ten pieces", |world| world.pieces_done.len() >= 10);
    assert_eq!(count_between(&world, 20, 30), 10);
    world.finish();
}

#[test]
fn a_choice_that_changes_while_the_disk_is_made_ready_waits_for_the_last_answer() {
    let mut world = World::new(three_files());
    world.disk.speed = 0;
    let key = world.join(1, HONEST);
    world.step();
    world.torrent.set_priorities(vec![Skip, Normal, Normal]);
    world.steps(5);
    assert_eq!(world.disk.queue.len(), 2);
    world.disk.speed = 1;
    world.step();
    assert_eq!(world.peer(key).requests, 0, "the first answer is out of date");
    world.finish();
    assert_eq!(world.disk.prepared, 2);
}

#[test]
fn interest_follows_what_we_lack() {
    let mut world = World::new(three_files());
    world.torrent.set_priorities(vec![Normal, Skip, Skip]);
    let poor = world.join_with(1, HONEST, bits(30, 12..18));
    world.steps(2);
    assert!(!world.peer(poor).heard.contains(&Message::Interested));
    world.peer(poor).has.insert(PieceIndex(3));
    world.say(poor, Message::Have(3));
    world.steps(2);
    assert_eq!(world.peer(poor).heard.last(), Some(&Message::Interested));
    world.until("piece 3", |world| world.torrent.have().has(PieceIndex(3)));
    world.steps(6);
    assert_eq!(world.peer(poor).heard.last(), Some(&Message::NotInterested));
    assert!(world.peers.contains_key(&PeerKey(1)));
}
