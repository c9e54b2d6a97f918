//! The announcer against UDP trackers on the loopback.

use std::net::UdpSocket;

use super::*;
use crate::tracker::udp;

const V4: &str = "127.0.0.1:0";
const V6: &str = "[::1]:0";

/// A UDP tracker; `lose` tells which datagrams it does not see.
fn udp_tracker(
    addr: &str,
    peers: Vec<SocketAddr>,
    lose: impl Fn(usize) -> bool + Send + 'static,
) -> (String, Receiver<(AnnounceRequest, Vec<u8>)>) {
    let socket = UdpSocket::bind(addr).unwrap();
    let url = format!("udp://{}/announce?pass=key", socket.local_addr().unwrap());
    let (seen_tx, seen) = unbounded();
    thread::spawn(move || {
        let mut buffer = [0; 2000];
        for n in 0.. {
            let (len, from) = socket.recv_from(&mut buffer).unwrap();
            if lose(n) {
                continue;
            }
            let request = udp::Request::decode(&buffer[..len]).unwrap();
            let answer = answer(&request, &peers);
            if let udp::Request::Announce {
                announce, url_data, ..
            } = request
            {
                let _ = seen_tx.send((*announce, url_data));
            }
            // Junk first, which must not disturb: another transaction, and no answer at all.
            let stranger = udp::Response::Error {
                transaction: answer.transaction().wrapping_add(1),
                message: "stranger".to_owned(),
            };
            for datagram in [stranger.encode(), vec![1, 2, 3], answer.encode()] {
                socket.send_to(&datagram, from).unwrap();
            }
        }
    });
    (url, seen)
}

/// Refuses torrent 9.
fn answer(request: &udp::Request, peers: &[SocketAddr]) -> udp::Response {
    let transaction = request.transaction();
    match request {
        udp::Request::Connect { .. } => udp::Response::Connect {
            transaction,
            connection: 77,
        },
        udp::Request::Announce { announce, .. } if announce.info_hash == torrent(9) => {
            let message = "unknown\ntorrent".to_owned();
            udp::Response::Error { transaction, message }
        }
        udp::Request::Announce { connection, .. } => {
            assert_eq!(*connection, 77);
            udp::Response::Announce {
                transaction,
                interval: Duration::from_secs(1800),
                leechers: 1,
                seeds: 2,
                peers: peers.to_vec(),
            }
        }
        udp::Request::Scrape { .. } => panic!("nobody scrapes a UDP tracker"),
    }
}

#[test]
fn the_life_of_a_torrent_at_a_udp_tracker() {
    let (url, seen) = udp_tracker(V4, good_answer().peers, |_| false);
    let announcing = announcing();
    announcing.start(torrent(1), &[&[&url]]);
    let (announce, url_data) = seen.recv_timeout(PATIENCE).unwrap();
    assert_eq!(announce.event, Some(Event::Started));
    assert_eq!(url_data, b"/announce?pass=key");
    assert_eq!(announcing.peers(), good_answer().peers);
    let status = announcing.status(|trackers| trackers[0].state == TrackerState::Working);
    assert_eq!((status[0].seeds, status[0].leechers), (Some(2), Some(1)));
    announcing.start(torrent(9), &[&[&url]]);
    assert!(announcing.failure().contains("unknown torrent"));
    announcing.shut_down(PATIENCE);
    let events: Vec<_> = seen.try_iter().map(|(announce, _)| announce.event).collect();
    assert_eq!(events, [Some(Event::Started), Some(Event::Stopped)]);
}

#[test]
fn a_silent_udp_tracker_gives_way_to_a_live_one_and_a_lost_datagram_is_sent_again() {
    let (silent, _seen) = udp_tracker(V4, Vec::new(), |_| true);
    let (lossy, _seen2) = udp_tracker(V4, good_answer().peers, |n| n == 0);
    let announcing = impatient();
    announcing.start(torrent(1), &[&[&silent, &lossy]]);
    assert_eq!(announcing.peers(), good_answer().peers);
}

#[test]
fn a_udp_tracker_on_ipv6_tells_of_ipv6_peers() {
    let peers: Vec<SocketAddr> = (1..=3)
        .map(|n| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], n)))
        .collect();
    let (url, seen) = udp_tracker(V6, peers.clone(), |_| false);
    assert!(url.starts_with("udp://[::1]:"));
    let announcing = announcing();
    announcing.start(torrent(1), &[&[&url]]);
    assert_eq!(announcing.peers(), peers);
    announcing.shut_down(PATIENCE);
    assert_eq!(seen.len(), 2, "started and stopped");
}

#[test]
fn after_a_change_of_the_binding_no_datagram_leaves_by_the_old_one() {
    let tracker = UdpSocket::bind(V4).unwrap();
    tracker.set_read_timeout(Some(PATIENCE)).unwrap();
    let url = format!("udp://{}", tracker.local_addr().unwrap());
    let source = || tracker.recv_from(&mut [0; 2000]).unwrap().1.ip().to_string();
    let sockets = Arc::new(SocketFactory::new("127.0.0.1").unwrap());
    let announcing = announcing_by(Arc::clone(&sockets), Limits::default());
    announcing.start(torrent(1), &[&[&url]]);
    assert_eq!(source(), "127.0.0.1");
    sockets.rebind("127.0.0.2").unwrap();
    // The first exchange is under way all the time: this tracker answers nothing.
    announcing.start(torrent(2), &[&[&url]]);
    assert_eq!([source(), source()], ["127.0.0.2", "127.0.0.2"]);
    announcing.shut_down(Duration::ZERO);
}
