//! What is not for clients: figures for people, for programs and for supervisors. Layer 3, but it opens nothing.
//!
//! The page at `/stats` is a file of this program, as are its style and its script; all that changes comes as JSON.
//! Nothing here waits for another node, the ring is shown as it was known a second ago; but for `/lookup`, which asks the
//! ring where a torrent lives and so is answered later.

use std::borrow::Cow;
use std::sync::PoisonError;

use serde::Serialize;

use super::super::front::Shared;
use super::super::history::{Group, MINUTES, Of};
use super::super::refusal::Refusal;
use super::super::watch::minute_now;
use super::response::{Content, Status};
use crate::id::InfoHash;
use crate::ring::picture::Route;

const HTML: &str = include_str!("pages/stats.html");
const CSS: &str = include_str!("pages/style.css");
const JAVASCRIPT: &str = include_str!("pages/script.js");
const ICON: &str = include_str!("pages/icon.svg");

/// A response.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: Status,
    pub(super) content: Content,
    pub(super) body: Cow<'static, str>,
}

/// The page at this path.
pub(super) fn find(shared: &Shared, path: &str, query: &str) -> Page {
    let uptime = shared.started.elapsed();
    match path {
        "/health" => ok(Content::Text, "ok\n"),
        "/metrics" => {
            let ring = shared.tracker.ring();
            let text = shared
                .counters
                .metrics(uptime, shared.tracker.totals(), ring.as_deref());
            ok(Content::Metrics, text)
        }
        "/status" => json(&shared.counters.status(uptime, shared.tracker.totals())),
        "/ring" => json(&shared.tracker.ring().as_deref()),
        "/history" => history(shared, query),
        "/stats" => ok(Content::Html, HTML),
        "/stats/style.css" => ok(Content::Css, CSS),
        "/stats/script.js" => ok(Content::JavaScript, JAVASCRIPT),
        "/stats/icon.svg" => ok(Content::Svg, ICON),
        _ => Page {
            status: Status::NotFound,
            content: Content::Text,
            body: "There is nothing here. This is a BitTorrent tracker: its address ends in /announce, and /stats \
                   shows how it is.\n"
                .into(),
        },
    }
}

/// The torrent of `/lookup?info_hash=…`, or what is wrong with the question.
pub(super) fn torrent_to_look_up(query: &str) -> Result<InfoHash, Page> {
    let wanted = query.strip_prefix("info_hash=");
    wanted.and_then(|hash| hash.parse().ok()).ok_or_else(|| {
        text(
            Status::BadRequest,
            "Ask for /lookup?info_hash= and the 40 hexadecimal digits of the torrent.\n",
        )
    })
}

/// What is answered to `/lookup` where there is no ring.
pub(super) fn no_ring() -> Page {
    text(
        Status::NotFound,
        "This tracker is alone and in no ring: it keeps all its torrents itself.\n",
    )
}

/// Where a torrent lives.
pub(super) fn route(route: &Route) -> Page {
    json(route)
}

/// Why that is not told.
pub(super) fn no_route(why: Refusal) -> Page {
    let status = match why {
        Refusal::TooMany => Status::TooMany,
        Refusal::BadParameter(_) => Status::BadRequest,
        _ => Status::Unavailable,
    };
    text(status, format!("{why}\n"))
}

fn text(status: Status, body: impl Into<Cow<'static, str>>) -> Page {
    Page {
        status,
        content: Content::Text,
        body: body.into(),
    }
}

fn ok(content: Content, body: impl Into<Cow<'static, str>>) -> Page {
    Page {
        status: Status::Ok,
        content,
        body: body.into(),
    }
}

fn json(value: &impl Serialize) -> Page {
    // Numbers, words and lists of them: that can always be written.
    ok(Content::Json, serde_json::to_string(value).unwrap_or_default())
}

/// A part of the history: `/history?hours=5&group=hour&of=ring`.
#[derive(Debug, Serialize)]
struct Part {
    /// The present, in seconds since 1970.
    now: u64,
    /// Whose figures: "node" or "ring".
    of: &'static str,
    /// Seconds of a group.
    group_secs: u32,
    /// What the numbers of a group are. Requests are those of a minute, on the average.
    columns: [&'static str; 6],
    /// Only groups in which something is recorded.
    groups: Vec<[f64; 6]>,
}

fn history(shared: &Shared, query: &str) -> Page {
    let Some((span, size, of)) = read_query(query) else {
        return Page {
            status: Status::BadRequest,
            content: Content::Text,
            body: "Ask for /history?hours=1&group=minute&of=node; hours up to 72, group is minute or hour, of is node \
                   or ring.\n"
                .into(),
        };
    };
    let now = minute_now();
    let groups = {
        let history = shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.groups(now, span, size, of)
    };
    let numbers = |group: &Group| {
        [
            // Exact for some more million years.
            group.start as f64,
            group.leechers,
            group.seeds,
            group.swarms,
            group.announces,
            group.scrapes,
        ]
    };
    json(&Part {
        now: u64::from(now) * 60,
        of: match of {
            Of::Node => "node",
            Of::Ring => "ring",
        },
        group_secs: size * 60,
        columns: ["start", "leechers", "seeds", "swarms", "announces", "scrapes"],
        groups: groups.iter().map(numbers).collect(),
    })
}

/// How many minutes, in groups of how many, of whom.
fn read_query(query: &str) -> Option<(u32, u32, Of)> {
    let (mut span, mut size, mut of) = (60, 1, Of::Node);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=')? {
            ("hours", hours) => {
                let hours: u32 = hours
                    .parse()
                    .ok()
                    .filter(|hours| (1..=MINUTES / 60).contains(hours))?;
                span = hours * 60;
            }
            ("group", "minute") => size = 1,
            ("group", "hour") => size = 60,
            ("of", "node") => of = Of::Node,
            ("of", "ring") => of = Of::Ring,
            _ => return None,
        }
    }
    Some((span, size, of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_for_the_history_are_read_or_refused() {
        for (query, expected) in [
            ("", Some((60, 1, Of::Node))),
            ("hours=72&group=hour&of=ring", Some((4320, 60, Of::Ring))),
            ("group=minute&hours=5&of=node", Some((300, 1, Of::Node))),
            ("hours=0", None),
            ("hours=73", None),
            ("hours=-1", None),
            ("group=second", None),
            ("of=<script>", None),
            ("more", None),
        ] {
            assert_eq!(read_query(query), expected, "{query}");
        }
    }

    #[test]
    fn the_page_brings_all_it_needs_and_nothing_stands_in_it_that_runs() {
        for word in ["//", "<style", "style=", "javascript:", " on"] {
            let found = HTML.match_indices(word).find(|(at, _)| {
                let tag = HTML[..*at].rfind('<') > HTML[..*at].rfind('>');
                tag || word.starts_with('<') || word == "//"
            });
            assert_eq!(found, None, "{word}");
        }
        assert_eq!(HTML.matches("<script").count(), 1);
        assert!(HTML.contains("<script src=\"stats/script.js\" defer></script>"));
        for way in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!JAVASCRIPT.contains(way), "what nodes say is text: {way}");
        }
        let outside = |text: &str| text.replace("http://www.w3.org/2000/svg", "").contains("://");
        assert!(![HTML, CSS, JAVASCRIPT, ICON].into_iter().any(outside));
    }
}
