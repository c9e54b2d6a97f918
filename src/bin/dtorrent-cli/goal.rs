//! When `download` and `seed` are through: a machine over what the engine says, without clock or channel.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dtorrent::engine::api::{EngineSnapshot, TorrentState, TorrentSummary};
use dtorrent::id::InfoHash;
use dtorrent::size::Count;

/// A torrent that was just added may show as downloading until its check begins. Seen so for this long, it is really
/// incomplete.
const SETTLED: Duration = Duration::from_secs(3);

/// How long nothing is said of what is waited for. A disk that is nearly full is tried again much more often, and takes
/// a few blocks each time.
const REMIND: Duration = Duration::from_mins(10);

/// Of a torrent that says no more.
const CANNOT_GO_ON: &str = "it cannot go on; the log says why";

/// What the command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To have everything on disk.
    Complete,
    /// To have everything on disk, and to serve it then.
    CompleteAndServe,
    /// To serve what is on disk already.
    Serve,
}

/// How a torrent of ours stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// Work is left.
    Busy {
        /// Since when it is seen downloading.
        downloading: Option<Instant>,
        /// Whether it was told that it waits.
        waiting: Reminder,
    },
    /// Everything is there.
    Complete,
    /// Everything is there, and was served enough.
    Ended,
    /// It cannot go on.
    Failed,
}

/// When it was last told that something is waited for: at once, and again as long as it lasts, but not too often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reminder(Option<Instant>);

impl Reminder {
    /// Whether to tell it now.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self
            .0
            .is_none_or(|told| now.saturating_duration_since(told) >= REMIND);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

/// What a snapshot changed, in the order of the torrents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Every wanted byte of this torrent is verified and on disk.
    Complete(InfoHash),
    /// This torrent waits for something, as for room on the disk, and goes on by itself.
    Waiting(InfoHash, String),
    /// This torrent will not be completed, and why.
    Failed(InfoHash, String),
}

/// The torrents that the command is about.
#[derive(Debug)]
pub(crate) struct Goal {
    purpose: Purpose,
    torrents: BTreeMap<InfoHash, Standing>,
    /// The engine was told to write over what is in the way, and may have said before that something is.
    overwrites: bool,
}

impl Goal {
    pub(crate) fn new(purpose: Purpose, torrents: impl IntoIterator<Item = InfoHash>) -> Self {
        let busy = |id| {
            let standing = Standing::Busy {
                downloading: None,
                waiting: Reminder::default(),
            };
            (id, standing)
        };
        Self {
            purpose,
            torrents: torrents.into_iter().map(busy).collect(),
            overwrites: false,
        }
    }

    /// What is in the way is to be written over.
    pub(crate) fn overwriting(self, overwrites: bool) -> Self {
        Self { overwrites, ..self }
    }

    /// Takes in how things stand and tells what that brought; each thing is told once. To be called now and then
    /// even if nothing moves.
    pub(crate) fn on_snapshot(&mut self, now: Instant, snapshot: &EngineSnapshot) -> Vec<News> {
        snapshot
            .torrents
            .iter()
            .filter_map(|torrent| self.on_torrent(now, torrent))
            .collect()
    }

    fn on_torrent(&mut self, now: Instant, torrent: &TorrentSummary) -> Option<News> {
        let standing = self.torrents.get_mut(&torrent.info_hash)?;
        let Standing::Busy { downloading, waiting } = standing else {
            // What was there once may go: its files deleted, its disk taken away.
            let is_news = *standing == Standing::Complete && torrent.state == TorrentState::Failed;
            return is_news.then(|| {
                *standing = Standing::Failed;
                let why = torrent.error.clone();
                News::Failed(torrent.info_hash, why.unwrap_or_else(|| CANNOT_GO_ON.into()))
            });
        };
        let why = |otherwise: &str| torrent.error.clone().unwrap_or_else(|| otherwise.into());
        match torrent.state {
            TorrentState::Seeding => {
                *standing = Standing::Complete;
                Some(News::Complete(torrent.info_hash))
            }
            TorrentState::Failed if torrent.in_the_way && self.overwrites => None,
            TorrentState::Failed => {
                *standing = Standing::Failed;
                Some(News::Failed(torrent.info_hash, why(CANNOT_GO_ON)))
            }
            TorrentState::Waiting => {
                *downloading = None;
                (waiting.is_due(now))
                    .then(|| News::Waiting(torrent.info_hash, why("it waits; the log says for what")))
            }
            TorrentState::Downloading if self.purpose == Purpose::Serve => {
                let since = *downloading.get_or_insert(now);
                (now.saturating_duration_since(since) >= SETTLED).then(|| {
                    *standing = Standing::Failed;
                    let done = format!(
                        "{} of {}",
                        torrent.wanted_done,
                        Count(torrent.wanted_length, "byte")
                    );
                    let folder = torrent.folder.display();
                    let why =
                        format!("only {done} are in {folder}; fetch the rest with `dtorrent-cli download`");
                    News::Failed(torrent.info_hash, why)
                })
            }
            _ => {
                *downloading = None;
                None
            }
        }
    }

