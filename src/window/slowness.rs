//! Why a torrent is slow, worked out from what is known of it, and what to do about it. Layer 4, without widgets.

use dtorrent::engine::api::{
    EngineSnapshot, Inbound, PeerDetail, Priority, TorrentDetails, TorrentState, TorrentSummary,
};

use super::i18n::{tr, tr_n};
use super::words;

/// A download this fast is not slow, unless something holds it back that can be changed.
const FAST: u64 = 512 * 1024;

/// A limit is reached from this share of it on: it counts the protocol as well, and speeds are means.
const REACHED: f64 = 0.85;

/// With fewer peers than this, more of them would be of help.
const FEW: usize = 5;

/// What is known of the client as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ClientFacts {
    pub(crate) download_rate: u64,
    pub(crate) upload_rate: u64,
    pub(crate) download_limit_kib: u64,
    pub(crate) upload_limit_kib: u64,
    pub(crate) inbound: Inbound,
    pub(crate) listens: bool,
    pub(crate) offline: bool,
}

impl From<&EngineSnapshot> for ClientFacts {
    fn from(snapshot: &EngineSnapshot) -> Self {
        Self {
            download_rate: snapshot.download_rate,
            upload_rate: snapshot.upload_rate,
            download_limit_kib: snapshot.download_limit_kib,
            upload_limit_kib: snapshot.upload_limit_kib,
            inbound: snapshot.inbound,
            listens: !snapshot.listening.is_empty(),
            offline: snapshot.offline,
        }
    }
}

/// One cause, the plainest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// What everything is bound to is gone.
    Offline,
    /// Others come first.
    Queued,
    /// The limit of this torrent, in KiB/s.
    OwnLimit(u64),
    /// The limit of all torrents, in KiB/s.
    SharedLimit(u64),
    /// The disk takes less than peers send.
    DiskBehind,
    /// The memory for blocks is given out.
    MemoryShort,
    /// No connection, and nobody is known. Whether it names any tracker.
    NobodyKnown { has_trackers: bool },
    /// So many are known, and none is connected.
    NobodyAnswers(u64),
    /// Nobody who is connected has these pieces.
    PiecesAtNobody { pieces: u64, seeds: usize },
    /// So many have what we want, and all choke us.
    AllChoke(u64),
    /// So many owe us blocks, and nobody else sends.
    AllSnub(u64),
    /// Each of the trackers that was asked failed.
    DeadTrackers(usize),
    /// Peers cannot reach us.
    Unreachable,
    /// Those that serve us, so many, send no more.
    SlowPeers(u64),
    /// Only so many are connected.
    FewPeers(u64),
    /// Seeding: nobody is connected who wants anything.
    NobodyWants,
}

/// Why the torrent is not faster; empty if it is fast, or stands still because it shall.
pub(crate) fn reasons(
    summary: &TorrentSummary,
    details: &TorrentDetails,
    client: ClientFacts,
) -> Vec<Reason> {
    match summary.state {
        TorrentState::Queued => vec![Reason::Queued],
        TorrentState::Downloading | TorrentState::Seeding if client.offline => vec![Reason::Offline],
        TorrentState::Downloading => download_reasons(summary, details, client),
        TorrentState::Seeding => seed_reasons(summary, details, client),
        // What ails the others stands above the page already.
        _ => Vec::new(),
    }
}

fn download_reasons(summary: &TorrentSummary, details: &TorrentDetails, client: ClientFacts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let own = (summary.download_rate, summary.download_limit_kib);
    let shared = (client.download_rate, client.download_limit_kib);
    reasons.extend(is_reached(own).then_some(Reason::OwnLimit(own.1)));
    reasons.extend(is_reached(shared).then_some(Reason::SharedLimit(shared.1)));
    reasons.extend(details.disk_behind.then_some(Reason::DiskBehind));
    if summary.download_rate < FAST && reasons.is_empty() {
        reasons.extend(details.memory_short.then_some(Reason::MemoryShort));
        reasons.extend(peer_reasons(summary, details));
    }
    let absent = pieces_at_nobody(details);
    if absent > 0 && !details.peers.is_empty() {
        reasons.push(Reason::PiecesAtNobody {
            pieces: absent,
            seeds: summary.seeds,
        });
    }
    if summary.download_rate < FAST {
        reasons.extend(way_reasons(details, client));
    }
    reasons
}

