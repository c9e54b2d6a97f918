//! The machine by itself: what the simulator cannot show because there all nodes keep the rules.

use super::*;
use crate::ring::chord::Want;
use crate::ring::members::MAX_MEMBERS;

fn contact(first: u8, incarnation: u64) -> Contact {
    let mut id = [0; 20];
    id[0] = first;
    Contact {
        id: RingId::new(id),
        incarnation,
        addr: ([127, 0, 0, 1], u16::from(first)).into(),
    }
}

fn neighbour(first: u8) -> Neighbour {
    Neighbour {
        contact: contact(first, 1),
        serving: true,
    }
}

fn state(preds: &[u8], succ: &[u8]) -> NodeState {
    NodeState {
        serving: true,
        preds: preds.iter().map(|&first| neighbour(first)).collect(),
        succ: succ.iter().map(|&first| neighbour(first)).collect(),
    }
}

/// A machine and the time.
struct Bench {
    node: Node,
    now: Instant,
}

impl Bench {
    fn alone(first: u8) -> Self {
        let now = Instant::now();
        let timing = Timing::default();
        let members = Members::new(MAX_MEMBERS, timing.forget_after);
        let mut node = Node::new(contact(first, 1), timing, members, 1, now);
        node.start(now, Start::Alone);
        Self { node, now }
    }

    /// Node 50 with successor 60 and predecessor 40.
    fn in_ring() -> Self {
        let mut bench = Self::alone(50);
        bench.say(
            60,
            ChordMessage::Notify {
                serving: true,
                preds: vec![],
            },
        );
        bench.say(
            40,
            ChordMessage::Notify {
                serving: true,
                preds: vec![neighbour(30)],
            },
        );
        assert_eq!(bench.succ(), [60]);
        assert_eq!(bench.preds(), [30 + 10, 30]);
        bench.sent();
        bench
    }

    fn say(&mut self, from: u8, message: ChordMessage) {
        self.node.on_message(self.now, &contact(from, 1), message);
    }

    fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(next) = self.node.next_tick().filter(|&next| next <= end) {
            self.now = next;
            self.node.on_tick(next);
        }
        self.now = end;
    }

    fn sent(&mut self) -> Vec<(u8, ChordMessage)> {
        let first = |contact: &Contact| contact.id.as_bytes()[0];
        let actions = self.node.take_actions();
        let sends = actions.into_iter().filter_map(|action| match action {
            Action::Send { to, message } => Some((first(&to), message)),
            _ => None,
        });
        sends.collect()
    }

    /// The number of the first `Ask` to a node; time passes until there is one.
    fn asked(&mut self, whom: u8) -> u32 {
        for _ in 0..1000 {
            for (to, message) in self.sent() {
                if let ChordMessage::Ask { request } = message
                    && to == whom
                {
                    return request;
                }
            }
            self.wait(1);
        }
        panic!("{whom} was not asked");
    }

    fn succ(&self) -> Vec<u8> {
        let succ = &self.node.view().succ;
        succ.iter().map(|node| node.contact.id.as_bytes()[0]).collect()
    }

    fn preds(&self) -> Vec<u8> {
        let preds = &self.node.view().preds;
        preds.iter().map(|node| node.contact.id.as_bytes()[0]).collect()
    }
}

#[test]
fn an_answer_counts_once_and_only_from_whom_was_asked() {
    let mut bench = Bench::in_ring();
    let request = bench.asked(60);
    let answer = |succ: &[u8]| ChordMessage::State {
        request,
        state: state(&[50], succ),
    };
    bench.say(70, answer(&[71]));
    assert_eq!(bench.succ(), [60], "70 was not asked");
    bench.say(60, answer(&[70, 80]));
    assert_eq!(bench.succ(), [60, 70, 80]);
    bench.say(60, answer(&[90]));
    assert_eq!(bench.succ(), [60, 70, 80], "a second answer to one question");
}

#[test]
fn a_late_answer_shows_life_and_changes_nothing() {
    let mut bench = Bench::in_ring();
    let request = bench.asked(60);
    bench.wait(700);
    assert_eq!(bench.succ(), [40], "60 is held for dead, the way back remains");
    let late = ChordMessage::State {
        request,
        state: state(&[50], &[70]),
    };
    bench.say(60, late);
    assert_eq!(bench.succ(), [40]);
    let request = bench.asked(40);
    bench.say(
        40,
        ChordMessage::State {
            request,
            state: state(&[30, 60], &[50, 60]),
        },
    );
    assert!(!bench.node.is_suspect(&contact(60, 1)));
}

#[test]
fn who_is_busy_says_so_and_who_hears_it_gives_up() {
    let mut bench = Bench::in_ring();
    let request = bench.asked(60);
    bench.say(40, ChordMessage::Ask { request: 9 });
    assert_eq!(bench.sent(), [(40, ChordMessage::Busy { request: 9 })]);
    bench.say(60, ChordMessage::Busy { request });
    bench.say(40, ChordMessage::Ask { request: 10 });
    let sent = bench.sent();
    assert!(
        matches!(sent[..], [(40, ChordMessage::State { request: 10, .. })]),
        "{sent:?}"
    );
    bench.wait(50);
    assert_ne!(bench.asked(60), request);
}

