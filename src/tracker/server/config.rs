//! `dtracker.toml`: every key, its unit, its range and its default. Layer 1, but for reading the file.
//!
//! As in [`crate::config`]: a key stands here only with code that obeys it, the shipped file is the defaults and
//! names every key, and what is not known is refused with its line.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::Deserialize;

use super::networks::Network;
use crate::config::{ConfigError, LogConfig, text, value};

/// The text of the shipped `dtracker.toml`.
pub const SHIPPED: &str = include_str!("../../../dtracker.toml");

/// Port of both faces unless told otherwise: what most trackers use.
const PORT: u16 = 6969;

/// All settings of a tracker. The default is what the shipped file says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackerConfig {
    /// `[http]`
    pub http: HttpConfig,
    /// `[udp]`
    pub udp: UdpConfig,
    /// `[announce]`
    pub announce: AnnounceConfig,
    /// `[access]`
    pub access: AccessConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[ring]`
    pub ring: RingConfig,
    /// `[log]`
    pub log: LogSection,
}

/// `[http]`: the face for `http://` URLs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where it listens; none switches it off.
    pub listen: Vec<SocketAddr>,
    /// How many threads; 0: one for every two cores, at most 4.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 64>")]
    pub threads: usize,
    /// Most connections at a time.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 1000000>")]
    pub max_connections: usize,
    /// Most connections of one address at a time; 0: no limit.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 1000000>")]
    pub connections_per_address: u32,
    /// Seconds after which a connection on which nothing is asked is closed.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 3600>")]
    pub idle_timeout_secs: u32,
    /// Whose `proxy_header` is believed.
    pub trusted_proxies: Vec<Network>,
    /// The header that names the client; of several entries the last one counts.
    #[serde(deserialize_with = "value::header_name")]
    pub proxy_header: String,
    /// Whether a scrape that names no torrent is answered with all of them.
    pub full_scrape: bool,
}

/// `[udp]`: the face for `udp://` URLs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UdpConfig {
    /// Where it listens; none switches it off.
    pub listen: Vec<SocketAddr>,
    /// How many threads for each of these; 0: one for every two cores, at most 4.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 64>")]
    pub threads: usize,
}

/// `[announce]`: what clients are told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnnounceConfig {
    /// Seconds between the announces of a client. Up to a tenth is added at random, so that clients which came
    /// together do not come back together.
    #[serde(deserialize_with = "value::whole_number::<_, _, 10, 14400>")]
    pub interval_secs: u32,
    /// Seconds before which a client should not come back.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 14400>")]
    pub min_interval_secs: u32,
    /// Seconds until a peer that is not heard of is forgotten.
    #[serde(deserialize_with = "value::whole_number::<_, _, 20, 28800>")]
    pub peer_lifetime_secs: u16,
    /// Peers in an answer to who does not say how many.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 1000>")]
    pub peers: u32,
    /// Most peers in an answer.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 1000>")]
    pub max_peers: u32,
    /// Whose `ip=` is believed.
    pub trusted_senders: Vec<Network>,
}

/// `[access]`: who may use the tracker, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// File with the info-hashes that are served; none: all.
    #[serde(deserialize_with = "value::optional_path")]
    pub allow_list: Option<PathBuf>,
    /// File with the info-hashes that are not served.
    #[serde(deserialize_with = "value::optional_path")]
    pub deny_list: Option<PathBuf>,
    /// File with the passkeys, one of which URLs must have; none: no passkeys.
    #[serde(deserialize_with = "value::optional_path")]
    pub passkeys: Option<PathBuf>,
    /// Most requests of one address in a second; 0: no limit.
    #[serde(deserialize_with = "value::whole_number::<_, _, 0, 1000000>")]
    pub requests_per_second: u32,
}

/// `[store]`: how much is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Most torrents.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 100000000>")]
    pub max_torrents: usize,
    /// Most peers.
    #[serde(deserialize_with = "value::whole_number::<_, _, 1, 1000000000>")]
    pub max_peers: usize,
}

/// `[ring]`: the other nodes of this tracker.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RingConfig {
    /// Where it takes connections of other nodes; none: it is a tracker of one node.
    #[serde(deserialize_with = "value::optional_addr")]
    pub listen: Option<SocketAddr>,
    /// Where other nodes reach it, if that is not `listen`.
    #[serde(deserialize_with = "value::optional_addr")]
    pub advertise: Option<SocketAddr>,
    /// Where other nodes are.
    pub join: Vec<SocketAddr>,
    /// File with the key of the ring; none: only nodes on this machine are let in.
    #[serde(deserialize_with = "value::optional_path")]
    pub key: Option<PathBuf>,
    /// Folder in which the node keeps who it is, whom it has met, and the history; the last also without a ring.
    #[serde(deserialize_with = "value::path")]
    pub state: PathBuf,
}

/// `[log]`: as that of the client, with a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
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

