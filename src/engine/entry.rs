//! One torrent of the list, running or not. Owned by the engine thread.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::Receiver;

use crate::bitfield::Bitfield;
use crate::engine::api::{
    Priority, RemoveData, SeedEnd, SeedLimit, TorrentDetails, TorrentState, TorrentSummary, TrackerDetail,
};
use crate::engine::countries::Countries;
use crate::engine::history::History;
use crate::engine::missing::MissingFiles;
use crate::engine::stall::Stall;
use crate::engine::statistics::Counted;
use crate::id::InfoHash;
use crate::metainfo::Metainfo;
use crate::net::limiter::Limiter;
use crate::ratio::RatioLimit;
use crate::sentence::{printable, told};
use crate::size::Count;
use crate::storage::Storage;
use crate::storage::move_note::Noted;
use crate::storage::resume::ResumeRecord;
use crate::storage::task::DiskResult;
use crate::torrent::link::{DownloaderHandle, TorrentCommand};
use crate::torrent::report::details;
use crate::torrent::selection::wanted_and_left;
use crate::torrent::status::{Parked, TorrentStatus};
use crate::tracker::client::Totals;
use crate::tracker::status::{TrackerState, TrackerStatus};
use crate::tracker::url::TrackerUrl;

/// An estimate of the time left beyond this says nothing to anybody.
const LONGEST_ETA: Duration = Duration::from_secs(100 * 24 * 3600);

/// Failures of trackers that are told together.
const MOST_FAILURES: usize = 5;

/// Peers that are remembered for the next run of a torrent's thread.
const MOST_PEERS: usize = 200;

/// What the disk threads do for a torrent without a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// They move its files.
    Move,
    /// They remove its files.
    Remove,
    /// They make its files, which are all empty: no piece would bring a thread to do so.
    EmptyFiles,
}

/// An [`Errand`] under way.
#[derive(Debug)]
pub(super) struct AtDisk {
    pub(super) errand: Errand,
    pub(super) answer: Receiver<DiskResult>,
}

/// What happens to a torrent once its thread has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AfterStop {
    /// It is taken off the list.
    Remove(RemoveData),
    /// Its files are moved.
    Move(PathBuf),
    /// All of its data is hashed again.
    Recheck,
    /// All of its data is taken for right.
    Trust,
}

/// The thread of a torrent, as far as the engine knows.
#[derive(Debug)]
pub(super) enum Thread {
    /// It has none, and needs none if it is quiet.
    None,
    /// It runs.
    Running(DownloaderHandle),
    /// It was told to stop.
    Stopping(DownloaderHandle),
}

/// Limits of one torrent alone.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) download_kib: u64,
    pub(super) upload_kib: u64,
    pub(super) download: Arc<Limiter>,
    pub(super) upload: Arc<Limiter>,
}

impl Limits {
    pub(super) fn new(download: &Arc<Limiter>, upload: &Arc<Limiter>) -> Self {
        Self {
            download_kib: 0,
            upload_kib: 0,
            download: Limiter::child(download, None),
            upload: Limiter::child(upload, None),
        }
    }

    pub(super) fn set(&mut self, download_kib: Option<u64>, upload_kib: Option<u64>) {
        self.download_kib = download_kib.unwrap_or(self.download_kib);
        self.upload_kib = upload_kib.unwrap_or(self.upload_kib);
        self.download.set_rate(limit_of_kib(self.download_kib));
        self.upload.set_rate(limit_of_kib(self.upload_kib));
    }
}

/// KiB/s to the unit of a [`Limiter`]; 0 means none.
pub(super) fn limit_of_kib(kib: u64) -> Option<u64> {
    (kib > 0).then_some(kib.saturating_mul(1024))
}

