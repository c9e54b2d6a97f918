//! A client in this process, and torrents for it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use dtorrent::config::Config;
use dtorrent::engine::api::{
    AddTorrent, EngineCommand, EngineEvent, EngineSnapshot, TorrentDetails, TorrentState, TorrentSummary,
};
use dtorrent::engine::{Engine, EngineHandle, EngineSetup, Scope};
use dtorrent::id::{InfoHash, sha1_of};
use dtorrent::metainfo::{Builder, Content, Metainfo};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const PIECE: usize = 32 * 1024;

/// An engine with folders of its own, `state` and `data` below `home`, and what it has told so far.
pub(crate) struct Client {
    engine: Option<EngineHandle>,
    events: Receiver<EngineEvent>,
    pub(crate) seen: Vec<EngineEvent>,
    pub(crate) config: Config,
    pub(crate) home: PathBuf,
}

impl Client {
    pub(crate) fn start(home: &Path) -> Self {
        Self::start_with(config(home), home, None)
    }

    pub(crate) fn start_with(config: Config, home: &Path, config_path: Option<PathBuf>) -> Self {
        Self::start_for(None, config, home, config_path)
    }

    fn start_for(scope: Option<Scope>, config: Config, home: &Path, config_path: Option<PathBuf>) -> Self {
        let mut client = Self::launch(scope, config, home, config_path);
        client.wait_for("that it listens", |snapshot| !snapshot.listening.is_empty());
        client
    }

    /// Starts one that gets no port, perhaps.
    pub(crate) fn launch(
        scope: Option<Scope>,
        config: Config,
        home: &Path,
        config_path: Option<PathBuf>,
    ) -> Self {
        let (events_tx, events) = unbounded();
        let engine = Engine::start(EngineSetup {
            config: config.clone(),
            config_path,
            state: None,
            scope,
            on_event: Box::new(move |event| drop(events_tx.send(event))),
        });
        Self {
            engine: Some(engine.unwrap()),
            events,
            seen: Vec::new(),
            config,
            home: home.to_owned(),
        }
    }

    /// Ends this engine and starts another one with the same folders.
    pub(crate) fn restart(mut self) -> Self {
        self.stop();
        Self::start_with(self.config.clone(), &self.home, None)
    }

    /// Ends this engine and starts another one for these torrents alone.
    pub(crate) fn restart_for(mut self, scope: Scope) -> Self {
        self.stop();
        Self::start_for(Some(scope), self.config.clone(), &self.home, None)
    }

    pub(crate) fn data(&self, path: &str) -> PathBuf {
        self.home.join("data").join(path)
    }

    pub(crate) fn send(&self, command: EngineCommand) {
        self.engine.as_ref().unwrap().send(command);
    }

    pub(crate) fn add(&self, metainfo: &Arc<Metainfo>, peers: &[SocketAddr]) {
        self.add_with(metainfo, |add| add.peers = peers.to_vec());
    }

    pub(crate) fn add_with(&self, metainfo: &Arc<Metainfo>, change: impl FnOnce(&mut AddTorrent)) {
        let mut add = AddTorrent::new(Arc::clone(metainfo));
        change(&mut add);
        self.send(EngineCommand::Add(Box::new(add)));
    }

    /// Adds a torrent whose data lies in the folder already, and waits until it is served.
    pub(crate) fn seed(&mut self, torrent: &Torrent) -> SocketAddr {
        torrent.write_to(&self.home.join("data"));
        self.add(&torrent.metainfo, &[]);
        self.wait_state(torrent.id(), TorrentState::Seeding);
        self.addr()
    }

    pub(crate) fn addr(&mut self) -> SocketAddr {
        self.next_snapshot().listening[0]
    }

    /// What the engine tells next.
    pub(crate) fn next_event(&mut self) -> EngineEvent {
        let event = self.events.recv_timeout(PATIENCE).unwrap_or_else(|error| {
            panic!(
                "nothing comes ({error}); so far: {:?}",
                &self.seen[self.seen.len().saturating_sub(9)..]
            )
        });
        self.seen.push(event.clone());
        event
    }

    /// All that the engine tells within this time.
    pub(crate) fn listen(&mut self, time: Duration) -> Vec<EngineEvent> {
        let deadline = Instant::now() + time;
        let told: Vec<_> = std::iter::from_fn(|| self.events.recv_deadline(deadline).ok()).collect();
        self.seen.extend(told.iter().cloned());
        told
    }

    pub(crate) fn next_snapshot(&mut self) -> Arc<EngineSnapshot> {
        self.send(EngineCommand::Tell);
        loop {
            if let EngineEvent::Snapshot(snapshot) = self.next_event() {
                return snapshot;
            }
        }
    }

