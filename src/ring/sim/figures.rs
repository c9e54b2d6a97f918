//! The figures of `docs/ring-simulation.md`: `make ring-figures` measures them anew and draws its charts.

use std::path::Path;

use super::checks;
use super::episode::Play;
use super::host::{Process, RingHost};
use super::plot::{Chart, Line};
use super::world::{Faults, MILLI, SECOND};
use crate::id::RingId;
use crate::ring::contact::Contact;
use crate::ring::interval::clockwise;
use crate::ring::node::Start;
use crate::ring::placement::Placement;
use crate::ring::timing::Timing;
use crate::ring::view::{MAX_SUCC, Neighbour, Stage};

/// Machines die without a word: nobody's connection is reset.
fn silent() -> Faults {
    Faults {
        resets: false,
        ..Faults::none()
    }
}

/// Ids as nodes choose them that join one after the other.
fn placed_ids(count: usize, rng: &mut fastrand::Rng) -> Vec<RingId> {
    let mut ids = vec![RingId::random(rng)];
    let mut order = ids.clone();
    let neighbour = |id| Neighbour {
        contact: Contact {
            id,
            incarnation: 1,
            addr: ([127, 0, 0, 1], 1).into(),
        },
        serving: true,
    };
    while ids.len() < count {
        let mut placement = Placement::default();
        while let Some(point) = placement.next_probe(rng) {
            let len = order.len();
            let owner = order.partition_point(|&id| id < point) % len;
            let owners: Vec<Neighbour> = (0..MAX_SUCC.min(len))
                .map(|step| neighbour(order[(owner + step) % len]))
                .collect();
            placement.on_found(neighbour(order[(owner + len - 1) % len]).contact, &owners);
        }
        let id = placement.choose(rng);
        let at = order.partition_point(|&other| other < id);
        order.insert(at, id);
        ids.push(id);
    }
    ids
}

/// The largest arc as a multiple of the mean.
fn load(ids: &[RingId]) -> f64 {
    let mut order = ids.to_vec();
    order.sort();
    let high = |id: RingId| u32::from_be_bytes([0, 1, 2, 3].map(|byte| id.as_bytes()[byte]));
    let before = |at: usize| order[(at + order.len() - 1) % order.len()];
    let arcs = (0..order.len()).map(|at| f64::from(high(clockwise(before(at), order[at]))));
    arcs.fold(0.0, f64::max) / 2_f64.powi(32) * order.len() as f64
}

/// A ring of so many nodes, all fingers looked up.
fn built(count: usize) -> Play<RingHost> {
    let mut play: Play<RingHost> = Play::new(1, count, silent(), false);
    let ids = placed_ids(count, &mut play.world.rng);
    play.set_ids(ids);
    play.limit_members(64);
    play.start(0, Start::Alone);
    for place in 1..count {
        play.start(place, Start::Join);
        // A tenth more at a time, and the lists catch up.
        if place.is_multiple_of(1 + place / 50) {
            play.advance(50 * MILLI).expect("a sound ring");
        }
    }
    play.settle(300 * SECOND).expect("an ideal ring");
    play.advance(30 * SECOND).expect("a sound ring");
    play
}

/// Share of members whose successor and predecessor are right.
fn right(play: &Play<RingHost>) -> f64 {
    let members = checks::members(&play.world);
    let order: Vec<_> = members.values().collect();
    let count = order.len();
    let is_right = |&at: &usize| {
        let (before, behind) = (order[(at + count - 1) % count].me, order[(at + 1) % count].me);
        let first = |list: &[Neighbour]| list.first().map(|node| node.contact);
        first(&order[at].preds) == Some(before) && first(&order[at].succ) == Some(behind)
    };
    (0..count).filter(is_right).count() as f64 / count as f64
}

