//! `config.toml` as a value: every key, its unit, its range and its default. Layer 1, as are `value`'s
//! checks, [`schedule`] and [`setting`]; `file`, [`edit`] and [`watch`] touch the disk and are layer 3.
//!
//! A key stands here only with code that obeys it. Three things must stay true, and tests hold them: the
//! shipped `config.toml` parses to exactly [`Config::default`], it names every key, and a key or value that
//! we do not know is refused with its line.

pub mod edit;
mod file;
pub mod schedule;
pub mod setting;
pub(crate) mod text;
pub(crate) mod value;
pub mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::ratio::RatioLimit;

pub use file::{ConfigError, SHIPPED};
pub use schedule::ScheduleConfig;

/// All settings. `Config::default()` is what the shipped `config.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[network]`
    pub network: NetworkConfig,
    /// `[folders]`
    pub folders: FolderConfig,
    /// `[memory]`
    pub memory: MemoryConfig,
    /// `[transfer]`
    pub transfer: TransferConfig,
    /// `[schedule]`
    pub schedule: ScheduleConfig,
    /// `[tracker]`
    pub tracker: TrackerNodeConfig,
    /// `[window]`
    pub window: WindowConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// `[network]`: how peers and trackers are reached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// TCP port for incoming peers; 0 lets the system choose.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 65535>")]
    pub port: u16,
    /// IP address or name of a network interface that everything is bound to; empty: all of them.
    #[serde(deserialize_with = "value::bind_target")]
    pub bind: String,
    /// Most connections to peers over all torrents.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 20000>")]
    pub max_connections: usize,
    /// Most connections of one torrent.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 20000>")]
    pub max_connections_per_torrent: usize,
    /// File that tells in which country an address is; none: nobody wants to know.
    #[serde(deserialize_with = "value::optional_path")]
    pub country_database: Option<PathBuf>,
}

/// `[folders]`: where data and state live.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FolderConfig {
    /// Where downloads go unless told otherwise.
    #[serde(deserialize_with = "value::path")]
    pub downloads: PathBuf,
    /// Where the session list, the torrents and their resume records are kept.
    #[serde(deserialize_with = "value::path")]
    pub state: PathBuf,
    /// Torrents that appear here are added; none: nothing is watched.
    #[serde(deserialize_with = "value::optional_path")]
    pub watch: Option<PathBuf>,
}

/// `[memory]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// MiB for blocks that were asked for or wait for the disk.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 16384>")]
    pub buffers_mib: usize,
    /// Files held open at a time.
    #[serde(deserialize_with = "value::whole_number::<_, _, 8, 65536>")]
    pub open_files: usize,
}

/// `[transfer]`: how much, with how many.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransferConfig {
    /// From how many peers a torrent downloads at a time; 0: from all that let it.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 20000>")]
    pub active_peers: usize,
    /// KiB/s from peers, over all torrents; 0: no limit.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 100000000>")]
    pub download_limit_kib: u64,
    /// KiB/s to peers, over all torrents; 0: no limit.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 100000000>")]
    pub upload_limit_kib: u64,
    /// Whether the two limits below are in force instead of the two above, whatever the schedule says.
    pub alternative_limits: bool,
    /// As `download_limit_kib`, while the alternative limits are in force.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 100000000>")]
    pub alternative_download_limit_kib: u64,
    /// As `upload_limit_kib`, while the alternative limits are in force.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 100000000>")]
    pub alternative_upload_limit_kib: u64,
    /// How many peers of a torrent are served at a time, the optimistic one included; 0: as many as the line is
    /// good for.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 1000>")]
    pub upload_slots: usize,
    /// Torrents that download at a time; the others wait in the queue. 0: no limit.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 10000>")]
    pub max_active_downloads: usize,
    /// Seconds without any data after which a download does not count among them; 0: it always does.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 86400>")]
    pub stalled_after_seconds: u64,
    /// At which ratio a torrent stops seeding; none: at no ratio.
    pub seed_until_ratio: RatioLimit,
    /// Minutes of seeding after which a torrent stops if nothing was sent in them; 0: it goes on.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 1000000>")]
    pub seed_until_idle_minutes: u64,
    /// Whether files get their full size on disk at the start (else they are sparse).
    pub preallocate: bool,
}

