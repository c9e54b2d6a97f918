//! Any sequence of events: nothing panics, no credit is lost, nothing wrong counts, and honest peers bring
//! every download to its end.

use proptest::prelude::*;

use super::world::{HONEST, Manner, Plan, World, addr, bits};
use crate::engine::api::Priority;
use crate::geometry::{BLOCK_LENGTH, Block, PieceIndex};
use crate::peer::link::PeerKey;
use crate::wire::message::Message;

/// One thing that happens. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Event {
    Step(usize),
    Join { number: u8, manner: Manner, pieces: u64 },
    Leave(usize),
    Say(usize, Message),
    SendBlock { peer: usize, piece: u32, number: u32 },
    Choke(usize, bool),
    Priorities(Vec<Priority>),
    Sequential(bool),
    ActivePeers(usize),
    DiskSpeed(usize),
    DiskFull(bool),
    DiskFails(bool),
    ForeignCredits(usize),
    Budget(usize),
    Found(u8),
    DialFailed(u8, bool),
    CloseAll,
}

fn manner() -> impl Strategy<Value = Manner> {
    let numbers = (
        0..6usize,
        prop::option::weighted(0.2, 1..9u32),
        prop::option::weighted(0.3, 1..9u64),
        (1..4u64, 0..4u64),
    );
    let flags = (
        any::<bool>(),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        any::<bool>(),
    );
    (numbers, flags, prop::option::weighted(0.2, 0..40usize)).prop_map(
        |(numbers, (fast, rejects, keeps_choking, ignores_cancels), leaves_after)| {
            let (speed, corrupts, chokes_every, (sends_every, travels)) = numbers;
            Manner {
                fast,
                speed,
                sends_every,
                travels,
                corrupts,
                rejects,
                chokes_every,
                leaves_after,
                keeps_choking,
                ignores_cancels,
            }
        },
    )
}

fn block() -> impl Strategy<Value = Block> {
    (0..12u32, 0..40u32, 0..3u32).prop_map(|(piece, number, odd)| Block {
        piece: PieceIndex(piece),
        begin: number * BLOCK_LENGTH + odd / 2,
        length: BLOCK_LENGTH + odd,
    })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        (0..12u32).prop_map(Message::Have),
        (0..12u32).prop_map(Message::AllowedFast),
        Just(Message::HaveAll),
        Just(Message::HaveNone),
        block().prop_map(Message::Request),
        block().prop_map(Message::Cancel),
        block().prop_map(Message::RejectRequest),
        Just(Message::Extended(0, b"d4:reqqi3ee"[..].into())),
    ]
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![
        Just(Priority::Skip),
        Just(Priority::Low),
        Just(Priority::Normal),
        Just(Priority::High)
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1..20usize).prop_map(Event::Step),
        1 => Just(Event::Step(700)),
        6 => (1..9u8, manner(), any::<u64>()).prop_map(|(number, manner, pieces)| Event::Join { number, manner, pieces }),
        1 => any::<usize>().prop_map(Event::Leave),
        3 => (any::<usize>(), message()).prop_map(|(peer, message)| Event::Say(peer, message)),
        2 => (any::<usize>(), 0..12u32, 0..40u32)
            .prop_map(|(peer, piece, number)| Event::SendBlock { peer, piece, number }),
        2 => any::<(usize, bool)>().prop_map(|(peer, choke)| Event::Choke(peer, choke)),
        2 => prop::collection::vec(priority(), 3).prop_map(Event::Priorities),
        1 => any::<bool>().prop_map(Event::Sequential),
        1 => (0..3usize).prop_map(Event::ActivePeers),
        1 => (0..4usize).prop_map(Event::DiskSpeed),
        1 => any::<bool>().prop_map(Event::DiskFull),
        1 => any::<bool>().prop_map(Event::DiskFails),
        1 => (0..64usize).prop_map(Event::ForeignCredits),
        1 => (1..4usize).prop_map(Event::Budget),
        1 => (1..30u8).prop_map(Event::Found),
        1 => (1..30u8, any::<bool>()).prop_map(|(number, own)| Event::DialFailed(number, own)),
        1 => Just(Event::CloseAll),
    ]
}

impl World {
    fn some_peer(&self, number: usize) -> Option<PeerKey> {
        let many = self.peers.len().max(1);
        self.peers.keys().nth(number % many).copied()
    }

