//! What the faces (window, command line, a later daemon) and the engine say to each other. Plain data: a
//! remote API can sit on it as it is. Layer 1.
//!
//! | module | what |
//! |---|---|
//! | `commands` | what faces ask |
//! | `events` | what the engine tells |
//! | `snapshot` | the client and its torrents, a row each |
//! | `details` | one torrent, with its pieces, files, trackers and peers |

mod commands;
mod details;
mod events;
mod snapshot;

pub use self::commands::{AddTorrent, EngineCommand, QueueStep, RemoveData, SeedLimit};
pub use self::details::{
    FileDetail, OpenPiece, PeerDetail, PieceMap, Priority, Speed, SpeedHistory, TorrentDetails, TrackerDetail,
};
pub use self::events::EngineEvent;
pub use self::snapshot::{
    AlternativeLimits, EngineSnapshot, Figures, Inbound, SeedEnd, Statistics, TorrentState, TorrentSummary,
};
pub use crate::config::setting::{SettingChange, SettingValue};
pub use crate::storage::task::CopyProgress;
pub use crate::tracker::node::status::{Reach, RingMember, RingPlace, TrackerNodeState, TrackerNodeStatus};
pub use crate::tracker::status::TrackerState;
