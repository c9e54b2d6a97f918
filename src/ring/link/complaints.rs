//! Keeps whoever is refused from filling the log. A machine: layer 2.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A line for each host at most this often.
const INTERVAL: Duration = Duration::from_secs(10);

/// Most hosts that are remembered. With more in one interval, the others get no line at all.
const MAX_HOSTS: usize = 256;

/// When which host was last complained about, and how often it was passed over since.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    hosts: HashMap<IpAddr, (Instant, u64)>,
}

impl Complaints {
    /// Whether to write a line about this host: then how many were left out before it.
    pub(super) fn about(&mut self, host: IpAddr, now: Instant) -> Option<u64> {
        if let Some((at, left_out)) = self.hosts.get_mut(&host) {
            if now - *at < INTERVAL {
                *left_out += 1;
                return None;
            }
            *at = now;
            return Some(std::mem::take(left_out));
        }
        if self.hosts.len() >= MAX_HOSTS {
            self.hosts.retain(|_, (at, _)| now - *at < INTERVAL);
        }
        let has_room = self.hosts.len() < MAX_HOSTS;
        has_room.then(|| {
            self.hosts.insert(host, (now, 0));
            0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_gets_a_line_an_interval_and_many_hosts_get_few() {
        let (mut complaints, now) = (Complaints::default(), Instant::now());
        let host = |number: u32| IpAddr::from(number.to_be_bytes());
        assert_eq!(complaints.about(host(1), now), Some(0));
        assert_eq!(complaints.about(host(1), now), None);
        assert_eq!(complaints.about(host(1), now + INTERVAL / 2), None);
        assert_eq!(complaints.about(host(1), now + INTERVAL), Some(2));
        let lines = (2..10_000).filter(|number| complaints.about(host(*number), now + INTERVAL).is_some());
        assert_eq!(lines.count(), MAX_HOSTS - 1);
        assert_eq!(complaints.hosts.len(), MAX_HOSTS);
        assert_eq!(complaints.about(host(10_001), now + INTERVAL * 2), Some(0));
    }
}