#[test]
fn the_predecessor_is_replaced_only_when_it_is_dead() {
    let notify = || ChordMessage::Notify {
        serving: true,
        preds: vec![neighbour(20)],
    };
    let mut bench = Bench::in_ring();
    bench.say(30, notify());
    let ping = bench.sent().into_iter().find_map(|(to, message)| match message {
        ChordMessage::Ping { request } if to == 40 => Some(request),
        _ => None,
    });
    let request = ping.expect("a ping of the predecessor");
    bench.say(40, ChordMessage::Pong { request });
    bench.wait(200);
    assert_eq!(bench.preds(), [40, 30]);
    bench.say(30, notify());
    bench.node.on_lost(bench.now, &contact(40, 1));
    assert_eq!(bench.preds(), [30, 20]);
}

#[test]
fn earlier_lives_are_refused_and_later_ones_end_them() {
    let mut bench = Bench::in_ring();
    let ping = ChordMessage::Ping { request: 1 };
    bench.node.on_message(bench.now, &contact(60, 2), ping.clone());
    assert_eq!(bench.succ(), [40], "the life that was the successor is over");
    bench.sent();
    bench.say(60, ping);
    assert_eq!(bench.sent(), [(60, ChordMessage::Stale { incarnation: 2 })]);
}

#[test]
fn a_node_learns_that_it_was_outlived() {
    let mut bench = Bench::in_ring();
    bench.say(60, ChordMessage::Stale { incarnation: 1 });
    bench.say(60, ChordMessage::Stale { incarnation: 7 });
    let outlived: Vec<Action> = bench
        .node
        .take_actions()
        .into_iter()
        .filter(|action| matches!(action, Action::Outlived { .. }))
        .collect();
    assert_eq!(outlived, [Action::Outlived { incarnation: 7 }]);
}

#[test]
fn a_node_that_slept_blames_nobody() {
    let mut bench = Bench::in_ring();
    bench.asked(60);
    bench.node.next_tick();
    bench.now += Duration::from_secs(10);
    bench.node.on_tick(bench.now);
    bench.wait(100);
    assert_eq!(bench.succ(), [60]);
}

#[test]
fn lists_of_others_cannot_be_out_of_order_or_name_this_node() {
    let mut bench = Bench::in_ring();
    let request = bench.asked(60);
    let succ = &[80, 70, 50, 55];
    bench.say(
        60,
        ChordMessage::State {
            request,
            state: state(&[50], succ),
        },
    );
    assert_eq!(bench.succ(), [60, 80]);
    bench.say(
        40,
        ChordMessage::Notify {
            serving: false,
            preds: vec![neighbour(45), neighbour(30)],
        },
    );
    assert_eq!(bench.preds(), [40]);
}

#[test]
fn a_node_alone_owns_every_key() {
    let mut bench = Bench::alone(50);
    bench.node.lookup(bench.now, 3, contact(200, 0).id);
    let found = bench
        .node
        .take_actions()
        .into_iter()
        .find_map(|action| match action {
            Action::Found { token: 3, result } => result.ok(),
            _ => None,
        });
    let owners = found.expect("an answer at once").owners;
    assert_eq!(owners.len(), 1);
    assert_eq!(owners[0].contact, contact(50, 1));
}

#[test]
fn outside_of_a_ring_nothing_is_told() {
    let now = Instant::now();
    let timing = Timing::default();
    let members = Members::new(MAX_MEMBERS, timing.forget_after);
    let mut bench = Bench {
        node: Node::new(contact(50, 1), timing, members, 1, now),
        now,
    };
    bench.node.start(now, Start::Join);
    bench.say(60, ChordMessage::Ask { request: 1 });
    bench.say(
        60,
        ChordMessage::Find {
            request: 2,
            key: contact(1, 1).id,
            want: Want::Owner,
        },
    );
    bench.say(60, ChordMessage::Candidate);
    bench.say(
        60,
        ChordMessage::Notify {
            serving: true,
            preds: vec![],
        },
    );
    let outside = |request| (60, ChordMessage::Outside { request });
    assert_eq!(bench.sent(), [outside(1), outside(2)]);
    assert!(bench.succ().is_empty());
}

#[test]
fn who_leaves_says_so_and_is_silent() {
    let mut bench = Bench::in_ring();
    bench.node.leave();
    let told: Vec<u8> = bench.sent().into_iter().map(|(to, _)| to).collect();
    assert_eq!(told, [30, 40, 60]);
    bench.say(60, ChordMessage::Ping { request: 1 });
    assert!(bench.sent().is_empty());
    assert_eq!(bench.node.next_tick(), None);
}
