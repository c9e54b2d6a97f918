//! Trackers as processes of their own: started, looked at through `/proc`, ended.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dtorrent::tracker::server::Status;

use crate::common::proc;
use crate::load::{FIRST_PORT, Population};
use crate::udp::{self, Answer, Line};

/// How long a program may take to answer for the first time, on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Who runs what refuses to be root: nobody.
const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

/// A running tracker. It is killed when this is dropped, and when the thread that started it ends.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    log: PathBuf,
    pub(crate) udp: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Server {
    fn spawn(folder: &Path, name: &str, mut command: Command) -> Result<Self> {
        let log = folder.join(format!("{name}.out"));
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdout = child.stdout.take().map(BufReader::new);
        Ok(Self {
            child,
            stdout,
            log,
            udp: nowhere,
            http: nowhere,
        })
    }

    /// Seconds of processor that all its threads have had.
    pub(crate) fn cpu(&self) -> f64 {
        proc::cpu(self.child.id())
    }

    /// Bytes of it that are in memory.
    pub(crate) fn resident(&self) -> u64 {
        proc::memory(self.child.id(), "VmRSS")
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        // It fails only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What it has written to its standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How a node says that it is.
    pub(crate) fn status(&self) -> Result<Status> {
        let body = ureq::get(format!("http://{}/status", self.http))
            .call()?
            .body_mut()
            .read_to_string()?;
        Ok(serde_json::from_str(&body)?)
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let until = Instant::now() + START_WITHIN;
        while udp::connect(self.udp).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it has ended, {status}: {}", self.log());
            }
            if Instant::now() > until {
                bail!("no answer from {}: {}", self.udp, self.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What ends with us; as nobody, where it refuses to be root.
fn guarded(program: &str, as_nobody: bool) -> Command {
    let is_root = rustix::process::geteuid().is_root();
    proc::guarded(program, if as_nobody && is_root { &NOBODY } else { &[] })
}

/// An address of this machine that nobody has at the moment.
fn fresh_address() -> Result<SocketAddr> {
    let ip = Ipv4Addr::LOCALHOST;
    Ok(SocketAddr::from((ip, proc::fresh_port(ip.into())?)))
}

/// One node of ours, as `dtracker serve` starts it; with `ring` a node of a ring.
pub(crate) fn dtracker(
    folder: &Path,
    name: &str,
    ring: Option<SocketAddr>,
    join: Option<SocketAddr>,
) -> Result<Server> {
    let home = folder.join(name);
    fs::create_dir_all(&home)?;
    // Another build can be measured in its place, to compare.
    let program = std::env::var("DTRACKER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_dtracker").to_owned());
    let mut command = guarded(&program, false);
    command
        .args([
            "serve",
            "--http",
            "127.0.0.1:0",
            "--udp",
            "127.0.0.1:0",
            "--log-level",
            "info",
            "--state",
        ])
        .arg(home.join("state"))
        .env("XDG_STATE_HOME", &home);
    if let Some(ring) = ring {
        command.args(["--ring", &ring.to_string()]);
    }
    if let Some(join) = join {
        command.args(["--join", &join.to_string()]);
    }
    let mut server = Server::spawn(folder, name, command)?;
    let stdout = server.stdout.as_mut().context("no output")?;
    // It says where it listens.
    for face in [&mut server.http, &mut server.udp] {
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let address = line
            .trim()
            .split_once("://")
            .and_then(|(_, rest)| rest.split('/').next());
        *face = address
            .and_then(|address| address.parse().ok())
            .with_context(|| format!("{name} said {line:?}"))?;
    }
    server.wait_until_it_answers()?;
    Ok(server)
}

/// opentracker; Debian's serves only what its list names.
pub(crate) fn opentracker(folder: &Path, population: &Population) -> Result<Option<Server>> {
    if !proc::is_installed("opentracker") {
        return Ok(None);
    }
    let home = folder.join("opentracker");
    fs::create_dir_all(&home)?;
    let list: String = population.hashes().map(|hash| format!("{hash}\n")).collect();
    fs::write(home.join("whitelist.txt"), list)?;
    let address = fresh_address()?;
    let config = home.join("opentracker.conf");
    fs::write(
        &config,
        format!(
            "listen.tcp_udp {address}\naccess.whitelist whitelist.txt\ntracker.rootdir {}\n",
            home.display()
        ),
    )?;
    let mut command = guarded("opentracker", true);
    command.arg("-f").arg(&config);
    let server = started(Server::spawn(folder, "opentracker.run", command)?, address)?;
    // It answers before it has read its list.
    let line = Line::new(address)?;
    let until = Instant::now() + START_WITHIN;
    let mut buffer = [0; 2048];
    loop {
        let last = population.hash(population.swarms().end - 1);
        line.socket.send(&line.announce(0, last, FIRST_PORT))?;
        udp::wait(std::slice::from_ref(&line), Duration::from_millis(200));
        match line.receive(&mut buffer) {
            Some((_, Answer::Peers(_))) => return Ok(server),
            _ if Instant::now() > until => bail!("opentracker does not serve what its list names"),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// aquatic_udp with one thread for sockets and one for swarms.
pub(crate) fn aquatic_udp(folder: &Path) -> Result<Option<Server>> {
    if !proc::is_installed("aquatic_udp") {
        return Ok(None);
    }
    let address = fresh_address()?;
    let defaults = Command::new("aquatic_udp").arg("-p").output()?;
    let defaults = String::from_utf8_lossy(&defaults.stdout).into_owned();
    let mut config = String::new();
    for line in defaults.lines() {
        let key = line.split('=').next().unwrap_or_default().trim();
        match key {
            "address" | "address_ipv4" => config += &format!("{key} = \"{address}\""),
            "use_ipv6" => config += "use_ipv6 = false",
            "socket_workers" | "swarm_workers" => config += &format!("{key} = 1"),
            // A pass over all peers would fall into one measurement and not into the next.
            "torrent_cleaning_interval" => config += "torrent_cleaning_interval = 3600",
            _ => config += line,
        }
        config.push('\n');
    }
    let path = folder.join("aquatic.toml");
    fs::write(&path, config)?;
    let mut command = guarded("aquatic_udp", false);
    command.arg("-c").arg(&path);
    started(Server::spawn(folder, "aquatic_udp", command)?, address)
}

fn started(mut server: Server, address: SocketAddr) -> Result<Option<Server>> {
    (server.udp, server.http) = (address, address);
    server.wait_until_it_answers()?;
    Ok(Some(server))
}

/// Processor seconds of all these.
pub(crate) fn cpu_of(servers: &[Server]) -> f64 {
    servers.iter().map(Server::cpu).sum()
}

/// Bytes of all these that are in memory.
pub(crate) fn resident_of(servers: &[Server]) -> u64 {
    servers.iter().map(Server::resident).sum()
}

/// An address for the nodes of a ring to meet at.
pub(crate) fn ring_address() -> Result<SocketAddr> {
    fresh_address()
}
