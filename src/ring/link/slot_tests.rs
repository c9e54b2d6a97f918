//! Two slots and the connections between them, with every order of events that a seed can make.

use std::collections::VecDeque;

use super::*;

/// A connection that one side opened. What was sent over it arrives in order; connections know nothing of each
/// other.
#[derive(Debug)]
struct Connection {
    opener: usize,
    serial: Serial,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The opening side has not said its hello.
    Opening,
    /// The hello is on its way, or waits for an old link to end.
    Called,
    /// The answer is on its way: the void serial of the acceptor, or a refusal.
    Answered(Result<Serial, Refusal>),
    /// A link, from the view of both sides.
    Linked,
    Closed,
}

/// Two nodes. Node 1 has the greater id.
struct World {
    rng: fastrand::Rng,
    now: Instant,
    slots: [Slot; 2],
    serials: [Serial; 2],
    /// By connection: the serial by which each node knows it as its link.
    links: Vec<[Option<Serial>; 2]>,
    connections: Vec<Connection>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            now: Instant::now(),
            slots: [Slot::new(false), Slot::new(true)],
            serials: [0; 2],
            links: Vec::new(),
            connections: Vec::new(),
        }
    }

    fn serial(&mut self, node: usize) -> Serial {
        self.serials[node] += 1;
        self.serials[node]
    }

    fn dial(&mut self, node: usize) {
        self.now += LAST_WAIT * 2;
        if self.slots[node].may_dial(self.now) {
            let serial = self.serial(node);
            self.slots[node].dial(serial);
            self.links.push([None; 2]);
            self.connections.push(Connection {
                opener: node,
                serial,
                step: Step::Opening,
            });
        }
    }

    /// The link of a node ends, from its view: it was reset, or it is ended for a call that replaces it.
    fn end(&mut self, node: usize) {
        if let Some(number) = self.links.iter().rposition(|link| link[node].is_some())
            && let Some(serial) = self.links[number][node].take()
        {
            self.slots[node].ending(serial);
            self.slots[node].ended(serial);
            self.connections[number].step = Step::Closed;
        }
    }

    /// Lets connection `number` get on by one event. Whether there was something to do.
    fn step(&mut self, number: usize) -> bool {
        let Connection { opener, serial, step } = self.connections[number];
        let other = 1 - opener;
        match step {
            Step::Opening => {
                self.connections[number].step = match self.slots[opener].offer(serial) {
                    true => Step::Called,
                    false => Step::Closed,
                };
            }
            Step::Called => {
                let ours = self.serial(other);
                match self.slots[other].call(1, serial, ours) {
                    Call::Accept => {
                        self.slots[other].accepted(ours, true);
                        self.links[number][other] = Some(ours);
                        self.connections[number].step = Step::Answered(Ok(ours));
                    }
                    Call::Replace => self.end(other),
                    Call::Wait => panic!("calls are answered at once here"),
                    Call::Refuse(refusal) => self.connections[number].step = Step::Answered(Err(refusal)),
                }
            }
            Step::Answered(answer) => {
                let slot = &mut self.slots[opener];
                let linked = match answer {
                    Ok(void) => slot.dialed(serial, 1, void),
                    Err(Refusal::Crossed) => {
                        slot.yield_to_theirs(serial);
                        false
                    }
                    Err(_) => {
                        slot.dial_failed(serial, self.now, &mut self.rng);
                        false
                    }
                };
                if linked {
                    self.links[number][opener] = Some(serial);
                    self.connections[number].step = Step::Linked;
                } else {
                    self.connections[number].step = Step::Closed;
                }
            }
            Step::Linked => return false,
            Step::Closed => {
                // The sides notice one after the other.
                for node in [0, 1] {
                    if let Some(serial) = self.links[number][node].take() {
                        self.slots[node].ending(serial);
                        self.slots[node].ended(serial);
                        return true;
                    }
                }
                // One that was still waiting for the answer.
                let mine = Phase::Dialing {
                    serial,
                    offered: true,
                };
                return self.slots[opener].phase() == mine
                    && self.slots[opener].dial_failed(serial, self.now, &mut self.rng);
            }
        }
        true
    }

    /// Until nothing is on its way any more.
    fn settle(&mut self) {
        loop {
            let mut numbers: Vec<usize> = (0..self.connections.len()).collect();
            self.rng.shuffle(&mut numbers);
            if !numbers.into_iter().any(|number| self.step(number)) {
                break;
            }
        }
        for slot in &mut self.slots {
            // Theirs did not come through: the wait for it has an end.
            if let Phase::Yielding { serial } = slot.phase() {
                slot.dial_failed(serial, self.now, &mut self.rng);
            }
        }
    }

    fn check(&self, seed: u64) {
        for node in [0, 1] {
            let links = self.links.iter().filter(|link| link[node].is_some()).count();
            assert!(links <= 1, "node {node} has {links} links, seed {seed}");
            let is_up = matches!(self.slots[node].phase(), Phase::Up { .. });
            assert_eq!(links == 1, is_up, "node {node}, seed {seed}");
        }
    }
}