/// One torrent of the list.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) metainfo: Arc<Metainfo>,
    pub(super) storage: Arc<Storage>,
    pub(super) folder: PathBuf,
    /// This run is for it too.
    pub(super) in_scope: bool,
    /// The user stopped it.
    pub(super) paused: bool,
    /// Why it cannot run, until the user starts it again.
    pub(super) failed: Option<String>,
    /// That is somebody else's file, which it may write to if the user wants that.
    pub(super) in_the_way: bool,
    pub(super) missing: MissingFiles,
    /// How it stood when its files began to go to the trash.
    pub(super) last_record: Option<Box<ResumeRecord>>,
    /// It is its turn, by the queue.
    pub(super) active: bool,
    /// The user wants it to run whatever the queue says.
    pub(super) forced: bool,
    /// It runs because stalled downloads before it do not count, and goes on when one of them does again.
    pub(super) let_past: bool,
    pub(super) stall: Stall,
    pub(super) thread: Thread,
    /// In this order, one after the other.
    pub(super) after_stop: VecDeque<AfterStop>,
    /// A move that a kill cut short and that cannot be ended yet: until then it has failed.
    pub(super) move_under_way: Option<Noted>,
    /// The folder to which the disk threads move its files.
    pub(super) moving_to: Option<PathBuf>,
    /// While this is so it gets no thread.
    pub(super) at_disk: Option<AtDisk>,
    /// The user wants its data checked, even while it is paused.
    pub(super) rechecking: bool,
    pub(super) parked: Parked,
    pub(super) status: TorrentStatus,
    /// Bytes of the pieces that are wanted.
    pub(super) wanted_length: u64,
    pub(super) limits: Limits,
    pub(super) seed_limit: SeedLimit,
    /// The user started it again when it had reached this limit, which does not end it a second time, nor does a lower one.
    pub(super) ratio_set_aside: RatioLimit,
    /// It is paused as it has seeded enough.
    pub(super) seed_end: Option<SeedEnd>,
    /// Bytes of blocks received before the present run of its thread.
    pub(super) downloaded_before: u64,
    /// Bytes of blocks sent before the present run of its thread.
    pub(super) uploaded_before: u64,
    /// Seconds since 1970.
    pub(super) added_at: u64,
    /// Seconds since 1970.
    pub(super) completed_at: Option<u64>,
    /// Bytes received and sent, over all runs, as they were last saved.
    pub(super) saved_totals: (u64, u64),
    /// The announcer knows it.
    pub(super) announced: bool,
    pub(super) totals: Arc<Totals>,
    pub(super) trackers: Vec<TrackerStatus>,
    pub(super) history: History,
}

impl Entry {
    pub(super) fn info_hash(&self) -> InfoHash {
        self.metainfo.info.info_hash
    }

    pub(super) fn name(&self) -> &str {
        &self.metainfo.info.name
    }

    /// Whether it is told to run and can.
    pub(super) fn wants_to_run(&self) -> bool {
        self.in_scope
            && (!self.paused || self.rechecking)
            && self.failed.is_none()
            && self.after_stop.is_empty()
            && self.at_disk.is_none()
    }

    /// Whether the disk threads do this for it.
    pub(super) fn is_at_disk_for(&self, errand: Errand) -> bool {
        (self.at_disk.as_ref()).is_some_and(|at_disk| at_disk.errand == errand)
    }

    /// Whether it is to be taken off the list next.
    pub(super) fn is_to_go(&self) -> bool {
        matches!(self.after_stop.front(), Some(AfterStop::Remove(_)))
    }

    /// Whether it counts as a download in the queue. One that is being checked does not yet: it may be complete.
    pub(super) fn is_download(&self) -> bool {
        !self.status.complete && !self.is_checking()
    }

    /// Whether it is one of the downloads that the queue lets run together.
    pub(super) fn is_queued_download(&self) -> bool {
        self.is_download() && !self.forced
    }

    /// Whether it takes one of their places. What cannot go on, or gets nothing, does not keep the next one waiting.
    pub(super) fn takes_a_place(&self) -> bool {
        self.active && self.is_queued_download() && self.status.halted.is_none() && !self.is_stalled()
    }

    /// Whether it downloads and nothing comes in.
    pub(super) fn is_stalled(&self) -> bool {
        self.stall.is_on && self.state() == TorrentState::Downloading
    }

    /// Takes over how its thread stands; it is stalled after `patience` without a byte.
    pub(super) fn set_status(&mut self, status: TorrentStatus, now: Instant, patience: Option<Duration>) {
        let received = status.downloaded;
        self.status = status;
        let downloads = self.state() == TorrentState::Downloading;
        self.stall.look(downloads.then_some(received), now, patience);
    }

