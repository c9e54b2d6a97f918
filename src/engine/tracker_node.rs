//! The tracker inside the client, as the engine sees it: when there is one, and how it stands.

use std::io;

use crossbeam_channel::Sender;

use crate::config::edit;
use crate::engine::Engine;
use crate::tracker::client::AnnouncerCommand;
use crate::tracker::node::status::TrackerNodeStatus;
use crate::tracker::node::{NodeCommand, NodeHandle, NodeSetup};

/// Folder of the node's own files, in the state folder of the client.
const FOLDER: &str = "tracker";

/// The node's thread, which is started when a node is wanted for the first time, and what it has told last.
#[derive(Debug)]
pub(super) struct TrackerNode {
    statuses: Sender<Option<TrackerNodeStatus>>,
    handle: Option<NodeHandle>,
    pub(super) status: Option<TrackerNodeStatus>,
}

impl TrackerNode {
    pub(super) fn new(statuses: Sender<Option<TrackerNodeStatus>>) -> Self {
        Self {
            statuses,
            handle: None,
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
            self.fail(None, format!("this computer cannot be a tracker: {error}"));
        }
    }

    /// Switches the node on or off, for the next runs as well.
    pub(super) fn set_tracker_node(&mut self, on: bool) {
        let mut config = self.config.clone();
        config.tracker.node = on;
        self.configure(config);
        let kept = self
            .watcher
            .as_ref()
            .map(|watcher| edit::set(watcher.path(), "tracker", "node", on));
        if let Some(Err(error)) = kept {
            self.fail(None, format!("this holds until DTorrent ends: {error}"));
        }
    }

    pub(super) fn on_tracker_node(&mut self, status: Option<TrackerNodeStatus>) {
        let urls = |status: &Option<TrackerNodeStatus>| {
            let reachable = status.as_ref().filter(|status| status.is_reachable());
            reachable.map(|status| status.urls.clone())
        };
        let is_news = urls(&status).is_some() && urls(&status) != urls(&self.tracker_node.status);
        self.tracker_node.status = status;
        if is_news {
            // Torrents that were started with the client have asked before it could answer.
            for id in self.order.clone() {
                self.announcer.send(AnnouncerCommand::AnnounceNow(id));
            }
        }
        self.tell_snapshot();
    }
}
