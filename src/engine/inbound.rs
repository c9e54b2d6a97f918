//! Whether peers from outside our own network come to us: connections and the time in, a verdict out. Layer 2.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::engine::api::Inbound;

/// So long after we first reached somebody outside, those that heard of us have tried.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct InboundWatch {
    /// When a dial of ours first led to a peer outside: we can reach others, and are told of.
    reached_out: Option<Instant>,
    /// A peer outside has come by itself.
    reached: bool,
}

impl InboundWatch {
    /// A peer is connected; `incoming`: it opened the connection.
    pub(super) fn on_greeted(&mut self, now: Instant, ip: IpAddr, incoming: bool) {
        if !is_outside(ip) {
            return;
        }
        self.reached |= incoming;
        if !incoming {
            self.reached_out.get_or_insert(now);
        }
    }

    /// We listen at another place: what was found out is of no more worth.
    pub(super) fn on_rebound(&mut self) {
        *self = Self::default();
    }

    pub(super) fn verdict(&self, now: Instant) -> Inbound {
        let waited = |since: Instant| now.saturating_duration_since(since) >= PATIENCE;
        match self {
            Self { reached: true, .. } => Inbound::Reached,
            Self {
                reached_out: Some(since),
                ..
            } if waited(*since) => Inbound::Nobody,
            _ => Inbound::Unknown,
        }
    }
}

/// Whether the way to this address leads through a router. Peers of our own network reach us without it.
fn is_outside(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared(ip)),
        IpAddr::V6(ip) => !(ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local()),
    }
}

/// Whether an address is one of 100.64.0.0/10 (RFC 6598), as carriers give behind their own routers, and virtual
/// networks to their members: both reach us without the way that others would take.
fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && second & 0b1100_0000 == 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reaches_others_for_long_and_is_not_reached_is_not_reachable() {
        let start = Instant::now();
        let later = start + PATIENCE;
        let (out, lan): (IpAddr, IpAddr) = ("198.51.100.9".parse().unwrap(), "192.168.1.4".parse().unwrap());
        let mut watch = InboundWatch::default();
        watch.on_greeted(start, lan, false);
        watch.on_greeted(start, "::ffff:10.0.0.1".parse().unwrap(), true);
        assert_eq!(
            watch.verdict(later),
            Inbound::Unknown,
            "nobody outside knows of us"
        );
        watch.on_greeted(start, out, false);
        assert_eq!(watch.verdict(later - Duration::from_secs(1)), Inbound::Unknown);
        assert_eq!(watch.verdict(later), Inbound::Nobody);
        watch.on_greeted(later, out, true);
        assert_eq!(watch.verdict(later), Inbound::Reached);
        watch.on_rebound();
        assert_eq!(watch.verdict(later), Inbound::Unknown);
    }

    #[test]
    fn addresses_that_several_networks_share_are_not_outside() {
        for (ip, expected) in [
            ("100.63.255.255", true),
            ("100.64.0.0", false),
            ("::ffff:100.100.1.2", false),
            ("100.127.255.255", false),
            ("100.128.0.0", true),
            ("169.254.1.1", false),
            ("fd00::1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(is_outside(ip.parse().unwrap()), expected, "{ip}");
        }
    }
}
