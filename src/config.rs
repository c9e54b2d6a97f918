//! `config.toml` as a value: every key, its unit and its default. Layer 1.

use std::path::PathBuf;

/// All settings. `Config::default()` is what the shipped `config.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `[network]`
    pub network: NetworkConfig,
    /// `[folders]`
    pub folders: FolderConfig,
    /// `[memory]`
    pub memory: MemoryConfig,
    /// `[transfer]`
    pub transfer: TransferConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// `[network]`: how peers and trackers are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// TCP port for incoming peers; 0 lets the system choose.
    pub port: u16,
    /// IP address or name of a network interface that everything is bound to; empty: all of them.
    pub bind: String,
    /// Most connections to peers over all torrents.
    pub max_connections: usize,
    /// Most connections of one torrent.
    pub max_connections_per_torrent: usize,
}

/// `[folders]`: where data and state live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderConfig {
    /// Where downloads go unless told otherwise.
    pub downloads: PathBuf,
    /// Where the session list, the torrents and their resume records are kept.
    pub state: PathBuf,
}

/// `[memory]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryConfig {
    /// MiB for blocks that were asked for or wait for the disk.
    pub buffers_mib: usize,
    /// Files held open at a time.
    pub open_files: usize,
}

/// `[transfer]`: how much, with how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferConfig {
    /// From how many peers a torrent downloads at a time; 0: from all that let it.
    pub active_peers: usize,
    /// KiB/s from peers, over all torrents; 0: no limit.
    pub download_limit_kib: u64,
    /// KiB/s to peers, over all torrents; 0: no limit.
    pub upload_limit_kib: u64,
    /// How many peers of a torrent are served at a time, the optimistic one included.
    pub upload_slots: usize,
    /// Torrents that download at a time; the others wait in the queue. 0: no limit.
    pub max_active_downloads: usize,
    /// Whether files get their full size on disk at the start (else they are sparse).
    pub preallocate: bool,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The log file.
    pub file: PathBuf,
    /// Least severe level that is written.
    pub level: log::LevelFilter,
    /// MiB after which the file is renamed and a new one is begun.
    pub max_mib: u64,
    /// How many renamed files are kept.
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
