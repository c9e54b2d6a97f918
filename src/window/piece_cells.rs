//! What the piece map shows: the state of each piece, and how pieces share the cells of a grid. Layer 4, without widgets.
//!
//! A cell stands for one piece as long as all of them fit, else for several in a row. Then its kind is that of the piece
//! that matters most, and how far it is filled tells the share that is verified.

use std::ops::Range;
use std::sync::Arc;

use dtorrent::bitfield::Bitfield;
use dtorrent::engine::api::{OpenPiece, Priority, TorrentDetails};
use dtorrent::geometry::PieceIndex;
use dtorrent::sentence::printable;

use super::i18n::{tr, tr_n};
use super::peer_words;

/// Steps in which a cell fills.
pub(crate) const LEVELS: u32 = 8;

/// Names of files that are told of a cell.
const MOST_NAMES: usize = 3;

/// Peers that are named of those that have a piece.
const MOST_PEERS: usize = 3;

/// How a piece stands. Those that matter more to somebody who looks for what is wrong come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Verified and on disk.
    Have,
    /// Neither here nor wanted.
    Unwanted,
    /// Wanted, and many peers have it.
    Missing,
    /// Wanted, and much fewer peers have it than others.
    Rare,
    /// Wanted, and nobody who is connected has it.
    Absent,
    /// It is being received, or checked.
    InFlight,
    /// It came with a wrong hash and has not come well since.
    Suspect,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Have,
        Self::InFlight,
        Self::Missing,
        Self::Rare,
        Self::Absent,
        Self::Suspect,
        Self::Unwanted,
    ];

    /// What it is called in the legend.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Have => tr!("Verified"),
            Self::InFlight => tr!("On its way"),
            Self::Missing => tr!("Missing"),
            Self::Rare => tr!("Rare"),
            Self::Absent => tr!("At nobody"),
            Self::Suspect => tr!("Failed its check"),
            Self::Unwanted => tr!("Not wanted"),
        }
    }
}

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    /// `0..=LEVELS`: the share that is verified, or of one piece the share that is here.
    pub(crate) filled: u32,
}

/// Neighbours in a row of the grid that look the same.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: u32,
    pub(crate) length: u32,
    pub(crate) cell: Cell,
}

/// The pieces of one torrent as they are now.
#[derive(Debug)]
pub(crate) struct Pieces {
    details: Arc<TorrentDetails>,
    /// Of each piece. There may be hundreds of thousands, so each is looked at once.
    kinds: Vec<Kind>,
}

impl Pieces {
    /// `None` if the engine's list of pieces is not as long as it says, which would be a mistake of ours.
    pub(crate) fn new(details: &Arc<TorrentDetails>) -> Option<Self> {
        let map = &details.map;
        let have = Bitfield::from_bytes(&details.pieces, details.piece_count)?;
        let wanted = wanted(details);
        let sum: u64 = map.availability.iter().map(|&count| u64::from(count)).sum();
        let mean = sum as f64 / map.availability.len().max(1) as f64;
        let kind = |number: u32| {
            let piece = PieceIndex(number);
            match map.peers_with(number) {
                _ if have.has(piece) => Kind::Have,
                _ if !wanted.has(piece) => Kind::Unwanted,
                // Of a torrent that stands still nothing can be said.
                0 if !map.availability.is_empty() => Kind::Absent,
                peers if f64::from(peers) * 2.0 < mean => Kind::Rare,
                _ => Kind::Missing,
            }
        };
        let mut kinds: Vec<Kind> = (0..details.piece_count).map(kind).collect();
        let open = map.open.iter().map(|open| (open.piece, Kind::InFlight));
        let suspect = map.suspect.iter().map(|piece| (*piece, Kind::Suspect));
        for (piece, special) in open.chain(suspect) {
            if let Some(kind) = kinds.get_mut(piece as usize).filter(|kind| **kind != Kind::Have) {
                *kind = special;
            }
        }
        Some(Self {
            kinds,
            details: Arc::clone(details),
        })
    }

    pub(crate) fn len(&self) -> u32 {
        self.kinds.len() as u32
    }

