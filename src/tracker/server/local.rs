//! A tracker of one node: the store, its clock, and nothing else. Layer 3.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::seam::{AnnounceAnswer, Reply, Ticket, Totals, Tracker};
use crate::id::{InfoHash, RingId};
use crate::ring::interval::Interval;
use crate::tracker::announce::ScrapeCounts;
use crate::tracker::swarm::{
    Held, HybridClock, PeerAnnounce, SHARDS, Seconds, Settings, Shard, Version, shard_of,
};

/// All swarms are here, so every answer is ready at once.
#[derive(Debug)]
pub struct LocalTracker {
    /// Each lock guards one shard, and none is held while another is taken. The clocks need not agree: versions
    /// of one peer are all made by the clock of its shard.
    shards: Vec<Mutex<Local>>,
    started: Instant,
    started_unix_ms: u64,
}

#[derive(Debug)]
struct Local {
    shard: Shard,
    clock: HybridClock,
    rng: fastrand::Rng,
}

impl LocalTracker {
    /// An empty tracker. The bounds in `settings` are those of the whole node.
    pub fn new(settings: Settings) -> Self {
        let per_shard = Settings {
            max_swarms: settings.max_swarms.div_ceil(SHARDS),
            max_peers: settings.max_peers.div_ceil(SHARDS),
            ..settings
        };
        let whole = Held {
            // Where the whole circle begins does not matter.
            arc: Interval::whole(RingId::new([0; 20])),
            owned: true,
        };
        let local = || {
            let mut shard = Shard::new(per_shard);
            shard.set_ranges(&[whole]);
            Mutex::new(Local {
                shard,
                clock: HybridClock::default(),
                rng: fastrand::Rng::new(),
            })
        };
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            shards: (0..SHARDS).map(|_| local()).collect(),
            started: Instant::now(),
            started_unix_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Forgets peers whose time is over; looks at a part of all, so that nobody waits long. To be called about
    /// once a second: each peer is then looked at about once a minute.
    pub fn tick(&self) {
        let now = self.now(self.started.elapsed());
        for shard in &self.shards {
            let mut local = lock(shard);
            let stats = local.shard.stats();
            let budget = (stats.seeds + stats.leechers + stats.tombstones) / 60 + 100;
            local.shard.expire(now, budget, |_| {});
        }
    }

    fn now(&self, elapsed: Duration) -> Seconds {
        Seconds(u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX))
    }

    fn unix_ms(&self, elapsed: Duration) -> u64 {
        let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.started_unix_ms.saturating_add(elapsed)
    }

    fn shard(&self, info_hash: &InfoHash) -> MutexGuard<'_, Local> {
        lock(&self.shards[shard_of(info_hash)])
    }
}

/// A thread that panicked in the middle of an announce left at worst one peer uncounted.
fn lock(shard: &Mutex<Local>) -> MutexGuard<'_, Local> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tracker for LocalTracker {
    fn announce(&self, announce: &PeerAnnounce, _ticket: Ticket<'_>, answer: &mut AnnounceAnswer) -> Reply {
        let elapsed = self.started.elapsed();
        let now = self.now(elapsed);
        let mut local = self.shard(&announce.info_hash);
        let local = &mut *local;
        let version: Version = local.clock.stamp(self.unix_ms(elapsed));
        if let Err(full) = local.shard.announce(now, version, announce) {
            return Reply::Refused(full.into());
        }
        answer.counts = local
            .shard
            .choose(now, announce, &mut local.rng, &mut answer.peers);
        Reply::Ready
    }

    fn scrape(&self, info_hashes: &[InfoHash], _ticket: Ticket<'_>, counts: &mut Vec<ScrapeCounts>) -> Reply {
        counts.extend(
            info_hashes
                .iter()
                .map(|info_hash| self.shard(info_hash).shard.counts(info_hash)),
        );
        Reply::Ready
    }

    fn all_swarms(&self) -> Vec<(InfoHash, ScrapeCounts)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(lock(shard).shard.swarms());
        }
        all
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in &self.shards {
            let stats = lock(shard).shard.stats();
            totals.swarms += stats.swarms as u64;
            totals.seeds += stats.seeds as u64;
            totals.leechers += stats.leechers as u64;
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::tracker::server::fixture::Letters;
    use crate::tracker::server::seam::{Mailbox, ReturnTo};
    use crate::tracker::swarm::{Families, PeerState};

    fn tracker(max_peers: usize) -> LocalTracker {
        LocalTracker::new(Settings {
            node: 0,
            max_swarms: 1000,
            max_peers,
            peer_lifetime_secs: 2700,
            tombstone_secs: 300,
        })
    }

    fn ask(tracker: &LocalTracker, peer: &str, state: PeerState) -> Result<Vec<SocketAddr>, Reply> {
        let mailbox: std::sync::Arc<dyn Mailbox> = std::sync::Arc::new(Letters::default());
        let ticket = Ticket::new(&mailbox, ReturnTo::Http { slot: 0, request: 0 });
        let announce = PeerAnnounce {
            info_hash: InfoHash::new([1; 20]),
            peer: peer.parse().unwrap(),
            state,
            completed: false,
            families: Families::Both,
            limit: 50,
        };
        let mut answer = AnnounceAnswer::default();
        match tracker.announce(&announce, ticket, &mut answer) {
            Reply::Ready => {
                answer.peers.sort();
                Ok(answer.peers)
            }
            reply => Err(reply),
        }
    }

    #[test]
    fn peers_find_each_other_but_not_themselves_nor_seeds_seeds() {
        let tracker = tracker(100_000);
        let peer = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (leech, seed, other) = ("192.0.2.1:1", "[2001:db8::1]:2", "192.0.2.3:3");
        assert_eq!(ask(&tracker, leech, PeerState::Leech), Ok(vec![]));
        assert_eq!(ask(&tracker, seed, PeerState::Seed), Ok(vec![peer(leech)]));
        assert_eq!(ask(&tracker, other, PeerState::Seed), Ok(vec![peer(leech)]));
        assert_eq!(
            ask(&tracker, leech, PeerState::Leech),
            Ok(vec![peer(other), peer(seed)])
        );
        let totals = Totals {
            swarms: 1,
            seeds: 2,
            leechers: 1,
        };
        assert_eq!(tracker.totals(), totals);
        let counts = ScrapeCounts {
            seeds: 2,
            downloads: 0,
            leechers: 1,
        };
        assert_eq!(tracker.all_swarms(), [(InfoHash::new([1; 20]), counts)]);
        assert_eq!(ask(&tracker, seed, PeerState::Stopped), Ok(vec![]));
        assert_eq!(ask(&tracker, leech, PeerState::Leech), Ok(vec![peer(other)]));
    }

    #[test]
    fn a_full_tracker_says_so_to_new_peers_only() {
        // One in each shard.
        let tracker = tracker(SHARDS);
        assert!(ask(&tracker, "192.0.2.1:1", PeerState::Leech).is_ok());
        assert!(matches!(
            ask(&tracker, "192.0.2.2:1", PeerState::Leech),
            Err(Reply::Refused(_))
        ));
        assert!(ask(&tracker, "192.0.2.1:1", PeerState::Leech).is_ok());
    }
}
