//! `dtorrent-cli download` and `dtorrent-cli seed`: an engine, some torrents, and a wait for the end.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use dtorrent::config::watch::Watcher;
use dtorrent::config::{Config, is_bind_target};
use dtorrent::engine::api::{
    AddTorrent, EngineCommand, EngineEvent, EngineSnapshot, RemoveData, TorrentState, TorrentSummary,
};
use dtorrent::engine::{Engine, EngineHandle, EngineSetup, Scope};
use dtorrent::logging::Logger;
use dtorrent::metainfo::Metainfo;
use dtorrent::net::sockets::SocketFactory;
use dtorrent::ratio::RatioLimit;
use dtorrent::storage::Storage;
use dtorrent::storage::files::FileCache;
use dtorrent::storage::layout::Layout;

use crate::face::Face;
use crate::given::Given;
use crate::goal::{Goal, News, Purpose};
use crate::output::{complain, printable};
use crate::settings::{Common, absolute};
use crate::stop::StopFlag;
use crate::tracker_node::TrackerNodeArgs;

/// How soon a signal and an edit of the settings are noticed while the engine is silent.
const TICK: Duration = Duration::from_millis(250);

/// How long the end may take without a word.
const SILENT_END: Duration = Duration::from_millis(400);

#[derive(Debug, Args)]
#[command(after_help = DOWNLOAD_EXAMPLES)]
pub(crate) struct DownloadArgs {
    /// The .torrent files
    #[arg(required = true, value_name = "FILE")]
    torrents: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// Connect to this peer besides those that trackers tell of
    #[arg(long = "peer", value_name = "HOST:PORT", value_parser = parse_peer)]
    peers: Vec<String>,
    /// Go on serving when everything is there
    #[arg(long)]
    seed: bool,
    /// With --seed, stop when R times the size was sent, 0 for no ratio [default: as configured, or chosen for the torrent]
    #[arg(long, value_name = "R", value_parser = parse_ratio, allow_negative_numbers = true, requires = "seed")]
    ratio: Option<RatioLimit>,
    /// Write over files of these names that are there and do not belong to the torrent
    #[arg(long)]
    overwrite: bool,
}

const DOWNLOAD_EXAMPLES: &str = "\
Examples:
  dtorrent-cli download debian.torrent --dir ~/Downloads
  dtorrent-cli download a.torrent b.torrent --dir /srv/data --port 51413 --seed
  dtorrent-cli download debian.torrent --dir . --peer 192.0.2.7:6881 --peer seedbox.example:6881

Ends with status 0 when every byte is verified and on disk. Ctrl-C stops cleanly, a second one at once; the same
command goes on where it was stopped. Data that is there already is checked first; a file that does not belong to the
torrent is not written to without --overwrite. While the disk is full, or what --bind names is missing, it says so and
waits. Of
several torrents one that cannot be had does not stop the others; the status is 1 then.";

#[derive(Debug, Args)]
#[command(after_help = SEED_EXAMPLES)]
pub(crate) struct SeedArgs {
    /// The .torrent files
    #[arg(required = true, value_name = "FILE")]
    torrents: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// Do not check the data first: it is known to be right
    #[arg(long)]
    trust: bool,
    /// Stop when R times the size was sent, 0 for no ratio [default: as configured, or chosen for the torrent]
    #[arg(long, value_name = "R", value_parser = parse_ratio, allow_negative_numbers = true)]
    ratio: Option<RatioLimit>,
}

const SEED_EXAMPLES: &str = "\
Examples:
  dtorrent-cli seed holiday.torrent --dir .
  dtorrent-cli seed *.torrent --dir /srv/data --port 51413 --trust
  dtorrent-cli seed film.torrent --dir . --ratio 2
  dtorrent-cli seed film.torrent --dir . --tracker-node
  dtorrent-cli seed film.torrent --dir . --tracker-node=home.example:6969

