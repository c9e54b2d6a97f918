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

mod machines;

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

#[test]
fn a_finished_block_does_not_wait_for_the_next_one() {
    let mut rig = Plan::default().start();
    let mut bytes = piece_message(block(0, 0, BLOCK_LENGTH));
    bytes.extend(&piece_message(block(0, BLOCK_LENGTH, BLOCK_LENGTH))[..5000]);
    rig.theirs.write_all(&bytes).unwrap();
    let batch = rig.batches.recv_timeout(PATIENCE).unwrap();
    assert!(
        matches!(
            &batch.inputs[..],
            [PeerInput::Block {
                piece: 0,
                begin: 0,
                ..
            }]
        ),
        "{batch:?}"
    );
    // Nor when the peer stops exactly at its end, where the header of the next one fits in the same read.
    rig.theirs
        .write_all(&piece_message(block(0, BLOCK_LENGTH, BLOCK_LENGTH))[5000..])
        .unwrap();
    let batch = rig.batches.recv_timeout(PATIENCE).unwrap();
    assert!(
        matches!(
            &batch.inputs[..],
            [PeerInput::Block {
                begin: BLOCK_LENGTH,
                ..
            }]
        ),
        "{batch:?}"
    );
    rig.end();
}

#[test]
fn a_batch_is_bounded() {
    let mut rig = Plan {
        channel: 1,
        ..Plan::default()
    }
    .start();
    let haves: Vec<Message> = (0..20_000).map(|n| Message::Have(n % 4)).collect();
    rig.theirs.write_all(&bytes_of(&haves)).unwrap();
    let mut count = 0;
    while count < haves.len() {
        let batch = rig.batches.recv_timeout(PATIENCE).unwrap();
        assert!(
            !batch.inputs.is_empty() && batch.inputs.len() <= 512,
            "{}",
            batch.inputs.len()
        );
        count += batch.inputs.len();
    }
    rig.end();
}

#[test]
fn a_frame_that_cannot_be_ends_the_connection_with_the_reason() {
    for (bytes, words) in [
        (&b"\0\0\x40\x0a\x07"[..], "piece message with 16393 bytes"),
        (b"GET / HTTP/1.1\r\n", "unknown message with 1195725855 bytes"),
        (b"\0\0\0\x03\x05\0", "bitfield message with 2 bytes"),
    ] {
        let mut rig = Plan::default().start();
        rig.theirs.write_all(&bytes_of(&[Message::Unchoke])).unwrap();
        rig.theirs.write_all(bytes).unwrap();
        let (inputs, reason) = rig.listen();
        assert!(
            matches!(&inputs[..], [PeerInput::Message(Message::Unchoke)]),
            "{inputs:?}"
        );
        assert!(
            matches!(&reason, CloseReason::Protocol(why) if why.contains(words)),
            "{reason}"
        );
        rig.end();
    }
}

#[test]
fn deadlines_of_a_message_and_of_silence() {
    let short = Duration::from_millis(50);
    let deadlines = Deadlines {
        message: short,
        ..Deadlines::default()
    };
    let mut rig = Plan {
        deadlines,
        ..Plan::default()
    }
    .start();
    rig.theirs.write_all(&[0, 0]).unwrap();
    let (_, reason) = rig.listen();
    assert!(
        matches!(&reason, CloseReason::Protocol(why) if why.contains("not complete")),
        "{reason}"
    );
    rig.end();

    let deadlines = Deadlines {
        idle: short,
        ..Deadlines::default()
    };
    let rig = Plan {
        deadlines,
        ..Plan::default()
    }
    .start();
    let (_, reason) = rig.listen();
    assert!(
        matches!(&reason, CloseReason::Protocol(why) if why.contains("said nothing")),
        "{reason}"
    );
    rig.end();
}

#[test]
fn a_peer_that_takes_nothing_has_stalled() {
    let deadlines = Deadlines {
        stall: Duration::from_millis(100),
        ..Deadlines::default()
    };
    let rig = Plan {
        deadlines,
        ..Plan::default()
    }
    .start();
    // More than the two sockets hold.
    for round in 0..2000 {
        rig.ours.send(PeerCommand::Upload(block(
            0,
            round % 16 * BLOCK_LENGTH,
            BLOCK_LENGTH,
        )));
    }
    assert_eq!(rig.listen().1, CloseReason::Stalled);
    rig.end();
}

#[test]
fn silence_is_filled_with_keep_alives() {
    let deadlines = Deadlines {
        keep_alive: Duration::from_millis(5),
        ..Deadlines::default()
    };
    let mut rig = Plan {
        deadlines,
        ..Plan::default()
    }
    .start();
    rig.expect_sent(&[0; 12]);
    rig.end();
}

