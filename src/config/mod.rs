//! `config.toml` as a value: every key, its unit, its range and its default. Layer 1, as are `value`'s
//! checks; `file`, [`edit`] and [`watch`] touch the disk and are layer 3.
//!
//! A key stands here only with code that obeys it. Three things must stay true, and tests hold them: the
//! shipped `config.toml` parses to exactly [`Config::default`], it names every key, and a key or value that
//! we do not know is refused with its line.

pub mod edit;
mod file;
pub(crate) mod text;
pub(crate) mod value;
pub mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

pub use file::{ConfigError, SHIPPED};

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
    /// `[tracker]`
    pub tracker: TrackerNodeConfig,
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
    /// How many peers of a torrent are served at a time, the optimistic one included.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 1000>")]
    pub upload_slots: usize,
    /// Torrents that download at a time; the others wait in the queue. 0: no limit.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 10000>")]
    pub max_active_downloads: usize,
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
        }
    }
}

impl Default for FolderConfig {
    fn default() -> Self {
        Self {
            downloads: "downloads".into(),
            state: "state".into(),
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
            upload_slots: 8,
            max_active_downloads: 5,
            preallocate: false,
        }
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
