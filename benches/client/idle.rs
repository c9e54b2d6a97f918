//! Connections to a client that ask for nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::content::Torrent;
use crate::process;
use crate::wire;

/// After so long a client has done what comes with its start, or with new connections.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);

/// Connections with these numbers that have said that they are interested.
pub(crate) fn connect_idle(to: SocketAddr, torrent: &Torrent, numbers: Range<usize>) -> Vec<TcpStream> {
    let info_hash = torrent.metainfo.info.info_hash;
    let mut streams = Vec::new();
    let end = Instant::now() + wire::PATIENCE;
    for number in numbers {
        if process::is_interrupted() || Instant::now() > end {
            println!(
                "  no more than {number} connections in {} s",
                wire::PATIENCE.as_secs()
            );
            break;
        }
        let connected = wire::connect(to, number, info_hash, wire::PATIENCE)
            .and_then(|mut stream| stream.write_all(&wire::SAY_INTERESTED).map(|()| stream));
        match connected {
            Ok(stream) => streams.push(stream),
            // It has a limit of its own: what it keeps is in the table.
            Err(error) => {
                println!("  no more than {number} connections: {error}");
                break;
            }
        }
    }
    streams
}

/// How many of them the other side has kept.
pub(crate) fn kept(streams: &mut [TcpStream]) -> usize {
    let open = streams.iter_mut().filter_map(|stream| is_open(stream).ok());
    open.filter(|is_open| *is_open).count()
}

/// Whether the other side has kept a connection. What it has sent is read.
fn is_open(stream: &mut TcpStream) -> Result<bool> {
    stream.set_nonblocking(true)?;
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Ok(error.kind() == ErrorKind::WouldBlock),
        }
    }
}
