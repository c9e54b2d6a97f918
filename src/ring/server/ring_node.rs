//! A node of the ring with its state folder: its place and its key, whom it has met, and where the others were last
//! seen. `dtracker` and the client start this one. Layer 3.
//!
//! | file in the folder | what |
//! |---|---|
//! | `node` | [`Identity`]: place, key, latest life |
//! | `known` | [`KnownNodes`]: which key each node was first seen with |
//! | `members` | addresses at which nodes of the ring were last seen |

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::choice::{Choice, Chosen};
use super::{RingServer, RingStatus, RingTracker, Setup};
use crate::id::RingId;
use crate::net::sockets::SocketFactory;
use crate::ring::contact::Contact;
use crate::ring::link::{Identity, KeyError, KnownNodes, RingKey, StartError};
use crate::ring::node::Start;
use crate::sentence::phrase;
use crate::tracker::server::config::RingConfig;
use crate::tracker::swarm::Settings;

/// Ticks between two times that the members are written down.
const SAVE_EVERY: u32 = 60;

/// Why a node cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum RingNodeError {
    /// The settings name no address for the ring.
    #[error("there is no address for the ring; give one with --ring or ring.listen")]
    NoAddress,
    /// The state folder cannot be used.
    #[error("cannot {action} {}: {source}", path.display())]
    State {
        /// What was tried, as a verb.
        action: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key, or what the node is known by, cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Nobody could be let in.
    #[error("cannot listen on {addr} for other nodes of the ring: {source}")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address means "everywhere".
    #[error("other nodes cannot reach {addr}; say where they can, with ring.advertise")]
    Unspecified {
        /// The address.
        addr: SocketAddr,
    },
    /// The links do not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It was told to stop before it had begun.
    #[error("the node was stopped before it had its place")]
    Stopped,
}

/// A running node.
#[derive(Debug)]
pub struct RingNode {
    server: RingServer,
    members: PathBuf,
    ticks: u32,
}

impl RingNode {
    /// Starts the node of this state folder. One that is new chooses its place in the ring first, which takes some
    /// seconds when no other node answers; `is_stopped` is asked all the while.
    ///
    /// # Errors
    /// See [`RingNodeError`].
    pub fn start(
        config: &RingConfig,
        sockets: Arc<SocketFactory>,
        store: Settings,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Self, RingNodeError> {
        let listen = config.listen.ok_or(RingNodeError::NoAddress)?;
        let state = &config.state;
        fs::create_dir_all(state).map_err(failed(phrase!("make the folder"), state))?;
        let ring_key = config.key.as_deref().map(RingKey::load).transpose()?;
        let listener =
            TcpListener::bind(listen).map_err(|source| RingNodeError::Listen { addr: listen, source })?;
        let local = listener.local_addr().map_err(StartError::from)?;
        let addr = config.advertise.unwrap_or(local);
        if addr.ip().is_unspecified() {
            return Err(RingNodeError::Unspecified { addr });
        }
        let members = state.join("members");
        let mut join: BTreeSet<SocketAddr> = config.join.iter().copied().collect();
        join.extend(load_members(&members)?);
        join.remove(&addr);
        let join: Vec<SocketAddr> = join.into_iter().collect();

        let path = state.join("node");
        let (identity, how) = match Identity::open(&path, unix_ms())? {
            Some(identity) if join.is_empty() => (identity, Start::Alone),
            Some(identity) => (identity, Start::Join),
            None => {
                let choice = Choice {
                    addr,
                    ring_key: ring_key.clone(),
                    sockets: Arc::clone(&sockets),
                    join: &join,
                };
                let chosen = choose(choice, is_stopped)?;
                // Without a ring it begins one, so that others which look for one now find it.
                let how = if chosen.in_ring { Start::Join } else { Start::Alone };
                (Identity::create(&path, chosen.id, unix_ms())?, how)
            }
        };
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
            sockets,
            join,
            how,
            store,
        })?;
        Ok(Self {
            server,
            members,
            ticks: 0,
        })
    }

    /// What answers the faces.
    pub fn tracker(&self) -> Arc<RingTracker> {
        self.server.tracker()
    }

    /// The node: its place, this life, and where others reach it.
    pub fn me(&self) -> Contact {
        self.server.tracker().me()
    }

    /// The ring as this node sees it now; `None` if it does not answer.
    pub fn status(&self) -> Option<RingStatus> {
        self.server.status()
    }

    /// See [`RingServer::is_outlived`].
    pub fn is_outlived(&self) -> bool {
        self.server.is_outlived()
    }

    /// To be called about once a second.
    pub fn tick(&mut self) {
        self.ticks += 1;
        if self.ticks.is_multiple_of(SAVE_EVERY) {
            self.save_members();
        }
    }

    /// Hands over what others need, `within` this time. The faces should go on answering meanwhile. Returns whether
    /// everything is in safety.
    pub fn leave(&self, within: Duration) -> bool {
        self.save_members();
        let is_safe = self.server.leave(within);
        if is_safe {
            log::info!("left the ring; what was kept here is on other nodes");
        } else {
            log::warn!("left the ring before all that was kept here was on other nodes");
        }
        is_safe
    }

    /// Ends all threads.
    pub fn stop(self) {
        self.server.stop();
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

/// The place of a node that is new.
fn choose(choice: Choice<'_>, is_stopped: &dyn Fn() -> bool) -> Result<Chosen, RingNodeError> {
    let join = choice.join;
    if join.is_empty() {
        let id = RingId::random(&mut fastrand::Rng::new());
        return Ok(Chosen { id, in_ring: false });
    }
    let names: Vec<String> = join.iter().map(SocketAddr::to_string).collect();
    let names = names.join(", ");
    log::info!("a new node: looking for a good place in the ring of {names}");
    let chosen = choice.make(is_stopped)?.ok_or(RingNodeError::Stopped)?;
    if chosen.in_ring {
        log::info!("the place {} halves the largest arc that was seen", chosen.id);
    } else {
        log::warn!(
            "no node of a ring answers at {names}: this node begins one at {}, and goes on to look for theirs",
            chosen.id
        );
    }
    Ok(chosen)
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> RingNodeError + 'a {
    move |source| RingNodeError::State {
        action,
        path: path.to_owned(),
        source,
    }
}

/// A reader sees the old file or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

/// The addresses that an earlier life has written down.
fn load_members(path: &Path) -> Result<Vec<SocketAddr>, RingNodeError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(phrase!("read"), path)(error)),
    };
    // Lines that make no sense are not worth staying out of the ring for.
    Ok(text.lines().filter_map(|line| line.trim().parse().ok()).collect())
}

fn unix_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
