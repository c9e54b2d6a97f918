//! By what rules requests are admitted: the part of the settings that a running tracker takes over. Layer 1, but
//! for [`Rules::load`], which reads the lists.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access::{self, Access, BadLine};
use super::config::{AnnounceConfig, HttpConfig, TrackerConfig};
use super::networks::any_contains;
use super::refusal::Refusal;
use crate::tracker::announce::{AnnounceRequest, Event};
use crate::tracker::swarm::{Families, PeerAnnounce, PeerState};

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file could not be read.
    #[error("cannot read the list {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("{}, {source}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The first such line.
        source: BadLine,
    },
}

/// All rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// What clients are told.
    pub announce: AnnounceConfig,
    /// Limits of connections, and who is behind a proxy.
    pub http: HttpConfig,
    /// The lists.
    pub access: Access,
    /// Most requests of one address in a second; 0: no limit.
    pub requests_per_second: u32,
}

impl Rules {
    /// Those of the settings, with the lists that they name.
    ///
    /// # Errors
    /// [`ListError`], with the first list that cannot be used.
    pub fn load(config: &TrackerConfig) -> Result<Self, ListError> {
        let lists = &config.access;
        let access = Access {
            allow: read(lists.allow_list.as_deref(), access::parse_torrents)?,
            deny: read(lists.deny_list.as_deref(), access::parse_torrents)?.unwrap_or_default(),
            passkeys: read(lists.passkeys.as_deref(), access::parse_passkeys)?,
        };
        Ok(Self {
            announce: config.announce.clone(),
            http: config.http.clone(),
            access,
            requests_per_second: lists.requests_per_second,
        })
    }

    /// What an announce means that came from `from`: whom it enters, and whom it asks for. `claimed` is the
    /// address in the request; `most` is how many peers the answer can hold.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn admit(
        &self,
        request: &AnnounceRequest,
        from: IpAddr,
        claimed: Option<IpAddr>,
        families: Families,
        most: usize,
    ) -> Result<PeerAnnounce, Refusal> {
        if request.port == 0 {
            return Err(Refusal::NoPort);
        }
        self.access.check_torrent(&request.info_hash)?;
        let address = match claimed {
            Some(claimed) if any_contains(&self.announce.trusted_senders, from) => claimed,
            _ => from,
        };
        let state = match request.event {
            Some(Event::Stopped) => PeerState::Stopped,
            _ if request.left == 0 => PeerState::Seed,
            _ => PeerState::Leech,
        };
        let wanted = request.num_want.unwrap_or(self.announce.peers);
        let limit = usize::try_from(wanted.min(self.announce.max_peers)).unwrap_or(usize::MAX);
        Ok(PeerAnnounce {
            info_hash: request.info_hash,
            peer: SocketAddr::new(address.to_canonical(), request.port),
            state,
            completed: request.event == Some(Event::Completed),
            families,
            limit: limit.min(most),
        })
    }

    /// When the client should come back.
    pub fn interval(&self, rng: &mut fastrand::Rng) -> Duration {
        let seconds = self.announce.interval_secs;
        Duration::from_secs((seconds + rng.u32(0..=seconds / 10)).into())
    }

    /// Before when it should not come back.
    pub fn min_interval(&self) -> Duration {
        Duration::from_secs(self.announce.min_interval_secs.into())
    }

    /// Whether this is a proxy whose word on its clients is believed.
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        any_contains(&self.http.trusted_proxies, address)
    }
}

