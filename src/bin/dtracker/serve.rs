//! `dtracker serve`.

use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use dtorrent::config::LogConfig;
use dtorrent::logging::Logger;
use dtorrent::sentence::with_causes;
use dtorrent::size::Count;
use dtorrent::tracker::node::Places;
use dtorrent::tracker::server::{Rules, TrackerConfig, TrackerServer};
use dtorrent::tracker::swarm::Settings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::node::Node;
use crate::{complain, say};

/// How long a peer that has left is remembered as such.
const TOMBSTONE_SECS: u16 = 300;
/// How often the store is looked through for peers whose time is over.
const TICK: Duration = Duration::from_secs(1);
/// A node that serves after so many of them says no more than that.
const PATIENCE_TICKS: u32 = 5;
/// Files that are open besides connections: the log, sockets, what libraries open.
const OTHER_FILES: u64 = 64;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Settings file; without one, the defaults hold
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer HTTP here, instead of where the settings say; may be given several times
    #[arg(long, value_name = "IP:PORT")]
    http: Vec<SocketAddr>,
    /// Answer UDP here, instead of where the settings say; may be given several times
    #[arg(long, value_name = "IP:PORT")]
    udp: Vec<SocketAddr>,
    /// Let other nodes of the ring in here, instead of where the settings say
    #[arg(long, value_name = "IP:PORT")]
    ring: Option<SocketAddr>,
    /// Join the ring of the node at this address; may be given several times
    #[arg(long, value_name = "IP:PORT")]
    join: Vec<SocketAddr>,
    /// File with the key of the ring, as `dtracker key` makes it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Keep the node's identity and the history here, instead of in the configured folder. The log goes along, unless
    /// the settings put it in a place of its own
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Log this level to the log file, instead of the configured one, and to stderr
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<log::LevelFilter>,
}

const EXAMPLES: &str = "\
Examples:
  dtracker serve
  dtracker serve --http 192.0.2.7:80 --udp 192.0.2.7:6969
  dtracker serve --config /etc/dtracker.toml
  dtracker serve --ring 192.0.2.7:6970 --join 192.0.2.8:6970 --key ring.key

It says where it listens, and a node of a ring when it serves its part; it answers until SIGTERM or Ctrl-C, and a node
then hands over what it keeps. SIGHUP lets it read the settings and the lists again.";

impl ServeArgs {
    fn load(&self) -> Result<TrackerConfig> {
        let mut config = match &self.config {
            Some(path) => TrackerConfig::load(path)?,
            None => TrackerConfig::without_file()?,
        };
        if !self.http.is_empty() {
            config.http.listen.clone_from(&self.http);
        }
        if !self.udp.is_empty() {
            config.udp.listen.clone_from(&self.udp);
        }
        if self.ring.is_some() {
            config.ring.listen = self.ring;
        }
        if !self.join.is_empty() {
            config.ring.join.clone_from(&self.join);
        }
        if self.key.is_some() {
            config.ring.key.clone_from(&self.key);
        }
        if let Some(folder) = &self.state {
            config.keep_state_in(folder, self.config.as_deref())?;
        }
        if let Some(level) = self.log_level {
            config.log.level = level;
        }
        Ok(config)
    }
}

pub(crate) fn run(args: &ServeArgs) -> Result<()> {
    let config = args.load()?;
    let rules = Rules::load(&config)?;
    let logger = Logger::start(&LogConfig::from(&config.log), args.log_level.is_some())?;
    // Before anybody is answered: a signal that comes at once is not lost.
    let signals = listen_for_signals().context("cannot catch signals")?;
    raise_file_limit(config.http.max_connections);

    // A new node looks for its place first. A signal to end meanwhile is one to end at once.
    let is_stopped = Cell::new(false);
    let look = || {
        is_stopped.set(is_stopped.get() || signals.try_iter().any(|signal| signal != SIGHUP));
        is_stopped.get()
    };
    let join: Vec<String> = config.ring.join.iter().map(SocketAddr::to_string).collect();
    if !join.is_empty() && config.ring.listen.is_some() {
        complain(format_args!("looking for the ring at {}", join.join(", ")));
    }
    let mut node = match Node::start(&config.ring, store_settings(&config), &look) {
        Err(_) if is_stopped.get() => {
            logger.stop();
            return Ok(());
        }
        node => node?,
    };
    let server = TrackerServer::start(node.tracker(), rules, &config.http, &config.udp)?;
    keep_history(&server, &config.ring.state);
    for (face, addresses) in [
        ("http", server.http_addresses().to_vec()),
        ("udp", server.udp_addresses()),
    ] {
        for address in addresses {
            log::info!("answering {face}://{address}/announce");
            for url in urls(face, address) {
                say(url)?;
            }
        }
    }
    if let Some(address) = node.ring_address() {
        log::info!("a node of the ring at {address}");
        say(format_args!("ring {address}"))?;
    }
    let mut running = Running {
        args,
        config,
        logger,
        server,
        serving: Serving::new(join),
    };
    let why = running.until_told_to_stop(&signals, &mut node);
    match &why {
        Ok(()) => node.leave(),
        Err(error) => log::error!("{}", with_causes(error.as_ref())),
    }
    let Running { server, logger, .. } = running;
    server.stop();
    node.stop();
    log::info!("stopped");
    logger.stop();
    why
}

/// What a torrent may name of a face that listens there. Everywhere is nowhere that anybody could ask: in its place stand
/// the addresses by which others reach this computer.
fn urls(face: &str, address: SocketAddr) -> Vec<String> {
    let url = format!("{face}://{address}/announce");
    if !address.ip().is_unspecified() {
        return vec![url];
    }
    let Ok(places) = Places::find(address.port(), "", "") else {
        return vec![url];
    };
    let family = if address.is_ipv6() { "://[" } else { "://" };
    let is_ours = |url: &String| {
        url.starts_with(&format!("{face}{family}")) && url.contains("://[") == address.is_ipv6()
    };
    places.urls.into_iter().filter(is_ours).collect()
}

