//! Time and memory of the tracker's store: `cargo bench --bench swarm`, or one case with its name behind `--`.
//!
//! Each case runs in a process of its own, for what one frees another would find. Memory is the growth of the
//! resident set, so it has the allocator's share in it. Times are of the processor,
//! medians of five rounds on one thread.
#![expect(clippy::print_stdout, reason = "figures are what this is for")]

use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, ExitCode};
use std::time::UNIX_EPOCH;

use dtorrent::id::{InfoHash, RingId};
use dtorrent::ring::interval::Interval;
use dtorrent::tracker::swarm::{
    Families, Held, HybridClock, PeerAnnounce, PeerState, Record, SHARDS, Seconds, Settings, Shard, shard_of,
};

/// Peers in all cases.
const PEERS: u32 = 1_000_000;
/// Announces a round.
const ROUND: usize = 200_000;
/// Passes of expiry a round.
const EXPIRES: u32 = 10;
/// What most clients ask for.
const WANTED: usize = 50;

struct Case {
    name: &'static str,
    swarms: u32,
    is_v6: bool,
}

const CASES: [Case; 5] = [
    Case {
        name: "swarms-of-10",
        swarms: PEERS / 10,
        is_v6: false,
    },
    Case {
        name: "swarms-of-10-ipv6",
        swarms: PEERS / 10,
        is_v6: true,
    },
    Case {
        name: "swarms-of-1",
        swarms: PEERS,
        is_v6: false,
    },
    Case {
        name: "swarms-of-1000",
        swarms: PEERS / 1000,
        is_v6: false,
    },
    Case {
        name: "one-swarm",
        swarms: 1,
        is_v6: false,
    },
];