    fn open(&self, piece: u32) -> Option<&OpenPiece> {
        let open = &self.details.map.open;
        let at = open.binary_search_by_key(&piece, |open| open.piece).ok()?;
        open.get(at)
    }

    pub(crate) fn kind(&self, piece: u32) -> Kind {
        self.kinds.get(piece as usize).copied().unwrap_or(Kind::Unwanted)
    }

    /// How many pieces there are of each kind, in the order of [`Kind::ALL`].
    pub(crate) fn counts(&self) -> [(Kind, u32); 7] {
        let mut counts = [0; Kind::ALL.len()];
        self.kinds.iter().for_each(|kind| counts[*kind as usize] += 1);
        Kind::ALL.map(|kind| (kind, counts[kind as usize]))
    }

    /// The cell that stands for these pieces.
    pub(crate) fn cell(&self, pieces: Range<u32>) -> Cell {
        let kinds = || pieces.clone().map(|piece| self.kind(piece));
        let kind = kinds().max().unwrap_or(Kind::Unwanted);
        let total = pieces.end.saturating_sub(pieces.start).max(1);
        let (part, whole) = match (total, self.open(pieces.start)) {
            (1, Some(open)) if kind != Kind::Have => (open.received, open.total.max(1)),
            _ => (kinds().filter(|kind| *kind == Kind::Have).count() as u32, total),
        };
        // Full means all of it, and not empty that there is something.
        let filled = (u64::from(part) * u64::from(LEVELS)).div_ceil(u64::from(whole)) as u32;
        let most = if part < whole { LEVELS - 1 } else { LEVELS };
        Cell {
            kind,
            filled: filled.min(most),
        }
    }

    /// All that is known of these pieces, as one sentence: "Piece 3 · talk.ogg · on its way, 5 of 16 blocks · 1 peer has
    /// it: 192.0.2.7:6881 (Client 1.0)".
    pub(crate) fn describe(&self, pieces: Range<u32>) -> String {
        let last = pieces.end.saturating_sub(1);
        let mut parts = Vec::new();
        if pieces.start == last {
            parts.push(tr!("Piece {number}", number = last));
        } else {
            parts.push(tr!("Pieces {first} to {last}", first = pieces.start, last = last));
        }
        parts.extend(self.names(&pieces));
        if pieces.start == last {
            parts.push(self.describe_state(last));
            parts.push(self.describe_peers(last));
        } else {
            for kind in Kind::ALL {
                let count = pieces.clone().filter(|piece| self.kind(*piece) == kind).count();
                if count > 0 {
                    parts.push(format!("{}: {count}", kind.name()));
                }
            }
            let fewest = pieces.map(|piece| self.details.map.peers_with(piece)).min();
            let fewest = u64::from(fewest.unwrap_or_default());
            parts.push(tr_n!(fewest, "the rarest at {n} peer", "the rarest at {n} peers"));
        }
        parts.join(" · ")
    }

    fn describe_state(&self, piece: u32) -> String {
        match (self.kind(piece), self.open(piece)) {
            (Kind::InFlight, Some(open)) if open.received == open.total => tr!("whole, being checked"),
            (_, Some(open)) => tr!(
                "on its way, {here} of {all} blocks here, {asked} asked for",
                here = open.received,
                all = open.total,
                asked = open.requested
            ),
            (Kind::Suspect, None) => tr!("failed its check, fetched again from one peer at a time"),
            (Kind::Have, None) => tr!("verified"),
            (Kind::Unwanted, None) => tr!("not wanted"),
            (_, None) => tr!("missing"),
        }
    }

