//! Serving others.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::world::{HONEST, Manner, Plan, World, bits};
use crate::choker::Slots;
use crate::geometry::{BLOCK_LENGTH, Block, PieceIndex};
use crate::peer::link::{CloseReason, PeerKey};
use crate::peer::session::{MOST_REQUESTS_WAITING, REQUEST_QUEUE};
use crate::torrent::state::Settings;
use crate::wire::message::Message;

/// A seed of 30 pieces.
fn seed() -> World {
    world_with(30)
}

/// One that has the first of 30 pieces.
fn world_with(have: u32) -> World {
    let mut world = World::new(Plan {
        files: vec![u64::from(BLOCK_LENGTH) * 60],
        have: (0..have).collect(),
        ..Plan::default()
    });
    world.end_turn();
    world
}

fn leech(world: &mut World, number: u8, fast: bool) -> PeerKey {
    let none = bits(30, []);
    world.join_with(number, Manner { fast, ..HONEST }, none)
}

fn block(piece: u32, number: u32) -> Block {
    Block {
        piece: PieceIndex(piece),
        begin: number * BLOCK_LENGTH,
        length: BLOCK_LENGTH,
    }
}

#[test]
fn an_interested_peer_gets_a_free_slot_at_once_and_its_blocks() {
    let mut world = seed();
    let key = leech(&mut world, 1, true);
    world.say(key, Message::Interested);
    world.step();
    assert!(world.peer(key).unchoked);
    world.say(key, Message::Request(block(7, 1)));
    world.step();
    assert_eq!(world.peer(key).uploads, [block(7, 1)]);
    world.say(key, Message::Cancel(block(7, 1)));
    world.step();
    assert_eq!(world.peer(key).uploads, []);
    world.say(key, Message::NotInterested);
    world.step();
    assert!(!world.peer(key).unchoked, "the slot is free for another");
}

#[test]
fn no_more_are_served_than_there_are_slots() {
    let mut world = seed();
    for number in 1..=9 {
        let key = leech(&mut world, number, true);
        world.say(key, Message::Interested);
    }
    for _ in 0..50 {
        world.steps(10);
        assert_eq!(world.peers.values().filter(|peer| peer.unchoked).count(), 4);
    }
}

#[test]
fn among_many_who_are_served_a_newcomer_gets_a_free_slot_at_once() {
    let mut world = seed();
    world.torrent.set_settings(Settings {
        upload_slots: Slots::Fixed(100),
        max_connections: 200,
        ..world.torrent.settings
    });
    for number in 1..=100 {
        let key = leech(&mut world, number, true);
        world.say(key, Message::Interested);
        world.step();
        assert!(world.peer(key).unchoked, "{number}");
    }
    let late = leech(&mut world, 101, true);
    world.say(late, Message::Interested);
    world.step();
    assert!(!world.peer(late).unchoked);
    let first = *world.peers.keys().next().unwrap();
    world.say(first, Message::NotInterested);
    world.steps(2);
    assert!(world.peer(late).unchoked, "the place of another");
}

#[test]
fn a_slot_that_is_not_used_goes_to_another() {
    let mut world = seed();
    let mute: Vec<_> = (1..=4).map(|number| leech(&mut world, number, true)).collect();
    mute.iter().for_each(|key| world.say(*key, Message::Interested));
    world.step();
    assert!(mute.iter().all(|key| world.peer(*key).unchoked));
    let late = leech(&mut world, 5, true);
    world.say(late, Message::Interested);
    // One of them asks for something, if only now and then.
    for piece in 0..4 {
        world.steps(10);
        world.say(mute[0], Message::Request(block(piece, 0)));
    }
    world.steps(10);
    assert!(world.peer(mute[0]).unchoked);
    assert!(world.peer(late).unchoked, "before the next round");
}

#[test]
fn a_request_of_a_choked_peer_is_rejected_if_it_understands_that() {
    for fast in [true, false] {
        let mut world = seed();
        let key = leech(&mut world, 1, fast);
        world.step();
        let granted = world.torrent.peers[&key].session.granted_fast.clone();
        let other = (0..30)
            .find(|piece| !granted.contains(&PieceIndex(*piece)))
            .unwrap();
        world.say(key, Message::Request(block(other, 0)));
        world.step();
        assert_eq!(world.peer(key).uploads, []);
        let rejected = world
            .peer(key)
            .heard
            .contains(&Message::RejectRequest(block(other, 0)));
        assert_eq!(rejected, fast);
    }
}

#[test]
fn a_seed_grants_nothing() {
    let mut world = seed();
    let key = leech(&mut world, 1, true);
    world.step();
    assert_eq!(world.torrent.peers[&key].session.granted_fast, []);
    let is_grant = |message: &Message| matches!(message, Message::AllowedFast(_));
    assert!(!world.peer(key).heard.iter().any(is_grant));
}

#[test]
fn a_choked_newcomer_gets_the_pieces_of_its_allowed_fast_set() {
    let mut world = world_with(29);
    let key = leech(&mut world, 1, true);
    world.step();
    let granted = world.torrent.peers[&key].session.granted_fast.clone();
    assert!(granted.len() >= 9, "ten pieces, of which one may be missing here");
    world.say(key, Message::Request(block(granted[0].0, 1)));
    world.step();
    assert_eq!(world.peer(key).uploads, [block(granted[0].0, 1)]);
}

