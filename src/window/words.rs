//! Values as words: what the window says about sizes, rates, times and states. Layer 4, but without GTK
//! widgets, so that a plain test can read it.

use std::sync::Arc;
use std::time::Duration;

use dtorrent::engine::api::{PeerDetail, Priority, TorrentState, TorrentSummary};
use dtorrent::size::{Count, Size};

/// What stands where there is nothing to say.
pub(crate) const NONE: &str = "–";

/// Bytes: "1.5 MiB".
pub(crate) fn size(bytes: u64) -> String {
    Size(bytes).to_string()
}

/// Bytes a second: "1.5 MiB/s".
pub(crate) fn rate(bytes_per_sec: u64) -> String {
    format!("{}/s", size(bytes_per_sec))
}

/// A rate and what it may be at most, in KiB/s; 0: anything.
pub(crate) fn limited_rate(bytes_per_sec: u64, limit_kib: u64) -> String {
    match limit_kib {
        0 => rate(bytes_per_sec),
        kib => format!(
            "{} (limit {})",
            rate(bytes_per_sec),
            rate(kib.saturating_mul(1024))
        ),
    }
}

/// A share of one as a percentage that reads 100 only when all is there.
pub(crate) fn percent(share: f64) -> String {
    let tenths = (share.clamp(0.0, 1.0) * 1000.0).floor() / 10.0;
    // One decimal, and none where it would be 0.
    let decimals = usize::from(tenths.fract() != 0.0);
    format!("{tenths:.decimals$} %")
}

/// An error text as a sentence of its own.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase).into_iter().flatten();
    let end = (!text.ends_with('.')).then_some('.');
    first.chain(chars).chain(end).collect()
}

/// A length of time in its two largest units: "2 h 5 min".
pub(crate) fn time(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = duration.as_secs();
    let largest = UNITS
        .iter()
        .position(|(length, _)| seconds >= *length)
        .unwrap_or(3);
    let (length, name) = UNITS[largest];
    let rest = UNITS
        .get(largest + 1)
        .map_or(0, |(next, _)| seconds % length / next);
    match UNITS.get(largest + 1) {
        Some((_, next_name)) if rest > 0 => format!("{} {name} {rest} {next_name}", seconds / length),
        _ => format!("{} {name}", seconds / length),
    }
}

/// The time that is left, or that nobody knows.
pub(crate) fn time_left(eta: Option<Duration>) -> String {
    eta.map_or_else(
        || "time left unknown".to_owned(),
        |eta| format!("{} left", time(eta)),
    )
}

/// A state in words, with what the user has set that shapes it: never told by an icon or a colour alone.
pub(crate) fn state(summary: &TorrentSummary) -> String {
    let complete = summary.wanted_done >= summary.wanted_length && summary.wanted_length > 0;
    let plain = match summary.state {
        TorrentState::Checking => "Checking",
        TorrentState::Queued => "Queued",
        TorrentState::Downloading if summary.sequential => "Downloading in order",
        TorrentState::Downloading => "Downloading",
        TorrentState::Seeding => "Seeding",
        TorrentState::Paused if complete => "Complete, paused",
        TorrentState::Paused => "Paused",
        TorrentState::Moving => "Moving",
        TorrentState::Removing => "Removing",
        TorrentState::Waiting => "Waiting",
        TorrentState::Failed => "Failed",
    };
    let limited = match summary.state {
        TorrentState::Downloading => summary.download_limit_kib > 0 || summary.upload_limit_kib > 0,
        TorrentState::Seeding => summary.upload_limit_kib > 0,
        _ => false,
    };
    if limited {
        format!("{plain}, limited")
    } else {
        plain.to_owned()
    }
}

/// Whether it stands still until a person starts it.
pub(crate) const fn is_stopped(state: TorrentState) -> bool {
    matches!(state, TorrentState::Paused | TorrentState::Failed)
}