    /// How many peers have a piece, and who the first few of them are.
    fn describe_peers(&self, piece: u32) -> String {
        let peers = &self.details.peers;
        let mut holders = peers.iter().filter(|peer| peer.pieces.has(PieceIndex(piece)));
        let first: Vec<String> = holders.by_ref().take(MOST_PEERS).map(peer_words::name).collect();
        let more = holders.count();
        // The map counts no further than 255.
        let n = u64::from(self.details.map.peers_with(piece)).max((first.len() + more) as u64);
        if n == 0 {
            return tr!("no connected peer has it");
        }
        if first.is_empty() {
            return tr_n!(n, "{n} peer has it", "{n} peers have it");
        }
        let mut names = first.join(", ");
        if more > 0 {
            names = tr!("{names} and {n} more", names = names, n = more);
        }
        tr_n!(
            n,
            "{n} peer has it: {names}",
            "{n} peers have it: {names}",
            names = names
        )
    }

    /// The files that these pieces are of.
    fn names(&self, pieces: &Range<u32>) -> Option<String> {
        let touches = |of: &Range<u32>| of.start < pieces.end && pieces.start < of.end;
        let mut names = self
            .details
            .files
            .iter()
            .filter(|file| touches(&file.pieces))
            .filter_map(|file| file.path.last());
        let first: Vec<_> = (names.by_ref().take(MOST_NAMES))
            .map(|name| printable(name))
            .collect();
        let listed = first.join(", ");
        match names.count() as u64 {
            _ if first.is_empty() => None,
            0 => Some(listed),
            more => Some(tr_n!(
                more,
                "{names} and {n} file more",
                "{names} and {n} files more",
                names = listed
            )),
        }
    }
}

fn wanted(details: &TorrentDetails) -> Bitfield {
    if details.files.iter().all(|file| file.priority != Priority::Skip) {
        return Bitfield::full(details.piece_count);
    }
    let mut wanted = Bitfield::empty(details.piece_count);
    for file in details
        .files
        .iter()
        .filter(|file| file.priority != Priority::Skip)
    {
        for piece in file.pieces.clone() {
            wanted.insert(PieceIndex(piece));
        }
    }
    wanted
}

/// How pieces are laid out in a width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pieces: u32,
    columns: u32,
    cells: u32,
    /// Pixels from one cell to the next.
    pub(crate) pitch: u32,
}

/// Pixels from one cell to the next, from the largest that looks well to the smallest that can be pointed at.
const PITCHES: [u32; 5] = [20, 16, 12, 10, 8];

/// Rows of the largest cells that may be used before smaller ones are, and of the smallest.
const ROWS: u32 = 6;
const MOST_ROWS: u32 = 12;

impl Grid {
    /// The grid for so many pieces in a width of so many pixels.
    pub(crate) fn new(pieces: u32, width: u32) -> Self {
        let columns = |pitch: u32| (width / pitch).max(1);
        let smallest = PITCHES[PITCHES.len() - 1];
        let fits = |pitch: &&u32| columns(**pitch) * ROWS >= pieces;
        let pitch = PITCHES.iter().find(fits).copied().unwrap_or(smallest);
        Self {
            pieces,
            columns: columns(pitch),
            cells: pieces.min(columns(pitch) * MOST_ROWS),
            pitch,
        }
    }

    pub(crate) fn cells(&self) -> u32 {
        self.cells
    }

    pub(crate) fn columns(&self) -> u32 {
        self.columns
    }

    /// Pixels.
    pub(crate) fn height(&self) -> u32 {
        self.cells.div_ceil(self.columns).max(1) * self.pitch
    }

    /// The pieces that a cell stands for.
    pub(crate) fn pieces_of(&self, cell: u32) -> Range<u32> {
        let at = |cell: u32| {
            let pieces = u64::from(cell) * u64::from(self.pieces) / u64::from(self.cells.max(1));
            pieces as u32
        };
        at(cell)..at(cell + 1)
    }

    /// Where a cell is, in pixels.
    pub(crate) fn place(&self, cell: u32) -> (u32, u32) {
        (
            (cell % self.columns) * self.pitch,
            (cell / self.columns) * self.pitch,
        )
    }

    /// The cell at a place.
    pub(crate) fn cell_at(&self, x: f64, y: f64) -> Option<u32> {
        let (column, row) = (x / f64::from(self.pitch), y / f64::from(self.pitch));
        if column < 0.0 || row < 0.0 || column >= f64::from(self.columns) {
            return None;
        }
        let cell = (row as u32)
            .checked_mul(self.columns)?
            .checked_add(column as u32)?;
        (cell < self.cells).then_some(cell)
    }