    /// A torrent was not taken in at all.
    pub(crate) fn refuse(&mut self, id: InfoHash) {
        if let Some(standing) = self.torrents.get_mut(&id) {
            *standing = Standing::Failed;
        }
    }

    /// A torrent has seeded enough.
    pub(crate) fn end(&mut self, id: InfoHash) {
        if let Some(standing) = self.torrents.get_mut(&id) {
            *standing = Standing::Ended;
        }
    }

    /// Whether the command has nothing left to do.
    pub(crate) fn is_over(&self) -> bool {
        match self.purpose {
            Purpose::Complete => !self.is_busy(),
            // As long as one of them can be served, or fetched, there is something to do.
            Purpose::Serve | Purpose::CompleteAndServe => {
                let is_done = |state: &Standing| matches!(state, Standing::Ended | Standing::Failed);
                self.torrents.values().all(is_done)
            }
        }
    }

    /// Whether work is left: some torrent is neither there nor given up.
    pub(crate) fn is_busy(&self) -> bool {
        let is_busy = |state: &Standing| matches!(state, Standing::Busy { .. });
        self.torrents.values().any(is_busy)
    }

    /// Whether every torrent is there.
    pub(crate) fn is_reached(&self) -> bool {
        let is_there = |state: &Standing| matches!(state, Standing::Complete | Standing::Ended);
        self.torrents.values().all(is_there)
    }