fn main() -> ExitCode {
    let chosen = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    if let Some(name) = chosen {
        let Some(case) = CASES.iter().find(|case| case.name == name) else {
            println!("there is no case {name}");
            return ExitCode::FAILURE;
        };
        run(case);
        return ExitCode::SUCCESS;
    }
    println!("{PEERS} peers, {WANTED} wanted; bytes a peer, nanoseconds an operation");
    println!(
        "{:<18} {:>6} {:>7} {:>9} {:>7} {:>16} {:>6} {:>7} {:>12}",
        "case", "bytes", "insert", "announce", "choose", "announce+choose", "apply", "expire", "ranges (ms)"
    );
    let done = CASES.iter().all(|case| {
        let this = std::env::current_exe().and_then(|program| Command::new(program).arg(case.name).status());
        this.is_ok_and(|status| status.success())
    });
    if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(case: &Case) {
    let mut world = World::new(case);
    let before = resident_bytes();
    let start = cpu_nanos();
    // Swarms grow in turn, as they do in life, not one after the other.
    (0..PEERS).for_each(|peer| world.announce(peer, Seconds(0)));
    let insert = (cpu_nanos() - start) / f64::from(PEERS);
    let bytes = resident_bytes().saturating_sub(before) as f64 / f64::from(PEERS);

    let announce = median(|| world.each(|world, peer| world.announce(peer, Seconds(60))));
    let choose = median(|| world.each(World::choose));
    let both = median(|| {
        world.each(|world, peer| {
            world.announce(peer, Seconds(120));
            world.choose(peer);
        })
    });
    let apply = median(|| world.each(World::apply));
    let expire = median(|| {
        let start = cpu_nanos();
        // Several times: where swarms are large, once is less than the kernel's step of accounting.
        for _ in 0..EXPIRES {
            for shard in &mut world.shards {
                black_box(shard.expire(Seconds(180), usize::MAX, |_| ()));
            }
        }
        (cpu_nanos() - start) / f64::from(EXPIRES) / f64::from(PEERS)
    });
    let mut is_one = true;
    let ranges = median(|| {
        is_one = !is_one;
        let start = cpu_nanos();
        world.set_ranges(is_one);
        (cpu_nanos() - start) / 1e6
    });
    println!(
        "{:<18} {bytes:>6.1} {insert:>7.0} {announce:>9.0} {choose:>7.0} {both:>16.0} {apply:>6.0} {expire:>7.1} \
         {ranges:>12.1}",
        case.name
    );
}

/// A node with its swarms.
struct World {
    shards: Vec<Shard>,
    hashes: Vec<InfoHash>,
    clock: HybridClock,
    rng: fastrand::Rng,
    chosen: Vec<SocketAddr>,
    is_v6: bool,
}

impl World {
    fn new(case: &Case) -> Self {
        let settings = Settings {
            node: 1,
            max_swarms: usize::MAX,
            max_peers: usize::MAX,
            peer_lifetime_secs: 2_700,
            tombstone_secs: 300,
        };
        let mut rng = fastrand::Rng::with_seed(1);
        let mut world = Self {
            shards: (0..SHARDS).map(|_| Shard::new(settings)).collect(),
            hashes: (0..case.swarms)
                .map(|_| InfoHash::new(*RingId::random(&mut rng).as_bytes()))
                .collect(),
            clock: HybridClock::default(),
            rng,
            chosen: Vec::with_capacity(WANTED),
            is_v6: case.is_v6,
        };
        world.set_ranges(true);
        world
    }

    /// One range, or two.
    fn set_ranges(&mut self, is_one: bool) {
        let [middle, end] = [100, 255].map(|first| RingId::new([first; 20]));
        let held = |arc| Held { arc, owned: true };
        let halves = [held(Interval::new(end, middle)), held(Interval::new(middle, end))];
        let whole = [held(Interval::whole(end))];
        for shard in &mut self.shards {
            shard.set_ranges(if is_one { &whole } else { &halves });
        }
    }

    /// Peer number `peer`; one in ten is a seed.
    fn announce_of(&self, peer: u32) -> PeerAnnounce {
        let port = 1024 + (peer % 50_000) as u16;
        let addr = if self.is_v6 {
            SocketAddr::new(
                Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(peer) << 64 | 1).into(),
                port,
            )
        } else {
            SocketAddr::new(Ipv4Addr::from_bits(0x0a00_0000 + peer).into(), port)
        };
        PeerAnnounce {
            info_hash: self.hashes[peer as usize % self.hashes.len()],
            peer: addr,
            state: if (peer / 7).is_multiple_of(10) {
                PeerState::Seed
            } else {
                PeerState::Leech
            },
            completed: false,
            families: Families::Both,
            limit: WANTED,
        }
    }

    fn announce(&mut self, peer: u32, now: Seconds) {
        let announce = self.announce_of(peer);
        let version = self.clock.stamp(1);
        let shard = &mut self.shards[shard_of(&announce.info_hash)];
        black_box(shard.announce(now, version, &announce)).expect("no bound");
    }

    fn apply(&mut self, peer: u32) {
        let announce = self.announce_of(peer);
        let record = Record {
            info_hash: announce.info_hash,
            peer: announce.peer,
            state: announce.state,
            seconds_left: 2_700,
            version: self.clock.stamp(1),
        };
        black_box(self.shards[shard_of(&record.info_hash)].apply(Seconds(120), &record));
    }

    fn choose(&mut self, peer: u32) {
        let announce = self.announce_of(peer);
        self.chosen.clear();
        self.shards[shard_of(&announce.info_hash)].choose(
            Seconds(120),
            &announce,
            &mut self.rng,
            &mut self.chosen,
        );
        black_box(&self.chosen);
    }

    /// Nanoseconds for each of [`ROUND`] operations on peers at random.
    fn each(&mut self, mut operation: impl FnMut(&mut Self, u32)) -> f64 {
        let mut peers = self.rng.fork();
        let start = cpu_nanos();
        (0..ROUND).for_each(|_| operation(self, peers.u32(..PEERS)));
        (cpu_nanos() - start) / ROUND as f64
    }
}

fn median(mut round: impl FnMut() -> f64) -> f64 {
    let mut times: Vec<f64> = (0..5).map(|_| round()).collect();
    times.sort_by(f64::total_cmp);
    times[2]
}

/// What of this process is in memory, in bytes; 0 where there is no `/proc`.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident
        .and_then(|line| line.trim().split(' ').next())
        .and_then(|kib| kib.parse().ok());
    kib.unwrap_or(0) * 1024
}

/// What this thread has had of a processor, in nanoseconds: on a machine that does other work too, the time of day
/// says nothing. Where there is no `/proc`, the time of day.
fn cpu_nanos() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = schedstat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.unwrap_or_else(|| {
        UNIX_EPOCH
            .elapsed()
            .map_or(0.0, |elapsed| elapsed.as_nanos() as f64)
    })
}
