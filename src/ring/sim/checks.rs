//! What must hold in a simulated ring.

use std::collections::{BTreeMap, BTreeSet};

use super::host::Process;
use super::world::World;
use crate::id::RingId;
use crate::ring::contact::Contact;
use crate::ring::interval::{between, clockwise};
use crate::ring::members::MAX_MEMBERS;
use crate::ring::view::{MAX_PREDS, MAX_SUCC, PREDS, Stage, View};

/// What is wrong, in words.
pub(crate) type Wrong = String;

/// What holds for the lists of a node at any moment, whatever the network does.
pub(crate) fn structure(host: &impl Process) -> Result<(), Wrong> {
    let view = host.node().view();
    let me = view.me.id;
    let wrong = |what: &str| Err(format!("{what}: {}", show(view)));
    let mut last = RingId::new([0; 20]);
    for node in &view.succ {
        let distance = clockwise(me, node.contact.id);
        if distance <= last {
            return wrong("successors out of order");
        }
        last = distance;
    }
    last = RingId::new([0; 20]);
    for node in &view.preds {
        let distance = clockwise(node.contact.id, me);
        if distance <= last {
            return wrong("predecessors out of order");
        }
        last = distance;
    }
    if view.succ.len() > MAX_SUCC || view.preds.len() > MAX_PREDS {
        return wrong("a list is too long");
    }
    if view.stage != Stage::Member && (!view.succ.is_empty() || !view.preds.is_empty()) {
        return wrong("neighbours outside of a ring");
    }
    let members = host.node().members();
    if members.len() > MAX_MEMBERS {
        return wrong("too many members");
    }
    // The predecessor stays, dead or not, until another takes its place.
    for node in view.succ.iter().chain(view.preds.iter().skip(1)) {
        if members
            .incarnation(node.contact.id)
            .is_some_and(|known| known > node.contact.incarnation)
        {
            return wrong("a life that is known to be over");
        }
    }
    Ok(())
}

/// Members of rings by their place on the circle.
pub(crate) fn members<H: Process>(world: &World<H>) -> BTreeMap<RingId, &View> {
    world
        .running()
        .filter_map(|place| world.host(place))
        .map(|host| host.node().view())
        .filter(|view| view.stage == Stage::Member)
        .map(|view| (view.me.id, view))
        .collect()
}

/// Zave's properties of a ring in which only as many die as the lists allow for: each member has a live
/// successor, and the first live successors of all lead into one circle, in order.
pub(crate) fn one_ring(members: &BTreeMap<RingId, &View>) -> Result<(), Wrong> {
    let mut next = BTreeMap::new();
    for (&id, view) in members {
        let live = |contact: &Contact| members.get(&contact.id).is_some_and(|view| view.me == *contact);
        match view.succ.iter().find(|node| live(&node.contact)) {
            Some(node) => next.insert(id, node.contact.id),
            // A ring of one, perhaps one that others are about to join.
            None if view.succ.is_empty() => next.insert(id, id),
            None => return Err(format!("no live successor: {}", show(view))),
        };
    }
    // After as many steps as there are members, each walk is on a circle.
    let mut circles = BTreeSet::new();
    for &start in members.keys() {
        let mut at = start;
        for _ in 0..members.len() {
            at = next[&at];
        }
        let on_circle = at;
        let (mut least, mut round) = (at, RingId::new([0; 20]));
        let mut turns = 0;
        loop {
            let step = clockwise(at, next[&at]);
            let sum = crate::ring::interval::advance(round, step);
            turns += u32::from(sum <= round);
            round = sum;
            at = next[&at];
            least = least.min(at);
            if at == on_circle {
                break;
            }
        }
        if turns != 1 {
            return Err(format!("a ring goes round {turns} times"));
        }
        circles.insert(least);
    }
    match circles.len() {
        1 => Ok(()),
        count => Err(format!("{count} rings")),
    }
}

/// The members that no list passes over. In the fault model such a node stays one until it dies.
///
/// Lists that are on their way count: whoever gets one takes it over as it was when it was sent. (In Zave's model a node
/// reads the list of another in one step, and there are none.)
pub(crate) fn principals<H: Process>(
    world: &World<H>,
    members: &BTreeMap<RingId, &View>,
) -> BTreeSet<Contact> {
    let mut principals: BTreeSet<Contact> = members.values().map(|view| view.me).collect();
    let held = members
        .values()
        .map(|view| (view.me, view.succ.iter().map(|node| node.contact).collect()));
    let on_their_way = world
        .under_way()
        .filter_map(|(from, message)| Some((*from, H::list_in(message)?)));
    for (of, list) in held.chain(on_their_way) {
        let list: Vec<Contact> = list;
        let mut from = of.id;
        for node in list {
            principals.retain(|other| !between(from, other.id, node.id));
            from = node.id;
        }
    }
    principals
}

/// The predecessor of each member that has one which lives.
pub(crate) fn live_preds(members: &BTreeMap<RingId, &View>) -> BTreeMap<Contact, Contact> {
    let pred = |view: &&View| {
        let pred = view.preds.first()?.contact;
        let lives = members.get(&pred.id).is_some_and(|view| view.me == pred);
        lives.then_some((view.me, pred))
    };
    members.values().filter_map(pred).collect()
}

/// Whether every process is in one ring in which all lists are right.
pub(crate) fn ideal<H: Process>(world: &World<H>) -> Result<(), Wrong> {
    let members = members(world);
    let processes = world
        .running()
        .filter(|&place| {
            world
                .host(place)
                .is_some_and(|host| host.node().view().stage != Stage::Left)
        })
        .count();
    if members.len() != processes {
        return Err(format!("{} of {processes} are in a ring", members.len()));
    }
    let order: Vec<&View> = members.values().copied().collect();
    let count = order.len();
    for (at, view) in order.iter().enumerate() {
        let behind = (1..count).map(|step| order[(at + step) % count].me);
        let before = (1..count).map(|step| order[(at + count - step) % count].me);
        let succ: Vec<Contact> = view.succ.iter().map(|node| node.contact).collect();
        let preds: Vec<Contact> = view.preds.iter().map(|node| node.contact).collect();
        if !succ.iter().copied().eq(behind.take(MAX_SUCC)) {
            return Err(format!("wrong successors: {}", show(view)));
        }
        if !preds.iter().copied().eq(before.take(PREDS)) {
            return Err(format!("wrong predecessors: {}", show(view)));
        }
        // With more others than the list holds, it can say so only when it sees the end.
        if count <= PREDS + 1 && !view.preds_go_round || count > PREDS + 1 && view.preds_go_round {
            return Err(format!("wrong about going round: {}", show(view)));
        }
        if !view.succ.iter().chain(&view.preds).all(|node| node.serving) {
            return Err(format!("wrong about who serves: {}", show(view)));
        }
    }
    Ok(())
}

/// A view in a line.
pub(crate) fn show(view: &View) -> String {
    let name = |contact: &Contact| format!("{}/{}", contact.addr.port(), contact.incarnation);
    let names = |list: &[crate::ring::view::Neighbour]| -> Vec<String> {
        list.iter()
            .map(|node| name(&node.contact) + if node.serving { "" } else { "-" })
            .collect()
    };
    format!(
        "{} {:?} preds {:?}{} succ {:?}",
        name(&view.me),
        view.stage,
        names(&view.preds),
        if view.preds_go_round { " round" } else { "" },
        names(&view.succ),
    )
}