    /// Whether it has work for a thread of its own even without peers.
    pub(super) fn has_work(&self) -> bool {
        !self.status.complete || !self.parked.unchecked.is_empty()
    }

    /// Whether its files are all empty and were not made yet.
    pub(super) fn lacks_empty_files(&self) -> bool {
        self.metainfo.info.geometry.total_length() == 0 && self.completed_at.is_none()
    }

    /// Whether everything is done that follows from its turn, or not, in the queue.
    pub(super) fn is_settled(&self) -> bool {
        if self.active {
            let has_thread = !matches!(self.thread, Thread::None);
            !self.lacks_empty_files()
                && (self.announced || self.is_checking())
                && (has_thread || !self.has_work())
        } else {
            !matches!(self.thread, Thread::Running(_)) && !self.announced && self.after_stop.is_empty()
        }
    }

    /// Tells its thread something, if it has one that is not on its way out.
    pub(super) fn tell(&self, command: TorrentCommand) {
        if let Thread::Running(handle) = &self.thread {
            handle.send(command);
        }
    }

    /// The user wants it to run: whatever held it up is tried anew.
    pub(super) fn start_again(&mut self) {
        self.paused = false;
        self.forced = false;
        self.seed_end = None;
        let had_failed = self.failed.take().is_some();
        self.in_the_way = false;
        self.finish_move();
        if had_failed && self.failed.is_none() {
            self.failed = self.lacking_files();
        }
        if self.status.halted.take().is_some() {
            self.stop();
        }
    }

    /// Says which of its files are gone or too short, by their sizes: to start as if nothing were wrong would be to promise
    /// others what cannot be read.
    fn lacking_files(&self) -> Option<String> {
        let lacking = self.storage.lacking(&self.parked.have);
        let folder = self.folder.display();
        let first = lacking.first()?;
        let name = self.storage.layout().files()[first.get()].path.display();
        Some(match lacking.len() {
            1 => told!(
                "“{name}” is missing from {folder}, or too short; put it back and try again, or check the files again to \
                 fetch it"
            ),
            count => {
                let files = Count(count as u64, "file");
                told!(
                    "{files} are missing from {folder}, or too short, “{name}” among them; put them back and try again, or \
                     check the files again to fetch them"
                )
            }
        })
    }

    /// The user wants it to rest.
    pub(super) fn pause(&mut self) {
        self.paused = true;
        self.forced = false;
        self.rechecking = false;
    }

    /// Tells its thread to end.
    pub(super) fn stop(&mut self) {
        self.stall = Stall::default();
        self.thread = match std::mem::replace(&mut self.thread, Thread::None) {
            Thread::Running(handle) => {
                handle.send(TorrentCommand::Stop);
                Thread::Stopping(handle)
            }
            other => other,
        };
    }

    /// Its thread has ended and left this.
    pub(super) fn on_ended(&mut self, parked: Parked) {
        if let Thread::Running(handle) | Thread::Stopping(handle) =
            std::mem::replace(&mut self.thread, Thread::None)
        {
            handle.join();
        }
        self.downloaded_before += parked.downloaded;
        self.uploaded_before += parked.uploaded;
        let before = std::mem::replace(
            &mut self.parked,
            Parked {
                downloaded: 0,
                uploaded: 0,
                ..parked
            },
        );
        // What the user chose, or told of, while the thread was on its way out did not reach it.
        self.parked.priorities = before.priorities;
        self.parked.sequential = before.sequential;
        self.remember_peers(&before.known_peers);
        self.status = TorrentStatus {
            halted: self.status.halted.take(),
            ..TorrentStatus::default()
        };
        self.refresh_status();
    }

    /// Its thread panicked: what it did since the last save is to be looked at.
    pub(super) fn on_crashed(&mut self) {
        let mut parked = self.parked.clone();
        parked.unchecked = (self.metainfo.info.geometry.pieces())
            .filter(|piece| !parked.have.has(*piece))
            .collect();
        parked.downloaded = self.status.downloaded;
        parked.uploaded = self.status.uploaded;
        self.on_ended(parked);
        self.failed = Some("an error inside DTorrent stopped it; the log says more. Start it again".into());
    }

