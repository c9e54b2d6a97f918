//! Which torrents the list shows, and in which order: filter, search and sort. Layer 4, but pure.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use dtorrent::engine::api::{TorrentState, TorrentSummary};
use serde::{Deserialize, Serialize};

use super::i18n::tr;
use super::name_order::Name;

/// A group of torrents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Filter {
    #[default]
    All,
    /// They fetch something, or wait for their turn.
    Downloading,
    Seeding,
    Paused,
    /// They fetch, but nothing has come in for some time.
    Stalled,
    /// They cannot go on, for now or at all.
    Failed,
}

impl Filter {
    pub(crate) const EVERY: [Self; 6] = [
        Self::All,
        Self::Downloading,
        Self::Seeding,
        Self::Paused,
        Self::Stalled,
        Self::Failed,
    ];

    /// Its name in actions.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Downloading => "downloading",
            Self::Seeding => "seeding",
            Self::Paused => "paused",
            Self::Stalled => "stalled",
            Self::Failed => "failed",
        }
    }

    /// What [`Self::id`] names.
    pub(crate) fn from_id(id: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|filter| filter.id() == id)
    }

    /// Its name, with how many there are, for a person.
    pub(crate) fn words(self, n: usize) -> String {
        match self {
            Self::All => tr!("All {n}", n = n),
            Self::Downloading => tr!("Downloading {n}", n = n),
            Self::Seeding => tr!("Seeding {n}", n = n),
            Self::Paused => tr!("Paused {n}", n = n),
            Self::Stalled => tr!("Stalled {n}", n = n),
            Self::Failed => tr!("Failed {n}", n = n),
        }
    }

    /// Whether a torrent belongs to it.
    fn admits(self, torrent: &TorrentSummary) -> bool {
        use TorrentState::{Downloading, Failed, Paused, Queued, Seeding, Waiting};
        match self {
            Self::All => true,
            Self::Downloading => matches!(torrent.state, Downloading | Queued),
            Self::Seeding => torrent.state == Seeding,
            Self::Paused => torrent.state == Paused,
            Self::Stalled => torrent.stalled,
            Self::Failed => matches!(torrent.state, Failed | Waiting),
        }
    }
}

/// What the list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SortKey {
    /// The place in the queue.
    #[default]
    Queue,
    Name,
    State,
    Progress,
    DownloadRate,
    UploadRate,
    TimeLeft,
    Size,
    Ratio,
    Added,
}

impl SortKey {
    /// Each, with its name in actions.
    const NAMED: [(Self, &'static str); 10] = [
        (Self::Queue, "queue"),
        (Self::Name, "name"),
        (Self::State, "state"),
        (Self::Progress, "progress"),
        (Self::DownloadRate, "download-rate"),
        (Self::UploadRate, "upload-rate"),
        (Self::TimeLeft, "time-left"),
        (Self::Size, "size"),
        (Self::Ratio, "ratio"),
        (Self::Added, "added"),
    ];

    /// Its name in actions.
    pub(crate) fn id(self) -> &'static str {
        let named = Self::NAMED.iter().find(|(key, _)| *key == self);
        named.map_or("queue", |(_, id)| id)
    }

    /// What [`Self::id`] names.
    pub(crate) fn from_id(id: &str) -> Option<Self> {
        let named = Self::NAMED.iter().find(|(_, known)| *known == id);
        named.map(|(key, _)| *key)
    }
}

/// What is shown of all torrents, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct View {
    pub(crate) filter: Filter,
    /// Words that a name must hold, all of them.
    pub(crate) search: String,
    pub(crate) sort: SortKey,
    /// The other way round.
    pub(crate) reversed: bool,
}

impl View {
    /// Whether some torrents may be left out.
    pub(crate) fn is_narrow(&self) -> bool {
        self.filter != Filter::All || !self.search.trim().is_empty()
    }

    /// The torrents that are shown, in order; those that are equal keep the order of the queue, in which they come.
    pub(crate) fn arrange(&self, torrents: &[Arc<TorrentSummary>]) -> Vec<Arc<TorrentSummary>> {
        let words: Vec<String> = self.search.split_whitespace().map(str::to_lowercase).collect();
        let is_meant = |torrent: &TorrentSummary| {
            if words.is_empty() {
                return true;
            }
            let name = torrent.name.to_lowercase();
            words.iter().all(|word| name.contains(word))
        };
        let mut shown: Vec<_> = torrents
            .iter()
            .filter(|torrent| self.filter.admits(torrent) && is_meant(torrent))
            .cloned()
            .collect();
        self.sort(&mut shown);
        shown
    }

