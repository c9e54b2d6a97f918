//! The ring in words. Layer 4, but without widgets.

use std::time::Duration;

use dtorrent::ring::picture::{Health, NodePicture, Route};
use dtorrent::tracker::server::seam::Totals;

use super::super::i18n::{tr, tr_n};
use super::super::words;
use super::seen::Seen;

/// Successors that a node keeps (`ring::view::MAX_SUCC`).
const SUCCESSORS: usize = 4;

/// The first digits of an id: enough to tell nodes apart.
pub(crate) fn short(id: &str) -> String {
    id.chars()
        .filter(|char| char.is_ascii_hexdigit())
        .take(8)
        .collect()
}

/// Where a node is, as it says: only characters that can be seen.
pub(crate) fn address(node: &NodePicture) -> String {
    node.address
        .chars()
        .filter(|char| char.is_ascii_graphic())
        .collect()
}

/// The two parts of its address.
pub(crate) fn host_and_port(node: &NodePicture) -> (String, String) {
    let address = address(node);
    match address.rsplit_once(':') {
        Some((host, port)) => (host.to_owned(), port.to_owned()),
        None => (address, String::new()),
    }
}

/// Peers of both kinds. The numbers are a stranger's.
pub(crate) fn peers(totals: Totals) -> u64 {
    totals.seeds.saturating_add(totals.leechers)
}

/// On how many nodes that are there everything on the arc of this one is, itself included. A copy on a node that has
/// just died is none, even if its owner has not noticed yet.
pub(crate) fn complete(picture: &Seen, node: &NodePicture) -> usize {
    let is_there = |id: &str| picture.find(id).is_some_and(|copy| copy.health.is_heard());
    let copies = node
        .copies
        .iter()
        .filter(|copy| copy.complete && is_there(&copy.id));
    match node.copies_complete {
        0 => 0,
        told => told.min(copies.count() + 1),
    }
}

/// How many nodes have an arc, and how many of them have all their copies.
pub(crate) fn wholeness(picture: &Seen) -> (usize, usize) {
    let serving = || picture.nodes.iter().filter(|node| has_arc(node));
    let whole = serving()
        .filter(|node| node.health == Health::Serving && complete(picture, node) >= node.copies_wanted);
    (whole.count(), serving().count())
}

/// Whether everything is on as many nodes as it should be.
pub(crate) fn is_whole(picture: &Seen) -> bool {
    let (whole, serving) = wholeness(picture);
    serving > 0 && whole == serving
}

/// Whether a node has the say over a part of the ring.
pub(crate) fn has_arc(node: &NodePicture) -> bool {
    node.health.is_heard() && node.health != Health::Joining && node.arc.is_some()
}

/// How a node is.
pub(crate) fn state(picture: &Seen, node: &NodePicture) -> String {
    match node.health {
        Health::Serving | Health::Short => {
            let (complete, wanted) = (complete(picture, node), node.copies_wanted);
            match complete >= wanted {
                true => tr!("Serving"),
                false => tr!("Making copies"),
            }
        }
        Health::Merging => tr!("Asking others what it missed"),
        Health::Joining => tr!("Joining"),
        Health::Leaving => tr!("Leaving"),
        Health::Left => tr!("Has left"),
        Health::Silent => tr!("Silent"),
    }
}

/// "23.4 %", or a dash for a node without an arc.
pub(crate) fn share(node: &NodePicture) -> String {
    let arc = node.arc.as_ref().filter(|_| has_arc(node));
    arc.map_or_else(|| "–".to_owned(), |arc| format!("{:.1} %", arc.share * 100.0))
}

/// "3 of 3": on how many nodes everything of this one is.
pub(crate) fn copies(picture: &Seen, node: &NodePicture) -> String {
    match has_arc(node) {
        true => tr!(
            "{done} of {total}",
            done = complete(picture, node),
            total = node.copies_wanted
        ),
        false => "–".to_owned(),
    }
}

/// Three lines for the middle of the circle.
pub(crate) fn summary(picture: &Seen) -> [String; 3] {
    let totals = picture.totals;
    let torrents = tr_n!(totals.swarms, "{n} torrent", "{n} torrents");
    let peers = tr_n!(peers(totals), "{n} peer", "{n} peers");
    [
        tr_n!(picture.heard as u64, "{n} node", "{n} nodes"),
        format!("{torrents} · {peers}"),
        health(picture),
    ]
}

/// How the copies are, all nodes together.
pub(crate) fn health(picture: &Seen) -> String {
    let wanted = picture.nodes.iter().filter(|node| has_arc(node));
    let wanted = wanted.map(|node| node.copies_wanted).max().unwrap_or_default();
    if is_whole(picture) {
        return tr_n!(
            wanted as u64,
            "Everything is on {n} node",
            "Everything is on {n} nodes"
        );
    }
    let (whole, serving) = wholeness(picture);
    tr!(
        "Copies complete for {whole} of {serving} nodes",
        whole = whole,
        serving = serving
    )
}

