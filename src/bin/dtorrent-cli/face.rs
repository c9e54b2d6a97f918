//! What `download` and `seed` show: how far they are, and what is new.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use dtorrent::engine::api::{EngineSnapshot, SeedEnd, TorrentState, TorrentSummary};
use dtorrent::id::InfoHash;
use dtorrent::metainfo::Metainfo;
use dtorrent::size::Count;
use indicatif::{BinaryBytes, HumanDuration};

use crate::goal::{Goal, News, Purpose, Reminder};
use crate::output::{complain, printable, say};
use crate::progress::Progress;
use crate::tracker_node::TrackerFace;

/// What the user sees of it.
pub(crate) struct Face {
    purpose: Purpose,
    progress: Option<Progress>,
    known: HashSet<InfoHash>,
    problem: Option<String>,
    /// Whether it was told that nothing can be sent.
    offline: Reminder,
    was_offline: bool,
    /// Torrents of which it was told that no tracker answers.
    without_tracker: BTreeSet<InfoHash>,
    /// Torrents of which it was told what their notice says.
    noticed: BTreeSet<InfoHash>,
    tracker: TrackerFace,
}

impl Face {
    /// With the log on stderr, a bar would be torn to pieces.
    pub(crate) fn new(purpose: Purpose, log_on_stderr: bool) -> Self {
        let progress = (!log_on_stderr).then(|| Progress::new(false));
        Self {
            purpose,
            progress,
            known: HashSet::new(),
            problem: None,
            offline: Reminder::default(),
            was_offline: false,
            without_tracker: BTreeSet::new(),
            noticed: BTreeSet::new(),
            tracker: TrackerFace::default(),
        }
    }

    /// Takes in what is on the engine's list; before [`Self::show`], for each new snapshot.
    pub(crate) fn learn(&mut self, snapshot: &EngineSnapshot) {
        self.known = snapshot
            .torrents
            .iter()
            .map(|torrent| torrent.info_hash)
            .collect();
    }

    /// A torrent is on the engine's list now.
    pub(crate) fn add(&mut self, id: InfoHash) {
        self.known.insert(id);
    }

    /// Whether the torrent is on the engine's list.
    pub(crate) fn knows(&self, id: InfoHash) -> bool {
        self.known.contains(&id)
    }

    pub(crate) fn note(&self, print: impl FnOnce()) {
        match &self.progress {
            Some(progress) => progress.note(print),
            None => print(),
        }
    }

    /// What is new of the tracker in this computer.
    pub(crate) fn show_tracker(
        &mut self,
        snapshot: &EngineSnapshot,
        torrents: &BTreeMap<InfoHash, Arc<Metainfo>>,
    ) -> Result<()> {
        let status = snapshot.tracker.as_ref();
        if !self.tracker.is_news(status) {
            return Ok(());
        }
        let mut shown = Ok(());
        let tracker = &mut self.tracker;
        match &self.progress {
            Some(progress) => progress.note(|| shown = tracker.show(status, torrents)),
            None => shown = tracker.show(status, torrents),
        }
        shown
    }

    /// Shows how things stand, and what is new for the goal.
    pub(crate) fn show(&mut self, snapshot: &EngineSnapshot, goal: &Goal, news: &[News]) -> Result<()> {
        let ours = |torrent: &&Arc<TorrentSummary>| goal.concerns(torrent.info_hash);
        for torrent in snapshot.torrents.iter().filter(ours) {
            self.show_troubles(torrent);
        }
        self.show_network(snapshot);
        let rows = snapshot.torrents.iter().filter(|_| !news.is_empty());
        let rows: HashMap<_, _> = rows.map(|torrent| (torrent.info_hash, torrent)).collect();
        for item in news {
            let mut said = Ok(());
            match item {
                News::Complete(id) => {
                    if let Some(line) = rows.get(id).map(|torrent| self.completed(torrent, snapshot)) {
                        self.note(|| said = say(line));
                    }
                }
                News::Failed(id, why) | News::Waiting(id, why) => {
                    let name = rows
                        .get(id)
                        .map_or_else(|| id.to_string(), |torrent| torrent.name.clone());
                    let is_in_the_way = rows.get(id).is_some_and(|torrent| torrent.in_the_way);
                    let advice = match item {
                        News::Waiting(..) => " Waiting for that; Ctrl-C stops.",
                        News::Failed(..) if is_in_the_way => " With --overwrite it is written over.",
                        _ => "",
                    };
                    self.note(|| complain(format_args!("{}: {}{advice}", printable(&name), printable(why))));
                }
            }
            said?;
        }
        if !goal.is_busy() {
            // A server has nothing to tell every few seconds, and a bar would stay as it was last.
            self.progress = None;
        }
        if let Some(progress) = &self.progress {
            let ours: Vec<_> = snapshot.torrents.iter().filter(ours).map(Arc::as_ref).collect();
            progress.set(
                done(&ours),
                ours.iter().map(|torrent| torrent.wanted_length).sum(),
                match snapshot.offline {
                    true => "waiting for the network".into(),
                    false => summary(&ours),
                },
            );
        }
        Ok(())
    }