Runs until Ctrl-C or SIGTERM, or until each torrent has reached its ratio, all runs counted, or the idle minutes of the
settings, and then tells the trackers. What has ended so is paused in the list, for the window too.
Data that is incomplete is neither served nor written to:
that is an error, which ends the command when nothing else can be served, and else makes its status 1.";

/// Where data lies and where peers reach us.
#[derive(Debug, Args)]
struct Place {
    /// The folder of the data: each torrent's file or folder lies in it [default: the configured one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// TCP port on which peers reach us, 0 for any that is free [default: the configured one]
    #[arg(long, value_name = "P", value_parser = parse_port)]
    port: Option<u16>,
    /// IP address or network interface that everything is bound to [default: the configured one]
    #[arg(long, value_name = "ADDR", value_parser = parse_bind)]
    bind: Option<String>,
    #[command(flatten)]
    tracker_node: TrackerNodeArgs,
}

impl Place {
    fn override_in(&self, config: &mut Config) -> Result<()> {
        if let Some(dir) = &self.dir {
            config.folders.downloads = absolute(dir)?;
        }
        if let Some(port) = self.port {
            config.network.port = port;
        }
        if let Some(bind) = &self.bind {
            config.network.bind.clone_from(bind);
        }
        self.tracker_node.override_in(config);
        Ok(())
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| "a port is a whole number from 0 to 65535; 0 takes any that is free".into())
}

fn parse_ratio(text: &str) -> Result<RatioLimit, String> {
    RatioLimit::parse(text).ok_or_else(|| {
        format!(
            "a ratio is 0, or a number from 0.01 to {}, such as 1.5",
            RatioLimit::MOST
        )
    })
}

fn parse_bind(text: &str) -> Result<String, String> {
    match is_bind_target(text) {
        true => Ok(text.to_owned()),
        false => {
            Err("it takes an IP address or the name of a network interface, such as 192.0.2.7 or wg0".into())
        }
    }
}

/// Refuses what cannot be an address before anything else is done; the name is looked up later.
fn parse_peer(text: &str) -> Result<String, String> {
    let port = text
        .rsplit_once(':')
        .and_then(|(host, port)| (!host.is_empty()).then_some(port));
    match port.and_then(|port| port.parse::<u16>().ok()) {
        Some(1..) => Ok(text.to_owned()),
        _ => Err(
            "a peer is HOST:PORT, such as 192.0.2.7:6881, [2001:db8::7]:6881 or seedbox.example:6881".into(),
        ),
    }
}

pub(crate) fn download(args: &DownloadArgs, common: &Common) -> Result<()> {
    let purpose = if args.seed {
        Purpose::CompleteAndServe
    } else {
        Purpose::Complete
    };
    let mut transfer = Transfer::new(purpose, &args.torrents, &args.place, common)?;
    let peers = resolve(&args.peers, &transfer.config)?;
    transfer.overwrite = args.overwrite;
    transfer.ratio = args.ratio;
    transfer.run(&peers, false)
}

pub(crate) fn seed(args: &SeedArgs, common: &Common) -> Result<()> {
    let mut transfer = Transfer::new(Purpose::Serve, &args.torrents, &args.place, common)?;
    transfer.ratio = args.ratio;
    transfer.given.keep_those_in(&transfer.config.folders.downloads)?;
    transfer.run(&[], args.trust)
}

fn resolve(peers: &[String], config: &Config) -> Result<Vec<SocketAddr>> {
    let sockets = SocketFactory::new(&config.network.bind)?;
    let mut found = Vec::new();
    for peer in peers {
        let addrs = sockets
            .resolve(peer)
            .with_context(|| format!("cannot find the address of the peer {peer}"))?;
        found.extend(addrs);
    }
    Ok(found)
}

