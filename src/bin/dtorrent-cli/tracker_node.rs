//! `--tracker-node`: this computer as the tracker of what it shares.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use dtorrent::config::{Config, is_tracker_address};
use dtorrent::engine::api::TrackerNodeStatus;
use dtorrent::id::InfoHash;
use dtorrent::metainfo::Metainfo;
use dtorrent::tracker::node::Places;

use crate::output::{complain, printable, say};

/// The option.
#[derive(Debug, Args)]
pub(crate) struct TrackerNodeArgs {
    /// Be the tracker too, so that no other one is needed; ADDR, an IP address or name, with or without a port, is
    /// where others reach it [default: as configured, or found out]
    // Without the `=`, the name of a torrent behind it would be taken for the address.
    #[arg(
        long,
        value_name = "ADDR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_parser = parse_address
    )]
    tracker_node: Option<String>,
}

fn parse_address(text: &str) -> Result<String, String> {
    match text.is_empty() || is_tracker_address(text) {
        true => Ok(text.to_owned()),
        false => Err("it takes an IP address or a name, with or without \":PORT\"".into()),
    }
}

impl TrackerNodeArgs {
    pub(crate) fn is_given(&self) -> bool {
        self.tracker_node.is_some()
    }

    /// Puts what the command line says over the settings.
    pub(crate) fn override_in(&self, config: &mut Config) {
        if let Some(address) = &self.tracker_node {
            config.tracker.node = true;
            if !address.is_empty() {
                config.tracker.address.clone_from(address);
            }
        }
    }
}

/// Where the tracker of these settings is reached, whether it runs or not.
pub(crate) fn places(config: &Config) -> Result<Places> {
    let tracker = &config.tracker;
    Ok(Places::find(
        tracker.port,
        &tracker.address,
        &config.network.bind,
    )?)
}

/// What was told of the tracker so far.
#[derive(Debug, Default)]
pub(crate) struct TrackerFace {
    urls: Vec<String>,
    advice: Option<String>,
    problem: Option<String>,
}

impl TrackerFace {
    /// Tells what is new.
    pub(crate) fn show(
        &mut self,
        status: Option<&TrackerNodeStatus>,
        torrents: &BTreeMap<InfoHash, Arc<Metainfo>>,
    ) -> Result<()> {
        let Some(status) = status else {
            return Ok(());
        };
        if self.problem != status.problem {
            self.problem.clone_from(&status.problem);
            if let Some(problem) = &self.problem {
                complain(printable(problem));
            }
        }
        if !status.is_reachable() || self.urls == status.urls {
            return Ok(());
        }
        self.urls.clone_from(&status.urls);
        for url in &self.urls {
            say(format_args!("tracker {url}"))?;
        }
        if self.advice != status.advice {
            self.advice.clone_from(&status.advice);
            if let Some(advice) = &self.advice {
                complain(format_args!("note: {advice}"));
            }
        }
        for metainfo in torrents.values() {
            let mut named = metainfo.tiers.iter().flatten();
            if !named.any(|url| self.urls.contains(url)) {
                complain(format_args!(
                    "note: {} does not name this tracker, so nobody is found through it; make the torrent with \
                     `dtorrent-cli create --tracker-node`",
                    printable(&metainfo.info.name)
                ));
            }
        }
        Ok(())
    }

    /// Whether there is something to tell.
    pub(crate) fn is_news(&self, status: Option<&TrackerNodeStatus>) -> bool {
        status.is_some_and(|status| {
            self.problem != status.problem || (status.is_reachable() && self.urls != status.urls)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_looked_at_before_anything_is_done() {
        for address in ["", "192.0.2.7", "[2001:db8::7]:80", "home.example"] {
            assert_eq!(parse_address(address).as_deref(), Ok(address));
        }
        for wrong in ["film.torrent/", "http://home.example", "192.0.2"] {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
    }
}
