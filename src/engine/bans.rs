//! Addresses that the user wants nothing to do with, in any torrent. The engine's thread owns them, and turns away what
//! comes from them or would lead to them; torrents at work are told.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::engine::Engine;
use crate::torrent::link::TorrentCommand;

/// The addresses, an IPv4 address in IPv6 as the IPv4 address that it is.
#[derive(Debug, Default)]
pub(super) struct Bans {
    banned: BTreeSet<IpAddr>,
    /// The same for the faces.
    told: Arc<[IpAddr]>,
}

impl Bans {
    pub(super) fn new(banned: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut bans = Self {
            banned: banned.into_iter().map(|ip| ip.to_canonical()).collect(),
            ..Self::default()
        };
        bans.tell();
        bans
    }

    pub(super) fn holds(&self, ip: IpAddr) -> bool {
        !self.banned.is_empty() && self.banned.contains(&ip.to_canonical())
    }

    /// Takes out those that are banned.
    pub(super) fn sift(&self, peers: &mut Vec<SocketAddr>) {
        peers.retain(|peer| !self.holds(peer.ip()));
    }

    pub(super) fn list(&self) -> Arc<[IpAddr]> {
        Arc::clone(&self.told)
    }

    /// Says whether that is new.
    fn add(&mut self, ip: IpAddr) -> bool {
        let is_new = self.banned.insert(ip.to_canonical());
        self.tell();
        is_new
    }

    /// Says whether it was banned.
    fn lift(&mut self, ip: IpAddr) -> bool {
        let was_banned = self.banned.remove(&ip.to_canonical());
        self.tell();
        was_banned
    }

    fn tell(&mut self) {
        self.told = self.banned.iter().copied().collect();
    }
}

impl Engine {
    pub(super) fn ban_peer(&mut self, ip: IpAddr) {
        if self.bans.add(ip) {
            log::info!("{ip} is banned");
            self.bans_changed(&|| TorrentCommand::Ban(ip));
        }
    }

    pub(super) fn lift_ban(&mut self, ip: IpAddr) {
        if self.bans.lift(ip) {
            log::info!("{ip} is banned no more");
            self.bans_changed(&|| TorrentCommand::LiftBan(ip));
        }
    }

    fn bans_changed(&mut self, command: &dyn Fn() -> TorrentCommand) {
        self.keeper.save_bans(self.bans.list());
        self.torrents.iter().for_each(|entry| entry.tell(command()));
        self.tell_snapshot();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_in_both_families() {
        let ip: IpAddr = "192.0.2.7".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        let mut bans = Bans::new([mapped]);
        assert_eq!(*bans.list(), [ip]);
        let mut peers = vec![
            SocketAddr::new(ip, 1),
            SocketAddr::new("192.0.2.8".parse().unwrap(), 1),
        ];
        bans.sift(&mut peers);
        assert_eq!(peers, ["192.0.2.8:1".parse().unwrap()]);
        assert!(!bans.add(ip) && bans.lift(mapped) && !bans.lift(ip));
        assert!(!bans.holds(ip) && bans.list().is_empty());
    }
}
