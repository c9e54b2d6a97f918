//! A client whose torrent names several nodes, and finds the first ones down.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use crate::support::cli::Cli;
use crate::support::content::Content;
use crate::support::ring::{self, LIMIT};
use crate::support::stage::{Stage, fresh_address, fresh_ip, wait_for};

/// What stands where a node was.
enum Down {
    /// Nothing: the port is refused.
    Refuses(SocketAddr),
    /// Something that takes what is sent and never answers, as a server behind a broken network.
    Swallows { tcp: TcpListener, _udp: UdpSocket },
}

impl Down {
    fn swallows() -> Self {
        let listener = TcpListener::bind((fresh_ip(), 0)).unwrap();
        let socket = UdpSocket::bind(listener.local_addr().unwrap()).unwrap();
        Self::Swallows {
            tcp: listener,
            _udp: socket,
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Refuses(address) => *address,
            Self::Swallows { tcp, .. } => tcp.local_addr().unwrap(),
        }
    }
}

#[test]
fn the_next_node_of_a_tier_is_asked_when_the_first_are_down() {
    let stage = Stage::new();
    let nodes = ring::start(&stage, 1);
    let alive: SocketAddr = nodes[0].plan.address.parse().unwrap();
    let content = Content::file("file.bin", 100_000, 16_384, 1);
    let torrent = stage.path("seed.torrent");
    content.torrent_at(&torrent, vec![vec![url("http", alive)]]);
    content.write(&stage.folder("seed"));
    let _seed = Cli::seed(&stage, "seed", &[torrent], &stage.folder("seed")).start(&stage);
    // Who asks before it is known asks again only after long.
    wait_for("the seed's announce", LIMIT, || {
        (nodes[0].seeds() == Some(1)).then_some(())
    });
    for scheme in ["http", "udp"] {
        let refuses = || Down::Refuses(SocketAddr::V4(fresh_address()));
        let kinds: [(&str, [Down; 3]); 2] = [
            ("refused", [refuses(), refuses(), refuses()]),
            (
                "swallowed",
                [Down::swallows(), Down::swallows(), Down::swallows()],
            ),
        ];
        for (kind, down) in kinds {
            // The order within a tier is a matter of chance: most likely some of these come first.
            let mut tier: Vec<String> = down.iter().map(|down| url(scheme, down.address())).collect();
            tier.push(url(scheme, alive));
            let name = format!("{scheme}-{kind}");
            let torrent = stage.path(&format!("{name}.torrent"));
            content.torrent_at(&torrent, vec![tier]);
            let dir = stage.folder(&name);
            let mut client = Cli::download(&stage, &name, &[torrent], &dir).start(&stage);
            client.finish(LIMIT);
            content.assert_in(&dir);
        }
    }
}

fn url(scheme: &str, address: SocketAddr) -> String {
    format!("{scheme}://{address}/announce")
}
