//! Both threads against a peer at the other end of a loopback socket.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::*;
use crate::geometry::{BLOCK_LENGTH, Block};
use crate::peer::link::PeerInput;
use crate::wire::message::{Message, piece_header};

/// Longer than anything here takes, short enough to end a test that hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Uploads whose byte number `n` of a piece is `piece + n / 7`.
#[derive(Debug, Default)]
struct Pattern {
    reads: AtomicU64,
    broken: bool,
}

fn pattern(piece: u32, begin: u32, length: u32) -> Vec<u8> {
    (begin..begin + length).map(|at| (piece + at / 7) as u8).collect()
}

impl BlockSource for Pattern {
    fn read_block(
        &self,
        piece: PieceIndex,
        begin: u32,
        into: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if self.broken {
            return Err("the disk is on fire".into());
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
        into.copy_from_slice(&pattern(piece.0, begin, into.len() as u32));
        Ok(())
    }
}

/// Three pieces of 256 KiB and one byte.
const GEOMETRY: (u64, u32) = (3 * 256 * 1024 + 1, 256 * 1024);

/// A connection of ours, and what surrounds it.
struct Rig {
    ours: Connection,
    theirs: TcpStream,
    batches: Receiver<PeerBatch>,
    completed: Arc<CompletedLog>,
    source: Arc<Pattern>,
}

/// What differs between tests.
struct Plan {
    fast: bool,
    deadlines: Deadlines,
    source: Pattern,
    download: Option<u64>,
    upload: Option<u64>,
    channel: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            fast: true,
            deadlines: Deadlines::default(),
            source: Pattern::default(),
            download: None,
            upload: None,
            channel: 1000,
        }
    }
}

impl Plan {
    fn start(self) -> Rig {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, addr) = listener.accept().unwrap();
        theirs.set_nodelay(true).unwrap();
        theirs.set_read_timeout(Some(PATIENCE)).unwrap();
        let (events, batches) = bounded(self.channel);
        let completed = Arc::new(CompletedLog::new(4));
        let source = Arc::new(self.source);
        let setup = ConnectionSetup {
            key: PeerKey(7),
            stream,
            addr,
            fast: self.fast,
            geometry: Geometry::new(GEOMETRY.0, GEOMETRY.1).unwrap(),
            storage: Arc::clone(&source),
            completed: Arc::clone(&completed),
            completed_cursor: 0,
            pool: BlockPool::new(16),
            download: Limiter::new(self.download),
            upload: Limiter::new(self.upload),
            events,
        };
        let ours = Connection::spawn_with(setup, self.deadlines).unwrap();
        Rig {
            ours,
            theirs,
            batches,
            completed,
            source,
        }
    }
}

impl Rig {
    /// Everything the reader says until the end, and why that was.
    fn listen(&self) -> (Vec<PeerInput>, CloseReason) {
        let mut inputs = Vec::new();
        loop {
            let batch = self.batches.recv_timeout(PATIENCE).unwrap();
            assert_eq!(batch.peer, PeerKey(7));
            inputs.extend(batch.inputs);
            if let Some(reason) = batch.closed {
                return (inputs, reason);
            }
        }
    }

    fn expect_sent(&mut self, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        self.theirs.read_exact(&mut bytes).unwrap();
        assert!(
            bytes == expected,
            "{} bytes differ from what was expected",
            expected.len()
        );
    }

    fn end(self) {
        self.ours.close();
        self.ours.join();
        let closed = self.batches.iter().filter(|batch| batch.closed.is_some()).count();
        assert!(closed <= 1);
    }
}

fn block(piece: u32, begin: u32, length: u32) -> Block {
    Block {
        piece: PieceIndex(piece),
        begin,
        length,
    }
}

fn bytes_of(messages: &[Message]) -> Vec<u8> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| message.encode(&mut bytes));
    bytes
}

fn piece_message(block: Block) -> Vec<u8> {
    let mut bytes = piece_header(block).to_vec();
    bytes.extend(pattern(block.piece.0, block.begin, block.length));
    bytes
}

