//! Turns counters that grow into minutes. Layer 2.

use std::collections::HashMap;

use super::{Minute, Sample};
use crate::ring::picture::Picture;
use crate::tracker::server::seam::Totals;

/// Requests since the start of a node: announces, scrapes.
type Requests = [u64; 2];

/// What was counted when the last minute ended.
#[derive(Debug)]
pub(in crate::tracker::server) struct Recorder {
    minute: u32,
    requests: Requests,
    /// Of each node of the ring, with the life that counted.
    nodes: HashMap<String, (u64, Requests)>,
}

/// A node that is met for the first time and has been running for longer has counted most of it before this minute.
const NEW_SECS: u64 = 90;

impl Recorder {
    /// Begins in this minute.
    pub(in crate::tracker::server) fn new(minute: u32) -> Self {
        Self {
            minute,
            requests: [0; 2],
            nodes: HashMap::new(),
        }
    }

    /// How things stand now, to be called about once a second. Returns a minute when one is over.
    pub(in crate::tracker::server) fn on_second(
        &mut self,
        minute: u32,
        totals: Totals,
        requests: Requests,
        ring: Option<&Picture>,
    ) -> Option<Minute> {
        if minute == self.minute {
            return None;
        }
        // That of the second before; a process that was stopped meanwhile has recorded nothing since.
        let over = std::mem::replace(&mut self.minute, minute);
        let before = std::mem::replace(&mut self.requests, requests);
        Some(Minute {
            minute: over,
            node: sample(totals, since(requests, before)),
            ring: ring.map(|ring| sample(ring.totals, self.count_ring(ring))),
        })
    }

    /// Requests of all nodes since the last time.
    fn count_ring(&mut self, ring: &Picture) -> Requests {
        let mut sum = [0_u64; 2];
        let heard = ring.nodes.iter().filter(|node| node.health.is_heard());
        for node in heard {
            let requests = [node.announces, node.scrapes];
            let known = self.nodes.insert(node.id.clone(), (node.incarnation, requests));
            let before = match known {
                Some((incarnation, before)) if incarnation == node.incarnation => before,
                _ if node.uptime_secs <= NEW_SECS => [0; 2],
                _ => requests,
            };
            let new = since(requests, before);
            sum = [sum[0].saturating_add(new[0]), sum[1].saturating_add(new[1])];
        }
        self.nodes
            .retain(|id, _| ring.nodes.iter().any(|node| node.id == *id));
        sum
    }
}

fn since(now: Requests, before: Requests) -> Requests {
    [now[0].saturating_sub(before[0]), now[1].saturating_sub(before[1])]
}

fn sample(totals: Totals, [announces, scrapes]: Requests) -> Sample {
    let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    Sample {
        swarms: number(totals.swarms),
        seeds: number(totals.seeds),
        leechers: number(totals.leechers),
        announces: number(announces),
        scrapes: number(scrapes),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::ring::board::Board;
    use crate::ring::bulletin::Bulletin;
    use crate::ring::bulletin::tests::contact;
    use crate::ring::view::{Stage, View};

    const TOTALS: Totals = Totals {
        swarms: 1,
        seeds: 2,
        leechers: 3,
    };

    /// A ring whose nodes have (place, incarnation, seconds since the start) counted so many announces.
    fn ring(nodes: &[((u8, u64, u64), u64)]) -> Picture {
        let now = Instant::now();
        let mut board = Board::new(contact(0, 1));
        for &((first, incarnation, uptime), announces) in nodes {
            board.take(
                now,
                &Bulletin {
                    number: 1,
                    stage: Stage::Member,
                    owned: TOTALS,
                    announces,
                    uptime: Duration::from_secs(uptime),
                    ..Bulletin::outside(contact(first, incarnation))
                },
            );
        }
        board.picture(now, &View::outside(contact(0, 1)))
    }

    #[test]
    fn a_minute_is_told_when_it_is_over() {
        let mut recorder = Recorder::new(7);
        assert_eq!(recorder.on_second(7, TOTALS, [5, 1], None), None);
        let over = recorder.on_second(8, TOTALS, [9, 1], None).unwrap();
        assert_eq!((over.minute, over.node.announces, over.node.scrapes), (7, 9, 1));
        assert_eq!((over.node.leechers, over.ring), (3, None));
        assert_eq!(recorder.on_second(8, TOTALS, [10, 1], None), None);
        let over = recorder.on_second(9, TOTALS, [12, 4], None).unwrap();
        assert_eq!((over.minute, over.node.announces, over.node.scrapes), (8, 3, 3));
    }

    #[test]
    fn after_a_pause_and_after_a_clock_set_back_it_goes_on() {
        let mut recorder = Recorder::new(7);
        assert_eq!(recorder.on_second(99, TOTALS, [1, 0], None).unwrap().minute, 7);
        assert_eq!(recorder.on_second(3, TOTALS, [2, 0], None).unwrap().minute, 99);
        let over = recorder.on_second(4, TOTALS, [5, 0], None).unwrap();
        assert_eq!((over.minute, over.node.announces), (3, 3));
    }

    #[test]
    fn requests_of_the_ring_are_those_of_this_minute_whoever_comes_and_goes() {
        let mut recorder = Recorder::new(0);
        let mut minute = 0;
        let mut next = |nodes: &[((u8, u64, u64), u64)]| {
            minute += 1;
            let over = recorder.on_second(minute, TOTALS, [0; 2], Some(&ring(nodes)));
            over.and_then(|over| over.ring).unwrap()
        };
        let (old, other, new) = ((1, 1, 9_000), (2, 1, 9_000), (3, 1, 20));
        assert_eq!(
            next(&[(old, 1_000), (other, 500)]).announces,
            0,
            "that was before"
        );
        let more = next(&[(old, 1_010), (other, 505)]);
        assert_eq!((more.announces, more.leechers), (15, 6));
        assert_eq!(next(&[(old, 1_010), (other, 505), (new, 7)]).announces, 7);
        let again = (1, 2, 10);
        assert_eq!(next(&[(again, 4), (new, 7)]).announces, 4, "it was started again");
        assert_eq!(
            next(&[(again, 4), (other, 999)]).announces,
            0,
            "it was cut off for long"
        );
    }
}