/// Follows the engine's end for as long as it may take without a word, and then says what is waited for; the waiting
/// itself is left to [`EngineHandle::join`]. From now on a signal ends the program at once.
fn watch_the_end(event_rx: &Receiver<EngineEvent>, stop: &StopFlag) {
    let was_told_to_stop = stop.is_set();
    // Whatever is left to do now, who does not want to wait for it need not.
    stop.arm();
    let deadline = Instant::now() + SILENT_END;
    loop {
        match event_rx.recv_deadline(deadline) {
            Ok(EngineEvent::Stopped) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => break,
        }
    }
    complain(if was_told_to_stop {
        "stopping: telling the trackers, and writing what is left; Ctrl-C again leaves at once"
    } else {
        "ending: telling the trackers, and writing what is left; Ctrl-C leaves at once"
    });
}

/// A command under way.
struct Transfer<'c> {
    purpose: Purpose,
    given: Given,
    config: Config,
    watcher: Watcher,
    common: &'c Common,
    place: &'c Place,
    /// Files that are in the way may be written over.
    overwrite: bool,
    /// At which ratio seeding ends.
    ratio: Option<RatioLimit>,
}

impl<'c> Transfer<'c> {
    fn new(purpose: Purpose, files: &[PathBuf], place: &'c Place, common: &'c Common) -> Result<Self> {
        let given = Given::read(files)?;
        let (mut config, path) = common.load()?;
        place.override_in(&mut config)?;
        let watcher = Watcher::new(path, Instant::now());
        Ok(Self {
            purpose,
            given,
            config,
            watcher,
            common,
            place,
            overwrite: false,
            ratio: None,
        })
    }

    fn run(mut self, peers: &[SocketAddr], trust_data: bool) -> Result<()> {
        let log = self.common.start_log(&self.config)?;
        let stop = StopFlag::install()?;
        let (event_tx, event_rx) = unbounded();
        let engine = Engine::start(EngineSetup {
            config: self.config.clone(),
            // We watch the file ourselves: what the command line says must stay in force after an edit.
            config_path: None,
            state: None,
            scope: Some(Scope {
                torrents: self.given.torrents.keys().copied().collect(),
                // What is served is somebody's work: it is not written to.
                fetch: self.purpose != Purpose::Serve,
                seed_until_ratio: self.ratio,
            }),
            on_event: Box::new(move |event| drop(event_tx.send(event))),
        })?;
        let ended = self.follow(&engine, &event_rx, &stop, &log, peers, trust_data);
        engine.send(EngineCommand::Shutdown);
        watch_the_end(&event_rx, &stop);
        engine.join();
        log.stop();
        ended
    }