fn queued(connection: &Connection) -> u32 {
    connection.counters().uploads_queued.load(Ordering::Relaxed)
}

#[test]
fn blocks_and_messages_arrive_in_order_and_the_end_is_reported_once() {
    let mut rig = Plan::default().start();
    let big = block(1, 0, BLOCK_LENGTH);
    let mut bytes = bytes_of(&[Message::Unchoke]);
    bytes.extend(piece_message(big));
    bytes.extend(bytes_of(&[Message::Choke, Message::Have(3)]));
    rig.theirs.write_all(&bytes).unwrap();
    rig.theirs.shutdown(Shutdown::Both).unwrap();
    let (inputs, reason) = rig.listen();
    assert_eq!(reason, CloseReason::ByPeer);
    assert_eq!(
        rig.ours.counters().received.load(Ordering::Relaxed),
        bytes.len() as u64
    );
    let [
        PeerInput::Message(Message::Unchoke),
        PeerInput::Block {
            piece: 1,
            begin: 0,
            data,
        },
        PeerInput::Message(Message::Choke),
        PeerInput::Message(Message::Have(3)),
    ] = &inputs[..]
    else {
        panic!("{inputs:?}");
    };
    assert_eq!(data[..], pattern(1, 0, BLOCK_LENGTH));
    rig.ours.join();
    assert!(rig.batches.recv().is_err(), "nothing comes after the last batch");
}

#[test]
fn uploads_go_out_behind_messages_with_one_read_for_neighbours() {
    let mut rig = Plan::default().start();
    let blocks: Vec<Block> = (0..16)
        .map(|n| block(2, n * BLOCK_LENGTH, BLOCK_LENGTH))
        .collect();
    rig.ours.send(PeerCommand::Send(vec![Message::Unchoke]));
    blocks
        .iter()
        .for_each(|block| rig.ours.send(PeerCommand::Upload(*block)));
    rig.ours.send(PeerCommand::Upload(block(3, 0, 1)));
    rig.expect_sent(&bytes_of(&[Message::Unchoke]));
    blocks
        .iter()
        .for_each(|block| rig.expect_sent(&piece_message(*block)));
    rig.expect_sent(&piece_message(block(3, 0, 1)));
    assert!(rig.source.reads.load(Ordering::Relaxed) <= 17);
    let counters = Arc::clone(rig.ours.counters());
    rig.ours.close();
    rig.ours.join();
    assert_eq!(counters.payload_sent.load(Ordering::Relaxed), 256 * 1024 + 1);
    assert_eq!(
        counters.sent.load(Ordering::Relaxed),
        256 * 1024 + 1 + 17 * 13 + 5
    );
    assert_eq!(counters.uploads_queued.load(Ordering::Relaxed), 0);
}

#[test]
fn haves_are_told_once_each_however_often_they_are_nudged() {
    let mut rig = Plan::default().start();
    rig.completed.push(PieceIndex(2));
    rig.completed.push(PieceIndex(0));
    rig.ours.nudge_haves();
    rig.ours.nudge_haves();
    rig.expect_sent(&bytes_of(&[Message::Have(2), Message::Have(0)]));
    rig.completed.push(PieceIndex(1));
    rig.ours.nudge_haves();
    rig.ours.send(PeerCommand::Send(vec![Message::HaveNone]));
    rig.expect_sent(&bytes_of(&[Message::Have(1), Message::HaveNone]));
    rig.end();
}

#[test]
fn what_cannot_be_served_is_rejected_and_no_longer_counts() {
    let mut rig = Plan::default().start();
    let wrong = [
        block(9, 0, 1),
        block(3, 0, 2),
        block(0, 0, 0),
        block(0, 0, 200_000),
    ];
    wrong
        .iter()
        .for_each(|block| rig.ours.send(PeerCommand::Upload(*block)));
    rig.expect_sent(&bytes_of(&wrong.map(Message::RejectRequest)));
    assert_eq!(queued(&rig.ours), 0);
    rig.end();
}