    fn sort(&self, shown: &mut [Arc<TorrentSummary>]) {
        let by = |compare: fn(&TorrentSummary, &TorrentSummary) -> Ordering| {
            move |one: &Arc<TorrentSummary>, other: &Arc<TorrentSummary>| {
                let order = compare(one, other);
                if self.reversed { order.reverse() } else { order }
            }
        };
        match self.sort {
            SortKey::Queue if self.reversed => shown.reverse(),
            SortKey::Queue => {}
            SortKey::Name if self.reversed => {
                shown.sort_by_cached_key(|torrent| std::cmp::Reverse(Name::of(&torrent.name)));
            }
            SortKey::Name => shown.sort_by_cached_key(|torrent| Name::of(&torrent.name)),
            SortKey::State => shown.sort_by(by(|one, other| urgency(one).cmp(&urgency(other)))),
            SortKey::Progress => shown.sort_by(by(|one, other| one.progress.total_cmp(&other.progress))),
            SortKey::DownloadRate => {
                shown.sort_by(by(|one, other| one.download_rate.cmp(&other.download_rate)));
            }
            SortKey::UploadRate => shown.sort_by(by(|one, other| one.upload_rate.cmp(&other.upload_rate))),
            SortKey::TimeLeft => shown.sort_by(by(|one, other| time_left(one).cmp(&time_left(other)))),
            SortKey::Size => shown.sort_by(by(|one, other| one.wanted_length.cmp(&other.wanted_length))),
            SortKey::Ratio => shown.sort_by(by(|one, other| one.ratio().total_cmp(&other.ratio()))),
            SortKey::Added => shown.sort_by(by(|one, other| one.added_at.cmp(&other.added_at))),
        }
    }
}

/// How many torrents belong to each filter, in the order of [`Filter::EVERY`].
pub(crate) fn counts(torrents: &[Arc<TorrentSummary>]) -> [usize; Filter::EVERY.len()] {
    let mut counts = [0; Filter::EVERY.len()];
    for torrent in torrents {
        for (count, filter) in counts.iter_mut().zip(Filter::EVERY) {
            *count += usize::from(filter.admits(torrent));
        }
    }
    counts
}

/// What a person should look at comes first.
const fn urgency(torrent: &TorrentSummary) -> u8 {
    match torrent.state {
        TorrentState::Failed => 0,
        TorrentState::Waiting => 1,
        TorrentState::Downloading if torrent.stalled => 2,
        TorrentState::Downloading => 3,
        TorrentState::Checking => 4,
        TorrentState::Moving => 5,
        TorrentState::Removing => 6,
        TorrentState::Queued => 7,
        TorrentState::Seeding => 8,
        TorrentState::Paused => 9,
    }
}