    /// What is to be drawn, row by row.
    pub(crate) fn runs(&self, pieces: &Pieces) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for number in 0..self.cells {
            let cell = pieces.cell(self.pieces_of(number));
            match runs.last_mut() {
                Some(run) if run.cell == cell && !number.is_multiple_of(self.columns) => run.length += 1,
                _ => runs.push(Run {
                    start: number,
                    length: 1,
                    cell,
                }),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use dtorrent::engine::api::PieceMap;

    use super::super::fixture::{details, file, peer};
    use super::*;

    /// Ten pieces; 0 to 3 verified, and 4 on its way.
    fn ten() -> TorrentDetails {
        TorrentDetails {
            map: PieceMap {
                availability: [4, 4, 4, 4, 4, 4, 1, 0, 4, 4].into(),
                open: vec![OpenPiece {
                    piece: 4,
                    received: 3,
                    requested: 1,
                    total: 4,
                }],
                suspect: vec![5],
            },
            pieces: [0b1111_0000, 0].into(),
            files: vec![
                file(&["t", "a"], 0..6, Priority::Normal),
                file(&["t", "b"], 5..9, Priority::High),
                file(&["t", "c"], 9..10, Priority::Skip),
            ],
            ..details(10)
        }
    }

    fn pieces(details: TorrentDetails) -> Pieces {
        Pieces::new(&Arc::new(details)).unwrap()
    }

    #[test]
    fn each_piece_is_of_one_kind() {
        use Kind::{Absent, Have, InFlight, Missing, Rare, Suspect, Unwanted};
        let ten = pieces(ten());
        let kinds: Vec<_> = (0..10).map(|piece| ten.kind(piece)).collect();
        assert_eq!(
            kinds,
            [
                Have, Have, Have, Have, InFlight, Suspect, Rare, Absent, Missing, Unwanted
            ]
        );
        let counts: Vec<_> = ten.counts().into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [4, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn while_nobody_is_connected_nothing_is_at_nobody() {
        let mut details = ten();
        details.map = PieceMap::default();
        let pieces = pieces(details);
        assert_eq!((pieces.kind(6), pieces.kind(9)), (Kind::Missing, Kind::Unwanted));
        assert!(pieces.describe(6..7).ends_with("no connected peer has it"));
    }

    #[test]
    fn nothing_is_rare_where_all_is_equally_so() {
        let mut details = ten();
        details.map.availability = [1; 10].into();
        assert_eq!(pieces(details).kind(6), Kind::Missing);
    }

    #[test]
    fn a_cell_of_several_pieces_shows_what_matters_most() {
        let ten = pieces(ten());
        let cell = |kind, filled| Cell { kind, filled };
        assert_eq!(ten.cell(0..4), cell(Kind::Have, LEVELS));
        assert_eq!(ten.cell(3..4), cell(Kind::Have, LEVELS));
        assert_eq!(ten.cell(4..5), cell(Kind::InFlight, 6));
        assert_eq!(ten.cell(3..5), cell(Kind::InFlight, 4));
        assert_eq!(ten.cell(4..8), cell(Kind::Suspect, 0));
        assert_eq!(ten.cell(6..9), cell(Kind::Absent, 0));
        assert_eq!(ten.cell(0..0), cell(Kind::Unwanted, 0));
    }

    #[test]
    fn neighbours_that_look_the_same_are_one_run_within_a_row() {
        let ten = pieces(ten());
        let grid = Grid::new(10, 60);
        assert_eq!((grid.columns(), grid.cells(), grid.pitch), (3, 10, 20));
        let runs: Vec<_> = grid
            .runs(&ten)
            .iter()
            .map(|run| (run.start, run.length))
            .collect();
        assert_eq!(
            runs,
            [(0, 3), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (9, 1)]
        );
        let mut whole = super::tests::ten();
        whole.pieces = [0xff, 0b1100_0000].into();
        let grid = Grid::new(10, 700);
        assert_eq!(grid.runs(&pieces(whole)).len(), 1);
    }

    #[test]
    fn cells_stand_for_all_pieces_in_order_however_many_there_are() {
        for (count, width) in [
            (0, 300),
            (1, 300),
            (25, 300),
            (1_000, 300),
            (5_000, 760),
            (1_000_000, 340),
            (9, 0),
        ] {
            let grid = Grid::new(count, width);
            let mut next = 0;
            for cell in 0..grid.cells() {
                let pieces = grid.pieces_of(cell);
                assert!(
                    pieces.start == next && !pieces.is_empty(),
                    "{count} in {width}: {pieces:?}"
                );
                next = pieces.end;
                let (x, y) = grid.place(cell);
                assert_eq!(grid.cell_at(f64::from(x) + 0.5, f64::from(y) + 0.5), Some(cell));
            }
            assert_eq!(next, count);
            assert!(grid.height() <= MOST_ROWS * PITCHES[0]);
            assert_eq!(grid.cell_at(-1.0, 0.0), None);
            assert_eq!(grid.cell_at(0.0, f64::from(grid.height()) + 1.0), None);
        }
    }

    #[test]
    fn a_piece_is_told_in_a_sentence() {
        let ten = pieces(ten());
        let cases = [
            (0..1, "Piece 0 · a · verified · 4 peers have it"),
            (
                4..5,
                "Piece 4 · a · on its way, 3 of 4 blocks here, 1 asked for · 4 peers have it",
            ),
            (
                5..6,
                "Piece 5 · a, b · failed its check, fetched again from one peer at a time · 4 peers have it",
            ),
            (6..7, "Piece 6 · b · missing · 1 peer has it"),
            (7..8, "Piece 7 · b · missing · no connected peer has it"),
            (9..10, "Piece 9 · c · not wanted · 4 peers have it"),
            (
                2..5,
                "Pieces 2 to 4 · a · Verified: 2 · On its way: 1 · the rarest at 4 peers",
            ),
        ];
        for (pieces, expected) in cases {
            assert_eq!(ten.describe(pieces), expected);
        }
    }

    #[test]
    fn who_has_a_piece_is_named_as_long_as_they_are_few() {
        let mut details = ten();
        let has = |bytes: [u8; 2]| Arc::new(Bitfield::from_bytes(&bytes, 10).unwrap());
        let peer = |key, bytes| dtorrent::engine::api::PeerDetail {
            pieces: has(bytes),
            ..peer(key)
        };
        details.peers = vec![peer(1, [0xff, 0]), peer(2, [0x00, 0xc0]), peer(3, [0xff, 0x40])];
        details.peers[2].client.clear();
        details.map.availability = [2, 2, 2, 2, 2, 2, 2, 2, 1, 2].into();
        let told = |details: &TorrentDetails, piece: u32| {
            let told = pieces(details.clone()).describe(piece..piece + 1);
            told.rsplit(" · ").next().unwrap().to_owned()
        };
        assert_eq!(told(&details, 8), "1 peer has it: 192.0.2.2:6881 (Client 1.0)");
        assert_eq!(
            told(&details, 7),
            "2 peers have it: 192.0.2.1:6881 (Client 1.0), 192.0.2.3:6881"
        );
        // One is counted that is not named any more, or not yet.
        details.map.availability = [4; 10].into();
        assert!(told(&details, 7).starts_with("4 peers have it: 192.0.2.1:6881"));
        details.peers = (0..300).map(|key| peer(key % 200, [0xff, 0xc0])).collect();
        details.map.availability = [255; 10].into();
        assert_eq!(
            told(&details, 7),
            "300 peers have it: 192.0.2.0:6881 (Client 1.0), 192.0.2.1:6881 (Client 1.0), \
             192.0.2.2:6881 (Client 1.0) and 297 more"
        );
    }

    #[test]
    fn a_list_of_pieces_that_does_not_fit_is_not_drawn() {
        let mut details = ten();
        details.piece_count = 99;
        assert!(Pieces::new(&Arc::new(details)).is_none());
    }
}