/// All addresses of this machine.
fn everywhere(port: u16) -> Vec<SocketAddr> {
    vec![
        (Ipv4Addr::UNSPECIFIED, port).into(),
        (Ipv6Addr::UNSPECIFIED, port).into(),
    ]
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: everywhere(PORT),
            threads: 0,
            max_connections: 16_384,
            connections_per_address: 256,
            idle_timeout_secs: 60,
            trusted_proxies: Vec::new(),
            proxy_header: "x-forwarded-for".to_owned(),
            full_scrape: false,
        }
    }
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self {
            listen: everywhere(PORT),
            threads: 0,
        }
    }
}

impl Default for AnnounceConfig {
    fn default() -> Self {
        Self {
            interval_secs: 1800,
            min_interval_secs: 900,
            peer_lifetime_secs: 2700,
            peers: 50,
            max_peers: 200,
            trusted_senders: Vec::new(),
        }
    }
}

impl Default for RingConfig {
    fn default() -> Self {
        Self {
            listen: None,
            advertise: None,
            join: Vec::new(),
            key: None,
            state: PathBuf::from("state/dtracker"),
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            max_torrents: 2_000_000,
            max_peers: 20_000_000,
        }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        let LogConfig {
            level, max_mib, keep, ..
        } = LogConfig::default();
        Self {
            file: "logs/dtracker.log".into(),
            level,
            max_mib,
            keep,
        }
    }
}

impl From<&LogSection> for LogConfig {
    fn from(section: &LogSection) -> Self {
        Self {
            file: section.file.clone(),
            level: section.level,
            max_mib: section.max_mib,
            keep: section.keep,
        }
    }
}

impl TrackerConfig {
    /// The settings in the file at `path`, with relative paths completed from the file's own folder.
    ///
    /// # Errors
    /// [`ConfigError::Read`], or [`ConfigError::Invalid`] with the first line that is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config = text::read(path, |text| {
            let config: Self = text::deserialize(text, text::parse_document(text)?)?;
            config.check(text)?;
            Ok(config)
        })?;
        let folder = text::folder_of(path);
        let access = &mut config.access;
        let lists = [
            &mut access.allow_list,
            &mut access.deny_list,
            &mut access.passkeys,
        ];
        let ring = &mut config.ring;
        let others = ring
            .key
            .as_mut()
            .into_iter()
            .chain([&mut ring.state, &mut config.log.file]);
        for path in lists.into_iter().flatten().chain(others) {
            *path = folder.join(&path); // an absolute path replaces the folder
        }
        Ok(config)
    }

    /// The settings of who names no file: the defaults, with the log and the node's state in the user's state folder.
    ///
    /// # Errors
    /// [`ConfigError::NoHome`].
    pub fn without_file() -> Result<Self, ConfigError> {
        let base = etcetera::choose_base_strategy().map_err(|_| ConfigError::NoHome)?;
        let state = base.state_dir().unwrap_or_else(|| base.data_dir());
        let mut config = Self::default();
        config.log.file = state.join("dtracker").join("dtracker.log");
        config.ring.state = state.join("dtracker");
        Ok(config)
    }

    /// Keeps the node's state in `folder`, and the log with it unless the settings put that in a place of its own: several
    /// nodes on one computer would write into one log otherwise. `path`: the settings file, if there is one.
    ///
    /// # Errors
    /// [`ConfigError::NoHome`].
    pub fn keep_state_in(&mut self, folder: &Path, path: Option<&Path>) -> Result<(), ConfigError> {
        let by_default = match path {
            Some(path) => text::folder_of(path).join(LogSection::default().file),
            None => Self::without_file()?.log.file,
        };
        if self.log.file == by_default {
            self.log.file = folder.join("dtracker.log");
        }
        self.ring.state = folder.to_owned();
        Ok(())
    }

    /// What only two keys together can do wrong.
    fn check(&self, text: &str) -> Result<(), text::Wrong> {
        let announce = &self.announce;
        let wrong = |key: &str, message: &str| {
            let offset = text.find(key).unwrap_or(0);
            Err(text::Wrong {
                offset,
                message: message.to_owned(),
            })
        };
        // A tenth is added to the interval, and a client needs a while to come back.
        if u64::from(announce.peer_lifetime_secs) * 10 < u64::from(announce.interval_secs) * 12 {
            return wrong(
                "peer_lifetime_secs",
                "`peer_lifetime_secs` must be at least 1.2 times `interval_secs`: peers would be forgotten \
                 before they come back",
            );
        }
        if announce.min_interval_secs > announce.interval_secs {
            return wrong(
                "min_interval_secs",
                "`min_interval_secs` must not be above `interval_secs`",
            );
        }
        if announce.peers > announce.max_peers {
            return wrong("max_peers", "`max_peers` must not be below `peers`");
        }
        Ok(())
    }

    /// The keys whose values differ from those in `new` and that a running tracker cannot take over.
    pub fn changes_needing_restart(&self, new: &Self) -> Vec<&'static str> {
        [
            ("http.listen", self.http.listen != new.http.listen),
            ("http.threads", self.http.threads != new.http.threads),
            ("udp.listen", self.udp.listen != new.udp.listen),
            ("udp.threads", self.udp.threads != new.udp.threads),
            (
                "announce.peer_lifetime_secs",
                self.announce.peer_lifetime_secs != new.announce.peer_lifetime_secs,
            ),
            ("store", self.store != new.store),
            ("ring", self.ring != new.ring),
        ]
        .into_iter()
        .filter_map(|(key, changed)| changed.then_some(key))
        .collect()
    }
}

