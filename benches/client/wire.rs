//! What the synthetic peers say and read. They speak BEP 3 only, so that all clients do the same work.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dtorrent::id::{InfoHash, PeerId};
use dtorrent::wire::handshake::{HANDSHAKE_LENGTH, Handshake};
use socket2::{Domain, Socket, Type};

pub(crate) const CHOKE: u8 = 0;
pub(crate) const UNCHOKE: u8 = 1;
pub(crate) const BITFIELD: u8 = 5;
pub(crate) const REQUEST: u8 = 6;
pub(crate) const PIECE: u8 = 7;
/// The messages without payload, with their length in front.
pub(crate) const SAY_INTERESTED: [u8; 5] = [0, 0, 0, 1, 2];
pub(crate) const SAY_UNCHOKE: [u8; 5] = [0, 0, 0, 1, UNCHOKE];
pub(crate) const INTERESTED: u8 = 2;

/// Room for what one wake-up brings.
const BUFFER: usize = 512 * 1024;
/// How long a client may take to answer a handshake, when it is asked again if it does not, and when it is not.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Connections from one address of ours at most, where clients limit them.
const ADDRESSES: usize = 250;

/// An id that no other peer of this benchmark has: clients keep one connection to an id only.
pub(crate) fn fresh_id() -> PeerId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let text = format!("-XX0001-{:012}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut id = [0; 20];
    id.copy_from_slice(text.as_bytes());
    PeerId::new(id)
}

/// A handshake without extensions.
pub(crate) fn handshake(info_hash: InfoHash, peer_id: PeerId) -> [u8; HANDSHAKE_LENGTH] {
    let reserved = [0; 8];
    let handshake = Handshake {
        reserved,
        info_hash,
        peer_id,
    };
    handshake.encode()
}

/// Reads a handshake; an error unless it is for this torrent.
pub(crate) fn read_handshake(stream: &mut impl Read, info_hash: InfoHash) -> io::Result<()> {
    let mut bytes = [0; HANDSHAKE_LENGTH];
    stream.read_exact(&mut bytes)?;
    match Handshake::decode(&bytes) {
        Ok(handshake) if handshake.info_hash == info_hash => Ok(()),
        _ => Err(io::Error::other("not the handshake of this torrent")),
    }
}

/// Connects to a client and shakes hands. Each number comes from another address of the loopback network, so that no
/// limit of connections from one address is met.
pub(crate) fn connect(
    to: SocketAddr,
    number: usize,
    info_hash: InfoHash,
    patience: Duration,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let source = Ipv4Addr::new(127, 9, (number / ADDRESSES) as u8, (number % ADDRESSES + 1) as u8);
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&to.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(&handshake(info_hash, fresh_id()))?;
    read_handshake(&mut stream, info_hash)?;
    Ok(stream)
}

/// How many pieces a client says it has: what it sends first behind its handshake.
pub(crate) fn probe(to: SocketAddr, info_hash: InfoHash) -> io::Result<u32> {
    let mut stream = connect(to, 0, info_hash, PROBE_PATIENCE)?;
    let mut frames = Frames::with_room(64 * 1024);
    loop {
        while let Some(message) = frames.next() {
            if let Some((&BITFIELD, bits)) = message.split_first() {
                return Ok(bits.iter().map(|byte| byte.count_ones()).sum());
            }
        }
        if frames.read(&mut stream)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Messages out of a stream of bytes.
#[derive(Debug)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    /// What was read and not yet taken.
    start: usize,
    end: usize,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self::with_room(BUFFER)
    }

    pub(crate) fn with_room(bytes: usize) -> Self {
        let buffer = vec![0; bytes];
        let (start, end) = (0, 0);
        Self { buffer, start, end }
    }

    /// Reads once, behind what is left. 0 at the end.
    pub(crate) fn read(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            return Err(io::Error::other("a message that is too long"));
        }
        let count = stream.read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// The next whole message, without its length; it is empty to keep a connection alive.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        let rest = &self.buffer[self.start..self.end];
        let length = word(rest, 0)? as usize;
        let message = rest.get(4..4 + length)?;
        self.start += 4 + length;
        Some(message)
    }
}

/// The number in these four bytes.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}
