//! The tracker inside the client, as the engine sees it: when there is one, and how it stands.

use std::io;
use std::net::SocketAddr;

use crossbeam_channel::Sender;

use crate::config::setting::SettingChange;
use crate::engine::Engine;
use crate::engine::api::TorrentState;
use crate::sentence::told;
use crate::tracker::client::AnnouncerCommand;
use crate::tracker::node::status::TrackerNodeStatus;
use crate::tracker::node::{NodeCommand, NodeHandle, NodeSetup, OwnTorrents};

/// Folder of the node's own files, in the state folder of the client.
const FOLDER: &str = "tracker";

/// The node's thread, which is started when a node is wanted for the first time, and what it has told last.
#[derive(Debug)]
pub(super) struct TrackerNode {
    statuses: Sender<Option<TrackerNodeStatus>>,
    handle: Option<NodeHandle>,
    /// What it was told of the client's torrents.
    shared: OwnTorrents,
    /// The list ([`Torrents::changes`]) and our port when `shared` was worked out; `None`: it is to be done anew.
    ///
    /// [`Torrents::changes`]: crate::engine::list::Torrents::changes
    shared_as_of: Option<(u64, u16)>,
    pub(super) status: Option<TrackerNodeStatus>,
}

impl TrackerNode {
    pub(super) fn new(statuses: Sender<Option<TrackerNodeStatus>>) -> Self {
        Self {
            statuses,
            handle: None,
            shared: OwnTorrents::default(),
            shared_as_of: None,
            status: None,
        }
    }

    fn configure(&mut self, wanted: Option<NodeSetup>) -> io::Result<()> {
        let handle = match self.handle.take() {
            Some(handle) => handle,
            None if wanted.is_none() => return Ok(()),
            None => NodeHandle::spawn(self.statuses.clone())?,
        };
        handle.send(NodeCommand::Configure(wanted.map(Box::new)));
        self.handle = Some(handle);
        Ok(())
    }

    /// Lets the node leave its ring, and waits for its end.
    pub(super) fn stop(self) {
        self.handle.into_iter().for_each(NodeHandle::stop);
    }
}

impl Engine {
    /// Takes the settings over that concern the node.
    pub(super) fn configure_tracker_node(&mut self) {
        let config = &self.config;
        let wanted = config.tracker.node.then(|| NodeSetup {
            config: config.tracker.clone(),
            bind: config.network.bind.clone(),
            // Where the session is: that folder does not change while the client runs.
            state: self.state_folder.join(FOLDER),
        });
        if let Err(error) = self.tracker_node.configure(wanted) {
            self.fail(None, told!("this computer cannot be a tracker: {error}"));
        }
    }

    /// Switches the node on or off, for the next runs as well.
    pub(super) fn set_tracker_node(&mut self, on: bool) {
        let mut config = self.config.clone();
        config.tracker.node = on;
        // That key does not wait for the next start.
        let _ = self.configure(config);
        self.keep(vec![SettingChange::set("tracker", "node", on)]);
    }

    /// Tells the node which of the torrents that name it are shared, when that has changed.
    pub(super) fn share_with_tracker_node(&mut self) {
        let TrackerNode { handle, status, .. } = &self.tracker_node;
        let (Some(handle), Some(status)) = (handle, status) else {
            return;
        };
        let port = self.listening.first().map_or(0, SocketAddr::port);
        let as_of = Some((self.torrents.changes(), port));
        if self.tracker_node.shared_as_of == as_of {
            return;
        }
        let own = OwnTorrents {
            port,
            torrents: (self
                .torrents
                .iter()
                .filter(|entry| names(&entry.metainfo.tiers, &status.urls)))
            .filter_map(|entry| match entry.state() {
                TorrentState::Seeding => Some((entry.info_hash(), true)),
                TorrentState::Downloading => Some((entry.info_hash(), false)),
                _ => None,
            })
            .collect(),
        };
        if own != self.tracker_node.shared {
            handle.send(NodeCommand::Share(own.clone()));
            self.tracker_node.shared = own;
        }
        self.tracker_node.shared_as_of = as_of;
    }

    pub(super) fn on_tracker_node(&mut self, status: Option<TrackerNodeStatus>) {
        let urls = |status: &Option<TrackerNodeStatus>| {
            let reachable = status.as_ref().filter(|status| status.is_reachable());
            reachable.map(|status| status.urls.clone())
        };
        let is_news = urls(&status).is_some() && urls(&status) != urls(&self.tracker_node.status);
        self.tracker_node.status = status;
        self.tracker_node.shared_as_of = None;
        if let Some(status) = self.tracker_node.status.as_ref().filter(|_| is_news) {
            // Torrents that were started with the client have asked before it could answer.
            for entry in self
                .torrents
                .iter()
                .filter(|entry| names(&entry.metainfo.tiers, &status.urls))
            {
                self.announcer
                    .send(AnnouncerCommand::AnnounceNow(entry.info_hash()));
            }
        }
        self.tell_snapshot();
    }
}

/// Whether one of these addresses of the node is among the trackers of a torrent.
fn names(tiers: &[Vec<String>], node: &[String]) -> bool {
    tiers.iter().flatten().any(|url| node.contains(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torrent_names_the_node_by_any_of_its_addresses_in_any_tier() {
        let url = |host: &str| format!("http://{host}:6969/announce");
        let node = [url("192.0.2.1"), url("127.0.0.1")];
        let others = vec![vec![url("192.0.2.2"), url("192.0.2.3")]];
        assert!(!names(&[], &node) && !names(&others, &node));
        let both = [others, vec![vec![url("127.0.0.1")]]].concat();
        assert!(names(&both, &node));
        assert!(!names(&both, &[]), "nobody reaches it");
    }
}