    /// From the first snapshot to the end of the work.
    fn follow(
        &mut self,
        engine: &EngineHandle,
        event_rx: &Receiver<EngineEvent>,
        stop: &StopFlag,
        log: &Logger,
        peers: &[SocketAddr],
        trust_data: bool,
    ) -> Result<()> {
        let goal = Goal::new(self.purpose, self.given.torrents.keys().copied());
        let mut goal = goal.overwriting(self.overwrite);
        let mut face = Face::new(self.purpose, self.common.log_level.is_some());
        let mut admitted = false;
        let mut latest: Option<Arc<EngineSnapshot>> = None;
        while !goal.is_over() && !stop.is_set() {
            match event_rx.recv_timeout(TICK) {
                Ok(EngineEvent::Snapshot(snapshot)) if !admitted => {
                    // The first one: only now it is known what the state folder holds already.
                    self.admit(engine, &snapshot, peers, trust_data, &mut goal, &face)?;
                    face.learn(&snapshot);
                    face.show_tracker(&snapshot, &self.given.torrents)?;
                    admitted = true;
                    engine.send(EngineCommand::Tell);
                }
                Ok(EngineEvent::Snapshot(snapshot)) => {
                    face.learn(&snapshot);
                    face.show_tracker(&snapshot, &self.given.torrents)?;
                    self.follow_up(engine, &snapshot, &mut goal, &mut face)?;
                    latest = Some(snapshot);
                }
                Ok(EngineEvent::Added(id)) => face.add(id),
                Ok(EngineEvent::Removed(id)) => {
                    if let Some(metainfo) = self.given.torrents.get(&id) {
                        self.add(engine, Arc::clone(metainfo), peers, trust_data);
                    }
                }
                Ok(EngineEvent::Failed { info_hash, message }) => {
                    // What is on the list says by its own state whether it can go on.
                    if !info_hash.is_some_and(|id| face.knows(id)) {
                        face.note(|| complain(printable(&message)));
                        info_hash.into_iter().for_each(|id| goal.refuse(id));
                    }
                }
                // What ended before it was taken in here does so again.
                Ok(EngineEvent::SeedingEnded { info_hash, end }) if admitted => {
                    goal.end(info_hash);
                    face.show_end(info_hash, end, &self.given.torrents)?;
                }
                Ok(EngineEvent::Stopped) | Err(RecvTimeoutError::Disconnected) => {
                    bail!("the engine ended; the log says why")
                }
                // Nothing has changed, and while something is waited for that says something as well.
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(snapshot) = latest.as_ref().filter(|now| now.offline || goal.is_busy()) {
                        self.follow_up(engine, snapshot, &mut goal, &mut face)?;
                    }
                }
                Ok(_) => {}
            }
            self.reload(engine, log, &face);
        }
        drop(face);
        self.verdict(&goal)
    }

    /// Takes in and shows how things stand, and stops what is not to be served.
    fn follow_up(
        &self,
        engine: &EngineHandle,
        snapshot: &EngineSnapshot,
        goal: &mut Goal,
        face: &mut Face,
    ) -> Result<()> {
        let news = goal.on_snapshot(Instant::now(), snapshot);
        for item in &news {
            // Left alone, the engine would announce it, and share what there is of it.
            if let (Purpose::Serve, News::Failed(id, _)) = (self.purpose, item) {
                engine.send(EngineCommand::Pause(*id));
            }
        }
        face.show(snapshot, goal, &news)
    }

    /// Puts our torrents on the list, or wakes those that are on it from an earlier run.
    fn admit(
        &mut self,
        engine: &EngineHandle,
        present: &EngineSnapshot,
        peers: &[SocketAddr],
        trust_data: bool,
        goal: &mut Goal,
        face: &Face,
    ) -> Result<()> {
        let present = present.torrents.iter();
        let present: HashMap<_, _> = present.map(|torrent| (torrent.info_hash, torrent)).collect();
        for (id, metainfo) in self.given.torrents.clone() {
            let known = present.get(&id);
            if known
                .is_some_and(|torrent| self.is_elsewhere(torrent) && !has_data(&metainfo, &torrent.folder))
            {
                // Its files were moved by hand, or an earlier --dir was mistyped. It is added where it is said to be
                // once this is done.
                engine.send(EngineCommand::Remove {
                    info_hash: id,
                    data: RemoveData::Keep,
                });
                continue;
            }
            if let Some(Err(error)) = known.map(|torrent| self.check_known(torrent)) {
                self.given.refuse(error, |line| face.note(|| complain(line)))?;
                goal.refuse(id);
                continue;
            }
            match known {
                Some(_) => {
                    if trust_data {
                        engine.send(EngineCommand::Trust(id));
                    }
                    engine.send(EngineCommand::AddTrackers {
                        info_hash: id,
                        tiers: metainfo.tiers.clone(),
                    });
                    engine.send(match self.overwrite {
                        true => EngineCommand::Overwrite(id),
                        false => EngineCommand::Start(id),
                    });
                    engine.send(EngineCommand::AddPeers {
                        info_hash: id,
                        peers: peers.to_vec(),
                    });
                }
                None => self.add(engine, metainfo, peers, trust_data),
            }
        }
        Ok(())
    }

    fn add(&self, engine: &EngineHandle, metainfo: Arc<Metainfo>, peers: &[SocketAddr], trust_data: bool) {
        engine.send(EngineCommand::Add(Box::new(AddTorrent {
            folder: Some(self.config.folders.downloads.clone()),
            peers: peers.to_vec(),
            trust_data,
            overwrite: self.overwrite,
            ..AddTorrent::new(metainfo)
        })));
    }

    /// Whether the list has it in another folder than the one that was given.
    fn is_elsewhere(&self, torrent: &TorrentSummary) -> bool {
        self.place.dir.is_some() && torrent.folder != self.config.folders.downloads
    }

    /// Whether a torrent that is on the list from an earlier run can be started as it was asked for.
    fn check_known(&self, torrent: &TorrentSummary) -> Result<()> {
        let name = printable(&torrent.name);
        if self.is_elsewhere(torrent) {
            bail!(
                "{name} is on the list already, with its data in {}; give that --dir, or another --state",
                torrent.folder.display(),
            );
        }
        // To fetch everything again is what `download` may do, but not to a disk that is not there.
        let may_begin_anew = self.purpose != Purpose::Serve && torrent.folder.exists();
        if torrent.state == TorrentState::Failed && !may_begin_anew {
            let why = torrent.error.as_deref();
            bail!(
                "{name}: {}",
                printable(why.unwrap_or("it cannot go on; the log says why"))
            );
        }
        Ok(())
    }

    /// Takes over an edit of the settings; the command line stays above them.
    fn reload(&mut self, engine: &EngineHandle, log: &Logger, face: &Face) {
        let edited = self.watcher.poll(Instant::now()).map(|edited| {
            let mut config = edited?;
            self.common.override_in(&mut config, self.watcher.path())?;
            self.place.override_in(&mut config)?;
            anyhow::Ok(config)
        });
        match edited {
            Some(Ok(config)) => {
                log.configure(&config.log);
                engine.send(EngineCommand::Configure(Box::new(config.clone())));
                self.config = config;
            }
            Some(Err(error)) => {
                let message = format!("the edited settings were not taken over: {error}");
                log::error!("{message}");
                face.note(|| complain(message));
            }
            None => {}
        }
    }

    /// How the command ends: each failure was told when it happened, this is the one sentence about it all.
    fn verdict(&self, goal: &Goal) -> Result<()> {
        let has_failed = self.given.refused || goal.has_failed();
        match self.purpose {
            Purpose::Serve if has_failed => {
                bail!("not every torrent could be served; what was wrong is said above")
            }
            _ if has_failed => bail!("not every torrent could be completed; what was wrong is said above"),
            Purpose::Serve | Purpose::CompleteAndServe => Ok(()),
            Purpose::Complete if goal.is_reached() => Ok(()),
            Purpose::Complete => {
                bail!("stopped before everything was there; the same command goes on from here")
            }
        }
    }
}

