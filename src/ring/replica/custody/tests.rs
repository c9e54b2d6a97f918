use super::*;
use crate::ring::replica::fixture::node;
use crate::ring::view::Neighbour;

fn arc(after: u8, upto: u8) -> Interval {
    Interval::new(node(after).id, node(upto).id)
}

/// A custody in a ring that the test makes up; its keepers have done whatever it wants.
struct Bench {
    custody: Custody,
    now: Instant,
    sent: Vec<(Contact, DataMessage)>,
    gone: bool,
    /// Keepers that say nothing.
    mute: bool,
    strays: Vec<Interval>,
}

impl Bench {
    fn new(me: u8) -> Self {
        let now = Instant::now();
        Self {
            custody: Custody::new(now, node(me)),
            now,
            sent: Vec::new(),
            gone: false,
            mute: false,
            strays: Vec::new(),
        }
    }

    /// The neighbours are these, the nearest first; negative numbers do not serve.
    fn ring(&mut self, preds: &[i8], succ: &[i8]) {
        let list = |numbers: &[i8]| {
            let neighbour = |&number: &i8| Neighbour {
                contact: node(number.unsigned_abs()),
                serving: number > 0,
            };
            numbers.iter().map(neighbour).collect()
        };
        let ring = View {
            stage: Stage::Member,
            preds: list(preds),
            preds_go_round: preds.len() < 3,
            succ: list(succ),
            ..View::outside(self.custody.ring.me)
        };
        self.custody.on_ring(self.now, &ring);
        self.run();
    }

    fn hear(&mut self, from: u8, message: &DataMessage) {
        self.custody.on_message(self.now, &node(from), message);
        self.run();
    }

    fn report(&mut self, report: Report) {
        self.custody.on_report(self.now, report);
        self.run();
    }

    fn tick(&mut self, millis: u64) {
        for _ in 0..millis / 50 {
            self.now += Duration::from_millis(50);
            self.custody.on_tick(self.now);
            self.run();
        }
    }

    fn run(&mut self) {
        loop {
            let actions = self.custody.take_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::Send(to, message) => self.sent.push((to, message)),
                    Action::Publish(view) if !self.mute => self.obey(&view),
                    Action::Gone => self.gone = true,
                    Action::Publish(_) | Action::Serving(_) => {}
                }
            }
        }
    }

    /// What keepers report that have done all.
    fn obey(&mut self, view: &CustodyView) {
        for shard in 0..SHARDS {
            let claims = view.own.iter().flat_map(|segment| {
                let all = segment.targets().chain(segment.mending.iter().copied());
                all.map(|to| (to, segment.arc)).collect::<Vec<_>>()
            });
            let progress = Progress {
                shard,
                epoch: view.epoch,
                complete: claims.collect(),
                merged: view
                    .own
                    .iter()
                    .filter(|segment| segment.merging)
                    .map(|segment| segment.arc)
                    .collect(),
                strays: self.strays.clone(),
            };
            self.custody.on_report(self.now, Report::Progress(progress));
        }
    }

    fn view(&self) -> &CustodyView {
        self.custody.view()
    }

    fn arcs(&self) -> Vec<Interval> {
        self.view().own.iter().map(|segment| segment.arc).collect()
    }

    fn take_overs(&self) -> Vec<(Contact, Interval)> {
        let of = self.sent.iter().filter_map(|(to, message)| match message {
            DataMessage::TakeOver { arc } => Some((*to, *arc)),
            _ => None,
        });
        of.collect()
    }
}

/// Node 5 of a ring of 2, 5, 7, 8, in which all serve.
fn serving() -> Bench {
    let mut bench = Bench::new(5);
    bench.ring(&[2, 8, 7], &[7, 8, 2]);
    bench.hear(7, &DataMessage::TakeOver { arc: arc(2, 5) });
    assert_eq!(bench.arcs(), [arc(2, 5)]);
    bench
}

#[test]
fn a_node_alone_serves_the_whole_circle_at_once() {
    let mut bench = Bench::new(5);
    bench.ring(&[], &[]);
    assert_eq!(bench.view().mine(), Some(Interval::whole(node(5).id)));
    assert!(
        bench
            .view()
            .own
            .iter()
            .all(|segment| !segment.merging && segment.copies.is_empty())
    );
}

#[test]
fn a_new_node_asks_the_serving_one_behind_it_until_it_is_given_its_arc() {
    let mut bench = Bench::new(5);
    bench.ring(&[2], &[-7, 2]);
    bench.tick(1_200);
    let asked: Vec<_> = bench.sent.iter().map(|(to, _)| *to).collect();
    assert_eq!(asked, [node(2); 3]);
    assert_eq!(bench.arcs(), []);
    bench.hear(2, &DataMessage::TakeOver { arc: arc(2, 5) });
    assert_eq!(bench.arcs(), [arc(2, 5)]);
    assert_eq!(bench.view().own[0].copies, [node(7), node(2)]);
}

