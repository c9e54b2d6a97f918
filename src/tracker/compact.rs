//! Peers as fixed runs of bytes: address and port, big endian. Layer 1, BEP 23 (IPv4, 6 bytes), BEP 7
//! (IPv6, 18 bytes).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of an IPv4 peer.
pub const V4_LEN: usize = 6;
/// Bytes of an IPv6 peer.
pub const V6_LEN: usize = 18;

/// Reads IPv4 peers. Nobody can be reached at port 0, so such entries are left out; so is an incomplete
/// entry at the end, since the entries before it are as good as any.
pub fn peers_v4(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> + '_ {
    let (entries, _rest) = bytes.as_chunks::<V4_LEN>();
    entries
        .iter()
        .map(|&[a, b, c, d, port_high, port_low]| {
            SocketAddr::new(
                Ipv4Addr::new(a, b, c, d).into(),
                u16::from_be_bytes([port_high, port_low]),
            )
        })
        .filter(|peer| peer.port() != 0)
}

/// Reads IPv6 peers as [`peers_v4`] does IPv4 ones. An IPv4 address in IPv6 clothes (`::ffff:0:0/96`) comes
/// out as IPv4, so that one peer is one address.
pub fn peers_v6(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> + '_ {
    let (entries, _rest) = bytes.as_chunks::<V6_LEN>();
    entries
        .iter()
        .filter_map(|entry| {
            let (&address, port) = entry.split_first_chunk::<16>()?;
            let port: [u8; 2] = port.try_into().ok()?;
            Some(SocketAddr::new(
                IpAddr::from(address).to_canonical(),
                u16::from_be_bytes(port),
            ))
        })
        .filter(|peer| peer.port() != 0)
}

/// Appends those of the peers that are IPv4.
pub fn write_v4(peers: &[SocketAddr], out: &mut Vec<u8>) {
    for peer in peers {
        if let IpAddr::V4(address) = peer.ip().to_canonical() {
            let ([a, b, c, d], [high, low]) = (address.octets(), peer.port().to_be_bytes());
            out.extend_from_slice(&[a, b, c, d, high, low]);
        }
    }
}

/// Appends those of the peers that are IPv6.
pub fn write_v6(peers: &[SocketAddr], out: &mut Vec<u8>) {
    for peer in peers {
        if let IpAddr::V6(address) = peer.ip().to_canonical() {
            out.extend_from_slice(&address.octets());
            out.extend_from_slice(&peer.port().to_be_bytes());
        }
    }
}

/// Writes one peer behind `v4` or `v6`, by its family.
pub fn push(peer: SocketAddr, v4: &mut Vec<u8>, v6: &mut Vec<u8>) {
    let port = peer.port().to_be_bytes();
    match peer.ip().to_canonical() {
        IpAddr::V4(address) => {
            v4.extend_from_slice(&address.octets());
            v4.extend_from_slice(&port);
        }
        IpAddr::V6(address) => {
            v6.extend_from_slice(&Ipv6Addr::octets(&address));
            v6.extend_from_slice(&port);
        }
    }
}

/// Writes peers: the IPv4 ones (`peers`) and the IPv6 ones (`peers6`), each in the order given.
pub fn encode<'a>(peers: impl IntoIterator<Item = &'a SocketAddr>) -> (Vec<u8>, Vec<u8>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for &peer in peers {
        push(peer, &mut v4, &mut v6);
    }
    (v4, v6)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v4(bytes: &[u8]) -> Vec<String> {
        peers_v4(bytes).map(|peer| peer.to_string()).collect()
    }

    fn v6(bytes: &[u8]) -> Vec<String> {
        peers_v6(bytes).map(|peer| peer.to_string()).collect()
    }

    #[test]
    fn reads_ipv4() {
        let table: &[(&str, &[u8], &[&str])] = &[
            ("nothing", b"", &[]),
            ("one", &[127, 0, 0, 1, 0x1a, 0xe1], &["127.0.0.1:6881"]),
            (
                "two",
                &[10, 0, 0, 1, 0, 1, 255, 255, 255, 255, 255, 255],
                &["10.0.0.1:1", "255.255.255.255:65535"],
            ),
            ("port 0", &[10, 0, 0, 1, 0, 0, 10, 0, 0, 2, 0, 9], &["10.0.0.2:9"]),
            ("cut short", &[10, 0, 0, 1, 0, 1, 10, 0, 0], &["10.0.0.1:1"]),
            ("less than one", &[10, 0, 0, 1, 0], &[]),
        ];
        for (name, bytes, expected) in table {
            assert_eq!(v4(bytes), *expected, "{name}");
        }
    }

    #[test]
    fn reads_ipv6() {
        let mut loopback = [0; 18];
        loopback[15] = 1;
        loopback[17] = 80;
        assert_eq!(v6(&loopback), ["[::1]:80"]);
        assert_eq!(v6(&loopback[..17]), [""; 0], "cut short");
        let mut mapped = [0; 18];
        mapped[10..].copy_from_slice(&[255, 255, 192, 0, 2, 1, 0, 80]);
        assert_eq!(v6(&mapped), ["192.0.2.1:80"], "IPv4 in IPv6 clothes");
        mapped[17] = 0;
        assert_eq!(v6(&mapped), [""; 0], "port 0");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(peers in prop::collection::vec(any::<(IpAddr, u16)>(), 0..50)) {
            let peers: Vec<SocketAddr> = peers
                .into_iter()
                .filter(|&(_, port)| port != 0)
                .map(|(address, port)| SocketAddr::new(address.to_canonical(), port))
                .collect();
            let (v4, v6) = encode(&peers);
            let (four, six): (Vec<_>, Vec<_>) = peers.iter().copied().partition(SocketAddr::is_ipv4);
            prop_assert_eq!(peers_v4(&v4).collect::<Vec<_>>(), four);
            prop_assert_eq!(peers_v6(&v6).collect::<Vec<_>>(), six);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(peers_v4(&bytes).count() <= bytes.len() / V4_LEN);
            prop_assert!(peers_v6(&bytes).count() <= bytes.len() / V6_LEN);
        }
    }
}
