//! How the tracker inside the client stands, in words. Layer 4, but without widgets.

use dtorrent::engine::api::{Reach, TrackerNodeState, TrackerNodeStatus};

use super::i18n::{tr, tr_n};
use super::words::told;

/// A line for the foot of the window.
pub(crate) fn summary(status: &TrackerNodeStatus) -> String {
    match status.state {
        TrackerNodeState::Starting => tr!("Tracker: starting"),
        TrackerNodeState::Failed => tr!("Tracker: not running"),
        TrackerNodeState::Stopping => tr!("Tracker: stopping"),
        TrackerNodeState::Running if status.urls.is_empty() => tr!("Tracker: nobody can reach it"),
        TrackerNodeState::Running => {
            let peers = tr_n!(status.seeds + status.leechers, "{n} peer", "{n} peers");
            match status.reach {
                Some(Reach::Everywhere) => tr!("Tracker for everybody · {peers}", peers = peers),
                Some(Reach::LocalNetwork) => tr!("Tracker for the local network · {peers}", peers = peers),
                Some(Reach::ThisComputer) | None => {
                    tr!("Tracker for this computer alone · {peers}", peers = peers)
                }
            }
        }
    }
}

/// What somebody who is about to use it should know.
pub(crate) fn explanation(status: Option<&TrackerNodeStatus>) -> String {
    let Some(status) = status else {
        return tr!("Starting…");
    };
    if let Some(problem) = &status.problem {
        return told(problem);
    }
    if !status.is_reachable() {
        return tr!("Starting…");
    }
    let mut hosts: Vec<&str> = status.urls.iter().map(|url| host_of(url)).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let hosts = hosts.into_iter().map(str::to_owned);
    let hosts = hosts.reduce(|told, host| tr!("{first} and {second}", first = told, second = host));
    let reached = tr!("Others reach it at {hosts}.", hosts = hosts.unwrap_or_default());
    match &status.advice {
        Some(advice) => format!("{reached} {}", told(advice)),
        None => reached,
    }
}

/// Host and port of a tracker's URL.
fn host_of(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    behind.split('/').next().unwrap_or(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: TrackerNodeState) -> TrackerNodeStatus {
        TrackerNodeStatus {
            state,
            problem: None,
            urls: Vec::new(),
            reach: None,
            advice: None,
            pages: None,
            torrents: 0,
            seeds: 1,
            leechers: 1,
            ring: None,
        }
    }

    #[test]
    fn it_is_told_whom_the_tracker_is_for() {
        assert_eq!(summary(&status(TrackerNodeState::Failed)), "Tracker: not running");
        let running = status(TrackerNodeState::Running);
        assert_eq!(summary(&running), "Tracker: nobody can reach it");
        let local = TrackerNodeStatus {
            urls: vec!["http://192.168.1.5:6969/announce".to_owned()],
            reach: Some(Reach::LocalNetwork),
            ..running
        };
        assert_eq!(summary(&local), "Tracker for the local network · 2 peers");
    }

    #[test]
    fn it_is_explained_where_it_is_and_what_stands_in_the_way() {
        assert_eq!(explanation(None), "Starting…");
        let failed = TrackerNodeStatus {
            problem: Some("port 6969 cannot be used".to_owned()),
            ..status(TrackerNodeState::Failed)
        };
        assert_eq!(explanation(Some(&failed)), "Port 6969 cannot be used.");
        let running = TrackerNodeStatus {
            urls: [
                "http://192.168.1.5:6969",
                "http://[fd00::5]:6969",
                "udp://192.168.1.5:6969",
            ]
            .map(|url| format!("{url}/announce"))
            .to_vec(),
            advice: Some("these are private addresses".to_owned()),
            ..status(TrackerNodeState::Running)
        };
        assert_eq!(
            explanation(Some(&running)),
            "Others reach it at 192.168.1.5:6969 and [fd00::5]:6969. These are private addresses."
        );
    }
}