#[test]
fn of_what_was_not_given_the_rest_is_merged_first() {
    let mut bench = Bench::new(5);
    bench.mute = true;
    bench.ring(&[1, 8, 7], &[7, 8, 1]);
    bench.hear(7, &DataMessage::TakeOver { arc: arc(2, 5) });
    let own = &bench.view().own;
    assert_eq!((own[0].arc, own[0].merging), (arc(1, 2), true));
    assert_eq!((own[1].arc, own[1].merging), (arc(2, 5), false));
}

#[test]
fn an_arc_is_given_when_all_keepers_have_filled_the_new_node() {
    let mut bench = serving();
    bench.ring(&[-4, 2, 8], &[7, 8, 2]);
    assert_eq!(bench.arcs(), [arc(2, 5)], "it has not asked");
    bench.mute = true;
    bench.hear(4, &DataMessage::Ask);
    assert_eq!(bench.arcs(), [arc(2, 4), arc(4, 5)]);
    assert_eq!(bench.view().own[0].heir, Some(node(4)));
    assert_eq!(bench.view().own[1].heir, None);
    let epoch = bench.view().epoch;
    for shard in 0..SHARDS {
        assert_eq!(bench.take_overs(), []);
        bench.report(Report::Progress(Progress {
            shard,
            epoch,
            complete: vec![(node(4), arc(2, 4))],
            ..Progress::default()
        }));
    }
    assert_eq!(bench.take_overs(), [(node(4), arc(2, 4))]);
    assert_eq!(bench.arcs(), [arc(4, 5)], "at once, whatever the ring knows");
    // It asks again: the word was lost.
    bench.hear(4, &DataMessage::Ask);
    assert_eq!(bench.take_overs().len(), 2);
}

#[test]
fn of_several_new_nodes_the_farthest_gets_its_arc_first() {
    let mut bench = serving();
    bench.ring(&[-4, -3, 2], &[7, 8, 2]);
    bench.mute = true;
    bench.hear(4, &DataMessage::Ask);
    bench.hear(3, &DataMessage::Ask);
    assert_eq!(bench.arcs(), [arc(2, 3), arc(3, 5)]);
    bench.mute = false;
    let view = Arc::clone(bench.custody.view());
    bench.obey(&view);
    bench.run();
    assert_eq!(bench.take_overs(), [(node(3), arc(2, 3)), (node(4), arc(3, 4))]);
}

#[test]
fn the_arc_of_a_dead_node_is_merged_and_then_served() {
    let mut bench = serving();
    bench.mute = true;
    bench.ring(&[8, 7], &[7, 8]);
    let own = &bench.view().own;
    assert_eq!(
        (own[0].arc, own[0].merging, &own[0].ask[..]),
        (arc(8, 2), true, &[node(7), node(8)][..])
    );
    assert!(!own[1].merging);
    bench.mute = false;
    let view = Arc::clone(bench.custody.view());
    bench.obey(&view);
    bench.run();
    assert_eq!(bench.arcs(), [arc(8, 5)]);
    assert!(!bench.view().own[0].merging);
}

#[test]
fn a_node_that_was_stopped_merges_before_it_serves() {
    let mut bench = serving();
    bench.mute = true;
    bench.now += Duration::from_secs(2);
    bench.custody.on_tick(bench.now);
    bench.run();
    assert!(bench.view().own[0].merging);
}

#[test]
fn a_silent_copy_is_replaced_and_comes_back_when_it_has_caught_up() {
    let mut bench = serving();
    assert_eq!(bench.view().own[0].copies, [node(7), node(8)]);
    bench.report(Report::Silent(node(7)));
    assert_eq!(bench.view().own[0].copies, [node(8), node(2)]);
    assert_eq!(bench.view().own[0].mending, [node(7)]);
    bench.tick(500);
    assert_eq!(bench.view().own[0].mending, [node(7)], "too early");
    bench.tick(1_000);
    assert_eq!(bench.view().own[0].copies, [node(7), node(8)]);
}

#[test]
fn with_nobody_to_take_its_place_a_silent_copy_stays() {
    let mut bench = Bench::new(5);
    bench.ring(&[2, 7], &[7, 2]);
    bench.hear(7, &DataMessage::TakeOver { arc: arc(2, 5) });
    bench.report(Report::Silent(node(7)));
    let mut copies = bench.view().own[0].copies.clone();
    copies.sort();
    assert_eq!(copies, [node(2), node(7)]);
}

