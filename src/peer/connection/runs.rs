//! Pieces that come in order are hashed as they come. A machine: layer 2.

use sha1::{Digest, Sha1};

use crate::geometry::{Geometry, PieceIndex};
use crate::peer::link::RunPart;

/// Hashes the runs of one connection ([`RunPart`]).
///
/// When a piece is whole its first blocks have long left the caches, and hashing it there costs more than twice what
/// it costs right behind the read. So what most peers send, one piece after the other from its first byte to its last,
/// is hashed by the reader. What comes in another order, or from several peers, is hashed when the piece is whole.
#[derive(Debug)]
pub(super) struct Runs {
    geometry: Geometry,
    run: Option<Run>,
    number: u64,
}

#[derive(Debug)]
struct Run {
    piece: u32,
    /// Where its next block begins.
    next: u32,
    hash: Sha1,
}

impl Runs {
    pub(super) fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            run: None,
            number: 0,
        }
    }

    /// A block has come: hashes it if it begins a run or goes on with the one that is under way.
    pub(super) fn block(&mut self, piece: u32, begin: u32, data: &[u8]) -> Option<RunPart> {
        let size = self.geometry.piece_size(PieceIndex(piece));
        if begin == 0 {
            self.number += 1;
            let hash = Sha1::new();
            self.run = Some(Run { piece, next: 0, hash });
        }
        let run = self.run.as_mut()?;
        let follows = (run.piece, run.next) == (piece, begin);
        let end = u64::from(begin) + data.len() as u64;
        if !follows || end > u64::from(size) {
            self.run = None;
            return None;
        }
        run.hash.update(data);
        run.next = end as u32;
        let is_whole = run.next == size;
        Some(RunPart {
            number: self.number,
            digest: self
                .run
                .take_if(|_| is_whole)
                .map(|run| run.hash.finalize().into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pieces of two blocks, and one of five bytes.
    fn runs() -> Runs {
        Runs::new(Geometry::new(2 * 32_768 + 5, 32_768).unwrap())
    }

    fn part(number: u64) -> Option<RunPart> {
        Some(RunPart { number, digest: None })
    }

    const HALF: [u8; 16_384] = [7; 16_384];

    fn digest(bytes: &[u8]) -> Option<[u8; 20]> {
        Some(Sha1::digest(bytes).into())
    }

    #[test]
    fn a_piece_that_comes_in_order_has_its_hash_with_its_last_block() {
        let mut runs = runs();
        for number in [1, 2] {
            assert_eq!(runs.block(number as u32 - 1, 0, &HALF), part(number));
            let last = runs.block(number as u32 - 1, 16_384, &HALF).unwrap();
            assert_eq!((last.number, last.digest), (number, digest(&[7; 32_768])));
        }
        assert_eq!(runs.block(2, 0, b"abcde").unwrap().digest, digest(b"abcde"));
    }

    #[test]
    fn what_does_not_follow_ends_the_run() {
        let mut runs = runs();
        assert_eq!(runs.block(0, 16_384, &HALF), None, "no run has begun");
        assert_eq!(runs.block(0, 0, &HALF), part(1));
        assert_eq!(runs.block(1, 16_384, &HALF), None, "another piece");
        assert_eq!(runs.block(0, 16_384, &HALF), None, "the run is over");
        assert_eq!(runs.block(0, 0, &HALF), part(2));
        assert_eq!(
            runs.block(0, 0, &HALF),
            part(3),
            "a block that comes twice is in two runs"
        );
        assert!(runs.block(0, 16_384, &HALF).unwrap().digest.is_some());
        assert_eq!(runs.block(0, 16_384, &HALF), None, "it came twice");
    }

    #[test]
    fn what_lies_outside_of_the_torrent_is_in_no_run() {
        let mut runs = runs();
        assert_eq!(runs.block(3, 0, &HALF), None);
        assert_eq!(runs.block(2, 0, b"abcdef"), None);
        assert_eq!(runs.block(u32::MAX, u32::MAX, &HALF), None);
        assert_eq!(runs.block(0, 0, b""), part(3));
    }
}
