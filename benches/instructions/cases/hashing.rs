//! SHA-1 of 1 MiB. valgrind tells a program that the processor has no instructions for it, so that it is the portable
//! way that is counted; what the processor's own take is for a clock to say.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::AtomicBool;

use dtorrent::geometry::{BLOCK_LENGTH, Geometry};
use dtorrent::hashing::hash_pieces;
use dtorrent::id::sha1_of;

/// What one run hashes.
pub(crate) const KIB: u32 = 1024;

/// A piece as it is checked and created, by the calling thread alone.
pub(crate) fn piece(times: u32) {
    let geometry = Geometry::new(u64::from(KIB) * 1024, KIB * 1024).expect("a piece has a length");
    for _ in 0..times {
        let read = |_, _, buffer: &mut [u8]| {
            black_box(buffer);
            Ok::<_, Infallible>(())
        };
        let on_piece = |_, digest| {
            let _ = black_box(digest);
        };
        assert!(hash_pieces(geometry, 1, read, on_piece, &AtomicBool::new(false)));
    }
}

/// Each block for itself, as they are when it is in question who sent a bad one.
pub(crate) fn blocks(times: u32) {
    let data = vec![7; KIB as usize * 1024];
    for _ in 0..times {
        for block in data.chunks(BLOCK_LENGTH as usize) {
            black_box(sha1_of(black_box(block)));
        }
    }
}
