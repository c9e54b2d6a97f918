//! Some keepers of one shard that talk to each other, for the tests beside this.

mod owners;
mod sessions;
mod strays;
mod writes;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::ring::data::{Purpose, Run, Session};
use crate::ring::replica::fixture::node;
use crate::ring::replica::view::{Rest, Segment};
use crate::ring::view::Neighbour;
use crate::tracker::swarm::{Families, PeerState};

/// A swarm at a point of the circle; those of one point differ in the middle.
fn hash(point: u8, nth: u16) -> InfoHash {
    let mut bytes = [0; 20];
    bytes[0] = point;
    bytes[5..7].copy_from_slice(&nth.to_be_bytes());
    InfoHash::new(bytes)
}

fn says(info_hash: InfoHash, host: u8, state: PeerState) -> PeerAnnounce {
    PeerAnnounce {
        info_hash,
        peer: ([10, 0, 0, host], 6881).into(),
        state,
        completed: false,
        families: Families::Both,
        limit: 50,
    }
}

fn settings() -> Settings {
    Settings {
        node: 0,
        max_swarms: 100_000,
        max_peers: 100_000,
        peer_lifetime_secs: 100,
        tombstone_secs: 100,
    }
}

/// The view of a node that owns from `after` to itself.
fn view(epoch: u64, me: u8, after: u8, copies: &[u8]) -> CustodyView {
    let near = copies.iter().map(|&copy| Neighbour {
        contact: node(copy),
        serving: true,
    });
    CustodyView {
        epoch,
        own: vec![Segment {
            arc: Interval::new(node(after).id, node(me).id),
            merging: false,
            ask: Vec::new(),
            copies: copies.iter().map(|&copy| node(copy)).collect(),
            mending: Vec::new(),
            heir: None,
        }],
        rest: vec![Rest {
            arc: Interval::new(node(me).id, node(after).id),
            owner: None,
        }],
        near: near.collect(),
        ..CustodyView::nothing(node(me))
    }
}

/// The view of a node that keeps copies only.
fn keeps(epoch: u64, me: u8, held: Interval) -> CustodyView {
    CustodyView {
        epoch,
        held: vec![held],
        rest: vec![Rest {
            arc: Interval::new(held.upto, held.after),
            owner: None,
        }],
        ..CustodyView::nothing(node(me))
    }
}

/// Some keepers of one shard, and what they said.
struct Net {
    keepers: BTreeMap<u8, Keeper>,
    began: Instant,
    millis: u64,
    out: BTreeMap<u8, Outbox>,
    /// Links over which nothing goes for now, by their receivers.
    deaf: BTreeSet<u8>,
    /// Entries of sessions to this node are lost.
    lossy: Option<u8>,
    sent: Vec<(u8, u8, DataMessage)>,
}

impl Net {
    fn new(nodes: &[u8]) -> Self {
        let began = Instant::now();
        let keeper = |&number: &u8| {
            (
                number,
                Keeper::new(node(number), 0, began, settings(), number.into()),
            )
        };
        Self {
            keepers: nodes.iter().map(keeper).collect(),
            began,
            millis: 0,
            out: nodes.iter().map(|&number| (number, Outbox::default())).collect(),
            deaf: BTreeSet::new(),
            lossy: None,
            sent: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        Now {
            at: self.began + Duration::from_millis(self.millis),
            unix_ms: 1_000_000 + self.millis,
        }
    }

    fn at<T>(&mut self, number: u8, act: impl FnOnce(&mut Keeper, Now, &mut Outbox) -> T) -> T {
        let now = self.now();
        let keeper = self.keepers.get_mut(&number).expect("a node of the test");
        act(
            keeper,
            now,
            self.out.get_mut(&number).expect("a node of the test"),
        )
    }

    fn set_view(&mut self, view: CustodyView) {
        let number = view.me.addr.port() as u8;
        self.at(number, |keeper, now, out| {
            keeper.set_view(now, Arc::new(view), out);
        });
    }

    /// Delivers all that is under way to those who listen.
    fn talk(&mut self) {
        loop {
            let mut moved = false;
            for from in self.keepers.keys().copied().collect::<Vec<_>>() {
                let out = self.out.get_mut(&from).expect("a node of the test");
                out.flush();
                let keep = |to: &Contact| self.deaf.contains(&(to.addr.port() as u8));
                let (later, sends): (Vec<_>, Vec<_>) = out.sends.drain(..).partition(|(to, _)| keep(to));
                out.sends = later;
                for (to, message) in sends {
                    let to = to.addr.port() as u8;
                    if matches!(message, DataMessage::Records { .. }) && self.lossy == Some(to) {
                        continue;
                    }
                    self.sent.push((from, to, message.clone()));
                    if self.keepers.contains_key(&to) {
                        moved = true;
                        self.at(to, |keeper, now, out| {
                            keeper.on_message(now, &node(from), message, out);
                        });
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn tick(&mut self, millis: u64) {
        for _ in 0..millis / 50 {
            self.millis += 50;
            for number in self.keepers.keys().copied().collect::<Vec<_>>() {
                self.at(number, |keeper, now, out| keeper.on_tick(now, out));
            }
            self.talk();
        }
    }

    fn announce(&mut self, number: u8, request: u64, announce: &PeerAnnounce) {
        self.at(number, |keeper, now, out| {
            keeper.announce(now, Origin::Local { request }, announce, out);
        });
    }

    /// Takes the answers that a node has for its own clients.
    fn replies(&mut self, number: u8) -> Vec<(u64, Reply)> {
        std::mem::take(&mut self.out.get_mut(&number).expect("a node of the test").replies)
    }

    fn progress(&mut self, number: u8) -> Option<Progress> {
        let reports = std::mem::take(&mut self.out.get_mut(&number).expect("a node of the test").reports);
        let mut progress = reports.into_iter().filter_map(|report| match report {
            Report::Progress(progress) => Some(progress),
            _ => None,
        });
        progress.next_back()
    }

    fn silent(&mut self, number: u8) -> Vec<Contact> {
        let reports = std::mem::take(&mut self.out.get_mut(&number).expect("a node of the test").reports);
        let silent = reports.into_iter().filter_map(|report| match report {
            Report::Silent(contact) => Some(contact),
            _ => None,
        });
        silent.collect()
    }

    fn entries(&self, number: u8) -> Vec<(InfoHash, std::net::SocketAddr, PeerState, u64)> {
        let store = self.keepers[&number].store();
        let mut entries: Vec<_> = store
            .swarms()
            .flat_map(|(info_hash, _)| store.records(Seconds(0), &info_hash).collect::<Vec<_>>())
            .map(|record| {
                (
                    record.info_hash,
                    record.peer,
                    record.state,
                    record.version.as_u64(),
                )
            })
            .collect();
        entries.sort();
        entries
    }
}

fn is_safe(replies: &[(u64, Reply)], request: u64) -> bool {
    replies
        .iter()
        .any(|(of, reply)| *of == request && matches!(reply, Reply::Announced(_)))
}

fn ring_of_three() -> Net {
    let mut net = Net::new(&[1, 2, 3, 4]);
    net.set_view(view(1, 1, 4, &[2, 3]));
    for copy in [2, 3] {
        net.set_view(keeps(1, copy, Interval::new(node(4).id, node(1).id)));
    }
    net.tick(100);
    net
}

const LEECH: PeerState = PeerState::Leech;