    /// The first snapshot from here on that is as described.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        is_it: impl Fn(&EngineSnapshot) -> bool,
    ) -> Arc<EngineSnapshot> {
        self.send(EngineCommand::Tell);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let EngineEvent::Snapshot(snapshot) = self.next_event()
                && is_it(&snapshot)
            {
                return snapshot;
            }
        }
        panic!(
            "waited in vain for {what}; last: {:?}",
            self.seen.iter().rev().take(5).collect::<Vec<_>>()
        );
    }

    pub(crate) fn wait_torrent(
        &mut self,
        id: InfoHash,
        what: &str,
        is_it: impl Fn(&TorrentSummary) -> bool,
    ) -> TorrentSummary {
        let find = |snapshot: &EngineSnapshot| {
            let mut torrents = snapshot.torrents.iter();
            torrents
                .find(|torrent| torrent.info_hash == id)
                .map(|torrent| TorrentSummary::clone(torrent))
        };
        let snapshot = self.wait_for(what, |snapshot| find(snapshot).as_ref().is_some_and(&is_it));
        find(&snapshot).unwrap()
    }

    pub(crate) fn wait_state(&mut self, id: InfoHash, state: TorrentState) -> TorrentSummary {
        self.wait_torrent(id, &format!("{state:?}"), |torrent| torrent.state == state)
    }

    /// Waits for the next failure that is told and holds this.
    pub(crate) fn wait_failure(&mut self, part: &str) -> String {
        loop {
            if let EngineEvent::Failed { message, .. } = self.next_event()
                && message.contains(part)
            {
                return message;
            }
        }
    }

    pub(crate) fn wait_event(&mut self, is_it: impl Fn(&EngineEvent) -> bool) {
        while !is_it(&self.next_event()) {}
    }

    pub(crate) fn wait_removed(&mut self, id: InfoHash) {
        self.wait_event(|event| matches!(event, EngineEvent::Removed(removed) if *removed == id));
    }

    pub(crate) fn details(&mut self, id: InfoHash) -> Arc<TorrentDetails> {
        self.send(EngineCommand::Watch(Some(id)));
        loop {
            if let EngineEvent::Details(details) = self.next_event()
                && details.info_hash == id
            {
                return details;
            }
        }
    }

    /// How often it was told that the torrent is complete, which comes right after the snapshot that shows it.
    pub(crate) fn times_finished(&mut self, id: InfoHash) -> usize {
        self.listen(Duration::from_secs(1));
        let is_it = |event: &&EngineEvent| matches!(event, EngineEvent::Finished(done) if *done == id);
        self.seen.iter().filter(is_it).count()
    }

    /// Ends the engine and checks that its last word is that it stopped.
    pub(crate) fn stop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.send(EngineCommand::Shutdown);
            engine.send(EngineCommand::Shutdown);
            engine.join();
            self.seen.extend(self.events.try_iter());
            assert!(matches!(self.seen.last(), Some(EngineEvent::Stopped)));
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

/// Settings of a client at an address of its own.
pub(crate) fn config(home: &Path) -> Config {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut config = Config::default();
    config.network.port = 0;
    config.network.bind = format!("127.77.{}.{}", number / 250, 1 + number % 250);
    config.folders.downloads = home.join("data");
    config.folders.state = home.join("state");
    config
}

/// A torrent and its data.
pub(crate) struct Torrent {
    pub(crate) metainfo: Arc<Metainfo>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Torrent {
    /// A torrent of one file.
    pub(crate) fn file(name: &str, length: usize) -> Self {
        Self::build(name, &[("", length)], &[])
    }

    /// A torrent of a folder of files.
    pub(crate) fn folder(name: &str, files: &[(&str, usize)]) -> Self {
        Self::build(name, files, &[])
    }

    /// A torrent of one file with a tracker.
    pub(crate) fn tracked(name: &str, length: usize, tracker: &str) -> Self {
        Self::build(name, &[("", length)], &[tracker])
    }

    fn build(name: &str, files: &[(&str, usize)], trackers: &[&str]) -> Self {
        let total = files.iter().map(|(_, length)| length).sum();
        let mut bytes = vec![0; total];
        fastrand::Rng::with_seed(total as u64 + u64::from(name.as_bytes()[0])).fill(&mut bytes);
        let hashes = bytes.chunks(PIECE).map(sha1_of).collect();
        let content = match files {
            [("", length)] => Content::File(*length as u64),
            files => Content::Folder(
                files
                    .iter()
                    .map(|(path, length)| (path.split('/').map(str::to_owned).collect(), *length as u64))
                    .collect(),
            ),
        };
        let mut builder = Builder::new(name.to_owned(), content, PIECE as u32, hashes);
        builder.tiers = trackers.iter().map(|url| vec![(*url).to_owned()]).collect();
        let mut rest = &bytes[..];
        let mut cut = |(path, length): &(&str, usize)| {
            let (data, after) = rest.split_at(*length);
            rest = after;
            let path = if path.is_empty() {
                name.into()
            } else {
                Path::new(name).join(path)
            };
            (path, data.to_vec())
        };
        Self {
            files: files.iter().map(&mut cut).collect(),
            metainfo: Arc::new(builder.build().unwrap()),
        }
    }

    pub(crate) fn id(&self) -> InfoHash {
        self.metainfo.info.info_hash
    }

    pub(crate) fn write_to(&self, folder: &Path) {
        for (path, data) in &self.files {
            fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
            fs::write(folder.join(path), data).unwrap();
        }
    }

    /// Whether all of it stands below `folder` as it should be.
    pub(crate) fn is_whole_in(&self, folder: &Path) -> bool {
        self.files
            .iter()
            .all(|(path, data)| fs::read(folder.join(path)).is_ok_and(|found| found == *data))
    }
}