fn percentile(sorted: &[usize], share: f64) -> usize {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn draw(name: &str, chart: &Chart<'_>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ring").join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for charts");
    std::fs::write(&path, chart.svg()).expect("a chart");
}

#[test]
#[ignore = "minutes; writes docs/ring/*.svg"]
fn figures_of_ten_thousand_nodes() {
    let (mut mean_hops, mut late_hops, mut half_log) = (Vec::new(), Vec::new(), Vec::new());
    let mut repairs = Vec::new();
    println!(
        "| nodes | hops, mean | p99 | busiest / mean | bytes/s a node | messages/s | all arcs right | ideal |"
    );
    for count in [10, 100, 1_000, 10_000] {
        let mut play = built(count);
        let ids: Vec<RingId> = checks::members(&play.world).into_keys().collect();
        let before = play.world.sent;
        play.advance(20 * SECOND).expect("a sound ring");
        let after = play.world.sent;
        let each = |of: u64| of as f64 / 20.0 / count as f64;
        let (messages, bytes) = (each(after.0 - before.0), each(after.1 - before.1));
        let mut hops = play.check_lookups(4_000).expect("right answers");
        hops.sort_unstable();
        let mean = hops.iter().sum::<usize>() as f64 / hops.len() as f64;
        let p99 = percentile(&hops, 0.99);

        for _ in 0..count / 10 {
            let alive: Vec<usize> = play.world.running().filter(|&place| place > 1).collect();
            let place = alive[play.world.rng.usize(..alive.len())];
            play.kill(place);
        }
        let (mut points, mut all_right, mut ideal) = (vec![(0.0, 100.0 * right(&play))], None, None);
        for tenth in 1..=300 {
            play.advance(100 * MILLI).expect("a sound ring");
            let seconds = f64::from(tenth) / 10.0;
            let share = right(&play);
            points.push((seconds, 100.0 * share));
            all_right = all_right.or((share >= 1.0).then_some(seconds));
            if checks::ideal(&play.world).is_ok() {
                ideal = Some(seconds);
                break;
            }
        }
        println!(
            "| {count} | {mean:.2} | {p99} | {:.2} | {bytes:.0} | {messages:.1} | {all_right:?} s | {ideal:?} s |",
            load(&ids)
        );
        mean_hops.push((count as f64, mean));
        late_hops.push((count as f64, p99 as f64));
        half_log.push((count as f64, (count as f64).log2() / 2.0));
        if count >= 1_000 {
            repairs.push(Line {
                name: format!("{count} nodes"),
                points,
            });
        }
    }
    let line = |name: &str, points| Line {
        name: name.to_owned(),
        points,
    };
    draw(
        "hops.svg",
        &Chart {
            title: "Nodes asked by a lookup without any cache",
            x_name: "nodes in the ring",
            y_name: "nodes asked",
            x_log: true,
            lines: vec![
                line("mean", mean_hops),
                line("99 of 100 below", late_hops),
                line("half of log2", half_log),
            ],
        },
    );
    draw(
        "repair.svg",
        &Chart {
            title: "A tenth of all nodes dies at once, without a word",
            x_name: "seconds",
            y_name: "% with the right neighbours",
            x_log: false,
            lines: repairs,
        },
    );
}

/// False alarms in an hour of one node, and the time (mean, slowest) until the ring is right after two neighbours
/// died without a word.
fn patience(answer_within_ms: u64) -> (f64, f64, f64) {
    let mut play: Play<RingHost> = Play::new(answer_within_ms, 12, silent(), false);
    play.timing = Timing {
        answer_within: std::time::Duration::from_millis(answer_within_ms),
        ..Timing::default()
    };
    // A network over land, in which one message of a hundred has to be sent again by TCP.
    play.world.faults = Faults {
        delay: MILLI..30 * MILLI,
        slow: 0.01,
        ..silent()
    };
    play.start(0, Start::Alone);
    for place in 1..12 {
        play.start(place, Start::Join);
    }
    play.settle(60 * SECOND).expect("an ideal ring");
    let suspected = |play: &Play<RingHost>| -> u64 {
        let hosts = play.world.running().filter_map(|place| play.world.host(place));
        hosts.map(|host| host.node().held_for_dead()).sum()
    };
    let before = suspected(&play);
    // Busy machines: each node stands still about once in ten seconds, from 10 ms to 2 s, long pauses rarely.
    let (begin, length) = (play.world.now(), 1200 * SECOND);
    while play.world.now() < begin + length {
        let place = play.world.rng.usize(..12);
        let pause = (10.0 * 200_f64.powf(play.world.rng.f64().powi(2))) as u64 * MILLI;
        play.world.stop(place);
        play.advance(pause).expect("sound lists");
        play.world.resume(place);
        let wait = play.world.rng.u64(0..SECOND);
        play.advance(wait).expect("sound lists");
    }
    let hours = 12.0 * (play.world.now() - begin) as f64 / (3600 * SECOND) as f64;
    let alarms = (suspected(&play) - before) as f64 / hours;

    let mut times = Vec::new();
    for _ in 0..60 {
        play.settle(60 * SECOND).expect("an ideal ring");
        let order: Vec<Contact> = checks::members(&play.world)
            .values()
            .map(|view| view.me)
            .collect();
        let first = play.world.rng.usize(..order.len());
        let victims: Vec<usize> = (0..2)
            .map(|step| usize::from(order[(first + step) % order.len()].addr.port() - 1000))
            .collect();
        for &place in &victims {
            play.kill(place);
        }
        let begin = play.world.now();
        while right(&play) < 1.0 {
            play.advance(10 * MILLI).expect("sound lists");
        }
        times.push((play.world.now() - begin) as f64 / SECOND as f64);
        for place in victims {
            play.start(place, Start::Join);
        }
    }
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    (alarms, mean, times.into_iter().fold(0.0, f64::max))
}

#[test]
#[ignore = "minutes; writes docs/ring/*.svg"]
fn figures_of_patience() {
    let (mut alarms, mut means, mut slowest) = (Vec::new(), Vec::new(), Vec::new());
    println!("| answer within | false alarms an hour and node | repair, mean | slowest |");
    for millis in [50, 100, 200, 300, 500, 1000] {
        let (false_alarms, mean, slow) = patience(millis);
        println!("| {millis} ms | {false_alarms:.1} | {mean:.2} s | {slow:.2} s |");
        alarms.push((millis as f64, false_alarms));
        means.push((millis as f64, mean));
        slowest.push((millis as f64, slow));
    }
    let line = |name: &str, points| Line {
        name: name.to_owned(),
        points,
    };
    draw(
        "patience-alarms.svg",
        &Chart {
            title: "Live nodes that were held for dead",
            x_name: "milliseconds for an answer (two chances)",
            y_name: "an hour and node",
            x_log: false,
            lines: vec![line("false alarms", alarms)],
        },
    );
    draw(
        "patience-repair.svg",
        &Chart {
            title: "Two neighbours die at once, without a word",
            x_name: "milliseconds for an answer (two chances)",
            y_name: "seconds to a right ring",
            x_log: false,
            lines: vec![line("mean", means), line("slowest of 60", slowest)],
        },
    );
}

#[test]
fn a_small_ring_is_measured_right() {
    let play = built(6);
    assert!((right(&play) - 1.0).abs() < 1e-9);
    let stages = checks::members(&play.world).into_values().map(|view| view.stage);
    assert!(stages.eq([Stage::Member; 6]));
    assert_eq!(percentile(&[1, 2, 3], 0.5), 2);
}
