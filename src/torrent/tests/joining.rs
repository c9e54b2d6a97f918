//! Who is let in, who parts from whom, whom we dial.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use super::world::{HONEST, Manner, Plan, World, addr, bits, introduced};
use crate::engine::api::Priority;
use crate::peer::link::PeerKey;
use crate::wire::extension::{ExtensionHandshake, HANDSHAKE_NUMBER};
use crate::wire::handshake::Direction::{self, Incoming, Outgoing};
use crate::wire::message::Message;

/// Lets a connection of the peer with the id `[id; 20]` in, if it is welcome.
fn try_join(world: &mut World, key: u64, id: u8, direction: Direction) -> Result<(), &'static str> {
    let introduced = introduced(addr(9), [id; 20], direction, true);
    let session = world.torrent.admit(world.now, &introduced)?;
    world
        .torrent
        .on_joined(world.now, PeerKey(key), session, Arc::default());
    Ok(())
}

fn connected(world: &World) -> Vec<u64> {
    world.torrent.peers.keys().map(|key| key.0).collect()
}

#[test]
fn of_two_connections_that_crossed_the_one_of_the_greater_id_stays() {
    // Our own id is [128; 20].
    let cases = [
        (200, Outgoing, Incoming, 2),
        (200, Incoming, Outgoing, 1),
        (50, Outgoing, Incoming, 1),
        (50, Incoming, Outgoing, 2),
    ];
    for (id, first, second, stays) in cases {
        let mut world = World::new(Plan::default());
        try_join(&mut world, 1, id, first).unwrap();
        assert_eq!(try_join(&mut world, 2, id, second).is_ok(), stays == 2);
        world.end_turn();
        assert_eq!(connected(&world), [stays], "{id}: {first:?}, then {second:?}");
    }
}

#[test]
fn a_second_connection_of_a_peer_is_refused_if_it_did_not_cross_the_first() {
    let mut world = World::new(Plan::default());
    try_join(&mut world, 1, 200, Outgoing).unwrap();
    assert!(
        try_join(&mut world, 2, 200, Outgoing).is_err(),
        "the same direction"
    );
    world.now += Duration::from_secs(10);
    assert!(try_join(&mut world, 3, 200, Incoming).is_err(), "much later");
    assert_eq!(connected(&world), [1]);
}

#[test]
fn an_id_keeps_nobody_away_who_is_elsewhere() {
    let mut world = World::new(Plan::default());
    try_join(&mut world, 1, 200, Outgoing).unwrap();
    world.now += Duration::from_secs(10);
    let mut join_from = |key, addr: &str| {
        let introduced = introduced(addr.parse().unwrap(), [200; 20], Incoming, true);
        let session = world.torrent.admit(world.now, &introduced)?;
        let joined = &mut world.torrent;
        joined.on_joined(world.now, PeerKey(key), session, Arc::default());
        Ok::<_, &str>(())
    };
    assert!(join_from(2, "198.51.100.7:1").is_ok(), "another host");
    assert!(join_from(3, "198.51.100.7:2").is_err(), "the same host");
    assert!(
        join_from(4, "[::ffff:198.51.100.7]:3").is_err(),
        "the same address"
    );
    assert!(join_from(5, "[2001:db8::1]:4").is_err(), "its other family");
}

#[test]
fn ourselves_the_banned_and_too_many_are_refused() {
    let mut world = World::new(Plan::default());
    assert!(try_join(&mut world, 1, 128, Incoming).is_err());
    world.torrent.settings.max_connections = 1;
    try_join(&mut world, 2, 1, Incoming).unwrap();
    assert_eq!(try_join(&mut world, 3, 2, Incoming), Err("too many connections"));
    world.torrent.addresses.ban(addr(9).ip());
    assert!(
        try_join(&mut world, 4, 3, Incoming)
            .unwrap_err()
            .contains("banned")
    );
    world.torrent.stop(world.now);
    assert!(try_join(&mut world, 5, 4, Incoming).is_err());
}

#[test]
fn seeds_part_from_seeds_however_they_became_ones() {
    let mut world = World::new(Plan {
        have: (0..20).collect(),
        ..Plan::default()
    });
    let seed = world.join(1, HONEST);
    let leech = world.join_with(2, HONEST, bits(20, 0..19));
    world.step();
    assert!(world.closed.contains_key(&seed));
    assert!(world.peers.contains_key(&leech));
    world.say(leech, Message::Have(19));
    world.step();
    assert!(world.closed.contains_key(&leech));
    assert!(world.torrent.is_quiet());
}

#[test]
fn a_peer_counts_once_however_it_tells_of_its_pieces() {
    let mut world = World::new(Plan::default());
    let none = Manner {
        keeps_choking: true,
        ..HONEST
    };
    let all = world.join(1, none.clone());
    let some = world.join_with(2, none.clone(), bits(20, [3]));
    world.step();
    for piece in [3, 4, 4] {
        world.say(some, Message::Have(piece));
    }
    world.step();
    let available = |world: &World, piece| {
        world
            .torrent
            .picker
            .availability(crate::geometry::PieceIndex(piece))
    };
    assert_eq!([3, 4, 5].map(|piece| available(&world, piece)), [2, 2, 1]);
    for piece in 0..20 {
        world.say(some, Message::Have(piece));
    }
    world.step();
    assert_eq!([3, 4, 5].map(|piece| available(&world, piece)), [2, 2, 2]);
    world.leave(all);
    assert_eq!([3, 4, 5].map(|piece| available(&world, piece)), [1, 1, 1]);
    world.leave(some);
    assert_eq!([3, 4, 5].map(|piece| available(&world, piece)), [0, 0, 0]);
}