/// The icon beside the words of [`state`].
pub(crate) const fn state_icon(state: TorrentState) -> &'static str {
    match state {
        TorrentState::Checking => "edit-find-symbolic",
        TorrentState::Queued => "document-open-recent-symbolic",
        TorrentState::Downloading => "dtorrent-download-symbolic",
        TorrentState::Seeding => "dtorrent-upload-symbolic",
        TorrentState::Paused => "media-playback-pause-symbolic",
        TorrentState::Moving => "folder-symbolic",
        TorrentState::Removing => "user-trash-symbolic",
        TorrentState::Waiting => "dialog-warning-symbolic",
        TorrentState::Failed => "dialog-error-symbolic",
    }
}

/// How far what a torrent does is: its move, its check, its download.
pub(crate) fn progress(summary: &TorrentSummary) -> String {
    copied(summary).unwrap_or_else(|| completed(summary))
}

/// How far a move to another file system is, if there is one: "12 MiB of 64 MiB copied (18.7 %)".
pub(crate) fn copied(summary: &TorrentSummary) -> Option<String> {
    let copying = summary.copying?;
    let (copied, total) = (size(copying.copied), size(copying.total));
    Some(format!(
        "{copied} of {total} copied ({})",
        percent(summary.progress)
    ))
}

/// How much of a torrent is there: "12 MiB of 64 MiB (18.7 %)".
pub(crate) fn completed(summary: &TorrentSummary) -> String {
    let share = match summary.copying {
        Some(_) => summary.wanted_done as f64 / summary.wanted_length.max(1) as f64,
        None => summary.progress,
    };
    let share = percent(share);
    if summary.state == TorrentState::Checking {
        return format!("{share} of {} checked", size(summary.total_length));
    }
    if summary.wanted_done >= summary.wanted_length {
        return format!("{} ({share})", size(summary.wanted_length));
    }
    let (done, wanted) = (size(summary.wanted_done), size(summary.wanted_length));
    format!("{done} of {wanted} ({share})")
}

/// What becomes of the torrents when the program ends, for somebody who may believe that they go on; `None` if
/// nothing is under way.
pub(crate) fn farewell(torrents: &[Arc<TorrentSummary>]) -> Option<String> {
    use TorrentState::{Checking, Downloading, Moving, Queued, Waiting};
    let number = |is_it: fn(TorrentState) -> bool| {
        let those = torrents.iter().filter(|torrent| is_it(torrent.state));
        those.count() as u64
    };
    let downloads = number(|state| matches!(state, Downloading | Queued | Waiting));
    // What it will turn out to be, a download or complete, nobody knows yet.
    let checks = number(|state| state == Checking);
    let counts = [Count(downloads, "download"), Count(checks, "check")];
    let counts: Vec<String> = (counts.iter().filter(|count| count.0 > 0))
        .map(Count::to_string)
        .collect();
    let go_on = match downloads + checks {
        1 => "is saved and goes on",
        _ => "are saved and go on",
    };
    let mut sentences = Vec::new();
    if !counts.is_empty() {
        let counts = counts.join(" and ");
        sentences.push(format!("{counts} {go_on} when DTorrent is opened again."));
    }
    if (torrents.iter()).any(|torrent| torrent.state == Moving && torrent.copying.is_some()) {
        sentences.push("Data that is being moved stays where it was.".to_owned());
    }
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// What a side of a connection does: whether it serves the other, and whether it wants something.
fn side(choking: bool, interested: bool) -> String {
    let serves = if choking { "choking" } else { "unchoked" };
    let wants = if interested {
        "interested"
    } else {
        "not interested"
    };
    format!("{serves}, {wants}")
}

/// What the peer does with us (BEP 3 §peer protocol).
pub(crate) fn peer_state(peer: &PeerDetail) -> String {
    let snubbed = if peer.snubbed { ", snubbing" } else { "" };
    side(peer.peer_choking, peer.peer_interested) + snubbed
}

/// What we do with the peer.
pub(crate) fn own_state(peer: &PeerDetail) -> String {
    side(peer.am_choking, peer.am_interested)
}

/// A priority on a button.
pub(crate) const fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Skip => "Skip",
        Priority::Low => "Low",
        Priority::Normal => "Normal",
        Priority::High => "High",
    }
}