/// Whether anything of a torrent is in a folder.
fn has_data(metainfo: &Metainfo, folder: &Path) -> bool {
    let layout = Layout::new(&metainfo.info);
    // Nothing is opened to look.
    let cache = Arc::new(FileCache::new(1));
    Storage::open(layout, folder, cache, false).has_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_host_and_a_port() {
        for peer in ["192.0.2.7:6881", "[2001:db8::7]:1", "seedbox.example:65535"] {
            assert_eq!(parse_peer(peer).as_deref(), Ok(peer));
        }
        for wrong in ["192.0.2.7", ":6881", "host:", "host:0", "host:65536", "host:http"] {
            assert!(parse_peer(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_of_this_machine_resolve() {
        let mut config = Config::default();
        let found = resolve(&["127.0.0.1:7".into(), "[::1]:8".into()], &config).unwrap();
        assert_eq!(
            found,
            ["127.0.0.1:7".parse().unwrap(), "[::1]:8".parse().unwrap()]
        );
        assert!(resolve(&["no such host:1".into()], &config).is_err());
        config.network.bind = "no-such-wg0".into();
        let error = resolve(&["localhost:7".into()], &config).unwrap_err();
        assert!(
            format!("{error:#}").contains("no-such-wg0 does not exist"),
            "{error:#}"
        );
    }
}
