//! The clients that are measured, and how each is started: for speed, with no limit that its command line can lift, and
//! with the benchmark's tracker as the only one who tells of peers.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Result, bail};
use serde_json::json;

use crate::common::proc::{PYTHON, guarded, has_libtorrent, is_installed};

const LIBTORRENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/client/libtorrent_peer.py");

/// As many slots as the settings take.
const MOST_SLOTS: &str = "[transfer]\nupload_slots = 1000\n";

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// `dtorrent-cli`.
    Ours,
    /// The same with a slot for everybody who asks, as the others have it.
    OursSlots,
    Libtorrent,
    Aria2,
    Rtorrent,
    Mktorrent,
}

/// What a client is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Fetch everything.
    Leech,
    /// Serve what is known to be complete.
    Seed,
    /// The same to so many at a time that it matters how many are let.
    SeedMany,
    /// Compare what is there with the torrent.
    Check,
    /// Make a torrent.
    Create,
}

/// What one process of a client works with.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) torrents: Vec<PathBuf>,
    /// Where the data is, or goes.
    pub(crate) dir: PathBuf,
    /// A folder of its own for settings, state and what it says.
    pub(crate) work: PathBuf,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Job {
    /// What a client that runs on creates when it has everything.
    pub(crate) fn marker(&self) -> PathBuf {
        self.work.join("finished")
    }
}

impl Client {
    pub(crate) const ALL: [Self; 6] = [
        Self::Ours,
        Self::OursSlots,
        Self::Libtorrent,
        Self::Aria2,
        Self::Rtorrent,
        Self::Mktorrent,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "dtorrent",
            Self::OursSlots => "dtorrent-slots",
            Self::Libtorrent => "libtorrent",
            Self::Aria2 => "aria2",
            Self::Rtorrent => "rtorrent",
            Self::Mktorrent => "mktorrent",
        }
    }

    pub(crate) fn is_there(self) -> bool {
        match self {
            Self::Ours | Self::OursSlots => true,
            Self::Libtorrent => has_libtorrent(),
            Self::Aria2 => is_installed("aria2c"),
            Self::Rtorrent => is_installed("rtorrent"),
            Self::Mktorrent => is_installed("mktorrent"),
        }
    }

    pub(crate) fn can(self, role: Role) -> bool {
        match self {
            Self::Ours | Self::Libtorrent => true,
            Self::OursSlots => role == Role::SeedMany,
            Self::Aria2 | Self::Rtorrent => role != Role::Create,
            Self::Mktorrent => role == Role::Create,
        }
    }

    /// Whether its process ends when everything was fetched, or checked. Otherwise [`Job::marker`] tells of the
    /// download, and its first answer to a handshake of the check.
    pub(crate) fn ends(self) -> bool {
        self != Self::Rtorrent
    }

    /// The command that does what `role` says.
    pub(crate) fn command(self, role: Role, job: &Job) -> Result<Command> {
        let mut command = match self {
            Self::Ours => ours(role, job, "")?,
            Self::OursSlots => ours(role, job, MOST_SLOTS)?,
            Self::Libtorrent => libtorrent(role, job),
            Self::Aria2 => aria2(role, job),
            Self::Rtorrent => rtorrent(job)?,
            Self::Mktorrent => bail!("mktorrent does nothing but make torrents"),
        };
        at_home(&mut command, &job.work);
        Ok(command)
    }

    /// The command that makes the torrent `out` of the file at `path`.
    pub(crate) fn create(self, path: &Path, out: &Path, piece_length: u32, tracker: &str) -> Result<Command> {
        let mut command = match self {
            Self::Ours => guarded(&our_program(), &[]),
            Self::Libtorrent => python(&json!({
                "role": "create", "path": path, "out": out, "piece_length": piece_length,
            })),
            Self::Mktorrent => guarded("mktorrent", &[]),
            Self::OursSlots | Self::Aria2 | Self::Rtorrent => bail!("{} makes no torrents", self.name()),
        };
        match self {
            Self::Ours => {
                command.arg("create").arg(path).arg("-o").arg(out);
                command.arg(format!("--piece-length={piece_length}"));
                command.args(["--tracker", tracker]);
            }
            Self::Mktorrent => {
                let threads = thread::available_parallelism().map_or(1, usize::from);
                command.args(["-t", &threads.to_string()]);
                command.args(["-l", &piece_length.trailing_zeros().to_string()]);
                command.args(["-a", tracker]).arg("-o").arg(out).arg(path);
            }
            _ => {}
        }
        if let Some(folder) = out.parent() {
            at_home(&mut command, folder);
        }
        Ok(command)
    }
}

