//! Values as words: what the window says about sizes, rates, times and states. Layer 4, but without GTK
//! widgets, so that a plain test can read it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dtorrent::config::TransferConfig;
use dtorrent::engine::api::{PeerDetail, Priority, SeedEnd, SeedLimit, TorrentState, TorrentSummary};
use dtorrent::size::Size;

use super::i18n::{tr, tr_n};
use super::library;

/// What stands where there is nothing to say.
pub(crate) const NONE: &str = "–";

/// Bytes: "1.5 MiB".
pub(crate) fn size(bytes: u64) -> String {
    Size(bytes).to_string()
}

/// Bytes a second: "1.5 MiB/s". From a hundred on without tenths, which change all the time and tell nothing.
pub(crate) fn rate(bytes_per_sec: u64) -> String {
    let unit = bytes_per_sec.max(1).ilog2() / 10 * 10;
    let whole = bytes_per_sec >> unit;
    let shown = if whole < 100 { bytes_per_sec } else { whole << unit };
    format!("{}/s", size(shown))
}

/// A rate and what it may be at most, in KiB/s; 0: anything.
pub(crate) fn limited_rate(bytes_per_sec: u64, limit_kib: u64) -> String {
    match limit_kib {
        0 => rate(bytes_per_sec),
        kib => tr!(
            "{rate} (limit {limit})",
            rate = rate(bytes_per_sec),
            limit = rate(kib.saturating_mul(1024))
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

/// Bytes given for each byte taken: "1.25".
pub(crate) fn ratio(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// The ratio of a torrent, and at which one of its own it ends.
pub(crate) fn limited_ratio(summary: &TorrentSummary) -> String {
    let now = ratio(summary.ratio());
    match summary.seed_limit {
        // One that was passed by hand is none any more.
        SeedLimit::Ratio(limit) if limit.is_set() && summary.ratio() < limit.get() => {
            tr!(
                "{ratio} (seeds until {limit})",
                ratio = now,
                limit = ratio(limit.get())
            )
        }
        SeedLimit::AsSet | SeedLimit::Ratio(_) | SeedLimit::Never => now,
    }
}

/// When torrents stop seeding by the preferences.
pub(crate) fn seed_rules(settings: &TransferConfig) -> String {
    let limit = settings.seed_until_ratio;
    let at_ratio = limit
        .is_set()
        .then(|| tr!("at a ratio of {ratio}", ratio = ratio(limit.get())));
    match (at_ratio, idle_rule(settings)) {
        (None, None) => tr!("By the preferences: never"),
        (Some(rule), None) | (None, Some(rule)) => tr!("By the preferences: {rule}", rule = rule),
        (Some(one), Some(other)) => tr!("By the preferences: {one}, or {other}", one = one, other = other),
    }
}

/// When they stop while nobody fetches anything, whatever their ratio is.
pub(crate) fn idle_rule(settings: &TransferConfig) -> Option<String> {
    let minutes = settings.seed_until_idle_minutes;
    (minutes > 0).then(|| {
        tr_n!(
            minutes,
            "after {n} minute without an upload",
            "after {n} minutes without an upload"
        )
    })
}

/// Why a torrent has seeded enough.
pub(crate) fn seed_end(end: SeedEnd) -> String {
    match end {
        SeedEnd::Ratio(limit) => tr!("it has shared {ratio} times its size", ratio = ratio(limit.get())),
        SeedEnd::Idle { minutes } => tr_n!(
            minutes,
            "nobody has fetched anything for {n} minute",
            "nobody has fetched anything for {n} minutes"
        ),
    }
}

/// What the library says as a sentence of its own, in the language of the user.
pub(crate) fn told(text: &str) -> String {
    sentence(&library::in_own_words(text))
}

/// A text as a sentence of its own.
pub(crate) fn sentence(text: &str) -> String {
    let end = (!text.ends_with('.')).then_some('.');
    capital(text).chars().chain(end).collect()
}

/// A text that begins a line.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(chars).collect()
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

/// A time that is only guessed: from two minutes on in whole minutes, as its seconds mean nothing.
pub(crate) fn estimate(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let shown = if seconds < 120 {
        seconds
    } else {
        (seconds + 30) / 60 * 60
    };
    time(Duration::from_secs(shown))
}

/// The time until something that is sure to come: from two minutes on in whole minutes, which do not change all the time.
pub(crate) fn countdown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let shown = if seconds < 120 { seconds } else { seconds / 60 * 60 };
    time(Duration::from_secs(shown))
}

/// The same text where no line ends between a number and its unit, or within the unit.
pub(crate) fn unbroken(text: &str) -> String {
    const UNITS: [&str; 13] = [
        "%", "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "s", "min", "h", "d", "bytes",
    ];
    let is_unit = |word: &str| {
        let word = word.trim_end_matches([',', ')', '.']);
        UNITS.contains(&word.strip_suffix("/s").unwrap_or(word))
    };
    let mut whole = String::with_capacity(text.len());
    for (index, word) in text.split(' ').enumerate() {
        if !is_unit(word) || !whole.ends_with(|last: char| last.is_ascii_digit()) {
            whole.extend((index > 0).then_some(' '));
            whole.push_str(word);
        } else {
            whole.push('\u{a0}');
            whole.push_str(&word.replace('/', "/\u{2060}"));
        }
    }
    whole
}

/// The same text where a line ends behind one of these separators, if anywhere.
pub(crate) fn unbroken_between(text: &str, separator: &str) -> String {
    let whole = |part: &str| part.replace(' ', "\u{a0}").replace('/', "/\u{2060}");
    let parts: Vec<String> = text.split(separator).map(whole).collect();
    parts.join(separator)
}

/// A priority on a button.
pub(crate) fn priority(priority: Priority) -> String {
    match priority {
        Priority::Skip => tr!("Skip"),
        Priority::Low => tr!("Low"),
        Priority::Normal => tr!("Normal"),
        Priority::High => tr!("High"),
    }
}

/// The time that is left, or that nobody knows.
pub(crate) fn time_left(eta: Option<Duration>) -> String {
    eta.map_or_else(
        || tr!("time left unknown"),
        |eta| tr!("{time} left", time = estimate(eta)),
    )
}

/// A state in words, with what the user has set that shapes it: never told by an icon or a colour alone.
pub(crate) fn state(summary: &TorrentSummary) -> String {
    let complete = summary.wanted_done >= summary.wanted_length && summary.wanted_length > 0;
    let plain = match summary.state {
        TorrentState::Checking => tr!("Checking"),
        TorrentState::Queued => tr!("Queued"),
        TorrentState::Downloading if summary.stalled => tr!("Stalled"),
        TorrentState::Downloading if summary.forced => tr!("Downloading out of turn"),
        TorrentState::Downloading if summary.sequential => tr!("Downloading in order"),
        TorrentState::Downloading => tr!("Downloading"),
        TorrentState::Seeding => tr!("Seeding"),
        TorrentState::Paused if summary.seed_end.is_some() => tr!("Finished"),
        TorrentState::Paused if complete => tr!("Complete, paused"),
        TorrentState::Paused => tr!("Paused"),
        TorrentState::Moving => tr!("Moving"),
        TorrentState::Removing => tr!("Removing"),
        TorrentState::Waiting => tr!("Waiting"),
        TorrentState::Failed => tr!("Failed"),
    };
    let limited = match summary.state {
        TorrentState::Downloading => summary.download_limit_kib > 0 || summary.upload_limit_kib > 0,
        TorrentState::Seeding => summary.upload_limit_kib > 0,
        _ => false,
    };
    if limited {
        tr!("{state}, limited", state = plain)
    } else {
        plain
    }
}

/// Whether it stands still until a person starts it.
pub(crate) const fn is_stopped(state: TorrentState) -> bool {
    matches!(state, TorrentState::Paused | TorrentState::Failed)
}

/// What becomes of a torrent of the list that was made anew, of data in `folder`.
pub(crate) fn held(summary: &TorrentSummary, folder: Option<&Path>) -> String {
    let place = summary.folder.display();
    let elsewhere = folder.is_some_and(|folder| folder != summary.folder);
    let complete = summary.wanted_done >= summary.wanted_length;
    match (elsewhere, complete) {
        (false, _) => tr!("It was in the list already. It is started, and has the trackers of both now."),
        (true, true) => tr!(
            "It was in the list already. It is shared from “{folder}”, and has the trackers of both now.",
            folder = place
        ),
        (true, false) => tr!(
            "It was in the list already, with its data in “{folder}”, where it is not complete: {done}. To share what \
             you have chosen, remove it from the list first.",
            folder = place,
            done = completed(summary)
        ),
    }
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
    Some(tr!(
        "{copied} of {total} copied ({share})",
        copied = copied,
        total = total,
        share = percent(summary.progress)
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
        return tr!(
            "{share} of {total} checked",
            share = share,
            total = size(summary.total_length)
        );
    }
    if summary.wanted_done >= summary.wanted_length {
        return format!("{} ({share})", size(summary.wanted_length));
    }
    let (done, wanted) = (size(summary.wanted_done), size(summary.wanted_length));
    tr!(
        "{done} of {total} ({share})",
        done = done,
        total = wanted,
        share = share
    )
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
    let mut sentences = Vec::new();
    match (downloads, checks) {
        (0, 0) => {}
        (_, 0) => sentences.push(tr_n!(
            downloads,
            "{n} download is saved and goes on when DTorrent is opened again.",
            "{n} downloads are saved and go on when DTorrent is opened again."
        )),
        (0, _) => sentences.push(tr_n!(
            checks,
            "{n} check is saved and goes on when DTorrent is opened again.",
            "{n} checks are saved and go on when DTorrent is opened again."
        )),
        _ => sentences.push(tr!(
            "{downloads} and {checks} are saved and go on when DTorrent is opened again.",
            downloads = tr_n!(downloads, "{n} download", "{n} downloads"),
            checks = tr_n!(checks, "{n} check", "{n} checks")
        )),
    }
    if (torrents.iter()).any(|torrent| torrent.state == Moving && torrent.copying.is_some()) {
        sentences.push(tr!("Data that is being moved stays where it was."));
    }
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// What a side of a connection does: whether it serves the other, and whether it wants something.
fn side(choking: bool, interested: bool) -> String {
    match (choking, interested) {
        (true, true) => tr!("choking, interested"),
        (true, false) => tr!("choking, not interested"),
        (false, true) => tr!("unchoked, interested"),
        (false, false) => tr!("unchoked, not interested"),
    }
}

/// What the peer does with us (BEP 3 §peer protocol).
pub(crate) fn peer_state(peer: &PeerDetail) -> String {
    let side = side(peer.peer_choking, peer.peer_interested);
    match peer.snubbed {
        true => tr!("{state}, snubbing", state = side),
        false => side,
    }
}

/// What we do with the peer.
pub(crate) fn own_state(peer: &PeerDetail) -> String {
    side(peer.am_choking, peer.am_interested)
}

#[cfg(test)]
mod tests {
    use dtorrent::id::InfoHash;
    use dtorrent::ratio::RatioLimit;

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
    fn what_has_seeded_enough_says_so() {
        let limit = RatioLimit::new(1.5).unwrap();
        let mut torrent = torrent(TorrentState::Paused);
        torrent.uploaded = 5 << 20;
        torrent.seed_limit = SeedLimit::Ratio(limit);
        assert_eq!(limited_ratio(&torrent), "1.25 (seeds until 1.50)");
        torrent.uploaded = 6 << 20;
        assert_eq!(limited_ratio(&torrent), "1.50", "it goes on past it");
        torrent.uploaded = 5 << 20;
        torrent.seed_limit = SeedLimit::Never;
        assert_eq!(limited_ratio(&torrent), "1.25");
        torrent.uploaded = 6 << 20;
        assert_eq!(limited_ratio(&torrent), "1.50");
        torrent.seed_end = Some(SeedEnd::Ratio(limit));
        assert_eq!(state(&torrent), "Finished");
        assert_eq!(
            seed_end(SeedEnd::Ratio(limit)),
            "it has shared 1.50 times its size"
        );
        let idle = SeedEnd::Idle { minutes: 30 };
        assert_eq!(seed_end(idle), "nobody has fetched anything for 30 minutes");
        // The log says the same.
        assert_eq!(SeedEnd::Ratio(limit).to_string(), seed_end(SeedEnd::Ratio(limit)));
        assert_eq!(idle.to_string(), seed_end(idle));
    }

    #[test]
    fn what_the_preferences_say_of_seeding_is_told() {
        for (ratio, minutes, told) in [
            (0.0, 0, "never"),
            (2.0, 0, "at a ratio of 2.00"),
            (0.0, 1, "after 1 minute without an upload"),
            (
                2.0,
                30,
                "at a ratio of 2.00, or after 30 minutes without an upload",
            ),
        ] {
            let settings = TransferConfig {
                seed_until_ratio: RatioLimit::new(ratio).unwrap(),
                seed_until_idle_minutes: minutes,
                ..TransferConfig::default()
            };
            assert_eq!(seed_rules(&settings), format!("By the preferences: {told}"));
        }
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
    fn what_changes_all_the_time_is_told_without_tails() {
        for (bytes, expected) in [
            (0, "0 B/s"),
            (1_535, "1.4 KiB/s"),
            (102_399, "99.9 KiB/s"),
            (102_400 + 1_023, "100 KiB/s"),
            (1_048_575, "1023 KiB/s"),
            (5 << 29, "2.5 GiB/s"),
        ] {
            assert_eq!(rate(bytes), expected);
        }
        for (seconds, expected) in [
            (119, "1 min 59 s"),
            (149, "2 min"),
            (150, "3 min"),
            (7_189, "2 h"),
        ] {
            assert_eq!(estimate(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn what_is_sure_to_come_is_counted_down_in_minutes() {
        let cases = [
            (119, "1 min 59 s"),
            (120, "2 min"),
            (1799, "29 min"),
            (7_499, "2 h 4 min"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(countdown(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_line_ends_between_two_parts() {
        let text = unbroken_between("now 3 KiB/s, at most 5 KiB/s", ", ");
        assert_eq!(
            text,
            "now\u{a0}3\u{a0}KiB/\u{2060}s, at\u{a0}most\u{a0}5\u{a0}KiB/\u{2060}s"
        );
    }

    #[test]
    fn no_line_ends_before_a_unit() {
        let cases = [
            ("5 MiB of 12 MiB (41.6 %)", "5_MiB of 12_MiB (41.6_%)"),
            ("now 3 KiB/s, at most 5 KiB/s", "now 3_KiB/+s, at most 5_KiB/+s"),
            ("2 h 5 min · 7 peers", "2_h 5_min · 7 peers"),
            ("plan B: s", "plan B: s"),
            ("", ""),
        ];
        for (text, expected) in cases {
            let expected = expected.replace('_', "\u{a0}").replace('+', "\u{2060}");
            assert_eq!(unbroken(text), expected);
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
