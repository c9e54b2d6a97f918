//! What was transferred in this run and in all of them. Layer 2.

use std::time::{Duration, Instant};

use crate::engine::api::{Figures, Statistics};
use crate::storage::statistics::StatisticsRecord;

/// Bytes of one torrent so far, each of which only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counted {
    pub(super) downloaded: u64,
    pub(super) uploaded: u64,
    pub(super) wasted: u64,
}

#[derive(Debug)]
pub(super) struct Ledger {
    started: Instant,
    /// All runs but this one, which counts as a start from its beginning.
    before: StatisticsRecord,
    session: Counted,
    /// As it was last saved.
    saved: Counted,
}

impl Ledger {
    /// A run begins; `before` is what the last one left.
    pub(super) fn begin(before: Option<StatisticsRecord>, unix_now: u64, now: Instant) -> Self {
        Self {
            started: now,
            before: before.unwrap_or(StatisticsRecord {
                since: unix_now,
                ..StatisticsRecord::default()
            }),
            session: Counted::default(),
            saved: Counted::default(),
        }
    }

    /// The figures of a torrent have grown.
    pub(super) fn count(&mut self, before: Counted, after: Counted) {
        let session = &mut self.session;
        session.downloaded += after.downloaded.saturating_sub(before.downloaded);
        session.uploaded += after.uploaded.saturating_sub(before.uploaded);
        session.wasted += after.wasted.saturating_sub(before.wasted);
    }

    pub(super) fn statistics(&self, now: Instant) -> Statistics {
        let Counted {
            downloaded,
            uploaded,
            wasted,
        } = self.session;
        let running = now.saturating_duration_since(self.started);
        let before = &self.before;
        Statistics {
            session: Figures {
                downloaded,
                uploaded,
                wasted,
                running,
                starts: 1,
            },
            all_time: Figures {
                downloaded: before.downloaded.saturating_add(downloaded),
                uploaded: before.uploaded.saturating_add(uploaded),
                wasted: before.wasted.saturating_add(wasted),
                running: Duration::from_secs(before.running_secs).saturating_add(running),
                starts: before.starts.saturating_add(1),
            },
            since: before.since,
        }
    }

    /// What is to be saved, with this run.
    pub(super) fn record(&mut self, now: Instant) -> StatisticsRecord {
        self.saved = self.session;
        let Statistics { all_time, since, .. } = self.statistics(now);
        StatisticsRecord {
            downloaded: all_time.downloaded,
            uploaded: all_time.uploaded,
            wasted: all_time.wasted,
            running_secs: all_time.running.as_secs(),
            starts: all_time.starts,
            since,
        }
    }

    /// The same if anything was transferred since the last time: a quiet night shall wake no disk.
    pub(super) fn record_if_changed(&mut self, now: Instant) -> Option<StatisticsRecord> {
        (self.session != self.saved).then(|| self.record(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(downloaded: u64, uploaded: u64, wasted: u64) -> Counted {
        Counted {
            downloaded,
            uploaded,
            wasted,
        }
    }

    #[test]
    fn runs_add_up() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut first = Ledger::begin(None, 1000, start);
        first.count(counted(5, 5, 5), counted(15, 6, 5));
        first.count(counted(0, 0, 0), counted(0, 0, 3));
        assert_eq!(
            first.statistics(after(7)).session,
            first.statistics(after(7)).all_time
        );
        let record = first.record_if_changed(after(7)).unwrap();
        assert_eq!(first.record_if_changed(after(9)), None);
        assert_eq!(first.record(after(9)).running_secs, 9);

        let mut second = Ledger::begin(Some(record), 2000, after(100));
        second.count(counted(1, 0, 0), counted(2, 0, 0));
        let told = second.statistics(after(110));
        assert_eq!((told.session.downloaded, told.session.starts), (1, 1));
        let all = &told.all_time;
        assert_eq!((all.downloaded, all.uploaded, all.wasted), (11, 1, 3));
        assert_eq!((all.running, all.starts), (Duration::from_secs(17), 2));
        assert_eq!(told.since, 1000);
    }

    #[test]
    fn what_shrinks_takes_nothing_away() {
        let mut ledger = Ledger::begin(None, 0, Instant::now());
        ledger.count(counted(9, 9, 9), counted(1, 1, 1));
        assert_eq!(ledger.record_if_changed(Instant::now()), None);
    }
}