/// No settings but those given here.
fn at_home(command: &mut Command, folder: &Path) {
    command.env("HOME", folder);
    for variable in [
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
    ] {
        command.env(variable, folder);
    }
}

/// Another build can be measured in its place, to compare.
fn our_program() -> String {
    std::env::var("DTORRENT").unwrap_or_else(|_| env!("CARGO_BIN_EXE_dtorrent-cli").to_owned())
}

/// With `settings` besides those of all.
fn ours(role: Role, job: &Job, settings: &str) -> Result<Command> {
    let config = job.work.join("config.toml");
    // The rest is as it comes.
    let connections = "[network]\nmax_connections = 8000\nmax_connections_per_torrent = 8000\n";
    fs::write(&config, format!("{connections}{settings}"))?;
    let mut command = guarded(&our_program(), &[]);
    command.arg(match role {
        Role::Leech => "download",
        Role::Seed | Role::SeedMany => "seed",
        Role::Check | Role::Create => "verify",
    });
    command.args(&job.torrents).arg("--dir").arg(&job.dir);
    command.arg("--config").arg(config);
    command.arg("--state").arg(job.work.join("state"));
    if role != Role::Check {
        command.args(["--bind", &job.address.ip().to_string()]);
        command.args(["--port", &job.address.port().to_string()]);
    }
    if matches!(role, Role::Seed | Role::SeedMany) {
        command.arg("--trust");
    }
    Ok(command)
}

fn python(job: &serde_json::Value) -> Command {
    let mut command = guarded(PYTHON, &[]);
    command.arg(LIBTORRENT).arg(job.to_string());
    command
}

fn libtorrent(role: Role, job: &Job) -> Command {
    let role = match role {
        Role::Leech => "leech",
        Role::Seed | Role::SeedMany => "seed",
        Role::Check | Role::Create => "check",
    };
    python(&json!({
        "role": role,
        "ip": job.address.ip(),
        "port": job.address.port(),
        "dir": job.dir,
        "torrents": job.torrents,
    }))
}

fn aria2(role: Role, job: &Job) -> Command {
    let mut command = guarded("aria2c", &[]);
    command.args([
        "--no-conf",
        "--quiet",
        "--async-dns=false",
        "--disable-ipv6",
        "--enable-dht=false",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
        "--enable-peer-exchange=false",
        "--file-allocation=none",
        "--bt-max-peers=0",
        "--max-concurrent-downloads=20000",
    ]);
    command.args(match role {
        Role::Leech | Role::Create => &["--seed-time=0"][..],
        Role::Seed | Role::SeedMany => &["--seed-ratio=0", "--bt-seed-unverified=true"],
        Role::Check => &[
            "--check-integrity=true",
            "--hash-check-only=true",
            "--seed-time=0",
        ],
    });
    command.arg(format!("--interface={}", job.address.ip()));
    command.arg(format!("--listen-port={}", job.address.port()));
    command.arg(format!("--dir={}", job.dir.display()));
    command.args(&job.torrents);
    command
}

/// It hashes what it finds in every role: there is no way to tell it that data is right.
fn rtorrent(job: &Job) -> Result<Command> {
    let session = job.work.join("session");
    fs::create_dir_all(&session)?;
    let (ip, port) = (job.address.ip(), job.address.port());
    let (dir, session, marker) = (job.dir.display(), session.display(), job.marker());
    let mut settings = format!(
        "system.daemon.set = true\n\
        network.port_range.set = {port}-{port}\n\
        network.port_random.set = no\n\
        network.bind_address.set = {ip}\n\
        protocol.encryption.set = none\n\
        protocol.pex.set = no\n\
        dht.mode.set = disable\n\
        trackers.use_udp.set = no\n\
        directory.default.set = {dir}\n\
        session.path.set = {session}\n\
        pieces.hash.on_completion.set = no\n\
        throttle.max_uploads.set = 1000\n\
        throttle.max_peers.normal.set = 1000\n\
        throttle.max_peers.seed.set = 1000\n\
        pieces.memory.max.set = 2048M\n\
        method.set_key = event.download.finished,finished,\"execute.nothrow=touch,{}\"\n",
        marker.display()
    );
    for torrent in &job.torrents {
        settings += &format!("load.start = {}\n", torrent.display());
    }
    let path = job.work.join("rtorrent.rc");
    fs::write(&path, settings)?;
    let mut command = guarded("rtorrent", &[]);
    command.args(["-n", "-o", &format!("import={}", path.display())]);
    command.env("TERM", "xterm");
    Ok(command)
}