/// The history goes on where it ended. Without a file for it, it is in memory, which is no reason not to serve.
fn keep_history(server: &TrackerServer, folder: &Path) {
    let path = folder.join("history");
    if let Err(error) = fs::create_dir_all(folder).and_then(|()| server.keep_history(&path)) {
        log::warn!(
            "the history is kept in memory only, for {} cannot be used: {error}",
            path.display()
        );
    }
}

fn store_settings(config: &TrackerConfig) -> Settings {
    Settings {
        // In a ring, its id gives the name.
        node: 0,
        max_swarms: config.store.max_torrents,
        max_peers: config.store.max_peers,
        peer_lifetime_secs: config.announce.peer_lifetime_secs,
        tombstone_secs: TOMBSTONE_SECS,
    }
}

/// Signals as they come, from a thread that waits for them as long as the program lives.
fn listen_for_signals() -> Result<Receiver<i32>> {
    let (signals_tx, signals_rx) = bounded(16);
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                // The main thread ends last, and with it everything.
                let _ = signals_tx.send(signal);
            }
        })?;
    Ok(signals_rx)
}

/// The usual limit of 1,024 open files is for programs that use `select`; those of connections come on top.
fn raise_file_limit(max_connections: usize) {
    let wanted = max_connections as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let outcome = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(raised),
            ..limit
        },
    );
    if outcome.is_err() || raised < wanted {
        log::warn!(
            "http.max_connections is {max_connections}, but this program may open only {raised} files; raise the \
             limit (ulimit -n, LimitNOFILE)"
        );
    }
}

/// What a running tracker consists of.
struct Running<'a> {
    args: &'a ServeArgs,
    config: TrackerConfig,
    logger: Logger,
    server: TrackerServer,
    serving: Serving,
}

/// What is told of a node of a ring until it serves its arc.
struct Serving {
    /// Where others are looked for.
    join: Vec<String>,
    /// Seconds that it has waited; `None`: it serves, and that was told.
    waited: Option<u32>,
}

impl Serving {
    fn new(join: Vec<String>) -> Self {
        Self {
            join,
            waited: Some(0),
        }
    }

    /// To be called once a second.
    fn tell(&mut self, node: &Node) -> Result<()> {
        let Some(waited) = self.waited.filter(|_| node.ring_address().is_some()) else {
            return Ok(());
        };
        match node.others_if_serving() {
            Some(others) => {
                self.waited = None;
                match (others, self.join.is_empty()) {
                    (0, true) => say("serving, as the only node so far"),
                    (0, false) => say(format_args!(
                        "serving, as the only node so far: nobody answers at {}, which is asked again",
                        self.join.join(", ")
                    )),
                    (others, _) => say(format_args!(
                        "serving, with {}",
                        Count(others as u64, "other node")
                    )),
                }
            }
            None => {
                self.waited = Some(waited + 1);
                if waited + 1 == PATIENCE_TICKS {
                    complain(match self.join.is_empty() {
                        true => "not serving yet: waiting for the nodes that it knew".to_owned(),
                        false => format!("not serving yet: waiting for a node at {}", self.join.join(", ")),
                    });
                }
                Ok(())
            }
        }
    }
}

impl Running<'_> {
    fn until_told_to_stop(&mut self, signals: &Receiver<i32>, node: &mut Node) -> Result<()> {
        loop {
            match signals.recv_timeout(TICK) {
                Err(RecvTimeoutError::Timeout) => {
                    node.tick()?;
                    self.serving.tell(node)?;
                }
                Ok(SIGHUP) => self.reload(),
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Takes over what can be taken over. What is wrong leaves everything as it is.
    fn reload(&mut self) {
        let loaded = self
            .args
            .load()
            .and_then(|config| Ok((Rules::load(&config)?, config)));
        let (rules, config) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                let why = with_causes(error.as_ref());
                log::error!("the old settings and lists stay in force: {why}");
                return;
            }
        };
        self.server.set_rules(rules);
        self.logger.configure(&LogConfig::from(&config.log));
        let waiting = self.config.changes_needing_restart(&config);
        if waiting.is_empty() {
            log::info!("settings and lists were read again");
        } else {
            log::warn!(
                "settings and lists were read again; these wait for the next start: {}",
                waiting.join(", ")
            );
        }
        // What needs a restart is compared with what runs.
        self.config = TrackerConfig {
            announce: dtorrent::tracker::server::config::AnnounceConfig {
                peer_lifetime_secs: self.config.announce.peer_lifetime_secs,
                ..config.announce
            },
            http: dtorrent::tracker::server::config::HttpConfig {
                listen: self.config.http.listen.clone(),
                threads: self.config.http.threads,
                ..config.http
            },
            udp: self.config.udp.clone(),
            store: self.config.store.clone(),
            ring: self.config.ring.clone(),
            ..config
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_asked() {
        let one = "127.0.0.1:7".parse().unwrap();
        assert_eq!(urls("http", one), ["http://127.0.0.1:7/announce"]);
        for (everywhere, part) in [("0.0.0.0:7", "0.0.0.0"), ("[::]:7", "[::]")] {
            let found = urls("udp", everywhere.parse().unwrap());
            // A computer in no network has no other name for it.
            let is_alone = Places::find(7, "", "").is_err();
            assert!(
                found
                    .iter()
                    .all(|url| url.starts_with("udp://") && url.contains(part) == is_alone),
                "{found:?}"
            );
        }
    }
}
