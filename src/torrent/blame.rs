//! Who sent a bad piece. Layer 2.
//!
//! A piece with a wrong hash that came from one peer is that peer's fault. If several sent blocks of it, the
//! digests of the blocks are kept until the piece was fetched well: whoever sent a block that differs from
//! the good one is guilty, and nobody else.
//!
//! Until then one host alone is asked for the piece. Otherwise somebody who takes part in every attempt could
//! spoil them all and never be found out; alone, the second bad piece is its own for certain. A host that does
//! not go on gives its turn to the next, and gets another one when nobody else is left.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::bitfield::Bitfield;
use crate::geometry::PieceIndex;
use crate::peer::link::PeerKey;
use crate::storage::task::BlockDigest;

/// Failed attempts at one piece that are kept as evidence; a swarm that poisons more than this is not worth
/// the memory.
const MOST_ATTEMPTS: usize = 8;

/// Once nobody has taken a suspect piece for this long, all who had a turn may have another.
const NEXT_ROUND: Duration = Duration::from_secs(5);

/// Who sent a block. The address stays known when the connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Author {
    /// The connection.
    pub peer: PeerKey,
    /// The host at its other end.
    pub ip: IpAddr,
}

type Attempt = Vec<(Author, BlockDigest)>;

/// A piece of which an attempt failed and nobody knows yet by whose fault.
#[derive(Debug, Default)]
struct Suspect {
    attempts: Vec<Attempt>,
    /// Whose turn it is.
    owner: Option<IpAddr>,
    /// Who had a turn and did not go on.
    tried: Vec<IpAddr>,
    /// Since when it is nobody's turn, if that was noticed.
    idle_since: Option<Instant>,
}

impl Suspect {
    fn is_open_to(&self, ip: IpAddr) -> bool {
        self.owner
            .map_or_else(|| !self.tried.contains(&ip), |owner| owner == ip)
    }
}

/// The evidence of one torrent.
#[derive(Debug, Default)]
pub struct Blame {
    suspects: BTreeMap<PieceIndex, Suspect>,
}

impl Blame {
    /// Whether an earlier attempt at this piece failed, so that the digests of a good one are needed.
    pub fn is_open(&self, piece: PieceIndex) -> bool {
        self.suspects.contains_key(&piece)
    }

    /// The pieces of `has` that this host may be asked for; `None`: all of them.
    pub fn visible_to(&self, ip: IpAddr, has: &Bitfield) -> Option<Bitfield> {
        let mut visible = None;
        for (piece, _) in self
            .suspects
            .iter()
            .filter(|(_, suspect)| !suspect.is_open_to(ip))
        {
            visible.get_or_insert_with(|| has.clone()).remove(*piece);
        }
        visible
    }

    /// This host is being asked for the piece: if it is under suspicion, nobody else is.
    pub fn claim(&mut self, piece: PieceIndex, ip: IpAddr) {
        if let Some(suspect) = self.suspects.get_mut(&piece) {
            suspect.owner = Some(ip);
            suspect.idle_since = None;
        }
    }

