//! SHA-1 of all pieces of a torrent, on all cores, and several at a time on each. Layer 3: it starts threads, but what
//! they read is up to the caller. Creating and verifying a torrent are this one loop.

use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use crate::geometry::{Geometry, PieceIndex};
use interleave::{ABREAST, Hasher, update_all};

pub mod interleave;

/// Most bytes of a piece that are read at a time. So much of each piece that a thread has in its hands is still in the
/// core's own cache when it is hashed, and pieces of any length cost a thread no more memory than [`ABREAST`] of these.
pub const SLICE_LENGTH: u32 = 128 * 1024;

/// As many threads as there are cores that we may use.
pub fn all_cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Hashes every piece and gives the digest of each to `on_piece`, from several threads and in no fixed order.
/// Says whether it came to the end: `false` if `cancelled` was set before.
///
/// `read(piece, begin, buffer)` fills the buffer with the bytes of the piece from `begin` on. Within one piece
/// it is called in order and by one thread, with at most [`SLICE_LENGTH`] bytes, but in turn for several pieces that
/// follow each other. Its error ends that piece and goes to `on_piece`; the other pieces go on.
///
/// The calling thread is one of the `threads`. Pieces are begun in order: who wants a disk to see that asks for all of
/// a piece when its `begin` is 0.
pub fn hash_pieces<E>(
    geometry: Geometry,
    threads: usize,
    read: impl Fn(PieceIndex, u32, &mut [u8]) -> Result<(), E> + Sync,
    on_piece: impl Fn(PieceIndex, Result<[u8; 20], E>) + Sync,
    cancelled: &AtomicBool,
) -> bool {
    let next = AtomicU32::new(0);
    let threads = threads.clamp(1, geometry.piece_count().max(1) as usize);
    let work = || {
        let mut buffers = Vec::new();
        while let Some(pieces) = take_pieces(geometry, threads, &next) {
            let group = pieces.map(|piece| (PieceIndex(piece), geometry.piece_size(PieceIndex(piece))));
            if !hash_side_by_side(group, &mut buffers, &read, &on_piece, cancelled) {
                return false;
            }
        }
        true
    };
    thread::scope(|scope| {
        let started: Vec<_> = (1..threads)
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

/// The next pieces for one of the threads: fewer at the end, so that none stands idle while another has several left.
fn take_pieces(geometry: Geometry, threads: usize, next: &AtomicU32) -> Option<Range<u32>> {
    let after = |first: u32| {
        let left = geometry.piece_count().saturating_sub(first);
        let share = (left as usize).div_ceil(threads).min(ABREAST);
        (share > 0).then(|| first + share as u32)
    };
    let first = next
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, after)
        .ok()?;
    after(first).map(|end| first..end)
}

/// A message that is being hashed, and what it is called.
struct Begun<K> {
    name: K,
    size: u32,
    /// Where the next slice begins.
    at: u32,
    /// What was read last.
    slice: Vec<u8>,
    hasher: Hasher,
}

impl<K: Copy> Begun<K> {
    fn read_next<E>(&mut self, read: &mut impl FnMut(K, u32, &mut [u8]) -> Result<(), E>) -> Result<(), E> {
        let length = SLICE_LENGTH.min(self.size - self.at);
        self.slice.resize(length as usize, 0);
        read(self.name, self.at, &mut self.slice)?;
        self.at += length;
        Ok(())
    }
}

/// Hashes a few messages, each with a name and its length in bytes, on the calling thread, which is quickest with
/// [`ABREAST`] of them. Says whether it came to the end: `false` if `cancelled` was set before.
///
/// `read` and `on_whole` are called as by [`hash_pieces`]. `buffers` are those of the last call, to be used again.
pub fn hash_side_by_side<K: Copy, E>(
    messages: impl IntoIterator<Item = (K, u32)>,
    buffers: &mut Vec<Vec<u8>>,
    mut read: impl FnMut(K, u32, &mut [u8]) -> Result<(), E>,
    mut on_whole: impl FnMut(K, Result<[u8; 20], E>),
    cancelled: &AtomicBool,
) -> bool {
    let begin = |(name, size)| Begun {
        name,
        size,
        at: 0,
        slice: buffers.pop().unwrap_or_default(),
        hasher: Hasher::new(),
    };
    let mut begun: Vec<_> = messages.into_iter().map(begin).collect();
    while !begun.is_empty() {
        if cancelled.load(Ordering::Relaxed) {
            return false;
        }
        begun.retain_mut(|one| {
            let result = one.read_next(&mut read);
            result.map_err(|error| on_whole(one.name, Err(error))).is_ok()
        });
        let mut parts: Vec<_> = begun
            .iter_mut()
            .map(|one| (&mut one.hasher, &one.slice[..]))
            .collect();
        update_all(&mut parts);
        for whole in begun.extract_if(.., |one| one.at == one.size) {
            on_whole(whole.name, Ok(whole.hasher.finish()));
            buffers.push(whole.slice);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use proptest::prelude::*;
    use sha1::{Digest, Sha1};

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