#[test]
fn what_an_owner_claims_is_held_until_nothing_is_heard_of_it() {
    let mut bench = serving();
    let owner = node(2);
    bench.report(Report::Claimed {
        owner,
        arc: arc(1, 2),
    });
    assert_eq!(bench.view().held, [arc(1, 2)]);
    bench.tick(3_000);
    bench.report(Report::Claimed {
        owner,
        arc: arc(1, 2),
    });
    bench.tick(5_000);
    assert_eq!(bench.view().held, [arc(1, 2)]);
    bench.tick(2_000);
    assert_eq!(bench.view().held, []);
    // Nobody claims what is mine.
    bench.report(Report::Claimed {
        owner,
        arc: arc(1, 4),
    });
    assert_eq!(bench.view().held, [arc(1, 2)]);
}

#[test]
fn what_is_kept_for_nobody_is_brought_to_those_who_may_own_it() {
    let mut bench = serving();
    let owners = |bench: &Bench| -> Vec<_> {
        let rest = bench.view().rest.iter();
        rest.map(|rest| (rest.arc, rest.owner)).collect()
    };
    assert_eq!(owners(&bench), [(arc(5, 2), None)]);
    bench.strays = vec![arc(7, 8)];
    let view = Arc::clone(bench.custody.view());
    bench.obey(&view);
    bench.run();
    assert_eq!(
        owners(&bench),
        [(arc(5, 7), None), (arc(7, 8), Some(node(8))), (arc(8, 2), None)]
    );
    bench.custody.on_lost(bench.now, &node(8));
    bench.run();
    assert_eq!(
        owners(&bench)[1].1,
        Some(node(2)),
        "node 8 is gone, so node 2 may own it"
    );
}

#[test]
fn who_has_no_say_is_not_asked_again_at_once() {
    let mut bench = serving();
    bench.strays = vec![arc(5, 7)];
    let view = Arc::clone(bench.custody.view());
    bench.obey(&view);
    bench.run();
    let owner = |bench: &Bench| bench.view().rest.iter().find_map(|rest| rest.owner);
    assert_eq!(owner(&bench), Some(node(7)));
    bench.report(Report::NotHere {
        from: node(7),
        after: node(5).id,
        mine: None,
        hint: Some(node(6)),
    });
    assert_eq!(owner(&bench), Some(node(6)), "the new node that it named");
}

#[test]
fn a_node_that_leaves_gives_its_arc_away_and_goes_when_it_holds_nothing() {
    let mut bench = serving();
    bench.report(Report::Claimed {
        owner: node(2),
        arc: arc(1, 2),
    });
    bench.strays = vec![arc(5, 5)];
    bench.custody.leave(bench.now);
    bench.run();
    assert_eq!(bench.take_overs(), [(node(7), arc(2, 5))]);
    assert!(
        bench
            .sent
            .iter()
            .any(|(to, message)| *to == node(2) && *message == DataMessage::Leaving)
    );
    assert_eq!((bench.arcs(), bench.view().held.len()), (vec![], 0));
    assert!(!bench.gone);
    bench.strays.clear();
    let view = Arc::clone(bench.custody.view());
    bench.obey(&view);
    bench.run();
    assert!(bench.gone);
}

#[test]
fn a_node_that_cannot_bring_its_data_to_safety_goes_at_last() {
    let mut bench = serving();
    bench.strays = vec![arc(5, 5)];
    bench.custody.leave(bench.now);
    bench.run();
    bench.tick(9_900);
    assert!(!bench.gone);
    bench.tick(200);
    assert!(bench.gone);
}

#[test]
fn the_arc_of_one_that_leaves_is_served_at_once() {
    let mut bench = serving();
    bench.hear(8, &DataMessage::Leaving);
    assert_eq!(
        bench.view().own[0].copies,
        [node(7), node(2)],
        "one that leaves keeps no copies"
    );
    bench.mute = true;
    bench.hear(2, &DataMessage::TakeOver { arc: arc(8, 2) });
    assert_eq!(bench.arcs(), [arc(8, 5)]);
    assert!(!bench.view().own[0].merging);
}

#[test]
fn in_a_ring_in_which_nobody_serves_somebody_begins() {
    let mut bench = Bench::new(5);
    bench.ring(&[-7, -2], &[-7, -2]);
    bench.tick(800);
    assert_eq!(bench.arcs(), []);
    bench.tick(400);
    assert_eq!(bench.view().mine(), Some(Interval::whole(node(5).id)));
    bench.ring(&[2, 7], &[7, 2]);
    assert_eq!(bench.arcs(), [arc(2, 5)]);
}
