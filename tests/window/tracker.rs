//! A tracker that tells everybody of the peers that it is given, or nobody of anything.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Tracker {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the tracker and its thread share.
#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    /// The ports of the peers on loopback that others are told of. Neither lock is held while the other is taken.
    peer_ports: Mutex<Vec<u16>>,
    /// What each announce said.
    announces: Mutex<Vec<String>>,
}

impl Tracker {
    /// Tells of nobody.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if own.stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A client that went away is none of our business.
                let _ = own.answer(&stream);
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    /// From now on it tells of a peer at this port too.
    pub fn tell_of(&self, peer_port: u16) {
        self.shared.peer_ports.lock().unwrap().push(peer_port);
    }

    /// Where to announce.
    pub fn url(&self) -> String {
        format!("http://{}/announce", self.address)
    }

    /// The query of each announce so far.
    pub fn announces(&self) -> Vec<String> {
        self.shared.announces.lock().unwrap().clone()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread, which may have ended.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// BEP 3 §trackers, with the compact peers of BEP 23.
    fn answer(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let query = request.split([' ', '?']).nth(2).unwrap_or_default();
        self.announces.lock().unwrap().push(query.to_owned());

        let mut body = b"d8:completei7e10:incompletei3e8:intervali1800e5:peers".to_vec();
        let ports = self.peer_ports.lock().unwrap().clone();
        body.extend(format!("{}:", 6 * ports.len()).into_bytes());
        for port in ports {
            body.extend(b"\x7f\x00\x00\x01");
            body.extend(port.to_be_bytes());
        }
        body.push(b'e');
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)
    }
}
