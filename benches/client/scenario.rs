//! What can be measured, by the names on the command line.

use std::fmt;
use std::sync::Arc;

use anyhow::Result;

use crate::bench::{Bench, Figures};
use crate::clients::{Client, Role};
use crate::content::Torrent;
use crate::{download, hashing, many, upload};

/// A scenario: every client goes through it in turn, round after round.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What `--help` says.
    pub(crate) what: &'static str,
    /// What a client must be able to do; none for what needs no client.
    pub(crate) role: Option<Role>,
    /// MiB of its content.
    pub(crate) mib: u64,
    /// How many copies of it are there at a time.
    pub(crate) copies: u64,
    pub(crate) prepare: Prepare,
}

/// All of them, in the order in which they run.
pub(crate) const SCENARIOS: [Scenario; 22] = [
    Scenario {
        name: "one-seed",
        what: "download 2 GiB from one synthetic seed, beside what the machine can do",
        role: Some(Role::Leech),
        mib: 2048,
        copies: 1,
        prepare: download::one_seed,
    },
    Scenario {
        name: "four-seeds",
        what: "the same from four of them",
        role: Some(Role::Leech),
        mib: 2048,
        copies: 1,
        prepare: download::four_seeds,
    },
    Scenario {
        name: "fan-out",
        what: "one synthetic seed and four leechers at once, 512 MiB each",
        role: Some(Role::Leech),
        mib: 512,
        copies: 4,
        prepare: download::fan_out,
    },
    Scenario {
        name: "many-files",
        what: "download 5,000 files, 256 MiB in all",
        role: Some(Role::Leech),
        mib: 256,
        copies: 1,
        prepare: download::many_files,
    },
    Scenario {
        name: "sink",
        what: "serve 2 GiB to one synthetic leecher with 500 requests out",
        role: Some(Role::Seed),
        mib: 2048,
        copies: 1,
        prepare: upload::sink,
    },
    Scenario {
        name: "loads",
        what: "serve 2 GiB to 200 synthetic leechers together (--peers)",
        role: Some(Role::SeedMany),
        mib: 2048,
        copies: 1,
        prepare: upload::loads,
    },
    Scenario {
        name: "crowd",
        what: "serve 2 GiB to 50 of 1,000 connections, the others ask for nothing; beside the 50 alone",
        role: Some(Role::SeedMany),
        mib: 2048,
        copies: 1,
        prepare: upload::crowd,
    },
    Scenario {
        name: "crowd-fetch",
        what: "download 1 GiB from four seeds among 950 connections that have nothing; beside the four alone",
        role: Some(Role::Leech),
        mib: 1024,
        copies: 1,
        prepare: download::crowd_fetch,
    },
    Scenario {
        name: "recheck",
        what: "verify 4 GiB that are in memory",
        role: Some(Role::Check),
        mib: 4096,
        copies: 1,
        prepare: hashing::recheck,
    },
    Scenario {
        name: "create",
        what: "make a torrent of 4 GiB that are in memory",
        role: Some(Role::Create),
        mib: 4096,
        copies: 1,
        prepare: hashing::create,
    },
    Scenario {
        name: "idle-peers",
        what: "memory of a seed for each of 200 connections that ask for nothing (--peers)",
        role: Some(Role::Seed),
        mib: 512,
        copies: 1,
        prepare: many::idle_peers,
    },
    Scenario {
        name: "torrents",
        what: "seed 1,000 torrents (--torrents): time until they are served, memory, work when idle",
        role: Some(Role::Seed),
        mib: 64,
        copies: 1,
        prepare: many::torrents,
    },
    with_peers("peers-1", many::peers_of::<1>),
    with_peers("peers-10", many::peers_of::<10>),
    with_peers("peers-100", many::peers_of::<100>),
    with_peers("peers-1000", many::peers_of::<1000>),
    with_torrents("torrents-1", many::torrents_of::<1>),
    with_torrents("torrents-100", many::torrents_of::<100>),
    with_torrents("torrents-1000", many::torrents_of::<1000>),
    with_torrents("torrents-5000", many::torrents_of::<5000>),
    Scenario {
        name: "start",
        what: "time from the start of the process to its first request, and to ready as a seed; memory at rest",
        role: Some(Role::Seed),
        mib: 16,
        copies: 2,
        prepare: many::start,
    },
    Scenario {
        name: "machine",
        what: "receive 2 GiB over the loopback, SHA-1, write, without a client: with one thread, and a pipe of two",
        role: None,
        mib: 2048,
        copies: 1,
        prepare: download::one_seed,
    },
];

type Prepare = for<'a> fn(&'a Bench, u64) -> Result<Prepared<'a>>;

const fn with_peers(name: &'static str, prepare: Prepare) -> Scenario {
    Scenario {
        name,
        what: "memory of so many idle connections, and 1 GiB to all of them together (--draw)",
        role: Some(Role::SeedMany),
        mib: 1024,
        copies: 1,
        prepare,
    }
}

const fn with_torrents(name: &'static str, prepare: Prepare) -> Scenario {
    Scenario {
        name,
        what: "as `torrents` with so many (--draw)",
        role: Some(Role::Seed),
        mib: 320,
        copies: 1,
        prepare,
    }
}

type Run<'a> = dyn Fn(Client) -> Result<Figures> + 'a;

/// A scenario with its torrents and data; they are there until it is dropped.
pub(crate) struct Prepared<'a> {
    run: Box<Run<'a>>,
    torrent: Arc<Torrent>,
    has_machine: bool,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(torrent: Arc<Torrent>, run: impl Fn(Client) -> Result<Figures> + 'a) -> Self {
        Self {
            run: Box::new(run),
            torrent,
            has_machine: false,
        }
    }

    /// What the machine can do is measured along: its speed drifts within the hour, so that figures of another run
    /// are no yardstick.
    pub(crate) fn beside_the_machine(mut self) -> Self {
        self.has_machine = true;
        self
    }

    /// The torrent for the machine, if that is measured.
    pub(crate) fn for_the_machine(&self) -> Option<&Torrent> {
        self.has_machine.then_some(&self.torrent)
    }

    /// Measures a client once.
    pub(crate) fn run(&self, client: Client) -> Result<Figures> {
        (self.run)(client)
    }
}

impl fmt::Debug for Prepared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prepared").field(&self.torrent.path).finish()
    }
}
