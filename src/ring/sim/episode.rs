//! Schedules: what happens to a ring, as a seed decides, and how it must end.

use std::collections::{BTreeMap, BTreeSet};

use super::checks::{self, Wrong};
use super::host::{Process, RingHost, no_members};
use super::world::{Faults, MILLI, Micros, SECOND, World};
use crate::id::RingId;
use crate::ring::contact::Contact;
use crate::ring::interval::{between, clockwise};
use crate::ring::members::{MAX_MEMBERS, Members};
use crate::ring::node::Start;
use crate::ring::timing::Timing;
use crate::ring::view::Stage;

/// The first port of the places.
const FIRST_PORT: u16 = 1000;

/// A ring and its history.
pub(crate) struct Play<H: Process> {
    pub(crate) world: World<H>,
    pub(crate) timing: Timing,
    ids: Vec<RingId>,
    /// How often each place was started.
    lives: Vec<u64>,
    /// The member list on each place's disk.
    disks: Vec<Option<Members>>,
    most_members: usize,
    /// Zave's properties are checked after every message.
    strict: bool,
    /// Told to whoever replays the schedule.
    trace: bool,
    introduced: Micros,
}

impl<H: Process> Play<H> {
    pub(crate) fn new(seed: u64, places: usize, faults: Faults, trace: bool) -> Self {
        let mut world = World::new(seed, faults);
        let ids: Vec<RingId> = (0..places).map(|_| RingId::random(&mut world.rng)).collect();
        for place in 0..places {
            world.add_place(FIRST_PORT + place as u16);
        }
        Self {
            world,
            timing: Timing::default(),
            ids,
            lives: vec![0; places],
            disks: vec![None; places],
            most_members: MAX_MEMBERS,
            strict: false,
            trace,
            introduced: 0,
        }
    }

    /// Bounds what nodes remember: rings of thousands of nodes in one process need it.
    pub(crate) fn limit_members(&mut self, most: usize) {
        self.most_members = most;
    }

    /// Gives the places ids of the caller's choice.
    pub(crate) fn set_ids(&mut self, ids: Vec<RingId>) {
        self.ids = ids;
    }

