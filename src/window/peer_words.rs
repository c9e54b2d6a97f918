//! Connections in words: what both sides do, and why. Layer 4, without widgets.

use dtorrent::engine::api::PeerDetail;

use super::i18n::{tr, tr_n};

/// A peer that sends less than this, in bytes a second, though it is asked, is slow.
const SLOW: u64 = 8 * 1024;

/// A letter for the table, and what it stands for.
type Flag = (char, String);

/// What is special about a connection.
pub(crate) fn flags(peer: &PeerDetail) -> Vec<Flag> {
    let served = !peer.peer_choking;
    let serves = !peer.am_choking;
    let all = [
        (peer.am_interested && served, 'D', tr!("D: it lets us download")),
        (
            peer.am_interested && !served,
            'd',
            tr!("d: we want to download, and it serves others"),
        ),
        (peer.peer_interested && serves, 'U', tr!("U: we let it download")),
        (
            peer.peer_interested && !serves,
            'u',
            tr!("u: it wants to download, and we serve others"),
        ),
        (
            peer.optimistic && serves,
            'O',
            tr!("O: we serve it to see whether it gives something in return"),
        ),
        (peer.snubbed, 'S', tr!("S: it owes us blocks for too long")),
        (
            peer.refusing,
            'R',
            tr!("R: it refuses what it should let us have"),
        ),
        (peer.incoming, 'I', tr!("I: it has called us")),
        (peer.progress >= 1.0, 'C', tr!("C: it has everything")),
    ];
    let set = all.into_iter().filter(|(is_set, ..)| *is_set);
    set.map(|(_, letter, meaning)| (letter, meaning)).collect()
}

/// The letters: "D U I".
pub(crate) fn letters(peer: &PeerDetail) -> String {
    let letters: Vec<String> = flags(peer).iter().map(|(letter, _)| letter.to_string()).collect();
    letters.join(" ")
}

/// What the letters mean, one a line.
pub(crate) fn meanings(peer: &PeerDetail) -> String {
    let meanings: Vec<String> = flags(peer).into_iter().map(|(_, meaning)| meaning).collect();
    meanings.join("\n")
}

/// Where a peer is, and what it runs: "192.0.2.7:6881 (Client 1.0)".
pub(crate) fn name(peer: &PeerDetail) -> String {
    let client: String = peer.client.chars().filter(|char| !char.is_control()).collect();
    match client.trim() {
        "" => peer.addr.to_string(),
        client => format!("{} ({client})", peer.addr),
    }
}

/// How the connection came about, and over what.
pub(crate) fn connection(peer: &PeerDetail) -> String {
    if peer.incoming {
        tr!("TCP, incoming")
    } else {
        tr!("TCP, outgoing")
    }
}

/// Why it sends us what it does, or nothing.
pub(crate) fn why_download(peer: &PeerDetail) -> String {
    let asked = peer.requests_out as u64;
    if !peer.am_interested {
        tr!("It has nothing that we want")
    } else if peer.snubbed {
        tr!("It has sent nothing for a minute, so others are asked")
    } else if peer.refusing {
        tr!("It refuses what it should let us have, and is left alone for a while")
    } else if peer.peer_choking && peer.download_rate == 0 {
        tr!("It serves others first")
    } else if asked == 0 && peer.download_rate == 0 {
        tr!("There is nothing to ask it for just now")
    } else if peer.download_rate < SLOW {
        tr_n!(
            asked,
            "It sends slowly: {n} block is asked for",
            "It sends slowly: {n} blocks are asked for"
        )
    } else {
        tr!("It sends what we ask for")
    }
}

/// Why we send it what we do, or nothing.
pub(crate) fn why_upload(peer: &PeerDetail) -> String {
    if !peer.peer_interested {
        tr!("It wants nothing of us")
    } else if peer.am_choking {
        tr!("It waits for a place among those that we serve")
    } else if peer.requests_in == 0 && peer.upload_rate == 0 {
        tr!("We would serve it, and it asks for nothing")
    } else if peer.optimistic {
        tr!("We serve it to see whether it gives something in return")
    } else {
        tr!("We serve it")
    }
}

/// The side of it that somebody waits for: what it sends us as long as we want something, else what we send it.
pub(crate) fn why(peer: &PeerDetail) -> String {
    if peer.am_interested {
        why_download(peer)
    } else {
        why_upload(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::peer;
    use super::*;

    fn wanted() -> PeerDetail {
        PeerDetail {
            am_interested: true,
            peer_choking: false,
            requests_out: 3,
            download_rate: 1 << 20,
            ..peer(1)
        }
    }

    #[test]
    fn each_way_to_send_nothing_has_its_reason() {
        type Change = fn(&mut PeerDetail);
        let cases: [(Change, &str); 8] = [
            (|_| (), "It sends what we ask for"),
            (|peer| peer.am_interested = false, "It has nothing that we want"),
            (
                |peer| peer.snubbed = true,
                "It has sent nothing for a minute, so others are asked",
            ),
            (
                |peer| peer.refusing = true,
                "It refuses what it should let us have, and is left alone for a while",
            ),
            (
                |peer| (peer.peer_choking, peer.download_rate) = (true, 0),
                "It serves others first",
            ),
            (
                |peer| (peer.requests_out, peer.download_rate) = (0, 0),
                "There is nothing to ask it for just now",
            ),
            (
                |peer| peer.download_rate = 100,
                "It sends slowly: 3 blocks are asked for",
            ),
            // By its allowed fast set.
            (|peer| peer.peer_choking = true, "It sends what we ask for"),
        ];
        for (change, expected) in cases {
            let mut peer = wanted();
            change(&mut peer);
            assert_eq!(why_download(&peer), expected);
        }
    }

    #[test]
    fn each_way_to_serve_has_its_words() {
        let mut peer = peer(1);
        assert_eq!(why_upload(&peer), "It wants nothing of us");
        peer.peer_interested = true;
        assert_eq!(
            why_upload(&peer),
            "It waits for a place among those that we serve"
        );
        peer.am_choking = false;
        assert_eq!(why_upload(&peer), "We would serve it, and it asks for nothing");
        peer.requests_in = 2;
        assert_eq!(why_upload(&peer), "We serve it");
        peer.optimistic = true;
        assert!(why_upload(&peer).ends_with("in return"));
    }

    #[test]
    fn the_table_tells_of_the_side_that_matters() {
        assert_eq!(why(&wanted()), why_download(&wanted()));
        assert_eq!(why(&peer(1)), why_upload(&peer(1)));
    }

    #[test]
    fn every_letter_has_its_meaning() {
        let mut peer = wanted();
        (peer.incoming, peer.progress, peer.peer_interested) = (true, 1.0, true);
        assert_eq!(letters(&peer), "D u I C");
        assert_eq!(meanings(&peer).lines().count(), 4);
        for (letter, meaning) in flags(&peer) {
            assert!(meaning.starts_with(&format!("{letter}: ")), "{meaning}");
        }
        assert_eq!(connection(&peer), "TCP, incoming");
        (peer.am_choking, peer.optimistic, peer.peer_choking) = (false, true, true);
        (peer.snubbed, peer.refusing, peer.incoming) = (true, true, false);
        assert_eq!(letters(&peer), "d U O S R C");
        assert_eq!(connection(&peer), "TCP, outgoing");
    }
}