/// What lies with those that are connected.
fn peer_reasons(summary: &TorrentSummary, details: &TorrentDetails) -> Vec<Reason> {
    let peers = &details.peers;
    if peers.is_empty() {
        return vec![match details.known_peers as u64 {
            0 => Reason::NobodyKnown {
                has_trackers: !details.trackers.is_empty(),
            },
            known => Reason::NobodyAnswers(known),
        }];
    }
    let count = |is_it: fn(&PeerDetail) -> bool| peers.iter().filter(|peer| is_it(peer)).count() as u64;
    let wanted = count(|peer| peer.am_interested);
    let serving = count(|peer| peer.am_interested && (!peer.peer_choking || peer.download_rate > 0));
    let snubbing = count(|peer| peer.am_interested && !peer.peer_choking && peer.snubbed);
    let mut reasons = Vec::new();
    if wanted > 0 && serving == 0 {
        reasons.push(Reason::AllChoke(wanted));
    } else if serving > 0 && snubbing == serving && summary.download_rate == 0 {
        reasons.push(Reason::AllSnub(snubbing));
    } else if serving > 0 {
        reasons.push(Reason::SlowPeers(serving));
    }
    if peers.len() < FEW {
        reasons.push(Reason::FewPeers(peers.len() as u64));
    }
    reasons
}

/// What keeps more peers away.
fn way_reasons(details: &TorrentDetails, client: ClientFacts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let failed = details
        .trackers
        .iter()
        .filter(|tracker| tracker.has_failed())
        .count();
    let works = details.trackers.iter().any(|tracker| tracker.is_working());
    if failed > 0 && !works {
        reasons.push(Reason::DeadTrackers(failed));
    }
    if client.inbound == Inbound::Nobody || !client.listens {
        reasons.push(Reason::Unreachable);
    }
    reasons
}

fn seed_reasons(summary: &TorrentSummary, details: &TorrentDetails, client: ClientFacts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let own = (summary.upload_rate, summary.upload_limit_kib);
    let shared = (client.upload_rate, client.upload_limit_kib);
    reasons.extend(is_reached(own).then_some(Reason::OwnLimit(own.1)));
    reasons.extend(is_reached(shared).then_some(Reason::SharedLimit(shared.1)));
    if reasons.is_empty() && !details.peers.iter().any(|peer| peer.peer_interested) {
        // Quite in order, unless something keeps them away.
        let way = way_reasons(details, client);
        if !way.is_empty() {
            reasons.push(Reason::NobodyWants);
            reasons.extend(way);
        }
    }
    reasons
}

fn is_reached((rate, limit_kib): (u64, u64)) -> bool {
    limit_kib > 0 && rate as f64 >= limit_kib as f64 * 1024.0 * REACHED
}

/// Pieces that are wanted and missing and that no connected peer has.
fn pieces_at_nobody(details: &TorrentDetails) -> u64 {
    let have = |piece: u32| {
        let byte = details.pieces.get(piece as usize / 8);
        byte.is_some_and(|byte| byte & (0x80 >> (piece % 8)) != 0)
    };
    let missing = |piece: &u32| !have(*piece) && details.map.peers_with(*piece) == 0;
    // A piece of two files is counted once: they come in order.
    let mut counted = 0;
    let mut pieces = 0;
    for file in details
        .files
        .iter()
        .filter(|file| file.priority != Priority::Skip)
    {
        let new = file.pieces.start.max(counted)..file.pieces.end;
        counted = counted.max(new.end);
        pieces += new.filter(missing).count() as u64;
    }
    pieces
}

impl Reason {
    /// What is the case.
    pub(crate) fn sentence(self) -> String {
        match self {
            Self::Offline => tr!("The network that everything is bound to is not there."),
            Self::Queued => tr!("It waits for its turn: as many torrents download as the settings allow."),
            Self::OwnLimit(kib) => tr!(
                "The limit of this torrent is reached: {limit}.",
                limit = limit(kib)
            ),
            Self::SharedLimit(kib) => tr!(
                "The limit of all torrents is reached: {limit}.",
                limit = limit(kib)
            ),
            Self::DiskBehind => tr!("The disk does not take what comes as fast as peers send it."),
            Self::MemoryShort => {
                tr!("The memory for blocks is used up, so less is asked for than could come.")
            }
            Self::NobodyKnown { has_trackers: true } => tr!("No tracker has told of any peer yet."),
            Self::NobodyKnown { has_trackers: false } => {
                tr!("The torrent names no tracker, so nobody tells of peers.")
            }
            Self::NobodyAnswers(known) => tr_n!(
                known,
                "{n} peer is known, and it does not answer.",
                "{n} peers are known, and none of them answers."
            ),
            Self::PiecesAtNobody { pieces, seeds: 0 } => tr_n!(
                pieces,
                "No seed is connected, and nobody else has {n} of the pieces that are missing.",
                "No seed is connected, and nobody else has {n} of the pieces that are missing."
            ),
            Self::PiecesAtNobody { pieces, .. } => tr_n!(
                pieces,
                "No connected peer has {n} of the pieces that are missing.",
                "No connected peer has {n} of the pieces that are missing."
            ),
            Self::AllChoke(peers) => tr_n!(
                peers,
                "{n} peer has what we want, and it serves others first.",
                "{n} peers have what we want, and all of them serve others first."
            ),
            Self::AllSnub(peers) => tr_n!(
                peers,
                "{n} peer would serve us, but has sent nothing for a minute.",
                "{n} peers would serve us, but have sent nothing for a minute."
            ),
            Self::DeadTrackers(_) => tr!("None of the trackers that were asked answers."),
            Self::Unreachable => tr!("Nobody from outside reaches this computer."),
            Self::SlowPeers(peers) => tr_n!(
                peers,
                "{n} peer serves us, and it sends no faster.",
                "{n} peers serve us, and they send no faster."
            ),
            Self::FewPeers(peers) => {
                tr_n!(
                    peers,
                    "Only {n} peer is connected.",
                    "Only {n} peers are connected."
                )
            }
            Self::NobodyWants => tr!("Nobody is connected who wants anything of it."),
        }
    }

