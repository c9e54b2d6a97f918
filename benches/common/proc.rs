//! Programs that are measured: how they are started, and what `/proc` says that they cost.

use std::fs;
use std::net::{IpAddr, TcpListener};
use std::process::{Command, Stdio};

use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Debian's own: the binding of libtorrent belongs to it, not to the first one on the path.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// What `/proc` counts processor time in.
const TICKS_A_SECOND: f64 = 100.0;
/// The first of the two fields of `stat` with processor time, counted behind the name: user, then system.
const USER_TIME: usize = 11;

/// `setpriv`, which lets a program end with the thread that starts it. It becomes that program, with the same id.
pub(crate) fn guarded(program: &str, more: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).args(more);
    command.arg("--").arg(program);
    command
}

/// Whether a program of this name is on the path.
pub(crate) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Whether libtorrent can be started, by its Python binding.
pub(crate) fn has_libtorrent() -> bool {
    let mut python = Command::new(PYTHON);
    let quiet = python.args(["-c", "import libtorrent"]).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Lets this process, and those that it starts, have as many files and connections open as the system allows.
pub(crate) fn raise_open_files() -> Result<()> {
    let most = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// A port that nobody has at the moment.
pub(crate) fn fresh_port(ip: IpAddr) -> Result<u16> {
    Ok(TcpListener::bind((ip, 0))?.local_addr()?.port())
}

/// Seconds of processor, user and system, that all threads of a process have had, ended ones too. A process that has
/// ended but was not waited for yet has its last figure.
pub(crate) fn cpu(pid: u32) -> f64 {
    cpu_of(&format!("/proc/{pid}/stat"))
}

/// The same by its `stat`, which each thread has too.
pub(crate) fn cpu_of(stat: &str) -> f64 {
    let stat = fs::read_to_string(stat).unwrap_or_default();
    // The name of the program, in parentheses, may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let times = fields.skip(USER_TIME).take(2);
    let ticks: u64 = times.filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS_A_SECOND
}

/// Bytes of a process that are in memory, by the name of the line in `status`: `VmRSS` for all of it, `RssAnon` for
/// what it has allocated, without files. 0 when it has ended.
pub(crate) fn memory(pid: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    field(&status, line).unwrap_or_default() * 1024
}

/// How often each thread of a process has given up its core, or lost it: by id of the thread, those that live.
pub(crate) fn switches(pid: u32) -> Vec<(u32, u64)> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let of_thread = |entry: fs::DirEntry| {
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, switches_in(&status)))
    };
    threads.filter_map(|entry| of_thread(entry.ok()?)).collect()
}

/// The same of the thread that asks.
pub(crate) fn own_switches() -> u64 {
    switches_in(&fs::read_to_string("/proc/thread-self/status").unwrap_or_default())
}

fn switches_in(status: &str) -> u64 {
    ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"]
        .iter()
        .filter_map(|line| field(status, line))
        .sum()
}

/// The number in a line of a `status`.
fn field(status: &str, name: &str) -> Option<u64> {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| *key == name)?;
    value.split_whitespace().next()?.parse().ok()
}