#[cfg(test)]
mod tests {
    use dtorrent::id::InfoHash;

    use super::*;

    #[test]
    fn a_sentence_has_a_capital_and_one_full_stop() {
        assert_eq!(sentence("the disk is full"), "The disk is full.");
        assert_eq!(sentence("élan."), "Élan.");
        assert_eq!(sentence(""), ".");
    }

    fn torrent(state: TorrentState) -> TorrentSummary {
        TorrentSummary {
            total_length: 4 << 20,
            wanted_length: 4 << 20,
            wanted_done: 1 << 20,
            progress: 0.25,
            ..TorrentSummary::new(InfoHash::new([1; 20]), "film", state)
        }
    }

    #[test]
    fn what_the_user_has_set_shows_in_the_state() {
        let mut torrent = torrent(TorrentState::Downloading);
        assert_eq!(state(&torrent), "Downloading");
        torrent.sequential = true;
        torrent.download_limit_kib = 16;
        assert_eq!(state(&torrent), "Downloading in order, limited");
        torrent.state = TorrentState::Seeding;
        assert_eq!(state(&torrent), "Seeding", "nothing comes that could be limited");
        assert_eq!(limited_rate(3_072, 0), "3 KiB/s");
        assert_eq!(limited_rate(3_072, 16), "3 KiB/s (limit 16 KiB/s)");
    }

    #[test]
    fn a_move_tells_what_is_copied() {
        let mut torrent = torrent(TorrentState::Moving);
        assert_eq!(progress(&torrent), "1 MiB of 4 MiB (25 %)");
        torrent.copying = Some(dtorrent::engine::api::CopyProgress {
            copied: 3 << 20,
            total: 4 << 20,
        });
        torrent.progress = 0.75;
        assert_eq!(progress(&torrent), "3 MiB of 4 MiB copied (75 %)");
        assert_eq!(completed(&torrent), "1 MiB of 4 MiB (25 %)");
        assert!(
            farewell(&[Arc::new(torrent)])
                .unwrap()
                .contains("stays where it was")
        );
    }

    #[test]
    fn a_farewell_counts_what_does_not_go_on() {
        use TorrentState::{Checking, Downloading, Failed, Moving, Paused, Queued, Seeding, Waiting};
        let words = |states: &[TorrentState]| {
            let torrents: Vec<_> = states.iter().map(|state| Arc::new(torrent(*state))).collect();
            farewell(&torrents)
        };
        assert_eq!(words(&[]), None);
        assert_eq!(
            words(&[Seeding, Paused, Failed, Moving]),
            None,
            "a move that renames is over"
        );
        for (states, start) in [
            (&[Seeding, Downloading][..], "1 download is saved and goes on "),
            (
                &[Queued, Downloading, Waiting],
                "3 downloads are saved and go on ",
            ),
            (&[Checking, Seeding], "1 check is saved and goes on "),
            (
                &[Checking, Downloading, Checking],
                "1 download and 2 checks are saved and go on ",
            ),
        ] {
            let told = words(states).unwrap();
            assert!(told.starts_with(start), "{told}");
        }
    }

    #[test]
    fn a_hundred_percent_means_all() {
        for (share, expected) in [
            (0.0, "0 %"),
            (0.1874, "18.7 %"),
            (0.99999, "99.9 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent(share), expected);
        }
    }

    #[test]
    fn times_have_two_units() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (7_500, "2 h 5 min"),
            (90_061, "1 d 1 h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(time(Duration::from_secs(seconds)), expected);
        }
    }
}
