//! The tracker of the benchmark, over HTTP: it tells those who fetch of everybody else, and those who serve of nobody.
//! So it is always the leecher that opens the connection, and who is connected to whom is the same for all clients.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use dtorrent::tracker::compact;

/// A request that is longer is none.
const MOST: usize = 16 * 1024;

/// Who takes part in what is being measured.
#[derive(Debug, Default, Clone)]
pub(crate) struct Swarm {
    pub(crate) seeds: Vec<SocketAddr>,
    pub(crate) leechers: Vec<SocketAddr>,
}

impl Swarm {
    /// Whom the peer on this port is told of. Ports are those of one peer only.
    fn peers_for(&self, port: u16) -> Vec<SocketAddr> {
        if self.seeds.iter().any(|seed| seed.port() == port) {
            return Vec::new();
        }
        let others = self.leechers.iter().filter(|peer| peer.port() != port);
        self.seeds.iter().chain(others).copied().collect()
    }
}

/// It answers until the benchmark ends.
#[derive(Debug)]
pub(crate) struct Tracker {
    /// The announce URL.
    pub(crate) url: String,
    swarm: Arc<Mutex<Swarm>>,
    last: Arc<Mutex<Instant>>,
}

impl Tracker {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}/announce", listener.local_addr()?);
        let swarm = Arc::new(Mutex::new(Swarm::default()));
        let last = Arc::new(Mutex::new(Instant::now()));
        let (of_thread, last_of_thread) = (Arc::clone(&swarm), Arc::clone(&last));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                *last_of_thread.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                let swarm = Arc::clone(&of_thread);
                thread::spawn(move || answer(stream, &swarm));
            }
        });
        Ok(Self { url, swarm, last })
    }

    /// For how long nobody has asked.
    pub(crate) fn quiet_for(&self) -> Duration {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed()
    }

    /// From now on these are the peers, of whatever torrent.
    pub(crate) fn set(&self, swarm: Swarm) {
        *self.swarm.lock().unwrap_or_else(PoisonError::into_inner) = swarm;
    }
}

/// Answers once, and closes the connection.
fn answer(mut stream: TcpStream, swarm: &Mutex<Swarm>) -> Option<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&buffer[..count]);
        if request.len() > MOST {
            return None;
        }
    }
    let port = port_of(&request)?;
    let peers = swarm
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .peers_for(port);
    stream.write_all(&reply(&peers)).ok()
}

fn is_whole(request: &[u8]) -> bool {
    let end = b"\r\n\r\n";
    request.windows(end.len()).any(|window| window == end)
}

fn port_of(request: &[u8]) -> Option<u16> {
    let line = request.split(|byte| *byte == b'\r').next()?;
    let target = std::str::from_utf8(line).ok()?.split(' ').nth(1)?;
    let mut query = target.split_once('?')?.1.split('&');
    query.find_map(|pair| pair.strip_prefix("port="))?.parse().ok()
}

fn reply(peers: &[SocketAddr]) -> Vec<u8> {
    let mut list = Vec::new();
    compact::write_v4(peers, &mut list);
    let mut body = format!("d8:intervali1800e12:min intervali1800e5:peers{}:", list.len()).into_bytes();
    body.extend_from_slice(&list);
    body.push(b'e');
    let mut reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    reply.extend_from_slice(&body);
    reply
}