/// The nodes behind one, the nearest first.
pub(crate) fn successors(picture: &Seen, id: &str) -> Vec<String> {
    if id == picture.me {
        return picture.successors.clone();
    }
    let behind = (1..=SUCCESSORS as isize).map_while(|steps| picture.from(id, steps));
    behind.map(|node| node.id.clone()).collect()
}

/// The node before one.
pub(crate) fn predecessor(picture: &Seen, id: &str) -> Option<String> {
    picture.from(id, -1).map(|node| node.id.clone())
}

/// What is known of a node: titles and values.
pub(crate) fn facts(picture: &Seen, node: &NodePicture, route: Option<&Route>) -> Vec<(String, String)> {
    let named = |ids: &[String]| -> String {
        let named = ids
            .iter()
            .map(|id| picture.find(id).map_or_else(|| short(id), address));
        named.collect::<Vec<_>>().join("\n")
    };
    let some = |text: String| if text.is_empty() { tr!("none") } else { text };
    let (owned, held) = (node.owned, node.held);
    let load = |totals: Totals| {
        let torrents = tr_n!(totals.swarms, "{n} torrent", "{n} torrents");
        let peers = tr_n!(peers(totals), "{n} peer", "{n} peers");
        format!("{torrents}, {peers}")
    };
    let mut facts = vec![(tr!("State"), state(picture, node))];
    if !node.health.is_heard() {
        facts.push((
            tr!("Last Heard"),
            tr!(
                "{time} ago",
                time = words::time(Duration::from_secs(node.heard_secs))
            ),
        ));
    }
    if let Some(part) = route.and_then(|route| part(route, &node.id)) {
        facts.push((tr!("For the Torrent"), part));
    }
    facts.push((tr!("Address"), address(node)));
    if has_arc(node) {
        let behind = successors(picture, &node.id);
        let before: Vec<String> = predecessor(picture, &node.id).into_iter().collect();
        let copies: Vec<String> = node.copies.iter().map(|copy| copy.id.clone()).collect();
        facts.extend([
            (tr!("Its Arc"), tr!("{share} of the ring", share = share(node))),
            (tr!("Owns"), load(owned)),
            (tr!("Keeps in All"), load(held)),
            (tr!("Copies Complete"), self::copies(picture, node)),
            (tr!("Copies On"), some(named(&copies))),
            (tr!("Predecessor"), some(named(&before))),
            (tr!("Successors"), some(named(&behind))),
            (tr!("Fingers"), some(named(&node.fingers_to))),
        ]);
    }
    let version: String = node.version.chars().filter(|char| !char.is_control()).collect();
    facts.extend([
        (
            tr!("Answered"),
            tr_n!(node.announces, "{n} announce", "{n} announces"),
        ),
        (
            tr!("Running For"),
            words::time(Duration::from_secs(node.uptime_secs)),
        ),
        (tr!("Version"), version),
        (
            tr!("Id"),
            node.id.chars().filter(char::is_ascii_hexdigit).collect(),
        ),
    ]);
    facts
}

/// A node in one sentence, for whoever does not see the circle.
pub(crate) fn sentence(picture: &Seen, node: &NodePicture, route: Option<&Route>) -> String {
    let said = tr!(
        "{address}: {state}, arc {share}, copies {copies}",
        address = address(node),
        state = state(picture, node),
        share = share(node),
        copies = copies(picture, node),
    );
    match route.and_then(|route| part(route, &node.id)) {
        Some(part) => format!("{said}, {part}"),
        None => said,
    }
}

/// One step of the way to a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its number, for the nodes on the way.
    pub(crate) number: Option<usize>,
    pub(crate) what: String,
    pub(crate) id: String,
    pub(crate) address: String,
}

/// The way to a torrent: the nodes that were asked, the owner, its copies.
pub(crate) fn steps(route: &Route) -> Vec<Step> {
    let last = route.path.len().saturating_sub(1);
    let mut steps: Vec<Step> = Vec::new();
    for (at, point) in route.path.iter().enumerate() {
        let owns = at == last && point.id == route.owner.id;
        let what = match (at, owns) {
            (0, false) => tr!("Asked"),
            (0, true) => tr!("Asked, and the owner"),
            (_, true) => tr!("Asked next, and the owner"),
            (_, false) => tr!("Asked next"),
        };
        steps.push(step(Some(at + 1), what, point));
    }
    if steps.last().is_none_or(|last| last.id != route.owner.id) {
        steps.push(step(Some(steps.len() + 1), tr!("The owner"), &route.owner));
    }
    for copy in &route.copies {
        steps.push(step(None, tr!("A copy"), copy));
    }
    steps
}

