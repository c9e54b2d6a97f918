//! Peers that follow a script, written with the codec of `dtorrent::wire`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use dtorrent::bitfield::Bitfield;
use dtorrent::geometry::Block;
use dtorrent::id::PeerId;
use dtorrent::wire::handshake::{HANDSHAKE_LENGTH, Handshake};
use dtorrent::wire::message::{
    FrameHeader, FrameLimits, Message, PIECE_HEADER_LENGTH, PREFIX_LENGTH, parse_header, piece_header,
};

use super::content::Content;
use super::server::Server;
use super::stage::fresh_ip;

/// A peer that waits to be connected to and runs its script on each connection.
#[derive(Debug)]
pub(crate) struct ScriptedPeer {
    server: Server,
}

impl ScriptedPeer {
    /// A peer of the swarm of `content`, at an address of its own.
    pub(crate) fn start(
        content: &Arc<Content>,
        script: impl Fn(&mut Conversation) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let content = Arc::clone(content);
        let peer_id = PeerId::generate(&mut fastrand::Rng::new());
        let serve = move |stream| {
            let content = Arc::clone(&content);
            script(&mut Conversation {
                stream,
                content,
                peer_id,
                received: Vec::new(),
            })
        };
        Self {
            server: Server::start(fresh_ip(), serve),
        }
    }

    /// A seed that serves whatever it is asked for.
    pub(crate) fn seed(content: &Arc<Content>, service: Service) -> Self {
        Self::start(content, move |conversation| service.run(conversation))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How many connections were made to it so far.
    pub(crate) fn connection_count(&self) -> usize {
        self.server.connection_count()
    }

    /// How many of them go on.
    pub(crate) fn live_count(&self) -> usize {
        self.server.live_count()
    }
}

/// One connection of a scripted peer.
#[derive(Debug)]
pub(crate) struct Conversation {
    stream: TcpStream,
    content: Arc<Content>,
    peer_id: PeerId,
    /// What was read and not yet understood.
    received: Vec<u8>,
}

impl Conversation {
    /// The torrent that is spoken of.
    pub(crate) fn content(&self) -> Arc<Content> {
        Arc::clone(&self.content)
    }

    /// Our side of the handshake: fast extension, but no extension protocol.
    pub(crate) fn own_handshake(&self) -> Handshake {
        let mut handshake = Handshake::ours(self.content.metainfo.info.info_hash, self.peer_id);
        handshake.reserved = [0, 0, 0, 0, 0, 0, 0, 4];
        handshake
    }

    /// Reads the other's handshake and does not answer it.
    pub(crate) fn read_handshake(&mut self) -> io::Result<()> {
        let mut bytes = [0; HANDSHAKE_LENGTH];
        self.stream.read_exact(&mut bytes)?;
        Handshake::decode(&bytes).map(drop).map_err(io::Error::other)
    }

    /// Exchanges handshakes.
    pub(crate) fn greet(&mut self) -> io::Result<()> {
        self.read_handshake()?;
        self.send_bytes(&self.own_handshake().encode())
    }

    /// Exchanges handshakes, claims to have everything and offers to serve it.
    pub(crate) fn greet_as_seed(&mut self) -> io::Result<()> {
        self.greet()?;
        let pieces = self.content.metainfo.info.geometry.piece_count();
        let all = Bitfield::full(pieces);
        self.send(&Message::Bitfield(all.as_bytes().into()))?;
        self.send(&Message::Unchoke)
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: &Message) -> io::Result<()> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.send_bytes(&bytes)
    }

    /// Sends a block with this data, which may be a lie.
    pub(crate) fn send_block(&mut self, block: Block, data: &[u8]) -> io::Result<()> {
        let mut bytes = piece_header(block).to_vec();
        bytes.extend_from_slice(data);
        self.send_bytes(&bytes)
    }

    /// Sends anything.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Waits for the next message. Blocks that are sent to us pass as [`Message::Unknown`].
    pub(crate) fn next(&mut self) -> io::Result<Message> {
        let limits = FrameLimits::for_pieces(self.content.metainfo.info.geometry.piece_count());
        loop {
            let (skipped, length) = match parse_header(&self.received, limits).map_err(io::Error::other)? {
                Some(FrameHeader::KeepAlive) => (PREFIX_LENGTH, 0),
                Some(FrameHeader::Message { length, .. }) => (PREFIX_LENGTH + 1, length as usize),
                Some(FrameHeader::Piece { length, .. }) => (PIECE_HEADER_LENGTH, length as usize),
                None => (usize::MAX, 0),
            };
            let whole = skipped.saturating_add(length);
            if self.received.len() < whole {
                self.read_more()?;
                continue;
            }
            let frame: Vec<u8> = self.received.drain(..whole).collect();
            return match frame.get(PREFIX_LENGTH) {
                None => Ok(Message::KeepAlive),
                Some(&id) => Message::decode(id, &frame[skipped..]).map_err(io::Error::other),
            };
        }
    }

    /// Waits for the next request.
    pub(crate) fn next_request(&mut self) -> io::Result<Block> {
        loop {
            if let Message::Request(block) = self.next()? {
                return Ok(block);
            }
        }
    }

    /// Waits until the other side closes the connection.
    pub(crate) fn wait_closed(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        while self.stream.read(&mut buffer)? > 0 {}
        Ok(())
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.received.extend_from_slice(&buffer[..length]);
                Ok(())
            }
        }
    }
}

/// How a seed serves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    /// Bytes a second on each connection; as fast as it goes if none.
    pub(crate) rate: Option<u32>,
    /// The blocks it sends wrong.
    pub(crate) corrupts: Option<fn(Block) -> bool>,
    /// What it has served, on all connections.
    pub(crate) ledger: Arc<Ledger>,
}

impl Service {
    /// The script of a seed: answers all requests in order.
    pub(crate) fn run(&self, conversation: &mut Conversation) -> io::Result<()> {
        conversation.greet_as_seed()?;
        let content = conversation.content();
        loop {
            let block = conversation.next_request()?;
            if !content.metainfo.info.geometry.contains(block) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if let Some(rate) = self.rate {
                // The pace of the peer, not a wait for anything.
                thread::sleep(Duration::from_secs_f64(f64::from(block.length) / f64::from(rate)));
            }
            let mut data = content.block(block).to_vec();
            if self.corrupts.is_some_and(|corrupts| corrupts(block)) {
                data[0] ^= 1;
            }
            conversation.send_block(block, &data)?;
            self.ledger.enter(block);
        }
    }
}

/// Which blocks were served, in order.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Guards the entries; nothing else is locked under it.
    served: Mutex<Vec<Block>>,
}

impl Ledger {
    fn enter(&self, block: Block) {
        self.served.lock().unwrap().push(block);
    }

    /// All blocks so far.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        self.served.lock().unwrap().clone()
    }

    /// How many blocks so far.
    pub(crate) fn len(&self) -> usize {
        self.served.lock().unwrap().len()
    }
}
