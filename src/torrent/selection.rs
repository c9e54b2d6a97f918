//! What a choice of files means for the pieces. Layer 2.
//!
//! Priorities go by file, in the order of [`Layout::files`]; an empty list means that all are normal.

use crate::bitfield::Bitfield;
use crate::engine::api::Priority;
use crate::geometry::PieceIndex;
use crate::storage::layout::{FileIndex, Layout};

/// The priority of each piece: the highest of the files that it touches. One that holds only padding is
/// fetched like the others.
pub fn piece_priorities(layout: &Layout, priorities: &[Priority]) -> Vec<Priority> {
    let pieces = layout.geometry().piece_count() as usize;
    if priorities.is_empty() {
        return vec![Priority::Normal; pieces];
    }
    let mut by_piece: Vec<Option<Priority>> = vec![None; pieces];
    for (file, _) in layout.numbered() {
        let priority = priorities.get(file.get()).copied().unwrap_or_default();
        for piece in layout.pieces_of_file(file) {
            let slot = &mut by_piece[piece as usize];
            *slot = (*slot).max(Some(priority));
        }
    }
    by_piece.into_iter().map(Option::unwrap_or_default).collect()
}

/// The files that are wanted.
pub fn wanted_files(layout: &Layout, priorities: &[Priority]) -> Vec<FileIndex> {
    let wanted = |file: &FileIndex| priorities.get(file.get()) != Some(&Priority::Skip);
    layout.numbered().map(|(file, _)| file).filter(wanted).collect()
}

/// Bytes of the pieces that are wanted, and of those among them that are missing.
pub fn wanted_and_left(layout: &Layout, priorities: &[Priority], have: &Bitfield) -> (u64, u64) {
    let geometry = layout.geometry();
    let (mut wanted, mut left) = (0, 0);
    for (piece, priority) in geometry.pieces().zip(piece_priorities(layout, priorities)) {
        if priority != Priority::Skip {
            let size = u64::from(geometry.piece_size(piece));
            wanted += size;
            left += if have.has(piece) { 0 } else { size };
        }
    }
    (wanted, left)
}

/// Bytes of a file that lie in verified pieces.
pub fn verified_bytes(layout: &Layout, file: FileIndex, have: &Bitfield) -> u64 {
    let Some(bytes) = layout.files().get(file.get()).map(|file| file.bytes()) else {
        return 0;
    };
    if have.is_full() {
        return bytes.end - bytes.start;
    }
    let of_piece = |piece| {
        let piece = layout.piece_bytes(piece);
        piece
            .end
            .min(bytes.end)
            .saturating_sub(piece.start.max(bytes.start))
    };
    layout
        .pieces_of_file(file)
        .map(PieceIndex)
        .filter(|&piece| have.has(piece))
        .map(of_piece)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::fixture::info_of_files;

    /// Pieces of 16 KiB; files of 20,000, 0, 10,000 and 30,000 bytes.
    fn layout() -> Layout {
        Layout::new(&info_of_files(16_384, &[20_000, 0, 10_000, 30_000]))
    }

    #[test]
    fn a_piece_has_the_highest_priority_of_its_files() {
        use Priority::{High, Low, Normal, Skip};
        assert_eq!(piece_priorities(&layout(), &[]), [Normal; 4]);
        assert_eq!(
            piece_priorities(&layout(), &[Skip, High, Low, Skip]),
            [Skip, Low, Skip, Skip]
        );
        assert_eq!(
            piece_priorities(&layout(), &[Low, Skip, Skip, High]),
            [Low, High, High, High]
        );
    }

    #[test]
    fn bytes_are_counted_by_piece_and_by_file() {
        let layout = layout();
        let mut have = Bitfield::empty(4);
        have.insert(PieceIndex(1));
        assert_eq!(wanted_and_left(&layout, &[], &have), (60_000, 60_000 - 16_384));
        let skip_last = [
            Priority::Normal,
            Priority::Normal,
            Priority::Normal,
            Priority::Skip,
        ];
        assert_eq!(wanted_and_left(&layout, &skip_last, &have), (2 * 16_384, 16_384));
        let by_file: Vec<_> = layout
            .numbered()
            .map(|(file, _)| verified_bytes(&layout, file, &have))
            .collect();
        assert_eq!(by_file, [20_000 - 16_384, 0, 10_000, 2 * 16_384 - 30_000]);
    }
}