fn step(number: Option<usize>, what: String, point: &dtorrent::ring::picture::Waypoint) -> Step {
    Step {
        number,
        what,
        id: point.id.clone(),
        address: point
            .address
            .chars()
            .filter(|char| char.is_ascii_graphic())
            .collect(),
    }
}

/// What a node is to a torrent.
pub(crate) fn part(route: &Route, id: &str) -> Option<String> {
    let parts = steps(route).into_iter().filter(|step| step.id == id);
    let parts: Vec<String> = parts
        .map(|step| match step.number {
            Some(number) => format!("{number} · {}", step.what),
            None => step.what,
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How far it was to the owner.
pub(crate) fn hops(route: &Route) -> String {
    match route.path.len().saturating_sub(1) {
        0 => tr!("Found without asking another node"),
        asked => tr_n!(
            asked as u64,
            "Found by asking {n} other node",
            "Found by asking {n} other nodes"
        ),
    }
}

#[cfg(test)]
mod tests {
    use dtorrent::ring::picture::Waypoint;

    use super::super::sample::{id, picture, seen};
    use super::*;

    fn point(place: f64) -> Waypoint {
        Waypoint {
            id: id(place),
            address: "127.0.0.1:1".to_owned(),
        }
    }

    #[test]
    fn a_whole_ring_says_so_and_one_with_a_dead_copy_does_not() {
        let mut ring = picture(&[0.1, 0.3, 0.5, 0.7, 0.9]);
        assert_eq!(
            summary(&seen(&ring)),
            ["5 nodes", "50 torrents · 250 peers", "Everything is on 3 nodes"]
        );
        ring.nodes[2].health = Health::Silent;
        let ring = seen(&ring);
        assert_eq!(
            complete(&ring, &ring.nodes[1]),
            2,
            "its first copy is on the dead node"
        );
        assert_eq!(copies(&ring, &ring.nodes[0]), "2 of 3");
        assert_eq!(state(&ring, &ring.nodes[0]), "Making copies");
        assert_eq!(copies(&ring, &ring.nodes[2]), "–");
        assert_eq!(health(&ring), "Copies complete for 2 of 4 nodes");
    }

    #[test]
    fn neighbours_are_those_that_are_there() {
        let mut ring = picture(&[0.1, 0.3, 0.5, 0.7, 0.9]);
        ring.nodes[2].health = Health::Silent;
        let ring = seen(&ring);
        assert_eq!(successors(&ring, &id(0.3)), [0.7, 0.9, 0.1].map(id));
        assert_eq!(predecessor(&ring, &id(0.7)), Some(id(0.3)));
        assert_eq!(predecessor(&seen(&picture(&[0.5])), &id(0.5)), None);
        let facts = facts(&ring, &ring.nodes[2], None);
        assert!(facts.iter().all(|(title, _)| title != "Its Arc"), "{facts:?}");
    }

    #[test]
    fn the_way_to_a_torrent_is_numbered() {
        let mut route = Route {
            info_hash: "00".repeat(20),
            place: 0.4,
            path: vec![point(0.9), point(0.3)],
            owner: point(0.5),
            copies: vec![point(0.7), point(0.9)],
        };
        let steps = steps(&route);
        let numbers: Vec<Option<usize>> = steps.iter().map(|step| step.number).collect();
        assert_eq!(numbers, [Some(1), Some(2), Some(3), None, None]);
        assert_eq!(part(&route, &id(0.9)).unwrap(), "1 · Asked, A copy");
        assert_eq!(part(&route, &id(0.5)).unwrap(), "3 · The owner");
        assert_eq!(part(&route, &id(0.1)), None);
        assert_eq!(hops(&route), "Found by asking 1 other node");
        route.path = vec![point(0.5)];
        assert_eq!(part(&route, &id(0.5)).unwrap(), "1 · Asked, and the owner");
        assert_eq!(hops(&route), "Found without asking another node");
    }

    #[test]
    fn what_a_node_says_of_itself_cannot_break_the_picture() {
        let mut ring = picture(&[0.1]);
        ring.nodes[0].address = "1.2.3.4:5\n\u{202e}<b>".to_owned();
        assert_eq!(address(&ring.nodes[0]), "1.2.3.4:5<b>");
        assert_eq!(short("é12345678ff"), "12345678");
    }

    #[test]
    fn numbers_of_strangers_do_not_overflow() {
        let mut ring = picture(&[0.1, 0.5]);
        ring.totals.seeds = u64::MAX;
        ring.nodes[0].owned.leechers = u64::MAX;
        ring.nodes[0].held.swarms = u64::MAX;
        let [_, all, _] = summary(&seen(&ring));
        assert!(all.contains(&u64::MAX.to_string()), "{all}");
        assert_eq!(peers(ring.nodes[0].owned), u64::MAX);
        assert!(
            super::super::shape::still(&ring)
                .iter()
                .all(|node| node.radius.is_finite())
        );
    }
}
