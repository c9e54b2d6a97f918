//! Reads what a tracker tells of its ring: any node, asked over HTTP like by a browser. Layer 3.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::fetch::{FetchError, Fetcher, USER_AGENT};
use crate::id::InfoHash;
use crate::net::sockets::SocketFactory;
use crate::ring::picture::{Picture, Route};

/// For one page. A lookup in which many nodes are silent takes longer than one would wait for.
const TIME_LIMIT: Duration = Duration::from_secs(6);
/// Bytes of a page: a ring of a thousand nodes has less than half of it.
const MAX_BODY: u64 = 4 << 20;
/// The port of a tracker that names none.
const DEFAULT_PORT: u16 = 6969;

/// Where a tracker answers over HTTP: host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrackerAddress(String);

/// It is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is no address of a tracker; write one like 192.0.2.7:6969")]
pub struct BadAddress(String);

impl FromStr for TrackerAddress {
    type Err = BadAddress;

    /// Takes `host:port`, a host alone (port 6969), or any HTTP URL of the tracker.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.to_owned());
        let text = text.trim();
        let text = match text.split_once("://") {
            Some((scheme, _)) if !scheme.eq_ignore_ascii_case("http") => return Err(bad()),
            Some((_, rest)) => rest,
            None => text,
        };
        let text = text.split(['/', '?', '#']).next().unwrap_or_default();
        // An IPv6 address without brackets has colons, but no port.
        if let Ok(IpAddr::V6(ip)) = text.parse() {
            return Ok(Self(format!("[{ip}]:{DEFAULT_PORT}")));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => (host, port.parse().map_err(|_| bad())?),
            _ => (text, DEFAULT_PORT),
        };
        let is_ipv6 = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
        let is_name = host
            .chars()
            .all(|char| char.is_alphanumeric() || "-._".contains(char));
        match !host.is_empty() && port != 0 && (is_ipv6 || is_name) {
            true => Ok(Self(format!("{host}:{port}"))),
            false => Err(bad()),
        }
    }
}

impl fmt::Display for TrackerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a tracker's ring cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// It cannot be reached, or says no.
    #[error("{address}: {source}")]
    Fetch {
        /// Who was asked.
        address: TrackerAddress,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answers, but not as ours does.
    #[error("what answers at {0} is no DTorrent tracker; give the HTTP address of one")]
    Stranger(TrackerAddress),
    /// It has no others.
    #[error("the tracker at {0} is in no ring: it keeps all its torrents alone")]
    NoRing(TrackerAddress),
    /// It is asked too often, or the ring is changing.
    #[error("the tracker at {0} cannot look that up now; it is asked again soon")]
    Busy(TrackerAddress),
    /// It cannot look anything up.
    #[error("the tracker at {0} does not look torrents up; it may be of an older version")]
    TooOld(TrackerAddress),
}

/// Asks trackers.
#[derive(Debug, Clone)]
pub struct Visitor {
    fetcher: Fetcher,
}

impl Visitor {
    /// One that reaches them by the client's own sockets.
    pub fn new(sockets: &Arc<SocketFactory>) -> Self {
        Self {
            fetcher: Fetcher::new(sockets, USER_AGENT, TIME_LIMIT),
        }
    }

    /// The ring as this tracker knows it. Takes up to some seconds.
    ///
    /// # Errors
    /// See [`VisitError`].
    pub fn picture(&self, address: &TrackerAddress) -> Result<Picture, VisitError> {
        let picture: Result<Option<Picture>, _> = self.page(address, "ring");
        match picture {
            Ok(Some(picture)) => Ok(picture),
            Ok(None) => Err(VisitError::NoRing(address.clone())),
            Err(Refused::Status(_)) => Err(VisitError::Stranger(address.clone())),
            Err(Refused::Other(error)) => Err(error),
        }
    }

    /// How this tracker finds where the torrent lives. Takes up to some seconds.
    ///
    /// # Errors
    /// See [`VisitError`].
    pub fn route(&self, address: &TrackerAddress, info_hash: InfoHash) -> Result<Route, VisitError> {
        let page = format!("lookup?info_hash={info_hash}");
        self.page(address, &page).map_err(|refused| match refused {
            Refused::Status(429 | 503) => VisitError::Busy(address.clone()),
            Refused::Status(_) => VisitError::TooOld(address.clone()),
            Refused::Other(error) => error,
        })
    }

    fn page<T: DeserializeOwned>(&self, address: &TrackerAddress, page: &str) -> Result<T, Refused> {
        let url = format!("http://{address}/{page}");
        let body = self.fetcher.fetch_up_to(MAX_BODY, &url);
        let body = body.map_err(|error| match error {
            FetchError::Status(status) => Refused::Status(status),
            error => Refused::Other(VisitError::Fetch {
                address: address.clone(),
                source: error.into(),
            }),
        })?;
        serde_json::from_slice(&body).map_err(|_| Refused::Other(VisitError::Stranger(address.clone())))
    }
}

/// No page.
enum Refused {
    /// But this HTTP status.
    Status(u16),
    Other(VisitError),
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::tracker::server::config::{HttpConfig, UdpConfig};
    use crate::tracker::server::{LocalTracker, Rules, TrackerServer};
    use crate::tracker::swarm::Settings;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, address) in [
            ("192.0.2.7:6969", Some("192.0.2.7:6969")),
            (" 192.0.2.7 ", Some("192.0.2.7:6969")),
            ("http://tracker1.example:80/announce", Some("tracker1.example:80")),
            ("HTTP://tracker1.example/stats?x", Some("tracker1.example:6969")),
            ("[2001:db8::1]:7", Some("[2001:db8::1]:7")),
            ("[2001:db8::1]", Some("[2001:db8::1]:6969")),
            ("2001:db8::1", Some("[2001:db8::1]:6969")),
            ("", None),
            (":6969", None),
            ("host:", None),
            ("host:0", None),
            ("host:99999", None),
            ("udp://host:6969", None),
            ("a b", None),
            ("user@host", None),
            ("[x]:6", None),
        ] {
            let read = text.parse().ok().map(|TrackerAddress(address)| address);
            assert_eq!(read.as_deref(), address, "{text:?}");
        }
    }

    #[test]
    fn it_is_told_why_there_is_no_ring_to_see() {
        let visitor = Visitor::new(&Arc::new(SocketFactory::new("").unwrap()));
        let alone = LocalTracker::new(Settings {
            node: 0,
            max_swarms: 10,
            max_peers: 10,
            peer_lifetime_secs: 100,
            tombstone_secs: 100,
        });
        let http = HttpConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            threads: 1,
            ..HttpConfig::default()
        };
        let udp = UdpConfig {
            listen: Vec::new(),
            threads: 1,
        };
        let server = TrackerServer::start(Arc::new(alone), Rules::default(), &http, &udp).unwrap();
        let address: TrackerAddress = server.http_addresses()[0].to_string().parse().unwrap();
        assert!(matches!(visitor.picture(&address), Err(VisitError::NoRing(_))));
        let route = visitor.route(&address, InfoHash::new([1; 20]));
        assert!(matches!(route, Err(VisitError::TooOld(_))), "{route:?}");
        server.stop();

        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address: TrackerAddress = nobody.to_string().parse().unwrap();
        let error = visitor.picture(&address).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{nobody}: ")), "{error}");
    }
}
