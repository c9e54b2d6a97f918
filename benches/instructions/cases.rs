//! What is counted. Each case is given how many times it shall run, opens nothing, knows no time of day and has fixed
//! seeds, so that it does the same each time.

#[path = "cases/block.rs"]
mod block;
#[path = "cases/choker.rs"]
mod choker;
#[path = "cases/codec.rs"]
mod codec;
#[path = "cases/hashing.rs"]
mod hashing;
#[path = "cases/metainfo.rs"]
mod metainfo;
#[path = "cases/picker.rs"]
mod picker;

/// One of the paths that are counted.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What the count is for one of.
    pub(crate) unit: &'static str,
    /// How many of those one run is.
    pub(crate) units: u32,
    /// How many runs are counted.
    pub(crate) times: u32,
    /// Runs it so many times.
    pub(crate) run: fn(u32),
}

/// All of them, in the order in which they are shown.
pub(crate) const CASES: [Case; 13] = [
    Case {
        name: "picker/pick",
        unit: "pick of 16 blocks",
        units: 1,
        times: 400,
        run: picker::pick,
    },
    Case {
        name: "picker/round",
        unit: "block picked and received",
        units: picker::PICKED,
        times: 400,
        run: picker::round,
    },
    Case {
        name: "codec/have",
        unit: "message encoded and decoded",
        units: 1,
        times: 20_000,
        run: codec::have,
    },
    Case {
        name: "codec/request",
        unit: "message encoded and decoded",
        units: 1,
        times: 20_000,
        run: codec::request,
    },
    Case {
        name: "codec/bitfield",
        unit: "message for 2,000 pieces encoded and decoded",
        units: 1,
        times: 20_000,
        run: codec::bitfield,
    },
    Case {
        name: "codec/piece-header",
        unit: "header encoded and decoded",
        units: 1,
        times: 20_000,
        run: codec::piece_headers,
    },
    Case {
        name: "hashing/piece",
        unit: "KiB of a piece of 1 MiB",
        units: hashing::KIB,
        times: 4,
        run: hashing::piece,
    },
    Case {
        name: "hashing/blocks",
        unit: "KiB in blocks of 16 KiB",
        units: hashing::KIB,
        times: 4,
        run: hashing::blocks,
    },
    Case {
        name: "torrent/block",
        unit: "block from request to disk",
        units: block::BLOCKS,
        times: 4,
        run: block::download,
    },
    Case {
        name: "choker/leeching",
        unit: "round of 200 peers",
        units: 1,
        times: 200,
        run: choker::leeching,
    },
    Case {
        name: "choker/seeding",
        unit: "round of 200 peers",
        units: 1,
        times: 200,
        run: choker::seeding,
    },
    Case {
        name: "bencode/decode",
        unit: "torrent of 5,000 files",
        units: 1,
        times: 4,
        run: metainfo::decode,
    },
    Case {
        name: "metainfo/parse",
        unit: "torrent of 5,000 files",
        units: 1,
        times: 2,
        run: metainfo::parse,
    },
];