    /// Peers of a torrent whose thread does not run are for its next run.
    pub(super) fn remember_peers(&mut self, peers: &[SocketAddr]) {
        let known = &mut self.parked.known_peers;
        let new: Vec<_> = peers.iter().filter(|peer| !known.contains(peer)).collect();
        known.extend(new.into_iter().take(MOST_PEERS.saturating_sub(known.len())));
    }

    /// Bytes of blocks received over all runs.
    pub(super) fn downloaded(&self) -> u64 {
        self.downloaded_before + self.status.downloaded
    }

    /// Bytes of blocks sent over all runs.
    pub(super) fn uploaded(&self) -> u64 {
        self.uploaded_before + self.status.uploaded
    }

    /// What the statistics of the client count.
    pub(super) fn counted(&self) -> Counted {
        Counted {
            downloaded: self.downloaded(),
            uploaded: self.uploaded(),
            wasted: self.status.wasted.max(self.parked.tally.wasted),
        }
    }

    pub(super) fn state(&self) -> TorrentState {
        if self.is_at_disk_for(Errand::Remove) || self.is_to_go() {
            TorrentState::Removing
        } else if self.is_at_disk_for(Errand::Move)
            || matches!(self.after_stop.front(), Some(AfterStop::Move(_)))
        {
            TorrentState::Moving
        } else if self.failed.is_some() {
            TorrentState::Failed
        } else if self.active && self.is_checking() {
            TorrentState::Checking
        } else if self.paused || !self.in_scope {
            TorrentState::Paused
        } else if let Some(halted) = &self.status.halted {
            if halted.retries {
                TorrentState::Waiting
            } else {
                TorrentState::Failed
            }
        } else if !self.active {
            TorrentState::Queued
        } else if self.status.complete && !self.lacks_empty_files() {
            TorrentState::Seeding
        } else {
            TorrentState::Downloading
        }
    }

    /// The row of the list.
    pub(super) fn summary(&self) -> TorrentSummary {
        let info = &self.metainfo.info;
        let total_length = info.geometry.total_length();
        let wanted_length = self.wanted_length;
        let wanted_done = wanted_length.saturating_sub(self.status.left);
        let done = if wanted_length == 0 {
            1.0
        } else {
            wanted_done as f64 / wanted_length as f64
        };
        let state = self.state();
        let copying = self.storage.copy_progress();
        TorrentSummary {
            info_hash: info.info_hash,
            name: printable(&info.name).into_owned(),
            state,
            error: self.error().map(|error| printable(error).into_owned()),
            in_the_way: self.in_the_way,
            notice: (self.notice().filter(|_| self.has_work())).map(|notice| printable(&notice).into_owned()),
            tracker_problem: (self.tracker_problem()).map(|problem| printable(&problem).into_owned()),
            total_length,
            wanted_length,
            wanted_done,
            progress: match (state, copying) {
                (TorrentState::Checking, _) => self.status.checking.unwrap_or(0.0),
                (_, Some(copying)) => copying.copied as f64 / copying.total as f64,
                _ => done,
            },
            copying,
            download_rate: self.status.download_rate,
            upload_rate: self.status.upload_rate,
            download_limit_kib: self.limits.download_kib,
            upload_limit_kib: self.limits.upload_kib,
            seed_limit: self.seed_limit,
            seed_end: (self.seed_end).filter(|_| state == TorrentState::Paused && self.status.complete),
            sequential: self.parked.sequential,
            forced: self.forced,
            stalled: self.is_stalled(),
            added_at: self.added_at,
            downloaded: self.downloaded(),
            uploaded: self.uploaded(),
            eta: self.eta(),
            peers: self.status.peers,
            seeds: self.status.seeds,
            folder: self.folder.clone(),
        }
    }

    /// Pieces are being hashed, or are to be hashed before anything else.
    pub(super) fn is_checking(&self) -> bool {
        self.status.checking.is_some() || !self.parked.unchecked.is_empty()
    }