/// What is done has no time left, and what nobody knows the end of has the most.
fn time_left(torrent: &TorrentSummary) -> Duration {
    match torrent.eta {
        Some(eta) => eta,
        None if torrent.wanted_done >= torrent.wanted_length => Duration::ZERO,
        None => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtorrent::id::InfoHash;
    fn torrent(name: &str, change: impl FnOnce(&mut TorrentSummary)) -> Arc<TorrentSummary> {
        let mut hash = [0; 20];
        for (byte, letter) in hash.iter_mut().zip(name.bytes()) {
            *byte = letter;
        }
        let mut torrent = TorrentSummary::new(InfoHash::new(hash), name, TorrentState::Seeding);
        change(&mut torrent);
        Arc::new(torrent)
    }

    fn state(name: &str, state: TorrentState) -> Arc<TorrentSummary> {
        torrent(name, |torrent| torrent.state = state)
    }

    fn names(view: &View, torrents: &[Arc<TorrentSummary>]) -> Vec<String> {
        let shown = view.arrange(torrents);
        shown.iter().map(|torrent| torrent.name.clone()).collect()
    }

    fn sorted(sort: SortKey, reversed: bool, torrents: &[Arc<TorrentSummary>]) -> String {
        let view = View {
            sort,
            reversed,
            ..View::default()
        };
        names(&view, torrents).join(" ")
    }

    #[test]
    fn filters_show_their_own_and_count_them() {
        use TorrentState::{Checking, Downloading, Failed, Moving, Paused, Queued, Seeding, Waiting};
        let mut torrents: Vec<_> = [
            ("down", Downloading),
            ("queued", Queued),
            ("seed", Seeding),
            ("paused", Paused),
            ("failed", Failed),
            ("waiting", Waiting),
            ("checking", Checking),
            ("moving", Moving),
        ]
        .map(|(name, of)| state(name, of))
        .into();
        torrents.push(torrent("stalled", |torrent| {
            torrent.state = Downloading;
            torrent.stalled = true;
        }));
        let shown = |filter| {
            let view = View {
                filter,
                ..View::default()
            };
            names(&view, &torrents).join(" ")
        };
        assert_eq!(shown(Filter::Downloading), "down queued stalled");
        assert_eq!(shown(Filter::Seeding), "seed");
        assert_eq!(shown(Filter::Paused), "paused");
        assert_eq!(shown(Filter::Stalled), "stalled");
        assert_eq!(shown(Filter::Failed), "failed waiting");
        assert_eq!(counts(&torrents), [9, 3, 1, 1, 1, 2]);
        for filter in Filter::EVERY {
            assert_eq!(Filter::from_id(filter.id()), Some(filter));
        }
    }

    #[test]
    fn a_search_wants_all_of_its_words() {
        let torrents = ["Debian 12 amd64", "debian 11", "Ärger im Büro"].map(|name| torrent(name, |_| ()));
        for (search, expected) in [
            ("", &["Debian 12 amd64", "debian 11", "Ärger im Büro"][..]),
            ("  ", &["Debian 12 amd64", "debian 11", "Ärger im Büro"]),
            ("DEBIAN", &["Debian 12 amd64", "debian 11"]),
            ("amd deb", &["Debian 12 amd64"]),
            ("ärger BÜRO", &["Ärger im Büro"]),
            ("fedora", &[]),
        ] {
            let view = View {
                search: search.to_owned(),
                ..View::default()
            };
            assert_eq!(names(&view, &torrents), expected, "{search:?}");
            assert_eq!(view.is_narrow(), !search.trim().is_empty());
        }
    }

    #[test]
    fn each_key_sorts_both_ways() {
        let torrents = [
            torrent("b", |torrent| {
                torrent.state = TorrentState::Downloading;
                (torrent.progress, torrent.download_rate, torrent.upload_rate) = (0.5, 10, 3);
                (torrent.wanted_length, torrent.wanted_done) = (100, 50);
                (torrent.downloaded, torrent.uploaded, torrent.added_at) = (50, 100, 7);
                torrent.eta = Some(Duration::from_secs(9));
            }),
            torrent("a10", |torrent| {
                (torrent.progress, torrent.upload_rate) = (1.0, 5);
                (torrent.wanted_length, torrent.wanted_done) = (30, 30);
                (torrent.uploaded, torrent.added_at) = (15, 9);
            }),
            torrent("A2", |torrent| {
                torrent.state = TorrentState::Failed;
                (torrent.wanted_length, torrent.added_at) = (70, 8);
            }),
        ];
        for (key, expected) in [
            (SortKey::Queue, "b a10 A2"),
            (SortKey::Name, "A2 a10 b"),
            (SortKey::State, "A2 b a10"),
            (SortKey::Progress, "A2 b a10"),
            (SortKey::DownloadRate, "a10 A2 b"),
            (SortKey::UploadRate, "A2 b a10"),
            (SortKey::TimeLeft, "a10 b A2"),
            (SortKey::Size, "a10 A2 b"),
            (SortKey::Ratio, "A2 a10 b"),
            (SortKey::Added, "b A2 a10"),
        ] {
            assert_eq!(sorted(key, false, &torrents), expected, "{key:?}");
            if key != SortKey::DownloadRate {
                let back: Vec<_> = expected.split(' ').rev().collect();
                assert_eq!(sorted(key, true, &torrents), back.join(" "), "{key:?}");
            }
            assert_eq!(SortKey::from_id(key.id()), Some(key));
        }
        // Equals keep the order of the queue, whichever way.
        assert_eq!(sorted(SortKey::DownloadRate, true, &torrents), "b a10 A2");
    }
}
