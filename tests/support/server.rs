//! What scripted peers and trackers have in common: a listening socket with a thread for each connection.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Stack of a thread that runs a script; there may be hundreds.
const STACK_BYTES: usize = 256 * 1024;

/// Listens until it is dropped; then every connection is closed and every thread has ended.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    open: Arc<Open>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the acceptor and the server share.
#[derive(Debug, Default)]
struct Open {
    closing: AtomicBool,
    /// Guards the list of connections and their threads; nothing else is locked under it.
    connections: Mutex<Vec<(TcpStream, JoinHandle<io::Result<()>>)>>,
}

impl Server {
    /// Listens at this address, on a port chosen by the system, and runs `serve` for each connection. An
    /// error of it is the end of that connection, which scripts expect.
    pub(crate) fn start(
        ip: Ipv4Addr,
        serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(Open::default());
        let acceptor = {
            let open = Arc::clone(&open);
            thread::spawn(move || accept(&listener, &open, &Arc::new(serve)))
        };
        Self {
            address,
            open,
            acceptor: Some(acceptor),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made to it so far.
    pub(crate) fn connection_count(&self) -> usize {
        self.open.connections.lock().unwrap().len()
    }

    /// How many of them go on.
    pub(crate) fn live_count(&self) -> usize {
        let connections = self.open.connections.lock().unwrap();
        connections
            .iter()
            .filter(|(_, script)| !script.is_finished())
            .count()
    }
}

fn accept(
    listener: &TcpListener,
    open: &Open,
    serve: &Arc<impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static>,
) {
    for stream in listener.incoming().flatten() {
        if open.closing.load(Ordering::Relaxed) {
            return;
        }
        let ours = stream.try_clone().unwrap();
        let serve = Arc::clone(serve);
        let script = move || {
            let result = stream.try_clone().and_then(|stream| serve(stream));
            // Our other handle of the socket would keep it open.
            let _ = stream.shutdown(Shutdown::Both);
            result
        };
        let script = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(script)
            .unwrap();
        open.connections.lock().unwrap().push((ours, script));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.open.closing.store(true, Ordering::Relaxed);
        // Only a connection wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for (stream, script) in self.open.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
            let _ = script.join();
        }
    }
}