/// `[tracker]`: the tracker inside the client.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackerNodeConfig {
    /// Whether there is one.
    pub node: bool,
    /// TCP and UDP port on which it answers.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 65535>")]
    pub port: u16,
    /// By which address others reach it, perhaps with a port; empty: it is found out.
    #[serde(deserialize_with = "value::tracker_address")]
    pub address: String,
    /// File with the key of its ring; none: only nodes on this machine are let in.
    #[serde(deserialize_with = "value::optional_path")]
    pub key: Option<PathBuf>,
    /// Where other nodes of the ring are.
    pub join: Vec<SocketAddr>,
    /// TCP port on which other nodes reach this one, where there is a key.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 65535>")]
    pub ring_port: u16,
}

/// `[window]`: what only the window obeys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowConfig {
    /// Whether everything goes on when the window is closed.
    pub background: bool,
    /// Whether a torrent that is opened is shown before it is added.
    pub ask_before_adding: bool,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// The log file.
    #[serde(deserialize_with = "value::path")]
    pub file: PathBuf,
    /// Least severe level that is written.
    #[serde(deserialize_with = "value::log_level")]
    pub level: log::LevelFilter,
    /// MiB after which the file is renamed and a new one is begun.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 10240>")]
    pub max_mib: u64,
    /// How many renamed files are kept.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 100>")]
    pub keep: usize,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            port: 6881,
            bind: String::new(),
            max_connections: 500,
            max_connections_per_torrent: 200,
            country_database: None,
        }
    }
}

impl Default for FolderConfig {
    fn default() -> Self {
        Self {
            downloads: "downloads".into(),
            state: "state".into(),
            watch: None,
        }
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            buffers_mib: 64,
            open_files: 128,
        }
    }
}

impl Default for TransferConfig {
    fn default() -> Self {
        Self {
            active_peers: 0,
            download_limit_kib: 0,
            upload_limit_kib: 0,
            alternative_limits: false,
            alternative_download_limit_kib: 512,
            alternative_upload_limit_kib: 128,
            upload_slots: 0,
            max_active_downloads: 5,
            stalled_after_seconds: 180,
            seed_until_ratio: RatioLimit::NONE,
            seed_until_idle_minutes: 0,
            preallocate: false,
        }
    }
}

impl TransferConfig {
    /// How long a download may get nothing before it counts as stalled; `None`: for ever.
    pub fn stalled_after(&self) -> Option<Duration> {
        (self.stalled_after_seconds > 0).then(|| Duration::from_secs(self.stalled_after_seconds))
    }

    /// How long a torrent may seed without sending anything; `None`: for ever.
    pub fn idle_seeding(&self) -> Option<Duration> {
        (self.seed_until_idle_minutes > 0).then(|| Duration::from_mins(self.seed_until_idle_minutes))
    }
}

impl Default for TrackerNodeConfig {
    fn default() -> Self {
        Self {
            node: false,
            port: 6969,
            address: String::new(),
            key: None,
            join: Vec::new(),
            ring_port: 6970,
        }
    }
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            background: false,
            ask_before_adding: true,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            file: "logs/dtorrent.log".into(),
            level: log::LevelFilter::Info,
            max_mib: 10,
            keep: 3,
        }
    }
}

/// Whether the text names where a tracker is reached, as [`TrackerNodeConfig::address`] does: an address or a name,
/// with or without a port.
pub fn is_tracker_address(text: &str) -> bool {
    crate::tracker::node::Named::parse(text).is_some()
}

/// Whether the text may name what everything is bound to, as [`NetworkConfig::bind`] does: an address, an interface,
/// or nothing.
pub fn is_bind_target(text: &str) -> bool {
    value::is_bind_target(text)
}

impl Config {
    /// The keys whose values differ from those in `new` and that a running client cannot take over.
    pub fn changes_needing_restart(&self, new: &Self) -> Vec<&'static str> {
        // The open session and the lock of its folder belong together: neither moves under way.
        [("folders.state", self.folders.state != new.folders.state)]
            .into_iter()
            .filter_map(|(key, changed)| changed.then_some(key))
            .collect()
    }
}