    /// Says something to whoever replays the schedule.
    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>9.3} s  {}", self.world.now() as f64 / SECOND as f64, what());
        }
    }

    /// Starts the process at a place, with what its earlier life kept on disk.
    pub(crate) fn start(&mut self, place: usize, how: Start) {
        self.lives[place] += 1;
        let me = Contact {
            id: self.ids[place],
            incarnation: self.lives[place],
            addr: ([127, 0, 0, 1], FIRST_PORT + place as u16).into(),
        };
        let members = match self.disks[place].take() {
            Some(members) => members,
            None => no_members(self.most_members, &self.timing),
        };
        self.note(|| format!("start {place} {how:?}: {me}"));
        let host = H::start(self.world.instant(), me, members, self.timing.clone(), how);
        self.world.boot(place, host);
    }

    /// Lets a process choose the id of its place in the ring that there is.
    pub(crate) fn choose(&mut self, place: usize) -> Result<(), Wrong> {
        self.start(place, Start::Choose);
        for _ in 0..200 {
            if let Some(id) = self.world.host(place).and_then(|host| host.placed()) {
                self.world.kill(place);
                self.ids[place] = id;
                return Ok(());
            }
            self.advance(50 * MILLI)?;
        }
        Err("no place was chosen".to_owned())
    }

    pub(crate) fn kill(&mut self, place: usize) {
        self.note(|| format!("kill {place}"));
        if let Some(host) = self.world.kill(place) {
            self.disks[place] = Some(host.node().members().clone());
        }
    }

    pub(crate) fn leave(&mut self, place: usize) {
        self.note(|| format!("leave {place}"));
        self.world.with(place, |host, _| host.leave());
        self.advance(100 * MILLI).ok();
        if let Some(host) = self.world.kill(place) {
            self.disks[place] = Some(host.node().members().clone());
        }
    }

    /// Lets time pass, with the checks that hold now.
    pub(crate) fn advance(&mut self, time: Micros) -> Result<(), Wrong> {
        let end = self.world.now() + time;
        let mut epochs: Vec<u64> = vec![0; self.world.len()];
        let mut principals = None;
        while self.world.now() < end {
            // The glue around the machine dials the addresses of the configuration: often while the node is in
            // no ring, else now and then.
            if self.world.now() >= self.introduced + SECOND {
                self.introduced = self.world.now();
                self.introduce();
            }
            let until = end.min(self.introduced + SECOND);
            while let Some(place) = self.world.step(until) {
                let Some(host) = self.world.host(place) else {
                    continue;
                };
                let epoch = host.node().view().epoch << 8 | self.lives[place] & 0xff;
                if epochs[place] == epoch {
                    continue;
                }
                epochs[place] = epoch;
                checks::structure(host)?;
                if self.trace {
                    self.note(|| checks::show(host.node().view()));
                }
                if self.strict {
                    self.check_strictly(&mut principals)?;
                }
            }
        }
        Ok(())
    }

    fn check_strictly(&self, before: &mut Option<Before>) -> Result<(), Wrong> {
        let members = checks::members(&self.world);
        checks::one_ring(&members)?;
        let now = Before {
            principals: checks::principals(&self.world, &members),
            preds: checks::live_preds(&members),
        };
        if let Some(before) = before {
            let lives = |node: &Contact| members.get(&node.id).is_some_and(|view| view.me == *node);
            if let Some(lost) = before
                .principals
                .difference(&now.principals)
                .find(|node| lives(node))
            {
                return Err(format!("a list passes over {lost}, which none did before"));
            }
            for (me, was) in &before.preds {
                let is = now.preds.get(me).unwrap_or(was);
                if lives(was) && is != was && !between(was.id, is.id, me.id) {
                    return Err(format!("{me} gave up its live predecessor {was} for {is}"));
                }
            }
        }
        *before = Some(now);
        Ok(())
    }

    /// Places 0 and 1 stand in everybody's configuration.
    fn introduce(&mut self) {
        let running: Vec<usize> = self.world.running().collect();
        let now_and_then = (self.introduced / SECOND).is_multiple_of(5);
        for place in running {
            let outside = self
                .world
                .host(place)
                .is_some_and(|host| host.node().view().stage == Stage::Outside);
            if outside || now_and_then {
                for known in [0, 1] {
                    if place != known && known < self.world.len() {
                        self.world.introduce(place, known);
                    }
                }
            }
        }
    }

    /// Runs until the ring is ideal and stays so for two seconds. Returns how long it took.
    pub(crate) fn settle(&mut self, limit: Micros) -> Result<Micros, Wrong> {
        let begin = self.world.now();
        let mut since = None;
        loop {
            match checks::ideal(&self.world) {
                Ok(()) => {
                    let since = *since.get_or_insert(self.world.now());
                    if self.world.now() - since >= 2 * SECOND {
                        return Ok(since - begin);
                    }
                }
                Err(wrong) if self.world.now() - begin > limit => return Err(wrong),
                Err(_) => since = None,
            }
            self.advance(100 * MILLI)?;
        }
    }

    /// Looks random keys up from random nodes; each must be found at its owner.
    pub(crate) fn check_lookups(&mut self, count: u64) -> Result<Vec<usize>, Wrong> {
        let running: Vec<usize> = self.world.running().collect();
        let mut keys = Vec::new();
        for token in 0..count {
            let key = RingId::random(&mut self.world.rng);
            let place = running[self.world.rng.usize(..running.len())];
            keys.push((place, key));
            self.world.with(place, |host, now| host.lookup(now, token, key));
        }
        self.advance(5 * SECOND)?;
        let mut hops = Vec::new();
        let order = checks::members(&self.world);
        for (token, (place, key)) in keys.into_iter().enumerate() {
            let owner = order.range(key..).next().or_else(|| order.iter().next());
            let owner = owner.map(|(_, view)| view.me);
            let found = self
                .world
                .host(place)
                .and_then(|host| host.found(token as u64).cloned());
            match found {
                Some(Ok(found)) if found.owners.first().map(|node| node.contact) == owner => {
                    hops.push(found.path.len());
                }
                other => return Err(format!("{key} is at {owner:?}, found was {other:?}")),
            }
        }
        Ok(hops)
    }

    fn member_places(&self) -> Vec<usize> {
        let is_member = |&place: &usize| {
            self.world
                .host(place)
                .is_some_and(|host| host.node().view().stage == Stage::Member)
        };
        self.world.running().filter(is_member).collect()
    }

    fn empty_places(&self) -> Vec<usize> {
        (0..self.world.len())
            .filter(|&place| self.world.host(place).is_none())
            .collect()
    }

    fn any_of(&mut self, places: &[usize]) -> Option<usize> {
        self.world.rng.choice(places).copied()
    }
}

