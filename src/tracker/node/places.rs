//! Where the tracker inside the client listens, and by which addresses others reach it. Layer 3, though it sends
//! nothing.
//!
//! What `[tracker] address` names is taken as it is: the person knows best. Without it the system's routes say by
//! which address this computer reaches others; a socket for datagrams that is connected tells, and no packet leaves.
//! A network without a way out (two computers and a cable) has no such route; there the interfaces are looked at one
//! by one. A loopback address is never found in this way: it must be asked for.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::named::{Host, Named};
use super::status::Reach;
use crate::net::sockets::{SocketError, SocketFactory};
use crate::sentence::told;

/// Somewhere outside (RFC 5737, RFC 3849). Nothing is sent there.
const OUTSIDE_V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
const OUTSIDE_V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9);

/// Flags of an address in `/proc/net/if_inet6` (`IFA_F_*`): it changes from day to day, is about to go, or is not
/// in use yet.
const TEMPORARY: u8 = 0x01;
const DEPRECATED: u8 = 0x20;
const TENTATIVE: u8 = 0x40;

/// Why there is no place for a tracker.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It cannot be an address.
    #[error(
        "the address of the tracker, {0:?} in tracker.address, is none: it takes an IP address or a name, with or without a port, or nothing"
    )]
    BadAddress(String),
    /// The interface or address that everything is bound to.
    #[error(transparent)]
    Bind(#[from] SocketError),
    /// Nobody else could come here.
    #[error(
        "this computer has no address that others can reach; connect it to a network, or name an address in \
         tracker.address"
    )]
    NoAddress,
}

/// The places of a tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Where it listens, for HTTP and UDP alike.
    pub listen: Vec<SocketAddr>,
    /// Where others announce: one tier of a torrent.
    pub urls: Vec<String>,
    /// From where these can be reached.
    pub reach: Reach,
    /// What a person should know of that.
    pub advice: Option<String>,
    /// By which address others reach this computer, the best one.
    pub address: Option<IpAddr>,
    /// What others know this computer by, if that is none of its own addresses.
    pub(super) outside: Option<Host>,
}

impl Places {
    /// Those of a tracker with this port, where everything is bound to `bind` (`network.bind`) and `address`
    /// (`tracker.address`) may name where it is reached.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn find(port: u16, address: &str, bind: &str) -> Result<Self, PlaceError> {
        let bound = bound_to(bind)?;
        if !address.is_empty() {
            let named = Named::parse(address).ok_or_else(|| PlaceError::BadAddress(address.to_owned()))?;
            return Ok(Self::of_named(port, named, bound.as_deref()));
        }
        let found = match &bound {
            Some(bound) => bound.clone(),
            None => detect("")?,
        };
        if found.is_empty() {
            return Err(PlaceError::NoAddress);
        }
        let listen = bound.unwrap_or_else(everywhere);
        let hosts: Vec<(Host, u16)> = found.iter().map(|&ip| (Host::Ip(ip), port)).collect();
        Ok(Self::new(
            at_port(&listen, port),
            &hosts,
            port,
            found.first().copied(),
        ))
    }

    fn of_named(port: u16, named: Named, bound: Option<&[IpAddr]>) -> Self {
        let named_port = named.port.unwrap_or(port);
        if let Host::Ip(ip) = named.host
            && is_own(ip)
        {
            let hosts = [(named.host, named_port)];
            return Self::new(
                vec![SocketAddr::new(ip, named_port)],
                &hosts,
                named_port,
                Some(ip),
            );
        }
        // A router's, which leads here.
        let listen = bound.map_or_else(everywhere, <[IpAddr]>::to_vec);
        let address = match (&named.host, bound) {
            (Host::Ip(ip), _) => Some(*ip),
            (Host::Name(_), Some(bound)) => bound.first().copied(),
            (Host::Name(_), None) => detect("").ok().and_then(|found| found.first().copied()),
        };
        let outside = Some(named.host.clone());
        Self {
            outside,
            ..Self::new(at_port(&listen, port), &[(named.host, named_port)], port, address)
        }
    }

    fn new(listen: Vec<SocketAddr>, hosts: &[(Host, u16)], port: u16, address: Option<IpAddr>) -> Self {
        // HTTP first: it passes where UDP does not.
        let urls = ["http", "udp"]
            .into_iter()
            .flat_map(|scheme| {
                hosts
                    .iter()
                    .map(move |(host, port)| format!("{scheme}://{host}:{port}/announce"))
            })
            .collect();
        let reaches = hosts.iter().map(|(host, _)| match host {
            Host::Ip(ip) => reach_of(*ip),
            Host::Name(name) if name == "localhost" => Reach::ThisComputer,
            Host::Name(_) => Reach::Everywhere,
        });
        let reach = reaches.max().unwrap_or(Reach::ThisComputer);
        Self {
            listen,
            urls,
            reach,
            advice: advice(reach, hosts, port),
            address,
            outside: None,
        }
    }
}

