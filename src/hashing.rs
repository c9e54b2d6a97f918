//! SHA-1 of all pieces of a torrent, on all cores. Layer 3: it starts threads, but what they read is up to
//! the caller. Creating and verifying a torrent are this one loop.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use sha1::{Digest, Sha1};

use crate::geometry::{Geometry, PieceIndex};

/// Bytes read and hashed at a time. They are still in the core's own cache when they are hashed, and a piece
/// of any length costs a thread no more memory than this.
pub const SLICE_LENGTH: u32 = 256 * 1024;

/// As many threads as there are cores that we may use.
pub fn all_cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Hashes every piece and gives the digest of each to `on_piece`, from several threads and in no fixed order.
/// Says whether it came to the end: `false` if `cancelled` was set before.
///
/// `read(piece, begin, buffer)` fills the buffer with the bytes of the piece from `begin` on. Within one piece
/// it is called in order and by one thread, with at most [`SLICE_LENGTH`] bytes. Its error ends that piece and
/// goes to `on_piece`; the other pieces go on.
///
/// The calling thread is one of the `threads`. Pieces are taken in order, so a disk sees nearly sequential reads.
pub fn hash_pieces<E>(
    geometry: Geometry,
    threads: usize,
    read: impl Fn(PieceIndex, u32, &mut [u8]) -> Result<(), E> + Sync,
    on_piece: impl Fn(PieceIndex, Result<[u8; 20], E>) + Sync,
    cancelled: &AtomicBool,
) -> bool {
    let next = AtomicU32::new(0);
    let work = || {
        let mut buffer = vec![0; SLICE_LENGTH.min(geometry.piece_length()) as usize];
        // Each number is given out once; the counter cannot wrap, as a thread stops at its first number that
        // is past the end.
        while let Some(piece) = geometry.check_piece(next.fetch_add(1, Ordering::Relaxed)) {
            match hash_piece(geometry, piece, &mut buffer, &read, cancelled) {
                Some(result) => on_piece(piece, result),
                None => return false,
            }
        }
        true
    };
    let helpers = threads.min(geometry.piece_count() as usize).saturating_sub(1);
    thread::scope(|scope| {
        let started: Vec<_> = (0..helpers)
            .map_while(|number| {
                let name = format!("hash-{number}");
                // Where no thread can be had, those that run take its pieces.
                thread::Builder::new().name(name).spawn_scoped(scope, work).ok()
            })
            .collect();
        let own = work();
        started
            .into_iter()
            .fold(own, |complete, thread| match thread.join() {
                Ok(theirs) => complete && theirs,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })
}

/// `None` if it was cancelled on the way.
fn hash_piece<E>(
    geometry: Geometry,
    piece: PieceIndex,
    buffer: &mut [u8],
    read: &impl Fn(PieceIndex, u32, &mut [u8]) -> Result<(), E>,
    cancelled: &AtomicBool,
) -> Option<Result<[u8; 20], E>> {
    let size = geometry.piece_size(piece);
    let mut hasher = Sha1::new();
    let mut begin = 0;
    while begin < size {
        if cancelled.load(Ordering::Relaxed) {
            return None;
        }
        let length = SLICE_LENGTH.min(size - begin);
        let slice = &mut buffer[..length as usize];
        if let Err(error) = read(piece, begin, slice) {
            return Some(Err(error));
        }
        hasher.update(slice);
        begin += length;
    }
    Some(Ok(hasher.finalize().into()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    /// Byte `at` of the made-up torrent.
    fn byte(at: u64) -> u8 {
        (at * 31 + at / 251) as u8
    }

    fn fill(geometry: Geometry, piece: PieceIndex, begin: u32, buffer: &mut [u8]) {
        let start = geometry.piece_offset(piece) + u64::from(begin);
        for (at, out) in (start..).zip(buffer) {
            *out = byte(at);
        }
    }

    fn digests(geometry: Geometry, threads: usize) -> BTreeMap<u32, [u8; 20]> {
        let found = Mutex::new(BTreeMap::new());
        let complete = hash_pieces(
            geometry,
            threads,
            |piece, begin, buffer| {
                fill(geometry, piece, begin, buffer);
                Ok::<_, std::convert::Infallible>(())
            },
            |piece, digest| {
                let before = found.lock().unwrap().insert(piece.0, digest.unwrap());
                assert_eq!(before, None, "{piece} came twice");
            },
            &AtomicBool::new(false),
        );
        assert!(complete);
        found.into_inner().unwrap()
    }

    fn expected(geometry: Geometry) -> BTreeMap<u32, [u8; 20]> {
        let bytes: Vec<u8> = (0..geometry.total_length()).map(byte).collect();
        let pieces = bytes.chunks(geometry.piece_length() as usize);
        (0..)
            .zip(pieces.map(|piece| Sha1::digest(piece).into()))
            .collect()
    }

    #[test]
    fn pieces_longer_than_a_slice_are_read_in_slices() {
        let geometry = Geometry::new(1_500_001, 2 * SLICE_LENGTH + 3).unwrap();
        assert_eq!(digests(geometry, 3), expected(geometry));
    }

    #[test]
    fn no_pieces_no_calls() {
        assert_eq!(digests(Geometry::new(0, 16_384).unwrap(), 4), BTreeMap::new());
    }

    #[test]
    fn a_failed_read_costs_only_its_piece() {
        let geometry = Geometry::new(10 * 1000, 1000).unwrap();
        let found = Mutex::new(BTreeMap::new());
        let complete = hash_pieces(
            geometry,
            2,
            |piece, _, _| if piece.0 == 4 { Err("gone") } else { Ok(()) },
            |piece, result| {
                found.lock().unwrap().insert(piece.0, result.err());
            },
            &AtomicBool::new(false),
        );
        assert!(complete);
        let wrong: Vec<_> = found.into_inner().unwrap().into_iter().collect();
        let want: Vec<_> = (0..10)
            .map(|piece| (piece, (piece == 4).then_some("gone")))
            .collect();
        assert_eq!(wrong, want);
    }

    #[test]
    fn cancelling_stops_within_a_piece() {
        let geometry = Geometry::new(u64::from(64 * SLICE_LENGTH), 64 * SLICE_LENGTH).unwrap();
        let cancelled = AtomicBool::new(false);
        let reads = AtomicU32::new(0);
        let complete = hash_pieces(
            geometry,
            1,
            |_, begin, _| {
                reads.fetch_add(1, Ordering::Relaxed);
                cancelled.store(begin >= SLICE_LENGTH, Ordering::Relaxed);
                Ok::<_, ()>(())
            },
            |piece, _| panic!("{piece} was not whole"),
            &cancelled,
        );
        assert!(!complete);
        assert_eq!(reads.into_inner(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn threads_change_nothing(total in 0u64..200_000, piece_length in 500u32..50_000, threads in 0usize..5) {
            let geometry = Geometry::new(total, piece_length).unwrap();
            prop_assert_eq!(digests(geometry, threads), expected(geometry));
        }
    }
}