/// What may not be lost from one message to the next.
struct Before {
    principals: BTreeSet<Contact>,
    /// Of each member.
    preds: BTreeMap<Contact, Contact>,
}

/// What a schedule cost to repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The longest time to the ideal ring.
    pub(crate) slowest: Micros,
    /// Messages.
    pub(crate) messages: u64,
}

/// Plays the schedule of a seed with Chord machines alone.
pub(crate) fn play(seed: u64, trace: bool) -> Result<Outcome, Wrong> {
    let mut play: Play<RingHost> = Play::new(seed, 12, Faults::none(), trace);
    if seed.is_multiple_of(2) {
        calm(&mut play)
    } else {
        storm(&mut play)
    }
}

/// Within the fault model: messages are late and out of order but arrive, at most two nodes die before the ring
/// has recovered, and no more join than it can bear. Zave's properties hold after every message.
pub(crate) fn calm<H: Process>(play: &mut Play<H>) -> Result<Outcome, Wrong> {
    let rng = &mut play.world.rng;
    play.world.faults = Faults {
        delay: 100..rng.u64(1..=25) * MILLI,
        slow: if rng.bool() { 0.02 } else { 0.0 },
        loss: 0.0,
        twice: 0.03,
        in_order: rng.bool(),
        resets: rng.bool(),
        breaks: None,
    };
    play.strict = true;
    let mut slowest = 0;
    play.start(0, Start::Alone);
    for place in 1..play.world.rng.usize(5..=9) {
        play.start(place, Start::Join);
        slowest = slowest.max(play.settle(20 * SECOND)?);
    }
    for _ in 0..play.world.rng.usize(3..=6) {
        for _ in 0..play.world.rng.usize(0..=3) {
            let empty = play.empty_places();
            if let Some(place) = play.any_of(&empty) {
                play.start(place, Start::Join);
            }
        }
        let wait = play.world.rng.u64(0..4 * SECOND);
        play.advance(wait)?;
        let victims = play.world.rng.usize(0..=2);
        let principals = checks::principals(&play.world, &checks::members(&play.world));
        if principals.len() >= 3 + victims {
            for _ in 0..victims {
                // The addresses that everybody knows stay.
                let places: Vec<usize> = play.member_places().into_iter().filter(|&at| at > 1).collect();
                if let Some(place) = play.any_of(&places) {
                    if play.world.rng.f64() < 0.2 {
                        play.leave(place);
                    } else {
                        play.kill(place);
                    }
                }
            }
        }
        slowest = slowest.max(play.settle(30 * SECOND)?);
    }
    finish(play, slowest)
}

/// Outside of it: loss, partitions, stopped nodes, any number of deaths, rings of one. While it lasts only the
/// structure of the lists is checked; when it is over, one ideal ring must come of it.
pub(crate) fn storm<H: Process>(play: &mut Play<H>) -> Result<Outcome, Wrong> {
    let places = play.world.rng.usize(3..=12);
    let mut slowest = 0;
    // Several start at once, some as rings of their own.
    for place in 0..places {
        let alone = place == 0 || play.world.rng.f64() < 0.1;
        play.start(place, if alone { Start::Alone } else { Start::Join });
        if play.world.rng.bool() {
            let wait = play.world.rng.u64(0..2 * SECOND);
            play.advance(wait)?;
        }
    }
    for _ in 0..play.world.rng.usize(1..=3) {
        let rng = &mut play.world.rng;
        play.world.faults = Faults {
            delay: 100..rng.u64(1..=150) * MILLI,
            slow: rng.f64() * 0.2,
            loss: if rng.bool() { rng.f64() * 0.25 } else { 0.0 },
            twice: rng.f64() * 0.1,
            in_order: rng.bool(),
            resets: rng.bool(),
            breaks: None,
        };
        let faults = play.world.faults.clone();
        play.note(|| format!("{faults:?}"));
        for _ in 0..play.world.rng.usize(2..=10) {
            mishap(play, places);
            let wait = play.world.rng.u64(0..5 * SECOND);
            play.advance(wait)?;
        }
        for place in 0..play.world.len() {
            play.world.set_group(place, 0);
            if play.world.is_stopped(place) {
                play.note(|| format!("resume {place}"));
                play.world.resume(place);
            }
        }
        // At least those that everybody knows, or the halves could not know of each other.
        for place in [0, 1] {
            if play.world.host(place).is_none() {
                play.start(place, Start::Join);
            }
        }
        play.world.faults = Faults::none();
        play.note(|| "the storm is over".to_owned());
        slowest = slowest.max(play.settle(120 * SECOND)?);
    }
    finish(play, slowest)
}