#[test]
fn a_disk_that_fails_an_upload_is_named_in_the_last_batch() {
    let source = Pattern {
        broken: true,
        ..Pattern::default()
    };
    let rig = Plan {
        source,
        ..Plan::default()
    }
    .start();
    rig.ours.send(PeerCommand::Upload(block(0, 0, 1)));
    assert_eq!(
        rig.listen().1,
        CloseReason::Disk("the disk is on fire".to_owned())
    );
    rig.end();
}

#[test]
fn closing_wakes_both_threads_wherever_they_wait() {
    // On the socket and on the commands.
    let rig = Plan::default().start();
    rig.ours.close();
    assert!(matches!(rig.listen().1, CloseReason::ByUs(_)));
    rig.end();

    // On the limiters, where a rate of nothing holds everything back.
    let mut rig = Plan {
        download: Some(0),
        upload: Some(0),
        ..Plan::default()
    }
    .start();
    rig.theirs
        .write_all(&piece_message(block(0, 0, BLOCK_LENGTH)))
        .unwrap();
    rig.ours.send(PeerCommand::Upload(block(0, 0, 1)));
    let batch = rig.batches.recv_timeout(PATIENCE).unwrap();
    assert_eq!(batch.inputs.len(), 1, "what was read is not held back");
    rig.end();
}

#[test]
fn the_threads_end_when_nobody_listens_any_more() {
    let mut rig = Plan {
        channel: 1,
        ..Plan::default()
    }
    .start();
    drop(std::mem::replace(&mut rig.batches, bounded(0).1));
    rig.theirs.write_all(&bytes_of(&[Message::Unchoke])).unwrap();
    rig.ours.join();
}

#[test]
fn messages_pass_blocks_that_wait_for_tokens() {
    let mut rig = Plan {
        upload: Some(0),
        ..Plan::default()
    }
    .start();
    rig.ours.send(PeerCommand::Send(vec![Message::Unchoke]));
    rig.expect_sent(&bytes_of(&[Message::Unchoke]));
    let blocks = [block(0, 0, BLOCK_LENGTH), block(1, 0, BLOCK_LENGTH)];
    blocks
        .iter()
        .for_each(|block| rig.ours.send(PeerCommand::Upload(*block)));
    let request = Message::Request(block(2, 0, BLOCK_LENGTH));
    rig.ours.send(PeerCommand::Send(vec![request.clone()]));
    rig.expect_sent(&bytes_of(&[request]));
    // What waits for tokens can still be taken back.
    rig.ours.send(PeerCommand::CancelUpload(blocks[1]));
    rig.expect_sent(&bytes_of(&[Message::RejectRequest(blocks[1])]));
    assert_eq!(queued(&rig.ours), 1);
    rig.ours.send(PeerCommand::Choke { granted: Vec::new() });
    rig.expect_sent(&bytes_of(&[Message::Choke, Message::RejectRequest(blocks[0])]));
    assert_eq!(queued(&rig.ours), 0);
    rig.end();
}

#[test]
fn a_wait_for_tokens_is_filled_with_keep_alives() {
    let deadlines = Deadlines {
        keep_alive: Duration::from_millis(5),
        ..Deadlines::default()
    };
    let mut rig = Plan {
        upload: Some(0),
        deadlines,
        ..Plan::default()
    }
    .start();
    rig.ours.send(PeerCommand::Upload(block(0, 0, 1)));
    rig.expect_sent(&[0; 12]);
    rig.end();
}

#[test]
fn blocks_go_out_under_a_limit_and_count_against_it() {
    let mut rig = Plan {
        upload: Some(64 * 1024 * 1024),
        ..Plan::default()
    }
    .start();
    let blocks: Vec<Block> = (0..64)
        .map(|n| block(n / 16, n % 16 * BLOCK_LENGTH, BLOCK_LENGTH))
        .filter(|block| block.piece.0 < 3)
        .collect();
    blocks
        .iter()
        .for_each(|block| rig.ours.send(PeerCommand::Upload(*block)));
    blocks
        .iter()
        .for_each(|block| rig.expect_sent(&piece_message(*block)));
    rig.end();
}

#[test]
fn what_a_peer_asks_for_is_heard_without_tokens() {
    let mut rig = Plan {
        download: Some(0),
        ..Plan::default()
    }
    .start();
    for _ in 0..3 {
        let request = Message::Request(block(2, 0, BLOCK_LENGTH));
        rig.theirs.write_all(&bytes_of(&[request])).unwrap();
        let batch = rig.batches.recv_timeout(PATIENCE).unwrap();
        assert!(
            matches!(&batch.inputs[..], [PeerInput::Message(Message::Request(_))]),
            "{batch:?}"
        );
    }
    rig.end();
}