#[test]
fn a_lower_limit_closes_the_connections_of_least_use() {
    let mut world = World::new(Plan {
        files: vec![u64::from(crate::geometry::BLOCK_LENGTH) * 4_000],
        ..Plan::default()
    });
    for number in 1..=3 {
        world.join_with(number, HONEST, bits(2_000, []));
    }
    for (number, speed) in [(4, 1), (5, 9), (6, 4)] {
        world.join(number, Manner { speed, ..HONEST });
    }
    world.steps(30);
    assert_eq!(world.peers.len(), 6);
    let fewer = |world: &World, max_connections| crate::torrent::state::Settings {
        max_connections,
        ..world.torrent.settings.clone()
    };
    world.torrent.set_settings(fewer(&world, 4));
    world.steps(5);
    assert_eq!(connected(&world), [1, 4, 5, 6], "the oldest of equals stays");
    world.torrent.set_settings(fewer(&world, 1));
    world.steps(5);
    assert_eq!(connected(&world), [5], "the quickest");
}

#[test]
fn a_later_bitfield_takes_the_place_of_the_first() {
    let mut world = World::new(Plan::default());
    let key = world.join(1, HONEST);
    world.step();
    world.say(key, Message::HaveNone);
    world.step();
    assert!(world.peers.contains_key(&key));
    let available = |world: &World| world.torrent.picker.availability(crate::geometry::PieceIndex(7));
    assert_eq!(available(&world), 0);
    world.say(key, Message::HaveAll);
    world.step();
    assert_eq!(available(&world), 1);
}

#[test]
fn a_peer_that_came_to_us_is_not_dialled_where_it_listens() {
    let mut world = World::new(Plan::default());
    let key = world.join_with(1, HONEST, bits(20, []));
    let listens = ExtensionHandshake {
        port: NonZeroU16::new(6881),
        ..ExtensionHandshake::default()
    };
    world.say(key, Message::Extended(HANDSHAKE_NUMBER, listens.encode().into()));
    world.step();
    world.torrent.on_peers_found(world.now, vec![addr(1), addr(2)]);
    world.steps(20);
    assert_eq!(world.dials, [addr(2)]);
    world.leave(key);
    world.until("another try", |world| world.dials.len() > 1);
    assert_eq!(world.dials, [addr(2), addr(1)]);
}

#[test]
fn a_dial_that_crossed_with_a_call_leaves_the_address_connected() {
    let mut world = World::new(Plan::default());
    world.torrent.on_peers_found(world.now, vec![addr(1)]);
    world.step();
    assert_eq!(world.dials, [addr(1)]);
    let key = world.join_with(1, HONEST, bits(20, []));
    let listens = ExtensionHandshake {
        port: NonZeroU16::new(6881),
        ..ExtensionHandshake::default()
    };
    world.say(key, Message::Extended(HANDSHAKE_NUMBER, listens.encode().into()));
    world.now += Duration::from_secs(10);
    world.step();
    let ours = introduced(addr(1), [1; 20], Outgoing, true);
    assert!(world.torrent.admit(world.now, &ours).is_err());
    world.steps(1_000);
    assert_eq!(world.dials, [addr(1)], "once");
}

#[test]
fn peers_are_told_when_we_want_no_more_pieces() {
    let mut world = World::new(Plan {
        files: vec![u64::from(crate::geometry::BLOCK_LENGTH) * 20; 2],
        have: (0..9).collect(),
        ..Plan::default()
    });
    // What it has heard of that, in order.
    let told = |world: &mut World, key| -> Vec<bool> {
        let heard = world.peer(key).heard.iter();
        heard
            .filter_map(|message| match message {
                Message::Extended(HANDSHAKE_NUMBER, payload) => {
                    ExtensionHandshake::decode(payload).unwrap().upload_only
                }
                _ => None,
            })
            .collect()
    };
    let skip_second = vec![Priority::Normal, Priority::Skip];
    world.torrent.set_priorities(skip_second);
    world.end_turn();
    let early = world.join_with(1, HONEST, bits(20, []));
    world.step();
    assert_eq!(told(&mut world, early), [false]);
    world.join_with(2, HONEST, bits(20, [9]));
    world.until("all that is wanted", |world| world.torrent.is_complete());
    world.step();
    assert_eq!(told(&mut world, early), [false, true]);
    let late = world.join_with(3, HONEST, bits(20, []));
    world.step();
    assert_eq!(told(&mut world, late), [true], "half of the pieces are here");
    world.torrent.set_priorities(Vec::new());
    world.step();
    assert_eq!(told(&mut world, late), [true, false]);
    world.steps(20);
    assert_eq!(told(&mut world, early), [false, true, false], "and no more");
}

#[test]
fn known_addresses_are_dialled_up_to_the_limit_and_not_twice() {
    let mut world = World::new(Plan::default());
    world.torrent.settings.max_connections = 3;
    let found: Vec<SocketAddr> = (1..=9).map(addr).collect();
    world.torrent.on_peers_found(world.now, found.clone());
    world.steps(20);
    assert_eq!(world.dials, found[..3]);
    world.torrent.on_dial_failed(world.now, addr(1), false);
    world.torrent.on_dial_failed(world.now, addr(2), true);
    world.steps(20);
    assert_eq!(world.dials, found[..5]);
    assert!(
        !world.torrent.known_addresses().contains(&addr(2)),
        "our own is forgotten"
    );
}