/// Ten nodes join one after the other, each where it chooses. Returns the largest arc as a multiple of the mean.
pub(crate) fn placed(seed: u64) -> Result<f64, Wrong> {
    let mut play: Play<RingHost> = Play::new(seed, 10, Faults::none(), false);
    play.start(0, Start::Alone);
    for place in 1..10 {
        play.choose(place)?;
        play.start(place, Start::Join);
        play.settle(30 * SECOND)?;
    }
    let arcs = checks::members(&play.world).into_values().filter_map(|view| {
        let pred = view.preds.first()?.contact.id;
        let high = |id: RingId| u32::from_be_bytes([0, 1, 2, 3].map(|byte| id.as_bytes()[byte]));
        Some(f64::from(high(clockwise(pred, view.me.id))) / 2_f64.powi(32))
    });
    Ok(10.0 * arcs.fold(0.0, f64::max))
}

/// Many nodes: they join, some tenth of them dies at once, and the rest must become one ideal ring. Returns the
/// time that this took, and how many nodes each of some lookups asked.
pub(crate) fn many(seed: u64, places: usize, lookups: u64) -> Result<(Micros, Vec<usize>), Wrong> {
    let mut play: Play<RingHost> = Play::new(seed, places, Faults::none(), false);
    play.limit_members(64);
    play.start(0, Start::Alone);
    for place in 1..places {
        play.start(place, Start::Join);
        if place.is_multiple_of(20) {
            play.advance(100 * MILLI)?;
        }
    }
    play.settle(120 * SECOND)?;
    // Time for each finger to be looked up.
    play.advance(20 * SECOND)?;
    play.note(|| "a tenth dies".to_owned());
    for place in 2..places {
        if play.world.rng.u8(..10) == 0 {
            play.kill(place);
        }
    }
    let repaired = play.settle(120 * SECOND)?;
    let hops = play.check_lookups(lookups)?;
    Ok((repaired, hops))
}

fn mishap<H: Process>(play: &mut Play<H>, places: usize) {
    let place = play.world.rng.usize(..places);
    match play.world.rng.u8(0..10) {
        0 | 1 => play.kill(place),
        2 => {
            play.kill(place);
            play.kill((place + 1) % places);
        }
        3 | 4 if play.world.host(place).is_none() => {
            let alone = play.world.rng.f64() < 0.1;
            play.start(place, if alone { Start::Alone } else { Start::Join });
        }
        3 | 4 => {
            // At once with the same id.
            play.kill(place);
            play.start(place, Start::Join);
        }
        5 => {
            play.note(|| format!("stop {place}"));
            play.world.stop(place);
        }
        6 if play.world.is_stopped(place) => {
            play.note(|| format!("resume {place}"));
            play.world.resume(place);
        }
        6 | 7 => {
            let groups: Vec<u8> = (0..play.world.len()).map(|_| play.world.rng.u8(0..2)).collect();
            play.note(|| format!("groups {groups:?}"));
            for (place, group) in groups.into_iter().enumerate() {
                play.world.set_group(place, group);
            }
        }
        8 => {
            play.note(|| "no groups".to_owned());
            for place in 0..play.world.len() {
                play.world.set_group(place, 0);
            }
        }
        _ if play.world.host(place).is_some() && !play.world.is_stopped(place) => play.leave(place),
        _ => {}
    }
}

/// What holds at the end of every schedule.
fn finish<H: Process>(play: &mut Play<H>, slowest: Micros) -> Result<Outcome, Wrong> {
    play.check_lookups(10)?;
    Ok(Outcome {
        slowest,
        messages: play.world.sent.0,
    })
}