    /// What the user should know though it goes on.
    pub(super) fn notice(&self) -> Option<String> {
        self.missing.words(self.storage.layout())
    }

    fn error(&self) -> Option<&str> {
        let halted = self.status.halted.as_ref().map(|halted| &halted.message);
        self.failed.as_ref().or(halted).map(String::as_str)
    }

    /// What the trackers have said, if all have failed.
    fn tracker_problem(&self) -> Option<String> {
        let failure = |tracker: &TrackerStatus| match &tracker.state {
            TrackerState::Failed(reason) => {
                let url = TrackerUrl::parse(&tracker.url).map(|url| url.origin);
                Some(format!("{}: {reason}", url.as_deref().unwrap_or("its URL")))
            }
            _ => None,
        };
        let (first, rest) = self.trackers.split_first().filter(|_| self.announced)?;
        let problem = failure(first)?;
        let all: Vec<String> = rest.iter().map_while(failure).collect();
        if all.len() < rest.len() {
            return None;
        }
        if rest.is_empty() {
            return Some(problem);
        }
        // The text of a tracker with many addresses, which all say the same, is there once.
        let mut said = vec![problem];
        all.into_iter().for_each(|problem| {
            if !said.contains(&problem) {
                said.push(problem);
            }
        });
        let left = said.len().saturating_sub(MOST_FAILURES);
        said.truncate(MOST_FAILURES);
        let said = said.join("; ");
        let count = 1 + rest.len();
        Some(match left {
            0 => told!("{count} trackers were asked: {said}"),
            _ => told!("{count} trackers were asked: {said}; and others"),
        })
    }

    fn eta(&self) -> Option<Duration> {
        let downloading = self.state() == TorrentState::Downloading && self.status.download_rate > 0;
        let seconds = downloading.then(|| self.status.left / self.status.download_rate)?;
        Some(Duration::from_secs(seconds)).filter(|eta| *eta < LONGEST_ETA)
    }

    /// Fills in what only the engine knows.
    pub(super) fn complete_details(
        &self,
        mut details: TorrentDetails,
        now: Instant,
        countries: &Countries,
    ) -> TorrentDetails {
        details.download_limit_kib = self.limits.download_kib;
        details.upload_limit_kib = self.limits.upload_kib;
        details.trackers = self.tracker_details(now);
        details.speeds = self.history.view(now);
        for peer in &mut details.peers {
            peer.country = countries.country_of(peer.addr.ip());
        }
        details
    }

    /// The trackers as the torrent names them. The announcer, which has them in the order in which it asks them, knows
    /// how they stand, if it was told of them at all.
    fn tracker_details(&self, now: Instant) -> Vec<TrackerDetail> {
        let mut details = Vec::new();
        for (tier, urls) in self.metainfo.tiers.iter().enumerate() {
            for url in urls {
                let known = self.trackers.iter().find(|tracker| tracker.url == *url);
                let unasked = || TrackerStatus::unasked(url);
                let tracker = known.cloned().unwrap_or_else(unasked);
                let tracker = TrackerStatus { tier, ..tracker };
                details.push(tracker_detail(&tracker, now, self.announced));
            }
        }
        details
    }

    /// Details of a torrent whose thread does not run.
    pub(super) fn parked_details(&self, now: Instant, countries: &Countries) -> TorrentDetails {
        let whose = |file| self.storage.whose(file, &self.parked.have);
        let details = details(&self.metainfo, self.storage.layout(), &self.parked, whose);
        self.complete_details(details, now, countries)
    }

    /// If a move of its files was cut short by a kill, brings it to its end or takes it back. Says whether the files
    /// are in another folder now; while it cannot be done, the torrent has failed.
    pub(super) fn finish_move(&mut self) -> bool {
        let Some(noted) = self.move_under_way.take() else {
            return false;
        };
        if let Err(error) = self.storage.finish_move(&noted) {
            let (from, to) = (self.folder.display(), noted.to.display());
            let message = told!(
                "its files were being moved from “{from}” to “{to}” when DTorrent ended, and the rest cannot be moved \
                 now: {error}. Mend that and start it again, or put all files into “{from}” and start it"
            );
            log::error!("{}: {message}", self.name());
            self.failed = Some(message);
            self.move_under_way = Some(noted);
        }
        let before = std::mem::replace(&mut self.folder, self.storage.root());
        before != self.folder
    }

