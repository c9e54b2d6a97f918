//! What must hold in a ring that was left alone for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::host::DataHost;
use super::play::Play;
use crate::id::{InfoHash, RingId};
use crate::ring::contact::Contact;
use crate::ring::interval::Interval;
use crate::ring::sim::checks::Wrong;
use crate::ring::view::{MAX_SUCC, Stage};
use crate::tracker::swarm::{PeerState, Seconds, shard_of};

/// All nodes by their place on the circle.
fn order(play: &Play) -> Vec<(usize, &DataHost)> {
    let hosts = play
        .world
        .running()
        .filter_map(|place| Some((place, play.world.host(place)?)));
    let mut order: Vec<_> = hosts.collect();
    order.sort_by_key(|(_, host)| host.node.me().id);
    order
}

/// Whether the ring is ideal, each node has the say over just its own arc and knows that its copies have all of it,
/// and each swarm is in just its places.
pub(super) fn at_rest(play: &Play) -> Result<(), Wrong> {
    let order = order(play);
    let count = order.len();
    for (at, (place, host)) in order.iter().enumerate() {
        let view = host.node.view();
        let nth = |steps: usize| order[(at + steps) % count].1.node.me();
        if view.stage != Stage::Member {
            return Err(format!("place {place} is {:?}", view.stage));
        }
        let succ: Vec<Contact> = view.succ.iter().map(|succ| succ.contact).collect();
        let right: Vec<Contact> = (1..count).map(nth).take(MAX_SUCC).collect();
        if succ != right {
            return Err(format!("place {place} has successors {succ:?}"));
        }
        let custody = host.custody.view();
        let arc = Interval::new(nth(count - 1).id, view.me.id);
        let copies: Vec<Contact> = right.into_iter().take(2).collect();
        let [segment] = &custody.own[..] else {
            return Err(format!("place {place} has its arc in parts: {:?}", custody.own));
        };
        if segment.arc != arc || segment.merging || segment.copies != copies || segment.heir.is_some() {
            return Err(format!(
                "place {place} does not have its own arc {arc:?}: {segment:?}"
            ));
        }
        if !host.custody.is_settled() {
            let copies = host.custody.copy_states();
            return Err(format!(
                "place {place} does not know that all is in place: {copies:?}"
            ));
        }
    }
    let hashes: BTreeSet<InfoHash> = play.clients.keys().map(|(hash, _)| *hash).collect();
    for hash in hashes {
        in_its_places(&order, &hash)?;
    }
    Ok(())
}

/// Whether the owner of a swarm and its copies hold the same of it, and nobody else anything.
fn in_its_places(order: &[(usize, &DataHost)], hash: &InfoHash) -> Result<(), Wrong> {
    let count = order.len();
    let key = RingId::from(*hash);
    let owner = order
        .iter()
        .position(|(_, host)| host.node.me().id >= key)
        .unwrap_or(0);
    let of_owner = entries(order[owner].1, hash);
    for steps in 1..count {
        let (place, host) = order[(owner + steps) % count];
        let held = entries(host, hash);
        if steps <= 2 && held != of_owner {
            return Err(format!(
                "place {place} has {} entries of {hash}, its owner {}",
                held.len(),
                of_owner.len()
            ));
        }
        if steps > 2 && !held.is_empty() {
            return Err(format!(
                "place {place} has {} entries of {hash}, which are not its own",
                held.len()
            ));
        }
    }
    Ok(())
}

/// All entries of a swarm at a node, but for how long they have to live.
fn entries(host: &DataHost, hash: &InfoHash) -> BTreeSet<(String, PeerState, u64)> {
    let store = host.keepers[shard_of(hash)].store();
    let records = store.records(Seconds(0), hash);
    let entries = records.map(|record| (record.peer.to_string(), record.state, record.version.as_u64()));
    let counters = store.downloads(hash);
    entries
        .chain(counters.map(|of| (format!("{:08x}", of.node), PeerState::Stopped, of.count.into())))
        .collect()
}

/// What each node knows of a peer, for whoever looks for a fault.
fn known(play: &Play, hash: &InfoHash, peer: SocketAddr) -> Vec<(usize, PeerState, u64)> {
    let of = order(play).into_iter().flat_map(|(place, host)| {
        let store = host.keepers[shard_of(hash)].store();
        let mut records = store.records(Seconds(0), hash);
        let record = records.find(|record| record.peer == peer);
        record.map(|record| (place, record.state, record.version.as_u64() >> 16))
    });
    of.collect()
}

/// Whether every node returns every peer that it was told is safe, and none that has left.
pub(super) fn nothing_is_lost(play: &mut Play) -> Result<(), Wrong> {
    let load = std::mem::take(&mut play.load);
    let result = every_node_returns_all(play);
    play.load = load;
    result
}

fn every_node_returns_all(play: &mut Play) -> Result<(), Wrong> {
    let mut right: BTreeMap<InfoHash, Vec<_>> = BTreeMap::new();
    for ((hash, peer), told) in &play.clients {
        right.entry(*hash).or_default().push((*peer, told.clone()));
    }
    for place in play.open_places() {
        for hash in play.swarms() {
            let Some(right) = right.get(&hash) else { continue };
            let found = play.peers(place, hash)?;
            for (peer, told) in right {
                let (Some(acked), false) = (told.acked, told.may_be.len() > 1) else {
                    continue;
                };
                if found.contains(peer) != (acked != PeerState::Stopped) {
                    return Err(format!(
                        "place {place} is wrong about {peer} of {hash} in shard {}, which is {acked:?}: {:?}",
                        shard_of(&hash),
                        known(play, &hash, *peer),
                    ));
                }
            }
        }
    }
    Ok(())
}

/// A custody's view in a line.
pub(super) fn show(host: &DataHost) -> String {
    let view = host.custody.view();
    let name = |contact: &Contact| format!("{}/{}", contact.addr.port(), contact.incarnation);
    let names = |list: &[Contact]| list.iter().map(name).collect::<Vec<_>>().join(" ");
    let short = |arc: Interval| format!("{:?}..{:?}", arc.after, arc.upto).replace("RingId", "");
    let mut text = format!(
        "view {}{}:",
        view.epoch,
        if view.leaving { " leaving" } else { "" }
    );
    for segment in &view.own {
        text += &format!(" own {}", short(segment.arc));
        text += &format!(
            " copies [{}] mending [{}]",
            names(&segment.copies),
            names(&segment.mending)
        );
        if segment.merging {
            text += &format!(" merging [{}]", names(&segment.ask));
        }
        if let Some(heir) = &segment.heir {
            text += &format!(" heir {}", name(heir));
        }
    }
    for arc in &view.held {
        text += &format!(" held {}", short(*arc));
    }
    for rest in &view.rest {
        text += &format!(
            " rest {} {}",
            short(rest.arc),
            rest.owner.as_ref().map(name).unwrap_or_default()
        );
    }
    text
}
