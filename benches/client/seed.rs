//! A synthetic seed: threads of the benchmark that answer requests out of memory, with one `writev` for all that one
//! wake-up has brought. It costs so little that the leecher is what is measured.

use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::Result;
use dtorrent::geometry::{Block, PieceIndex};
use dtorrent::id::PeerId;
use dtorrent::wire::message::piece_header;

use crate::content::{BLOCK, Torrent};
use crate::wire::{self, BITFIELD, Frames, INTERESTED, REQUEST, word};

/// Blocks of one `writev` at most: the system takes 1,024 parts, two for each.
const BATCH: usize = 256;

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Seed {
    listener: TcpListener,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    torrent: Arc<Torrent>,
    id: PeerId,
    first_request: OnceLock<Instant>,
    streams: Mutex<Vec<TcpStream>>,
}

impl Seed {
    pub(crate) fn start(address: SocketAddr, torrent: &Arc<Torrent>) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        let shared = Arc::new(Shared {
            torrent: Arc::clone(torrent),
            id: wire::fresh_id(),
            first_request: OnceLock::new(),
            streams: Mutex::default(),
        });
        let (incoming, of_thread) = (listener.try_clone()?, Arc::clone(&shared));
        let thread = thread::spawn(move || accept_all(&incoming, &of_thread));
        Ok(Self {
            listener,
            thread: Some(thread),
            shared,
        })
    }

    /// Connects to a client, and serves it over that connection.
    pub(crate) fn dial(&self, to: SocketAddr, number: usize) -> Result<()> {
        let info_hash = self.shared.torrent.metainfo.info.info_hash;
        let stream = wire::connect(to, number, info_hash, wire::PATIENCE)?;
        stream.set_read_timeout(None)?;
        self.shared.keep(&stream);
        let shared = Arc::clone(&self.shared);
        // It ends with the connection, which is shut down with the others at the end.
        thread::spawn(move || serve_greeted(&shared, &stream));
        Ok(())
    }

    /// When a block was asked for, for the first time.
    pub(crate) fn first_request(&self) -> Option<Instant> {
        self.shared.first_request.get().copied()
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        // The thread that accepts, and those that read, wait in the system. Sockets that are gone already do no harm.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Notes a connection that is to be shut down at the end.
    fn keep(&self, stream: &TcpStream) {
        if let Ok(copy) = stream.try_clone() {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.push(copy);
        }
    }
}

fn accept_all(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        shared.keep(&stream);
        let shared = Arc::clone(shared);
        threads.push(thread::spawn(move || {
            // The end of a connection is the client's affair: aria2 begins with encryption, and comes again without.
            let _ = serve(&shared, &stream);
            // The copy holds it open.
            let _ = stream.shutdown(Shutdown::Both);
        }));
    }
    let streams = shared.streams.lock().unwrap_or_else(PoisonError::into_inner);
    for stream in streams.iter() {
        let _ = stream.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn serve(shared: &Shared, mut stream: &TcpStream) -> io::Result<()> {
    let info_hash = shared.torrent.metainfo.info.info_hash;
    stream.set_nodelay(true)?;
    wire::read_handshake(&mut stream, info_hash)?;
    stream.write_all(&wire::handshake(info_hash, shared.id))?;
    serve_greeted(shared, stream)
}

fn serve_greeted(shared: &Shared, mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(&full_bitfield(shared.torrent.pieces()))?;
    let mut frames = Frames::with_room(64 * 1024);
    let mut asked = Vec::new();
    while frames.read(&mut stream)? > 0 {
        while let Some(message) = frames.next() {
            match message.first() {
                Some(&INTERESTED) => stream.write_all(&wire::SAY_UNCHOKE)?,
                Some(&REQUEST) => asked.push(read_request(message)?),
                _ => {}
            }
        }
        if asked.is_empty() {
            continue;
        }
        shared.first_request.get_or_init(Instant::now);
        for batch in asked.chunks(BATCH) {
            send(&shared.torrent, stream, batch)?;
        }
        asked.clear();
    }
    Ok(())
}

fn full_bitfield(pieces: u32) -> Vec<u8> {
    let bytes = pieces.div_ceil(8);
    let mut message = (bytes + 1).to_be_bytes().to_vec();
    message.push(BITFIELD);
    message.resize(message.len() + bytes as usize, 0xff);
    if let Some(last) = message.last_mut() {
        *last <<= bytes * 8 - pieces;
    }
    message
}

fn read_request(message: &[u8]) -> io::Result<Block> {
    let block = (|| {
        Some(Block {
            piece: PieceIndex(word(message, 1)?),
            begin: word(message, 5)?,
            length: word(message, 9)?,
        })
    })();
    block.ok_or_else(|| io::Error::other("half a request"))
}

fn send(torrent: &Torrent, mut stream: &TcpStream, blocks: &[Block]) -> io::Result<()> {
    let headers: Vec<_> = blocks.iter().copied().map(piece_header).collect();
    let mut parts = Vec::with_capacity(blocks.len() * 2);
    for (block, header) in blocks.iter().zip(&headers) {
        let offset = u64::from(block.piece.0) * torrent.piece_length() + u64::from(block.begin);
        let end = offset + u64::from(block.length);
        if u64::from(block.length) > BLOCK || end > torrent.content.length {
            return Err(io::Error::other("a request for what is not there"));
        }
        parts.push(IoSlice::new(header));
        let data = torrent.content.slices(offset, u64::from(block.length));
        parts.extend(data.map(IoSlice::new));
    }
    let mut rest = &mut parts[..];
    while !rest.is_empty() {
        let sent = stream.write_vectored(rest)?;
        IoSlice::advance_slices(&mut rest, sent);
    }
    Ok(())
}
