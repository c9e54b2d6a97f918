//! Rings for tests.

use std::rc::Rc;

use dtorrent::ring::picture::{ArcPicture, CopyPicture, Health, NodePicture, Picture};
use dtorrent::tracker::server::seam::Totals;

use super::seen::Seen;

pub(super) fn id(place: f64) -> String {
    format!("{:08x}{}", (place * 4_294_967_296.0) as u32, "0".repeat(32))
}

/// A serving node whose arc begins at `after`.
pub(super) fn node(place: f64, after: f64) -> NodePicture {
    let share = (place - after).rem_euclid(1.0);
    NodePicture {
        id: id(place),
        place,
        incarnation: 1,
        address: format!("127.0.0.1:{}", 7000 + (place * 100.0) as u16),
        version: "0.1.0".to_owned(),
        health: Health::Serving,
        heard_secs: 0,
        uptime_secs: 3_700,
        arc: Some(ArcPicture {
            after: id(after),
            upto: id(place),
            share: if share == 0.0 { 1.0 } else { share },
        }),
        copies: Vec::new(),
        mending: Vec::new(),
        copies_complete: 3,
        copies_wanted: 3,
        owned: Totals {
            swarms: 10,
            seeds: 20,
            leechers: 30,
        },
        held: Totals {
            swarms: 30,
            seeds: 60,
            leechers: 90,
        },
        announces: 7,
        scrapes: 1,
        links: 4,
        members: 4,
        fingers: 0,
        fingers_to: Vec::new(),
        pages: None,
        held_for_dead: 0,
        copies_left_out: 0,
        repairs: 0,
    }
}

/// The same as it is shown.
pub(super) fn seen(picture: &Picture) -> Rc<Seen> {
    Rc::new(Seen::new(picture.clone()))
}

/// A whole ring of nodes at these places, as the first of them tells it.
pub(super) fn picture(places: &[f64]) -> Picture {
    let count = places.len();
    let at = |at: usize| places[at % count];
    let nodes: Vec<NodePicture> = (0..count)
        .map(|index| {
            let copies = (1..count.min(3)).map(|step| CopyPicture {
                id: id(at(index + step)),
                complete: true,
            });
            NodePicture {
                copies: copies.collect(),
                copies_complete: count.min(3),
                copies_wanted: count.min(3),
                ..node(at(index), at(index + count - 1))
            }
        })
        .collect();
    Picture {
        me: id(at(0)),
        epoch: 1,
        predecessors: (1..count).rev().map(|step| id(at(step))).take(3).collect(),
        successors: (1..count).map(|step| id(at(step))).take(4).collect(),
        links: Vec::new(),
        heard: count,
        totals: Totals {
            swarms: 10 * count as u64,
            seeds: 20 * count as u64,
            leechers: 30 * count as u64,
        },
        nodes,
    }
}
