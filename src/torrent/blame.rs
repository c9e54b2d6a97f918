//! Who sent a bad piece. Layer 2.
//!
//! A piece with a wrong hash that came from one peer is that peer's fault. If several sent blocks of it, the
//! digests of the blocks are kept until the piece was fetched well: whoever sent a block that differs from
//! the good one is guilty, and nobody else.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::geometry::PieceIndex;
use crate::peer::link::PeerKey;
use crate::storage::task::BlockDigest;

/// Failed attempts at one piece that are kept as evidence; a swarm that poisons more than this is not worth
/// the memory.
const MOST_ATTEMPTS: usize = 8;

/// Who sent a block. The address stays known when the connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Author {
    /// The connection.
    pub peer: PeerKey,
    /// The host at its other end.
    pub ip: IpAddr,
}

type Attempt = Vec<(Author, BlockDigest)>;

/// The evidence of one torrent.
#[derive(Debug, Default)]
pub struct Blame {
    attempts: BTreeMap<PieceIndex, Vec<Attempt>>,
}

impl Blame {
    /// Whether an earlier attempt at this piece failed, so that the digests of a good one are needed.
    pub fn is_open(&self, piece: PieceIndex) -> bool {
        self.attempts.contains_key(&piece)
    }

    /// The piece was bad. `authors` and `digests` go by block. Gives the guilty one if there can be only one.
    pub fn failed(
        &mut self,
        piece: PieceIndex,
        authors: &[Author],
        digests: Vec<BlockDigest>,
    ) -> Option<Author> {
        let first = *authors.first()?;
        if authors.iter().all(|author| author.ip == first.ip) {
            return Some(first);
        }
        let attempts = self.attempts.entry(piece).or_default();
        if attempts.len() < MOST_ATTEMPTS {
            attempts.push(authors.iter().copied().zip(digests).collect());
        }
        None
    }

    /// The piece is good now, with these digests by block. Gives everybody who sent a bad block before.
    pub fn verified(&mut self, piece: PieceIndex, good: &[BlockDigest]) -> Vec<Author> {
        let attempts = self.attempts.remove(&piece).unwrap_or_default();
        let mut guilty: Vec<_> = attempts
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
}