/// The addresses of what everything is bound to; `None` if that is nothing.
fn bound_to(bind: &str) -> Result<Option<Vec<IpAddr>>, PlaceError> {
    if bind.is_empty() {
        return Ok(None);
    }
    let found = match bind.parse() {
        Ok(address) => vec![address],
        Err(_) => detect(bind)?,
    };
    match found.is_empty() {
        true => Err(PlaceError::NoAddress),
        false => Ok(Some(found)),
    }
}

fn everywhere() -> Vec<IpAddr> {
    vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
}

fn at_port(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    addresses.iter().map(|&ip| SocketAddr::new(ip, port)).collect()
}

fn is_own(ip: IpAddr) -> bool {
    !ip.is_unspecified() && UdpSocket::bind((ip, 0)).is_ok()
}

/// By which addresses this computer, or one interface of it, reaches others: at most one of each family.
fn detect(bind: &str) -> Result<Vec<IpAddr>, SocketError> {
    let sockets = SocketFactory::new(bind)?;
    let local = |outside: SocketAddr| {
        let socket = sockets.udp(outside.is_ipv6()).ok()?;
        socket.connect(outside).ok()?;
        let ip = socket.local_addr().ok()?.ip();
        (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
    };
    let listed = listed_v6();
    let v6 = match local(OUTSIDE_V6) {
        Some(IpAddr::V6(ip)) => Some(lasting(ip, &listed)),
        _ => listed
            .iter()
            .find(|found| found.lasts && (bind.is_empty() || found.interface == bind))
            .map(|found| found.address),
    };
    let v4 = local(OUTSIDE_V4).or_else(|| {
        // Tied to an interface, a socket has a source address also without a route.
        let interfaces = interfaces().into_iter().filter(|_| bind.is_empty());
        interfaces.filter_map(|name| detect_v4_of(&name)).next()
    });
    Ok(v4.into_iter().chain(v6.map(IpAddr::V6)).collect())
}

fn detect_v4_of(interface: &str) -> Option<IpAddr> {
    let socket = SocketFactory::new(interface).ok()?.udp(false).ok()?;
    socket.connect(OUTSIDE_V4).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}

/// The names of the interfaces, but for the loopback.
fn interfaces() -> Vec<String> {
    let text = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split_once(':'));
    let names = names.map(|(name, _)| name.trim().to_owned());
    names.filter(|name| name != "lo").collect()
}

/// An IPv6 address of this computer that is good for more than its own link.
#[derive(Debug, PartialEq, Eq)]
struct ListedV6 {
    address: Ipv6Addr,
    interface: String,
    /// It is in use, and will be tomorrow.
    lasts: bool,
}

fn listed_v6() -> Vec<ListedV6> {
    let text = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    text.lines().filter_map(parse_listed).collect()
}