#[test]
fn a_choke_does_not_take_back_what_was_granted() {
    let mut world = world_with(29);
    let key = leech(&mut world, 1, true);
    world.say(key, Message::Interested);
    world.step();
    let granted = world.torrent.peers[&key].session.granted_fast.clone();
    let other = (0..29)
        .find(|piece| !granted.contains(&PieceIndex(*piece)))
        .unwrap();
    for piece in [other, granted[0].0] {
        world.say(key, Message::Request(block(piece, 0)));
    }
    world.step();
    assert_eq!(world.peer(key).uploads.len(), 2);
    world.say(key, Message::NotInterested);
    world.step();
    assert!(!world.peer(key).unchoked);
    assert_eq!(world.peer(key).uploads, [block(granted[0].0, 0)]);
}

#[test]
fn a_flood_of_requests_is_bounded_even_within_one_turn() {
    let mut world = seed();
    let key = leech(&mut world, 1, true);
    world.say(key, Message::Interested);
    world.step();
    const FLOOD: usize = MOST_REQUESTS_WAITING + 1_000;
    for number in 0..FLOOD as u32 {
        world.say(key, Message::Request(block(number % 30, number % 2)));
    }
    world.step();
    assert_eq!(world.peer(key).uploads.len(), MOST_REQUESTS_WAITING);
    let rejects = world
        .peer(key)
        .heard
        .iter()
        .filter(|message| matches!(message, Message::RejectRequest(_)));
    assert_eq!(rejects.count(), FLOOD - MOST_REQUESTS_WAITING);
    world.say(key, Message::Request(block(0, 0)));
    world.step();
    assert_eq!(
        world.peer(key).uploads.len(),
        MOST_REQUESTS_WAITING,
        "the writer has not sent anything yet"
    );
}

#[test]
fn what_we_lack_is_not_served() {
    let mut world = World::new(Plan {
        have: vec![0],
        ..Plan::default()
    });
    let key = world.join_with(1, HONEST, bits(20, []));
    world.say(key, Message::Interested);
    world.step();
    world.say(key, Message::Request(block(0, 0)));
    world.say(key, Message::Request(block(1, 0)));
    world.step();
    assert_eq!(world.peer(key).uploads, [block(0, 0)]);
    assert!(
        world
            .peer(key)
            .heard
            .contains(&Message::RejectRequest(block(1, 0)))
    );
}

#[test]
fn a_request_for_what_does_not_exist_ends_the_connection() {
    let mut world = seed();
    let key = leech(&mut world, 1, true);
    world.say(key, Message::Request(block(30, 0)));
    world.step();
    assert!(matches!(&world.closed[&key], CloseReason::Protocol(_)));
}

#[test]
fn data_that_cannot_be_read_halts_the_torrent_and_is_told_once() {
    let mut world = seed();
    let keys = [1, 2, 3].map(|number| leech(&mut world, number, true));
    world.leave_for(keys[0], CloseReason::Stalled);
    world.step();
    assert_eq!(world.torrent.halted(), None, "that was the peer's fault");
    for key in &keys[1..] {
        world.leave_for(
            *key,
            CloseReason::Disk("fixture/0 is missing; put it back".into()),
        );
    }
    world.steps(200);
    let halted = world.torrent.halted().unwrap();
    assert!(!halted.retries);
    assert_eq!(world.halted.len(), 1, "{:?}", world.halted);
    assert!(
        halted.message.contains("fixture/0 is missing") && halted.message.contains("checked again"),
        "{}",
        halted.message
    );
}

#[test]
fn a_peer_that_keeps_our_queue_full_loses_no_request() {
    // Without the fast extension it would never learn of one that was dropped.
    let mut world = seed();
    let key = leech(&mut world, 1, false);
    world.say(key, Message::Interested);
    world.step();
    for number in 0..REQUEST_QUEUE as u32 {
        world.say(key, Message::Request(block(number % 30, number % 2)));
    }
    world.step();
    // It has received the first batch, of which the writer has not taken note yet.
    for number in 0..16 {
        world.say(key, Message::Request(block(number % 30, number % 2)));
    }
    world.step();
    assert_eq!(world.peer(key).uploads.len(), REQUEST_QUEUE + 16);
}

#[test]
fn what_the_writer_counts_after_the_peer_has_left_counts() {
    let mut world = seed();
    let key = leech(&mut world, 1, true);
    let of_writer = Arc::clone(&world.peer(key).counters);
    of_writer.payload_sent.store(1000, Ordering::Relaxed);
    world.leave(key);
    world.torrent.on_tick(world.now);
    of_writer.payload_sent.fetch_add(500, Ordering::Relaxed);
    assert_eq!(world.torrent.uploaded(), 1500);
    drop(of_writer);
    world.torrent.on_tick(world.now);
    assert_eq!((world.torrent.uploaded(), world.torrent.leaving.len()), (1500, 0));
}
