//! What stands behind the faces of `dtracker serve`: the store of a node alone, or a node of a ring.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use dtorrent::net::sockets::SocketFactory;
use dtorrent::ring::server::RingNode;
use dtorrent::tracker::server::config::RingConfig;
use dtorrent::tracker::server::{LocalTracker, Tracker};
use dtorrent::tracker::swarm::Settings;

/// How long a node may take to bring what it keeps to others before it goes.
const LEAVE_WITHIN: Duration = Duration::from_secs(12);

/// The tracker proper.
pub(crate) enum Node {
    Alone(Arc<LocalTracker>),
    Ring(Box<RingNode>),
}

impl Node {
    /// Starts it, unless `is_stopped` says meanwhile that it is not wanted any more.
    pub(crate) fn start(config: &RingConfig, store: Settings, is_stopped: &dyn Fn() -> bool) -> Result<Self> {
        match config.listen {
            None if !config.join.is_empty() => {
                bail!(
                    "there are nodes to join, but no address for the ring; give one with --ring or ring.listen"
                )
            }
            None => Ok(Self::Alone(Arc::new(LocalTracker::new(store)))),
            Some(_) => {
                let sockets = Arc::new(SocketFactory::new("")?);
                let node = RingNode::start(config, sockets, store, is_stopped)?;
                Ok(Self::Ring(Box::new(node)))
            }
        }
    }

    /// What answers the faces.
    pub(crate) fn tracker(&self) -> Arc<dyn Tracker> {
        match self {
            Self::Alone(tracker) => tracker.clone(),
            Self::Ring(node) => node.tracker(),
        }
    }

    /// Where other nodes reach this one.
    pub(crate) fn ring_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Alone(_) => None,
            Self::Ring(node) => Some(node.me().addr),
        }
    }

    /// How many others it knows in its ring; `None`: it does not serve yet. A tracker alone has nothing to say.
    pub(crate) fn others_if_serving(&self) -> Option<usize> {
        match self {
            Self::Alone(_) => None,
            Self::Ring(node) => node
                .status()
                .filter(|status| status.serving)
                .map(|status| status.members.len()),
        }
    }

    /// To be called about once a second.
    ///
    /// # Errors
    /// The node must end: another one has taken its place.
    pub(crate) fn tick(&mut self) -> Result<()> {
        match self {
            Self::Alone(tracker) => tracker.tick(),
            Self::Ring(node) if node.is_outlived() => bail!(
                "another node runs with this one's id; if two were given copies of one state folder, give one of them \
                 a folder of its own, else start this node again"
            ),
            Self::Ring(node) => node.tick(),
        }
        Ok(())
    }

    /// Hands over what others need. The faces still answer.
    pub(crate) fn leave(&self) {
        if let Self::Ring(node) = self {
            node.leave(LEAVE_WITHIN);
        }
    }

    /// Ends all threads.
    pub(crate) fn stop(self) {
        if let Self::Ring(node) = self {
            node.stop();
        }
    }
}