    fn happens(&mut self, next_key: &mut u64, event: Event) {
        match event {
            Event::Step(count) => self.steps(count),
            Event::Join {
                number,
                manner,
                pieces,
            } => {
                let count = self.geometry().piece_count();
                let has = bits(count, (0..count).filter(|piece| pieces >> (piece % 64) & 1 == 1));
                // A ban is of the host: whoever sends wrong data shares none with honest peers.
                let number = if manner.corrupts.is_some() {
                    number + 30
                } else {
                    number
                };
                *next_key += 1;
                self.join_as(PeerKey(*next_key), number, manner, has);
            }
            Event::Leave(peer) => {
                if let Some(key) = self.some_peer(peer) {
                    self.leave(key);
                }
            }
            Event::Say(peer, message) => {
                if let Some(key) = self.some_peer(peer) {
                    match message {
                        // What it tells of its pieces must be true: the scripted peer is asked for them.
                        Message::Have(piece) if piece < self.geometry().piece_count() => {
                            self.peer(key).has.insert(PieceIndex(piece));
                        }
                        Message::HaveAll => self.peer(key).has = self.all(),
                        _ => {}
                    }
                    self.say(key, message);
                }
            }
            Event::SendBlock { peer, piece, number } => {
                let piece = PieceIndex(piece % self.geometry().piece_count());
                let block = self
                    .geometry()
                    .block(piece, number % self.geometry().block_count(piece));
                if let Some(key) = self.some_peer(peer) {
                    self.send_block(key, block);
                }
            }
            Event::Choke(peer, choke) => {
                if let Some(key) = self.some_peer(peer) {
                    self.peer(key).set_choking(choke);
                }
            }
            Event::Priorities(priorities) => self.torrent.set_priorities(priorities),
            Event::Sequential(sequential) => self.torrent.set_sequential(sequential),
            Event::ActivePeers(most) => {
                let settings = crate::torrent::state::Settings {
                    active_peers: most,
                    ..self.torrent.settings.clone()
                };
                self.torrent.set_settings(settings);
            }
            Event::DiskSpeed(speed) => self.disk.speed = speed,
            Event::DiskFull(full) => self.disk.full = full,
            Event::DiskFails(fails) => self.disk.fails_one_in = fails.then_some(4),
            Event::ForeignCredits(credits) => {
                self.budget.give_back(self.foreign_credits);
                self.foreign_credits = self.budget.take(credits);
            }
            Event::Budget(mib) => self.budget.resize_mib(mib),
            Event::Found(number) => self.torrent.on_peers_found(self.now, vec![addr(number)]),
            Event::DialFailed(number, own) => self.torrent.on_dial_failed(self.now, addr(number), own),
            Event::CloseAll => self.torrent.close_all(self.now, "as an experiment"),
        }
    }
}

/// Pieces of some blocks, kept in memory or spilled, in three files; the end is a broken block.
fn plan() -> impl Strategy<Value = Plan> {
    (prop_oneof![1..5u32, 17..22u32], any::<u64>()).prop_map(|(blocks, seed)| {
        let piece = u64::from(blocks * BLOCK_LENGTH);
        Plan {
            piece_length: blocks * BLOCK_LENGTH,
            files: vec![piece * 4 - 1000, piece * 3, piece * 4 + 6000],
            budget_mib: 1,
            seed,
            ..Plan::default()
        }
    })
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Plan {{ piece_length: {}, seed: {} }}",
            self.piece_length, self.seed
        )
    }
}

proptest! {
    #[test]
    fn whatever_happens_it_stays_sound_and_comes_to_its_end(
        plan in plan(),
        reorders in any::<bool>(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(plan);
        world.disk.reorders = reorders;
        let mut next_key = 0;
        for event in events {
            world.happens(&mut next_key, event);
            world.end_turn();
        }
        // Better times: the disk is well again, there is memory, all is wanted, and two honest seeds come. That
        // a few who send nothing hold all active places is not looked at here.
        world.torrent.settings.active_peers = 0;
        world.disk.full = false;
        world.disk.fails_one_in = None;
        world.disk.speed = 3;
        world.budget.give_back(world.foreign_credits);
        world.foreign_credits = 0;
        world.torrent.set_priorities(Vec::new());
        if !world.torrent.is_complete() {
            for number in [100, 101] {
                let all = world.all();
                next_key += 1;
                world.join_as(PeerKey(next_key), number, HONEST, all);
            }
        }
        world.finish();
        prop_assert!(world.torrent.have().is_full());
        let innocent = |reason: &crate::peer::link::CloseReason| !reason.to_string().contains("wrong data");
        prop_assert!(world.honest.iter().all(|key| world.closed.get(key).is_none_or(innocent)));
    }
}