#[test]
fn two_nodes_never_have_two_links_and_end_with_one() {
    for seed in 0..20_000 {
        let mut world = World::new(seed);
        for _ in 0..world.rng.usize(4..60) {
            match world.rng.u8(0..10) {
                0 => world.dial(0),
                1 => world.dial(1),
                2 => {
                    let node = world.rng.usize(0..2);
                    world.end(node);
                }
                _ if world.connections.is_empty() => {}
                _ => {
                    let number = world.rng.usize(0..world.connections.len());
                    world.step(number);
                }
            }
            world.check(seed);
        }
        // However it began: when both want a link and nothing breaks any more, they have the same one.
        let mut tries = 0;
        loop {
            world.settle();
            world.check(seed);
            let up = |slot: &Slot| matches!(slot.phase(), Phase::Up { .. });
            if world.slots.iter().all(up) {
                break;
            }
            tries += 1;
            assert!(tries < 4, "no link, seed {seed}");
            world.dial(0);
            world.dial(1);
        }
        assert!(
            world.links.iter().any(|link| link.iter().all(Option::is_some)),
            "two ends of different links, seed {seed}"
        );
    }
}

#[test]
fn both_dial_at_once_and_the_one_with_the_greater_id_wins() {
    let [mut small, mut great] = [Slot::new(false), Slot::new(true)];
    small.dial(1);
    great.dial(1);
    assert!(small.offer(1) && great.offer(1));
    assert_eq!(great.call(1, 1, 2), Call::Refuse(Refusal::Crossed));
    assert_eq!(small.call(1, 1, 2), Call::Accept);
    // Its own call is refused later, which changes nothing.
    assert!(!small.yield_to_theirs(1));
    small.accepted(2, true);
    assert!(great.dialed(1, 1, 2));
    assert_eq!(
        (small.phase(), great.phase()),
        (Phase::Up { serial: 2 }, Phase::Up { serial: 1 })
    );
}

#[test]
fn a_call_that_was_not_offered_gives_way_to_any() {
    let mut great = Slot::new(true);
    great.dial(1);
    assert_eq!(great.call(1, 1, 2), Call::Accept);
    assert!(!great.offer(1));
    assert!(!great.dial_failed(1, Instant::now(), &mut fastrand::Rng::with_seed(1)));
    assert_eq!(great.phase(), Phase::Accepting { serial: 2 });
}

#[test]
fn an_attempt_that_its_owner_gave_up_cannot_replace_the_link() {
    // Both offered; the answer to ours came before their own, older hello.
    let mut slot = Slot::new(true);
    slot.dial(1);
    assert!(slot.offer(1) && slot.dialed(1, 1, 7));
    assert_eq!(slot.call(1, 6, 2), Call::Refuse(Refusal::Overtaken));
    assert_eq!(slot.call(1, 7, 2), Call::Refuse(Refusal::Overtaken));
    assert_eq!(slot.call(1, 8, 2), Call::Replace);
    slot.ending(1);
    assert_eq!(slot.call(1, 8, 3), Call::Replace);
    slot.ended(1);
    assert_eq!(slot.call(1, 8, 4), Call::Accept);
    assert_eq!(slot.call(1, 9, 5), Call::Wait);
}

#[test]
fn a_later_life_counts_its_attempts_anew_and_an_earlier_one_is_refused() {
    let mut slot = Slot::new(true);
    assert_eq!(slot.call(5, 9, 1), Call::Accept);
    slot.accepted(1, false);
    assert_eq!(slot.call(6, 1, 2), Call::Accept);
    slot.accepted(2, false);
    assert_eq!(slot.call(5, 10, 3), Call::Refuse(Refusal::OldLife));
    slot.dial(4);
    assert!(slot.offer(4) && !slot.dialed(4, 5, 11));
}

#[test]
fn waits_grow_to_a_bound_and_end_with_success() {
    let (mut slot, mut rng) = (Slot::new(true), fastrand::Rng::with_seed(1));
    let mut now = Instant::now();
    let mut waits = VecDeque::new();
    for serial in 1..12 {
        assert!(slot.may_dial(now));
        slot.dial(serial);
        assert!(slot.dial_failed(serial, now, &mut rng));
        let at = slot.retry_at.expect("a wait");
        assert!(!slot.may_dial(now));
        waits.push_back(at - now);
        now = at;
    }
    assert!(waits[0] < FIRST_WAIT * 2 && waits[1] > waits[0] / 2 * 3 / 2);
    assert!(waits.iter().all(|wait| *wait <= LAST_WAIT.mul_f64(1.25)));
    assert!(waits[10] >= LAST_WAIT.mul_f64(0.75));
    slot.dial(20);
    assert!(slot.offer(20) && slot.dialed(20, 1, 1));
    slot.ending(20);
    slot.ended(20);
    assert!(slot.may_dial(now));
}