fn read<T>(path: Option<&Path>, parse: fn(&str) -> Result<T, BadLine>) -> Result<Option<T>, ListError> {
    let Some(path) = path else {
        return Ok(None);
    };
    let text = fs::read_to_string(path).map_err(|source| ListError::Read {
        path: path.to_owned(),
        source,
    })?;
    let list = parse(&text).map_err(|source| ListError::Invalid {
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{InfoHash, PeerId};

    fn request() -> AnnounceRequest {
        AnnounceRequest {
            info_hash: InfoHash::new([1; 20]),
            peer_id: PeerId::new([2; 20]),
            port: 6881,
            uploaded: 0,
            downloaded: 0,
            left: 1,
            event: None,
            num_want: None,
            key: 0,
            tracker_id: None,
        }
    }

    fn from() -> IpAddr {
        "192.0.2.1".parse().unwrap()
    }

    fn admit(rules: &Rules, request: &AnnounceRequest) -> Result<PeerAnnounce, Refusal> {
        rules.admit(request, from(), None, Families::Both, 1000)
    }

    #[test]
    fn what_a_peer_is_follows_from_what_is_left_and_the_event() {
        let rules = Rules::default();
        let stopped = Some(Event::Stopped);
        for (left, event, state, completed) in [
            (1, None, PeerState::Leech, false),
            (1, Some(Event::Started), PeerState::Leech, false),
            (0, Some(Event::Started), PeerState::Seed, false),
            (0, Some(Event::Completed), PeerState::Seed, true),
            // It chose not to have some files.
            (1, Some(Event::Completed), PeerState::Leech, true),
            (0, stopped, PeerState::Stopped, false),
            (1, stopped, PeerState::Stopped, false),
            (u64::MAX, None, PeerState::Leech, false),
        ] {
            let announce = admit(
                &rules,
                &AnnounceRequest {
                    left,
                    event,
                    ..request()
                },
            )
            .unwrap();
            assert_eq!(
                (announce.state, announce.completed),
                (state, completed),
                "{left} {event:?}"
            );
        }
    }

    #[test]
    fn the_number_of_peers_is_bounded_three_times() {
        let rules = Rules::default();
        for (num_want, most, limit) in [
            (None, 1000, 50),
            (Some(0), 1000, 0),
            (Some(80), 1000, 80),
            (Some(u32::MAX), 1000, 200),
            (Some(100), 72, 72),
            (None, 10, 10),
        ] {
            let request = AnnounceRequest {
                num_want,
                ..request()
            };
            let announce = rules.admit(&request, from(), None, Families::Both, most).unwrap();
            assert_eq!(announce.limit, limit, "{num_want:?} {most}");
        }
    }

    #[test]
    fn another_address_is_entered_only_for_those_who_are_trusted() {
        let claimed = Some("203.0.113.5".parse().unwrap());
        let mut rules = Rules::default();
        let entered = |rules: &Rules, from: IpAddr| {
            let announce = rules.admit(&request(), from, claimed, Families::Both, 1).unwrap();
            announce.peer.to_string()
        };
        assert_eq!(entered(&rules, from()), "192.0.2.1:6881");
        rules.announce.trusted_senders = vec!["192.0.2.0/24".parse().unwrap()];
        assert_eq!(entered(&rules, from()), "203.0.113.5:6881");
        assert_eq!(
            entered(&rules, "::ffff:192.0.2.9".parse().unwrap()),
            "203.0.113.5:6881"
        );
        assert_eq!(
            entered(&rules, "198.51.100.1".parse().unwrap()),
            "198.51.100.1:6881"
        );
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        let mut rules = Rules::default();
        let no_port = AnnounceRequest { port: 0, ..request() };
        assert_eq!(admit(&rules, &no_port), Err(Refusal::NoPort));
        rules.access.deny.insert(request().info_hash);
        assert_eq!(admit(&rules, &request()), Err(Refusal::Torrent));
    }

    #[test]
    fn intervals_are_spread_over_a_tenth() {
        let rules = Rules::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let intervals: Vec<u64> = (0..1000).map(|_| rules.interval(&mut rng).as_secs()).collect();
        assert!(intervals.iter().all(|seconds| (1800..=1980).contains(seconds)));
        assert!(intervals.contains(&1800) && intervals.contains(&1980));
    }

    #[test]
    fn lists_come_from_their_files_and_bad_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deny");
        let mut config = TrackerConfig::default();
        config.access.deny_list = Some(path.clone());
        let error = Rules::load(&config).unwrap_err().to_string();
        assert!(
            error.contains("cannot read the list") && error.contains("deny"),
            "{error}"
        );
        fs::write(&path, format!("{}\nxyz\n", InfoHash::new([1; 20]))).unwrap();
        let error = Rules::load(&config).unwrap_err().to_string();
        assert!(
            error.ends_with("deny, line 2: an info-hash has 40 hexadecimal digits"),
            "{error}"
        );
        fs::write(&path, format!("{}\n", InfoHash::new([1; 20]))).unwrap();
        assert_eq!(
            admit(&Rules::load(&config).unwrap(), &request()),
            Err(Refusal::Torrent)
        );
    }
}