    /// Nothing of its data counts any more until it was hashed.
    pub(super) fn distrust_data(&mut self) {
        let geometry = self.metainfo.info.geometry;
        self.parked.have = Bitfield::empty(geometry.piece_count());
        self.parked.unchecked = geometry.pieces().collect();
        self.refresh_status();
    }

    /// Has all of its data hashed again, and then goes on as it was.
    pub(super) fn recheck(&mut self) {
        self.distrust_data();
        self.forget_failure();
        self.rechecking = !self.parked.unchecked.is_empty();
    }

    /// Takes all of its data for right, and files that were in the way for its own.
    pub(super) fn trust(&mut self) {
        self.forget_failure();
        self.parked.have = Bitfield::full(self.metainfo.info.geometry.piece_count());
        self.parked.unchecked.clear();
        self.rechecking = false;
        self.refresh_status();
    }

    /// What held it up was seen of data about which something else holds from now on.
    fn forget_failure(&mut self) {
        self.failed = None;
        self.in_the_way = false;
        self.missing.forget();
        self.finish_move();
        self.status.halted = None;
    }

    /// Changes what is wanted of these files, which the torrent has.
    pub(super) fn set_priorities(&mut self, changes: &[(usize, Priority)]) {
        // A torrent of which nobody has chosen anything may have none written down.
        let files = self.storage.layout().files().len();
        let mut priorities = self.parked.priorities.clone();
        priorities.resize(files, Priority::default());
        for &(file, priority) in changes {
            priorities[file] = priority;
        }
        self.parked.priorities.clone_from(&priorities);
        self.missing.forget_skipped(&priorities);
        if matches!(self.thread, Thread::None) {
            self.refresh_status();
        } else {
            // What is left of it only the thread knows.
            let wanted = wanted_and_left(self.storage.layout(), &priorities, &self.parked.have);
            self.wanted_length = wanted.0;
        }
        self.tell(TorrentCommand::SetPriorities(priorities));
    }

    /// Works the numbers out from what is parked: at the start, and when a choice of files changes while the
    /// thread does not run.
    pub(super) fn refresh_status(&mut self) {
        let (wanted, left) =
            wanted_and_left(self.storage.layout(), &self.parked.priorities, &self.parked.have);
        self.wanted_length = wanted;
        self.status.left = left;
        self.status.complete = self.status.left == 0 && self.parked.unchecked.is_empty();
    }
}

/// `announced`: it is asked at all. One of a torrent that stands still is as it was last heard of.
fn tracker_detail(tracker: &TrackerStatus, now: Instant, announced: bool) -> TrackerDetail {
    TrackerDetail {
        url: tracker.url.clone(),
        tier: tracker.tier,
        state: tracker.state.clone(),
        warning: tracker.warning.clone(),
        seeds: tracker.seeds,
        leechers: tracker.leechers,
        peers: tracker.peers,
        next_announce: tracker
            .next_announce
            .filter(|_| announced)
            .map(|at| at.saturating_duration_since(now)),
    }
}

/// Now, in seconds since 1970.
pub(super) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Remembers peers that matter more than those that are known, which make room if they must.
pub(super) fn put_first(known: &mut Vec<SocketAddr>, peers: &[SocketAddr]) {
    known.retain(|peer| !peers.contains(peer));
    known.splice(0..0, peers.iter().copied());
    known.truncate(MOST_PEERS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_a_person_names_goes_before_all_that_are_known() {
        let peer = |port: usize| SocketAddr::from(([127, 0, 0, 1], port as u16));
        let mut known: Vec<_> = (1..=MOST_PEERS).map(peer).collect();
        put_first(&mut known, &[peer(1000)]);
        assert_eq!(known.len(), MOST_PEERS);
        assert_eq!(known[..2], [peer(1000), peer(1)]);
        put_first(&mut known, &[peer(7)]);
        assert_eq!(known[..2], [peer(7), peer(1000)]);
        assert_eq!(known.iter().filter(|known| **known == peer(7)).count(), 1);
    }
}