    /// Whose turn it is, by piece.
    pub fn claims(&self) -> impl Iterator<Item = (PieceIndex, IpAddr)> + '_ {
        self.suspects
            .iter()
            .filter_map(|(piece, suspect)| Some((*piece, suspect.owner?)))
    }

    /// The host whose turn it was does not go on: it is the turn of another.
    pub fn pass_on(&mut self, piece: PieceIndex) {
        if let Some(suspect) = self.suspects.get_mut(&piece) {
            suspect.tried.extend(suspect.owner.take());
        }
    }

    /// Gives everybody another turn at the pieces that nobody takes any more.
    pub fn on_tick(&mut self, now: Instant) {
        for suspect in self
            .suspects
            .values_mut()
            .filter(|suspect| suspect.owner.is_none())
        {
            let since = *suspect.idle_since.get_or_insert(now);
            if now.saturating_duration_since(since) > NEXT_ROUND {
                suspect.tried.clear();
            }
        }
    }

    /// The piece was bad. `authors` and `digests` go by block. Gives the guilty one if there can be only one.
    pub fn failed(
        &mut self,
        piece: PieceIndex,
        authors: &[Author],
        digests: Vec<BlockDigest>,
    ) -> Option<Author> {
        self.pass_on(piece);
        let first = *authors.first()?;
        if authors.iter().all(|author| author.ip == first.ip) {
            return Some(first);
        }
        let suspect = self.suspects.entry(piece).or_default();
        if suspect.attempts.len() < MOST_ATTEMPTS {
            suspect
                .attempts
                .push(authors.iter().copied().zip(digests).collect());
        }
        None
    }

    /// The piece is good now, with these digests by block. Gives everybody who sent a bad block before.
    pub fn verified(&mut self, piece: PieceIndex, good: &[BlockDigest]) -> Vec<Author> {
        let suspect = self.suspects.remove(&piece).unwrap_or_default();
        let mut guilty: Vec<_> = suspect
            .attempts
            .iter()
            .flat_map(|attempt| attempt.iter().zip(good))
            .filter(|((_, digest), good)| digest != *good)
            .map(|((author, _), _)| *author)
            .collect();
        guilty.sort_unstable();
        guilty.dedup_by_key(|author| author.ip);
        guilty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: PieceIndex = PieceIndex(7);

    fn author(number: u8) -> Author {
        Author {
            peer: PeerKey(number.into()),
            ip: IpAddr::from([127, 0, 0, number]),
        }
    }

    #[test]
    fn a_lone_author_is_guilty_at_once() {
        let mut blame = Blame::default();
        assert_eq!(
            blame.failed(PIECE, &[author(1); 3], vec![[0; 20]; 3]),
            Some(author(1))
        );
        assert!(!blame.is_open(PIECE));
    }

    #[test]
    fn among_several_only_the_one_with_the_bad_block_is_guilty() {
        let mut blame = Blame::default();
        let authors = [author(1), author(2), author(3)];
        assert_eq!(
            blame.failed(PIECE, &authors, vec![[1; 20], [66; 20], [3; 20]]),
            None
        );
        assert!(blame.is_open(PIECE));
        // A second attempt fails by the same peer's fault.
        assert_eq!(
            blame.failed(
                PIECE,
                &[author(2), author(1), author(1)],
                vec![[66; 20], [2; 20], [3; 20]]
            ),
            None
        );
        assert_eq!(blame.verified(PIECE, &[[1; 20], [2; 20], [3; 20]]), [author(2)]);
        assert!(!blame.is_open(PIECE));
    }

    #[test]
    fn a_piece_under_suspicion_is_fetched_from_one_host_after_the_other() {
        let mut blame = Blame::default();
        let has = Bitfield::full(9);
        blame.claim(PIECE, author(1).ip);
        assert_eq!(
            blame.visible_to(author(2).ip, &has),
            None,
            "nothing is wrong with it yet"
        );
        blame.failed(PIECE, &[author(1), author(2)], vec![[1; 20], [2; 20]]);
        assert_eq!(
            blame.visible_to(author(2).ip, &has),
            None,
            "it is nobody's turn yet"
        );
        blame.claim(PIECE, author(1).ip);
        assert_eq!(blame.visible_to(author(1).ip, &has), None);
        let visible = blame.visible_to(author(2).ip, &has).unwrap();
        assert!(!visible.has(PIECE) && visible.count() == 8);
        assert_eq!(blame.claims().collect::<Vec<_>>(), [(PIECE, author(1).ip)]);

        blame.pass_on(PIECE);
        assert_eq!(blame.visible_to(author(2).ip, &has), None);
        assert!(blame.visible_to(author(1).ip, &has).is_some(), "it had its turn");
        let start = Instant::now();
        blame.on_tick(start);
        blame.on_tick(start + 2 * NEXT_ROUND);
        assert_eq!(blame.visible_to(author(1).ip, &has), None, "nobody else took it");
    }
}