    /// Whether some torrent failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.torrents.values().any(|state| *state == Standing::Failed)
    }

    /// Whether the torrent is one of ours, and has not failed.
    pub(crate) fn concerns(&self, id: InfoHash) -> bool {
        (self.torrents.get(&id)).is_some_and(|state| *state != Standing::Failed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const A: InfoHash = InfoHash::new([1; 20]);
    const B: InfoHash = InfoHash::new([2; 20]);

    fn torrent(info_hash: InfoHash, state: TorrentState) -> TorrentSummary {
        TorrentSummary {
            error: matches!(state, TorrentState::Failed | TorrentState::Waiting).then(|| "no luck".into()),
            wanted_length: 10,
            wanted_done: 4,
            ..TorrentSummary::new(info_hash, "x", state)
        }
    }

    fn shown(states: &[(InfoHash, TorrentState)]) -> EngineSnapshot {
        let rows = states.iter().map(|(id, state)| Arc::new(torrent(*id, *state)));
        let torrents = rows.collect();
        EngineSnapshot {
            torrents,
            ..EngineSnapshot::default()
        }
    }

    #[test]
    fn a_download_is_over_when_the_last_torrent_is() {
        let mut goal = Goal::new(Purpose::Complete, [A, B]);
        use TorrentState::{Downloading, Failed, Seeding};
        assert_eq!(
            goal.on_snapshot(Instant::now(), &shown(&[(A, Downloading), (B, Downloading)])),
            []
        );
        assert_eq!(
            goal.on_snapshot(Instant::now(), &shown(&[(A, Seeding), (B, Downloading)])),
            [News::Complete(A)]
        );
        assert!(!goal.is_over());
        let news = goal.on_snapshot(Instant::now(), &shown(&[(A, Seeding), (B, Failed)]));
        assert_eq!(news, [News::Failed(B, "no luck".into())]);
        assert!(goal.is_over() && goal.has_failed() && !goal.is_reached());
    }

    #[test]
    fn a_full_disk_is_told_now_and_then_and_waited_for() {
        use TorrentState::{Downloading, Seeding, Waiting};
        let mut goal = Goal::new(Purpose::Complete, [A]);
        let start = Instant::now();
        let mut news = |minutes, state| {
            let now = start + Duration::from_mins(minutes);
            goal.on_snapshot(now, &shown(&[(A, state)]))
        };
        assert!(matches!(&news(0, Waiting)[..], [News::Waiting(A, why)] if why == "no luck"));
        assert_eq!(news(1, Waiting), []);
        assert_eq!(news(2, Downloading), []);
        assert_eq!(news(3, Waiting), [], "a few blocks went through");
        assert!(matches!(&news(11, Waiting)[..], [News::Waiting(A, _)]), "still");
        assert_eq!(news(20, Waiting), []);
        assert_eq!(news(30, Seeding), [News::Complete(A)]);
        assert!(goal.is_over() && goal.is_reached());
    }

    #[test]
    fn torrents_of_others_do_not_matter() {
        let mut goal = Goal::new(Purpose::Complete, [A]);
        assert_eq!(
            goal.on_snapshot(Instant::now(), &shown(&[(B, TorrentState::Failed)])),
            []
        );
        assert!(!goal.is_over());
        goal.on_snapshot(Instant::now(), &shown(&[(A, TorrentState::Seeding)]));
        assert!(goal.is_over() && goal.is_reached());
    }

    #[test]
    fn a_seed_of_incomplete_data_fails_but_not_before_it_was_checked() {
        use TorrentState::{Checking, Downloading};
        let mut goal = Goal::new(Purpose::Serve, [A]);
        let start = Instant::now();
        let mut news =
            |seconds, state| goal.on_snapshot(start + Duration::from_secs(seconds), &shown(&[(A, state)]));
        assert_eq!(news(0, Downloading), []);
        assert_eq!(news(2, Downloading), []);
        assert_eq!(news(4, Checking), []);
        assert_eq!(news(5, Downloading), []);
        assert_eq!(news(7, Downloading), []);
        assert!(matches!(&news(8, Downloading)[..], [News::Failed(A, why)] if why.contains("4 of 10 bytes")));
        assert!(goal.is_over());
    }

    #[test]
    fn what_is_served_may_go_and_that_is_told_once() {
        use TorrentState::{Failed, Seeding};
        for purpose in [Purpose::CompleteAndServe, Purpose::Serve] {
            let mut goal = Goal::new(purpose, [A, B]);
            goal.on_snapshot(Instant::now(), &shown(&[(A, Seeding), (B, Seeding)]));
            let gone = shown(&[(A, Failed), (B, Seeding)]);
            let news = goal.on_snapshot(Instant::now(), &gone);
            assert_eq!(news, [News::Failed(A, "no luck".into())]);
            assert_eq!(goal.on_snapshot(Instant::now(), &gone), []);
            assert!(!goal.is_over() && goal.has_failed());
            goal.on_snapshot(Instant::now(), &shown(&[(A, Failed), (B, Failed)]));
            assert!(goal.is_over());
        }
    }

    #[test]
    fn serving_goes_on_until_nothing_can_be_served() {
        use TorrentState::{Failed, Seeding};
        for purpose in [Purpose::CompleteAndServe, Purpose::Serve] {
            let mut goal = Goal::new(purpose, [A, B]);
            goal.on_snapshot(Instant::now(), &shown(&[(A, Seeding), (B, Failed)]));
            assert!(!goal.is_over());
            assert!(goal.has_failed());
            assert!(!goal.is_busy(), "nothing is left to wait for");
            assert!(goal.concerns(A) && !goal.concerns(B), "whose bytes never come");
        }
        let mut goal = Goal::new(Purpose::Serve, [A, B]);
        goal.on_snapshot(Instant::now(), &shown(&[(A, Seeding), (B, Seeding)]));
        goal.end(A);
        assert!(!goal.is_over(), "the other one seeds");
        goal.end(B);
        assert!(goal.is_over() && goal.is_reached() && !goal.has_failed());
        let mut goal = Goal::new(Purpose::CompleteAndServe, [A]);
        goal.refuse(B);
        assert!(!goal.has_failed(), "none of ours");
        goal.refuse(A);
        assert!(goal.is_over());
    }
}