/// How many threads a face has when `configured` says so. More than are busy only cost wake-ups: on two cores, a
/// million connections took 30 CPU seconds with two threads and 24 with one.
pub(super) fn threads(configured: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match configured {
        0 => (cores / 2).clamp(1, 4),
        count => count,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use toml_edit::DocumentMut;

    use super::*;

    fn load(text: &str) -> Result<TrackerConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dtracker.toml");
        fs::write(&path, text).unwrap();
        TrackerConfig::load(&path)
            .map_err(|error| error.to_string().replace(path.to_str().unwrap(), "dtracker.toml"))
    }

    #[test]
    fn the_shipped_file_is_the_defaults() {
        let document = text::parse_document(SHIPPED).unwrap();
        let shipped: TrackerConfig = text::deserialize(SHIPPED, document).unwrap();
        assert_eq!(shipped, TrackerConfig::default());
        assert_eq!(shipped.check(SHIPPED), Ok(()));
    }

    #[test]
    fn the_shipped_file_names_every_key() {
        let document: DocumentMut = SHIPPED.parse().unwrap();
        let keys: usize = document
            .iter()
            .map(|(_, section)| section.as_table().unwrap().len())
            .sum();
        // Debug prints `name: ` once for each section and for each key.
        let fields = format!("{:?}", TrackerConfig::default());
        assert_eq!(
            fields.matches(": ").count(),
            document.iter().count() + keys,
            "{fields}"
        );
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_its_line() {
        for (name, text, line, expected) in [
            ("unknown section", "\n[rings]\n", 2, "unknown field `rings`"),
            ("unknown key", "[udp]\nport = 1\n", 2, "unknown field `port`"),
            (
                "address",
                "[udp]\nlisten = [\"localhost:1\"]\n",
                2,
                "invalid socket address",
            ),
            (
                "network",
                "[http]\ntrusted_proxies = [\"10/8\"]\n",
                2,
                "neither an IP address nor a network",
            ),
            (
                "header",
                "[http]\nproxy_header = \"a b\"\n",
                2,
                "the name of an HTTP header",
            ),
            (
                "number",
                "[http]\nmax_connections = 0\n",
                2,
                "a whole number from 1 to",
            ),
            (
                "forgotten too early",
                "[announce]\ninterval_secs = 1800\npeer_lifetime_secs = 1800\n",
                3,
                "at least 1.2 times",
            ),
            (
                "intervals",
                "[announce]\nmin_interval_secs = 1801\n",
                2,
                "must not be above",
            ),
            (
                "peers",
                "[announce]\npeers = 100\nmax_peers = 99\n",
                3,
                "must not be below",
            ),
        ] {
            let error = load(text).unwrap_err();
            assert!(
                error.starts_with(&format!("dtracker.toml, line {line}: ")),
                "{name}: {error}"
            );
            assert!(error.contains(expected), "{name}: {error}");
        }
    }

    #[test]
    fn the_log_goes_along_with_the_state_of_a_node() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dtracker.toml");
        let own = Path::new("/srv/node1");
        for (text, log) in [
            ("", "/srv/node1/dtracker.log"),
            ("[log]\nfile = \"/var/log/x.log\"\n", "/var/log/x.log"),
        ] {
            std::fs::write(&path, text).unwrap();
            let mut config = TrackerConfig::load(&path).unwrap();
            config.keep_state_in(own, Some(&path)).unwrap();
            assert_eq!((&*config.ring.state, &*config.log.file), (own, Path::new(log)));
        }
        let mut config = TrackerConfig::without_file().unwrap();
        config.keep_state_in(own, None).unwrap();
        assert_eq!(config.log.file, own.join("dtracker.log"));
    }

    #[test]
    fn relative_paths_count_from_the_folder_of_the_file() {
        let config = load("[access]\nallow_list = \"lists/allow\"\ndeny_list = \"/etc/deny\"\n").unwrap();
        let allow = config.access.allow_list.unwrap();
        assert!(allow.is_absolute() && allow.ends_with("lists/allow"), "{allow:?}");
        assert_eq!(config.access.deny_list.as_deref(), Some(Path::new("/etc/deny")));
        assert_eq!(config.access.passkeys, None);
        assert!(config.log.file.ends_with("logs/dtracker.log"));
    }

    #[test]
    fn what_a_restart_is_needed_for_is_told() {
        let old = TrackerConfig::default();
        let mut new = old.clone();
        new.announce.interval_secs = 60;
        assert_eq!(old.changes_needing_restart(&new), [""; 0]);
        new.http.threads = 3;
        new.store.max_peers = 1;
        assert_eq!(old.changes_needing_restart(&new), ["http.threads", "store"]);
    }
}
