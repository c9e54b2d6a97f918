//! What a person sees of single pieces and peers.

use super::world::{HONEST, Manner, Plan, World, addr, bits};
use crate::bitfield::Bitfield;
use crate::engine::api::{OpenPiece, TorrentDetails};
use crate::metainfo::Metainfo;
use crate::storage::Whose;
use crate::torrent::report::details;

impl World {
    fn details(&self) -> TorrentDetails {
        let metainfo = Metainfo {
            info: (*self.info).clone(),
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
            raw: self.info.raw.clone(),
        };
        let parked = self
            .torrent
            .parked(Bitfield::empty(self.geometry().piece_count()));
        let whose = |_| Whose {
            own: true,
            in_the_way: false,
        };
        let mut details = details(&metainfo, &self.torrent.layout, &parked, whose);
        self.torrent.complete_details(&mut details);
        details
    }
}

#[test]
fn the_map_tells_who_has_what_and_what_is_on_its_way() {
    let mut world = World::new(Plan::default());
    world.steps(2);
    let alone = world.details().map;
    assert!(alone.availability.is_empty() && alone.open.is_empty() && alone.copies() == 0.0);
    assert_eq!(alone.peers_with(3), 0);
    let silent = || Manner { speed: 0, ..HONEST };
    world.join_with(1, silent(), bits(20, [3]));
    world.join_with(2, silent(), bits(20, 0..20));
    world.steps(3);
    let details = world.details();
    assert_eq!((details.map.peers_with(3), details.map.peers_with(4)), (2, 1));
    assert_eq!(details.map.copies(), 1.05);
    assert_eq!(details.files[0].pieces, 0..20);
    assert_eq!(details.peers.len(), 2);
    let asked: u32 = details.map.open.iter().map(|open| open.requested).sum();
    let out: usize = details.peers.iter().map(|peer| peer.requests_out).sum();
    assert!(asked > 0 && asked as usize == out, "{:?}", details.map.open);
}

#[test]
fn a_piece_at_the_disk_is_whole_and_open() {
    let mut world = World::new(Plan::default());
    world.steps(2);
    world.disk.speed = 0;
    world.join_with(1, HONEST, bits(20, [5]));
    world.until("the write", |world| !world.disk.queue.is_empty());
    let whole = OpenPiece {
        piece: 5,
        received: 2,
        requested: 0,
        total: 2,
    };
    assert_eq!(world.details().map.open, [whole]);
}

#[test]
fn a_piece_with_a_wrong_hash_is_suspect_until_it_comes_well() {
    let mut world = World::new(Plan::default());
    let liar = Manner {
        corrupts: Some(1),
        ..HONEST
    };
    world.join_with(31, liar, bits(20, [5]));
    world.until("the wrong piece", |world| world.torrent.tally().pieces_failed > 0);
    assert_eq!(world.details().map.suspect, [5]);
    world.join(2, HONEST);
    world.finish();
    assert!(world.details().map.suspect.is_empty());
}

#[test]
fn nobody_at_a_banned_host_stays_or_comes_back_until_the_ban_is_lifted() {
    let mut world = World::new(Plan::default());
    let silent = Manner { speed: 0, ..HONEST };
    let key = world.join(1, silent);
    world.step();
    let (now, ip) = (world.now, addr(1).ip());
    world.torrent.ban_host(now, ip, "the user has banned it");
    world.end_turn();
    assert!(world.closed[&key].to_string().contains("banned"));
    world.torrent.on_peers_found(now, vec![addr(1)]);
    world.steps(600);
    assert!(!world.dials.contains(&addr(1)));
    world.torrent.lift_ban(ip);
    world.torrent.on_peers_found(now, vec![addr(1)]);
    world.steps(10);
    assert!(world.dials.contains(&addr(1)));
}