    /// What to do about it.
    pub(crate) fn advice(self) -> String {
        match self {
            Self::Offline => tr!("Connect it again, or choose another one as network.bind in the settings."),
            Self::Queued => tr!("Move it up in the queue, or let more torrents download at a time."),
            Self::OwnLimit(_) => tr!("Raise it with Limit Rates in the menu of the torrent."),
            Self::SharedLimit(_) => tr!("Raise it in the settings, or pause other torrents."),
            Self::DiskBehind => {
                tr!("Move the data to a faster disk, or see what else is writing to this one.")
            }
            Self::MemoryShort => {
                tr!("Give it more as memory.buffers_mib in the settings, or pause other torrents.")
            }
            Self::NobodyKnown { has_trackers: true } => {
                tr!("Wait for the next announce, add a peer whose address you know, or add a tracker.")
            }
            Self::NobodyKnown { has_trackers: false } => {
                tr!("Add a tracker, or a peer whose address you know.")
            }
            Self::NobodyAnswers(_) => {
                tr!(
                    "They may have gone; they are tried again by themselves. A firewall may keep us from reaching them."
                )
            }
            Self::PiecesAtNobody { .. } => {
                tr!("Wait for somebody who has them. If nobody comes, look for the same torrent elsewhere.")
            }
            Self::AllChoke(_) => {
                tr!("Wait some minutes. Who uploads is served sooner: do not limit the upload too much.")
            }
            Self::AllSnub(_) => {
                tr!("Others are asked instead as soon as there are any. Ask the trackers for more.")
            }
            Self::DeadTrackers(_) => {
                tr!("They are asked again by themselves. If they stay silent, edit the trackers.")
            }
            Self::Unreachable => {
                tr!(
                    "Have the router forward the port to this computer, and the firewall let it in: more peers can connect then."
                )
            }
            Self::SlowPeers(_) => tr!("Nothing here holds them back. More peers would be of help."),
            Self::FewPeers(_) => tr!("Ask the trackers now, or add a peer whose address you know."),
            Self::NobodyWants => tr!("There is nothing to do if everybody has it."),
        }
    }
}

fn limit(kib: u64) -> String {
    words::rate(kib.saturating_mul(1024))
}

/// Keeps what is shown from flickering: a reason comes when it has held for a while, and goes when it has not.
#[derive(Debug, Default)]
pub(crate) struct Steady {
    /// Reasons by kind, with how sure it is that each holds.
    held: Vec<(Reason, u32)>,
}

/// Looks for which a reason must hold until it is shown; twice a second.
const SURE: u32 = 4;

impl Steady {
    /// Takes in what holds now; gives what is to be shown.
    pub(crate) fn show(&mut self, now: &[Reason]) -> Vec<Reason> {
        let same =
            |one: &Reason, other: &Reason| std::mem::discriminant(one) == std::mem::discriminant(other);
        let mut held: Vec<(Reason, u32)> = Vec::new();
        for reason in now {
            let before = self.held.iter().find(|(other, _)| same(reason, other));
            held.push((*reason, (before.map_or(0, |(_, sure)| *sure) + 1).min(2 * SURE)));
        }
        for (reason, sure) in &self.held {
            let is_gone = !now.iter().any(|other| same(reason, other));
            if is_gone && *sure > 1 {
                held.push((*reason, sure - 1));
            }
        }
        self.held = held;
        let shown = self.held.iter().filter(|(_, sure)| *sure >= SURE);
        shown.map(|(reason, _)| *reason).collect()
    }
}

#[cfg(test)]
#[path = "slowness_tests.rs"]
mod tests;
