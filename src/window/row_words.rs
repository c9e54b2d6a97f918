//! What the rows of the list say of a torrent. Layer 4, but pure.

use dtorrent::engine::api::{TorrentState, TorrentSummary};

use super::i18n::{tr, tr_n};
use super::words;

pub(crate) fn name(torrent: &TorrentSummary) -> String {
    torrent.name.clone()
}

pub(crate) fn icon(torrent: &TorrentSummary) -> String {
    words::state_icon(torrent.state).to_owned()
}

/// State and progress: "Downloading · 18.7 % of 64 MiB". How many bytes that is stands in the details.
pub(crate) fn status(torrent: &TorrentSummary) -> String {
    let is_partial = torrent.wanted_done < torrent.wanted_length;
    let progress = match torrent.state {
        TorrentState::Checking => words::progress(torrent),
        _ if is_partial && torrent.copying.is_none() => tr!(
            "{share} of {total}",
            share = words::percent(torrent.progress),
            total = words::size(torrent.wanted_length)
        ),
        _ => words::progress(torrent),
    };
    let status = format!("{} · {progress}", words::state(torrent));
    // A line that breaks before its percent sign looks torn.
    status.replace(" %", "\u{a0}%")
}

/// Empty as long as nothing was given.
pub(crate) fn ratio(torrent: &TorrentSummary) -> String {
    if torrent.uploaded == 0 {
        return String::new();
    }
    tr!("ratio {ratio}", ratio = words::ratio(torrent.ratio()))
}

/// Both rates; empty when nothing can flow.
pub(crate) fn rates(torrent: &TorrentSummary) -> String {
    let (down, up) = (
        words::rate(torrent.download_rate),
        words::rate(torrent.upload_rate),
    );
    match torrent.state {
        TorrentState::Downloading => format!("↓ {down}   ↑ {up}"),
        TorrentState::Seeding => format!("↑ {up}"),
        _ => String::new(),
    }
}

/// Peers and the time that is left.
pub(crate) fn swarm(torrent: &TorrentSummary) -> String {
    let peers = tr_n!(torrent.peers as u64, "{n} peer", "{n} peers");
    match torrent.state {
        TorrentState::Downloading => format!("{peers} · {}", words::time_left(torrent.eta)),
        TorrentState::Seeding => peers,
        _ => String::new(),
    }
}

/// How far it is, and how long it will take if that can be told: "18.7 % · 5 min left".
pub(crate) fn outlook(torrent: &TorrentSummary) -> String {
    let share = words::percent(torrent.progress);
    match (torrent.state, torrent.eta) {
        (TorrentState::Downloading, eta @ Some(_)) => format!("{share} · {}", words::time_left(eta)),
        _ => share,
    }
}

/// What flows, when it will be there and how far it is, or its state: "↓ 1.2 MiB/s · 5 min · 18.7 %".
pub(crate) fn brief(torrent: &TorrentSummary) -> String {
    let less = briefer(torrent);
    if torrent.state != TorrentState::Seeding {
        return format!("{less} · {}", words::percent(torrent.progress));
    }
    match ratio(torrent) {
        ratio if ratio.is_empty() => less,
        ratio => format!("{less} · {ratio}"),
    }
}

/// What is left of that where there is little room, as the bar shows how far it is: "↓ 1.2 MiB/s · 5 min".
pub(crate) fn briefer(torrent: &TorrentSummary) -> String {
    match torrent.eta.filter(|_| is_fetched(torrent)) {
        Some(eta) => format!("{} · {}", flow(torrent), words::estimate(eta)),
        None => flow(torrent),
    }
}

/// And where there is still less: what flows, or its state.
pub(crate) fn flow(torrent: &TorrentSummary) -> String {
    match torrent.state {
        _ if is_fetched(torrent) => format!("↓ {}", words::rate(torrent.download_rate)),
        TorrentState::Seeding if torrent.upload_rate > 0 => format!("↑ {}", words::rate(torrent.upload_rate)),
        _ => words::state(torrent),
    }
}

fn is_fetched(torrent: &TorrentSummary) -> bool {
    torrent.state == TorrentState::Downloading && !torrent.stalled
}

/// Why it failed or waits; empty if all is well.
pub(crate) fn problem(torrent: &TorrentSummary) -> String {
    torrent.error.as_deref().map(words::told).unwrap_or_default()
}

/// What should be known though all is well.
pub(crate) fn notice(torrent: &TorrentSummary) -> String {
    torrent.notice.as_deref().map(words::told).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use dtorrent::id::InfoHash;

    fn torrent(state: TorrentState) -> TorrentSummary {
        TorrentSummary {
            wanted_length: 4 << 20,
            wanted_done: 1 << 20,
            progress: 0.25,
            download_rate: 3 << 20,
            upload_rate: 1024,
            downloaded: 1 << 20,
            uploaded: 1 << 21,
            eta: Some(Duration::from_secs(125)),
            peers: 2,
            ..TorrentSummary::new(InfoHash::new([1; 20]), "name", state)
        }
    }

    #[test]
    fn a_line_says_what_matters_in_each_state() {
        let brief_of = |state| brief(&torrent(state));
        assert_eq!(brief_of(TorrentState::Downloading), "↓ 3 MiB/s · 2 min · 25 %");
        assert_eq!(brief_of(TorrentState::Seeding), "↑ 1 KiB/s · ratio 0.50");
        assert_eq!(brief_of(TorrentState::Paused), "Paused · 25 %");
        let mut stalled = torrent(TorrentState::Downloading);
        stalled.stalled = true;
        assert_eq!(brief(&stalled), "Stalled · 25 %");
        assert_eq!(briefer(&stalled), "Stalled");
        let mut quiet = torrent(TorrentState::Seeding);
        (quiet.upload_rate, quiet.uploaded) = (0, 0);
        assert_eq!(brief(&quiet), "Seeding");
    }

    #[test]
    fn a_narrow_line_says_less() {
        let downloading = torrent(TorrentState::Downloading);
        assert_eq!(briefer(&downloading), "↓ 3 MiB/s · 2 min");
        assert_eq!(flow(&downloading), "↓ 3 MiB/s");
        let seeding = torrent(TorrentState::Seeding);
        assert_eq!(briefer(&seeding), "↑ 1 KiB/s");
        assert_eq!(flow(&torrent(TorrentState::Paused)), "Paused");
    }

    #[test]
    fn the_outlook_has_a_time_only_where_one_is_known() {
        let mut torrent = torrent(TorrentState::Downloading);
        assert_eq!(outlook(&torrent), "25 % · 2 min left");
        torrent.eta = None;
        assert_eq!(outlook(&torrent), "25 %");
    }

    #[test]
    fn a_share_is_not_torn_apart() {
        assert_eq!(
            status(&torrent(TorrentState::Paused)),
            "Paused · 25\u{a0}% of 4 MiB"
        );
    }

    #[test]
    fn what_stands_still_shows_no_rates() {
        for state in [TorrentState::Paused, TorrentState::Queued, TorrentState::Failed] {
            assert_eq!(rates(&torrent(state)), "");
            assert_eq!(swarm(&torrent(state)), "");
        }
        let downloading = torrent(TorrentState::Downloading);
        assert_eq!(rates(&downloading), "↓ 3 MiB/s   ↑ 1 KiB/s");
        assert_eq!(swarm(&downloading), "2 peers · 2 min left");
    }
}