/// A line: address, index, prefix length, scope (00: global), flags, name; all but the name in hexadecimal digits.
fn parse_listed(line: &str) -> Option<ListedV6> {
    let mut words = line.split_whitespace();
    let address = u128::from_str_radix(words.next()?, 16).ok()?;
    let scope = words.nth(2)?;
    let flags = u8::from_str_radix(words.next()?, 16).ok()?;
    let interface = words.next()?.to_owned();
    (scope == "00").then_some(ListedV6 {
        address: address.into(),
        interface,
        lasts: flags & (TEMPORARY | DEPRECATED | TENTATIVE) == 0,
    })
}

/// The kernel prefers addresses that change from day to day (RFC 8981); a torrent lives longer. So another one of the
/// same network is taken, if there is one.
fn lasting(ip: Ipv6Addr, listed: &[ListedV6]) -> Ipv6Addr {
    let Some(found) = listed.iter().find(|found| found.address == ip) else {
        return ip;
    };
    let network = |ip: Ipv6Addr| ip.to_bits() >> 64;
    let better = listed.iter().find(|other| {
        other.lasts && other.interface == found.interface && network(other.address) == network(ip)
    });
    match better {
        Some(better) if !found.lasts => better.address,
        _ => ip,
    }
}

/// From where an address can be reached.
fn reach_of(ip: IpAddr) -> Reach {
    let ip = ip.to_canonical();
    let is_private = match ip {
        // RFC 1918, RFC 3927, and what providers have behind their own translation (RFC 6598).
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    match () {
        () if ip.is_loopback() => Reach::ThisComputer,
        () if is_private => Reach::LocalNetwork,
        () => Reach::Everywhere,
    }
}

fn advice(reach: Reach, hosts: &[(Host, u16)], port: u16) -> Option<String> {
    let forward = told!(
        "let the router forward the TCP and UDP port {port}, and the TCP port on which peers come, to this computer, \
         and name the router's outside address in the settings (tracker.address)"
    );
    let private_v4 = hosts.iter().find_map(|(host, _)| match host {
        Host::Ip(ip) if ip.is_ipv4() && reach_of(*ip) == Reach::LocalNetwork => Some(*ip),
        _ => None,
    });
    match (reach, private_v4) {
        (Reach::ThisComputer, _) => Some(told!("only programs on this computer reach it")),
        (Reach::LocalNetwork, _) if hosts.len() == 1 => Some(told!(
            "this is a private address, so this works in the local network only; to share with others, {forward}"
        )),
        (Reach::LocalNetwork, _) => Some(told!(
            "these are private addresses, so this works in the local network only; to share with others, {forward}"
        )),
        (Reach::Everywhere, Some(ip)) => Some(told!(
            "{ip} is a private address: from outside of the local network only IPv6 leads here; for IPv4 as well, \
             {forward}"
        )),
        (Reach::Everywhere, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_an_address_reaches() {
        for (ip, reach) in [
            ("127.0.0.1", Reach::ThisComputer),
            ("::1", Reach::ThisComputer),
            ("::ffff:127.0.0.1", Reach::ThisComputer),
            ("10.1.2.3", Reach::LocalNetwork),
            ("172.31.0.1", Reach::LocalNetwork),
            ("172.32.0.1", Reach::Everywhere),
            ("192.168.0.1", Reach::LocalNetwork),
            ("169.254.3.4", Reach::LocalNetwork),
            ("100.64.0.1", Reach::LocalNetwork),
            ("100.128.0.1", Reach::Everywhere),
            ("fd00::1", Reach::LocalNetwork),
            ("fe80::1", Reach::LocalNetwork),
            ("2001:db8::1", Reach::Everywhere),
            ("203.0.113.5", Reach::Everywhere),
        ] {
            assert_eq!(reach_of(ip.parse().unwrap()), reach, "{ip}");
        }
    }

    #[test]
    fn an_own_address_is_the_only_one_that_is_listened_on() {
        let places = Places::find(6969, "127.0.0.9:7000", "").unwrap();
        assert_eq!(places.listen, [SocketAddr::from(([127, 0, 0, 9], 7000))]);
        let urls = ["http://127.0.0.9:7000/announce", "udp://127.0.0.9:7000/announce"];
        assert_eq!(places.urls, urls);
        assert_eq!(places.reach, Reach::ThisComputer);
        let advice = places.advice.unwrap();
        assert_eq!(advice, "only programs on this computer reach it");
        // That everything is bound to it says the same.
        let bound = Places::find(7000, "", "127.0.0.9").unwrap();
        assert_eq!((bound.listen, bound.urls), (places.listen, places.urls));
    }

    #[test]
    fn the_address_of_a_router_is_named_and_not_listened_on() {
        let places = Places::find(6969, "home.example:16969", "").unwrap();
        assert_eq!(places.listen, at_port(&everywhere(), 6969));
        assert_eq!(places.urls[0], "http://home.example:16969/announce");
        assert_eq!((places.reach, places.advice), (Reach::Everywhere, None));
        let places = Places::find(6969, "203.0.113.5", "127.0.0.9").unwrap();
        assert_eq!(places.listen, [SocketAddr::from(([127, 0, 0, 9], 6969))]);
        assert_eq!(places.urls[1], "udp://203.0.113.5:6969/announce");
        assert!(matches!(
            Places::find(6969, "what is this", ""),
            Err(PlaceError::BadAddress(_))
        ));
    }

    #[test]
    fn loopback_is_not_found_by_itself() {
        match Places::find(6969, "", "") {
            Ok(places) => assert!(
                places.reach > Reach::ThisComputer && !places.urls.is_empty(),
                "{places:?}"
            ),
            Err(error) => assert!(matches!(error, PlaceError::NoAddress), "{error}"),
        }
    }

    #[test]
    fn who_has_private_addresses_is_told_what_that_means() {
        let told = |ips: &[&str]| {
            let hosts: Vec<(Host, u16)> = ips
                .iter()
                .map(|ip| (Host::Ip(ip.parse().unwrap()), 6969))
                .collect();
            let places = Places::new(Vec::new(), &hosts, 6969, None);
            (places.reach, places.advice.unwrap_or_default())
        };
        let (reach, advice) = told(&["192.168.1.5"]);
        assert_eq!(reach, Reach::LocalNetwork);
        assert!(advice.starts_with("this is a private address"), "{advice}");
        assert!(advice.contains("forward the TCP and UDP port 6969"), "{advice}");
        let (_, advice) = told(&["192.168.1.5", "fd00::5"]);
        assert!(advice.starts_with("these are private addresses"), "{advice}");
        let (reach, advice) = told(&["192.168.1.5", "2001:db8::5"]);
        assert_eq!(reach, Reach::Everywhere);
        assert!(advice.contains("only IPv6 leads here"), "{advice}");
        assert_eq!(told(&["203.0.113.5"]), (Reach::Everywhere, String::new()));
    }

    #[test]
    fn an_address_that_lasts_is_taken_for_one_that_does_not() {
        let text = "20010db8000000000000000000000001 02 40 00 80 eth0\n\
                    20010db800000000a1b2c3d4e5f60718 02 40 00 01 eth0\n\
                    20010db8000000010000000000000009 03 40 00 80 eth1\n\
                    fe800000000000000000000000000001 02 40 20 80 eth0\n\
                    rubbish\n";
        let listed: Vec<ListedV6> = text.lines().filter_map(parse_listed).collect();
        assert_eq!(listed.len(), 3);
        let ip = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        let (lasts, passes) = (ip("2001:db8::1"), ip("2001:db8::a1b2:c3d4:e5f6:718"));
        assert_eq!(lasting(passes, &listed), lasts);
        assert_eq!(lasting(lasts, &listed), lasts);
        assert_eq!(lasting(ip("2001:db8:1::9"), &listed), ip("2001:db8:1::9"));
        assert_eq!(lasting(ip("2001:db8::77"), &listed), ip("2001:db8::77"));
    }
}
