//! Whom to serve: a round every ten seconds among 200 peers that all want something.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dtorrent::choker::{Candidate, Choker, Slots};
use dtorrent::peer::link::PeerKey;

const PEERS: u64 = 200;
const SLOTS: usize = 8;
const ROUND: Duration = Duration::from_secs(10);

fn rounds(times: u32, seeding: bool) {
    let start = Instant::now();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut choker = Choker::new(Slots::Fixed(SLOTS));
    let mut candidates: Vec<_> = (0..PEERS)
        .map(|number| Candidate {
            peer: PeerKey(number),
            interested: true,
            unchoked: false,
            rate_from_peer: 0,
            rate_to_peer: 0,
            connected_at: start,
            snubbed: number % 10 == 0,
            unchoked_since: None,
            last_served: None,
            kept: 0,
            idle: false,
        })
        .collect();
    for round in 1..=times {
        let now = start + round * ROUND;
        for candidate in &mut candidates {
            candidate.rate_from_peer = rng.u64(..100_000);
            candidate.rate_to_peer = u64::from(candidate.unchoked) * rng.u64(..100_000);
        }
        let chosen = choker.rechoke(now, seeding, &candidates, &mut rng);
        assert_eq!(chosen.len(), SLOTS, "as many as there are slots");
        for candidate in &mut candidates {
            candidate.unchoked = chosen.contains(&candidate.peer);
            let since = candidate.unchoked_since.unwrap_or(now);
            candidate.unchoked_since = candidate.unchoked.then_some(since);
            if candidate.unchoked {
                candidate.last_served = Some(now);
            }
        }
        black_box(&candidates);
    }
}

pub(crate) fn leeching(times: u32) {
    rounds(times, false);
}

pub(crate) fn seeding(times: u32) {
    rounds(times, true);
}
