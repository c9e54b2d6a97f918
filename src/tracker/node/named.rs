//! An address as settings name it. Layer 1.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address as settings name it: `IP`, `IP:PORT`, `NAME` or `NAME:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Ip(IpAddr),
    Name(String),
}

impl Named {
    /// `None` if it can be no address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(addr) = text.parse::<SocketAddr>() {
            let (host, port) = (Host::Ip(addr.ip()), Some(addr.port()).filter(|&port| port > 0)?);
            return Some(Self {
                host,
                port: Some(port),
            });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self {
                host: Host::Ip(address),
                port: None,
            });
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok().filter(|&port: &u16| port > 0)?)),
            None => (text, None),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
        // Digits and points alone are a mistyped address.
        let is_name = name.chars().all(allowed)
            && name.chars().any(|c| c.is_ascii_alphabetic())
            && !name.starts_with(['.', '-']);
        is_name.then(|| Self {
            host: Host::Name(name.to_ascii_lowercase()),
            port,
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_in_four_ways() {
        let ip = |text: &str| Host::Ip(text.parse().unwrap());
        let name = |text: &str| Host::Name(text.to_owned());
        for (text, expected) in [
            ("192.0.2.7", Some((ip("192.0.2.7"), None))),
            ("192.0.2.7:80", Some((ip("192.0.2.7"), Some(80)))),
            ("2001:db8::7", Some((ip("2001:db8::7"), None))),
            ("[2001:db8::7]:80", Some((ip("2001:db8::7"), Some(80)))),
            ("Home.example", Some((name("home.example"), None))),
            ("home.example:6969", Some((name("home.example"), Some(6969)))),
            ("192.0.2", None),
            ("192.0.2.7:0", None),
            ("192.0.2.7:99999", None),
            ("home.example:", None),
            ("home.example:x", None),
            ("http://home.example", None),
            ("home example", None),
            ("home/announce", None),
            (":80", None),
            ("", None),
        ] {
            let named = Named::parse(text).map(|named| (named.host, named.port));
            assert_eq!(named, expected, "{text}");
        }
    }
}