    /// That a torrent has seeded enough.
    pub(crate) fn show_end(
        &self,
        id: InfoHash,
        end: SeedEnd,
        torrents: &BTreeMap<InfoHash, Arc<Metainfo>>,
    ) -> Result<()> {
        let mut said = Ok(());
        if let Some(metainfo) = torrents.get(&id) {
            let name = printable(&metainfo.info.name);
            self.note(|| said = say(format_args!("finished: {name}: {end}")));
        }
        said
    }

    /// What a person should know of a torrent that goes on, each once.
    fn show_troubles(&mut self, torrent: &TorrentSummary) {
        let (id, name) = (torrent.info_hash, printable(&torrent.name));
        if let Some(notice) = &torrent.notice
            && self.noticed.insert(id)
        {
            self.note(|| complain(format_args!("{name}: {}", printable(notice))));
        }
        if let Some(problem) = &torrent.tracker_problem
            && self.without_tracker.insert(id)
        {
            let problem = printable(problem);
            self.note(|| {
                complain(format_args!(
                    "{name}: no tracker takes its announces, asking again ({problem})"
                ));
            });
        }
    }

    /// What keeps peers from reaching us, and us from reaching anybody. The latter is waited for, and told again now and
    /// then.
    fn show_network(&mut self, snapshot: &EngineSnapshot) {
        let is_new = self.problem != snapshot.network_problem;
        if is_new {
            self.problem.clone_from(&snapshot.network_problem);
            self.offline = Reminder::default();
        }
        match &self.problem {
            Some(problem) if snapshot.offline && self.offline.is_due(Instant::now()) => {
                let problem = printable(problem);
                self.note(|| {
                    complain(format_args!(
                        "{problem}. Waiting until it can be used; Ctrl-C stops."
                    ));
                });
            }
            Some(problem) if is_new && !snapshot.offline => self.note(|| complain(printable(problem))),
            Some(_) | None => {}
        }
        if self.was_offline && !snapshot.offline {
            self.note(|| complain("the network can be used again"));
        }
        self.was_offline = snapshot.offline;
    }

    fn completed(&self, torrent: &TorrentSummary, snapshot: &EngineSnapshot) -> String {
        let (name, size) = (printable(&torrent.name), BinaryBytes(torrent.total_length));
        let listening: Vec<_> = snapshot.listening.iter().map(SocketAddr::to_string).collect();
        match self.purpose {
            Purpose::Complete => format!("complete: {name} ({size}) in {}", torrent.folder.display()),
            _ if listening.is_empty() => format!("seeding {name} ({size}); peers cannot connect to us"),
            _ => format!("seeding {name} ({size}) on {}", listening.join(", ")),
        }
    }
}

/// Bytes that are there, by the check while it runs.
fn done(torrents: &[&TorrentSummary]) -> u64 {
    // A share of bytes for a bar: what rounding does to it cannot be seen.
    torrents
        .iter()
        .map(|torrent| (torrent.progress * torrent.wanted_length as f64) as u64)
        .sum()
}

/// `checking`, or what moves and how long it will take.
fn summary(torrents: &[&TorrentSummary]) -> String {
    use TorrentState::{Checking, Queued, Waiting};
    if torrents.iter().all(|torrent| torrent.state == Checking) {
        return "checking".into();
    }
    if torrents.iter().all(|torrent| torrent.state == Queued) {
        return "waiting for other torrents".into();
    }
    if torrents.iter().all(|torrent| torrent.state == Waiting) {
        return "waiting for room on the disk".into();
    }
    let down = torrents.iter().map(|torrent| torrent.download_rate).sum();
    let up = torrents.iter().map(|torrent| torrent.upload_rate).sum();
    let peers: usize = torrents.iter().map(|torrent| torrent.peers).sum();
    let mut text = format!(
        "{}/s down, {}/s up, {}",
        BinaryBytes(down),
        BinaryBytes(up),
        Count(peers as u64, "peer")
    );
    if let Some(eta) = torrents.iter().filter_map(|torrent| torrent.eta).max() {
        text.push_str(&format!(", {} left", HumanDuration(eta)));
    }
    text
}
