//! What stands behind the faces of `dtracker serve`: the store of a node alone, or a node of a ring.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use dtorrent::id::RingId;
use dtorrent::net::sockets::SocketFactory;
use dtorrent::ring::contact::Contact;
use dtorrent::ring::link::{Identity, KnownNodes, RingKey};
use dtorrent::ring::server::{RingServer, Setup};
use dtorrent::tracker::server::config::RingConfig;
use dtorrent::tracker::server::{LocalTracker, Tracker};
use dtorrent::tracker::swarm::Settings;

/// How long a node may take to bring what it keeps to others before it goes.
const LEAVE_WITHIN: Duration = Duration::from_secs(12);
/// Ticks between two times that the members are written down.
const SAVE_EVERY: u32 = 60;

/// The tracker proper.
pub(crate) enum Node {
    Alone(Arc<LocalTracker>),
    Ring(Box<RingNode>),
}

/// A node of a ring, and where it remembers the others.
pub(crate) struct RingNode {
    server: RingServer,
    members: std::path::PathBuf,
    ticks: u32,
}

impl Node {
    pub(crate) fn start(config: &RingConfig, store: Settings) -> Result<Self> {
        match config.listen {
            None if !config.join.is_empty() => {
                bail!(
                    "there are nodes to join, but no address for the ring; give one with --ring or ring.listen"
                )
            }
            None => Ok(Self::Alone(Arc::new(LocalTracker::new(store)))),
            Some(listen) => Ok(Self::Ring(Box::new(RingNode::start(config, listen, store)?))),
        }
    }

    /// What answers the faces.
    pub(crate) fn tracker(&self) -> Arc<dyn Tracker> {
        match self {
            Self::Alone(tracker) => tracker.clone(),
            Self::Ring(node) => node.server.tracker(),
        }
    }

    /// Where other nodes reach this one.
    pub(crate) fn ring_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Alone(_) => None,
            Self::Ring(node) => Some(node.server.tracker().me().addr),
        }
    }

    /// To be called about once a second.
    pub(crate) fn tick(&mut self) {
        match self {
            Self::Alone(tracker) => tracker.tick(),
            Self::Ring(node) => {
                node.ticks += 1;
                if node.ticks.is_multiple_of(SAVE_EVERY) {
                    node.save_members();
                }
            }
        }
    }

    /// Hands over what others need. The faces still answer.
    pub(crate) fn leave(&self) {
        let Self::Ring(node) = self else {
            return;
        };
        node.save_members();
        if node.server.leave(LEAVE_WITHIN) {
            log::info!("left the ring; what was kept here is on other nodes");
        } else {
            log::warn!("left the ring before all that was kept here was on other nodes");
        }
    }

    /// Ends all threads.
    pub(crate) fn stop(self) {
        if let Self::Ring(node) = self {
            node.server.stop();
        }
    }
}

impl RingNode {
    fn start(config: &RingConfig, listen: SocketAddr, store: Settings) -> Result<Self> {
        let state = &config.state;
        fs::create_dir_all(state).with_context(|| format!("cannot make the folder {}", state.display()))?;
        let ring_key = config.key.as_deref().map(RingKey::load).transpose()?;
        let fresh = RingId::random(&mut fastrand::Rng::new());
        let identity = Identity::open(&state.join("node"), fresh, unix_ms())?;
        let listener = TcpListener::bind(listen)
            .with_context(|| format!("cannot listen on {listen} for other nodes of the ring"))?;
        let addr = match config.advertise {
            Some(addr) => addr,
            None => listener.local_addr()?,
        };
        if addr.ip().is_unspecified() {
            bail!("other nodes cannot reach {addr}; say where they can, with ring.advertise");
        }
        let members = state.join("members");
        let mut join: BTreeSet<SocketAddr> = config.join.iter().copied().collect();
        join.extend(load_members(&members)?);
        join.remove(&addr);
        let server = RingServer::start(Setup {
            me: Contact {
                id: identity.id(),
                incarnation: identity.incarnation(),
                addr,
            },
            node_key: identity.key().clone(),
            ring_key,
            known: KnownNodes::open(&state.join("known"))?,
            listener,
            sockets: Arc::new(SocketFactory::new("")?),
            join: join.into_iter().collect(),
            store,
        })?;
        Ok(Self {
            server,
            members,
            ticks: 0,
        })
    }

    /// Remembers the nodes of the ring for the next start. A ring of one keeps what was remembered: the others may
    /// come back.
    fn save_members(&self) {
        let members = self.server.members();
        if members.is_empty() {
            return;
        }
        let mut text = String::from("# Where nodes of the ring were last seen: IP:PORT.\n");
        for addr in members {
            text.push_str(&format!("{addr}\n"));
        }
        if let Err(error) = replace(&self.members, &text) {
            log::warn!(
                "could not remember the ring in {}: {error}",
                self.members.display()
            );
        }
    }
}

/// A reader sees the old file or the new one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

/// The addresses that an earlier life has written down.
fn load_members(path: &Path) -> Result<Vec<SocketAddr>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    // Lines that make no sense are not worth staying out of the ring for.
    Ok(text.lines().filter_map(|line| line.trim().parse().ok()).collect())
}

fn unix_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_remembered_and_rubbish_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members");
        assert_eq!(load_members(&path).unwrap(), []);
        replace(&path, "# comment\n192.0.2.1:6970\nrubbish\n[2001:db8::1]:1\n").unwrap();
        let expected: [SocketAddr; 2] = [
            "192.0.2.1:6970".parse().unwrap(),
            "[2001:db8::1]:1".parse().unwrap(),
        ];
        assert_eq!(load_members(&path).unwrap(), expected);
    }
}
